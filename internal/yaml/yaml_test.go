package yaml_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"flink-entrypoint/internal/yaml"
)

// vectors calls f for every line of a file of pairs: a document, and what another reader makes of it.
func vectors(t testing.TB, file string, f func(document string, want any)) {
	t.Helper()
	r, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	count := 0
	for lines := bufio.NewScanner(r); lines.Scan(); count++ {
		var vector [2]any
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		f(vector[0].(string), vector[1])
	}
	if count < 600 {
		t.Errorf("%s has %d documents, want at least 600", file, count)
	}
}

// engine reads a document as snakeyaml-engine does: the text that Flink makes of the value, or the exception.
func engine(document string) string {
	var value *yaml.Value
	d, err := yaml.Read([]byte(document), yaml.FlinkOptions())
	if err == nil && d.Root != nil {
		value, err = yaml.Build(d.Root)
	}
	if e := (*yaml.Error)(nil); errors.As(err, &e) {
		return "E" + e.Java.Class + ": " + e.Java.Message
	}
	if value == nil {
		return "Vnull"
	}
	return "V" + yaml.Dump(value)
}

// TestAgainstFlink reads generated documents of all styles and their mutations. Each line has a document and what
// Flink 2.2.1 says: V and YamlParserUtils.toYAMLString of the value that convertToObject gives, or E and the exception.
func TestAgainstFlink(t *testing.T) {
	vectors(t, "flink.jsonl", func(document string, want any) {
		if got := engine(document); got != want {
			t.Errorf("%q:\n got %q\nwant %q", document, got, want)
		}
	})
}

// readStrict reads a document by the strict rules.
func readStrict(document string) (*yaml.Node, error) {
	d, err := yaml.Read([]byte(document), strict)
	if err != nil {
		return nil, err
	}
	return d.Root, nil
}

// plainValue turns a node into what testdata/pyyaml.jsonl holds: ["map", key, value, ...], ["seq", item, ...], or text.
func plainValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		v := []any{"map"}
		for _, p := range n.Pairs {
			v = append(v, p.Key.Text, plainValue(p.Value))
		}
		return v
	case yaml.SequenceNode:
		v := []any{"seq"}
		for _, e := range n.Items {
			v = append(v, plainValue(e))
		}
		return v
	}
	return n.Text
}

// TestAgainstPyYAML reads 1,100 generated documents, all styles of scalars and collections, as PyYAML 6.0.3 (the
// reader of libyaml) composes them. Each line: the document, what it holds.
func TestAgainstPyYAML(t *testing.T) {
	vectors(t, "pyyaml.jsonl", func(document string, want any) {
		for _, form := range []string{document, strings.ReplaceAll(document, "\n", "\r\n"), "\uFEFF" + document} {
			n, err := readStrict(form)
			var got any
			switch {
			case err != nil:
				got = err.Error()
			case n == nil || n.Tag == yaml.TagNull:
				got = want
			default:
				got = plainValue(n)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q:\n got %q\nwant %q", form, got, want)
			}
		}
	})
}

