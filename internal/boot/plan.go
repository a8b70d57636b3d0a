package boot

import (
	"io/fs"
	"path/filepath"
	"time"

	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/secret"
)

// Plan says everything that a start will do. Explain prints it, Apply writes its files, and its Command is executed.
type Plan struct {
	Role       string // a role, or PassThrough
	Home       *distribution.Home
	Java       distribution.Java
	Definition *DefinitionSeen // nil without a definition
	Limits     cgroup.Limits
	Container  memory.Container
	Memory     *memory.Decision // nil where the role has no process memory model
	Config     Config
	SQL        *SQLPlan
	Artifacts  []fetch.Item
	Command    *launch.Command
	Files      []File // what Apply writes besides the configuration
	Links      []Link
	Warnings   []string

	runDir   string
	times    []PhaseTime
	env      environment // that this program was started with
	redactor *Redactor
	client   *fetch.Client
	progress fetch.Progress
}

// PhaseTime is how long one phase took.
type PhaseTime struct {
	Phase Phase
	Took  time.Duration
}

// Times returns how long each phase took so far, in their order.
func (p *Plan) Times() []PhaseTime { return p.times }

// spend adds to the time of a phase, which may have several steps.
func (p *Plan) spend(phase Phase, took time.Duration) {
	for i := range p.times {
		if p.times[i].Phase == phase {
			p.times[i].Took += took
			return
		}
	}
	p.times = append(p.times, PhaseTime{phase, took})
}

// DefinitionSeen identifies the definition that the plan was made from.
type DefinitionSeen struct {
	URI    string // redacted
	SHA256 string
	Name   string
	Cached bool // the last good copy, because the service could not be reached
}

// Config is the configuration part of the plan.
type Config struct {
	BaseDir   string // only ever read
	BaseFile  string // the file in force, "" when there is none
	OutDir    string
	OutFile   string // path of the rendered file
	Rendered  []byte
	Changes   []ConfigChange
	Effective *flinkconf.Conf // what Flink will read, dynamic properties included
	Secret    bool            // a value from a secret reference is inside
	// Conversion is of a flink-conf.yaml that this version does not read; nil where there is none.
	Conversion *Conversion
	siblings   map[string][]byte
	format     confpatch.Format
	base       []byte // content of BaseFile
}

// inPlace reports whether the rendered file replaces its base, which only --conf-out can ask for.
func (c *Config) inPlace() bool { return filepath.Clean(c.OutDir) == filepath.Clean(c.BaseDir) }

// ConfigChange is one key whose value differs between base and rendered file.
type ConfigChange struct {
	Key     string
	Old     secret.Text
	New     secret.Text
	HadOld  bool
	Deleted bool
	Source  flinkconf.Source
}

// SQLPlan is the SQL part of the plan.
type SQLPlan struct {
	InitFile   string
	Init       []string // the statements of the init file, masked
	ScriptFile string   // "" when the role runs no script
}

// File is one file to write below the run dir.
type File struct {
	Path    string
	Content []byte
	Mode    fs.FileMode
}
