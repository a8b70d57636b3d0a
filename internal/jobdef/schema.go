package jobdef

import (
	"bytes"
	"encoding/json"
)

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encoder.Encode(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encoder.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Schema returns the JSON Schema (draft 2020-12) of a definition. It is what the decoder checks, as far as JSON Schema
// can say it: not that names are distinct, for example.
func Schema() []byte {
	s := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:flink-entrypoint:definition:v1"},
		{"title", "Job definition of flink-entrypoint"},
	}
	s = append(s, definitionTable(new(Definition)).schema()...)
	s = append(s, member{"$defs", object{
		{"reference", append(object{{"description", "A string that is kept in a file or an environment variable"}},
			referenceTable(new(string), new(string)).schema()...)},
		{"configuration", object{
			{"type", "object"},
			{"propertyNames", object{{"pattern", `^[^\x00-\x20.\x7f]([^\x00-\x20\x7f]*[^\x00-\x20.\x7f])?$`}}},
			{"additionalProperties", object{{"anyOf", []object{
				textSchema(anyForm),
				{{"type", "array"}, {"minItems", 1}, {"items", textSchema(anyForm)}},
				{{"$ref", "#/$defs/configuration"}, {"minProperties", 1},
					{"not", object{{"anyOf", []object{{{"required", []string{"fromFile"}}}, {{"required", []string{"fromEnv"}}}}}}}},
			}}}},
		}},
	}})
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // strings and lists of strings only
	}
	return b.Bytes()
}

// textSchema is a string of that form or a reference to one.
func textSchema(f form) object {
	row := f.row()
	plain := object{{"type", []string{"string", "number", "boolean"}}}
	if row.pattern != "" {
		plain = append(plain, member{"pattern", row.pattern})
	}
	return object{{"anyOf", []object{plain, {{"$ref", "#/$defs/reference"}}}}}
}

func (r record) schema() object {
	var required []string
	properties := object{}
	for _, f := range r.fields {
		if f.required {
			required = append(required, f.name)
		}
		properties = append(properties, member{f.name, append(object{{"description", plainMarkdown(f.doc)}}, f.value.schema()...)})
	}
	s := object{{"type", "object"}, {"properties", properties}}
	if r.extensible {
		s = append(s, member{"patternProperties", object{{"^x-", true}}})
	}
	s = append(s, member{"additionalProperties", false})
	if required != nil {
		s = append(s, member{"required", required})
	}
	var rules []object
	for _, rule := range r.rules {
		if rule.schema != nil {
			rules = append(rules, rule.schema())
		}
	}
	if rules != nil {
		s = append(s, member{"allOf", rules})
	}
	return s
}

// plainMarkdown drops the marks of code.
func plainMarkdown(s string) string {
	return string(bytes.ReplaceAll([]byte(s), []byte("`"), nil))
}