func TestScalars(t *testing.T) {
	for _, c := range []struct{ document, want string }{
		{"0001", "0001"}, {"1.20", "1.20"}, {"3.1.3", "3.1.3"}, {"0x10", "0x10"}, {"1e3", "1e3"}, {"yes", "yes"},
		{"2026-01-01", "2026-01-01"}, {"1_000", "1_000"}, {"zk:2181,zk2:2181", "zk:2181,zk2:2181"}, {"-Dx=1 -Dy='2'", "-Dx=1 -Dy='2'"},
		{"a\tb", "a\tb"}, {"a#b", "a#b"}, {"a b # c", "a b"}, {"a:b", "a:b"}, {"'it''s'", "it's"}, {`"a\tb\u00e9\x41\U0001F600\/"`, "a\tbéA😀/"},
		{`"\ud83d\ude00"`, "😀"}, {"\"a\n  b\n\n  c\\\n  d\\  \n  e\"", "a b\ncd  e"}, {"'a\n  b'", "a b"},
		{"|\n  a\n   b\n\n  c\n", "a\n b\n\nc\n"}, {"|-\n  a\n\n", "a"}, {"|+\n  a\n\n", "a\n\n"}, {">\n  a\n  b\n\n  c\n   d\n  e\n", "a b\nc\n d\ne\n"},
		{"|2\n    a\n  b\n", "  a\nb\n"}, {"|\n  a\t\n  \tb  \n", "a\t\n\tb  \n"}, {"|\n  a # b\n  # c\n# d\n", "a # b\n# c\n"},
		{"|\n  a\n  \n  b", "a\n\nb"}, {"|\n\n\n  a", "\n\na"}, {"!!str null", "null"}, {"&x a", "a"}, {"a\n  b\n  c", "a b c"},
	} {
		n, err := readStrict("k: " + c.document)
		if err != nil {
			t.Errorf("%q: %v", c.document, err)
		} else if got := n.Get("k").Text; got != c.want {
			t.Errorf("%q is %q, want %q", c.document, got, c.want)
		}
	}
}

// TestFlowScalars holds what libraries get wrong: a colon without a blank inside brackets.
func TestFlowScalars(t *testing.T) {
	n, err := readStrict(`{q: zk:2181, l: [zk:2181, "a":b, http://x/?a=b, {c:d}], "e":1}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"map", "q", "zk:2181", "l", []any{"seq", "zk:2181", []any{"map", "a", "b"}, "http://x/?a=b", []any{"map", "c:d", ""}}, "e", "1"}
	if got := plainValue(n); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestRules holds what the two sets of rules disagree on (see Options.Strict): what Flink says, and what is strict.
func TestRules(t *testing.T) {
	const engineError = "Eorg.snakeyaml.engine.v2.exceptions."
	long := strings.Repeat("k", 1100)
	for _, c := range []struct{ name, document, engine, strict string }{
		{"key of a list", "? [a]\n: b", "V{? [a] : b}", "1:1 keys must be strings on one line"},
		{"merge key", "<<: {a: b}", "V{<<: {a: b}}", "1:1 merge keys (<<) are not supported"},
		{"long key", long + ": v", engineError + "YamlEngineException: mapping values are not allowed here", `["map" "` + long + `" "v"]`},
		{"key twice", "a: 1\na: 2", engineError + "YamlEngineException: while constructing a mapping", `["map" "a" "1" "a" "2"]`},
		{"tag", "a: !!int 1", "V{a: 1}", "1:4 a tag"},
		{"tag of a string", "a: !!str 1", "V{a: '1'}", `["map" "a" "1"]`},
		{"directive", "%YAML 1.2\na: 1", engineError + "YamlEngineException: expected '<document start>'", `["map" "a" "1"]`},
		{"name of an anchor", "a: &x.y 1\nb: *x.y", engineError + "YamlEngineException: while scanning an anchor", `["map" "a" "1" "b" "1"]`},
		{"cycle", "a: &x [*x]", "V{a: &id001 [*id001]}", "1:8 an alias without its anchor"},
		{"tab after a colon", "a:\tb", engineError + "YamlEngineException: while scanning for the next token", `["map" "a" "b"]`},
		{"tab in indentation", "a:\n\tb: c", engineError + "YamlEngineException: while scanning for the next token", "2:1 a tab cannot indent"},
		{"number sign", `a: "b"#c`, "V{a: b}", "1:7 unexpected text after the value"},
		{"colon in brackets", "[:x]", engineError + "YamlEngineException: while parsing a flow node", `["seq" ":x"]`},
		{"separator in brackets", "[a,\n---\n]", engineError + "YamlEngineException: while parsing a flow node", `["seq" "a" "---"]`},
		{"separator with text", "a: b\n---c", engineError + "YamlEngineException: while scanning a simple key", "2:1 expected a key and a colon"},
		{"key on the separator's line", "--- a: b", engineError + "YamlEngineException: mapping values are not allowed here", `["map" "a" "b"]`},
		{"deep empty line", "a:\n  b: |\n      \nc: d", engineError + "YamlEngineException: while scanning a block scalar", `["map" "a" ["map" "b" ""] "c" "d"]`},
		{"half a pair", `a: "\ud83d"`, `V{a: "\ud83d"}`, "1:5 half a surrogate pair"},
		{"character", "a: \u007f", engineError + "ReaderException: special characters are not allowed", `["map" "a" "\x7f"]`},
		{"line separator", "a: 'b\u2028c'", "V{a: \"b\\Lc\"}", `["map" "a" "b\u2028c"]`},
		{"UTF-16", "\xff\xfea\x00", "Va", "1:1 the document is not UTF-8"},
		{"first of two errors", "a: 'b\nc: \u0001", engineError + "ReaderException: special characters are not allowed", "2:4 control character U+0001"},
		{"two anchors", "a: &x &y b", engineError + "YamlEngineException: while parsing a block mapping", "1:7 too many anchors or tags"},
	} {
		if got := engine(c.document); got != c.engine && !(strings.HasPrefix(got, c.engine) && strings.HasPrefix(c.engine, "E")) {
			t.Errorf("%s, engine:\n got %q\nwant %q", c.name, got, c.engine)
		}
		if got := strictText(c.document); got != c.strict {
			t.Errorf("%s, strict:\n got %q\nwant %q", c.name, got, c.strict)
		}
	}
}

