package confpatch

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// propertiesName is the environment variable, as errors and provenance call it.
const propertiesName = "FLINK_PROPERTIES"

// Properties reads the text of FLINK_PROPERTIES. With an indented line, a list item or "---" it is a YAML
// document; else its lines are "key: value", taken as they stand (split at the first colon, trimmed).
// ${NAME} is replaced by lookup, $${ stands for ${; env.java.opts* are left to the launcher. target is the
// file that the entries are meant for. Errors and warnings name the line, never a value.
func Properties(text string, target Format, v flinkconf.Version, lookup func(string) (string, bool)) ([]flinkconf.Entry, []string, error) {
	p := propertyReader{target: target, lookup: lookup}
	if looksLikeYAML(text) {
		return p.document(text, v)
	}
	p.entries = make([]flinkconf.Entry, 0, strings.Count(text, "\n")+1)
	for i, n := 0, 1; i < len(text); n++ {
		end, next := lineAt(text, i)
		if err := p.line(n, strings.TrimSpace(text[i:end])); err != nil {
			return nil, p.warnings, err
		}
		i = next
	}
	return p.entries, p.warnings, nil
}

// document reads a YAML document; variables are replaced in strings, those of lists included.
func (p *propertyReader) document(text string, v flinkconf.Version) ([]flinkconf.Entry, []string, error) {
	f := &File{name: propertiesName, format: Standard, version: v, rules: rulesOf(v), src: []byte(text)}
	var failed error
	f.edit = func(key string, v *value) *value {
		v, err := p.edit(key, v)
		if failed == nil {
			failed = err
		}
		return v
	}
	if err := f.parseStandard(); err != nil {
		return nil, nil, err
	}
	if failed != nil {
		return nil, nil, failed
	}
	for _, key := range f.keys {
		l := f.leaves[f.winner[key]]
		p.entry(l.line, key, l.value.confText(), l.value.confKind())
	}
	return p.entries, append(p.warnings, f.Warnings()...), nil
}

// edit returns a value with its variables replaced; a list for the legacy file becomes its "a;b".
func (p *propertyReader) edit(key string, v *value) (*value, error) {
	if v.kind == stringValue {
		text, err := p.expand(0, key, v.text)
		return &value{kind: stringValue, text: text}, err
	}
	if v.kind != listValue {
		return v, nil
	}
	list, err := p.editItems(key, v, 0)
	if err != nil || p.target == Standard {
		return list, err
	}
	var words []string
	for _, item := range list.items {
		if item.kind == nullValue || item.kind >= listValue || strings.ContainsAny(item.confText(), `;"'`) {
			return v, fmt.Errorf("%s%s: %s can hold lists of plain words only", place(0), key, LegacyName)
		}
		words = append(words, item.confText())
	}
	return &value{kind: stringValue, text: strings.Join(words, ";")}, nil
}

// editItems copies a collection with the variables in its strings replaced.
func (p *propertyReader) editItems(key string, v *value, depth int) (*value, error) {
	if depth > maxDepth {
		return v, fmt.Errorf("%s%s: nested too deeply", place(0), key)
	}
	out := *v
	out.items = make([]*value, len(v.items))
	for i, item := range v.items {
		var err error
		switch item.kind {
		case stringValue:
			var text string
			text, err = p.expand(0, key, item.text)
			item = &value{kind: stringValue, text: text}
		case listValue, mapValue:
			item, err = p.editItems(key, item, depth+1)
		}
		if err != nil {
			return v, err
		}
		out.items[i] = item
	}
	return &out, nil
}

func looksLikeYAML(text string) bool {
	for i := 0; i < len(text); {
		end, next := lineAt(text, i)
		line := text[i:end]
		i = next
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' || line == "-" || strings.HasPrefix(line, "- ") || line == "---" || strings.HasPrefix(line, "--- ") {
			return true
		}
	}
	return false
}

type propertyReader struct {
	target   Format
	lookup   func(string) (string, bool)
	entries  []flinkconf.Entry
	warnings []string
}

func (p *propertyReader) warn(line int, text string) {
	p.warnings = append(p.warnings, place(line)+text)
}

// place is "FLINK_PROPERTIES:3: "; line 0 is unknown.
func place(line int) string {
	if line == 0 {
		return propertiesName + ": "
	}
	return fmt.Sprintf("%s:%d: ", propertiesName, line)
}

func (p *propertyReader) line(n int, line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	key, value, ok := strings.Cut(line, ":")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" {
		return fmt.Errorf("%s:%d: expected 'key: value', found a line without a key and a colon", propertiesName, n)
	}
	if p.target == Legacy {
		if before, _, found := strings.Cut(value, " #"); found {
			value = strings.TrimSpace(before)
			p.warn(n, key+": the comment behind the value is dropped; "+LegacyName+" cannot hold '#'")
		}
		if value == "" {
			p.warn(n, key+": ignored, as by Flink: the value is empty")
			return nil
		}
	}
	value, err := p.expand(n, key, value)
	if err != nil {
		return err
	}
	p.entry(n, key, value, flinkconf.String)
	return nil
}

func (p *propertyReader) entry(n int, key, value string, kind flinkconf.Kind) {
	p.entries = append(p.entries, flinkconf.Entry{Key: key, Value: secret.Public(value), Kind: kind,
		Source: flinkconf.Source{Layer: flinkconf.FlinkProperties, Where: fmt.Sprintf("%s:%d", propertiesName, n)}})
}

// expand replaces ${NAME} and turns $${ into ${, except for the options that the launcher expands.
func (p *propertyReader) expand(n int, key, s string) (string, error) {
	if !strings.Contains(s, "$") || strings.HasPrefix(key, "env.java.opts") || strings.HasPrefix(key, "env.java.default-opts") {
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		s = s[i:]
		if rest, ok := strings.CutPrefix(s, "$${"); ok {
			b.WriteString("${")
			s = rest
			continue
		}
		name := variable(strings.TrimPrefix(s[1:], "{"))
		switch {
		case name != "" && strings.HasPrefix(s, "${"+name+"}"):
			value, set := p.lookup(name)
			if !set {
				return "", fmt.Errorf("%s%s: the variable %s is not set; write $${%s} if the text itself is meant", place(n), key, name, name)
			}
			b.WriteString(value)
			s = s[len(name)+3:]
			continue
		case name != "" && s[1] != '{':
			p.warn(n, key+": $"+name+" stays as it is; only ${"+name+"} is replaced")
		}
		b.WriteByte('$')
		s = s[1:]
	}
}

// variable returns the name of a shell variable that s begins with.
func variable(s string) string {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return s[:n]
}
