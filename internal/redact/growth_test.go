package redact

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// growthCases: what a secret and what a piece of text costs.
func growthCases() []growth.Case {
	text := func(name, piece string, use func(r *Redactor, text string)) growth.Case {
		return growth.Case{Name: name, N: 500, Prepare: func(_ testing.TB, n int) func() error {
			long := strings.Repeat(piece, n)
			return func() error {
				var r Redactor
				r.Add("hunter2horse", "7q7", "it's a secret", "aaaaaaaa")
				use(&r, long)
				return nil
			}
		}}
	}
	redact := func(r *Redactor, text string) { r.Redact(text) }
	options := func(r *Redactor, text string) { r.AddEntry("env.java.opts", text); r.Value("env.java.opts", text) }
	secrets := func(name string, known func(i int) string) growth.Case {
		return growth.Case{Name: name, N: 500, Prepare: func(_ testing.TB, n int) func() error {
			return func() error {
				var r Redactor
				for i := range n { // learned one by one while lines are logged
					r.Add(known(i))
					r.Redact("a line of the log with " + known(i))
				}
				return nil
			}
		}}
	}
	return []growth.Case{
		text("text", "some words, hunter2horse, and 7q7\n", redact),
		text("urls", "http://u:p@h/x?id=1&token=2&b=3 ", redact),
		text("literals", "'password'='x','a'='b',", redact),
		text("literal-not-closed", "'password'='", redact),
		text("equals", "=", redact),
		text("parameters", "&token=x", func(r *Redactor, text string) { r.Redact("http://h/?" + text) }),
		text("assignments", "password=x ", func(_ *Redactor, text string) { Assignments(text) }),
		text("assignments-of-one-name", "=", func(_ *Redactor, text string) { Assignments("password" + text) }),
		text("assignments-in-json", `"password":"x",`, func(_ *Redactor, text string) { Assignments(text) }),
		text("assignments-not-closed", "password='", func(_ *Redactor, text string) { Assignments(text) }),
		text("one-secret-again-and-again", "aaaaaaaa", redact),
		text("options", "-Da=b -Dmy.password='c d' ", options),
		text("one-option", "a=", func(r *Redactor, text string) { options(r, "-D"+text+"password=x") }),
		text("colons", "a: b ", func(r *Redactor, text string) { options(r, text+"password: x") }),
		text("quotes", `"'`, func(_ *Redactor, text string) { Options("-Dpassword="+text+" -Db=c", nil) }),
		{Name: "arguments", N: 500, Prepare: func(_ testing.TB, n int) func() error {
			words := strings.Split(strings.Repeat("-Dmy.password='a|", n), "|")
			return func() error { Arguments(words, nil); return nil }
		}},
		secrets("secrets", func(i int) string { return fmt.Sprintf("secret-%d", i) }),
		secrets("secrets-with-signs", func(i int) string { return fmt.Sprintf(`%d's "secret"`, i) }),
		secrets("short-secrets", func(i int) string { return fmt.Sprintf("s%04x", i)[:5] }),
	}
}
