package mock_test

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/mock"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// growthCases count in lines of about 100 bytes: 100,000 are 10 MB.
func growthCases() []growth.Case {
	var cases []growth.Case
	for _, script := range []struct {
		name string
		line string
	}{
		{"inserts", "INSERT INTO sink SELECT a, b, %06d FROM source WHERE b = 'a ''text'' of some length' /* comment */;\n"},
		{"sources", "CREATE TABLE s%06d (a INT, b STRING) WITH ('connector'='kafka'); INSERT INTO sink SELECT * FROM s%[1]d;\n"},
		{"sinks", "CREATE TABLE s%06d (a INT, b STRING, c INT) WITH ('connector'='x'); INSERT INTO s%[1]d TABLE source;\n"},
		{"views", "CREATE VIEW v%06d AS SELECT a, b, 1 AS c FROM source WHERE a > 1 AND b <> 'a text of some length ...';\n"},
		{"settings", "SET 'key-%06d' = 'a value of some length, so that the line has about 100 bytes ..................';\n"},
		{"from-catalog", "INSERT INTO ods.db.t%06d SELECT a, b, 12345.67 FROM ods.db.s%[1]d WHERE b = 'a text' /* and why... */;\n"},
	} {
		cases = append(cases, growth.Case{Name: "rewrite-" + script.name, Sizes: []int{10, 1000, 10_000, 100_000}, Prepare: func(tb testing.TB, n int) func() error {
			var b strings.Builder
			b.WriteString("CREATE TABLE source (a INT, b STRING) WITH ('connector'='kafka'); CREATE TABLE sink (a INT, b STRING, c INT) WITH ('connector'='jdbc');\n")
			for i := range n {
				fmt.Fprintf(&b, script.line, i)
			}
			b.WriteString("INSERT INTO sink SELECT a, b, 1 FROM source;\n")
			text := b.String()
			return func() error {
				result, err := mock.Rewrite([]mock.Part{{Text: text}}, mock.Options{})
				if err == nil && !strings.Contains(result.Script(), "datagen") {
					err = fmt.Errorf("nothing is generated")
				}
				return err
			}
		}})
	}
	return cases
}
