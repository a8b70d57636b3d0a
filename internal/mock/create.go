package mock

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// facts are what is kept of a table's definition between reading and writing.
type facts struct {
	connector  string
	temporary  bool
	hasColumns bool     // in parentheses
	metadata   bool     // some columns are metadata
	virtual    bool     // some of them virtual
	versioned  bool     // one is called versionColumn
	special    bool     // a column has a type that datagen may not make
	without    struct { // what LIKE leaves out of the other table
		metadata, options, constraints bool
	}
	more *fewFacts
}

// fewFacts are the facts that few tables have.
type fewFacts struct {
	options    settings // all of them, unless the script is only shown
	key        []string // primary key
	watermark  []string // path of the rowtime attribute
	processing string   // a column that is PROCTIME()
	processes  int      // how many are
}

func (f *facts) few() fewFacts {
	if f.more == nil {
		return fewFacts{}
	}
	return *f.more
}

func (f *facts) options() settings   { return f.few().options }
func (f *facts) key() []string       { return f.few().key }
func (f *facts) watermark() []string { return f.few().watermark }

// definition is a CREATE TABLE statement, taken apart. Indexes are into tokens; -1 is absent.
type definition struct {
	tokens
	temporary   bool
	replace     bool // REPLACE TABLE, CREATE OR REPLACE TABLE
	ifNotExists bool
	table       int    // the word TABLE
	nameAt      [2]int // from, to
	spelled     []string
	columns     []column
	watermark   []string // path of the rowtime attribute
	last        int      // the parenthesis that closes the columns
	key         []string // primary key
	keyed       map[string]bool
	distributed [2]int
	partitioned [2]int
	withAt      [2]int
	settings    settings
	likeAt      int
	likeName    []string
	likeOptions [2]int
	asAt        int
	tail        int                  // where WITH would be: LIKE, AS, or the end
	nulled      bool                 // column.null is known
	deepType    int                  // the token of a type that is nested too deeply, 0 without one
	named       map[string]bool      // columns: whether one of the name is not computed
	types       map[string]*dataType // of columns, the last one of the name
}

// facts returns what is kept of the definition. brief: options other than those that are shown are not.
func (d *definition) facts(brief bool) *facts {
	f := &facts{connector: d.settings.get("connector"), temporary: d.temporary, hasColumns: d.last > 0}
	few := fewFacts{key: d.key, watermark: d.watermark}
	for _, option := range d.settings {
		if !brief || f.connector == "print" && option[0] == "print-identifier" {
			few.options = append(few.options, option)
		}
	}
	f.without.metadata = d.likeWithoutMetadata()
	f.without.options, f.without.constraints = d.likeWithout("OPTIONS"), d.likeWithout("CONSTRAINTS")
	for _, c := range d.columns {
		f.metadata = f.metadata || c.isMetadata()
		f.virtual = f.virtual || c.isMetadata() && c.virtual
		f.versioned = f.versioned || c.name == versionColumn
		f.special = f.special || !c.computed() && c.typ != nil && !c.typ.plain()
		if c.isProcessingTime(d) {
			few.processing = c.name
			few.processes++
		}
	}
	if len(few.options)+len(few.key)+len(few.watermark)+few.processes > 0 {
		f.more = &few
	}
	return f
}

type column struct {
	name     string
	typ      *dataType // nil for a computed column
	expr     [2]int    // of a computed column
	metadata [2]int
	virtual  bool
	typeAt   [2]int // with NOT NULL
	null     bool   // is computed when read, since datagen cannot make its type
}

func (c column) computed() bool   { return c.expr[1] > 0 }
func (c column) isMetadata() bool { return c.metadata[1] > 0 }

// plainFor reports whether the metadata column becomes an ordinary one: datagen and print have no metadata.
func (c column) plainFor(s side) bool {
	return c.isMetadata() && (s == reading || s == writing && !c.virtual)
}

