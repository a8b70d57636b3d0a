package mock

import (
	"iter"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// writer writes a script as it was decided, statement by statement. It may write one several times.
type writer struct {
	*plan
	loader
	connectors map[string]connector
	compares   bool // the planner sees changes of a real connector
	// The table that is written, and its definition.
	current    *object
	definition *definition
}

func newWriter(decided *plan) *writer { return &writer{plan: decided, connectors: connectors()} }

// definitionOf returns a table's definition.
func (w *writer) definitionOf(o *object) *definition {
	if o == w.current {
		return w.definition
	}
	return w.inventory.definition(o)
}

// written is the text of a part from the end of one statement to the end of the next, with its edits.
type written struct {
	text     string // of the part
	from, to int
	edits    []edit
	differs  []int // lines of statements that make other changes than the user's
}

// textWriter is a [strings.Builder] or a buffer.
type textWriter interface{ WriteString(string) (int, error) }

func (w *written) writeTo(out textWriter) {
	at := w.from
	for _, e := range w.edits {
		if e.from < at {
			continue
		}
		_, _ = out.WriteString(w.text[at:e.from])
		_, _ = out.WriteString(e.text)
		at = e.to
	}
	_, _ = out.WriteString(w.text[at:w.to])
}

// write yields the rewritten statements of a part, and what is after the last one.
func (w *writer) write(p *part) iter.Seq[written] {
	return func(yield func(written) bool) {
		out := written{text: p.Text}
		records, blank := p.records, &session{part: p}
		for s := range p.script.All() {
			out.from, out.to, out.edits, out.differs = out.to, s.Offset+len(s.Text), nil, nil
			own := records
			for len(records) > 0 && int(records[0].number) == s.Number {
				records = records[1:]
			}
			if own = own[:len(own)-len(records)]; len(own) == 0 {
				own = []*record{{session: blank, number: int32(s.Number)}}
			}
			for _, r := range own {
				edits, joins := w.rewrite(r)
				if out.edits = append(out.edits, edits...); joins {
					line := r.statement().Line
					if r.inner() {
						line = r.anchor().statement().Line
					}
					out.differs = append(out.differs, line)
				}
			}
			slices.SortStableFunc(out.edits, func(x, y edit) int { return x.from - y.from })
			if !yield(out) {
				return
			}
		}
		out.from, out.to, out.edits, out.differs = out.to, len(p.Text), nil, nil
		yield(out)
	}
}

// begin makes a definition the one of the table that is written.
func (w *writer) begin(o *object, d *definition) *definition {
	w.current, w.definition = o, d
	w.setNulls(o, d)
	return d
}

// end ends the writing of a table.
func (w *writer) end(s *statement) {
	w.unload(s)
	w.current, w.definition = nil, nil
}

func quoted(parts []string) string {
	q := make([]string, len(parts))
	for i, p := range parts {
		q[i] = sqltext.Identifier(p)
	}
	return strings.Join(q, ".")
}

// sourceOptions returns what a table is read from.
func (w *writer) sourceOptions(o *object) [][2]string {
	if file := o.choices().file; file != "" {
		if format, uri, err := dataFormat(file); err == nil {
			return [][2]string{{"connector", "filesystem"}, {"path", uri}, {"format", format}}
		}
	}
	return w.asRealSource(o, w.datagen(o))
}

func (w *writer) sinkOptions(o *object) [][2]string {
	out := w.asRealSink(o, [][2]string{{"connector", "print"}, {"print-identifier", o.identifier()}})
	if w.options.Exact {
		if out[0][1] == "print" {
			out = mocked(out, asked)
		}
		out = append(out, [2]string{"mock.exact", "true"})
	}
	return out
}

// form returns how a table's definition is written again in the statement at.
func (w *writer) form(o *object, s side, at *record) form {
	f := form{side: s, temporary: !w.inMemory(o) && !o.ctas}
	if s != reading {
		f.options = w.sinkOptions(o)
	} else {
		f.options = w.sourceOptions(o)
		f.file = o.choices().file != "" || o.flat && o.reads+o.lookups == 0
		f.flat = f.file || o.flat
	}
	if s == reading {
		chosen := o.choices()
		if chosen.versions != "" {
			f.elements = o.versionElements()
		}
		if chosen.eventual != "" {
			f.eventual, f.elements = chosen.eventual, eventElement(chosen.eventual)
		}
	}
	if o.like() != nil {
		if o.copies() {
			f.like = quoted(o.like().clone(copying, at))
		} else if o.like().cloned(s) {
			f.like = quoted(o.like().clone(s, at))
		}
	}
	return f
}

// rewrite returns the edits of a statement, and whether a lookup join in it, or in a view that it reads, became a regular join.
func (w *writer) rewrite(r *record) (edits []edit, joins bool) {
	written := *r // it may be written twice
	written.more = &more{}
	if r.more != nil {
		*written.more = *r.more
		written.more.edits, written.more.before = slices.Clone(r.more.edits), slices.Clone(r.more.before)
	}
	statement := r.statement()
	for _, o := range written.more.shadows {
		w.writeShadow(o, &written)
	}
	if !r.unchecked {
		s := w.load(statement, &written)
		w.rewriteStatement(s)
		w.end(s)
		joins = s.joins
	}
	edits = written.more.edits
	if before := written.more.before; len(before) > 0 {
		edits = append([]edit{{statement.Offset, statement.Offset, strings.Join(before, " ") + " "}}, edits...)
	}
	return edits, joins
}

func (w *writer) rewriteStatement(s *statement) {
	o := s.object
	switch s.act {
	case creates:
		if !o.view {
			w.create(s)
		}
	case drops:
		w.drop(s)
	case alters:
		w.alter(s)
	case writes:
		at := int(s.named[0])
		word := at - 1
		if s.word(word) == "TABLE" {
			word--
		}
		if s.word(word) == "OVERWRITE" && !o.kept {
			s.replace(word, word+1, "INTO")
		}
		if name := w.nameToWrite(o, s.record); name != nil {
			s.replace(at, int(s.named[1]), quoted(name))
		}
	}
	for _, m := range s.uses {
		s.joins = s.joins || m.object.joins
		u := m.join
		if u != nil && u.travel[1] > 0 && !u.object.kept && (!w.options.PlanOnly || u.standIn) {
			s.remove(u.travel[0], u.travel[1])
			w.warnf("%s: FOR SYSTEM_TIME AS OF after %s is left out: the table that is read has no earlier versions", s.place(), u.object.identifier())
		}
		if u == nil || u.asOf[1] == 0 || u.object.kept {
			continue
		}
		s.joins = true
		line := s.token(u.asOf[0]).Line
		if u.object.choices().versions != "" {
			s.replace(u.asOf[0]+4, u.asOf[1], sqltext.Identifier(u.leftAlias)+"."+quoted(u.left.object.rowtime()))
			w.warnf("%s: FOR SYSTEM_TIME AS OF after %s (line %d) takes the event time: a lookup join becomes a temporal join",
				s.place(), u.object.identifier(), line)
		} else {
			s.remove(u.asOf[0], u.asOf[1])
			w.warnf("%s: FOR SYSTEM_TIME AS OF after %s (line %d) is left out: a lookup join becomes a regular join",
				s.place(), u.object.identifier(), line)
		}
	}
	if !s.left {
		w.hints(s)
	}
	if o != nil && o.view && (s.act == creates || s.act == redefines) {
		o.joins = o.joins || s.joins
	}
}

// nameToWrite returns the name of a table in INSERT; nil for its own.
func (w *writer) nameToWrite(o *object, s *record) []string {
	switch {
	case o.ctas && !o.kept && (o.role() == Both || !w.inMemory(o)):
		return w.ctasName(o, s)
	case o.cloned(writing):
		return o.clone(writing, s)
	}
	return nil
}

// ctasName is where the rows of CREATE TABLE AS go if the table's own name cannot be used: it is read too, or
// would be created in a real catalog, where no temporary table can be created AS.
func (w *writer) ctasName(o *object, s *record) []string {
	if w.inMemory(o) {
		return o.clone(writing, s)
	}
	return []string{"default_catalog", "default_database", o.table + sinkSuffix}
}

// create writes a CREATE TABLE of the script again.
func (w *writer) create(s *statement) {
	o := s.object
	d := w.begin(o, parseCreate(s.tokens))
	if o.kept && w.options.PlanOnly && !w.inMemory(o) && !d.temporary && !o.ctas {
		s.insert(d.table, "TEMPORARY ")
	}
	if o.kept || strings.HasSuffix(o.table, copySuffix) {
		return
	}
	main := w.form(o, o.mainSide(), s.record)
	if o.ctas {
		main.side, main.options = writing, w.sinkOptions(o)
		if name := w.nameToWrite(o, s.record); name != nil {
			main.name = quoted(name)
			if o.role() == Both {
				f := w.form(o, reading, s.record)
				end := s.end()
				s.edit(end, end, "; CREATE "+o.temporaryClone()+"TABLE IF NOT EXISTS "+quoted(o.spelled())+" "+
					withClause(f.options, 0)+" LIKE "+main.name+" (EXCLUDING OPTIONS)")
			}
		}
	}
	s.more.edits = append(d.edits(main, s.session.part.Text, 0), s.more.edits...)
	if o.ctas {
		return
	}
	for _, side := range w.clones(o) {
		f := w.form(o, side, s.record)
		f.name, f.temporary = quoted(o.clone(side, s.record)), !o.altered
		s.before(d.flat(f, s.Text, s.Offset, w.options.dialect()) + ";")
	}
}

// writeShadow writes the temporary tables that replace a catalog's table.
func (w *writer) writeShadow(o *object, anchor *record) {
	var d *definition
	if o.def != nil {
		d = w.begin(o, w.parse(o))
	}
	add := func(s side, name []string) {
		f := w.form(o, s, anchor)
		if d == nil {
			anchor.before("CREATE TEMPORARY TABLE IF NOT EXISTS " + quoted(name) + " " + withClause(f.options, 0) +
				" LIKE " + quoted(o.nameIn(anchor)) + " (EXCLUDING OPTIONS);")
			return
		}
		f.name, f.temporary, f.ifAbsent = quoted(name), true, true
		anchor.before(d.flat(f, o.described().Text, 0, w.options.dialect()) + ";")
	}
	for _, side := range w.clones(o) {
		add(side, o.clone(side, anchor))
	}
	add(o.mainSide(), o.nameIn(anchor))
}

// drop takes the clones of a dropped table along.
func (w *writer) drop(s *statement) {
	o := s.object
	if o.kept || o.view {
		return
	}
	switch {
	case !o.created:
		if w.shadowed(o) {
			s.before("DROP TEMPORARY TABLE IF EXISTS " + quoted(o.nameIn(s.record)) + ";")
		}
	case o.ctas && w.nameToWrite(o, s.record) != nil:
		s.before("DROP TABLE IF EXISTS " + quoted(w.nameToWrite(o, s.record)) + ";")
		if o.role() == Both {
			s.before("DROP " + o.temporaryClone() + "TABLE IF EXISTS " + quoted(o.nameIn(s.record)) + ";")
		}
		s.leaveOut()
	default:
		for _, side := range w.clones(o) {
			s.before("DROP " + o.temporaryClone() + "TABLE IF EXISTS " + quoted(o.clone(side, s.record)) + ";")
		}
	}
}

// temporaryClone is what a clone is created with: ALTER TABLE knows no temporary tables.
func (o *object) temporaryClone() string {
	if o.altered {
		return ""
	}
	return "TEMPORARY "
}

// alter changes the clones of a table as the table itself, with metadata columns as in CREATE TABLE.
func (w *writer) alter(s *statement) {
	o := s.object
	if o.kept || o.view {
		return
	}
	d := &definition{tokens: s.tokens}
	if i := int(s.named[1]); s.word(i) == "ADD" || s.word(i) == "MODIFY" {
		if i++; s.is(i, "(") {
			d.elements(i+1, s.partner(i))
		} else {
			d.elements(i, s.count)
		}
	}
	if d.deepType > 0 {
		w.tooDeep(s, d.deepType, deepestType)
	}
	sides := w.clones(o)
	main := o.mainSide()
	if o.ctas {
		if main = writing; o.role() == Both {
			main, sides = reading, []side{writing}
		}
	}
	for _, side := range sides {
		clone := &statement{Statement: s.Statement, tokens: s.tokens, record: &record{session: s.session, more: &more{}}}
		clone.replace(int(s.named[0]), int(s.named[1]), quoted(o.clone(side, s.record)))
		clone.plain(d.columns, side)
		edits := clone.more.edits
		for i := range edits {
			edits[i].from -= s.Offset
			edits[i].to -= s.Offset
		}
		s.before(flatten(apply(s.Text, edits), w.options.dialect()) + ";")
	}
	s.plain(d.columns, main)
}

// plain makes metadata columns ordinary ones.
func (s *statement) plain(columns []column, side side) {
	for _, c := range columns {
		if c.plainFor(side) {
			s.remove(c.metadata[0], c.metadata[1])
		}
	}
}

// hints takes OPTIONS and LOOKUP out of the statement's hints: mocked tables know none of the options, and no
// lookup is left.
func (w *writer) hints(s *statement) {
	if s.Kind == sqltext.StatementSet || s.Kind == sqltext.Explain && !s.inner() && s.outer() {
		return
	}
	var kept []int // hints after tables that are real
	for _, u := range s.uses {
		if u.object.kept {
			kept = append(kept, int(u.to))
		}
	}
	if o := s.on(writes); o != nil && o.kept {
		kept = append(kept, int(s.named[1]))
	}
	slices.Sort(kept)
	for i := range s.count {
		if s.kind(i) != sqltext.HintStart || s.partner(i) >= s.count {
			continue
		}
		if _, real := slices.BinarySearch(kept, i); !real {
			w.hint(s, i, s.partner(i))
		}
	}
}

func (w *writer) hint(s *statement, open, close int) {
	var items [][2]int
	for i := open + 1; i < close; {
		from := i
		for i < close && !s.is(i, ",") {
			i = s.after(i)
		}
		items = append(items, [2]int{from, min(i, close)})
		i++
	}
	gone := func(item [2]int) bool {
		word := s.word(item[0])
		return word == "OPTIONS" || word == "LOOKUP" && len(w.options.Keep) == 0
	}
	var left []string
	for _, item := range items {
		if !gone(item) && item[1] > item[0] {
			from, to := s.span(item[0], item[1])
			left = append(left, s.source(from, to))
		}
	}
	switch len(left) {
	case len(items):
	case 0:
		s.remove(open, close+1)
	default:
		s.replace(open, close+1, "/*+ "+strings.Join(left, ", ")+" */")
	}
}
