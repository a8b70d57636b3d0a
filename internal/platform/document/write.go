package document

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// An object is a JSON object that keeps its order.
type object []member

type member struct {
	name  string
	value any // string, json.RawMessage, object, []any
}

func write(b *bytes.Buffer, v any) {
	text := func(s string) {
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		e.Encode(s)
		b.Truncate(b.Len() - 1) // its newline
	}
	switch v := v.(type) {
	case string:
		text(v)
	case json.RawMessage:
		b.Write(v)
	case object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			text(m.name)
			b.WriteByte(':')
			write(b, m.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, x)
		}
		b.WriteByte(']')
	}
}

// valueOf is a node as JSON. Numbers and truth values keep their text, so that pods read what the user wrote.
func valueOf(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		o := object{}
		for _, p := range n.Pairs {
			o = append(o, member{p.Key.Text, valueOf(p.Value)})
		}
		return o
	case yaml.SequenceNode:
		l := []any{}
		for _, i := range n.Items {
			l = append(l, valueOf(i))
		}
		return l
	}
	if n.Plain && n.Tag != yaml.TagStr {
		if n.Tag == yaml.TagNull {
			return json.RawMessage("null")
		}
		if json.Valid([]byte(n.Text)) {
			return json.RawMessage(n.Text)
		}
	}
	return n.Text
}

// written is the definition as JSON, with the chosen catalogs before its own. script, if not nil, is in the place of sql.scriptUri.
func written(root *yaml.Node, chosen []object, script *string) []byte {
	all := []any{}
	for _, c := range chosen {
		all = append(all, c)
	}
	doc := valueOf(root).(object)
	for i := range doc {
		sql, ok := doc[i].value.(object)
		if doc[i].name != "sql" || !ok {
			continue
		}
		for j := range sql {
			if own, ok := sql[j].value.([]any); ok && sql[j].name == "catalogs" {
				all = append(all, own...)
				sql[j].value = all
				all = nil
			}
		}
		if len(all) > 0 {
			sql = append(sql, member{"catalogs", all})
		}
		if script != nil {
			sql = slices.DeleteFunc(sql, func(m member) bool { return m.name == "scriptUri" || m.name == "scriptSha256" })
			sql = append(sql, member{"script", *script})
		}
		doc[i].value = sql
	}
	var b bytes.Buffer
	write(&b, doc)
	b.WriteByte('\n')
	return b.Bytes()
}

// catalogObject is a stored catalog as the definition has it: options where a value is a reference, else the statement itself.
func catalogObject(c store.Catalog) (object, error) {
	parsed, err := catalog.ParseCatalog(secret.Public(c.Statement), catalog.Target{Flink: newest()})
	if err != nil {
		return nil, err
	}
	options, references := object{}, false
	for _, o := range parsed.Options {
		var value any = o.Value.Reveal()
		if ref := reference(o.Value.Reveal()); ref != nil {
			value, references = ref, true
		}
		options = append(options, member{o.Key, value})
	}
	if references {
		return object{{"name", parsed.Name}, {"options", options}}, nil
	}
	return object{{"createStatement", c.Statement}}, nil
}

// reference reads '${fromEnv:NAME}' or '${fromFile:/path}', which a stored statement has in place of a secret; nil: it is not one.
func reference(value string) object {
	inner, ok := strings.CutPrefix(value, "${")
	if !ok || !strings.HasSuffix(inner, "}") {
		return nil
	}
	kind, name, ok := strings.Cut(strings.TrimSuffix(inner, "}"), ":")
	if !ok || name == "" || kind != "fromEnv" && kind != "fromFile" {
		return nil
	}
	return object{{kind, name}}
}

// CheckCatalog says what is wrong with a CREATE CATALOG statement that is stored under a name.
func CheckCatalog(name, statement string) api.Faults {
	c, err := catalog.ParseCatalog(secret.Public(statement), catalog.Target{Flink: newest()})
	if err != nil {
		return api.Faults{{Line: 1, Column: 1, Message: err.Error(), Hint: "CREATE CATALOG " + name + " WITH ('type' = '…', …)"}}
	}
	var faults api.Faults
	if c.Name != name {
		faults = append(faults, wire.Fault{Line: 1, Column: 1, Message: "the statement makes a catalog " + c.Name + ", it is stored as " + name, Hint: "give both the same name"})
	}
	for _, l := range secretLiterals(statement, true) {
		faults = append(faults, secretHere(l.key, l.key, l.line, l.column, storedHint))
	}
	return faults
}
