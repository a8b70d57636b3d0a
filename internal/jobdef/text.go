package jobdef

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/secret"
)

// A Text is a string of a definition: written there, or a reference to a file or environment variable whose content
// is read only where it is needed ([Text.Resolve]). The zero value is a string that the definition does not have.
type Text struct {
	source source
	text   string // the string, or the name of the file or variable
	list   []Text // of a list in configuration
	path   string // field
	line   int
	form   form
}

type source uint8

const (
	absent source = iota
	plainText
	listText
	fromEnv
	fromFile
)

// Plain returns the Text of a string that is not a reference.
func Plain(s string) Text { return Text{source: plainText, text: s} }

// IsZero reports whether the definition does not have the string.
func (t Text) IsZero() bool { return t.source == absent }

// IsReference reports whether the string, or a part of it, is kept elsewhere.
func (t Text) IsReference() bool {
	for _, e := range t.list {
		if e.IsReference() {
			return true
		}
	}
	return t.source == fromEnv || t.source == fromFile
}

// HasLiteral reports whether the string, or a part of it, is written in the definition.
func (t Text) HasLiteral() bool {
	for _, e := range t.list {
		if e.HasLiteral() {
			return true
		}
	}
	return t.source == plainText
}

// Plain returns the string, and false if it is absent or a reference.
func (t Text) Plain() (string, bool) {
	switch {
	case t.source == plainText:
		return t.text, true
	case t.source == listText && !t.IsReference():
		parts := make([]string, len(t.list))
		for i, e := range t.list {
			parts[i] = e.text
		}
		return joinList(parts), true
	}
	return "", false
}

// String returns the string, or how the definition refers to it: {fromEnv: NAME}. The content of a reference is never in it.
func (t Text) String() string {
	switch t.source {
	case fromEnv:
		return "{fromEnv: " + t.text + "}"
	case fromFile:
		return "{fromFile: " + t.text + "}"
	case listText:
		parts := make([]string, len(t.list))
		for i, e := range t.list {
			parts[i] = e.String()
		}
		return joinList(parts)
	}
	return t.text
}

// Path returns the field, e.g. sql.catalogs[0].options.password.
func (t Text) Path() string { return t.path }

// Line returns the line of the document on which the string's text begins, 0 if it is not from a document. Of a block
// scalar that is the line below the "|".
func (t Text) Line() int { return t.line }

// A Resolver is where references lead.
type Resolver struct {
	LookupEnv func(name string) (value string, ok bool)
	ReadFile  func(name string) ([]byte, error)
}

// Resolve returns the string: public as it is written in the definition, hidden when it is the content of a reference. A
// file is read once and loses one trailing line break. Absent gives the empty string. The error names the field and
// the file or variable, never the content.
func (t Text) Resolve(r Resolver) (secret.Text, error) {
	switch t.source {
	case listText:
		hidden, parts := false, make([]string, len(t.list))
		for i, e := range t.list {
			v, err := e.Resolve(r)
			if err != nil {
				return secret.Text{}, err
			}
			parts[i], hidden = v.Reveal(), hidden || v.IsHidden()
		}
		if hidden {
			return secret.Hidden(joinList(parts)), nil
		}
		return secret.Public(joinList(parts)), nil
	case fromEnv:
		content, ok := r.LookupEnv(t.text)
		if !ok {
			return secret.Text{}, fmt.Errorf("%s: the environment variable %s is not set", t.path, t.text)
		}
		return t.content("the environment variable "+t.text, content)
	case fromFile:
		b, err := r.ReadFile(t.text)
		if err != nil {
			if e := (*fs.PathError)(nil); errors.As(err, &e) {
				err = e.Err
			}
			return secret.Text{}, fmt.Errorf("%s: cannot read the file %s: %w", t.path, t.text, err)
		}
		content, found := strings.CutSuffix(string(b), "\n")
		if found {
			content = strings.TrimSuffix(content, "\r")
		}
		return t.content("the file "+t.text, content)
	}
	return secret.Public(t.text), nil
}

// content checks what a reference led to.
func (t Text) content(where, content string) (secret.Text, error) {
	row := t.form.row()
	switch {
	case len(content) > MaxSize:
		return secret.Text{}, fmt.Errorf("%s: %s holds more than %d MiB", t.path, where, MaxSize>>20)
	case !utf8.ValidString(content):
		return secret.Text{}, fmt.Errorf("%s: %s holds something that is not UTF-8", t.path, where)
	case strings.IndexByte(content, 0) >= 0:
		return secret.Text{}, fmt.Errorf("%s: %s holds a NUL character", t.path, where)
	case !row.ok(content):
		return secret.Text{}, fmt.Errorf("%s: %s does not hold %s", t.path, where, row.expected)
	}
	return secret.Hidden(content), nil
}

// joinList writes a list as Flink reads it in a configuration file of any version (ConfigurationUtils.convertToList,
// StructuredOptionsSplitter): separated by semicolons, in single quotes where it would be read otherwise.
func joinList(parts []string) string {
	var b strings.Builder
	for i, s := range parts {
		if i > 0 {
			b.WriteByte(';')
		}
		if s != "" && strings.Trim(s, " \t\n") == s && !strings.ContainsAny(s, ";'\"[]{}") && !strings.HasPrefix(s, "-") {
			b.WriteString(s)
			continue
		}
		b.WriteByte('\'')
		b.WriteString(strings.ReplaceAll(s, "'", "''"))
		b.WriteByte('\'')
	}
	return b.String()
}
