package jobdef

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The reader of YAML 1.2, and of JSON as its subset. It is our own because the text of a scalar must reach Flink as
// the author wrote it and hostile input must neither panic nor take more than linear time, and the library at hand
// (goccy/go-yaml 1.19) gives neither: it drops a tab inside a plain scalar, splits [zk:2181] inside a flow mapping,
// needs gigabytes for 100,000 brackets and quadratic time for long mappings. A test holds it against PyYAML.
//
// Left out on purpose, each with an error that says so: tags other than !!str, merge keys, keys that are not
// strings, a second document.

const (
	// MaxSize is the largest document, and the largest file or variable behind a reference, in bytes.
	MaxSize = 16 << 20

	maxDepth   = 100    // collections inside each other
	maxAliased = 10_000 // values that aliases may add to a document

	noMerge   = "merge keys (<<) are not supported"
	mergeHint = "repeat the fields, or use an alias for the whole value"
)

// A yamlReader reads one document by recursive descent. It panics with a *Problem, which read returns.
type yamlReader struct {
	s       string
	pos     int
	anchors map[string]*node
	depth   int
	flow    int // open brackets
	aliased int

	// What place knows about the last position it was asked for.
	at, line, lineStart, column int
}

// read parses a document. It returns nil for an empty one.
func read(src []byte) (root *node, problem *Problem) {
	p := &yamlReader{line: 1, column: 1}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Problem:
			root, problem = nil, r
		default:
			panic(r)
		}
	}()
	if len(src) > MaxSize {
		p.fail(0, fmt.Sprintf("the document is larger than %d MiB", MaxSize>>20), "")
	}
	p.s = normalised(src)
	p.characters()
	root = p.document()
	return root, nil
}

// normalised drops a byte order mark and makes every line end in LF.
func normalised(src []byte) string {
	s := strings.TrimPrefix(string(src), "\uFEFF")
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s
}

// characters refuses what no text document holds.
func (p *yamlReader) characters() {
	for i := 0; i < len(p.s); i++ {
		c := p.s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(p.s[i:])
			if r == utf8.RuneError && n == 1 {
				p.fail(i, "the document is not UTF-8", "")
			}
			i += n - 1
		} else if c < ' ' && c != '\t' && c != '\n' {
			p.fail(i, fmt.Sprintf("control character U+%04X", c), `write it as an escape in double quotes, e.g. "\u0001"`)
		}
	}
}

func (p *yamlReader) document() *node {
	p.skip()
	for p.pos < len(p.s) && p.s[p.pos] == '%' && p.col() == 0 {
		p.pos += lineLength(p.s[p.pos:])
		p.skip()
	}
	if p.marker("---") {
		p.pos += 3
	}
	n := p.block(-1, false)
	p.skip()
	if p.marker("...") {
		p.pos += 3
		p.skip()
	}
	switch {
	case p.marker("---"):
		p.fail(p.pos, "a second document begins here", "a definition is one document")
	case p.pos < len(p.s):
		p.fail(p.pos, "unexpected text", "is it indented as its neighbours are?")
	}
	if n.kind == nullKind {
		return nil
	}
	return n
}

// Places.

// place returns line and column of a position. It is cheap where that is not before the one of the last call.
func (p *yamlReader) place(pos int) (line, column int) {
	switch {
	case pos >= p.at:
	case pos >= p.lineStart:
		p.at, p.column = p.lineStart, 1
	default:
		p.at, p.line, p.lineStart, p.column = 0, 1, 0, 1
	}
	for p.at < pos {
		n := strings.IndexByte(p.s[p.at:pos], '\n')
		if n < 0 {
			p.column += utf8.RuneCountInString(p.s[p.at:pos])
			p.at = pos
			break
		}
		p.at += n + 1
		p.line++
		p.lineStart, p.column = p.at, 1
	}
	return p.line, p.column
}

// col returns how many bytes of its line stand before the current position.
func (p *yamlReader) col() int {
	p.place(p.pos)
	return p.pos - p.lineStart
}

func (p *yamlReader) fail(pos int, message, hint string) {
	line, column := p.place(pos)
	panic(&Problem{Line: line, Column: column, Message: message, Hint: hint})
}

