package mock_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/mock"
)

// TestDeep: what is nested more deeply than anything real is an error with its place, not a stack that overflows.
func TestDeep(t *testing.T) {
	const tables = "CREATE TABLE s (a INT) WITH ('connector'='kafka');\nCREATE TABLE t (a INT) WITH ('connector'='jdbc');\n"
	n, links := 1_000_000, 100_000
	if testing.Short() { // still far beyond the limit
		n, links = 120_000, 10_000
	}
	repeat := strings.Repeat
	for name, c := range map[string]struct {
		script               string
		number, line, column int
		levels               int
	}{
		"parentheses":         {tables + "INSERT INTO t SELECT\n" + repeat("(", n) + "a" + repeat(")", n) + " FROM s;", 3, 4, 10_001, 10_000},
		"parentheses open":    {tables + "INSERT INTO t SELECT\n" + repeat("(", n), 3, 4, 10_001, 10_000},
		"subqueries":          {tables + "INSERT INTO t\n" + repeat("SELECT * FROM(", n/10) + "TABLE s" + repeat(")", n/10) + ";", 3, 4, 140_014, 10_000},
		"angle brackets":      {"SELECT 1;\nCREATE TABLE s (a\n" + repeat("ARRAY<", n/4) + "INT" + repeat(">", n/4) + ") WITH ('connector'='kafka');", 2, 3, 60_000, 10_000},
		"between parentheses": {"SELECT CAST(a AS\n" + repeat("ARRAY<ROW<a DECIMAL(>),b ", n/10), 1, 2, 0, 10_000},
		"types":               {"CREATE TABLE s (a\n" + repeat("ARRAY<", 1000) + "INT" + repeat(">", 1000) + ") WITH ('connector'='kafka');", 1, 2, 1, 1000},
		"types of rows":       {"CREATE TABLE s (a\n" + repeat("ROW(a ", 1000) + "INT" + repeat(")", 1000) + ") WITH ('connector'='kafka');", 1, 2, 1, 1000},
		"types after":         {"CREATE TABLE s (a\nINT " + repeat("ARRAY ", n/4) + ") WITH ('connector'='kafka');", 1, 2, 1, 1000},
		"types of ALTER":      {"CREATE TABLE s (a INT) WITH ('connector'='kafka');\nALTER TABLE s ADD b\nINT" + repeat(" ARRAY", 1000) + ";", 2, 3, 1, 1000},
	} {
		for _, plan := range []bool{false, true} {
			_, err := mock.Rewrite([]mock.Part{{Text: c.script}}, mock.Options{PlanOnly: plan})
			var e *mock.Error
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if c.column == 0 {
				c.column = e.Column
			}
			if e.Message != fmt.Sprintf("nested more than %d levels deep", c.levels) || e.Number != c.number || e.Line != c.line || e.Column != c.column || e.Hint == "" {
				t.Errorf("%s: statement %d, line %d, column %d: %s (%s)", name, e.Number, e.Line, e.Column, e.Message, e.Hint)
			}
		}
	}
	for name, script := range map[string]string{
		"parentheses": tables + "INSERT INTO t SELECT " + repeat("(", 9000) + "a" + repeat(")", 9000) + " FROM s;",
		"subqueries":  tables + "INSERT INTO t " + repeat("SELECT * FROM (", 9000) + "TABLE s" + repeat(")", 9000) + ";",
		"CASE":        tables + "INSERT INTO t SELECT " + repeat("CASE WHEN a=1 THEN ", n/4) + "a" + repeat(" END", n/4) + " FROM s;",
		"types":       "CREATE TABLE s (a " + repeat("ARRAY<", 999) + "INT" + repeat(">", 999) + ") WITH ('connector'='kafka'); SELECT * FROM s;",
		"comparisons": tables + "INSERT INTO t SELECT a FROM s WHERE " + repeat("a < 1 AND ", 20_000) + "a < 1;",
		"views":       tables + "CREATE VIEW v0 AS TABLE s;" + chain(links) + fmt.Sprintf("INSERT INTO t TABLE v%d;", links),
	} {
		if _, err := mock.Rewrite([]mock.Part{{Text: script}}, mock.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "CREATE VIEW v%d AS TABLE v%d;\n", i+1, i)
	}
	return b.String()
}

// TestTreeOfMany: a chain of views is not shown to the right without an end, and a view of many sinks not for each of them.
func TestTreeOfMany(t *testing.T) {
	const tables = "CREATE TABLE s (a INT) WITH ('connector'='kafka');\nCREATE TABLE t (a INT) WITH ('connector'='jdbc');\nCREATE VIEW v0 AS TABLE s;\n"
	tree := func(script string) string {
		result, err := mock.Rewrite([]mock.Part{{Text: script}}, mock.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := result.Tree(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	long := tree(tables + chain(50) + "INSERT INTO t TABLE v50;")
	for _, want := range []string{"└─ v31  ", "view    see below\nv31  ", "\n└─ v30  ", "kafka → datagen"} {
		if !strings.Contains(long, want) {
			t.Errorf("%q is not in\n%s", want, long)
		}
	}
	if strings.Count(long, "\n") != 1+51+1+2 { // the sink, views, the table, and two views that begin again
		t.Errorf("%d lines:\n%s", strings.Count(long, "\n"), long)
	}
	many := tree(tables + chain(10) + strings.Repeat("INSERT INTO t TABLE v10;\n", 1000))
	if full := strings.Count(many, "└─ s "); full < 100 || full > 200 {
		t.Errorf("%d sinks of 1000 show the view in full", full)
	}
	circle := tree(tables + "ALTER VIEW v0 AS SELECT * FROM v0;\nINSERT INTO t TABLE v0;")
	if strings.Count(circle, "v0") != 2 {
		t.Errorf("a view of itself:\n%s", circle)
	}
}
