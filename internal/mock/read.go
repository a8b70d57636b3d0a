package mock

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// reader reads a script from its first statement to its last. What it keeps for itself is what changes from statement to statement.
type reader struct {
	*inventory
	loader
	session        *session
	visible        index
	hidden         index              // permanent ones, by temporary ones of their name
	set            *record            // BEGIN STATEMENT SET, until its END
	modules        map[string]bool    // that nothing makes here
	foreign        bool               // the dialect is Hive's, which no jar here reads
	functions      map[[3]string]bool // that the script made in a real catalog, and so are temporary
	models         map[[3]string]*model
	catalogQueries map[[3]string]bool // those of undefined
	innerScratch   tokens             // memory for the tokens of a statement in a statement set
	spare          *record            // of a statement that left nothing to keep
}

// readScript reads the parts of a script, one after the other.
func readScript(parts []Part, o Options, brief bool) *inventory {
	rd := &reader{
		inventory:      newInventory(o, brief),
		session:        &session{nil, "default_catalog", "default_database"},
		visible:        index{},
		hidden:         index{},
		modules:        map[string]bool{},
		functions:      map[[3]string]bool{},
		models:         map[[3]string]*model{},
		catalogQueries: map[[3]string]bool{},
	}
	for _, p := range parts {
		rd.readPart(p)
	}
	return rd.inventory
}

func (rd *reader) refuse(s *record, hint, format string, args ...any) {
	s.unchecked = true
	if rd.options.PlanOnly {
		s.leaveOut()
		rd.warnf("%s is not checked: %s", s.place(), fmt.Sprintf(format, args...))
		return
	}
	rd.errors = append(rd.errors, s.errorf(hint, format, args...))
}

// readPart reads the statements of a part.
func (rd *reader) readPart(p Part) {
	found, err := sqltext.Cut(p.Text, rd.options.dialect())
	if err != nil {
		e := &Error{Part: p.Name, Message: err.Error()}
		if at, ok := err.(*sqltext.Error); ok {
			e.Line, e.Column, e.Message, e.Hint = at.Line, at.Column, at.Message, at.Hint
		}
		rd.errors = append(rd.errors, e)
		return
	}
	cut := &part{Part: p, script: found}
	rd.parts = append(rd.parts, cut)
	rd.session = &session{cut, rd.session.catalog, rd.session.database}
	begin := len(rd.records)
	defer func() { cut.records = rd.records[begin:] }()
	for f := range found.All() {
		number := f.Number
		f.Number += p.leftBefore(f.Offset)
		s := rd.load(f, rd.record(number))
		place, windows := len(rd.records), len(rd.windows)
		rd.records = append(rd.records, s.record)
		if s.deep > 0 {
			rd.tooDeep(s, s.deep, deepest)
		} else {
			rd.columnNames(s)
			rd.read(s)
		}
		rd.unload(s)
		if len(rd.records) == place+1 && len(rd.windows) == windows && s.forgettable(f.Kind) {
			rd.records, rd.spare = rd.records[:place], s.record
		}
	}
}

// record returns an empty record of a statement.
func (rd *reader) record(number int) *record {
	r := rd.spare
	if rd.spare = nil; r == nil {
		r = &record{}
	}
	*r = record{number: int32(number), session: rd.session}
	return r
}

// forgettable reports whether a statement, of a kind that nothing else refers to, is written as it was read.
func (r *record) forgettable(kind sqltext.StatementKind) bool {
	switch kind {
	case sqltext.Set, sqltext.Reset, sqltext.Use, sqltext.AddJar:
		return r.more == nil
	}
	return false
}

