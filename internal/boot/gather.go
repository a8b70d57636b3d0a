package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/secret"
)

func public(s string) secret.Text { return secret.Public(s) }

// gatherer holds what the steps of [Gather] hand on to each other.
type gatherer struct {
	mode     Mode
	role     string
	opts     Options
	world    World
	env      environment
	plan     *Plan
	def      *jobdef.Definition // nil without
	document []byte             // what def was read from
	base     *confpatch.File    // nil when there is no configuration file
	conf     layers

	rendered  *confpatch.File
	jobArgs   []string // ours, before the user's
	classpath []string // appended to Flink's
	ownUsrlib bool     // Flink finds usrlib in the run dir

	training    bool     // see Warmup
	programArgs []string // of the job's main, behind everything else
	secrets     []string // contents of the secret references in the definition's SQL
	initSecret  bool     // one stands in the init SQL, outside a value that is marked itself
}

// Gather reads the world and makes the plan. It writes nothing.
func Gather(ctx context.Context, mode Mode, role string, opts Options, w World) (*Plan, error) {
	return newGatherer(mode, role, opts, w).gather(ctx)
}

func (g *gatherer) gather(ctx context.Context) (*Plan, error) {
	steps := []struct {
		phase Phase
		run   func(context.Context) error
	}{
		{Distribution, g.distribution},
		{Privileges, g.dropPrivileges}, // before the first byte that comes from outside
		{DefinitionFetch, g.definition},
		{Configuration, g.baseConfiguration},
		{Limits, g.limits},
		{Configuration, g.overrides},
		{Memory, g.sizes},
		{Artifact, g.artifacts},
		{SQL, g.sql},
		{Configuration, g.render},
		{Configuration, g.deprecatedKeys},
		{Command, g.command},
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		err := step.run(ctx)
		g.plan.spend(step.phase, time.Since(began))
		if err != nil {
			return nil, err
		}
	}
	g.plan.Warnings = append(g.plan.Warnings, g.conf.warnings...)
	if g.opts.Strict && len(g.plan.Warnings) > 0 {
		return nil, failf(Configuration, "--strict: %s", g.plan.Warnings[0])
	}
	g.classArchive() // last: what it warns of concerns the start's speed alone, so --strict lets it pass
	g.inheritLogs()
	return g.plan, nil
}

// summaryPlace stands for the summary in FLINK_INHERITED_LOGS until every warning is known.
const summaryPlace = "flink-entrypoint: summary"

// inheritLogs puts our decisions at the head of Flink's own log.
func (g *gatherer) inheritLogs() {
	const name = "FLINK_INHERITED_LOGS"
	cmd := g.plan.Command
	place, ok := cmd.Changed[name]
	if !ok {
		return // no role of Flink's
	}
	value := strings.Replace(place, summaryPlace, g.summary(), 1)
	cmd.Changed[name] = value
	cmd.Env = setEnv(cmd.Env, name, value)
}

func newGatherer(mode Mode, role string, opts Options, w World) *gatherer {
	if w.Redactor == nil {
		w.Redactor = new(Redactor)
	}
	for _, h := range opts.DefinitionHeaders {
		w.Redactor.addHeader(h)
	}
	for _, dir := range []*string{&opts.RunDir, &opts.ConfOut, &opts.ConfDir} {
		if abs, err := filepath.Abs(*dir); err == nil && *dir != "" {
			*dir = abs // Flink hands these paths to URIs and to processes with another working directory
		}
	}
	env := newEnvironment(w.Env)
	return &gatherer{mode: mode, role: role, opts: opts, world: w, env: env,
		plan: &Plan{Role: role, Warnings: w.Warnings, runDir: opts.RunDir, env: env, redactor: w.Redactor}}
}

func (g *gatherer) warnf(format string, args ...any) {
	g.plan.Warnings = append(g.plan.Warnings, fmt.Sprintf(format, args...))
}

