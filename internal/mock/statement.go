package mock

import (
	"fmt"
	"slices"

	"flink-entrypoint/internal/sqltext"
)

// part is a part of the script, cut into statements.
type part struct {
	Part
	script  *sqltext.Script
	records []*record
}

// statement returns a statement of the part, with the number that it has for the user.
func (p *part) statement(number int) sqltext.Statement {
	s := p.script.At(number)
	s.Number += p.leftBefore(s.Offset)
	return s
}

func (p Part) leftBefore(offset int) int {
	n, _ := slices.BinarySearch(p.Left, offset)
	return n
}

// session is where a statement is: its part, and what USE says there.
type session struct {
	part              *part
	catalog, database string
}

// resolve returns what a name means there.
func (s *session) resolve(parts []string) [3]string {
	switch len(parts) {
	case 1:
		return [3]string{s.catalog, s.database, parts[0]}
	case 2:
		return [3]string{s.catalog, parts[0], parts[1]}
	}
	return [3]string{parts[0], parts[1], parts[2]}
}

// record is what is kept of a statement between reading and writing. A script may have a million of them.
type record struct {
	session   *session
	object    *object // that it acts on
	uses      []mention
	more      *more
	number    int32    // of the statements of the part that are there, from 1
	named     [2]int32 // the tokens of the object's name, from and to
	act       act
	unchecked bool // left out, since it cannot be planned here
	left      bool // out
}

// act is what a statement does to an object.
type act uint8

const (
	noAct     act = iota
	creates       // a table or view
	writes        // rows
	drops         // a table, so that its clones must go too
	alters        // the columns of a table
	redefines     // a view: ALTER VIEW … AS
)

// more is what few statements have.
type more struct {
	edits   []edit
	before  []string           // statements put in front
	shadows []*object          // tables of catalogs that are replaced in front
	anchor  *record            // the statement set that it is in
	inner   bool               // it is in a statement set, or after EXPLAIN
	outer   bool               // it holds others that are inner
	set     *sqltext.Statement // where it is, if in a statement set
	from    int                // where it begins in the script, if not with the statement: the INSERT after EXPLAIN
}

// mention is a table or view where a statement names it.
type mention struct {
	object *object
	to     int32 // the token after the name
	join   *use  // of a statement with FOR SYSTEM_TIME AS OF; else nil
}

// ensureRare returns what few statements have, allocated where it is missing, to be changed.
func (r *record) ensureRare() *more {
	if r.more == nil {
		r.more = &more{}
	}
	return r.more
}

// acts makes the statement one that does something to an object. The name is between two tokens.
func (r *record) acts(what act, o *object, from, to int) {
	r.act, r.object, r.named = what, o, [2]int32{int32(from), int32(to)}
}

// on returns the object that the statement does something to, nil for any other statement.
func (r *record) on(what act) *object {
	if r.act == what {
		return r.object
	}
	return nil
}

// anchor returns the statement in front of which statements are put that this one needs.
func (r *record) anchor() *record {
	if r.more != nil && r.more.anchor != nil {
		return r.more.anchor
	}
	return r
}

func (r *record) statement() sqltext.Statement {
	s := r.session.part.statement(int(r.number))
	if r.more != nil && r.more.set != nil {
		number := s.Number
		s = *r.more.set
		s.Number = number
	}
	return s
}

// before puts a statement in front.
func (r *record) before(statement string) {
	r.ensureRare().before = append(r.ensureRare().before, statement)
}

func (r *record) edit(from, to int, text string) {
	r.ensureRare().edits = append(r.ensureRare().edits, edit{from, to, text})
}

// source returns the text that a span of the script has.
func (r *record) source(from, to int) string { return r.session.part.Text[from:to] }

func (r *record) place() string {
	s := r.statement()
	if r.session.part.Name != "" {
		return fmt.Sprintf("%s statement %d, line %d", r.session.part.Name, s.Number, s.Line)
	}
	return fmt.Sprintf("statement %d, line %d", s.Number, s.Line)
}

func (r *record) errorf(hint, format string, args ...any) *Error {
	s := r.statement()
	return &Error{Part: r.session.part.Name, Number: s.Number, Line: s.Line, Column: s.Column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// leaveOut empties the statement; see dropInner for one of a statement set.
func (r *record) leaveOut() {
	s := r.statement()
	r.ensureRare().edits = []edit{{s.Offset, s.Offset + len(s.Text), pad("", s.Text)}}
	r.left = true
}

// statement is a statement while it is read or written.
type statement struct {
	sqltext.Statement
	tokens
	*record
	joins bool // a lookup join in it, or in a view that it reads, became a regular join
}

// inner reports whether the statement is in a statement set, or after EXPLAIN.
func (r *record) inner() bool { return r.more != nil && r.more.inner }

// outer reports whether it holds others that are.
func (r *record) outer() bool { return r.more != nil && r.more.outer }

func (s *statement) replace(i, j int, text string) {
	from, to := s.span(i, j)
	s.edit(from, to, pad(text, s.source(from, to)))
}

func (s *statement) remove(i, j int) {
	from, to := s.span(i, j)
	for from > s.Offset && (s.session.part.Text[from-1] == ' ' || s.session.part.Text[from-1] == '\t') {
		from--
	}
	s.edit(from, to, pad("", s.source(from, to)))
}

func (s *statement) insert(before int, text string) {
	at := s.begin(before)
	s.edit(at, at, text)
}

// loader gives statements their tokens, which take many times as much memory as the text: a statement has them while it is read or
// written, in the memory of the one before it.
type loader struct{ scratch tokens }

// load returns a statement with its tokens, in the memory of the one before it.
func (l *loader) load(text sqltext.Statement, r *record) *statement {
	s := &statement{Statement: text, record: r}
	s.tokens, l.scratch = significant(l.scratch, text), tokens{}
	if r.more != nil && r.more.from > 0 {
		s.tokens = significant(s.tokens, s.rest(s.tape.Find(r.more.from)))
	}
	return s
}

// unload takes them back.
func (l *loader) unload(s *statement) {
	l.scratch = s.tokens
	if len(s.Text) > largeText {
		l.scratch = tokens{}
	}
}

const largeText = 1 << 20

// rest returns the statement from a token on.
func (s *statement) rest(token int) sqltext.Statement {
	first, text := s.token(token), s.Statement
	text.Text = text.Text[first.Offset-text.Offset:]
	text.Offset, text.Line, text.Column = first.Offset, first.Line, first.Column
	return text
}
