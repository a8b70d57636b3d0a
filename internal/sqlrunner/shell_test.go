package sqlrunner

import (
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

// TestShellCommands: validate took the commands of sql-client for statements, and a start failed with Flink's list of all statements
// that it knows.
func TestShellCommands(t *testing.T) {
	const insert = "INSERT INTO t SELECT 1;\n"
	for _, c := range []struct {
		name, script string
		options      Options
		refused      []string // in their order; none: accepted
		warned       []string
	}{
		{name: "QUIT at the end", script: insert + "QUIT;", warned: []string{"statement 2, line 2: QUIT is ignored"}},
		{name: "in any case, without a semicolon, among comments", script: insert + "/* done */ exit -- really\n", warned: []string{"statement 2, line 2: EXIT is ignored"}},
		{name: "several at the end", script: insert + "Quit;\n;Exit;", warned: []string{"QUIT is ignored", "EXIT is ignored"}},
		{name: "alone", script: "quit", options: Options{Mode: Check}, warned: []string{"QUIT is ignored"}},
		{name: "QUIT before the end", script: "  quit;\n" + insert, refused: []string{"line 1, column 3: QUIT ends a client's session: the statements after it would not run"}},
		{name: "the others, all at once", script: insert + "clear;\n  Help ;\nSOURCE '/a/b.sql';\nremove jar 'x.jar';\nSHOW JOBS;\nSTOP JOB '1' WITH SAVEPOINT;\nDESCRIBE JOB '1';\nDESC JOB '1';\nEXIT;",
			refused: []string{"line 2, column 1: CLEAR", "line 3, column 3: HELP", "line 4, column 1: SOURCE", "line 5, column 1: REMOVE JAR",
				"line 6, column 1: SHOW JOBS", "line 7, column 1: STOP JOB", "line 8, column 1: DESCRIBE JOB", "line 9, column 1: DESCRIBE JOB"}},
		{name: "in a run here too", script: "HELP", options: Options{Mode: Local}, refused: []string{"line 1, column 1: HELP"}},
		{name: "what only looks like one", script: insert + "SHOW JARS; DESCRIBE jobs; SHOW TABLES; DESCRIBE `JOB`; ADD JAR 'x.jar'; SELECT help FROM quit"},
		{name: "jars before 1.16", script: "ADD JAR 'x.jar'; SHOW JARS;" + insert, options: Options{Flink: flinkversion.Of(1, 15, 4)},
			refused: []string{"line 1, column 1: ADD JAR in a job needs Flink 1.16", "line 1, column 18: SHOW JARS in a job needs Flink 1.16"}},
		{name: "of sqlline", script: insert + "!quit", refused: []string{`line 2, column 1: '!' (U+0021) has no meaning`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := Prepare([]Part{{Text: c.script}}, c.options)
			warnings, judged := Judge([]Part{{Text: c.script}}, c.options)
			if (err == nil) != (judged == nil) || err != nil && err.Error() != judged.Error() {
				t.Errorf("Prepare says %v, Judge %v", err, judged)
			}
			if len(c.refused) == 0 && err != nil {
				t.Fatalf("refused: %v", err)
			}
			if len(c.refused) > 0 {
				if err == nil {
					t.Fatal("accepted")
				}
				lines := strings.Split(err.Error(), "\n")
				if len(lines) != len(c.refused) {
					t.Fatalf("%d errors, want %d:\n%v", len(lines), len(c.refused), err)
				}
				for i, want := range c.refused {
					if !strings.HasPrefix(lines[i], want) {
						t.Errorf("error %q, want %q", lines[i], want)
					}
				}
				return
			}
			for _, want := range c.warned {
				if !strings.Contains(strings.Join(warnings, "\n"), want) {
					t.Errorf("warnings %q lack %q", warnings, want)
				}
			}
			for line := range strings.Lines(string(plan.Index)) {
				text := strings.ToUpper(line)
				if strings.Contains(text, "QUIT") || strings.Count(text, "\t") >= 5 && strings.HasPrefix(text, "RUN") && len(c.warned) > 0 {
					t.Errorf("the runner would execute %q", line)
				}
			}
		})
	}
}
