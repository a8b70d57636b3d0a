package yaml

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
)

// Dump writes a value as Flink's YamlParserUtils.toYAMLString does: flow style, one line (block scalars for
// multi-line text at the top), as snakeyaml-engine's Representer, Serializer and Emitter would.
func Dump(v *Value) string {
	d := dumper{ids: map[*Value]int{}, blank: true, indention: true, indent: -1}
	d.number(v, map[*Value]bool{})
	d.node(v, false, true)
	if d.blank && d.indention && d.column == 0 { // a block scalar has ended its line itself
		return strings.TrimSuffix(d.out.String(), "\n")
	}
	return d.out.String()
}

type dumper struct {
	out       strings.Builder
	ids       map[*Value]int // of collections that occur more than once
	written   map[*Value]bool
	column    int
	blank     bool // the last character was white space
	indention bool // only indentation on this line so far
	flow      int
	indent    int // -1: none yet
}

// number finds the collections that need an anchor, in the order in which the second occurrence is met.
func (d *dumper) number(v *Value, seen map[*Value]bool) {
	if v.Kind < ListValue {
		return
	}
	if seen[v] {
		if d.ids[v] == 0 {
			d.ids[v] = len(d.ids) + 1
		}
		return
	}
	seen[v] = true
	for i := range max(len(v.Items), len(v.Keys)) {
		if i < len(v.Keys) {
			d.number(v.Keys[i], seen)
		}
		if i < len(v.Items) {
			d.number(v.Items[i], seen)
		}
	}
}

func (d *dumper) indicator(s string, needBlank, blank bool) {
	if !d.blank && needBlank {
		d.column++
		d.out.WriteByte(' ')
	}
	d.blank = blank
	d.indention = false
	d.column += utf16Len(s)
	d.out.WriteString(s)
}

func (d *dumper) newLine() {
	d.blank, d.indention, d.column = true, true, 0
	d.out.WriteByte('\n')
}

// toIndent goes to the current indentation, on a new line if need be.
func (d *dumper) toIndent() {
	to := max(d.indent, 0)
	if !d.indention || d.column > to || d.column == to && !d.blank {
		d.newLine()
	}
	if to > d.column {
		d.blank = true
		d.out.WriteString(strings.Repeat(" ", to-d.column))
		d.column = to
	}
}

func (d *dumper) deeper() (restore int) {
	restore = d.indent
	if d.indent < 0 {
		d.indent = 2
	} else {
		d.indent += 2
	}
	return restore
}

func (d *dumper) node(v *Value, simpleKey, root bool) {
	if v.Kind < ListValue {
		restore := d.deeper()
		d.scalar(v, simpleKey)
		d.indent = restore
		return
	}
	if id := d.ids[v]; id > 0 {
		name := fmt.Sprintf("id%03d", id)
		if d.written[v] {
			d.indicator("*"+name, true, false)
			return
		}
		if d.written == nil {
			d.written = map[*Value]bool{}
		}
		d.written[v] = true
		d.indicator("&"+name, true, false)
	}
	if v.Kind == ListValue {
		d.indicator("[", true, true)
		d.flow++
		restore := d.deeper()
		for i, item := range v.Items {
			if i > 0 {
				d.indicator(",", false, false)
			}
			d.node(item, false, false)
		}
		d.indent = restore
		d.flow--
		d.indicator("]", false, false)
		return
	}
	if v.Kind == SetValue {
		d.indicator("!!set", true, false)
	}
	d.indicator("{", true, true)
	d.flow++
	restore := d.deeper()
	for i, key := range v.Keys {
		if i > 0 {
			d.indicator(",", false, false)
		}
		if d.isSimpleKey(key) {
			d.node(key, true, false)
			d.indicator(":", false, false)
		} else {
			d.indicator("?", true, false)
			d.node(key, false, false)
			if d.column > 80 {
				d.toIndent()
			}
			d.indicator(":", true, false)
		}
		if v.Kind == MapValue {
			d.node(v.Items[i], false, false)
		} else {
			d.node(&Value{}, false, false)
		}
	}
	d.indent = restore
	d.flow--
	d.indicator("}", false, false)
}

