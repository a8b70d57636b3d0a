package javatext

import (
	"iter"
	"unicode/utf8"
)

// HashMap is a java.util.HashMap with text keys, as far as its order of iteration goes: the same hash, table size and
// growth. The zero value is new HashMap().
//
// A bucket of more than eight keys in a table of at least 64 becomes a tree in Java, which moves a few of its keys; here
// they stay in the order in which they were put. Nine keys of one bucket do not occur by chance.
type HashMap[V any] struct {
	table   int // number of buckets, a power of two
	entries []hashEntry[V]
	index   map[string]int
}

type hashEntry[V any] struct {
	hash  uint32
	key   string
	value V
}

const (
	treeThreshold = 8  // HashMap.TREEIFY_THRESHOLD: a longer bucket grows a small table
	treeCapacity  = 64 // HashMap.MIN_TREEIFY_CAPACITY: "small" is below this
)

// NewHashMap is new HashMap(capacity).
func NewHashMap[V any](capacity int) *HashMap[V] {
	table := 1
	for table < capacity {
		table *= 2
	}
	return &HashMap[V]{table: table}
}

// Put adds a key, or replaces the value of one that is there already, whose place stays.
func (m *HashMap[V]) Put(key string, value V) {
	if m.table == 0 {
		m.table = DefaultCapacity
	}
	if m.index == nil {
		m.index = map[string]int{}
	}
	if at, ok := m.index[key]; ok {
		m.entries[at].value = value
		return
	}
	m.index[key] = len(m.entries)
	m.entries = append(m.entries, hashEntry[V]{hash(key), key, value})
	if m.table < treeCapacity && m.inBucket(m.entries[len(m.entries)-1].hash) > treeThreshold {
		m.table *= 2
	}
	if 4*len(m.entries) > 3*m.table {
		m.table *= 2
	}
}

// inBucket counts the keys in the bucket of a hash. It is called for small tables only, which hold at most 48 keys.
func (m *HashMap[V]) inBucket(hash uint32) int {
	n, mask := 0, uint32(m.table-1)
	for _, e := range m.entries {
		if e.hash&mask == hash&mask {
			n++
		}
	}
	return n
}

// Len is the number of keys.
func (m *HashMap[V]) Len() int { return len(m.entries) }

// HashMapOrder returns the keys in the order of a HashMap of that initial capacity into which they are put in turn.
func HashMapOrder(keys []string, capacity int) []string {
	m := NewHashMap[struct{}](capacity)
	for _, key := range keys {
		m.Put(key, struct{}{})
	}
	ordered := make([]string, 0, len(keys))
	for key := range m.All() {
		ordered = append(ordered, key)
	}
	return ordered
}

// DefaultCapacity is that of new HashMap(), HashMap.DEFAULT_INITIAL_CAPACITY.
const DefaultCapacity = 16

// All yields keys and values in Java's order: by bucket, and in a bucket by the time of the first Put (the table's growth
// keeps that order).
func (m *HashMap[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		heads, tails := make([]int32, m.table), make([]int32, m.table) // index + 1 of the first and last key of each bucket
		next := make([]int32, len(m.entries))
		for i, e := range m.entries {
			bucket := e.hash & uint32(m.table-1)
			if heads[bucket] == 0 {
				heads[bucket] = int32(i + 1)
			} else {
				next[tails[bucket]-1] = int32(i + 1)
			}
			tails[bucket] = int32(i + 1)
		}
		for _, i := range heads {
			for ; i != 0; i = next[i-1] {
				if e := m.entries[i-1]; !yield(e.key, e.value) {
					return
				}
			}
		}
	}
}

// hash is String.hashCode, spread by HashMap.hash. The units of UTF-16 are counted; half a surrogate pair in the text
// (encoded as three bytes, as the readers of this program keep it) counts as the unit that it is.
func hash(s string) uint32 {
	var h uint32
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = DecodeRune(s[i:])
		}
		i += n
		if c > 0xFFFF {
			h = 31*h + uint32(0xD800+(c-0x10000)>>10)
			c = 0xDC00 + (c-0x10000)&0x3FF
		}
		h = 31*h + uint32(c)
	}
	return h ^ h>>16
}
