package redact

import "testing"

// TestAssignments: a line of another program's log is shown without the values that it gives to sensitive names.
func TestAssignments(t *testing.T) {
	for text, want := range map[string]string{
		"user=ann password=hunter2 x=1":                    "user=ann password=****** x=1",
		"-Djavax.net.ssl.keyStorePassword=hunter2, more":   "-Djavax.net.ssl.keyStorePassword=******, more",
		`Config{password="a \" b", url=x}`:                 `Config{password="******", url=x}`,
		"token='a b' c":                                    "token='******' c",
		`{"s3.secret-key": "abc", "n": 1, "password":"p"}`: `{"s3.secret-key": "******", "n": 1, "password":"******"}`,
		"Encountered token = ')' at line 3":                "Encountered token = ')' at line 3",
		"Unexpected token: ')'":                            "Unexpected token: ')'",
		"password=****** x":                                "password=****** x",
		"password==":                                       "password==",
		"password=":                                        "password=",
		"PASSWORD=x\npassword='never closed\nnext=1":       "PASSWORD=******\npassword='******\nnext=1",
		`secret="`:                              `secret="`,
		"a = b, no name here":                   "a = b, no name here",
		"api-key=k1;token=k2&secret=k3)":        "api-key=******;token=******&secret=******)",
		"password=caf\u00e9\u2026 done":         "password=****** done",
		`{"a":{"password" : "x"}}`:              `{"a":{"password" : "******"}}`,
		`msg="got password=\"a b\" here" n=1`:   `msg="got password=\"******\" here" n=1`,
		`msg="got password=\"a b" n=1`:          `msg="got password=\"******" n=1`,
		`error="with \"password\": \"a b\", x"`: `error="with \"password\": \"******\", x"`,
		`"password": 12`:                        `"password": 12`,
	} {
		got := Assignments(text)
		if got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
		if again := Assignments(got); again != got {
			t.Errorf("%s becomes %s when it is masked again", got, again)
		}
	}
}
