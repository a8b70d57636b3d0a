package mock

import (
	"fmt"
	"slices"
	"strings"
)

const (
	sinkSuffix   = "__mock_sink"
	sourceSuffix = "__mock_source"
	copySuffix   = "__mock_columns"
	hidingSuffix = "__temporary" // before them, of a table that hides another one of its name
)

// plan is a script with a decision about each of its tables.
type plan struct {
	*inventory
	views []*object // after those that they read
	sinks int32     // for Tree: how many were taken apart
}

// decide decides what each table is replaced by, once the whole script is known. The error is an [*Error], or several joined.
func decide(inv *inventory) (*plan, error) {
	pl := &plan{inventory: inv}
	pl.settle()
	if len(pl.errors) > 0 {
		return nil, join(pl.errors)
	}
	pl.shadows()
	pl.follow()
	return pl, nil
}

func (pl *plan) settle() {
	for _, o := range pl.objects {
		o.kept = pl.kept(o)
	}
	pl.files()
	pl.named()
	for _, r := range pl.records {
		for _, m := range r.uses {
			u := m.join
			if u == nil || u.asOf[1] == 0 || u.object.kept {
				continue
			}
			if pl.options.PlanOnly && pl.options.Changes { // there the mocks can be looked up
				u.asOf[1] = 0
				continue
			}
			if pl.eventTime(u) {
				u.object.versioned = true
				u.object.lookups--
				u.object.reads++
				u.temporal, u.asOf[1] = true, 0
			}
		}
	}
	pl.emulate()
	pl.identify()
	pl.processingWindows()
	for _, o := range pl.objects {
		pl.check(o)
	}
}

// files gives tables their files.
func (pl *plan) files() {
	var names []string
	for name := range pl.options.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		file := pl.options.Data[name]
		if _, _, err := dataFormat(file); err != nil {
			pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("rows of table %s: %v", name, err)})
		}
		for _, o := range pl.objects {
			if !matches(name, o.full()) {
				continue
			}
			if other := o.choices().file; other != "" && other != file {
				pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("table %s has two files, %q and %q", name, other, file)})
			}
			o.ensureChoices().file = file
			for like := o.like(); like != nil && !like.kept; like = like.like() {
				like.flat = true
			}
			switch {
			case o.kept:
				pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("table %s cannot be both kept (--keep) and read from a file (--data)", name)})
			case o.view:
				pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("%s is a view", name), Hint: "give the tables that it reads a file"})
			case o.reads+o.lookups == 0 && o.writes > 0:
				pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("table %s is only written, it cannot read a file", name)})
			}
		}
	}
}

// named checks that the tables that the user names exist.
func (pl *plan) named() {
	if len(pl.options.Keep)+len(pl.options.Data) == 0 {
		return
	}
	var all []string
	known := map[string]bool{}
	for _, o := range pl.objects {
		all = append(all, o.name())
		for parts := 1; parts <= 3; parts++ {
			known[o.suffix(parts)] = true
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	hint := "the script has no tables"
	if len(all) > 0 {
		const most = 50
		hint = "tables of the script: " + strings.Join(all[:min(len(all), most)], ", ")
		if n := len(all) - most; n > 0 {
			hint += fmt.Sprintf(" and %d more", n)
		}
	}
	names := slices.Clone(pl.options.Keep)
	for name := range pl.options.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !known[name] {
			pl.errors = append(pl.errors, &Error{Message: fmt.Sprintf("the script has no table %s", name), Hint: hint})
		}
	}
}

// eventTime reports whether FOR SYSTEM_TIME AS OF is an event-time temporal join, which works on generated rows; a
// lookup join never does. If nothing else shows it, names decide.
func (pl *plan) eventTime(u *use) bool {
	o := u.object
	if pl.batch || u.leftName == "" || o.choices().file != "" && o.def == nil {
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
		left := pl.definition(l.object)
		for _, c := range left.columns {
			if c.name == u.leftName && c.computed() && left.calls(c, "PROCTIME") {
				return false
			}
		}
	}
	if processing, rowtime := pl.columns.processing[u.leftName], pl.columns.rowtimes[u.leftName]; processing != rowtime {
		return rowtime
	}
	return versions
}

// identify gives each table its shortest name, which print writes before the rows. A script may have thousands of tables,
// so which table has which name is collected once, and names of several parts only where the last one is shared.
func (pl *plan) identify() {
	dots := slices.ContainsFunc(pl.objects, func(o *object) bool { return strings.Contains(o.full()[1], ".") || strings.Contains(o.table, ".") })
	if !dots && !pl.renewed && !slices.ContainsFunc(pl.objects, func(o *object) bool { return o.schema != pl.objects[0].schema }) {
		for _, o := range pl.objects {
			o.short = 1
		}
		return
	}
	longest := 1
	if dots { // then names of a different number of parts may be the same
		longest = 3
	}
	owners := map[string]*object{}
	shared := map[string]bool{} // by tables of different full names
	collect := func(o *object, parts int) {
		name := o.suffix(parts)
		switch owner := owners[name]; {
		case owner == nil:
			owners[name] = o
		case owner.full() != o.full():
			shared[name] = true
		default:
			owner.twin, o.twin = true, true
		}
	}
	for _, o := range pl.objects {
		for parts := 1; parts <= longest; parts++ {
			collect(o, parts)
		}
	}
	for parts := 2; parts > longest && parts <= 3; parts++ {
		for _, o := range pl.objects {
			if shared[o.suffix(parts-1)] {
				collect(o, parts)
			}
		}
	}
	for _, o := range pl.objects {
		for o.short = 1; o.short < 3 && shared[o.suffix(int(o.short))]; o.short++ {
		}
	}
}

// check refuses a source that datagen cannot be. What is only planned gets columns of NULL instead, and a type that Flink
// does not have is left for Flink to refuse.
func (pl *plan) check(o *object) {
	plan := pl.options.PlanOnly
	if o.view || o.kept || o.choices().file != "" || o.def == nil || !o.def.special || o.reads+o.lookups == 0 && !plan {
		return
	}
	d := pl.parse(o)
	for _, c := range d.columns {
		if c.computed() || c.typ == nil {
			continue
		}
		switch bad := c.typ.unsupported(&pl.options); {
		case bad == "":
		case plan:
			o.nulls = o.nulls || pl.null(d, c)
		case typeless(bad):
			pl.errors = append(pl.errors, o.first.errorf("", "table %s, column %s: Flink has no column type %s", o.identifier(), c.name, bad))
		default:
			pl.errors = append(pl.errors, o.first.errorf("keep the table, or give it a file of rows",
				"table %s, column %s: Flink's datagen cannot make values of type %s", o.identifier(), c.name, bad))
		}
	}
}

// shadows decides before which statements temporary tables replace the tables of catalogs.
func (pl *plan) shadows() {
	for _, o := range pl.objects {
		if !o.created && !o.view && !o.kept {
			pl.shadow(o)
		}
	}
}

// shadow decides whether temporary tables replace a catalog's table, before its first use.
func (pl *plan) shadow(o *object) {
	liked := o.def != nil && slices.ContainsFunc(o.likes(), func(p *object) bool { return !p.kept })
	if o.role() == Unused && !liked || o.absent || o.described() == nil && pl.inMemory(o) {
		return // not there: Flink says so, at the right place
	}
	anchor := o.first.anchor()
	anchor.ensureRare().shadows = append(anchor.ensureRare().shadows, o)
	pl.clones(o) // warns
	if o.def == nil && o.reads+o.lookups > 0 && o.choices().file == "" && !pl.options.PlanOnly {
		pl.warnf("table %s: its columns are unknown, so any value may be generated", o.identifier())
	}
}

func (pl *plan) shadowed(o *object) bool {
	return o.role() != Unused && !o.absent && (o.described() != nil || !pl.inMemory(o))
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
	case o.choices().file != "":
		return Data
	case o.reads > 0:
		return Source
	case o.lookups > 0:
		return Lookup
	}
	return Unused
}

