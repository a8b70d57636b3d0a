// Package flinkconf is Flink's Configuration as a value.
//
// A [Conf] maps keys to [Entry] values: the text Flink would hold, the Java type of the raw value, and the
// provenance, i.e. which layer of the start-up set it. Typed reads (memory sizes, floats widened as Flink
// widens them, durations, fallback keys) live beside it and fail with Flink's own exception chain ([Error]).
//
// Source of the semantics: org.apache.flink.configuration.Configuration and ConfigurationUtils, 1.13 to 2.3.
package flinkconf

import (
	"iter"
	"maps"
	"slices"

	"flink-entrypoint/internal/secret"
)

// Kind is the Java class of a raw value in Flink's Configuration.
type Kind uint8

// The kinds a configuration file can produce. Everything from elsewhere (dynamic properties, environment) is a String.
const (
	String Kind = iota
	Boolean
	Integer
	Long
	BigInteger
	Double
	Bytes // a !!binary scalar
)

// String returns the simple name of the Java class.
func (k Kind) String() string {
	return [...]string{"String", "Boolean", "Integer", "Long", "BigInteger", "Double", "byte[]"}[k]
}

// Layer orders the places a value can come from; a later layer overrides an earlier one.
type Layer uint8

// The layers, weakest first (contract: who overrides whom).
const (
	FlinkDefault     Layer = iota
	BaseFile               // flink-conf.yaml or config.yaml of the base configuration
	Automatic              // derived from the container's limits, or an address that is not set
	ImageEnvironment       // JOB_MANAGER_RPC_ADDRESS, TASK_MANAGER_NUMBER_OF_TASK_SLOTS
	Definition             // configuration of the job definition
	FlinkProperties        // FLINK_PROPERTIES
	Flag                   // flags of this program, and their environment variables
	DynamicProperty        // -D of the role's arguments
)

// Source says where a value comes from: its layer, and for people the exact place, e.g.
// {BaseFile, "flink-conf.yaml:12"} or {Automatic, "cgroup v2 limit /sys/fs/cgroup/memory.max"}.
type Source struct {
	Layer Layer
	Where string
}

// String returns the place for people.
func (s Source) String() string { return s.Where }

// Entry is one configured key.
type Entry struct {
	Key    string
	Value  secret.Text // as Configuration.toMap() prints it; hidden when it came from a secret reference
	Kind   Kind
	Source Source
}

// Conf is a configuration. The zero value is empty and ready to use. Keys keep the order of their last insertion.
type Conf struct {
	entries map[string]Entry
	order   []string
}

// Set stores e, replacing an entry of the same key (which keeps its place in the order).
func (c *Conf) Set(e Entry) {
	if c.entries == nil {
		c.entries = make(map[string]Entry)
	}
	if _, ok := c.entries[e.Key]; !ok {
		c.order = append(c.order, e.Key)
	}
	c.entries[e.Key] = e
}

// SetString stores a public string value.
func (c *Conf) SetString(key, value string, src Source) {
	c.Set(Entry{Key: key, Value: secret.Public(value), Source: src})
}

// Get returns the entry of exactly this key; fallback keys are not looked at.
func (c *Conf) Get(key string) (Entry, bool) {
	if c == nil {
		return Entry{}, false
	}
	e, ok := c.entries[key]
	return e, ok
}

// Has reports whether exactly this key is set.
func (c *Conf) Has(key string) bool {
	_, ok := c.Get(key)
	return ok
}

// Text returns the revealed value of exactly this key, or "".
func (c *Conf) Text(key string) string {
	e, _ := c.Get(key)
	return e.Value.Reveal()
}

// Delete removes a key, if it is there.
func (c *Conf) Delete(key string) {
	if _, ok := c.entries[key]; ok {
		delete(c.entries, key)
		c.order = slices.DeleteFunc(c.order, func(k string) bool { return k == key })
	}
}

// Len returns the number of keys.
func (c *Conf) Len() int {
	if c == nil {
		return 0
	}
	return len(c.order)
}

// All yields the entries in insertion order.
func (c *Conf) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if c == nil {
			return
		}
		for _, k := range c.order {
			if !yield(c.entries[k]) {
				return
			}
		}
	}
}

// Keys returns the keys, sorted.
func (c *Conf) Keys() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(slices.Values(c.order))
}

// Clone returns an independent copy.
func (c *Conf) Clone() *Conf {
	if c == nil {
		return &Conf{}
	}
	return &Conf{entries: maps.Clone(c.entries), order: slices.Clone(c.order)}
}

// Merge sets every entry of other, which therefore wins.
func (c *Conf) Merge(other *Conf) {
	for e := range other.All() {
		c.Set(e)
	}
}
