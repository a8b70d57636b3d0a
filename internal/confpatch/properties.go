package confpatch

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// propertiesName is the environment variable, as errors and provenance call it.
const propertiesName = "FLINK_PROPERTIES"

// A PropertiesError says what is wrong with a line of FLINK_PROPERTIES.
type PropertiesError struct {
	Message string
	hint    string
}

// Error returns "FLINK_PROPERTIES:LINE: REASON".
func (e *PropertiesError) Error() string { return e.Message }

// Hint returns what to do about it, or "".
func (e *PropertiesError) Hint() string { return e.hint }

// Properties reads the text of FLINK_PROPERTIES: lines "key: value", split at the first colon and trimmed, whatever their
// indentation, or a YAML document (see isDocument). ${NAME} is replaced by lookup, $${ means ${; env.java.opts* are left
// to the launcher. target is the file that the entries are meant for. Errors and warnings name the line, never a value.
func Properties(text string, target Format, v flinkversion.Version, lookup func(string) (string, bool)) ([]flinkconf.Entry, []string, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	p := propertyReader{target: target, lookup: lookup}
	if isDocument(text) {
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
func (p *propertyReader) document(text string, v flinkversion.Version) ([]flinkconf.Entry, []string, error) {
	f := &File{name: propertiesName, format: Standard, version: v, rules: rulesOf(v), src: []byte(text)}
	var failed error
	f.edit = func(key string, v *yaml.Value) *yaml.Value {
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
		p.entry(l.line, key, l.value.ConfText(), kindOf(l.value))
	}
	return p.entries, append(p.warnings, f.Warnings()...), nil
}

// edit returns a value with its variables replaced; a list for the legacy file becomes its "a;b".
func (p *propertyReader) edit(key string, v *yaml.Value) (*yaml.Value, error) {
	if v.Kind == yaml.StringValue {
		text, err := p.expand(0, key, v.Text)
		return &yaml.Value{Kind: yaml.StringValue, Text: text}, err
	}
	if v.Kind != yaml.ListValue {
		return v, nil
	}
	list, err := p.editItems(key, v, 0)
	if err != nil || p.target == Standard {
		return list, err
	}
	var words []string
	for _, item := range list.Items {
		if item.Kind == yaml.NullValue || item.Kind >= yaml.ListValue || strings.ContainsAny(item.ConfText(), `;"'`) {
			return v, fmt.Errorf("%s%s: %s can hold lists of plain words only", place(0), key, LegacyName)
		}
		words = append(words, item.ConfText())
	}
	return &yaml.Value{Kind: yaml.StringValue, Text: strings.Join(words, ";")}, nil
}

// editItems copies a collection with the variables in its strings replaced.
func (p *propertyReader) editItems(key string, v *yaml.Value, depth int) (*yaml.Value, error) {
	if depth > yaml.MaxDepth {
		return v, fmt.Errorf("%s%s: nested too deeply", place(0), key)
	}
	out := *v
	out.Items = make([]*yaml.Value, len(v.Items))
	for i, item := range v.Items {
		var err error
		switch item.Kind {
		case yaml.StringValue:
			var text string
			text, err = p.expand(0, key, item.Text)
			item = &yaml.Value{Kind: yaml.StringValue, Text: text}
		case yaml.ListValue, yaml.MapValue:
			item, err = p.editItems(key, item, depth+1)
		}
		if err != nil {
			return v, err
		}
		out.Items[i] = item
	}
	return &out, nil
}

// isDocument reports whether FLINK_PROPERTIES is a YAML document. Indentation alone does not make one: the lines of a shell
// script or of a compose file are often indented, and the official image trims them. It takes "---", a list item, or a key
// without a value before deeper lines. Lines that cannot be "key: value" are one where a value before them goes on.
func isDocument(text string) bool {
	indent, opens := 0, false // of the line above; it is a key without a value
	goingOn := -1             // indentation of a value that goes on
	for i := 0; i < len(text); {
		end, next := lineAt(text, i)
		line := strings.TrimRight(text[i:end], " \t")
		i = next
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if startsWord(trimmed, "---") || startsWord(trimmed, "-") {
			return true
		}
		key, value, pair := strings.Cut(trimmed, ":")
		pair = pair && key != ""
		at := len(line) - len(strings.TrimLeft(line, " \t"))
		if at > indent && opens || goingOn >= 0 && at > goingOn && !pair {
			return true
		}
		value = strings.TrimSpace(value)
		indent, opens = at, pair && (value == "" || value[0] == '#')
		if goingOn < 0 || at <= goingOn {
			goingOn = -1
			if pair && goesOn(value) {
				goingOn = at
			}
		}
	}
	return false
}

// startsWord reports whether the line is word, or begins with it and a blank.
func startsWord(line, word string) bool {
	rest, ok := strings.CutPrefix(line, word)
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}

// goesOn reports whether a YAML value has its content or its end in the lines below.
func goesOn(value string) bool {
	if value == "" {
		return false
	}
	switch value[0] {
	case '|', '>':
		header, _, _ := strings.Cut(value[1:], " #")
		return strings.Trim(header, "+-123456789 ") == ""
	case '"', '\'':
		return len(value) == 1 || value[len(value)-1] != value[0]
	case '[':
		return value[len(value)-1] != ']'
	case '{':
		return value[len(value)-1] != '}'
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
	if name, _, equals := strings.Cut(key, "="); equals && isName(name) {
		return &PropertiesError{place(n) + "expected 'key: value', found 'key=value'", "write a colon and a blank instead of the '='"}
	}
	if !ok || key == "" {
		return &PropertiesError{place(n) + "expected 'key: value', found a line without a key and a colon",
			"a value of several lines needs a YAML document: begin the text with a line ---"}
	}
	if key[0] == '"' || key[0] == '\'' {
		p.warn(n, "the quotes around the key are a part of it, so Flink does not find it; a key needs no quotes")
	}
	text, comment := cutComment(value)
	switch {
	case p.target == Legacy:
		if comment {
			value = text
			p.warn(n, key+": the comment after the value is dropped; "+LegacyName+" cannot hold '#'")
		}
	case comment && !strings.ContainsAny(text, " \t"): // two words and a '#' may be meant so
		p.warn(n, key+": the '#' and the text after it are a part of the value; write a comment on a line of its own")
	}
	if p.target == Legacy && flinkconf.UnquoteOptions(key, value) == "" {
		p.warn(n, key+": ignored, as by Flink: the value is empty")
		return nil
	}
	value, err := p.expand(n, key, value)
	if err != nil {
		return err
	}
	p.entry(n, key, value, flinkconf.String)
	return nil
}

// cutComment returns what is before a comment, as YAML knows it: a '#' after a blank. One that begins the value needs a blank
// after it too: a colour or a password is not a comment.
func cutComment(value string) (text string, comment bool) {
	if startsWord(value, "#") {
		return "", true
	}
	for i := 1; i < len(value); i++ {
		if value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i]), true
		}
	}
	return value, false
}

// isName reports whether s can be the name of an option, -D before it included.
func isName(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && !strings.ContainsAny(s, " \t\"'{}[]<>$")
}

func (p *propertyReader) entry(n int, key, value string, kind flinkconf.Kind) {
	p.entries = append(p.entries, flinkconf.Entry{Key: key, Value: secret.Public(value), Kind: kind,
		Source: flinkconf.Source{Layer: flinkconf.FlinkProperties, Where: fmt.Sprintf("%s:%d", propertiesName, n)}})
}

// expand replaces ${NAME} and turns $${ into ${, except for the options that the launcher expands.
func (p *propertyReader) expand(n int, key, s string) (string, error) {
	if !strings.Contains(s, "$") || flinkconf.IsJavaOptions(key) {
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
