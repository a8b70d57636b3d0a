//go:build flink

package workbench_test

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestWorkersOnFlink: one server with a worker for each version. A definition that names a version is checked, run and drawn by its worker.
func TestWorkersOnFlink(t *testing.T) {
	example, err := os.ReadFile("../../../examples/clicks.sql")
	if err != nil {
		t.Fatal(err)
	}
	token := func() (string, error) { return "a-token-of-the-server", nil }
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	var benches workbench.Routed
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue // Java 17 needs more options there than a workbench gives
		}
		bench, err := workbench.Open(workbench.Options{Home: homes.Home(t, version), Dir: filepath.Join(t.TempDir(), "workbench"), Env: os.Environ(), Time: 5 * time.Minute, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bench.Close)
		service, err := workbench.NewService(bench, token, log)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(service.Handler())
		t.Cleanup(server.Close)
		w, err := workbench.NewWorker(bench.Version().Release().String(), server.URL, token)
		if err != nil {
			t.Fatal(err)
		}
		benches.Workers = append(benches.Workers, w)
	}
	if len(benches.Workers) < 2 {
		t.Skip("one version of Flink: FLINK_VERSIONS='1.20.5 2.2.1'")
	}
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue
		}
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		definition := func(script string) workbench.Script {
			return workbench.Script{Name: "clicks.yaml", Source: []byte("apiVersion: flink-entrypoint/v1\nname: clicks\nflinkVersion: \"" + v.Release().String() + "\"\nsql:\n  script: |\n    " + strings.ReplaceAll(strings.TrimSpace(script), "\n", "\n    ") + "\n")}
		}
		right := definition(string(example))
		tables := map[string]int{}
		end, err := benches.Debug(t.Context(), "ada", right, workbench.DebugOptions{Rows: 10, Seed: 7}, workbench.Events{
			Start: func(bool) {}, Ready: func(_, _ []string) {}, Line: func(line string) { t.Errorf("a line that is not a row: %q", line) }, Warn: func(string) {},
			Row: func(row workbench.Row) { tables[row.Table]++ },
		})
		if err != nil || end.Limit != "" || tables["clicks_per_page"] == 0 || tables["revenue"] == 0 || end.Rows != tables["clicks_per_page"]+tables["revenue"] {
			t.Fatalf("%s: %v, %+v, %v", version, err, end, tables)
		}
		if got := benches.VersionOf(right); got != version {
			t.Errorf("%s was run on %s", version, got)
		}
		if _, err := benches.Validate(t.Context(), right); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		_, err = benches.Validate(t.Context(), definition(strings.Replace(string(example), "SELECT page,", "SELECT pag,", 1)))
		if faults := workbench.Faults(err); len(faults) != 1 || faults[0].Line != 94 || faults[0].Column != 12 || !strings.Contains(faults[0].Message, "'pag'") {
			t.Errorf("%s: %v, %+v", version, err, faults)
		}
		if l, err := benches.Lineage(t.Context(), right); err != nil || len(l.Tables) < 3 || len(l.Edges) < 2 {
			t.Errorf("%s: %+v, %v", version, l, err)
		}
		t.Logf("%s: %+v, %v", version, end, tables)
	}
}
