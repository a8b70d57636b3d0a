// Package sqltext reads SQL text as Flink's parser does: tokens, statements, SET, literals and identifiers.
//
// It follows the lexer of Calcite as Flink configures it (Lex.JAVA, lexical state BTID of Parser.jj: identifiers
// in backticks, strings in single quotes with the quote doubled, a backslash is an ordinary character, double
// quotes quote nothing), and, for SET and RESET, Flink's ExtendedParser, which comes before the grammar. Flink's
// own splitters (CliStatementSplitter, SqlMultiLineParser, ScriptExecutor) disagree with that lexer and with each
// other, on `//` comments for one; what counts here is what Flink's parser.parse makes of a text.
//
// Checked against the parsers of Flink 1.13 to 2.3 (oracle_test.go, build tag flink).
package sqltext

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/flinkversion"
)

// Dialect is what differs between the lexers of Flink's versions. The zero value is the dialect of the 1.x releases.
type Dialect struct {
	CStyleEscapes bool // E'a\nb' is one string
}

// DialectOf returns the dialect of a version of Flink.
func DialectOf(v flinkversion.Version) Dialect {
	return flinkversion.RulesOf(v, []flinkversion.Change[Dialect]{
		flinkversion.From(2, 0, func(d *Dialect) { d.CStyleEscapes = true }), // Calcite 1.33; Flink 1.20 still has 1.32: FLINK-31362
	})
}

// JarStatements is the first release whose table environment executes ADD JAR and SHOW JARS (FLIP-214). Before it only
// sql-client did.
func JarStatements() flinkversion.Release { return flinkversion.Since(1, 16) }

// Kind is the lexical class of a token.
type Kind uint8

// The kinds of token. Concatenated, the texts of all tokens are the source.
const (
	Whitespace       Kind = iota // blanks, line ends, and the byte order mark at the start
	Comment                      // -- or // up to the line end (not part of it), or /* */
	HintStart                    // /*+ : what follows up to HintEnd is ordinary tokens, as in Flink
	HintEnd                      // */
	Word                         // keyword or unquoted identifier
	QuotedIdentifier             // `…` or U&"…"
	String                       // '…', N'…', _charset'…', U&'…', X'…', and E'…' where the dialect has it
	Number                       // 1, 1.5, .5, 1e3
	Symbol                       // operator or punctuation, a lone double quote included
	Collation                    // Calcite's COLLATION_ID, a surprise such as a.b$c or a--b$c
	Raw                          // key and value of SET key = value, which the SQL lexer does not see
)

// Token is a piece of the source.
type Token struct {
	Kind   Kind
	Text   string // a slice of the source
	Offset int    // of the first byte
	Line   int    // from 1; CR, LF and CR LF end a line
	Column int    // from 1, in UTF-16 units as Flink counts them; a byte order mark has no width
}

// Error is text that Flink's lexer refuses. It quotes no more than one character of the source, which may
// hold secrets.
type Error struct {
	Line, Column int
	Message      string
	Hint         string // what to do about it; may be empty
}

// Error returns "line L, column C: message".
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Lex returns all tokens of src, trivia included. The error is an [*Error]: a string, identifier or comment
// without an end, a character that no token starts with, or text that is not UTF-8. SET key = value is lexed
// as Calcite would; [Split] knows better.
func Lex(src string, d Dialect) ([]Token, error) {
	s := newScanner(src, d)
	out := make([]Token, 0, len(src)/4+1)
	for {
		t, err := s.next()
		if err != nil {
			return nil, err
		}
		if t.Text == "" {
			return out, nil
		}
		out = append(out, t)
	}
}

// scanner yields one token after the other, in time linear in the source.
type scanner struct {
	src     string
	dialect Dialect
	valid   bool // the source is UTF-8
	pos     int
	line    int
	column  int
	// Up to these offsets no token of the kind can start: a look-ahead has already seen the end of the run.
	noCollation, noCharset int
}

func newScanner(src string, d Dialect) *scanner {
	return &scanner{src: src, dialect: d, valid: utf8.ValidString(src), line: 1, column: 1}
}

