package memory

// HashMapOrder returns distinct keys in the order of a java.util.HashMap into which they were put in turn.
func HashMapOrder(keys []string) []string {
	var m hashMap
	for _, k := range keys {
		m.put(k, "")
	}
	var out []string
	for e := range m.all() {
		out = append(out, e.key)
	}
	return out
}
