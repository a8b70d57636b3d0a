package validate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"flink-entrypoint/internal/jobdef"
)

// TestPlaces: a line of a script is found in the document, in a block of YAML always, in a JSON string where an editor asks for it.
func TestPlaces(t *testing.T) {
	const script = "CREATE TABLE \"é\" (a INT);\n\n\tSELECT 'x\\y', b FROM t;\n"
	quoted, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	block := "apiVersion: flink-entrypoint/v1\nname: a\nsql:\n  script: |\n    " + strings.ReplaceAll(strings.TrimSuffix(script, "\n"), "\n", "\n    ") + "\n"
	one := `{"apiVersion":"flink-entrypoint/v1","name":"a","sql":{"script":` + string(quoted) + `}}`
	pretty := "{\n  \"apiVersion\": \"flink-entrypoint/v1\",\n  \"name\": \"a\",\n  \"sql\": {\n    \"script\": " + strings.ReplaceAll(string(quoted), `\n`, `\u000A`) + "\n  }\n}\n"
	for name, c := range map[string]struct {
		document string
		literals bool
		found    bool
	}{
		"YAML":                {block, false, true},
		"YAML, for an editor": {block, true, true},
		"JSON, for a person":  {one, false, false},
		"JSON, for an editor": {one, true, true},
		"JSON in lines":       {pretty, true, true},
		"the same text twice": {strings.Replace(one, `"name":"a"`, `"x-a":"SELECT","name":"a"`, 1), true, true},
		"an escape of YAML":   {"apiVersion: flink-entrypoint/v1\nname: a\nsql:\n  script: \"SELECT\\x201;\\n\\nSELECT 2;\"\n", true, false},
	} {
		def, err := jobdef.Decode("job", []byte(c.document))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := def.SQL.Script.Plain()
		s := SourceOf(def, "job", []byte(c.document), text, func(s string) string { return s })
		if c.literals {
			s.InLiterals()
		}
		for _, at := range []struct {
			line, column int
			word         string // that begins there
		}{{1, 1, "CREATE"}, {1, 8, "TABLE"}, {1, 18, "(a"}, {3, 2, "SELECT"}, {3, 16, "b FROM"}} {
			line, column, ok := s.Place(at.line, at.column)
			if ok != c.found {
				t.Errorf("%s: %d:%d is found: %v", name, at.line, at.column, ok)
			}
			if !ok {
				if line != at.line || column != at.column {
					t.Errorf("%s: %d:%d became %d:%d", name, at.line, at.column, line, column)
				}
				continue
			}
			if c.literals || at.line != 1 || at.column < 18 { // a block's columns are bytes
				rest := []rune(strings.Split(c.document, "\n")[line-1])[column-1:]
				if !strings.HasPrefix(string(rest), at.word) {
					t.Errorf("%s: %d:%d is %d:%d, %q, want %q", name, at.line, at.column, line, column, string(rest), at.word)
				}
			}
		}
		if _, _, ok := s.Place(99, 1); ok && c.literals && c.found && !strings.HasPrefix(name, "YAML") {
			t.Errorf("%s: a line after the script has a place", name)
		}
		if line, column, ok := s.Place(2, 7); ok && c.document == one && (line != 1 || column != utf8.RuneCountInString(one[:strings.Index(one, `\n\n`)])+3) {
			t.Errorf("%s: after the end of a line: %d:%d", name, line, column)
		}
	}
}

// TestPlacesGrow: the places of all lines of a script cost time in proportion to it.
func TestPlacesGrow(t *testing.T) {
	script := strings.Repeat("SELECT 1; -- é\n", 20_000)
	document, err := json.Marshal(map[string]any{"apiVersion": jobdef.APIVersion, "name": "a", "sql": map[string]string{"script": script}})
	if err != nil {
		t.Fatal(err)
	}
	def, err := jobdef.Decode("job", document)
	if err != nil {
		t.Fatal(err)
	}
	s := SourceOf(def, "job", document, script, func(s string) string { return s }).InLiterals()
	seen := map[string]bool{}
	for line := range 20_000 {
		l, c, ok := s.Place(line+1, 3)
		if !ok || seen[fmt.Sprint(l, ":", c)] {
			t.Fatalf("line %d is at %d:%d, %v", line+1, l, c, ok)
		}
		seen[fmt.Sprint(l, ":", c)] = true
	}
}
