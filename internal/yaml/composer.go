package yaml

import (
	"strings"

	"flink-entrypoint/internal/javatext"
)

type NodeKind uint8

const (
	ScalarNode NodeKind = iota
	SequenceNode
	MappingNode
)

// String returns what messages for people call a node of that kind.
func (k NodeKind) String() string { return [...]string{"a scalar", "a list", "a mapping"}[k] }

// A Node of the document, shared by all aliases of it.
type Node struct {
	Kind  NodeKind
	Flow  bool // a collection in brackets
	Plain bool // a scalar without quotes
	Block bool // a literal or folded scalar
	Tag   string
	Text  string // of a scalar
	Items []*Node
	Pairs []Pair
	Start Mark // of its anchor or tag, or else of its content
	// Content is where the value begins: after an anchor or tag; for an empty value, after its colon or dash.
	Content Mark

	open, recursive bool
	building, built bool
	size            int // nodes below it and itself, aliases counted in full
	Value           *Value
	End             int // of its last token, in bytes of the text
}

// Get returns the value of a mapping's key, nil when it has none.
func (n *Node) Get(key string) *Node {
	for i := range n.Pairs {
		if n.Pairs[i].Key.Text == key {
			return n.Pairs[i].Value
		}
	}
	return nil
}

// A Pair is one entry of a mapping.
type Pair struct {
	Key, Value *Node
	Start      Mark // of '?' or the key
	End        int  // of the last token of the value, in bytes of the text
}

// A Link is an anchor or alias in the text.
type Link struct {
	At     int // offset in bytes of the text
	Alias  bool
	Target *Node
}

// A composer builds nodes from tokens with the grammar of snakeyaml-engine's ParserImpl and the checks of its
// Composer. Recursive descent takes the place of its state machine; tokens are asked for in the same order.
type composer struct {
	*scanner
	handles  map[string]string // %TAG
	anchors  map[string]*Node
	links    []Link
	aliases  int // of collections
	aliased  int // nodes that aliases added
	depth    int
	open     int   // block collections
	lastEnd  Mark  // where the last real token ended
	blocks   []int // where block scalars end
	docEnd   int   // where the first "..." begins, -1 without one
	explicit bool  // the document begins with "---"
}

const (
	tagPrefix = "tag:yaml.org,2002:"

	TagStr   = tagPrefix + "str"
	TagNull  = tagPrefix + "null"
	TagBool  = tagPrefix + "bool"
	TagInt   = tagPrefix + "int"
	TagFloat = tagPrefix + "float"
	TagSeq   = tagPrefix + "seq"
	TagMap   = tagPrefix + "map"
	TagSet   = tagPrefix + "set"
	TagBin   = tagPrefix + "binary"
	TagEnv   = "!ENV_VARIABLE"
)

// document reads the one document that there may be, or returns nil.
func (c *composer) document() *Node {
	if c.strict {
		return c.strictDocument()
	}
	var root *Node
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
		return nil
	}
	if t := c.peekToken(); t.kind == tokDocumentEnd {
		c.docEnd = t.start.Offset
		c.next()
	} else if t.kind == tokDirective {
		panic(markedError(noContext, nil, "expected '<document end>' before directives, but found '<directive>'", t.start, ""))
	}
	for c.check(tokDocumentEnd) {
		c.next()
	}
	if second := c.peekToken().start; c.startDocument() {
		panic(markedError("expected a single document in the stream", &root.Start, "but found another document", second, ""))
	}
	return root
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
	c.lastEnd = t.end
	return t
}

func (c *composer) empty(at Mark) *Node {
	return &Node{Kind: ScalarNode, Plain: true, Tag: TagNull, Start: at, Content: at, End: at.Offset, size: 1}
}

