package flinkconf

import (
	"slices"
	"testing"
)

// TestList: items that the reader would act on are in quotes.
func TestList(t *testing.T) {
	for _, tt := range []struct {
		items []string
		want  string
	}{
		{nil, ""}, {[]string{"a"}, "a"}, {[]string{"a b", "c"}, "a b;c"}, {[]string{"a;b", "it's"}, "'a;b';it's"}, {[]string{"'x"}, "'''x'"},
		{[]string{""}, "''"}, {[]string{" a"}, "' a'"}, {[]string{"[1]", `"q"`}, `'[1]';'"q"'`},
	} {
		if got := List(tt.items); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.items, got, tt.want)
		}
	}
}

// TestListIsReadBack: what List writes is what Flink's reader finds. Package memory tests the reader against Flink.
func TestListIsReadBack(t *testing.T) {
	for _, items := range [][]string{{"a"}, {"a b", "c"}, {"a;b", "it's"}, {"'x", `"y"`}, {"x", ""}, {" a", "b "}, {"[1]", "{}"}, {"--k=v;w", "'", "''"}} {
		for _, standard := range []bool{false, true} {
			got, err := ParseList(List(items), standard)
			if err != nil || !slices.Equal(got, items) {
				t.Errorf("%q was written as %s and read as %q (%v)", items, List(items), got, err)
			}
		}
	}
}