// read understands one statement.
func (rd *reader) read(s *statement) {
	if rd.inForeignDialect(s) {
		return
	}
	switch s.Kind {
	case sqltext.Update, sqltext.Delete, sqltext.Merge, sqltext.Truncate, sqltext.Call, sqltext.CreateMaterializedTable:
		if rd.modification(s) {
			return
		}
	}
	switch s.Kind {
	case sqltext.Set:
		rd.readSet(s)
	case sqltext.CreateCatalog:
		rd.readCatalog(s)
	case sqltext.Use:
		rd.readUse(s)
	case sqltext.CreateTable, sqltext.CreateTableAs:
		rd.readTable(s)
	case sqltext.CreateView:
		rd.readView(s)
	case sqltext.CreateFunction:
		rd.readFunction(s)
	case sqltext.CreateModel:
		rd.readModel(s)
	case sqltext.Drop:
		rd.readDrop(s)
	case sqltext.Alter:
		rd.readAlter(s)
	case sqltext.Insert:
		rd.readInsert(s, s.record)
	case sqltext.BeginStatementSet:
		rd.set = s.record
	case sqltext.EndStatementSet:
		rd.set = nil
	case sqltext.StatementSet, sqltext.Explain:
		rd.readContainer(s)
	case sqltext.Select:
		if w := rd.readQuery(s, s.record, rd.queryStart(s)); !rd.readUnknown(s.record) {
			rd.plannable(s, w)
		}
	case sqltext.Show, sqltext.Describe:
		if rd.description(s); !s.left {
			rd.readDescribe(s)
		}
	case sqltext.LoadModule, sqltext.UseModules, sqltext.UnloadModule:
		rd.module(s)
	case sqltext.CreateDatabase:
		rd.readCreateDatabase(s)
	case sqltext.Update, sqltext.Delete, sqltext.Merge, sqltext.Truncate:
		rd.refuse(s.record, "leave the statement out, or run the script on a real cluster", "%s has no mock: print only takes inserted rows", s.Kind)
	case sqltext.Call:
		rd.refuse(s.record, "leave the statement out", "CALL runs a procedure of a catalog, which has no mock")
	case sqltext.Execute, sqltext.Compile:
		rd.refuse(s.record, "use the statements that the plan was compiled from", "%s works on a compiled plan, whose tables cannot be replaced", s.Kind)
	case sqltext.CreateMaterializedTable:
		rd.readMaterializedTable(s)
	case sqltext.Analyze:
		s.leaveOut()
		rd.warnf("%s: ANALYZE is left out, it would read the real table", s.place())
	}
}

func (rd *reader) readSet(s *statement) {
	key, value, ok, err := sqltext.ParseSet(s.Statement)
	if err != nil || !ok {
		return // Flink's business
	}
	switch {
	case key == "execution.runtime-mode":
		rd.batch = strings.EqualFold(value, "batch")
	case key == dialectKey:
		rd.setDialect(s, value)
	case leftOut(key):
		s.leaveOut()
		rd.warnf("%s: SET %s is left out, it is for a cluster", s.place(), key)
	}
}

func (rd *reader) readCatalog(s *statement) {
	i := 2
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	name, ok := s.name(i)
	if !ok {
		return
	}
	var state catalogState
	for ; i < s.count; i++ {
		if s.word(i) == "WITH" {
			options, end := s.tokens.options(i + 1)
			state = rd.replaceCatalog(s, name, i, options, end)
			break
		}
	}
	rd.catalogs[name] = state
}

func (rd *reader) readUse(s *statement) {
	if s.word(1) == "CATALOG" {
		if name, ok := s.name(2); ok {
			database := rd.catalogs[name].database
			if database == "" {
				if database, _ = rd.asked([3]string{name}); database == "" {
					database = "default" // as in Hive, and in memory
				}
			}
			rd.session = &session{rd.session.part, name, database}
		}
		return
	}
	switch parts, _ := s.path(1); len(parts) {
	case 1:
		rd.session = &session{rd.session.part, rd.session.catalog, parts[0]}
	case 2:
		rd.session = &session{rd.session.part, parts[0], parts[1]}
	}
	rd.needDatabase(s.record, rd.session.catalog, rd.session.database)
}

