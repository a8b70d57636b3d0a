package jobdef

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// plain reads a scalar without quotes. Its further lines must stand deeper than column indent.
func (p *yamlReader) plain(indent int) *node {
	start := p.pos
	c, next := p.s[start], p.byteAt(start+1)
	switch {
	case strings.IndexByte(",[]{}#&*!|>'\"%@`", c) >= 0:
		p.fail(start, fmt.Sprintf("unexpected %q", c), fmt.Sprintf("quote a value that begins with %q", c))
	case (c == '-' || c == '?' || c == ':') && (isSpace(next) || p.flow > 0 && isFlowIndicator(next)):
		p.fail(start, fmt.Sprintf("unexpected %q", c), "")
	}
	n := p.newNode(stringKind, start)
	end := p.plainLine(start)
	n.text = p.s[start:end]
	p.pos = end
	var more strings.Builder
	for {
		i, breaks := end, 0
		lineStart := i
		for i < len(p.s) && isSpace(p.s[i]) {
			if p.s[i] == '\n' {
				breaks++
				lineStart = i + 1
			}
			i++
		}
		if breaks == 0 || i == len(p.s) || p.s[i] == '#' || p.flow == 0 && i-lineStart <= indent ||
			i == lineStart && (isMarker(p.s[i:], "---") || isMarker(p.s[i:], "...")) {
			break
		}
		if end = p.plainLine(i); end == i {
			break
		}
		more.WriteString(fold(breaks))
		more.WriteString(p.s[i:end])
		p.pos = end
	}
	if more.Len() > 0 {
		n.text += more.String()
	}
	n.kind = plainKind(n.text)
	n.end = p.pos
	return n
}

// plainLine returns the end of the part of a plain scalar that begins at i, which never is beyond its line.
func (p *yamlReader) plainLine(i int) int {
	begin := i
	for ; i < len(p.s) && p.s[i] != '\n'; i++ {
		c := p.s[i]
		if c == ':' && (isSpace(p.byteAt(i+1)) || p.flow > 0 && isFlowIndicator(p.s[i+1])) ||
			c == '#' && i > 0 && isSpace(p.s[i-1]) || p.flow > 0 && isFlowIndicator(c) {
			break
		}
	}
	for i > begin && isBlank(p.s[i-1]) {
		i--
	}
	return i
}

// fold returns what stands for line breaks between two parts of a scalar.
func fold(breaks int) string {
	if breaks == 1 {
		return " "
	}
	return strings.Repeat("\n", breaks-1)
}

// quoted reads a scalar in single or double quotes.
func (p *yamlReader) quoted(quote byte) *node {
	start := p.pos
	n := p.newNode(stringKind, start)
	var b strings.Builder
	i := start + 1
	chunk := i    // what was read but is not yet in b
	escaped := -1 // end of an escaped line break: it leaves no blank
	for {
		if i >= len(p.s) {
			p.fail(start, fmt.Sprintf("the string's closing %c is missing", quote), "")
		}
		c := p.s[i]
		switch {
		case c == quote && quote == '\'' && p.byteAt(i+1) == '\'':
			b.WriteString(p.s[chunk : i+1])
			i += 2
			chunk = i
		case c == quote:
			b.WriteString(p.s[chunk:i])
			n.text = b.String()
			p.pos = i + 1
			n.end = p.pos
			return n
		case c == '\\' && quote == '"':
			b.WriteString(p.s[chunk:i])
			i += p.escape(&b, i)
			chunk = i
			if p.s[i-1] == '\n' {
				escaped = i
				for isBlank(p.byteAt(i)) {
					i++
				}
				chunk = i
				if i < len(p.s) && p.s[i] == '\n' {
					continue
				}
				escaped = -1
			}
		case c == '\n':
			end := i
			for end > chunk && isBlank(p.s[end-1]) {
				end--
			}
			b.WriteString(p.s[chunk:end])
			breaks := 0
			for i < len(p.s) && isSpace(p.s[i]) {
				if p.s[i] == '\n' {
					breaks++
					if rest := p.s[i+1:]; isMarker(rest, "---") || isMarker(rest, "...") {
						p.fail(start, fmt.Sprintf("the string's closing %c is missing", quote), "")
					}
				}
				i++
			}
			if escaped >= 0 {
				b.WriteString(strings.Repeat("\n", breaks))
				escaped = -1
			} else {
				b.WriteString(fold(breaks))
			}
			chunk = i
		default:
			i++
		}
	}
}

