package boot

import (
	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/reporters"
	"flink-entrypoint/internal/rundir"
	"flink-entrypoint/internal/settings"
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
	rundir.Contents
	Command  *launch.Command
	Warnings []string
	// Reporters are all that the configuration names, this program's and the user's.
	Reporters []reporters.Reporter

	mode   Mode
	runDir string
	env    environ.Vars // that this program was started with
}

// Config is the configuration part of the plan.
type Config struct {
	places
	BaseFile  string // the file in force, "" without one
	OutFile   string // path of the rendered file
	Rendered  []byte
	Changes   []settings.Change
	Effective *flinkconf.Conf // what Flink will read, dynamic properties included
	Secret    bool            // a value from a secret reference is inside
	// Conversion is of a flink-conf.yaml that this version does not read; nil without one.
	Conversion *flinkoptions.Conversion
	siblings   map[string][]byte
	format     confpatch.Format
	base       []byte // content of BaseFile
}

// inPlace reports whether the rendered file replaces its base, which only --conf-out can ask for.
func (p places) inPlace() bool { return rundir.SamePlace(p.OutDir, p.BaseDir) }

// SQLPlan is the SQL part of the plan.
type SQLPlan struct {
	InitFile   string
	Init       []string // the statements of the init file, masked
	ScriptFile string   // "" when the role runs no script
}

// dir is the run dir with what this start puts there.
func (p *Plan) dir() rundir.Dir {
	return rundir.Dir{Path: p.runDir, Role: p.Role, Command: !IsRole(p.Role), Contents: p.Contents}
}

// Removed returns the paths in the run dir that this start removes.
func (p *Plan) Removed() []string {
	if p.Config.Kept {
		return nil
	}
	return p.dir().Removed()
}
