package mock

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

const (
	sinkSuffix   = "__mock_sink"
	sourceSuffix = "__mock_source"
	copySuffix   = "__mock_columns"
	hidingSuffix = "__temporary" // before them, of a table that hides another one of its name
)

// settle decides what each table is, once the whole script is known.
func (a *analysis) settle() {
	for _, o := range a.objects {
		o.kept = a.kept(o)
	}
	a.files()
	a.named()
	for _, s := range a.statements {
		for _, u := range s.uses {
			if u.asOf[1] == 0 || u.object.kept {
				continue
			}
			if a.eventTime(u) {
				u.object.versioned = true
				u.object.lookups--
				u.object.reads++
				u.temporal, u.asOf[1] = true, 0
			}
		}
	}
	a.emulate()
	a.identify()
	for _, o := range a.objects {
		a.check(o)
	}
}

// files gives tables their files.
func (a *analysis) files() {
	var names []string
	for name := range a.options.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		file := a.options.Data[name]
		if _, _, err := dataFormat(file); err != nil {
			a.errors = append(a.errors, &Error{Message: fmt.Sprintf("rows of table %s: %v", name, err)})
		}
		for _, o := range a.objects {
			if !matches(name, o.full) {
				continue
			}
			if o.file != "" && o.file != file {
				a.errors = append(a.errors, &Error{Message: fmt.Sprintf("table %s has two files, %q and %q", name, o.file, file)})
			}
			o.file = file
			for like := o.like; like != nil && !like.kept; like = like.like {
				like.flat = true
			}
			switch {
			case o.kept:
				a.errors = append(a.errors, &Error{Message: fmt.Sprintf("table %s is to be kept and to be read from a file", name)})
			case o.view:
				a.errors = append(a.errors, &Error{Message: fmt.Sprintf("%s is a view", name), Hint: "give the tables that it reads a file"})
			case o.reads+o.lookups == 0 && o.writes > 0:
				a.errors = append(a.errors, &Error{Message: fmt.Sprintf("table %s is only written, it cannot read a file", name)})
			}
		}
	}
}

// named checks that what the user names is there.
func (a *analysis) named() {
	var all []string
	for _, o := range a.objects {
		all = append(all, o.name())
	}
	slices.Sort(all)
	all = slices.Compact(all)
	hint := "the script has no tables"
	if len(all) > 0 {
		hint = "tables of the script: " + strings.Join(all, ", ")
	}
	names := slices.Clone(a.options.Keep)
	for name := range a.options.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.ContainsFunc(a.objects, func(o *object) bool { return matches(name, o.full) }) {
			a.errors = append(a.errors, &Error{Message: fmt.Sprintf("the script has no table %s", name), Hint: hint})
		}
	}
}

// eventTime reports whether FOR SYSTEM_TIME AS OF is an event-time temporal join, which works on generated rows; a
// lookup join never does. If nothing else tells, names do.
func (a *analysis) eventTime(u *use) bool {
	o := u.object
	if a.batch || u.leftName == "" || o.file != "" && o.def == nil {
		return false
	}
	versions := o.view
	if o.def != nil {
		if len(o.primaryKey()) == 0 || len(o.rowtime()) == 0 {
			return false
		}
		versions = true
	}
	if l := u.left; l != nil && l.object != nil && l.object.def != nil {
		if t := l.object.rowtime(); len(t) == 1 && t[0] == u.leftName {
			return true
		}
		for _, c := range l.object.def.columns {
			if c.name == u.leftName && c.computed() && l.object.def.calls(c, "PROCTIME") {
				return false
			}
		}
	}
	if processing, rowtime := a.processing[u.leftName], a.rowtimes[u.leftName]; processing != rowtime {
		return rowtime
	}
	return versions
}

// identify gives each table its shortest name, which print writes before the rows. A script may have thousands of tables,
// so who has which name is collected once.
func (a *analysis) identify() {
	owners := map[string][3]string{}
	shared := map[string]bool{} // by tables of different full names
	for _, o := range a.objects {
		for i := range o.full {
			name := strings.Join(o.full[i:], ".")
			if owner, ok := owners[name]; ok && owner != o.full {
				shared[name] = true
			}
			owners[name] = o.full
		}
	}
	for _, o := range a.objects {
		for i := 2; i >= 0; i-- {
			o.short = strings.Join(o.full[i:], ".")
			if !shared[o.short] {
				break
			}
		}
		o.identifier = o.short
		if o.def != nil && o.def.options.get("connector") == "print" && o.def.options.get("print-identifier") != "" {
			o.identifier = o.def.options.get("print-identifier")
		}
	}
}

