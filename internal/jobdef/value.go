package jobdef

import (
	"strings"

	"flink-entrypoint/internal/yaml"
)

// A value is what a field of the table may hold: how it is decoded, and what schema and reference say about it.
type value interface {
	decode(d *decoder, n *yaml.Node, path string)
	schema() object                                // of JSON Schema
	kind() string                                  // in the reference, Markdown
	inner() (r record, suffix string, exists bool) // fields below; suffix "[]" of a list
}

// text is a string or a reference to one.
type text struct {
	into *Text
	form form
}

func (v text) decode(d *decoder, n *yaml.Node, path string) { *v.into = d.text(n, path, v.form) }

func (v text) schema() object { return textSchema(v.form) }

func (v text) kind() string {
	if v.form == anyForm || v.form == lineForm || v.form == someForm {
		return "string"
	}
	return v.form.row().expected
}

func (v text) inner() (record, string, bool) { return record{}, "", false }

// bare is a string that cannot be a reference, since what the definition means depends on it.
type bare struct {
	into    *string
	choices []string // allowed; none: as form says
	form    form
}

func (v bare) decode(d *decoder, n *yaml.Node, path string) {
	expected, hint, ok := v.form.row().expected, v.form.row().hint, false
	if len(v.choices) > 0 {
		expected, hint = oneOf(v.choices), ""
	}
	switch {
	case kindOf(n) == mappingKind || kindOf(n) == sequenceKind || len(v.choices) == 0 && kindOf(n) != stringKind:
		d.wrongKind(n, path, expected)
		return
	case len(v.choices) == 0:
		ok = v.form.row().ok(n.Text)
	default:
		for _, c := range v.choices {
			ok = ok || c == n.Text
		}
		if near := meant(n.Text, v.choices); near != "" {
			hint = "did you mean " + quote(near) + "?"
		}
	}
	if !ok {
		d.problem(n, path, "expected "+expected+", found "+quote(n.Text), hint)
	}
	*v.into = n.Text
}

// oneOf lists choices for messages.
func oneOf(choices []string) string {
	last := len(choices) - 1
	if last == 0 {
		return `"` + choices[0] + `"`
	}
	return `"` + strings.Join(choices[:last], `", "`) + `" or "` + choices[last] + `"`
}

func (v bare) schema() object {
	if len(v.choices) == 0 {
		return object{{"type", "string"}, {"pattern", v.form.row().pattern}}
	}
	return object{{"enum", v.choices}}
}

func (v bare) kind() string {
	if len(v.choices) == 0 {
		return v.form.row().expected
	}
	return "`" + strings.Join(v.choices, "`, `") + "`"
}

func (v bare) inner() (record, string, bool) { return record{}, "", false }

// boolean is true or false.
type boolean struct{ into *bool }

func (v boolean) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != boolKind {
		d.wrongKind(n, path, "true or false")
		return
	}
	*v.into = n.Text[0]|0x20 == 't'
}

func (v boolean) schema() object { return object{{"type", "boolean"}} }

func (v boolean) kind() string { return "boolean" }

func (v boolean) inner() (record, string, bool) { return record{}, "", false }

// one is a mapping with known fields.
type one[T any] struct {
	into  **T
	table func(*T) record
}

func (v one[T]) decode(d *decoder, n *yaml.Node, path string) {
	*v.into = new(T)
	d.record(n, path, v.table(*v.into))
}

func (v one[T]) schema() object { return v.table(new(T)).schema() }

func (v one[T]) kind() string { return "mapping" }

func (v one[T]) inner() (record, string, bool) { return v.table(new(T)), "", true }

// part is a mapping with known fields that is always there in Go.
type part struct{ fields record }

func (v part) decode(d *decoder, n *yaml.Node, path string) { d.record(n, path, v.fields) }

func (v part) schema() object { return v.fields.schema() }

func (v part) kind() string { return "mapping" }

func (v part) inner() (record, string, bool) { return v.fields, "", true }

// many is a list of mappings with known fields.
type many[T any] struct {
	into  *[]T
	table func(*T) record
	check func(d *decoder, n *yaml.Node, path string, items []T) // of the list as a whole; may be nil
}

func (v many[T]) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != sequenceKind {
		d.wrongKind(n, path, "a list")
		return
	}
	items := make([]T, len(n.Items))
	for i, e := range n.Items {
		d.record(e, item(path, i), v.table(&items[i]))
	}
	if v.check != nil {
		v.check(d, n, path, items)
	}
	*v.into = items
}

func (v many[T]) schema() object {
	return object{{"type", "array"}, {"items", v.table(new(T)).schema()}}
}

func (v many[T]) kind() string { return "list of mappings" }

func (v many[T]) inner() (record, string, bool) { return v.table(new(T)), "[]", true }

// texts is a list of strings.
type texts struct {
	into *[]Text
	form form
}

func (v texts) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != sequenceKind {
		d.wrongKind(n, path, "a list")
		return
	}
	for i, e := range n.Items {
		*v.into = append(*v.into, d.text(e, item(path, i), v.form))
	}
}

func (v texts) schema() object {
	return object{{"type", "array"}, {"items", textSchema(v.form)}}
}

