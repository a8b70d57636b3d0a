package confpatch_test

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// file is a way to write n keys.
type file struct {
	name   string
	sizes  []int
	format confpatch.Format
	flink  flinkversion.Version
	text   func(n int) string
}

func growthCases() []growth.Case {
	all, some := []int(nil), []int{10, 10_000}
	files := []file{
		{"legacy", all, confpatch.Legacy, flinkversion.Of(1, 18, 0), flat},
		{"flat", all, confpatch.Standard, flinkversion.Of(2, 2, 0), flat},
		{"nested", all, confpatch.Standard, flinkversion.Of(2, 2, 0), nested},
		{"deep", some, confpatch.Standard, flinkversion.Of(2, 2, 0), oneSection},
		{"flow", some, confpatch.Standard, flinkversion.Of(2, 2, 0), flow},
		{"anchors", some, confpatch.Standard, flinkversion.Of(2, 2, 0), anchors},
		{"text", some, confpatch.Standard, flinkversion.Of(2, 2, 0), blockScalars},
	}
	var cases []growth.Case
	for _, f := range files {
		read := func(tb testing.TB, n int) func() error {
			text := []byte(f.text(n))
			return func() error {
				parsed, err := confpatch.Parse("config", f.format, f.flink, text)
				if err != nil {
					return err
				}
				if got := parsed.Conf().Len(); got < n {
					return fmt.Errorf("%d keys, expected at least %d", got, n)
				}
				parsed.ShellLines()
				parsed.Log()
				return nil
			}
		}
		render := func(changes func(n int) []confpatch.Change) func(tb testing.TB, n int) func() error {
			return func(tb testing.TB, n int) func() error {
				wanted := changes(n)
				parsed, err := confpatch.Parse("config", f.format, f.flink, []byte(f.text(n)))
				if err != nil {
					tb.Fatal(err)
				}
				return func() error { _, err := parsed.Render(wanted, "a test"); return err }
			}
		}
		again := func(tb testing.TB, n int) func() error {
			once, err := confpatch.Parse("config", f.format, f.flink, []byte(f.text(n)))
			if err != nil {
				tb.Fatal(err)
			}
			out, err := once.Render(half(n), "a test")
			if err != nil {
				tb.Fatal(err)
			}
			return func() error {
				twice, err := confpatch.Parse("config", f.format, f.flink, out)
				if err != nil {
					return err
				}
				same, err := twice.Render(half(n), "a test")
				if err == nil && string(same) != string(out) {
					err = fmt.Errorf("the second rendering differs")
				}
				return err
			}
		}
		cases = append(cases,
			growth.Case{Name: "read-" + f.name, Sizes: f.sizes, Prepare: read},
			growth.Case{Name: "render-" + f.name, Sizes: f.sizes, Prepare: render(few)},
			growth.Case{Name: "render-half-" + f.name, Sizes: f.sizes, Prepare: render(half)},
			growth.Case{Name: "render-again-" + f.name, Sizes: f.sizes, Prepare: again})
	}
	for name, text := range map[string]func(int) string{"lines": flat, "yaml": nested} {
		cases = append(cases, growth.Case{Name: "properties-" + name, Prepare: func(tb testing.TB, n int) func() error {
			text := strings.ReplaceAll(text(n), "plain", "${REGION}")
			return func() error {
				entries, _, err := confpatch.Properties(text, confpatch.Standard, flinkversion.Of(2, 2, 0), func(string) (string, bool) { return "eu", true })
				if err == nil && len(entries) != n {
					err = fmt.Errorf("%d entries, expected %d", len(entries), n)
				}
				return err
			}
		}})
	}
	return cases
}

// few changes do not depend on the file's size, as at a start without FLINK_PROPERTIES.
func few(int) []confpatch.Change {
	var changes []confpatch.Change
	for i := range 8 {
		changes = append(changes, confpatch.Change{Key: key(i), Value: secret.Public("new"), Source: "a test"})
	}
	return changes
}

// half changes every other key.
func half(n int) []confpatch.Change {
	var changes []confpatch.Change
	for i := 0; i < n; i += 2 {
		changes = append(changes, confpatch.Change{Key: key(i), Value: secret.Public("new"), Source: "a test"})
	}
	return changes
}

// key is short: Flink reads at most 3 Mi characters of a config.yaml, which 100,000 of these keys just are.
func key(i int) string { return fmt.Sprintf("s%d.g.k%d", i/10, i%10) }

func flat(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s: plain %d\n", key(i), i)
	}
	return b.String()
}

func nested(n int) string {
	var b strings.Builder
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&b, "s%d:\n  g: # ten\n", i/10)
		}
		fmt.Fprintf(&b, "    k%d: plain %d\n", i%10, i)
	}
	return b.String()
}

// oneSection holds all keys in one entry of the root.
func oneSection(n int) string {
	return "root:\n  " + strings.ReplaceAll(strings.TrimSuffix(nested(n), "\n"), "\n", "\n  ") + "\n" + flat(8)
}

func flow(n int) string {
	var b strings.Builder
	b.WriteString("{\n")
	for i := range n {
		fmt.Fprintf(&b, "%s: 'plain %d',\n", key(i), i)
	}
	return b.String() + "}\n"
}

// anchors make an entry depend on the one before it, so that changing one has it written again, and then its neighbour.
func anchors(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s: &a%d plain %d\n", key(i), i, i)
		if i > 0 {
			fmt.Fprintf(&b, "other-%d: *a%d\n", i, i-1)
		}
	}
	return b.String()
}

func blockScalars(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s: |\n  plain %d\n\n", key(i), i)
	}
	return b.String()
}
