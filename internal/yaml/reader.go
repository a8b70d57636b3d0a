package yaml

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
)

// Encoding is how a config.yaml is stored. Flink's reader decides by the byte order mark alone.
type Encoding uint8

const (
	utf8Plain Encoding = iota
	utf8BOM
	utf16BE
	utf16LE
	utf32BE
	utf32LE
)

func (e Encoding) bom() string {
	return [...]string{"", "\xEF\xBB\xBF", "\xFE\xFF", "\xFF\xFE", "\x00\x00\xFE\xFF", "\xFF\xFE\x00\x00"}[e]
}

// detect mirrors YamlUnicodeReader: it looks at four bytes that are zero where the file is shorter.
func detect(src []byte) Encoding {
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

// Encode is the inverse of decoding: the byte order mark and text in encoding e.
func (e Encoding) Encode(text string) []byte {
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

func (e Encoding) append16(b []byte, u uint16) []byte {
	if e == utf16BE {
		return binary.BigEndian.AppendUint16(b, u)
	}
	return binary.LittleEndian.AppendUint16(b, u)
}

// A reader hands out the code points of a document as snakeyaml-engine's StreamReader does: with line and column of the
// current one, and failing where a chunk that holds a malformed or forbidden character would have to be loaded (so that
// a syntax error before it is reported first, as by Flink).
type reader struct {
	text  string // decoded, without byte order mark; valid UTF-8
	ascii bool
	limit int // bytes of text that can be read
	fail  *Error
	Mark

	ahead, aheadOffset int // the byte offset of the code point that was last looked at, ahead places from here
}

// A Mark is a position: in code points and in bytes of the text from its start, and line and column as snakeyaml-engine
// counts them, from 0.
type Mark struct{ Index, Offset, Line, Column int }

const chunkChars = 1023 // StreamReader's buffer, in UTF-16 units

func newReader(src []byte) (*reader, Encoding) {
	enc := detect(src)
	body := src
	if n := len(enc.bom()); n <= len(body) {
		body = body[n:]
	} else {
		body = nil // a lone UTF-16 mark reads as UTF-32 without content
	}
	r := &reader{}
	switch {
	case enc <= utf8BOM && printableASCII(body):
		r.text, r.ascii = string(body), true
		r.limit = len(r.text)
		return r, enc
	case enc <= utf8BOM:
		r.decodeUTF8(string(body))
	default:
		r.decodeWide(body, enc)
	}
	r.findForbidden()
	return r, enc
}

// newStrictReader reads UTF-8 and fails at once. A byte order mark is dropped, and every line ends in LF.
func newStrictReader(src []byte) *reader {
	text := strings.TrimPrefix(string(src), utf8BOM.bom())
	if strings.IndexByte(text, '\r') >= 0 {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	}
	r := &reader{text: text, limit: len(text), ascii: true}
	fail := func(f Fault, i int, found string) {
		line := strings.LastIndexByte(text[:i], '\n') + 1
		panic(strictError(f, Mark{Offset: i, Line: strings.Count(text[:i], "\n"), Column: utf8.RuneCountInString(text[line:i])}, found))
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			r.ascii = false
			decoded, n := utf8.DecodeRuneInString(text[i:])
			if decoded == utf8.RuneError && n == 1 {
				fail(NotUTF8, i, "")
			}
			i += n - 1
		case c < ' ' && c != '\t' && c != '\n':
			fail(ForbiddenCharacter, i, codePointName(rune(c)))
		}
	}
	return r
}

func printableASCII(s []byte) bool {
	for _, c := range s {
		if c >= 0x7F || (c < 0x20 && c != '\n' && c != '\t' && c != '\r') {
			return false
		}
	}
	return true
}

// Printable reports whether YAML allows the character in a document.
func Printable(c rune) bool {
	return c >= 0x20 && c <= 0x7E || c == '\t' || c == '\n' || c == '\r' || c == 0x85 ||
		c >= 0xA0 && c <= 0xD7FF || c >= 0xE000 && c <= 0xFFFD || c >= 0x10000 && c <= 0x10FFFF
}

func (r *reader) decodeUTF8(body string) {
	r.text, r.limit = body, len(body)
	for i := 0; i < len(body); {
		_, n, bad, atEnd := javatext.DecodeUTF8(body[i:])
		if bad {
			r.malformed(body[:i], n, atEnd)
			return
		}
		i += n
	}
}

func (r *reader) decodeWide(body []byte, enc Encoding) {
	var text strings.Builder
	var order binary.ByteOrder = binary.LittleEndian
	if enc == utf16BE || enc == utf32BE {
		order = binary.BigEndian
	}
	next := func(rest []byte) (c rune, n int, bad, atEnd bool) { return decode16(rest, order) }
	if enc >= utf32BE {
		next = func(rest []byte) (c rune, n int, bad, atEnd bool) { return decode32(rest, order) }
	}
	for len(body) > 0 {
		c, n, bad, atEnd := next(body)
		if bad {
			r.malformed(text.String(), n, atEnd)
			return
		}
		text.WriteRune(c)
		body = body[n:]
	}
	r.text = text.String()
	r.limit = len(r.text)
}

// decode16 decodes one code point as Java's UTF-16 decoders do; the results are like those of [javatext.DecodeUTF8].
func decode16(b []byte, order binary.ByteOrder) (c rune, n int, bad, atEnd bool) {
	if len(b) < 2 {
		return 0, len(b), true, true
	}
	switch c = rune(order.Uint16(b)); {
	case c == 0xFFFE, c >= 0xDC00 && c <= 0xDFFF:
		return 0, 2, true, false
	case c < 0xD800 || c > 0xDBFF:
		return c, 2, false, false
	case len(b) < 4:
		return 0, len(b), true, true
	}
	low := rune(order.Uint16(b[2:]))
	if low < 0xDC00 || low > 0xDFFF {
		return 0, 4, true, false
	}
	return 0x10000 + (c-0xD800)<<10 + low - 0xDC00, 4, false, false
}

// decode32 is [decode16] for UTF-32.
func decode32(b []byte, order binary.ByteOrder) (c rune, n int, bad, atEnd bool) {
	if len(b) < 4 {
		return 0, len(b), true, true
	}
	u := order.Uint32(b)
	if u > utf8.MaxRune || u >= 0xD800 && u <= 0xDFFF {
		return 0, 4, true, false
	}
	return rune(u), 4, false, false
}

// malformed notes that the input cannot be decoded after the text so far. Java hands out what it has before an input
// that ends too early, and nothing of a chunk that holds a malformed sequence.
func (r *reader) malformed(text string, n int, atEnd bool) {
	r.text, r.limit = text, len(text)
	io := &javatext.Exception{Class: "java.nio.charset.MalformedInputException", Message: "Input length = " + itoa(n)}
	r.fail = &Error{
		Reason: "malformed bytes: the file is not valid in its encoding",
		Java:   &javatext.Exception{Class: EngineException, Message: io.Class + ": " + io.Message, Cause: io},
		Mark:   endOf(text),
	}
	if !atEnd {
		r.limit = chunkStart(text, len(text))
	}
}

// findForbidden looks for characters that YAML forbids.
func (r *reader) findForbidden() {
	for i, c := range r.text {
		if Printable(c) {
			continue
		}
		if limit := chunkStart(r.text, i); r.fail == nil || limit < r.limit {
			r.fail = &Error{
				Reason: "character " + codePointName(c) + " is not allowed in YAML",
				Java:   &javatext.Exception{Class: "org.snakeyaml.engine.v2.exceptions.ReaderException", Message: "special characters are not allowed"},
				Mark:   endOf(r.text[:i]),
			}
			r.limit = limit
		}
		return
	}
}

// chunkStart returns where the chunk begins that holds the character at that offset of the text.
func chunkStart(text string, offset int) int {
	start, units := 0, 0
	for i, c := range text {
		if i > offset {
			break
		}
		u := 1
		if c > 0xFFFF {
			u = 2
		}
		if units+u > chunkChars {
			start, units = i, 0
		}
		units += u
	}
	if offset == len(text) && units >= chunkChars {
		start = offset
	}
	return start
}

// endOf returns the position after a text.
func endOf(text string) Mark {
	r := &reader{text: text, limit: len(text)}
	r.forward(len(text))
	return r.Mark
}

// seek returns the byte offset of the code point k places ahead, or at least the limit if the text is shorter. Looking
// further and further ahead costs one step for each code point.
func (r *reader) seek(k int) int {
	if r.ascii {
		return r.Offset + k
	}
	if k < r.ahead || r.aheadOffset < r.Offset {
		r.ahead, r.aheadOffset = 0, r.Offset
	}
	for r.ahead < k {
		if r.aheadOffset >= r.limit {
			return r.limit
		}
		r.aheadOffset += runeLength(r.text[r.aheadOffset])
		r.ahead++
	}
	return r.aheadOffset
}

// runeLength is how many bytes a code point has that begins with that byte.
func runeLength(first byte) int {
	switch {
	case first < 0x80:
		return 1
	case first < 0xE0:
		return 2
	case first < 0xF0:
		return 3
	}
	return 4
}

// move goes to an offset that is that many code points ahead, without a look at what is between.
func (r *reader) move(offset, codePoints int) {
	r.Offset, r.Index = offset, r.Index+codePoints
	r.ahead, r.aheadOffset = 0, offset
}

// touch fails if the code point k places ahead is after the readable ones because of an error.
func (r *reader) touch(k int) bool {
	if r.seek(k) < r.limit {
		return true
	}
	if r.fail != nil {
		panic(r.fail)
	}
	return false
}

// peek returns the code point k places ahead, 0 at the end.
func (r *reader) peek(k int) rune {
	at := r.seek(k)
	if at < r.limit {
		if c := r.text[at]; c < utf8.RuneSelf {
			return rune(c)
		}
		c, _ := utf8.DecodeRuneInString(r.text[at:])
		return c
	}
	r.touch(k)
	return 0
}

// prefixIs reports whether s, which is ASCII, comes next.
func (r *reader) prefixIs(s string) bool {
	r.touch(len(s))
	return strings.HasPrefix(r.text[r.Offset:r.limit], s)
}

// forward moves n code points ahead and keeps line and column.
func (r *reader) forward(n int) {
	for ; n > 0 && r.touch(0); n-- {
		c := r.peek(0)
		r.move(r.Offset+runeLength(r.text[r.Offset]), 1)
		if c == '\n' || c == '\r' && r.touch(0) && r.peek(0) != '\n' {
			r.Line++
			r.Column = 0
		} else if c != 0xFEFF {
			r.Column++
		}
	}
}

// take returns the next n code points, which hold no line break, and moves after them.
func (r *reader) take(n int) string { return r.takeTo(min(r.seek(n), r.limit)) }

// takeLine returns the rest of the line and moves to its end.
func (r *reader) takeLine() string {
	end := strings.IndexAny(r.text[r.Offset:r.limit], "\r\n")
	if end < 0 {
		end = r.limit - r.Offset
		if r.fail != nil {
			panic(r.fail)
		}
	}
	return r.takeTo(r.Offset + end)
}

func (r *reader) takeTo(end int) string {
	s := r.text[r.Offset:end]
	n := len(s)
	if !r.ascii {
		n = utf8.RuneCountInString(s)
	}
	r.move(end, n)
	r.Column += n
	return s
}
