package mock

import (
	"fmt"
	"slices"
	"strings"
)

// model is a model that the script creates.
type model struct {
	provider  string
	temporary bool // as the script wrote it, or because its catalog is a real one
}

// readModel keeps a model of a real catalog out of it.
func (rd *reader) readModel(s *statement) {
	i := slices.IndexFunc(s.firstWords(), func(w string) bool { return w == "MODEL" })
	if i < 0 {
		return
	}
	at, temporary := i, s.word(i-1) == "TEMPORARY"
	i++
	if s.words(i, "IF", "NOT", "EXISTS") {
		i += 3
	}
	parts, next := s.path(i)
	if parts == nil || len(parts) > 3 {
		return
	}
	full := rd.resolve(parts)
	m := &model{temporary: temporary}
	for ; next < s.count; next = s.after(next) {
		if s.word(next) == "WITH" {
			options, _ := s.options(next + 1)
			m.provider = options.get("provider")
			break
		}
	}
	if !rd.catalogs[full[0]].inMemory && !temporary {
		m.temporary = true
		s.insert(at, "TEMPORARY ")
	}
	rd.models[full] = m
}

// firstWords are the unquoted words at the statement's start, up to the first token that is not one.
func (t tokens) firstWords() []string {
	var words []string
	for i := 0; t.word(i) != ""; i++ {
		words = append(words, t.word(i))
	}
	return words
}

// dropModel leaves models of real catalogs alone.
func (rd *reader) dropModel(s *statement, full [3]string, at int, temporary bool) {
	m := rd.models[full]
	delete(rd.models, full)
	switch {
	case temporary || rd.catalogs[full[0]].inMemory:
	case m != nil && m.temporary:
		s.insert(at, "TEMPORARY ")
	default:
		s.leaveOut()
		rd.warnf("%s: DROP MODEL is left out, it would drop the real one", s.place())
	}
}

// alterModel leaves models of real catalogs alone. What it says of the provider holds.
func (rd *reader) alterModel(s *statement, full [3]string, next int) {
	m := rd.models[full]
	switch {
	case m != nil && s.word(next) == "RENAME" && s.word(next+1) == "TO":
		if to, _ := s.path(next + 2); to != nil && len(to) <= 3 {
			delete(rd.models, full)
			renamed := full
			renamed[2] = to[len(to)-1]
			rd.models[renamed] = m
		}
	case m != nil && s.word(next) == "SET":
		options, _ := s.options(next + 1)
		if p := options.get("provider"); p != "" {
			m.provider = p
		}
	}
	if !rd.catalogs[full[0]].inMemory {
		s.leaveOut()
		rd.warnf("%s: ALTER MODEL is left out, it would change the real one", s.place())
	}
}

// unplannable says why a query cannot be planned here: it needs a model's provider or a table's connector itself, or a view
// or table that was left out for such a reason. "" if it can be.
func (rd *reader) unplannable(w *walker) (reason, hint string) {
	for _, parts := range w.models {
		m := rd.models[rd.resolve(parts)]
		if m == nil || m.provider == "" || !rd.options.version(models) || rd.options.Provider == nil || rd.options.Provider(m.provider) {
			continue
		}
		return fmt.Sprintf("no jar of the provider %q of model %s is here", m.provider, strings.Join(parts, ".")),
			"put the jar into lib or usrlib, or leave the statement out"
	}
	for _, u := range w.uses {
		o := u.object
		switch {
		case o.unchecked() != "":
			return o.uncheckedUse(), ""
		case u.searched && rd.options.version(vectorSearch) && !o.view && !rd.kept(o):
			of := ""
			if c := o.option("connector"); c != "" {
				of = fmt.Sprintf(", %q", c)
			}
			return fmt.Sprintf("VECTOR_SEARCH queries the connector of table %s itself%s, which has no mock", strings.Join(u.parts, "."), of),
				"keep the table, or leave the statement out"
		}
	}
	return "", ""
}
