package mock

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// A catalog whose factory is missing (Iceberg, Paimon, Hudi, Delta, … without their jars) becomes an empty one in memory of the
// same name. What the script creates in it is mocked as anywhere; what it does not create is known to the real catalog alone, so
// a statement that needs it cannot be planned.

// standIn is what is known of a catalog that takes the place of a missing one; nil for any other.
type standIn struct {
	kind      string          // the missing one's type
	databases map[string]bool // that exist by now
}

// defaultDatabases are the default databases of catalogs that do not call theirs "default".
func defaultDatabase(kind string) string {
	if kind == "fluss" {
		return "fluss"
	}
	return "default"
}

// replaceCatalog makes a catalog in memory of a CREATE CATALOG whose factory is missing. at is the word WITH.
func (rd *reader) replaceCatalog(s *statement, name string, at int, options settings, end int) catalogState {
	kind := options.get("type")
	state := catalogState{inMemory: kind == "generic_in_memory", database: options.get("default-database")}
	if state.inMemory || kind == "" || rd.options.AbsentCatalog == nil || !rd.options.AbsentCatalog(kind) {
		return state
	}
	if state.database == "" {
		state.database = defaultDatabase(kind)
	}
	state.inMemory = true
	state.absent = &standIn{kind: kind, databases: map[string]bool{state.database: true}}
	s.replace(at, end, withClause([][2]string{{"type", "generic_in_memory"}, {"default-database", state.database}}, 0))
	rd.warnf("catalog %s: no jar here makes a catalog of type %q, so an empty one in memory takes its place, with the tables that the script creates", name, kind)
	return state
}

// absent returns the stand-in that a catalog is, nil for any other catalog.
func (rd *reader) absent(catalog string) *standIn { return rd.catalogs[catalog].absent }

// needDatabase creates a database of a stand-in, which the real catalog is expected to have, before the statement that needs it.
func (rd *reader) needDatabase(r *record, catalog, database string) {
	c := rd.absent(catalog)
	if c == nil || c.databases[database] {
		return
	}
	c.databases[database] = true
	r.anchor().before("CREATE DATABASE IF NOT EXISTS " + quoted([]string{catalog, database}) + ";")
}

// unknownTable returns the object of a table that only a missing catalog knows.
func (rd *reader) unknownTable(o *object) bool {
	if rd.absent(o.full()[0]) == nil {
		return false
	}
	o.setUnknown(fmt.Sprintf("%s is a table of catalog %s, which is not here, and the script does not create it", o.suffix(2), o.full()[0]))
	return true
}

// unchecked leaves a statement out because of what cannot be known.
func (rd *reader) unchecked(s *record, reason string) {
	s.leaveOut()
	s.uses = nil
	s.acts(noAct, nil, 0, 0)
	verb := "is left out and not checked"
	if rd.options.PlanOnly {
		verb = "is not checked"
	}
	rd.warnf("%s %s: %s", s.place(), verb, reason)
}

// unknown returns why one of the tables that a statement uses cannot be known, "" if all can.
func (s *record) unknown() string {
	for _, u := range s.uses {
		if reason := u.object.unknown(); reason != "" {
			return reason
		}
	}
	return ""
}

// readUnknown leaves out a query that reads what cannot be known. It reports whether it did.
func (rd *reader) readUnknown(s *record) bool {
	reason := s.unknown()
	if reason == "" {
		return false
	}
	rd.unchecked(s, reason)
	return true
}

// insertUnknown deals with an INSERT that reads or writes what cannot be known: the query alone is left where that can be
// planned. query is where it begins.
func (rd *reader) insertUnknown(s *statement, target *object, query int) {
	switch reason := s.unknown(); {
	case reason != "":
		rd.unchecked(s.record, reason)
	case target.unknown() == "":
	case s.inner() || rd.set != nil || query >= s.count:
		rd.unchecked(s.record, target.unknown())
	default:
		from, to := s.begin(0), s.begin(query)
		s.edit(from, to, pad("", s.source(from, to)))
		s.acts(noAct, nil, 0, 0)
		rd.warnf("%s: only its query is checked: %s", s.place(), target.unknown())
	}
}

