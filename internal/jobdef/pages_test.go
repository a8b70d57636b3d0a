package jobdef

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"flink-entrypoint/internal/yaml"
)

// TestPages holds the generated pages against what is committed.
func TestPages(t *testing.T) {
	for name, want := range map[string][]byte{"../../docs/definition.md": Reference(), "../../docs/definition.schema.json": Schema()} {
		if flag.Lookup("update").Value.String() == "true" {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not up to date: go test ./internal/jobdef -update", name)
		}
	}
}

// TestReferenceExamples decodes the definitions on the reference page, and the example of every field.
func TestReferenceExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(Reference()), -1)
	if len(blocks) < 2 {
		t.Errorf("%d definitions on the page, want at least 2", len(blocks))
	}
	for _, b := range blocks {
		if _, err := Decode("definition.md", []byte(b[1])); err != nil {
			t.Errorf("%v in\n%s", err, b[1])
		}
	}
	examples := 0
	var walk func(path string, r record)
	walk = func(path string, r record) {
		for _, f := range r.fields {
			at := child(path, f.name)
			if inner, suffix, ok := f.value.inner(); ok {
				walk(at+suffix, inner)
				if f.doc == "" {
					t.Errorf("%s has no description", at)
				}
				continue
			}
			if f.doc == "" || !strings.HasSuffix(f.doc, ".") {
				t.Errorf("the description of %s is %q", at, f.doc)
			}
			if f.example == "" {
				continue
			}
			examples++
			n, problem := read([]byte(f.example))
			if problem != nil {
				t.Errorf("the example of %s: %v", at, problem)
				continue
			}
			d := new(decoder)
			f.value.decode(d, n, at)
			if len(d.errors.List) > 0 {
				t.Errorf("the example of %s: %v", at, &d.errors)
			}
		}
	}
	walk("", definitionTable(new(Definition)))
	if examples < 30 {
		t.Errorf("%d fields have an example, want at least 30", examples)
	}
}

// TestService reads docs/definition-service.yaml: every reference leads somewhere, every definition among its examples
// decodes, and every path answers what the retries rely on.
func TestService(t *testing.T) {
	src, err := os.ReadFile("../../docs/definition-service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root, problem := read(src)
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	if problem != nil {
		t.Fatalf("%d:%d: %s", problem.Line, problem.Column, problem.Message)
	}
	if v := root.Get("openapi").Text; !strings.HasPrefix(v, "3.1.") {
		t.Errorf("openapi %s, want 3.1", v)
	}
	references := 0
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if kindOf(n) == mappingKind {
			if d := new(decoder); len(d.keys(n, "")) != len(n.Pairs) {
				t.Errorf("line %d: a key occurs twice", n.Content.Line+1)
			}
		}
		for _, p := range n.Pairs {
			if p.Key.Text == "$ref" {
				references++
				if !resolves(root, p.Value.Text) {
					t.Errorf("line %d: %s leads nowhere", p.Start.Line+1, p.Value.Text)
				}
			}
			walk(p.Value)
		}
		for _, e := range n.Items {
			walk(e)
		}
	}
	walk(root)
	if references < 20 {
		t.Errorf("%d references, want at least 20", references)
	}
	for _, p := range root.Get("paths").Pairs {
		answers := p.Value.Get("get").Get("responses")
		for _, status := range []string{"200", "401", "403", "404", "429", "503"} {
			if answers.Get(status) == nil {
				t.Errorf("%s does not say what a %s is", p.Key.Text, status)
			}
		}
	}
	definitions := 0
	for _, p := range root.Get("components").Get("examples").Pairs {
		value := p.Value.Get("value")
		document := text[value.Content.Offset:value.End]
		if document[0] != '{' {
			document = strings.Repeat(" ", value.Content.Column) + document
		}
		if value.Get("data") != nil {
			inner, err := Pointer([]byte(document), "/data")
			if err != nil {
				t.Errorf("%s: %v", p.Key.Text, err)
			}
			document = string(inner)
		}
		if _, err := Decode(p.Key.Text, []byte(document)); err != nil {
			t.Errorf("the example %s: %v", p.Key.Text, err)
		}
		definitions++
	}
	if definitions < 4 {
		t.Errorf("%d definitions among the examples, want at least 4", definitions)
	}
}

// resolves reports whether a $ref leads to something: inside the document, or to the generated schema.
func resolves(root *yaml.Node, reference string) bool {
	pointer, inside := strings.CutPrefix(reference, "#/")
	if !inside {
		_, err := os.Stat("../../docs/" + reference)
		return err == nil
	}
	for name := range strings.SplitSeq(pointer, "/") {
		if root = root.Get(name); root == nil {
			return false
		}
	}
	return true
}