// distribution finds out what the Flink home is. Its version decides almost everything that follows.
func (g *gatherer) distribution(context.Context) error {
	home := g.env.get("FLINK_HOME")
	if home == "" {
		home = "/opt/flink" // where the official images have it
	}
	var err error
	g.plan.Home, err = distribution.Open(home, g.env.lookup, g.opts.FlinkVersion)
	if err != nil {
		return g.distributionError(err)
	}
	if w := g.plan.Home.Warning; w != "" {
		g.warnf("%s", w)
	}
	maskArguments(g.world.Args, g.plan.Home.Version, func(_, hidden string) { g.world.Redactor.Add(hidden) })
	return nil
}

func (g *gatherer) distributionError(err error) error {
	var e *distribution.Error
	if errors.As(err, &e) {
		return fail(Distribution, err, e.Hint)
	}
	return fail(Distribution, err, "")
}

func (g *gatherer) dropPrivileges(context.Context) error {
	if g.mode == Explain {
		return nil // shows, and therefore keeps the rights to look
	}
	env, warning, err := DropPrivileges(g.plan.Home.Version, g.world.Env)
	if err != nil {
		return fail(Distribution, err, "grant CAP_SETUID and CAP_SETGID, or start the container as the user flink")
	}
	if warning != "" {
		g.warnf("%s", warning)
	}
	g.world.Env, g.env = env, newEnvironment(env)
	return nil
}

// baseConfiguration reads the configuration that Flink has in force.
func (g *gatherer) baseConfiguration(context.Context) error {
	c := &g.plan.Config
	c.OutDir = g.opts.ConfOut
	if c.OutDir == "" {
		c.OutDir = filepath.Join(g.opts.RunDir, "conf")
	}
	switch fromEnv := g.env.get("FLINK_CONF_DIR"); {
	case g.opts.ConfDir != "":
		c.BaseDir = g.opts.ConfDir
	case fromEnv != "" && filepath.Clean(fromEnv) != filepath.Clean(c.OutDir) && filepath.Clean(fromEnv) != filepath.Join(DefaultRunDir, "conf"):
		c.BaseDir = fromEnv
	default:
		c.BaseDir = g.plan.Home.ConfDir
	}
	if st, err := os.Stat(c.BaseDir); err != nil || !st.IsDir() {
		return fail(Configuration, fmt.Errorf("the configuration directory %s does not exist or is no directory", c.BaseDir), "give it with --conf-dir or FLINK_CONF_DIR")
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(c.BaseDir, name))
		return err == nil
	}
	name, format, ok := confpatch.InForce(g.plan.Home.Version, exists)
	c.format = format
	c.OutFile = filepath.Join(c.OutDir, name)
	var source []byte
	if ok {
		c.BaseFile = filepath.Join(c.BaseDir, name)
		var err error
		if source, err = confpatch.ReadBase(c.BaseDir, name, format, g.plan.Home.Version, c.inPlace()); err != nil {
			return fail(Configuration, fmt.Errorf("cannot read the configuration: %w", err), "")
		}
	}
	c.base = source
	file, err := confpatch.Parse(name, format, g.plan.Home.Version, source)
	if err != nil {
		return g.configurationError(c.BaseFile, err)
	}
	g.base = file
	for _, w := range file.Warnings() {
		g.warnf("%s", w)
	}
	g.conf.base = file.Conf()
	g.world.Redactor.addSensitive(g.conf.base, g.plan.Home.Version)
	g.conf.want = g.conf.base.Clone()
	g.shadowed(name)
	return nil
}

