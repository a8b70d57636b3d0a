package confpatch

import (
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

type valueKind uint8

const (
	nullValue valueKind = iota
	stringValue
	boolValue
	intValue
	longValue
	bigValue
	doubleValue
	bytesValue
	listValue
	mapValue
	setValue
)

// A value is a Java object that the YAML reader made: text is its toString for scalars, the base64 text for
// bytes.
type value struct {
	kind  valueKind
	text  string
	keys  []*value // of maps and sets
	items []*value // of lists; values of maps
	lines []int    // of map keys
}

// javaClass is the class name as in Java's ClassCastException.
func (v *value) javaClass() string {
	return [...]string{"null", "java.lang.String", "java.lang.Boolean", "java.lang.Integer", "java.lang.Long", "java.math.BigInteger",
		"java.lang.Double", "[B", "java.util.ArrayList", "java.util.LinkedHashMap", "java.util.LinkedHashSet"}[v.kind]
}

// confKind is the kind of an entry of Flink's Configuration; a set has none of its own.
func (v *value) confKind() flinkconf.Kind {
	switch v.kind {
	case boolValue:
		return flinkconf.Boolean
	case intValue:
		return flinkconf.Integer
	case longValue:
		return flinkconf.Long
	case bigValue:
		return flinkconf.BigInteger
	case doubleValue:
		return flinkconf.Double
	case bytesValue:
		return flinkconf.Bytes
	}
	return flinkconf.String
}

func castError(v *value, to string, at mark) *yamlError {
	from := v.javaClass()
	reason := "a key must be a string, found "
	if to == "java.util.Map" {
		reason = "the document must be a mapping (key, colon, blank, value), found "
	}
	reason += strings.ToLower(from[strings.LastIndexByte(from, '.')+1:])
	return plainError(classCast, "class "+from+" cannot be cast to class "+to+" ("+from+" and "+to+
		" are in module java.base of loader 'bootstrap')", reason, at)
}

// build makes the Java object of a node, as snakeyaml-engine's StandardConstructor with the core schema does.
func build(n *node) *value {
	if n.built {
		return n.value
	}
	if n.building {
		panic(markedError(noContext, nil, "found unconstructable recursive node", n.start, ""))
	}
	n.building = true
	switch n.tag {
	case tagNull:
		n.done(&value{})
	case tagStr, tagEnv:
		n.done(&value{kind: stringValue, text: n.scalar()})
	case tagBool:
		switch s := strings.ToLower(n.scalar()); s {
		case "true", "false":
			n.done(&value{kind: boolValue, text: s})
		default:
			n.done(&value{})
		}
	case tagInt:
		n.done(buildInt(n, n.scalar()))
	case tagFloat:
		n.done(buildFloat(n, strings.ToLower(n.scalar())))
	case tagBin:
		n.done(buildBytes(n, n.scalar()))
	case tagSeq:
		n.require(sequenceNode)
		v := &value{kind: listValue, items: make([]*value, 0, len(n.items))}
		if n.recursive {
			n.done(v)
		}
		for _, item := range n.items {
			v.items = append(v.items, build(item))
		}
		n.done(v)
	case tagMap:
		n.require(mappingNode)
		v := &value{kind: mapValue}
		if n.recursive {
			n.done(v)
		}
		n.fill(v)
		n.done(v)
	case tagSet:
		n.require(mappingNode)
		v := &value{kind: setValue}
		if n.recursive {
			n.done(v)
		}
		n.fill(v)
		n.done(v)
	default:
		panic(markedError(noContext, nil, "could not determine a constructor for the tag "+n.tag, n.start, "a tag that Flink does not know"))
	}
	return n.value
}

func (n *node) done(v *value) {
	n.value, n.built, n.building = v, true, false
}

func (n *node) require(kind nodeKind) {
	if n.kind != kind {
		names := [...]string{"ScalarNode", "SequenceNode", "MappingNode"}
		from, to := "org.snakeyaml.engine.v2.nodes."+names[n.kind], "org.snakeyaml.engine.v2.nodes."+names[kind]
		panic(wrappedError(classCast, "class "+from+" cannot be cast to class "+to+" ("+from+" and "+to+" are in unnamed module of loader 'app')",
			"the tag does not fit the value", n.start))
	}
}

func (n *node) scalar() string {
	n.require(scalarNode)
	return n.text
}

// fill builds keys first, to find duplicates, then the values.
func (n *node) fill(v *value) {
	seen := make(map[string]bool, len(n.pairs))
	v.keys = make([]*value, 0, len(n.pairs))
	for i := range n.pairs {
		key := n.pairs[i].key
		k := build(key)
		id := k.identity()
		if seen[id] {
			if k.kind == nullValue {
				panic(wrappedError(nullPointer, `Cannot invoke "Object.toString()" because "key" is null`, "duplicate null key", key.start))
			}
			panic(markedError("while constructing a mapping", &n.start, "found duplicate key "+k.javaString(nil), key.start, ""))
		}
		seen[id] = true
		v.keys = append(v.keys, k)
	}
	v.lines = make([]int, 0, len(n.pairs))
	if v.kind == mapValue {
		v.items = make([]*value, 0, len(n.pairs))
	}
	for i := range n.pairs {
		p := &n.pairs[i]
		var item *value
		if v.kind == mapValue {
			item = build(p.value)
		}
		if p.key.recursive {
			panic(plainError(yamlEngineException, "Recursive key for mapping is detected but it is not configured to be allowed.", "", p.key.start))
		}
		v.lines = append(v.lines, p.line)
		if v.kind == mapValue {
			v.items = append(v.items, item)
		}
	}
}

// identity is equal for values that Java's equals calls equal.
func (v *value) identity() string {
	if v.kind == stringValue {
		return "s" + v.text
	}
	return string(rune('0'+v.kind)) + v.javaString(map[*value]bool{})
}

// javaString is toString. Cycles of keys end Java's stack.
func (v *value) javaString(open map[*value]bool) string {
	if v.kind < listValue {
		if v.kind == nullValue {
			return "null"
		}
		return v.text
	}
	if open == nil {
		open = map[*value]bool{}
	}
	if open[v] {
		panic(&yamlError{reason: "a collection contains itself", flink: &flinkconf.Error{Class: stackOverflow, Message: "null"}, noMark: true})
	}
	open[v] = true
	defer delete(open, v)
	var parts []string
	if v.kind == listValue {
		for _, item := range v.items {
			parts = append(parts, item.javaString(open))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for i, k := range v.keys {
		s := k.javaString(open)
		if v.kind == mapValue && i < len(v.items) { // a mapping that is a key of its own is looked at before it has values
			s += "=" + v.items[i].javaString(open)
		}
		parts = append(parts, s)
	}
	if v.kind == setValue {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func numberError(n *node, text string) *yamlError {
	return wrappedError(flinkconf.NumberFormat, `For input string: "`+text+`"`, "not a number", n.start)
}

func buildInt(n *node, s string) *value {
	if s == "" {
		panic(markedError("while constructing an int", &n.start, "found empty value", n.start, ""))
	}
	negative := s[0] == '-'
	number := cutSign(s)
	if number == "0" {
		return &value{kind: intValue, text: "0"}
	}
	base := 10
	if digits, ok := strings.CutPrefix(number, "0x"); ok {
		number, base = digits, 16
	} else if digits, ok := strings.CutPrefix(number, "0o"); ok {
		number, base = digits, 8
	}
	if negative {
		number = "-" + number
	}
	i, err := strconv.ParseInt(number, base, 64)
	if err != nil || strings.Contains(number, "_") {
		b, ok := new(big.Int).SetString(number, base)
		if !ok || strings.Contains(number, "_") {
			panic(numberError(n, number))
		}
		return &value{kind: bigValue, text: b.String()}
	}
	// A number with more digits than Integer.MAX_VALUE or Long.MAX_VALUE has is a Long or a BigInteger however
	// small it is.
	intDigits, longDigits := 10, 19
	switch base {
	case 16:
		intDigits, longDigits = 8, 16
	case 8:
		intDigits, longDigits = 11, 21
	}
	length := len(number)
	if negative {
		length--
	}
	v := &value{kind: intValue, text: strconv.FormatInt(i, 10)}
	switch {
	case length > longDigits:
		v.kind = bigValue
	case length > intDigits || i > math.MaxInt32 || i < math.MinInt32:
		v.kind = longValue
	}
	return v
}

func buildFloat(n *node, s string) *value {
	switch s {
	case "":
		panic(wrappedError("java.lang.StringIndexOutOfBoundsException", "index 0, length 0", "not a number", n.start))
	case ".inf":
		return &value{kind: doubleValue, text: "Infinity"}
	case "-.inf":
		return &value{kind: doubleValue, text: "-Infinity"}
	case ".nan":
		return &value{kind: doubleValue, text: "NaN"}
	}
	number := cutSign(s)
	d, err := strconv.ParseFloat(strings.TrimRight(number, "df"), 64)
	if err != nil && (!math.IsInf(d, 0) || digits(number) == 0 && !strings.HasPrefix(number, ".")) || strings.ContainsAny(number, "_in") {
		panic(numberError(n, number))
	}
	if s[0] == '-' {
		d = -d
	}
	return &value{kind: doubleValue, text: javaDouble(d)}
}

func buildBytes(n *node, s string) *value {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\x0B\f\r", r) {
			return -1
		}
		return r
	}, s)
	raw, problem := javaBase64(s)
	if problem != "" {
		panic(wrappedError(flinkconf.IllegalArgument, problem, "not base64", n.start))
	}
	return &value{kind: bytesValue, text: base64.StdEncoding.EncodeToString(raw)}
}

// javaBase64 is java.util.Base64's basic decoder, with its messages.
func javaBase64(s string) (raw []byte, problem string) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	if s == "" {
		return nil, ""
	}
	var latin1 []byte // String.getBytes(ISO_8859_1)
	for _, r := range s {
		if r > 0xFF {
			r = '?'
		}
		latin1 = append(latin1, byte(r))
	}
	if len(latin1) < 2 {
		return nil, "Input byte[] should at least have 2 bytes for base64 bytes"
	}
	bits, shift := 0, 18
	i := 0
	for i < len(latin1) {
		c := latin1[i]
		i++
		v := strings.IndexByte(alphabet, c)
		if v < 0 {
			if c == '=' {
				if shift == 6 && (i == len(latin1) || latin1[i] != '=') || shift == 18 {
					return nil, "Input byte array has wrong 4-byte ending unit"
				}
				if shift == 6 {
					i++
				}
				break
			}
			return nil, "Illegal base64 character " + strconv.FormatInt(int64(int8(c)), 16)
		}
		bits |= v << shift
		if shift -= 6; shift < 0 {
			raw = append(raw, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, shift = 0, 18
		}
	}
	switch shift {
	case 6:
		raw = append(raw, byte(bits>>16))
	case 0:
		raw = append(raw, byte(bits>>16), byte(bits>>8))
	case 12:
		return nil, "Last unit does not have enough valid bits"
	}
	if i < len(latin1) {
		return nil, "Input byte array has incorrect ending byte at " + itoa(i)
	}
	return raw, ""
}

// logText is how the logger prints a raw value.
func (v *value) logText() string {
	if v.kind != bytesValue {
		return v.javaString(nil)
	}
	raw, _ := base64.StdEncoding.DecodeString(v.text)
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = strconv.Itoa(int(int8(b)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
