package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// growthCases count in lines of about 100 bytes: 100,000 are 10 MB.
func growthCases() []growth.Case {
	var cases []growth.Case
	for _, script := range []struct {
		name string
		text func(n int) string
	}{
		{"statements", statements},
		{"one-statement", oneStatement},
		{"comment", func(n int) string { return "/*" + strings.Repeat(strings.Repeat("x", 99)+"\n", n) + "*/ SELECT 1;" }},
		{"string", func(n int) string { return "SELECT '" + strings.Repeat(strings.Repeat("x", 97)+"''\n", n) + "';" }},
		{"escaped-string", func(n int) string { return "SELECT U&'" + strings.Repeat(strings.Repeat("\\0041", 20), n) + "';" }},
		{"semicolons", func(n int) string { return strings.Repeat(strings.Repeat(";", 99)+"\n", n) }},
		{"parentheses", func(n int) string { return "SELECT " + strings.Repeat(strings.Repeat("(", 100), n) + ";" }},
		{"statement-set", func(n int) string {
			return "EXECUTE STATEMENT SET BEGIN\n" + strings.Repeat("INSERT INTO target SELECT a, b, c, 'a text', 1234567 FROM source_table WHERE a > 12 AND b < 100.5;\n", n) + "END;\n"
		}},
		{"begin", func(n int) string {
			return strings.Repeat("BEGIN STATEMENT SET; INSERT INTO target SELECT a, b, c FROM source_table WHERE a > 12; END;\n", n)
		}},
		{"set", func(n int) string {
			return strings.Repeat("SET 'table.exec.state.ttl' = 'a value of some length, so that the line has about 100 bytes ......';\n", n)
		}},
		{"set-open", func(n int) string {
			return strings.Repeat("SET table.exec.state.ttl = a value of some length, so that the line has about 100 bytes .........\n", n)
		}},
		{"quotes", func(n int) string {
			return strings.Repeat("SELECT U&'\\0041' UESCAPE '!', _utf8'x', `a``b`, x'00', _latin1'y', N'z', \"q\", {fn a}, 1e5, 'a' 'b'; \n", n)
		}},
	} {
		cases = append(cases,
			growth.Case{Name: "lex-" + script.name, N: 100, Sizes: []int{10, 1000, 100_000}, Prepare: func(tb testing.TB, n int) func() error {
				text := script.text(n)
				return func() error {
					_, err := sqltext.Lex(text, sqltext.DialectOf(flinkversion.Of(2, 2, 0)))
					return err
				}
			}},
			growth.Case{Name: "split-" + script.name, N: 100, Sizes: []int{10, 1000, 100_000}, Prepare: func(tb testing.TB, n int) func() error {
				text := script.text(n)
				return func() error {
					list, err := sqltext.Split(text, sqltext.DialectOf(flinkversion.Of(2, 2, 0)))
					for _, s := range list {
						s.Tokens()
						s.Inserts()
						if line, _ := s.At(2, 2); line < 1 {
							return fmt.Errorf("a place in line %d", line)
						}
						_, _, _, _ = sqltext.ParseSet(s) // some are refused, after all has been read
					}
					return err
				}
			}})
	}
	return cases
}

// statements has a statement in each line.
func statements(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "INSERT INTO target_%06d SELECT a, b, 'a ''text'' of some length', 12345.67 FROM source /* why */ ;\n", i)
	}
	return b.String()
}

// oneStatement is a single one of n lines.
func oneStatement(n int) string {
	return "INSERT INTO target VALUES\n" + strings.Repeat("  (1234567, 'a text of some length', 12345.67, TIMESTAMP '2024-01-01 00:00:00', CAST(NULL AS INT)),\n", n) + "  (1);\n"
}
