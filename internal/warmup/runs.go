package warmup

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

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/rundir"
	"flink-entrypoint/internal/sqlrunner"
)

// training is one run of processes, that ends when they have loaded the classes of a start and of a job.
type training struct {
	trainees []*trainee
	ready    string // a URL that answers when the first trainee is up; "" for a process that ends by itself
	job      bool   // a job runs then: its tasks have to run, and a checkpoint has to be completed
	// submit is the jar, the class and the arguments of a job to hand to a session cluster; nil where the job comes with the start.
	submit []string
}

// trainee is a process of a training run.
type trainee struct {
	name string
	path string
	argv []string
	env  []string
	log  string // the file for what it prints

	archive string              // where the archive belongs; "" for one that only helps the others
	made    *atomicfile.TempDir // where the JVM leaves it
	java    distribution.Java
	jars    []string
}

// preparation makes the training runs. All files but the archives are in dir.
type preparation struct {
	dir   string
	opts  boot.Options
	world boot.World
	count int // of prepared roles

	recording []*trainee        // those with a temporary directory for their archive
	locals    []*localrun.Local // local runs, whose files are to be removed
}

// discard removes what the runs have left, except archives that are in place.
func (p *preparation) discard() {
	for _, l := range p.locals {
		l.Close()
	}
	for _, t := range p.recording {
		t.made.Discard()
	}
}

