//go:build flink

package workbench_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/flinkhome/homes"
)

// homeWith is a home of Flink with one jar more. Its files are the other home's.
func homeWith(t *testing.T, home, name string, jar []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "flink")
	err := filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(home, path)
		to := filepath.Join(dir, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if top, _, _ := strings.Cut(rel, "/"); top != "lib" && top != "conf" && top != "bin" {
			return nil
		}
		if os.Link(path, to) == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(to, b, 0o644)
		}
		return err
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "lib", name), jar, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// probeJar compiles the catalog that calls a host.
func probeJar(t *testing.T, home string) []byte {
	t.Helper()
	dir := t.TempDir()
	jars, err := filepath.Glob(filepath.Join(home, "lib", "*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("javac", "-nowarn", "-d", dir, "-classpath", strings.Join(jars, ":"), "testdata/probe/ProbeCatalogFactory.java")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var b strings.Builder
	z := zip.NewWriter(&b)
	add := func(name string, content []byte) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	classes, err := filepath.Glob(filepath.Join(dir, "probe", "*.class"))
	if err != nil || len(classes) == 0 {
		t.Fatal(err, classes)
	}
	for _, class := range classes {
		content, err := os.ReadFile(class)
		if err != nil {
			t.Fatal(err)
		}
		add("probe/"+filepath.Base(class), content)
	}
	add("META-INF/services/org.apache.flink.table.factories.Factory", []byte("probe.ProbeCatalogFactory\n"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// TestCheckCatalog: a catalog connects to a host of the policy, with a secret of it, and to no other host.
func TestCheckCatalog(t *testing.T) {
	stock := homes.Home(t, "2.2.1")
	home := homeWith(t, stock, "probe.jar", probeJar(t, stock))
	dir := t.TempDir()
	program := filepath.Join(dir, "flink-platform")
	build := exec.Command("go", "build", "-o", program, "flink-entrypoint/cmd/flink-platform")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var ports []string
	said := make(chan string, 10)
	for range 2 {
		l, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				b, _ := io.ReadAll(c)
				said <- port + " " + string(b)
				io.WriteString(c, "+")
				c.Close()
			}
		}()
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := workbench.Options{Home: home, Dir: filepath.Join(dir, "workbench"), Env: os.Environ(), Wall: workbench.WallNeeded, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Self: []string{program, "wall-forward"},
		Policy: &workbench.Policy{Env: map[string]string{"PROBE_PASSWORD": password}, Hosts: []string{"localhost:" + ports[0]}}}
	script := func(port, variable string) workbench.Script {
		return workbench.Script{Name: "job.yaml", Source: fmt.Appendf(nil, "apiVersion: flink-entrypoint/v1\nname: check\nsql:\n  catalogs: [{name: c, options: {type: probe, host: localhost, port: '%s', password: {fromEnv: %s}}}]\n  script: %q\n", port, variable, workbench.CatalogScript("c"))}
	}
	w, err := workbench.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.CheckCatalog(t.Context(), script(ports[0], "PROBE_PASSWORD")); err != nil || len(said) == 0 {
		t.Errorf("a host of the policy: %v, %d calls", err, len(said))
	}
	for len(said) > 0 { // a catalog may be opened more than once
		if got := <-said; got != ports[0]+" hunter2" {
			t.Errorf("the host heard %q", got)
		}
	}
	err = w.CheckCatalog(t.Context(), script(ports[1], "PROBE_PASSWORD"))
	if faults := workbench.Faults(err); len(faults) == 0 || !strings.Contains(faults[0].Message, "cannot connect to localhost:"+ports[1]) || strings.Contains(err.Error(), "hunter2") || len(said) != 0 {
		t.Errorf("another host: %v", err)
	}
	if err := w.CheckCatalog(t.Context(), script(ports[0], "HOME")); err == nil || !strings.Contains(err.Error(), "sql.catalogs[0].options.password is a reference") {
		t.Errorf("a secret that the policy does not list: %v", err)
	}
	o.Dir, o.Policy = filepath.Join(dir, "second"), &workbench.Policy{Env: o.Policy.Env}
	without, err := workbench.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	err = without.CheckCatalog(t.Context(), script(ports[0], "PROBE_PASSWORD"))
	if refused, ok := errors.AsType[*workbench.Refused](err); !ok || !strings.Contains(refused.Message, "no policy of the server names one") {
		t.Errorf("without hosts: %v", err)
	}
}
