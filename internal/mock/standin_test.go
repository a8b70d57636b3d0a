package mock

import (
	"strings"
	"testing"
)

// TestMissingCatalog: a catalog whose factory is missing stopped everything, and each later statement was an error of its own.
func TestMissingCatalog(t *testing.T) {
	const create = "CREATE CATALOG lake WITH ('type' = 'paimon');\n"
	for _, tt := range []struct {
		name, script string
		hive         bool     // its jar is missing too
		runs         []string // what is left of the script
		not          []string // what is not
		warned       string
	}{
		{name: "a table of the catalog alone", script: "INSERT INTO lake.d.a SELECT b FROM lake.d.b;", not: []string{"INSERT"}, warned: "statement 2, line 2 is left out and not checked: d.b is a table of catalog lake"},
		{name: "inside of BEGIN STATEMENT SET", script: "CREATE TABLE lake.d.b (x INT);BEGIN STATEMENT SET;\nINSERT INTO lake.d.a SELECT 1;\nINSERT INTO lake.d.b SELECT 2;\nEND;",
			runs: []string{"BEGIN STATEMENT SET;\n;\nINSERT INTO lake.d.b SELECT 2;\nEND;"}, warned: "statement 4, line 3 is left out"},
		{name: "a query into such a table is run", script: "INSERT INTO lake.d.a PARTITION (p = 'x') (c, d) WITH w AS (SELECT 1 AS n) SELECT n FROM w;",
			runs: []string{"\nWITH w AS (SELECT 1 AS n) SELECT n FROM w;"}, warned: "only its query is checked"},
		{name: "a query in parentheses too", script: "INSERT INTO lake.d.a (SELECT 1);", runs: []string{"\n(SELECT 1);"}},
		{name: "USE creates the database", script: "USE CATALOG lake; USE d; CREATE TABLE t (a INT); CREATE DATABASE d;",
			runs: []string{"CREATE DATABASE IF NOT EXISTS `lake`.`d`; USE d;", "CREATE DATABASE IF NOT EXISTS d;"}},
		{name: "its default database is there", script: "USE CATALOG lake; CREATE TABLE t (a INT); INSERT INTO t SELECT 1; DROP DATABASE `default`;",
			runs: []string{"'default-database' = 'default'", "'connector' = 'print'", "DROP DATABASE `default`"}, not: []string{"CREATE DATABASE"}},
		{name: "a procedure of another catalog stays refused", script: "USE CATALOG lake; CALL sys.compact('d.a'); CALL lake.sys.compact('d.a');", not: []string{"CALL"}, warned: "CALL runs a procedure of catalog lake"},
		{name: "a catalog that can be made", script: "CREATE CATALOG shop WITH ('type' = 'hive', 'x' = 'y');", runs: []string{"'type' = 'hive', 'x' = 'y'"}},
		{name: "time travel", script: "CREATE TABLE lake.d.t (a INT);\nSELECT * FROM lake.d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2023-01-01 00:00:00' WHERE a > 1;",
			runs: []string{"SELECT * FROM lake.d.t"}, not: []string{"SYSTEM_TIME", "2023"}, warned: "statement 3, line 3: FOR SYSTEM_TIME AS OF after t is left out: the table that is read has no earlier versions"},
		{name: "Hive's dialect", hive: true, script: "CREATE CATALOG h WITH ('type' = 'hive'); USE CATALOG h; USE d;\nSET table.sql-dialect=hive;\nCREATE TABLE t (a INT) STORED AS ORC; USE e;\nSET table.sql-dialect=default;\nINSERT INTO t SELECT 1; INSERT INTO d.t SELECT 1; CREATE TABLE k (a INT);",
			runs: []string{"USE e", "SELECT 1", "CREATE TABLE k"}, not: []string{"dialect=hive", "STORED", "INSERT"}, warned: "statement 6, line 4 is left out and not checked: it is in Hive's dialect, which no jar here reads"},
		{name: "RESET ends Hive's dialect", hive: true, script: "SET 'table.sql-dialect' = 'hive'; RESET; SELECT 1;", runs: []string{"SELECT 1"}, not: []string{"hive"}},
		{name: "RESET of its key too", hive: true, script: "SET 'table.sql-dialect' = 'hive'; RESET 'table.sql-dialect'; SELECT 1;", runs: []string{"SELECT 1"}},
		{name: "RESET of another does not", hive: true, script: "SET 'table.sql-dialect' = 'hive'; RESET 'a.b'; SELECT 1;", not: []string{"SELECT"}},
		{name: "DROP IF EXISTS of what is not here", script: "DROP TABLE IF EXISTS lake.d.a; DROP VIEW IF EXISTS lake.d.v; DROP DATABASE IF EXISTS lake.e CASCADE; CREATE TABLE lake.d.a (x INT); DROP TABLE lake.d.b;",
			runs: []string{"CREATE TABLE lake.d.a"}, not: []string{"DROP"}, warned: "statement 6, line 2 is left out and not checked: lake.d.b is not created here"},
		{name: "a materialized table", script: "USE CATALOG lake; CREATE MATERIALIZED TABLE m FRESHNESS = INTERVAL '1' MINUTE AS SELECT 1 AS a; SELECT * FROM m;", not: []string{"MATERIALIZED", "SELECT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			options := Options{AbsentCatalog: func(kind string) bool { return kind == "paimon" || tt.hive && kind == "hive" }}
			r := rewrite(t, create+tt.script, options)
			text := r.Parts[0].Text
			for _, want := range tt.runs {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(text, not) {
					t.Errorf("still has %q:\n%s", not, text)
				}
			}
			warnings := strings.Join(r.Warnings, "\n")
			if strings.Count(warnings, "no jar here makes a catalog") != strings.Count(text, "'generic_in_memory'") || strings.Contains(warnings, "lake.d.a is not") || !strings.Contains(warnings, tt.warned) {
				t.Errorf("warnings\n%s\nlack %q", warnings, tt.warned)
			}
		})
	}
}

// TestTimeTravel: a catalog in memory has no versions of its tables, and validate --engine took that for a fault of the script. Of the
// tables of other catalogs Flink itself tells.
func TestTimeTravel(t *testing.T) {
	const travel = " FOR SYSTEM_TIME AS OF TO_TIMESTAMP('2023-01-01 00:00:00')"
	script := "CREATE CATALOG lake WITH ('type' = 'paimon');\nCREATE TABLE lake.d.t (a INT);\nCREATE TABLE k (a INT, p AS PROCTIME()) WITH ('connector' = 'kafka');\n" +
		"SELECT * FROM lake.d.t" + travel + ";\nSELECT * FROM k" + travel + ";\nSELECT k.a FROM k JOIN lake.d.t FOR SYSTEM_TIME AS OF k.p AS t ON k.a = t.a;"
	r := rewrite(t, script, Options{AbsentCatalog: func(string) bool { return true }, PlanOnly: true, Changes: true})
	text := r.Parts[0].Text
	if strings.Count(text, travel) != 1 || !strings.Contains(text, "FROM k"+travel) || !strings.Contains(text, "FOR SYSTEM_TIME AS OF k.p") || len(r.Warnings) != 2 {
		t.Errorf("%s\n%q", text, r.Warnings)
	}
}
