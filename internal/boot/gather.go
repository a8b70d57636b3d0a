package boot

import (
	"context"
	"time"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/limits"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/reporters"
	"flink-entrypoint/internal/rundir"
	"flink-entrypoint/internal/settings"
)

// ground is what every later step depends on.
type ground struct {
	home   *distribution.Home
	proc   Process
	places places // of the configuration
	script string // one of Flink's that the command would start; "" where the role was given by its name
}

// reading is what a start finds. Nothing is decided yet.
type reading struct {
	ground
	args        []string // of the role, without options that would be misread
	differences []string // in them, from Flink's scripts
	noSavepoint bool     // they say so
	job         *Job     // nil without a definition
	base        base
	limits      limits.Limits
}

// decision is what the process gets.
type decision struct {
	conf  *settings.Layers // each key, with the layer that set it
	sizes sizes
	place *placement.Placement
	job   jobPlan

	metrics reporters.Wanted
}

// Gather reads the world and makes the plan. It writes nothing.
//
// It reads, decides and renders, in this order; the command comes last, from what was rendered and not from what was meant.
func (r *Run) Gather(ctx context.Context) (*Plan, error) {
	g, err := r.enter(ctx)
	if err == nil && g.places.Kept {
		plan, err := r.keep(ctx, g)
		return plan, g.proc.Denied(err)
	}
	if err != nil {
		return nil, g.proc.Denied(err)
	}
	plan, err := r.prepare(ctx, g)
	return plan, g.proc.Denied(err)
}

// step runs one step and adds its time to a phase.
func step[T any](ctx context.Context, r *Run, at phase.Phase, run func() (T, error)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	began := time.Now()
	result, err := run()
	r.spend(at, time.Since(began))
	return result, err
}

// enter opens the Flink home, becomes the user that the process will have, before the first byte that comes from outside, and finds the
// directories of the configuration.
func (r *Run) enter(ctx context.Context) (g ground, err error) {
	if g.home, err = step(ctx, r, phase.Distribution, r.OpenHome); err != nil {
		return g, err
	}
	if g.proc, err = step(ctx, r, phase.Privileges, func() (Process, error) { return r.BecomeFlink(g.home) }); err != nil {
		return g, err
	}
	if g.proc.AsRoot != "" {
		r.Warn("%s", g.proc.AsRoot)
	}
	g = r.recognise(g)
	g.places, err = step(ctx, r, phase.Configuration, func() (places, error) { return r.findPlaces(g.home, g.proc.Vars) })
	return g, err
}

// keep makes the plan of a command in a container whose role is prepared: it is executed, and nothing is written.
func (r *Run) keep(ctx context.Context, g ground) (*Plan, error) {
	place := r.Place(g.home, "")
	conf, err := step(ctx, r, phase.Configuration, func() (rendered, error) { return r.readKept(g) })
	if err != nil {
		return nil, err
	}
	in := &reading{ground: g, args: r.world.Args}
	cmd, err := step(ctx, r, phase.Command, func() (command, error) { return r.command(in, &decision{place: place}, conf) })
	if err != nil {
		return nil, err
	}
	return r.finish(&Plan{Config: conf.Config, Command: cmd.Command, Java: cmd.java}, g.proc, place)
}

// prepare makes the plan of a start.
func (r *Run) prepare(ctx context.Context, g ground) (*Plan, error) {
	in, err := r.read(ctx, g)
	if err != nil {
		return nil, err
	}
	d, err := r.decide(ctx, in)
	if err != nil {
		return nil, err
	}
	conf, err := step(ctx, r, phase.Configuration, func() (rendered, error) { return r.render(in, d.conf) })
	if err != nil {
		return nil, err
	}
	cmd, err := step(ctx, r, phase.Command, func() (command, error) { return r.command(in, d, conf) })
	if err != nil {
		return nil, err
	}
	settled, err := step(ctx, r, phase.Artifact, func() (rundir.Contents, error) {
		settled, warnings, err := d.place.Settle(r.opts.RunDir)
		r.warnings = append(r.warnings, warnings...)
		return settled, err
	})
	if err != nil {
		return nil, err
	}
	d.place.Contents = settled
	r.warnings = append(r.warnings, d.conf.Warnings...)
	plan := &Plan{Config: conf.Config, Limits: in.limits.Limits, Container: d.sizes.container, Memory: d.sizes.decision, SQL: d.job.SQL, Command: cmd.Command, Java: cmd.java,
		Reporters: reporters.In(conf.Effective)}
	if in.job != nil {
		plan.Definition = &in.job.Seen
	}
	return r.finish(plan, g.proc, d.place)
}

