package confpatch

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// A Change sets a key to a text, or deletes it. Source says for people where it comes from; it becomes a
// comment above the generated line and must not hold a secret.
type Change struct {
	Key    string
	Value  secret.Text
	Delete bool
	Source string
}

// The lines around what Render adds. A block of an earlier run is found by them and replaced.
const (
	blockBegin = "# >>> flink-entrypoint"
	blockEnd   = "# <<< flink-entrypoint"
)

// A RenderError says that a change cannot be expressed in the file's format. It never quotes the value.
type RenderError struct {
	File, Key, Reason string
}

// Error returns "FILE: KEY: REASON".
func (e *RenderError) Error() string { return e.File + ": " + e.Key + ": " + e.Reason }

// Render returns the file's bytes without the lines of the changed keys and with one generated block of flat
// "key: value" lines at the end, so that Flink reads from it what it read before (less what an earlier run
// generated), plus the changes. Of several changes of one key the last counts. header is a word to people in
// the block's first line. Rendering the result again with the same changes gives the same bytes; without
// changes the bytes stay as they are. The error is a [*RenderError].
func (f *File) Render(changes []Change, header string) ([]byte, error) {
	out, _, err := f.render(changes, header)
	return out, err
}

// render is Render; rewritten says that the layout was given up.
func (f *File) render(changes []Change, header string) (out []byte, rewritten bool, err error) {
	p := patch{File: f, header: header, keys: make(map[string]bool, len(changes)), eol: eolOf(f.text)}
	for i := len(changes) - 1; i >= 0; i-- {
		c := changes[i]
		if p.keys[c.Key] {
			continue
		}
		if reason := f.unfit(c); reason != "" {
			return nil, false, &RenderError{f.name, c.Key, reason}
		}
		p.keys[c.Key] = true
		if !c.Delete {
			p.sets = append(p.sets, c)
		}
	}
	slices.Reverse(p.sets)
	p.findBlocks()
	p.findOld()
	if f.format == Legacy {
		p.legacy()
	} else {
		p.standard()
	}
	text := p.apply()
	err = p.verify(text)
	if err != nil && f.format == Standard {
		// The layout is stranger than the patcher knows: give up the comments, not the meaning.
		text, rewritten = p.rewrite(), true
		err = p.verify(text)
	}
	if err != nil {
		return nil, rewritten, &RenderError{f.name, "(all keys)", "cannot be patched: " + err.Error()}
	}
	if text == f.text {
		return slices.Clone(f.src), false, nil
	}
	if f.format == Legacy {
		return []byte(text), rewritten, nil
	}
	return f.document.Encoding.Encode(text), rewritten, nil
}

// unfit says why a change cannot be written, "" if it can.
func (f *File) unfit(c Change) string {
	if c.Key == "" {
		return "a key must not be empty"
	}
	v := c.Value.Reveal()
	if !utf8.ValidString(c.Key) || !c.Delete && !utf8.ValidString(v) {
		return "is not valid UTF-8"
	}
	if f.format == Standard || c.Delete {
		return ""
	}
	switch {
	case javatext.Trim(c.Key) != c.Key, strings.ContainsAny(c.Key, "#\n\r"), strings.Contains(c.Key, ": "):
		return "the key cannot be written to " + f.name + ": it must not hold '#', ': ', a line break, or a blank at either end"
	case v == "":
		return "the value is empty, which " + f.name + " cannot hold (Flink ignores such a line)"
	case strings.Contains(v, "#"):
		return "the value holds '#', which " + f.name + " cannot hold (Flink cuts the line there); use config.yaml with Flink 1.19 or later"
	case strings.ContainsAny(v, "\n\r"):
		return "the value holds a line break, which " + f.name + " cannot hold"
	case javatext.Trim(v) != v:
		return "the value begins or ends with a blank, which " + f.name + " cannot hold (Flink trims it)"
	}
	return ""
}

