// Package javatext is how Java cuts, orders, prints and reads text: String.trim and toLowerCase, the order of a
// HashMap, Double.toString and Float.toString, Integer.parseInt and Double.parseDouble.
//
// Flink's configuration and command lines show these texts, so they must be Java's to the letter. Each function names
// the method of Java that it equals; the tests with the build tag flink compare them with real JVMs.
package javatext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Trim is String.trim: it removes all characters up to U+0020 at both ends, control characters too, and no other Unicode space.
func Trim(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// IsWhitespace is Character.isWhitespace: no-break spaces and U+0085 are not white space, the separators U+001C to U+001F are.
func IsWhitespace(r rune) bool {
	return r >= '\t' && r <= '\r' || r >= 0x1C && r <= 0x1F ||
		unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp) && r != 0xA0 && r != 0x2007 && r != 0x202F
}

// ToLower is String.toLowerCase(Locale.US).
func ToLower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == 'İ':
			b.WriteString("i̇")
		case r == 'Σ' && finalSigma(s[:i], s[i+len("Σ"):]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// finalSigma reports whether a capital sigma between the two texts ends a word.
func finalSigma(before, after string) bool {
	cased := func(r rune) bool { return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) }
	ignorable := func(r rune) bool {
		return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:·’", r)
	}
	last := []rune(strings.TrimRightFunc(before, ignorable))
	next := []rune(strings.TrimLeftFunc(after, ignorable))
	return len(last) > 0 && cased(last[len(last)-1]) && (len(next) == 0 || !cased(next[0]))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// DecodeRune is [utf8.DecodeRuneInString] for the text of a Java String: it also knows half a surrogate pair, which our
// readers keep as three bytes, as UTF-8 would write it if it allowed that.
func DecodeRune(s string) (rune, int) {
	c, n := utf8.DecodeRuneInString(s)
	if c == utf8.RuneError && n == 1 && len(s) > 2 && s[0] == 0xED {
		return rune(s[0]&0x0F)<<12 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
	}
	return c, n
}

// AppendRune writes what [DecodeRune] reads.
func AppendRune(b *strings.Builder, c rune) {
	if c >= 0xD800 && c <= 0xDFFF {
		b.Write([]byte{0xED, 0x80 | byte(c>>6)&0x3F, 0x80 | byte(c)&0x3F})
		return
	}
	b.WriteRune(c)
}

// DecodeUTF8 decodes one code point as Java's UTF-8 decoder does. When it is bad, n is the length that Java
// reports as malformed; atEnd says that the input merely ends too early.
func DecodeUTF8(s string) (c rune, n int, bad, atEnd bool) {
	b1 := s[0]
	at := func(i int) (byte, bool) {
		if i < len(s) {
			return s[i], true
		}
		return 0, false
	}
	cont := func(b byte) bool { return b&0xC0 == 0x80 }
	switch {
	case b1 < 0x80:
		return rune(b1), 1, false, false
	case b1>>5 == 6 && b1&0x1E != 0:
		b2, ok := at(1)
		if !ok {
			return 0, 1, true, true
		}
		if !cont(b2) {
			return 0, 1, true, false
		}
		return rune(b1&0x1F)<<6 | rune(b2&0x3F), 2, false, false
	case b1>>4 == 14:
		b2, ok2 := at(1)
		if ok2 && (b1 == 0xE0 && b2&0xE0 == 0x80 || !cont(b2)) {
			return 0, 1, true, false
		}
		b3, ok3 := at(2)
		if !ok3 {
			return 0, len(s), true, true
		}
		if !cont(b3) {
			return 0, 2, true, false
		}
		c = rune(b1&0x0F)<<12 | rune(b2&0x3F)<<6 | rune(b3&0x3F)
		if c >= 0xD800 && c <= 0xDFFF {
			return 0, 3, true, false
		}
		return c, 3, false, false
	case b1>>3 == 30:
		b2, ok2 := at(1)
		if b1 > 0xF4 || ok2 && (b1 == 0xF0 && (b2 < 0x90 || b2 > 0xBF) || b1 == 0xF4 && b2&0xF0 != 0x80 || !cont(b2)) {
			return 0, 1, true, false
		}
		b3, ok3 := at(2)
		if ok3 && !cont(b3) {
			return 0, 2, true, false
		}
		b4, ok4 := at(3)
		if !ok4 {
			return 0, len(s), true, true
		}
		if !cont(b4) {
			return 0, 3, true, false
		}
		return rune(b1&7)<<18 | rune(b2&0x3F)<<12 | rune(b3&0x3F)<<6 | rune(b4&0x3F), 4, false, false
	}
	return 0, 1, true, false
}
