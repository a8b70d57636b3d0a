package mock

import (
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// object is a table or view that the script creates or names. A table that is dropped and created again is
// another object. A script may have hundreds of thousands of them, so what few of them need is reached through pointers.
type object struct {
	schema *schema
	table  string
	first  *record // where it is used first
	def    *facts  // nil for views, and for tables of a catalog that are not described
	links  *links
	rare   *rare

	findings
	decision
	progress
}

// findings are what the script says of an object. They are complete when all of it was read.
type findings struct {
	reads, lookups, writes int32

	parts     uint8 // how many of the full name, from the end, the script names it with where it is first used
	created   bool  // by the script; else it is a table of a catalog
	view      bool
	ctas      bool
	hides     bool // a permanent one of its name
	temporary bool // or a permanent one of a real catalog, which becomes temporary
	absent    bool // from its catalog
	altered   bool // ALTER changes its columns
	conflicts bool // an INSERT into it has ON CONFLICT
}

// decision is what an object becomes, with what is chosen for few of them.
type decision struct {
	kept      bool
	versioned bool // right side of an event-time temporal join
	// Read without partitions, since a file is read by a table LIKE it: Flink lets LIKE inherit them even EXCLUDING PARTITIONS.
	flat  bool
	nulls bool  // some of its columns are computed when read, since datagen cannot make their types
	twin  bool  // another object has the same name
	short uint8 // how many parts the shortest name has that no other table has
}

// progress is what is noted of an object while it is written, and its sources are.
type progress struct {
	joins       bool  // of a view: a lookup join in it, or below it, became a regular one
	known       bool  // what it reads was followed
	expandedFor int32 // the last sink for which Tree took it apart
}

// schema is a database, with the objects that names in it mean.
type schema struct {
	catalog, database string
	objects           map[string]*object
}

// links are the objects that an object is made from, or that are made from it.
type links struct {
	like  *object
	likes []*object // that are LIKE it
	from  []*object // what a view reads
}

// rare is what is known of few objects.
type rare struct {
	unknown   string             // why its columns cannot be known; "" if they can
	unchecked string             // why the statement that makes it was left out, and so all that use it
	described *sqltext.Statement // what its catalog says about a table

	chosen chosen
	cached cached
}

// chosen is what was decided for few objects.
type chosen struct {
	file      string
	eventual  string           // its column that is PROCTIME() and becomes an event time
	versions  string           // of a lookup table: type of the rowtime attribute that it gets
	lookupKey []string         // and its primary key
	circle    map[*object]bool // views that read each other: those of from whose own are not followed
}

// cached is what others ask of a table that they are LIKE, or that they look up.
type cached struct {
	parsed    *definition
	inherited []column            // what physical returned for a table LIKE another
	inherits  map[string]string   // what option returned for one
	finalKey  inherited[[]string] // the primary key, once all is settled
	different inherited[bool]     // what differs returned then
	connects  inherited[string]   // what connector returned
}

// inherited is what a table may have of the one that it is LIKE, which may be LIKE another, and so on: each is asked once.
type inherited[T any] struct {
	known bool
	value T
}

func (i *inherited[T]) get(find func() T) T {
	if !i.known {
		i.known, i.value = true, find()
	}
	return i.value
}

// full returns catalog, database and table.
func (o *object) full() [3]string { return [3]string{o.schema.catalog, o.schema.database, o.table} }

func (o *object) like() *object {
	if o.links == nil {
		return nil
	}
	return o.links.like
}

func (o *object) likes() []*object {
	if o.links == nil {
		return nil
	}
	return o.links.likes
}

func (o *object) from() []*object {
	if o.links == nil {
		return nil
	}
	return o.links.from
}

// link returns the links, to be changed.
func (o *object) link() *links {
	if o.links == nil {
		o.links = &links{}
	}
	return o.links
}

// ensureRare returns what is known of few objects, allocated where it is missing, to be changed.
func (o *object) ensureRare() *rare {
	if o.rare == nil {
		o.rare = &rare{}
	}
	return o.rare
}

// described returns what its catalog says about a table, nil if that is nothing.
func (o *object) described() *sqltext.Statement {
	if o.rare == nil {
		return nil
	}
	return o.rare.described
}

func (o *object) name() string { return o.suffix(3) }

// fullName returns the parts of the full name.
func (o *object) fullName() []string {
	full := o.full()
	return full[:]
}

// spelled is how the script names the object where it is used first.
func (o *object) spelled() []string {
	return o.fullName()[3-o.parts:]
}

// ensureChoices returns what was decided, to be changed.
func (o *object) ensureChoices() *chosen { return &o.ensureRare().chosen }

// choices returns what was decided, the zero value if it was nothing.
func (o *object) choices() chosen {
	if o.rare == nil {
		return chosen{}
	}
	return o.rare.chosen
}

func (o *object) cache() *cached { return &o.ensureRare().cached }

// unknown returns why its columns cannot be known; "" if they can.
func (o *object) unknown() string {
	if o.rare == nil {
		return ""
	}
	return o.rare.unknown
}

// unchecked returns why the statement that makes it was left out, and so all that use it.
func (o *object) unchecked() string {
	if o.rare == nil {
		return ""
	}
	return o.rare.unchecked
}

func (o *object) setUnknown(reason string) { o.ensureRare().unknown = reason }

func (o *object) setUnchecked(reason string) {
	if reason != o.unchecked() {
		o.ensureRare().unchecked = reason
	}
}

// identifier is what print writes before the rows of the table.
func (o *object) identifier() string {
	if o.def != nil && o.def.connector == "print" {
		if name := o.def.options().get("print-identifier"); name != "" {
			return name
		}
	}
	return o.shortest()
}

// shortest returns the shortest name that no other table has.
func (o *object) shortest() string {
	return o.suffix(int(o.short))
}

// suffix returns the last parts of the name.
func (o *object) suffix(parts int) string {
	if parts == 1 {
		return o.table
	}
	return strings.Join(o.fullName()[3-parts:], ".")
}

// index finds objects by their names.
type index map[[2]string]*schema

// schema returns the database of a name.
func (x index) schema(full [3]string) *schema {
	key := [2]string(full[:2])
	s := x[key]
	if s == nil {
		s = &schema{full[0], full[1], map[string]*object{}}
		x[key] = s
	}
	return s
}

func (x index) get(full [3]string) *object {
	if s := x[[2]string(full[:2])]; s != nil {
		return s.objects[full[2]]
	}
	return nil
}

func (x index) put(full [3]string, o *object) { x.schema(full).objects[full[2]] = o }

func (x index) remove(full [3]string) { delete(x.schema(full).objects, full[2]) }