func eolOf(text string) string {
	end, next := lineAt(text, 0)
	if end == next {
		return "\n"
	}
	return text[end:next]
}

// An edit replaces bytes of the text.
type edit struct {
	from, to int
	text     string
	column   int  // of the mapping whose entry is cut out
	sticky   bool // a block scalar ends where the edit begins
}

// A patch is one Render in the making.
type patch struct {
	*File
	header string
	keys   map[string]bool // changed or deleted
	sets   []Change
	eol    string
	old    map[string]int // winners among the leaves that no earlier run generated
	blocks [][2]int       // generated blocks
	edits  []edit
	indent string // of the root's entries
	flat   bool   // the root must stay a mapping although nothing is left in it
}

// findBlocks looks for the blocks of earlier runs.
func (p *patch) findBlocks() {
	from := -1
	if !strings.Contains(p.text, blockBegin) {
		return
	}
	for i := 0; i < len(p.text); {
		end, next := lineAt(p.text, i)
		line := strings.TrimLeft(p.text[i:end], " ")
		switch {
		case from < 0 && strings.HasPrefix(line, blockBegin):
			from = i
		case from >= 0 && strings.HasPrefix(line, blockEnd):
			if p.wholeEntries(from, next) {
				p.eol = p.text[end:next] // the first line of a file may have another end once a key is gone
				if end == next {
					p.eol = eolOf(p.text[from:])
				}
				p.blocks = append(p.blocks, [2]int{from, next})
			}
			from = -1
		}
		i = next
	}
}

// wholeEntries reports whether no entry reaches into or out of text[from:to], as one would that merely
// quotes our comments.
func (p *patch) wholeEntries(from, to int) bool {
	if p.format == Legacy || p.document.Root == nil {
		return true
	}
	if p.document.Root.Kind != yaml.MappingNode || p.document.Root.Flow {
		return !(p.document.Root.Start.Offset < to && p.document.Root.End > from)
	}
	for _, pair := range p.document.Root.Pairs {
		b, e := pair.Start.Offset, pair.End
		if b < from && e > from || b < to && e > to {
			return false
		}
	}
	return true
}

func (p *patch) generated(offset int) bool {
	for _, b := range p.blocks {
		if offset >= b[0] && offset < b[1] {
			return true
		}
	}
	return false
}

// findOld computes what the file says without the generated blocks.
func (p *patch) findOld() {
	p.old = make(map[string]int, len(p.winner))
	if len(p.blocks) == 0 {
		p.old = p.winner
		return
	}
	for i, l := range p.leaves {
		if !p.generatedLeaf(l) {
			p.old[l.key] = i
		}
	}
}

func (p *patch) generatedLeaf(l leaf) bool {
	if p.format == Legacy {
		return p.generated(p.File.legacy[l.line-1].begin)
	}
	return p.document.Root.Kind == yaml.MappingNode && !p.document.Root.Flow && p.generated(p.document.Root.Pairs[l.entry].Start.Offset)
}

func (p *patch) legacy() {
	for _, b := range p.blocks {
		p.edits = append(p.edits, edit{from: b[0], to: b[1]})
	}
	for _, line := range p.File.legacy {
		if p.keys[line.key] && line.key != "" && !p.generated(line.begin) {
			p.edits = append(p.edits, edit{from: line.begin, to: line.end})
		}
	}
}

// entryState is what happens to an entry of the root.
type entryState uint8

const (
	kept      entryState = iota
	trimmed              // lines inside it are cut out
	reemitted            // replaced by flat lines
)

func (p *patch) standard() {
	for _, b := range p.blocks {
		p.edits = append(p.edits, edit{from: b[0], to: b[1], column: -1})
	}
	affected := len(p.sets) > 0
	for key := range p.old {
		affected = affected || p.keys[key]
	}
	root := p.document.Root
	switch {
	case !affected:
	case root == nil:
	case root.Kind == yaml.ScalarNode || root.Tag == yaml.TagNull: // a null document
		p.edits = append(p.edits, edit{from: root.Start.Offset, to: root.End})
	case root.Flow || root.Kind != yaml.MappingNode:
		p.flowRoot()
	case len(root.Pairs) > 0:
		p.indent = strings.Repeat(" ", root.Pairs[0].Start.Column)
		p.blockRoot()
	}
}