// check refuses a source that datagen cannot be. What is only planned gets columns of NULL instead, and a type that Flink
// does not have is left for Flink to refuse.
func (a *analysis) check(o *object) {
	plan := a.options.PlanOnly
	if o.view || o.kept || o.file != "" || o.def == nil || o.reads+o.lookups == 0 && !plan {
		return
	}
	for i, c := range o.def.columns {
		if c.computed() || c.typ == nil {
			continue
		}
		switch bad := c.typ.unsupported(&a.options); {
		case bad == "":
		case plan:
			o.def.columns[i].null = !typeless(bad) && !slices.Contains(o.def.key, c.name) && o.def.elementEnds(c.typeAt[1])
		case typeless(bad):
			a.errors = append(a.errors, o.first.errorf("", "table %s, column %s: Flink has no column type %s", o.identifier, c.name, bad))
		default:
			a.errors = append(a.errors, o.first.errorf("keep the table, or give it a file of rows",
				"table %s, column %s: Flink's datagen cannot make values of type %s", o.identifier, c.name, bad))
		}
	}
}

func (o *object) role() Role {
	switch {
	case o.view:
		return View
	case o.kept:
		return Kept
	case o.reads+o.lookups > 0 && o.writes > 0:
		return Both
	case o.writes > 0:
		return Sink
	case o.file != "":
		return Data
	case o.reads > 0:
		return Source
	case o.lookups > 0:
		return Lookup
	}
	return Unused
}

// mainSide is the side that the table's own name stands for.
func (o *object) mainSide() side {
	if r := o.role(); r == Sink || r == Unused && o.def != nil && o.def.options.get("connector") == "print" {
		return writing
	}
	return reading
}

func (o *object) differs() bool {
	return o.def != nil && (o.flat || o.def.differs() || o.like != nil && o.like.differs())
}

// cloned reports whether a clone stands for a side of the table, not the table itself.
func (o *object) cloned(s side) bool {
	return !o.kept && !o.view && !strings.HasSuffix(o.full[2], copySuffix) && o.mainSide() != s && (o.role() == Both || o.differs())
}

// nameIn returns the table's name as it is understood in a statement, which may stand behind another USE than the
// table's first one.
func (o *object) nameIn(s *statement) []string {
	if s.resolve(o.spelled) == o.full {
		return slices.Clone(o.spelled)
	}
	return slices.Clone(o.full[:])
}

// clone returns the name of a clone in a statement.
func (o *object) clone(side side, s *statement) []string {
	name := o.nameIn(s)
	if o.hides { // which has clones, too
		name[len(name)-1] += hidingSuffix
	}
	name[len(name)-1] += [...]string{reading: sourceSuffix, writing: sinkSuffix, copying: copySuffix}[side]
	return name
}

// copies reports whether the table is LIKE another without its metadata columns, which are no such columns anymore.
func (o *object) copies() bool {
	return o.like != nil && o.like.def != nil && !o.like.kept && o.def.likeWithoutMetadata() && !strings.HasSuffix(o.like.full[2], copySuffix) &&
		slices.ContainsFunc(o.like.def.columns, column.isMetadata)
}

func quoted(parts []string) string {
	q := make([]string, len(parts))
	for i, p := range parts {
		q[i] = sqltext.Identifier(p)
	}
	return strings.Join(q, ".")
}

// sourceOptions returns what a table is read from.
func (a *analysis) sourceOptions(o *object) [][2]string {
	if o.file != "" {
		if format, uri, err := dataFormat(o.file); err == nil {
			return [][2]string{{"connector", "filesystem"}, {"path", uri}, {"format", format}}
		}
	}
	return a.datagen(o)
}

func (o *object) sinkOptions() [][2]string {
	return [][2]string{{"connector", "print"}, {"print-identifier", o.identifier}}
}

// form returns how a table's definition is written anew in the statement at.
func (a *analysis) form(o *object, s side, at *statement) form {
	f := form{side: s, temporary: !a.ours(o) && !o.ctas}
	if s != reading {
		f.options = o.sinkOptions()
	} else {
		f.options = a.sourceOptions(o)
		f.file = o.file != "" || o.flat && o.reads+o.lookups == 0
		f.flat = f.file || o.flat
	}
	if o.versions != "" && s == reading {
		f.elements = o.versionElements()
	}
	if o.like != nil {
		if o.copies() {
			f.like = quoted(o.like.clone(copying, at))
		} else if o.like.cloned(s) {
			f.like = quoted(o.like.clone(s, at))
		}
	}
	return f
}

