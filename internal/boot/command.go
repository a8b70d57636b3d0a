package boot

import (
	"errors"
	"slices"

	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/redact"
)

// command is the command line of the process.
type command struct {
	*launch.Command
	java distribution.Java // of a role
}

// command makes it from the configuration that was rendered and not from what was meant.
func (r *Run) command(in *reading, d *decision, c rendered) (command, error) {
	if r.role == PassThrough {
		return r.passThrough(in.proc, c.Config, in.limits.Limits, in.args, d.place)
	}
	env := in.proc.Env
	if !r.isClient() {
		env = environ.WithoutCredentials(env)
	}
	env, err := r.imageEnvironment(in.proc, c.Config, in.limits.Limits, env, d.place)
	if err != nil {
		return command{}, err
	}
	java, err := distribution.FindJava(javaHome(c.Config), environ.Of(env).Lookup)
	if err != nil {
		return command{}, DistributionError(err)
	}
	if w := distribution.Supports(in.home.Version, java.Spec); w != "" {
		if distribution.TooOld(in.home.Version, java.Spec) {
			return command{}, phase.Fail(phase.Distribution, errors.New(w), "")
		}
		r.Warn("%s", w)
	}
	if m := in.limits.Memory; m != nil && m.Source == cgroup.V2 && !java.SeesCgroupV2() {
		r.Warn("Java %s does not see cgroup v2 limits: CPU count, collector and default sizes follow the host; use 8u372, 11.0.16, 15 or later", java.Version)
	}
	req := launch.Request{
		Role: launch.Role(r.role), Home: d.place.Home, Java: java, Conf: c.written, ConfDir: c.OutDir,
		Standard: c.format == confpatch.Standard, RawConf: c.Rendered, ShellConf: c.file.ShellLines(),
		Args: append(slices.Clone(in.args), d.job.arguments...), ExtraArgs: d.job.options, ExtraClasspath: d.place.ClassPath, Env: env,
		InheritedLogs: summaryPlace, QuickJIT: r.opts.JIT == "quick",
	}
	if d.sizes.decision != nil {
		req.Memory = d.sizes.decision.Spec
	}
	if in.proc.Vars.Get("HOSTNAME") == "" {
		req.Hostname, _ = r.world.Hostname()
	}
	cmd, err := launch.Build(req)
	if err != nil {
		return command{}, launchError(err)
	}
	cmd.Differences = append(cmd.Differences, in.differences...)
	r.warnings = append(r.warnings, cmd.Warnings...)
	r.warnOfSecretArguments(cmd.Argv)
	if w := flinkoptions.MissingModules(in.home.Version, java.Spec, cmd.Argv, in.proc.Vars, c.Effective); w != "" {
		r.Warn("%s", w)
	}
	return command{cmd, java}, nil
}

// passThrough is a command that is not a role. c is the configuration that it finds.
func (r *Run) passThrough(p Process, c Config, l cgroup.Limits, args []string, place *placement.Placement) (command, error) {
	env, err := r.imageEnvironment(p, c, l, p.Env, place)
	if err != nil {
		return command{}, err
	}
	cmd, err := launch.Passthrough(args, env)
	if err != nil {
		return command{}, launchError(err)
	}
	return command{Command: cmd}, nil
}

// warnOfSecretArguments names what a person put into the command line, where everybody who may list processes can read it.
func (r *Run) warnOfSecretArguments(argv []string) {
	var names []string
	redact.Arguments(argv, func(name, hidden string) {
		r.world.Redactor.AddOption(hidden)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	})
	for _, name := range names {
		r.Warn("the command line of the process holds the value of %s, which everybody who can list processes reads there: use a file instead", name)
	}
}

// javaHome is env.java.home as the scripts read it: by sed, from the raw file, before there is a Java to parse it.
func javaHome(c Config) string {
	return distribution.ScriptValue(c.Rendered, "env.java.home")
}

// ExecError gives a failed exec its phase.
func ExecError(err error) error {
	if err == nil {
		return nil
	}
	return launchError(err)
}

func launchError(err error) error {
	var e *launch.Error
	if errors.As(err, &e) {
		return phase.Fail(phase.Configuration, err, e.Hint)
	}
	var x *launch.ExecError
	if errors.As(err, &x) {
		at := phase.ExecNotFound
		if x.Code == phase.ExecNotExecutable.ExitCode() {
			at = phase.ExecNotExecutable
		}
		return phase.Fail(at, err, "")
	}
	return phase.Fail(phase.Distribution, err, "")
}
