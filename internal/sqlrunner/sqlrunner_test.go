package sqlrunner

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

// prepare is Prepare for one part of the user.
func prepare(t *testing.T, o Options, script string) Plan {
	t.Helper()
	plan, err := Prepare([]Part{{Text: script}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestIndex(t *testing.T) {
	const ddl = "CREATE TABLE t (a INT) WITH ('connector'='print','password'='s3cr''et');\n"
	for _, c := range []struct {
		name    string
		options Options
		script  string
		want    string // the index, without the positions of ddl, which comes first where it is used
	}{
		{"one insert", Options{}, "INSERT INTO t SELECT 1",
			"insert\t1\t1\tstatement 1\t0\t22\nsubmit\t1\t1\tstatement 1\n"},
		{"inserts of a streaming script are one job at the end", Options{}, "INSERT INTO t SELECT 1;\n USE d;\nINSERT INTO t SELECT 2;",
			"insert\t1\t1\tstatement 1\t0\t22\nrun\t2\t2\tstatement 2\t25\t30\ninsert\t3\t1\tstatement 3\t32\t54\n" +
				"submit\t1\t1\tthe job of the 2 INSERTs from statement 1\n"},
		{"batch runs each", Options{RuntimeMode: "BATCH"}, "INSERT INTO t SELECT 1;INSERT INTO t SELECT 2",
			"batch\nrun\t1\t1\tstatement 1\t0\t22\nrun\t1\t24\tstatement 2\t23\t45\n"},
		{"a mode set late", Options{RuntimeMode: "streaming"}, "INSERT INTO t SELECT 1;SET 'execution.runtime-mode' = 'batch'",
			"batch\nrun\t1\t1\tstatement 1\t0\t22\n"},
		{"settings", Options{}, "SET 'a\tb' = 'x\\y';RESET 'k';RESET;SET;SET k=v;INSERT INTO t SELECT 1",
			"set\t1\t1\tstatement 1\ta\\tb\tx\\\\y\nreset\t1\t19\tstatement 2\tk\nreset\t1\t29\tstatement 3\n" +
				"set\t1\t39\tstatement 5\tk\tv\ninsert\t1\t47\tstatement 6\t46\t68\nsubmit\t1\t47\tstatement 6\n"},
		{"offsets are bytes, columns UTF-16 units", Options{}, "/*é😀*/INSERT INTO t SELECT 'é'",
			"insert\t1\t8\tstatement 1\t10\t35\nsubmit\t1\t8\tstatement 1\n"},
		{"a byte order mark is dropped", Options{}, "\uFEFFINSERT INTO t SELECT 1",
			"insert\t1\t1\tstatement 1\t0\t22\nsubmit\t1\t1\tstatement 1\n"},
		{"query and set", Options{}, "SELECT 1;EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;",
			"query\t1\t1\tstatement 1\t0\t8\nrun\t1\t10\tstatement 2\t9\t64\n"},
		{"BEGIN STATEMENT SET in batch", Options{RuntimeMode: "batch"}, "BEGIN STATEMENT SET;INSERT INTO t SELECT 1;INSERT INTO t SELECT 2;END;INSERT INTO t SELECT 3",
			"batch\ninsert\t1\t21\tstatement 2\t20\t42\ninsert\t1\t44\tstatement 3\t43\t65\nsubmit\t1\t21\tthe job of the 2 INSERTs from statement 2\n" +
				"run\t1\t71\tstatement 5\t70\t92\n"},
		{"configuration and secrets", Options{Configuration: map[string]string{"b": "2", "a": "1"}, Secrets: []string{"x\n'é", "", "x\n'é"}}, "INSERT INTO t SELECT 1",
			"conf\ta\t1\nconf\tb\t2\nmask\tx\\n''é\nmask\tx\\n'é\nmask\tx\\\\000a''é\nmask\tx\\\\\\\\000a\\\\'\\\\'\\\\u00e9\nmask\tx\\\\n\\\\'\\\\'\\\\u00e9\ninsert\t1\t1\tstatement 1\t0\t22\nsubmit\t1\t1\tstatement 1\n"},
		{"values of sensitive keys", Options{Sensitive: func(k string) bool { return strings.Contains(k, "password") }, Mode: Local}, "SET 'my.password'='hello';SET 'password'='ab';" + ddl,
			"mask\thello\nmask\ts3cr''et\nmask\ts3cr'et\nmask\ts3cr\\\\'\\\\'et\nset\t1\t1\tstatement 1\tmy.password\thello\nset\t1\t27\tstatement 2\tpassword\tab\nrun\t1\t47\tstatement 3\t46\t117\n"},
		{"ask opens catalogs and shows tables", Options{Mode: Ask, Tables: [][3]string{{"c", "d", "t`x"}, {"c", "", ""}}}, "SET a=b;CREATE CATALOG c WITH ('type'='x');CREATE DATABASE c.d;INSERT INTO t SELECT 1",
			"set\t1\t1\tstatement 1\ta\tb\nrun\t1\t9\tstatement 2\t8\t42\nddl\t1\t1\t0\t87\t119\nddl\t1\t1\t0\t121\t152\nrun\t1\t1\t1\t154\t169\nddl\t1\t1\t1\t171\t192\n"},
		{"check plans", Options{Mode: Check}, "INSERT INTO t SELECT 1;SELECT 2;CALL p();SHOW TABLES;EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END",
			"plan\t1\t1\tstatement 1\t0\t22\nplan\t1\t24\tstatement 2\t23\t31\nrun\t1\t42\tstatement 4\t41\t52\nplan\t1\t54\tstatement 5\t53\t108\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := prepare(t, c.options, c.script)
			if got := string(plan.Index); got != c.want {
				t.Errorf("index\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestPartsKeepTheirLines(t *testing.T) {
	plan, err := Prepare([]Part{{"init.sql", "\nUSE d;"}, {"", "-- mine\nINSERT INTO t SELECT 1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nUSE d;\n-- mine\nINSERT INTO t SELECT 1"; string(plan.Script) != want {
		t.Errorf("script %q, want %q", plan.Script, want)
	}
	if want := "run\t2\t1\tinit.sql statement 1\t1\t6\ninsert\t2\t1\tstatement 1\t16\t38\nsubmit\t2\t1\tstatement 1\n"; string(plan.Index) != want {
		t.Errorf("index %q, want %q", plan.Index, want)
	}
	_, err = Prepare([]Part{{"init.sql", "USE d;\nUSE 'e"}}, Options{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Line != 2 || !strings.HasPrefix(e.Error(), "init.sql: line 2, column 5: ") {
		t.Errorf("error %v, want one of init.sql, line 2, column 5", err)
	}
}

func TestParseDefinition(t *testing.T) {
	for _, c := range []struct {
		line, ddl string
		table     int
		ok, done  bool
	}{
		{`ddl	3	CREATE TABLE a (\n  b STRING COMMENT 'C:\\new')\r`, "CREATE TABLE a (\n  b STRING COMMENT 'C:\\new')\r", 3, true, false},
		{"ddl\tx\ty", "y", 0, false, false},
		{"checked\t4", "", 0, false, true},
		{"what a function prints", "", 0, false, false},
	} {
		if table, ddl, ok, done := ParseDefinition(c.line + "\n"); table != c.table || ddl != c.ddl || ok != c.ok || done != c.done {
			t.Errorf("%q: found %d %q %v %v, want %+v", c.line, table, ddl, ok, done, c)
		}
	}
}

func TestTableAsViewInCheck(t *testing.T) {
	const script = "CREATE TABLE IF NOT EXISTS `a b`.c (x INT) WITH ('as'='as')\nAS SELECT nam FROM s; SELECT * FROM c"
	plan := prepare(t, Options{Mode: Check}, script)
	f := strings.Split(strings.Split(string(plan.Index), "\n")[0], "\t")
	const head = "CREATE TEMPORARY VIEW `a b`.c AS "
	if got, want := string(plan.Script), script+"\n;"+head+"SELECT nam FROM s"; got != want {
		t.Errorf("script %q, want %q", got, want)
	}
	// Flink counts from the start of the view: its column 1+len(head) is column 4 of line 2.
	if f[0] != "run" || f[1] != "2" || f[2] != "-29" {
		t.Errorf("entry %q, want run at line 2, column -29", f)
	}
}

func TestRefused(t *testing.T) {
	const ha, fixed = "high availability", "a fixed job id"
	for _, c := range []struct {
		options Options
		script  string
		want    string // part of the error; empty: accepted
	}{
		{Options{FixedJobID: true}, "INSERT INTO t SELECT 1;INSERT INTO t SELECT 2", ""},
		{Options{HighAvailability: true}, "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END", ""},
		{Options{FixedJobID: true}, "CREATE TABLE t AS SELECT 1", "statement 1, line 1: CREATE TABLE AS starts a job of its own, and fails when it is run again: " + fixed},
		{Options{HighAvailability: true}, "INSERT INTO t SELECT 1;\nSELECT 1", "statement 2, line 2: query starts a job of its own, which " + ha + " does not allow"},
		{Options{HighAvailability: true}, "CALL p()", "CALL starts a job of its own"},
		{Options{FixedJobID: true}, "INSERT INTO t SELECT 1;\nEXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END", "statement 2, line 2: the script starts 2 jobs, this is the second: " + fixed},
		{Options{FixedJobID: true}, "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;\nINSERT INTO t SELECT 1", "statement 2, line 2: the script starts 2 jobs"},
		{Options{FixedJobID: true, RuntimeMode: "batch"}, "INSERT INTO t SELECT 1", ""},
		{Options{FixedJobID: true, RuntimeMode: "batch"}, "INSERT INTO t SELECT 1;\n\nINSERT INTO t SELECT 2", "statement 2, line 3: the script starts 2 jobs"},
		{Options{FixedJobID: true, RuntimeMode: "batch"}, "BEGIN STATEMENT SET;INSERT INTO t SELECT 1;INSERT INTO t SELECT 2;END", ""},
		{Options{}, "INSERT INTO t SELECT 1;EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;CREATE TABLE t AS SELECT 1;SELECT 1;CALL p()", ""},
		{Options{Mode: Local, FixedJobID: true}, "SELECT 1; SELECT 2", ""},
		{Options{}, "CREATE TABLE t (a INT)", "the script starts no job"},
		{Options{}, "", "the script starts no job"},
		{Options{Mode: Local}, "CREATE TABLE t (a INT)", ""},
		{Options{RuntimeMode: "automatic"}, "INSERT INTO t SELECT 1", `execution.runtime-mode of the configuration is "automatic", expected streaming or batch`},
		{Options{}, "INSERT INTO t SELECT 1;\nSET execution.runtime-mode=auto", `statement 2, line 2: execution.runtime-mode is "auto"`},
		{Options{RuntimeMode: "automatic"}, "SET execution.runtime-mode=batch;INSERT INTO t SELECT 1", ""},
		{Options{}, "BEGIN STATEMENT SET;\nUSE d;END;", "statement 2, line 2: USE between BEGIN STATEMENT SET (line 1) and its END"},
		{Options{}, "BEGIN STATEMENT SET;\nINSERT INTO t SELECT 1", "statement 1, line 1: BEGIN STATEMENT SET without END"},
		{Options{}, "INSERT INTO t SELECT 1;END", "END without BEGIN"},
		{Options{}, "SET 'a' b;INSERT INTO t SELECT 1", "statement 1, line 1: this is not a form of SET"},
		{Options{}, "INSERT INTO t SELECT '", "line 1, column 22: the string that starts here has no end"},
	} {
		_, err := Prepare([]Part{{Text: c.script}}, c.options)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v, want it accepted", c.script, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: error %v, want %q", c.script, err, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		script string
		want   []string
	}{
		{"SET 'a'='s3cret';INSERT INTO t SELECT 1;INSERT INTO t SELECT 2", nil},
		{"INSERT INTO t SELECT 1;\nSET 'a.b'='s3cret';\nINSERT INTO t SELECT 2",
			[]string{"statement 2, line 2: SET a.b applies to the INSERT of line 1 too: all INSERTs of a streaming script are one job, planned at the end"}},
		{"INSERT INTO t SELECT 1;\nRESET", []string{"statement 2, line 2: RESET applies to the INSERT of line 1 too: all INSERTs of a streaming script are one job, planned at the end"}},
		{"SET 'execution.runtime-mode'='batch';INSERT INTO t SELECT 1;SET 'a'='b'", nil},
		{"SET 'execution.runtime-mode'='batch';SET 'execution.runtime-mode'='streaming';INSERT INTO t SELECT 1",
			[]string{"statement 1, line 1 sets execution.runtime-mode to batch, statement 2, line 1 to streaming: the last one holds for the whole script"}},
		{"SET;RESET execution.runtime-mode;INSERT INTO t SELECT 1", []string{"statement 1, line 1: SET without a key shows all settings; left out",
			"statement 2, line 1: RESET of execution.runtime-mode cannot work, the environment is created with it; left out"}},
	} {
		if got := prepare(t, Options{}, c.script).Warnings; !slices.Equal(got, c.want) {
			t.Errorf("%q: warnings %q, want %q", c.script, got, c.want)
		}
	}
}

func TestParseReport(t *testing.T) {
	findings, ok := ParseReport("noise\n" +
		"error\t3\t3\tstatement 2\tFrom line 4, column 10 to line 4, column 12: Column 'nam' not found in any table\n" +
		"error\t19\t1\tstatement 15\tEncountered \"+ <EOF>\" at line 19, column 19.\n" +
		"error\t20\t1\tstatement 16\tTable `nope` doesn't exist; the line 5 is fine.\n" +
		"checked\t15\n")
	want := []Finding{
		{"statement 2", 4, 10, 4, 12, "From line 4, column 10 to line 4, column 12: Column 'nam' not found in any table"},
		{"statement 15", 19, 19, 0, 0, "Encountered \"+ <EOF>\" at line 19, column 19."},
		{"statement 16", 20, 1, 0, 0, "Table `nope` doesn't exist; the line 5 is fine."},
	}
	if !ok || !slices.Equal(findings, want) {
		t.Errorf("ParseReport() = %+v, %v, want %+v, true", findings, ok, want)
	}
	if _, ok := ParseReport("error\t1\t1\tstatement 1\tx\n"); ok {
		t.Error("an output without its last line counts as complete")
	}
}

// TestCompare: in a local run, and there alone, a statement that Flink plans is planned as the real connectors would have it before it runs.
func TestCompare(t *testing.T) {
	const script = "CREATE TABLE t (a INT);\nINSERT INTO t SELECT 1;\nSELECT 2;\nINSERT INTO t SELECT 3"
	options := Options{Mode: Local, Compare: func(part string, line int) bool { return part == "" && line != 4 }}
	kinds := func(o Options) string {
		var list []string
		for line := range strings.Lines(string(prepare(t, o, script).Index)) {
			list = append(list, strings.Join(strings.Split(line, "\t")[:2], " "))
		}
		return strings.Join(list, ", ")
	}
	if got, want := kinds(options), "run 1, compare 2, insert 2, compare 3, query 3, insert 4, submit 2"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	for _, mode := range []Mode{Application, Check} {
		options.Mode = mode
		if got := kinds(options); strings.Contains(got, "compare") {
			t.Errorf("%v: found %s", mode, got)
		}
	}
}

// TestTableAsIsPlannedInCheck: as its query, and then with its sink where Flink can.
func TestTableAsIsPlannedInCheck(t *testing.T) {
	plan := prepare(t, Options{Mode: Check, Flink: flinkversion.Of(2, 0, 0)}, "CREATE TABLE t WITH ('connector'='kafka') AS SELECT 1")
	if got := string(plan.Index); !strings.HasPrefix(got, "run\t1\t") || !strings.Contains(got, "\nctas\t1\t1\tstatement 1\t0\t53\n") {
		t.Errorf("found %q", got)
	}
}

// TestJars: what each jar holds, and by what Flink finds it. The runner's, which clusters get, offers it nothing.
func TestJars(t *testing.T) {
	for name, c := range map[string]struct {
		jar      []byte
		most     int    // bytes
		folder   string // of all its classes
		classes  []string
		services map[string]string
	}{
		"runner": {Jar(), 16 << 10, "flinkentrypoint", []string{MainClass, ListenerClass}, map[string]string{}},
		"connector": {ConnectorJar(), 16 << 10, "flinkentrypoint/mock", []string{"flinkentrypoint.mock.MockConnector"}, map[string]string{
			"org.apache.flink.table.factories.Factory": "flinkentrypoint.mock.MockConnector\n"}},
		"platform": {PlatformJar(), 24 << 10, "flinkentrypoint/platform", []string{statusListenerClass}, map[string]string{
			"org.apache.flink.core.fs.FileSystemFactory": "flinkentrypoint.platform.ArchiveFactory\nflinkentrypoint.platform.ArchiveFactory$Secure\n"}},
	} {
		if len(c.jar) > c.most {
			t.Errorf("%s: the jar has %d bytes, want at most %d", name, len(c.jar), c.most)
		}
		z, err := zip.NewReader(bytes.NewReader(c.jar), int64(len(c.jar)))
		if err != nil {
			t.Fatal(err)
		}
		services, classes := map[string]string{}, map[string]bool{}
		for _, f := range z.File {
			if year := f.Modified.Year(); year != 1980 {
				t.Errorf("%s: %s is of %d, so another build has other bytes", name, f.Name, year)
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if service, ok := strings.CutPrefix(f.Name, "META-INF/services/"); ok {
				services[service] = string(content)
				continue
			}
			class, ok := strings.CutSuffix(f.Name, ".class")
			switch {
			case f.Name == "META-INF/MANIFEST.MF":
			case !ok || path.Dir(class) != c.folder:
				t.Errorf("%s: found %s", name, f.Name)
			case binary.BigEndian.Uint16(content[6:]) != 52:
				t.Errorf("%s: %s is not for Java 8", name, f.Name)
			}
			classes[strings.ReplaceAll(class, "/", ".")] = true
		}
		if !maps.Equal(services, c.services) {
			t.Errorf("%s: the services are %q, want %q", name, services, c.services)
		}
		for _, lines := range services {
			c.classes = append(c.classes, strings.Fields(lines)...)
		}
		for _, class := range c.classes {
			if !classes[class] {
				t.Errorf("%s: lacks %s", name, class)
			}
		}
	}
}

func FuzzPrepare(f *testing.F) {
	f.Add("SET a=b;CREATE TABLE t AS SELECT 1;INSERT INTO t SELECT 1", true, uint8(0))
	f.Add("BEGIN STATEMENT SET;INSERT INTO t SELECT '\t\\';END", false, uint8(2))
	f.Fuzz(func(t *testing.T, script string, batch bool, mode uint8) {
		o := Options{Mode: Mode(mode % 3), Sensitive: func(string) bool { return true }, Flink: flinkversion.Of(2, 0, 0)}
		if batch {
			o.RuntimeMode = "batch"
		}
		plan, err := Prepare([]Part{{Text: script}}, o)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(plan.Index)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if n := map[string]int{"conf": 3, "mask": 2, "batch": 1, "submit": 4, "set": 6}[f[0]]; n != 0 && len(f) != n {
				t.Errorf("line %q has %d fields, want %d", line, len(f), n)
			}
			if slices.Contains([]string{"insert", "run", "query", "plan"}, f[0]) {
				if start, end := number(f[4]), number(f[5]); start >= end || end > len(plan.Script) {
					t.Errorf("line %q of a script of %d bytes", line, len(plan.Script))
				}
			}
		}
	})
}

func BenchmarkPrepare(b *testing.B) {
	const ddl = "CREATE TABLE t (a INT, b STRING) WITH ('connector'='kafka','topic'='clicks','password'='s3cret');\n"
	for _, n := range []int{10, 1000, 100_000} {
		script := strings.Repeat(ddl, n) + "INSERT INTO t SELECT 1"
		b.Run(strconv.Itoa(len(script)), func(b *testing.B) {
			b.SetBytes(int64(len(script)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Prepare([]Part{{Text: script}}, Options{Sensitive: func(k string) bool { return k == "password" }}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestManyLateSettings: a script of 350,000 settings after an INSERT had as many warnings, in 250 MiB.
func TestManyLateSettings(t *testing.T) {
	warnings, err := Judge([]Part{{Text: "INSERT INTO t SELECT 1;\n" + strings.Repeat("SET 'a'='b';\n", 100)}}, Options{})
	if err != nil || len(warnings) != mostLate+1 || warnings[mostLate] != "80 more settings apply to the INSERTs before them too" {
		t.Errorf("%d warnings, %v: %v", len(warnings), err, warnings[max(0, len(warnings)-1):])
	}
}
