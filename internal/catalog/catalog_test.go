package catalog

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqltext"
)

var update = flag.Bool("update-golden", false, "rewrite testdata/init.sql and init.shown")

// sensitive stands for Flink's rule.
func sensitive(key string) bool {
	for _, s := range []string{"password", "secret", "token", "jaas.config"} {
		if strings.Contains(strings.ToLower(key), s) {
			return true
		}
	}
	return false
}

func kv(pairs ...string) (out []KV) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, KV{pairs[i], secret.Public(pairs[i+1])})
	}
	return out
}

func everything() Spec {
	return Spec{
		Reset: []string{"parallelism.default"},
		Set: append(kv("table.sql-dialect", "default", "pipeline.name", "it's; -- a job", "table.exec.state.ttl", "1 h", "s3.secret-key", "CANARY-1",
			"note", "two\nlines"), KV{"execution.x", secret.Hidden("CANARY-2")}),
		Jars:    []string{"/opt/my jars/hive's.jar"},
		Modules: []Module{{Name: "hive", Options: kv("hive-version", "3.1.3")}, {Name: "core"}},
		Catalogs: []Catalog{
			{Name: "ods", Options: kv("type", "hive", "hive-conf-dir", "/etc/hive")},
			{Name: "my`db", Comment: "the DB", IfNotExists: true, Options: append(kv("type", "jdbc", "password", "CANARY-3", "base-url", "jdbc:mysql://u:CANARY-4@h:1/", "x", "jdbc:h?user=a&password=CANARY-5"),
				KV{"username", secret.Hidden("CANARY-6")})},
			{CreateStatement: secret.Public("/* CANARY-7 */ create catalog dim -- CANARY-8\n with ('type'='generic_in_memory', 'a.password' = 'CANARY-9') ;")},
			{CreateStatement: secret.Hidden("CREATE CATALOG CANARY10 WITH ('type'='CANARY-11')")},
		},
		UseCatalog:  "ods",
		UseDatabase: "default",
		Functions: []Function{
			{Name: "parse_ua", Class: "com.example.ParseUa", Temporary: true, System: true, Jars: []string{"/run/udf-1.2.jar", "/run/b.jar"}},
			{Name: "`my.cat`.db.f", Class: "com.example.F", Temporary: true},
			{Name: "g", Class: "m.g", Language: "python"},
		},
	}
}

