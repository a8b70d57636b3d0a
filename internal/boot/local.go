package boot

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
)

// localRole stands where a role would: neither cluster nor process of Flink, so nothing of the container is asked.
const localRole = "local"

// Local is a SQL job made ready to run, or to be checked, on this machine without a cluster: Debug and CheckEngine make it.
type Local struct {
	Definition DefinitionSeen
	Version    flinkconf.Version
	Java       distribution.Java // zero where nothing is started
	Script     Source
	Mocked     mock.Result // the parts are the init SQL and the user's script
	Init       []string    // the definition's init SQL, masked
	Warnings   []string
	// Path, Argv and Env start the runner. Its files are in Dir, which is to be removed by Close.
	Path string
	Argv []string
	Env  []string
	Dir  string
	// Log is where Flink logs; in Dir.
	Log       string
	ClassPath []string

	g          *gatherer
	parts      []mock.Part
	statements [2][]sqltext.Statement // of the init SQL and of the script, as they were written
	asking
}

// initPart names the init SQL in errors.
const initPart = "init.sql"

// Close removes the files of the run.
func (l *Local) Close() {
	if l.Dir != "" {
		_ = os.RemoveAll(l.Dir)
	}
}

// gatherLocal reads the definition and makes its init SQL and script. The Flink home may be missing where nothing will be
// started and none was named: the newest version is then assumed.
func gatherLocal(ctx context.Context, opts Options, w World, starts bool) (*Local, error) {
	if opts.Definition == "" {
		return nil, fail(Usage, errNoDefinition, "name a definition or a .sql file")
	}
	g := newGatherer(Explain, localRole, opts, w)
	l := &Local{g: g}
	if err := g.distribution(ctx); err != nil {
		if starts || g.env.get("FLINK_HOME") != "" {
			return l, err
		}
	}
	if starts {
		dir, err := os.MkdirTemp("", "flink-entrypoint-")
		if err != nil {
			return l, fail(Write, fmt.Errorf("cannot create a directory for this run: %w", err), "name a writable directory with TMPDIR")
		}
		l.Dir, l.Log = dir, filepath.Join(dir, "flink.log")
		g.opts.RunDir, g.plan.runDir = dir, dir // artifacts go there too
	}
	if err := g.definition(ctx); err != nil {
		return l, err
	}
	l.Definition = *g.plan.Definition
	if g.plan.Home == nil {
		if err := g.assumeVersion(); err != nil {
			return l, err
		}
	}
	if !g.def.SQL.Runs() {
		return l, fail(DefinitionInvalid, fmt.Errorf("%s has no SQL script", g.plan.Definition.URI), "a definition with sql.script or sql.scriptUri, or a .sql file")
	}
	if err := g.artifacts(ctx); err != nil {
		return l, err
	}
	statements, err := g.initStatements(g.def.SQL)
	if err != nil {
		return l, err
	}
	for _, s := range statements {
		l.Init = append(l.Init, s.Shown)
	}
	script, err := g.script(ctx, g.def.SQL)
	if err != nil {
		return l, err
	}
	l.Version = g.plan.Home.Version
	l.Script = g.source(string(script))
	init := string(catalog.Write(statements))
	l.statements[0], _ = sqltext.Split(init, l.dialect())
	l.parts = []mock.Part{{Name: initPart, Text: init}, l.withoutClusterSettings(string(script))}
	return l, nil
}

// assumeVersion stands in for a Flink home: the version that was named, else the newest known.
func (g *gatherer) assumeVersion() error {
	version, where := g.opts.FlinkVersion, "--flink-version"
	if version == "" {
		var err error
		if version, err = g.reveal(g.def.FlinkVersion, DefinitionInvalid); err != nil {
			return err
		}
		where = "flinkVersion"
	}
	if version == "" {
		version = "2.3"
	}
	v, err := flinkconf.ParseVersion(version)
	if err != nil {
		return fail(Usage, fmt.Errorf("%s: %w", where, err), "")
	}
	g.plan.Home = &distribution.Home{Version: v}
	return nil
}

// clusterSettings starts the keys that a script may SET for its cluster and that have no place here: where it runs, and
// what needs storage or services that this machine lacks.
func clusterSettings() []string {
	return []string{"execution.target", "execution.attached", "execution.checkpointing.", "execution.savepoint.", "state.checkpoints.", "state.savepoints.",
		"state.backend.changelog", "high-availability", "rest.", "jobmanager.", "restart-strategy", "yarn.", "kubernetes.", "pipeline.jars", "pipeline.classpaths"}
}

