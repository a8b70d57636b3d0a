package jobdef

import (
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/growth"
)

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
		begin := growth.ProcessorTime()
		if _, err := Decode("d", []byte(document)); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
		if took := growth.ProcessorTime() - begin; took > 5*time.Second { // generous: the machine may be busy
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