// queryOfInsert returns where the query of INSERT begins, from after the name of the table.
func (t tokens) queryOfInsert(i int) int {
	for i < t.count {
		switch {
		case t.kind(i) == sqltext.HintStart:
			i = t.after(i)
		case t.word(i) == "PARTITION" && t.is(i+1, "("):
			i = t.after(i + 1)
		case t.is(i, "(") && !t.is(i+1, "(") && !slices.Contains([]string{"SELECT", "WITH", "VALUES", "VALUE", "TABLE"}, t.word(i+1)):
			i = t.after(i)
		default:
			return i
		}
	}
	return i
}

// dropInner takes the INSERTs that are left out of a statement set, with their semicolons, or the whole set.
func (rd *reader) dropInner(s *statement, inserts []*record) {
	left := slices.DeleteFunc(slices.Clone(inserts), func(in *record) bool { return !in.left })
	if len(left) == len(inserts) {
		s.leaveOut()
		for _, in := range inserts {
			in.more.edits = nil
		}
		return
	}
	for _, in := range left {
		in.more.edits = nil
		from := in.more.set.Offset
		end := from + len(in.more.set.Text)
		if next := s.tape.Find(end); s.is(next, ";") {
			end = s.begin(next) + 1
		}
		s.edit(from, end, pad("", s.source(from, end)))
	}
}

// modification leaves out a statement that changes a table of a missing catalog other than by INSERT. It reports whether it did.
func (rd *reader) modification(s *statement) bool {
	i := 1
	switch s.Kind {
	case sqltext.Delete, sqltext.Merge, sqltext.Truncate: // FROM, INTO, TABLE
		i = 2
	case sqltext.Call:
		parts, _ := s.path(1)
		catalog := rd.session.catalog
		if len(parts) == 3 {
			catalog = parts[0]
		}
		if rd.absent(catalog) == nil {
			return false
		}
		rd.unchecked(s.record, fmt.Sprintf("CALL runs a procedure of catalog %s, which is not here", catalog))
		return true
	case sqltext.CreateMaterializedTable:
		i = s.index(0, s.count, "TABLE") + 1
		if s.words(i, "IF", "NOT", "EXISTS") {
			i += 3
		}
	}
	parts, _ := s.path(i)
	if parts == nil || len(parts) > 3 {
		return false
	}
	o := &object{schema: rd.visible.schema(rd.resolve(parts)), table: parts[len(parts)-1], first: s.record, findings: findings{parts: uint8(len(parts))}}
	if rd.absent(o.full()[0]) == nil {
		return false
	}
	if s.Kind == sqltext.CreateMaterializedTable {
		o.created = true
		o.setUnknown(fmt.Sprintf("%s is a materialized table, which has no mock", o.name()))
		rd.add(o)
	}
	rd.unchecked(s.record, fmt.Sprintf("%s in catalog %s, which is not here, has no mock", s.Kind, o.full()[0]))
	return true
}

// description leaves out SHOW and DESCRIBE of what a missing catalog alone knows.
func (rd *reader) description(s *statement) {
	i := 1
	if s.Kind == sqltext.Show {
		switch {
		case s.word(1) == "PROCEDURES" && rd.absent(rd.session.catalog) != nil:
			rd.unchecked(s.record, fmt.Sprintf("catalog %s is not here", rd.session.catalog))
			return
		case s.word(1) == "CREATE" && (s.word(2) == "TABLE" || s.word(2) == "VIEW"):
			i = 3
		case s.word(1) == "PARTITIONS":
			i = 2
		case s.word(1) == "COLUMNS":
			i = 3 // FROM or IN
		case s.word(2) == "FROM" || s.word(2) == "IN": // TABLES, VIEWS, FUNCTIONS
			switch parts, _ := s.path(3); len(parts) {
			case 1:
				rd.needDatabase(s.record, rd.session.catalog, parts[0])
			case 2:
				rd.needDatabase(s.record, parts[0], parts[1])
			}
			return
		default:
			return
		}
	} else {
		switch s.word(1) {
		case "CATALOG", "FUNCTION", "JOB", "MODEL":
			return
		case "DATABASE":
			return
		case "EXTENDED":
			i = 2
		}
	}
	parts, _ := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	full := rd.resolve(parts)
	o := rd.visible.get(full)
	if o == nil {
		if o = (&object{schema: rd.visible.schema(full), table: full[2]}); !rd.unknownTable(o) {
			return
		}
	}
	if reason := o.unknown(); reason != "" {
		rd.unchecked(s.record, reason)
	}
}