// archives returns the names of the archives that roles start from, each once.
func archives(roles []string) (names []string) {
	for _, r := range roles {
		if n := boot.ArchiveName(r); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// runs prepares the runs that leave an archive of shared classes for each name.
func (p *preparation) runs(ctx context.Context, names []string) (out []training, err error) {
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, &phase.Error{Phase: phase.Usage, Err: fmt.Errorf("warmup: found %q, expected a role or %s", n, localrun.ArchiveName), Hint: "the names are: " + strings.Join(Names(), ", ")}
		}
	}
	names = archives(names)
	if p.opts.ClassArchive == "off" || strings.HasSuffix(p.opts.ClassArchive, ".jsa") && len(names) > 1 {
		return nil, phase.Fail(phase.Usage, fmt.Errorf("--class-archive %s: expected a directory to make archives in", p.opts.ClassArchive), "without the flag, it is $FLINK_HOME/"+classarchive.DirName)
	}
	has := func(name string) bool { return slices.Contains(names, name) }
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
	if has(localrun.ArchiveName) {
		t, err := p.local(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
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

// freePorts returns loopback ports that are free at the moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, phase.Fail(phase.Distribution, fmt.Errorf("cannot find a free port: %w", err), "a training run needs the loopback interface")
		}
		defer l.Close() // all are held until the last is found, so that none is given twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// trainingProperties keep a training run to itself, whatever the configuration of the image says: on the loopback interface,
// without services that a build does not have.
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
func (p *preparation) cluster(ctx context.Context, role string, archive, archiveTaskManager bool) (training, error) {
	ports, err := freePorts(2)
	if err != nil {
		return training{}, err
	}
	properties := fmt.Sprintf(trainingProperties, ports[0], ports[1], filepath.Join(p.dir, "tmp"))
	t := training{job: true, ready: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	job, script, err := p.trainee(ctx, "standalone-job", properties, archive && role == "standalone-job")
	if err != nil {
		return t, err
	}
	if role != "standalone-job" {
		jar := filepath.Join(filepath.Dir(script), "usrlib", sqlrunner.JarName)
		t.submit = append([]string{jar, sqlrunner.MainClass}, sqlrunner.Arguments(sqlrunner.Application, script, filepath.Join(filepath.Dir(script), "job.idx"))...)
		if job, _, err = p.trainee(ctx, role, properties, archive); err != nil {
			return t, err
		}
	}
	tm, _, err := p.trainee(ctx, "taskmanager", properties, archiveTaskManager)
	t.trainees = []*trainee{job, tm}
	return t, err
}

// server is a role that is alone.
func (p *preparation) server(ctx context.Context, role string) (training, error) {
	ports, err := freePorts(1)
	if err != nil {
		return training{}, err
	}
	properties, ready := "", ""
	switch role {
	case "history-server":
		archives := filepath.Join(p.dir, "history")
		if err := os.MkdirAll(archives, 0o755); err != nil {
			return training{}, phase.Fail(phase.Write, err, phase.WriteHint(err))
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
	return training{trainees: []*trainee{t}, ready: fmt.Sprintf("http://127.0.0.1:%d%s", ports[0], ready)}, err
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

// trainee prepares a role, and writes its files. script is the path of the job's script, where it has one.
func (p *preparation) trainee(ctx context.Context, role, properties string, archive bool) (t *trainee, script string, err error) {
	p.count++
	dir := filepath.Join(p.dir, fmt.Sprintf("%d-%s", p.count, role))
	for _, d := range []string{dir, filepath.Join(dir, "log"), filepath.Join(p.dir, "tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, "", phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	opts := boot.Options{RunDir: filepath.Join(dir, "run"), ConfDir: p.opts.ConfDir, FlinkVersion: p.opts.FlinkVersion, Sysroot: p.opts.Sysroot, MemoryPolicy: "limit", MemoryLimit: "1728m",
		MemoryRatio: "1.0", Slots: "keep", FetchTimeout: p.opts.FetchTimeout, ClassArchive: p.opts.ClassArchive}
	w := p.world
	w.Args, w.Warnings = nil, nil
	w.Env = append(withoutVariables(w.Env), "FLINK_PROPERTIES="+properties, "FLINK_LOG_DIR="+filepath.Join(dir, "log"), "FLINK_PID_DIR="+dir)
	if role == "standalone-job" {
		opts.Definition = filepath.Join(dir, "warmup.sql")
		if err := os.WriteFile(opts.Definition, []byte(trainingScript), 0o644); err != nil {
			return nil, "", phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	run := boot.New(boot.Train, role, opts, w)
	plan, err := run.Gather(ctx)
	if err != nil {
		return nil, "", err
	}
	plan.Warnings = nil // of a configuration that is not the real one
	if _, err := run.Apply(ctx, plan); err != nil {
		return nil, "", err
	}
	if plan.SQL != nil {
		script = plan.SQL.ScriptFile
	}
	cmd := plan.Command
	t = &trainee{name: role, path: cmd.Path, env: cmd.Env, log: filepath.Join(dir, "output"), java: plan.Java}
	if archive {
		if err := p.record(ctx, t, plan.Home, cmd.Options, cmd.ClassPath); err != nil {
			return nil, "", err
		}
		cmd.Prepend(classarchive.MakeOptions(t.made.File, t.java.Spec)...)
		for i, a := range cmd.Argv {
			if a == "-classpath" {
				cmd.Argv[i+1] = strings.Join(t.jars, ":")
				break
			}
		}
	}
	t.argv = cmd.Argv
	return t, script, nil
}

// record decides where the trainee's archive will be, and what of the class path it is for.
func (p *preparation) record(ctx context.Context, t *trainee, home *distribution.Home, options, classPath []string) error {
	if !classarchive.Supported(t.java.Spec) {
		return phase.Fail(phase.Distribution, fmt.Errorf("Java %s cannot make archives of an application's classes: expected 13 or later", t.java.Version), "")
	}
	if o := classarchive.Decided(options, environ.Of(p.world.Env).Get); o != "" {
		return phase.Fail(phase.Configuration, fmt.Errorf("the Java option %s selects or disables class archives itself", o), "a process with this option starts without an archive of warmup: remove the option, or do not run warmup")
	}
	if t.jars = classarchive.Archivable(classPath); len(t.jars) == 0 {
		return phase.Failf(phase.Distribution, "the class path begins with %s, which is not a file", classPath[0])
	}
	file, _ := classarchive.Place(p.opts.ClassArchive, home.Dir, t.name)
	abs, err := filepath.Abs(file)
	if err != nil {
		return phase.Fail(phase.Write, err, "")
	}
	t.archive = abs
	dir := filepath.Dir(abs)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return archiveError(err)
	}
	locks := rundir.Locks{Log: p.world.Log}
	lock, err := locks.Take(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	lock.RemoveStale(nil, dir)
	if t.made, err = atomicfile.CreateDir(abs); err != nil {
		return archiveError(err)
	}
	p.recording = append(p.recording, t)
	return nil
}

// local is a debug run of a few rows, which ends by itself.
func (p *preparation) local(ctx context.Context) (training, error) {
	opts := p.opts
	opts.Definition = filepath.Join(p.dir, "debug.sql")
	if err := os.WriteFile(opts.Definition, []byte(trainingScript), 0o644); err != nil {
		return training{}, phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	w := p.world
	w.Args, w.Warnings = nil, nil
	w.Env = environ.Set(withoutVariables(w.Env), "TMPDIR", p.dir)
	home, err := boot.New(boot.Explain, "", opts, w).OpenHome()
	if err != nil {
		return training{}, err
	}
	file, _ := classarchive.Place(opts.ClassArchive, home.Dir, localrun.ArchiveName)
	jar := filepath.Join(filepath.Dir(file), sqlrunner.JarName)
	if err := os.MkdirAll(filepath.Dir(jar), 0o755); err != nil {
		return training{}, archiveError(err)
	}
	if _, err := atomicfile.Write(jar, sqlrunner.Jar(), 0o644, atomicfile.Lasting); err != nil {
		return training{}, archiveError(err)
	}
	l, err := localrun.Debug(ctx, true, opts, localrun.Options{Rows: 20, Training: true}, w)
	if l != nil {
		p.locals = append(p.locals, l)
	}
	if err != nil {
		return training{}, err
	}
	t := &trainee{name: localrun.ArchiveName, path: l.Path, env: l.Env, log: filepath.Join(l.Dir, "output"), java: l.ArchiveJava()}
	if err := p.record(ctx, t, home, nil, l.ClassPath); err != nil {
		return training{}, err
	}
	t.argv = slices.Concat(l.Argv[:1], classarchive.MakeOptions(t.made.File, t.java.Spec), l.Argv[1:])
	return training{trainees: []*trainee{t}}, nil
}

// keep puts the archive that the ended process has left into force.
func (t *trainee) keep() (Archive, error) {
	st, err := os.Stat(t.made.File)
	if errors.Is(err, fs.ErrNotExist) {
		return Archive{}, phase.Failf(phase.Distribution, "Java %s did not write an archive of the classes of %s", t.java.Version, t.name)
	}
	if err == nil {
		err = classarchive.Break(t.archive)
	}
	if err == nil {
		err = t.made.Place(atomicfile.Lasting)
	}
	if err == nil {
		err = classarchive.Seal(t.archive, t.java, t.jars, func(path string, content []byte) error {
			_, err := atomicfile.Write(path, content, 0o644, atomicfile.Lasting)
			return err
		})
	}
	if err != nil {
		return Archive{}, archiveError(fmt.Errorf("cannot put the archive in place: %w", err))
	}
	return Archive{Name: t.name, File: t.archive, Size: st.Size()}, nil
}