// next returns the next token; at the end one with an empty text.
func (s *scanner) next() (Token, error) {
	if s.pos >= len(s.src) {
		return s.token(Whitespace, 0), nil
	}
	kind, n, err := s.scan()
	if err != nil {
		return Token{}, err
	}
	if !s.valid && kind != Comment { // Flink reads other bytes than UTF-8 as U+FFFD: harmless in a comment alone
		for i, r := range s.src[s.pos : s.pos+n] {
			if r == utf8.RuneError && !strings.HasPrefix(s.src[s.pos+i:], "\uFFFD") {
				s.advance(s.token(kind, i))
				return Token{}, s.errorf(hintUTF8, "the text is not UTF-8 here (byte 0x%02x)", s.src[s.pos])
			}
		}
	}
	t := s.token(kind, n)
	s.advance(t)
	return t, nil
}

func (s *scanner) token(k Kind, n int) Token {
	return Token{Kind: k, Text: s.src[s.pos : s.pos+n], Offset: s.pos, Line: s.line, Column: s.column}
}

// advance moves past t. A token never ends between CR and LF.
func (s *scanner) advance(t Token) {
	s.pos = t.Offset + len(t.Text)
	s.line, s.column = advance(t.Text, t.Line, t.Column)
	if t.Offset == 0 && strings.HasPrefix(t.Text, byteOrderMark) {
		s.column--
	}
}

const byteOrderMark = "\uFEFF"

func advance(text string, line, column int) (int, int) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n' || c == '\r' && !strings.HasPrefix(text[i+1:], "\n"):
			line, column = line+1, 1
		case c < 0x80 || c >= 0xC0 && c < 0xF0:
			column++
		case c >= 0xF0:
			column += 2 // a surrogate pair
		}
	}
	return line, column
}

func (s *scanner) errorf(hint, format string, args ...any) *Error {
	return &Error{Line: s.line, Column: s.column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Hints of the lexer.
const (
	hintUTF8   = "save the script as UTF-8"
	hintString = "inside '…' a quote is written twice: ''; double quotes do not quote in Flink SQL"
	hintASCII  = "replace the full-width or typographic character by its ASCII form"
)

// scan returns kind and length of the token at pos. JavaCC takes the longest match, and among equals the rule
// that comes first in Parser.jj.
func (s *scanner) scan() (Kind, int, error) {
	rest := s.src[s.pos:]
	c := rest[0]
	switch c {
	case ' ', '\t', '\n', '\r', '\f':
		n := 1
		for n < len(rest) && isBlank(rest[n]) {
			n++
		}
		return Whitespace, n, nil
	case '\'':
		return s.quoted(0)
	case '`':
		return s.backticks(rest)
	case '/':
		switch {
		case strings.HasPrefix(rest, "/*+"):
			return HintStart, 3, nil
		case strings.HasPrefix(rest, "/*"):
			return s.blockComment(rest)
		case strings.HasPrefix(rest, "//"):
			return Comment, lineLength(rest), nil
		}
	case '-':
		if strings.HasPrefix(rest, "--") {
			return Comment, lineLength(rest), nil
		}
	case '*':
		if strings.HasPrefix(rest, "*/") {
			return HintEnd, 2, nil
		}
	case '.':
		if len(rest) > 1 && isDigit(rest[1]) {
			return Number, numberLength(rest), nil
		}
	case '{':
		return Symbol, braceLength(rest), nil
	}
	if isDigit(c) {
		if n := s.collation(rest); n > 0 {
			return Collation, n, nil
		}
		return Number, numberLength(rest), nil
	}
	n := letterLength(rest)
	if n == 0 {
		return s.symbol(rest)
	}
	return s.word(rest, n)
}

// word scans what starts with a letter of n bytes.
func (s *scanner) word(rest string, n int) (Kind, int, error) {
	if rest[0] == '_' {
		if p := s.charsetPrefix(rest); p > 0 {
			return s.quoted(p)
		}
	}
	for n < len(rest) {
		if isDigit(rest[n]) {
			n++
		} else if l := letterLength(rest[n:]); l > 0 {
			n += l
		} else {
			break
		}
	}
	if n == 1 && len(rest) > 1 {
		switch c := rest[0] | 0x20; {
		case rest[1] == '\'' && (c == 'n' || c == 'x'):
			return s.quoted(1)
		case rest[1] == '\'' && c == 'e' && s.dialect.CStyleEscapes:
			return s.escapedString(rest)
		case c == 'u' && strings.HasPrefix(rest[1:], "&'"):
			return s.quoted(2)
		case c == 'u' && strings.HasPrefix(rest[1:], `&"`):
			if e := quotedOnLine(rest[2:], '"'); e > 0 {
				return QuotedIdentifier, 2 + e, nil
			}
		}
	}
	if c := s.collation(rest); c > n {
		return Collation, c, nil
	}
	if n == 1 && rest[0] == '$' {
		return Symbol, 1, nil
	}
	return Word, n, nil
}

// quoted scans '…' after a prefix of p bytes.
func (s *scanner) quoted(p int) (Kind, int, error) {
	rest := s.src[s.pos:]
	for i := p + 1; ; {
		q := strings.IndexByte(rest[i:], '\'')
		if q < 0 {
			return 0, 0, s.errorf(hintString, "the string that starts here has no end")
		}
		i += q + 1
		if !strings.HasPrefix(rest[i:], "'") {
			return String, i, nil
		}
		i++
	}
}

// escapedString scans E'…', where a backslash takes the next character with it.
func (s *scanner) escapedString(rest string) (Kind, int, error) {
	longest := 0
	for i := 2; i < len(rest); i++ {
		switch {
		case rest[i] == '\\':
			i++
		case rest[i] != '\'':
		case strings.HasPrefix(rest[i+1:], "'"):
			i++
			longest = i // if no other end follows, the first of the two is one
		default:
			return String, i + 1, nil
		}
	}
	if longest > 0 {
		return String, longest, nil
	}
	return 0, 0, s.errorf(`inside E'…' a quote is written '' or \'`, "the string that starts here has no end")
}

func (s *scanner) backticks(rest string) (Kind, int, error) {
	if n := quotedOnLine(rest, '`'); n > 0 {
		return QuotedIdentifier, n, nil
	}
	if strings.HasPrefix(rest, "``") {
		return 0, 0, s.errorf("", "an identifier in backticks cannot be empty")
	}
	return 0, 0, s.errorf("an identifier in backticks ends on its line; inside, a backtick is written twice",
		"the identifier that starts here has no closing backtick")
}

// quotedOnLine returns the length of a quoted identifier: not empty, on one line, the quote doubled inside;
// 0 if rest does not begin with one.
func quotedOnLine(rest string, quote byte) int {
	longest := 0
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\n' || c == '\r':
			return longest
		case c != quote:
		case i+1 < len(rest) && rest[i+1] == quote:
			if i > 1 {
				longest = i + 1 // if no other end follows, this is one, and the second quote is not of it
			}
			i++
		case i == 1:
			return 0
		default:
			return i + 1
		}
	}
	return longest
}

