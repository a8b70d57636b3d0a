package yaml

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/javatext"
)

type ValueKind uint8

const (
	NullValue ValueKind = iota
	StringValue
	BoolValue
	IntValue
	LongValue
	BigValue
	DoubleValue
	BytesValue
	ListValue
	MapValue
	SetValue
)

// A Value is a Java object that the YAML reader made: text is its toString for scalars, the base64 text for
// bytes.
type Value struct {
	Kind  ValueKind
	Text  string
	Keys  []*Value // of maps and sets
	Items []*Value // of lists; values of maps
	Lines []int    // of map keys
}

// JavaClass is the class name as in Java's ClassCastException.
func (v *Value) JavaClass() string {
	return [...]string{"null", "java.lang.String", "java.lang.Boolean", "java.lang.Integer", "java.lang.Long", "java.math.BigInteger",
		"java.lang.Double", "[B", "java.util.ArrayList", "java.util.LinkedHashMap", "java.util.LinkedHashSet"}[v.Kind]
}

// CastError is the ClassCastException of Java code that takes v for an object of the class to.
func CastError(v *Value, to string, at Mark) *Error {
	from := v.JavaClass()
	reason := "a key must be a string, found "
	if to == "java.util.Map" {
		reason = "the document must be a mapping (key, colon, blank, value), found "
	}
	reason += strings.ToLower(from[strings.LastIndexByte(from, '.')+1:])
	return plainError(javatext.ClassCast, "class "+from+" cannot be cast to class "+to+" ("+from+" and "+to+
		" are in module java.base of loader 'bootstrap')", reason, at)
}

// build makes the Java object of a node, as snakeyaml-engine's StandardConstructor with the core schema does.
func build(n *Node) *Value {
	if n.built {
		return n.Value
	}
	if n.building {
		panic(markedError(noContext, nil, "found unconstructable recursive node", n.Start, ""))
	}
	n.building = true
	switch n.Tag {
	case TagNull:
		n.done(&Value{})
	case TagStr, TagEnv:
		n.done(&Value{Kind: StringValue, Text: n.scalar()})
	case TagBool:
		switch s := strings.ToLower(n.scalar()); s {
		case "true", "false":
			n.done(&Value{Kind: BoolValue, Text: s})
		default:
			n.done(&Value{})
		}
	case TagInt:
		n.done(buildInt(n, n.scalar()))
	case TagFloat:
		n.done(buildFloat(n, strings.ToLower(n.scalar())))
	case TagBin:
		n.done(buildBytes(n, n.scalar()))
	case TagSeq:
		n.require(SequenceNode)
		v := &Value{Kind: ListValue, Items: make([]*Value, 0, len(n.Items))}
		if n.recursive {
			n.done(v)
		}
		for _, item := range n.Items {
			v.Items = append(v.Items, build(item))
		}
		n.done(v)
	case TagMap:
		n.require(MappingNode)
		v := &Value{Kind: MapValue}
		if n.recursive {
			n.done(v)
		}
		n.fill(v)
		n.done(v)
	case TagSet:
		n.require(MappingNode)
		v := &Value{Kind: SetValue}
		if n.recursive {
			n.done(v)
		}
		n.fill(v)
		n.done(v)
	default:
		panic(markedError(noContext, nil, "could not determine a constructor for the tag "+n.Tag, n.Start, "a tag that Flink does not know"))
	}
	return n.Value
}

func (n *Node) done(v *Value) {
	n.Value, n.built, n.building = v, true, false
}

func (n *Node) require(kind NodeKind) {
	if n.Kind != kind {
		names := [...]string{"ScalarNode", "SequenceNode", "MappingNode"}
		from, to := "org.snakeyaml.engine.v2.nodes."+names[n.Kind], "org.snakeyaml.engine.v2.nodes."+names[kind]
		panic(wrappedError(javatext.ClassCast, "class "+from+" cannot be cast to class "+to+" ("+from+" and "+to+" are in unnamed module of loader 'app')",
			"the tag does not fit the value", n.Start))
	}
}

func (n *Node) scalar() string {
	n.require(ScalarNode)
	return n.Text
}

// fill builds keys first, to find duplicates, then the values.
func (n *Node) fill(v *Value) {
	seen := make(map[string]bool, len(n.Pairs))
	v.Keys = make([]*Value, 0, len(n.Pairs))
	for i := range n.Pairs {
		key := n.Pairs[i].Key
		k := build(key)
		var known map[*Value]string
		if k.Kind >= ListValue {
			known = map[*Value]string{}
		}
		id := k.identity(known)
		if seen[id] {
			if k.Kind == NullValue {
				panic(wrappedError(javatext.NullPointer, `Cannot invoke "Object.toString()" because "key" is null`, "duplicate null key", key.Start))
			}
			panic(markedError("while constructing a mapping", &n.Start, "found duplicate key "+k.JavaString(nil), key.Start, ""))
		}
		seen[id] = true
		v.Keys = append(v.Keys, k)
	}
	v.Lines = make([]int, 0, len(n.Pairs))
	if v.Kind == MapValue {
		v.Items = make([]*Value, 0, len(n.Pairs))
	}
	for i := range n.Pairs {
		p := &n.Pairs[i]
		var item *Value
		if v.Kind == MapValue {
			item = build(p.Value)
		}
		if p.Key.recursive {
			panic(plainError(EngineException, "Recursive key for mapping is detected but it is not configured to be allowed.", "", p.Key.Start))
		}
		v.Lines = append(v.Lines, p.Start.Line+1)
		if v.Kind == MapValue {
			v.Items = append(v.Items, item)
		}
	}
}

