package mock

import (
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/sqltext"
)

// edit replaces text[from:to]. Replacements have as many line ends as what they replace.
type edit struct {
	from, to int
	text     string
}

// apply returns text with the edits, which are sorted and do not overlap.
func apply(text string, edits []edit) string {
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.from < at {
			continue
		}
		b.WriteString(text[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// lineEnds counts CR, LF and CR LF.
func lineEnds(s string) int {
	return strings.Count(s, "\n") + strings.Count(s, "\r") - strings.Count(s, "\r\n")
}

// pad adds the line ends that replacement lacks.
func pad(replacement, original string) string {
	return replacement + strings.Repeat("\n", max(0, lineEnds(original)-lineEnds(replacement)))
}

// Place returns where in the user's text of a part a place of the rewritten part is: lines and columns from 1,
// columns in UTF-16 units as Flink counts them. A place in text that was added is mapped to where the text was added.
func (r Result) Place(part, line, column int) (int, int) {
	if part < 0 || part >= len(r.Parts) {
		return line, column
	}
	at := offset(r.Parts[part].Text, line, column)
	shift := 0 // of the rewritten text against the user's, after the edits passed
	for _, e := range r.edits[part] {
		start := e.from + shift
		if at < start {
			break
		}
		if at < start+len(e.text) {
			return place(r.texts[part], e.from, line)
		}
		shift += len(e.text) - (e.to - e.from)
	}
	return place(r.texts[part], at-shift, line)
}

// offset returns the byte at a line and column.
func offset(text string, line, column int) int {
	at := lineStart(text, line)
	for column > 1 && at < len(text) && text[at] != '\n' && text[at] != '\r' {
		c, n := utf8.DecodeRuneInString(text[at:])
		column -= units(c)
		at += n
	}
	return at
}

// place returns line and column of a byte; the line is at most the one given.
func place(text string, at, atMost int) (int, int) {
	at = max(0, min(at, len(text)))
	line, start := 1, 0
	for line < atMost {
		next := lineStart(text[start:], 2) + start
		if next > at || next == start {
			break
		}
		line, start = line+1, next
		if start == len(text) {
			break
		}
	}
	column := 1
	for _, c := range text[start:max(at, start)] {
		column += units(c)
	}
	return line, column
}

// lineStart returns the offset of the first byte of a line, the end of the text if it has fewer.
func lineStart(text string, line int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexAny(text[at:], "\r\n")
		if n < 0 {
			return len(text)
		}
		at += n + 1
		if text[at-1] == '\r' && strings.HasPrefix(text[at:], "\n") {
			at++
		}
	}
	return at
}

func units(c rune) int {
	if c > 0xFFFF {
		return 2
	}
	return 1
}

// flatten returns a statement on one line and without comments.
func flatten(statement string, d sqltext.Dialect) string {
	tokens, err := sqltext.Lex(statement, d)
	if err != nil {
		return statement
	}
	var b strings.Builder
	gap := false
	for _, t := range tokens {
		switch t.Kind {
		case sqltext.Whitespace, sqltext.Comment:
			gap = b.Len() > 0
			continue
		case sqltext.String:
			if lineEnds(t.Text) > 0 {
				if value, err := sqltext.Unquote(t.Text); err == nil {
					t.Text = sqltext.Literal(value)
					gap = b.Len() > 0 // its U would join a word before it
				}
			}
		}
		if gap && t.Text != ")" && t.Text != "," && !strings.HasSuffix(b.String(), "(") {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteString(t.Text)
	}
	return b.String()
}

// withClause renders WITH (…) over as many line ends as the clause it replaces has.
func withClause(options [][2]string, lines int) string {
	var b strings.Builder
	b.WriteString("WITH (")
	perLine := len(options)
	if lines > 2 {
		perLine = (len(options) + lines - 2) / (lines - 1)
	}
	for i, o := range options {
		if i > 0 {
			b.WriteByte(',')
		}
		switch {
		case i%perLine == 0 && lines > 1:
			b.WriteString("\n  ")
			lines--
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(sqltext.Literal(o[0]) + " = " + sqltext.Literal(o[1]))
	}
	b.WriteString(strings.Repeat("\n", lines))
	b.WriteByte(')')
	return b.String()
}
