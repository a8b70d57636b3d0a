// Package explain shows a plan: as a value for programs, as text for people, and as a page of HTML.
//
// A [boot.Plan] and the redactor of its run come in. What goes out holds no secret of the run, and no value that Flink
// itself hides.
package explain

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/redact"
)

// Explanation is the JSON form of a plan. It is part of the contract: fields are added, never renamed or removed.
type Explanation struct {
	Flink      Flink       `json:"flink"`
	Role       string      `json:"role"`
	Definition *Definition `json:"definition"`
	Limits     Limits      `json:"limits"`
	Memory     *Memory     `json:"memory"`
	Config     Config      `json:"config"`
	SQL        *SQL        `json:"sql"`
	Artifacts  []Artifact  `json:"artifacts"`
	Links      []Link      `json:"links,omitempty"`
	Removed    []string    `json:"removed,omitempty"` // what earlier starts left in the run dir
	Command    *Command    `json:"command"`
	Metrics    []Reporter  `json:"metrics,omitempty"` // every reporter that the configuration names
	Warnings   []string    `json:"warnings"`
}

// Flink is what is started: the Flink home, its version, the configuration file in force, and Java.
type Flink struct {
	Home     string `json:"home"`
	Version  string `json:"version"`
	ConfFile string `json:"confFile"`
	Java     string `json:"java,omitempty"`
}

// Definition is the job definition that was read.
type Definition struct {
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Name   string `json:"name"`
	Cached bool   `json:"cached,omitempty"`
}

// Limits are what the container may use; nil where it has none.
type Limits struct {
	Memory *MemoryLimit `json:"memory"`
	CPU    *CPULimit    `json:"cpu"`
	Notes  []string     `json:"notes,omitempty"`
}

// MemoryLimit is the memory limit and where it was found.
type MemoryLimit struct {
	Bytes         int64  `json:"bytes"`
	Shared        bool   `json:"shared"`
	AbovePhysical bool   `json:"abovePhysical,omitempty"`
	Source        string `json:"source"`
	Path          string `json:"path"`
}

// CPULimit is the CPU limit and where it was found.
type CPULimit struct {
	Cores  float64 `json:"cores"`
	Source string  `json:"source"`
	Path   string  `json:"path"`
}

// Memory is the process size and its components, in bytes.
type Memory struct {
	Source      string     `json:"source"`
	ProcessSize int64      `json:"processSize"`
	FlinkSize   int64      `json:"flinkSize"`
	Components  Components `json:"components"`
}

// Config is the rendered configuration.
type Config struct {
	File      string            `json:"file"`
	KeptFor   string            `json:"keptFor,omitempty"` // the role that rendered it; a command leaves it as it is
	Unchanged bool              `json:"unchanged"`
	Effective map[string]string `json:"effective"`
	Sources   map[string]string `json:"sources"` // per effective key, where its value comes from
	Changes   []Change          `json:"changes"`
	// Conversion is set when there is a flink-conf.yaml where this Flink reads config.yaml only.
	Conversion *Conversion `json:"conversion,omitempty"`
}

// Conversion is a flink-conf.yaml that this Flink does not read, as lines of a config.yaml.
type Conversion struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Lines []string `json:"lines"`
}

// Change is one key whose value is not the one of the base file. Old and New are nil where the key has none.
type Change struct {
	Key    string  `json:"key"`
	Old    *string `json:"old"`
	New    *string `json:"new"`
	Source string  `json:"source"`
}

// SQL is the SQL files of a start.
type SQL struct {
	InitFile   string   `json:"initFile"`
	Init       []string `json:"init"`
	ScriptFile string   `json:"scriptFile,omitempty"`
}

// Artifact is one file that is fetched.
type Artifact struct {
	URI    string `json:"uri"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"`
}

// Reporter is a reporter of metrics that the configuration names.
type Reporter struct {
	Name    string `json:"name"`
	Class   string `json:"class"`
	Port    string `json:"port,omitempty"` // of an endpoint, or the range in which it takes the first free one
	URL     string `json:"url,omitempty"`  // where it sends
	Labels  string `json:"labels,omitempty"`
	Source  string `json:"source"`  // where its class is set
	Started bool   `json:"started"` // metrics.reporters does not leave it out
}

// Link is one symbolic link.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Command is the command line, and the variables that are added or changed.
type Command struct {
	Path        string            `json:"path"`
	Argv        []string          `json:"argv"`
	Env         map[string]string `json:"env"`
	Differences []string          `json:"differences,omitempty"`
}

// Components is a JSON object whose members keep their order: the order of the memory model.
type Components []component

