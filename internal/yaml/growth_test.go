package yaml_test

import (
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/yaml"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

func growthCases() []growth.Case {
	some := []int{10, 10_000}
	var cases []growth.Case
	for _, c := range []struct{ name, before, line, after string }{
		{"flat", "", "key-%d: value\n", ""},
		{"anchored-keys", "", "&a%d key-%d: v\n", ""},
		{"anchored-values", "", "key-%d: &a v\n", ""},
		{"aliases", "first: &a v\n", "key-%d: *a\n", ""},
		{"tagged", "", "key-%d: !!str v\n", ""},
		{"unicode", "", "ключ-%d: значение 😀\n", ""},
		{"unicode-anchored-keys", "", "&é%d ключ-%d: v\n", ""},
		{"items", "list:\n", "- item %d\n", ""},
		{"anchored-items", "list:\n", "- &a k: %d\n", ""},
		{"one-line", "{", "&a key-%d: 'v', ", "}"},
		{"one-line-unicode", "{", `"ключ-%d": ["é", {a: b}], `, "}"},
		{"one-line-list", "key: [", "%d, ", "]"},
		{"lines-in-brackets", "{", "key-%d: v,\n", "}"},
		{"block-scalars", "", "key-%d: |\n  text\n\n", ""},
		{"block-lines", "key: |\n", "  line %d\n", ""},
		{"folded-lines", "key: >\n", "  line %d\n", ""},
		{"empty-lines", "key: |+\n", "\n", ""},
		{"blank-lines", "key: |+\n", "    \n", ""},
		{"plain-lines", "key: x", "\n  line %d", ""},
		{"quoted-lines", "key: \"x", "\n  line \\t %d", "\""},
		{"escapes", "key: \"", `\u00e9\\%d`, `"`},
		{"comments", "", "# comment %d\n", "key: v\n"},
		{"tabs", "key: \"", "\t%d", "\""},
		{"sections", "", "section-%d:\n  a:\n    b: {c: d}\n", ""},
	} {
		for rules, options := range map[string]yaml.Options{"engine": yaml.FlinkOptions(), "strict": strict} {
			cases = append(cases, growth.Case{Name: c.name + "-" + rules, Sizes: some, Prepare: func(tb testing.TB, n int) func() error {
				var b strings.Builder
				b.WriteString(c.before)
				for i := range n {
					b.WriteString(strings.ReplaceAll(c.line, "%d", strconv.Itoa(i)))
				}
				b.WriteString(c.after)
				text := []byte(b.String())
				return func() error {
					document, err := yaml.Read(text, options)
					if err == nil && rules == "engine" {
						_, err = yaml.Build(document.Root)
					}
					return err
				}
			}})
		}
	}
	return cases
}

// strict are the strict rules with limits that no test reaches by accident.
var strict = yaml.Options{Strict: true, Bytes: 16 << 20, Depth: 100, Aliased: 1_000_000}