// overrides applies what stands above the file, in the order of the contract.
func (g *gatherer) overrides(ctx context.Context) error {
	if v := g.env.get("TASK_MANAGER_NUMBER_OF_TASK_SLOTS"); v != "" {
		g.conf.set("taskmanager.numberOfTaskSlots", v, flinkconf.ImageEnvironment, "TASK_MANAGER_NUMBER_OF_TASK_SLOTS")
	}
	if g.def != nil {
		if err := g.definitionSettings(); err != nil {
			return err
		}
	}
	if text := g.env.get("FLINK_PROPERTIES"); text != "" {
		entries, warnings, err := confpatch.Properties(text, g.plan.Config.format, g.plan.Home.Version, g.env.lookup)
		if err != nil {
			return fail(Configuration, err, "")
		}
		g.conf.warnings = append(g.conf.warnings, warnings...)
		for _, e := range entries {
			g.world.Redactor.addEntry(e.Key, e.Value.Reveal(), g.plan.Home.Version)
			g.conf.setEntry(e)
		}
	}
	if err := g.slots(); err != nil {
		return err
	}
	if err := g.conf.addresses(hosts{role: g.role, advertise: g.opts.Advertise, env: g.env, fqdn: func() (string, error) {
		name := g.env.get("HOSTNAME")
		if name == "" {
			var err error
			if name, err = g.world.Hostname(); err != nil {
				return "", err
			}
		}
		return g.world.FQDN(ctx, name), nil
	}}); err != nil {
		return err
	}
	if g.role == "taskmanager" {
		const key = "cluster.registration.error-delay" // milliseconds; a number without a unit is read by every version
		if !g.conf.want.Has(key) {
			// Flink waits ten seconds after a JobManager that does not listen yet, and both usually start at once.
			g.conf.set(key, "500", flinkconf.Automatic, "a TaskManager that is up before its JobManager soon asks again")
		}
	}
	if g.role == "standalone-job" && g.conf.highAvailability() != "" && featuresOf(g.plan.Home.Version).jobResultStore {
		const key = "job-result-store.delete-on-commit"
		if !g.conf.want.Has(key) {
			// Otherwise a standby that takes over after the end of a bounded job runs it a second time.
			g.conf.set(key, "false", flinkconf.Automatic, "high availability: a standby must know that the job has ended")
		}
	}
	return nil
}

// slots applies --slots and the definition's slots.
func (g *gatherer) slots() error {
	const key = "taskmanager.numberOfTaskSlots"
	wanted, layer, where := g.opts.Slots, flinkconf.Flag, "--slots"
	if wanted == "" || wanted == "keep" {
		if g.def == nil || g.def.Resources.TaskManager.Slots.IsZero() {
			return nil
		}
		var err error
		if wanted, err = g.reveal(g.def.Resources.TaskManager.Slots, DefinitionInvalid); err != nil {
			return err
		}
		layer, where = flinkconf.Definition, "job definition resources.taskManager.slots"
	}
	if wanted == "auto" {
		cpu := g.plan.Limits.CPU
		if cpu == nil {
			g.warnf("%s auto: the container has no CPU limit, so the number of slots stays", where)
			return nil
		}
		if e, ok := g.conf.want.Get(key); ok && e.Source.Layer > flinkconf.Automatic {
			g.warnf("%s auto: %s was chosen (%s), so it stays", where, key, e.Source.Where)
			return nil
		}
		g.conf.set(key, strconv.Itoa(memory.SlotsForCPU(cpu.Cores)), flinkconf.Automatic, fmt.Sprintf("%s auto: one per whole CPU of %s", where, cmp.Or(cpu.Path, cpu.Source)))
		return nil
	}
	if n, err := strconv.Atoi(wanted); err != nil || n < 1 {
		return fail(Usage, fmt.Errorf("%s: found %q, expected auto, keep, or a number of at least 1", where, wanted), "")
	}
	g.conf.set(key, wanted, layer, where)
	return nil
}