// strictText is what the strict rules make of a document.
func strictText(document string) string {
	n, err := readStrict(document)
	if e := (*yaml.Error)(nil); errors.As(err, &e) {
		return fmt.Sprintf("%d:%d %s", e.Mark.Line+1, e.Mark.Column+1, e.Reason)
	}
	return fmt.Sprintf("%q", plainValue(n))
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  yaml.Options
		fits     string
		too      string
		reason   string
		position string
	}{
		{"bytes", yaml.Options{Strict: true, Depth: 9, Bytes: 1 << 20}, "a: b", strings.Repeat("#", 1<<20+1), "the document is larger than 1 MiB", "1:1"},
		{"code points", yaml.Options{Depth: 9, CodePoints: 8}, "a: b\nc:", "a: '456789'\nb: c", "The incoming YAML document exceeds the limit: 8 code points.", "1:12"},
		{"depth", yaml.Options{Strict: true, Depth: 3}, "a: [b]", "a: [[b]]", "more than 3 levels of nesting", "1:6"},
		{"depth of the engine", yaml.Options{Depth: 3}, "[[a]]", "[[[a]]]", "nested too deeply", "1:8"},
		{"aliases of collections", yaml.Options{Depth: 9, Aliases: 1}, "a: &x [b]\nc: *x", "a: &x [b]\nc: [*x, *x]", "Number of aliases for non-scalar nodes exceeds the specified max=1", "2:9"},
		{"what aliases add", yaml.Options{Strict: true, Depth: 9, Aliased: 3}, "a: &x [b, c]\nd: *x", "a: &x [b, c]\nd: [*x, *x]", "aliases add more than 3 values", "2:9"},
	} {
		if _, err := yaml.Read([]byte(c.fits), c.options); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err := yaml.Read([]byte(c.too), c.options)
		e := (*yaml.Error)(nil)
		if !errors.As(err, &e) || e.Reason != c.reason || fmt.Sprintf("%d:%d", e.Mark.Line+1, e.Mark.Column+1) != c.position {
			t.Errorf("%s: %+v, want %s at %s", c.name, *e, c.reason, c.position)
		}
	}
}

