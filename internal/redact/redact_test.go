package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"-Xmx1g -Da=b":                          "-Xmx1g -Da=b",
		"-Dpassword=x -Da=b":                    "-Dpassword=****** -Da=b",
		`-Dmy.password="a b" -Da=b`:             `-Dmy.password=****** -Da=b`,
		`-Dmy.password='a b'"c d"\ e  -Da`:      `-Dmy.password=******  -Da`,
		`"-Dmy.password=a b" -Da=b`:             `"-Dmy.password=****** -Da=b`,
		"-javaagent:a.jar=user=u,password=x -v": "-javaagent:a.jar=user=u,password=****** -v",
		"-Dlog.file=/opt/secret/x.log":          "-Dlog.file=/opt/secret/x.log",

		`-Djavax.net.ssl.keyStorePassword='a b' -Djavax.net.ssl.trustStorePassword="c d" -Dx=1`: `-Djavax.net.ssl.keyStorePassword=****** -Djavax.net.ssl.trustStorePassword=****** -Dx=1`,
		`-Dmy.secret="it's \"a\" b" -Dx=1`:  `-Dmy.secret=****** -Dx=1`,
		`-Dmy.secret='it'"'"'s a' -Dx=1`:    `-Dmy.secret=****** -Dx=1`,
		`-Dmy.secret=a\ b\'c\"d -Dx=1`:      `-Dmy.secret=****** -Dx=1`,
		`-Dmy.secret='not closed -Dx=1`:     `-Dmy.secret=******`,
		`-Dmy.secret="not closed\" -Dx=1`:   `-Dmy.secret=******`,
		`-Dmy.secret=$'a b' -Dx=1`:          `-Dmy.secret=****** -Dx=1`,
		`'-Dmy.secret=a b' -Dx=1`:           `'-Dmy.secret=****** -Dx=1`,
		`-Dx="a my.secret=b c" -Dy=1`:       `-Dx="a my.secret=****** -Dy=1`,
		`-Da=b=c=d -Dmy.token==x -De`:       `-Da=b=c=d -Dmy.token=****** -De`,
		"-DPASSWORD=x -Dmy.Api-Key=y":       "-DPASSWORD=****** -Dmy.Api-Key=******",
		"-Dpassword=":                       "-Dpassword=******",
		"-Dpassword":                        "-Dpassword",
		"abc s3.secret-key: x y":            "abc s3.secret-key: ******",
		`abc\n s3.secret-key: x`:            `abc\n s3.secret-key: ******`,
		`{"user":"u","password":"x","b":1}`: `{"user":"u","password":******`,
		"secret:8020,token:8021":            "secret:8020,token:8021", // hosts and ports
		"hdfs://secret:8020/x":              "hdfs://secret:8020/x",
		"the token: ":                       "the token: ",
	} {
		if got := Options(text, nil); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	var r Redactor
	r.Add("it's \"x\"", "hive", "line one\nline two\n", "a<b>c&d/e")
	r.Add("one-two-three", "three-four-five", "five-six")
	r.AddHeader("Authorization: Bearer abcdefgh")
	r.AddURI("http://host/secret/path/x.jar?a=1", "http://host/secret/path/x.jar?a=1")
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

// TestShortSecrets: one of fewer than six bytes was shown wherever no key said that it is one.
func TestShortSecrets(t *testing.T) {
	var r Redactor
	r.Add("hive", "4711", "p'w", "7q7", "a", "1", "42", "true")
	for text, want := range map[string]string{
		"hive":                             "******",
		`found "hive", expected a size`:    `found "******", expected a size`,
		"'hive' is not known":              "'******' is not known",
		"USE CATALOG `hive`":               "USE CATALOG `******`",
		"name=hive uri=x":                  "name=****** uri=x",
		"-Dx=4711":                         "-Dx=******",
		"k=hive,b=4711;c":                  "k=******,b=******;c",
		"/opt/hive/conf":                   "/opt/hive/conf",
		"hive-site.xml":                    "hive-site.xml",
		"port 4711, 47110 of 4711":         "port 4711, 47110 of 4711",
		`"hives"`:                          `"hives"`,
		"x=hivex":                          "x=hivex",
		"found 7q7, expected a size":       "found ******, expected a size", // no word and no number: masked as a word
		"in /x/7q7/y, 7q7: 7q77":           "in /x/******/y, ******: 7q77",
		"p'w: unbalanced":                  "******: unbalanced",
		"a letter and 1 number are true":   "a letter and 1 number are true", // such secrets would leave no text readable
		"1":                                "1",
		"rest.flamegraph.enabled=true":     "rest.flamegraph.enabled=true",
		"parallelism.default=1 slots='42'": "parallelism.default=1 slots='42'",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
	r.AddURI("abc", "abc")
	if got, want := r.Redact("cannot fetch abc: no such file /run/abc, abcd"), "cannot fetch ******: no such file /run/******, abcd"; got != want {
		t.Errorf("a short URI: %s, want %s", got, want)
	}
	if got := r.Value("my.password", "1"); got != "******" {
		t.Errorf("a sensitive key shows %s: what is not looked for in text is masked at its own place", got)
	}
}

// TestOddSecrets: digits, one letter, several lines, characters of regular expressions, and secrets that overlap.
func TestOddSecrets(t *testing.T) {
	for _, c := range []struct {
		name       string
		secrets    []string
		text, want string
	}{
		{"digits", []string{"20260101"}, `attempts 20260101 "20260101" x20260101y`, `attempts ****** "******" x******y`},
		{"pattern", []string{`.*[a-z]+\d$`, "(?i)^secret|"}, `a .*[a-z]+\d$ b ".*[a-z]+\\d$" (?i)^secret| abc1`, `a ****** b "******" ****** abc1`},
		{"format verbs", []string{"%s%d%!x(MISSING)"}, "got %s%d%!x(MISSING)", "got ******"},
		{"a secret that begins with another", []string{"abcdefgh", "abcdefghijkl"}, "abcdefgh abcdefghijkl abcdefghij", "****** ****** ******ij"},
		{"a secret inside another", []string{"cdefgh", "abcdefghij"}, "abcdefghij cdefgh", "****** ******"},
		{"one follows another", []string{"abcdefgh", "efghijkl"}, "abcdefghijkl", "******"},
		{"PEM", []string{"-----BEGIN KEY-----\r\nMIIEvQ+/aa\r\nxyz123/+bb==\r\n-----END KEY-----\r\n"}, "line 2: MIIEvQ+/aa, line 3: xyz123/+bb==", "line 2: ******, line 3: ******"},
		{"PEM in one line", []string{`-----BEGIN KEY-----\nMIIEvQ+/aa\nxyz123/+bb==\n-----END KEY-----`}, "line 2: MIIEvQ+/aa", "line 2: ******"},
		{"PEM as JSON", []string{"MIIEvQ+/aa\nxyz123/+bb=="}, `{"key":"MIIEvQ+/aa\nxyz123/+bb=="}`, `{"key":"******"}`},
		{"case", []string{"Tok-Hunter2"}, "unsupported scheme \"tok-hunter2\", TOK-HUNTER2", "unsupported scheme \"******\", ******"},
		{"percent in small letters", []string{"a/b+c d#e"}, "a%2fb%2bc+d%23e a%2Fb%2Bc%20d%23e", "****** ******"},
		{"Basic", []string{"user:hunter2horse"}, "Basic dXNlcjpodW50ZXIyaG9yc2U=", "Basic ******"},
		{"quoted twice", []string{`p"a\ss'w`}, `"{\"x\":\"p\\\"a\\\\ss'w\"}"`, `"{\"x\":\"******\"}"`},
		{"shell", []string{"it's secret"}, `'it'\''s secret' 'it'"'"'s secret'`, `'******' '******'`},
		{"beyond ASCII", []string{"pässwörd"}, "pässwörd p\u00e4ssw\u00f6rd " + `p\u00e4ssw\u00f6rd p%C3%A4ssw%C3%B6rd`, "****** ****** ****** ******"},
		{"the mask itself", []string{"******", "***"}, "a ****** b *** c", "a ****** b *** c"},
		{"nothing", []string{"", " ", "\n"}, "a  b\n", "a  b\n"},
	} {
		var r Redactor
		r.Add(c.secrets...)
		got := r.Redact(c.text)
		if got != c.want {
			t.Errorf("%s: %s becomes %s, want %s", c.name, c.text, got, c.want)
		}
		if again := r.Redact(got); again != got {
			t.Errorf("%s: %s becomes %s when it is redacted again", c.name, got, again)
		}
	}
}

// TestURLsInText: the values of a URL's query were shown in texts that are not about fetching, a JDBC URL's password among them.
func TestURLsInText(t *testing.T) {
	var r Redactor
	for text, want := range map[string]string{
		"cannot fetch http://h/x?token=abc: it is not there (http://h/?sig=abc).": "cannot fetch http://h/x?token=******: it is not there (http://h/?sig=******).",
		"at http://h/x?id=7&token=abc&v=1, then":                                  "at http://h/x?id=7&token=******&v=1, then",
		`found ["http://u:p@h/?X-Amz-Signature=ff&sig=a%2Fb#y"]`:                  `found ["http://******@h/?X-Amz-Signature=******&sig=******#y"]`,
		"jdbc:mysql://db:3306/x?user=u&password=p w":                              "jdbc:mysql://db:3306/x?user=u&password=****** w",
		"'url'='jdbc:mysql://db/x?password=p'":                                    "'url'='jdbc:mysql://db/x?password=******'",
		"https://h/#access_token=1&a=b":                                           "https://h/#access_token=******&a=b",
		"http://a:b@c http://d:e@f?pwd=g http://h/?key= http://":                  "http://******@c http://******@f?pwd=****** http://h/?key= http://",
		"http://h/a?b http://u@h/c?x&token=1":                                     "http://h/a?b http://******@h/c?x&token=******",
		"s3://bucket/key?x=1 is not a secret, nor is a?token=1 without URL":       "s3://bucket/key?x=1 is not a secret, nor is a?token=1 without URL",
	} {
		got := r.Redact(text)
		if got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
		if again := r.Redact(got); again != got {
			t.Errorf("%s becomes %s when it is redacted again", got, again)
		}
	}
}

// TestLiterals: the value of a sensitive option in SQL is masked whatever it is.
func TestLiterals(t *testing.T) {
	var r Redactor
	for text, want := range map[string]string{
		"WITH ('a'='1', 'password'='1')":             "WITH ('a'='1', 'password'='******')",
		"'my.secret' = 'it''s' , 'b' = 'c'":          "'my.secret' = '******' , 'b' = 'c'",
		"'api-key'\n  =\n  'true'":                   "'api-key'\n  =\n  '******'",
		"SET 'table.token' = 'x';SET 'a' = 'token';": "SET 'table.token' = '******';SET 'a' = 'token';",
		"'password'='','a'='b'":                      "'password'='','a'='b'",
		"'password'='not closed":                     "'password'='******",
		"'password'='a'='b'":                         "'password'='******'='b'",
		"'password'='******'":                        "'password'='******'",
		"password = 'x' AND a = 'token'":             "password = 'x' AND a = 'token'", // a column
		"'password' = x":                             "'password' = x",
		"==='='='":                                   "==='='='",
	} {
		got := r.Redact(text)
		if got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
		if again := r.Redact(got); again != got {
			t.Errorf("%s becomes %s when it is redacted again", got, again)
		}
	}
}

// TestStrings: a secret of digits in the text of a log line made its numbers unreadable ("bytes":******).
func TestStrings(t *testing.T) {
	type inner struct {
		Name  string `json:"name"`
		Bytes int64  `json:"bytes"`
	}
	type outer struct {
		Inner  inner             `json:"inner"`
		List   []string          `json:"list"`
		Pieces []inner           `json:"pieces"`
		Map    map[string]string `json:"map"`
		Any    any               `json:"any"`
		Point  *string           `json:"point"`
		Nil    *inner            `json:"nil"`
		hidden string
	}
	var r Redactor
	r.Add("123456")
	text := "x123456"
	v := outer{inner{"a 123456 b", 123456}, []string{"123456", "b"}, []inner{{"123456", 1234567}}, map[string]string{"123456": "123456"},
		map[string]any{"a": []any{"123456", 123456, 123456.5, true, nil, map[string]inner{"k": {"123456", 123456}}}}, &text, nil, "123456"}
	r.Strings(&v)
	got, err := json.Marshal(v)
	want := `{"inner":{"name":"a ****** b","bytes":123456},"list":["******","b"],"pieces":[{"name":"******","bytes":1234567}],"map":{"123456":"******"},` +
		`"any":{"a":["******",123456,123456.5,true,null,{"k":{"name":"******","bytes":123456}}]},"point":"x******","nil":null}`
	if err != nil || string(got) != want || v.hidden != "123456" {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
}

// TestEntries: values that no key marks were shown in messages: the password of a JDBC URL, a second key on the same line.
func TestEntries(t *testing.T) {
	for _, c := range []struct{ key, value, text, want string }{
		{"s3.session-token", "abcdefgh", "got abcdefgh", "got ******"}, // Flink 1.16 would show it
		{"my.url", "jdbc:mysql://h/db?user=u&password=hunter2x&ssl=true", "cannot log in with hunter2x", "cannot log in with ******"},
		{"s3.access-key", "abc s3.secret-key: hunter2x", "hunter2x", "******"},
		{"env.java.opts.all", `-Da=1 -Dx.keyStorePassword='pass word' -Db=2`, "-Dx.keyStorePassword=pass word", "-Dx.keyStorePassword=******"},
		{"env.java.opts.all", `"-Da=1 -Dx.keyStorePassword='pass word'"`, "pass word", "******"},
		{"plain", "a=b: c", "a=b: c", "a=b: c"},
	} {
		var r Redactor
		r.AddEntry(c.key, c.value)
		if got := r.Redact(c.text); got != c.want {
			t.Errorf("%s: %s becomes %s, want %s", c.key, c.text, got, c.want)
		}
		if got := r.Value(c.key, c.value); strings.Contains(got, "hunter") || strings.Contains(got, "word'") || strings.Contains(got, "abcdef") {
			t.Errorf("%s is shown as %s", c.key, got)
		}
	}
}

// TestArgumentsSplitAtBlanks: Flink's scripts split -Dx.keyStorePassword='pass word' into two words, and the second was shown.
func TestArgumentsSplitAtBlanks(t *testing.T) {
	for _, row := range [][2]string{
		{"java|-Dx.keyStorePassword='pass|word'|-Dy=1", "java|-Dx.keyStorePassword=******|******|-Dy=1"},
		{`java|-Dx.password="a|b|c"|d`, "java|-Dx.password=******|******|******|d"},
		{`java|"-Dx.password=a|b"|d`, `java|"-Dx.password=******|******|d`},
		{`java|-Dx.password=a\|b|d`, "java|-Dx.password=******|******|d"},
		{`java|-Dx.password='it|"is"|so'|d`, "java|-Dx.password=******|******|******|d"},
		{"java|-Dx.password='whole'|d", "java|-Dx.password=******|d"},
		{"java|--password|'a|b'|d", "java|--password|******|******|d"},
		{"java|-Da='b|c'|d", "java|-Da='b|c'|d"},
		{`java|-Dx.password="a|-b|c"|-d`, "java|-Dx.password=******|******|******|-d"},
		// Where no later word closes the quote, the value ends at the next option: the apostrophe may be a part of the password.
		{"java|-Dx.password=it's|-Dy=1|-classpath|a:b|Main", "java|-Dx.password=******|-Dy=1|-classpath|a:b|Main"},
		{"java|-Dx.password='it|is|-Dy=1|Main", "java|-Dx.password=******|******|-Dy=1|Main"},
		{"java|-Dx.password='it|is", "java|-Dx.password=******|******"},
		{"java|-Dx.password=a|--secret|b|--token|-c", "java|-Dx.password=******|--secret|******|--token|-c"},
		// An error message must be able to name the file that holds the secret.
		{"x|--events-token-file|/run/never|--events-token-file=/run/never|--token|b", "x|--events-token-file|/run/never|--events-token-file=/run/never|--token|******"},
	} {
		var found []string
		got := strings.Join(Arguments(strings.Split(row[0], "|"), func(_, hidden string) { found = append(found, hidden) }), "|")
		if got != row[1] || len(found) == strings.Count(row[1], "never") && strings.Contains(row[1], "*") {
			t.Errorf("%s is shown as %s, want %s (hidden: %q)", row[0], got, row[1], found)
		}
	}
}