// withoutClusterSettings blanks the SET statements of such keys; every position and number stays.
func (l *Local) withoutClusterSettings(script string) mock.Part {
	l.statements[1], _ = sqltext.Split(script, l.dialect()) // an error is told later, with its place
	var part mock.Part
	out, left := []byte(script), []string(nil)
	for _, s := range l.statements[1] {
		key, _, ok, err := sqltext.ParseSet(s)
		if err != nil || !ok || !slices.ContainsFunc(clusterSettings(), func(p string) bool { return strings.HasPrefix(key, p) }) {
			continue
		}
		left = append(left, key)
		part.Left = append(part.Left, s.Offset)
		for i := s.Offset; i < s.Offset+len(s.Text); i++ {
			if out[i] != '\n' && out[i] != '\r' {
				out[i] = ' '
			}
		}
	}
	if len(left) > 0 {
		l.Warnings = append(l.Warnings, "left out here, they are for a cluster: SET "+strings.Join(left, ", "))
	}
	part.Text = string(out)
	return part
}

func (l *Local) dialect() sqltext.Dialect {
	v := l.g.plan.Home.Version
	return sqltext.DialectOf(v.Major, v.Minor)
}

// runtimeMode is that of the definition's configuration; a SET in the script beats it.
func runtimeMode(d *jobdef.Definition) string {
	mode := ""
	for _, s := range d.Configuration {
		if s.Key == "execution.runtime-mode" {
			mode, _ = s.Value.Plain()
		}
	}
	return mode
}

// configuration is what the environment of a local run is created with: what the definition says about tables and
// pipelines, and a small cluster inside this process.
func (l *Local) configuration() map[string]string {
	conf := map[string]string{
		"parallelism.default":                     "1",
		"table.exec.resource.default-parallelism": "1",
		"rest.address":                            "127.0.0.1",
		"rest.bind-address":                       "127.0.0.1",
		"rest.bind-port":                          "0",
		"web.submit.enable":                       "false",
		"restart-strategy":                        "none",
		"restart-strategy.type":                   "none",
		"execution.buffer-timeout.interval":       "10 ms", // rows appear as they come
		"io.tmp.dirs":                             l.Dir,
	}
	for _, s := range l.g.def.Configuration {
		if strings.HasPrefix(s.Key, "table.") && !s.Value.IsReference() {
			conf[s.Key], _ = s.Value.Plain()
		}
	}
	return conf
}

// script writes the files that the runner reads in a mode.
func (l *Local) script(mode sqlrunner.Mode, parts []mock.Part, tables [][3]string) (sqlrunner.Plan, error) {
	g, v := l.g, l.Version
	var script []sqlrunner.Part
	for _, p := range parts {
		script = append(script, sqlrunner.Part{Name: p.Name, Text: p.Text})
	}
	plan, err := sqlrunner.Prepare(script, sqlrunner.Options{Mode: mode, Dialect: l.dialect(), RuntimeMode: runtimeMode(l.g.def), Configuration: l.configuration(),
		Tables: tables, Secrets: g.secrets, Sensitive: func(key string) bool { return flinkconf.IsSensitive(key, v) }})
	if err != nil {
		return plan, l.scriptError(err)
	}
	return plan, l.write(map[string][]byte{scriptFile: plan.Script, indexFile: plan.Index})
}

// Names of files in Local.Dir.
const (
	scriptFile  = "job.sql"
	indexFile   = "job.idx"
	loggingFile = "log4j2.properties"
)

func (l *Local) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(l.Dir, name), content, 0o600); err != nil {
			return fail(Write, err, writeHint(err))
		}
	}
	return nil
}

