package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Make makes the files of the charts that are made: path below deploy/chart → text.
func Make(deploy fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	made, err := templates(deploy)
	if err != nil {
		return nil, err
	}
	for name, text := range made {
		files[path.Join("flink", "templates", name)] = text
	}
	if files["platform/templates/rights.yaml"], err = rights(deploy); err != nil {
		return nil, err
	}
	for _, chart := range []string{"flink", "platform"} {
		schema, err := fs.ReadFile(deploy, path.Join("chart", chart, "values.schema.json"))
		if err != nil {
			return nil, err
		}
		values, err := valuesOf(schema)
		if err != nil {
			return nil, fmt.Errorf("%s: values.schema.json: %w", chart, err)
		}
		files[path.Join(chart, "values.yaml")] = values
	}
	return files, nil
}

// valuesOf makes a values.yaml of a schema: each property with its description and its default, in the order of the schema.
func valuesOf(schema []byte) ([]byte, error) {
	var root struct {
		Description string
		Properties  json.RawMessage
	}
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	comment(&out, "", root.Description+" Made from values.schema.json by \"go run ./deploy/chart/make\".")
	err := properties(&out, "", root.Properties)
	return out.Bytes(), err
}

func properties(out *bytes.Buffer, indent string, text json.RawMessage) error {
	return eachKey(text, func(key string, value json.RawMessage) error {
		var p struct {
			Description string
			Default     json.RawMessage
			Properties  json.RawMessage
		}
		if err := json.Unmarshal(value, &p); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if key == "global" { // Helm's own, of a chart within another one
			return nil
		}
		if p.Description == "" {
			return fmt.Errorf("%s has no description", key)
		}
		if indent == "" {
			out.WriteString("\n")
		}
		comment(out, indent, p.Description)
		if p.Properties != nil && p.Default == nil {
			fmt.Fprintf(out, "%s%s:\n", indent, key)
			return properties(out, indent+"  ", p.Properties)
		}
		if p.Default == nil {
			return fmt.Errorf("%s has no default", key)
		}
		var flow bytes.Buffer
		if err := json.Compact(&flow, p.Default); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s%s: %s\n", indent, key, flow.Bytes())
		return nil
	})
}

// eachKey calls f with the keys of an object, in their order.
func eachKey(object json.RawMessage, f func(key string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(key.(string), value); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// width is where the lines of comments end.
const width = 118

func comment(out io.Writer, indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			fmt.Fprintln(out, line)
			line = indent + "#"
		}
		line += " " + word
	}
	fmt.Fprintln(out, line)
}
