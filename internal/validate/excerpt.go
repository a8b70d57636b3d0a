package validate

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	widestExcerpt  = 160  // columns of a source line that are shown with a fault
	longestMessage = 2000 // bytes of a message: it may quote a name, and Flink quotes whole queries
)

// excerpt returns what is shown of a line with a fault in text[at:end]: at most widestExcerpt columns around its start, with control
// characters written out, and where the fault is there, in characters from 1, with its end.
func excerpt(text string, at, end int) (shown string, from, to int) {
	at = min(at, len(text))
	end = max(min(end, len(text)), at)
	stop, after := forward(text, at, widestExcerpt/2)
	start, before := back(text, at, widestExcerpt-after)
	if left := widestExcerpt - before - after; left > 0 { // the fault is near the start
		more, _ := forward(text[stop:], 0, left)
		stop += more
	}
	var b strings.Builder
	n := 1 // characters written, and one
	write := func(s string) {
		b.WriteString(s)
		n += utf8.RuneCountInString(s)
	}
	if start > 0 {
		write("…")
	}
	for i := start; i < stop; {
		if i == at {
			from = n
		}
		if i == end {
			to = n
		}
		c, size := utf8.DecodeRuneInString(text[i:])
		write(written(c, text[i:i+size]))
		i += size
	}
	if at >= stop {
		from = n
	}
	if end >= stop {
		to = n
	}
	if stop < len(text) {
		write("…")
	}
	return b.String(), from, max(to, from+1)
}

// forward returns how far text goes from a byte in so many columns, and how many it takes.
func forward(text string, at, columns int) (end, taken int) {
	for at < len(text) {
		c, size := utf8.DecodeRuneInString(text[at:])
		n := shownColumns(c, text[at:at+size])
		if taken+n > columns {
			break
		}
		at, taken = at+size, taken+n
	}
	return at, taken
}

// back is forward in the other direction.
func back(text string, at, columns int) (start, taken int) {
	for at > 0 {
		c, size := utf8.DecodeLastRuneInString(text[:at])
		n := shownColumns(c, text[at-size:at])
		if taken+n > columns {
			break
		}
		at, taken = at-size, taken+n
	}
	return at, taken
}

func shownColumns(c rune, raw string) int {
	if c >= ' ' && c < 0x7F {
		return 1
	}
	switch w := written(c, raw); {
	case w != raw:
		return len(w)
	case c >= 0x1100: // many of these are wide
		return 2
	}
	return 1
}

// written returns a character as it can be shown: a terminal must not obey what a script says.
func written(c rune, raw string) string {
	switch {
	case c == '\t':
		return raw
	case c == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case c < 0x80 && unicode.IsControl(c):
		return fmt.Sprintf(`\x%02x`, c)
	case unicode.IsControl(c), c == 0x2028, c == 0x2029, c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069:
		return fmt.Sprintf(`\u%04x`, c)
	}
	return raw
}

// Short returns a message on one line, without control characters, and without its middle if it is very long.
func Short(message string) string {
	if len(message) > longestMessage {
		head, tail := message[:longestMessage*3/4], message[len(message)-longestMessage/4:]
		for len(head) > 0 && !utf8.RuneStart(message[len(head)]) {
			head = head[:len(head)-1]
		}
		for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
			tail = tail[1:]
		}
		message = fmt.Sprintf("%s … (%d bytes left out) … %s", head, len(message)-len(head)-len(tail), tail)
	}
	var b strings.Builder
	for i := 0; i < len(message); {
		c, size := utf8.DecodeRuneInString(message[i:])
		b.WriteString(written(c, message[i:i+size]))
		i += size
	}
	return b.String()
}

// shownLine is the line of the last fault. A line may be as long as the script and have many faults, so what was found out about it
// is kept.
type shownLine struct {
	number       int
	text         string
	secret       bool // it holds one
	column, byte int  // the last place that was asked for
}

// offset returns the byte of the line at a column from 1, in UTF-16 units.
func (s *shownLine) offset(column int) int {
	if column < s.column || s.column == 0 {
		s.column, s.byte = 1, 0
	}
	for s.column < column && s.byte < len(s.text) {
		c, size := utf8.DecodeRuneInString(s.text[s.byte:])
		s.byte += size
		s.column++
		if c > 0xFFFF {
			s.column++
		}
	}
	return s.byte
}

// Write shows each fault, with a caret below the text where there is one. redact takes the secrets of the run out of a text.
func Write(w io.Writer, faults []Fault, redact func(string) string) {
	for _, f := range faults {
		fmt.Fprintln(w, redact(f.String()))
		if f.Text != "" && f.TextColumn > 0 {
			fmt.Fprint(w, caret(f))
		}
	}
}

// caret returns the line of a fault and a line that points at it.
func caret(f Fault) string {
	text := []rune(strings.TrimRight(f.Text, "\r\n"))
	from := min(max(f.TextColumn-1, 0), len(text))
	to := min(max(f.TextEnd-1, from+1), max(len(text), from+1))
	var below strings.Builder
	for _, c := range text[:from] {
		if c == '\t' {
			below.WriteRune('\t')
			continue
		}
		below.WriteString(strings.Repeat(" ", columns(c)))
	}
	n := 0
	for i := from; i < to; i++ {
		if i < len(text) {
			n += columns(text[i])
		} else {
			n++
		}
	}
	return "  | " + string(text) + "\n  | " + below.String() + strings.Repeat("^", n) + "\n"
}

// columns is what a character takes on a terminal.
func columns(c rune) int {
	if c >= 0x1100 && c <= 0x115F || c >= 0x2E80 && c <= 0xA4CF || c >= 0xAC00 && c <= 0xD7A3 || c >= 0xF900 && c <= 0xFAFF || c >= 0xFE30 && c <= 0xFE6F || c >= 0xFF00 && c <= 0xFF60 || c >= 0x1F300 && c <= 0x1FAFF {
		return 2
	}
	return 1
}
