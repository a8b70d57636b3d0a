package mock

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// lineage fills in the tables and flows of a result.
func (pl *plan) lineage(r *Result) {
	tables := map[*object]*Table{}
	seen := map[[3]string]map[Role]bool{} // of names that several objects have
	for _, o := range pl.objects {
		t := o.description()
		tables[o] = t
		if o.unknown() == "" && !o.repeats(seen) {
			r.Tables = append(r.Tables, *t)
		}
	}
	known := map[*object][]Feed{}
	listed := func(objects []*object, circle map[*object]bool) []Feed {
		var list []Feed
		for o := range once(objects) {
			f := Feed{Table: tables[o]}
			if !circle[o] {
				f.From = known[o]
			}
			list = append(list, f)
		}
		return list
	}
	for _, o := range pl.views {
		known[o] = listed(o.from(), o.choices().circle)
	}
	for f := range pl.flows() {
		flow := Flow{Part: f.record.session.part.Name, Statement: f.Number, Line: f.Line, From: listed(f.record.sources(), nil)}
		if f.sink != nil {
			flow.Sink = tables[f.sink]
		}
		r.Flows = append(r.Flows, flow)
	}
}

// repeats reports whether another object has had the name and the role, and remembers them.
func (o *object) repeats(seen map[[3]string]map[Role]bool) bool {
	if !o.twin {
		return false
	}
	if seen[o.full()] == nil {
		seen[o.full()] = map[Role]bool{}
	}
	before := seen[o.full()][o.role()]
	seen[o.full()][o.role()] = true
	return before
}

// description is what a result says of an object.
func (o *object) description() *Table {
	t := &Table{Name: o.name(), Short: o.shortest(), Role: o.role(), InCatalog: !o.created, Line: o.first.statement().Line}
	if o.def != nil {
		t.Connector, t.Formats = o.connector(), o.formats()
		if o.like() != nil && !o.def.without.options {
			t.Like = o.like().name()
		}
	}
	if t.Role == Sink || t.Role == Both {
		t.Identifier = o.identifier()
	}
	return t
}

// flow is a statement that starts or joins a job.
type flow struct {
	sqltext.Statement
	record *record
	sink   *object // nil for a query
}

