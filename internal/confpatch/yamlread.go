package confpatch

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/flinkconf"
)

// encoding is how a config.yaml is stored. Flink's reader decides by the byte order mark alone.
type encoding uint8

const (
	utf8Plain encoding = iota
	utf8BOM
	utf16BE
	utf16LE
	utf32BE
	utf32LE
)

func (e encoding) bom() string {
	return [...]string{"", "\xEF\xBB\xBF", "\xFE\xFF", "\xFF\xFE", "\x00\x00\xFE\xFF", "\xFF\xFE\x00\x00"}[e]
}

// detect mirrors YamlUnicodeReader: it looks at four bytes that are zero where the file is shorter.
func detect(src []byte) encoding {
	var b [4]byte
	copy(b[:], src)
	switch {
	case b == [4]byte{0, 0, 0xFE, 0xFF}:
		return utf32BE
	case b == [4]byte{0xFF, 0xFE, 0, 0}:
		return utf32LE
	case b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF:
		return utf8BOM
	case b[0] == 0xFE && b[1] == 0xFF:
		return utf16BE
	case b[0] == 0xFF && b[1] == 0xFE:
		return utf16LE
	}
	return utf8Plain
}

// encode is the inverse of decoding: the byte order mark and text in encoding e.
func (e encoding) encode(text string) []byte {
	out := []byte(e.bom())
	if e <= utf8BOM {
		return append(out, text...)
	}
	for _, r := range text {
		switch {
		case e == utf32BE:
			out = binary.BigEndian.AppendUint32(out, uint32(r))
		case e == utf32LE:
			out = binary.LittleEndian.AppendUint32(out, uint32(r))
		case r > 0xFFFF:
			out = e.append16(e.append16(out, 0xD800+uint16((r-0x10000)>>10)), 0xDC00+uint16((r-0x10000)&0x3FF))
		default:
			out = e.append16(out, uint16(r))
		}
	}
	return out
}

func (e encoding) append16(b []byte, u uint16) []byte {
	if e == utf16BE {
		return binary.BigEndian.AppendUint16(b, u)
	}
	return binary.LittleEndian.AppendUint16(b, u)
}

// A reader hands out the code points of a config.yaml as snakeyaml-engine's StreamReader does: with line
// and column of the current one, and failing where a chunk that holds a malformed or forbidden character
// would have to be loaded (so that a syntax error before it is reported first, as by Flink).
type reader struct {
	text  string  // decoded, without byte order mark
	runes []rune  // nil while text is ASCII
	offs  []int32 // byte offset in text per rune, one more at the end; nil while text is ASCII
	limit int     // code points that can be read
	fail  *yamlError
	mark
}

// A mark is a position: code points from the start, and line and column as snakeyaml-engine counts them.
type mark struct{ idx, line, col int }

const (
	chunkChars     = 1023 // StreamReader's buffer, in UTF-16 units
	codePointLimit = 3 << 20
)

func newReader(src []byte) (*reader, encoding) {
	enc := detect(src)
	body := src
	if n := len(enc.bom()); n <= len(body) {
		body = body[n:]
	} else {
		body = nil // a lone UTF-16 mark reads as UTF-32 with nothing behind it
	}
	r := &reader{}
	if enc <= utf8BOM {
		r.text = string(body)
		if printableASCII(r.text) {
			r.limit = len(r.text)
			return r, enc
		}
		r.decodeUTF8()
	} else {
		r.decodeWide(body, enc)
	}
	return r, enc
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7F || (c < 0x20 && c != '\n' && c != '\t' && c != '\r') {
			return false
		}
	}
	return true
}

func printable(c rune) bool {
	return c >= 0x20 && c <= 0x7E || c == '\t' || c == '\n' || c == '\r' || c == 0x85 ||
		c >= 0xA0 && c <= 0xD7FF || c >= 0xE000 && c <= 0xFFFD || c >= 0x10000 && c <= 0x10FFFF
}

func (r *reader) decodeUTF8() {
	r.runes = make([]rune, 0, len(r.text))
	r.offs = make([]int32, 0, len(r.text)+1)
	for i := 0; i < len(r.text); {
		c, n, bad, atEnd := javaUTF8(r.text[i:])
		if bad {
			r.malformed(n, atEnd)
			r.text = r.text[:i]
			break
		}
		r.add(c, i)
		i += n
	}
	r.finish()
}

