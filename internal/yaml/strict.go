package yaml

import (
	"strings"
)

// What the strict rules add to the scanner and the composer; [Options.Strict] lists how they differ.

const flowIndicators = ",[]{}"

func (s *scanner) strictFlow() bool { return s.strict && s.flow > 0 }

// fetchStrict fetches tokens. One that cannot be read becomes a token of its own, since the scanner is ahead of the
// composer, which may find a fault before it.
func (s *scanner) fetchStrict() {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			s.put(token{kind: tokFault, start: s.begin, end: s.begin, fault: p})
			s.done = true
		default:
			panic(p)
		}
	}()
	s.fetch()
}

// indentation returns what is before the mark on its line if that is blank.
func (r *reader) indentation(m Mark) (blanks string, first bool) {
	blanks = r.text[m.Offset-m.Column : m.Offset] // begins later in a line that holds characters of several bytes
	return blanks, strings.Trim(blanks, " \t") == ""
}

// checkIndentation refuses tabs before the first token of a line.
func (s *scanner) checkIndentation() {
	if s.Line == s.checked {
		return
	}
	s.checked = s.Line
	blanks, first := s.indentation(s.Mark)
	if tab := strings.IndexByte(blanks, '\t'); first && tab >= 0 && s.flow == 0 && s.peek(0) != 0 {
		at := s.Mark
		at.Column = tab
		panic(strictError(TabIndentation, at, ""))
	}
}

// dropOvertakenKey forgets a key candidate that something other than its colon follows.
func (s *scanner) dropOvertakenKey() {
	if s.flow == 0 && afterNode(s.last) && !(s.peek(0) == ':' && s.isValue()) {
		s.keys = s.keys[:0]
	}
}

// afterNode reports whether a node ends with the token.
func afterNode(k tokenKind) bool {
	return k == tokScalar || k == tokAlias || k == tokFlowSequenceEnd || k == tokFlowMappingEnd
}

// isValue reports whether the colon here ends a key.
func (s *scanner) isValue() bool {
	next := s.peek(1)
	switch {
	case s.flow == 0:
		return blank(next)
	case !s.strict:
		return true
	}
	return afterNode(s.last) || blank(next) || oneOf(flowIndicators, next)
}

// word takes what is up to a blank or flow indicator.
func (s *scanner) word() string {
	n := 0
	for c := s.peek(0); !blank(c) && !oneOf(flowIndicators, c); c = s.peek(n) {
		n++
	}
	return s.take(n)
}

// afterProperty refuses what follows an anchor or tag at once.
func (s *scanner) afterProperty() {
	if s.flow == 0 && !blank(s.peek(0)) {
		panic(strictError(NoBlank, s.Mark, ""))
	}
}

// strictDocument is [composer.document] by the strict rules.
func (c *composer) strictDocument() (root *Node) {
	if c.check(tokDocumentStart) {
		c.take1()
		c.explicit = true
	}
	if !c.check(tokDocumentStart, tokDocumentEnd, tokStreamEnd) {
		root = c.node(true, false, nil)
	}
	if c.check(tokDocumentEnd) {
		c.docEnd = c.next().start.Offset
	}
	switch t := c.peekToken(); {
	case t.kind == tokDocumentStart:
		panic(strictError(SecondDocument, t.start, ""))
	case t.kind != tokStreamEnd:
		c.refuseTab(t)
		panic(strictError(UnexpectedText, t.start, ""))
	}
	return root
}

// belongs reports whether the token is indented deep enough to begin a node below parent; a list may be as deep as the
// key that it is the value of.
func (c *composer) belongs(t *token, parent *Node, ofKey bool) bool {
	return parent == nil || t.start.Column > parent.Content.Column || ofKey && t.kind == tokBlockEntry && t.start.Column == parent.Content.Column
}

func (c *composer) isOutside(parent *Node, ofKey bool) bool {
	return c.strict && !c.belongs(c.peekToken(), parent, ofKey)
}

// endsNode reports whether a node of an anchor or tag alone may end before the token.
func endsNode(k tokenKind, block bool) bool {
	switch k {
	case tokFault, tokAlias, tokAnchor, tokTag, tokBlockEntry:
		return false
	case tokValue, tokStreamEnd:
		return block
	}
	return true
}

// unexpected says why no node begins with the token.
func (c *composer) unexpected(t *token, block bool) *Error {
	switch {
	case t.kind == tokFault && t.fault.Fault == ColonInValue, t.kind == tokValue:
		return strictError(UnexpectedCharacter, t.start, ":")
	case t.kind == tokFault:
		return t.fault
	case t.kind == tokAlias && c.anchors[t.value] == nil:
		return strictError(UndefinedAlias, t.start, t.value)
	case t.kind == tokAlias, t.kind == tokAnchor, t.kind == tokTag:
		return strictError(SecondProperty, t.start, "")
	case t.kind == tokStreamEnd:
		return strictError(EndInBrackets, t.start, "")
	case block:
		return strictError(UnexpectedText, t.start, "")
	}
	return strictError(ValueMissing, t.start, "")
}

