package sqltext

import (
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
)

// StatementKind says what a statement is, by its first words.
type StatementKind uint8

// The kinds of statement. EXECUTE INSERT and EXECUTE SELECT count as Insert and Select.
const (
	Other             StatementKind = iota
	Set                             // SET, with or without a key: ParseSet
	Reset                           // RESET, with or without a key: ParseReset
	Insert                          // INSERT INTO, INSERT OVERWRITE, UPSERT
	StatementSet                    // EXECUTE STATEMENT SET BEGIN … END
	BeginStatementSet               // BEGIN STATEMENT SET, a statement of its own for Flink
	EndStatementSet                 // END, likewise
	Select                          // any query: SELECT, WITH, VALUES, TABLE t, ( … )
	CreateCatalog
	CreateDatabase
	CreateTable
	CreateTableAs           // CREATE TABLE … AS, REPLACE TABLE … AS: starts a job
	CreateMaterializedTable // CREATE [OR ALTER] MATERIALIZED TABLE
	CreateView
	CreateFunction
	CreateModel
	Drop
	Alter
	Use // USE, USE CATALOG
	UseModules
	LoadModule
	UnloadModule
	AddJar
	RemoveJar
	Explain
	Show
	Describe
	Call
	Execute // EXECUTE PLAN, COMPILE AND EXECUTE PLAN: starts a job
	Compile // COMPILE PLAN
	Update
	Delete
	Merge
	Analyze
	Truncate
	Quit // QUIT, EXIT: this and the next three are commands of an SQL shell
	Clear
	Help
	Source
)

// String returns the words that such a statement starts with.
func (k StatementKind) String() string {
	names := [...]string{"statement", "SET", "RESET", "INSERT", "EXECUTE STATEMENT SET", "BEGIN STATEMENT SET", "END",
		"query", "CREATE CATALOG", "CREATE DATABASE", "CREATE TABLE", "CREATE TABLE AS", "CREATE MATERIALIZED TABLE",
		"CREATE VIEW", "CREATE FUNCTION", "CREATE MODEL", "DROP", "ALTER", "USE", "USE MODULES", "LOAD MODULE",
		"UNLOAD MODULE", "ADD JAR", "REMOVE JAR", "EXPLAIN", "SHOW", "DESCRIBE", "CALL", "EXECUTE", "COMPILE PLAN",
		"UPDATE", "DELETE", "MERGE", "ANALYZE", "TRUNCATE", "QUIT", "CLEAR", "HELP", "SOURCE"}
	if int(k) < len(names) {
		return names[k]
	}
	return names[Other]
}

// Statement is one statement of a script.
type Statement struct {
	// Text is the source from the statement's first token to its last: no final semicolon, no blanks or
	// comments around it (Flink reads SET k=v only without them), those inside are kept.
	Text   string
	Kind   StatementKind
	Number int // from 1, within the script
	Offset int // of Text in the script
	Line   int // of Text, from 1
	Column int // of Text, from 1, in UTF-16 units

	dialect Dialect
	raw     bool // SET key = value, RESET key
}

// At returns the place in the script of a place in Text, such as Flink's errors name: lines and columns from 1.
func (s Statement) At(line, column int) (int, int) {
	if line == 1 {
		column += s.Column - 1
	}
	return s.Line + line - 1, column
}

// Tokens lexes Text; offsets, lines and columns count in the script.
func (s Statement) Tokens() []Token { return slices.Collect(s.All()) }

// All yields the tokens one by one: a list of them takes many times as much memory as the text.
func (s Statement) All() iter.Seq[Token] {
	return func(yield func(Token) bool) {
		sc := newScanner(s.Text, s.dialect)
		sc.line, sc.column = s.Line, s.Column
		for {
			t, err := sc.next()
			if err != nil || t.Text == "" { // Split has lexed this text without an error
				return
			}
			t.Offset += s.Offset
			if !yield(t) {
				return
			}
			if s.raw {
				at, _ := keyRun(s.Text[sc.pos:])
				blank := sc.token(Whitespace, at)
				sc.advance(blank)
				rest := sc.token(Raw, len(s.Text)-sc.pos)
				blank.Offset += s.Offset
				rest.Offset += s.Offset
				_ = yield(blank) && yield(rest)
				return
			}
		}
	}
}

