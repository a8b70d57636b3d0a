// Package confpatch reads and patches Flink's configuration files.
//
// In: the bytes of flink-conf.yaml ([Legacy]) or config.yaml ([Standard]). Out: the Configuration that Flink
// would load from them, its log lines and its errors ([Parse]); and the same bytes with some keys changed,
// so that Flink reads exactly the old map plus the change ([File.Render]). [WriteFile] and [WriteDir] put
// files in place by rename. log4j properties are patched by [PatchLog4j].
//
// Sources: org.apache.flink.configuration.GlobalConfiguration and YamlParserUtils, 1.13 to 2.3, and the
// snakeyaml-engine 2.6 that 1.19 and later bundle. The YAML reader is our own because it must agree with
// that library to the character (YAML 1.2 core schema, its leniencies, its error messages), which no Go
// library does.
package confpatch

import (
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// Format is the syntax of a configuration file.
type Format int

const (
	Legacy   Format = iota // flink-conf.yaml: lines "key: value"
	Standard               // config.yaml: YAML 1.2
)

// Names of the configuration files.
const (
	LegacyName   = "flink-conf.yaml"
	StandardName = "config.yaml"
)

// rules is what changed between versions in how Flink reads its files.
type rules struct {
	legacyFile   bool // flink-conf.yaml is read
	standardFile bool // config.yaml is read
	logsParser   bool // INFO which parser is used
	logsInOrder  bool // properties are logged while they are parsed, not from the HashMap
	logsBadLine  bool // a warning quotes the line
}

// rulesTable is ordered by version; the last row whose version is not above Flink's counts.
func rulesTable() []struct {
	major, minor int
	rules
} {
	return []struct {
		major, minor int
		rules
	}{
		{0, 0, rules{legacyFile: true, logsInOrder: true, logsBadLine: true}},
		{1, 16, rules{legacyFile: true, logsBadLine: true}},
		{1, 17, rules{legacyFile: true}}, // FLINK-24679
		{1, 19, rules{legacyFile: true, standardFile: true, logsParser: true}},
		{2, 0, rules{standardFile: true, logsParser: true}}, // FLINK-33677
	}
}

func rulesOf(v flinkconf.Version) rules {
	table := rulesTable()
	found := table[0].rules
	for _, row := range table {
		if v.AtLeast(row.major, row.minor) {
			found = row.rules
		}
	}
	return found
}

// InForce returns the configuration file that Flink v reads from a conf dir, given which files exist in it.
// When ok is false there is none; name and format are then those of the file that Flink asks for.
func InForce(v flinkconf.Version, exists func(name string) bool) (name string, format Format, ok bool) {
	r := rulesOf(v)
	if r.legacyFile && (!r.standardFile || exists(LegacyName)) {
		return LegacyName, Legacy, exists(LegacyName)
	}
	return StandardName, Standard, exists(StandardName)
}

// A LogLine is one line that Flink logs while it loads a file. The message is hidden where it may quote
// content of the file; the conf dir is written <CONF>.
type LogLine struct {
	Level   string // INFO, WARN or ERROR
	Message secret.Text
}

// A File is a parsed configuration file.
type File struct {
	name     string
	format   Format
	version  flinkconf.Version
	rules    rules
	src      []byte
	text     string // src decoded, without byte order mark
	encoding encoding
	leaves   []leaf         // in the order of the text, overridden ones too
	winner   map[string]int // per key, the leaf that counts
	keys     []string       // distinct, in the order of their first appearance
	badLines []badLine
	warnings []string
	legacy   []legacyLine
	root     *node // of a Standard file; nil if the document is empty
	composer *composer
	edit     func(key string, v *value) *value // what FLINK_PROPERTIES does to values; may be nil
}

// A leaf is one key that a file sets.
type leaf struct {
	key   string
	value *value
	line  int
	entry int // of a Standard file: index of the root's entry it stands in
}

// Parse reads a configuration file as Flink v does. name is what errors and provenance call the file. The
// error is a [*SyntaxError]; a Legacy file has none.
func Parse(name string, format Format, v flinkconf.Version, src []byte) (*File, error) {
	f := &File{name: name, format: format, version: v, rules: rulesOf(v), src: src}
	if format == Standard {
		if err := f.parseStandard(); err != nil {
			return nil, err
		}
		return f, nil
	}
	f.parseLegacy()
	return f, nil
}

// addLeaf notes a key; a later one of the same name wins.
func (f *File) addLeaf(l leaf) {
	if f.winner == nil {
		f.winner = map[string]int{}
	}
	if old, twice := f.winner[l.key]; twice {
		f.warn(l.line, "overrides "+l.key+" of line "+itoa(f.leaves[old].line))
	} else {
		f.keys = append(f.keys, l.key)
	}
	f.winner[l.key] = len(f.leaves)
	f.leaves = append(f.leaves, l)
}

func (f *File) warn(line int, text string) {
	f.warnings = append(f.warnings, f.name+":"+itoa(line)+": "+text)
}

// Conf returns what Flink reads: keys with the text of Configuration.toMap, kind, and FILE:LINE as source.
func (f *File) Conf() *flinkconf.Conf {
	c := &flinkconf.Conf{}
	for _, key := range f.keys {
		l := f.leaves[f.winner[key]]
		c.Set(flinkconf.Entry{
			Key:    key,
			Value:  secret.Public(l.value.confText()),
			Kind:   l.value.confKind(),
			Source: flinkconf.Source{Layer: flinkconf.BaseFile, Where: f.name + ":" + itoa(l.line)},
		})
	}
	return c
}

// confText is the text of a value in Configuration.toMap.
func (v *value) confText() string {
	switch v.kind {
	case stringValue, boolValue, intValue, longValue, bigValue:
		return v.text
	case doubleValue:
		return v.scalarText()
	}
	return dump(v)
}

// Log returns what GlobalConfiguration logs while it loads the file, in its order.
func (f *File) Log() []LogLine {
	log := f.parserLog()
	if f.format == Legacy && f.rules.logsInOrder {
		bad := f.badLines
		for i, l := range f.leaves {
			for ; len(bad) > 0 && bad[0].leaves == i; bad = bad[1:] {
				log = append(log, bad[0].LogLine)
			}
			log = append(log, f.propertyLog(l))
		}
		for _, b := range bad {
			log = append(log, b.LogLine)
		}
		return log
	}
	for _, b := range f.badLines {
		log = append(log, b.LogLine)
	}
	for _, i := range hashMapOrder(f.keys, 16) {
		log = append(log, f.propertyLog(f.leaves[f.winner[f.keys[i]]]))
	}
	return log
}

// parserLog says which parser is used, where that is logged.
func (f *File) parserLog() []LogLine {
	if !f.rules.logsParser {
		return nil
	}
	parser := "legacy"
	if f.format == Standard {
		parser = "standard"
	}
	return []LogLine{{"INFO", secret.Public("Using " + parser + " YAML parser to load flink configuration file from <CONF>/" + f.name + ".")}}
}

func (f *File) propertyLog(l leaf) LogLine {
	text := secret.Mask
	if !flinkconf.IsSensitive(l.key, f.version) {
		text = l.value.logText()
	}
	return LogLine{"INFO", secret.Public("Loading configuration property: " + l.key + ", " + text)}
}

// Warnings returns what a person should know: lines that Flink ignores, keys set twice. They never quote
// the content of a line.
func (f *File) Warnings() []string { return f.warnings }

// Bytes returns the file as it was given to Parse.
func (f *File) Bytes() []byte { return f.src }

// ShellLines returns the flattened "key: value" lines that Flink's scripts read since 1.19, where a
// config.yaml's values are YAML again; nil for older versions, whose scripts search the file itself.
func (f *File) ShellLines() []string {
	if !f.rules.standardFile {
		return nil
	}
	keys := make([]string, 0, len(f.keys))
	for _, i := range hashMapOrder(f.keys, 16) {
		keys = append(keys, f.keys[i])
	}
	capacity := (len(keys)*4 + 2) / 3
	if len(keys) <= 2 {
		capacity = len(keys) + 1
	}
	lines := make([]string, 0, len(keys))
	for _, i := range hashMapOrder(keys, capacity) {
		v := f.leaves[f.winner[keys[i]]].value
		text := v.text
		if f.format == Standard {
			text = dump(v)
		}
		lines = append(lines, keys[i]+": "+text)
	}
	return lines
}
