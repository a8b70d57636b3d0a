package jobdef

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A decoder walks a document along the table and collects what is wrong.
type decoder struct {
	errors Errors
}

func (d *decoder) problem(n *node, path, message, hint string) {
	if path != "" {
		message = path + ": " + message
	}
	d.errors.List = append(d.errors.List, Problem{path, n.line, n.column, message, hint})
}

// knownVersion reports whether the document has a version that this program knows. One without is decoded
// as the current one, which reports the missing field; one of an unknown version would only give misleading errors.
func (d *decoder) knownVersion(root *node) bool {
	n := root.get("apiVersion")
	if n == nil || n.kind != stringKind || n.text == APIVersion {
		return true
	}
	d.problem(n, "apiVersion", "unknown version "+quote(n.text)+", known: "+APIVersion, "")
	return false
}

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// keys reports keys that stand twice in a mapping, and returns each pair's name once.
func (d *decoder) keys(n *node, path string) []pair {
	pairs := n.pairs
	if len(pairs) < 2 {
		return pairs
	}
	first := make(map[string]int, len(pairs))
	twice := false
	for i, p := range pairs {
		if f, ok := first[p.key]; ok {
			twice = true
			d.errors.List = append(d.errors.List, Problem{child(path, p.key), p.line, p.column,
				quote(p.key) + in(path) + " stands twice, first on line " + strconv.Itoa(pairs[f].line), ""})
			continue
		}
		first[p.key] = i
	}
	if !twice {
		return pairs
	}
	once := make([]pair, 0, len(first))
	for i, p := range pairs {
		if first[p.key] == i {
			once = append(once, p)
		}
	}
	return once
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// record decodes a mapping with known fields.
func (d *decoder) record(n *node, path string, r record) {
	if n.kind != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	before := len(d.errors.List)
	present := make([]bool, len(r.fields))
pairs:
	for _, p := range d.keys(n, path) {
		for i := range r.fields {
			f := &r.fields[i]
			if f.name != p.key {
				continue
			}
			present[i] = true
			if at := child(path, f.name); p.value.kind == nullKind {
				d.errors.List = append(d.errors.List, Problem{at, p.line, p.column, at + ": has no value", "give it a value or remove the line"})
			} else {
				f.value.decode(d, p.value, at)
			}
			continue pairs
		}
		if r.extensible && strings.HasPrefix(p.key, "x-") {
			continue
		}
		d.unknown(p, path, r)
	}
	for i, f := range r.fields {
		if f.required && !present[i] {
			d.problem(n, path, "the field "+f.name+" is missing", f.hint)
		}
	}
	if len(d.errors.List) > before {
		return // a rule would complain about the consequences
	}
	for _, rule := range r.rules {
		rule.check(d, n, path)
	}
}

// unknown reports a field that is not in the table, with the name that may have been meant.
func (d *decoder) unknown(p pair, path string, r record) {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.name
	}
	hint := ""
	if near := nearest(p.key, names); near != "" {
		hint = "did you mean " + quote(near) + "?"
	} else if elsewhere := places(p.key, "", definitionTable(new(Definition))); len(elsewhere) > 0 && !slices.Contains(elsewhere, child(path, p.key)) {
		hint = "it belongs to " + strings.Join(elsewhere, " or ")
	} else {
		hint = "known: " + strings.Join(names, ", ")
	}
	d.errors.List = append(d.errors.List, Problem{child(path, p.key), p.line, p.column, "unknown field " + quote(p.key) + in(path), hint})
}

// places returns where the table has a field of that name.
func places(name, path string, r record) []string {
	var found []string
	for _, f := range r.fields {
		if f.name == name {
			found = append(found, cmpOr(path, "the top level"))
		}
		if inner, suffix, ok := f.value.inner(); ok {
			found = append(found, places(name, child(path, f.name)+suffix, inner)...)
		}
	}
	return found
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (d *decoder) wrongKind(n *node, path, expected string) {
	d.problem(n, path, "expected "+expected+", found "+n.kind.String(), "")
}

// text decodes a string or a reference to one.
func (d *decoder) text(n *node, path string, f form) Text {
	row := f.row()
	t := Text{source: plainText, text: n.text, path: path, line: n.textLine, form: f}
	switch n.kind {
	case mappingKind:
		return d.reference(n, path, f)
	case sequenceKind, nullKind:
		d.wrongKind(n, path, row.expected)
		return Text{}
	}
	if strings.IndexByte(n.text, 0) >= 0 {
		d.problem(n, path, "holds a NUL character", "")
	} else if !row.ok(n.text) {
		found := ""
		if row.shown {
			found = ", found " + quote(n.text)
		}
		d.problem(n, path, "expected "+row.expected+found, row.hint)
	}
	return t
}

// reference decodes {fromFile: PATH} or {fromEnv: NAME}.
func (d *decoder) reference(n *node, path string, f form) Text {
	var file, variable string
	d.record(n, path, referenceTable(&file, &variable))
	t := Text{path: path, form: f, line: n.line, source: fromFile, text: file}
	if file == "" {
		t.source, t.text = fromEnv, variable
	}
	return t
}

// isReference reports whether a mapping is meant as a reference rather than as nested settings.
func isReference(n *node) bool {
	return n.kind == mappingKind && (n.get("fromFile") != nil || n.get("fromEnv") != nil)
}

// flatten decodes Flink's configuration, whose keys may be nested at every dot.
func (d *decoder) flatten(n *node, path, prefix string, lines map[string]int, into *[]Setting) {
	for _, p := range d.keys(n, path) {
		at, key := child(path, p.key), child(prefix, p.key)
		v := p.value
		switch {
		case !isKey(p.key):
			d.errors.List = append(d.errors.List, Problem{at, p.line, p.column, fmt.Sprintf("%s is not a key: it is empty, or holds a blank or control character", quote(p.key)), ""})
			continue
		case v.kind == nullKind:
			d.errors.List = append(d.errors.List, Problem{at, p.line, p.column, at + ": has no value", `give it a value or remove the line; "" is the empty string`})
			continue
		case v.kind == mappingKind && !isReference(v):
			if len(v.pairs) == 0 {
				d.problem(v, at, "expected a value, found an empty mapping", "")
			}
			d.flatten(v, at, key, lines, into)
			continue
		}
		if first, ok := lines[key]; ok {
			d.errors.List = append(d.errors.List, Problem{at, p.line, p.column,
				quote(key) + " is set twice, flat and nested, first on line " + strconv.Itoa(first), ""})
			continue
		}
		lines[key] = p.line
		*into = append(*into, Setting{Key: key, Value: d.configurationValue(v, at), Line: p.line})
	}
}

func isKey(s string) bool {
	return isWord(s) && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".")
}

// configurationValue decodes a string, a reference, or a list of such.
func (d *decoder) configurationValue(n *node, path string) Text {
	if n.kind != sequenceKind {
		return d.text(n, path, anyForm)
	}
	t := Text{source: listText, path: path, line: n.line}
	if len(n.items) == 0 {
		d.problem(n, path, "expected a value, found an empty list", `"" is the empty string`)
	}
	for i, e := range n.items {
		t.list = append(t.list, d.text(e, item(path, i), anyForm))
	}
	return t
}