// parseCreate takes a CREATE or REPLACE TABLE statement apart; nil if it is another statement, or incomplete.
func parseCreate(t tokens) *definition {
	d := &definition{tokens: t, likeAt: -1, asAt: -1}
	if t.broken {
		return nil
	}
	i := 0
	for {
		switch t.word(i) {
		case "REPLACE":
			d.replace = true
		case "TEMPORARY":
			d.temporary = true
		case "CREATE", "OR":
		case "TABLE":
			d.table = i
			i++
			if t.words(i, "IF", "NOT", "EXISTS") {
				d.ifNotExists = true
				i += 3
			}
			d.nameAt[0] = i
			d.spelled, i = t.path(i)
			d.nameAt[1] = i
			if d.spelled == nil || len(d.spelled) > 3 {
				return nil
			}
			d.rest(i)
			return d
		default:
			return nil
		}
		i++
	}
}

// rest reads what follows the name.
func (d *definition) rest(i int) {
	if d.is(i, "(") {
		d.elements(i+1, d.partner(i))
		d.last = d.partner(i)
		i = d.after(i)
	}
	for i < d.count {
		switch d.word(i) {
		case "COMMENT":
			_, next := d.text(i + 1)
			i = max(next, i+1)
			continue
		case "DISTRIBUTED":
			from := i
			for i++; i < d.count && !slices.Contains([]string{"PARTITIONED", "WITH", "LIKE", "AS", "COMMENT"}, d.word(i)); {
				i = d.after(i)
			}
			d.distributed = [2]int{from, i}
			continue
		case "PARTITIONED":
			d.partitioned[0] = i
			for i++; i < d.count && !d.is(i, "("); i++ {
			}
			i = d.after(i)
			d.partitioned[1] = min(i, d.count)
			continue
		case "WITH":
			if d.is(i+1, "(") {
				d.withAt[0] = i
				d.settings, i = d.options(i + 1)
				d.withAt[1] = i
				continue
			}
		case "LIKE":
			d.likeAt, d.tail = i, i
			d.likeName, i = d.path(i + 1)
			if d.is(i, "(") {
				d.likeOptions = [2]int{i, d.after(i)}
			} else {
				d.likeOptions = [2]int{i, i}
			}
			return
		case "AS":
			d.asAt, d.tail = i, i
			return
		}
		i = d.after(i)
	}
	d.tail = d.count
}

// elements reads columns, watermarks and constraints up to the closing parenthesis.
func (d *definition) elements(i, end int) {
	for i < end {
		next := d.comma(i, end)
		switch {
		case d.words(i, "WATERMARK", "FOR"):
			d.watermark, _ = d.path(i + 2)
		case d.words(i, "PRIMARY", "KEY"):
			d.primaryKey(i + 2)
		case d.word(i) == "CONSTRAINT" && d.words(i+2, "PRIMARY", "KEY"):
			d.primaryKey(i + 4)
		case d.word(i) == "UNIQUE" && d.is(i+1, "("):
		default:
			d.column(i, next)
		}
		i = next + 1
	}
}

// comma returns the index of the comma after the element at i, or end. Angle brackets count in types only: a
// comma inside of ROW<…> is passed by reading the type.
func (d *definition) comma(i, end int) int {
	if _, ok := d.name(i); ok && !d.words(i, "WATERMARK", "FOR") && !d.words(i, "PRIMARY", "KEY") &&
		d.word(i) != "CONSTRAINT" && d.word(i+1) != "AS" {
		if _, end := d.typeAt(i + 1); end > i+1 {
			i = end
		}
	}
	for i < end && !d.is(i, ",") {
		i = d.after(i)
	}
	return min(i, end)
}

func (d *definition) primaryKey(i int) {
	if !d.is(i, "(") {
		return
	}
	for j := i + 1; j < d.partner(i); j++ {
		if name, ok := d.name(j); ok {
			d.key = append(d.key, name)
		}
	}
}

func (d *definition) column(i, end int) {
	name, ok := d.name(i)
	if !ok || i+1 >= end {
		return // of CTAS, which may list names alone
	}
	c := column{name: name}
	i++
	if d.word(i) == "AS" {
		to := i + 1
		for to < end && d.word(to) != "COMMENT" {
			to = d.after(to)
		}
		c.expr = [2]int{i + 1, min(to, end)}
		d.columns = append(d.columns, c)
		return
	}
	c.typeAt[0] = i
	c.typ, i = d.typeAt(i)
	c.typeAt[1] = i
	if c.typ != nil && c.typ.depth >= deepestType {
		d.deepType, c.typ = c.typeAt[0], nil
	}
	for i < end {
		switch {
		case d.word(i) == "METADATA":
			from := i
			i++
			if d.word(i) == "FROM" {
				_, i = d.text(i + 1)
			}
			if d.word(i) == "VIRTUAL" {
				c.virtual = true
				i++
			}
			c.metadata = [2]int{from, i}
		case d.words(i, "PRIMARY", "KEY"):
			d.key = []string{name}
			i += 2
		default:
			i = d.after(i)
		}
	}
	d.columns = append(d.columns, c)
}

