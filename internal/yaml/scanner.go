package yaml

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
)

type tokenKind uint8

const (
	tokAlias tokenKind = iota
	tokAnchor
	tokBlockEnd
	tokBlockEntry
	tokBlockMappingStart
	tokBlockSequenceStart
	tokDirective
	tokDocumentEnd
	tokDocumentStart
	tokFlowEntry
	tokFlowMappingEnd
	tokFlowMappingStart
	tokFlowSequenceEnd
	tokFlowSequenceStart
	tokKey
	tokScalar
	tokStreamEnd
	tokTag
	tokValue
	tokFault // strict: from here on the text makes no tokens
)

// String returns what snakeyaml-engine's messages call the token.
func (k tokenKind) String() string {
	return [...]string{"<alias>", "<anchor>", "<block end>", "-", "<block mapping start>", "<block sequence start>",
		"<directive>", "<document end>", "<document start>", ",", "}", "{", "]", "[", "?", "<scalar>", "<stream end>", "<tag>", ":", "<fault>"}[k]
}

// A token of YAML with its extent. value is the text of a scalar, the name of an anchor, alias or directive,
// or a tag's suffix.
type token struct {
	kind       tokenKind
	plain      bool // scalar without quotes, not a block scalar
	block      bool // literal or folded scalar
	hasHandle  bool
	value      string
	handle     string // of a tag, or of a %TAG directive
	major      int    // of a %YAML directive
	minor      int
	start, end Mark
	fault      *Error
}

// simpleKey is a place where a key without '?' may have begun.
type simpleKey struct {
	level, token int
	required     bool
	Mark
}

// A scanner cuts text into tokens exactly as snakeyaml-engine 2.6's ScannerImpl: same order, same leniency,
// same errors; or by the strict rules. It panics with *Error.
type scanner struct {
	*reader
	options  Options
	strict   bool
	queue    []token
	head     int
	taken    int
	done     bool
	flow     int
	indent   int
	indents  []int
	allowKey bool
	keys     []simpleKey // oldest first

	// Of the strict rules.
	begin   Mark      // of the token that is fetched
	last    tokenKind // of the token that was fetched before
	checked int       // the last line whose indentation was looked at
}

func newScanner(r *reader, o Options) *scanner {
	// STREAM-START counts as taken.
	return &scanner{reader: r, options: o, strict: o.Strict, indent: -1, allowKey: true, taken: 1, last: tokStreamEnd, checked: -1}
}

// check reports whether the next token is one of kinds.
func (s *scanner) check(kinds ...tokenKind) bool {
	s.fill()
	if s.head == len(s.queue) {
		return false
	}
	next := s.queue[s.head].kind
	for _, k := range kinds {
		if k == next {
			return true
		}
	}
	return false
}

func (s *scanner) peekToken() *token {
	s.fill()
	return &s.queue[s.head]
}

func (s *scanner) next() token {
	s.fill()
	t := s.queue[s.head]
	if t.kind == tokFault {
		panic(t.fault)
	}
	s.head++
	s.taken++
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	return t
}

func (s *scanner) fill() {
	for !s.done {
		if s.head < len(s.queue) {
			s.dropStaleKeys()
			if len(s.keys) == 0 || s.keys[0].token != s.taken {
				return
			}
		}
		if s.strict {
			s.fetchStrict()
		} else {
			s.fetch()
		}
	}
}

func (s *scanner) add(kind tokenKind, start Mark) {
	s.put(token{kind: kind, start: start, end: s.Mark})
}

func (s *scanner) put(t token) {
	s.queue = append(s.queue, t)
	s.last = t.kind
}

// insert puts a virtual token before the token of that number.
func (s *scanner) insert(number int, kind tokenKind, m Mark) {
	i := s.head + number - s.taken
	s.queue = append(s.queue, token{})
	copy(s.queue[i+1:], s.queue[i:])
	s.queue[i] = token{kind: kind, start: m, end: m}
}

