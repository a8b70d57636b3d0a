package flinkoptions

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/phase"
)

// Lines that were joined on their way here: by YAML's ">" or by a shell that keeps "\n" as it is. The second key is then a part of
// the first one's value, and Flink says nothing about it.

// keyRoots are the first words of Flink's keys, from the options of the releases 1.13 to 2.3.
func keyRoots() []string {
	return []string{"$internal", "akka", "blob", "classloader", "cleanup-strategy", "client", "cluster", "containerized", "env", "events", "execution",
		"external-resource", "fs", "heartbeat", "high-availability", "historyserver", "io", "job-result-store", "jobmanager", "jobstore", "kubernetes",
		"metrics", "parallelism", "pekko", "pipeline", "process", "python", "query", "queryable-state", "resourcemanager", "rest", "restart-strategy", "s3",
		"security", "slot", "slotmanager", "sql-client", "sql-gateway", "state", "table", "task", "taskmanager", "traces", "web", "yarn", "zookeeper"}
}

// keyIn finds a key of Flink's that value holds as a line would: after a blank, a comma, a literal \n or at the start, and before
// a colon and a blank. escaped says that a literal \n is before it. Maps like k1:v1,k2:v2 and URLs have no such key.
func keyIn(value string) (key string, escaped, found bool) {
	for i := range len(value) {
		if value[i] != ':' {
			continue
		}
		begin := i
		for begin > 0 && isKeyByte(value[begin-1]) {
			begin--
		}
		key, escaped = value[begin:i], false
		if begin > 0 {
			switch c := value[begin-1]; {
			case c == '\\' && strings.HasPrefix(key, "n"):
				key, escaped = key[1:], true
			case strings.IndexByte(" \t\r\n,;{\"'", c) < 0:
				continue
			}
		}
		if !escaped && i+1 < len(value) && strings.IndexByte(" \t\r\n", value[i+1]) < 0 {
			continue
		}
		root, rest, dotted := strings.Cut(key, ".")
		if dotted && rest != "" && slices.Contains(keyRoots(), root) || key == "high-availability" || key == "restart-strategy" {
			return key, escaped, true
		}
	}
	return "", false, false
}

func isKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-$", c) >= 0
}

// joinedText says what is wrong with an entry that holds another key, or the two characters \n that should end a line; "" if
// it holds neither.
func joinedText(e flinkconf.Entry) string {
	if e.Value.IsHidden() {
		return ""
	}
	value := e.Value.Reveal()
	key, escaped, found := keyIn(value)
	switch {
	case found && !escaped:
		return fmt.Sprintf("%s (%s) holds %s as a part of its value: two keys on one line", e.Key, e.Source.Where, key)
	case found:
		return fmt.Sprintf(`%s (%s) holds \n and %s as a part of its value: the two characters \n do not end a line`, e.Key, e.Source.Where, key)
	case strings.HasSuffix(value, `\n`) && value != `\n`: // which may be a delimiter
		return fmt.Sprintf(`%s (%s) holds \n as a part of its value: the two characters do not end a line`, e.Key, e.Source.Where)
	case strings.HasPrefix(e.Key, `\n`):
		return fmt.Sprintf(`%s (%s): the two characters \n do not end a line, and are a part of the key`, e.Key, e.Source.Where)
	}
	return ""
}

const joinedHint = `each key needs a line of its own: YAML's ">" joins lines, "|" keeps them; a shell makes line feeds of \n only in $'…'`

// JoinedLines returns warnings about entries that hold another key, and about comments of FLINK_PROPERTIES that do.
func JoinedLines(conf *flinkconf.Conf, properties string) (warnings []string) {
	for e := range conf.All() {
		switch e.Source.Layer {
		case flinkconf.BaseFile, flinkconf.Definition, flinkconf.FlinkProperties:
			if text := joinedText(e); text != "" {
				warnings = append(warnings, text+"; "+joinedHint)
			}
		}
	}
	for line := range strings.Lines(properties) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			continue
		}
		if key, escaped, found := keyIn(line); found && escaped {
			warnings = append(warnings, fmt.Sprintf(`FLINK_PROPERTIES: %s is a part of a comment: the two characters \n do not end a line; %s`, key, joinedHint))
		}
	}
	return warnings
}

// Unreadable explains why Flink's memory model cannot read a value, if two things are written in it: that is an error in the
// configuration, not memory that does not fit.
func Unreadable(err error, conf *flinkconf.Conf) error {
	var e *javatext.Exception
	for next := err; errors.As(next, &e); next = e.Cause {
		entry, ok := conf.Get(e.Key)
		if e.Key == "" || !ok || entry.Value.IsHidden() {
			continue
		}
		if text := joinedText(entry); text != "" {
			return phase.Fail(phase.Configuration, fmt.Errorf("%s; Flink cannot read it", text), joinedHint)
		}
		if before, _, comment := strings.Cut(entry.Value.Reveal(), "#"); comment && before != "" {
			return phase.Fail(phase.Configuration, fmt.Errorf("%s (%s): the comment is a part of the value, which Flink cannot read; expected %s alone", entry.Key, entry.Source.Where, strings.TrimSpace(before)),
				"write the comment on a line of its own")
		}
	}
	return nil
}