// byteAt returns the byte at i, a line break at the end of the document.
func (p *yamlReader) byteAt(i int) byte {
	if i < len(p.s) {
		return p.s[i]
	}
	return '\n'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

func isFlowIndicator(c byte) bool { return strings.IndexByte(",[]{}", c) >= 0 }

// lineLength returns the length of the first line of s without its end.
func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n
	}
	return len(s)
}

// marker reports whether a document marker stands here, at the start of a line.
func (p *yamlReader) marker(m string) bool {
	return isMarker(p.s[p.pos:], m) && p.col() == 0
}

func isMarker(s, m string) bool {
	return strings.HasPrefix(s, m) && (len(s) == len(m) || isSpace(s[len(m)]))
}

// skip goes to the next token and reports whether that is on another line.
func (p *yamlReader) skip() (newLine bool) {
	tab := -1
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case c == '\n':
			newLine, tab = true, -1
		case c == '\t' && (newLine || p.pos == 0):
			if tab < 0 {
				tab = p.pos
			}
		case isBlank(c):
		case c == '#' && (p.pos == 0 || isSpace(p.s[p.pos-1])):
			p.pos += lineLength(p.s[p.pos:])
			continue
		default:
			if tab >= 0 && p.flow == 0 {
				p.fail(tab, "a tab cannot indent", "use spaces")
			}
			return newLine
		}
		p.pos++
	}
	return newLine
}

func (p *yamlReader) newNode(k kind, start int) *node {
	line, column := p.place(start)
	return &node{kind: k, line: line, column: column, textLine: line, start: start, end: start, size: 1}
}

// Properties of a node.

type properties struct {
	anchor string
	str    bool // tagged !!str
	start  int  // -1: there are none
}

// property reads an anchor or a tag.
func (p *yamlReader) property(props *properties) {
	if props.start < 0 {
		props.start = p.pos
	}
	start := p.pos
	word := p.word()
	switch {
	case word[0] == '&' && len(word) > 1:
		props.anchor = word[1:]
	case word == "!!str" || word == "!":
		props.str = true
	case word[0] == '!':
		p.fail(start, "a tag", "tags other than !!str are not supported: quote the value to make it a string")
	default:
		p.fail(start, "an anchor without a name", "")
	}
	if !isSpace(p.byteAt(p.pos)) && p.flow == 0 {
		p.fail(p.pos, "expected a blank after the anchor or tag", "")
	}
}

// word reads up to a blank or flow indicator.
func (p *yamlReader) word() string {
	start := p.pos
	for p.pos++; !isSpace(p.byteAt(p.pos)) && !isFlowIndicator(p.s[p.pos]); p.pos++ {
	}
	return p.s[start:p.pos]
}

// finish gives a node its properties.
func (p *yamlReader) finish(n *node, props properties) *node {
	if props.start < 0 {
		return n
	}
	if props.str {
		if n.kind == mappingKind || n.kind == sequenceKind {
			p.fail(props.start, "the tag !!str on "+n.kind.String(), "")
		}
		n.kind = stringKind
	}
	if props.anchor != "" {
		if p.anchors == nil {
			p.anchors = make(map[string]*node)
		}
		p.anchors[props.anchor] = n
	}
	return n
}

func (p *yamlReader) alias() *node {
	start := p.pos
	n, ok := p.anchors[p.word()[1:]]
	if !ok {
		p.fail(start, "an alias without its anchor", `quote a value that begins with "*"`)
	}
	if p.aliased += n.size; p.aliased > maxAliased {
		p.fail(start, fmt.Sprintf("aliases add more than %d values", maxAliased), "")
	}
	return n
}

// enter counts a level of nesting.
func (p *yamlReader) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.pos, fmt.Sprintf("more than %d levels of nesting", maxDepth), "")
	}
}

// Block style.