func (p *patch) flowRoot() {
	from, to := p.document.Root.Start.Offset, p.document.Root.End
	var b strings.Builder
	if begin := p.lineBegin(from); strings.Trim(p.text[begin:from], " ") == "" {
		from = begin
	} else {
		b.WriteString(p.eol)
	}
	for i, l := range p.leaves {
		if p.old[l.key] == i && !p.keys[l.key] {
			p.line(&b, l)
		}
	}
	p.edits = append(p.edits, edit{from: from, to: to, text: b.String()})
}

func (p *patch) lineBegin(i int) int { return strings.LastIndexAny(p.text[:i], "\r\n") + 1 }

// lineAfter returns where the line ends that holds the last token before i; a block scalar has ended it.
func (p *patch) lineAfter(i int) int {
	if i > 0 && (p.text[i-1] == '\n' || p.text[i-1] == '\r') {
		return i
	}
	_, next := lineAt(p.text, i)
	return next
}

// line writes a leaf as a flat line.
func (p *patch) line(b *strings.Builder, l leaf) {
	var text string
	switch l.value.Kind {
	case yaml.StringValue:
		text = yaml.Quote(l.value.Text, false)
	case yaml.BytesValue:
		text = `!!binary "` + l.value.Text + `"`
	default:
		text = yaml.Dump(l.value)
	}
	p.writeLine(b, l.key, text)
}

func (p *patch) writeLine(b *strings.Builder, key, text string) {
	key = yaml.Quote(key, false)
	b.WriteString(p.indent)
	if utf8.RuneCountInString(key) > 1000 { // more than a simple key may have
		b.WriteString("? " + key + p.eol + p.indent)
		key = ""
	}
	b.WriteString(key + ": " + text + p.eol)
}

func (p *patch) blockRoot() {
	pairs := p.document.Root.Pairs
	leaves := make([][]int, len(pairs))
	for i, l := range p.leaves {
		leaves[l.entry] = append(leaves[l.entry], i)
	}
	states := make([]entryState, len(pairs))
	inside := make([][]edit, len(pairs))
	links := make([][]yaml.Link, len(pairs)) // per entry
	for _, l := range p.document.Links {
		if i := p.entryAt(l.At); i >= 0 {
			links[i] = append(links[i], l)
		}
	}
	emitted := make(map[string]bool, len(p.sets)) // keys of flat lines
	for _, c := range p.sets {
		emitted[c.Key] = true
	}
	reemit := func(i int) {
		if states[i] == reemitted || p.generated(pairs[i].Start.Offset) {
			return
		}
		states[i] = reemitted
		for _, l := range leaves[i] {
			if key := p.leaves[l].key; p.old[key] == l && !p.keys[key] {
				emitted[key] = true
			}
		}
	}
	for i, pair := range pairs {
		hit := slices.ContainsFunc(leaves[i], func(l int) bool { return p.keys[p.leaves[l].key] })
		if !hit || p.generated(pair.Start.Offset) {
			continue
		}
		left := slices.ContainsFunc(leaves[i], func(l int) bool { return !p.keys[p.leaves[l].key] })
		if left && len(links[i]) == 0 {
			if cut, ok := p.cut(pair, ""); ok {
				states[i], inside[i] = trimmed, cut
				continue
			}
		}
		reemit(i)
	}
	// A block scalar that ends the file without a line break would get one from what follows.
	if last := len(pairs) - 1; len(p.sets) > 0 && pairs[last].End == len(p.text) && slices.Contains(p.document.Blocks, pairs[last].End) &&
		p.lineBegin(len(p.text)) != len(p.text) {
		reemit(last)
	}
	for again := true; again; {
		again = false
		for i, pair := range pairs {
			if states[i] == reemitted || p.generated(pair.Start.Offset) {
				continue
			}
			if emitted[pair.Key.Value.JavaString(nil)] || slices.ContainsFunc(links[i], func(l yaml.Link) bool {
				j := p.entryAt(l.Target.Start.Offset)
				return l.Alias && (l.Target == p.document.Root || j >= 0 && states[j] != kept)
			}) {
				reemit(i)
				again = true
			}
		}
	}
	remain := len(p.sets) > 0
	for i, pair := range pairs {
		switch {
		case p.generated(pair.Start.Offset):
		case states[i] == reemitted:
			var b strings.Builder
			for _, l := range leaves[i] {
				if leaf := p.leaves[l]; p.old[leaf.key] == l && !p.keys[leaf.key] {
					p.line(&b, leaf)
				}
			}
			remain = remain || b.Len() > 0
			p.edits = append(p.edits, edit{from: p.lineBegin(pair.Start.Offset), to: p.lineAfter(pair.End), text: b.String(), column: pair.Start.Column})
		default:
			remain = true
			p.edits = append(p.edits, inside[i]...)
		}
	}
	// Properties of the root, or "..." without "---", need something to belong to.
	p.flat = !remain && (p.document.Root.Start.Offset < pairs[0].Start.Offset || p.document.End >= 0 && !p.document.Explicit)
}