// Significant yields the tokens without blanks and comments.
func (s Statement) Significant() iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for t := range s.All() {
			if t.Kind != Whitespace && t.Kind != Comment && !yield(t) {
				return
			}
		}
	}
}

// longestOption bounds the literals that one key or value may be written in, one after the other.
const longestOption = 1024

// Options yields the keys and values of 'key' = 'value' anywhere in the statement: options of tables, catalogs, functions and hints,
// and comparisons of two literals. What Flink could not read is left out.
func (s Statement) Options() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		s.OptionsAt()(func(_ Token, o Option) bool { return yield(o.Key, o.Value) })
	}
}

// An Option is 'key' = 'value'.
type Option struct{ Key, Value string }

// OptionsAt is Options with the token that each key begins with.
func (s Statement) OptionsAt() iter.Seq2[Token, Option] {
	return func(yield func(Token, Option) bool) {
		var run []Token // literals and equal signs, one after the other
		found := func() bool {
			defer func() { run = run[:0] }()
			for i := range run {
				key, next, err := Literals(run, i)
				if err != nil || next == i || next >= len(run)-1 || run[next].Text != "=" {
					continue
				}
				if value, end, err := Literals(run, next+1); err == nil && end > next+1 && !yield(run[i], Option{key, value}) {
					return false
				}
			}
			return true
		}
		for t := range s.All() {
			switch {
			case t.Kind == Whitespace || t.Kind == Comment:
			case t.Kind == String || t.Kind == Symbol && t.Text == "=" || t.Kind == Word && strings.EqualFold(t.Text, "UESCAPE"):
				if len(run) == longestOption {
					run = append(run[:0], run[len(run)/2:]...)
				}
				run = append(run, t)
			case len(run) > 0 && !found():
				return
			}
		}
		found()
	}
}

// Inserts returns the statements between BEGIN and END of a statement set (EXECUTE, EXPLAIN or COMPILE PLAN),
// numbered from 1, placed in the script; none for any other statement.
func (s Statement) Inserts() []Statement {
	var out []Statement
	sp := splitter{scanner: newScanner(s.Text, s.dialect), inner: true, yield: func(m mark) {
		in := m.statement(s.Text, len(out)+1, s.dialect)
		in.Offset += s.Offset
		out = append(out, in)
	}}
	sp.line, sp.column = s.Line, s.Column
	if err := sp.run(); err != nil {
		return nil
	}
	return out
}

// Split returns the statements of a script as Flink's parser finds them. The last semicolon may be missing, empty
// statements are skipped. A statement set is one statement up to its END. The error is an [*Error], for what the
// lexer refuses and for a statement set without END; the text of a statement is not checked further.
func Split(src string, d Dialect) ([]Statement, error) {
	script, err := Cut(src, d)
	if err != nil {
		return nil, err
	}
	var out []Statement
	if script.count > 0 {
		out = make([]Statement, 0, script.count)
	}
	return slices.AppendSeq(out, script.All()), nil
}

// Script is a script cut into statements. A statement takes about 20 bytes: a list of [Statement] takes several times
// as much memory as a script of short statements.
type Script struct {
	src     string
	dialect Dialect
	chunks  [][]mark
	starts  []int // how many statements there are before each chunk
	count   int
}

// mark is a Statement without what the script knows.
type mark struct {
	offset, length, line, column int32
	kind                         StatementKind
	raw                          bool
}

// Cut is [Split] for a script that may be large.
func Cut(src string, d Dialect) (*Script, error) {
	if len(src) > math.MaxInt32 {
		return nil, &Error{Line: 1, Column: 1, Message: "the script is larger than 2 GiB"}
	}
	script := &Script{src: src, dialect: d}
	sp := splitter{scanner: newScanner(src, d), yield: script.add}
	return script, sp.run()
}

func (s *Script) add(m mark) {
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last]) == cap(s.chunks[last]) {
		// Chunks instead of one slice: growing that one would copy it, and hold it twice.
		s.starts = append(s.starts, s.count)
		s.chunks = append(s.chunks, make([]mark, 0, min(4096, max(16, s.count))))
		last++
	}
	s.chunks[last] = append(s.chunks[last], m)
	s.count++
}

// Len returns the number of statements.
func (s *Script) Len() int { return s.count }

// At returns the statement of a number, from 1; the zero value if the script has fewer.
func (s *Script) At(number int) Statement {
	if number < 1 || number > s.count {
		return Statement{}
	}
	chunk := sort.SearchInts(s.starts, number) - 1 // the last one that starts before
	return s.chunks[chunk][number-1-s.starts[chunk]].statement(s.src, number, s.dialect)
}