// read reads the definition, the configuration in force and the container's limits.
func (r *Run) read(ctx context.Context, g ground) (*reading, error) {
	in := &reading{ground: g}
	arguments, err := step(ctx, r, phase.Distribution, func() (flinkoptions.Arguments, error) {
		return flinkoptions.WithoutHostOptions(r.role, g.home.Version, r.world.Args, g.proc.Vars), nil
	})
	if err != nil {
		return nil, err
	}
	in.args, in.differences = arguments.Words, arguments.Differences
	if r.role == "standalone-job" {
		if in.args, in.noSavepoint = flinkoptions.NoSavepoint(in.args, g.home.Version); in.noSavepoint {
			in.differences = append(in.differences, "the empty --fromSavepoint means no savepoint; Flink takes it for a path and fails")
		}
	}
	if g.script != "" {
		in.differences = append(in.differences, g.script+" is not run: the process is started without it")
	}
	r.warnings = append(r.warnings, arguments.Warnings...)
	if in.job, err = step(ctx, r, phase.DefinitionFetch, func() (*Job, error) { return r.ReadJob(ctx, g.proc, g.home) }); err != nil {
		return nil, err
	}
	r.warnOfNative(in.job)
	if in.base, err = step(ctx, r, phase.Configuration, func() (base, error) { return r.readBase(g) }); err != nil {
		return nil, err
	}
	_, sized := processOf(r.role)
	in.limits, err = step(ctx, r, phase.Limits, func() (limits.Limits, error) {
		return limits.Find(limits.Request{Sysroot: r.opts.Sysroot, Memory: r.opts.MemoryLimit, CPU: r.opts.CPULimit, Foreign: r.mode == Render}, sized, r.Warn)
	})
	return in, err
}

// decide settles every key, the sizes, and what the run dir gets.
func (r *Run) decide(ctx context.Context, in *reading) (*decision, error) {
	d := &decision{place: r.Place(in.home, r.opts.RunDir)}
	var err error
	if d.conf, err = step(ctx, r, phase.Configuration, func() (*settings.Layers, error) { return r.override(ctx, in, d) }); err != nil {
		return nil, err
	}
	in.withoutSavepoint(d.conf)
	if d.sizes, err = step(ctx, r, phase.Memory, func() (sizes, error) { return r.size(in, d.conf) }); err != nil {
		return nil, err
	}
	if _, err = step(ctx, r, phase.Artifact, func() (struct{}, error) { return struct{}{}, in.job.AddArtifacts(d.place) }); err != nil {
		return nil, err
	}
	r.warnOfReporters(in, d)
	d.job, err = step(ctx, r, phase.SQL, func() (jobPlan, error) { return r.planJob(ctx, in, d.conf, d.place) })
	return d, err
}

// finish completes a plan with what only the end of it knows: every warning, and the class archive that fits the command.
func (r *Run) finish(p *Plan, proc Process, place *placement.Placement) (*Plan, error) {
	p.Role, p.mode, p.runDir, p.env = r.role, r.mode, r.opts.RunDir, environ.Of(r.world.Env)
	if r.opts.Strict {
		for _, w := range r.warnings {
			if w != proc.AsRoot || r.mode != Explain { // a start may be shown by anybody
				return nil, phase.Failf(phase.Configuration, "--strict: %s", w)
			}
		}
	}
	p.Home, p.Contents = place.Home, place.Contents
	r.classArchive(p, proc.Vars) // after --strict, since its warning concerns the start's speed alone
	p.Warnings = r.warnings
	p.inheritLogs(r.world.Redactor)
	if err := p.Command.Fits(); err != nil {
		return nil, ExecError(err)
	}
	return p, nil
}
