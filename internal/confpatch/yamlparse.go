package confpatch

import (
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	sequenceNode
	mappingNode
)

// A node of the document, shared by all aliases of it.
type node struct {
	kind  nodeKind
	flow  bool // a collection in brackets
	tag   string
	text  string // of a scalar
	items []*node
	pairs []pair
	start mark

	open, recursive bool
	building, built bool
	value           *value
	begin, finish   int // extent in code points, properties included
}

// A pair is one entry of a mapping.
type pair struct {
	key, value   *node
	begin, end   int // extent in code points: from '?' or the key to the last token of the value
	line, column int // of its begin
}

// A link is an anchor or alias in the text.
type link struct {
	at     int // code point
	alias  bool
	target *node
}

// A composer builds nodes from tokens with the grammar of snakeyaml-engine's ParserImpl and the checks of its
// Composer. Recursive descent takes the place of its state machine; tokens are asked for in the same order.
type composer struct {
	*scanner
	handles  map[string]string // %TAG
	anchors  map[string]*node
	links    []link
	aliases  int // of collections
	depth    int
	lastEnd  int   // where the last real token ended
	blocks   []int // where block scalars end
	docEnd   int   // where the first "..." begins, -1 if there is none
	explicit bool  // the document begins with "---"
}

const (
	maxAliases = 50 // LoadSettings.maxAliasesForCollections
	// Java's stack ends somewhere above 1,000 levels, depending on the thread and the JIT compiler; ours is pinned.
	maxDepth  = 1000
	tagPrefix = "tag:yaml.org,2002:"

	tagStr   = tagPrefix + "str"
	tagNull  = tagPrefix + "null"
	tagBool  = tagPrefix + "bool"
	tagInt   = tagPrefix + "int"
	tagFloat = tagPrefix + "float"
	tagSeq   = tagPrefix + "seq"
	tagMap   = tagPrefix + "map"
	tagSet   = tagPrefix + "set"
	tagBin   = tagPrefix + "binary"
	tagEnv   = "!ENV_VARIABLE"
)

// compose reads the one document there may be; nil if there is none.
func compose(r *reader) (*node, *composer) {
	c := &composer{scanner: newScanner(r), anchors: map[string]*node{}, docEnd: -1}
	var root *node
	switch {
	case !c.check(tokDirective, tokDocumentStart, tokStreamEnd):
		root = c.node(true, false, nil)
	case c.startDocument():
		c.explicit = true
		if c.check(tokDirective, tokDocumentStart, tokDocumentEnd, tokStreamEnd) {
			root = c.empty(c.peekToken().start)
		} else {
			root = c.node(true, false, nil)
		}
	default:
		return nil, c
	}
	if t := c.peekToken(); t.kind == tokDocumentEnd {
		c.docEnd = t.start.idx
		c.next()
	} else if t.kind == tokDirective {
		panic(markedError(noContext, nil, "expected '<document end>' before directives, but found '<directive>'", t.start, ""))
	}
	for c.check(tokDocumentEnd) {
		c.next()
	}
	if second := c.peekToken().start; c.startDocument() {
		panic(markedError("expected a single document in the stream", &root.start, "but found another document", second, ""))
	}
	return root, c
}

// startDocument reads directives and "---"; false at the end of the stream.
func (c *composer) startDocument() bool {
	if c.check(tokStreamEnd) {
		return false
	}
	c.handles = map[string]string{}
	version := false
	for c.check(tokDirective) {
		t := c.next()
		switch {
		case t.hasHandle:
			if _, twice := c.handles[t.handle]; twice {
				panic(markedError(noContext, nil, "duplicate tag handle "+t.handle, t.start, ""))
			}
			c.handles[t.handle] = strings.TrimPrefix(t.value, "TAG ")
		case t.value == "YAML":
			if version {
				panic(markedError(noContext, nil, "found duplicate YAML directive", t.start, ""))
			}
			version = true
			if t.major != 1 {
				panic(plainError("org.snakeyaml.engine.v2.exceptions.YamlVersionException",
					"Version{major="+itoa(t.major)+", minor="+itoa(t.minor)+"}", "unknown YAML version", t.start))
			}
		}
	}
	if t := c.peekToken(); t.kind != tokDocumentStart {
		panic(markedError(noContext, nil, "expected '<document start>', but found '"+t.kind.String()+"'", t.start, ""))
	}
	c.take1()
	return true
}

