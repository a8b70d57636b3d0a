package mock

import (
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// tokens are those of a statement without blanks and comments, with the partner of each parenthesis. All methods
// may be asked about any index.
type tokens struct {
	list  []sqltext.Token
	match []int // for "(" and "/*+" the index of the partner, len(list) if there is none
	// broken: a parenthesis has no partner. Flink will say so.
	broken bool
}

func significant(s sqltext.Statement) tokens {
	var list []sqltext.Token
	for _, token := range s.Tokens() {
		if token.Kind != sqltext.Whitespace && token.Kind != sqltext.Comment {
			list = append(list, token)
		}
	}
	return pair(list)
}

// pair finds the partners of parentheses and hints.
func pair(list []sqltext.Token) tokens {
	t := tokens{list: list, match: make([]int, len(list))}
	var open []int
	hint := -1
	for i, token := range t.list {
		t.match[i] = len(t.list)
		switch {
		case token.Kind == sqltext.HintStart:
			hint = i
		case token.Kind == sqltext.HintEnd && hint >= 0:
			t.match[hint], hint = i, -1
		case token.Kind != sqltext.Symbol:
		case token.Text == "(":
			open = append(open, i)
		case token.Text == ")" && len(open) > 0:
			t.match[open[len(open)-1]] = i
			open = open[:len(open)-1]
		case token.Text == ")":
			t.broken = true
		}
	}
	t.broken = t.broken || len(open) > 0 || hint >= 0
	return t
}

// word returns the unquoted word at i in upper case, "" if there is none.
func (t tokens) word(i int) string {
	if i < 0 || i >= len(t.list) || t.list[i].Kind != sqltext.Word {
		return ""
	}
	return strings.ToUpper(t.list[i].Text)
}

// words reports whether these words stand at i.
func (t tokens) words(i int, words ...string) bool {
	for n, w := range words {
		if t.word(i+n) != w {
			return false
		}
	}
	return true
}

// is reports whether the symbol stands at i.
func (t tokens) is(i int, symbol string) bool {
	return i >= 0 && i < len(t.list) && t.list[i].Kind == sqltext.Symbol && t.list[i].Text == symbol
}

func (t tokens) kind(i int) sqltext.Kind {
	if i < 0 || i >= len(t.list) {
		return sqltext.Whitespace
	}
	return t.list[i].Kind
}

// name returns the identifier at i.
func (t tokens) name(i int) (string, bool) {
	if k := t.kind(i); k != sqltext.Word && k != sqltext.QuotedIdentifier {
		return "", false
	}
	name, err := sqltext.Unquote(t.list[i].Text)
	return name, err == nil && name != ""
}

// path returns the identifiers a.b.c at i and the index behind them; none and i if there are none.
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

// text returns the string literal at i and the index behind it.
func (t tokens) text(i int) (string, int) {
	s, end, err := sqltext.Literals(t.list, i)
	if err != nil {
		return "", max(end, i)
	}
	return s, end
}

// behind returns the index behind the group that opens at i, or i+1.
func (t tokens) behind(i int) int {
	if t.is(i, "(") || t.kind(i) == sqltext.HintStart {
		return min(t.match[i]+1, len(t.list))
	}
	return i + 1
}

// span returns the bytes of the script from token i to before token j.
func (t tokens) span(i, j int) (from, to int) {
	from = t.list[i].Offset
	last := t.list[max(i, j-1)]
	return from, last.Offset + len(last.Text)
}

// settings are the options of WITH, in their order.
type settings [][2]string

// get returns the value of a key, the last one if it stands twice.
func (s settings) get(key string) string {
	value := ""
	for _, o := range s {
		if o[0] == key {
			value = o[1]
		}
	}
	return value
}

// options reads ('key' = 'value', …) at i and returns the index behind it.
func (t tokens) options(i int) (settings, int) {
	var options settings
	if !t.is(i, "(") {
		return options, i
	}
	end := t.match[i]
	for i++; i < end; i++ {
		key, next := t.text(i)
		if next == i || !t.is(next, "=") {
			continue
		}
		value, after := t.text(next + 1)
		options = append(options, [2]string{key, value})
		i = max(after, next) // the comma
	}
	return options, min(end+1, len(t.list))
}
