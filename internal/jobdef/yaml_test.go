package jobdef

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// plainValue turns a node into what testdata/pyyaml.jsonl holds: ["map", key, value, ...], ["seq", item, ...], or text.
func plainValue(n *node) any {
	switch n.kind {
	case mappingKind:
		v := []any{"map"}
		for _, p := range n.pairs {
			v = append(v, p.key, plainValue(p.value))
		}
		return v
	case sequenceKind:
		v := []any{"seq"}
		for _, e := range n.items {
			v = append(v, plainValue(e))
		}
		return v
	}
	return n.text
}

// TestAgainstPyYAML reads 1,100 generated documents, all styles of scalars and collections, as PyYAML 6.0.3 (the
// reader of libyaml) composes them. Each line: the document, what it holds.
func TestAgainstPyYAML(t *testing.T) {
	f, err := os.Open("testdata/pyyaml.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	count := 0
	for lines.Scan() {
		var vector [2]any
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		document, want := vector[0].(string), vector[1]
		for _, form := range []string{document, strings.ReplaceAll(document, "\n", "\r\n"), "\uFEFF" + document} {
			n, problem := read([]byte(form))
			var got any
			switch {
			case problem != nil:
				got = problem.Message
			case n == nil:
				got = want // a null document
			default:
				got = plainValue(n)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q:\n got %q\nwant %q", form, got, want)
			}
		}
		count++
	}
	if count < 1000 {
		t.Errorf("%d documents, want at least 1000", count)
	}
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
		n, problem := read([]byte("k: " + c.document))
		if problem != nil {
			t.Errorf("%q: %v", c.document, problem)
		} else if got := n.get("k").text; got != c.want {
			t.Errorf("%q is %q, want %q", c.document, got, c.want)
		}
	}
}

// TestFlowScalars holds what libraries get wrong: a colon without a blank inside brackets.
func TestFlowScalars(t *testing.T) {
	n, problem := read([]byte(`{q: zk:2181, l: [zk:2181, "a":b, http://x/?a=b, {c:d}], "e":1}`))
	if problem != nil {
		t.Fatal(problem)
	}
	want := []any{"map", "q", "zk:2181", "l", []any{"seq", "zk:2181", []any{"map", "a", "b"}, "http://x/?a=b", []any{"map", "c:d", ""}}, "e", "1"}
	if got := plainValue(n); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestHostile gives documents that are made to hurt: each must end quickly and without a panic.
func TestHostile(t *testing.T) {
	const n = 100_000
	nested := func(open, middle string) string { return strings.Repeat(open, n) + middle }
	bomb := "x: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
	for i := 1; i < 10; i++ {
		before, this := string(rune('0'+i-1)), string(rune('0'+i))
		bomb += "y" + this + ": &a" + this + " [" + strings.Repeat("*a"+before+",", 10) + "]\n"
	}
	documents := map[string]string{
		"brackets": nested("[", ""), "braces": nested("{a: ", ""), "dashes": nested("- ", "a"), "keys": nested("? ", "a"),
		"tags": nested("!!str ", "a"), "anchors": nested("&a ", "a"), "alias bomb": bomb, "colons": nested(":", ""),
		"indentation": indented(2000), "quote": "a: \"" + strings.Repeat("x\\\n", n), "tabs": "a: \"" + strings.Repeat("\tx", n) + "\"",
		"nulls": strings.Repeat("a:\n", n), "unknown fields": unknownFields(n), "one line": "{" + strings.Repeat("&a k: v, ", n) + "}",
		"anchored keys": strings.Repeat("- &a k: v\n", n), "backslashes": "a: " + nested(`\`, ""), "comments": nested("# c\n", "a"), "invalid": "\xff\xfe",
		"blank lines": "a: |\n" + nested("\n", ""), "folded": "a: >\n" + nested("  x\n", ""), "plain lines": "a: x" + nested("\n  x", ""),
	}
	for name, document := range documents {
		begin := time.Now()
		if _, err := Decode("d", []byte(document)); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
		if took := time.Since(begin); took > 5*time.Second { // generous: the machine may be busy
			t.Errorf("%s: %v for %d bytes", name, took, len(document))
		}
	}
	if _, problem := read([]byte(bomb)); problem == nil || !strings.Contains(problem.Message, "aliases add more than") {
		t.Errorf("alias bomb: %v", problem)
	}
	if _, problem := read(make([]byte, MaxSize+1)); problem == nil || !strings.Contains(problem.Message, "larger than 16 MiB") {
		t.Errorf("large document: %v", problem)
	}
}

func indented(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func unknownFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("field" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": 1\n")
	}
	return b.String()
}