// node reads the next node; indentless is the value of a key.
func (c *composer) node(block, indentless bool, parent *Node) *Node {
	if parent != nil {
		parent.open = true
		defer func() { parent.open = false }()
	}
	before := c.lastEnd
	if c.depth++; c.depth > c.options.Depth {
		at := before
		if !block {
			at = c.peekToken().start
		}
		panic((&Error{Reason: "nested too deeply", Java: &javatext.Exception{Class: javatext.StackOverflow, Message: "null"}, Mark: c.Mark, NoPlace: true}).as(TooDeep, at, itoa(c.options.Depth)))
	}
	defer func() { c.depth-- }()
	sameLine := indentless && c.peekToken().start.Line == before.Line
	if c.check(tokAlias) {
		start := c.peekToken().start
		n := c.alias()
		if c.strict && block {
			c.refuseColon(n, start, sameLine)
		}
		return n
	}
	n := &Node{size: 1}
	var anchor, tag *token
	var end Mark
	for i := range 2 {
		if anchor == nil && c.check(tokAnchor) {
			t := c.take1()
			anchor = &t
		} else if tag == nil && c.check(tokTag) {
			t := c.take1()
			tag = &t
		} else {
			break
		}
		if i == 0 {
			n.Start = firstOf(anchor, tag).start
		}
		end = c.endMark(anchor, tag)
	}
	explicit := c.tag(n, tag)
	if anchor == nil && tag == nil {
		n.Start = c.peekToken().start
		end = n.Start
	}
	t := c.peekToken()
	n.Content = t.start
	sameLine = sameLine && t.start.Line == before.Line
	register := func() {
		if anchor != nil {
			c.anchors[anchor.value] = n
			c.links = append(c.links, Link{At: anchor.start.Offset, Target: n})
		}
	}
	collection := func(kind NodeKind, tag string, flow bool) {
		n.Kind, n.Flow = kind, flow
		if explicit == "" {
			n.Tag = tag
		}
		if !c.strict { // by the strict rules it cannot contain itself
			register()
		}
	}
	empty := c.strict && block && !c.belongs(t, parent, indentless)
	switch {
	case empty:
	case indentless && t.kind == tokBlockEntry:
		collection(SequenceNode, TagSeq, false)
		c.indentless(n)
	case t.kind == tokScalar:
		s := c.take1()
		if s.block {
			c.blocks = append(c.blocks, s.end.Offset)
		}
		n.Text, n.Plain, n.Block = s.value, s.plain, s.block
		switch {
		case explicit != "":
		case s.plain && tag == nil:
			n.Tag = Resolve(s.value)
		default:
			n.Tag = TagStr
		}
		if !c.strict {
			register()
		}
	case t.kind == tokFlowSequenceStart:
		collection(SequenceNode, TagSeq, true)
		c.flowSequence(n)
	case t.kind == tokFlowMappingStart:
		collection(MappingNode, TagMap, true)
		c.flowMapping(n)
	case block && t.kind == tokBlockSequenceStart:
		collection(SequenceNode, TagSeq, false)
		c.blockSequence(n)
	case block && t.kind == tokBlockMappingStart:
		collection(MappingNode, TagMap, false)
		c.blockMapping(n)
	case c.strict && !endsNode(t.kind, block):
		panic(c.unexpected(t, block))
	default:
		empty = true
	}
	if empty {
		if anchor == nil && tag == nil {
			if c.strict {
				panic(c.unexpected(t, block))
			}
			context := "while parsing a flow node"
			if block {
				context = "while parsing a block node"
			}
			panic(markedError(context, &n.Start, "expected the node content, but found '"+t.kind.String()+"'", t.start, ""))
		}
		switch {
		case block && (parent != nil || c.explicit):
			n.Content = before
		case block:
			n.Content = n.Start
		}
		if explicit == "" {
			n.Tag = TagNull
			if tag != nil { // the non-specific tag "!"
				n.Tag = TagStr
			}
		}
		register()
		n.End = end.Offset
		return n
	}
	n.End = c.lastEnd.Offset
	if c.strict {
		if tag != nil && n.Kind != ScalarNode {
			panic(strictError(MisplacedTag, n.Start, n.Kind.String()))
		}
		register()
		if block && (n.Flow || n.Kind == ScalarNode && !n.Block) {
			start := n.Content
			if end.Line == start.Line {
				start = n.Start
			}
			c.refuseColon(n, start, sameLine)
		}
	}
	return n
}

func firstOf(a, b *token) *token {
	if a != nil {
		return a
	}
	return b
}

