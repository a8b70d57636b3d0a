package mock

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// A lookup join does not work on generated rows. Where the script tells enough, it becomes an event-time temporal
// join against one version of the table, dated 1970: as with a lookup, rows stay insertions and keep their time
// attributes, so that windows after the join work. Else it becomes a regular join.

// versionColumn is the rowtime attribute that such a table gets.
const versionColumn = "mock_rowtime"

// emulate decides which tables of lookup joins get versions.
func (pl *plan) emulate() {
	uses := map[*object][]*use{}
	for _, r := range pl.records {
		for _, m := range r.uses {
			if u := m.join; u != nil && u.asOf[1] > 0 && !u.object.kept {
				uses[u.object] = append(uses[u.object], u)
			}
		}
	}
	for _, o := range pl.objects {
		if pl.batch {
			break
		}
		if versions := pl.versionable(o, uses[o]); versions != "" {
			o.ensureChoices().versions = versions
		}
	}
	// A join after one that loses the time attribute cannot keep it.
	var lost []*object
	lose := func(o *object) {
		if o.choices().versions != "" {
			o.rare.chosen.versions = ""
			lost = append(lost, o)
		}
	}
	intact := map[*fromClause]int{} // how many of its items keep the time
	loseAfter := func(f *fromClause, from int) {
		to, seen := intact[f]
		if !seen {
			to = len(f.items)
		}
		for _, item := range f.items[min(from, to):to] {
			if item != nil && item.object != nil && item.asOf[1] > 0 {
				lose(item.object)
			}
		}
		intact[f] = min(from, to)
	}
	for _, o := range pl.objects {
		if o.choices().versions == "" {
			continue
		}
		for _, u := range uses[o] {
			if len(u.from.items) > 0 && u.from.items[0] != u && u.from.items[0] != u.left {
				lose(o) // the time is that of another table
			}
			if _, seen := intact[u.from]; !seen {
				loseAfter(u.from, u.from.keepsTime())
			}
		}
	}
	for ; len(lost) > 0; lost = lost[1:] {
		for _, u := range uses[lost[0]] {
			if i := slices.Index(u.from.items[:intact[u.from]], u); i >= 0 {
				loseAfter(u.from, i+1)
			}
		}
	}
	for o, list := range uses {
		if o.choices().versions == "" {
			o.ensureChoices().lookupKey = soleKey(list)
		}
	}
}

// soleKey returns the one column that all joins look the table up by, whose values then are unique.
func soleKey(uses []*use) []string {
	for _, u := range uses {
		if len(u.joinedBy) != 1 || u.joinedBy[0] != uses[0].joinedBy[0] {
			return nil
		}
	}
	return uses[0].joinedBy
}

// versionable returns the type that the rowtime attribute of a lookup table must have; "" if it cannot have one.
func (pl *plan) versionable(o *object, uses []*use) string {
	if o.role() != Lookup || o.def == nil || o.like() != nil || o.ctas || len(o.def.watermark()) > 0 || o.altered || len(uses) == 0 ||
		!o.def.hasColumns || len(o.likes()) > 0 || o.def.versioned {
		return ""
	}
	typ, key := "", o.def.key()
	for _, u := range uses {
		if u.left == nil || u.left.object == nil || u.leftAlias == "" || u.from.star {
			return ""
		}
		next := pl.rowtimeType(u.left.object)
		if next == "" || typ != "" && typ != next {
			return ""
		}
		typ = next
		if len(key) == 0 {
			key = slices.Compact(slices.Sorted(slices.Values(u.joinedBy)))
		}
		for _, k := range key {
			if !slices.Contains(u.joinedBy, k) {
				return ""
			}
		}
	}
	if len(key) == 0 {
		return ""
	}
	columns := pl.definition(o).columns
	for _, k := range key {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.name == k && !c.computed() && c.typ != nil }) {
			return ""
		}
	}
	o.ensureChoices().lookupKey = key
	return typ
}

// keepsTime returns how many items of FROM have nothing but lookups with versions between the first one and them.
func (f *fromClause) keepsTime() int {
	for i, item := range f.items[min(1, len(f.items)):] {
		if item == nil || item.object == nil ||
			!item.temporal && !(item.asOf[1] > 0 && (item.object.kept || item.object.choices().versions != "")) {
			return i + 2 // itself may still have the time
		}
	}
	return len(f.items)
}

// rowtimeType returns the type of a table's rowtime attribute, if the definition tells.
func (pl *plan) rowtimeType(o *object) string {
	if o.def == nil || o.view || o.kept {
		return ""
	}
	path := o.rowtime()
	if len(path) != 1 {
		return ""
	}
	d := pl.definition(o)
	for _, c := range d.columns {
		if c.name != path[0] {
			continue
		}
		switch {
		case !c.computed() && c.typ != nil && (c.typ.kind == "TIMESTAMP" || c.typ.kind == "TIMESTAMP_LTZ"):
			return c.typ.kind
		case c.computed() && d.word(c.expr[0]) == "TO_TIMESTAMP_LTZ":
			return "TIMESTAMP_LTZ"
		case c.computed() && d.word(c.expr[0]) == "TO_TIMESTAMP":
			return "TIMESTAMP"
		case c.computed() && d.word(c.expr[0]) == "CAST":
			for i := c.expr[1] - 1; i > c.expr[0]; i-- {
				if d.word(i) == "AS" {
					if typ, _ := d.typeAt(i + 1); typ != nil && strings.HasPrefix(typ.kind, "TIMESTAMP") {
						return typ.kind
					}
				}
			}
		}
	}
	return ""
}

// versionElements returns what the table's columns get in addition.
func (o *object) versionElements() string {
	name := sqltext.Identifier(versionColumn)
	text := ", " + name + " AS "
	if o.rare.chosen.versions == "TIMESTAMP_LTZ" {
		text += "TO_TIMESTAMP_LTZ(0, 3)"
	} else {
		text += "CAST(TIMESTAMP '1970-01-01 00:00:00' AS TIMESTAMP(3))"
	}
	text += ", WATERMARK FOR " + name + " AS " + name
	if len(o.def.key()) == 0 {
		keys := make([]string, len(o.rare.chosen.lookupKey))
		for i, k := range o.rare.chosen.lookupKey {
			keys[i] = sqltext.Identifier(k)
		}
		text += ", PRIMARY KEY (" + strings.Join(keys, ", ") + ") NOT ENFORCED"
	}
	return text
}

// joinCondition returns the columns of the table with this alias that ON compares with columns of others.
func (w *walker) joinCondition(i, end int, alias string) []string {
	if w.word(i) != "ON" {
		return nil
	}
	var columns []string
	for i++; i < end; {
		from := i
		for i < end && w.word(i) != "AND" && w.word(i) != "OR" && !w.is(i, ",") && !(clause(w.word(i)) && w.word(i) != "FOR") {
			i = w.after(i)
		}
		if w.word(i) == "OR" {
			return nil
		}
		left, at := w.path(from)
		right, rest := w.path(at + 1)
		if w.is(at, "=") && rest == i && len(left) > 1 && len(right) > 1 && (left[0] == alias) != (right[0] == alias) {
			if right[0] == alias {
				left = right
			}
			if len(left) == 2 {
				columns = append(columns, left[1])
			}
		}
		if w.word(i) != "AND" {
			break
		}
		i++
	}
	return columns
}
