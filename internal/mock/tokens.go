package mock

import (
	"sort"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// tokens are the tokens of a statement without blanks and comments, with the partner of each parenthesis. All methods
// accept any index. A statement has its tokens only while it is read or written: the next statement uses their memory.
type tokens struct {
	tape  *sqltext.Tape
	count int
	pairs *pairs
	// broken: a parenthesis has no partner. Flink will say so.
	broken bool
	deep   int // the token that is nested too deeply, 0 if there is not one
}

// What is read here calls itself for each level, so there is a limit, far above what a user or a generator writes.
const (
	deepest     = 10_000 // parentheses and angle brackets
	deepestType = 1000   // of a column: datagen's options name the way to each value, which is long at the bottom
)

// significant returns the tokens of a statement in the memory of old, which may be the zero value.
func significant(old tokens, s sqltext.Statement) tokens {
	t := tokens{tape: old.tape, pairs: old.pairs}
	if t.tape == nil {
		t.tape, t.pairs = &sqltext.Tape{}, &pairs{}
	}
	t.tape.Start(s)
	open := 0
	for token := range s.Significant() {
		t.tape.Add(token)
		switch {
		case token.Kind != sqltext.Symbol:
		case token.Text == "(":
			open++
		case token.Text == ")" && open > 0:
			open--
		}
		if open > deepest { // the rest is not read
			break
		}
	}
	t.count = t.tape.Len()
	t.pair()
	return t
}

// group is an open parenthesis: its number among the pairs, and how many angle brackets of types were open before it.
type group struct{ pair, angles int }

// pair finds the partners of parentheses and hints, and what is nested too deeply.
func (t *tokens) pair() {
	t.pairs.clear()
	var open []group
	hint, angles, least := -1, 0, 0
	for i := range t.count {
		switch kind := t.tape.Kind(i); kind {
		case sqltext.HintStart:
			hint = t.pairs.add(i)
		case sqltext.HintEnd:
			if hint >= 0 {
				t.pairs.close(hint, i)
				hint = -1
			}
		case sqltext.Symbol:
			switch t.tape.Text(i) {
			case "(":
				open = append(open, group{t.pairs.add(i), angles})
				least = angles
			case ")":
				if len(open) == 0 {
					t.broken = true
					break
				}
				last := open[len(open)-1]
				t.pairs.close(last.pair, i)
				angles, least = last.angles, 0
				if open = open[:len(open)-1]; len(open) > 0 {
					least = open[len(open)-1].angles
				}
			case "<":
				if t.nestsTypes(i - 1) {
					angles++
				}
			case ">":
				if angles > least {
					angles--
				}
			}
		}
		if t.deep == 0 && len(open)+angles > deepest {
			t.deep = i
		}
	}
	t.broken = t.broken || len(open) > 0 || hint >= 0
}

// pairs are the parentheses and hints of a statement, by where they open. A list would have to be copied where it grows.
type pairs struct {
	chunks [][][2]int32 // open, close; each chunk but the last has pairsPerChunk
	count  int
	last   int // the pair that was found last
}

const pairsPerChunk = 1 << 12

func (p *pairs) clear() { p.count, p.last = 0, 0 }

// add returns the number of a pair that opens at a token after all others, and whose end is not known.
func (p *pairs) add(open int) int {
	chunk, at := p.count/pairsPerChunk, p.count%pairsPerChunk
	if chunk == len(p.chunks) {
		p.chunks = append(p.chunks, nil)
	}
	p.chunks[chunk] = append(p.chunks[chunk][:at], [2]int32{int32(open), -1})
	p.count++
	return p.count - 1
}

func (p *pairs) close(number, at int) { p.at(number)[1] = int32(at) }

func (p *pairs) at(number int) *[2]int32 {
	return &p.chunks[number/pairsPerChunk][number%pairsPerChunk]
}

// find returns the token that closes what opens at a token, -1 if there is not one.
func (p *pairs) find(open int) int {
	for n := p.last; n < min(p.last+2, p.count); n++ { // mostly it is the one asked for before, or the next one
		if pair := p.at(n); int(pair[0]) == open {
			p.last = n
			return int(pair[1])
		}
	}
	n := sort.Search(p.count, func(n int) bool { return int(p.at(n)[0]) >= open })
	if n == p.count || int(p.at(n)[0]) != open {
		return -1
	}
	p.last = n
	return int(p.at(n)[1])
}

// partner returns the index of what closes the parenthesis or hint at i; the number of tokens if there is nothing.
func (t tokens) partner(i int) int {
	if i < t.count {
		if at := t.pairs.find(i); at >= 0 {
			return at
		}
	}
	return t.count
}

// token returns the token at i with its place.
func (t tokens) token(i int) sqltext.Token { return t.tape.Token(i) }

// begin returns where token i begins in the script.
func (t tokens) begin(i int) int {
	from, _ := t.tape.Span(i)
	return from
}

// end returns where the last token ends in the script.
func (t tokens) end() int {
	_, to := t.tape.Span(t.count - 1)
	return to
}

// index returns the first token from token from on that is the word, -1 if there is not one.
func (t tokens) index(from, to int, word string) int {
	for i := from; i < to; i++ {
		if strings.EqualFold(t.textOf(i), word) {
			return i
		}
	}
	return -1
}

// nestsTypes reports whether the word at i has other types in angle brackets.
func (t tokens) nestsTypes(i int) bool {
	switch t.word(i) {
	case "ARRAY", "MULTISET", "MAP", "ROW", "STRUCTURED":
		return true
	}
	return false
}

// word returns the unquoted word at i in upper case, "" if there is not one.
func (t tokens) word(i int) string {
	if t.kind(i) != sqltext.Word {
		return ""
	}
	return strings.ToUpper(t.tape.Text(i))
}

// words reports whether these words are at i.
func (t tokens) words(i int, words ...string) bool {
	for n, w := range words {
		if t.word(i+n) != w {
			return false
		}
	}
	return true
}

// is reports whether the symbol is at i.
func (t tokens) is(i int, symbol string) bool {
	return t.kind(i) == sqltext.Symbol && t.tape.Text(i) == symbol
}

func (t tokens) kind(i int) sqltext.Kind {
	if i < 0 || i >= t.count {
		return sqltext.Whitespace
	}
	return t.tape.Kind(i)
}

// name returns the identifier at i.
func (t tokens) name(i int) (string, bool) {
	if k := t.kind(i); k != sqltext.Word && k != sqltext.QuotedIdentifier {
		return "", false
	}
	name, err := sqltext.Unquote(t.tape.Text(i))
	return name, err == nil && name != ""
}

// path returns the identifiers a.b.c at i and the index after them; none and i if there are not any.
func (t tokens) path(i int) ([]string, int) {
	name, ok := t.name(i)
	if !ok {
		return nil, i
	}
	parts := []string{name}
	for i++; t.is(i, "."); i += 2 {
		if name, ok = t.name(i + 1); !ok {
			break
		}
		parts = append(parts, name)
	}
	return parts, i
}

// text returns the string literal at i and the index after it.
func (t tokens) text(i int) (string, int) {
	if t.kind(i) != sqltext.String {
		return "", i
	}
	s, end, err := t.tape.Literals(i)
	if err != nil {
		return "", max(end, i)
	}
	return s, end
}

// after returns the index after the group that opens at i, or i+1.
func (t tokens) after(i int) int {
	if t.is(i, "(") || t.kind(i) == sqltext.HintStart {
		return min(t.partner(i)+1, t.count)
	}
	return i + 1
}

// span returns the bytes of the script from token i to before token j.
func (t tokens) span(i, j int) (from, to int) {
	_, to = t.tape.Span(max(i, j-1))
	return t.begin(i), to
}

// settings are the options of WITH, in their order.
type settings [][2]string

// get returns the value of a key, the last one if it occurs twice.
func (s settings) get(key string) string {
	value := ""
	for _, o := range s {
		if o[0] == key {
			value = o[1]
		}
	}
	return value
}

// options reads ('key' = 'value', …) at i and returns the index after it.
func (t tokens) options(i int) (settings, int) {
	var options settings
	if !t.is(i, "(") {
		return options, i
	}
	end := t.partner(i)
	for i++; i < end; i++ {
		key, next := t.text(i)
		if next == i || !t.is(next, "=") {
			continue
		}
		value, after := t.text(next + 1)
		options = append(options, [2]string{key, value})
		i = max(after, next) // the comma
	}
	return options, min(end+1, t.count)
}