func (c *composer) endMark(anchor, tag *token) Mark {
	switch {
	case anchor == nil:
		return tag.end
	case tag == nil || anchor.end.Offset > tag.end.Offset:
		return anchor.end
	}
	return tag.end
}

// tag sets n's explicit tag and returns it, "" where the tag is to be found by other means.
func (c *composer) tag(n *Node, t *token) string {
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
			panic(markedError("while parsing a node", &n.Start, "found undefined tag handle "+t.handle, t.start, "found undefined tag handle"))
		}
		name = prefix + name
	}
	if name == "!" {
		return ""
	}
	if javatext.Trim(name) != name {
		panic(plainError(javatext.IllegalArgument, "Tag must not contain leading or trailing spaces.", "", t.start))
	}
	n.Tag = uriEncode(name)
	return n.Tag
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

func (c *composer) alias() *Node {
	t := c.take1()
	n := c.anchors[t.value]
	if n == nil {
		panic(markedError("", nil, "found undefined alias "+t.value, t.start, "found undefined alias").as(UndefinedAlias, t.start, t.value))
	}
	if c.aliased += n.size; c.options.Aliased > 0 && c.aliased > c.options.Aliased {
		panic(strictError(TooManyAliased, t.start, itoa(c.options.Aliased)))
	}
	if n.Kind != ScalarNode {
		if c.aliases++; c.options.Aliases > 0 && c.aliases > c.options.Aliases {
			panic(plainError(EngineException, "Number of aliases for non-scalar nodes exceeds the specified max="+itoa(c.options.Aliases), "", t.start))
		}
	}
	if n.open {
		n.recursive = true
	}
	c.links = append(c.links, Link{At: t.start.Offset, Alias: true, Target: n})
	return n
}

func (n *Node) addItem(item *Node) {
	n.Items = append(n.Items, item)
	n.size += item.size
}

func (n *Node) addPair(p Pair) {
	n.Pairs = append(n.Pairs, p)
	n.size += p.Value.size
}

func (c *composer) indentless(n *Node) {
	for c.check(tokBlockEntry) {
		t := c.take1()
		if c.check(tokBlockEntry, tokKey, tokValue, tokBlockEnd) || c.isOutside(n, false) {
			n.addItem(c.empty(t.end))
		} else {
			n.addItem(c.node(true, false, n))
		}
		c.checkNext(n, "item")
	}
	c.peekToken()
}

func (c *composer) blockSequence(n *Node) {
	start := c.next().start
	c.open++
	for c.check(tokBlockEntry) {
		t := c.take1()
		if c.check(tokBlockEntry, tokBlockEnd) || c.isOutside(n, false) {
			n.addItem(c.empty(t.end))
		} else {
			n.addItem(c.node(true, false, n))
		}
		c.checkNext(n, "item")
	}
	c.endBlock("while parsing a block collection", start)
}

func (c *composer) endBlock(context string, start Mark) {
	if t := c.peekToken(); t.kind != tokBlockEnd {
		if c.strict {
			panic(c.stray(t))
		}
		panic(markedError(context, &start, "expected <block end>, but found '"+t.kind.String()+"'", t.start, ""))
	}
	c.next()
	c.open--
}

func (c *composer) blockMapping(n *Node) {
	start := c.next().start
	c.open++
	for c.check(tokKey) {
		t := c.next()
		if t.end.Offset > t.start.Offset { // '?', not the virtual token of a simple key
			c.lastEnd = t.end
		}
		p := Pair{Start: t.start}
		switch {
		case c.strict:
			p.Key = c.blockKey(n)
		case c.check(tokKey, tokValue, tokBlockEnd):
			p.Key = c.empty(t.end)
		default:
			p.Key = c.node(true, true, n)
		}
		if c.check(tokValue) {
			t := c.take1()
			if c.check(tokKey, tokValue, tokBlockEnd) || c.isOutside(n, true) {
				p.Value = c.empty(t.end)
			} else {
				p.Value = c.node(true, true, n)
			}
		} else if c.check(tokScalar) {
			p.Value = c.node(true, true, n)
		} else {
			p.Value = c.empty(c.peekToken().start)
		}
		p.End = c.lastEnd.Offset
		n.addPair(p)
		c.checkNext(n, "value")
	}
	if c.strict && !c.check(tokBlockEnd, tokBlockEntry) {
		panic(c.noKey())
	}
	c.endBlock("while parsing a block mapping", start)
}

