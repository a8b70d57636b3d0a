package mock

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// A lookup join does not work on generated rows. Where the script tells enough, it becomes an event-time temporal
// join against one version of the table, dated 1970: as with a lookup, rows stay insertions and keep their time
// attributes, so that windows behind the join work. Else it becomes a regular join.

// versionColumn is the rowtime attribute that such a table gets.
const versionColumn = "mock_rowtime"

// emulate decides which tables of lookup joins get versions.
func (a *analysis) emulate() {
	uses := map[*object][]*use{}
	for _, s := range a.statements {
		for _, u := range s.uses {
			if u.asOf[1] > 0 && !u.object.kept {
				uses[u.object] = append(uses[u.object], u)
			}
		}
	}
	for _, o := range a.objects {
		if !a.batch {
			o.versions = a.versionable(o, uses[o])
		}
	}
	// A join behind one that loses the time attribute cannot keep it.
	for again := true; again; {
		again = false
		for _, o := range a.objects {
			if o.versions != "" && slices.ContainsFunc(uses[o], func(u *use) bool { return !u.keepsTime() }) {
				o.versions, again = "", true
			}
		}
	}
	for o, list := range uses {
		if o.versions == "" {
			o.lookupKey = soleKey(list)
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
func (a *analysis) versionable(o *object, uses []*use) string {
	if o.role() != Lookup || o.def == nil || o.like != nil || o.def.asAt >= 0 || len(o.def.watermark) > 0 || o.altered || len(uses) == 0 ||
		o.def.last == 0 || len(o.likes) > 0 ||
		slices.ContainsFunc(o.def.columns, func(c column) bool { return c.name == versionColumn }) {
		return ""
	}
	typ, key := "", o.def.key
	for _, u := range uses {
		if u.left == nil || u.left.object == nil || u.leftAlias == "" || u.from.star {
			return ""
		}
		next := u.left.object.rowtimeType()
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
	for _, k := range key {
		if !slices.ContainsFunc(o.def.columns, func(c column) bool { return c.name == k && !c.computed() && c.typ != nil }) {
			return ""
		}
	}
	o.lookupKey = key
	return typ
}

// keepsTime reports whether nothing but lookups with versions stands between the left table and this one.
func (u *use) keepsTime() bool {
	for i, item := range u.from.items {
		switch {
		case item == u:
			return true
		case i == 0 && item == u.left:
		case i == 0 || item == nil || item.object == nil:
			return false
		case item.temporal, item.asOf[1] > 0 && (item.object.kept || item.object.versions != ""):
		default:
			return false
		}
	}
	return false
}

// rowtimeType returns the type of a table's rowtime attribute, if the definition tells.
func (o *object) rowtimeType() string {
	if o.def == nil || o.view || o.kept {
		return ""
	}
	path := o.rowtime()
	if len(path) != 1 {
		return ""
	}
	for _, c := range o.def.columns {
		if c.name != path[0] {
			continue
		}
		switch {
		case !c.computed() && c.typ != nil && (c.typ.kind == "TIMESTAMP" || c.typ.kind == "TIMESTAMP_LTZ"):
			return c.typ.kind
		case c.computed() && o.def.word(c.expr[0]) == "TO_TIMESTAMP_LTZ":
			return "TIMESTAMP_LTZ"
		case c.computed() && o.def.word(c.expr[0]) == "TO_TIMESTAMP":
			return "TIMESTAMP"
		case c.computed() && o.def.word(c.expr[0]) == "CAST":
			for i := c.expr[1] - 1; i > c.expr[0]; i-- {
				if o.def.word(i) == "AS" {
					if typ, _ := o.def.typeAt(i + 1); typ != nil && strings.HasPrefix(typ.kind, "TIMESTAMP") {
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
	if o.versions == "TIMESTAMP_LTZ" {
		text += "TO_TIMESTAMP_LTZ(0, 3)"
	} else {
		text += "CAST(TIMESTAMP '1970-01-01 00:00:00' AS TIMESTAMP(3))"
	}
	text += ", WATERMARK FOR " + name + " AS " + name
	if len(o.def.key) == 0 {
		keys := make([]string, len(o.lookupKey))
		for i, k := range o.lookupKey {
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
			i = w.behind(i)
		}
		if w.word(i) == "OR" {
			return nil
		}
		left, at := w.path(from)
		right, behind := w.path(at + 1)
		if w.is(at, "=") && behind == i && len(left) > 1 && len(right) > 1 && (left[0] == alias) != (right[0] == alias) {
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