// inKey reports whether a column is of the primary key.
func (d *definition) inKey(name string) bool {
	if d.keyed == nil {
		d.keyed = make(map[string]bool, len(d.key))
		for _, k := range d.key {
			d.keyed[k] = true
		}
	}
	return d.keyed[name]
}

// elementEnds reports whether the token at i may follow a column's type: the type was understood to its end.
func (d *definition) elementEnds(i int) bool {
	switch d.word(i) {
	case "COMMENT", "METADATA":
		return true
	}
	return d.is(i, ",") || d.is(i, ")")
}

// byName fills in what is known by the names of columns.
func (d *definition) byName() {
	if d.named != nil {
		return
	}
	d.named, d.types = map[string]bool{}, map[string]*dataType{}
	for _, c := range d.columns {
		d.named[c.name] = d.named[c.name] || !c.computed()
		d.types[c.name] = c.typ
	}
}

// computedUses returns the column paths that a computed column reads, as far as they are columns of the table.
func (d *definition) computedUses(c column) []string {
	d.byName()
	var paths []string
	for i := c.expr[0]; i < c.expr[1]; {
		parts, next := d.path(i)
		if next > i && !d.is(next, "(") && d.named[parts[0]] {
			paths = append(paths, strings.Join(parts, "."))
		}
		i = max(next, i+1)
	}
	return paths
}

// calls reports whether a computed column calls one of the functions.
func (d *definition) calls(c column, functions ...string) bool {
	for i := c.expr[0]; i < c.expr[1]; i++ {
		if d.is(i+1, "(") && slices.Contains(functions, d.word(i)) {
			return true
		}
	}
	return false
}

// side is what a table's definition is needed for.
type side uint8

const (
	reading side = iota
	writing
	copying // by LIKE … (EXCLUDING METADATA), which must find the metadata columns as they were
)

// form is how a definition is written again.
type form struct {
	side      side
	options   [][2]string
	name      string // replaces the table's name if not empty
	temporary bool
	ifAbsent  bool   // IF NOT EXISTS
	like      string // replaces the name after LIKE if not empty
	file      bool   // read from a file, which has times of its own, or LIKE'd by what is
	flat      bool   // without partitions
	elements  string // put after the columns
	eventual  string // a column that is PROCTIME() and becomes an event time
}