// readCreateDatabase leaves databases of real catalogs alone: they would remain.
func (rd *reader) readCreateDatabase(s *statement) {
	i := 2
	exists := s.words(i, "IF", "NOT", "EXISTS")
	if exists {
		i += 3
	}
	parts, _ := s.path(i)
	catalog := rd.session.catalog
	if len(parts) == 2 {
		catalog = parts[0]
	}
	if c := rd.absent(catalog); c != nil && parts != nil {
		if name := parts[len(parts)-1]; c.databases[name] && !exists {
			s.insert(i, "IF NOT EXISTS ") // it was needed before
		} else {
			c.databases[name] = true
		}
		return
	}
	if parts != nil && !rd.catalogs[catalog].inMemory {
		s.leaveOut()
		rd.warnf("%s: CREATE DATABASE is left out, it would create a real one", s.place())
	}
}

func (rd *reader) resolve(parts []string) [3]string { return rd.session.resolve(parts) }

// lookup returns the object of a name, which is a table of a catalog if the script has not created it.
func (rd *reader) lookup(parts []string, r *record) *object {
	full := rd.resolve(parts)
	if o := rd.visible.get(full); o != nil {
		return o
	}
	o := &object{schema: rd.visible.schema(full), table: full[2], first: r, findings: findings{parts: uint8(min(len(parts), len(full)))}}
	rd.add(o)
	if rd.unknownTable(o) {
		return o
	}
	if !rd.kept(o) {
		rd.describe(o, r)
	}
	return o
}

// asked returns what the user of this package knows of a catalog.
func (rd *reader) asked(name [3]string) (answer string, ok bool) {
	if rd.options.Definition != nil {
		answer, ok = rd.options.Definition(name[0], name[1], name[2])
	}
	if !ok && !rd.catalogs[name[0]].inMemory && !rd.catalogQueries[name] {
		rd.catalogQueries[name] = true
		rd.undefined = append(rd.undefined, name)
	}
	return answer, ok
}

// describe reads the definition of a catalog's table or view.
func (rd *reader) describe(o *object, r *record) {
	ddl, ok := rd.asked(o.full())
	if o.absent = ok && ddl == ""; !ok || o.absent {
		return
	}
	found, err := sqltext.Split(ddl, rd.options.dialect())
	if err != nil || len(found) != 1 {
		return
	}
	t := significant(tokens{}, found[0])
	if t.deep > 0 {
		return
	}
	switch found[0].Kind {
	case sqltext.CreateTable:
		found[0].Offset = 0 // of its own text
		o.ensureRare().described = &found[0]
		if d := parseCreate(t); d != nil {
			o.def = d.facts(rd.brief)
		}
	case sqltext.CreateView: // stays; the tables that it reads are replaced
		o.view = true
		if body := viewBody(t); body > 0 {
			w := &walker{tokens: t}
			w.query(body, t.count, nil, false)
			scoped := rd.session
			rd.session = &session{rd.session.part, o.full()[0], o.full()[1]}
			for _, u := range w.uses {
				base := rd.lookup(u.parts, r)
				base.parts = uint8(len(base.full()))
				base.reads++
				o.link().from = append(o.link().from, base)
			}
			rd.session = scoped
		}
	}
}

// add makes an object the one of its name. A temporary one hides a permanent one of the script until it is dropped.
func (rd *reader) add(o *object) {
	rd.objects = append(rd.objects, o)
	old := rd.visible.get(o.full())
	rd.renewed = rd.renewed || old != nil
	switch {
	case old == nil || !old.created || old.temporary == o.temporary:
	case old.temporary:
		rd.hidden.put(o.full(), o)
		old.hides = true
		return
	default:
		rd.hidden.put(o.full(), old)
		o.hides = true
	}
	rd.visible.put(o.full(), o)
}

// forget takes the object of a name away, which shows the one that it hid.
func (rd *reader) forget(full [3]string) {
	rd.renewed = true
	rd.visible.remove(full)
	if o := rd.hidden.get(full); o != nil {
		rd.visible.put(full, o)
		rd.hidden.remove(full)
	}
}

