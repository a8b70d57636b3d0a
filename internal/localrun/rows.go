package localrun

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// rowReader reads what print sinks write: "identifier> +I[…]", with parallel subtasks "identifier:2> +I[…]".
type rowReader struct {
	redact func(string) string
	sinks  []sinkName // longest identifier first
	table  tableReader
}

// line reads one line of stdout; see [Events].
func (r *rowReader) line(line string, row func(table, kind, row string), text func(line string, begun bool, rows int)) {
	if name, op, content, ok := r.parse(line); ok {
		row(name, op, r.redact(content))
		return
	}
	begun, n := r.table.line(line)
	text(r.redact(line), begun, n)
}

type sinkName struct{ identifier, short string }

func (r *rowReader) sink(identifier, short string) {
	r.sinks = append(r.sinks, sinkName{identifier, short})
	slices.SortStableFunc(r.sinks, func(a, b sinkName) int { return len(b.identifier) - len(a.identifier) })
}

// Rows shows the output of a run on W.
type Rows struct {
	W      io.Writer
	Colour bool

	width int // of the longest name of a sink
	count int // of rows of sinks and queries
	first time.Time
	table tableReader // of Line
}

// Names says which sinks there are, so that their rows are aligned.
func (r *Rows) Names(sinks []string) {
	for _, name := range sinks {
		r.width = max(r.width, len([]rune(name)))
	}
}

// Line shows a line that is not a row of a sink, and finds out itself whether it is of a query of a streaming script.
func (r *Rows) Line(line string) {
	begun, rows := r.table.line(line)
	r.text(line, begun, rows)
}

// text shows a line that is not a row of a sink, such as one of the table of a SELECT, as it is.
func (r *Rows) text(line string, begun bool, rows int) {
	if begun {
		r.begin()
	}
	r.count += rows
	fmt.Fprintln(r.W, line)
}

// Row shows a row of a sink, aligned.
func (r *Rows) Row(name, op, row string) {
	r.begin()
	r.count++
	shown := op
	if r.Colour {
		shown = map[string]string{"+I": "\x1b[32m", "-U": "\x1b[2;36m", "+U": "\x1b[36m", "-D": "\x1b[31m"}[op] + op + "\x1b[0m"
	}
	fmt.Fprintf(r.W, "%s%s  %s  %s\n", name, strings.Repeat(" ", max(0, r.width-len([]rune(name)))), shown, row)
}

// begin notes when the first row came.
func (r *Rows) begin() {
	if r.first.IsZero() {
		r.first = time.Now()
	}
}

// Summary tells how many rows there were. expected: the script has something that gives rows.
func (r *Rows) Summary(w io.Writer, start time.Time, took time.Duration, expected bool) {
	if r.count > 0 {
		fmt.Fprintf(w, "%d rows in %.1f s, the first after %.1f s\n", r.count, took.Seconds(), r.first.Sub(start).Seconds())
		return
	}
	fmt.Fprintf(w, "0 rows in %.1f s\n", took.Seconds())
	if expected {
		fmt.Fprintln(w, "hint: generated values may not match the script's conditions: --rows generates more rows, --data TABLE=FILE reads rows of your own")
	}
}

func (r *rowReader) parse(line string) (name, op, row string, ok bool) {
	for _, s := range r.sinks {
		rest, found := strings.CutPrefix(line, s.identifier)
		if !found {
			continue
		}
		where, row, found := strings.Cut(rest, "> ")
		if !found || where != "" && where[0] != ':' || len(row) < 4 || row[2] != '[' {
			continue
		}
		switch op := row[:2]; op {
		case "+I", "-U", "+U", "-D":
			return s.short, op, row[2:], true
		}
	}
	return "", "", "", false
}
