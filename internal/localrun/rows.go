package localrun

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// rowWriter shows what print sinks write: "identifier> +I[…]", with parallel subtasks "identifier:2> +I[…]".
type rowWriter struct {
	w      io.Writer
	colour bool
	redact func(string) string
	sinks  []sinkName // longest identifier first
	width  int
	count  int // of rows of sinks and queries
	first  time.Time
	table  tableReader
}

type sinkName struct{ identifier, short string }

func (r *rowWriter) sink(identifier, short string) {
	r.sinks = append(r.sinks, sinkName{identifier, short})
	slices.SortStableFunc(r.sinks, func(a, b sinkName) int { return len(b.identifier) - len(a.identifier) })
	r.width = max(r.width, len([]rune(short)))
}

// line shows one line of stdout: a row of a sink, aligned; anything else, such as the table of a SELECT, as it is.
func (r *rowWriter) line(line string) {
	name, op, row, ok := r.parse(line)
	if !ok {
		begun, n := r.table.line(line)
		if begun {
			r.row()
		}
		r.count += n
		fmt.Fprintln(r.w, r.redact(line))
		return
	}
	r.row()
	r.count++
	shown := op
	if r.colour {
		shown = map[string]string{"+I": "\x1b[32m", "-U": "\x1b[2;36m", "+U": "\x1b[36m", "-D": "\x1b[31m"}[op] + op + "\x1b[0m"
	}
	fmt.Fprintf(r.w, "%s%s  %s  %s\n", name, strings.Repeat(" ", max(0, r.width-len([]rune(name)))), shown, r.redact(row))
}

// row notes when the first row came.
func (r *rowWriter) row() {
	if r.first.IsZero() {
		r.first = time.Now()
	}
}

// summary tells how many rows there were. expected: the script has something that gives rows.
func (r *rowWriter) summary(w io.Writer, start time.Time, took time.Duration, expected bool) {
	if r.count > 0 {
		fmt.Fprintf(w, "%d rows in %.1f s, the first after %.1f s\n", r.count, took.Seconds(), r.first.Sub(start).Seconds())
		return
	}
	fmt.Fprintf(w, "0 rows in %.1f s\n", took.Seconds())
	if expected {
		fmt.Fprintln(w, "hint: generated values may not match the script's conditions: --rows generates more rows, --data TABLE=FILE reads rows of your own")
	}
}

func (r *rowWriter) parse(line string) (name, op, row string, ok bool) {
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
