//go:build flink

package workbench_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestRealFlink: the example's rows from a JVM that was started ahead and from one that was not; its replacement; the planner.
func TestRealFlink(t *testing.T) {
	example, err := os.ReadFile("../../../examples/clicks.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue // Java 17 needs more options there than a workbench gives
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time a JVM uses one processor
			w, err := workbench.Open(workbench.Options{Home: homes.Home(t, version), Dir: filepath.Join(t.TempDir(), "workbench"), Env: os.Environ(), Warm: 1, Time: 5 * time.Minute,
				Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			ready(t, w)
			for _, warm := range []bool{true, false} {
				tables := map[string]int{}
				end, err := w.Debug(t.Context(), "ada", workbench.Script{Name: "clicks.sql", Source: example}, workbench.DebugOptions{Rows: 10, Seed: 7}, workbench.Events{
					Start: func(bool) {},
					Ready: func(_, _ []string) {},
					Row:   func(table, kind, row string) { tables[table]++ },
					Line:  func(line string) { t.Errorf("a line that is not a row: %q", line) },
					Warn:  func(string) {},
				})
				t.Logf("%+v, %v", end, tables)
				if err != nil || end.Warm != warm || end.Limit != "" || tables["clicks_per_page"] == 0 || tables["revenue"] == 0 || end.Rows != tables["clicks_per_page"]+tables["revenue"] {
					t.Fatalf("%v, %+v, %v", err, end, tables)
				}
			}
			ready(t, w)
			for _, first := range []bool{true, false} { // the second one meets the planner of the first
				began := time.Now()
				_, err = w.Validate(t.Context(), workbench.Script{Name: "wrong.sql", Source: []byte(strings.Replace(string(example), "SELECT page,", "SELECT pag,", 1))})
				faults := workbench.Faults(err)
				t.Logf("a fault after %s, first: %v", time.Since(began), first)
				if len(faults) != 1 || faults[0].Line != 89 || faults[0].Column != 8 || !strings.Contains(faults[0].Message, "'pag'") {
					t.Fatalf("%v, %+v", err, faults)
				}
			}
			if _, err = w.Validate(t.Context(), workbench.Script{Name: "clicks.sql", Source: example}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// ready waits until a JVM is in store.
func ready(t *testing.T, w *workbench.Workbench) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for w.Warm() == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("no JVM became ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
