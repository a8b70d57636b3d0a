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

// JobWords reads the words after standalone-job as Flink's parser does, which stops at the first one that is not an option. given
// holds the long names of the options; program is what is left for the job.
func JobWords(words []string, v flinkversion.Version) (given map[string]bool, program []string) {
	given = map[string]bool{}
	table := jobOptionTable()
	if !KnowsHost(v) {
		table = slices.DeleteFunc(table, func(o jobOption) bool { return o.long == "host" || o.long == "webui-port" })
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return given, words[i+1:]
		}
		name, _, joined := strings.Cut(word, "=")
		at := slices.IndexFunc(table, func(o jobOption) bool {
			return name == "-"+o.short || o.long != "" && (name == "--"+o.long || name == "-"+o.long)
		})
		switch {
		case at >= 0:
			o := table[at]
			given[o.long] = true
			if o.value && !joined {
				i++
			}
		case strings.HasPrefix(word, "-D"):
		default:
			return given, words[i:]
		}
	}
	return given, nil
}