func (s *scanner) blockComment(rest string) (Kind, int, error) {
	start := 2
	// Parser.jj opens a formal comment with "/**" and one more character other than "/", whatever it is: the
	// comment /***/ does not end there.
	if strings.HasPrefix(rest, "/**") && len(rest) > 3 && rest[3] != '/' {
		_, n := utf8.DecodeRuneInString(rest[3:])
		start = 3 + n
	}
	end := strings.Index(rest[start:], "*/")
	if end < 0 {
		return 0, 0, s.errorf("", "the comment that starts here has no end (*/)")
	}
	return Comment, start + end + 2, nil
}

// symbol scans an operator, or refuses what no token starts with.
func (s *scanner) symbol(rest string) (Kind, int, error) {
	for _, two := range [...]string{"<=", ">=", "<>", "!=", "||", "=>", ".."} {
		if strings.HasPrefix(rest, two) {
			return Symbol, 2, nil
		}
	}
	switch rest[0] {
	case '(', ')', '{', '}', '[', ']', ';', '.', ',', '=', '<', '>', '?', ':', '+', '-', '*', '/', '%', '"', '|', '^', '\a':
		return Symbol, 1, nil
	}
	r, n := utf8.DecodeRuneInString(rest)
	if s.pos == 0 && strings.HasPrefix(rest, byteOrderMark) {
		return Whitespace, n, nil
	}
	if r == utf8.RuneError && n == 1 {
		return Raw, 1, nil // next reports it
	}
	hint := ""
	switch {
	case r == '!':
		hint = "a line such as !quit is a command of an SQL shell, not a statement: remove it"
	case r >= 0xFF01 && r <= 0xFF5E, r >= 0x2018 && r <= 0x201F, r == 0x3000, r == 0xA0, r == 0x3001, r == 0x3002:
		hint = hintASCII
	}
	return 0, 0, s.errorf(hint, "%q (U+%04X) has no meaning in Flink SQL outside of quotes", r, r)
}

