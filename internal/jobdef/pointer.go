package jobdef

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Pointer returns the value that an RFC 6901 pointer leads to in an envelope of JSON or YAML: its own text, or what a
// string holds, since some services put a whole document into one. The error names keys of the envelope, no values.
func Pointer(src []byte, pointer string) ([]byte, error) {
	n, problem := read(src)
	if problem != nil {
		return nil, fmt.Errorf("the answer is not JSON or YAML: line %d, column %d: %s", problem.Line, problem.Column, problem.Message)
	}
	if n == nil {
		return nil, errors.New("the answer is empty")
	}
	if pointer != "" && pointer[0] != '/' {
		return nil, fmt.Errorf("the pointer %s must begin with '/', e.g. /data", quote(pointer))
	}
	at := ""
	for pointer != "" {
		token, rest, more := strings.Cut(pointer[1:], "/")
		next, err := step(n, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
		if err != nil {
			if at == "" {
				return nil, fmt.Errorf("the answer has no %s: %w", quote("/"+token), err)
			}
			return nil, fmt.Errorf("the answer has no %s: at %s %w", quote(at+"/"+token), quote(at), err)
		}
		n, at = next, at+"/"+token
		if pointer = ""; more {
			pointer = "/" + rest
		}
	}
	switch n.kind {
	case nullKind:
		return nil, fmt.Errorf("the answer's %s is null", quote(at))
	case mappingKind, sequenceKind:
		source := normalised(src)
		text := source[n.start:n.end]
		if c := text[0]; c != '{' && c != '[' { // a block collection: keep its columns equal
			begin := strings.LastIndexByte(source[:n.start], '\n') + 1
			text = strings.Repeat(" ", len(source[begin:n.start])) + strings.TrimRight(text, " ")
		}
		return []byte(text), nil
	}
	return []byte(n.text), nil
}

// step returns the value of a key or index of n.
func step(n *node, token string) (*node, error) {
	switch n.kind {
	case mappingKind:
		if v := n.get(token); v != nil {
			return v, nil
		}
		var names []string
		for i, p := range n.pairs {
			if i == 10 {
				names = append(names, "...")
				break
			}
			names = append(names, quote(p.key))
		}
		return nil, fmt.Errorf("there is a mapping of %s", cmp.Or(strings.Join(names, ", "), "nothing"))
	case sequenceKind:
		i, err := strconv.Atoi(token)
		if err == nil && strconv.Itoa(i) == token && i >= 0 && i < len(n.items) {
			return n.items[i], nil
		}
		return nil, fmt.Errorf("there is a list of %d", len(n.items))
	}
	return nil, fmt.Errorf("there is %s", n.kind)
}
