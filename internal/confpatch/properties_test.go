package confpatch

import (
	"fmt"
	"strings"
	"testing"
)

func TestProperties(t *testing.T) {
	environment := map[string]string{"HOST": "jm", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	for _, c := range []struct {
		name     string
		text     string
		target   Format
		want     string // key=value;…
		warnings int
		err      string
	}{
		{"lines", "a: 1\n\n# c\n b.c: x y : z\n", Standard, "b.c=x y : z;a=1", 0, ""},
		{"raw lines", "a: 1\n# c\nb.c: x  y : z\r\nd:e\nf: 'q'\ng: *x $ #y", Standard, "a=1;b.c=x  y : z;d=e;f='q';g=*x $ #y", 0, ""},
		{"comment, legacy", "a: 1 # c\nb: x#y\nc:\n", Legacy, "a=1;b=x#y", 2, ""},
		{"empty value", "a:\n", Standard, "a=", 0, ""},
		{"variables", "a: ${HOST}:1${EMPTY}\nb: $${HOST} $HOST $$\nenv.java.opts.all: -Dx=${FLINK_LOG_DIR} $HOME", Standard,
			"a=jm:1;b=${HOST} $HOST $$;env.java.opts.all=-Dx=${FLINK_LOG_DIR} $HOME", 1, ""},
		{"unset", "a: 1\nb: x${NOT}y", Standard, "", 0, "FLINK_PROPERTIES:2: b: the variable NOT is not set"},
		{"odd braces", "a: ${ ${x ${1} $", Standard, "a=${ ${x ${1} $", 0, ""},
		{"YAML", "a:\n  b: 1\n  c: ['x', '${HOST}']\n", Standard, "a.b=1;a.c=[x, jm]", 0, ""},
		{"YAML list, legacy", "a:\n- x\n- 1\n", Legacy, "a=x;1", 0, ""},
		{"YAML list of lists, legacy", "a:\n- [x, y]\n", Legacy, "", 0, "FLINK_PROPERTIES: a: flink-conf.yaml can hold"},
		{"YAML, unset", "---\na: ${NOT}\n", Standard, "", 0, "FLINK_PROPERTIES: a: the variable NOT is not set"},
		{"YAML by marker", "---\na: 'x # y' # c\n", Standard, "a=x # y", 0, ""},
		{"YAML error", "a:\n  - 1\n b: 2\n", Standard, "", 0, "FLINK_PROPERTIES:3:2: "},
		{"no colon", "a: 1\nsecret\n", Standard, "", 0, "FLINK_PROPERTIES:2: expected 'key: value', found a line without a key and a colon"},
		{"nothing", " \n", Standard, "", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "lines" {
				c.text = strings.Replace(c.text, " b.c", "b.c", 1)
				c.want = "a=1;b.c=x y : z"
			}
			entries, warnings, err := Properties(c.text, c.target, version(t, "2.2.1"), lookup)
			if c.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.err) {
					t.Errorf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Key+"="+e.Value.Reveal())
			}
			if s := strings.Join(got, ";"); s != c.want || len(warnings) != c.warnings {
				t.Errorf("got %s and warnings %q, want %s and %d", s, warnings, c.want, c.warnings)
			}
			if s := fmt.Sprint(warnings); strings.Contains(s, "x y") {
				t.Errorf("a warning shows a value: %s", s)
			}
		})
	}
}

func TestPatchLog4j(t *testing.T) {
	const in = `# comment stays
monitorInterval=30
rootLogger.level = ${env:ROOT_LOG_LEVEL:-INFO}
rootLogger.appenderRef.console.ref = ConsoleAppender

#logger.flink.name = org.apache.flink
logger.kafka.name= org.apache.kafka
logger.kafka.level = INFO
logger.netty.name = org.apache.flink.shaded.\
    akka.org.jboss.netty
logger.netty.level = OFF
`
	const want = `# comment stays
monitorInterval=30
rootLogger.level = DEBUG
rootLogger.appenderRef.console.ref = ConsoleAppender

#logger.flink.name = org.apache.flink
logger.kafka.name= org.apache.kafka
logger.kafka.level = WARN
logger.netty.name = org.apache.flink.shaded.\
    akka.org.jboss.netty
logger.netty.level = OFF
logger.org_apache_hadoop.name = org.apache.hadoop
logger.org_apache_hadoop.level = ERROR
`
	loggers := map[string]string{"org.apache.kafka": "WARN", "org.apache.hadoop": "ERROR"}
	out, err := PatchLog4j([]byte(in), "DEBUG", loggers)
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != want {
		t.Errorf("got\n%s", out)
	}
	again, err := PatchLog4j(out, "DEBUG", loggers)
	if err != nil || string(again) != string(out) {
		t.Errorf("a second time (%v)\n%s", err, again)
	}
	if same, err := PatchLog4j([]byte(in), "", nil); err != nil || string(same) != in {
		t.Errorf("without a change (%v)\n%s", err, same)
	}
	crlf, err := PatchLog4j([]byte("a=1\r\nlogger.x_y.name = other"), "WARN", map[string]string{"x.y": "INFO"})
	if want := "a=1\r\nlogger.x_y.name = other\r\nrootLogger.level = WARN\r\nlogger.x_y_2.name = x.y\r\nlogger.x_y_2.level = INFO\r\n"; err != nil || string(crlf) != want {
		t.Errorf("CRLF (%v)\n%q\nwant\n%q", err, crlf, want)
	}
	for _, bad := range []map[string]string{{"": "INFO"}, {"x": ""}, {"x": "a\nb"}} {
		if _, err := PatchLog4j(nil, "", bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
