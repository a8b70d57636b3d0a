package distribution

import (
	"bytes"
	"strings"
)

// ScriptValue reads a key from the bytes of a configuration file as readFromConfig of bin/config.sh (up to 1.18)
// and readFromConfigFile of bin/bash-java-utils.sh (1.19 on, for env.java.home) do:
//
//	sed -n "s/^[ ]*KEY[ ]*: \([^#]*\).*$/\1/p" FILE | sed "s/^ *//;s/ *$//" | tail -n 1
//
// The value ends at the first #, quotes stay, the last line wins, a dot in the key stands for any character.
func ScriptValue(file []byte, key string) string {
	var value string
	for line := range bytes.SplitSeq(file, []byte{'\n'}) {
		rest, ok := cutKey(string(line), key)
		if !ok {
			continue
		}
		rest, ok = strings.CutPrefix(rest, ": ")
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, "#")
		value = strings.Trim(rest, " ")
	}
	return value
}

// FlatValue reads a key from the lines that Flink prints for the scripts from 1.19 on:
//
//	grep "^[ ]*KEY[ ]*:" | cut -d ':' -f2- | sed "s/^ *//;s/ *$//" | tail -n 1
//
// Of a value with several lines the scripts see the first.
func FlatValue(lines []string, key string) string {
	var value string
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "\n")
		if rest, ok := cutKey(line, key); ok && strings.HasPrefix(rest, ":") {
			// cut counts from the first colon of the line, which is this one: keys hold none.
			_, rest, _ = strings.Cut(line, ":")
			value = strings.Trim(rest, " ")
		}
	}
	return value
}

// cutKey matches ^[ ]*key[ ]* where a dot in key matches any character, and returns what follows.
func cutKey(line, key string) (string, bool) {
	line = strings.TrimLeft(line, " ")
	if len(line) < len(key) {
		return "", false
	}
	for i := range len(key) {
		if key[i] != line[i] && key[i] != '.' {
			return "", false
		}
	}
	return strings.TrimLeft(line[len(key):], " "), true
}