func (rd *reader) readTable(s *statement) {
	d := parseCreate(s.tokens)
	if d == nil {
		return
	}
	if d.deepType > 0 {
		rd.tooDeep(s, d.deepType, deepestType)
	}
	full := rd.resolve(d.spelled)
	rd.needDatabase(s.record, full[0], full[1])
	var like *object
	if d.likeName != nil {
		like = rd.lookupLike(d.likeName, s.record)
	}
	o := &object{schema: rd.visible.schema(full), table: full[2], def: d.facts(rd.brief), first: s.record, findings: findings{created: true, parts: uint8(len(d.spelled)), ctas: d.asAt >= 0}}
	o.temporary = d.temporary || !rd.inMemory(o)
	if old := rd.visible.get(full); old != nil && old.created && d.ifNotExists && !d.replace && !old.view && old.temporary == o.temporary {
		// Flink keeps the first; this one is still rewritten, so that either may come first.
		rd.renewed = true
		rd.objects = append(rd.objects, o)
	} else {
		rd.add(o)
	}
	s.acts(creates, o, d.nameAt[0], d.nameAt[1])
	if like != nil {
		o.link().like = like
		if unknown := like.unknown(); unknown != "" {
			o.setUnknown(unknown)
			rd.unchecked(s.record, unknown)
			return
		}
		like.link().likes = append(like.link().likes, o)
	}
	if o.ctas {
		w := rd.readQuery(s, s.record, d.asAt+1)
		o.writes++
		if unknown := s.unknown(); unknown != "" {
			o.setUnknown(unknown)
		}
		if !rd.readUnknown(s.record) {
			o.setUnchecked(rd.plannable(s, w))
		}
	}
}

// lookupLike returns the table after LIKE. A catalog's table that is not described is not used by being copied.
func (rd *reader) lookupLike(parts []string, r *record) *object {
	full := rd.resolve(parts)
	if o := rd.visible.get(full); o != nil {
		return o
	}
	o := &object{schema: rd.visible.schema(full), table: full[2], first: r, findings: findings{parts: uint8(min(len(parts), len(full)))}}
	if rd.unknownTable(o) {
		rd.add(o)
		return o
	}
	if rd.kept(o) {
		return nil
	}
	if rd.describe(o, r); o.def == nil {
		return nil
	}
	rd.add(o)
	return o
}

// viewBody returns the index of the query of CREATE VIEW.
func viewBody(t tokens) int {
	for i := 0; i < t.count; {
		if t.word(i) == "AS" {
			return i + 1
		}
		i = t.after(i)
	}
	return 0
}

