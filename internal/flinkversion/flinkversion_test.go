package flinkversion

import (
	"fmt"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	const expected = ": expected MAJOR.MINOR or MAJOR.MINOR.PATCH, e.g. 2.2.1"
	for _, test := range []struct{ text, want, wrong string }{
		{"2.2", "2.2.0", ""},
		{"2.2.1", "2.2.1", ""},
		{"1.20.5", "1.20.5", ""},
		{"1.20-SNAPSHOT", "1.20.0", ""},
		{"2.0.0-preview1", "2.0.0", ""},
		{"2", "", `Flink version "2"` + expected},
		{"", "", `Flink version ""` + expected},
		{"2.x", "", `Flink version "2.x"` + expected},
		{"2.-1", "", `Flink version "2.-1"` + expected},
		{"1.2.3.4", "", `Flink version "1.2.3.4"` + expected},
	} {
		v, err := Parse(test.text)
		if err != nil && err.Error() != test.wrong || err == nil && (test.wrong != "" || v.String() != test.want) {
			t.Errorf("Parse(%q) = %v, %v; want %q, %q", test.text, v, err, test.want, test.wrong)
		}
	}
}

func TestParseRelease(t *testing.T) {
	if r, err := ParseRelease("1.17"); err != nil || r != Since(1, 17) || r.String() != "1.17" {
		t.Errorf("found %v, %v", r, err)
	}
	for _, text := range []string{"", "-", "2", "2.2.1", "1.20-SNAPSHOT"} {
		if r, err := ParseRelease(text); err == nil || !r.IsZero() {
			t.Errorf("ParseRelease(%q) = %v, without an error", text, r)
		}
	}
}

func TestReaches(t *testing.T) {
	order := []Release{{}, Since(1, 9), Since(1, 13), Since(1, 20), Since(2, 0), Since(2, 3), Since(2, 10), Since(3, 0)}
	if !slices.IsSortedFunc(order, Release.Compare) {
		t.Errorf("%v is not in the order of the releases", order)
	}
	for i, v := range order {
		for k, r := range order {
			if got := v.First().Reaches(r); got != (i >= k) {
				t.Errorf("%s reaches %s: %v", v.First(), r, got)
			}
		}
	}
	if !Of(1, 17, 2).Reaches(Since(1, 17)) {
		t.Error("a patch release does not reach its own release")
	}
}

func TestRulesOf(t *testing.T) {
	type rules struct {
		scripts bool
		limit   int
	}
	history := []Change[rules]{
		From(0, 0, func(r *rules) { r.limit = 1 }),
		From(1, 15, func(r *rules) { r.scripts = true }),
		From(1, 17, func(r *rules) { r.limit = 2 }),
		From(2, 0, func(r *rules) { r.scripts = false }),
	}
	for version, want := range map[Version]rules{
		{}:            {false, 1},
		Of(1, 14, 6):  {false, 1},
		Of(1, 15, 0):  {true, 1},
		Of(1, 17, 2):  {true, 2},
		Of(1, 100, 0): {true, 2},
		Of(2, 3, 0):   {false, 2},
	} {
		if got := RulesOf(version, history); got != want {
			t.Errorf("Flink %s: found %+v, expected %+v", version, got, want)
		}
	}
	for _, test := range []struct {
		has  func(rules) bool
		want Release
	}{
		{func(r rules) bool { return r.scripts }, Since(1, 15)},
		{func(r rules) bool { return r.limit == 2 }, Since(1, 17)},
		{func(r rules) bool { return r.limit == 1 }, Since(0, 0)},
		{func(r rules) bool { return !r.scripts && r.limit == 2 }, Since(2, 0)},
		{func(r rules) bool { return r.limit == 3 }, Release{}},
	} {
		if got := FirstWith(history, test.has); got != test.want {
			t.Errorf("found %s, expected %s", got, test.want)
		}
	}
}

func ExampleRulesOf() {
	type rules struct{ networkMax string }
	history := []Change[rules]{
		From(0, 0, func(r *rules) { r.networkMax = "1 GiB" }),
		From(1, 17, func(r *rules) { r.networkMax = "unlimited" }),
	}
	fmt.Println(RulesOf(Of(1, 16, 3), history), RulesOf(Of(2, 2, 1), history))
	// Output: {1 GiB} {unlimited}
}
