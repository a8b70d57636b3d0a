package jobdef_test

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

func growthCases() []growth.Case {
	var cases []growth.Case
	for _, c := range []struct{ name, before, line, after string }{
		{"configuration", "configuration:\n", "  key-%d: value\n", ""},
		{"configuration-nested", "configuration:\n", "  section-%d: {a: 1, b: {c: [x, y]}}\n", ""},
		{"settings", "sql:\n  script: SELECT 1\n  set:\n", "    key-%d: value\n", ""},
		{"catalogs", "sql:\n  script: SELECT 1\n  catalogs:\n", "    - {name: c%d, options: {type: generic_in_memory, default-database: 'd'}}\n", ""},
		{"functions", "sql:\n  script: SELECT 1\n  functions:\n", "    - name: f%d\n      class: com.example.Function\n      jars: [a.jar]\n", ""},
		{"artifacts", "artifacts:\n", "  - {uri: 'https://repo/a%d.jar', to: usrlib}\n", ""},
		{"script", "sql:\n  script: |\n", "    INSERT INTO target SELECT a, b, c, %d FROM source;\n", ""},
		{"json", `{"apiVersion": "flink-entrypoint/v1", "name": "growth", "configuration": {"key": "value"`, `, "key-%d": "value"`, "}}"},
		{"unknown-fields", "", "field-%d: value\n", ""},
	} {
		cases = append(cases, growth.Case{Name: "decode-" + c.name, N: 100, Sizes: []int{1, 10, 100, 1000, 10_000}, Prepare: func(tb testing.TB, n int) func() error {
			var b strings.Builder
			if !strings.HasPrefix(c.before, "{") {
				b.WriteString("apiVersion: flink-entrypoint/v1\nname: growth\n")
			}
			b.WriteString(c.before)
			for i := range n {
				fmt.Fprintf(&b, c.line, i)
			}
			b.WriteString(c.after)
			text := []byte(b.String())
			return func() error {
				_, err := jobdef.Decode("growth", text)
				if c.name == "unknown-fields" {
					if err == nil {
						return fmt.Errorf("unknown fields are accepted")
					}
					return nil
				}
				return err
			}
		}})
	}
	return cases
}
