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
		f, err := Parse(propertiesName, Standard, v, []byte(text))
		if err != nil {
			return nil, nil, err
		}
		for _, key := range f.keys {
			l := f.leaves[f.winner[key]]
			if err := p.add(l.line, key, l.value.confText(), l.value.confKind()); err != nil {
				return nil, p.warnings, err
			}
		}
		p.warnings = append(p.warnings, f.Warnings()...)
		return p.entries, p.warnings, nil
	}
	for i, n := 0, 1; i < len(text); n++ {
		end, next := lineAt(text, i)
		if err := p.line(n, strings.TrimSpace(text[i:end])); err != nil {
			return nil, p.warnings, err
		}
		i = next
	}
	return p.entries, p.warnings, nil
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
	p.warnings = append(p.warnings, fmt.Sprintf("%s:%d: %s", propertiesName, line, text))
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
	return p.add(n, key, value, flinkconf.String)
}

func (p *propertyReader) add(n int, key, value string, kind flinkconf.Kind) error {
	if !strings.HasPrefix(key, "env.java.opts") && !strings.HasPrefix(key, "env.java.default-opts") {
		text, err := p.expand(n, key, value)
		if err != nil {
			return err
		}
		if text != value {
			value, kind = text, flinkconf.String
		}
	}
	where := fmt.Sprintf("%s:%d", propertiesName, n)
	p.entries = append(p.entries, flinkconf.Entry{Key: key, Value: secret.Public(value), Kind: kind,
		Source: flinkconf.Source{Layer: flinkconf.FlinkProperties, Where: where}})
	return nil
}

// expand replaces ${NAME} and turns $${ into ${.
func (p *propertyReader) expand(n int, key, s string) (string, error) {
	if !strings.Contains(s, "$") {
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
				return "", fmt.Errorf("%s:%d: %s: the variable %s is not set; write $${%s} if the text itself is meant", propertiesName, n, key, name, name)
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
