package sqlrunner_test

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// growthCases count in lines of about 100 bytes: 100,000 are 10 MB.
func growthCases() []growth.Case {
	var cases []growth.Case
	for _, script := range []struct {
		name string
		mode sqlrunner.Mode
		line string
	}{
		{"inserts", sqlrunner.Application, "INSERT INTO target_%06d SELECT a, b, 'a ''text'' of some length', 12345.67 FROM source /* why */ ;\n"},
		{"inserts-check", sqlrunner.Check, "INSERT INTO target_%06d SELECT a, b, 'a ''text'' of some length', 12345.67 FROM source /* why */ ;\n"},
		{"tables", sqlrunner.Application, "CREATE TABLE t%06d (a INT, b STRING) WITH ('connector'='kafka', 'password'='a secret %[1]d', 'x'='');\n"},
		{"settings", sqlrunner.Application, "SET 'key-%06d' = 'a value of some length, so that the line has about 100 bytes ..................';\n"},
		{"queries-check", sqlrunner.Check, "SELECT a, b, 'a ''text'' of some length', 12345.67, %06d FROM source_of_rows /* with a comment */  ;\n"},
	} {
		cases = append(cases, growth.Case{Name: "prepare-" + script.name, Sizes: []int{10, 1000, 100_000}, Prepare: func(tb testing.TB, n int) func() error {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, script.line, i)
			}
			b.WriteString("INSERT INTO target SELECT * FROM source;\n")
			text := b.String()
			return func() error {
				plan, err := sqlrunner.Prepare([]sqlrunner.Part{{Text: text}}, sqlrunner.Options{Mode: script.mode, Flink: flinkversion.Of(2, 2, 0),
					Sensitive: func(key string) bool { return strings.Contains(key, "password") }})
				if err == nil && len(plan.Script) < len(text) {
					err = fmt.Errorf("the script has %d bytes, expected %d", len(plan.Script), len(text))
				}
				return err
			}
		}})
	}
	return cases
}
