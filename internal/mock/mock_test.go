package mock

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

func rewrite(t *testing.T, sql string, o Options) Result {
	t.Helper()
	r, err := Rewrite([]Part{{Text: sql}}, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return r
}

// TestGolden compares the result of every script, with its tree and warnings.
func TestGolden(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts(t) {
		if strings.HasPrefix(s.name, "lab: ") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := rewrite(t, s.text, s.options(t))
			var b strings.Builder
			b.WriteString(r.Script())
			b.WriteString("----\n")
			if err := r.Tree(&b); err != nil {
				t.Fatal(err)
			}
			for _, w := range r.Warnings {
				b.WriteString("warning: " + w + "\n")
			}
			if shown := show(t, s.text, s.options(t)); shown != b.String() {
				t.Errorf("it is shown as\n%s\nand is\n%s", shown, b.String())
			}
			got := strings.ReplaceAll(b.String(), dir, "/testdata")
			file := filepath.Join("testdata", "golden", s.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s (go test -update)\n%s", file, got)
			}
		})
	}
}

// show returns what TestGolden compares, of a script that is only shown. It is written twice, which must be the same.
func show(t *testing.T, sql string, o Options) string {
	t.Helper()
	s, err := Show([]Part{{Text: "SET 'a' = 'b'; "}, {Text: sql}}, o)
	if err != nil {
		t.Fatal(err)
	}
	var once, b strings.Builder
	if err := errors.Join(s.Write(&once, 1), s.Write(&b, 1)); err != nil {
		t.Fatal(err)
	}
	if once.String() != b.String() {
		t.Errorf("written twice it is\n%s\nthen\n%s", once.String(), b.String())
	}
	text := Result{Parts: []Part{{Text: b.String()}}}.Script()
	b.Reset()
	b.WriteString(text + "----\n")
	if err := s.Tree(&b); err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Warnings {
		b.WriteString("warning: " + w + "\n")
	}
	return b.String()
}

// TestShownInPieces: what is written at once ends between statements, so that what is looked for in it is not cut.
func TestShownInPieces(t *testing.T) {
	const statement = "INSERT INTO t SELECT 'a text; with a semicolon' FROM s; -- ;\n"
	s, err := Show([]Part{{Text: strings.Repeat(statement, 10_000)}}, Options{Keep: []string{"t", "s"}})
	if err != nil {
		t.Fatal(err)
	}
	var pieces []string
	if err := s.Write(writerFunc(func(text []byte) { pieces = append(pieces, string(text)) }), 0); err != nil {
		t.Fatal(err)
	}
	if len(pieces) < 5 || strings.Join(pieces, "") != strings.Repeat(statement, 10_000) {
		t.Errorf("%d pieces, which together are not the script", len(pieces))
	}
	for _, p := range pieces[:len(pieces)-1] {
		if !strings.HasSuffix(p, "FROM s") {
			t.Fatalf("a piece ends in %q", p[len(p)-20:])
		}
	}
}

type writerFunc func(text []byte)

func (f writerFunc) Write(text []byte) (int, error) { f(text); return len(text), nil }

