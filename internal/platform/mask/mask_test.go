package mask

import (
	"bytes"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	token := Token + strings.Repeat("aB3-_", 9)[:TokenLength]
	for text, want := range map[string]string{
		"got " + token + ", then":                       "got ******, then",
		"Authorization: Bearer abcdefgh12345678.x":      "Authorization: Bearer ******",
		"a bearer of bad news":                          "a bearer of bad news",
		"fp_short and fp_":                              "fp_short and fp_",
		"jdbc:mysql://u:p@db/x?password=hunter2 failed": "jdbc:mysql://******@db/x?password=****** failed",
		"WITH ('password' = 'hunter2')":                 "WITH ('password' = '******')",
		"s3.secret-key=hunter2":                         "s3.secret-key=******",
		"level=INFO msg=request path=/v1/jobs/" + token: "level=INFO msg=request path=/v1/jobs/******",
		"": "",
		"2026-11-27 16:00:00,000 INFO  org.apache.flink": "2026-11-27 16:00:00,000 INFO  org.apache.flink",
	} {
		if got := Text(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	line := "password=hunter2\n"
	if n, err := Writer(&b).Write([]byte(line)); n != len(line) || err != nil || b.String() != "password=******\n" {
		t.Errorf("%d %v %q", n, err, b.String())
	}
}
