package validate

import (
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	repeat := strings.Repeat
	for _, c := range []struct {
		text    string
		at, end int
		want    string
		marked  string // what the caret points at
		from    int    // 0: any
	}{
		{"SELECT a", 7, 8, "SELECT a", "a", 8},
		{"SELECT a", 8, 8, "SELECT a", "", 9},
		{"SELECT a", 90, 95, "SELECT a", "", 9},
		{"\ta", 1, 2, "\ta", "a", 2},
		{"\x1b[31ma\x00b", 5, 6, `\x1b[31ma\x00b`, "a", 9},
		{"\u009b1m\u202ea", 7, 8, `\u009b1m\u202ea`, "a", 15},
		{"a\xffb", 2, 3, `a\xffb`, "b", 6},
		{"中文 x", 7, 8, "中文 x", "x", 4},
		{repeat("a", 160), 5, 6, repeat("a", 160), "a", 6},
		{repeat("a", 200), 5, 6, repeat("a", 160) + "…", "a", 6},
		{repeat("a", 500) + "x" + repeat("b", 500), 500, 501, "…" + repeat("a", 80) + "x" + repeat("b", 79) + "…", "x", 82},
		{repeat("a", 500) + "x", 500, 501, "…" + repeat("a", 159) + "x", "x", 161},
		{repeat("a", 500) + repeat("x", 500), 500, 1000, "…" + repeat("a", 80) + repeat("x", 80) + "…", repeat("x", 80), 82},
		{repeat("中", 500) + "x" + repeat("中", 500), 1500, 1501, "…" + repeat("中", 40) + "x" + repeat("中", 39) + "…", "x", 42},
		{repeat("a", 200), 200, 200, "…" + repeat("a", 160), "", 162},
	} {
		shown, from, to := excerpt(c.text, c.at, c.end)
		if shown != c.want {
			t.Errorf("%.20q at %d: %q\nexpected %q", c.text, c.at, shown, c.want)
			continue
		}
		runes := []rune(shown)
		if got := string(runes[from-1 : min(to-1, len(runes))]); got != c.marked || from != c.from {
			t.Errorf("%.20q at %d: column %d is marked, %q, expected %d, %q", c.text, c.at, from, got, c.from, c.marked)
		}
	}
}

func TestShort(t *testing.T) {
	if got, want := Short("a\x1bb\nc"), `a\x1bb\x0ac`; got != want {
		t.Errorf("%q", got)
	}
	long := "first " + strings.Repeat("é", 1_000_000) + " last"
	if got := Short(long); len(got) > 2100 || !strings.HasPrefix(got, "first é") || !strings.HasSuffix(got, "é last") || !strings.Contains(got, "bytes left out") || strings.Contains(got, `\x`) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestShownLine: columns are counted in UTF-16 units, forwards and backwards.
func TestShownLine(t *testing.T) {
	line := shownLine{text: "a😀中b"}
	for _, c := range [][2]int{{1, 0}, {2, 1}, {4, 5}, {5, 8}, {2, 1}, {6, 9}, {90, 9}, {1, 0}} {
		if got := line.offset(c[0]); got != c[1] {
			t.Errorf("column %d: byte %d, expected %d", c[0], got, c[1])
		}
	}
}