// All yields the statements in their order.
func (s *Script) All() iter.Seq[Statement] {
	return func(yield func(Statement) bool) {
		number := 0
		for _, chunk := range s.chunks {
			for _, m := range chunk {
				number++
				if !yield(m.statement(s.src, number, s.dialect)) {
					return
				}
			}
		}
	}
}

func (m mark) statement(src string, number int, d Dialect) Statement {
	return Statement{
		Text:    src[m.offset : m.offset+m.length],
		Kind:    m.kind,
		Number:  number,
		Offset:  int(m.offset),
		Line:    int(m.line),
		Column:  int(m.column),
		dialect: d,
		raw:     m.raw,
	}
}

type splitter struct {
	*scanner
	yield func(mark)
	inner bool // yield what is between BEGIN and END instead

	// The statement being read.
	first, last Token
	head        [8]Token // its first tokens
	seen        int      // tokens
	raw         bool
	parens      int
	as          bool  // AS outside of parentheses
	opening     int   // how many words of STATEMENT SET BEGIN are before this token
	blocks      int   // open BEGINs
	cases       int   // open CASEs since the last semicolon
	begin       Token // the first BEGIN
}

func (sp *splitter) run() error {
	for {
		t, err := sp.next()
		switch {
		case err != nil:
			return err
		case t.Text == "":
			if sp.blocks > 0 {
				return &Error{Line: sp.begin.Line, Column: sp.begin.Column, Message: "the statement set that begins here has no END",
					Hint: "EXECUTE STATEMENT SET BEGIN INSERT …; INSERT …; END;"}
			}
			sp.finish()
			return nil
		case t.Kind == Whitespace || t.Kind == Comment:
			continue
		case t.Kind == Symbol && t.Text == ";" && (sp.blocks == 0 || sp.inner && sp.blocks == 1):
			sp.finish()
			continue
		}
		if sp.seen == 0 && t.Kind == Word {
			if n := sp.rawLength(t.Text); n > 0 {
				sp.raw = true
				sp.add(t)
				t = sp.token(Raw, n)
				sp.advance(t)
			}
		}
		if sp.block(t) {
			continue
		}
		sp.add(t)
	}
}

// add makes t part of the statement.
func (sp *splitter) add(t Token) {
	if sp.seen == 0 {
		sp.first = t
	}
	if sp.seen < len(sp.head) {
		sp.head[sp.seen] = t
	}
	sp.seen++
	sp.last = t
	switch {
	case t.Kind == Symbol && t.Text == "(":
		sp.parens++
	case t.Kind == Symbol && t.Text == ")":
		sp.parens--
	case t.Kind == Word && sp.parens == 0 && strings.EqualFold(t.Text, "AS"):
		sp.as = true
	}
}

// block follows BEGIN, CASE and END. It reports whether t is the frame of a statement set that is not wanted
// (inner). BEGIN, CASE, END and SET are reserved words, so they are never names.
func (sp *splitter) block(t Token) (frame bool) {
	if t.Kind != Word {
		sp.opening = 0
		if sp.blocks > 0 && t.Kind == Symbol && t.Text == ";" {
			sp.cases = 0
		}
		return false
	}
	if sp.blocks == 0 {
		switch {
		case strings.EqualFold(t.Text, "STATEMENT"):
			sp.opening = 1
		case sp.opening == 1 && strings.EqualFold(t.Text, "SET"):
			sp.opening = 2
		case sp.opening == 2 && strings.EqualFold(t.Text, "BEGIN"):
			sp.opening, sp.blocks, sp.cases, sp.begin = 0, 1, 0, t
			if sp.inner {
				sp.drop()
			}
			return sp.inner
		default:
			sp.opening = 0
		}
		return false
	}
	switch {
	case strings.EqualFold(t.Text, "CASE"):
		sp.cases++
	case strings.EqualFold(t.Text, "BEGIN"):
		sp.blocks++
	case !strings.EqualFold(t.Text, "END"):
	case sp.cases > 0:
		sp.cases--
	default:
		if sp.inner && sp.blocks == 1 {
			sp.finish()
			frame = true
		}
		sp.blocks--
	}
	return frame
}

