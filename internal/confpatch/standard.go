package confpatch

import (
	"errors"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// parseStandard is GlobalConfiguration.loadYAMLResource: the document is read, flattened, and every value
// put into the Configuration.
func (f *File) parseStandard() error {
	if e := f.readStandard(); e != nil {
		return f.syntaxError(e)
	}
	return nil
}

func (f *File) readStandard() *yaml.Error {
	failed := func(err error) *yaml.Error {
		var e *yaml.Error
		errors.As(err, &e)
		return e
	}
	var err error
	if f.document, err = yaml.Read(f.src, yaml.FlinkOptions()); err != nil {
		return failed(err)
	}
	f.text = f.document.Text
	root := f.document.Root
	if root == nil {
		return nil
	}
	v, err := yaml.Build(root)
	if err != nil {
		return failed(err)
	}
	switch v.Kind {
	case yaml.NullValue:
		return nil
	case yaml.MapValue:
	default:
		return yaml.CastError(v, "java.util.Map", root.Start)
	}
	f.winner = make(map[string]int, len(v.Keys))
	f.leaves = make([]leaf, 0, len(v.Keys))
	for i, key := range v.Keys {
		if e := f.flatten("", v, key, i, i, 0); e != nil {
			return e
		}
	}
	for i, l := range f.leaves {
		if l.value.Kind == yaml.NullValue && f.winner[l.key] == i {
			return &yaml.Error{Reason: l.key + " has no value (null), which Flink refuses", Mark: yaml.Mark{Line: l.line - 1},
				Java: &javatext.Exception{Class: javatext.NullPointer, Message: "Value must not be null."}}
		}
	}
	return nil
}

// flatten adds the i-th entry of m below prefix; entry is the index of the root's entry.
func (f *File) flatten(prefix string, m, key *yaml.Value, i, entry, depth int) *yaml.Error {
	at := yaml.Mark{Line: m.Lines[i] - 1}
	if key.Kind != yaml.StringValue && key.Kind != yaml.NullValue {
		return yaml.CastError(key, "java.lang.String", at)
	}
	if depth > yaml.MaxDepth {
		return &yaml.Error{Reason: "a mapping contains itself", Java: &javatext.Exception{Class: javatext.StackOverflow, Message: "null"}, Mark: at, NoPlace: true}
	}
	name := prefix + key.JavaString(nil)
	v := m.Items[i]
	if f.edit != nil && v.Kind != yaml.MapValue {
		v = f.edit(name, v)
	}
	switch v.Kind {
	case yaml.MapValue:
		for k, inner := range v.Keys {
			if e := f.flatten(name+".", v, inner, k, entry, depth+1); e != nil {
				return e
			}
		}
		return nil
	case yaml.ListValue:
		v = &yaml.Value{Kind: yaml.StringValue, Text: yaml.Dump(v)}
	}
	f.addLeaf(leaf{key: name, value: v, line: m.Lines[i], entry: entry})
	return nil
}

// syntaxError turns a failure of the reader into what Flink throws and logs.
func (f *File) syntaxError(e *yaml.Error) *SyntaxError {
	s := &SyntaxError{File: f.name, Reason: strings.ReplaceAll(strings.TrimSpace(e.Reason), "\n", " "), Flink: e.Java, Log: f.parserLog()}
	if !e.NoPlace {
		s.Line, s.Column = e.Mark.Line+1, e.Mark.Column+1
	}
	s.explain(string(f.src))
	if e.Java.Class != javatext.StackOverflow { // an Error, not an Exception: Flink lets it pass
		s.Flink = &javatext.Exception{Class: javatext.RuntimeException, Message: "Error parsing YAML configuration.", Cause: e.Java}
	}
	if e.Marked {
		s.Log = append(s.Log, LogLine{"ERROR", secret.Public("Failed to parse YAML configuration")},
			LogLine{"ERROR", secret.Hidden(e.Java.Class + ": " + e.Java.Message)})
	}
	return s
}

// kindOf is the kind of an entry of Flink's Configuration; a set has none of its own.
func kindOf(v *yaml.Value) flinkconf.Kind {
	switch v.Kind {
	case yaml.BoolValue:
		return flinkconf.Boolean
	case yaml.IntValue:
		return flinkconf.Integer
	case yaml.LongValue:
		return flinkconf.Long
	case yaml.BigValue:
		return flinkconf.BigInteger
	case yaml.DoubleValue:
		return flinkconf.Double
	case yaml.BytesValue:
		return flinkconf.Bytes
	}
	return flinkconf.String
}