// isSimpleKey is Emitter.checkSimpleKey: shorter than 128 characters, tag and anchor counted.
func (d *dumper) isSimpleKey(v *Value) bool {
	length := 0
	id := d.ids[v]
	if id > 0 {
		length += len(fmt.Sprintf("id%03d", id))
		if d.written[v] {
			return length < 128
		}
	}
	switch {
	case v.Kind >= ListValue:
		length += 5
		return length < 128 && len(v.Items)+len(v.Keys) == 0
	}
	text := v.ScalarText()
	length += len(v.shortTag()) + utf16Len(text)
	return length < 128 && text != "" && !strings.Contains(text, "\n")
}

func (v *Value) shortTag() string {
	return [...]string{"!!null", "!!str", "!!bool", "!!int", "!!int", "!!int", "!!float", "!!binary", "!!seq", "!!map", "!!set"}[v.Kind]
}

// ScalarText is the text of the scalar node of v.
func (v *Value) ScalarText() string {
	switch v.Text {
	case "Infinity", "-Infinity", "NaN":
		if v.Kind == DoubleValue {
			return map[string]string{"Infinity": ".inf", "-Infinity": "-.inf", "NaN": ".nan"}[v.Text]
		}
	}
	if v.Kind == NullValue {
		return "null"
	}
	return v.Text
}

func (d *dumper) scalar(v *Value, simpleKey bool) {
	text := v.ScalarText()
	a := analyze(text)
	plain := v.Kind != BytesValue && !(v.Kind == StringValue && strings.ContainsAny(text, "\n\u0085\u2028\u2029"))
	literal := !plain
	tagPlain := v.Kind != StringValue && v.Kind != BytesValue || v.Kind == StringValue && Resolve(text) == TagStr
	if plain && tagPlain && !(simpleKey && (text == "" || a.multiline)) && (d.flow > 0 && a.flowPlain || d.flow == 0 && a.blockPlain) {
		if text != "" {
			if !d.blank {
				d.column++
				d.out.WriteByte(' ')
			}
			d.blank, d.indention = false, false
			d.column += utf16Len(text)
			d.out.WriteString(text)
		}
		return
	}
	if v.Kind != StringValue {
		d.indicator(v.shortTag(), true, false)
	}
	switch {
	case literal && d.flow == 0 && !simpleKey && a.block:
		d.literal(text)
	case plain && a.single && !(simpleKey && a.multiline):
		d.indicator("'", true, false)
		text = strings.ReplaceAll(text, "'", "''")
		d.column += utf16Len(text)
		d.out.WriteString(text)
		d.indicator("'", false, false)
	default:
		d.indicator(`"`, true, false)
		text = EscapeDouble(text, true)
		d.column += utf16Len(text)
		d.out.WriteString(text)
		d.indicator(`"`, false, false)
	}
}

func (d *dumper) literal(text string) {
	hints := ""
	if text[0] == '\n' || text[0] == ' ' {
		hints = "2"
	}
	if text[len(text)-1] != '\n' {
		hints += "-"
	} else if len(text) == 1 || text[len(text)-2] == '\n' {
		hints += "+"
	}
	d.indicator("|"+hints, true, false)
	d.newLine()
	for text != "" {
		line, rest, found := strings.Cut(text, "\n")
		if line != "" {
			d.toIndent()
			d.out.WriteString(line)
		}
		d.newLine()
		if !found {
			break
		}
		text = rest
	}
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// EscapeDouble is the inside of a double-quoted scalar (Emitter.writeDoubleQuoted). To half a surrogate pair the Emitter does
// what damages is for: it takes the next character for the other half, whatever that is, and steps over it only if
// a pair comes out.
func EscapeDouble(s string, damages bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c, n := javatext.DecodeRune(s[i:])
		i += n
		if c >= 0x20 && c <= 0x7E && c != '"' && c != '\\' {
			b.WriteRune(c)
			continue
		}
		if name := escapeName(c); name != 0 {
			b.Write([]byte{'\\', name})
			continue
		}
		point, lowHalf := c, rune(-1)
		if damages && c >= 0xD800 && c <= 0xDBFF && i < len(s) {
			next, n := javatext.DecodeRune(s[i:])
			if next > 0xFFFF {
				next, lowHalf = 0xD800+(next-0x10000)>>10, 0xDC00+(next-0x10000)&0x3FF
			}
			if point = c<<10 + next + (0x10000 - 0xD800<<10 - 0xDC00); point > 0xFFFF {
				i += n
			} else {
				lowHalf = -1
			}
		}
		switch {
		case Printable(point):
			b.WriteRune(point)
		case c <= 0xFF:
			fmt.Fprintf(&b, `\x%02x`, c)
		case point > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, point)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		if lowHalf >= 0 {
			fmt.Fprintf(&b, `\u%04x`, lowHalf)
		}
	}
	return b.String()
}