func (s *scanner) fetch() {
	if limit := s.options.CodePoints; limit > 0 && s.Index > limit {
		panic(plainError(EngineException, "The incoming YAML document exceeds the limit: "+itoa(limit)+" code points.", "", s.Mark))
	}
	s.toNextToken()
	s.dropStaleKeys()
	if s.strict {
		s.begin = s.Mark
		s.checkIndentation()
		s.dropOvertakenKey()
	}
	s.unwind(s.Column)
	c := s.peek(0)
	switch c {
	case 0:
		s.unwind(-1)
		s.dropKey()
		s.allowKey = false
		s.keys = s.keys[:0]
		s.add(tokStreamEnd, s.Mark)
		s.done = true
		return
	case '%':
		if s.Column == 0 && !s.strict {
			s.fetchDirective()
			return
		}
		if s.Column == 0 && s.last == tokStreamEnd {
			s.takeLine()
			return
		}
	case '-':
		if s.atDocument("---") {
			s.fetchDocument(tokDocumentStart)
			s.allowKey = s.strict
			return
		}
		if blank(s.peek(1)) && !s.strictFlow() {
			s.fetchBlockEntry()
			return
		}
	case '.':
		if s.atDocument("...") {
			s.fetchDocument(tokDocumentEnd)
			return
		}
	case '[':
		s.fetchFlowStart(tokFlowSequenceStart)
		return
	case '{':
		s.fetchFlowStart(tokFlowMappingStart)
		return
	case ']':
		if !s.strict || s.flow > 0 {
			s.fetchFlowEnd(tokFlowSequenceEnd)
			return
		}
	case '}':
		if !s.strict || s.flow > 0 {
			s.fetchFlowEnd(tokFlowMappingEnd)
			return
		}
	case ',':
		if !s.strict || s.flow > 0 {
			s.allowKey = true
			s.dropKey()
			s.fetchIndicator(tokFlowEntry)
			return
		}
	case '?':
		if blank(s.peek(1)) && !s.strictFlow() {
			s.fetchKey()
			return
		}
	case ':':
		if s.isValue() {
			s.fetchValue()
			return
		}
	case '*', '&':
		s.saveKey()
		s.allowKey = false
		s.scanAnchor(c == '&')
		return
	case '!':
		s.saveKey()
		s.allowKey = false
		s.scanTag()
		return
	case '|', '>':
		if s.flow == 0 {
			s.allowKey = true
			s.dropKey()
			s.scanBlockScalar(c == '>')
			return
		}
	case '\'', '"':
		s.saveKey()
		s.allowKey = false
		s.scanQuoted(c)
		return
	}
	if s.startsPlain(c) {
		s.saveKey()
		s.allowKey = false
		s.scanPlain()
		return
	}
	if s.strict {
		panic(strictError(UnexpectedCharacter, s.Mark, string(c)))
	}
	name := string(c)
	for i, e := range escapes {
		if c == e.char && strings.IndexByte(` /"`, escapes[i].name) < 0 {
			name = `\` + string(rune(e.name))
		}
	}
	if c == '\t' {
		name += "(TAB)"
	}
	panic(markedError("while scanning for the next token", nil,
		"found character '"+name+"' that cannot start any token. (Do not use "+name+" for indentation)", s.Mark, ""))
}

// blank: NUL (the end), space, tab or line break.
func blank(c rune) bool { return c == ' ' || c == '\n' || c == 0 || c == '\t' || c == '\r' }

// blankNoTab: NUL (the end), space or line break.
func blankNoTab(c rune) bool { return c == ' ' || c == '\n' || c == 0 || c == '\r' }

func lineEnd(c rune) bool { return c == '\n' || c == 0 || c == '\r' }

func oneOf(set string, c rune) bool { return c < utf8.RuneSelf && strings.IndexByte(set, byte(c)) >= 0 }

func (s *scanner) atDocument(indicator string) bool {
	return s.Column == 0 && !s.strictFlow() && s.prefixIs(indicator) && blank(s.peek(3))
}

func (s *scanner) startsPlain(c rune) bool {
	if !blank(c) && !oneOf("-?:,[]{}#&*!|>'\"%@`", c) {
		return true
	}
	next := s.peek(1)
	if s.flow == 0 {
		return !blank(next) && oneOf("-?:", c)
	}
	if s.strict {
		return !blank(next) && !oneOf(flowIndicators, next) && oneOf("-?:", c)
	}
	return !blank(next) && !oneOf(",]", next) && oneOf("-?", c)
}

// Simple keys: on one line, at most 1024 code points long.

func (s *scanner) dropStaleKeys() {
	if len(s.keys) == 0 {
		return
	}
	kept := s.keys[:0]
	for _, k := range s.keys {
		if k.Line == s.Line && (s.strict || s.Index-k.Index <= 1024) {
			kept = append(kept, k)
			continue
		}
		s.requireKey(k)
	}
	s.keys = kept
}

func (s *scanner) requireKey(k simpleKey) {
	if k.required && !s.strict {
		panic(markedError("while scanning a simple key", &k.Mark, "could not find expected ':'", s.Mark,
			"could not find expected ':' (a blank must follow the colon)"))
	}
}

func (s *scanner) saveKey() {
	if s.strictFlow() {
		return // the composer sees a key when it meets the colon
	}
	required := s.flow == 0 && s.indent == s.Column
	if !s.allowKey {
		if required && !s.strict {
			panic(plainError(EngineException, "A simple key is required only if it is the first token in the current line", "", s.Mark))
		}
		return
	}
	s.dropKey()
	s.keys = append(s.keys, simpleKey{s.flow, s.taken + len(s.queue) - s.head, required, s.Mark})
}

func (s *scanner) takeKey() (simpleKey, bool) {
	for i := len(s.keys) - 1; i >= 0; i-- {
		if k := s.keys[i]; k.level == s.flow {
			s.keys = append(s.keys[:i], s.keys[i+1:]...)
			return k, true
		}
	}
	return simpleKey{}, false
}

func (s *scanner) dropKey() {
	if k, ok := s.takeKey(); ok {
		s.requireKey(k)
	}
}

// Indentation.

func (s *scanner) unwind(col int) {
	if s.flow > 0 {
		return
	}
	for s.indent > col {
		s.indent = s.indents[len(s.indents)-1]
		s.indents = s.indents[:len(s.indents)-1]
		s.add(tokBlockEnd, s.Mark)
	}
}

func (s *scanner) pushIndent(col int) bool {
	if s.indent >= col {
		return false
	}
	s.indents = append(s.indents, s.indent)
	s.indent = col
	return true
}

// Tokens.

func (s *scanner) fetchIndicator(kind tokenKind) {
	start := s.Mark
	s.forward(1)
	s.add(kind, start)
}

func (s *scanner) fetchDocument(kind tokenKind) {
	s.unwind(-1)
	s.dropKey()
	s.allowKey = false
	start := s.Mark
	s.forward(3)
	s.add(kind, start)
}

func (s *scanner) fetchFlowStart(kind tokenKind) {
	if !s.strict {
		s.saveKey()
	}
	s.flow++
	s.allowKey = true
	s.fetchIndicator(kind)
}

func (s *scanner) fetchFlowEnd(kind tokenKind) {
	s.dropKey()
	s.flow--
	s.allowKey = false
	s.fetchIndicator(kind)
}

func (s *scanner) fetchBlockEntry() {
	if s.flow == 0 {
		if !s.allowKey {
			panic(markedError("", nil, "sequence entries are not allowed here", s.Mark, "").as(ListPlace, s.Mark, ""))
		}
		if s.pushIndent(s.Column) {
			s.add(tokBlockSequenceStart, s.Mark)
		}
	}
	s.allowKey = true
	s.dropKey()
	s.fetchIndicator(tokBlockEntry)
}

func (s *scanner) fetchKey() {
	if s.strict {
		panic(strictError(KeyMark, s.Mark, "?"))
	}
	if s.flow == 0 {
		if !s.allowKey {
			panic(markedError(noContext, nil, "mapping keys are not allowed here", s.Mark, ""))
		}
		if s.pushIndent(s.Column) {
			s.add(tokBlockMappingStart, s.Mark)
		}
	}
	s.allowKey = s.flow == 0
	s.dropKey()
	s.fetchIndicator(tokKey)
}

func (s *scanner) fetchValue() {
	if k, ok := s.takeKey(); ok {
		s.insert(k.token, tokKey, k.Mark)
		if s.flow == 0 && s.pushIndent(k.Column) {
			s.insert(k.token, tokBlockMappingStart, k.Mark)
		}
		s.allowKey = false
	} else {
		if s.flow == 0 {
			if s.strict {
				panic(strictError(ColonInValue, s.Mark, ""))
			}
			if !s.allowKey {
				panic(markedError(noContext, nil, "mapping values are not allowed here", s.Mark, ""))
			}
			if s.pushIndent(s.Column) {
				s.add(tokBlockMappingStart, s.Mark)
			}
		}
		s.allowKey = s.flow == 0
		s.dropKey()
	}
	s.fetchIndicator(tokValue)
}

// toNextToken skips spaces, comments and line breaks.
func (s *scanner) toNextToken() {
	if s.Index == 0 && s.peek(0) == 0xFEFF && !s.strict {
		s.forward(1)
	}
	for {
		n := 0
		for c := s.peek(0); c == ' ' || c == '\t' && s.strict; c = s.peek(n) {
			n++
		}
		s.take(n)
		s.skipComment()
		if s.lineBreak() == "" {
			return
		}
		if s.flow == 0 {
			s.allowKey = true
		}
	}
}

func (s *scanner) skipComment() {
	if s.peek(0) != '#' || s.strict && s.Offset > 0 && !blank(rune(s.text[s.Offset-1])) {
		return
	}
	s.takeLine()
}

// lineBreak skips a line break and returns its replacement in a scalar, "" if there was no break.
func (s *scanner) lineBreak() string {
	switch c := s.peek(0); c {
	case '\r':
		if s.peek(1) == '\n' {
			s.forward(2)
		} else {
			s.forward(1)
		}
		return "\n"
	case '\n':
		s.forward(1)
		return "\n"
	case 0x85:
		if !s.strict {
			s.forward(1)
			return "\n"
		}
	case 0x2028, 0x2029:
		if !s.strict {
			s.forward(1)
			return string(c)
		}
	}
	return ""
}

// Directives.

const inDirective = "while scanning a directive"

func (s *scanner) fetchDirective() {
	s.unwind(-1)
	s.dropKey()
	s.allowKey = false
	start := s.Mark
	s.forward(1)
	t := token{kind: tokDirective, start: start}
	n := 0
	for wordChar(s.peek(n)) {
		n++
	}
	if n == 0 {
		s.failAt(inDirective, start, "expected alphabetic or numeric character, but found "+shown(s.peek(0)))
	}
	t.value = s.take(n)
	if !blankNoTab(s.peek(0)) {
		s.failAt(inDirective, start, "expected alphabetic or numeric character, but found "+shown(s.peek(0)))
	}
	switch t.value {
	case "YAML":
		s.skipSpaces()
		t.major = s.directiveNumber(start)
		if s.peek(0) != '.' {
			s.failAt(inDirective, start, "expected a digit or '.', but found "+shown(s.peek(0)))
		}
		s.forward(1)
		t.minor = s.directiveNumber(start)
		if !blankNoTab(s.peek(0)) {
			s.failAt(inDirective, start, "expected a digit or ' ', but found "+shown(s.peek(0)))
		}
	case "TAG":
		s.skipSpaces()
		t.hasHandle = true
		t.handle = s.tagHandle("directive", start)
		if s.peek(0) != ' ' {
			s.failAt(inDirective, start, "expected ' ', but found "+shown(s.peek(0)))
		}
		s.skipSpaces()
		prefix := s.tagURI("directive", true, start)
		if !blankNoTab(s.peek(0)) {
			s.failAt(inDirective, start, "expected ' ', but found "+shown(s.peek(0)))
		}
		t.value = "TAG " + prefix
	default:
		n := 0
		for !lineEnd(s.peek(n)) {
			n++
		}
		s.forward(n)
		t.value = ""
	}
	t.end = s.Mark
	s.restOfLine(inDirective, start)
	s.put(t)
}

// failAt panics with an error whose context began at start.
func (s *scanner) failAt(context string, start Mark, problem string) {
	e := markedError(context, &start, problem, s.Mark, "")
	switch context {
	case inBlockScalar:
		e.as(BlockHeader, start, s.text[start.Offset:start.Offset+1])
	case inQuoted:
		e.as(UnclosedQuote, start, s.text[start.Offset:start.Offset+1])
	}
	panic(e)
}

func (s *scanner) skipSpaces() {
	for c := s.peek(0); c == ' ' || c == '\t' && s.strict; c = s.peek(0) {
		s.forward(1)
	}
}

// restOfLine skips a comment and the line break that must follow.
func (s *scanner) restOfLine(context string, start Mark) {
	s.skipSpaces()
	s.skipComment()
	c := s.peek(0)
	if s.lineBreak() == "" && c != 0 {
		s.failAt(context, start, "expected a comment or a line break, but found "+shown(c))
	}
}

func (s *scanner) directiveNumber(start Mark) int {
	n := 0
	for c := s.peek(0); c >= '0' && c <= '9'; c = s.peek(n) {
		n++
	}
	if n == 0 {
		s.failAt(inDirective, start, "expected a digit, but found "+shown(s.peek(0)))
	}
	digits := s.take(n)
	v, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		panic(plainError(javatext.NumberFormat, `For input string: "`+digits+`"`, "number out of range", s.Mark))
	}
	return int(v)
}

