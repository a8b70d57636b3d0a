package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/sqlrunner"
)

// WarmupNames returns what an archive can be made for: the roles, and local runs.
func WarmupNames() []string { return append(slices.Clone(roles[:]), debugArchive) }

// Trainee is a process of a training run.
type Trainee struct {
	Name string
	Path string
	Argv []string
	Env  []string
	Log  string // what it prints goes there

	archive string // where the archive belongs; "" for one that only helps the others
	made    string // where the JVM leaves it
	java    distribution.Java
	jars    []string
}

// Training is one run of processes, that ends when they have loaded the classes of a start and of a job.
type Training struct {
	Trainees []*Trainee
	Ready    string // a URL that answers when the first trainee is up; "" for a process that ends by itself
	Job      bool   // a job runs then: its tasks have to run, and a checkpoint has to be completed
	// Submit is the jar, the class and the arguments of a job to hand to a session cluster; nil where the job comes with the start.
	Submit []string

	local *Local
}

// Close removes the files of the run that lie nowhere else.
func (t *Training) Close() {
	if t.local != nil {
		t.local.Close()
	}
}

// trainingScript loads what most jobs need: the planner, code generation, a source, a shuffle, state, timers, and a sink. It runs
// until it is stopped.
const trainingScript = `CREATE TABLE warmup_source (id BIGINT, name STRING, price DECIMAL(10, 2), at_time AS LOCALTIMESTAMP, WATERMARK FOR at_time AS at_time)
  WITH ('connector' = 'datagen', 'rows-per-second' = '20', 'fields.name.length' = '1');
CREATE TABLE warmup_rows (id BIGINT, name STRING) WITH ('connector' = 'blackhole');
CREATE TABLE warmup_sums (name STRING, n BIGINT, total DECIMAL(38, 2), PRIMARY KEY (name) NOT ENFORCED) WITH ('connector' = 'blackhole');
CREATE TABLE warmup_windows (window_end TIMESTAMP(3), n BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO warmup_rows SELECT id, UPPER(name) FROM warmup_source WHERE id > 3;
INSERT INTO warmup_sums SELECT name, COUNT(*), SUM(price) FROM warmup_source GROUP BY name;
INSERT INTO warmup_windows SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE warmup_source, DESCRIPTOR(at_time), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;
`