// take1 consumes a token that is really in the text.
func (c *composer) take1() token {
	t := c.next()
	c.lastEnd = t.end.idx
	return t
}

func (c *composer) empty(at mark) *node {
	return &node{kind: scalarNode, tag: tagNull, start: at, begin: at.idx, finish: at.idx}
}

func (c *composer) node(block, indentless bool, parent *node) *node {
	if parent != nil {
		parent.open = true
		defer func() { parent.open = false }()
	}
	if c.depth++; c.depth > maxDepth {
		panic(&yamlError{reason: "nested too deeply", flink: &flinkconf.Error{Class: stackOverflow, Message: "null"}, mark: c.mark, noMark: true})
	}
	defer func() { c.depth-- }()
	if c.check(tokAlias) {
		return c.alias()
	}
	n := &node{}
	var anchor, tag *token
	var end mark
	for range 2 {
		if anchor == nil && c.check(tokAnchor) {
			t := c.take1()
			anchor = &t
		} else if tag == nil && c.check(tokTag) {
			t := c.take1()
			tag = &t
		} else {
			break
		}
		if anchor == nil || tag == nil {
			n.start = firstOf(anchor, tag).start
		}
		end = c.endMark(anchor, tag)
	}
	explicit := c.tag(n, tag)
	if anchor == nil && tag == nil {
		n.start = c.peekToken().start
		end = n.start
	}
	n.begin = n.start.idx
	t := c.peekToken()
	register := func() {
		if anchor != nil {
			c.anchors[anchor.value] = n
			c.links = append(c.links, link{at: anchor.start.idx, target: n})
		}
	}
	collection := func(kind nodeKind, tag string, flow bool) {
		n.kind, n.flow = kind, flow
		if explicit == "" {
			n.tag = tag
		}
		register()
	}
	switch {
	case indentless && t.kind == tokBlockEntry:
		collection(sequenceNode, tagSeq, false)
		c.indentless(n)
	case t.kind == tokScalar:
		s := c.take1()
		if s.block {
			c.blocks = append(c.blocks, s.end.idx)
		}
		n.text = s.value
		switch {
		case explicit != "":
		case s.plain && tag == nil:
			n.tag = resolve(s.value)
		default:
			n.tag = tagStr
		}
		register()
	case t.kind == tokFlowSequenceStart:
		collection(sequenceNode, tagSeq, true)
		c.flowSequence(n)
	case t.kind == tokFlowMappingStart:
		collection(mappingNode, tagMap, true)
		c.flowMapping(n)
	case block && t.kind == tokBlockSequenceStart:
		collection(sequenceNode, tagSeq, false)
		c.blockSequence(n)
	case block && t.kind == tokBlockMappingStart:
		collection(mappingNode, tagMap, false)
		c.blockMapping(n)
	case anchor != nil || tag != nil:
		if explicit == "" {
			n.tag = tagNull
			if tag != nil { // the non-specific tag "!"
				n.tag = tagStr
			}
		}
		register()
		n.finish = end.idx
		return n
	default:
		context := "while parsing a flow node"
		if block {
			context = "while parsing a block node"
		}
		panic(markedError(context, &n.start, "expected the node content, but found '"+t.kind.String()+"'", t.start, ""))
	}
	n.finish = c.lastEnd
	return n
}

func firstOf(a, b *token) *token {
	if a != nil {
		return a
	}
	return b
}

func (c *composer) endMark(anchor, tag *token) mark {
	switch {
	case anchor == nil:
		return tag.end
	case tag == nil || anchor.end.idx > tag.end.idx:
		return anchor.end
	}
	return tag.end
}

// tag sets n's explicit tag and returns it, "" where the tag is to be found by other means.
func (c *composer) tag(n *node, t *token) string {
	if t == nil {
		return ""
	}
	name := t.value
	if t.hasHandle {
		prefix, known := c.handles[t.handle]
		if !known {
			switch t.handle {
			case "!":
				prefix, known = "!", true
			case "!!":
				prefix, known = tagPrefix, true
			}
		}
		if !known {
			panic(markedError("while parsing a node", &n.start, "found undefined tag handle "+t.handle, t.start, "found undefined tag handle"))
		}
		name = prefix + name
	}
	if name == "!" {
		return ""
	}
	if javaTrim(name) != name {
		panic(plainError(flinkconf.IllegalArgument, "Tag must not contain leading or trailing spaces.", "", t.start))
	}
	n.tag = uriEncode(name)
	return n.tag
}

