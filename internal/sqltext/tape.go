package sqltext

import (
	"encoding/binary"
	"sort"
)

// Tape is a list of tokens in about two bytes each, in place of the 48 of a [Token]: one statement of 12 MiB may have as many
// tokens as half its bytes. A token is stored as its kind, its distance from the token before it, and its length. Blocks of tokens
// are unpacked one at a time, so reading a tape in about its order is fast.
//
// The zero value is an empty tape. [Tape.Start] empties it and keeps its memory.
type Tape struct {
	text   string // of the statement
	start  Token  // the first byte of text in the script
	count  int
	end    int // of the last token, in text
	blocks []block
	chunks [][]byte
	chunk  int // the one that is written
	open   []unpacked
	known  place // the last place that was asked for
}

const (
	blockTokens  = 64
	cachedBlocks = 4
	chunkBytes   = 1 << 16
	largestBlock = blockTokens * (1 + 2*binary.MaxVarintLen32)
)

// block is where the packed tokens of a block begin.
type block struct {
	chunk, at int32
	offset    int32 // in text, where the distance of its first token counts from
}

// unpacked is a block whose tokens are known.
type unpacked struct {
	block    int // from 1; 0: none
	kinds    [blockTokens]Kind
	from, to [blockTokens]int32
}

type place struct{ offset, line, column int }

// longDistance is a distance that has bytes of its own.
const longDistance = 15

// Start empties the tape for the tokens of a statement.
func (t *Tape) Start(s Statement) {
	t.text, t.start = s.Text, Token{Offset: s.Offset, Line: s.Line, Column: s.Column}
	t.count, t.end, t.chunk = 0, 0, 0
	t.blocks = t.blocks[:0]
	// A token takes at most twice the bytes from the end of the one before it to its own, so most statements need a small chunk.
	if size := min(chunkBytes, 2*len(s.Text)); len(t.chunks) == 0 || cap(t.chunks[0]) < size {
		t.chunks = append(t.chunks[:0], make([]byte, 0, size))
	}
	for i := range t.chunks {
		t.chunks[i] = t.chunks[i][:0]
	}
	for i := range t.open {
		t.open[i].block = 0
	}
	t.known = place{0, s.Line, s.Column}
}

// Add puts a token of the statement at the end. Tokens come in their order, all of them before one is read; those between two that are
// added may be left out.
func (t *Tape) Add(token Token) {
	if t.count%blockTokens == 0 {
		if room := cap(t.chunks[t.chunk]) - len(t.chunks[t.chunk]); room < largestBlock && 2*len(t.text) > chunkBytes {
			if t.chunk++; t.chunk == len(t.chunks) {
				t.chunks = append(t.chunks, make([]byte, 0, chunkBytes))
			}
		}
		t.blocks = append(t.blocks, block{int32(t.chunk), int32(len(t.chunks[t.chunk])), int32(t.end)})
	}
	from := token.Offset - t.start.Offset
	distance := from - t.end
	out := t.chunks[t.chunk]
	out = append(out, byte(token.Kind)<<4|byte(min(distance, longDistance)))
	if distance >= longDistance {
		out = binary.AppendUvarint(out, uint64(distance-longDistance))
	}
	t.chunks[t.chunk] = binary.AppendUvarint(out, uint64(len(token.Text)))
	t.end = from + len(token.Text)
	t.count++
}

// Len returns the number of tokens.
func (t *Tape) Len() int { return t.count }

// unpack returns the block of token i, and its index there.
func (t *Tape) unpack(i int) (*unpacked, int) {
	if t.open == nil {
		t.open = make([]unpacked, min(cachedBlocks, len(t.blocks)))
	}
	number, at := i/blockTokens, i%blockTokens
	u := &t.open[number%len(t.open)]
	if u.block == number+1 {
		return u, at
	}
	u.block = number + 1
	b := t.blocks[number]
	in := t.chunks[b.chunk][b.at:]
	offset := b.offset
	for n := range min(blockTokens, t.count-number*blockTokens) {
		kind, distance := Kind(in[0]>>4), int32(in[0]&longDistance)
		in = in[1:]
		if distance == longDistance {
			more, bytes := binary.Uvarint(in)
			distance += int32(more)
			in = in[bytes:]
		}
		length, bytes := binary.Uvarint(in)
		in = in[bytes:]
		u.kinds[n], u.from[n], u.to[n] = kind, offset+distance, offset+distance+int32(length)
		offset = u.to[n]
	}
	return u, at
}

// Kind returns the kind of token i, which must be there, as for all methods that take one.
func (t *Tape) Kind(i int) Kind {
	u, at := t.unpack(i)
	return u.kinds[at]
}

// Text returns the text of token i, a slice of the statement's.
func (t *Tape) Text(i int) string {
	u, at := t.unpack(i)
	return t.text[u.from[at]:u.to[at]]
}

// Span returns where token i begins and ends in the script.
func (t *Tape) Span(i int) (from, to int) {
	u, at := t.unpack(i)
	return t.start.Offset + int(u.from[at]), t.start.Offset + int(u.to[at])
}

// Token returns token i with its place.
func (t *Tape) Token(i int) Token {
	u, at := t.unpack(i)
	offset := int(u.from[at])
	if offset < t.known.offset {
		t.known = place{0, t.start.Line, t.start.Column}
	}
	line, column := advance(t.text[t.known.offset:offset], t.known.line, t.known.column)
	t.known = place{offset, line, column}
	return Token{Kind: u.kinds[at], Text: t.text[offset:u.to[at]], Offset: t.start.Offset + offset, Line: line, Column: column}
}

// Find returns the index of the first token that begins at a place of the script or after it.
func (t *Tape) Find(offset int) int {
	return sort.Search(t.count, func(i int) bool {
		from, _ := t.Span(i)
		return from >= offset
	})
}

// Literals is [Literals] at token i.
func (t *Tape) Literals(i int) (string, int, error) {
	if i >= t.count || t.Kind(i) != String {
		return "", i, nil
	}
	text := t.Text(i)
	if (i+1 == t.count || t.Kind(i+1) != String) && !hasPrefixFold(text, "U&") { // most are
		value, err := Unquote(text)
		if err != nil {
			first := t.Token(i)
			return "", i + 1, &Error{Line: first.Line, Column: first.Column, Message: err.Error()}
		}
		return value, i + 1, nil
	}
	run := []Token{{Kind: String, Text: text}}
	n := i + 1
	for ; n < t.count && t.Kind(n) == String && t.Text(n)[0] == '\'' && !hasPrefixFold(text, "E"); n++ {
		run = append(run, Token{Kind: String, Text: t.Text(n)})
	}
	for range 2 { // UESCAPE and its character
		if n < t.count {
			run = append(run, Token{Kind: t.Kind(n), Text: t.Text(n)})
			n++
		}
	}
	value, end, err := Literals(run, 0)
	if e, ok := err.(*Error); ok {
		first := t.Token(i)
		e.Line, e.Column = first.Line, first.Column
	}
	return value, i + end, err
}