// javaUTF8 decodes one code point as Java's UTF-8 decoder does. When it is bad, n is the length that Java
// reports as malformed; atEnd says that the input merely ends too early.
func javaUTF8(s string) (c rune, n int, bad, atEnd bool) {
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

func (r *reader) decodeWide(body []byte, enc encoding) {
	var text strings.Builder
	var order binary.ByteOrder = binary.LittleEndian
	if enc == utf16BE || enc == utf32BE {
		order = binary.BigEndian
	}
	unit := 2
	if enc >= utf32BE {
		unit = 4
	}
	r.runes, r.offs = []rune{}, []int32{}
	for i := 0; i < len(body); {
		if i+unit > len(body) {
			r.malformed(len(body)-i, true)
			break
		}
		var c rune
		n := unit
		if unit == 4 {
			u := order.Uint32(body[i:])
			if u > utf8.MaxRune || u >= 0xD800 && u <= 0xDFFF {
				r.malformed(4, false)
				break
			}
			c = rune(u)
		} else {
			c = rune(order.Uint16(body[i:]))
			switch {
			case c == 0xFFFE:
				r.malformed(2, false)
			case c >= 0xDC00 && c <= 0xDFFF:
				r.malformed(2, false)
			case c >= 0xD800 && c <= 0xDBFF && i+4 > len(body):
				r.malformed(len(body)-i, true)
			case c >= 0xD800 && c <= 0xDBFF:
				low := rune(order.Uint16(body[i+2:]))
				if low < 0xDC00 || low > 0xDFFF {
					r.malformed(4, false)
					break
				}
				c = 0x10000 + (c-0xD800)<<10 + low - 0xDC00
				n = 4
			}
			if r.fail != nil {
				break
			}
		}
		r.add(c, text.Len())
		text.WriteRune(c)
		i += n
	}
	r.text = text.String()
	r.finish()
}

func (r *reader) add(c rune, off int) {
	r.runes = append(r.runes, c)
	r.offs = append(r.offs, int32(off))
}

// malformed notes that the input cannot be decoded behind the runes so far. Java hands out what it has
// before an input that ends too early, and nothing of a chunk that holds a malformed sequence.
func (r *reader) malformed(n int, atEnd bool) {
	io := &flinkconf.Error{Class: "java.nio.charset.MalformedInputException", Message: "Input length = " + itoa(n)}
	r.fail = &yamlError{
		reason: "malformed bytes: the file is not valid in its encoding",
		flink:  &flinkconf.Error{Class: yamlEngineException, Message: io.Class + ": " + io.Message, Cause: io},
		mark:   r.end(),
	}
	r.limit = len(r.runes)
	if !atEnd {
		r.limit = r.chunkStart(len(r.runes))
	}
}

// finish looks for characters that YAML forbids and closes the offset table.
func (r *reader) finish() {
	if r.fail == nil {
		r.limit = len(r.runes)
	}
	r.offs = append(r.offs, int32(len(r.text)))
	for i, c := range r.runes {
		if printable(c) {
			continue
		}
		if limit := r.chunkStart(i); r.fail == nil || limit < r.limit {
			all := r.runes
			r.runes = r.runes[:i]
			r.fail = &yamlError{
				reason: "character " + codePointName(c) + " is not allowed in YAML",
				flink:  &flinkconf.Error{Class: "org.snakeyaml.engine.v2.exceptions.ReaderException", Message: "special characters are not allowed"},
				mark:   r.end(),
			}
			r.runes = all
			r.limit = limit
		}
		break
	}
}

// chunkStart returns where the chunk begins that holds rune i.
func (r *reader) chunkStart(i int) int {
	start, units := 0, 0
	for k, c := range r.runes[:min(i+1, len(r.runes))] {
		u := 1
		if c > 0xFFFF {
			u = 2
		}
		if units+u > chunkChars {
			start, units = k, 0
		}
		units += u
	}
	if i == len(r.runes) && units >= chunkChars {
		start = i
	}
	return start
}

// end returns the position behind the runes so far.
func (r *reader) end() mark {
	p := reader{text: r.text, runes: r.runes, offs: r.offs, limit: len(r.runes)}
	p.forward(len(r.runes))
	return p.mark
}

// touch fails if the code point k places ahead lies behind the readable ones because of an error.
func (r *reader) touch(k int) bool {
	if r.idx+k < r.limit {
		return true
	}
	if r.fail != nil {
		panic(r.fail)
	}
	return false
}

// peek returns the code point k places ahead, 0 at the end.
func (r *reader) peek(k int) rune {
	i := r.idx + k
	if i < r.limit {
		if r.runes == nil {
			return rune(r.text[i])
		}
		return r.runes[i]
	}
	r.touch(k)
	return 0
}

// prefixIs reports whether s, which is ASCII, comes next.
func (r *reader) prefixIs(s string) bool {
	r.touch(len(s))
	for i := range len(s) {
		if r.idx+i >= r.limit || r.peek(i) != rune(s[i]) {
			return false
		}
	}
	return true
}

// forward moves n code points ahead and keeps line and column.
func (r *reader) forward(n int) {
	for ; n > 0 && r.touch(0); n-- {
		c := r.peek(0)
		r.idx++
		if c == '\n' || c == '\r' && r.touch(0) && r.peek(0) != '\n' {
			r.line++
			r.col = 0
		} else if c != 0xFEFF {
			r.col++
		}
	}
}

// take returns the next n code points, which hold no line break, and moves behind them.
func (r *reader) take(n int) string {
	if n > r.limit-r.idx {
		n = r.limit - r.idx
	}
	s := r.text[r.offset(r.idx):r.offset(r.idx+n)]
	r.idx += n
	r.col += n
	return s
}

// offset converts an index of code points into one of bytes of text.
func (r *reader) offset(idx int) int {
	if r.offs == nil {
		return idx
	}
	return int(r.offs[idx])
}
