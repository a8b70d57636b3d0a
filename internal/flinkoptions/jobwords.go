package flinkoptions

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// jobOption is an option of standalone-job (StandaloneApplicationClusterConfigurationParserFactory).
type jobOption struct {
	short, long string
	value       bool // it takes one
}

func jobOptionTable() []jobOption {
	return []jobOption{
		{"D", "", true}, {"c", "configDir", true}, {"h", "host", true}, {"r", "webui-port", true}, {"x", "executionMode", true},
		{"j", "job-classname", true}, {"jid", "job-id", true}, {"s", "fromSavepoint", true}, {"n", "allowNonRestoredState", false},
		{"rm", "restoreMode", true}, {"cm", "claimMode", true}, {"jars", "jars", true},
	}
}

// jobWord is an option among the words after standalone-job.
type jobWord struct {
	name     string // long; "" for a -D
	value    string
	valued   bool // a value was given, maybe an empty one
	at, next int  // its words are words[at:next]
}

// jobWords reads the words after standalone-job as Flink's parser does, which stops at the first one that is not an option: there the
// program's words begin.
func jobWords(words []string, v flinkversion.Version) (options []jobWord, program int) {
	table := jobOptionTable()
	if !KnowsHost(v) {
		table = slices.DeleteFunc(table, func(o jobOption) bool { return o.long == "host" || o.long == "webui-port" })
	}
	for i := 0; i < len(words); {
		word := words[i]
		if word == "--" {
			return options, i + 1
		}
		name, value, joined := strings.Cut(word, "=")
		k := slices.IndexFunc(table, func(o jobOption) bool {
			return name == "-"+o.short || o.long != "" && (name == "--"+o.long || name == "-"+o.long)
		})
		found := jobWord{value: value, valued: joined, at: i, next: i + 1}
		switch {
		case k >= 0:
			if found.name = table[k].long; table[k].value && !joined && i+1 < len(words) {
				found.value, found.valued, found.next = words[i+1], true, i+2
			}
		case strings.HasPrefix(word, "-D"):
		default:
			return options, i
		}
		options, i = append(options, found), found.next
	}
	return options, len(words)
}

// JobWords reads the words after standalone-job. given holds the long names of the options; program is what is left for the job.
func JobWords(words []string, v flinkversion.Version) (given map[string]bool, program []string) {
	options, at := jobWords(words, v)
	given = map[string]bool{}
	for _, o := range options {
		given[o.name] = true
	}
	return given, words[at:]
}

// NoSavepoint reports whether the words after standalone-job ask for a start without a savepoint: the value of --fromSavepoint is empty. Flink
// takes every value for a path, an empty one too, so rest is without the option.
func NoSavepoint(words []string, v flinkversion.Version) (rest []string, none bool) {
	const name = "fromSavepoint"
	options, _ := jobWords(words, v)
	first := slices.IndexFunc(options, func(o jobWord) bool { return o.name == name }) // of two options, Flink takes the first
	if first < 0 || options[first].value != "" || !options[first].valued {
		return words, false
	}
	rest = slices.Clone(words)
	for _, o := range slices.Backward(options) {
		if o.name == name {
			rest = slices.Delete(rest, o.at, o.next)
		}
	}
	return rest, true
}