// edits writes the definition again.
func (d *definition) edits(f form, src string, base int) []edit {
	var edits []edit
	replace := func(i, j int, text string) {
		from, to := d.span(i, j)
		edits = append(edits, edit{from, to, pad(text, src[from-base:to-base])})
	}
	// remove takes the blank before along.
	remove := func(i, j int) {
		from, to := d.span(i, j)
		for from > base && (src[from-base-1] == ' ' || src[from-base-1] == '\t') {
			from--
		}
		edits = append(edits, edit{from, to, pad("", src[from-base:to-base])})
	}
	insert := func(before int, text string) {
		at := d.begin(before)
		edits = append(edits, edit{at, at, text})
	}
	if f.temporary && !d.temporary {
		insert(d.table, "TEMPORARY ")
	}
	if f.ifAbsent && !d.ifNotExists {
		insert(d.nameAt[0], "IF NOT EXISTS ")
	}
	if f.name != "" {
		replace(d.nameAt[0], d.nameAt[1], f.name)
	}
	for _, c := range d.columns {
		if c.null && f.side == reading {
			to := c.typeAt[1]
			for d.word(to-1) == "NULL" {
				if to--; d.word(to-1) == "NOT" {
					to--
				}
			}
			insert(c.typeAt[0], "AS CAST(NULL AS ")
			_, at := d.span(c.typeAt[0], to)
			edits = append(edits, edit{at, at, ")"})
			if to < c.typeAt[1] {
				remove(to, c.typeAt[1])
			}
		}
		switch {
		case c.plainFor(f.side):
			remove(c.metadata[0], c.metadata[1])
		case f.eventual != "" && f.eventual == c.name:
			replace(c.expr[0], c.expr[1], eventNow)
		case f.side == reading && c.computed() && !f.file:
			if now := d.rowtimeFromText(c); now != "" {
				replace(c.expr[0], c.expr[1], now)
			}
		}
	}
	if f.elements != "" {
		_, at := d.span(d.last-1, d.last)
		edits = append(edits, edit{at, at, f.elements})
	}
	if d.distributed[1] > 0 {
		remove(d.distributed[0], d.distributed[1])
	}
	if d.partitioned[1] > 0 && f.flat {
		remove(d.partitioned[0], d.partitioned[1])
	}
	switch {
	case d.withAt[1] > 0:
		from, to := d.span(d.withAt[0], d.withAt[1])
		edits = append(edits, edit{from, to, withClause(f.options, lineEnds(src[from-base:to-base]))})
	case d.tail < d.count:
		insert(d.tail, withClause(f.options, 0)+" ")
	default:
		_, to := d.span(d.count-1, d.count)
		edits = append(edits, edit{to, to, " " + withClause(f.options, 0)})
	}
	if d.likeAt >= 0 {
		if f.like != "" {
			replace(d.likeAt+1, d.likeOptions[0], f.like)
		}
		edits = append(edits, d.likeEdits(replace)...)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	return edits
}

// likeEdits makes LIKE leave out the options of the other table: datagen and print refuse what they do not know.
func (d *definition) likeEdits(replace func(i, j int, text string)) []edit {
	from, to := d.likeOptions[0], d.likeOptions[1]
	if from == to {
		_, at := d.span(from-1, from)
		return []edit{{at, at, " (EXCLUDING OPTIONS)"}}
	}
	for i := from + 1; i < to-1; i++ {
		if d.word(i+1) == "OPTIONS" {
			if d.word(i) != "EXCLUDING" {
				replace(i, i+1, "EXCLUDING")
			}
			return nil
		}
	}
	at := d.begin(to - 1)
	text := "EXCLUDING OPTIONS"
	if to-1 > from+1 {
		text = " " + text
	}
	return []edit{{at, at, text}}
}

// likeWithoutMetadata reports whether LIKE leaves the metadata columns of the other table out.
func (d *definition) likeWithoutMetadata() bool {
	for i := d.likeOptions[0]; i < d.likeOptions[1]; i++ {
		if d.word(i) == "EXCLUDING" && (d.word(i+1) == "METADATA" || d.word(i+1) == "ALL") {
			return true
		}
	}
	return false
}

// rowtimeFromText returns what a rowtime attribute is computed from instead, if it is read from a text column:
// datagen makes no dates as text, and a rowtime that is NULL fails the job. "" leaves the column as it is.
func (d *definition) rowtimeFromText(c column) string {
	if len(d.watermark) != 1 || d.watermark[0] != c.name || !d.readsText(c) {
		return ""
	}
	for i := c.expr[0]; i < c.expr[1]; i++ {
		switch d.word(i) {
		case "TO_TIMESTAMP_LTZ", "TIMESTAMP_LTZ", "LOCAL":
			return "CAST(CURRENT_TIMESTAMP AS TIMESTAMP_LTZ(3))"
		}
	}
	if d.calls(c, "TO_TIMESTAMP", "CAST", "TRY_CAST") {
		return "CAST(LOCALTIMESTAMP AS TIMESTAMP(3))"
	}
	return ""
}

func (d *definition) readsText(c column) bool {
	for _, p := range d.computedUses(c) {
		typ := d.typeOf(strings.Split(p, "."))
		if typ == nil || typ.kind == "VARCHAR" || typ.kind == "CHAR" || typ.kind == "MAP" || typ.kind == "ARRAY" {
			return true
		}
	}
	return false
}

// typeOf returns the type of a.b.c.
func (d *definition) typeOf(path []string) *dataType {
	d.byName()
	typ := d.types[path[0]]
	for _, name := range path[1:] {
		if typ == nil {
			return nil
		}
		typ = typ.field(name)
	}
	return typ
}

// flat returns the definition in a form, on one line.
func (d *definition) flat(f form, src string, base int, dialect sqltext.Dialect) string {
	edits := d.edits(f, src, base)
	for i := range edits {
		edits[i].from -= base
		edits[i].to -= base
	}
	return flatten(apply(src, edits), dialect)
}