// block reads a node of a block collection whose column is indent (-1: the document): the value of a mapping's key,
// or an item of a sequence. Nothing there is a null.
func (p *yamlReader) block(indent int, ofKey bool) *node {
	p.enter()
	defer func() { p.depth-- }()
	nothing := p.newNode(nullKind, p.pos)
	newLine := p.skip()
	props := properties{start: -1}
	propsLine := false // the properties stand on the line of what follows
	for {
		if p.pos == len(p.s) || (newLine && !p.belongs(indent, ofKey)) || p.marker("---") || p.marker("...") {
			return p.finish(nothing, props)
		}
		if c := p.s[p.pos]; c != '&' && c != '!' {
			break
		}
		p.property(&props)
		propsLine = true
		if p.skip() {
			newLine, propsLine = true, false
		}
	}
	start, c, next := p.pos, p.s[p.pos], p.byteAt(p.pos+1)
	var n *node
	switch {
	case c == '-' && isSpace(next):
		if ofKey && !newLine || propsLine {
			p.fail(start, "a list cannot begin here", "begin it on a line of its own")
		}
		return p.finish(p.sequence(), props)
	case c == '?' && isSpace(next):
		p.fail(start, "keys must be strings on one line", `quote a value that begins with "?"`)
	case c == '|' || c == '>':
		return p.finish(p.blockScalar(indent), props)
	case c == '[' || c == '{':
		n = p.flowNode()
	default:
		n = p.scalar(indent)
	}
	if !p.atColon() {
		return p.finish(n, props)
	}
	if ofKey && !newLine {
		p.fail(p.pos, `": " is not allowed here`, `quote a value that holds ": "`)
	}
	if propsLine { // they are the key's
		p.finish(n, props)
		start, props = props.start, properties{start: -1}
	}
	p.checkKey(n, start)
	return p.finish(p.mapping(n, start), props)
}

// belongs reports whether the token here is indented deep enough for a node below a collection at column indent.
func (p *yamlReader) belongs(indent int, ofKey bool) bool {
	col := p.col()
	return col > indent || (ofKey && col == indent && p.s[p.pos] == '-' && isSpace(p.byteAt(p.pos+1)))
}

// atColon goes to a ":" that makes a key of what stands before it on this line.
func (p *yamlReader) atColon() bool {
	i := p.pos
	for isBlank(p.byteAt(i)) {
		i++
	}
	if p.byteAt(i) != ':' || !isSpace(p.byteAt(i+1)) {
		return false
	}
	p.pos = i
	return true
}

// checkKey refuses what cannot be the key of a mapping. The reader stands at its ":".
func (p *yamlReader) checkKey(n *node, start int) {
	switch {
	case n.kind == mappingKind || n.kind == sequenceKind:
		p.fail(start, "a key must be a string, found "+n.kind.String(), "")
	case strings.IndexByte(p.s[start:p.pos], '\n') >= 0:
		p.fail(start, "a key must stand on one line with its colon", "is the line before it complete, and indented as its neighbours are?")
	case n.text == "<<" && p.s[start] == '<':
		p.fail(start, noMerge, mergeHint)
	}
}

// mapping reads a block mapping whose first key has been read.
func (p *yamlReader) mapping(key *node, start int) *node {
	n := p.newNode(mappingKind, start)
	p.place(start)
	col := start - p.lineStart
	for {
		line, column := p.place(start)
		p.pos++ // the colon
		value := p.block(col, true)
		n.pairs = append(n.pairs, pair{key.text, line, column, value})
		n.size += value.size
		n.end = p.pos
		if !p.nextEntry(col, "value") || p.atItem() {
			return n
		}
		start = p.pos
		for props := (properties{start: -1}); ; {
			if c := p.s[p.pos]; c == '&' || c == '!' {
				p.property(&props)
				if p.skip() || p.pos == len(p.s) {
					p.fail(start, "expected a key", "")
				}
				continue
			}
			at := p.pos
			if c := p.s[at]; c == '[' || c == '{' {
				key = p.flowNode()
			} else {
				key = p.scalar(col - 1)
			}
			p.finish(key, props)
			if !p.atColon() {
				p.fail(at, "expected a key and a colon", "")
			}
			p.checkKey(key, at)
			break
		}
	}
}

func (p *yamlReader) atItem() bool { return p.s[p.pos] == '-' && isSpace(p.byteAt(p.pos+1)) }