func (rd *reader) readView(s *statement) {
	i := 0
	for i < s.count && s.word(i) != "VIEW" {
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
	unchecked := rd.plannable(s, rd.readQuery(s, s.record, body))
	o := &object{schema: rd.visible.schema(rd.resolve(parts)), table: parts[len(parts)-1], first: s.record, findings: findings{created: true, parts: uint8(len(parts)), view: true}}
	o.setUnchecked(unchecked)
	for _, u := range s.uses {
		o.link().from = append(o.link().from, u.object)
	}
	if unknown := s.unknown(); unknown != "" {
		o.setUnknown(unknown)
		rd.add(o)
		rd.unchecked(s.record, unknown)
		return
	}
	rd.needDatabase(s.record, o.full()[0], o.full()[1])
	o.temporary = !rd.inMemory(o) || s.index(0, i, "TEMPORARY") >= 0
	rd.add(o)
	s.acts(creates, o, 0, 0)
	if !rd.inMemory(o) && !s.words(1, "TEMPORARY") {
		for j := 0; j < i; j++ {
			if s.word(j) == "VIEW" {
				s.insert(j, "TEMPORARY ")
			}
		}
	}
}

func (rd *reader) queryStart(s *statement) int {
	if s.word(0) == "EXECUTE" {
		return 1
	}
	return 0
}

// readQuery collects the tables of the query at token from of s, which is in outer.
func (rd *reader) readQuery(s *statement, outer *record, from int) *walker {
	w := &walker{tokens: s.tokens}
	w.query(from, s.count, nil, false)
	looks := false
	for _, u := range w.uses {
		u.object = rd.lookup(u.parts, outer)
		if u.asOf[1] > 0 {
			u.object.lookups++
			looks = true
		} else {
			u.object.reads++
		}
		if u.travel[1] > 0 {
			looks, u.standIn = true, rd.absent(u.object.full()[0]) != nil
		}
	}
	s.uses = slices.Grow(s.uses, len(w.uses))
	for _, u := range w.uses {
		m := mention{object: u.object, to: int32(u.to)}
		if looks {
			m.join = u
		}
		s.uses = append(s.uses, m)
	}
	return w
}

// plannable refuses a statement whose query cannot be planned here, and returns the reason.
func (rd *reader) plannable(s *statement, w *walker) (reason string) {
	reason, hint := rd.unplannable(w)
	if reason != "" && (rd.options.PlanOnly || hint != "") { // the others follow from an error that is reported already
		rd.refuse(s.record, hint, "%s", reason)
	}
	return reason
}

// readMaterializedTable leaves out what nothing here makes, and remembers its name for those that use it.
func (rd *reader) readMaterializedTable(s *statement) {
	const reason = "CREATE MATERIALIZED TABLE has no mock"
	rd.refuse(s.record, "", reason)
	i := slices.Index(s.firstWords(), "TABLE") + 1
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	if parts, _ := s.path(i); parts != nil && len(parts) <= 3 {
		o := &object{schema: rd.visible.schema(rd.resolve(parts)), table: parts[len(parts)-1], first: s.record, findings: findings{created: true, parts: uint8(len(parts)), view: true, temporary: true}}
		o.setUnchecked(reason)
		rd.add(o)
	}
}

// readDescribe leaves out what is asked about a table that is not there, since its CREATE was left out.
func (rd *reader) readDescribe(s *statement) {
	parts, next := s.path(1)
	for i := 1; i < s.count && next < s.count; i++ {
		parts, next = s.path(i)
	}
	if parts == nil || len(parts) > 3 {
		return
	}
	if o := rd.visible.get(rd.resolve(parts)); o != nil && o.unchecked() != "" {
		rd.refuseUser(s, o)
	}
}

// refuseUser leaves out a statement about an object whose own statement was left out, where that is not an error.
func (rd *reader) refuseUser(s *statement, o *object) {
	if rd.options.PlanOnly {
		rd.refuse(s.record, "", "%s", o.uncheckedUse())
	}
}

func (o *object) uncheckedUse() string {
	return fmt.Sprintf("it uses %s, which is not checked", o.table)
}

func (rd *reader) readInsert(s *statement, outer *record) {
	if rd.set != nil {
		outer.ensureRare().anchor = rd.set
	}
	i := 0
	if s.word(i) == "EXECUTE" {
		i++
	}
	i++ // INSERT
	i++ // INTO or OVERWRITE
	if s.word(i) == "TABLE" {
		i++
	}
	parts, next := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	target := rd.lookup(parts, outer)
	s.acts(writes, target, i, next)
	target.writes++
	w := rd.readQuery(s, outer, next)
	for i := next; i < s.count && !target.conflicts; i++ {
		target.conflicts = s.words(i, "ON", "CONFLICT")
	}
	if rd.insertUnknown(s, target, s.queryOfInsert(next)); s.left {
		return
	}
	if s.on(writes) != nil {
		w.uses = append(w.uses, &use{parts: parts, at: i, to: next, object: target})
	}
	rd.plannable(s, w)
}

// readContainer reads EXECUTE STATEMENT SET, and EXPLAIN of a query, an INSERT or a statement set.
func (rd *reader) readContainer(s *statement) {
	if inserts := s.Inserts(); len(inserts) > 0 {
		s.ensureRare().outer = true
		var read []*record
		for i := range inserts {
			inner := &inserts[i]
			r := &record{number: s.number, session: s.session, more: &more{inner: true, set: inner, anchor: s.record}}
			text := *inner
			text.Number = s.Number
			in := &statement{Statement: text, tokens: significant(rd.innerScratch, text), record: r}
			rd.records = append(rd.records, r)
			rd.readInsert(in, s.record)
			read = append(read, r)
			rd.innerScratch = in.tokens
		}
		rd.innerScratch = tokens{}
		rd.dropInner(s, read)
		return
	}
	for i := range s.count {
		switch s.word(i) {
		case "CREATE", "REPLACE":
			if rd.options.PlanOnly {
				rd.refuse(s.record, "", "EXPLAIN of CREATE TABLE AS has no mock")
				return
			}
		case "INSERT", "UPSERT":
			r := &record{number: s.number, session: s.session, more: &more{inner: true, anchor: s.record, from: s.begin(i)}}
			in := &statement{Statement: s.Statement, tokens: significant(tokens{}, s.rest(i)), record: r}
			s.ensureRare().outer = true
			rd.records = append(rd.records, r)
			if rd.readInsert(in, s.record); r.left {
				r.more.edits = nil
				s.leaveOut()
			}
			return
		case "SELECT", "WITH", "VALUES":
			if w := rd.readQuery(s, s.record, i); !rd.readUnknown(s.record) {
				rd.plannable(s, w)
			}
			return
		case "UPDATE", "DELETE", "MERGE":
			rd.refuse(s.record, "", "EXPLAIN %s has no mock: print only takes inserted rows", s.word(i))
			return
		}
	}
}

func (rd *reader) readDrop(s *statement) {
	i := 1
	temporary := s.word(i) == "TEMPORARY"
	if temporary {
		i++
	}
	kind := s.word(i)
	at := i
	i++
	if kind == "MATERIALIZED" && s.word(i) == "TABLE" {
		i++
	}
	ifExists := s.words(i, "IF", "EXISTS")
	if ifExists {
		i += 2
	}
	parts, _ := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	switch kind {
	case "TABLE", "VIEW":
		full := rd.resolve(parts)
		o := rd.visible.get(full)
		switch {
		case o != nil && o.unchecked() != "":
			rd.forget(full)
			s.leaveOut() // nor was it created
			return
		case rd.keptName(full) && !rd.options.PlanOnly:
		case temporary && o != nil && o.created && !o.temporary:
			return // IF EXISTS: it does not
		case temporary:
			rd.forget(full)
		case o != nil && o.unknown() != "" || o == nil && rd.absent(full[0]) != nil:
			if ifExists && o == nil { // whether it is there or not, the script goes on
				s.leaveOut()
			} else {
				rd.unchecked(s.record, fmt.Sprintf("%s is not created here", strings.Join(full[:], ".")))
			}
			rd.forget(full)
			return
		case o == nil || !o.created:
			if !rd.catalogs[full[0]].inMemory {
				s.leaveOut()
				rd.warnf("%s: DROP %s is left out, it would drop the real one", s.place(), kind)
			}
		case !rd.inMemory(o):
			s.insert(at, "TEMPORARY ")
			rd.forget(full)
		default:
			rd.forget(full)
		}
		if o != nil {
			s.acts(drops, o, 0, 0)
		}
	case "DATABASE", "FUNCTION", "MODEL", "MATERIALIZED":
		full := rd.resolve(parts)
		if o := rd.visible.get(full); kind == "MATERIALIZED" && o != nil && o.unchecked() != "" {
			rd.forget(full)
			s.leaveOut()
			return
		}
		if kind == "MODEL" {
			rd.dropModel(s, full, at, temporary)
			return
		}
		if f := functionName(full); kind == "FUNCTION" && !temporary && rd.functions[f] {
			delete(rd.functions, f)
			s.insert(at, "TEMPORARY ")
			return
		}
		if kind == "DATABASE" {
			full[0] = rd.session.catalog
			if len(parts) == 2 {
				full[0] = parts[0]
			}
		}
		if kind == "DATABASE" {
			if c := rd.absent(full[0]); c != nil {
				if name := parts[len(parts)-1]; !c.databases[name] && ifExists {
					s.leaveOut()
				} else if !c.databases[name] {
					rd.unchecked(s.record, fmt.Sprintf("%s is a database of catalog %s, which is not here", name, full[0]))
				} else {
					delete(c.databases, name)
				}
			}
		}
		if !temporary && s.word(1) != "TEMPORARY" && !rd.catalogs[full[0]].inMemory {
			s.leaveOut()
			rd.warnf("%s: DROP %s is left out, it would drop the real one", s.place(), kind)
		}
	}
}

// readFunction makes functions of a real catalog temporary.
func (rd *reader) readFunction(s *statement) {
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
	if full := rd.resolve(parts); !rd.catalogs[full[0]].inMemory {
		rd.functions[functionName(full)] = true
		s.insert(1, "TEMPORARY ")
	}
}

// functionName is under which name Flink finds a function, whose own name has no case.
func functionName(full [3]string) [3]string {
	full[2] = strings.ToLower(full[2])
	return full
}

// alterFunction leaves functions of real catalogs alone. One that the script has made is temporary and is created again, since
// Flink alters no temporary ones.
func (rd *reader) alterFunction(s *statement, full [3]string, at int) {
	switch {
	case rd.catalogs[full[0]].inMemory:
	case rd.functions[functionName(full)]:
		name := s.begin(at)
		s.before("DROP TEMPORARY FUNCTION " + quoted(full[:]) + ";")
		s.edit(s.Offset, name, pad("CREATE TEMPORARY FUNCTION ", s.source(s.Offset, name)))
	default:
		s.leaveOut()
		rd.warnf("%s: ALTER FUNCTION is left out, it would change the real one", s.place())
	}
}

func (rd *reader) readAlter(s *statement) {
	kind := s.word(1)
	i := 2
	if s.words(i, "IF", "EXISTS") {
		i += 2
	}
	if kind == "MATERIALIZED" && s.word(i) == "TABLE" {
		i++
	}
	parts, next := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	full := rd.resolve(parts)
	if kind == "DATABASE" {
		full[0] = rd.session.catalog
	}
	o := rd.visible.get(full)
	switch {
	case rd.alterAbsent(s, kind, parts, full, o, next):
	case kind == "FUNCTION":
		rd.alterFunction(s, full, i)
	case kind == "MODEL":
		rd.alterModel(s, full, next)
	case o != nil && o.unchecked() != "" && (s.word(next) != "AS" || kind != "VIEW"):
		rd.refuseUser(s, o)
	case kind == "MATERIALIZED" && !rd.catalogs[full[0]].inMemory:
		s.leaveOut()
		rd.warnf("%s: ALTER MATERIALIZED TABLE is left out, it would change the real one", s.place())
	case kind != "TABLE" && kind != "VIEW" && kind != "DATABASE", rd.keptName(full) && !rd.options.PlanOnly:
		return
	case kind == "DATABASE" || o == nil || !o.created || !rd.inMemory(o) || o.def != nil && o.def.temporary:
		s.leaveOut()
		rd.warnf("%s: ALTER %s is left out, it would change the real one", s.place(), kind)
	case kind == "VIEW" && s.word(next) == "AS":
		s.acts(redefines, o, 0, 0)
		o.setUnchecked(rd.plannable(s, rd.readQuery(s, s.record, next+1)))
		for _, u := range s.uses {
			o.link().from = append(o.link().from, u.object)
		}
	case s.word(next) == "RENAME" && s.word(next+1) == "TO":
		if to, _ := s.path(next + 2); to != nil && len(to) <= 3 {
			rd.renewed = true
			rd.visible.remove(full)
			renamed := full
			renamed[2] = to[len(to)-1]
			rd.visible.put(renamed, o)
			o.table = renamed[2]
		}
	case (s.word(next) == "SET" || s.word(next) == "RESET") && !rd.keptName(full):
		s.leaveOut()
		rd.warnf("%s: ALTER TABLE %s is left out, it is for the real connector", s.place(), s.word(next))
	default:
		o.altered = true
		s.acts(alters, o, i, next)
	}
}
