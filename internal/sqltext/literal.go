package sqltext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Literal returns s as a SQL string literal on one line: '…' with quotes doubled, and where s holds control
// characters, line ends included, or --, U&'…' with those as \XXXX and \ doubled. Either reads back exactly on
// 1.13 to 2.3, and survives simple readers of SQL files: the sql-client of 1.13 and 1.14, and the operator's
// example runner, cut a line at -- inside of quotes too; any sql-client swallows tabs and turns CR LF into LF.
// s is UTF-8; no literal can hold anything else.
func Literal(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 4)
	escape := HasControl(s) || strings.Contains(s, "--")
	if escape {
		b.WriteString("U&")
	}
	b.WriteByte('\'')
	quote(&b, s, '\'', escape)
	b.WriteByte('\'')
	return b.String()
}

// PlainLiteral returns s as '…' with quotes doubled, whatever it holds.
func PlainLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// HasControl reports whether s holds a control character, a line end, or a byte order mark.
func HasControl(s string) bool { return strings.ContainsFunc(s, needsEscape) }

// Identifier returns s as a quoted identifier: `…` with backticks doubled, or U&"…" where s holds control
// characters, which backticks cannot hold if they end a line. Flink knows no empty identifier and none longer
// than 256 UTF-16 units.
func Identifier(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 5)
	if HasControl(s) {
		b.WriteString(`U&"`)
		quote(&b, s, '"', true)
		b.WriteByte('"')
		return b.String()
	}
	b.WriteByte('`')
	quote(&b, s, '`', false)
	b.WriteByte('`')
	return b.String()
}

// needsEscape is true for control characters, for what some readers take for a line end, and for U+FEFF, which
// is invisible and a byte order mark to others.
func needsEscape(r rune) bool {
	return r < ' ' || r >= 0x7F && r < 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF
}