func (c *composer) refuseTab(t *token) {
	if t.kind == tokFault && t.fault.Fault == TabIndentation {
		panic(t.fault)
	}
}

// checkNext looks at what follows an entry of a block collection: it must begin a line and be no deeper.
func (c *composer) checkNext(n *Node, entry string) {
	if !c.strict {
		return
	}
	t := c.peekToken()
	c.refuseTab(t)
	if _, first := c.indentation(t.start); !first && t.start.Offset < len(c.text) {
		panic(strictError(TextAfterEntry, t.start, entry))
	}
	if t.start.Column > n.Content.Column && t.kind != tokBlockEnd {
		panic(strictError(UnexpectedIndentation, t.start, ""))
	}
}

// stray says what is wrong with an entry that does not fit its collection: a list's among keys, or the reverse.
func (c *composer) stray(t *token) *Error {
	if c.open > 1 {
		return strictError(UnexpectedIndentation, t.start, "")
	}
	return strictError(UnexpectedText, t.start, "")
}

// blockKey reads a key, which is as deep as its mapping.
func (c *composer) blockKey(n *Node) *Node {
	c.depth--
	start := c.peekToken().start
	key := c.node(false, false, n)
	c.depth++
	c.checkKey(key, start)
	return key
}

// checkKey refuses a key that is not a string, or would merge. An alias is at start, and its node elsewhere.
func (c *composer) checkKey(key *Node, start Mark) {
	switch {
	case key.Kind != ScalarNode:
		panic(strictError(KeyNode, start, key.Kind.String()))
	case key.Plain && key.Text == "<<" && key.Start == start:
		panic(strictError(MergeKey, start, ""))
	}
}

// noKey says what is wrong with an entry of a block mapping that is not a key with a colon.
func (c *composer) noKey() *Error {
	t := c.peekToken()
	first := t.start
	for c.check(tokAnchor, tokTag) {
		line := c.take1().end.Line
		if t = c.peekToken(); t.start.Line > line || t.start.Offset == len(c.text) {
			return strictError(KeyMissing, first, "")
		}
	}
	start := t.start
	bad := t.kind == tokScalar && t.block
	if t.kind == tokFault {
		f := t.fault.Fault
		bad = f == KeyMark || f == ListPlace || f == BlockHeader
	}
	if bad { // an indicator that begins values
		return strictError(UnexpectedCharacter, start, c.text[start.Offset:start.Offset+1])
	}
	n := c.node(false, false, nil)
	if c.colon() != nil {
		return c.badKey(n, start)
	}
	return strictError(NoKey, start, "")
}

// colon returns the fault of a colon that follows on the same line and would make a key of what is before it, or nil.
func (c *composer) colon() *Error {
	c.fill()
	for _, t := range c.queue[c.head:] {
		if t.kind == tokFault && t.fault.Fault == ColonInValue && t.start.Line == c.lastEnd.Line {
			return t.fault
		} else if t.kind != tokBlockEnd { // of a collection that is deeper than the colon
			break
		}
	}
	return nil
}

func (c *composer) badKey(n *Node, start Mark) *Error {
	if n.Kind != ScalarNode {
		return strictError(KeyNode, start, n.Kind.String())
	}
	return strictError(KeyLines, start, "")
}

// refuseColon refuses a colon that makes a key of a node that cannot be one.
func (c *composer) refuseColon(n *Node, start Mark, inValue bool) {
	switch {
	case c.colon() == nil:
	case inValue:
		panic(c.colon())
	default:
		panic(c.badKey(n, start))
	}
}

// noComma says what is wrong where neither a comma nor the closing bracket follows an entry.
func (c *composer) noComma(t *token, closing string, start Mark) *Error {
	if t.kind == tokStreamEnd {
		return strictError(UnclosedBracket, start, c.text[start.Offset:start.Offset+1])
	}
	return strictError(CommaMissing, t.start, closing)
}

// pairOf reads the rest of a mapping of one entry inside brackets, whose key is read.
func (c *composer) pairOf(key *Node, start Mark) *Node {
	c.checkKey(key, start)
	n := &Node{Kind: MappingNode, Tag: TagMap, Flow: true, Start: start, Content: start, size: 1}
	p := Pair{Key: key, Start: start, Value: c.flowValue(n, tokFlowSequenceEnd), End: c.lastEnd.Offset}
	n.addPair(p)
	n.End = p.End
	return n
}
