// Package flinkversion is a version of Flink, and the release since which Flink does something.
//
// Flink changes its behaviour with minor releases, so the unit of all rules is the [Release], such as 1.17. A room whose
// behaviour differs between releases lists the differences in one table, beside the facts that it owns: a struct of
// rules and its history, read by [RulesOf], or a list whose rows have a column of the type Release, read by
// [Version.Reaches]. The numbers of a version are not visible outside, so that no other comparison can be written.
package flinkversion

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Release is a minor release of Flink, such as 1.17. The zero Release is before all others.
type Release struct{ major, minor int }

// Since names the first release that does something.
func Since(major, minor int) Release { return Release{major, minor} }

// Oldest is the first release that is supported.
func Oldest() Release { return Since(1, 13) }

// Newest is the last release whose scripts, options and classes were read and compared with ours.
func Newest() Release { return Since(2, 3) }

// ParseRelease reads "1.17".
func ParseRelease(s string) (Release, error) {
	if n, ok := numbers(s); ok && len(n) == 2 {
		return Release{n[0], n[1]}, nil
	}
	return Release{}, fmt.Errorf("Flink release %q: expected MAJOR.MINOR, e.g. 2.2", s)
}

// String returns "1.17".
func (r Release) String() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

// IsZero reports whether r names no release.
func (r Release) IsZero() bool { return r == Release{} }

// Compare returns -1 if r is before other, 1 if it is after other, else 0.
func (r Release) Compare(other Release) int {
	return cmp.Or(cmp.Compare(r.major, other.major), cmp.Compare(r.minor, other.minor))
}

// Version is a version of Flink, such as 2.2.1. The zero Version reaches no release.
type Version struct {
	release Release
	patch   int
}

// Of returns the version major.minor.patch.
func Of(major, minor, patch int) Version { return Version{Release{major, minor}, patch} }

// First returns the first version of a release, such as 2.2.0.
func (r Release) First() Version { return Version{release: r} }

// Parse reads "2.2", "2.2.1", or "1.20-SNAPSHOT"; what follows the numbers is ignored.
func Parse(s string) (Version, error) {
	text, _, _ := strings.Cut(s, "-")
	n, ok := numbers(text)
	switch {
	case ok && len(n) == 2:
		return Of(n[0], n[1], 0), nil
	case ok && len(n) == 3:
		return Of(n[0], n[1], n[2]), nil
	}
	return Version{}, fmt.Errorf("Flink version %q: expected MAJOR.MINOR or MAJOR.MINOR.PATCH, e.g. 2.2.1", s)
}

// numbers reads numbers that are joined by dots.
func numbers(s string) ([]int, bool) {
	parts := strings.Split(s, ".")
	n := make([]int, len(parts))
	for i, part := range parts {
		var err error
		if n[i], err = strconv.Atoi(part); err != nil || n[i] < 0 {
			return nil, false
		}
	}
	return n, true
}

// String returns "2.2.1".
func (v Version) String() string { return fmt.Sprintf("%s.%d", v.release, v.patch) }

// Release returns the minor release that v belongs to.
func (v Version) Release() Release { return v.release }

// IsZero reports whether v is not known.
func (v Version) IsZero() bool { return v == Version{} }

// OrNewest returns v, or the first version of the newest release if v is not known.
func (v Version) OrNewest() Version {
	if v.IsZero() {
		return Newest().First()
	}
	return v
}

// Reaches reports whether v is of the release r or of a later one. r comes from a table.
func (v Version) Reaches(r Release) bool { return v.release.Compare(r) >= 0 }

// Change is what a release, and all after it, do differently from the releases before.
type Change[Rules any] struct {
	since Release
	apply func(*Rules)
}

// From returns the change that the release major.minor brought.
func From[Rules any](major, minor int, apply func(*Rules)) Change[Rules] {
	return Change[Rules]{Since(major, minor), apply}
}

// RulesOf returns the rules of v: the zero value with the changes of v and of the releases before it, in the order of
// history, which lists the oldest first. A change that came before the oldest supported release is From(0, 0, …).
func RulesOf[Rules any](v Version, history []Change[Rules]) Rules {
	var rules Rules
	for _, c := range history {
		if v.Reaches(c.since) {
			c.apply(&rules)
		}
	}
	return rules
}

// FirstWith returns the first release whose rules are as has wants them, for a message such as "needs Flink 1.16". It
// returns the zero Release if no release has such rules.
func FirstWith[Rules any](history []Change[Rules], has func(Rules) bool) Release {
	var rules Rules
	for i, c := range history {
		c.apply(&rules)
		complete := i+1 == len(history) || history[i+1].since != c.since
		if complete && has(rules) {
			return c.since
		}
	}
	return Release{}
}
