package mock

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// object is a table or view that the script creates or names. A table that is dropped and created again is
// another object.
type object struct {
	full      [3]string
	def       *definition // nil for views, and for tables of a catalog that nobody described
	ddl       string      // what def was read from, for a table of a catalog
	created   *statement  // nil for a table of a catalog
	first     *statement  // where it is used first
	spelled   []string    // as it is named there
	view      bool
	hides     bool      // a permanent one of its name
	temporary bool      // or a permanent one of a real catalog, which becomes temporary
	absent    bool      // from its catalog
	from      []*object // what a view reads
	like      *object
	likes     []*object // that are LIKE it
	ctas      bool

	reads, lookups, writes int
	versioned              bool // right side of an event-time temporal join
	kept                   bool
	file                   string
	// Read without partitions, since a file is read by a table LIKE it: Flink lets LIKE inherit them even EXCLUDING PARTITIONS.
	flat       bool
	altered    bool     // ALTER changes its columns
	versions   string   // of a lookup table: type of the rowtime attribute that it gets
	lookupKey  []string // and its primary key
	short      string   // the shortest name that no other table has
	identifier string
	table      *Table
}

func (o *object) name() string { return strings.Join(o.full[:], ".") }

// statement is a statement with what it uses.
type statement struct {
	sqltext.Statement
	part     int
	partName string
	src      string // the part
	tokens
	def       *definition
	creates   *object
	target    *use
	alters    *use // a table whose columns ALTER TABLE changes
	uses      []*use
	overwrite int  // the word OVERWRITE, behind INSERT
	inner     bool // of a statement set
	outer     bool // holds others that are inner
	edits     []edit
	before    []string // statements put in front
	anchor    *statement
	// what USE says there
	catalog, database string
}

func (s *statement) replace(i, j int, text string) {
	from, to := s.span(i, j)
	s.edits = append(s.edits, edit{from, to, pad(text, s.src[from:to])})
}

func (s *statement) remove(i, j int) {
	from, to := s.span(i, j)
	for from > s.Offset && (s.src[from-1] == ' ' || s.src[from-1] == '\t') {
		from--
	}
	s.edits = append(s.edits, edit{from, to, pad("", s.src[from:to])})
}

func (s *statement) insert(before int, text string) {
	at := s.list[before].Offset
	s.edits = append(s.edits, edit{at, at, text})
}

// leaveOut empties the statement.
func (s *statement) leaveOut() {
	s.edits = []edit{{s.Offset, s.Offset + len(s.Text), pad("", s.Text)}}
}

func (s *statement) place() string {
	if s.partName != "" {
		return fmt.Sprintf("%s statement %d, line %d", s.partName, s.Number, s.Line)
	}
	return fmt.Sprintf("statement %d, line %d", s.Number, s.Line)
}

