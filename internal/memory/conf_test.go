package memory_test

import (
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

func readConf(text string, standard bool, v flinkconf.Version) (*flinkconf.Conf, error) {
	conf := &flinkconf.Conf{}
	for line := range strings.SplitSeq(text, "\n") {
		if !standard {
			line, _, _ = strings.Cut(line, "#")
		}
		k, val, ok := strings.Cut(trim(line), ": ")
		k, val = trim(k), trim(val)
		if !ok || k == "" || val == "" {
			continue
		}
		conf.Set(flinkconf.Entry{Key: k, Value: secret.Public(val), Source: flinkconf.Source{Layer: flinkconf.BaseFile}})
	}
	return conf, nil
}

func trim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }
