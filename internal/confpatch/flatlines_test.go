package confpatch

import (
	"errors"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkconf"
)

// TestIndentedLinesAreFlatLines: FLINK_PROPERTIES of a shell script or a compose file, where one indented line made the whole
// text a YAML document that ended with an error.
func TestIndentedLinesAreFlatLines(t *testing.T) {
	const flat = "jobmanager.rpc.address=jm;taskmanager.numberOfTaskSlots=2"
	for _, c := range []struct{ name, text, want string }{
		{"second line indented", "jobmanager.rpc.address: jm\n    taskmanager.numberOfTaskSlots: 2", flat},
		{"first line indented", "    jobmanager.rpc.address: jm\ntaskmanager.numberOfTaskSlots: 2\n", flat},
		{"line feed first", "\n  jobmanager.rpc.address: jm\n  taskmanager.numberOfTaskSlots: 2\n  ", flat},
		{"tabs", "jobmanager.rpc.address: jm\n\ttaskmanager.numberOfTaskSlots: 2", flat},
		{"tabs and blanks", " \tjobmanager.rpc.address: jm\n\t \t taskmanager.numberOfTaskSlots:\t2\t", flat},
		{"Windows", "jobmanager.rpc.address: jm\r\n    taskmanager.numberOfTaskSlots: 2\r\n", flat},
		{"byte order mark", "\ufeffjobmanager.rpc.address: jm\n    taskmanager.numberOfTaskSlots: 2", flat},
		{"comments and empty lines between", "jobmanager.rpc.address: jm\n    # two:\n\n \t\n      taskmanager.numberOfTaskSlots: 2", flat},
		{"deeper and deeper", "jobmanager.rpc.address: jm\n  taskmanager.numberOfTaskSlots: 2\n    a: 3\n b: 4", flat + ";a=3;b=4"},
		{"no blank after the colon", "jobmanager.rpc.address:jm\n  taskmanager.numberOfTaskSlots :2", flat},
		{"a value that ends with a colon", "a: b:\n    c: d", "a=b:;c=d"},
		{"a URL that ends with a colon", "a: hdfs://x:\n    c: d", "a=hdfs://x:;c=d"},
		{"no value, last", "a: 1\n  b:", "a=1;b="},
		{"no value before a line of equal depth", "  a:\n  b: 1", "a=;b=1"},
		{"no value before a line of less depth", "  a:\nb: 1", "a=;b=1"},
		{"a list item inside a value", "a: - x\n  b: x - y", "a=- x;b=x - y"},
		{"flow values and quotes", "a: {b: c}\n  d: [x, y]\n  e: 'f'\n  g: \"h: i\"", "a={b: c};d=[x, y];e='f';g=\"h: i\""},
		{"a value that YAML would fold", "a: |\n  b: 1\n  c: 2", "a=|;b=1;c=2"},
		{"a quote without its partner", "a: \"x\n  b: 1", "a=\"x;b=1"},
		{"one line", "  a: 1", "a=1"},
		{"three hyphens in a value", "a: ---\n  b: --- x", "a=---;b=--- x"},

		{"YAML: a section", "a:\n  b: 1", "a.b=1"},
		{"YAML: a section after a comment", "x: 1\na: # c\n\n  # d\n  b: 1", "x=1;a.b=1"},
		{"YAML: indented as a whole", "  a:\n    b: 1\n  c: 2", "a.b=1;c=2"},
		{"YAML: Windows", "a:\r\n  b: 1\r\n", "a.b=1"},
		{"YAML: list items at the key's depth", "a:\n- x\n- y", "a=[x, y]"},
		{"YAML: by three hyphens", "---\na: 'x'", "a=x"},
		{"YAML: a block scalar", "a: |\n  x\n  y\nb: 1", "a=x\ny\n;b=1"},
		{"YAML: a folded one with a colon in it", "a: >-\n  -Xlog:gc\n  -Dx=y\nb: 1", "a=-Xlog:gc -Dx=y;b=1"},
		{"YAML: a flow collection of lines", "a: [x,\n  y]\nb: 1", "a=[x, y];b=1"},
		{"YAML: quotes over lines", "a: \"x\n  y\"\nb: 1", "a=x y;b=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, _, err := Properties(c.text, Standard, version(t, "2.2.1"), func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			if s := pairs(entries); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// TestMistakesInProperties: what cannot be meant is an error or a warning with its line, and never shows a value.
func TestMistakesInProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string
		legacy     bool
		err, hint  string // "" for none
		warning    string
		want       string
	}{
		{name: "an equals sign", text: "a: 1\nrest.port=canary", err: "FLINK_PROPERTIES:2: expected 'key: value', found 'key=value'", hint: "a colon and a blank"},
		{name: "an equals sign before a colon", text: "s3.endpoint=http://canary:9000", err: "FLINK_PROPERTIES:1: expected 'key: value', found 'key=value'", hint: "a colon"},
		{name: "a dynamic property", text: "  -Drest.port=canary", err: "FLINK_PROPERTIES:1: expected", hint: "a colon"},
		{name: "an equals sign in a value", text: "a: b=c", want: "a=b=c"},
		{name: "a line that goes on without a sign of YAML", text: "a: 1\n  canary", err: "FLINK_PROPERTIES:2: expected 'key: value', found a line without a key and a colon", hint: "begin the text with a line ---"},
		{name: "a broken document", text: "a:\n  - 1\n b: 2", err: "FLINK_PROPERTIES:3:2: "},
		{name: "a tab in a document", text: "a:\n\tb: 1", err: "FLINK_PROPERTIES:2:1: "},
		{name: "a quoted key", text: `"rest.port": 1`, warning: "a key needs no quotes", want: `"rest.port"=1`},
		{name: "a comment", text: "a: 1728m # canary", warning: "FLINK_PROPERTIES:1: a: the '#' and the text after it are a part of the value", want: "a=1728m # canary"},
		{name: "a comment after a tab", text: "a: 1\t#canary", warning: "part of the value", want: "a=1\t#canary"},
		{name: "a comment instead of a value", text: "a: # canary", warning: "part of the value", want: "a=# canary"},
		{name: "a colour", text: "a: #fff", want: "a=#fff"},
		{name: "words with a number sign", text: "a: job # 1", warning: "part of the value", want: "a=job # 1"},
		{name: "more words with a number sign", text: "a: the job # 1", want: "a=the job # 1"},
		{name: "a comment, legacy", text: "a: 1728m # canary", legacy: true, warning: "the comment after the value is dropped", want: "a=1728m"},
		{name: "a comment after a tab, legacy", text: "a: 1\t#canary", legacy: true, warning: "the comment after the value is dropped", want: "a=1"},
		{name: "a password that begins with a number sign, legacy", text: "a: #canary", legacy: true, want: "a=#canary"}, // Render refuses it
		{name: "empty quotes around Java options, legacy", text: "env.java.opts: \"\"", legacy: true, warning: "the value is empty", want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := Standard
			if c.legacy {
				target = Legacy
			}
			entries, warnings, err := Properties(c.text, target, version(t, "2.2.1"), func(string) (string, bool) { return "", false })
			if c.err != "" {
				var e interface{ Hint() string }
				if err == nil || !strings.HasPrefix(err.Error(), c.err) || c.hint != "" && (!errors.As(err, &e) || !strings.Contains(e.Hint(), c.hint)) {
					t.Fatalf("error %v, want %s with the hint %s", err, c.err, c.hint)
				}
				if strings.Contains(err.Error(), "canary") || e != nil && strings.Contains(e.Hint(), "canary") {
					t.Errorf("the error shows a value: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := pairs(entries); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
			if all := strings.Join(warnings, "\n"); !strings.Contains(all, c.warning) || (c.warning == "") != (all == "") || strings.Contains(all, "canary") {
				t.Errorf("warnings %q, want one with %q and without a value", all, c.warning)
			}
		})
	}
}

// TestFilesThatAreNoConfiguration: what the official image's script leaves when it fails, and lines as in a properties file.
func TestFilesThatAreNoConfiguration(t *testing.T) {
	const script = "[ERROR] Could not parse configurations properly.\n[ERROR] Raw output from BashJavaUtils:\n" +
		"INFO  [] - Using standard YAML parser to load flink configuration file from /opt/flink/conf/config.yaml.\n" +
		"ERROR [] - Failed to parse YAML configuration\nb=c\n"
	const equals = "write a colon and a blank instead of the '='"
	for _, c := range []struct{ name, text, err, hint string }{
		{"the script's error", script, "config.yaml: this is not a configuration but the error message of Flink's script bin/config-parser-utils.sh", "restore the file"},
		{"the script's error, Windows", "\ufeff\r\n" + strings.ReplaceAll(script, "\n", "\r\n"), "config.yaml: this is not a configuration", "restore the file"},
		{"something like it", "[ERROR] Could not\n", "config.yaml:1:9: ", ""},
		{"properties", "a.b=1\nc.d=2\n", "config.yaml:1:1: ", equals},
		{"one of them", "a: 1\nb=c\nd: 2\n", "config.yaml:3:1: ", equals},
		{"one of them, indented", "a:\n  b=c\n  d: 2\n", "config.yaml:3:", equals},
		{"far from the error", "a: |\n  X=1\n\n\nb: [x\n", "config.yaml:6:1: ", ""},
	} {
		_, err := Parse(StandardName, Standard, version(t, "2.2.1"), []byte(c.text))
		var e *SyntaxError
		if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), c.err) || !strings.Contains(e.Hint(), c.hint) || (c.hint == "") != (e.Hint() == "") {
			t.Errorf("%s: %v (%+v), want %s and a hint with %q", c.name, err, e, c.err, c.hint)
		}
	}
	f, err := Parse(LegacyName, Legacy, version(t, "1.20.5"), []byte("a=1\nb:1\nc:\nd: e=f\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "flink-conf.yaml:1: ignored by Flink: found 'key=value', expected 'key: value'\nflink-conf.yaml:2: ignored by Flink: no ':' followed by a blank\nflink-conf.yaml:3: ignored by Flink: the value is empty"
	if got := strings.Join(f.Warnings(), "\n"); got != want {
		t.Errorf("warnings\n%s\nwant\n%s", got, want)
	}
}

// pairs writes entries as KEY=VALUE;….
func pairs(entries []flinkconf.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Key+"="+e.Value.Reveal())
	}
	return strings.Join(all, ";")
}