func (s *statement) errorf(hint, format string, args ...any) *Error {
	return &Error{Part: s.partName, Number: s.Number, Line: s.Line, Column: s.Column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// catalogState is a catalog of the session.
type catalogState struct {
	ours     bool // in memory: what is created there is gone with the run
	database string
}

// analysis reads a script from its first statement to its last, then decides, then writes.
type analysis struct {
	options    Options
	batch      bool
	statements []*statement
	objects    []*object // in the order of appearance
	visible    map[[3]string]*object
	hidden     map[[3]string]*object // permanent ones, by temporary ones of their name
	catalogs   map[string]catalogState
	catalog    string
	database   string
	processing map[string]bool   // columns that somewhere are PROCTIME()
	rowtimes   map[string]bool   // columns that somewhere have a watermark
	casts      map[string]string // text columns that somewhere are cast: "number" or "date"
	keys       map[string]bool   // columns that somewhere rows are grouped or joined by
	epochs     map[string]int64  // columns that somewhere become a time: units per second
	set        *statement        // BEGIN STATEMENT SET, until its END
	warnings   []string
	undefined  [][3]string
	functions  map[[3]string]bool // that the script made in a real catalog, and so are temporary
	asking     map[[3]string]bool // those of undefined
	warned     map[string]bool
	errors     []*Error
}

func newAnalysis(o Options) *analysis {
	return &analysis{
		options:    o,
		batch:      o.Batch,
		visible:    map[[3]string]*object{},
		hidden:     map[[3]string]*object{},
		catalogs:   map[string]catalogState{"default_catalog": {true, "default_database"}},
		catalog:    "default_catalog",
		database:   "default_database",
		processing: map[string]bool{},
		rowtimes:   map[string]bool{},
		casts:      map[string]string{},
		epochs:     map[string]int64{},
		keys:       map[string]bool{},
		warned:     map[string]bool{},
		functions:  map[[3]string]bool{},
		asking:     map[[3]string]bool{},
	}
}

func (a *analysis) warnf(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if !a.warned[w] {
		a.warned[w] = true
		a.warnings = append(a.warnings, w)
	}
}

func (a *analysis) refuse(s *statement, hint, format string, args ...any) {
	if a.options.PlanOnly {
		s.leaveOut()
		a.warnf("%s is not checked: %s", s.place(), fmt.Sprintf(format, args...))
		return
	}
	a.errors = append(a.errors, s.errorf(hint, format, args...))
}

func (a *analysis) part(index int, p Part) {
	found, err := sqltext.Split(p.Text, a.options.dialect())
	if err != nil {
		e := &Error{Part: p.Name, Message: err.Error()}
		if at, ok := err.(*sqltext.Error); ok {
			e.Line, e.Column, e.Message, e.Hint = at.Line, at.Column, at.Message, at.Hint
		}
		a.errors = append(a.errors, e)
		return
	}
	for _, f := range found {
		f.Number += p.leftBefore(f.Offset)
		s := &statement{Statement: f, part: index, partName: p.Name, src: p.Text, tokens: significant(f), catalog: a.catalog, database: a.database}
		a.statements = append(a.statements, s)
		a.columnNames(s)
		a.read(s)
	}
}

func (p Part) leftBefore(offset int) int {
	n := 0
	for _, left := range p.Left {
		if left < offset {
			n++
		}
	}
	return n
}

// columnNames collects what names alone tell about columns.
func (a *analysis) columnNames(s *statement) {
	for i := range s.list {
		switch s.word(i) {
		case "":
			if s.is(i, "=") {
				a.joined(s, i)
			}
		case "GROUP", "PARTITION":
			if s.word(i+1) == "BY" {
				a.groups(s, i+2)
			}
		case "PROCTIME":
			if !s.is(i+1, "(") || !s.is(i+2, ")") {
				continue
			}
			if name, ok := s.name(i - 2); ok && s.word(i-1) == "AS" {
				a.processing[name] = true
			}
			if name, ok := s.name(i + 4); ok && s.word(i+3) == "AS" {
				a.processing[name] = true
			}
		case "WATERMARK":
			if parts, _ := s.path(i + 2); s.word(i+1) == "FOR" && parts != nil {
				a.rowtimes[parts[len(parts)-1]] = true
			}
		case "FROM_UNIXTIME", "TO_TIMESTAMP_LTZ":
			a.epoch(s, i)
		case "CAST":
			if parts, next := s.path(i + 2); s.is(i+1, "(") && parts != nil && s.word(next) == "AS" {
				switch s.word(next + 1) {
				case "TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "DEC", "NUMERIC":
					a.casts[parts[len(parts)-1]] = "number"
				case "DATE":
					a.casts[parts[len(parts)-1]] = "date"
				}
			}
		}
	}
}

// groups collects the columns behind GROUP BY and PARTITION BY.
func (a *analysis) groups(s *statement, i int) {
	for {
		parts, next := s.path(i)
		if parts == nil || s.is(next, "(") {
			return
		}
		a.keys[parts[len(parts)-1]] = true
		if !s.is(next, ",") {
			return
		}
		i = next + 1
	}
}

// joined collects the columns on both sides of an equals sign.
func (a *analysis) joined(s *statement, i int) {
	right, _ := s.path(i + 1)
	left, ok := s.name(i - 1)
	if ok && len(right) > 1 && s.is(i-2, ".") {
		a.keys[left], a.keys[right[len(right)-1]] = true, true
	}
}

// epoch reads in which unit a column counts time, from FROM_UNIXTIME(c / 1000), TO_TIMESTAMP_LTZ(c, 3) and the like.
func (a *analysis) epoch(s *statement, i int) {
	perSecond := int64(1)
	if s.word(i) == "TO_TIMESTAMP_LTZ" {
		perSecond = 1000
	}
	at := i + 1
	for s.is(at, "(") || s.is(at+1, "(") { // CAST(c AS BIGINT)
		if s.is(at+1, "(") {
			at++
		}
		at++
	}
	parts, next := s.path(at)
	if parts == nil {
		return
	}
	switch operand := s.textOf(next + 1); {
	case s.is(next, "/") && operand == "1000", s.is(next, ",") && operand == "3":
		perSecond = 1000
	case s.is(next, "/") && operand == "1000000":
		perSecond = 1_000_000
	case s.is(next, "*") && operand == "1000", s.is(next, ",") && operand == "0":
		perSecond = 1
	}
	a.epochs[parts[len(parts)-1]] = perSecond
}

// read understands one statement.
func (a *analysis) read(s *statement) {
	switch s.Kind {
	case sqltext.Set:
		a.readSet(s)
	case sqltext.CreateCatalog:
		a.readCatalog(s)
	case sqltext.Use:
		a.readUse(s)
	case sqltext.CreateTable, sqltext.CreateTableAs:
		a.readTable(s)
	case sqltext.CreateView:
		a.readView(s)
	case sqltext.CreateFunction:
		a.readFunction(s)
	case sqltext.Drop:
		a.readDrop(s)
	case sqltext.Alter:
		a.readAlter(s)
	case sqltext.Insert:
		a.readInsert(s, s)
	case sqltext.BeginStatementSet:
		a.set = s
	case sqltext.EndStatementSet:
		a.set = nil
	case sqltext.StatementSet, sqltext.Explain:
		a.readContainer(s)
	case sqltext.Select:
		a.readQuery(s, s, a.queryStart(s))
	case sqltext.CreateDatabase:
		a.readCreateDatabase(s)
	case sqltext.Update, sqltext.Delete, sqltext.Merge, sqltext.Truncate:
		a.refuse(s, "leave the statement out, or run the script on a real cluster", "%s has no mock: print only takes inserted rows", s.Kind)
	case sqltext.Call:
		a.refuse(s, "leave the statement out", "CALL runs a procedure of a catalog, which has no mock")
	case sqltext.Execute, sqltext.Compile:
		a.refuse(s, "use the statements that the plan was compiled from", "%s works on a compiled plan, whose tables cannot be replaced", s.Kind)
	case sqltext.CreateMaterializedTable:
		a.refuse(s, "", "CREATE MATERIALIZED TABLE has no mock")
	case sqltext.Analyze:
		s.leaveOut()
		a.warnf("%s: ANALYZE is left out, it would read the real table", s.place())
	}
}

// clusterOnly are prefixes of keys that mean nothing, or do harm, in one process without the cluster's storage.
func clusterOnly(key string) bool {
	for _, prefix := range [...]string{"execution.checkpointing.", "execution.savepoint.", "state.checkpoint", "state.savepoints.",
		"execution.state-recovery.", "execution.target", "execution.attached", "high-availability", "kubernetes.", "yarn.",
		"restart-strategy", "parallelism.default", "table.exec.resource.default-parallelism", "pipeline.fixed-job-id",
		"$internal.", "rest.", "jobmanager.", "taskmanager."} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (a *analysis) readSet(s *statement) {
	key, value, ok, err := sqltext.ParseSet(s.Statement)
	if err != nil || !ok {
		return // Flink's business
	}
	switch {
	case key == "execution.runtime-mode":
		a.batch = strings.EqualFold(value, "batch")
	case clusterOnly(key):
		s.leaveOut()
		a.warnf("%s: SET %s is left out, it is for a cluster", s.place(), key)
	}
}

func (a *analysis) readCatalog(s *statement) {
	i := 2
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	name, ok := s.name(i)
	if !ok {
		return
	}
	var state catalogState
	for ; i < len(s.list); i++ {
		if s.word(i) == "WITH" {
			options, _ := s.tokens.options(i + 1)
			state.ours = options.get("type") == "generic_in_memory"
			if db := options.get("default-database"); db != "" {
				state.database = db
			}
			break
		}
	}
	a.catalogs[name] = state
}

func (a *analysis) readUse(s *statement) {
	if s.word(1) == "CATALOG" {
		if name, ok := s.name(2); ok {
			a.catalog, a.database = name, a.catalogs[name].database
			if a.database == "" {
				if a.database, _ = a.asked([3]string{name}); a.database == "" {
					a.database = "default" // as in Hive, and in memory
				}
			}
		}
		return
	}
	switch parts, _ := s.path(1); len(parts) {
	case 1:
		a.database = parts[0]
	case 2:
		a.catalog, a.database = parts[0], parts[1]
	}
}

// readCreateDatabase leaves databases of real catalogs alone: they would stay behind.
func (a *analysis) readCreateDatabase(s *statement) {
	i := 2
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	parts, _ := s.path(i)
	catalog := a.catalog
	if len(parts) == 2 {
		catalog = parts[0]
	}
	if parts != nil && !a.catalogs[catalog].ours {
		s.leaveOut()
		a.warnf("%s: CREATE DATABASE is left out, it would create a real one", s.place())
	}
}

func (a *analysis) resolve(parts []string) [3]string { return resolve(a.catalog, a.database, parts) }

// resolve returns what a name means in the statement.
func (s *statement) resolve(parts []string) [3]string { return resolve(s.catalog, s.database, parts) }

func resolve(catalog, database string, parts []string) [3]string {
	switch len(parts) {
	case 1:
		return [3]string{catalog, database, parts[0]}
	case 2:
		return [3]string{catalog, parts[0], parts[1]}
	}
	return [3]string{parts[0], parts[1], parts[2]}
}

// lookup returns the object of a name, which is a table of a catalog if the script has not created it.
func (a *analysis) lookup(parts []string, s *statement) *object {
	full := a.resolve(parts)
	if o := a.visible[full]; o != nil {
		return o
	}
	o := &object{full: full, first: s, spelled: parts}
	a.add(o)
	if !a.kept(o) {
		a.describe(o, s)
	}
	return o
}

// asked returns what the user of this package knows of a catalog.
func (a *analysis) asked(name [3]string) (answer string, ok bool) {
	if a.options.Definition != nil {
		answer, ok = a.options.Definition(name[0], name[1], name[2])
	}
	if !ok && !a.catalogs[name[0]].ours && !a.asking[name] {
		a.asking[name] = true
		a.undefined = append(a.undefined, name)
	}
	return answer, ok
}

// describe reads the definition of a catalog's table or view.
func (a *analysis) describe(o *object, s *statement) {
	ddl, ok := a.asked(o.full)
	if o.absent = ok && ddl == ""; !ok || o.absent {
		return
	}
	found, err := sqltext.Split(ddl, a.options.dialect())
	if err != nil || len(found) != 1 {
		return
	}
	t := significant(found[0])
	switch found[0].Kind {
	case sqltext.CreateTable:
		o.def = parseCreate(t)
		o.ddl = found[0].Text
		o.def.shift(found[0].Offset)
	case sqltext.CreateView: // stays; the tables that it reads are replaced
		o.view = true
		if body := viewBody(t); body > 0 {
			w := &walker{tokens: t}
			w.query(body, len(t.list), nil, false)
			catalog, database := a.catalog, a.database
			a.catalog, a.database = o.full[0], o.full[1]
			for _, u := range w.uses {
				base := a.lookup(u.parts, s)
				base.spelled = base.full[:]
				base.reads++
				o.from = append(o.from, base)
			}
			a.catalog, a.database = catalog, database
		}
	}
}

// shift makes a definition's offsets those of its own text.
func (d *definition) shift(by int) {
	if d == nil {
		return
	}
	for i := range d.list {
		d.list[i].Offset -= by
	}
}

// add makes an object the one of its name. A temporary one hides a permanent one of the script until it is dropped.
func (a *analysis) add(o *object) {
	a.objects = append(a.objects, o)
	old := a.visible[o.full]
	switch {
	case old == nil || old.created == nil || old.temporary == o.temporary:
	case old.temporary:
		a.hidden[o.full] = o
		old.hides = true
		return
	default:
		a.hidden[o.full] = old
		o.hides = true
	}
	a.visible[o.full] = o
}

// forget takes the object of a name away, which shows the one that it hid.
func (a *analysis) forget(full [3]string) {
	delete(a.visible, full)
	if o := a.hidden[full]; o != nil {
		a.visible[full] = o
		delete(a.hidden, full)
	}
}

func (a *analysis) readTable(s *statement) {
	s.def = parseCreate(s.tokens)
	if s.def == nil {
		return
	}
	full := a.resolve(s.def.spelled)
	var like *object
	if s.def.likeName != nil {
		like = a.lookupLike(s.def.likeName, s)
	}
	o := &object{full: full, def: s.def, created: s, first: s, spelled: s.def.spelled, like: like, ctas: s.def.asAt >= 0}
	o.temporary = s.def.temporary || !a.ours(o)
	if old := a.visible[full]; old != nil && old.created != nil && s.def.ifNotExists && !s.def.replace && !old.view && old.temporary == o.temporary {
		// Flink keeps the first; this one is still rewritten, so that either may come first.
		a.objects = append(a.objects, o)
	} else {
		a.add(o)
	}
	s.creates = o
	if like != nil {
		like.likes = append(like.likes, o)
	}
	if o.ctas {
		a.readQuery(s, s, s.def.asAt+1)
		o.writes++
	}
}

// lookupLike returns the table behind LIKE; a catalog's table that nobody described is not used by being copied.
func (a *analysis) lookupLike(parts []string, s *statement) *object {
	full := a.resolve(parts)
	if o := a.visible[full]; o != nil {
		return o
	}
	o := &object{full: full, first: s, spelled: parts}
	if a.kept(o) {
		return nil
	}
	if a.describe(o, s); o.def == nil {
		return nil
	}
	a.add(o)
	return o
}

// viewBody returns the index of the query of CREATE VIEW.
func viewBody(t tokens) int {
	for i := 0; i < len(t.list); {
		if t.word(i) == "AS" {
			return i + 1
		}
		i = t.behind(i)
	}
	return 0
}

func (a *analysis) readView(s *statement) {
	i := 0
	for i < len(s.list) && s.word(i) != "VIEW" {
		i++
	}
	i++
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	parts, _ := s.path(i)
	body := viewBody(s.tokens)
	if parts == nil || len(parts) > 3 || body == 0 {
		return
	}
	a.readQuery(s, s, body)
	o := &object{full: a.resolve(parts), created: s, first: s, spelled: parts, view: true}
	for _, u := range s.uses {
		o.from = append(o.from, u.object)
	}
	o.temporary = !a.ours(o) || slices.ContainsFunc(s.list[:i], func(t sqltext.Token) bool { return strings.EqualFold(t.Text, "TEMPORARY") })
	a.add(o)
	s.creates = o
	if !a.ours(o) && !s.words(1, "TEMPORARY") {
		for j := 0; j < i; j++ {
			if s.word(j) == "VIEW" {
				s.insert(j, "TEMPORARY ")
			}
		}
	}
}

// ours reports whether what is created in the object's catalog is gone with the run.
func (a *analysis) ours(o *object) bool { return a.catalogs[o.full[0]].ours }

func (a *analysis) queryStart(s *statement) int {
	if s.word(0) == "EXECUTE" {
		return 1
	}
	return 0
}

// readQuery collects the tables of the query at token from of s, which stands in outer.
func (a *analysis) readQuery(s, outer *statement, from int) {
	w := &walker{tokens: s.tokens}
	w.query(from, len(s.list), nil, false)
	for _, u := range w.uses {
		u.object = a.lookup(u.parts, outer)
		if u.asOf[1] > 0 {
			u.object.lookups++
		} else {
			u.object.reads++
		}
	}
	s.uses = append(s.uses, w.uses...)
}

func (a *analysis) readInsert(s, outer *statement) {
	if a.set != nil {
		outer.anchor = a.set
	}
	i := 0
	if s.word(i) == "EXECUTE" {
		i++
	}
	i++ // INSERT
	if s.word(i) == "OVERWRITE" {
		s.overwrite = i
	}
	i++
	if s.word(i) == "TABLE" {
		i++
	}
	parts, next := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	s.target = &use{parts: parts, at: i, to: next, object: a.lookup(parts, outer)}
	s.target.object.writes++
	a.readQuery(s, outer, next)
}

// readContainer reads EXECUTE STATEMENT SET, and EXPLAIN of a query, an INSERT or a statement set.
func (a *analysis) readContainer(s *statement) {
	if inserts := s.Inserts(); len(inserts) > 0 {
		s.outer = true
		for _, f := range inserts {
			in := &statement{Statement: f, part: s.part, partName: s.partName, src: s.src, tokens: significant(f), inner: true, anchor: s,
				catalog: s.catalog, database: s.database}
			in.Number = s.Number
			a.statements = append(a.statements, in)
			a.readInsert(in, s)
		}
		return
	}
	for i := range s.list {
		switch s.word(i) {
		case "INSERT", "UPSERT":
			in := *s
			in.tokens = pair(s.list[i:])
			in.inner, in.anchor = true, s
			s.outer = true
			p := &in
			a.statements = append(a.statements, p)
			a.readInsert(p, s)
			return
		case "SELECT", "WITH", "VALUES":
			a.readQuery(s, s, i)
			return
		case "UPDATE", "DELETE", "MERGE":
			a.refuse(s, "", "EXPLAIN %s has no mock: print only takes inserted rows", s.word(i))
			return
		}
	}
}

func (a *analysis) readDrop(s *statement) {
	i := 1
	temporary := s.word(i) == "TEMPORARY"
	if temporary {
		i++
	}
	kind := s.word(i)
	at := i
	i++
	if s.words(i, "IF", "EXISTS") {
		i += 2
	}
	parts, _ := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	switch kind {
	case "TABLE", "VIEW":
		full := a.resolve(parts)
		o := a.visible[full]
		switch {
		case a.keptName(full) && !a.options.PlanOnly:
		case temporary && o != nil && o.created != nil && !o.temporary:
			return // IF EXISTS: it does not
		case temporary:
			a.forget(full)
		case o == nil || o.created == nil:
			if !a.catalogs[full[0]].ours {
				s.leaveOut()
				a.warnf("%s: DROP %s is left out, it would drop the real one", s.place(), kind)
			}
		case !a.ours(o):
			s.insert(at, "TEMPORARY ")
			a.forget(full)
		default:
			a.forget(full)
		}
		if o != nil {
			s.creates = nil
			s.dropped(o)
		}
	case "DATABASE", "FUNCTION", "MODEL", "MATERIALIZED":
		full := a.resolve(parts)
		if f := functionName(full); kind == "FUNCTION" && !temporary && a.functions[f] {
			delete(a.functions, f)
			s.insert(at, "TEMPORARY ")
			return
		}
		if kind == "DATABASE" {
			full[0] = a.catalog
			if len(parts) == 2 {
				full[0] = parts[0]
			}
		}
		if !temporary && s.word(1) != "TEMPORARY" && !a.catalogs[full[0]].ours {
			s.leaveOut()
			a.warnf("%s: DROP %s is left out, it would drop the real one", s.place(), kind)
		}
	}
}

// dropped remembers that the clone of a dropped table must go too.
func (s *statement) dropped(o *object) { s.target = &use{object: o, at: -1} }

// readFunction makes functions of a real catalog temporary.
func (a *analysis) readFunction(s *statement) {
	if s.word(1) != "FUNCTION" { // TEMPORARY, TEMPORARY SYSTEM
		return
	}
	i := 2
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	parts, _ := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	if full := a.resolve(parts); !a.catalogs[full[0]].ours {
		a.functions[functionName(full)] = true
		s.insert(1, "TEMPORARY ")
	}
}

// functionName is under which name Flink finds a function, whose own name has no case.
func functionName(full [3]string) [3]string {
	full[2] = strings.ToLower(full[2])
	return full
}

// alterFunction leaves functions of real catalogs alone. One that the script has made is temporary and is made anew, since
// Flink alters no temporary ones.
func (a *analysis) alterFunction(s *statement, full [3]string, at int) {
	switch {
	case a.catalogs[full[0]].ours:
	case a.functions[functionName(full)]:
		name := s.list[at].Offset
		s.before = append(s.before, "DROP TEMPORARY FUNCTION "+quoted(full[:])+";")
		s.edits = append(s.edits, edit{s.Offset, name, pad("CREATE TEMPORARY FUNCTION ", s.src[s.Offset:name])})
	default:
		s.leaveOut()
		a.warnf("%s: ALTER FUNCTION is left out, it would change the real one", s.place())
	}
}

func (a *analysis) readAlter(s *statement) {
	kind := s.word(1)
	i := 2
	if s.words(i, "IF", "EXISTS") {
		i += 2
	}
	parts, next := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	full := a.resolve(parts)
	if kind == "DATABASE" {
		full[0] = a.catalog
	}
	o := a.visible[full]
	switch {
	case kind == "FUNCTION":
		a.alterFunction(s, full, i)
	case kind != "TABLE" && kind != "VIEW" && kind != "DATABASE", a.keptName(full) && !a.options.PlanOnly:
		return
	case kind == "DATABASE" || o == nil || o.created == nil || !a.ours(o) || o.def != nil && o.def.temporary:
		s.leaveOut()
		a.warnf("%s: ALTER %s is left out, it would change the real one", s.place(), kind)
	case kind == "VIEW" && s.word(next) == "AS":
		a.readQuery(s, s, next+1)
		for _, u := range s.uses {
			o.from = append(o.from, u.object)
		}
	case s.word(next) == "RENAME" && s.word(next+1) == "TO":
		if to, _ := s.path(next + 2); to != nil && len(to) <= 3 {
			delete(a.visible, full)
			renamed := full
			renamed[2] = to[len(to)-1]
			a.visible[renamed] = o
			o.full = renamed
			o.spelled = slices.Clone(o.spelled)
			o.spelled[len(o.spelled)-1] = renamed[2]
		}
	case (s.word(next) == "SET" || s.word(next) == "RESET") && !a.keptName(full):
		s.leaveOut()
		a.warnf("%s: ALTER TABLE %s is left out, it is for the real connector", s.place(), s.word(next))
	default:
		o.altered = true
		s.alters = &use{object: o, at: i, to: next}
	}
}

// kept reports whether the user wants to keep a table.
func (a *analysis) kept(o *object) bool { return a.keptName(o.full) }

func (a *analysis) keptName(full [3]string) bool {
	return slices.ContainsFunc(a.options.Keep, func(k string) bool { return matches(k, full) })
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