// mainSide is the side that has the table's own name.
func (o *object) mainSide() side {
	if r := o.role(); r == Sink || r == Unused && o.def != nil && o.def.connector == "print" {
		return writing
	}
	return reading
}

// differs reports whether the columns of a table look different when read and when written.
func (o *object) differs() bool {
	if o.def == nil {
		return false
	}
	own := o.flat || o.def.virtual || o.nulls
	if own || o.like() == nil {
		return own
	}
	return o.cache().different.get(o.like().differs)
}

// cloned reports whether a clone replaces the table on that side.
func (o *object) cloned(s side) bool {
	return !o.kept && !o.view && !strings.HasSuffix(o.table, copySuffix) && o.mainSide() != s && (o.role() == Both || o.differs())
}

// copies reports whether the table is LIKE another without its metadata columns, which are not metadata columns any more.
func (o *object) copies() bool {
	return o.like() != nil && o.like().def != nil && !o.like().kept && o.def.without.metadata && !strings.HasSuffix(o.like().table, copySuffix) &&
		o.like().def.metadata
}

// clones returns the sides of a table that need a table of their own beside the one of its name.
func (pl *plan) clones(o *object) (sides []side) {
	if slices.ContainsFunc(o.likes(), func(p *object) bool { return !p.kept && p.copies() }) {
		sides = append(sides, copying)
	}
	other := writing
	if o.mainSide() == writing {
		other = reading
	}
	if o.role() == Both || pl.likedAs(o, other) {
		sides = append(sides, other)
	}
	if o.role() == Both && !pl.options.PlanOnly {
		pl.warnf("table %s is read and written: what is read is generated, not what the script writes", o.identifier())
	}
	return sides
}

// likedAs reports whether another table is created LIKE this one and needs the other side of it.
func (pl *plan) likedAs(o *object, s side) bool {
	return slices.ContainsFunc(o.likes(), func(p *object) bool {
		return !p.kept && p.created && !p.copies() && o.cloned(s) &&
			(p.mainSide() == s || p.role() == Both || pl.likedAs(p, s))
	})
}

// nameIn returns the table's name as it is understood in a statement, which may be after another USE than the
// table's first one.
func (o *object) nameIn(r *record) []string {
	if spelled := o.spelled(); r.session.resolve(spelled) == o.full() {
		return spelled
	}
	return o.fullName()
}

// clone returns the name of a clone in a statement.
func (o *object) clone(side side, r *record) []string {
	name := o.nameIn(r)
	if o.hides { // which has clones, too
		name[len(name)-1] += hidingSuffix
	}
	name[len(name)-1] += [...]string{reading: sourceSuffix, writing: sinkSuffix, copying: copySuffix}[side]
	return name
}
