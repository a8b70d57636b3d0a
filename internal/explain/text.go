package explain

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/redact"
)

// barWidth is the width of the memory bar in characters.
const barWidth = 64

// palette holds one 256-colour code per component, in the order of the memory model.
var palette = [...]int{33, 39, 208, 141, 177, 78, 244, 250}

// glyphOf is the sign of a component in output without colours.
func glyphOf(component string) string {
	switch component {
	case "frameworkHeap":
		return "F"
	case "taskHeap":
		return "T"
	case "managed":
		return "M"
	case "frameworkOffHeap":
		return "f"
	case "taskOffHeap":
		return "t"
	case "network":
		return "N"
	case "heap":
		return "H"
	case "offHeap":
		return "O"
	case "jvmMetaspace":
		return "m"
	case "jvmOverhead":
		return "v"
	}
	return "?"
}

// Text prints a plan for people.
func Text(w io.Writer, plan *boot.Plan, r *redact.Redactor, colour bool) error {
	t := &textWriter{colour: colour}
	e := Of(plan, r)
	t.head("Flink")
	t.row("version", e.Flink.Version)
	t.row("home", e.Flink.Home)
	t.row("configuration", orNone(e.Flink.ConfFile))
	if plan.Java.Path != "" {
		t.row("java", strings.TrimSpace(plan.Java.Version+" "+plan.Java.Path))
	}
	t.row("role", e.Role)
	if d := e.Definition; d != nil {
		t.head("Definition")
		t.row("name", d.Name)
		t.row("from", d.URI)
		t.row("sha256", d.SHA256)
		if d.Cached {
			t.row("", "last good copy: the service could not be reached")
		}
	}
	t.head("Limits of the container")
	t.row("memory", memoryLimitText(e.Limits.Memory))
	t.row("cpu", cpuLimitText(e.Limits.CPU))
	for _, n := range e.Limits.Notes {
		t.row("", n)
	}
	if plan.Memory != nil {
		t.memory(plan)
	}
	t.config(e.Config)
	if len(e.Metrics) > 0 {
		t.head("Metrics")
	}
	for _, m := range e.Metrics {
		to := ""
		switch {
		case !m.Started:
			to = ", not started: metrics.reporters leaves it out"
		case m.Port != "":
			to = ", port " + m.Port
		case m.URL != "":
			to = ", to " + m.URL
		}
		t.row(m.Name, shown(m.Class+to)+"  "+t.paint("2", "("+m.Source+")"))
		if m.Labels != "" {
			t.row("", "labels "+shown(m.Labels))
		}
	}
	if s := e.SQL; s != nil {
		t.head("SQL")
		t.row("init", s.InitFile)
		for _, stmt := range s.Init {
			for i, line := range strings.Split(stmt, "\n") {
				if i == 0 {
					t.row("", line)
				} else {
					t.row("", "  "+line)
				}
			}
		}
		if s.ScriptFile != "" {
			t.row("script", s.ScriptFile)
		}
	}
	if len(e.Artifacts) > 0 {
		t.head("Artifacts")
		for _, a := range e.Artifacts {
			t.row("", a.URI+" → "+a.Path)
		}
	}
	if len(e.Links) > 0 {
		t.head("Links")
		for _, l := range e.Links {
			t.row("", l.Path+" → "+l.Target)
		}
	}
	if len(e.Removed) > 0 {
		t.head("Removed from the run dir")
		for _, path := range e.Removed {
			t.row("", path)
		}
	}
	if c := e.Command; c != nil {
		t.head("Command")
		t.line("  " + c.Path)
		for _, a := range c.Argv[min(1, len(c.Argv)):] {
			t.line("    " + shown(a))
		}
		if len(c.Env) > 0 {
			t.head("Environment, added or changed")
			for _, k := range slices.Sorted(maps.Keys(c.Env)) {
				t.row(k, shown(c.Env[k]))
			}
		}
		if len(c.Differences) > 0 {
			t.head("Intended differences from Flink's scripts")
			for _, d := range c.Differences {
				t.row("", d)
			}
		}
	}
	if len(e.Warnings) > 0 {
		t.head("Warnings")
		for _, x := range e.Warnings {
			t.line("  " + t.paint("33", "! ") + x)
		}
	}
	_, err := io.WriteString(w, t.String())
	return err
}

