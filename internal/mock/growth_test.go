package mock_test

import (
	"fmt"
	"strconv"
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
	return append(cases, shapeCases()...)
}

// shapeCases are scripts whose statements depend on each other, or that are one large statement.
func shapeCases() []growth.Case {
	const tables = "CREATE TABLE s (a INT, b STRING) WITH ('connector'='kafka'); CREATE TABLE t (a INT, b STRING) WITH ('connector'='jdbc');\n"
	lines := func(line string) func(n int) string {
		return func(n int) string {
			var b strings.Builder
			for i := range n {
				b.WriteString(strings.NewReplacer("#", strconv.Itoa(i), "@", strconv.Itoa(i+1)).Replace(line))
			}
			return b.String()
		}
	}
	list := func(item string) func(n int) string {
		return func(n int) string {
			var items []string
			for i := range n {
				items = append(items, strings.ReplaceAll(item, "#", strconv.Itoa(i)))
			}
			return strings.Join(items, ", ")
		}
	}
	columns := list("c# INT")
	var cases []growth.Case
	for _, c := range []struct {
		name string
		n    int
		text func(n int) string
	}{
		{"views-in-a-chain", 0, func(n int) string {
			return tables + "CREATE VIEW v0 AS SELECT * FROM s;\n" + lines("CREATE VIEW v@ AS SELECT * FROM v#;\n")(n) + fmt.Sprintf("INSERT INTO t SELECT * FROM v%d;", n)
		}},
		{"sinks-of-one-view", 0, func(n int) string {
			return tables + lines("CREATE VIEW v# AS SELECT * FROM s;\n")(n) + "CREATE VIEW w AS " + strings.Repeat("TABLE v1 UNION ALL ", n) + "TABLE v1;\n" +
				strings.Repeat("INSERT INTO t SELECT * FROM w;\n", n)
		}},
		{"sinks-of-a-view-of-all", 0, func(n int) string {
			return tables + lines("CREATE TABLE u# (a INT) WITH ('connector'='kafka');\n")(n) + "CREATE VIEW w AS " +
				strings.ReplaceAll(list("TABLE u#")(n), ",", " UNION ALL ") + ";\n" + strings.Repeat("INSERT INTO t SELECT * FROM w;\n", n)
		}},
		{"tables-like-each-other", 0, func(n int) string {
			return tables + "CREATE TABLE u0 (a INT) WITH ('connector'='kafka');\n" + lines("CREATE TABLE u@ LIKE u#;\n")(n) +
				lines("INSERT INTO t SELECT a, '' FROM u#;\n")(n)
		}},
		{"columns", 0, func(n int) string {
			return "CREATE TABLE u (" + columns(n) + ") WITH ('connector'='kafka'); SELECT * FROM u;"
		}},
		{"columns-like", 0, func(n int) string {
			return "CREATE TABLE u (" + columns(n) + ") WITH ('connector'='kafka'); CREATE TABLE w (" + list("c# BIGINT, d# INT")(n) + ") LIKE u; SELECT * FROM w;"
		}},
		{"columns-of-the-key", 0, func(n int) string {
			return "CREATE TABLE u (" + columns(n) + ", PRIMARY KEY (" + list("c#")(n) + ") NOT ENFORCED) WITH ('connector'='kafka'); SELECT * FROM u;"
		}},
		{"columns-computed", 0, func(n int) string {
			return "CREATE TABLE u (" + columns(n) + ", t AS TO_TIMESTAMP(" + list("c#")(n) + "), WATERMARK FOR t AS t) WITH ('connector'='kafka'); SELECT * FROM u;"
		}},
		{"columns-of-datagen", 0, func(n int) string {
			return "CREATE TABLE u (" + columns(n) + ") WITH ('connector'='datagen', " + list("'fields.c#.min' = '1'")(n) + "); SELECT * FROM u;"
		}},
		{"fields-of-a-row", 0, func(n int) string {
			return "CREATE TABLE u (r ROW<" + columns(n) + ">) WITH ('connector'='kafka'); SELECT * FROM u;"
		}},
		{"types-nested", 90, func(n int) string {
			return "CREATE TABLE u (a " + strings.Repeat("ARRAY<", n) + "INT" + strings.Repeat(">", n) + ") WITH ('connector'='kafka'); SELECT * FROM u;"
		}},
		{"parentheses", 900, func(n int) string {
			return tables + "INSERT INTO t SELECT " + strings.Repeat("(", n) + "a" + strings.Repeat(")", n) + ", b FROM s;"
		}},
		{"subqueries", 900, func(n int) string {
			return tables + "INSERT INTO t " + strings.Repeat("SELECT * FROM (", n) + "TABLE s" + strings.Repeat(")", n) + ";"
		}},
		{"common-table-expressions", 0, func(n int) string {
			return tables + "INSERT INTO t WITH q0 AS (TABLE s), " + list("q#x AS (SELECT * FROM q0, q#)")(n) + " TABLE q0;"
		}},
		{"froms-of-one-select", 0, func(n int) string { return tables + "INSERT INTO t SELECT a " + strings.Repeat("FROM s ", n) + ";" }},
		{"lookups", 0, func(n int) string { // each loses the time attribute because of the one before, declared after it
			var b strings.Builder
			b.WriteString("CREATE TABLE s (a INT, p TIMESTAMP(3), WATERMARK FOR p AS p) WITH ('connector'='kafka');\n")
			for i := n; i >= 0; i-- {
				fmt.Fprintf(&b, "CREATE TABLE l%d (k INT, a INT) WITH ('connector'='jdbc');\n", i)
			}
			b.WriteString("CREATE TABLE t (a INT) WITH ('connector'='jdbc');\n")
			for i := range n {
				fmt.Fprintf(&b, "INSERT INTO t SELECT s.a FROM s JOIN l%d FOR SYSTEM_TIME AS OF s.p ON s.a = l%[1]d.k JOIN l%[2]d FOR SYSTEM_TIME AS OF s.p ON s.a = l%[2]d.k;\n", i, i+1)
			}
			b.WriteString("INSERT INTO t SELECT * FROM s JOIN l0 FOR SYSTEM_TIME AS OF s.p ON s.a = l0.k;\n")
			return b.String()
		}},
		{"hints", 0, func(n int) string {
			return tables + "INSERT INTO t SELECT * FROM s" + strings.Repeat(", s /*+ OPTIONS('a'='b') */", n) + ";"
		}},
		{"statement-set", 0, func(n int) string {
			return tables + "EXECUTE STATEMENT SET BEGIN " + strings.Repeat("INSERT INTO t SELECT VECTOR_SEARCH(TABLE s);\n", n) + " INSERT INTO t TABLE s; END;"
		}},
	} {
		cases = append(cases, growth.Case{Name: c.name, N: c.n, Sizes: []int{10, 100, 900}, Prepare: func(tb testing.TB, n int) func() error {
			text := c.text(n)
			return func() error {
				result, err := mock.Rewrite([]mock.Part{{Text: text}}, mock.Options{PlanOnly: c.name == "statement-set"})
				if err != nil {
					return err
				}
				var tree strings.Builder
				if err := result.Tree(&tree); err != nil {
					return err
				}
				if got := tree.Len(); got > 100*n+10*len(text) {
					return fmt.Errorf("the tree of a script of %d bytes has %d bytes", len(text), got)
				}
				return nil
			}
		}})
	}
	return cases
}
