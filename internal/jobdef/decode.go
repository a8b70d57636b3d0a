package jobdef

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/yaml"
)

// A decoder walks a document along the table and collects what is wrong.
type decoder struct {
	errors Errors
}

// problem reports what is wrong with a value.
func (d *decoder) problem(n *yaml.Node, path, message, hint string) {
	if path != "" {
		message = path + ": " + message
	}
	d.add(Problem{path, n.Content.Line + 1, n.Content.Column + 1, message, hint})
}

func (d *decoder) add(p Problem) {
	if len(d.errors.List) < maxProblems {
		d.errors.List = append(d.errors.List, p)
	}
}

// keyProblem reports what is wrong with a key. The message says where that is.
func (d *decoder) keyProblem(p yaml.Pair, path, message, hint string) {
	d.add(Problem{path, p.Start.Line + 1, p.Start.Column + 1, message, hint})
}

// noValue reports a key without a value.
func (d *decoder) noValue(p yaml.Pair, path, hint string) {
	d.keyProblem(p, path, path+": has no value", hint)
}

const emptyHint = `give it a value or remove the line; "" is the empty string`

// knownVersion reports whether the document has a version that this program knows. A document without a version is decoded
// as the current version, which reports the missing field; an unknown version would only give misleading errors.
func (d *decoder) knownVersion(root *yaml.Node) bool {
	n := root.Get("apiVersion")
	if n == nil || kindOf(n) != stringKind || n.Text == APIVersion {
		return true
	}
	d.problem(n, "apiVersion", "unknown version "+quote(n.Text)+", known: "+APIVersion, "")
	return false
}

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// keys reports keys that occur twice in a mapping, and returns each pair's name once.
func (d *decoder) keys(n *yaml.Node, path string) []yaml.Pair {
	const few = 16
	var once []yaml.Pair // nil: none occurs twice
	first := map[string]int(nil)
	if len(n.Pairs) > few {
		first = make(map[string]int, len(n.Pairs))
	}
	for i, p := range n.Pairs {
		f, twice := i, false
		if first == nil {
			f = slices.IndexFunc(n.Pairs[:i], func(q yaml.Pair) bool { return q.Key.Text == p.Key.Text })
			twice = f >= 0
		} else if f, twice = first[p.Key.Text]; !twice {
			first[p.Key.Text] = i
		}
		switch {
		case twice:
			d.keyProblem(p, child(path, p.Key.Text), quote(p.Key.Text)+in(path)+" occurs twice, first on line "+strconv.Itoa(n.Pairs[f].Start.Line+1), "")
			if once == nil {
				once = append(make([]yaml.Pair, 0, len(n.Pairs)), n.Pairs[:i]...)
			}
		case once != nil:
			once = append(once, p)
		}
	}
	if once != nil {
		return once
	}
	return n.Pairs
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// record decodes a mapping with known fields.
func (d *decoder) record(n *yaml.Node, path string, r record) {
	if kindOf(n) != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	clean := true
	present := make([]bool, len(r.fields))
	for _, p := range d.keys(n, path) {
		i := slices.IndexFunc(r.fields, func(f field) bool { return f.name == p.Key.Text })
		switch {
		case i < 0 && r.extensible && strings.HasPrefix(p.Key.Text, "x-"):
			continue
		case i < 0:
			clean = false
			if near := d.unknown(p, path, r); near >= 0 {
				present[near] = true // one message is enough
			}
			continue
		}
		f := &r.fields[i]
		present[i] = true
		if kindOf(p.Value) == nullKind {
			clean = false
			d.noValue(p, child(path, f.name), "give it a value or remove the line")
		} else {
			f.value.decode(d, p.Value, child(path, f.name))
		}
	}
	for i, f := range r.fields {
		if f.required && !present[i] {
			d.problem(n, path, "the field "+f.name+" is missing", f.hint)
		}
	}
	if !clean {
		return // rules would complain about the consequences
	}
	for _, rule := range r.rules {
		rule.check(d, n, path)
	}
}

// unknown reports a field that is not in the table, and returns the index of the one that may have been meant, -1 for none.
func (d *decoder) unknown(p yaml.Pair, path string, r record) (near int) {
	if len(d.errors.List) == maxProblems {
		return -1
	}
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.name
	}
	hint := ""
	near = slices.Index(names, meant(p.Key.Text, names))
	if near >= 0 {
		hint = "did you mean " + quote(names[near]) + "?"
	} else if elsewhere := places(p.Key.Text, "", definitionTable(new(Definition))); len(elsewhere) > 0 {
		hint = "it belongs to " + strings.Join(elsewhere, " or ")
	} else {
		hint = "known: " + strings.Join(names, ", ")
	}
	d.keyProblem(p, child(path, p.Key.Text), "unknown field "+quote(p.Key.Text)+in(path), hint)
	return near
}

