package localrun

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/sqlrunner"
)

// firstLocal is the first release whose runner works without a cluster.
func firstLocal() flinkversion.Release { return flinkversion.Since(1, 14) }

// ArchiveName is the name of the class archive of local runs.
const ArchiveName = "debug"

// Engine is how Java with the runner in it is started; it then takes requests on its standard input. All its files are in Dir;
// Java's temporary ones are in Temp.
type Engine struct {
	Path      string
	Argv, Env []string
	Dir, Temp string
	Log       string // where Flink logs
	ClassPath []string
	Java      distribution.Java
	Bounded   bool // its lines are cut where they are long: they are not of the user of this machine
}

// engineOptions are what an engine is made of.
type engineOptions struct {
	home         *distribution.Home
	env          []string
	jars         []string // the class path without ours: Flink's and, after them, others
	classArchive string   // boot.Options.ClassArchive
	training     bool     // for an archive of classes: from none, and with nothing on the class path that moves
	java         []string // more options
	temp         string   // for Java's temporary files, as it sees them; "": the engine's directory
	warn         func(string)
}

// newEngine writes the files of an engine into dir.
func newEngine(dir string, o engineOptions) (Engine, error) {
	e := Engine{Dir: dir, Temp: cmp.Or(o.temp, dir)}
	e.Log = filepath.Join(e.Temp, "flink.log")
	v, vars := o.home.Version, environ.Of(o.env)
	if !v.Reaches(firstLocal()) {
		return e, phase.Failf(phase.Distribution, "running SQL here needs Flink %s or later, this is %s", firstLocal(), v)
	}
	var err error
	if e.Java, err = distribution.FindJava("", vars.Lookup); err != nil {
		return e, boot.DistributionError(err)
	}
	if distribution.TooOld(v, e.Java.Spec) {
		return e, phase.Failf(phase.Distribution, "%s", distribution.Supports(v, e.Java.Spec))
	}
	runner := o.runnerJar(dir)
	files := map[string][]byte{loggingFile: []byte(localLogging)}
	if filepath.Dir(runner) == dir {
		files[sqlrunner.JarName] = sqlrunner.Jar()
	}
	e.Path = e.Java.Path
	// The runner is where an archive of shared classes had it: after Flink's jars.
	n := len(o.home.Jars())
	e.ClassPath = slices.Concat(o.jars[:n], []string{runner}, o.jars[n:])
	if !o.training { // an archive holds for jars that stay where they are
		connector := filepath.Join(dir, sqlrunner.ConnectorJarName)
		files[sqlrunner.ConnectorJarName] = sqlrunner.ConnectorJar()
		e.ClassPath = append(e.ClassPath, connector)
	}
	if err := writeFiles(dir, files); err != nil {
		return e, err
	}
	e.Argv = slices.Concat([]string{"java"}, o.startOptions(e, vars), e.javaOptions(), o.java)
	e.Argv = append(e.Argv, "-Dlog4j.configurationFile="+filepath.Join(dir, loggingFile), "-Dlog.file="+e.Log, "-Djava.io.tmpdir="+e.Temp,
		"-classpath", strings.Join(e.ClassPath, ":"), sqlrunner.MainClass)
	if o.training {
		e.Argv = append(e.Argv, sqlrunner.Arguments(sqlrunner.Local, filepath.Join(dir, scriptFile), filepath.Join(dir, indexFile))...)
	} else {
		e.Argv = append(e.Argv, sqlrunner.Serve)
	}
	// A configuration directory with nothing in it: what a cluster's file says (addresses, stores) does not hold here.
	conf := filepath.Join(dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return e, phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	for _, name := range []string{confpatch.LegacyName, confpatch.StandardName} {
		if name == confpatch.LegacyName && confpatch.ReadsStandard(v) {
			continue
		}
		if err := os.WriteFile(filepath.Join(conf, name), []byte("parallelism.default: 1\n"), 0o600); err != nil {
			return e, phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	e.Env = environ.Set(environ.WithoutCredentials(o.env), "FLINK_CONF_DIR", conf)
	e.Env = environ.Set(e.Env, "FLINK_PLUGINS_DIR", o.home.PluginsDir)
	return e, nil
}

// Names of files in Engine.Dir. The script and its index are there for a training alone.
const (
	scriptFile  = "job.sql"
	indexFile   = "job.idx"
	loggingFile = "log4j2.properties"
)

func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	return nil
}

// command makes the engine of the run.
func (l *Local) command(ctx context.Context) error {
	jars, err := l.jars(ctx)
	if err != nil {
		return err
	}
	l.Engine, err = newEngine(l.Dir, engineOptions{home: l.place.Home, env: l.proc.Env, jars: jars, classArchive: l.opts.ClassArchive,
		training: l.training, warn: func(w string) { l.Warnings = append(l.Warnings, w) }})
	return err
}

// startOptions are for a fast start: classes from an archive, else nearly 20,000 of them read without being verified, which is
// a seventh of the time to the first row. What runs here has every right of the person who runs it anyway.
func (o engineOptions) startOptions(e Engine, vars environ.Vars) []string {
	if archive := o.archiveOptions(e, vars); archive != nil || o.training { // an archive must be of verified classes
		return archive
	}
	return []string{"-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"}
}

// javaOptions make a JVM for a run of seconds: compiled quickly rather than well, one small collector.
func (e Engine) javaOptions() []string {
	out := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-XX:-UsePerfData", "-Xms128m", "-XX:MaxRAMPercentage=60", "-Dfile.encoding=UTF-8"}
	if e.Java.Spec == 8 {
		out = slices.DeleteFunc(out, func(o string) bool { return o == "-XX:MaxRAMPercentage=60" }) // before 8u191 it does not start with it
	}
	if e.Java.Spec >= 17 {
		out = append(out, flinkoptions.Modules()...)
	}
	return out
}

// jars is the class path without the runner: Flink's, usrlib's, and those artifacts that an application cluster would load.
func (l *Local) jars(ctx context.Context) ([]string, error) {
	if l.served != nil {
		if l.Brings() {
			if err := l.bring(); err != nil {
				return nil, err
			}
		}
	} else if len(l.place.Artifacts) > 0 {
		if err := l.run.FetchArtifacts(ctx, l.place.Artifacts); err != nil {
			return nil, err
		}
	}
	jars := l.place.Home.Jars()
	brought := map[string]bool{} // in place of the image's jar of that name, as at a start
	for _, a := range l.place.Artifacts {
		if filepath.Dir(a.Path) == filepath.Join(l.Dir, "usrlib") {
			brought[filepath.Base(a.Path)] = true
		}
	}
	usrlib := filepath.Join(l.place.Home.Dir, "usrlib")
	_ = filepath.WalkDir(usrlib, func(path string, d fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(usrlib, path); err == nil && !d.IsDir() && strings.HasSuffix(path, ".jar") && !brought[name] {
			jars = append(jars, path)
		}
		return nil
	})
	for _, a := range l.place.Artifacts {
		dir := filepath.Dir(a.Path)
		if strings.HasSuffix(a.Path, ".jar") && (dir == filepath.Join(l.Dir, "usrlib") || dir == filepath.Join(l.Dir, "extra-lib")) {
			jars = append(jars, a.Path)
		}
	}
	return jars, nil
}

// localLogging keeps Flink's log off the terminal, in a file that is named where something fails.
const localLogging = `rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.immediateFlush = false
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1.} - %m%n
`

// runnerJar is where a local run has the runner's jar: beside an archive of its classes, which holds only for jars that stay
// where they are, if the one there is ours, else in the run's own directory.
func (o engineOptions) runnerJar(dir string) string {
	if file, off := classarchive.Place(o.classArchive, o.home.Dir, ArchiveName); !off {
		jar := filepath.Join(filepath.Dir(file), sqlrunner.JarName)
		if have, err := os.ReadFile(jar); err == nil && bytes.Equal(have, sqlrunner.Jar()) {
			return jar
		}
	}
	return filepath.Join(dir, sqlrunner.JarName)
}

// archiveOptions let an engine start from an archive of its classes, where there is one that fits.
func (o engineOptions) archiveOptions(e Engine, vars environ.Vars) []string {
	if o.training || classarchive.Decided(nil, vars.Get) != "" {
		return nil
	}
	file, warning := classarchive.Find(o.classArchive, o.home.Dir, ArchiveName, e.ArchiveJava(), e.ClassPath)
	if warning != "" {
		o.warn(warning)
	}
	if file == "" {
		return nil
	}
	return classarchive.UseOptions(file, e.Java.Spec)
}

// ArchiveJava names Java together with the kind of its references: the heap of a local run follows the machine's memory
// (javaOptions), and an archive is for one kind.
func (e Engine) ArchiveJava() distribution.Java {
	java := e.Java
	const percent = 60
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err == nil && machine.Totalram*uint64(machine.Unit)/100*percent >= 32<<30-64<<20 {
		java.Version += " with a heap of 32 GiB and more"
	}
	return java
}
