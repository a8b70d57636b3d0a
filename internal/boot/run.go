package boot

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/redact"
)

// Run is one run of this program: what it was asked for, and what all its steps share. A step takes the results of the steps
// before it and returns its own, so the order of the steps is in their types.
type Run struct {
	mode  Mode
	role  string
	opts  Options // with absolute paths
	world World

	warnings []string
	times    []PhaseTime
	client   *fetch.Client
}

// New begins a run. It reads nothing.
func New(mode Mode, role string, opts Options, w World) *Run {
	if w.Redactor == nil {
		w.Redactor = new(redact.Redactor)
	}
	for _, h := range opts.DefinitionHeaders {
		w.Redactor.AddHeader(h)
	}
	for _, dir := range []*string{&opts.RunDir, &opts.ConfOut, &opts.ConfDir} {
		if abs, err := filepath.Abs(*dir); err == nil && *dir != "" {
			*dir = abs // Flink hands these paths to URIs and to processes with another working directory
		}
	}
	return &Run{mode: mode, role: role, opts: opts, world: w, warnings: slices.Clone(w.Warnings)}
}

// Warn notes what the user should know.
func (r *Run) Warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// Warnings returns what was noted so far.
func (r *Run) Warnings() []string { return r.warnings }

// Redactor knows the secrets of the run, each as soon as it is read.
func (r *Run) Redactor() *redact.Redactor { return r.world.Redactor }

// PhaseTime is how long one phase took.
type PhaseTime struct {
	Phase phase.Phase
	Took  time.Duration
}

// Times returns how long each phase took so far, in their order.
func (r *Run) Times() []PhaseTime { return r.times }

// spend adds to the time of a phase, which may have several steps.
func (r *Run) spend(at phase.Phase, took time.Duration) {
	for i := range r.times {
		if r.times[i].Phase == at {
			r.times[i].Took += took
			return
		}
	}
	r.times = append(r.times, PhaseTime{at, took})
}

// fetcher returns the one client of the run, whose deadline covers everything that is fetched.
func (r *Run) fetcher(p Process) (*fetch.Client, error) {
	if r.client != nil {
		return r.client, nil
	}
	o := fetch.Options{
		Timeout: r.opts.FetchTimeout, Splay: r.opts.FetchSplay, UserAgent: "flink-entrypoint/" + r.world.Version,
		Origin: r.opts.Definition, TokenFile: r.opts.TokenFile, CAFile: r.opts.CAFile, CertFile: r.opts.CertFile, KeyFile: r.opts.KeyFile,
		Proxy: r.world.Proxy, Env: p.Vars.Get, Logger: r.world.Log, Learn: r.world.Redactor.Add,
	}
	for _, h := range r.opts.DefinitionHeaders {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, phase.Fail(phase.Usage, errors.New("--definition-header: expected 'Name: value'"), "")
		}
		value = strings.TrimSpace(value)
		o.Headers = append(o.Headers, fetch.Header{Name: strings.TrimSpace(name), Value: func() string { return value }})
	}
	c, err := fetch.New(o)
	if err != nil {
		return nil, fetchError(phase.Usage, err)
	}
	r.client = c
	return c, nil
}

// FetchArtifacts brings artifacts to their places.
func (r *Run) FetchArtifacts(ctx context.Context, items []fetch.Item) error {
	if len(items) == 0 {
		return nil
	}
	results, err := r.client.Artifacts(ctx, items, r.world.Progress)
	if err != nil {
		return fetchError(phase.Artifact, err)
	}
	known := slices.Clone(r.warnings)
	for _, result := range results {
		for _, w := range result.Warnings {
			if !slices.Contains(known, w) { // the definition and each artifact of one service have the same
				r.world.Log.Warn(w)
				known = append(known, w)
			}
		}
	}
	return nil
}

func fetchError(p phase.Phase, err error) error {
	hint := ""
	var e *fetch.Error
	if errors.As(err, &e) {
		hint = e.Hint
		if e.Kind == fetch.KindWrite {
			p = phase.Write
		}
	}
	return phase.Fail(p, err, hint)
}
