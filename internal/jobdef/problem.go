package jobdef

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/nearest"
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

// meant returns the known name that the author may have meant, "" if none is near.
func meant(name string, known []string) string {
	return nearest.Name(name, known, 1+min(len(name), 24)/4)
}