func wordChar(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// Anchors and tags.

func (s *scanner) scanAnchor(isAnchor bool) {
	t := token{kind: tokAlias, start: s.Mark}
	context := "while scanning an alias"
	if isAnchor {
		t.kind, context = tokAnchor, "while scanning an anchor"
	}
	s.forward(1)
	if s.strict {
		t.value = s.word()
		if isAnchor && t.value == "" {
			panic(strictError(AnchorName, t.start, ""))
		}
		t.end = s.Mark
		if isAnchor {
			s.afterProperty()
		}
		s.put(t)
		return
	}
	n := 0
	for c := s.peek(0); !blank(c) && !oneOf(",[]{}/.*&", c); c = s.peek(n) {
		n++
	}
	if n == 0 {
		s.failAt(context, t.start, "unexpected character found "+shown(s.peek(0)))
	}
	t.value = s.take(n)
	if c := s.peek(0); !blank(c) && !oneOf("?:,]}%@`", c) {
		s.failAt(context, t.start, "unexpected character found "+shown(c))
	}
	if strings.ContainsAny(t.value, "\x0B\f") {
		panic(plainError("org.snakeyaml.engine.v2.exceptions.EmitterException", "Anchor may not contain spaces: "+t.value, "anchor with a space", t.start))
	}
	t.end = s.Mark
	s.put(t)
}

func (s *scanner) scanTag() {
	t := token{kind: tokTag, start: s.Mark}
	const context = "while scanning a tag"
	if s.strict {
		s.forward(1)
		switch s.word() {
		case "":
			t.value = "!"
		case "!str":
			t.hasHandle, t.handle, t.value = true, "!!", "str"
		default:
			panic(strictError(UnknownTag, t.start, ""))
		}
		t.end = s.Mark
		s.afterProperty()
		s.put(t)
		return
	}
	switch c := s.peek(1); {
	case c == '<':
		s.forward(2)
		t.value = s.tagURI("tag", true, t.start)
		if c := s.peek(0); c != '>' {
			s.failAt(context, t.start, "expected '>', but found '"+string(c)+"' ("+itoa(int(c))+")")
		}
		s.forward(1)
	case blank(c):
		t.value = "!"
		s.forward(1)
	default:
		named := false
		for n := 1; !blankNoTab(c); c = s.peek(n) {
			if c == '!' {
				named = true
				break
			}
			n++
		}
		t.hasHandle = true
		if named {
			t.handle = s.tagHandle("tag", t.start)
		} else {
			t.handle = "!"
			s.forward(1)
		}
		t.value = s.tagURI("tag", false, t.start)
	}
	if c := s.peek(0); !blankNoTab(c) {
		s.failAt(context, t.start, "expected ' ', but found '"+string(c)+"' ("+itoa(int(c))+")")
	}
	t.end = s.Mark
	s.put(t)
}

func (s *scanner) tagHandle(name string, start Mark) string {
	context := "while scanning a " + name
	if c := s.peek(0); c != '!' {
		s.failAt(context, start, "expected '!', but found "+shown(c))
	}
	n := 1
	if c := s.peek(1); c != ' ' {
		for wordChar(c) {
			n++
			c = s.peek(n)
		}
		if c != '!' {
			s.forward(n)
			s.failAt(context, start, "expected '!', but found "+shown(c))
		}
		n++
	}
	return s.take(n)
}

func (s *scanner) tagURI(name string, prefix bool, start Mark) string {
	context := "while scanning a " + name
	var b strings.Builder
	n := 0
	for c := s.peek(0); wordChar(c) || oneOf(";/?:@&=+$.!~*'()%", c) || prefix && oneOf(",[]", c); c = s.peek(n) {
		if c != '%' {
			n++
			continue
		}
		b.WriteString(s.take(n))
		n = 0
		b.WriteString(s.uriEscapes(context, start))
	}
	b.WriteString(s.take(n))
	if b.Len() == 0 {
		s.failAt(context, start, "expected URI, but found "+shown(s.peek(0)))
	}
	return b.String()
}

func (s *scanner) uriEscapes(context string, start Mark) string {
	begin := s.Mark
	var raw []byte
	for s.peek(0) == '%' {
		s.forward(1)
		s.touch(2)
		hex := string(s.peek(0)) + string(s.peek(1))
		v, err := strconv.ParseInt(hex, 16, 16)
		if err != nil {
			s.failAt(context, start, "expected URI escape sequence of 2 hexadecimal numbers, but found "+shown(s.peek(0))+" and "+shown(s.peek(1)))
		}
		raw = append(raw, byte(v))
		s.forward(2)
	}
	for rest := string(raw); rest != ""; {
		_, n, bad, _ := javatext.DecodeUTF8(rest)
		if bad {
			panic(markedError(context, &start, "expected URI in UTF-8: Input length = "+itoa(n), begin, ""))
		}
		rest = rest[n:]
	}
	return string(raw)
}

// Scalars.

const inBlockScalar = "while scanning a block scalar"

func (s *scanner) scanBlockScalar(folded bool) {
	t := token{kind: tokScalar, block: true, start: s.Mark}
	s.forward(1)
	var chomp rune
	increment := 0
	sign := func() bool {
		if c := s.peek(0); c == '-' || c == '+' {
			chomp = c
			s.forward(1)
			return true
		}
		return false
	}
	digit := func() bool {
		c := s.peek(0)
		if c < '0' || c > '9' {
			return false
		}
		if c == '0' {
			s.failAt(inBlockScalar, t.start, "expected indentation indicator in the range 1-9, but found 0")
		}
		increment = int(c - '0')
		s.forward(1)
		return true
	}
	if sign() {
		digit()
	} else if digit() {
		sign()
	}
	if c := s.peek(0); !blankNoTab(c) && !(s.strict && c == '\t') {
		s.failAt(inBlockScalar, t.start, "expected chomping or indentation indicators, but found "+shown(c))
	}
	s.restOfLine(inBlockScalar, t.start)

	indent := max(s.indent+1, 1)
	var breaks string
	if increment > 0 {
		indent += increment - 1
		breaks, t.end = s.blockBreaks(indent)
	} else {
		var deepest int
		breaks, deepest, t.end = s.blockIndentation()
		indent = max(indent, deepest)
	}
	if s.Column < indent && s.indent != s.Column && !s.strict {
		s.failAt(inBlockScalar, t.start, " the leading empty lines contain more spaces ("+itoa(indent)+") than the first non-empty line.")
	}
	var b strings.Builder
	lb := ""
	spaceOrTab := func() bool { c := s.peek(0); return c == ' ' || c == '\t' }
	for s.Column == indent && s.peek(0) != 0 {
		b.WriteString(breaks)
		foldable := folded && !spaceOrTab()
		b.WriteString(s.takeLine())
		lb = s.lineBreak()
		breaks, t.end = s.blockBreaks(indent)
		if s.Column != indent || s.peek(0) == 0 {
			break
		}
		if foldable && lb == "\n" && !spaceOrTab() {
			if breaks == "" {
				b.WriteByte(' ')
			}
		} else {
			b.WriteString(lb)
		}
	}
	if chomp != '-' {
		b.WriteString(lb)
	}
	if chomp == '+' {
		b.WriteString(breaks)
	}
	t.value = b.String()
	s.put(t)
}

func (s *scanner) blockIndentation() (breaks string, deepest int, end Mark) {
	end = s.Mark
	var b strings.Builder
	for c := s.peek(0); c == ' ' || c == '\n' || c == '\r'; c = s.peek(0) {
		if c != ' ' {
			b.WriteString(s.lineBreak())
			end = s.Mark
			continue
		}
		s.forward(1)
		deepest = max(deepest, s.Column)
	}
	return b.String(), deepest, end
}

func (s *scanner) blockBreaks(indent int) (string, Mark) {
	end := s.Mark
	col := s.Column
	skip := func() {
		for col < indent && s.peek(0) == ' ' {
			s.forward(1)
			col++
		}
	}
	skip()
	var b strings.Builder
	for lb := s.lineBreak(); lb != ""; lb = s.lineBreak() {
		b.WriteString(lb)
		end = s.Mark
		col = s.Column
		skip()
	}
	return b.String(), end
}

func (s *scanner) scanQuoted(quote rune) {
	t := token{kind: tokScalar, start: s.Mark}
	s.forward(1)
	b := scalarBuilder{strict: s.strict}
	s.quotedText(&b, quote, t.start)
	for s.peek(0) != quote {
		s.quotedSpaces(&b, t.start)
		s.quotedText(&b, quote, t.start)
	}
	s.forward(1)
	t.value = b.String()
	t.end = s.Mark
	s.put(t)
}

// A scalarBuilder collects a scalar; surrogates that come as two \u escapes become one character, as in
// Java's strings. A lone one is kept in its three-byte form.
type scalarBuilder struct {
	strings.Builder
	high   rune // a high surrogate written last
	at     Mark // where its escape begins
	strict bool // half a pair is an error
}

func (b *scalarBuilder) escape(c rune, at Mark) {
	switch {
	case c >= 0xD800 && c <= 0xDBFF:
		b.flush()
		b.high, b.at = c, at
	case c >= 0xDC00 && c <= 0xDFFF:
		if b.high != 0 {
			b.WriteRune(0x10000 + (b.high-0xD800)<<10 + c - 0xDC00)
			b.high = 0
		} else {
			b.half(c, at)
		}
	default:
		b.flush()
		b.WriteRune(c)
	}
}

func (b *scalarBuilder) flush() {
	if b.high != 0 {
		b.half(b.high, b.at)
		b.high = 0
	}
}

func (b *scalarBuilder) half(c rune, at Mark) {
	if b.strict {
		panic(strictError(HalfPair, at, ""))
	}
	javatext.AppendRune(&b.Builder, c)
}

func (b *scalarBuilder) text(s string) {
	if s != "" {
		b.flush()
		b.WriteString(s)
	}
}

func (b *scalarBuilder) String() string {
	b.flush()
	return b.Builder.String()
}

// escapes are the one-letter escapes of double-quoted scalars.
var escapes = [...]struct {
	name byte
	char rune
}{
	{'0', 0}, {'a', 7}, {'b', 8}, {'t', 9}, {'n', '\n'}, {'v', 0x0B}, {'f', 0x0C}, {'r', '\r'}, {'e', 0x1B}, {' ', ' '},
	{'"', '"'}, {'/', '/'}, {'\\', '\\'}, {'N', 0x85}, {'_', 0xA0}, {'L', 0x2028}, {'P', 0x2029},
}

func (s *scanner) quotedText(b *scalarBuilder, quote rune, start Mark) {
	double := quote == '"'
	for {
		n := 0
		for c := s.peek(0); !blank(c) && c != '\'' && c != '"' && c != '\\'; c = s.peek(n) {
			n++
		}
		if n > 0 {
			b.text(s.take(n))
		}
		c := s.peek(0)
		switch {
		case !double && c == '\'' && s.peek(1) == '\'':
			b.text("'")
			s.forward(2)
		case double && c == '\'', !double && (c == '"' || c == '\\'):
			b.text(string(c))
			s.forward(1)
		case double && c == '\\':
			s.escaped(b, start)
		default:
			return
		}
	}
}

func (s *scanner) escaped(b *scalarBuilder, start Mark) {
	const context = "while scanning a double-quoted scalar"
	begin := s.Mark
	s.forward(1)
	c := s.peek(0)
	for _, e := range escapes {
		if c == rune(e.name) || s.strict && c == '\t' && e.char == '\t' {
			b.escape(e.char, begin)
			s.forward(1)
			return
		}
	}
	n := 0
	switch c {
	case 'x':
		n = 2
	case 'u':
		n = 4
	case 'U':
		n = 8
	}
	if n == 0 {
		if s.lineBreak() != "" {
			b.text(s.quotedBreaks(start))
			return
		}
		unknown := UnknownEscape
		if c == 0 {
			unknown = EndInEscape
		}
		panic(markedError(context, &start, "found unknown escape character "+shown(c), s.Mark, "found unknown escape character").as(unknown, begin, ""))
	}
	s.forward(1)
	s.touch(n)
	var hex strings.Builder
	isHex := true
	for k := 0; k < n && s.seek(k) < s.limit; k++ {
		h := s.peek(k)
		hex.WriteRune(h)
		isHex = isHex && (h >= '0' && h <= '9' || h >= 'a' && h <= 'f' || h >= 'A' && h <= 'F')
	}
	if !isHex || s.strict && hex.Len() < n {
		panic(markedError(context, &start, "expected escape sequence of "+itoa(n)+" hexadecimal numbers, but found: "+hex.String(), s.Mark,
			"expected escape sequence of "+itoa(n)+" hexadecimal numbers").as(EscapeDigits, begin, itoa(n)))
	}
	v, err := strconv.ParseInt(hex.String(), 16, 32)
	if err != nil {
		panic(plainError(javatext.NumberFormat, `For input string: "`+hex.String()+`" under radix 16`, "escape out of range", s.Mark).as(EscapeRange, begin, ""))
	}
	if v > utf8.MaxRune || s.strict && n == 8 && !utf8.ValidRune(rune(v)) {
		panic(plainError(javatext.IllegalArgument, "Not a valid Unicode code point: 0x"+strings.ToUpper(strconv.FormatInt(v, 16)), "escape out of range", s.Mark).as(EscapeRange, begin, ""))
	}
	b.escape(rune(v), begin)
	s.forward(n)
	if s.strict && b.high != 0 && !s.prefixIs(`\u`) {
		b.flush()
	}
}

const inQuoted = "while scanning a quoted scalar"

func (s *scanner) quotedSpaces(b *scalarBuilder, start Mark) {
	n := 0
	for c := s.peek(0); c == ' ' || c == '\t'; c = s.peek(n) {
		n++
	}
	spaces := s.take(n)
	if s.peek(0) == 0 {
		s.failAt(inQuoted, start, "found unexpected end of stream")
	}
	lb := s.lineBreak()
	if lb == "" {
		b.text(spaces)
		return
	}
	breaks := s.quotedBreaks(start)
	if lb != "\n" {
		b.text(lb)
	} else if breaks == "" {
		b.text(" ")
	}
	b.text(breaks)
}

func (s *scanner) quotedBreaks(start Mark) string {
	var b strings.Builder
	for {
		if (s.prefixIs("---") || s.prefixIs("...")) && blank(s.peek(3)) {
			s.failAt(inQuoted, start, "found unexpected document separator")
		}
		for c := s.peek(0); c == ' ' || c == '\t'; c = s.peek(0) {
			s.forward(1)
		}
		lb := s.lineBreak()
		if lb == "" {
			return b.String()
		}
		b.WriteString(lb)
	}
}

func (s *scanner) scanPlain() {
	t := token{kind: tokScalar, plain: true, start: s.Mark, end: s.Mark}
	indent := s.indent + 1
	if s.strict && len(s.keys) > 0 && s.keys[len(s.keys)-1].required { // read on, to say that a key has one line
		indent--
	}
	var first, spaces string
	var more strings.Builder
	for s.peek(0) != '#' {
		n := 0
		for {
			c := s.peek(n)
			if blank(c) || s.flow > 0 && oneOf(flowIndicators, c) {
				break
			}
			if c == ':' {
				next := s.peek(n + 1)
				if blank(next) || s.flow > 0 && oneOf(flowIndicators, next) {
					break
				}
			}
			n++
		}
		if n == 0 {
			break
		}
		s.allowKey = false
		if first == "" {
			first = s.take(n)
		} else {
			if more.Len() == 0 {
				more.WriteString(first)
			}
			more.WriteString(spaces)
			more.WriteString(s.take(n))
		}
		t.end = s.Mark
		spaces = s.plainSpaces()
		if spaces == "" || s.peek(0) == '#' || s.flow == 0 && s.Column < indent {
			break
		}
	}
	t.value = first
	if more.Len() > 0 {
		t.value = more.String()
	}
	s.put(t)
}

func (s *scanner) plainSpaces() string {
	n := 0
	for c := s.peek(0); c == ' ' || c == '\t'; c = s.peek(n) {
		n++
	}
	spaces := s.take(n)
	lb := s.lineBreak()
	if lb == "" {
		return spaces
	}
	s.allowKey = true
	// Three dashes end the scalar whatever follows them; snakeyaml-engine lacks a pair of parentheses here.
	separator := func() bool {
		return s.prefixIs("---") && (!s.strict || blank(s.peek(3))) || s.prefixIs("...") && blank(s.peek(3))
	}
	if separator() {
		return ""
	}
	var breaks strings.Builder
	for {
		if c := s.peek(0); c == ' ' || c == '\t' && s.strict {
			s.forward(1)
			continue
		}
		more := s.lineBreak()
		if more == "" {
			break
		}
		breaks.WriteString(more)
		if separator() {
			return ""
		}
	}
	if lb != "\n" {
		return lb + breaks.String()
	}
	if breaks.Len() == 0 {
		return " "
	}
	return breaks.String()
}