type component struct {
	name  string
	value int64
}

// MarshalJSON implements json.Marshaler.
func (o Components) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%d", n.name, n.value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// Of explains a plan. r is the redactor of its run.
func Of(plan *boot.Plan, r *redact.Redactor) Explanation {
	c := &plan.Config
	e := Explanation{
		Flink:     Flink{Home: plan.Home.Dir, Version: plan.Home.Version.String(), ConfFile: c.BaseFile, Java: plan.Java.Version},
		Role:      plan.Role,
		Limits:    Limits{Notes: slices.Clone(plan.Limits.Notes)},
		Artifacts: []Artifact{},
		Removed:   plan.Removed(),
		Warnings:  append([]string{}, plan.Warnings...),
	}
	if d := plan.Definition; d != nil {
		e.Definition = &Definition{d.URI, d.SHA256, d.Name, d.Cached}
	}
	if m := plan.Limits.Memory; m != nil {
		e.Limits.Memory = &MemoryLimit{m.Bytes, m.Shared, plan.Limits.AbovePhysical, m.Source, m.Path}
	}
	if c := plan.Limits.CPU; c != nil {
		e.Limits.CPU = &CPULimit{c.Cores, c.Source, c.Path}
	}
	if m := plan.Memory; m != nil {
		e.Memory = &Memory{Source: m.Source, ProcessSize: m.Spec.ProcessSize, FlinkSize: m.Spec.FlinkSize}
		for _, c := range m.Spec.Components() {
			e.Memory.Components = append(e.Memory.Components, component{c.Name, c.Bytes})
		}
	}
	e.Config = Config{File: c.OutFile, KeptFor: c.KeptFor, Unchanged: plan.Unchanged(), Changes: []Change{},
		Effective: make(map[string]string, c.Effective.Len()), Sources: make(map[string]string, c.Effective.Len())}
	for entry := range c.Effective.All() { // dynamic properties included
		e.Config.Effective[entry.Key] = r.Value(entry.Key, entry.Value.String())
		e.Config.Sources[entry.Key] = entry.Source.Where
	}
	if x := c.Conversion; x != nil {
		e.Config.Conversion = &Conversion{x.From, x.To, slices.Clone(x.Lines)}
	}
	for _, change := range c.Changes {
		x := Change{Key: change.Key, Source: change.Source.Where}
		if change.HadOld {
			old := r.Value(change.Key, change.Old.String())
			x.Old = &old
		}
		if !change.Deleted {
			value := r.Value(change.Key, change.New.String())
			x.New = &value
		}
		e.Config.Changes = append(e.Config.Changes, x)
	}
	if s := plan.SQL; s != nil {
		e.SQL = &SQL{s.InitFile, append([]string{}, s.Init...), s.ScriptFile}
	}
	for _, a := range plan.Artifacts {
		e.Artifacts = append(e.Artifacts, Artifact{fetch.Redact(a.URI), a.Path, a.SHA256})
	}
	for _, l := range plan.AllLinks() {
		e.Links = append(e.Links, Link{l.Path, l.Target})
	}
	for _, m := range plan.Reporters {
		e.Metrics = append(e.Metrics, Reporter{m.Name, m.Class, m.Port, fetch.Redact(m.URL), m.Labels, m.Source, m.Started})
	}
	if plan.Command != nil {
		e.Command = commandOf(plan, r)
	}
	r.Strings(&e)
	return e
}

// commandOf masks the values of sensitive keys in -D options, and those of variables with a sensitive name.
func commandOf(plan *boot.Plan, r *redact.Redactor) *Command {
	c := &Command{plan.Command.Path, redact.Arguments(plan.Command.Argv, nil), plan.EnvironmentChanges(), slices.Clone(plan.Command.Differences)}
	for name, value := range c.Env {
		if name != boot.InheritedLogs { // which holds the summary, without secrets
			c.Env[name] = r.Value(name, value)
		}
	}
	return c
}

// provenance returns what decided the size of a memory component: an option that was set, Flink's default, or
// the size of the other components.
func provenance(plan *boot.Plan, name, key string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(key, ".fraction"), ".size")
	for _, option := range []string{".size", ".fraction", ".min", ".max"} {
		if e, ok := plan.Config.Effective.Get(base + option); ok {
			return strings.TrimPrefix(option, ".") + " from " + e.Source.Where
		}
	}
	switch name {
	case "taskHeap", "heap":
		return "what remains"
	case "managed", "network", "jvmOverhead":
		return "Flink's default fraction"
	}
	return "Flink's default"
}
