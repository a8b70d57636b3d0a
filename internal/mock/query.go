package mock

// use is a table or view where a statement names it.
type use struct {
	parts    []string
	at, to   int    // tokens of the name
	asOf     [2]int // FOR SYSTEM_TIME AS OF a column of a join; else zero
	travel   [2]int // FOR SYSTEM_TIME AS OF a time: an earlier version of the table; else zero
	standIn  bool   // with travel: its catalog is an empty one in memory
	left     *use   // the table whose column is after AS OF, if it is known
	leftName string // that column
	object   *object

	alias     string
	leftAlias string
	joinedBy  []string // columns that ON compares
	from      *fromClause
	temporal  bool // an event-time temporal join
	searched  bool // by VECTOR_SEARCH
}

// fromClause is one FROM with its joins.
type fromClause struct {
	aliases map[string]*use // of the first items, as far as they were asked for
	indexed int             // how many these are
	items   []*use          // in their order; nil for a subquery
	star    bool            // the query selects *, or all of one table
}

// named returns the item with an alias.
func (f *fromClause) named(alias string) *use {
	if f.aliases == nil {
		f.aliases = map[string]*use{}
	}
	for ; f.indexed < len(f.items); f.indexed++ {
		if u := f.items[f.indexed]; u != nil {
			f.aliases[u.alias] = u
		}
	}
	return f.aliases[alias]
}

// walker finds the tables that a query reads: after FROM and JOIN, and after TABLE.
type walker struct {
	tokens
	uses      []*use
	models    [][]string // names of models that functions are given
	searching int        // where the arguments of VECTOR_SEARCH end
}

// scope holds the names of common table expressions.
type scope struct {
	outer   *scope
	queries map[string]bool
	from    *fromClause // the latest
}

func (s *scope) knows(name string) bool {
	for ; s != nil; s = s.outer {
		if s.queries[name] {
			return true
		}
	}
	return false
}

func (s *scope) add(name string) {
	if s.queries == nil {
		s.queries = map[string]bool{}
	}
	s.queries[name] = true
}

// query walks a query in [i, end). With fromList the group may be a parenthesised join: (a JOIN b ON …).
func (w *walker) query(i, end int, outer *scope, fromList bool) {
	end = min(end, w.count)
	s := &scope{outer: outer, from: &fromClause{star: true}}
	selecting, from := false, false
	selected := 0
	if w.word(i) == "WITH" {
		i = w.with(i+1, end, s)
	}
	if fromList {
		switch w.word(i) {
		case "SELECT", "VALUES", "VALUE":
		default:
			selecting, from = true, true
			i = w.table(i, end, s)
		}
	}
	for i < end {
		switch w.word(i) {
		case "":
			switch {
			case w.is(i, "("):
				close := min(w.partner(i), end)
				if w.word(i-1) == "VECTOR_SEARCH" {
					w.searching = close
				}
				w.query(i+1, close, s, false)
				i = close
			case w.is(i, ",") && from:
				i = w.table(i+1, end, s)
				continue
			}
		case "SELECT":
			selecting, from, selected = true, false, i
		case "FROM": // not the FROM of EXTRACT(… FROM …) or IS DISTINCT FROM
			if selecting && !(w.word(i-1) == "DISTINCT" && (w.word(i-2) == "IS" || w.word(i-2) == "NOT")) {
				from = true
				s.from = &fromClause{star: w.star(selected, i)}
				selected = i // what Flink refuses may have many
				i = w.table(i+1, end, s)
				continue
			}
		case "JOIN":
			if from {
				i = w.table(i+1, end, s)
				continue
			}
		case "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "QUALIFY", "UNION", "INTERSECT", "EXCEPT", "MINUS":
			from = false
		case "TABLE": // an argument of a table function, or a query by itself
			if parts, next := w.path(i + 1); parts != nil && !w.is(i-1, ".") {
				if u := w.use(parts, i+1, next, s); u != nil {
					u.searched = i < w.searching
				}
				i = next
				continue
			}
		case "MODEL":
			if parts, next := w.path(i + 1); parts != nil && (w.is(i-1, "(") || w.is(i-1, ",") || w.is(i-1, "=>")) {
				w.models = append(w.models, parts)
				i = next
				continue
			}
		}
		i++
	}
}

// star reports whether a select list has a * other than a product or COUNT(*).
func (w *walker) star(i, end int) bool {
	for i++; i < end; i = w.after(i) {
		if w.is(i, "*") && (w.is(i+1, ",") || i+1 >= end) {
			return true
		}
	}
	return false
}

