package memory

import (
	"iter"
	"unicode/utf16"
)

// hashMap is java.util.HashMap<String, String>, as far as its iteration order goes: the same hash, table size, growth and chains.
// Trees, which a chain of nine in a table of at least 64 becomes, keep the chain's order here; Java moves a few of its entries.
type hashMap struct {
	table [][]hashEntry
	size  int
}

type hashEntry struct {
	hash       uint32
	key, value string
}

// withCapacity returns new HashMap(capacity).
func withCapacity(capacity int) hashMap {
	n := 1
	for n < capacity {
		n *= 2
	}
	return hashMap{table: make([][]hashEntry, n)}
}

func (m *hashMap) put(key, value string) {
	if m.table == nil {
		*m = withCapacity(16)
	}
	var h uint32
	for _, unit := range utf16.Encode([]rune(key)) {
		h = 31*h + uint32(unit)
	}
	h ^= h >> 16
	chain := &m.table[h&uint32(len(m.table)-1)]
	for i := range *chain {
		if (*chain)[i].key == key {
			(*chain)[i].value = value
			return
		}
	}
	*chain = append(*chain, hashEntry{h, key, value})
	if len(*chain) > 8 && len(m.table) < 64 {
		m.grow()
	}
	if m.size++; 4*m.size > 3*len(m.table) {
		m.grow()
	}
}

func (m *hashMap) grow() {
	old := m.table
	m.table = make([][]hashEntry, 2*len(old))
	for _, chain := range old {
		for _, e := range chain {
			i := e.hash & uint32(len(m.table)-1)
			m.table[i] = append(m.table[i], e)
		}
	}
}

func (m *hashMap) all() iter.Seq[hashEntry] {
	return func(yield func(hashEntry) bool) {
		for _, chain := range m.table {
			for _, e := range chain {
				if !yield(e) {
					return
				}
			}
		}
	}
}
