package flinkconf

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/yaml"
)

// List writes a list of strings as Flink reads it in every version and both files (StructuredOptionsSplitter): items between
// semicolons, an item in single quotes where it holds what the reader would act on. Releases that try YAML's list first
// (FLINK-33364, 1.19) find that the text is not one.
func List(items []string) string {
	out := make([]string, len(items))
	for i, item := range items {
		if item == "" || strings.Contains(item, ";") || strings.ContainsAny(item[:1], `'"[`) || strings.TrimSpace(item) != item {
			item = "'" + strings.ReplaceAll(item, "'", "''") + "'"
		}
		out[i] = item
	}
	return strings.Join(out, ";")
}

// ParseList is ConfigurationUtils.convertToList for strings: a YAML list where the standard parser is used (config.yaml), else items between
// semicolons.
func ParseList(text string, standard bool) ([]string, error) {
	if standard {
		if items, ok := yamlList(text); ok {
			return items, nil
		}
	}
	return splitEscaped(text, ';')
}

// yamlList returns the items of a YAML list as Flink prints them. Flink cannot print a null, and splits the text at
// semicolons then.
func yamlList(text string) (items []string, ok bool) {
	document, err := yaml.Read([]byte(text), yaml.FlinkOptions())
	if err != nil || document.Root == nil {
		return nil, false
	}
	list, err := yaml.Build(document.Root)
	if err != nil || list.Kind != yaml.ListValue {
		return nil, false
	}
	for _, item := range list.Items {
		if item.Kind == yaml.NullValue {
			return nil, false
		}
		items = append(items, item.ConfText())
	}
	return items, true
}

// splitEscaped is StructuredOptionsSplitter.splitEscaped: items may be quoted, a quote inside is doubled.
func splitEscaped(text string, delimiter byte) ([]string, error) {
	const (
		quoted = iota
		plain
		separator
	)
	type token struct {
		kind, at int
		text     string
	}
	var tokens []token
	position := func(i int) int { return len([]rune(text[:i])) }
	for i := 0; i < len(text); {
		first, size := utf8.DecodeRuneInString(text[i:])
		switch c := text[i]; {
		case c == '\'' || c == '"':
			var b strings.Builder
			end := i + 1
			for ; ; end++ {
				if end == len(text) {
					return nil, &javatext.Exception{Class: javatext.IllegalArgument, Message: "Could not split string. Quoting was not closed properly."}
				}
				if text[end] == c {
					if end+1 == len(text) || text[end+1] != c {
						break
					}
					end++
				}
				b.WriteByte(text[end])
			}
			tokens = append(tokens, token{quoted, i, b.String()})
			i = end + 1
		case c == delimiter:
			tokens = append(tokens, token{separator, i, ""})
			i++
		case javatext.IsWhitespace(first):
			i += size
		default:
			end := i
			for end < len(text) && text[end] != delimiter {
				end++
			}
			tokens = append(tokens, token{plain, i, javatext.Trim(text[i:end])})
			i = end
		}
	}
	var out []string
	for i, t := range tokens {
		last := i+1 == len(tokens)
		switch {
		case t.kind == quoted && !last && tokens[i+1].kind != separator:
			return nil, &javatext.Exception{Class: javatext.IllegalArgument,
				Message: "Could not split string. Illegal quoting at position: " + strconv.Itoa(position(tokens[i+1].at)-1)}
		case t.kind != separator:
			out = append(out, t.text)
		case !last && tokens[i+1].kind == separator:
			out = append(out, "")
		}
	}
	return out, nil
}