// TestInvariants holds for every script: the lines stay, and rewriting again changes nothing.
func TestInvariants(t *testing.T) {
	for _, s := range scripts(t) {
		for _, release := range []flinkversion.Release{flinkversion.Since(1, 13), flinkversion.Since(1, 18), flinkversion.Since(1, 20), flinkversion.Since(2, 3)} {
			o := s.options(t)
			o.Flink = release.First()
			r, err := Rewrite([]Part{{Text: s.text}}, o)
			if e, ok := errors.AsType[*Error](err); ok && release == flinkversion.Since(1, 13) && strings.Contains(e.Message, "BINARY") {
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
			invariants(t, s.name, s.text, r, o)
		}
	}
}

func invariants(t *testing.T, name, text string, r Result, o Options) {
	t.Helper()
	if got, want := lineEnds(r.Parts[0].Text), lineEnds(text); got != want {
		t.Errorf("%s: %d line ends, had %d\n%s", name, got, want, r.Parts[0].Text)
	}
	if len(o.Data) > 0 {
		return
	}
	o.Definition = nil
	again, err := Rewrite(r.Parts, o)
	if err != nil {
		t.Errorf("%s again: %v\n%s", name, err, r.Parts[0].Text)
		return
	}
	if again.Parts[0].Text != r.Parts[0].Text {
		t.Errorf("%s: not stable\n%s\nthen\n%s", name, r.Parts[0].Text, again.Parts[0].Text)
	}
}

// TestTreeOfManyViews: views that read the view before them twice do not double the tree from view to view.
func TestTreeOfManyViews(t *testing.T) {
	var sql strings.Builder
	sql.WriteString("CREATE TABLE s (a INT) WITH ('connector'='kafka'); CREATE VIEW v0 AS SELECT a FROM s;\n")
	for i := 1; i <= 60; i++ {
		fmt.Fprintf(&sql, "CREATE VIEW v%d AS SELECT x.a FROM v%d AS x JOIN (SELECT y.a FROM w%d AS y) AS z ON x.a = z.a;\nCREATE VIEW w%d AS SELECT a FROM v%d;\n", i, i-1, i-1, i, i-1)
	}
	sql.WriteString("SELECT * FROM v60")
	r := rewrite(t, strings.Replace(sql.String(), "FROM w0 ", "FROM v0 ", 1), Options{})
	var tree strings.Builder
	if err := r.Tree(&tree); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(tree.String(), "\n"); n > 250 || !strings.Contains(tree.String(), "as above") {
		t.Errorf("a tree of %d lines", n)
	}
}

// TestUndefined: what is in catalogs of others, and nothing else, is asked for, each once.
func TestUndefined(t *testing.T) {
	const sql = "CREATE CATALOG h WITH ('type'='hive'); CREATE CATALOG m WITH ('type'='generic_in_memory'); CREATE CATALOG j WITH ('type'='jdbc', 'default-database'='db');\n" +
		"CREATE TABLE h.d.made (a INT) WITH ('connector'='kafka'); INSERT INTO h.d.made SELECT a FROM h.d.t JOIN m.d.x ON TRUE JOIN nowhere ON TRUE; USE CATALOG h; INSERT INTO u SELECT * FROM d.t; " +
		"USE CATALOG j; INSERT INTO w TABLE h.d.kept; CREATE TABLE l LIKE base"
	var asked []string
	r := rewrite(t, sql, Options{Keep: []string{"kept"}, Definition: func(catalog, database, table string) (string, bool) {
		if asked = append(asked, catalog+"."+database+"."+table); table == "" {
			return "main", true
		}
		return "", table == "u"
	}})
	want := [][3]string{{"h", "d", "t"}, {"j", "db", "w"}, {"j", "db", "base"}}
	if !slices.Equal(r.Undefined, want) {
		t.Errorf("found %v, want %v", r.Undefined, want)
	}
	if want := "[h.d.t m.d.x default_catalog.default_database.nowhere h.. h.main.u j.db.w j.db.base]"; fmt.Sprint(asked) != want {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	if text := r.Parts[0].Text; strings.Contains(text, "EXISTS `u`") || !strings.Contains(text, "EXISTS `w`") {
		t.Errorf("u is not there, w is not known:\n%s", text)
	}
	if r = rewrite(t, "CREATE CATALOG h WITH ('type'='hive'); USE CATALOG h; TABLE t", Options{}); !slices.Equal(r.Undefined, [][3]string{{"h"}, {"h", "default", "t"}}) {
		t.Errorf("found %v, want the default database and t", r.Undefined)
	}
}

// TestPlanOnly: nothing of a script that is only planned reaches a catalog of others.
func TestPlanOnly(t *testing.T) {
	const sql = "CREATE CATALOG h WITH ('type'='hive');\nCREATE DATABASE IF NOT EXISTS h.d;\nCREATE TABLE h.d.t (a INT) WITH ('connector'='there');\nCREATE TABLE mine (a INT) WITH ('connector'='there');\n" +
		"UPDATE h.d.t SET a = 1;\nCALL h.sys.p();\nALTER TABLE h.d.t ADD (b INT);\nDROP TABLE h.d.t;\nDROP TABLE h.d.other;\nDROP DATABASE h.d CASCADE;\nCREATE FUNCTION h.d.f AS 'x.F';\nCREATE VIEW h.d.v AS SELECT 1"
	r := rewrite(t, sql, Options{PlanOnly: true, Keep: []string{"h.d.t", "mine"}})
	want := "CREATE CATALOG h WITH ('type'='hive');\n;\nCREATE TEMPORARY TABLE h.d.t (a INT) WITH ('connector'='there');\nCREATE TABLE mine (a INT) WITH ('connector'='there');\n" +
		";\n;\n;\nDROP TEMPORARY TABLE h.d.t;\n;\n;\nCREATE TEMPORARY FUNCTION h.d.f AS 'x.F';\nCREATE TEMPORARY VIEW h.d.v AS SELECT 1"
	if got := strings.ReplaceAll(r.Parts[0].Text, " ;", ";"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(r.Warnings) != 6 || !strings.Contains(r.Warnings[1], "statement 5, line 5 is not checked: UPDATE has no mock") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	for _, typ := range []string{"INTT", "INTERVAL DAY", "STRUCTURED<'x.Y', a INT>"} {
		r := rewrite(t, "CREATE TABLE v (x "+typ+") WITH ('connector'='kafka'); TABLE v", Options{PlanOnly: true})
		if !strings.Contains(r.Parts[0].Text, "(x "+typ+")") {
			t.Errorf("%s is for Flink to judge: %s", typ, r.Parts[0].Text)
		}
	}
}

// TestOverwrite: print only takes inserts, a table that is kept is overwritten.
func TestOverwrite(t *testing.T) {
	const tables = "CREATE TABLE o (id INT) WITH ('connector'='filesystem'); CREATE TABLE p (id INT) WITH ('connector'='kafka');\n"
	for _, c := range []struct{ sql, want string }{
		{"INSERT OVERWRITE o VALUES (1)", "INSERT OVERWRITE o VALUES (1)"},
		{"INSERT OVERWRITE p VALUES (1)", "INSERT INTO p VALUES (1)"},
		{"EXECUTE STATEMENT SET BEGIN INSERT OVERWRITE o VALUES (1); INSERT OVERWRITE p VALUES (2); END",
			"EXECUTE STATEMENT SET BEGIN INSERT OVERWRITE o VALUES (1); INSERT INTO p VALUES (2); END"},
		{"EXPLAIN INSERT OVERWRITE o VALUES (1)", "EXPLAIN INSERT OVERWRITE o VALUES (1)"},
	} {
		for _, plan := range []bool{false, true} {
			r := rewrite(t, tables+c.sql, Options{Keep: []string{"o"}, PlanOnly: plan, Batch: true})
			if _, got, _ := strings.Cut(r.Parts[0].Text, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		}
	}
}

// TestFunctions: functions of a real catalog become temporary, functions of a catalog in memory stay as they are.
func TestFunctions(t *testing.T) {
	const use = "CREATE CATALOG h WITH ('type'='hive', 'default-database'='d'); USE CATALOG h;\n"
	const mine = "CREATE FUNCTION up AS 'Up';\nALTER FUNCTION up AS 'Up2';\nDROP FUNCTION IF EXISTS up;\nCREATE FUNCTION default_database.up AS 'Up'"
	for _, c := range []struct{ sql, want string }{
		{mine, mine},
		{use + "CREATE FUNCTION up AS 'Up';\nALTER FUNCTION\nIF EXISTS h.d.UP AS 'Up2' LANGUAGE JAVA;\nDROP FUNCTION IF EXISTS d.up;\nDROP FUNCTION IF EXISTS up;\nALTER FUNCTION up AS 'x'",
			use + "CREATE TEMPORARY FUNCTION up AS 'Up';\nDROP TEMPORARY FUNCTION `h`.`d`.`UP`; CREATE TEMPORARY FUNCTION \nh.d.UP AS 'Up2' LANGUAGE JAVA;\nDROP TEMPORARY FUNCTION IF EXISTS d.up;\n;\n"},
		{use + "CREATE FUNCTION default_catalog.default_database.f AS 'F'; DROP FUNCTION default_catalog.default_database.f",
			use + "CREATE FUNCTION default_catalog.default_database.f AS 'F'; DROP FUNCTION default_catalog.default_database.f"},
		{use + "CREATE TEMPORARY FUNCTION f AS 'F'; DROP TEMPORARY FUNCTION f", use + "CREATE TEMPORARY FUNCTION f AS 'F'; DROP TEMPORARY FUNCTION f"},
	} {
		if got := rewrite(t, c.sql, Options{}).Parts[0].Text; got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// TestAlterOptions: the options of a table that is kept are its connector's.
func TestAlterOptions(t *testing.T) {
	const sql = "CREATE TABLE t (a INT) WITH ('connector'='there'); ALTER TABLE t SET ('a'='b'); TABLE t"
	if got := rewrite(t, sql, Options{PlanOnly: true, Keep: []string{"t"}}).Parts[0].Text; got != sql {
		t.Errorf("got\n%s", got)
	}
}

func TestRefused(t *testing.T) {
	const s = "CREATE TABLE s (id INT) WITH ('connector'='kafka');\n"
	for _, c := range []struct{ sql, want string }{
		{s + "UPDATE s SET id = 1", "statement 2, line 2: UPDATE has no mock: print only takes inserted rows"},
		{s + "\n\nDELETE FROM s WHERE id = 1;", "statement 2, line 4: DELETE has no mock: print only takes inserted rows"},
		{"CALL c.sys.expire('t')", "statement 1, line 1: CALL runs a procedure of a catalog, which has no mock"},
		{"TRUNCATE TABLE t", "statement 1, line 1: TRUNCATE has no mock: print only takes inserted rows"},
		{"EXECUTE PLAN '/p.json'", "statement 1, line 1: EXECUTE works on a compiled plan, whose tables cannot be replaced"},
		{"CREATE TABLE v (x VARIANT) WITH ('connector'='kafka'); SELECT * FROM v",
			"statement 1, line 1: table v, column x: Flink's datagen cannot make values of type VARIANT"},
		{"CREATE TABLE v (a ARRAY<ROW<x MAP<STRING, RAW('a.B', 'xx')>>>) WITH ('connector'='kafka'); TABLE v",
			"statement 1, line 1: table v, column a: Flink's datagen cannot make values of type RAW"},
		{"CREATE TABLE v (a INT, b ARRAY<INTT>) WITH ('connector'='kafka'); TABLE v", "statement 1, line 1: table v, column b: Flink has no column type INTT"},
		{"SELECT 'a", "line 1, column 8: the string that starts here has no end"},
		{"EXPLAIN DELETE FROM s", "statement 1, line 1: EXPLAIN DELETE has no mock: print only takes inserted rows"},
	} {
		_, err := Rewrite([]Part{{Text: c.sql}}, Options{})
		if e, ok := errors.AsType[*Error](err); !ok || e.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.sql, err, c.want)
		}
	}
	if _, err := Rewrite([]Part{{Text: "CREATE TABLE v (x VARIANT) WITH ('connector'='kafka'); INSERT INTO v SELECT 1"}}, Options{}); err != nil {
		t.Errorf("a sink may have any type: %v", err)
	}
	_, err := Rewrite([]Part{{Name: "init.sql", Text: "CALL a.b()"}, {Text: "UPDATE t SET a = 1"}}, Options{})
	if want := "init.sql: statement 1, line 1: CALL runs a procedure of a catalog, which has no mock\nstatement 1, line 1: UPDATE has no mock: print only takes inserted rows"; err == nil || err.Error() != want {
		t.Errorf("both at once: %v", err)
	}
}

func TestNamedTables(t *testing.T) {
	const sql = "CREATE TABLE a (id INT) WITH ('connector'='kafka'); CREATE TABLE b (id INT) WITH ('connector'='kafka'); INSERT INTO b SELECT * FROM a"
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Keep: []string{"c"}}, "the script has no table c"},
		{Options{Data: map[string]string{"b": "/x.csv"}}, "table b is only written, it cannot read a file"},
		{Options{Data: map[string]string{"a": "/x.parquet"}}, `rows of table a: "/x.parquet" ends in none of .csv, .json, .jsonl, .ndjson`},
		{Options{Data: map[string]string{"a": "x.csv"}}, `rows of table a: "x.csv" is not an absolute path`},
		{Options{Data: map[string]string{"a": "/d/_x.csv"}}, `rows of table a: Flink's filesystem source skips files whose name starts with _ or a dot, such as "_x.csv": rename or link it`},
		{Options{Data: map[string]string{"a": "s3://b/.x.json"}}, `rows of table a: Flink's filesystem source skips files whose name starts with _ or a dot, such as ".x.json": rename or link it`},
		{Options{Data: map[string]string{"a": "/x.csv", "default_database.a": "/y.csv"}}, `table default_database.a has two files, "/x.csv" and "/y.csv"`},
		{Options{Data: map[string]string{"a": "/x.csv"}, Keep: []string{"a"}}, "table a cannot be both kept (--keep) and read from a file (--data)"},
	} {
		if _, err := Rewrite([]Part{{Text: sql}}, c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
}

func TestRoles(t *testing.T) {
	r := rewrite(t, `
CREATE TABLE a (id INT, pt AS PROCTIME()) WITH ('connector'='kafka');
CREATE TABLE b (id INT) WITH ('connector'='upsert-kafka');
CREATE TABLE l (id INT) WITH ('connector'='jdbc');
CREATE TABLE x (id INT) WITH ('connector'='jdbc');
CREATE TABLE u (id INT) WITH ('connector'='hudi');
CREATE TABLE k (id INT) WITH ('connector'='datagen');
CREATE VIEW v AS SELECT a.id FROM a JOIN l FOR SYSTEM_TIME AS OF a.pt ON a.id = l.id;
INSERT INTO b SELECT id FROM v;
INSERT INTO x SELECT id FROM x UNION ALL SELECT id FROM k;
USE CATALOG hive;
INSERT INTO db.t SELECT id FROM default_catalog.default_database.b, t;
`, Options{Keep: []string{"k"}})
	want := map[string]Role{"default_catalog.default_database.a": Source, "default_catalog.default_database.b": Both,
		"default_catalog.default_database.l": Lookup, "default_catalog.default_database.x": Both, "default_catalog.default_database.u": Unused,
		"default_catalog.default_database.k": Kept, "default_catalog.default_database.v": View, "hive.db.t": Sink, "hive.default.t": Source}
	for _, table := range r.Tables {
		if want[table.Name] != table.Role {
			t.Errorf("%s is %s, want %s", table.Name, table.Role, want[table.Name])
		}
		delete(want, table.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing %v", want)
	}
	for _, table := range r.Tables {
		if table.Name == "hive.db.t" && table.Identifier != "db.t" {
			t.Errorf("identifier %q", table.Identifier)
		}
	}
}

// TestPlace maps places of the rewritten script back.
func TestPlace(t *testing.T) {
	const sql = "CREATE TABLE s (id INT, o BIGINT METADATA, v STRING)\nWITH ('connector'='kafka',\n'a'='b');\n" +
		"INSERT OVERWRITE h.d.t SELECT wrong, '😀', v2 FROM s; SELECT bad FROM s;\n"
	r := rewrite(t, sql, Options{})
	for _, word := range []string{"v STRING", "wrong", "v2", "bad", "SELECT bad"} {
		line, column := position(r.Parts[0].Text, word)
		wantLine, wantColumn := position(sql, word)
		if gotLine, gotColumn := r.Place(0, line, column); gotLine != wantLine || gotColumn != wantColumn {
			t.Errorf("%s: %d:%d, want %d:%d in\n%s", word, gotLine, gotColumn, wantLine, wantColumn, r.Parts[0].Text)
		}
	}
	line, column := position(r.Parts[0].Text, "CREATE TEMPORARY")
	if l, c := r.Place(0, line, column); l != 4 || c != 1 {
		t.Errorf("inserted text: %d:%d", l, c)
	}
}

func position(text, word string) (line, column int) {
	return place(text, strings.Index(text, word), 1<<30)
}

func TestPartsKeepTheirNames(t *testing.T) {
	r, err := Rewrite([]Part{
		{Name: "init.sql", Text: "CREATE CATALOG c WITH ('type'='hive');\nUSE CATALOG c;"},
		{Text: "SELECT * FROM t"},
	}, Options{Rows: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.Parts[0].Name != "init.sql" || r.Parts[0].Text != "CREATE CATALOG c WITH ('type'='hive');\nUSE CATALOG c;" {
		t.Errorf("init: %q", r.Parts[0].Text)
	}
	want := "CREATE TEMPORARY TABLE IF NOT EXISTS `t` WITH ('connector' = 'datagen', 'number-of-rows' = '3', 'rows-per-second' = '10000') LIKE `t` (EXCLUDING OPTIONS); SELECT * FROM t"
	if r.Parts[1].Text != want {
		t.Errorf("script:\n%s\nwant\n%s", r.Parts[1].Text, want)
	}
	if want := r.Parts[0].Text + "\n" + want + "\n;\n"; r.Script() != want {
		t.Errorf("together:\n%s", r.Script())
	}
}

func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"CREATE TABLE t (a ROW<b INT, c ARRAY<STRING>>) WITH ('x'='y'); INSERT INTO t SELECT * FROM t",
		"SELECT * FROM a JOIN b FOR SYSTEM_TIME AS OF a.p AS c ON 1=1", "WITH x AS (SELECT 1) SELECT * FROM x, (y JOIN z)",
		"EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT /*+ OPTIONS('a'='b'), X */ 1; END", "CREATE TABLE a LIKE b (", "USE CATALOG x; DROP TABLE t"} {
		f.Add(s)
	}
	files, _ := filepath.Glob("testdata/scripts/*.sql")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, sql string) {
		r, err := Rewrite([]Part{{Text: sql}}, Options{})
		if err != nil {
			return
		}
		if err := r.Tree(&strings.Builder{}); err != nil {
			t.Fatal(err)
		}
		if lineEnds(r.Parts[0].Text) != lineEnds(sql) {
			t.Fatalf("lines: %q\n%q", sql, r.Parts[0].Text)
		}
		if _, err := sqltext.Split(r.Parts[0].Text, sqltext.DialectOf(flinkversion.Of(2, 3, 0))); err != nil {
			t.Fatalf("%v\n%q\n%q", err, sql, r.Parts[0].Text)
		}
		if again, err := Rewrite(r.Parts, Options{}); err == nil {
			third, err := Rewrite(again.Parts, Options{})
			if err != nil || third.Parts[0].Text != again.Parts[0].Text {
				t.Fatalf("not stable: %v\n%q\n%q\n%q", err, sql, again.Parts[0].Text, third.Script())
			}
		}
	})
}