// TestHalfPairsInLists: a list becomes text by snakeyaml's Emitter, which joins half a surrogate pair with whatever follows.
func TestHalfPairsInLists(t *testing.T) {
	for in, want := range map[string]string{
		`\ud800  `:     `["␠  "]`,                  // not a pair: both characters stay
		`\ud83dx`:      "[\"\U00011878\"]",         // a pair: x is gone
		`\udbff\ue000`: `["\U00110000"]`,           // no character of Unicode
		`\ud83d`:       `["\ud83d"]`,               // nothing follows
		`\ud83d\ude00`: "[😀]",                      // whole
		`x\ud83d😀`:     "[\"x\U0001F03D\\ude00\"]", // the first half of a pair is taken
	} {
		if got := engine(`["` + in + `"]`); got != "V"+want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// TestPlaces: line, column and offset of every node and entry agree, and a node is in its collection.
func TestPlaces(t *testing.T) {
	check := func(document string, _ any) {
		for _, o := range []yaml.Options{yaml.FlinkOptions(), strict} {
			if d, err := yaml.Read([]byte(document), o); err == nil {
				checkPlaces(t, d)
			}
		}
	}
	vectors(t, "flink.jsonl", check)
	vectors(t, "pyyaml.jsonl", check)
}

func checkPlaces(t *testing.T, d *yaml.Document) {
	t.Helper()
	if d.Root == nil {
		return
	}
	place := func(what string, m yaml.Mark) {
		before := d.Text[:m.Offset]
		if !strings.ContainsAny(before, "\r\uFEFF") {
			line := strings.LastIndexByte(before, '\n') + 1
			if m.Line != strings.Count(before, "\n") || m.Column != utf8.RuneCountInString(before[line:]) || m.Index != utf8.RuneCountInString(before) {
				t.Errorf("%q: %s is at %+v", d.Text, what, m)
			}
		}
	}
	seen := map[*yaml.Node]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if seen[n] { // an alias
			return
		}
		seen[n] = true
		place("a node", n.Start)
		place("a value", n.Content)
		if n.End < n.Start.Offset || n.End > len(d.Text) {
			t.Errorf("%q: a node from %d to %d", d.Text, n.Start.Offset, n.End)
		}
		for _, item := range n.Items {
			walk(item)
		}
		for _, p := range n.Pairs {
			place("an entry", p.Start)
			if p.Start.Offset < n.Start.Offset || p.End > n.End {
				t.Errorf("%q: an entry from %d to %d in a node from %d to %d", d.Text, p.Start.Offset, p.End, n.Start.Offset, n.End)
			}
			walk(p.Key)
			walk(p.Value)
		}
	}
	walk(d.Root)
}

// FuzzRead gives any bytes to both sets of rules. An error has a reason and a place in the document; what was read has
// consistent places, and a value reads again from the text that Flink makes of it.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"flink.jsonl", "pyyaml.jsonl"} {
		n := 0
		vectors(f, file, func(document string, _ any) {
			if n++; n%10 == 0 {
				f.Add([]byte(document))
			}
		})
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, o := range []yaml.Options{yaml.FlinkOptions(), strict} {
			d, err := yaml.Read(src, o)
			if err == nil {
				checkPlaces(t, d)
				if o.Strict || d.Root == nil {
					continue
				}
				var v *yaml.Value
				if v, err = yaml.Build(d.Root); err == nil {
					text := yaml.Dump(&yaml.Value{Kind: yaml.ListValue, Items: []*yaml.Value{v}})
					if again := engine(text); again != "V"+text && !strings.ContainsAny(text, "&*") && !strings.Contains(again, "duplicate key") && !bytes.Contains(bytes.ToLower(src), []byte(`\u`)) { // half a pair is damaged, 0 is long or short
						t.Errorf("%q is %q, then %q", src, text, again)
					}
					continue
				}
			}
			var e *yaml.Error
			if !errors.As(err, &e) || e.Reason == "" || !o.Strict && e.Java == nil || o.Strict && e.Fault == yaml.OtherFault {
				t.Fatalf("%q: %#v", src, err)
			}
			if e.Mark.Offset > len(src)*3 || e.Mark.Line > len(src) {
				t.Errorf("%q: %+v", src, e)
			}
		}
	})
}
