package confpatch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/magiconair/properties"
)

// PatchLog4j sets the root level (unless it is empty) and the levels of loggers in a log4j 2 properties file.
// Loggers that the file configures already (logger.ID.name = NAME) get the new level; others are added as
// logger.ID with an ID of our own. All other bytes stay; patching the result again changes nothing.
func PatchLog4j(src []byte, rootLevel string, loggers map[string]string) ([]byte, error) {
	props, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes(src)
	if err != nil {
		return nil, fmt.Errorf("log4j properties: %w", err)
	}
	set := map[string]string{}
	var add []string // keys that may be new, in order
	want := func(key, value string) {
		if value == "" || strings.ContainsAny(value, "\r\n") || strings.ContainsAny(key, "\r\n") {
			err = fmt.Errorf("log4j properties: %q: the level %q is not a single word", key, value)
		}
		set[key] = value
		add = append(add, key)
	}
	if rootLevel != "" {
		want("rootLogger.level", rootLevel)
	}
	ids := map[string]string{} // logger name -> ID
	taken := map[string]bool{}
	for _, key := range props.Keys() {
		id, field, ok := loggerKey(key)
		if !ok {
			continue
		}
		taken[id] = true
		if field == "name" {
			ids[strings.TrimSpace(props.GetString(key, ""))] = id
		}
	}
	for _, name := range slices.Sorted(maps.Keys(loggers)) {
		if name == "" {
			return nil, fmt.Errorf("log4j properties: a logger needs a name; the root's level is set on its own")
		}
		id := ids[name]
		if id == "" {
			id = loggerID(name, taken)
			taken[id] = true
			want("logger."+id+".name", name)
		}
		want("logger."+id+".level", loggers[name])
	}
	if err != nil {
		return nil, err
	}
	text := string(src)
	eol := eolOf(text)
	var b strings.Builder
	done := map[string]bool{}
	for i := 0; i < len(text); {
		end, next := logicalLine(text, i)
		line := text[i:end]
		key := propertyKey(line)
		if value, ok := set[key]; ok && key != "" {
			done[key] = true
			if props.GetString(key, "") != value || strings.ContainsAny(line, "\r\n") {
				line = line[:len(line)-len(strings.TrimLeft(line, " \t\f"))] + key + " = " + escapeProperty(value)
			}
		}
		b.WriteString(line + text[end:next])
		i = next
	}
	for _, key := range add {
		if done[key] {
			continue
		}
		if s := b.String(); s != "" && s[len(s)-1] != '\n' && s[len(s)-1] != '\r' {
			b.WriteString(eol)
		}
		b.WriteString(key + " = " + escapeProperty(set[key]) + eol)
	}
	return []byte(b.String()), nil
}

// loggerKey splits "logger.ID.FIELD"; an ID has no dots.
func loggerKey(key string) (id, field string, ok bool) {
	rest, ok := strings.CutPrefix(key, "logger.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// loggerID makes an ID of a logger's name that no other logger of the file has.
func loggerID(name string, taken map[string]bool) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	for n := 2; taken[id]; n++ {
		id = fmt.Sprintf("%s_%d", strings.TrimSuffix(id, fmt.Sprintf("_%d", n-1)), n)
	}
	return id
}

// logicalLine returns where the line at i ends without and with its terminator; a backslash before the
// terminator of a line that is not a comment continues it.
func logicalLine(s string, i int) (end, next int) {
	comment := strings.TrimLeft(s[i:], " \t\f")
	isComment := comment != "" && (comment[0] == '#' || comment[0] == '!')
	for at := i; ; at = next {
		end, next = lineAt(s, at)
		slashes := len(s[at:end]) - len(strings.TrimRight(s[at:end], `\`))
		if isComment || slashes%2 == 0 || next == len(s) {
			return end, next
		}
	}
}

// propertyKey returns the key of a logical line, "" for comments and blank lines.
func propertyKey(line string) string {
	line = strings.TrimLeft(line, " \t\f")
	if line == "" || line[0] == '#' || line[0] == '!' {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\f', '=', ':':
			return b.String()
		case '\\':
			if i++; i < len(line) {
				b.WriteByte(line[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escapeProperty(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }
