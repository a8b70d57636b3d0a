package jobdef

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"flink-entrypoint/internal/yaml"
)

// Pointer returns the value that an RFC 6901 pointer leads to in an envelope of JSON or YAML: its own text, or what a
// string holds, since some services put a whole document into one. The error names keys of the envelope, no values.
func Pointer(src []byte, pointer string) ([]byte, error) {
	document, problem := readDocument(src)
	if problem != nil {
		return nil, fmt.Errorf("the answer is not JSON or YAML: line %d, column %d: %s", problem.Line, problem.Column, problem.Message)
	}
	n := document.Root
	if n == nil || n.Tag == yaml.TagNull {
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
	switch kindOf(n) {
	case nullKind:
		return nil, fmt.Errorf("the answer's %s is null", quote(at))
	case mappingKind, sequenceKind:
		text := document.Text[n.Content.Offset:n.End]
		if c := text[0]; c != '{' && c != '[' { // keep its columns equal
			text = strings.Repeat(" ", n.Content.Column) + text
		}
		return []byte(text), nil
	}
	return []byte(n.Text), nil
}

// step returns the value of a key or index of n.
func step(n *yaml.Node, token string) (*yaml.Node, error) {
	switch kindOf(n) {
	case mappingKind:
		if v := n.Get(token); v != nil {
			return v, nil
		}
		var names []string
		for i, p := range n.Pairs {
			if i == 10 {
				names = append(names, "...")
				break
			}
			names = append(names, quote(p.Key.Text))
		}
		return nil, fmt.Errorf("there is a mapping of %s", cmp.Or(strings.Join(names, ", "), "nothing"))
	case sequenceKind:
		i, err := strconv.Atoi(token)
		if err == nil && strconv.Itoa(i) == token && i >= 0 && i < len(n.Items) {
			return n.Items[i], nil
		}
		return nil, fmt.Errorf("there is a list of %d", len(n.Items))
	}
	return nil, fmt.Errorf("there is %s", kindOf(n))
}
