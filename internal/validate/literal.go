package validate

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// literal is a JSON string in a line of a document. A line of its text is a piece of it.
type literal struct {
	line   string // of the document, from the quote to the quote
	starts []mark // of the lines of the text
}

// mark is a place in a literal.
type mark struct {
	offset int // in literal.line
	column int // in the line of the document, in characters, from 1
}

// inLiteral maps a place of the script to the document, where the script is a JSON string in it.
func (s *Source) inLiteral(line, column int) (documentLine, documentColumn int, ok bool) {
	if s.literal == nil {
		s.literal = literalOf(s.document.at(s.first), s.text)
	}
	l := s.literal
	if line < 1 || line > len(l.starts) {
		return line, column, false
	}
	m := l.starts[line-1]
	for ; column > 1; column-- {
		after := m
		if newLine, ok := l.next(&after); newLine || !ok {
			break // the place after the last character of the line
		}
		m = after
	}
	return s.first, m.column, true
}

// literalOf finds the string in a line that means text. Without one, the literal has no lines.
func literalOf(line, text string) *literal {
	for at := 0; ; {
		begin := strings.IndexByte(line[at:], '"')
		if begin < 0 {
			return &literal{}
		}
		begin += at
		end := endOfString(line, begin)
		if end < 0 {
			return &literal{}
		}
		var means string
		if json.Unmarshal([]byte(line[begin:end]), &means) == nil && means == text {
			l := &literal{line: line[:end]}
			l.mark(mark{begin + 1, utf8.RuneCountInString(line[:begin]) + 2}, strings.HasPrefix(text, "\uFEFF"))
			return l
		}
		at = end
	}
}

// endOfString is where the string that begins in a line ends, -1 where it does not.
func endOfString(line string, begin int) int {
	for i := begin + 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// mark notes where the lines of the text begin. marked: the text begins with a byte order mark, which is not of the first line.
func (l *literal) mark(at mark, marked bool) {
	if marked {
		l.next(&at)
	}
	l.starts = append(l.starts, at)
	for {
		newLine, ok := l.next(&at)
		if !ok {
			return
		}
		if newLine {
			l.starts = append(l.starts, at)
		}
	}
}

// next moves over a character of the text, which may be an escape. ok is false at the end.
func (l *literal) next(m *mark) (newLine, ok bool) {
	rest := l.line[m.offset:]
	if rest == `"` {
		return false, false
	}
	_, size := utf8.DecodeRuneInString(rest)
	if rest[0] != '\\' {
		m.offset, m.column = m.offset+size, m.column+1
		return false, true
	}
	if size = 2; rest[1] == 'u' {
		size = 6
	}
	m.offset, m.column = m.offset+size, m.column+size
	return rest[1] == 'n' || strings.EqualFold(rest[:size], `\u000a`), true
}