// identity is equal for values that Java's equals calls equal. For a collection it is a digest: the time is that of
// reading the collection once, however often aliases repeat its parts. known holds what has been met.
func (v *Value) identity(known map[*Value]string) string {
	if v.Kind < ListValue {
		return string(rune('0'+v.Kind)) + v.Text
	}
	if id, met := known[v]; met {
		if id == "" {
			panic(cycleError())
		}
		return id
	}
	known[v] = ""
	var parts []string
	for i := range max(len(v.Keys), len(v.Items)) {
		part := ""
		if i < len(v.Keys) {
			part = v.Keys[i].identity(known)
		}
		if i < len(v.Items) { // a mapping that is a key of its own is looked at before it has values
			part = itoa(len(part)) + ":" + part + v.Items[i].identity(known)
		}
		parts = append(parts, itoa(len(part))+":"+part)
	}
	if v.Kind != ListValue {
		slices.Sort(parts)
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, "")))
	known[v] = string(rune('0'+v.Kind)) + string(digest[:])
	return known[v]
}

func cycleError() *Error {
	return &Error{Reason: "a collection contains itself", Java: &javatext.Exception{Class: javatext.StackOverflow, Message: "null"}, NoPlace: true}
}

// JavaString is toString. Cycles of keys end Java's stack.
func (v *Value) JavaString(open map[*Value]bool) string {
	if v.Kind < ListValue {
		if v.Kind == NullValue {
			return "null"
		}
		return v.Text
	}
	if open == nil {
		open = map[*Value]bool{}
	}
	if open[v] {
		panic(cycleError())
	}
	open[v] = true
	defer delete(open, v)
	var parts []string
	if v.Kind == ListValue {
		for _, item := range v.Items {
			parts = append(parts, item.JavaString(open))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for i, k := range v.Keys {
		s := k.JavaString(open)
		if v.Kind == MapValue && i < len(v.Items) { // a mapping that is a key of its own is looked at before it has values
			s += "=" + v.Items[i].JavaString(open)
		}
		parts = append(parts, s)
	}
	if v.Kind == SetValue {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func numberError(n *Node, text string) *Error {
	return wrappedError(javatext.NumberFormat, `For input string: "`+text+`"`, "not a number", n.Start)
}

func buildInt(n *Node, s string) *Value {
	if s == "" {
		panic(markedError("while constructing an int", &n.Start, "found empty value", n.Start, ""))
	}
	negative := s[0] == '-'
	number := cutSign(s)
	if number == "0" {
		return &Value{Kind: IntValue, Text: "0"}
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
		return &Value{Kind: BigValue, Text: b.String()}
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
	v := &Value{Kind: IntValue, Text: strconv.FormatInt(i, 10)}
	switch {
	case length > longDigits:
		v.Kind = BigValue
	case length > intDigits || i > math.MaxInt32 || i < math.MinInt32:
		v.Kind = LongValue
	}
	return v
}

func buildFloat(n *Node, s string) *Value {
	switch s {
	case "":
		panic(wrappedError("java.lang.StringIndexOutOfBoundsException", "index 0, length 0", "not a number", n.Start))
	case ".inf":
		return &Value{Kind: DoubleValue, Text: "Infinity"}
	case "-.inf":
		return &Value{Kind: DoubleValue, Text: "-Infinity"}
	case ".nan":
		return &Value{Kind: DoubleValue, Text: "NaN"}
	}
	number := cutSign(s)
	d, err := strconv.ParseFloat(strings.TrimRight(number, "df"), 64)
	if err != nil && (!math.IsInf(d, 0) || digits(number) == 0 && !strings.HasPrefix(number, ".")) || strings.ContainsAny(number, "_in") {
		panic(numberError(n, number))
	}
	if s[0] == '-' {
		d = -d
	}
	return &Value{Kind: DoubleValue, Text: javatext.Double(d, 0)}
}

func buildBytes(n *Node, s string) *Value {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\x0B\f\r", r) {
			return -1
		}
		return r
	}, s)
	raw, problem := javaBase64(s)
	if problem != "" {
		panic(wrappedError(javatext.IllegalArgument, problem, "not base64", n.Start))
	}
	return &Value{Kind: BytesValue, Text: base64.StdEncoding.EncodeToString(raw)}
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

// LogText is how the logger prints a raw value.
func (v *Value) LogText() string {
	if v.Kind != BytesValue {
		return v.JavaString(nil)
	}
	raw, _ := base64.StdEncoding.DecodeString(v.Text)
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = strconv.Itoa(int(int8(b)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// ConfText is the text of a value in Configuration.toMap.
func (v *Value) ConfText() string {
	switch v.Kind {
	case StringValue, BoolValue, IntValue, LongValue, BigValue:
		return v.Text
	case DoubleValue:
		return v.ScalarText()
	}
	return Dump(v)
}
