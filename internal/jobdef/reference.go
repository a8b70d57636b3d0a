package jobdef

import (
	_ "embed" // the page's prose
	"strings"
)

//go:embed reference.md
var referenceText string

// Reference returns docs/definition.md: prose, and the fields from the table.
func Reference() []byte {
	var fields, reference strings.Builder
	describe(&fields, "Top level", "", definitionTable(new(Definition)))
	referenceTable(new(string), new(string)).describe(&reference)
	page := strings.NewReplacer("{{fields}}", fields.String(), "{{reference}}", reference.String(), "{{errors}}", sampleErrors()).Replace(referenceText)
	return []byte(page)
}

// describe writes a section for a record and for those below it.
func describe(b *strings.Builder, title, path string, r record) {
	b.WriteString("### " + title + "\n\n")
	r.describe(b)
	for _, f := range r.fields {
		if inner, suffix, ok := f.value.inner(); ok {
			at := child(path, f.name) + suffix
			describe(b, "`"+at+"`", at, inner)
		}
	}
}

// describe writes the table of a record's fields and its rules.
func (r record) describe(b *strings.Builder) {
	b.WriteString("| field | value | meaning |\n| --- | --- | --- |\n")
	for _, f := range r.fields {
		b.WriteString("| `" + f.name + "`")
		if f.required {
			b.WriteString(" (required)")
		}
		b.WriteString(" | " + cell(f.value.kind()) + " | " + cell(f.doc))
		if f.example != "" {
			b.WriteString(" Example: `" + cell(f.example) + "`")
		}
		b.WriteString(" |\n")
	}
	b.WriteByte('\n')
	for _, rule := range r.rules {
		if rule.doc != "" {
			b.WriteString("* " + rule.doc + "\n")
		}
	}
	if len(r.rules) > 0 {
		b.WriteByte('\n')
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// sampleErrors shows what a wrong definition gives.
func sampleErrors() string {
	const document = "apiVersion: flink-entrypoint/v1\nname: clicks\nid: 1\nsql:\n  catalogz: []\n  script:\n"
	_, err := Decode("definition.yaml", []byte(document))
	indent := func(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }
	return "  ```\n" + indent(document) + "\n  ```\n\n  ```\n" + indent(err.Error()) + "\n  ```\n"
}
