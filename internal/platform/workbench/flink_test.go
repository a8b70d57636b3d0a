//go:build flink

package workbench_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
			tables, columns, rows := map[string]int{}, map[string]string{}, []workbench.Row(nil)
			events := workbench.Events{
				Start:   func(bool) {},
				Ready:   func(_, _ []string) {},
				Columns: func(table string, names []string) { columns[table] = strings.Join(names, "|") },
				Row:     func(row workbench.Row) { tables[row.Table]++; rows = append(rows, row) },
				Line:    func(line string) { t.Errorf("a line that is not a row: %q", line) },
				Warn:    func(string) {},
			}
			end, err := w.Debug(t.Context(), "ada", workbench.Script{Name: "clicks.sql", Source: example}, workbench.DebugOptions{Rows: 10, Seed: 7}, events)
			t.Logf("%+v, %v", end, tables)
			if err != nil || !end.Warm || end.Limit != "" || tables["clicks_per_page"] == 0 || tables["revenue"] == 0 || end.Rows != tables["clicks_per_page"]+tables["revenue"] {
				t.Fatalf("%v, %+v, %v", err, end, tables)
			}
			for _, row := range rows {
				if names := strings.Split(columns[row.Table], "|"); len(row.Cells) != len(names) || len(names) < 2 {
					t.Errorf("%+v has %d columns, not those of %q", row, len(row.Cells), names)
				}
			}
			rows = nil
			end, err = w.Debug(t.Context(), "ada", workbench.Script{Name: "odd.sql", Source: []byte(odd)}, workbench.DebugOptions{Rows: 1}, events)
			t.Logf("%+v, %v", end, rows)
			if err != nil || end.Warm || len(rows) != 3 || columns["odd"] != "id|a, b|n|word|tags|r|m|t|d|none" || columns["changes"] != "n|text" || columns[""] != "id|text|n|t" {
				t.Fatalf("%v, %+v, %v, %v", err, end, columns, rows)
			}
			slices.SortFunc(rows, func(a, b workbench.Row) int { return -strings.Compare(a.Table, b.Table) })
			if got, want := cellsOf(rows[0]), `7|a, "b" \é`+"\n"+`c|<nil>|null|[x, y, z]|+I[1, null]|{k=v}|2024-01-02T03:04:05|1.50|`; got != want {
				t.Errorf("the columns are %q, want %q", got, want)
			}
			if got := cellsOf(rows[2]); got != "7|a | b"+strings.Repeat("x", 40)+"|<nil>|2024-01-02 03:04:05" || rows[2].Table != "" {
				t.Errorf("the columns of a query are %q, of %+v", got, rows[2])
			}
			if got := cellsOf(rows[1]); got != "1|x" || rows[1].Kind != "+I" || rows[1].Text != "[1, x]" {
				t.Errorf("%q, %+v", got, rows[1])
			}
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
			ready(t, w) // again
		})
	}
}

// odd writes what cannot be read in "[1, a, b, null]", and to a sink that takes changes.
const odd = `CREATE TABLE s (id INT) WITH ('connector' = 'kafka');
CREATE TABLE odd (id INT, ` + "`a, b`" + ` STRING, n STRING, word STRING, tags ARRAY<STRING>, r ROW<x INT, y STRING>, m MAP<STRING, STRING>, t TIMESTAMP(3), d DECIMAL(10, 2), ` + "`none`" + ` STRING) WITH ('connector' = 'kafka');
CREATE TABLE changes (n BIGINT NOT NULL, text STRING, PRIMARY KEY (text) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'k:1', 'key.format' = 'json', 'value.format' = 'json');
INSERT INTO odd SELECT 7, 'a, "b" \é' || CHR(10) || 'c', CAST(NULL AS STRING), 'null', ARRAY['x, y', 'z'], ROW(1, CAST(NULL AS STRING)), MAP['k', 'v'], TIMESTAMP '2024-01-02 03:04:05', 1.50, '' FROM s;
INSERT INTO changes SELECT COUNT(*), 'x' FROM s GROUP BY 'x';
SELECT 7 AS id, 'a | b' || REPEAT('x', 40) AS text, CAST(NULL AS STRING) AS n, TIMESTAMP '2024-01-02 03:04:05' AS t FROM s;
`

// cellsOf are the columns of a row in one text.
func cellsOf(row workbench.Row) string {
	var texts []string
	for _, c := range row.Cells {
		if c == nil {
			texts = append(texts, "<nil>")
		} else {
			texts = append(texts, *c)
		}
	}
	return strings.Join(texts, "|")
}

// ready waits until a JVM is in store.
func ready(t *testing.T, w *workbench.Workbench) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // on a busy machine
	defer cancel()
	for w.Warm() == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("no JVM became ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
