package confpatch

import (
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// parseStandard is GlobalConfiguration.loadYAMLResource: the document is read, flattened, and every value
// put into the Configuration.
func (f *File) parseStandard() (err error) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(*yamlError)
			if !ok {
				panic(p)
			}
			err = f.syntaxError(e)
		}
	}()
	r, enc := newReader(f.src)
	f.encoding = enc
	f.root, f.composer = compose(r)
	f.text = r.text
	if f.root == nil {
		return nil
	}
	v := build(f.root)
	switch v.kind {
	case nullValue:
		return nil
	case mapValue:
	default:
		panic(castError(v, "java.util.Map", f.root.start))
	}
	f.winner = make(map[string]int, len(v.keys))
	f.leaves = make([]leaf, 0, len(v.keys))
	for i, key := range v.keys {
		f.flatten("", v, key, i, i, 0)
	}
	for i, l := range f.leaves {
		if l.value.kind == nullValue && f.winner[l.key] == i {
			panic(plainError(nullPointer, "Value must not be null.", l.key+" has no value (null), which Flink refuses", mark{line: l.line - 1}))
		}
	}
	return nil
}

// flatten adds the i-th entry of m below prefix; entry is the index of the root's entry.
func (f *File) flatten(prefix string, m, key *value, i, entry, depth int) {
	at := mark{line: m.lines[i] - 1}
	if key.kind != stringValue && key.kind != nullValue {
		panic(castError(key, "java.lang.String", at))
	}
	if depth > maxDepth {
		panic(&yamlError{reason: "a mapping contains itself", flink: &flinkconf.Error{Class: stackOverflow, Message: "null"}, mark: at, noMark: true})
	}
	name := prefix + key.javaString(nil)
	v := m.items[i]
	if f.edit != nil && v.kind != mapValue {
		v = f.edit(name, v)
	}
	switch v.kind {
	case mapValue:
		for k, inner := range v.keys {
			f.flatten(name+".", v, inner, k, entry, depth+1)
		}
		return
	case listValue:
		v = &value{kind: stringValue, text: dump(v)}
	}
	f.addLeaf(leaf{key: name, value: v, line: m.lines[i], entry: entry})
}

// syntaxError turns a failure of the reader into what Flink throws and logs.
func (f *File) syntaxError(e *yamlError) *SyntaxError {
	s := &SyntaxError{File: f.name, Reason: strings.ReplaceAll(strings.TrimSpace(e.reason), "\n", " "), Flink: e.flink, Log: f.parserLog()}
	if !e.noMark {
		s.Line, s.Column = e.mark.line+1, e.mark.col+1
	}
	if e.flink.Class != stackOverflow { // an Error, not an Exception: Flink lets it pass
		s.Flink = &flinkconf.Error{Class: flinkconf.RuntimeException, Message: "Error parsing YAML configuration.", Cause: e.flink}
	}
	if e.marked {
		s.Log = append(s.Log, LogLine{"ERROR", secret.Public("Failed to parse YAML configuration")},
			LogLine{"ERROR", secret.Hidden(e.flink.Class + ": " + e.flink.Message)})
	}
	return s
}