func quote(b *strings.Builder, s string, quote rune, escape bool) {
	last := rune(0)
	for _, r := range s {
		dashes := r == '-' && last == '-'
		last = r
		switch {
		case r == quote:
			b.WriteRune(r)
			b.WriteRune(r)
		case escape && r == '\\':
			b.WriteString(`\\`)
		case escape && (dashes || needsEscape(r)):
			fmt.Fprintf(b, `\%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
}

// Unquote returns the content of a string literal or identifier as Flink reads it, given the text of its token;
// a Word is its own content. X'…' has no text and is an error, as is a malformed escape; the error does not
// quote the content.
func Unquote(token string) (string, error) {
	quote := strings.IndexAny(token, "'`\"")
	if quote < 0 {
		return token, nil
	}
	if len(token) < quote+2 || token[len(token)-1] != token[quote] {
		return "", fmt.Errorf("the literal has no closing %c", token[quote])
	}
	q := string(token[quote])
	body := token[quote+1 : len(token)-1]
	switch prefix := strings.ToUpper(token[:quote]); {
	case prefix == "X":
		return "", fmt.Errorf("a binary literal X'…' where a string is expected")
	case prefix == "E":
		return unescapeC(strings.ReplaceAll(body, "''", "'"))
	case prefix == "U&":
		return unescapeUnicode(strings.ReplaceAll(body, q+q, q), '\\')
	default:
		return strings.ReplaceAll(body, q+q, q), nil
	}
}

// Literals reads the string literal at tokens[i], which may go on in further quoted strings (not E'…') and end
// in UESCAPE 'c', and returns the index after it; the same index if tokens[i] is not a string.
func Literals(tokens []Token, i int) (string, int, error) {
	if i >= len(tokens) || tokens[i].Kind != String {
		return "", i, nil
	}
	first := tokens[i]
	text := first.Text
	continues := !hasPrefixFold(text, "E")
	var joined []byte
	for i++; continues && i < len(tokens) && tokens[i].Kind == String && tokens[i].Text[0] == '\''; i++ {
		if joined == nil {
			joined = []byte(text)
		}
		joined = append(joined[:len(joined)-1], tokens[i].Text[1:]...)
	}
	if joined != nil {
		text = string(joined)
	}
	var value string
	var err error
	if i+1 < len(tokens) && strings.EqualFold(tokens[i].Text, "UESCAPE") && hasPrefixFold(text, "U&") {
		c, _ := Unquote(tokens[i+1].Text)
		if len(c) != 1 {
			err = fmt.Errorf("UESCAPE needs one ASCII character")
		} else {
			value, err = unescapeUnicode(strings.ReplaceAll(text[3:len(text)-1], "''", "'"), c[0])
		}
		i += 2
	} else {
		value, err = Unquote(text)
	}
	if err != nil {
		return "", i, &Error{Line: first.Line, Column: first.Column, Message: err.Error()}
	}
	return value, i, nil
}

// unescapeUnicode resolves \XXXX (a UTF-16 unit) and \\ as Calcite's SqlLiteral.unescapeUnicode; it does not
// know SQL's \+XXXXXX.
func unescapeUnicode(s string, escape byte) (string, error) {
	var b strings.Builder
	var units []uint16 // a pending surrogate pair
	flush := func() {
		for _, r := range utf16.Decode(units) {
			b.WriteRune(r)
		}
		units = units[:0]
	}
	for i := 0; i < len(s); {
		if s[i] != escape {
			flush()
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		if i+1 < len(s) && s[i+1] == escape {
			flush()
			b.WriteByte(escape)
			i += 2
			continue
		}
		i++
		unit, err := strconv.ParseInt(s[i:min(i+4, len(s))], 16, 32) // Integer.parseInt, which takes a sign too
		if err != nil || i+4 > len(s) {
			return "", fmt.Errorf(`a malformed escape in a U&'…' literal: expected \XXXX or \\`)
		}
		units = append(units, uint16(unit))
		i += 4
	}
	flush()
	return b.String(), nil
}

// unescapeC resolves the escapes of E'…' as Calcite's SqlParserUtil.replaceEscapedChars: \b \f \n \r \t \\ \',
// one to three octal digits up to \377, \x and one or two hexadecimal digits, \uXXXX, \UXXXXXXXX; anything else
// stays as it is, except the backslash before an x alone.
func unescapeC(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			b.WriteByte(c)
			i++
			continue
		}
		c = s[i+1]
		i += 2
		switch {
		case strings.IndexByte(`bfnrt\'`, c) >= 0:
			b.WriteByte("\b\f\n\r\t\\'"[strings.IndexByte(`bfnrt\'`, c)])
		case c >= '0' && c <= '7':
			to := i
			for to < len(s) && to < i+2 && s[to] >= '0' && s[to] <= '7' {
				to++
			}
			if v, err := strconv.ParseUint(s[i-1:to], 8, 8); err == nil {
				b.WriteRune(rune(v))
			} else {
				b.WriteString(s[i-2 : to])
			}
			i = to
		case c == 'x':
			to := i
			for to < len(s) && to < i+2 && isHex(s[to]) {
				to++
			}
			if v, ok := hex(s, i, to-i); ok {
				b.WriteRune(rune(v))
			} else {
				b.WriteByte('x')
			}
			i = to
		case c == 'u' || c == 'U':
			digits := 4
			if c == 'U' {
				digits = 8
			}
			v, ok := hex(s, i, digits)
			if !ok || v > utf8.MaxRune {
				return "", fmt.Errorf(`a malformed escape in an E'…' literal: expected \uXXXX or \UXXXXXXXX`)
			}
			b.WriteRune(rune(v))
			i += digits
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// hex reads n digits at s[from:].
func hex(s string, from, n int) (uint64, bool) {
	if n == 0 || from+n > len(s) {
		return 0, false
	}
	for i := from; i < from+n; i++ {
		if !isHex(s[i]) {
			return 0, false
		}
	}
	v, err := strconv.ParseUint(s[from:from+n], 16, 32)
	return v, err == nil
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