// command makes the command of the runner, which starts in a mode.
func (l *Local) command(ctx context.Context, mode sqlrunner.Mode) (err error) {
	g, v := l.g, l.Version
	if !featuresOf(v).localRun {
		return failf(Distribution, "running SQL here needs Flink 1.14 or later, this is %s", v)
	}
	if l.Java, err = distribution.FindJava("", g.env.lookup); err != nil {
		return g.distributionError(err)
	}
	if distribution.TooOld(v, l.Java.Spec) {
		return failf(Distribution, "%s", distribution.Supports(v, l.Java.Spec))
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
	if err := l.write(files); err != nil {
		return err
	}
	l.Path = l.Java.Path
	// The runner stands where an archive of shared classes had it: behind Flink's jars.
	n := len(g.plan.Home.Jars())
	l.ClassPath = slices.Concat(jars[:n], []string{runner}, jars[n:])
	l.Argv = append(append([]string{"java"}, l.startOptions()...), l.javaOptions()...)
	l.Argv = append(l.Argv, "-Dlog4j.configurationFile="+filepath.Join(l.Dir, loggingFile), "-Dlog.file="+l.Log, "-Djava.io.tmpdir="+l.Dir,
		"-classpath", strings.Join(l.ClassPath, ":"), sqlrunner.MainClass)
	l.Argv = append(l.Argv, sqlrunner.Arguments(mode, filepath.Join(l.Dir, scriptFile), filepath.Join(l.Dir, indexFile))...)
	// A configuration directory with nothing in it: what a cluster's file says (addresses, stores) does not hold here.
	conf := filepath.Join(l.Dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return fail(Write, err, writeHint(err))
	}
	for _, name := range []string{"flink-conf.yaml", "config.yaml"} {
		if name == "flink-conf.yaml" && featuresOf(v).standardConf {
			continue
		}
		if err := os.WriteFile(filepath.Join(conf, name), []byte("parallelism.default: 1\n"), 0o600); err != nil {
			return fail(Write, err, writeHint(err))
		}
	}
	l.Env = setEnv(g.world.Env, "FLINK_CONF_DIR", conf)
	l.Env = setEnv(l.Env, "FLINK_PLUGINS_DIR", g.plan.Home.PluginsDir)
	return nil
}

// startOptions are for a fast start: classes from an archive, else nearly 20,000 of them read without being verified, which is
// a seventh of the time to the first row. What runs here has every right of the person who runs it anyway.
func (l *Local) startOptions() []string {
	if archive := l.archiveOptions(); archive != nil || l.g.training { // an archive must be of verified classes
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
		for _, o := range moduleOptions() {
			out = append(out, o.option+"="+o.target+"=ALL-UNNAMED")
		}
	}
	return out
}

// jars is the class path without the runner: Flink's, usrlib's, and those artifacts that an application cluster would load.
func (l *Local) jars(ctx context.Context) ([]string, error) {
	g := l.g
	if len(g.plan.Artifacts) > 0 {
		if err := g.plan.fetchArtifacts(ctx, g.world.Log); err != nil {
			return nil, err
		}
	}
	jars := g.plan.Home.Jars()
	for _, home := range []string{"usrlib"} {
		_ = filepath.WalkDir(filepath.Join(g.plan.Home.Dir, home), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".jar") {
				jars = append(jars, path)
			}
			return nil
		})
	}
	for _, a := range g.plan.Artifacts {
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

// Source is the user's script and where its lines stand.
type Source struct {
	File   string // redacted URI of the document
	Field  string // of the definition, "" for a script of its own
	lines  []string
	first  int      // line of the document on which the script begins; 0 when its lines are not those of the document
	indent []string // the document's lines from there
}

// source finds out where the script's lines stand in the file that the user wrote.
func (g *gatherer) source(script string) Source {
	s := Source{File: g.plan.Definition.URI, lines: splitLines(strings.TrimPrefix(script, "\uFEFF"))}
	if !g.def.SQL.ScriptURI.IsZero() {
		s.File, s.first = fetch.Redact(g.def.SQL.ScriptURI.String()), 1
		return s
	}
	s.first = g.def.SQL.Script.Line()
	if s.first == 0 || g.def.SQL.Script.IsReference() {
		s.first, s.Field = 0, g.def.SQL.Script.Path()
		return s
	}
	if path, _, _ := strings.Cut(g.opts.Definition, "?"); !strings.HasSuffix(path, ".sql") {
		s.Field = "sql.script"
		if lines := splitLines(string(g.document)); s.first <= len(lines) {
			s.indent = lines[s.first-1:]
		}
	}
	return s
}

func splitLines(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "\uFEFF")
	}
	return lines
}

// Line returns a line of the script, "" where there is none.
func (s *Source) Line(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	return s.lines[line-1]
}

// Place maps a place of the script to the user's file. ok is false where the script's lines are not the file's, as in JSON.
func (s *Source) Place(line, column int) (fileLine, fileColumn int, ok bool) {
	if s.first == 0 {
		return line, column, false
	}
	if s.indent == nil {
		return s.first + line - 1, column, s.Field == ""
	}
	text := s.Line(line)
	if line < 1 || line > len(s.indent) || !strings.HasSuffix(s.indent[line-1], text) {
		return line, column, false
	}
	return s.first + line - 1, column + len(s.indent[line-1]) - len(text), true
}