// escapeName returns the letter of the one-letter escape that stands for c; blanks and slashes need none.
func escapeName(c rune) byte {
	for _, e := range escapes {
		if e.char == c && c != ' ' && c != '/' {
			return e.name
		}
	}
	return 0
}

// analysis says in which styles a text may be written.
type analysis struct {
	multiline, flowPlain, blockPlain, single, block bool
}

// analyze is Emitter.analyzeScalar.
func analyze(s string) analysis {
	if s == "" {
		return analysis{blockPlain: true, single: true}
	}
	r := []rune(s)
	blankAt := func(i int) bool { return r[i] == ' ' || r[i] == '\t' || r[i] == 0 }
	var blockIndicators, flowIndicators, breaks, special bool
	var edgeBlank, trailingSpace, breakSpace, spaceBreak bool
	if strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") {
		blockIndicators, flowIndicators = true, true
	}
	before := true
	after := len(r) == 1 && r[0] <= 0xFFFF || len(r) > 1 && r[0] <= 0xFFFF && blank(r[1])
	var lastSpace, lastBreak bool
	for i, c := range r {
		if i == 0 {
			if oneOf("#,[]{}&*!|>'\"%@`", c) {
				flowIndicators, blockIndicators = true, true
			}
			if c == '?' || c == ':' {
				flowIndicators = true
				blockIndicators = blockIndicators || after
			}
			if c == '-' && after {
				flowIndicators, blockIndicators = true, true
			}
		} else {
			if oneOf(",?[]{}", c) {
				flowIndicators = true
			}
			if c == ':' {
				flowIndicators = true
				blockIndicators = blockIndicators || after
			}
			if c == '#' && before {
				flowIndicators, blockIndicators = true, true
			}
		}
		isBreak := c == '\n'
		breaks = breaks || isBreak
		if !isBreak && !(c >= 0x20 && c <= 0x7E) && !(c == 0x85 || c >= 0xA0 && Printable(c)) {
			special = true
		}
		if c == utf8.RuneError && strings.Contains(s, "\xED") {
			special = special || !utf8.ValidString(s)
		}
		edge := i == 0 || i == len(r)-1
		switch {
		case c == ' ':
			edgeBlank = edgeBlank || edge
			trailingSpace = trailingSpace || i == len(r)-1
			breakSpace = breakSpace || lastBreak
			lastSpace, lastBreak = true, false
		case isBreak:
			edgeBlank = edgeBlank || edge
			spaceBreak = spaceBreak || lastSpace
			lastSpace, lastBreak = false, true
		default:
			lastSpace, lastBreak = false, false
		}
		before = blankAt(i) || isBreak
		after = true
		if i+2 < len(r) {
			after = blankAt(i+2) || isBreak
		}
	}
	a := analysis{multiline: breaks}
	bad := breakSpace || spaceBreak || special
	a.flowPlain = !edgeBlank && !bad && !breaks && !flowIndicators
	a.blockPlain = !edgeBlank && !bad && !blockIndicators
	a.single = !bad
	a.block = !trailingSpace && !spaceBreak && !special
	return a
}

// Quote writes text as a YAML scalar on one line that Flink reads as the same text. With numbers, one that
// reads as a number or boolean of the same text stays plain.
func Quote(text string, numbers bool) string {
	a := analyze(text)
	odd := strings.ContainsAny(text, "\n\u0085\u2028\u2029\uFEFF")
	if a.blockPlain && !odd && text != "" {
		switch Resolve(text) {
		case TagStr:
			return text
		case TagBool, TagInt, TagFloat:
			if numbers && scalarReadsAs(text) {
				return text
			}
		}
	}
	if a.single && !odd {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + EscapeDouble(text, false) + `"`
}

// scalarReadsAs reports whether the plain scalar text gives an object whose text is text.
func scalarReadsAs(text string) bool {
	v, err := Build(&Node{Tag: Resolve(text), Text: text})
	return err == nil && v.ConfText() == text // "+.inf" looks like a float and is not one
}