// limits finds the container's limits: given, or detected.
func (g *gatherer) limits(context.Context) error {
	needed := g.role == "jobmanager" || g.role == "standalone-job" || g.role == "taskmanager"
	switch {
	case needed && (g.mode != Render || g.opts.Sysroot != "/"):
		found, err := cgroup.Detect(g.opts.Sysroot, cgroup.Machine)
		if err != nil {
			if g.opts.MemoryLimit == "" {
				return fail(Limits, err, "give the limits with --memory-limit and --cpu-limit")
			}
			g.warnf("%v", err)
		}
		g.plan.Limits = found
	case needed:
		// The machine is that of the container to come. Without a limit the Downward API names the machine's memory, and only it tells.
		g.plan.Limits.HostMemory, _, _ = cgroup.Machine(g.opts.Sysroot)
	}
	if g.opts.MemoryLimit != "" {
		bytes, _, err := memory.ParseContainerSize(g.opts.MemoryLimit)
		if err != nil {
			return fail(Limits, fmt.Errorf("--memory-limit: %w", err), "e.g. 1728m (Flink's spelling) or 2Gi (that of Kubernetes)")
		}
		g.plan.Limits.Memory = &cgroup.Memory{Bytes: bytes, Source: "--memory-limit"}
		g.plan.Limits.AbovePhysical = false
	}
	if g.opts.CPULimit != "" {
		cores, err := parseCores(g.opts.CPULimit)
		if err != nil {
			return fail(Limits, err, "e.g. 2, 1.5, or 1500m")
		}
		g.plan.Limits.CPU = &cgroup.CPU{Cores: cores, Source: "--cpu-limit"}
	}
	return nil
}

// parseCores reads a CPU quantity: cores, or Kubernetes' milli cores.
func parseCores(s string) (float64, error) {
	text, scale := s, 1.0
	if t, ok := strings.CutSuffix(s, "m"); ok {
		text, scale = t, 1000
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return 0, fmt.Errorf("--cpu-limit: found %q, expected a positive number of cores", s)
	}
	return v / scale, nil
}

// processOf returns the process whose memory model applies to a role.
func processOf(role string) (memory.Process, bool) {
	switch role {
	case "jobmanager", "standalone-job":
		return memory.JobManager, true
	case "taskmanager":
		return memory.TaskManager, true
	}
	return 0, false
}

// sizes decides the process's memory, and what that changes in the configuration.
func (g *gatherer) sizes(context.Context) error {
	process, ok := processOf(g.role)
	if !ok {
		return nil
	}
	version := g.plan.Home.Version
	conf, err := flinkconf.ApplyDynamicArgs(g.conf.want, launch.MemoryArgs(launch.Role(g.role), version, g.world.Args), version)
	if err != nil {
		return fail(Configuration, err, "")
	}
	policy, err := memory.ParsePolicy(g.opts.MemoryPolicy)
	if err != nil {
		return fail(Usage, fmt.Errorf("--memory: %w", err), "")
	}
	ratio, err := strconv.ParseFloat(g.opts.MemoryRatio, 64)
	if err != nil || !(ratio > 0) || ratio > 1 {
		return fail(Usage, fmt.Errorf("--memory-ratio: found %q, expected a number above 0 and at most 1", g.opts.MemoryRatio), "")
	}
	container, err := g.container(process)
	if err != nil {
		return err
	}
	g.plan.Container = container
	in := memory.Input{Version: version, Standard: g.plan.Config.format == confpatch.Standard, Conf: conf, LookupEnv: g.env.lookup}
	decision, err := memory.Decide(process, in, policy, ratio, container, g.opts.Strict)
	if err != nil {
		return memoryError(err)
	}
	for _, w := range decision.Warnings {
		g.warnf("%s", w)
	}
	for _, n := range decision.Notes {
		g.world.Log.Info(n, "phase", "memory")
	}
	for _, c := range decision.Changes {
		if c.Delete {
			g.conf.want.Delete(c.Key)
			g.conf.deleted(c.Key, c.Source)
			continue
		}
		g.conf.want.SetString(c.Key, c.Value, c.Source)
	}
	g.plan.Memory = &decision
	return nil
}