// flows yields the statements that start or join a job.
func (pl *plan) flows() iter.Seq[flow] {
	return func(yield func(flow) bool) {
		for _, r := range pl.records {
			if r.left {
				continue
			}
			f := flow{record: r, sink: r.on(writes)}
			if o := r.on(creates); o != nil && o.ctas {
				f.sink = o
			}
			f.Statement = r.statement()
			if f.sink == nil && f.Kind != sqltext.Select && (f.Kind != sqltext.Explain || len(r.uses) == 0) {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// sources returns what the statement reads.
func (r *record) sources() []*object {
	list := make([]*object, len(r.uses))
	for i, u := range r.uses {
		list[i] = u.object
	}
	return list
}

// once yields each object once.
func once(objects []*object) iter.Seq[*object] {
	return func(yield func(*object) bool) {
		var seen map[*object]bool
		for i, o := range objects {
			if seen[o] || len(objects) <= 8 && slices.Contains(objects[:i], o) {
				continue
			}
			if len(objects) > 8 {
				if seen == nil {
					seen = make(map[*object]bool, len(objects))
				}
				seen[o] = true
			}
			if !yield(o) {
				return
			}
		}
	}
}

// connector returns the table's own connector, or the connector of the table it is LIKE.
func (o *object) connector() string {
	if c := o.def.connector; c != "" || o.like() == nil || o.like().def == nil {
		return c
	}
	return o.cache().connects.get(o.like().connector)
}

// follow finds out what each view reads, and what that reads: each once, since views that read the same views several times would
// double the work from view to view. A chain of views may be longer than a stack, so this does not call itself.
func (pl *plan) follow() {
	for _, o := range pl.objects {
		if len(o.from()) == 0 {
			o.known = true
			continue
		}
		begun := map[*object]bool{}
		for open := []*object{o}; len(open) > 0; {
			o := open[len(open)-1]
			if o.known || len(o.from()) == 0 {
				o.known = true
				open = open[:len(open)-1]
				continue
			}
			if begun[o] { // all that it reads is known, but for what reads it in turn: ALTER VIEW can make a circle
				for _, f := range o.from() {
					if !f.known {
						if o.ensureChoices().circle == nil {
							o.rare.chosen.circle = map[*object]bool{}
						}
						o.rare.chosen.circle[f] = true
					}
				}
				o.known = true
				pl.views = append(pl.views, o)
				continue
			}
			begun[o] = true
			for _, f := range o.from() {
				if !f.known && !begun[f] {
					open = append(open, f)
				}
			}
		}
	}
}

// Limits of what Tree writes. Scripts that people write are far below them.
const (
	deepestRow = 20   // levels of views below a sink; what is deeper begins at the left again
	manyRows   = 2000 // from then on a view is taken apart once for all sinks, not once for each
	widest     = 120  // columns that the rows have in common
)

// Tree writes what feeds each sink, with views taken apart, each once for a sink, in columns: name, role, and what replaces what.
// Each Write is of whole lines.
func (r Result) Tree(w io.Writer) error {
	if r.plan == nil { // of a script with errors
		return nil
	}
	return r.plan.tree(w)
}

func (pl *plan) tree(w io.Writer) error {
	var first, second int
	for row := range pl.rows() {
		first, second = max(first, min(width(row[0]), widest)), max(second, width(row[1]))
	}
	var out []byte // whole lines
	for row := range pl.rows() {
		line := row[0] + strings.Repeat(" ", max(0, first-width(row[0]))+2) + row[1] + strings.Repeat(" ", second-width(row[1])+2) + row[2]
		out = append(append(out, strings.TrimRight(line, " ")...), '\n')
		if len(out) >= 32<<10 {
			if _, err := w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	if len(out) == 0 {
		return nil
	}
	_, err := w.Write(out)
	return err
}

// rows yields the rows of the tree. They are made twice, since all of them take more memory than the script.
func (pl *plan) rows() iter.Seq[[3]string] {
	return func(yield func([3]string) bool) {
		count := 0
		add := func(row [3]string) { // all rows are taken
			count++
			yield(row)
		}
		pl.sinks++          // objects that have this number were taken apart
		var below []*object // views that are taken apart below the tree, since they are deep in it
		var feed func(prefix string, from []*object, circle map[*object]bool, level int)
		feed = func(prefix string, from []*object, circle map[*object]bool, level int) {
			var last *object
			for o := range once(from) {
				last = o
			}
			for o := range once(from) {
				branch, deeper := "├─ ", "│  "
				if o == last {
					branch, deeper = "└─ ", "   "
				}
				role := o.role()
				if role == Both {
					role = Source
				}
				feeds := len(o.from()) > 0 && !circle[o]
				row := [3]string{prefix + branch + o.shortest(), string(role), o.readsFrom()}
				if o.expandedFor == pl.sinks && feeds {
					row[2] = "as above"
					add(row)
					continue
				}
				o.expandedFor = pl.sinks
				if level == deepestRow && feeds {
					row[2] = "see below"
					add(row)
					below = append(below, o)
					continue
				}
				add(row)
				if feeds {
					feed(prefix+deeper, o.from(), o.choices().circle, level+1)
				}
			}
		}
		for f := range pl.flows() {
			where := fmt.Sprintf("statement %d, line %d", f.Number, f.Line)
			if name := f.record.session.part.Name; name != "" {
				where = name + " " + where
			}
			if f.sink == nil {
				add([3]string{"query", "shown", where})
			} else if f.sink.role() == Kept {
				add([3]string{f.sink.shortest(), string(Kept), f.sink.shownConnector() + ", " + where})
			} else {
				add([3]string{f.sink.shortest(), string(Sink), f.sink.shownConnector() + " → print, " + where})
			}
			if count < manyRows {
				pl.sinks++
			}
			for feed("", f.record.sources(), nil, 1); len(below) > 0; {
				o := below[0]
				below = below[1:]
				add([3]string{o.shortest(), string(o.role()), o.readsFrom()})
				feed("", o.from(), o.choices().circle, 1)
			}
		}
		seen := map[[3]string]map[Role]bool{}
		for _, o := range pl.objects {
			if o.unknown() == "" && !o.repeats(seen) && o.role() == Unused {
				add([3]string{o.shortest(), string(Unused), o.shownConnector()})
			}
		}
	}
}

func (o *object) shownConnector() string {
	if o.def != nil {
		if c := o.connector(); c != "" {
			return c
		}
	}
	if !o.created {
		return "catalog table"
	}
	return "catalog's connector"
}

// readsFrom says what the table is, and what is read in its place.
func (o *object) readsFrom() string {
	switch o.role() {
	case View:
		return ""
	case Kept:
		return o.shownConnector()
	case Data:
		return o.shownConnector() + " → file"
	case Both:
		return o.shownConnector() + " → datagen, also a sink"
	}
	return o.shownConnector() + " → datagen"
}

// width is the number of columns that a terminal needs: two for East Asian characters and emoji.
func width(s string) int {
	n := 0
	for _, c := range s {
		switch {
		case c < ' ' || c == 0x7F || c >= 0x300 && c < 0x370 || c == 0x200D || c >= 0xFE00 && c <= 0xFE0F:
		case c >= 0x1100 && c <= 0x115F, c >= 0x2E80 && c <= 0xA4CF, c >= 0xAC00 && c <= 0xD7A3, c >= 0xF900 && c <= 0xFAFF,
			c >= 0xFE30 && c <= 0xFE6F, c >= 0xFF00 && c <= 0xFF60, c >= 0xFFE0 && c <= 0xFFE6, c >= 0x1F300 && c <= 0x1FAFF,
			c >= 0x20000 && c <= 0x3FFFD:
			n += 2
		default:
			n++
		}
	}
	return n
}