func TestInitGolden(t *testing.T) {
	statements, err := Init(everything(), Target{flinkversion.Of(2, 2, 0), sensitive})
	if err != nil {
		t.Fatal(err)
	}
	sql := Write(statements)
	var shown strings.Builder
	for _, s := range statements {
		fmt.Fprintf(&shown, "%s\n    %s\n", s.Shown, s.Why)
		if s.SQL.IsHidden() != strings.Contains(s.SQL.Reveal(), "CANARY") {
			t.Errorf("hidden %v: %s", s.SQL.IsHidden(), s.SQL.Reveal())
		}
	}
	for file, got := range map[string]string{"testdata/init.sql": string(sql), "testdata/init.shown": shown.String()} {
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s\n%s", file, d)
		}
	}
	if all := fmt.Sprintf("%v %+v %#v %s", statements, statements, statements, shown.String()); strings.Contains(all, "CANARY") {
		t.Errorf("a secret is shown:\n%s", all)
	}
	// What is written is read back as the same statements.
	split, err := sqltext.Split(string(sql), sqltext.DialectOf(flinkversion.Of(2, 2, 0)))
	if err != nil || len(split) != len(statements) {
		t.Fatalf("%d statements are read back as %d, %v", len(statements), len(split), err)
	}
	for i, s := range split {
		if s.Text != statements[i].SQL.Reveal() {
			t.Errorf("statement %d is read back as\n%s", i+1, s.Text)
		}
	}
	for n, line := range strings.Split(string(sql), "\n") {
		if strings.Contains(line, "'") && strings.Count(line, "'")%2 != 0 {
			t.Errorf("line %d: a quote is open at its end: %s", n+1, line)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	statements, err := Init(Spec{}, Target{flinkversion.Of(2, 2, 0), nil})
	if err != nil || len(statements) != 0 || len(Write(statements)) != 0 {
		t.Errorf("Init of nothing: %v, %v", statements, err)
	}
}

func TestInitStatements(t *testing.T) {
	tests := []struct {
		name string
		spec Spec
		want []string
	}{
		{"module order", Spec{Modules: []Module{{Name: "hive"}}}, []string{"LOAD MODULE `hive`"}},
		{"core placed by the list", Spec{Modules: []Module{{Name: "hive"}, {Name: "core"}}}, []string{"LOAD MODULE `hive`", "USE MODULES `hive`, `core`"}},
		{"core placed by use", Spec{Modules: []Module{{Name: "hive"}}, UseModules: []string{"hive"}}, []string{"LOAD MODULE `hive`", "USE MODULES `hive`"}},
		{"empty value", Spec{Set: kv("a", "")}, []string{"SET 'a' = ''"}},
		{"control characters", Spec{Set: kv("a", "b\tc")}, []string{`SET 'a' = U&'b\0009c'`}},
		{"stored statement", Spec{Catalogs: []Catalog{{CreateStatement: secret.Public("CREATE CATALOG `a``b` WITH ('ty' 'pe' = U&'x\\0041', 'k'='1', 'k'='2')")}}},
			[]string{"CREATE CATALOG `a``b` WITH (\n  'type' = 'xA',\n  'k' = '2'\n)"}},
		{"catalog named if", Spec{Catalogs: []Catalog{{CreateStatement: secret.Public("CREATE CATALOG if WITH ('type'='x')")}}}, []string{"CREATE CATALOG `if` WITH (\n  'type' = 'x'\n)"}},
		{"use before functions", Spec{UseCatalog: "c", UseDatabase: "d", Functions: []Function{{Name: "f", Class: "a.B"}}},
			[]string{"USE CATALOG `c`", "USE `d`", "CREATE FUNCTION IF NOT EXISTS `f` AS 'a.B'"}},
		{"dialect last", Spec{Set: kv("table.sql-dialect", "hive", "a", "b"), UseCatalog: "c"}, []string{"SET 'a' = 'b'", "USE CATALOG `c`", "SET 'table.sql-dialect' = 'hive'"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			statements, err := Init(tt.spec, Target{flinkversion.Of(1, 20, 0), sensitive})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range statements {
				got = append(got, s.SQL.Reveal())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestInitErrors(t *testing.T) {
	stored := func(s string) Spec { return Spec{Catalogs: []Catalog{{CreateStatement: secret.Public(s)}}} }
	tests := []struct {
		name  string
		spec  Spec
		flink string
		want  string // one line per error
	}{
		{"ADD JAR", Spec{Jars: []string{"/a.jar"}}, "1.15", `jar "/a.jar": ADD JAR needs Flink 1.16, this is 1.15`},
		{"USING JAR", Spec{Functions: []Function{{Name: "f", Class: "a", Jars: []string{"/a.jar"}}}}, "1.15", `function "f": CREATE FUNCTION … USING JAR needs Flink 1.16, this is 1.15`},
		{"IF NOT EXISTS and COMMENT", Spec{Catalogs: []Catalog{{Name: "c", IfNotExists: true, Comment: "x", Options: kv("type", "x")}}}, "1.19",
			"catalog \"c\": CREATE CATALOG IF NOT EXISTS needs Flink 1.20, this is 1.19\ncatalog \"c\": CREATE CATALOG … COMMENT needs Flink 1.20, this is 1.19"},
		{"the same, stored", stored("CREATE CATALOG IF NOT EXISTS c WITH ('type'='x')"), "1.19", `catalog 1, its stored statement, "c": CREATE CATALOG IF NOT EXISTS needs Flink 1.20, this is 1.19`},
		{"two statements", stored("CREATE CATALOG c WITH ('type'='x'); USE CATALOG c"), "2.2", "catalog 1, its stored statement: found 2 statements, expected one CREATE CATALOG"},
		{"other statement", stored("DROP CATALOG c"), "2.2", "catalog 1, its stored statement: found DROP, expected one CREATE CATALOG"},
		{"no statement", stored("-- CREATE CATALOG c"), "2.2", "catalog 1, its stored statement: found 0 statements, expected one CREATE CATALOG"},
		{"lexer", stored("CREATE CATALOG c WITH ('type'='x)"), "2.2", "catalog 1, its stored statement: line 1, column 31: the string that starts here has no end"},
		{"not WITH", stored("CREATE CATALOG c WITH ('type'='x') AS SELECT 1"), "2.2", "catalog 1, its stored statement: line 1, column 36: expected the end"},
		{"qualified", stored("CREATE CATALOG a.b WITH ('type'='x')"), "2.2", "catalog 1, its stored statement: line 1, column 17: expected the end"},
		{"option without quotes", stored("CREATE CATALOG c WITH ('a'='b', type='x')"), "2.2", "catalog 1, its stored statement: line 1, column 33: expected a string"},
		{"open", stored("CREATE CATALOG c WITH ('a'='b'"), "2.2", "catalog 1, its stored statement: at its end: expected ,"},
		{"hidden, the name is not known", Spec{Catalogs: []Catalog{{Name: "a", Options: kv("type", "x")}, {CreateStatement: secret.Hidden("CREATE CATALOG a WITH ('type'='x')")}}}, "2.2",
			"catalog 2, its stored statement: it has the same name as catalog 1"},
		{"both", Spec{Catalogs: []Catalog{{Name: "a", CreateStatement: secret.Public("x")}}}, "2.2", "catalog 1, its stored statement: a catalog has either a statement or a name and options"},
		{"no type", Spec{Catalogs: []Catalog{{Name: "a"}}}, "2.2", `catalog "a": the option type is missing`},
		{"default_catalog", Spec{Catalogs: []Catalog{{Name: "default_catalog", Options: kv("type", "x")}}}, "2.2", `catalog "default_catalog": Flink has a catalog of this name from the start`},
		{"option twice", Spec{Catalogs: []Catalog{{Name: "a", Options: kv("type", "x", "type", "y")}}}, "2.2", `catalog "a": option "type" is given twice`},
		{"names", Spec{UseCatalog: strings.Repeat("x", 257), Modules: []Module{{Name: ""}}}, "2.2",
			"module \"\": the name is empty\nuse of catalog \"" + strings.Repeat("x", 80) + "…\": the name has more than 256 characters, Flink's limit"},
		{"SET drops blanks", Spec{Set: append(kv(" a", "b", "", "b"), KV{"c", secret.Hidden("s3cr3t\n")})}, "2.2",
			"SET \" a\": the key starts or ends with blanks, or is not UTF-8\nSET \"\": the key is empty\nSET \"c\": the value starts or ends with blanks or control characters, which SET drops"},
		{"control characters in plain literals", Spec{Jars: []string{"/a\tb", ""}, Functions: []Function{{Name: "f", Class: "a\nb", Jars: []string{"\x00"}}}}, "2.2",
			"jar \"/a\\tb\": the path holds control characters or is not UTF-8\njar \"\": the path is empty\nfunction \"f\": the class holds control characters or is not UTF-8\n" +
				"function \"f\": the path of a jar holds control characters or is not UTF-8"},
		{"modules", Spec{Modules: []Module{{Name: "core", Options: kv("a", "b")}, {Name: "h"}, {Name: "h"}}, UseModules: []string{"h", "x", "h"}}, "2.2",
			"module \"core\": Flink loads it itself, without options\nmodule \"h\": it is listed twice\nuse of module \"x\": it is not loaded\nuse of module \"h\": it is listed twice"},
		{"functions", Spec{Functions: []Function{{Name: "a.b.c.d", Class: "x"}, {Name: "a.`b", Class: "x"}, {Name: "f", Class: "x", System: true}, {Name: "a.f", Class: "x", System: true, Temporary: true},
			{Name: "f", Class: "x", Language: "RUBY"}, {Name: "f", Class: "", Language: "python", Jars: []string{"/a.jar"}}}}, "2.2",
			"function \"a.b.c.d\": the name is not one to three parts\nfunction \"a.`b\": the name is not one to three parts\nfunction \"f\": Flink creates system functions as temporary ones only\n" +
				"function \"a.f\": a system function has a simple name, without catalog and database\nfunction \"f\": unknown language \"RUBY\", expected JAVA, SCALA or PYTHON\n" +
				"function \"f\": the class is empty\nfunction \"f\": a Python function cannot have jars"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := flinkversion.Parse(tt.flink)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Init(tt.spec, Target{v, sensitive})
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
		})
	}
	var v *VersionError
	_, err := Init(tests[0].spec, Target{flinkversion.Of(1, 15, 0), nil})
	if !errors.As(err, &v) || v.Since != flinkversion.Since(1, 16) {
		t.Errorf("%#v is not a VersionError", err)
	}
}

func TestParseCatalog(t *testing.T) {
	c, err := ParseCatalog(secret.Hidden("create catalog if not exists `d m` comment 'it''s' with ('type'='x', 'password'='y');"), Target{flinkversion.Of(2, 2, 0), nil})
	if err != nil || c.Name != "d m" || c.Comment != "it's" || !c.IfNotExists || len(c.Options) != 2 || !c.Options[0].Value.IsHidden() || c.Options[1].Value.Reveal() != "y" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestIsSecret(t *testing.T) {
	tests := []struct {
		key, value string
		want       bool
	}{
		{"a", "b", false}, {"a.password", "b", true},
		{"url", "thrift://host:9083", false}, {"url", "jdbc:mysql://u:p@h/db", true}, {"url", "http://h/a@b", false}, {"url", "http://h?x=a@b", false},
		{"url", "jdbc:mysql://h/db?user=u&password=p", true}, {"url", "jdbc:mysql://h/db?user=u&ssl=true", false},
		{"config", `X required username="u" password="p";`, true}, {"a", "password", false},
	}
	for _, tt := range tests {
		if got := isSecret(tt.key, tt.value, sensitive); got != tt.want {
			t.Errorf("isSecret(%q, %q) = %v", tt.key, tt.value, got)
		}
	}
}

// BenchmarkInit shows that time is linear in the number of catalogs.
func BenchmarkInit(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		var s Spec
		for i := range n {
			if i%2 == 0 {
				s.Catalogs = append(s.Catalogs, Catalog{Name: fmt.Sprint("c", i), Options: kv("type", "hive", "hive-conf-dir", "/etc/hive", "password", "p")})
			} else {
				s.Catalogs = append(s.Catalogs, Catalog{CreateStatement: secret.Public(fmt.Sprintf("CREATE CATALOG c%d WITH ('type'='hive', 'hive-conf-dir'='/etc/hive')", i))})
			}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				statements, err := Init(s, Target{flinkversion.Of(2, 2, 0), sensitive})
				if err != nil || len(Write(statements)) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
