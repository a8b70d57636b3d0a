package mock

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// inventory is what was read: statements, the objects that they name, and what the script tells about them as a whole.
type inventory struct {
	options  Options
	keeps    map[string]bool // the names of Options.Keep
	brief    bool            // it is only shown: options of tables are not asked for
	batch    bool
	parts    []*part
	records  []*record // of statements, in their order
	objects  []*object // in the order of appearance
	renewed  bool      // there may be several objects of a name
	catalogs map[string]catalogState
	columns  columnUses
	windows  []window
	// The script asks for a window's processing time.
	needsProcessing bool
	undefined       [][3]string
	warnings        []string
	warned          map[string]bool
	errors          []*Error
}

// catalogState is a catalog of the session.
type catalogState struct {
	inMemory bool // what is created there is gone with the run
	database string
	absent   *standIn
}

func newInventory(o Options, brief bool) *inventory {
	inv := &inventory{
		options:  o,
		keeps:    make(map[string]bool, len(o.Keep)),
		brief:    brief,
		batch:    o.Batch,
		catalogs: map[string]catalogState{"default_catalog": {inMemory: true, database: "default_database"}},
		columns:  newColumnUses(),
		warned:   map[string]bool{},
	}
	for _, name := range o.Keep {
		inv.keeps[name] = true
	}
	return inv
}

func (inv *inventory) warnf(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if !inv.warned[w] {
		inv.warned[w] = true
		inv.warnings = append(inv.warnings, w)
	}
}

// tooDeep reports what is nested in more levels than are read here. It is an error even if the script is only planned.
func (inv *inventory) tooDeep(s *statement, token, levels int) {
	hint := "split the query into several views"
	if levels == deepestType {
		hint = "use a flatter type, or a column of type STRING"
	}
	e := s.errorf(hint, "nested more than %d levels deep", levels)
	at := s.token(token)
	e.Line, e.Column = at.Line, at.Column
	inv.errors = append(inv.errors, e)
}

// inMemory reports whether what is created in the object's catalog is gone with the run.
func (inv *inventory) inMemory(o *object) bool { return inv.catalogs[o.full()[0]].inMemory }

// kept reports whether the user wants to keep a table.
func (inv *inventory) kept(o *object) bool { return inv.keptName(o.full()) }

func (inv *inventory) keptName(full [3]string) bool {
	return len(inv.keeps) > 0 && (inv.keeps[full[2]] || inv.keeps[full[1]+"."+full[2]] || inv.keeps[strings.Join(full[:], ".")])
}

// matches reports whether a name given by the user, t, database.t or catalog.database.t, means the table.
func matches(given string, full [3]string) bool {
	for i := range full {
		if given == strings.Join(full[i:], ".") {
			return true
		}
	}
	return false
}

// null reports whether a column of a script that is only planned is computed when it is read.
func (inv *inventory) null(d *definition, c column) bool {
	if c.computed() || c.typ == nil {
		return false
	}
	bad := c.typ.unsupported(&inv.options)
	return bad != "" && !typeless(bad) && !d.inKey(c.name) && d.elementEnds(c.typeAt[1])
}

// parse takes a table's definition apart again: what it says of each column takes many times as much memory as the text.
func (inv *inventory) parse(o *object) *definition {
	var text sqltext.Statement
	if o.described() != nil {
		text = *o.described()
	} else {
		text = o.first.statement()
	}
	return parseCreate(significant(tokens{}, text))
}

// definition returns a table's definition, which is kept: others ask for it, those that are LIKE it or that look it up.
func (inv *inventory) definition(o *object) *definition {
	cached := o.cache()
	if cached.parsed == nil {
		cached.parsed = inv.parse(o)
	}
	inv.setNulls(o, cached.parsed)
	return cached.parsed
}

// setNulls tells the columns that are computed when they are read.
func (inv *inventory) setNulls(o *object, d *definition) {
	if !o.nulls || d.nulled {
		return
	}
	d.nulled = true
	for i, c := range d.columns {
		d.columns[i].null = inv.null(d, c)
	}
}