// places returns where the table has a field of that name.
func places(name, path string, r record) []string {
	var found []string
	for _, f := range r.fields {
		if f.name == name {
			found = append(found, cmp.Or(path, "the top level"))
		}
		if inner, suffix, ok := f.value.inner(); ok {
			found = append(found, places(name, child(path, f.name)+suffix, inner)...)
		}
	}
	return found
}

func (d *decoder) wrongKind(n *yaml.Node, path, expected string) {
	d.problem(n, path, "expected "+expected+", found "+kindOf(n).String(), "")
}

// text decodes a string or a reference to one.
func (d *decoder) text(n *yaml.Node, path string, f form) Text {
	row := f.row()
	t := Text{source: plainText, text: n.Text, path: path, line: textLine(n), form: f}
	switch kindOf(n) {
	case mappingKind:
		return d.reference(n, path, f)
	case sequenceKind, nullKind:
		d.wrongKind(n, path, row.expected)
		return Text{}
	}
	if strings.IndexByte(n.Text, 0) >= 0 {
		d.problem(n, path, "holds a NUL character", "")
	} else if !row.ok(n.Text) {
		found := ""
		if row.shown {
			found = ", found " + quote(n.Text)
		}
		d.problem(n, path, "expected "+row.expected+found, row.hint)
	}
	return t
}

// reference decodes {fromFile: PATH} or {fromEnv: NAME}.
func (d *decoder) reference(n *yaml.Node, path string, f form) Text {
	var file, variable string
	d.record(n, path, referenceTable(&file, &variable))
	t := Text{path: path, form: f, line: n.Content.Line + 1, source: fromFile, text: file}
	if file == "" {
		t.source, t.text = fromEnv, variable
	}
	return t
}

// isReference reports whether a mapping is meant as a reference rather than as nested settings.
func isReference(n *yaml.Node) bool {
	return kindOf(n) == mappingKind && (n.Get("fromFile") != nil || n.Get("fromEnv") != nil)
}

// flatten decodes Flink's configuration, whose keys may be nested at every dot.
func (d *decoder) flatten(n *yaml.Node, path, prefix string, lines map[string]int, into *[]Setting) {
	for _, p := range d.keys(n, path) {
		at, key := child(path, p.Key.Text), child(prefix, p.Key.Text)
		v := p.Value
		switch {
		case !isKey(p.Key.Text):
			d.keyProblem(p, at, quote(p.Key.Text)+" is not a key: it is empty, begins or ends with a dot, or holds a blank or control character", "")
			continue
		case kindOf(v) == nullKind:
			d.noValue(p, at, emptyHint)
			continue
		case kindOf(v) == mappingKind && !isReference(v):
			if len(v.Pairs) == 0 {
				d.problem(v, at, "expected a value, found an empty mapping", "")
			}
			d.flatten(v, at, key, lines, into)
			continue
		}
		if first, ok := lines[key]; ok {
			d.keyProblem(p, at, "the key "+quote(key)+" is set twice, first on line "+strconv.Itoa(first), "")
			continue
		}
		lines[key] = p.Start.Line + 1
		*into = append(*into, Setting{Key: key, Value: d.configurationValue(v, at), Line: p.Start.Line + 1})
	}
}

func isKey(s string) bool {
	return isWord(s) && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".")
}

// configurationValue decodes a string, a reference, or a list of such.
func (d *decoder) configurationValue(n *yaml.Node, path string) Text {
	if kindOf(n) != sequenceKind {
		return d.text(n, path, anyForm)
	}
	t := Text{source: listText, path: path, line: n.Content.Line + 1}
	if len(n.Items) == 0 {
		d.problem(n, path, "expected a value, found an empty list", `"" is the empty string`)
	}
	for i, e := range n.Items {
		t.list = append(t.list, d.text(e, item(path, i), anyForm))
	}
	return t
}