// charsetPrefix returns the length of _charset before a quote, or 0.
func (s *scanner) charsetPrefix(rest string) int {
	if s.pos < s.noCharset {
		return 0
	}
	n := 1
	for n < len(rest) {
		c := rest[n]
		if c < 0x80 && (isLetterASCII(c) && c != '$' || isDigit(c)) && (n > 1 || c != '_') ||
			n > 1 && (c == ':' || c == '.' || c == '-') {
			n++
			continue
		}
		break
	}
	if n > 1 && n < len(rest) && rest[n] == '\'' {
		return n
	}
	if n > 1 {
		s.noCharset = s.pos + n // every later start in this run ends at the same place
	}
	return 0
}

// collation returns the length of Calcite's COLLATION_ID at rest, or 0:
//
//	(L|D)+ (L|D|":"|"."|"-"|"_")* "$" L+ ("$" (L|D)+)?     L holds "$" and "_"
//
// It is a nondeterministic automaton with a bit per state, the longest match wins. If a run of these characters
// holds none from one start, it holds none from a later start, nor after the end of a match.
func (s *scanner) collation(rest string) int {
	if s.pos < s.noCollation {
		return 0
	}
	const head, middle, dollar, name, dollar2, suffix = 1, 2, 4, 8, 16, 32
	longest, state, i := 0, 0, 0
	for i < len(rest) {
		c, n := rest[i], 1
		letter, digit := false, isDigit(c)
		if !digit && c != ':' && c != '.' && c != '-' {
			if n = letterLength(rest[i:]); n == 0 {
				break
			}
			letter = true
		}
		to := 0
		if letter || digit {
			if i == 0 || state&head != 0 {
				to |= head
			}
			if state&(dollar2|suffix) != 0 {
				to |= suffix
			}
		}
		if state&(head|middle) != 0 {
			to |= middle
			if c == '$' {
				to |= dollar
			}
		}
		if letter && state&(dollar|name) != 0 {
			to |= name
		}
		if c == '$' && state&name != 0 {
			to |= dollar2
		}
		state = to
		i += n
		if state&(name|suffix) != 0 {
			longest = i
		}
	}
	s.noCollation = s.pos + i
	return longest
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetterASCII(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$'
}

// letterLength returns the length of the letter at the start of s, or 0. Letters are the letters of Parser.jj in the
// way JavaCC reads them under IGNORE_CASE: with the other case of each (2D00-2D25, Georgian). They include what
// Parser.jj calls digits, other than 0 to 9.
func letterLength(s string) int {
	if s[0] < 0x80 {
		if isLetterASCII(s[0]) {
			return 1
		}
		return 0
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r >= 0xC0 && r <= 0x1FFF && r != 0xD7 && r != 0xF7,
		r >= 0x4E00 && r <= 0x9FFF,
		r >= 0x3040 && r <= 0x318F, r >= 0x3300 && r <= 0x337F, r >= 0x3400 && r <= 0x3D2D,
		r >= 0xF900 && r <= 0xFAFF, r >= 0x2D00 && r <= 0x2D25:
		return n
	}
	return 0
}

// numberLength returns the length of 12, 12., 12.5, .5, each with an exponent or without.
func numberLength(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n < len(s) && s[n] == '.' {
		n++
		for n < len(s) && isDigit(s[n]) {
			n++
		}
	}
	if e := n; e < len(s) && s[e]|0x20 == 'e' {
		e++
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if e < len(s) && isDigit(s[e]) {
			for e < len(s) && isDigit(s[e]) {
				e++
			}
			n = e
		}
	}
	return n
}

// braceLength returns the length of "{", or of the JDBC escapes {d {t {ts {fn that are one token.
func braceLength(s string) int {
	n := 1
	for n < len(s) && s[n] == ' ' {
		n++
	}
	rest := s[n:]
	switch {
	case hasPrefixFold(rest, "ts"), hasPrefixFold(rest, "fn"):
		return n + 2
	case hasPrefixFold(rest, "d"), hasPrefixFold(rest, "t"):
		return n + 1
	}
	return 1
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// lineLength returns the length of the first line of s without its end.
func lineLength(s string) int {
	if n := strings.IndexAny(s, "\r\n"); n >= 0 {
		return n
	}
	return len(s)
}