// entryAt returns the root's entry that holds a code point, -1 if none does.
func (p *patch) entryAt(idx int) int {
	pairs := p.document.Root.Pairs
	i, found := slices.BinarySearchFunc(pairs, idx, func(pair yaml.Pair, idx int) int { return pair.Start.Offset - idx })
	if !found {
		i--
	}
	if i < 0 || idx >= max(pairs[i].End, pairs[i].Start.Offset+1) {
		return -1
	}
	return i
}

// cut finds the lines of the changed keys below a pair whose value is a block mapping; false where that
// cannot be done line by line.
func (p *patch) cut(parent yaml.Pair, prefix string) ([]edit, bool) {
	n := parent.Value
	if n.Kind != yaml.MappingNode || n.Flow || n.Tag != yaml.TagMap {
		return nil, false
	}
	prefix += parent.Key.Value.JavaString(nil) + "."
	var edits []edit
	for _, pair := range n.Pairs {
		total, hit := p.count(pair, prefix)
		switch {
		case hit == 0:
		case hit == total:
			begin := pair.Start.Offset
			from := p.lineBegin(begin)
			if strings.Trim(p.text[from:begin], " ") != "" {
				return nil, false
			}
			edits = append(edits, edit{from: from, to: p.lineAfter(pair.End), column: pair.Start.Column})
		default:
			inner, ok := p.cut(pair, prefix)
			if !ok {
				return nil, false
			}
			edits = append(edits, inner...)
		}
	}
	return edits, true
}

// count returns how many leaves there are below a pair and how many of them are changed.
func (p *patch) count(pair yaml.Pair, prefix string) (total, hit int) {
	key := prefix + pair.Key.Value.JavaString(nil)
	if pair.Value.Value.Kind != yaml.MapValue {
		if p.keys[key] {
			return 1, 1
		}
		return 1, 0
	}
	for _, inner := range pair.Value.Pairs {
		t, h := p.count(inner, key+".")
		total, hit = total+t, hit+h
	}
	return total, hit
}