// Warmup prepares the runs that leave an archive of shared classes for each name. All files but the archives lie in dir.
func Warmup(ctx context.Context, names []string, dir string, opts Options, w World) ([]Training, error) {
	p := &warmup{dir: dir, opts: opts, world: w}
	for _, n := range names {
		if !slices.Contains(WarmupNames(), n) {
			return nil, &Error{Phase: Usage, Err: fmt.Errorf("warmup: found %q, expected a role or %s", n, debugArchive), Hint: "there are: " + strings.Join(WarmupNames(), ", ")}
		}
	}
	if opts.ClassArchive == "off" || strings.HasSuffix(opts.ClassArchive, ".jsa") && len(names) > 1 {
		return nil, fail(Usage, fmt.Errorf("--class-archive %s: expected a directory to make archives in", opts.ClassArchive), "leave it out for $FLINK_HOME/"+classarchive.DirName)
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	var out []Training
	// A TaskManager learns most where the job is a script.
	if has("standalone-job") || has("taskmanager") {
		t, err := p.cluster(ctx, "standalone-job", has("standalone-job"), has("taskmanager"))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if has("jobmanager") {
		t, err := p.cluster(ctx, "jobmanager", true, false)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	for _, role := range []string{"history-server", "sql-gateway"} {
		if !has(role) {
			continue
		}
		t, err := p.server(ctx, role)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if has(debugArchive) {
		t, err := p.local(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

type warmup struct {
	dir   string
	opts  Options
	world World
	runs  int
}

// freePorts returns loopback ports that nobody listens on at the moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fail(Distribution, fmt.Errorf("cannot find a free port: %w", err), "a training run needs the loopback interface")
		}
		defer l.Close() // all are held until the last is found, so that none is given twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// trainingProperties keep a training run to itself, whatever the configuration of the image says: on the loopback interface,
// without services that a build has not got.
const trainingProperties = `jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: %[1]d
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: %[2]d
rest.bind-port: %[2]d
blob.server.port: 0
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.rpc.port: 0
taskmanager.numberOfTaskSlots: 1
parallelism.default: 1
cluster.registration.error-delay: 200
high-availability: none
high-availability.type: none
security.ssl.rest.enabled: false
security.ssl.internal.enabled: false
state.checkpoint-storage: filesystem
execution.checkpointing.storage: filesystem
state.checkpoints.dir: file://%[3]s
execution.checkpointing.dir: file://%[3]s
state.backend.changelog.enabled: false
execution.checkpointing.interval: 500 ms
web.submit.enable: true
io.tmp.dirs: %[3]s
`

// cluster is a JobManager of either kind with a TaskManager and a job.
func (p *warmup) cluster(ctx context.Context, role string, archive, archiveTaskManager bool) (Training, error) {
	ports, err := freePorts(2)
	if err != nil {
		return Training{}, err
	}
	properties := fmt.Sprintf(trainingProperties, ports[0], ports[1], filepath.Join(p.dir, "tmp"))
	t := Training{Job: true, Ready: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	job, script, err := p.trainee(ctx, "standalone-job", properties, archive && role == "standalone-job")
	if err != nil {
		return t, err
	}
	if role != "standalone-job" {
		jar := filepath.Join(filepath.Dir(script), "usrlib", sqlrunner.JarName)
		t.Submit = append([]string{jar, sqlrunner.MainClass}, sqlrunner.Arguments(sqlrunner.Application, script, filepath.Join(filepath.Dir(script), "job.idx"))...)
		if job, _, err = p.trainee(ctx, role, properties, archive); err != nil {
			return t, err
		}
	}
	tm, _, err := p.trainee(ctx, "taskmanager", properties, archiveTaskManager)
	t.Trainees = []*Trainee{job, tm}
	return t, err
}

// server is a role that is alone.
func (p *warmup) server(ctx context.Context, role string) (Training, error) {
	ports, err := freePorts(1)
	if err != nil {
		return Training{}, err
	}
	properties, ready := "", ""
	switch role {
	case "history-server":
		archives := filepath.Join(p.dir, "history")
		if err := os.MkdirAll(archives, 0o755); err != nil {
			return Training{}, fail(Write, err, writeHint(err))
		}
		properties = fmt.Sprintf("historyserver.web.address: 127.0.0.1\nhistoryserver.web.port: %d\nhistoryserver.web.ssl.enabled: false\nhistoryserver.archive.fs.dir: file://%s\nhistoryserver.web.tmpdir: %s\n",
			ports[0], archives, filepath.Join(p.dir, "web"))
		ready = "/config"
	case "sql-gateway":
		properties = fmt.Sprintf("sql-gateway.endpoint.rest.address: 127.0.0.1\nsql-gateway.endpoint.rest.bind-address: 127.0.0.1\nsql-gateway.endpoint.rest.port: %[1]d\nsql-gateway.endpoint.rest.bind-port: %[1]d\n"+
			"rest.address: 127.0.0.1\nrest.port: 1\nsecurity.ssl.rest.enabled: false\n", ports[0])
		ready = "/info"
	}
	t, _, err := p.trainee(ctx, role, properties, true)
	return Training{Trainees: []*Trainee{t}, Ready: fmt.Sprintf("http://127.0.0.1:%d%s", ports[0], ready)}, err
}

// withoutVariables drops what an image or its build says about another run than this.
func withoutVariables(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "FLINK_PROPERTIES", "JOB_MANAGER_RPC_ADDRESS", "TASK_MANAGER_NUMBER_OF_TASK_SLOTS", "POD_IP", "POD_NAME", "FLINK_LOG_DIR", "FLINK_PID_DIR", "FLINK_INHERITED_LOGS", "ENABLE_BUILT_IN_PLUGINS":
			return true
		}
		return false
	})
}

// trainee prepares a role, and writes its files. script is that of the job, where it has one.
func (p *warmup) trainee(ctx context.Context, role, properties string, archive bool) (t *Trainee, script string, err error) {
	p.runs++
	dir := filepath.Join(p.dir, fmt.Sprintf("%d-%s", p.runs, role))
	for _, d := range []string{dir, filepath.Join(dir, "log"), filepath.Join(p.dir, "tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, "", fail(Write, err, writeHint(err))
		}
	}
	opts := Options{RunDir: filepath.Join(dir, "run"), ConfDir: p.opts.ConfDir, FlinkVersion: p.opts.FlinkVersion, Sysroot: p.opts.Sysroot, MemoryPolicy: "limit", MemoryLimit: "1728m",
		MemoryRatio: "1.0", Slots: "keep", FetchTimeout: p.opts.FetchTimeout, ClassArchive: p.opts.ClassArchive}
	w := p.world
	w.Args, w.Warnings = nil, nil
	w.Env = append(withoutVariables(w.Env), "FLINK_PROPERTIES="+properties, "FLINK_LOG_DIR="+filepath.Join(dir, "log"), "FLINK_PID_DIR="+dir)
	if role == "standalone-job" {
		opts.Definition = filepath.Join(dir, "warmup.sql")
		if err := os.WriteFile(opts.Definition, []byte(trainingScript), 0o644); err != nil {
			return nil, "", fail(Write, err, writeHint(err))
		}
	}
	g := newGatherer(Explain, role, opts, w)
	g.training = true
	plan, err := g.gather(ctx)
	if err != nil {
		return nil, "", err
	}
	plan.Warnings = nil // of a configuration that is not the real one
	if _, err := plan.Apply(ctx, w.Log); err != nil {
		return nil, "", err
	}
	if plan.SQL != nil {
		script = plan.SQL.ScriptFile
	}
	cmd := plan.Command
	t = &Trainee{Name: role, Path: cmd.Path, Env: cmd.Env, Log: filepath.Join(dir, "output"), java: plan.Java}
	if archive {
		if err := t.record(g, cmd.Options, cmd.ClassPath); err != nil {
			return nil, "", err
		}
		cmd.Prepend(classarchive.MakeOptions(t.made, t.java.Spec)...)
		for i, a := range cmd.Argv {
			if a == "-classpath" {
				cmd.Argv[i+1] = strings.Join(t.jars, ":")
				break
			}
		}
	}
	t.Argv = cmd.Argv
	return t, script, nil
}

// record decides where the trainee's archive will be, and what of the class path it is for.
func (t *Trainee) record(g *gatherer, options, classPath []string) error {
	if !classarchive.Supported(t.java.Spec) {
		return fail(Distribution, fmt.Errorf("Java %s cannot make archives of an application's classes: expected 13 or later", t.java.Version), "")
	}
	if o := g.env.decided(options); o != "" {
		return fail(Configuration, fmt.Errorf("the Java option %s decides about archives of classes, or rules them out", o), "such a process starts without an archive; take the option out, or leave warmup out")
	}
	if t.jars = classarchive.Archivable(classPath); len(t.jars) == 0 {
		return failf(Distribution, "the class path begins with %s, which is no file", classPath[0])
	}
	file, _ := g.archiveFile(t.Name)
	abs, err := filepath.Abs(file)
	if err != nil {
		return fail(Write, err, "")
	}
	t.archive, t.made = abs, filepath.Join(filepath.Dir(abs), fmt.Sprintf(".%s.flink-entrypoint-%d", filepath.Base(abs), os.Getpid()))
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		return fail(Write, err, writeHint(err))
	}
	confpatch.RemoveStaleTemps(filepath.Dir(abs))
	return nil
}

// local is a debug run of a few rows, which ends by itself.
func (p *warmup) local(ctx context.Context) (Training, error) {
	opts := p.opts
	opts.Definition = filepath.Join(p.dir, "debug.sql")
	if err := os.WriteFile(opts.Definition, []byte(trainingScript), 0o644); err != nil {
		return Training{}, fail(Write, err, writeHint(err))
	}
	w := p.world
	w.Args, w.Warnings = nil, nil
	w.Env = setEnv(withoutVariables(w.Env), "TMPDIR", p.dir)
	g := newGatherer(Explain, localRole, opts, w)
	if err := g.distribution(ctx); err != nil {
		return Training{}, err
	}
	file, _ := g.archiveFile(debugArchive)
	jar := filepath.Join(filepath.Dir(file), sqlrunner.JarName)
	if err := os.MkdirAll(filepath.Dir(jar), 0o755); err != nil {
		return Training{}, fail(Write, err, writeHint(err))
	}
	if _, err := confpatch.WriteFile(jar, sqlrunner.Jar(), 0o644); err != nil {
		return Training{}, fail(Write, err, writeHint(err))
	}
	l, err := debugRun(ctx, true, opts, DebugOptions{Rows: 20}, w, true)
	out := Training{local: l}
	if err != nil {
		out.Close()
		return out, err
	}
	t := &Trainee{Name: debugArchive, Path: l.Path, Env: l.Env, Log: filepath.Join(l.Dir, "output"), java: archiveJava(l.Java)}
	if err := t.record(l.g, nil, l.ClassPath); err != nil {
		out.Close()
		return out, err
	}
	t.Argv = slices.Concat(l.Argv[:1], classarchive.MakeOptions(t.made, t.java.Spec), l.Argv[1:])
	out.Trainees = []*Trainee{t}
	return out, nil
}

// Archives reports whether the trainee leaves an archive.
func (t *Trainee) Archives() bool { return t.archive != "" }

// Discard removes what a run that failed has left.
func (t *Trainee) Discard() {
	if t.made != "" {
		_ = os.Remove(t.made)
	}
}

// Keep puts the archive that the ended process has left into force, and returns its path and size.
func (t *Trainee) Keep() (path string, size int64, err error) {
	st, err := os.Stat(t.made)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, failf(Distribution, "Java %s left no archive of the classes of %s", t.java.Version, t.Name)
	}
	if err == nil {
		err = classarchive.Break(t.archive)
	}
	if err == nil {
		err = os.Rename(t.made, t.archive)
	}
	if err == nil {
		err = classarchive.Seal(t.archive, t.java, t.jars, func(path string, content []byte) error {
			_, err := confpatch.WriteFile(path, content, 0o644)
			return err
		})
	}
	if err != nil {
		return "", 0, fail(Write, fmt.Errorf("cannot put the archive in place: %w", err), writeHint(err))
	}
	return t.archive, st.Size(), nil
}
