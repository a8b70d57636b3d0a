package mock

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// lineage fills in the tables and flows of a result.
func (a *analysis) lineage(r *Result) {
	seen := map[[3]string]bool{}
	for _, o := range a.objects {
		t := &Table{Name: o.name(), Short: o.short, Role: o.role(), InCatalog: o.created == nil, Line: o.first.Line}
		if o.def != nil {
			t.Connector = o.connector()
		}
		if t.Role == Sink || t.Role == Both {
			t.Identifier = o.identifier
		}
		o.table = t
		if key := [3]string{o.name(), string(t.Role)}; !seen[key] {
			seen[key] = true
			r.Tables = append(r.Tables, *t)
		}
	}
	known := map[*object][]Feed{}
	for _, s := range a.statements {
		var sink *Table
		switch {
		case s.target != nil && s.target.at >= 0:
			sink = s.target.object.table
		case s.creates != nil && s.creates.ctas:
			sink = s.creates.table
		case s.Kind == sqltext.Select, s.Kind == sqltext.Explain && len(s.uses) > 0:
		default:
			continue
		}
		f := Flow{Part: s.partName, Statement: s.Number, Line: s.Line, Sink: sink}
		var from []*object
		for _, u := range s.uses {
			from = append(from, u.object)
		}
		f.From = feeds(from, known)
		r.Flows = append(r.Flows, f)
	}
}

// connector returns the table's own connector, or that of the table it is LIKE.
func (o *object) connector() string {
	if c := o.def.options.get("connector"); c != "" || o.like == nil || o.like.def == nil {
		return c
	}
	return o.like.connector()
}

// feeds describes objects. known are those whose own feeds were made before: views that read the same views several times would
// otherwise double the work from view to view.
func feeds(objects []*object, known map[*object][]Feed) []Feed {
	var list []Feed
	for i, o := range objects {
		if slices.Contains(objects[:i], o) {
			continue
		}
		from, ok := known[o]
		if !ok {
			from = feeds(o.from, known)
			known[o] = from
		}
		list = append(list, Feed{Table: o.table, From: from})
	}
	return list
}

// Tree writes what feeds each sink, with views taken apart, each once for a sink, in columns: name, role, and what stands in for what.
func (r Result) Tree(w io.Writer) error {
	var rows [][3]string
	var apart map[*Table]bool // views of this sink that were taken apart
	var feed func(prefix string, from []Feed)
	feed = func(prefix string, from []Feed) {
		for i, f := range from {
			branch, below := "├─ ", "│  "
			if i == len(from)-1 {
				branch, below = "└─ ", "   "
			}
			role := f.Table.Role
			if role == Both {
				role = Source
			}
			row := [3]string{prefix + branch + f.Table.Short, string(role), f.Table.reads()}
			if apart[f.Table] && len(f.From) > 0 {
				row[2] = "as above"
				rows = append(rows, row)
				continue
			}
			apart[f.Table] = true
			rows = append(rows, row)
			feed(prefix+below, f.From)
		}
	}
	for _, f := range r.Flows {
		where := fmt.Sprintf("statement %d, line %d", f.Statement, f.Line)
		if f.Part != "" {
			where = f.Part + " " + where
		}
		if f.Sink == nil {
			rows = append(rows, [3]string{"query", "shown", where})
		} else if f.Sink.Role == Kept {
			rows = append(rows, [3]string{f.Sink.Short, string(Kept), f.Sink.connector() + ", " + where})
		} else {
			rows = append(rows, [3]string{f.Sink.Short, string(Sink), f.Sink.connector() + " → print, " + where})
		}
		apart = map[*Table]bool{}
		feed("", f.From)
	}
	for _, t := range r.Tables {
		if t.Role == Unused {
			rows = append(rows, [3]string{t.Short, string(Unused), t.connector()})
		}
	}
	var first, second int
	for _, row := range rows {
		first, second = max(first, width(row[0])), max(second, width(row[1]))
	}
	var b strings.Builder
	for _, row := range rows {
		line := row[0] + strings.Repeat(" ", first-width(row[0])+2) + row[1] + strings.Repeat(" ", second-width(row[1])+2) + row[2]
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) connector() string {
	switch {
	case t.Connector != "":
		return t.Connector
	case t.InCatalog:
		return "catalog table"
	}
	return "catalog's connector"
}

func (t *Table) reads() string {
	switch t.Role {
	case View:
		return ""
	case Kept:
		return t.connector()
	case Data:
		return t.connector() + " → file"
	case Both:
		return t.connector() + " → datagen, also a sink"
	}
	return t.connector() + " → datagen"
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
