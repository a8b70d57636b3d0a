package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"flink-entrypoint/internal/boot"
)

// explanation is the JSON form of a plan. It is part of the contract: fields are added, never renamed or removed.
type explanation struct {
	Flink      explainFlink       `json:"flink"`
	Role       string             `json:"role"`
	Definition *explainDefinition `json:"definition"`
	Limits     explainLimits      `json:"limits"`
	Memory     *explainMemory     `json:"memory"`
	Config     explainConfig      `json:"config"`
	SQL        *explainSQL        `json:"sql"`
	Artifacts  []explainArtifact  `json:"artifacts"`
	Command    *explainCommand    `json:"command"`
	Warnings   []string           `json:"warnings"`
}

type explainFlink struct {
	Home     string `json:"home"`
	Version  string `json:"version"`
	ConfFile string `json:"confFile"`
	Java     string `json:"java,omitempty"`
}

type explainDefinition struct {
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Name   string `json:"name"`
	Cached bool   `json:"cached,omitempty"`
}

type explainLimits struct {
	Memory *explainMemoryLimit `json:"memory"`
	CPU    *explainCPULimit    `json:"cpu"`
	Notes  []string            `json:"notes,omitempty"`
}

type explainMemoryLimit struct {
	Bytes         int64  `json:"bytes"`
	Shared        bool   `json:"shared"`
	AbovePhysical bool   `json:"abovePhysical,omitempty"`
	Source        string `json:"source"`
	Path          string `json:"path"`
}

type explainCPULimit struct {
	Cores  float64 `json:"cores"`
	Source string  `json:"source"`
	Path   string  `json:"path"`
}

type explainMemory struct {
	Source      string         `json:"source"`
	ProcessSize int64          `json:"processSize"`
	FlinkSize   int64          `json:"flinkSize"`
	Components  orderedNumbers `json:"components"`
}

type explainConfig struct {
	File      string            `json:"file"`
	Unchanged bool              `json:"unchanged"`
	Effective map[string]string `json:"effective"`
	Sources   map[string]string `json:"sources"` // per effective key, where its value comes from
	Changes   []explainChange   `json:"changes"`
	// Conversion is there when a flink-conf.yaml lies where this Flink reads config.yaml only.
	Conversion *explainConversion `json:"conversion,omitempty"`
}

type explainConversion struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Lines []string `json:"lines"`
}

type explainChange struct {
	Key    string  `json:"key"`
	Old    *string `json:"old"`
	New    *string `json:"new"`
	Source string  `json:"source"`
}

type explainSQL struct {
	InitFile   string   `json:"initFile"`
	Init       []string `json:"init"`
	ScriptFile string   `json:"scriptFile,omitempty"`
}

type explainArtifact struct {
	URI    string `json:"uri"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"`
}

type explainCommand struct {
	Path        string            `json:"path"`
	Argv        []string          `json:"argv"`
	Env         map[string]string `json:"env"`
	Differences []string          `json:"differences,omitempty"`
}

// orderedNumbers is a JSON object whose members keep their order: that of the memory model.
type orderedNumbers []namedNumber

type namedNumber struct {
	name  string
	value int64
}

// MarshalJSON implements json.Marshaler.
func (o orderedNumbers) MarshalJSON() ([]byte, error) {
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

// explain shows the plan.
func (p *program) explain(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return needsRole("explain", words)
	}
	switch p.opts.output {
	case "text", "json", "html":
	default:
		return usageError("--output: found %q, expected text, json or html", p.opts.output)
	}
	plan, err := p.gather(ctx, boot.Explain, words, false)
	if err != nil {
		if p.opts.output == "json" {
			p.writeJSONError(err)
		}
		return err
	}
	switch p.opts.output {
	case "json":
		return writeJSON(p.Stdout, explanationOf(plan))
	case "html":
		return writeHTML(p.Stdout, plan)
	}
	return writeText(p.Stdout, plan, isTerminal(p.Stdout) && lookup(p.Env, "NO_COLOR") == "")
}

// failure is an error for programs.
type failure struct {
	Phase   string `json:"phase"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (p *program) failureOf(err error) failure {
	phase, hint := boot.PhaseOf(err)
	return failure{string(phase), p.redactor.Redact(err.Error()), p.redactor.Redact(hint)}
}

// writeJSONError prints a failure for programs.
func (p *program) writeJSONError(err error) {
	_ = writeJSON(p.Stdout, map[string]failure{"error": p.failureOf(err)})
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func explanationOf(plan *boot.Plan) explanation {
	e := explanation{
		Flink:     explainFlink{Home: plan.Home.Dir, Version: plan.Home.Version.String(), ConfFile: plan.Config.BaseFile, Java: plan.Java.Version},
		Role:      plan.Role,
		Limits:    explainLimits{Notes: plan.Limits.Notes},
		Artifacts: []explainArtifact{},
		Warnings:  append([]string{}, plan.Warnings...),
	}
	if d := plan.Definition; d != nil {
		e.Definition = &explainDefinition{d.URI, d.SHA256, d.Name, d.Cached}
	}
	if m := plan.Limits.Memory; m != nil {
		e.Limits.Memory = &explainMemoryLimit{m.Bytes, m.Shared, plan.Limits.AbovePhysical, m.Source, m.Path}
	}
	if c := plan.Limits.CPU; c != nil {
		e.Limits.CPU = &explainCPULimit{c.Cores, c.Source, c.Path}
	}
	if m := plan.Memory; m != nil {
		e.Memory = &explainMemory{Source: m.Source, ProcessSize: m.Spec.ProcessSize, FlinkSize: m.Spec.FlinkSize}
		for _, c := range m.Spec.Components() {
			e.Memory.Components = append(e.Memory.Components, namedNumber{c.Name, c.Bytes})
		}
	}
	e.Config = explainConfig{File: plan.Config.OutFile, Unchanged: plan.Unchanged(), Effective: plan.EffectiveShown(), Sources: plan.Sources(), Changes: []explainChange{}}
	if c := plan.Config.Conversion; c != nil {
		e.Config.Conversion = &explainConversion{c.From, c.To, c.Lines}
	}
	for _, c := range plan.Config.Changes {
		x := explainChange{Key: c.Key, Source: c.Source.Where}
		if c.HadOld {
			old := plan.Shown(c.Key, c.Old)
			x.Old = &old
		}
		if !c.Deleted {
			value := plan.Shown(c.Key, c.New)
			x.New = &value
		}
		e.Config.Changes = append(e.Config.Changes, x)
	}
	if s := plan.SQL; s != nil {
		e.SQL = &explainSQL{s.InitFile, []string{}, s.ScriptFile}
		for _, statement := range s.Init {
			e.SQL.Init = append(e.SQL.Init, plan.Redact(statement))
		}
	}
	for _, a := range plan.ArtifactsShown() {
		e.Artifacts = append(e.Artifacts, explainArtifact{a.URI, a.Path, a.SHA256})
	}
	if plan.Command != nil {
		argv, env := plan.CommandShown()
		e.Command = &explainCommand{plan.Command.Path, argv, env, plan.Command.Differences}
	}
	for i, w := range e.Warnings {
		e.Warnings[i] = plan.Redact(w)
	}
	if c := e.Command; c != nil {
		for i, d := range c.Differences {
			c.Differences[i] = plan.Redact(d)
		}
	}
	return e
}

// lookup returns a variable of env, "" when unset.
func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}
