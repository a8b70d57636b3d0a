package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/redact"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases(t)) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases(b)) }

// growthCases plan and write whole starts, what the rooms do for each other included: who overrides whom, what is
// deprecated, what is masked.
func growthCases(testing.TB) []growth.Case {
	many := func(n int, line string) string {
		if line == "" {
			return ""
		}
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	const head = "apiVersion: flink-entrypoint/v1\nname: growth\n"
	var cases []growth.Case
	for _, c := range []struct {
		name, role, version         string
		base, definition, variables string // lines with %d
		before                      string // lines of the definition before its own
		large                       int    // 0: 10,000
	}{
		{name: "config.yaml", role: "taskmanager", version: "2.2.1", base: "s%d.key: value\n", large: 100_000},
		{name: "flink-conf.yaml", role: "taskmanager", version: "1.18.1", base: "s%d.key: value\n", large: 100_000},
		{name: "jobmanager", role: "jobmanager", version: "2.2.1", base: "s%d.key: value\n"},
		{name: "passwords", role: "taskmanager", version: "2.2.1", base: "s%d.password: value-%[1]d\n"},
		{name: "properties", role: "taskmanager", version: "2.2.1", variables: "s%d.key: value\n", large: 5000},
		{name: "properties-legacy", role: "taskmanager", version: "1.18.1", variables: "s%d.key: value\n", large: 5000},
		{name: "definition", role: "taskmanager", version: "2.2.1", before: "configuration:\n", definition: "  s%d.key: value\n"},
		{name: "secrets", role: "taskmanager", version: "2.2.1", before: "configuration:\n", definition: "  s%d.key: {fromEnv: SECRET_%[1]d}\n"},
		{name: "settings", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: INSERT INTO a SELECT 1\n  set:\n", definition: "    key-%d: value\n"},
		{name: "catalogs", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: INSERT INTO a SELECT 1\n  catalogs:\n",
			definition: "    - {name: c%d, options: {type: generic_in_memory, password: 'secret-%[1]d'}}\n"},
		{name: "stored-catalogs", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: INSERT INTO a SELECT 1\n  catalogs:\n",
			definition: "    - {createStatement: \"CREATE CATALOG c%d WITH ('type'='generic_in_memory', 'password'='secret-%[1]d')\"}\n"},
		{name: "functions", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: INSERT INTO a SELECT 1\n  functions:\n", definition: "    - {name: f%d, class: com.example.F}\n"},
		{name: "script", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: |\n", definition: "    INSERT INTO target SELECT a, b, c, %d FROM source;\n"},
		{name: "tables", role: "standalone-job", version: "2.2.1", before: "sql:\n  script: |\n    INSERT INTO a SELECT 1;\n", definition: "    CREATE TABLE t%d (a INT) WITH ('connector'='kafka', 'password'='secret-%[1]d');\n"},
	} {
		large := c.large
		if large == 0 {
			large = 10_000
		}
		prepare := func(tb testing.TB, n int) func() error {
			name := "config.yaml"
			if strings.HasPrefix(c.version, "1.1") {
				name = "flink-conf.yaml"
			}
			home, env := stubHome(tb, c.version, map[string]string{name: "taskmanager.memory.process.size: 1728m\n" + many(n, c.base)})
			if c.variables != "" {
				env = append(env, "FLINK_PROPERTIES="+many(n, c.variables))
			}
			if strings.Contains(c.definition, "fromEnv") {
				env = append(env, strings.Split(many(n, "SECRET_%d=value %[1]d\n"), "\n")...)
			}
			definition := ""
			if c.definition != "" {
				definition = filepath.Join(tb.TempDir(), "job.yaml")
				if err := os.WriteFile(definition, []byte(head+c.before+many(n, c.definition)), 0o600); err != nil {
					tb.Fatal(err)
				}
			}
			dir := filepath.Join(tb.TempDir(), "run")
			return func() error {
				run, plan, err := gatherRun(tb, home, c.role, env, func(o *Options, w *World) {
					o.Definition, o.RunDir, w.Redactor = definition, dir, new(redact.Redactor)
				})
				if err != nil {
					return err
				}
				_, err = run.Apply(tb.Context(), plan)
				return err
			}
		}
		cases = append(cases, growth.Case{Name: "start-" + c.name, N: 200, Sizes: []int{10, large / 100, large / 10, large}, Prepare: prepare})
	}
	return cases
}
