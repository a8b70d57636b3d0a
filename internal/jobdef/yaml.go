package jobdef

import (
	"errors"
	"strings"

	"flink-entrypoint/internal/yaml"
)

const (
	// MaxSize is the largest document, and the largest file or variable of a reference, in bytes.
	MaxSize = 16 << 20

	maxDepth   = 100    // collections inside each other
	maxAliased = 10_000 // values that aliases may add to a document
)

// read returns what a document in YAML or JSON holds, nil if that is nothing. Scalars keep their text, so that an id
// of 0001 or a version of 1.20 is not taken for a number.
func read(src []byte) (*yaml.Node, *Problem) {
	document, problem := readDocument(src)
	if problem != nil || document.Root != nil && document.Root.Tag == yaml.TagNull {
		return nil, problem
	}
	return document.Root, nil
}

func readDocument(src []byte) (*yaml.Document, *Problem) {
	document, err := yaml.Read(src, yaml.Options{Strict: true, Bytes: MaxSize, Depth: maxDepth, Aliased: maxAliased})
	if e := (*yaml.Error)(nil); errors.As(err, &e) {
		return nil, &Problem{Line: e.Mark.Line + 1, Column: e.Mark.Column + 1, Message: e.Reason, Hint: syntaxHint(e)}
	}
	return document, nil
}

// syntaxHint says what to do about an error of YAML; it may be empty.
func syntaxHint(e *yaml.Error) string {
	switch e.Fault {
	case yaml.ForbiddenCharacter:
		return `write it as an escape in double quotes, e.g. "\u0001"`
	case yaml.SecondDocument:
		return "a definition is one document"
	case yaml.UnexpectedText:
		return "indent it as the lines around it"
	case yaml.UnexpectedIndentation:
		return "indent it as the lines around it"
	case yaml.TabIndentation:
		return "use spaces"
	case yaml.UnexpectedCharacter:
		if !strings.Contains("-?:", e.Found) {
			return "quote a value that begins with '" + e.Found + "'"
		}
	case yaml.KeyLines:
		return "check that the line before it is complete, and indented as the lines around it"
	case yaml.KeyMark:
		return `quote a value that begins with "?"`
	case yaml.MergeKey:
		return "repeat the fields, or use an alias for the whole value"
	case yaml.ColonInValue:
		return `quote a value that holds ": "`
	case yaml.ListPlace:
		return "begin it on a line of its own"
	case yaml.UnknownEscape:
		return `a backslash is written \\ in double quotes, or as it is in single quotes`
	case yaml.BlockHeader:
		return "the text of a block scalar begins on the next line"
	case yaml.UndefinedAlias:
		return `quote a value that begins with "*"`
	case yaml.UnknownTag:
		return "tags other than !!str are not supported: quote the value to make it a string"
	case yaml.SecondProperty:
		return "a value has at most one anchor and one tag, an alias has neither"
	}
	return ""
}

// A kind is what a definition takes a value for.
type kind uint8

const (
	nullKind kind = iota
	boolKind      // plain true or false
	numberKind
	stringKind // quoted, a block, or any other plain text
	mappingKind
	sequenceKind
)

// String returns what messages call a value of that kind.
func (k kind) String() string {
	return [...]string{"no value", "a boolean", "a number", "a string", "a mapping", "a list"}[k]
}

func kindOf(n *yaml.Node) kind {
	switch n.Tag {
	case yaml.TagNull:
		return nullKind
	case yaml.TagBool:
		return boolKind
	case yaml.TagInt, yaml.TagFloat:
		if strings.Trim(n.Text, "0123456789+-.eE") == "" { // decimal, as in JSON; not 0x1F or .inf
			return numberKind
		}
	case yaml.TagMap:
		return mappingKind
	case yaml.TagSeq:
		return sequenceKind
	}
	return stringKind
}

// textLine is the line of a scalar's first character: of a block scalar the one after its indicator.
func textLine(n *yaml.Node) int {
	if n.Block {
		return n.Content.Line + 2
	}
	return n.Content.Line + 1
}