// with reads common table expressions.
func (w *walker) with(i, end int, s *scope) int {
	recursive := w.word(i) == "RECURSIVE"
	if recursive {
		i++
	}
	for i < end {
		name, ok := w.name(i)
		if !ok {
			return i
		}
		i++
		if w.is(i, "(") {
			i = w.after(i)
		}
		if w.word(i) != "AS" || !w.is(i+1, "(") {
			return i
		}
		if recursive {
			s.add(name)
		}
		close := min(w.partner(i+1), end)
		w.query(i+2, close, s, false)
		s.add(name)
		i = close + 1
		if !w.is(i, ",") {
			return i
		}
		i++
	}
	return i
}

// table reads what may follow FROM, JOIN and a comma, and returns the index after it; the alias of a
// subquery is left to the caller, who passes over it.
func (w *walker) table(i, end int, s *scope) int {
	if w.word(i) == "LATERAL" {
		i++
	}
	if i >= end {
		return i
	}
	if w.is(i, "(") {
		close := min(w.partner(i), end)
		w.query(i+1, close, s, true)
		s.from.items = append(s.from.items, nil)
		return close + 1
	}
	if w.word(i) == "TABLE" {
		if !w.is(i+1, "(") {
			i++
		} else {
			close := min(w.partner(i+1), end)
			w.query(i+2, close, s, false)
			return close + 1
		}
	}
	parts, next := w.path(i)
	if parts == nil || w.is(next, "(") { // a function's arguments are walked by the caller
		return max(next, i)
	}
	u := w.use(parts, i, next, s)
	for w.kind(next) != 0 && w.partner(next) < w.count && !w.is(next, "(") { // a hint
		next = w.after(next)
	}
	var asOf, travel [2]int
	var left []string
	if w.words(next, "FOR", "SYSTEM_TIME", "AS", "OF") {
		asOf[0] = next
		time, to := w.path(next + 4)
		next = w.expression(next+4, end)
		asOf[1] = next
		if to == next || w.word(asOf[0]+4) == "PROCTIME" {
			left = time
		} else {
			asOf, travel = travel, asOf
		}
	}
	if u == nil {
		u = &use{} // a common table expression, which also acts as an alias
	}
	u.from, u.travel = s.from, travel
	if asOf[1] > 0 {
		u.asOf = asOf
		if len(left) > 1 {
			u.leftAlias = left[0]
			u.left = s.from.named(left[0])
		} else if len(left) == 1 && len(s.from.items) > 0 {
			u.left = s.from.items[0]
		}
		if len(left) > 0 && !w.is(asOf[1]-1, ")") {
			u.leftName = left[len(left)-1]
		}
	}
	alias := parts[len(parts)-1]
	if w.word(next) == "AS" {
		next++
		if name, ok := w.name(next); ok {
			alias = name
			next++
		}
	} else if name, ok := w.name(next); ok && !clause(w.word(next)) {
		alias = name
		next++
	}
	u.alias = alias
	s.from.items = append(s.from.items, u)
	if asOf[1] > 0 {
		u.joinedBy = w.joinCondition(next, end, alias)
	}
	return next
}

// clause reports whether a word after a table continues the query, and so is not an alias.
func clause(word string) bool {
	switch word {
	case "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "ON", "USING", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER",
		"LIMIT", "OFFSET", "FETCH", "QUALIFY", "UNION", "INTERSECT", "EXCEPT", "MINUS", "MATCH_RECOGNIZE", "TABLESAMPLE", "FOR",
		"SELECT", "FROM", "OUTER", "LATERAL", "SEMI", "ANTI", "ASOF", "PIVOT", "UNPIVOT", "END":
		return true
	}
	return false
}

func (w *walker) use(parts []string, from, to int, s *scope) *use {
	if len(parts) > 3 || len(parts) == 1 && s.knows(parts[0]) {
		return nil
	}
	u := &use{parts: parts, at: from, to: to}
	w.uses = append(w.uses, u)
	return u
}

// expression returns the index after the expression that AS OF takes: terms joined by arithmetic.
func (w *walker) expression(i, end int) int {
	for i < end {
		switch {
		case w.is(i, "("):
			i = w.after(i)
		case w.word(i) == "INTERVAL" || w.word(i) == "TIMESTAMP" || w.word(i) == "DATE":
			_, i = w.text(i + 1)
			if u := w.word(i); u == "YEAR" || u == "MONTH" || u == "DAY" || u == "HOUR" || u == "MINUTE" || u == "SECOND" {
				i++
				if w.is(i, "(") {
					i = w.after(i)
				}
				if w.word(i) == "TO" {
					i += 2
				}
			}
		default:
			if _, next := w.path(i); next > i {
				i = next
				if w.is(i, "(") {
					i = w.after(i)
				}
			} else if _, next := w.text(i); next > i {
				i = next
			} else {
				i++
			}
		}
		if !w.is(i, "+") && !w.is(i, "-") && !w.is(i, "*") && !w.is(i, "/") && !w.is(i, "||") {
			break
		}
		i++
	}
	return min(i, end)
}