// rewrite makes the edits of all statements.
func (a *analysis) rewrite() {
	for _, o := range a.objects {
		if o.created == nil && !o.view && !o.kept {
			a.shadow(o)
		}
	}
	for _, s := range a.statements {
		switch {
		case s.def != nil && s.creates != nil:
			a.create(s)
		case s.Kind == sqltext.Drop && s.target != nil:
			a.drop(s)
		case s.alters != nil:
			a.alter(s)
		}
		if s.target != nil && s.target.at >= 0 {
			if s.overwrite > 0 && !s.target.object.kept {
				s.replace(s.overwrite, s.overwrite+1, "INTO")
			}
			if name := s.target.object.writeName(a, s); name != nil {
				s.replace(s.target.at, s.target.to, quoted(name))
			}
		}
		for _, u := range s.uses {
			if u.asOf[1] == 0 || u.object.kept {
				continue
			}
			t := s.list[u.asOf[0]]
			if u.object.versions != "" {
				s.replace(u.asOf[0]+4, u.asOf[1], sqltext.Identifier(u.leftAlias)+"."+quoted(u.left.object.rowtime()))
				a.warnf("%s: FOR SYSTEM_TIME AS OF behind %s (line %d) takes the event time: a lookup join becomes a temporal join",
					s.place(), u.object.identifier, t.Line)
			} else {
				s.remove(u.asOf[0], u.asOf[1])
				a.warnf("%s: FOR SYSTEM_TIME AS OF behind %s (line %d) is left out: a lookup join becomes a regular join",
					s.place(), u.object.identifier, t.Line)
			}
		}
		a.hints(s)
	}
	for _, s := range a.statements {
		if len(s.before) > 0 {
			at := edit{s.Offset, s.Offset, strings.Join(s.before, " ") + " "}
			s.edits = append([]edit{at}, s.edits...)
		}
	}
}

// writeName returns the name that stands for a table in INSERT; nil for its own.
func (o *object) writeName(a *analysis, s *statement) []string {
	switch {
	case o.ctas && !o.kept && (o.role() == Both || !a.ours(o)):
		return a.ctasName(o, s)
	case o.cloned(writing):
		return o.clone(writing, s)
	}
	return nil
}

// ctasName is where the rows of CREATE TABLE AS go if the table's own name cannot be used: it is read too, or
// would be created in a real catalog, where no temporary table can be created AS.
func (a *analysis) ctasName(o *object, s *statement) []string {
	if a.ours(o) {
		return o.clone(writing, s)
	}
	return []string{"default_catalog", "default_database", o.full[2] + sinkSuffix}
}

// create writes a CREATE TABLE of the script anew.
func (a *analysis) create(s *statement) {
	o := s.creates
	if o.kept && a.options.PlanOnly && !a.ours(o) && !s.def.temporary && !o.ctas {
		s.insert(s.def.table, "TEMPORARY ")
	}
	if o.kept || strings.HasSuffix(o.full[2], copySuffix) {
		return
	}
	main := a.form(o, o.mainSide(), s)
	if o.ctas {
		main.side, main.options = writing, o.sinkOptions()
		if name := o.writeName(a, s); name != nil {
			main.name = quoted(name)
			if o.role() == Both {
				f := a.form(o, reading, s)
				_, end := s.span(len(s.list)-1, len(s.list))
				s.edits = append(s.edits, edit{end, end, "; CREATE " + o.temporaryClone() + "TABLE IF NOT EXISTS " + quoted(o.spelled) + " " +
					withClause(f.options, 0) + " LIKE " + main.name + " (EXCLUDING OPTIONS)"})
			}
		}
	}
	s.edits = append(s.def.edits(main, s.src, 0), s.edits...)
	if o.ctas {
		return
	}
	for _, side := range a.clones(o) {
		f := a.form(o, side, s)
		f.name, f.temporary = quoted(o.clone(side, s)), !o.altered
		s.before = append(s.before, s.def.flat(f, s.Text, s.Offset, a.options.dialect())+";")
	}
}

// clones returns the sides of a table that need a table of their own beside the one of its name.
func (a *analysis) clones(o *object) (sides []side) {
	if slices.ContainsFunc(o.likes, func(p *object) bool { return !p.kept && p.copies() }) {
		sides = append(sides, copying)
	}
	other := writing
	if o.mainSide() == writing {
		other = reading
	}
	if o.role() == Both || a.likedAs(o, other) {
		sides = append(sides, other)
	}
	if o.role() == Both && !a.options.PlanOnly {
		a.warnf("table %s is read and written: what is read is generated, not what the script writes", o.identifier)
	}
	return sides
}

// likedAs reports whether another table is created LIKE this one and needs the other side of it.
func (a *analysis) likedAs(o *object, s side) bool {
	return slices.ContainsFunc(o.likes, func(p *object) bool {
		return !p.kept && p.created != nil && !p.copies() && o.cloned(s) &&
			(p.mainSide() == s || p.role() == Both || a.likedAs(p, s))
	})
}