// container says how much memory the process's container has: told, else detected. An initContainer's own limit says
// nothing about the container that comes after it.
func (g *gatherer) container(p memory.Process) (memory.Container, error) {
	c := memory.Container{Physical: g.plan.Limits.HostMemory, Foreign: g.mode == Render}
	if m := g.plan.Limits.Memory; m != nil {
		c.Bytes, c.Shared, c.Source = m.Bytes, m.Shared, m.Source
		if m.Path != "" {
			c.Source += " limit " + m.Path
		}
		c.Given = g.opts.MemoryLimit != ""
	}
	if g.opts.MemoryLimit != "" || g.def == nil {
		return c, nil
	}
	text, where := g.def.Resources.TaskManager.Memory, "resources.taskManager.memory"
	if p == memory.JobManager {
		text, where = g.def.Resources.JobManager.Memory, "resources.jobManager.memory"
	}
	size, err := g.reveal(text, DefinitionInvalid)
	if err != nil {
		return c, err
	}
	if size == "" || size == "auto" {
		return c, nil
	}
	bytes, _, err := memory.ParseContainerSize(size)
	if err != nil {
		return c, fail(DefinitionInvalid, fmt.Errorf("%s: %w", where, err), "")
	}
	if c.Bytes > 0 && !c.Foreign && bytes > c.Bytes {
		g.warnf("the job definition gives the container %s, but its limit is %s (%s)", size, flinkconf.HumanReadable(c.Bytes), c.Source)
	}
	return memory.Container{Bytes: bytes, Given: true, Physical: c.Physical, Source: "job definition " + where, Foreign: c.Foreign}, nil
}

func memoryError(err error) error {
	type hinted interface{ Hint() string }
	phase, hint := Memory, ""
	var limit *memory.LimitError
	var conflict *memory.ConflictError
	switch {
	case errors.As(err, &limit):
		phase = Limits
	case errors.As(err, &conflict):
		phase = Usage // two things that were asked for on one command line exclude each other
	}
	var h hinted
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	return fail(phase, err, hint)
}

// render makes the configuration file and reads it back, so that everything after it sees what Flink will see.
func (g *gatherer) render(context.Context) error {
	c := &g.plan.Config
	if err := g.logging(); err != nil {
		return err
	}
	c.Changes = g.conf.diff()
	c.Secret = g.holdsSecret()
	changes := make([]confpatch.Change, 0, len(c.Changes))
	for _, ch := range c.Changes {
		changes = append(changes, confpatch.Change{Key: ch.Key, Value: ch.New, Delete: ch.Deleted, Source: ch.Source.Where})
	}
	var err error
	if c.Rendered, err = g.base.Render(changes, "set by flink-entrypoint; the base file is "+c.BaseFile); err != nil {
		return g.configurationError(c.BaseFile, err)
	}
	file, err := confpatch.Parse(filepath.Base(c.OutFile), c.format, g.plan.Home.Version, c.Rendered)
	if err != nil {
		return g.configurationError(c.OutFile, err)
	}
	g.rendered = file
	c.Effective = file.Conf()
	for e := range g.conf.want.All() { // provenance, and what is secret, were known before the text was written
		if have, ok := c.Effective.Get(e.Key); ok {
			have.Source = e.Source
			if e.Value.IsHidden() {
				have.Value = have.Value.Hide()
			}
			c.Effective.Set(have)
		}
	}
	if g.role != PassThrough {
		if c.Effective, err = flinkconf.ApplyDynamicArgs(c.Effective, g.world.Args, g.plan.Home.Version); err != nil {
			return fail(Configuration, err, "")
		}
	}
	return nil
}

