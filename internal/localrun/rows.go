package localrun

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"flink-entrypoint/internal/sqlrunner"
)

// A Row is a row of a sink, or of a query.
type Row struct {
	Table string // "": of a query
	Kind  string // +I, -U, +U or -D
	Text  string // as Flink's print connector writes it, in brackets
	// Cells are the columns, as print writes each; nil: NULL. Cells itself is nil where they are not known: outside of a server, and where
	// code of the script has printed what looks like a row.
	Cells []*string
}

// rowReader reads what print sinks write: "identifier> +I[…]", with parallel subtasks "identifier:2> +I[…]". exact: as the mock connector
// makes them, JSON in place of the brackets, and "identifier> =[…]" with the names of the columns before.
type rowReader struct {
	redact func(string) string
	exact  bool
	sinks  []sinkName // longest identifier first
	named  map[string]bool
	table  tableReader
}

// line reads one line of stdout.
func (r *rowReader) line(line string, e Events) {
	name, op, content, ok := r.parse(line)
	if !ok {
		begun, n := r.table.line(line)
		e.Text(r.redact(line), begun, n)
		return
	}
	row := Row{Table: name, Kind: op, Text: r.redact(content)}
	if r.exact {
		r.read(content, &row)
	}
	if op != columnNames {
		e.Row(row)
		return
	}
	if row.Cells != nil && (name == "" || !r.named[name]) && e.Columns != nil { // each subtask of a sink names them
		names := make([]string, len(row.Cells))
		for i, c := range row.Cells {
			names[i] = *c
		}
		r.named[name] = true
		e.Columns(name, names)
	}
}

// read reads the columns of a row, and writes it as print does.
func (r *rowReader) read(content string, row *Row) {
	var cells []*string
	if json.Unmarshal([]byte(content), &cells) != nil || slices.Contains(cells, nil) && row.Kind == columnNames {
		return
	}
	texts := make([]string, len(cells))
	for i, c := range cells {
		if texts[i] = "null"; c != nil {
			texts[i] = r.redact(*c)
			cells[i] = &texts[i]
		}
	}
	row.Cells, row.Text = cells, "["+strings.Join(texts, ", ")+"]"
}

// columnNames is in the place of the kind of a row where a line names the columns.
const columnNames = "="

type sinkName struct{ identifier, short string }

func (r *rowReader) sink(identifier, short string) {
	r.sinks = append(r.sinks, sinkName{identifier, short})
	slices.SortStableFunc(r.sinks, func(a, b sinkName) int { return len(b.identifier) - len(a.identifier) })
}

// Rows shows the output of a run on W.
type Rows struct {
	W      io.Writer
	Colour bool

	width int                 // of the longest name of a sink
	wide  map[string][]int    // of the columns of a sink by now
	heads map[string][]string // of sinks that had no row yet
	count int                 // of rows of sinks and queries
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
func (r *Rows) Row(row Row) {
	r.begin()
	r.count++
	if row.Cells == nil {
		r.show(row.Table, row.Kind, row.Text)
		return
	}
	cells := make([]string, len(row.Cells))
	for i, c := range row.Cells {
		cells[i] = shownCell(c)
	}
	shown := r.aligned(row.Table, cells)
	if head := r.heads[row.Table]; head != nil {
		delete(r.heads, row.Table)
		names := r.aligned(row.Table, head)
		shown = r.aligned(row.Table, cells)
		r.show(row.Table, "  ", names)
	}
	r.show(row.Table, row.Kind, shown)
}

// Columns names the columns of a sink or of the next query. They are shown before its first row.
func (r *Rows) Columns(table string, names []string) {
	if r.heads == nil {
		r.heads = map[string][]string{}
	}
	r.heads[table] = nil // of a query before
	delete(r.wide, table)
	for i := range names {
		r.heads[table] = append(r.heads[table], shownCell(&names[i]))
	}
}

// widest is the width from which on a cell does not move the columns after it.
const widest = 40

// aligned are the cells of a line, as wide as the cells of the lines before it.
func (r *Rows) aligned(table string, cells []string) string {
	if r.wide == nil {
		r.wide = map[string][]int{}
	}
	wide := r.wide[table]
	if len(wide) != len(cells) {
		wide = make([]int, len(cells))
		r.wide[table] = wide
	}
	var b strings.Builder
	for i, c := range cells {
		n := utf8.RuneCountInString(c)
		if n <= widest {
			wide[i] = max(wide[i], n)
		}
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, wide[i]-n)+2))
		}
	}
	return b.String()
}

// shownCell is a column in one line. What would look like something else is quoted: the text NULL, nothing, blanks at an end, line breaks.
func shownCell(c *string) string {
	if c == nil {
		return "NULL"
	}
	text := *c
	unclear := func(r rune) bool { return !strconv.IsPrint(r) }
	if text == "" || text == "NULL" || text[0] == '"' || strings.TrimSpace(text) != text || strings.ContainsFunc(text, unclear) {
		return strconv.Quote(text)
	}
	return text
}

func (r *Rows) show(name, op, row string) {
	name = cmp.Or(name, "query")
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
	if kind, texts, ok := sqlrunner.ParseQuery(line); ok && r.exact {
		return "", cmp.Or(kind, columnNames), texts, true
	}
	for _, s := range r.sinks {
		rest, found := strings.CutPrefix(line, s.identifier)
		if !found {
			continue
		}
		where, row, found := strings.Cut(rest, "> ")
		if names, ok := strings.CutPrefix(row, columnNames); ok && r.exact && found && where == "" && strings.HasPrefix(names, "[") {
			return s.short, columnNames, names, true
		}
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
