//go:build flink

package workbench_test

import (
	"fmt"
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

// TestTwoHomes: a script is checked and run on the version of Flink that its definition names, else on the default one, which alone has JVMs
// that are started ahead. BTRIM came with 2.0, which tells the versions apart.
func TestTwoHomes(t *testing.T) {
	const older, newer = "1.20.5", "2.2.1"
	if v := homes.Versions(); !slices.Contains(v, older) || !slices.Contains(v, newer) {
		t.Skipf("the versions under test are %v; it needs %s=\"%s %s\"", v, homes.VersionsVariable, older, newer)
	}
	dir := filepath.Join(t.TempDir(), "workbench")
	w, err := workbench.Open(workbench.Options{Home: homes.Home(t, newer), Homes: []string{homes.Home(t, older)}, Dir: dir, Env: os.Environ(), Warm: 1, Time: 5 * time.Minute,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	job := func(version, function string) workbench.Script {
		if version != "" {
			version = "flinkVersion: '" + version + "'\n"
		}
		return workbench.Script{Name: "job.yaml", Source: fmt.Appendf(nil, "apiVersion: flink-entrypoint/v1\nname: job\n%ssql:\n  script: |\n    CREATE TABLE s (id INT) WITH ('connector' = 'kafka');\n    CREATE TABLE p (r STRING) WITH ('connector' = 'kafka');\n    INSERT INTO p SELECT %s(' x ') FROM s;\n", version, function)}
	}
	ready(t, w)
	for !w.Planner() {
		if t.Context().Err() != nil {
			t.Fatal("no planner became ready")
		}
		time.Sleep(20 * time.Millisecond)
	}
	// The files of JVMs of another version are in a directory of their own, which is in their command lines.
	other := filepath.Join(dir, "other-1")
	if n := running(other); n > 0 {
		t.Errorf("%d JVMs of Flink %s were started ahead", n, older)
	}
	for _, tt := range []struct {
		version, function string
		on                string // the version of Flink
		warm, valid       bool
	}{
		{"", "BTRIM", newer, true, true},
		{"1.20", "BTRIM", older, false, false},
		{"1.20", "TRIM", older, false, true},
		{"2.2", "BTRIM", newer, true, true},
	} {
		what := fmt.Sprintf("%s on %q", tt.function, tt.version)
		script := job(tt.version, tt.function)
		if got := w.VersionOf(script); got != tt.on {
			t.Errorf("%s is run on Flink %s, want %s", what, got, tt.on)
		}
		_, err := w.Validate(t.Context(), script)
		if faults := workbench.Faults(err); tt.valid && err != nil || !tt.valid && (len(faults) != 1 || !strings.Contains(faults[0].Message, "BTRIM")) {
			t.Errorf("%s is checked: %v", what, err)
		}
		if tt.warm {
			ready(t, w)
		}
		var rows []string
		end, err := w.Debug(t.Context(), "ada", script, workbench.DebugOptions{Rows: 2}, workbench.Events{Start: func(bool) {}, Ready: func(_, _ []string) {}, Line: func(string) {}, Warn: func(string) {},
			Row: func(row workbench.Row) { rows = append(rows, row.Text) }})
		t.Logf("%s: %+v, %v, %v", what, end, rows, err)
		switch {
		case tt.valid && (err != nil || len(rows) != 2 || rows[0] != "[x]" || end.Warm != tt.warm):
			t.Errorf("%s is run: %v, %+v, %v", what, rows, end, err)
		case !tt.valid && len(workbench.Faults(err)) != 1:
			t.Errorf("%s is run: %v", what, err)
		}
	}
	if got := w.State(); !slices.Equal(got.Versions, []string{newer, older}) {
		t.Errorf("%+v", got)
	}
	if _, err := w.Validate(t.Context(), job("1.19", "TRIM")); err == nil || !strings.Contains(err.Error(), "1.19") {
		t.Errorf("a version that is not here: %v", err)
	}
	w.Close()
	if n := running(dir); n > 0 {
		t.Errorf("%d processes of the workbench are left", n)
	}
}
