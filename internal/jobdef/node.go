package jobdef

// A node is one value of a document, as the author wrote it: scalars keep their text, so that an id of 0001 or a
// version of 1.20 is not taken for a number.
type node struct {
	kind  kind
	text  string  // of a scalar: decoded when it was quoted or a block, else as it stands in the document
	pairs []pair  // of a mapping, in order
	items []*node // of a sequence

	line, column int // where it begins; 1 is the first, columns count characters
	textLine     int // line of a scalar's first character: of a block scalar the line after the indicator
	start, end   int // bytes of the normalised document
	size         int // nodes below and including this one, aliases counted in full
}

type pair struct {
	key          string
	line, column int
	value        *node
}

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

// get returns the value of a mapping's key, nil when it has none.
func (n *node) get(key string) *node {
	for i := range n.pairs {
		if n.pairs[i].key == key {
			return n.pairs[i].value
		}
	}
	return nil
}

// plainKind is the kind of a scalar without quotes: YAML's core schema as far as a definition needs it.
func plainKind(s string) kind {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nullKind
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolKind
	}
	if isNumber(s) {
		return numberKind
	}
	return stringKind
}

// isNumber reports whether s is a decimal number as in JSON, leading zeros and a plus sign allowed.
func isNumber(s string) bool {
	if s[0] == '-' || s[0] == '+' {
		s = s[1:]
	}
	whole := digits(s)
	s = s[whole:]
	fraction := 0
	if s != "" && s[0] == '.' {
		fraction = digits(s[1:])
		s = s[1+fraction:]
	}
	if whole+fraction == 0 {
		return false
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

// digits returns how many decimal digits s begins with.
func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}
