// Package mock rewrites a SQL script so that it runs without the systems it names: tables that are read become
// datagen sources, tables that are written become print sinks. Statements are otherwise left as they are.
//
// In: the parts of a script (init SQL, the job's SQL) and options. Out: the same parts with the same line
// ends, so that a line of an error still means the user's text ([Result.Place] maps columns too), and the lineage
// of the script: which tables feed which sink.
//
// There are three steps, and each needs what the step before it made: a reader reads the statements into an inventory, decide makes of
// it a plan with a decision about each table, and a writer writes the statements by the plan, one after the other.
//
// What datagen and print accept was learned from Flink itself (RandomGeneratorVisitor, DataGenTableSourceFactory,
// PrintTableSinkFactory, 1.13 to 2.3) and is tried on real Flink by flink_test.go.
package mock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
)

// Part is a piece of the script with lines of its own.
type Part struct {
	Name string // as errors call it, e.g. "init.sql"; empty for the user's script
	Text string
	Left []int // offsets of statements that were blanked: they count in the numbers of the others
}

// Options says how tables are replaced.
type Options struct {
	Rows          int64 // rows per source; 10 if not positive
	RowsPerSecond int64 // per source; Flink's 10000 if not positive
	// Keep names tables that stay as they are: t, database.t or catalog.database.t.
	Keep []string
	// Data gives tables, named as in Keep, a CSV or JSON file to read instead of generated rows: an absolute path
	// or a URI, ending in .csv, .json, .jsonl or .ndjson. A CSV file has the table's physical and metadata columns
	// in their order. Flink skips files whose name starts with _ or a dot, so that these are refused.
	Data map[string]string
	// Seed, if not zero, makes every column count up from a place derived from the seed and the column's name,
	// where datagen can count: numbers and strings, not nested. Other values stay random.
	Seed int64
	// Numbers that become times are in the minute after Now. 2024-01-01 UTC if zero.
	Now   time.Time
	Batch bool                 // the runtime mode, unless the script sets it
	Flink flinkversion.Version // zero: the newest known
	// Definition returns the CREATE TABLE statement of a table that exists in a catalog and not in the script, as
	// SHOW CREATE TABLE prints it, and "" for one that does not exist. Where it is nil or does not know the table, the table is shadowed by LIKE: its
	// columns then get datagen's defaults, and metadata columns make Flink refuse it.
	// With neither database nor table it returns the name of the catalog's default database, "default" where it is unknown.
	// Result.Undefined lists the tables that are not defined.
	Definition func(catalog, database, table string) (ddl string, ok bool)
	// AbsentCatalog reports whether nothing makes a catalog of a type, as CREATE CATALOG names it. An empty catalog in memory then takes
	// the place of such a one. nil: all can be made.
	AbsentCatalog func(kind string) bool
	// PlanOnly is for a script that is planned and not run: nothing may reach a real catalog, so tables that are kept become
	// temporary there, and what has no mock is left out with a warning instead of being refused.
	PlanOnly bool
	// Changes lets the planner see which changes (inserts, updates, deletes) the real connectors make and take, and with PlanOnly
	// that tables can be looked up. The script then needs the mock connector of internal/sqlrunner's jar on the class path.
	Changes bool
	// Exact lets print sinks write rows that a program can read, column by column; the form is in the mock connector, which the script then needs.
	Exact bool
	// Provider reports whether a jar of a model's provider is here; nil: all are.
	Provider func(name string) bool
}

// defaultRate is datagen's rows-per-second.
const defaultRate = 10000

// Role is what a table is in a script.
type Role string

// The roles.
const (
	Source Role = "source" // read
	Sink   Role = "sink"   // written
	Both   Role = "both"   // read and written: rows read are generated, not those written
	Lookup Role = "lookup" // read by a lookup join alone
	Unused Role = "unused" // created and not used
	Kept   Role = "kept"   // left as it is
	Data   Role = "data"   // read from a file
	View   Role = "view"
)

// Table is a table or view of the script.
type Table struct {
	Name       string // catalog.database.table
	Short      string // the shortest name that no other table has
	Role       Role
	Connector  string // of the user's definition; empty for views and for tables of a catalog
	Formats    []string
	Like       string // the table whose options it inherits
	InCatalog  bool   // not created by the script
	Identifier string // what print writes before each row of this sink, without the "> "
	Line       int    // of its CREATE, or of its first use
}

// Feed is a table or view with what it reads.
type Feed struct {
	Table *Table
	From  []Feed
}

// Flow is a statement that starts or joins a job.
type Flow struct {
	Part      string
	Statement int // number in the part, from 1
	Line      int
	Sink      *Table // nil for a query, whose rows are shown
	From      []Feed
}

// Result is a rewritten script.
type Result struct {
	Parts    []Part // as many as went in, with the same names and the same lines
	Tables   []Table
	Flows    []Flow
	Batch    bool
	Warnings []string
	Compares bool // with Options.Changes: the real connectors may refuse a statement that the mocks run
	// Differs are the lines, by part, of statements that make other changes than the user's: a lookup join became a regular one.
	Differs [][]int
	// Undefined are the tables (catalog, database, table), and the default databases (catalog), of catalogs outside of the script
	// that Options.Definition did not know, in the order of their first use.
	Undefined [][3]string

	edits [][]edit // by part, sorted
	texts []string
	plan  *plan
}