// alterAbsent leaves out what ALTER does in a missing catalog, other than to the columns of a table that the script has created.
// It reports whether it did.
func (rd *reader) alterAbsent(s *statement, kind string, parts []string, full [3]string, o *object, next int) bool {
	catalog := full[0]
	if kind == "CATALOG" {
		catalog = parts[0]
	}
	if rd.absent(catalog) == nil {
		return false
	}
	switch {
	case kind == "FUNCTION" || kind == "VIEW" && o != nil && o.unknown() == "":
		return false
	case kind != "TABLE":
	case o == nil || o.unknown() != "":
	case slices.Contains([]string{"ADD", "MODIFY", "DROP", "RENAME"}, s.word(next)) && s.word(next+1) != "PARTITION" && s.word(next+1) != "IF":
		return false
	}
	rd.unchecked(s.record, fmt.Sprintf("ALTER %s is for catalog %s, which is not here", kind, catalog))
	return true
}

// module leaves out the modules whose factories are missing.
func (rd *reader) module(s *statement) {
	name, ok := s.name(2)
	if !ok {
		return
	}
	switch s.Kind {
	case sqltext.LoadModule:
		if name == "core" || rd.options.AbsentCatalog == nil || !rd.options.AbsentCatalog(name) {
			delete(rd.modules, name)
			return
		}
		rd.modules[name] = true
		s.leaveOut()
		rd.warnf("%s: LOAD MODULE is left out, no jar here makes a module %s: its functions are missing", s.place(), name)
	case sqltext.UnloadModule:
		if rd.modules[name] {
			s.leaveOut()
		}
	default: // USE MODULES a, b
		var left []string
		for i := 2; i < s.count; i += 2 {
			if name, ok := s.name(i); ok && !rd.modules[name] {
				left = append(left, sqltext.Identifier(name))
			}
		}
		switch {
		case len(left) == (s.count-1)/2:
		case len(left) == 0:
			s.leaveOut()
		default:
			s.replace(2, s.count, strings.Join(left, ", "))
		}
	}
}

const dialectKey = "table.sql-dialect"

// setDialect leaves out the change to Hive's dialect if its parser is missing: it comes in the jar of Hive's catalog.
func (rd *reader) setDialect(s *statement, value string) {
	rd.foreign = strings.EqualFold(value, "hive") && rd.options.AbsentCatalog != nil && rd.options.AbsentCatalog("hive")
	if rd.foreign {
		s.leaveOut()
	}
}

// inForeignDialect leaves out a statement that nothing here can read. It reports whether it did. What changes settings and the current
// database is the same in both dialects.
func (rd *reader) inForeignDialect(s *statement) bool {
	switch {
	case !rd.foreign:
		return false
	case s.Kind == sqltext.Reset:
		key, _, _ := sqltext.ParseReset(s.Statement)
		rd.foreign = key != "" && key != dialectKey
		return false
	case slices.Contains([]sqltext.StatementKind{sqltext.Set, sqltext.Use, sqltext.LoadModule, sqltext.UseModules, sqltext.UnloadModule}, s.Kind):
		return false
	}
	rd.unchecked(s.record, "it is in Hive's dialect, which no jar here reads")
	return true
}