// uriEncode is what snakeyaml-engine does to tags, e.g. for its messages.
func uriEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if wordChar(rune(c)) || strings.IndexByte(".!~*'()@:$&,;=[]/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func (c *composer) alias() *node {
	t := c.take1()
	n := c.anchors[t.value]
	if n == nil {
		panic(markedError("", nil, "found undefined alias "+t.value, t.start, "found undefined alias"))
	}
	if n.kind != scalarNode {
		if c.aliases++; c.aliases > maxAliases {
			panic(plainError(yamlEngineException, "Number of aliases for non-scalar nodes exceeds the specified max="+itoa(maxAliases), "", t.start))
		}
	}
	if n.open {
		n.recursive = true
	}
	c.links = append(c.links, link{at: t.start.idx, alias: true, target: n})
	return n
}

func (c *composer) indentless(n *node) {
	for c.check(tokBlockEntry) {
		t := c.take1()
		if c.check(tokBlockEntry, tokKey, tokValue, tokBlockEnd) {
			n.items = append(n.items, c.empty(t.end))
		} else {
			n.items = append(n.items, c.node(true, false, n))
		}
	}
	c.peekToken()
}

func (c *composer) blockSequence(n *node) {
	start := c.next().start
	for c.check(tokBlockEntry) {
		t := c.take1()
		if c.check(tokBlockEntry, tokBlockEnd) {
			n.items = append(n.items, c.empty(t.end))
		} else {
			n.items = append(n.items, c.node(true, false, n))
		}
	}
	c.endBlock("while parsing a block collection", start)
}

func (c *composer) endBlock(context string, start mark) {
	if t := c.peekToken(); t.kind != tokBlockEnd {
		panic(markedError(context, &start, "expected <block end>, but found '"+t.kind.String()+"'", t.start, ""))
	}
	c.next()
}

func (c *composer) blockMapping(n *node) {
	start := c.next().start
	for c.check(tokKey) {
		t := c.next()
		if t.end.idx > t.start.idx { // '?', not the virtual token of a simple key
			c.lastEnd = t.end.idx
		}
		p := pair{begin: t.start.idx, line: t.start.line + 1, column: t.start.col}
		if c.check(tokKey, tokValue, tokBlockEnd) {
			p.key = c.empty(t.end)
		} else {
			p.key = c.node(true, true, n)
		}
		if c.check(tokValue) {
			t := c.take1()
			if c.check(tokKey, tokValue, tokBlockEnd) {
				p.value = c.empty(t.end)
			} else {
				p.value = c.node(true, true, n)
			}
		} else if c.check(tokScalar) {
			p.value = c.node(true, true, n)
		} else {
			p.value = c.empty(c.peekToken().start)
		}
		p.end = c.lastEnd
		n.pairs = append(n.pairs, p)
	}
	c.endBlock("while parsing a block mapping", start)
}

func (c *composer) flowSequence(n *node) {
	start := c.take1().start
	for first := true; !c.check(tokFlowSequenceEnd); first = false {
		if !first {
			c.flowEntry("while parsing a flow sequence", "]", start)
		}
		if c.check(tokKey) {
			n.items = append(n.items, c.flowPair(n))
		} else if !c.check(tokFlowSequenceEnd) {
			n.items = append(n.items, c.node(false, false, n))
		} else {
			break
		}
	}
	c.take1()
}

func (c *composer) flowEntry(context, closing string, start mark) {
	if t := c.peekToken(); t.kind != tokFlowEntry {
		panic(markedError(context, &start, "expected ',' or '"+closing+"', but got "+t.kind.String(), t.start, ""))
	}
	c.take1()
}