// apply makes the text: edits, then the generated block before the end of the document.
func (p *patch) apply() string {
	slices.SortStableFunc(p.edits, func(a, b edit) int { return a.from - b.from })
	bodyEnd := len(p.text)
	if p.format == Standard && p.document.End >= 0 {
		bodyEnd = p.document.End
	}
	p.widen()
	var b strings.Builder
	b.Grow(len(p.text) + 128*(1+len(p.sets)))
	done := 0
	for _, e := range p.edits {
		if e.from < done { // inside what is gone already
			continue
		}
		b.WriteString(p.text[done:e.from])
		b.WriteString(e.text)
		done = e.to
	}
	if done < bodyEnd {
		b.WriteString(p.text[done:bodyEnd])
		done = bodyEnd
	}
	if len(p.sets) > 0 || p.flat {
		if s := b.String(); s != "" && s[len(s)-1] != '\n' && s[len(s)-1] != '\r' {
			b.WriteString(p.eol)
		}
	}
	if p.flat {
		b.WriteString("{}" + p.eol)
	}
	p.block(&b)
	b.WriteString(p.text[done:])
	return b.String()
}

// widen makes cuts after a block scalar take the blank lines and deeper comments along that would
// otherwise become part of it.
func (p *patch) widen() {
	if p.format == Legacy || len(p.document.Blocks) == 0 {
		return
	}
	ends := make(map[int]bool, len(p.document.Blocks))
	for _, idx := range p.document.Blocks {
		ends[idx] = true
	}
	for i := range p.edits {
		e := &p.edits[i]
		e.sticky = ends[e.from]
		if i > 0 && p.edits[i-1].to == e.from {
			e.sticky = p.edits[i-1].sticky && p.edits[i-1].text == ""
		}
		if !e.sticky || e.text != "" {
			continue
		}
		for e.to < len(p.text) {
			end, next := lineAt(p.text, e.to)
			line := p.text[e.to:end]
			rest := strings.TrimLeft(line, " ")
			if rest != "" && (rest[0] != '#' || len(line)-len(rest) <= e.column) || next == e.to {
				break
			}
			if p.generated(e.to) {
				break
			}
			e.to = next
		}
	}
}

// block writes the generated lines.
func (p *patch) block(b *strings.Builder) {
	if len(p.sets) == 0 {
		return
	}
	comment := func(text string) {
		b.WriteString(p.indent + strings.TrimRight(text, " ") + p.eol)
	}
	comment(blockBegin + " " + oneLine(p.header))
	for _, c := range p.sets {
		if c.Source != "" {
			comment("# " + oneLine(c.Source))
		}
		if p.format == Legacy {
			b.WriteString(c.Key + ": " + c.Value.Reveal() + p.eol)
		} else {
			p.writeLine(b, c.Key, yaml.Quote(c.Value.Reveal(), true))
		}
	}
	comment(blockEnd)
}

// oneLine makes text fit for a comment.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == 0x85 || r == 0x2028 || r == 0x2029:
			return ' '
		case !yaml.Printable(r) || r == 0xFEFF:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// rewrite gives up the layout: all keys as flat lines.
func (p *patch) rewrite() string {
	p.indent = ""
	var b strings.Builder
	for i, l := range p.leaves {
		if w, ok := p.old[l.key]; ok && w == i && !p.keys[l.key] {
			p.line(&b, l)
		}
	}
	p.block(&b)
	return b.String()
}

// verify reads the text again and compares it with what it must say.
func (p *patch) verify(text string) error {
	src := []byte(text)
	if p.format == Standard {
		src = p.document.Encoding.Encode(text)
	}
	f, err := Parse(p.name, p.format, p.version, src)
	if err != nil {
		return fmt.Errorf("the result would not be readable: %w", err)
	}
	want := len(p.sets)
	for key, i := range p.old {
		if p.keys[key] {
			continue
		}
		want++
		if w, ok := f.winner[key]; !ok || f.leaves[w].value.ConfText() != p.leaves[i].value.ConfText() {
			return fmt.Errorf("%s would change", key)
		}
	}
	for _, c := range p.sets {
		if w, ok := f.winner[c.Key]; !ok || f.leaves[w].value.ConfText() != c.Value.Reveal() {
			return fmt.Errorf("%s would not be read as it is meant", c.Key)
		}
	}
	if len(f.winner) != want {
		return fmt.Errorf("%d keys would be read instead of %d", len(f.winner), want)
	}
	return nil
}
