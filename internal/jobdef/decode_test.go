package jobdef_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/secret"
	"github.com/google/go-cmp/cmp"
)

const head = "apiVersion: flink-entrypoint/v1\nname: a\n"

func decode(t *testing.T, document string) *jobdef.Definition {
	t.Helper()
	def, err := jobdef.Decode("d.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFullExample holds every field of a decoded definition against testdata/full.txt.
func TestFullExample(t *testing.T) {
	def, err := jobdef.Decode("full.yaml", readFile(t, "../../examples/full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	show := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var got strings.Builder
	settings := func(name string, list []jobdef.Setting) {
		for _, s := range list {
			fmt.Fprintf(&got, "%s line %d: %s = %s\n", name, s.Line, s.Key, s.Value)
		}
	}
	fmt.Fprintf(&got, "%s %s %s %s\n%v\n", def.APIVersion, def.Name, def.ID, def.FlinkVersion, def.Resources)
	settings("configuration", def.Configuration)
	fmt.Fprintf(&got, "%v\n%s\n%v\n", *def.HighAvailability, show(def.Logging), def.Artifacts)
	settings("set", def.SQL.Set)
	for _, m := range def.SQL.Modules {
		fmt.Fprintf(&got, "module %s\n", m.Name)
		settings("option", m.Options)
	}
	fmt.Fprintf(&got, "%v\n", def.SQL.UseModules)
	for _, c := range def.SQL.Catalogs {
		fmt.Fprintf(&got, "catalog %s %s\n", c.Name, c.CreateStatement)
		settings("option", c.Options)
	}
	for _, f := range def.SQL.Functions {
		fmt.Fprintf(&got, "function %+v\n", f)
	}
	fmt.Fprintf(&got, "%v %t\nscript, line %d:\n%s\n%+v\n", *def.SQL.Use, def.SQL.Runs(), def.SQL.Script.Line(), def.SQL.Script, *def.Savepoint)
	golden(t, "testdata/full.txt", got.String())
}

func TestDefaults(t *testing.T) {
	def := decode(t, head+"sql: {functions: [{name: f, class: A}, {name: c.d.f, class: A}, {name: g, class: A, temporary: false}, {name: h, class: A, system: false}]}\nartifacts: [{uri: x.jar}]")
	if got := def.Artifacts[0].To; got != "usrlib" {
		t.Errorf("an artifact goes to %q by default, want usrlib", got)
	}
	for i, want := range []string{"true true", "true false", "false false", "true false"} {
		f := def.SQL.Functions[i]
		if got := fmt.Sprint(f.Temporary, f.System); got != want || f.Language != "JAVA" {
			t.Errorf("function %s: temporary, system = %s, want %s; language %s", f.Name, got, want, f.Language)
		}
	}
	if def.SQL.Runs() || (*jobdef.SQL)(nil).Runs() || def.Jar != nil || def.HighAvailability != nil || !def.ID.IsZero() {
		t.Errorf("fields that are not there: %+v", def)
	}
}

// TestJSON decodes the full example written as JSON to the same definition.
func TestJSON(t *testing.T) {
	src := `{"apiVersion":"flink-entrypoint/v1","name":"a","x-y":[1,{"z":null}],"configuration":{"a":{"b":1.50,"c":true},"d":["x","y;z"],"e":{"fromEnv":"E"}},
	"sql":{"set":{"k":"\u4e2d\ud83d\ude00\/\"\n"},"script":"SELECT 1;\n-- x"}}`
	yaml := "apiVersion: flink-entrypoint/v1\nname: a\nconfiguration:\n  a.b: 1.50\n  a: {c: true}\n  d:\n  - x\n  - y;z\n  e: {fromEnv: E}\n" +
		"sql:\n  set:\n    k: \"中😀/\\\"\\n\"\n  script: |-\n    SELECT 1;\n    -- x\n"
	text := func(def *jobdef.Definition) string {
		var b strings.Builder
		for _, s := range append(def.Configuration, def.SQL.Set...) {
			fmt.Fprintf(&b, "%s=%q\n", s.Key, s.Value.String())
		}
		return b.String() + def.SQL.Script.String()
	}
	a, b := decode(t, src), decode(t, yaml)
	if diff := cmp.Diff(text(a), text(b)); diff != "" {
		t.Error(diff)
	}
	if want := "a.b=\"1.50\"\na.c=\"true\"\nd=\"x;'y;z'\"\ne=\"{fromEnv: E}\"\n"; !strings.HasPrefix(text(a), want) {
		t.Errorf("got %s\nwant %s", text(a), want)
	}
}

func TestAliases(t *testing.T) {
	def := decode(t, head+"x-d: &d {type: hive, dir: /etc}\nsql: {catalogs: [{name: a, options: *d}, {name: b, options: *d}]}")
	if got := def.SQL.Catalogs[1].Options[1].Value.String(); got != "/etc" {
		t.Errorf("got %s", got)
	}
}

// TestLists holds Flink's text of lists, which ConfigurationUtils of 1.13, 1.20 and 2.3 reads back to the same items.
func TestLists(t *testing.T) {
	for list, want := range map[string]string{
		"[a, b]": "a;b", "[a]": "a", "['a;b', c]": "'a;b';c", `["it's"]`: "'it''s'", "['', b]": "'';b", "[' a']": "' a'",
		`["- a"]`: "'- a'", `["[a]", "{b}"]`: "'[a]';'{b}'", "['a: b', 1, true]": "a: b;1;true", `['"q"']`: `'"q"'`,
	} {
		def := decode(t, head+"configuration: {k: "+list+"}")
		if got, ok := def.Configuration[0].Value.Plain(); got != want || !ok {
			t.Errorf("%s is %s, want %s", list, got, want)
		}
	}
}

func TestFromSQL(t *testing.T) {
	for name, want := range map[string]string{
		"clicks.sql": "clicks", "/jobs/clicks per minute.sql": "clicks per minute", "https://h/jobs/clicks.sql?version=1#x": "clicks", "": "sql-job", ".sql": "sql-job", "a\nb.sql": "sql-job",
	} {
		def := jobdef.FromSQL(name, []byte("\uFEFFSET 'a' = 'b';\r\n"))
		if got := def.Name.String(); got != want {
			t.Errorf("FromSQL(%q) names the job %q, want %q", name, got, want)
		}
		if got := def.SQL.Script.String(); got != "SET 'a' = 'b';\r\n" || !def.SQL.Runs() || def.APIVersion != jobdef.APIVersion {
			t.Errorf("FromSQL(%q) has the script %q", name, got)
		}
	}
}

func TestFileName(t *testing.T) {
	for uri, want := range map[string]string{
		"https://h/a/udf-1.2.jar": "udf-1.2.jar", "https://h/a/udf.jar?v=1#x": "udf.jar", "file:///a/b%20c.jar": "b c.jar", "file:a.jar": "a.jar", "/a/b.jar": "b.jar",
		"b.jar": "b.jar", "https://h": "", "https://h/": "", "https://h/..": "", "/a/": "", "..": "", "https://h/a%2F..": "", "https://h/a%5Cb": "", "https://h/a%00": "", `a\b`: "",
	} {
		if got := jobdef.FileName(uri); got != want {
			t.Errorf("FileName(%q) = %q, want %q", uri, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	reads := 0
	r := jobdef.Resolver{
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"SET": "canary\n", "EMPTY": "", "NUL": "canary\x00", "BAD": "canary", "LATIN": "canary\xe9"}[name]
			return v, ok
		},
		ReadFile: func(name string) ([]byte, error) {
			reads++
			files := map[string]string{"/one": "canary\n", "/two": "canary\n\n", "/crlf": "canary\r\n", "/none": "canary", "/big": strings.Repeat("canary", jobdef.MaxSize/6+1), "/id": "0123456789abcdef0123456789ABCDEF\n"}
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			_, err := os.ReadFile("testdata" + name)
			return nil, err
		},
	}
	for _, c := range []struct{ document, want string }{
		{"configuration: {k: plain}", "plain"},
		{"configuration: {k: {fromEnv: SET}}", "******canary\n"},
		{"configuration: {k: {fromEnv: EMPTY}}", "******"},
		{"configuration: {k: {fromFile: /one}}", "******canary"},
		{"configuration: {k: {fromFile: /two}}", "******canary\n"},
		{"configuration: {k: {fromFile: /crlf}}", "******canary"},
		{"configuration: {k: {fromFile: /none}}", "******canary"},
		{"configuration: {k: [a, {fromFile: /one}, 'b;c']}", "******a;canary;'b;c'"},
		{"configuration: {k: [a, b]}", "a;b"},
		{"id: {fromFile: /id}", "******0123456789abcdef0123456789ABCDEF"},
		{"id: {fromEnv: BAD}", "error: id: the environment variable BAD does not hold 32 hexadecimal digits"},
		{"configuration: {k: {fromEnv: UNSET}}", "error: configuration.k: the environment variable UNSET is not set"},
		{"configuration: {k: {fromEnv: NUL}}", "error: configuration.k: the environment variable NUL holds a NUL character"},
		{"configuration: {k: {fromEnv: LATIN}}", "error: configuration.k: the environment variable LATIN holds something that is not UTF-8"},
		{"configuration: {k: {fromFile: /missing}}", "error: configuration.k: cannot read the file /missing: no such file or directory"},
		{"configuration: {k: {fromFile: /big}}", "error: configuration.k: the file /big holds more than 16 MiB"},
		{"configuration: {k: [{fromEnv: SET}, {fromEnv: UNSET}]}", "error: configuration.k[1]: the environment variable UNSET is not set"},
	} {
		def := decode(t, head+c.document)
		text := def.ID
		if len(def.Configuration) > 0 {
			text = def.Configuration[0].Value
		}
		v, err := text.Resolve(r)
		got := v.Reveal()
		if v.IsHidden() {
			got = v.String() + got
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s is %q, want %q", c.document, got, c.want)
		}
		if text.IsReference() != strings.Contains(c.document, "from") || strings.Contains(text.String(), "canary") {
			t.Errorf("%s: reference %t, %s", c.document, text.IsReference(), text)
		}
	}
	reads = 0
	text := decode(t, head+"configuration: {k: {fromFile: /one}}").Configuration[0].Value
	if _, err := text.Resolve(r); err != nil || reads != 1 {
		t.Errorf("%d reads, %v, want 1", reads, err)
	}
	if v, err := (jobdef.Text{}).Resolve(r); err != nil || v != secret.Public("") {
		t.Errorf("an absent string is %q, %v", v, err)
	}
	if v, err := jobdef.Plain("x").Resolve(r); err != nil || v != secret.Public("x") {
		t.Errorf("Plain: %q, %v", v, err)
	}
}

func TestPointer(t *testing.T) {
	const yaml = "code: 0\ndata:\n  - apiVersion: flink-entrypoint/v1\n    name: a\n    sql:\n      script: |\n        SELECT 1;\n  - second\nnone: ~\n"
	for _, c := range []struct{ document, pointer, want string }{
		{`{"data": {"a": [1, {"b":  "c"}]}}`, "/data", `{"a": [1, {"b":  "c"}]}`},
		{`{"data": {"a": [1, {"b":  "c"}]}}`, "/data/a/1", `{"b":  "c"}`},
		{`{"a/b": {"c~d": {"": [1]}}}`, "/a~1b/c~0d/", "[1]"},
		{`{"~1": [1]}`, "/~01", "[1]"},
		{`{"data": "name: a\nid: 1\n"}`, "/data", "name: a\nid: 1\n"},
		{`{"data": 1}`, "", `{"data": 1}`},
		{yaml, "/data/0", "    apiVersion: flink-entrypoint/v1\n    name: a\n    sql:\n      script: |\n        SELECT 1;\n"},
		{yaml, "/data/1", "second"},
		{`{"code": 500, "message": "canary"}`, "/data", `error: the answer has no "/data": there is a mapping of "code", "message"`},
		{`{"data": {"a": "canary"}}`, "/data/x", `error: the answer has no "/data/x": at "/data" there is a mapping of "a"`},
		{`{"data": "canary"}`, "/data/x", `error: the answer has no "/data/x": at "/data" there is a string`},
		{`{"data": [1]}`, "/data/1", `error: the answer has no "/data/1": at "/data" there is a list of 1`},
		{`{"data": [1]}`, "/data/00", `error: the answer has no "/data/00": at "/data" there is a list of 1`},
		{`{"data": null}`, "/data", `error: the answer's "/data" is null`},
		{`{"data": {}}`, "data", `error: the pointer "data" must begin with '/', e.g. /data`},
		{``, "/data", `error: the answer is empty`},
		{`{"data": `, "/data", `error: the answer is not JSON or YAML: line 1, column 10: the document ends inside brackets`},
	} {
		b, err := jobdef.Pointer([]byte(c.document), c.pointer)
		got := string(b)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s of %s:\n got %s\nwant %s", c.pointer, c.document, got, c.want)
		}
	}
	inner, err := jobdef.Pointer([]byte(yaml), "/data/0")
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, string(inner)).SQL.Script.String(); got != "SELECT 1;\n" {
		t.Errorf("the script in the envelope is %q", got)
	}
}

// TestLarge decodes a definition of 10,000 catalogs and one with a script of 10 MB.
func TestLarge(t *testing.T) {
	var catalogs strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&catalogs, "    - {name: c%d, options: {type: hive, hive-conf-dir: /etc/hive}}\n", i)
	}
	if got := len(decode(t, head+"sql:\n  catalogs:\n"+catalogs.String()).SQL.Catalogs); got != 10_000 {
		t.Errorf("%d catalogs", got)
	}
	script := strings.Repeat("INSERT INTO t SELECT * FROM s;\n", 10<<20/31)
	b, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{string(b), "|\n    " + strings.ReplaceAll(script, "\n", "\n    ")} {
		if got := decode(t, head+"sql:\n  script: "+document).SQL.Script.String(); got != script {
			t.Errorf("a script of %d bytes became one of %d", len(script), len(got))
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"clicks-per-minute", "full"} {
		src, err := os.ReadFile("../../examples/" + name + ".yaml")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jobdef.Decode(name, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, count := range []int{1, 100, 10_000} {
		src := []byte(head + "sql:\n  catalogs:\n" + strings.Repeat("    - {createStatement: \"CREATE CATALOG c WITH ('type'='hive', 'hive-conf-dir'='/etc/hive')\"}\n", count))
		b.Run(fmt.Sprintf("catalogs=%d", count), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := jobdef.Decode("d", src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