// shadow puts temporary tables before the first use of a catalog's table.
func (a *analysis) shadow(o *object) {
	liked := o.def != nil && slices.ContainsFunc(o.likes, func(p *object) bool { return !p.kept })
	if o.role() == Unused && !liked || o.absent || o.ddl == "" && a.ours(o) {
		return // not there: Flink says so, at the right place
	}
	anchor := o.first
	if anchor.anchor != nil {
		anchor = anchor.anchor
	}
	add := func(s side, name []string) {
		f := a.form(o, s, anchor)
		if o.def == nil {
			anchor.before = append(anchor.before, "CREATE TEMPORARY TABLE IF NOT EXISTS "+quoted(name)+" "+withClause(f.options, 0)+
				" LIKE "+quoted(o.nameIn(anchor))+" (EXCLUDING OPTIONS);")
			return
		}
		f.name, f.temporary, f.ifAbsent = quoted(name), true, true
		anchor.before = append(anchor.before, o.def.flat(f, o.ddl, 0, a.options.dialect())+";")
	}
	for _, side := range a.clones(o) {
		add(side, o.clone(side, anchor))
	}
	add(o.mainSide(), o.nameIn(anchor))
	if o.def == nil && o.reads+o.lookups > 0 && o.file == "" && !a.options.PlanOnly {
		a.warnf("table %s: its columns are unknown, its values are any", o.identifier)
	}
}

// drop takes the clones of a dropped table along.
func (a *analysis) drop(s *statement) {
	o := s.target.object
	if o.kept || o.view {
		return
	}
	switch {
	case o.created == nil:
		if a.shadowed(o) {
			s.before = append(s.before, "DROP TEMPORARY TABLE IF EXISTS "+quoted(o.nameIn(s))+";")
		}
	case o.ctas && o.writeName(a, s) != nil:
		s.before = append(s.before, "DROP TABLE IF EXISTS "+quoted(o.writeName(a, s))+";")
		if o.role() == Both {
			s.before = append(s.before, "DROP "+o.temporaryClone()+"TABLE IF EXISTS "+quoted(o.nameIn(s))+";")
		}
		s.leaveOut()
	default:
		for _, side := range a.clones(o) {
			s.before = append(s.before, "DROP "+o.temporaryClone()+"TABLE IF EXISTS "+quoted(o.clone(side, s))+";")
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
func (a *analysis) alter(s *statement) {
	o := s.alters.object
	if o.kept || o.view {
		return
	}
	d := &definition{tokens: s.tokens}
	if i := s.alters.to; s.word(i) == "ADD" || s.word(i) == "MODIFY" {
		if i++; s.is(i, "(") {
			d.elements(i+1, s.match[i])
		} else {
			d.elements(i, len(s.list))
		}
	}
	sides := a.clones(o)
	main := o.mainSide()
	if o.ctas {
		if main = writing; o.role() == Both {
			main, sides = reading, []side{writing}
		}
	}
	for _, side := range sides {
		clone := *s
		clone.edits = nil
		clone.replace(s.alters.at, s.alters.to, quoted(o.clone(side, s)))
		clone.plain(d.columns, side)
		for i := range clone.edits {
			clone.edits[i].from -= s.Offset
			clone.edits[i].to -= s.Offset
		}
		s.before = append(s.before, flatten(apply(s.Text, clone.edits), a.options.dialect())+";")
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

func (a *analysis) shadowed(o *object) bool {
	return o.role() != Unused && !o.absent && (o.ddl != "" || !a.ours(o))
}

// hints takes OPTIONS and LOOKUP out of the statement's hints: mocked tables know none of the options, and no
// lookup is left.
func (a *analysis) hints(s *statement) {
	if s.Kind == sqltext.StatementSet || s.Kind == sqltext.Explain && !s.inner && s.outer {
		return
	}
	for i := range s.list {
		if s.kind(i) != sqltext.HintStart || s.match[i] >= len(s.list) {
			continue
		}
		real := slices.ContainsFunc(s.uses, func(u *use) bool { return u.to == i && u.object.kept }) ||
			s.target != nil && s.target.to == i && s.target.object.kept
		if real {
			continue
		}
		a.hint(s, i, s.match[i])
	}
}

func (a *analysis) hint(s *statement, open, close int) {
	var items [][2]int
	for i := open + 1; i < close; {
		from := i
		for i < close && !s.is(i, ",") {
			i = s.behind(i)
		}
		items = append(items, [2]int{from, min(i, close)})
		i++
	}
	gone := func(item [2]int) bool {
		w := s.word(item[0])
		return w == "OPTIONS" || w == "LOOKUP" && len(a.options.Keep) == 0
	}
	var left []string
	for _, item := range items {
		if !gone(item) && item[1] > item[0] {
			from, to := s.span(item[0], item[1])
			left = append(left, s.src[from:to])
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