type textWriter struct {
	strings.Builder
	colour bool
}

func (t *textWriter) paint(code, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *textWriter) line(s string) { t.WriteString(s); t.WriteByte('\n') }

func (t *textWriter) head(s string) {
	if t.Len() > 0 {
		t.WriteByte('\n')
	}
	t.line(t.paint("1", s))
}

func (t *textWriter) row(name, value string) {
	if name == "" {
		t.line("  " + value)
		return
	}
	fmt.Fprintf(t, "  %-14s %s\n", name, value)
}

// memory draws the process size as a stacked bar, and lists the components.
func (t *textWriter) memory(plan *boot.Plan) {
	spec := plan.Memory.Spec
	t.head(fmt.Sprintf("Memory: process size %s, from %s", mib(spec.ProcessSize), plan.Memory.Source))
	components := spec.Components()
	var bar strings.Builder
	used, sum := 0, int64(0)
	for i, c := range components {
		sum += c.Bytes
		end := int(float64(sum) / float64(spec.ProcessSize) * barWidth)
		if n := end - used; n > 0 {
			if t.colour {
				fmt.Fprintf(&bar, "\x1b[48;5;%dm%s\x1b[0m", palette[i%len(palette)], strings.Repeat(" ", n))
			} else {
				bar.WriteString(strings.Repeat(glyphOf(c.Name), n))
			}
			used = end
		}
	}
	t.line("  [" + bar.String() + strings.Repeat(" ", barWidth-used) + "]")
	for i, c := range components {
		mark := glyphOf(c.Name)
		if t.colour {
			mark = fmt.Sprintf("\x1b[48;5;%dm \x1b[0m", palette[i%len(palette)])
		}
		fmt.Fprintf(t, "  %s %-20s %12s %5.1f %%  %-45s %s\n", mark, c.Title, mib(c.Bytes), 100*float64(c.Bytes)/float64(spec.ProcessSize), c.Key, t.paint("2", "("+provenance(plan, c.Name, c.Key)+")"))
	}
}

func (t *textWriter) config(c Config) {
	state := ""
	if c.Unchanged {
		state = " (unchanged)"
	}
	t.head("Configuration " + c.File + state)
	width := 0
	for _, x := range c.Changes {
		width = max(width, len(x.Key))
	}
	for _, x := range c.Changes {
		old, value := "", "removed"
		if x.Old != nil {
			old = shown(*x.Old) + " → "
		}
		if x.New != nil {
			value = shown(*x.New)
		}
		fmt.Fprintf(t, "  %-*s  %s  %s\n", width, x.Key, old+value, t.paint("2", "("+x.Source+")"))
	}
	switch {
	case c.KeptFor != "":
		t.row("", "unchanged, as rendered for the role "+c.KeptFor)
	case len(c.Changes) == 0:
		t.row("", "same as the base file")
	}
	var dynamic []string
	for key, source := range c.Sources {
		if source == "-D" {
			dynamic = append(dynamic, key)
		}
	}
	if len(dynamic) > 0 {
		slices.Sort(dynamic)
		t.head("On the command line, overriding the file")
		for _, key := range dynamic {
			fmt.Fprintf(t, "  %s  %s\n", key, shown(c.Effective[key]))
		}
	}
	if x := c.Conversion; x != nil {
		t.head("Settings of " + x.From + " as lines for " + x.To)
		for _, line := range x.Lines {
			t.row("", line)
		}
	}
}

// shown quotes text that would break the layout.
func shown(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

func memoryLimitText(m *MemoryLimit) string {
	if m == nil {
		return "none"
	}
	size := mib(m.Bytes)
	if m.Bytes < 1<<20 {
		size = fmt.Sprintf("%d bytes", m.Bytes)
	}
	s := size + "  " + strings.TrimSpace(m.Source+" "+m.Path)
	if m.Shared {
		s += ", shared with other containers"
	}
	if m.AbovePhysical {
		s += ", above the machine's memory"
	}
	return s
}

func cpuLimitText(c *CPULimit) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%g cores  %s", c.Cores, strings.TrimSpace(c.Source+" "+c.Path))
}
