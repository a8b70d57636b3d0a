//go:build flink

package debug

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/freeport"
	"flink-entrypoint/test/world"
)

// gatewayHome returns a home with the gateway's jar, which the distributions that flinkhome brings lack.
func gatewayHome(t *testing.T, version string) string {
	t.Helper()
	home, dir := homes.Home(t, version), t.TempDir()
	cache, err := homes.Cache()
	if err != nil {
		t.Fatal(err)
	}
	jar := filepath.Join(cache, "maven", "flink-sql-gateway-"+version+".jar")
	if _, err := os.Stat(jar); err != nil {
		if _, err := exec.LookPath("mvn"); err != nil {
			t.Fatal("no gateway jar and no mvn to bring it: apt-get install maven")
		}
		out, err := exec.Command("mvn", "-q", "-B", "dependency:copy", "-Dartifact=org.apache.flink:flink-sql-gateway:"+version, "-DoutputDirectory="+filepath.Dir(jar)).CombinedOutput()
		if err != nil {
			t.Fatalf("mvn: %v\n%s", err, out)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "opt"), 0o755); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{filepath.Join(dir, "opt", filepath.Base(jar)): jar}
	for _, name := range []string{"bin", "conf", "lib", "plugins"} {
		links[filepath.Join(dir, name)] = filepath.Join(home, name)
	}
	for link, target := range links {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestGatewaySessionsHaveTheCatalogs starts the gateway from an archive of its classes, which it makes first.
func TestGatewaySessionsHaveTheCatalogs(t *testing.T) {
	t.Parallel()
	const version = "2.2.1"
	home := gatewayHome(t, version)
	// config.sh's home is the parent of the physical bin directory: say where the rest is.
	dir := t.TempDir()
	c, err := cluster.New(world.Binary(t), home, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Env = append(c.Env, "FLINK_OPT_DIR="+filepath.Join(home, "opt"))
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	definition := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(definition, fmt.Appendf(nil, `apiVersion: flink-entrypoint/v1
name: gateway
configuration:
  sql-gateway.endpoint.rest.address: 127.0.0.1
  sql-gateway.endpoint.rest.bind-address: 127.0.0.1
  sql-gateway.endpoint.rest.port: %d
sql:
  catalogs:
    - {name: mem, options: {type: generic_in_memory, default-database: "it's: \"a\" #b 中\t\\"}}
    - {createStatement: "CREATE CATALOG `+"`dim_2`"+` WITH ('type'='generic_in_memory')"}
`, ports[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	archives := filepath.Join(dir, "archives")
	warmup := exec.CommandContext(ctx, c.Binary, "--class-archive", archives, "warmup", "sql-gateway")
	warmup.Env = c.Environment("sql-gateway")
	if out, err := warmup.CombinedOutput(); err != nil {
		t.Fatalf("warmup: %v\n%s", err, out)
	}
	p, err := c.Start("gateway", "sql-gateway", []string{"--class-archive", archives, "--definition", definition, "sql-gateway"})
	if err != nil {
		t.Fatal(err)
	}
	g := gateway{fmt.Sprintf("http://127.0.0.1:%d/v1/", ports[0])}
	var session struct{ SessionHandle string }
	if err := cluster.Poll(ctx, func() error {
		if err := g.post(ctx, "sessions", map[string]string{}, &session); err != nil {
			return cluster.ErrNotYet
		}
		return nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, p.Tail(40))
	}
	if maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID())); err != nil || !bytes.Contains(maps, []byte(filepath.Join(archives, "sql-gateway.jsa"))) {
		t.Errorf("the gateway did not start from its archive (%v)\n%s", err, p.Tail(40))
	}
	for statement, want := range map[string][]string{
		"SHOW CATALOGS":           {"default_catalog", "dim_2", "mem"},
		"SHOW CURRENT CATALOG":    {"default_catalog"},
		"SHOW DATABASES FROM mem": {"it's: \"a\" #b 中\t\\"},
	} {
		got, err := g.rows(ctx, session.SessionHandle, statement)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %q, expected %q", statement, got, want)
		}
	}
}

type gateway struct{ base string }

func (g gateway) post(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return g.do(ctx, http.MethodPost, path, b, into)
}

func (g gateway) do(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, body)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// rows runs a statement and returns the first column.
func (g gateway) rows(ctx context.Context, session, statement string) ([]string, error) {
	var operation struct{ OperationHandle string }
	if err := g.post(ctx, "sessions/"+session+"/statements", map[string]string{"statement": statement}, &operation); err != nil {
		return nil, err
	}
	var out []string
	err := cluster.Poll(ctx, func() error {
		var result struct {
			ResultType string
			Results    struct {
				Data []struct{ Fields []string }
			}
		}
		if err := g.do(ctx, http.MethodGet, "sessions/"+session+"/operations/"+operation.OperationHandle+"/result/0?rowFormat=JSON", nil, &result); err != nil {
			return err
		}
		if result.ResultType == "NOT_READY" {
			return cluster.ErrNotYet
		}
		for _, row := range result.Results.Data {
			out = append(out, row.Fields[0])
		}
		return nil
	})
	return out, err
}
