// Package confpatch reads and patches Flink's configuration files.
//
// In: the bytes of flink-conf.yaml ([Legacy]) or config.yaml ([Standard]). Out: the Configuration that Flink
// would load from them, its log lines and its errors ([Parse]); and the same bytes with some keys changed,
// so that Flink reads exactly the old map plus the change ([File.Render]). [WriteFile] and [WriteDir] put
// files in place by rename. log4j properties are patched by [PatchLog4j].
//
// Sources: org.apache.flink.configuration.GlobalConfiguration and YamlParserUtils, 1.13 to 2.3, and the
// snakeyaml-engine 2.6 that 1.19 and later bundle. The YAML reader is the project's own because it must agree with
// that library in every character (YAML 1.2 core schema, what it tolerates, its error messages), which no Go
// library does.
package confpatch

import (
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
	"os"
	"path/filepath"
	"strconv"
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

func rulesOf(v flinkversion.Version) rules {
	return flinkversion.RulesOf(v, []flinkversion.Change[rules]{
		flinkversion.From(0, 0, func(r *rules) { r.legacyFile, r.logsInOrder, r.logsBadLine = true, true, true }),
		flinkversion.From(1, 16, func(r *rules) { r.logsInOrder = false }),
		flinkversion.From(1, 17, func(r *rules) { r.logsBadLine = false }), // FLINK-24679
		flinkversion.From(1, 19, func(r *rules) { r.standardFile, r.logsParser = true, true }),
		flinkversion.From(2, 0, func(r *rules) { r.legacyFile = false }), // FLINK-33677
	})
}

// LastLegacy is the last release that reads flink-conf.yaml: by its rules [Parse] reads one that a later Flink ignores.
func LastLegacy() flinkversion.Version { return flinkversion.Of(1, 20, 0) }

// ReadsStandard reports whether Flink v reads config.yaml.
func ReadsStandard(v flinkversion.Version) bool { return rulesOf(v).standardFile }

// InForceIn is InForce for a directory.
func InForceIn(dir string, v flinkversion.Version) (name string, format Format, ok bool) {
	return InForce(v, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

// InForce returns the configuration file that Flink v reads from a conf dir, given which files exist in it.
// When ok is false no such file exists; name and format are then what Flink asks for.
func InForce(v flinkversion.Version, exists func(name string) bool) (name string, format Format, ok bool) {
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
	version  flinkversion.Version
	rules    rules
	src      []byte
	text     string         // src decoded, without byte order mark
	leaves   []leaf         // in the order of the text, overridden ones too
	winner   map[string]int // per key, the leaf that wins
	keys     []string       // distinct, in the order of their first appearance
	badLines []badLine
	warnings []string
	legacy   []legacyLine
	document *yaml.Document                              // of a Standard file
	edit     func(key string, v *yaml.Value) *yaml.Value // what FLINK_PROPERTIES does to values; may be nil
}

// A leaf is one key that a file sets.
type leaf struct {
	key   string
	value *yaml.Value
	line  int
	entry int // of a Standard file: index of the root's entry that has it
}

// Parse reads a configuration file as Flink v does. name is what errors and provenance call the file. The
// error is a [*SyntaxError]; a Legacy file has none.
func Parse(name string, format Format, v flinkversion.Version, src []byte) (*File, error) {
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
		f.warn(l.line, "overrides "+l.key+" of line "+strconv.Itoa(f.leaves[old].line))
	} else {
		f.keys = append(f.keys, l.key)
	}
	f.winner[l.key] = len(f.leaves)
	f.leaves = append(f.leaves, l)
}

func (f *File) warn(line int, text string) {
	f.warnings = append(f.warnings, f.name+":"+strconv.Itoa(line)+": "+text)
}

// Conf returns what Flink reads: keys with the text of Configuration.toMap, kind, and FILE:LINE as source.
func (f *File) Conf() *flinkconf.Conf {
	c := &flinkconf.Conf{}
	for _, key := range f.keys {
		l := f.leaves[f.winner[key]]
		c.Set(flinkconf.Entry{
			Key:    key,
			Value:  secret.Public(l.value.ConfText()),
			Kind:   kindOf(l.value),
			Source: flinkconf.Source{Layer: flinkconf.BaseFile, Where: f.name + ":" + strconv.Itoa(l.line)},
		})
	}
	return c
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
	for _, key := range javatext.HashMapOrder(f.keys, javatext.DefaultCapacity) {
		log = append(log, f.propertyLog(f.leaves[f.winner[key]]))
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
		text = l.value.LogText()
	}
	return LogLine{"INFO", secret.Public("Loading configuration property: " + l.key + ", " + text)}
}

// Warnings returns what a user should know: lines that Flink ignores, keys set twice. They never quote
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
	keys := javatext.HashMapOrder(f.keys, javatext.DefaultCapacity)
	capacity := (len(keys)*4 + 2) / 3
	if len(keys) <= 2 {
		capacity = len(keys) + 1
	}
	lines := make([]string, 0, len(keys))
	for _, key := range javatext.HashMapOrder(keys, capacity) {
		v := f.leaves[f.winner[key]].value
		text := v.Text
		if f.format == Standard {
			text = yaml.Dump(v)
		}
		lines = append(lines, key+": "+text)
	}
	return lines
}
