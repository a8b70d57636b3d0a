package mock

import (
	"strconv"
	"strings"
)

// dataType is a column's type. Kind is Flink's root without parameters: STRING is VARCHAR, BYTES is VARBINARY,
// INTEGER is INT, and so on.
type dataType struct {
	kind          string
	length, scale int // -1: not given
	element       *dataType
	key, value    *dataType
	fields        []field
	depth         int                  // levels of types in it
	named         map[string]*dataType // the fields by name, once one is asked for
}

// field returns the type of a field, the first one of the name; nil without one.
func (d *dataType) field(name string) *dataType {
	if d.named == nil {
		d.named = make(map[string]*dataType, len(d.fields))
		for _, f := range d.fields {
			if _, twice := d.named[f.name]; !twice {
				d.named[f.name] = f.typ
			}
		}
	}
	return d.named[name]
}

// holds makes inner a type inside of d.
func (d *dataType) holds(inner *dataType) {
	if inner != nil {
		d.depth = max(d.depth, inner.depth+1)
	}
}

type field struct {
	name string
	typ  *dataType
}

const longest = 1<<31 - 1

// typeAt reads the type at i and returns the index after it, with NOT NULL; nil and i if no type is there.
func (t tokens) typeAt(i int) (*dataType, int) {
	typ, i := t.typeRoot(i)
	if typ == nil {
		return nil, i
	}
	for {
		switch {
		case t.words(i, "NOT", "NULL"):
			i += 2
		case t.word(i) == "NULL":
			i++
		case t.word(i) == "ARRAY", t.word(i) == "MULTISET":
			if typ.depth <= deepestType { // else it is refused anyway
				typ = &dataType{kind: t.word(i), element: typ, length: -1, scale: -1, depth: typ.depth + 1}
			}
			i++
		default:
			return typ, i
		}
	}
}

func (t tokens) typeRoot(i int) (*dataType, int) {
	typ := &dataType{kind: t.word(i), length: -1, scale: -1}
	start := i
	switch typ.kind {
	case "":
		if _, ok := t.name(i); !ok {
			return nil, i
		}
		parts, end := t.path(i)
		typ.kind = strings.Join(parts, ".")
		return typ, end
	case "ROW", "STRUCTURED":
		open := i + 1
		switch {
		case t.is(open, "<>"):
			return typ, open + 1
		case t.is(open, "<"), t.is(open, "("):
			closing := map[bool]string{true: ">", false: ")"}[t.is(open, "<")]
			return typ, t.rowFields(open+1, closing, typ)
		}
		return typ, open
	case "ARRAY", "MULTISET":
		if t.is(i+1, "<") {
			typ.element, i = t.typeAt(i + 2)
			typ.holds(typ.element)
			return typ, t.closeAngle(i)
		}
		return typ, i + 1
	case "MAP":
		if t.is(i+1, "<") {
			typ.key, i = t.typeAt(i + 2)
			if t.is(i, ",") {
				typ.value, i = t.typeAt(i + 1)
			}
			typ.holds(typ.key)
			typ.holds(typ.value)
			return typ, t.closeAngle(i)
		}
		return typ, i + 1
	case "DOUBLE":
		if t.word(i+1) == "PRECISION" {
			i++
		}
	case "CHARACTER", "CHAR", "BINARY":
		if typ.kind == "CHARACTER" {
			typ.kind = "CHAR"
		}
		if t.word(i+1) == "VARYING" {
			typ.kind = "VAR" + typ.kind
			i++
		}
	case "INTEGER":
		typ.kind = "INT"
	case "DEC", "NUMERIC":
		typ.kind = "DECIMAL"
	case "STRING":
		typ.kind, typ.length = "VARCHAR", longest
	case "BYTES":
		typ.kind, typ.length = "VARBINARY", longest
	default:
		if t.is(i+1, ".") { // a user's type
			parts, end := t.path(i)
			typ.kind = strings.Join(parts, ".")
			return typ, end
		}
	}
	i++
	if t.is(i, "(") {
		typ.parameters(t, i)
		i = t.after(i)
	}
	if typ.kind == "TIME" || typ.kind == "TIMESTAMP" {
		local := t.words(i, "WITH", "LOCAL", "TIME", "ZONE")
		switch {
		case local && typ.kind == "TIMESTAMP":
			typ.kind, i = "TIMESTAMP_LTZ", i+4
		case local:
			i += 4
		case t.words(i, "WITH", "TIME", "ZONE"), t.words(i, "WITHOUT", "TIME", "ZONE"):
			i += 3
		}
	}
	if typ.length < 0 {
		switch typ.kind {
		case "CHAR", "VARCHAR", "BINARY", "VARBINARY":
			typ.length = 1
		case "DECIMAL":
			typ.length, typ.scale = 10, 0
		}
	}
	if typ.kind == "DECIMAL" && typ.scale < 0 {
		typ.scale = 0
	}
	return typ, max(i, start+1)
}

func (d *dataType) parameters(t tokens, open int) {
	n, err := strconv.Atoi(t.textOf(open + 1))
	if err == nil {
		d.length = n
	}
	if t.is(open+2, ",") {
		if n, err := strconv.Atoi(t.textOf(open + 3)); err == nil {
			d.scale = n
		}
	}
}

func (t tokens) textOf(i int) string {
	if i < 0 || i >= t.count {
		return ""
	}
	return t.tape.Text(i)
}

func (t tokens) closeAngle(i int) int {
	if t.is(i, ">") {
		return i + 1
	}
	return i
}

func (t tokens) rowFields(i int, closing string, typ *dataType) int {
	for i < t.count && !t.is(i, closing) {
		name, ok := t.name(i)
		if !ok {
			return i
		}
		next, end := t.typeAt(i + 1)
		if next == nil {
			return i
		}
		if t.word(end) == "COMMENT" {
			end++
		}
		_, i = t.text(end) // the comment
		typ.fields = append(typ.fields, field{name, next})
		typ.holds(next)
		if t.is(i, ",") {
			i++
		}
	}
	return min(i+1, t.count)
}

// plain reports whether every version of datagen makes values of the type.
func (d *dataType) plain() bool {
	switch d.kind {
	case "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "CHAR", "VARCHAR", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ":
		return true
	}
	return false
}

// typeless reports whether a name is not a column's type in Flink. A name with a dot may be a user's type.
func typeless(kind string) bool {
	switch kind {
	case "BINARY", "VARBINARY", "ARRAY", "MULTISET", "MAP", "ROW", "STRUCTURED", "RAW", "VARIANT", "BITMAP":
		return false
	}
	return !strings.Contains(kind, ".")
}

// unsupported returns the name of a type that datagen cannot make, "" if it can make all of d.
func (d *dataType) unsupported(o *Options) string {
	if d == nil {
		return ""
	}
	if d.plain() {
		return ""
	}
	switch d.kind {
	case "BINARY", "VARBINARY":
		if o.version(binary) {
			return ""
		}
	case "ARRAY", "MULTISET":
		return d.element.unsupported(o)
	case "MAP":
		if bad := d.key.unsupported(o); bad != "" {
			return bad
		}
		return d.value.unsupported(o)
	case "ROW":
		for _, f := range d.fields {
			if bad := f.typ.unsupported(o); bad != "" {
				return bad
			}
		}
		return ""
	}
	return d.kind
}
