package launch

import (
	"strconv"
	"strings"
)

// arithmetic evaluates the inside of $((…)): integers, variables, + - * / % and parentheses. It reports false for
// anything else.
func arithmetic(text string, lookup func(string) (string, bool)) (string, bool) {
	p := &calculation{text: strings.TrimSpace(text), lookup: lookup}
	n, ok := p.sum()
	if !ok || p.skip() != 0 {
		return "", false
	}
	return strconv.FormatInt(n, 10), true
}

type calculation struct {
	text   string
	pos    int
	lookup func(string) (string, bool)
}

// skip steps over blanks and returns the next byte, 0 at the end.
func (p *calculation) skip() byte {
	for p.pos < len(p.text) && isBlank(p.text[p.pos]) {
		p.pos++
	}
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *calculation) sum() (int64, bool) {
	n, ok := p.product()
	for c := p.skip(); ok && (c == '+' || c == '-'); c = p.skip() {
		p.pos++
		var m int64
		m, ok = p.product()
		if c == '-' {
			m = -m
		}
		n += m
	}
	return n, ok
}

func (p *calculation) product() (int64, bool) {
	n, ok := p.term()
	for c := p.skip(); ok && (c == '*' || c == '/' || c == '%'); c = p.skip() {
		p.pos++
		var m int64
		m, ok = p.term()
		switch {
		case c == '*':
			n *= m
		case m == 0:
			return 0, false
		case c == '/':
			n /= m
		default:
			n %= m
		}
	}
	return n, ok
}

func (p *calculation) term() (int64, bool) {
	switch c := p.skip(); {
	case c == '-' || c == '+':
		p.pos++
		n, ok := p.term()
		if c == '-' {
			n = -n
		}
		return n, ok
	case c == '(':
		p.pos++
		n, ok := p.sum()
		if p.skip() != ')' {
			return 0, false
		}
		p.pos++
		return n, ok
	case c == '$':
		p.pos++
		fallthrough
	default:
		if name := nameAt(p.text[p.pos:]); name != "" {
			p.pos += len(name)
			v, _ := p.lookup(name)
			if v == "" {
				return 0, true
			}
			return integer(v)
		}
		end := p.pos
		for end < len(p.text) && (p.text[end] >= '0' && p.text[end] <= '9' || p.text[end] == 'x' || p.text[end] >= 'a' && p.text[end] <= 'f') {
			end++
		}
		digits := p.text[p.pos:end]
		p.pos = end
		return integer(digits)
	}
}

// integer reads decimal, 0octal and 0xhexadecimal numbers as a shell does.
func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 0, 64)
	return n, err == nil && !strings.ContainsAny(s, "_oObB")
}
