package mock

// use is a table or view where a statement names it.
type use struct {
	parts    []string
	at, to   int    // tokens of the name
	asOf     [2]int // FOR SYSTEM_TIME AS OF …; zero if there is none
	left     *use   // the table whose column stands behind AS OF, if it can be told
	leftName string // that column
	object   *object

	leftAlias string
	joinedBy  []string // columns that ON compares
	from      *fromClause
	temporal  bool // an event-time temporal join
}

// fromClause is one FROM with its joins.
type fromClause struct {
	aliases map[string]*use
	items   []*use // in their order; nil for a subquery
	star    bool   // the query selects *, or all of one table
}

// walker finds the tables that a query reads: behind FROM and JOIN, and behind TABLE.
type walker struct {
	tokens
	uses []*use
}

// scope holds the names of common table expressions.
type scope struct {
	outer   *scope
	queries []string
	from    *fromClause // the latest
}

func (s *scope) knows(name string) bool {
	for ; s != nil; s = s.outer {
		for _, q := range s.queries {
			if q == name {
				return true
			}
		}
	}
	return false
}

// query walks a query in [i, end). With fromList the group may be a parenthesised join: (a JOIN b ON …).
func (w *walker) query(i, end int, outer *scope, fromList bool) {
	end = min(end, len(w.list))
	s := &scope{outer: outer, from: &fromClause{aliases: map[string]*use{}, star: true}}
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
				close := min(w.match[i], end)
				w.query(i+1, close, s, false)
				i = close
			case w.is(i, ",") && from:
				i = w.table(i+1, end, s)
				continue
			}
		case "SELECT":
			selecting, from, selected = true, false, i
		case "FROM": // not that of EXTRACT(… FROM …), nor of IS DISTINCT FROM
			if selecting && !(w.word(i-1) == "DISTINCT" && (w.word(i-2) == "IS" || w.word(i-2) == "NOT")) {
				from = true
				s.from = &fromClause{aliases: map[string]*use{}, star: w.star(selected, i)}
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
				w.use(parts, i+1, next, s)
				i = next
				continue
			}
		}
		i++
	}
}

// star reports whether a select list has a * other than a product or COUNT(*).
func (w *walker) star(i, end int) bool {
	for i++; i < end; i = w.behind(i) {
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
			i = w.behind(i)
		}
		if w.word(i) != "AS" || !w.is(i+1, "(") {
			return i
		}
		if recursive {
			s.queries = append(s.queries, name)
		}
		close := min(w.match[i+1], end)
		w.query(i+2, close, s, false)
		s.queries = append(s.queries, name)
		i = close + 1
		if !w.is(i, ",") {
			return i
		}
		i++
	}
	return i
}

// table reads what may stand behind FROM, JOIN and a comma, and returns the index behind it; the alias of a
// subquery is left to the caller, who passes over it.
func (w *walker) table(i, end int, s *scope) int {
	if w.word(i) == "LATERAL" {
		i++
	}
	if i >= end {
		return i
	}
	if w.is(i, "(") {
		close := min(w.match[i], end)
		w.query(i+1, close, s, true)
		s.from.items = append(s.from.items, nil)
		return close + 1
	}
	if w.word(i) == "TABLE" {
		if !w.is(i+1, "(") {
			i++
		} else {
			close := min(w.match[i+1], end)
			w.query(i+2, close, s, false)
			return close + 1
		}
	}
	parts, next := w.path(i)
	if parts == nil || w.is(next, "(") { // a function's arguments are walked by the caller
		return max(next, i)
	}
	u := w.use(parts, i, next, s)
	for w.kind(next) != 0 && w.match[next] < len(w.list) && !w.is(next, "(") { // a hint
		next = w.behind(next)
	}
	var asOf [2]int
	var left []string
	if w.words(next, "FOR", "SYSTEM_TIME", "AS", "OF") {
		asOf[0] = next
		left, _ = w.path(next + 4)
		next = w.expression(next+4, end)
		asOf[1] = next
	}
	if u == nil {
		u = &use{} // a common table expression: an alias all the same
	}
	u.from = s.from
	if asOf[1] > 0 {
		u.asOf = asOf
		if len(left) > 1 {
			u.leftAlias = left[0]
			u.left = s.from.aliases[left[0]]
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
	s.from.aliases[alias] = u
	s.from.items = append(s.from.items, u)
	if asOf[1] > 0 {
		u.joinedBy = w.joinCondition(next, end, alias)
	}
	return next
}

// clause reports whether a word behind a table goes on with the query, and so is no alias.
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

// expression returns the index behind the expression that AS OF takes: terms joined by arithmetic.
func (w *walker) expression(i, end int) int {
	for i < end {
		switch {
		case w.is(i, "("):
			i = w.behind(i)
		case w.word(i) == "INTERVAL" || w.word(i) == "TIMESTAMP" || w.word(i) == "DATE":
			_, i = w.text(i + 1)
			if u := w.word(i); u == "YEAR" || u == "MONTH" || u == "DAY" || u == "HOUR" || u == "MINUTE" || u == "SECOND" {
				i++
				if w.is(i, "(") {
					i = w.behind(i)
				}
				if w.word(i) == "TO" {
					i += 2
				}
			}
		default:
			if _, next := w.path(i); next > i {
				i = next
				if w.is(i, "(") {
					i = w.behind(i)
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