func (c *composer) flowSequence(n *Node) {
	start := c.take1().start
	for first := true; !c.check(tokFlowSequenceEnd); first = false {
		if !first {
			c.flowEntry("while parsing a flow sequence", "]", start)
		}
		if c.check(tokKey) {
			n.addItem(c.flowPair(n))
		} else if !c.check(tokFlowSequenceEnd) {
			start := c.peekToken().start
			item := c.node(false, false, n)
			if c.strict && c.check(tokValue) {
				item = c.pairOf(item, start)
			}
			n.addItem(item)
		} else {
			break
		}
	}
	c.take1()
}

func (c *composer) flowEntry(context, closing string, start Mark) {
	if t := c.peekToken(); t.kind != tokFlowEntry {
		if c.strict {
			panic(c.noComma(t, closing, start))
		}
		panic(markedError(context, &start, "expected ',' or '"+closing+"', but got "+t.kind.String(), t.start, ""))
	}
	c.take1()
}

// flowPair reads a mapping of one entry without braces inside a flow sequence: [a: b].
func (c *composer) flowPair(parent *Node) *Node {
	parent.open = true
	defer func() { parent.open = false }()
	t := c.next()
	n := &Node{Kind: MappingNode, Tag: TagMap, Flow: true, Start: t.start, Content: t.start, size: 1}
	p := Pair{Start: t.start}
	if c.check(tokValue, tokFlowEntry, tokFlowSequenceEnd) {
		p.Key = c.empty(t.end)
	} else {
		p.Key = c.node(false, false, n)
	}
	p.Value = c.flowValue(n, tokFlowSequenceEnd)
	p.End = c.lastEnd.Offset
	n.addPair(p)
	n.End = p.End
	return n
}

func (c *composer) flowValue(n *Node, closing tokenKind) *Node {
	if !c.check(tokValue) {
		return c.empty(c.peekToken().start)
	}
	t := c.take1()
	switch {
	case c.strict && c.check(tokFlowEntry, tokFlowSequenceEnd, tokFlowMappingEnd):
		return c.empty(c.peekToken().start)
	case c.check(tokFlowEntry, closing):
		return c.empty(t.end)
	}
	return c.node(false, false, n)
}

func (c *composer) flowMapping(n *Node) {
	start := c.take1().start
	for first := true; !c.check(tokFlowMappingEnd); first = false {
		if !first {
			c.flowEntry("while parsing a flow mapping", "}", start)
		}
		p := Pair{Start: c.peekToken().start}
		if c.check(tokKey) {
			t := c.next()
			if c.check(tokValue, tokFlowEntry, tokFlowMappingEnd) {
				p.Key = c.empty(t.end)
			} else {
				p.Key = c.node(false, false, n)
			}
			p.Value = c.flowValue(n, tokFlowMappingEnd)
		} else if !c.check(tokFlowMappingEnd) {
			p.Key = c.node(false, false, n)
			if c.strict {
				c.checkKey(p.Key, p.Start)
				p.Value = c.flowValue(n, tokFlowMappingEnd)
			} else {
				p.Value = c.empty(c.peekToken().start)
			}
		} else {
			break
		}
		p.End = c.lastEnd.Offset
		n.addPair(p)
	}
	c.take1()
}

// Resolve gives a plain scalar its tag: YAML 1.2 core schema as snakeyaml-engine's CoreScalarResolver has it.
func Resolve(s string) string {
	if s == "" {
		return TagNull
	}
	switch c := s[0]; {
	case c == 't' || c == 'T' || c == 'f' || c == 'F':
		switch s {
		case "true", "True", "TRUE", "false", "False", "FALSE":
			return TagBool
		}
	case c == '~' || c == 'n' || c == 'N' || c == ' ':
		switch s {
		case "~", "null", "Null", "NULL", " ":
			return TagNull
		}
	case c == '$':
		if isEnvironmentTemplate(s) {
			return TagEnv
		}
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		if isCoreInt(s) {
			return TagInt
		}
		if isCoreFloat(s) {
			return TagFloat
		}
	}
	return TagStr
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
