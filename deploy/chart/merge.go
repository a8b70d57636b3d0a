package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A node is a value of the manifests as all variants have it together.
type node struct {
	in     set     // the variants that have it
	scalar any     // of a leaf: string, number, true, false or null
	fields []field // of an object
	items  []*node // of a list
	kind   kind
	empty  bool // an empty object or list
}

type kind int

const (
	leaf kind = iota
	object
	list
)

// A field is a key of an object with its alternatives, no two of which are in one variant.
type field struct {
	key          string
	alternatives []*node
}

// merge makes one tree of the values that variants have at a place: variant → value.
func merge(place string, values map[int]any, variants int) ([]*node, error) {
	shapes := map[string]map[int]any{}
	var order []string
	for _, i := range slices.Sorted(maps.Keys(values)) {
		shape := "object"
		switch v := values[i].(type) {
		case map[string]any:
		case []any:
			shape = "list"
		default:
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			shape = string(text)
		}
		if shapes[shape] == nil {
			shapes[shape] = map[int]any{}
			order = append(order, shape)
		}
		shapes[shape][i] = values[i]
	}
	var alternatives []*node
	for _, shape := range order {
		n := &node{in: make(set, variants)}
		for i := range shapes[shape] {
			n.in[i] = true
		}
		var err error
		switch shape {
		case "object":
			n.kind = object
			n.fields, err = mergeObjects(place, shapes[shape], variants)
			n.empty = len(n.fields) == 0
		case "list":
			n.kind = list
			n.items, err = mergeLists(place, shapes[shape], variants)
			n.empty = len(n.items) == 0
		default:
			for _, v := range shapes[shape] {
				n.scalar = v
			}
		}
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, n)
	}
	return alternatives, nil
}

// first are the keys that a reader looks for first.
var first = []string{"apiVersion", "kind", "metadata", "name"}

func mergeObjects(place string, values map[int]any, variants int) ([]field, error) {
	keys := map[string]map[int]any{}
	for i, v := range values {
		for key, value := range v.(map[string]any) {
			if keys[key] == nil {
				keys[key] = map[int]any{}
			}
			keys[key][i] = value
		}
	}
	var fields []field
	for _, key := range slices.SortedFunc(maps.Keys(keys), compareKeys) {
		alternatives, err := merge(place+"."+key, keys[key], variants)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{key, alternatives})
	}
	return fields, nil
}

func compareKeys(a, b string) int {
	rank := func(key string) int {
		if i := slices.Index(first, key); i >= 0 {
			return i
		}
		return len(first)
	}
	if c := rank(a) - rank(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// mergeLists keeps the order that each list has. Items with one name are the same item; items without a name are the same if they are equal.
func mergeLists(place string, values map[int]any, variants int) ([]*node, error) {
	lists := slices.Collect(maps.Keys(values))
	// The longest first: it has most of the order.
	slices.SortFunc(lists, func(a, b int) int {
		if c := len(values[b].([]any)) - len(values[a].([]any)); c != 0 {
			return c
		}
		return a - b
	})
	var order []string
	items := map[string]map[int]any{}
	for _, i := range lists {
		at := 0
		for _, item := range values[i].([]any) {
			key, err := itemKey(item)
			if err != nil {
				return nil, err
			}
			if items[key] == nil {
				items[key] = map[int]any{}
				order = slices.Insert(order, at, key)
			}
			if _, twice := items[key][i]; twice {
				return nil, fmt.Errorf("%s: %s is there twice", place, key)
			}
			items[key][i] = item
			have := slices.Index(order, key)
			if have < at {
				return nil, fmt.Errorf("%s: %s is before and after others", place, key)
			}
			at = have + 1
		}
	}
	var merged []*node
	for _, key := range order {
		alternatives, err := merge(place+"["+key+"]", items[key], variants)
		if err != nil {
			return nil, err
		}
		merged = append(merged, alternatives...)
	}
	return merged, nil
}

func itemKey(item any) (string, error) {
	if m, ok := item.(map[string]any); ok {
		if name, ok := m["name"].(string); ok {
			return name, nil
		}
	}
	text, err := json.Marshal(item)
	return string(text), err
}
