// Package jobdef is the job definition: its types, its strict decoding from YAML or JSON, its complete validation,
// its JSON Schema and its reference page.
//
// In: the bytes of a document, or of a .sql file, which alone is a definition too. Out: a [Definition], or [Errors]
// with everything that is wrong, each with line, column and field. Strings may be references to files or environment
// variables ([Text]); nothing here reads them before [Text.Resolve] is called.
//
// One table (table.go) says what fields there are; decoder, schema and reference page are made from it. What a field
// means to Flink is the business of the rooms that use it.
package jobdef

import (
	"path"
	"strings"
)

// APIVersion is the version of the definition that this program writes about; [Decode] knows the older ones too.
const APIVersion = "flink-entrypoint/v1"

// A Definition says what a Flink cluster is and what job it runs.
type Definition struct {
	APIVersion       string
	Name             Text // of the job
	ID               Text // of the job, 32 hexadecimal digits
	FlinkVersion     Text // minor version, e.g. 2.2
	Resources        Resources
	Configuration    []Setting // Flink keys, flat, in the order of the document
	HighAvailability *HighAvailability
	Logging          *Logging
	Metrics          *Metrics
	Artifacts        []Artifact
	SQL              *SQL
	Jar              *Jar
	Savepoint        *Savepoint
}

// Resources are the sizes of the containers.
type Resources struct {
	JobManager  Container
	TaskManager Container
}

// A Container is the size of one container. Sizes are kept as text: the room that sizes reads them.
type Container struct {
	Memory Text // auto, or a size in Flink's or Kubernetes' spelling
	CPU    Text // number of CPUs, also 500m
	Slots  Text // auto or a number; TaskManager only
}

// A Setting is one key with its value.
type Setting struct {
	Key   string
	Value Text
	Line  int // of the key in the document, 0 if it is not from one
}

// HighAvailability binds the JobManagers and TaskManagers of one cluster.
type HighAvailability struct {
	Type       string // zookeeper, kubernetes or none
	ClusterID  Text
	StorageDir Text
	Quorum     Text // ZooKeeper's servers
}

// Logging sets levels of log4j's loggers.
type Logging struct {
	Level   string // of the root logger, empty: as it is
	Loggers []Logger
}

// A Logger is one logger and its level.
type Logger struct {
	Name  string
	Level string
}

// Metrics are how the processes report Flink's metrics.
type Metrics struct {
	Prometheus *Prometheus // nil: not at all
	OTLP       *OTLP       // nil: not at all
	Labels     []Setting   // of every metric, beside Flink's own; none is a reference
}

// Prometheus is an endpoint that Prometheus scrapes.
type Prometheus struct {
	Port Text // a port, or a range of ports of which each process takes the first free one; absent: the default
}

// OTLP is a receiver that gets the metrics by the OpenTelemetry protocol.
type OTLP struct {
	URL      Text // with a path: over HTTP, without one: over gRPC
	Interval Text // a duration in Flink's spelling; absent: Flink's default
}

// An Artifact is a file to bring before Flink starts.
type Artifact struct {
	URI    Text
	SHA256 Text
	To     string // usrlib, run, lib or plugins/NAME
}

// SQL is a SQL job: what is made ready for it, and its script.
type SQL struct {
	Set        []Setting
	Modules    []Module
	UseModules []Text
	Catalogs   []Catalog
	Functions  []Function
	Use        *Use
	Script     Text
	ScriptURI  Text
	// ScriptSHA256 is the digest that what ScriptURI names must have.
	ScriptSHA256 Text
}

// Runs reports whether there is a script; a nil SQL has none.
func (s *SQL) Runs() bool { return s != nil && !(s.Script.IsZero() && s.ScriptURI.IsZero()) }

// A Module is a module of Flink SQL to load.
type Module struct {
	Name    Text
	Options []Setting
}

// A Catalog is made from options or by a statement that a metadata service stores.
type Catalog struct {
	Name            Text
	Options         []Setting
	CreateStatement Text
}

// A Function is a user-defined function to register.
type Function struct {
	Name      Text // simple, or qualified by a database or a catalog and a database
	Class     Text
	Language  string // JAVA, SCALA or PYTHON
	Temporary bool   // false: it is stored in its catalog
	System    bool   // it has no catalog; implies Temporary
	Jars      []Text
}

// Use is the current catalog and database of the script.
type Use struct {
	Catalog  Text
	Database Text
}

// Jar is a job in a jar.
type Jar struct {
	URI        Text
	SHA256     Text
	EntryClass Text
	Args       []Text
}

// A Savepoint is what the job starts from.
type Savepoint struct {
	Path                  Text
	AllowNonRestoredState bool
}

// Decode reads a definition in YAML or JSON. The error is an [*Errors] with everything that is wrong; name is what it
// calls the document.
func Decode(name string, src []byte) (*Definition, error) {
	def := new(Definition)
	d := &decoder{errors: Errors{Name: name}}
	root, problem := read(src)
	switch {
	case problem != nil:
		d.errors.List = []Problem{*problem}
	case root == nil:
		d.errors.List = []Problem{{Line: 1, Column: 1, Message: "the document is empty", Hint: "a definition begins with apiVersion: " + APIVersion}}
	case kindOf(root) != mappingKind:
		d.errors.List = []Problem{{Line: root.Content.Line + 1, Column: root.Content.Column + 1, Message: "the document is " + kindOf(root).String() + ", expected a mapping",
			Hint: "a definition begins with apiVersion: " + APIVersion}}
	case d.knownVersion(root):
		d.record(root, "", definitionTable(def))
	}
	if len(d.errors.List) > 0 {
		d.errors.order()
		return nil, &d.errors
	}
	return def, nil
}

// FromSQL makes a definition of a SQL script alone. name is the path or URL it came from; its last part without
// ".sql" names the job.
func FromSQL(name string, src []byte) *Definition {
	script := strings.TrimPrefix(string(src), "\uFEFF")
	if strings.Contains(name, "://") { // in a plain path it is a part of the name
		name, _, _ = strings.Cut(name, "?")
		name, _, _ = strings.Cut(name, "#")
	}
	job := strings.TrimSuffix(path.Base(strings.ReplaceAll(name, `\`, "/")), ".sql")
	if !isLine(job) || job == "." || job == "/" {
		job = "sql-job"
	}
	return &Definition{
		APIVersion: APIVersion,
		Name:       Text{source: plainText, text: job, path: "name"},
		SQL:        &SQL{Script: Text{source: plainText, text: script, path: "sql.script", line: 1}},
	}
}
