package boot

import (
	"testing"

	"flink-entrypoint/internal/flinkconf"
)

func TestMaskOptions(t *testing.T) {
	v := flinkconf.Version{Major: 2, Minor: 2}
	for text, want := range map[string]string{
		"":                                      "",
		"-Xmx1g -Da=b":                          "-Xmx1g -Da=b",
		"-Dpassword=x -Da=b":                    "-Dpassword=****** -Da=b",
		`-Dmy.password="a b" -Da=b`:             `-Dmy.password=****** -Da=b`,
		`-Dmy.password='a b'"c d"\ e  -Da`:      `-Dmy.password=******  -Da`,
		`"-Dmy.password=a b" -Da=b`:             `"-Dmy.password=****** -Da=b`,
		"-javaagent:a.jar=user=u,password=x -v": "-javaagent:a.jar=user=u,password=****** -v",
		"-Dlog.file=/opt/secret/x.log":          "-Dlog.file=/opt/secret/x.log",
	} {
		if got := maskOptions(text, v, nil); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	var r Redactor
	r.Add("it's \"x\"", "hive", "line one\nline two\n", "a<b>c&d/e")
	r.Add("one-two-three", "three-four-five", "five-six")
	r.addHeader("Authorization: Bearer abcdefgh")
	r.addURI("http://host/secret/path/x.jar?a=1")
	for text, want := range map[string]string{
		"raw it's \"x\" here":              "raw ****** here",
		`SQL 'it''s "x"'`:                  "SQL '******'",
		`JSON "it's \"x\""`:                `JSON "******"`,
		"URL it%27s+%22x%22":               "URL ******",
		"HTML it&#39;s &#34;x&#34;":        "HTML ******",
		`JSON "a\u003cb\u003ec\u0026d/e"`:  `JSON "******"`,
		"a password too short: /opt/hive":  "a password too short: /opt/hive",
		"found line two":                   "found ******",
		"one-two-three-four":               "******-four",
		"one-two-three-four-five-six-7":    "******-7",
		"one-two-threefive-six":            "************",
		"one-two-thre":                     "one-two-thre",
		"Bearer abcdefgh":                  "******",
		"token abcdefgh":                   "token ******",
		"GET /secret/path/x.jar":           "GET ******",
		"at http://u:p@h/x, mail a@b":      "at http://******@h/x, mail a@b",
		"jdbc:mysql://u:p%40@h:3306/db?x=": "jdbc:mysql://******@h:3306/db?x=",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}