// finish ends the statement being read.
func (sp *splitter) finish() {
	if sp.seen > 0 && (!sp.inner || sp.blocks > 0) {
		sp.yield(mark{
			offset: int32(sp.first.Offset),
			length: int32(sp.last.Offset + len(sp.last.Text) - sp.first.Offset),
			line:   int32(sp.first.Line),
			column: int32(sp.first.Column),
			kind:   classify(sp.head[:min(sp.seen, len(sp.head))], sp.as),
			raw:    sp.raw,
		})
	}
	sp.drop()
}

func (sp *splitter) drop() {
	sp.seen, sp.parens, sp.cases, sp.opening = 0, 0, 0, 0
	sp.as, sp.raw = false, false
}

// rawLength returns the length of what follows the word in SET key = value and RESET key, or 0. Flink reads those
// forms with regular expressions before its lexer sees the statement, so they may hold //, # or @.
func (sp *splitter) rawLength(word string) (n int) {
	switch {
	case strings.EqualFold(word, "SET"):
		_, _, n = splitSet(sp.src[sp.pos:])
	case strings.EqualFold(word, "RESET"):
		_, n = splitReset(sp.src[sp.pos:])
	}
	if n == 0 {
		return 0
	}
	// Nothing but blanks and comments may follow, else the grammar decides.
	probe := *sp.scanner
	probe.advance(probe.token(Raw, n))
	for {
		t, err := probe.next()
		switch {
		case err != nil:
			return 0
		case t.Text == "", t.Kind == Symbol && t.Text == ";":
			return n
		case t.Kind != Whitespace && t.Kind != Comment:
			return 0
		}
	}
}

// classify tells the kind of a statement from its first tokens; as: it has an AS outside of parentheses.
func classify(head []Token, as bool) StatementKind {
	word := func(i int) string {
		if i < len(head) && head[i].Kind == Word {
			return strings.ToUpper(head[i].Text)
		}
		return ""
	}
	switch word(0) {
	case "":
		if head[0].Text == "(" {
			return Select
		}
		return Other
	case "CREATE", "REPLACE":
		i := 1
		for ; ; i++ {
			switch word(i) {
			case "OR", "REPLACE", "ALTER", "TEMPORARY", "SYSTEM":
				continue
			}
			break
		}
		switch word(i) {
		case "TABLE":
			if as {
				return CreateTableAs
			}
			return CreateTable
		case "MATERIALIZED":
			return CreateMaterializedTable
		case "VIEW":
			return CreateView
		case "FUNCTION":
			return CreateFunction
		case "CATALOG":
			return CreateCatalog
		case "DATABASE":
			return CreateDatabase
		case "MODEL":
			return CreateModel
		}
		return Other
	case "EXECUTE":
		switch word(1) {
		case "STATEMENT":
			return StatementSet
		case "INSERT", "UPSERT":
			return Insert
		case "PLAN":
			return Execute
		}
		return Select
	case "COMPILE":
		if word(1) == "AND" {
			return Execute
		}
		return Compile
	case "USE":
		if word(1) == "MODULES" {
			return UseModules
		}
		return Use
	case "BEGIN":
		return BeginStatementSet
	case "END":
		return EndStatementSet
	case "LOAD":
		return LoadModule
	case "UNLOAD":
		return UnloadModule
	case "ADD":
		return AddJar
	case "REMOVE":
		return RemoveJar
	case "SET":
		return Set
	case "RESET":
		return Reset
	case "INSERT", "UPSERT":
		return Insert
	case "SELECT", "WITH", "VALUES", "VALUE", "TABLE":
		return Select
	case "DROP":
		return Drop
	case "ALTER":
		return Alter
	case "EXPLAIN":
		return Explain
	case "SHOW":
		return Show
	case "DESCRIBE", "DESC":
		return Describe
	case "CALL":
		return Call
	case "UPDATE":
		return Update
	case "DELETE":
		return Delete
	case "MERGE":
		return Merge
	case "ANALYZE":
		return Analyze
	case "TRUNCATE":
		return Truncate
	case "SOURCE":
		return Source
	case "QUIT", "EXIT", "CLEAR", "HELP": // by itself, as Flink's ExtendedParser wants it
		if len(head) == 1 {
			return map[string]StatementKind{"QUIT": Quit, "EXIT": Quit, "CLEAR": Clear, "HELP": Help}[word(0)]
		}
	}
	return Other
}