// Script returns the parts as one text.
func (r Result) Script() string {
	var b strings.Builder
	for _, p := range r.Parts {
		b.WriteString(p.Text)
		if t := strings.TrimRight(p.Text, " \t\r\n"); t != "" && !strings.HasSuffix(t, ";") {
			b.WriteString("\n;") // not on the same line, which may end in a comment
		}
		if p.Text != "" && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Error is a script that cannot be run on mocked tables. It never quotes more of the script than a name. Part is
// empty for the user's own script; Number, Line and Column (from 1) are 0 where no statement is at fault.
type Error struct {
	Part                 string
	Number, Line, Column int
	Message              string
	Hint                 string
}

// Error returns place and message in one line.
func (e *Error) Error() string {
	where := ""
	if e.Part != "" {
		where = e.Part + ": "
	}
	switch {
	case e.Number > 0:
		where += fmt.Sprintf("statement %d, line %d: ", e.Number, e.Line)
	case e.Line > 0:
		where += fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	}
	return where + e.Message
}

// Rewrite replaces the tables of a script. The error is an [*Error], or several joined.
func Rewrite(parts []Part, o Options) (Result, error) {
	w, err := prepare(parts, o, false)
	if err != nil {
		return Result{}, err
	}
	r := Result{plan: w.plan}
	for _, p := range w.parts {
		var text strings.Builder
		var edits []edit
		var differs []int
		for piece := range w.write(p) {
			edits = append(edits, piece.edits...)
			differs = append(differs, piece.differs...)
			piece.writeTo(&text)
		}
		r.edits = append(r.edits, edits)
		r.texts = append(r.texts, p.Text)
		r.Parts = append(r.Parts, Part{Name: p.Name, Text: text.String()})
		r.Differs = append(r.Differs, differs)
	}
	if len(w.errors) > 0 {
		return Result{}, join(w.errors)
	}
	r.Batch, r.Warnings, r.Undefined, r.Compares = w.batch, w.warnings, w.undefined, w.compares
	w.lineage(&r)
	return r, nil
}

// Shown is a rewritten script that is only to be read: it is written statement by statement, so that a large one is never in memory.
type Shown struct {
	Warnings []string

	writer *writer
}

// Show replaces the tables of a script as [Rewrite] does.
func Show(parts []Part, o Options) (*Shown, error) {
	w, err := prepare(parts, o, !o.Changes)
	if err != nil {
		return nil, err
	}
	for _, p := range w.parts {
		for range w.write(p) { // for its warnings and errors
		}
	}
	if len(w.errors) > 0 {
		return nil, join(w.errors)
	}
	return &Shown{Warnings: w.warnings, writer: w}, nil
}

// Write writes a part, in pieces that begin and end between statements.
func (s *Shown) Write(w io.Writer, part int) error {
	var piece bytes.Buffer
	flush := func() error {
		_, err := w.Write(piece.Bytes())
		piece.Reset()
		return err
	}
	for written := range s.writer.write(s.writer.parts[part]) {
		written.writeTo(&piece)
		if piece.Len() >= 64<<10 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// Tree is [Result.Tree].
func (s *Shown) Tree(w io.Writer) error { return s.writer.tree(w) }

// prepare reads a script and decides what its tables are replaced by. brief: their options will not be asked for.
func prepare(parts []Part, o Options, brief bool) (*writer, error) {
	if o.Rows <= 0 {
		o.Rows = 10
	}
	if o.RowsPerSecond <= 0 {
		o.RowsPerSecond = defaultRate
	}
	if o.Now.IsZero() {
		o.Now = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	o.Flink = o.Flink.OrNewest()
	decided, err := decide(readScript(parts, o, brief))
	if err != nil {
		return nil, err
	}
	return newWriter(decided), nil
}

func join(list []*Error) error {
	errs := make([]error, len(list))
	for i, e := range list {
		errs[i] = e
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// dataFormat returns the format of a data file and its path as Flink wants it.
func dataFormat(file string) (format, uri string, err error) {
	switch strings.ToLower(path.Ext(file)) {
	case ".csv":
		format = "csv"
	case ".json", ".jsonl", ".ndjson":
		format = "json"
	default:
		return "", "", fmt.Errorf("%q ends in none of .csv, .json, .jsonl, .ndjson", file)
	}
	if name := path.Base(file); name[0] == '_' || name[0] == '.' {
		return "", "", fmt.Errorf("Flink's filesystem source skips files whose name starts with _ or a dot, such as %q: rename or link it", name)
	}
	switch {
	case strings.Contains(file, "://"), strings.HasPrefix(file, "file:"):
		return format, file, nil
	case strings.HasPrefix(file, "/"):
		return format, "file://" + file, nil
	}
	return "", "", fmt.Errorf("%q is not an absolute path", file)
}

func (o *Options) dialect() sqltext.Dialect { return sqltext.DialectOf(o.Flink) }
