package localrun

import (
	"bytes"
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

// command makes the command of the runner, which starts in a mode.
func (l *Local) command(ctx context.Context, mode sqlrunner.Mode) (err error) {
	v := l.Version
	if !v.Reaches(firstLocal()) {
		return phase.Failf(phase.Distribution, "running SQL here needs Flink %s or later, this is %s", firstLocal(), v)
	}
	if l.Java, err = distribution.FindJava("", l.proc.Vars.Lookup); err != nil {
		return boot.DistributionError(err)
	}
	if distribution.TooOld(v, l.Java.Spec) {
		return phase.Failf(phase.Distribution, "%s", distribution.Supports(v, l.Java.Spec))
	}
	jars, err := l.jars(ctx)
	if err != nil {
		return err
	}
	runner := l.runnerJar()
	files := map[string][]byte{loggingFile: []byte(localLogging)}
	if filepath.Dir(runner) == l.Dir {
		files[sqlrunner.JarName] = sqlrunner.Jar()
	}
	l.Path = l.Java.Path
	// The runner is where an archive of shared classes had it: after Flink's jars.
	n := len(l.place.Home.Jars())
	l.ClassPath = slices.Concat(jars[:n], []string{runner}, jars[n:])
	if !l.training { // an archive holds for jars that stay where they are
		connector := filepath.Join(l.Dir, sqlrunner.ConnectorJarName)
		files[sqlrunner.ConnectorJarName] = sqlrunner.ConnectorJar()
		l.ClassPath = append(l.ClassPath, connector)
	}
	if err := l.write(files); err != nil {
		return err
	}
	l.Argv = append(append([]string{"java"}, l.startOptions()...), l.javaOptions()...)
	l.Argv = append(l.Argv, "-Dlog4j.configurationFile="+filepath.Join(l.Dir, loggingFile), "-Dlog.file="+l.Log, "-Djava.io.tmpdir="+l.Dir,
		"-classpath", strings.Join(l.ClassPath, ":"), sqlrunner.MainClass)
	l.Argv = append(l.Argv, sqlrunner.Arguments(mode, filepath.Join(l.Dir, scriptFile), filepath.Join(l.Dir, indexFile))...)
	// A configuration directory with nothing in it: what a cluster's file says (addresses, stores) does not hold here.
	conf := filepath.Join(l.Dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	for _, name := range []string{confpatch.LegacyName, confpatch.StandardName} {
		if name == confpatch.LegacyName && confpatch.ReadsStandard(v) {
			continue
		}
		if err := os.WriteFile(filepath.Join(conf, name), []byte("parallelism.default: 1\n"), 0o600); err != nil {
			return phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	l.Env = environ.Set(environ.WithoutCredentials(l.proc.Env), "FLINK_CONF_DIR", conf)
	l.Env = environ.Set(l.Env, "FLINK_PLUGINS_DIR", l.place.Home.PluginsDir)
	return nil
}

// startOptions are for a fast start: classes from an archive, else nearly 20,000 of them read without being verified, which is
// a seventh of the time to the first row. What runs here has every right of the person who runs it anyway.
func (l *Local) startOptions() []string {
	if archive := l.archiveOptions(); archive != nil || l.training { // an archive must be of verified classes
		return archive
	}
	return []string{"-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"}
}

// javaOptions make a JVM for a run of seconds: compiled quickly rather than well, one small collector.
func (l *Local) javaOptions() []string {
	out := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-XX:-UsePerfData", "-Xms128m", "-XX:MaxRAMPercentage=60", "-Dfile.encoding=UTF-8"}
	if l.Java.Spec == 8 {
		out = slices.DeleteFunc(out, func(o string) bool { return o == "-XX:MaxRAMPercentage=60" }) // before 8u191 it does not start with it
	}
	if l.Java.Spec >= 17 {
		out = append(out, flinkoptions.Modules()...)
	}
	return out
}

// jars is the class path without the runner: Flink's, usrlib's, and those artifacts that an application cluster would load.
func (l *Local) jars(ctx context.Context) ([]string, error) {
	if len(l.place.Artifacts) > 0 {
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
func (l *Local) runnerJar() string {
	if file, off := classarchive.Place(l.opts.ClassArchive, l.place.Home.Dir, ArchiveName); !off {
		jar := filepath.Join(filepath.Dir(file), sqlrunner.JarName)
		if have, err := os.ReadFile(jar); err == nil && bytes.Equal(have, sqlrunner.Jar()) {
			return jar
		}
	}
	return filepath.Join(l.Dir, sqlrunner.JarName)
}

// archiveOptions let a local run start from an archive of its classes, where there is one that fits.
func (l *Local) archiveOptions() []string {
	if l.training || classarchive.Decided(nil, l.proc.Vars.Get) != "" {
		return nil
	}
	file, warning := classarchive.Find(l.opts.ClassArchive, l.place.Home.Dir, ArchiveName, l.ArchiveJava(), l.ClassPath)
	if warning != "" {
		l.Warnings = append(l.Warnings, warning)
	}
	if file == "" {
		return nil
	}
	return classarchive.UseOptions(file, l.Java.Spec)
}

// ArchiveJava names Java together with the kind of its references: the heap of a local run follows the machine's memory
// (javaOptions), and an archive is for one kind.
func (l *Local) ArchiveJava() distribution.Java {
	java := l.Java
	const percent = 60
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err == nil && machine.Totalram*uint64(machine.Unit)/100*percent >= 32<<30-64<<20 {
		java.Version += " with a heap of 32 GiB and more"
	}
	return java
}
