// Package environ is the environment of a process as a value.
package environ

import (
	"slices"
	"strings"
)

// Vars looks variables up as a process would: the last of equal names wins.
type Vars map[string]string

// Of reads "NAME=value" strings.
func Of(env []string) Vars {
	m := make(Vars, len(env))
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Lookup returns the value of a variable, and whether it is set.
func (v Vars) Lookup(name string) (value string, ok bool) { value, ok = v[name]; return value, ok }

// Get returns the value of a variable, "" when it is unset: Flink's scripts do not tell the two apart.
func (v Vars) Get(name string) string { return v[name] }

// credentials begins the names of our variables that say how to get a definition. A URI may hold a password or a token, a
// header is one, the others name files that hold one, and a misspelled variable is only a warning.
const credentials = "FLINK_ENTRYPOINT_DEFINITION"

// WithoutCredentials returns the environment of a process of Flink, whose user functions can read all of it.
func WithoutCredentials(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, credentials) })
}

// Set returns env with one variable set, without touching the given slice.
func Set(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) <= len(name) || kv[:len(name)] != name || kv[len(name)] != '=' {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}