// holdsSecret reports whether the rendered file has a value that nobody but Flink should read.
func (g *gatherer) holdsSecret() bool {
	v := g.plan.Home.Version
	for e := range g.conf.want.All() {
		value := e.Value.Reveal()
		if e.Value.IsHidden() || value != "" && flinkconf.IsSensitive(e.Key, v) {
			return true
		}
		if strings.HasPrefix(e.Key, javaOptionsPrefix) && maskOptions(value, v, nil) != value {
			return true
		}
	}
	return false
}

func (g *gatherer) configurationError(file string, err error) error {
	var syntax *confpatch.SyntaxError
	if errors.As(err, &syntax) {
		return fail(Configuration, fmt.Errorf("Flink rejects the configuration: %w", err), "mend "+file)
	}
	return fail(Configuration, err, "")
}

// command makes the command line, from the configuration that was rendered and not from what was meant.
func (g *gatherer) command(context.Context) error {
	c := &g.plan.Config
	env := setEnv(g.world.Env, "FLINK_CONF_DIR", c.OutDir)
	env, err := g.imageEnvironment(env)
	if err != nil {
		return err
	}
	if g.role == PassThrough {
		cmd, err := launch.Passthrough(g.world.Args, env)
		if err != nil {
			return launchError(err)
		}
		g.plan.Command = cmd
		return nil
	}
	java, err := distribution.FindJava(g.javaHome(), newEnvironment(env).lookup)
	if err != nil {
		return g.distributionError(err)
	}
	g.plan.Java = java
	if w := distribution.Supports(g.plan.Home.Version, java.Spec); w != "" {
		if distribution.TooOld(g.plan.Home.Version, java.Spec) {
			return fail(Distribution, errors.New(w), "")
		}
		g.warnf("%s", w)
	}
	if m := g.plan.Limits.Memory; m != nil && m.Source == cgroup.V2 && !java.SeesCgroupV2() {
		g.warnf("Java %s does not see cgroup v2 limits: CPU count, collector and default sizes follow the host; use 8u372, 11.0.16, 15 or later", java.Version)
	}
	req := launch.Request{
		Role: launch.Role(g.role), Home: g.plan.Home, Java: java, Conf: g.rendered.Conf(), ConfDir: c.OutDir,
		Standard: c.format == confpatch.Standard, RawConf: c.Rendered, ShellConf: g.rendered.ShellLines(),
		Args: append(slices.Clone(g.world.Args), g.programArgs...), ExtraArgs: g.jobArgs, ExtraClasspath: g.classpath, Env: env,
		InheritedLogs: summaryPlace,
	}
	if g.plan.Memory != nil {
		req.Memory = g.plan.Memory.Spec
	}
	if g.env.get("HOSTNAME") == "" {
		req.Hostname, _ = g.world.Hostname()
	}
	cmd, err := launch.Build(req)
	if err != nil {
		return launchError(err)
	}
	g.plan.Warnings = append(g.plan.Warnings, cmd.Warnings...)
	g.plan.Command = cmd
	g.warnOfSecretArguments(cmd.Argv)
	g.checkModules()
	return nil
}

// warnOfSecretArguments names what a person put into the command line, where everybody who may list processes can read it.
func (g *gatherer) warnOfSecretArguments(argv []string) {
	var names []string
	maskArguments(argv, g.plan.Home.Version, func(name, hidden string) {
		g.world.Redactor.Add(hidden)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	})
	for _, name := range names {
		g.warnf("the command line of the process holds the value of %s, which everybody who can list processes reads there: use a file instead", name)
	}
}

// javaHome is env.java.home as the scripts read it: by sed, from the raw file, before there is a Java to parse it.
func (g *gatherer) javaHome() string {
	return distribution.ScriptValue(g.plan.Config.Rendered, "env.java.home")
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
		return fail(Configuration, err, e.Hint)
	}
	var x *launch.ExecError
	if errors.As(err, &x) {
		phase := ExecNotFound
		if x.Code == ExecNotExecutable.ExitCode() {
			phase = ExecNotExecutable
		}
		return fail(phase, err, "")
	}
	return fail(Distribution, err, "")
}