// nextEntry goes to the next entry of a collection at that column and reports whether there is one.
func (p *yamlReader) nextEntry(col int, what string) bool {
	p.skip()
	switch at := p.col(); {
	case p.pos == len(p.s) || p.marker("---") || p.marker("..."):
		return false
	case strings.Trim(p.s[p.pos-at:p.pos], " ") != "": // not the first of its line
		p.fail(p.pos, "unexpected text after the "+what, "")
	case at > col:
		p.fail(p.pos, "unexpected indentation", "indent it as its neighbours are")
	}
	return p.col() == col
}

func (p *yamlReader) sequence() *node {
	n := p.newNode(sequenceKind, p.pos)
	col := p.col()
	for {
		p.pos++ // the dash
		item := p.block(col, false)
		n.items = append(n.items, item)
		n.size += item.size
		n.end = p.pos
		if !p.nextEntry(col, "item") || !p.atItem() {
			return n
		}
	}
}

// scalar reads a quoted or plain scalar or an alias.
func (p *yamlReader) scalar(indent int) *node {
	switch c := p.s[p.pos]; c {
	case '*':
		return p.alias()
	case '"', '\'':
		return p.quoted(c)
	}
	return p.plain(indent)
}

// Flow style.

func (p *yamlReader) flowNode() *node {
	p.enter()
	defer func() { p.depth-- }()
	props := properties{start: -1}
	for p.pos < len(p.s) && (p.s[p.pos] == '&' || p.s[p.pos] == '!') {
		p.flow++
		p.property(&props)
		p.skip()
		p.flow--
	}
	switch p.byteAt(p.pos) {
	case '[':
		return p.finish(p.flowCollection(sequenceKind, ']'), props)
	case '{':
		return p.finish(p.flowCollection(mappingKind, '}'), props)
	case ',', ']', '}':
		return p.finish(p.newNode(nullKind, p.pos), props)
	}
	if p.pos == len(p.s) {
		p.fail(p.pos, "the document ends inside brackets", "")
	}
	return p.finish(p.scalar(-1), props)
}

func (p *yamlReader) flowCollection(k kind, end byte) *node {
	n := p.newNode(k, p.pos)
	p.flow++
	p.pos++
	for {
		p.skip()
		if p.byteAt(p.pos) == end {
			break
		}
		start := p.pos
		line, column := p.place(start)
		value := p.flowNode()
		if p.pos == start {
			p.fail(start, "expected a value", "")
		}
		p.skip()
		isKey := p.byteAt(p.pos) == ':'
		if k == mappingKind || isKey {
			entry := pair{key: p.flowKey(value, start), line: line, column: column}
			entry.value = p.flowValue(isKey)
			if k == mappingKind {
				n.pairs = append(n.pairs, entry)
				value = entry.value
			} else {
				value = &node{kind: mappingKind, pairs: []pair{entry}, line: line, column: column, start: start, end: p.pos, size: 1 + entry.value.size}
			}
		}
		if k == sequenceKind {
			n.items = append(n.items, value)
		}
		n.size += value.size
		p.skip()
		if p.byteAt(p.pos) == ',' {
			p.pos++
		} else if p.byteAt(p.pos) != end {
			if p.pos == len(p.s) {
				p.fail(n.start, fmt.Sprintf("%q is never closed", p.s[n.start]), "")
			}
			p.fail(p.pos, fmt.Sprintf("expected ',' or '%c'", end), "")
		}
	}
	p.pos++
	p.flow--
	n.end = p.pos
	return n
}

// flowKey returns the text of a node inside brackets that is a key.
func (p *yamlReader) flowKey(key *node, start int) string {
	if key.kind == mappingKind || key.kind == sequenceKind {
		p.fail(start, "a key must be a string, found "+key.kind.String(), "")
	}
	if key.text == "<<" && p.s[start] == '<' {
		p.fail(start, noMerge, mergeHint)
	}
	return key.text
}

// flowValue reads the value of a key inside brackets, a null if there is no colon.
func (p *yamlReader) flowValue(colon bool) *node {
	if !colon {
		return p.newNode(nullKind, p.pos)
	}
	p.pos++
	p.skip()
	return p.flowNode()
}