func (v texts) kind() string { return "list of strings" }

func (v texts) inner() (record, string, bool) { return record{}, "", false }

// settings is a mapping of names to strings, in order.
type settings struct {
	into     *[]Setting
	required string // a name that must be there
	refused  string // a name that must not be there
	why      string
}

func (v settings) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	found := false
	for _, p := range d.keys(n, path) {
		at := child(path, p.Key.Text)
		switch {
		case !isLine(p.Key.Text):
			d.keyProblem(p, at, "the name "+quote(p.Key.Text)+in(path)+" is blank or holds a control character", "")
		case kindOf(p.Value) == nullKind:
			d.noValue(p, at, emptyHint)
		case p.Key.Text == v.refused:
			d.keyProblem(p, at, at+": "+v.why, "remove the line")
		default:
			*v.into = append(*v.into, Setting{Key: p.Key.Text, Value: d.text(p.Value, at, anyForm), Line: p.Start.Line + 1})
		}
		found = found || p.Key.Text == v.required
	}
	if v.required != "" && !found {
		d.problem(n, path, "the option "+v.required+" is missing", v.why)
	}
}

func (v settings) schema() object {
	s := object{{"type", "object"}, {"propertyNames", object{{"pattern", lineForm.row().pattern}}}, {"additionalProperties", textSchema(anyForm)}}
	if v.required != "" {
		s = append(s, member{"required", []string{v.required}})
	}
	if v.refused != "" {
		s = append(s, member{"not", object{{"required", []string{v.refused}}}})
	}
	return s
}

func (v settings) kind() string { return "mapping of strings" }

func (v settings) inner() (record, string, bool) { return record{}, "", false }

// configuration is Flink's configuration, flat or nested.
type configuration struct{ into *[]Setting }

func (v configuration) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	d.flatten(n, path, "", make(map[string]int, len(n.Pairs)), v.into)
}

func (v configuration) schema() object { return object{{"$ref", "#/$defs/configuration"}} }

func (v configuration) kind() string { return "mapping, flat or nested" }

func (v configuration) inner() (record, string, bool) { return record{}, "", false }

// loggers is a mapping of loggers to levels.
type loggers struct {
	into   *[]Logger
	levels []string
}

func (v loggers) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	for _, p := range d.keys(n, path) {
		l := Logger{Name: p.Key.Text}
		switch at := child(path, p.Key.Text); {
		case !isWord(p.Key.Text):
			d.keyProblem(p, at, quote(p.Key.Text)+" is not the name of a logger: it is empty, or holds a blank or control character", "")
		case kindOf(p.Value) == nullKind:
			d.noValue(p, at, "give it a level or remove the line")
		default:
			bare{into: &l.Level, choices: v.levels}.decode(d, p.Value, at)
		}
		*v.into = append(*v.into, l)
	}
}

func (v loggers) schema() object {
	return object{{"type", "object"}, {"propertyNames", object{{"pattern", classForm.row().pattern}}}, {"additionalProperties", object{{"enum", v.levels}}}}
}

func (v loggers) kind() string { return "mapping of levels" }

func (v loggers) inner() (record, string, bool) { return record{}, "", false }

// brief is a mapping with known fields that has a brief form, as prometheus: true.
type brief[T any] struct {
	one[T]
	short func(d *decoder, n *yaml.Node, path string) *T // anything but a mapping; nil: it is absent
	plain object                                         // the schema of the brief form
	what  string                                         // the brief form in the reference
}

func (v brief[T]) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) == mappingKind && !isReference(n) {
		v.one.decode(d, n, path)
		return
	}
	*v.into = v.short(d, n, path)
}

func (v brief[T]) schema() object { return object{{"anyOf", []object{v.plain, v.one.schema()}}} }

func (v brief[T]) kind() string { return v.what + ", or a mapping" }

// labels is a mapping of labels to their values, which everybody may read.
type labels struct{ into *[]Setting }

func (v labels) decode(d *decoder, n *yaml.Node, path string) {
	if kindOf(n) != mappingKind {
		d.wrongKind(n, path, "a mapping")
		return
	}
	for _, p := range d.keys(n, path) {
		at := child(path, p.Key.Text)
		switch problem := LabelProblem(p.Key.Text); {
		case problem != "":
			d.keyProblem(p, at, path+": "+problem, "")
		case kindOf(p.Value) == nullKind:
			d.noValue(p, at, "give it a value or remove the line")
		case kindOf(p.Value) == mappingKind:
			d.wrongKind(p.Value, at, "a string")
		default:
			*v.into = append(*v.into, Setting{Key: p.Key.Text, Value: d.text(p.Value, at, lineForm), Line: p.Start.Line + 1})
		}
	}
}

func (v labels) schema() object {
	return object{{"type", "object"}, {"propertyNames", object{{"pattern", labelForm.row().pattern}}},
		{"additionalProperties", object{{"type", []string{"string", "number", "boolean"}}, {"pattern", lineForm.row().pattern}}}}
}

func (v labels) kind() string { return "mapping of strings" }

func (v labels) inner() (record, string, bool) { return record{}, "", false }
