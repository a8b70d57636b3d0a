package jobdef

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Problem is one thing that is wrong with a definition. It never holds a value that could be a secret.
type Problem struct {
	Path    string // field, e.g. sql.catalogs[1].name; empty for the document and for errors of syntax
	Line    int    // 1 is the first
	Column  int    // 1 is the first, in characters
	Message string
	Hint    string // what to do; may be empty
}

// Errors is everything that is wrong with a definition, in the order of the document.
type Errors struct {
	Name string // of the document
	List []Problem
}

const (
	maxProblems = 1000 // that are collected
	maxListed   = 50   // that Error shows
)

// Error lists the problems, one a line: definition.yaml:12:3: unknown field "catalogz" in sql (did you mean "catalogs"?).
func (e *Errors) Error() string {
	var b strings.Builder
	for i, p := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == maxListed {
			fmt.Fprintf(&b, "%s: and %d more", e.Name, len(e.List)-i)
			break
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", e.Name, p.Line, p.Column, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&b, " (%s)", p.Hint)
		}
	}
	return b.String()
}

// order sorts the problems by place; those of one place stay in the order they were found.
func (e *Errors) order() {
	slices.SortStableFunc(e.List, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// quote makes text of the document fit for one line of a message.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "..."
	}
	return strconv.Quote(s)
}

// nearest returns the known name that the author may have meant, "" if none is near.
func nearest(name string, known []string) string {
	best, least := "", 1+min(len(name), 24)/4
	if len(name) > 64 {
		return ""
	}
	folded := foldName(name)
	for _, k := range known {
		d := distance(folded, foldName(k))
		if d < least || (d == least && best == "") {
			best, least = k, d
		}
	}
	return best
}

// foldName makes spellings of a name equal that differ in case and separators only.
func foldName(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, s))
}

// distance is the number of insertions, deletions, substitutions and swaps of neighbours that make b of a.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