// escape decodes the escape at i into b and returns its length.
func (p *yamlReader) escape(b *strings.Builder, i int) int {
	const simple = "0\x00a\x07b\bt\tn\nv\vf\fr\re\x1b \x20\"\"//\\\\\t\t" // pairs: letter, character
	c := p.byteAt(i + 1)
	if i+1 == len(p.s) {
		p.fail(i, "the document ends inside a string", "")
	}
	switch c {
	case '\n':
		return 2
	case 'N':
		b.WriteRune(0x85)
		return 2
	case '_':
		b.WriteRune(0xA0)
		return 2
	case 'L':
		b.WriteRune(0x2028)
		return 2
	case 'P':
		b.WriteRune(0x2029)
		return 2
	case 'x':
		b.WriteRune(p.hex(i, 2))
		return 4
	case 'U':
		b.WriteRune(p.hex(i, 8))
		return 10
	case 'u':
		r, length := p.hex(i, 4), 6
		if r >= 0xD800 && r < 0xDC00 && strings.HasPrefix(p.s[min(len(p.s), i+6):], `\u`) { // as JSON writes characters beyond U+FFFF
			if low := p.hex(i+6, 4); low >= 0xDC00 && low < 0xE000 {
				r, length = (r-0xD800)<<10|(low-0xDC00)+0x10000, 12
			}
		}
		if !utf8.ValidRune(r) {
			p.fail(i, "half a surrogate pair", "")
		}
		b.WriteRune(r)
		return length
	}
	for j := 0; j < len(simple); j += 2 {
		if simple[j] == c {
			b.WriteByte(simple[j+1])
			return 2
		}
	}
	p.fail(i, "unknown escape", `a backslash is written \\ in double quotes, or as it is in single quotes`)
	return 0
}

// hex reads the digits of the escape at i.
func (p *yamlReader) hex(i, count int) rune {
	r := rune(0)
	for j := i + 2; j < i+2+count; j++ {
		switch c := p.byteAt(j); {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			p.fail(i, fmt.Sprintf("expected %d hexadecimal digits after the backslash and letter", count), "")
		}
	}
	if count == 8 && !utf8.ValidRune(r) {
		p.fail(i, "no Unicode character has that number", "")
	}
	return r
}

// blockScalar reads a literal (|) or folded (>) scalar below a collection at column indent.
func (p *yamlReader) blockScalar(indent int) *node {
	start := p.pos
	n := p.newNode(stringKind, start)
	folded := p.s[start] == '>'
	header := p.s[start+1 : start+lineLength(p.s[start:])]
	explicit, chomp := 0, byte(0)
	for header != "" && !isBlank(header[0]) {
		switch c := header[0]; {
		case c >= '1' && c <= '9' && explicit == 0:
			explicit = int(c - '0')
		case (c == '+' || c == '-') && chomp == 0:
			chomp = c
		default:
			p.fail(start, fmt.Sprintf("unexpected text after %q", p.s[start]), "the text of a block scalar begins on the next line")
		}
		header = header[1:]
	}
	if rest := strings.TrimLeft(header, " \t"); rest != "" && rest[0] != '#' {
		p.fail(start, fmt.Sprintf("unexpected text after %q", p.s[start]), "the text of a block scalar begins on the next line")
	}
	i := min(start+lineLength(p.s[start:])+1, len(p.s))
	n.textLine = n.line + 1

	width := 0 // of the indentation, 0: the first line that is not empty tells
	if explicit > 0 {
		width = max(indent, 0) + explicit
	}
	var b strings.Builder
	breaks := 0 // empty lines not yet written
	if width == 0 {
		widest := 0
		for {
			blanks := i
			for blanks < len(p.s) && p.s[blanks] == ' ' {
				blanks++
			}
			widest = max(widest, blanks-i)
			if blanks == len(p.s) || p.s[blanks] != '\n' {
				break
			}
			breaks++
			i = blanks + 1
		}
		width = max(widest, indent+1, 1)
	} else {
		breaks, i = p.emptyLines(i, width)
	}
	end := i
	lineBreak, wasBlank := "", false
	for i+width < len(p.s) && strings.Trim(p.s[i:i+width], " ") == "" {
		i += width
		length := lineLength(p.s[i:])
		blank := length > 0 && isBlank(p.s[i])
		switch {
		case folded && lineBreak != "" && !wasBlank && !blank:
			if breaks == 0 {
				b.WriteByte(' ')
			}
		default:
			b.WriteString(lineBreak)
		}
		b.WriteString(strings.Repeat("\n", breaks))
		b.WriteString(p.s[i : i+length])
		wasBlank = blank
		i += length
		end = i
		lineBreak = ""
		if i < len(p.s) {
			lineBreak = "\n"
			i++
		}
		breaks, i = p.emptyLines(i, width)
	}
	if chomp != '-' {
		b.WriteString(lineBreak)
	}
	if chomp == '+' {
		b.WriteString(strings.Repeat("\n", breaks))
		end = i
	}
	n.text = b.String()
	n.end = end
	if i > 0 && p.s[i-1] == '\n' { // so that skip sees the line break
		i--
	}
	p.pos = i
	return n
}

// emptyLines counts lines from i on that hold at most width spaces, and returns where the first other begins.
func (p *yamlReader) emptyLines(i, width int) (count, next int) {
	for {
		j := i
		for j < len(p.s) && p.s[j] == ' ' && j-i < width {
			j++
		}
		if j == len(p.s) || p.s[j] != '\n' {
			return count, i
		}
		count++
		i = j + 1
	}
}