// flowPair reads a mapping of one entry without braces inside a flow sequence: [a: b].
func (c *composer) flowPair(parent *node) *node {
	parent.open = true
	defer func() { parent.open = false }()
	t := c.peekToken()
	n := &node{kind: mappingNode, tag: tagMap, flow: true, start: t.start, begin: t.start.idx}
	p := pair{begin: t.start.idx}
	t1 := c.next()
	if c.check(tokValue, tokFlowEntry, tokFlowSequenceEnd) {
		p.key = c.empty(t1.end)
	} else {
		p.key = c.node(false, false, n)
	}
	p.value = c.flowValue(n, tokFlowSequenceEnd)
	n.pairs = []pair{p}
	n.finish = c.lastEnd
	return n
}

func (c *composer) flowValue(n *node, closing tokenKind) *node {
	if !c.check(tokValue) {
		return c.empty(c.peekToken().start)
	}
	t := c.take1()
	if c.check(tokFlowEntry, closing) {
		return c.empty(t.end)
	}
	return c.node(false, false, n)
}

func (c *composer) flowMapping(n *node) {
	start := c.take1().start
	for first := true; !c.check(tokFlowMappingEnd); first = false {
		if !first {
			c.flowEntry("while parsing a flow mapping", "}", start)
		}
		var p pair
		if c.check(tokKey) {
			t := c.next()
			p.begin = t.start.idx
			p.line = t.start.line + 1
			if c.check(tokValue, tokFlowEntry, tokFlowMappingEnd) {
				p.key = c.empty(t.end)
			} else {
				p.key = c.node(false, false, n)
			}
			p.value = c.flowValue(n, tokFlowMappingEnd)
		} else if !c.check(tokFlowMappingEnd) {
			p.line = c.peekToken().start.line + 1
			p.key = c.node(false, false, n)
			p.value = c.empty(c.peekToken().start)
		} else {
			break
		}
		p.end = c.lastEnd
		n.pairs = append(n.pairs, p)
	}
	c.take1()
}

// resolve gives a plain scalar its tag: YAML 1.2 core schema as snakeyaml-engine's CoreScalarResolver has it.
func resolve(s string) string {
	if s == "" {
		return tagNull
	}
	switch c := s[0]; {
	case c == 't' || c == 'T' || c == 'f' || c == 'F':
		switch s {
		case "true", "True", "TRUE", "false", "False", "FALSE":
			return tagBool
		}
	case c == '~' || c == 'n' || c == 'N' || c == ' ':
		switch s {
		case "~", "null", "Null", "NULL", " ":
			return tagNull
		}
	case c == '$':
		if isEnvironmentTemplate(s) {
			return tagEnv
		}
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		if isCoreInt(s) {
			return tagInt
		}
		if isCoreFloat(s) {
			return tagFloat
		}
	}
	return tagStr
}

func isCoreInt(s string) bool {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'o' || s[1] == 'x') {
		for _, c := range []byte(s[2:]) {
			if !(c >= '0' && c <= '7' || s[1] == 'x' && (c >= '8' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F')) {
				return false
			}
		}
		return true
	}
	s = cutSign(s)
	return s != "" && digits(s) == len(s)
}

func cutSign(s string) string {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:]
	}
	return s
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func isCoreFloat(s string) bool {
	switch s {
	case ".nan", ".NaN", ".NAN":
		return true
	}
	s = cutSign(s)
	switch s {
	case ".inf", ".Inf", ".INF":
		return true
	}
	whole := digits(s)
	s = s[whole:]
	if s != "" && s[0] == '.' {
		fraction := digits(s[1:])
		if whole == 0 && fraction == 0 {
			return false
		}
		s = s[1+fraction:]
	} else if whole == 0 {
		return false
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = cutSign(s[1:])
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

// isEnvironmentTemplate: ${NAME}, ${NAME:-default} and so on; Flink leaves them as they are.
func isEnvironmentTemplate(s string) bool {
	const space = " \t\n\x0B\f\r"
	s, ok := strings.CutPrefix(s, "${")
	if !ok {
		return false
	}
	s, ok = strings.CutSuffix(s, "}")
	if !ok {
		return false
	}
	s = strings.Trim(s, space)
	word := func() int {
		n := 0
		for n < len(s) && wordChar(rune(s[n])) && s[n] != '-' {
			n++
		}
		return n
	}
	n := word()
	if n == 0 {
		return false
	}
	s = s[n:]
	if s == "" {
		return true
	}
	s = strings.TrimPrefix(s, ":")
	if s == "" || s[0] != '-' && s[0] != '?' {
		return false
	}
	s = s[1:]
	return word() == len(s)
}
