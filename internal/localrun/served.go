package localrun

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/sqlrunner"
)

// Served makes engines, and scripts ready for them, for users of a server: the script of one may run on an engine that was started
// before it. The server must have refused what names files, addresses, variables or classes; see package workbench.
type Served struct {
	env    []string
	opts   boot.Options
	home   *distribution.Home
	log    *slog.Logger
	beside Beside

	index *factoryIndex
}

// Beside is what a script or definition may name beside its own text.
type Beside struct {
	// Artifact finds the file of an artifact by its URI in the definition, and its SHA-256. nil: a definition has no artifacts.
	Artifact func(uri string) (path, sha256 string, err error)
	// Jars are the files of the jars that a script names, by the name without a directory.
	Jars map[string]string
	// Env are variables ("K=V") that references may name, and Files the places of files that they may name. Java gets neither.
	Env   []string
	Files map[string]string
	// InLiterals: places in a script that is a JSON string are places of the document.
	InLiterals bool
	// Dir is where the files of runs are, "" for the one for temporary files. Java sees the files of its run alone.
	Dir string
}

// With is the same for a script that names more.
func (s *Served) With(b Beside) *Served {
	out := *s
	out.beside = b
	return &out
}

// dirOfRuns is where the files of runs are. s may be nil.
func (s *Served) dirOfRuns() string {
	if s == nil {
		return ""
	}
	return s.beside.Dir
}

// Serve reads the Flink home. env is all that Java gets of the environment.
func Serve(home, classArchive string, env []string, log *slog.Logger) (*Served, error) {
	s := &Served{env: environ.Set(env, "FLINK_HOME", home), opts: boot.Options{ClassArchive: classArchive}, log: log, index: new(factoryIndex)}
	var err error
	s.home, err = boot.New(boot.Explain, role, s.opts, s.world()).OpenHome()
	return s, err
}

// Version is the version of Flink.
func (s *Served) Version() flinkversion.Version { return s.home.Version }

// Needed are the directories of the Flink home that engines load from, and the files that links in them name. Its configuration is not among them: it may have credentials.
func (s *Served) Needed() []string {
	var out []string
	for _, dir := range []string{s.home.LibDir, s.home.PluginsDir, filepath.Join(s.home.Dir, "usrlib")} {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			out = append(out, dir)
		}
	}
	for _, jar := range s.home.Jars() { // one may be a link to another place
		if real, err := filepath.EvalSymlinks(jar); err == nil && real != jar {
			out = append(out, real)
		}
	}
	return out
}

// Jars is the class path of Flink itself.
func (s *Served) Jars() []string { return s.home.Jars() }

// Makes reports whether a jar of Flink's class path makes catalogs of a type.
func (s *Served) Makes(catalog string) bool { return !s.index.absentCatalogs(s.home.Jars())(catalog) }

// world has no log: what a user sent, and its passing place, are of no use there.
func (s *Served) world() boot.World {
	env := s.env
	for _, kv := range s.beside.Env {
		name, value, _ := strings.Cut(kv, "=")
		env = environ.Set(env, name, value)
	}
	return boot.World{Env: env, SecretFiles: s.beside.Files, Log: slog.New(slog.DiscardHandler)}
}

// Java is the Java that engines start, and Archive the directory with the archive of its classes and what belongs to that, "" without one.
func (s *Served) Java() (java distribution.Java, archive string, err error) {
	if java, err = distribution.FindJava("", environ.Of(s.env).Lookup); err != nil {
		return java, "", boot.DistributionError(err)
	}
	if file, off := classarchive.Place(s.opts.ClassArchive, s.home.Dir, ArchiveName); !off {
		if _, err := os.Stat(filepath.Dir(file)); err == nil {
			archive = filepath.Dir(file)
		}
	}
	return java, archive, nil
}

// EngineOptions are of one engine.
type EngineOptions struct {
	For  *Local   // whose jars it has; nil: only jars of Flink
	Temp string   // Java's directory for temporary files, as Java sees it; "": the engine's
	Java []string // more options of Java
}

// Engine writes the files of an engine into dir, which exists and is empty. Each engine of one Served that is for no Local can run the scripts
// of the others, but for those that bring jars.
func (s *Served) Engine(ctx context.Context, dir string, o EngineOptions) (Engine, error) {
	options := engineOptions{home: s.home, env: s.env, jars: s.home.Jars(), classArchive: s.opts.ClassArchive, java: append([]string{sqlrunner.Exact}, o.Java...), temp: o.Temp,
		warn: func(w string) { s.log.Warn(w) }}
	if l := o.For; l != nil {
		jars, err := l.jars(ctx)
		if err != nil {
			return Engine{}, err
		}
		options.home, options.jars = l.place.Home, jars
	}
	e, err := newEngine(dir, options)
	e.Bounded = true
	return e, err
}

// write writes what a user sent where it can be read as any other job.
func (s *Served) write(name string, source []byte) (opts boot.Options, remove func(), err error) {
	dir, err := os.MkdirTemp(s.beside.Dir, "flink-entrypoint-")
	if err != nil {
		return opts, nil, phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	opts = s.opts
	opts.Definition = filepath.Join(dir, "job.yaml")
	if strings.HasSuffix(name, ".sql") {
		opts.Definition = filepath.Join(dir, "job.sql")
	}
	if err = os.WriteFile(opts.Definition, source, 0o600); err != nil {
		err = phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	return opts, func() { os.RemoveAll(dir) }, err
}

// Debug makes a job ready to run on an engine: a definition, or a script alone where name ends in .sql. The caller closes the
// result, which may be nil with an error.
func (s *Served) Debug(ctx context.Context, name string, source []byte, o Options) (*Local, error) {
	opts, remove, err := s.write(name, source)
	if err != nil {
		return nil, err
	}
	defer remove()
	o.served = s
	return Debug(ctx, true, opts, o, s.world())
}

// Check makes a job ready to be planned on an engine, as Debug does.
func (s *Served) Check(ctx context.Context, name string, source []byte) (*Local, error) {
	opts, remove, err := s.write(name, source)
	if err != nil {
		return nil, err
	}
	defer remove()
	return check(ctx, opts, s.world(), s)
}

// WarmUp is the request that loads what most scripts need. Its answer is a line that [sqlrunner.ParseReady] reads.
func (s *Served) WarmUp(ctx context.Context) ([]byte, error) {
	l, err := s.Debug(ctx, "warmup.sql", []byte(warmUpScript), Options{Rows: 20})
	if l != nil {
		defer l.Close()
	}
	if err != nil {
		return nil, err
	}
	l.mode = sqlrunner.Warm
	if err := l.request(l.mode, nil); err != nil {
		return nil, err
	}
	return l.next, nil
}

// WarmUpCheck is the check of the script of WarmUp. The caller closes it.
func (s *Served) WarmUpCheck(ctx context.Context) (*Local, error) {
	return s.Check(ctx, "warmup.sql", []byte(warmUpScript))
}

// warmUpScript has what jobs have most often: a join, an aggregation, a window, a filter, a computed column and a query. Its rows are few,
// so that it is over in a second or two.
const warmUpScript = `CREATE TABLE events (id BIGINT, name STRING, price DECIMAL(10, 2), ts BIGINT, event_time AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR event_time AS event_time - INTERVAL '1' SECOND)
  WITH ('connector' = 'kafka');
CREATE TABLE people (id BIGINT, country STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'kafka');
CREATE TABLE sums (country STRING, n BIGINT, people BIGINT, total DECIMAL(38, 2), PRIMARY KEY (country) NOT ENFORCED) WITH ('connector' = 'kafka');
CREATE TABLE windows (window_end TIMESTAMP(3), n BIGINT) WITH ('connector' = 'kafka');
CREATE TABLE names (id BIGINT, name STRING) WITH ('connector' = 'kafka');
CREATE TEMPORARY VIEW located AS SELECT e.*, p.country FROM events AS e LEFT JOIN people AS p ON e.id = p.id;
INSERT INTO sums SELECT COALESCE(country, 'none'), COUNT(*), COUNT(DISTINCT id), SUM(price) FROM located GROUP BY COALESCE(country, 'none');
INSERT INTO windows SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;
INSERT INTO names SELECT id, UPPER(name) FROM events WHERE id > 3;
SELECT name, COUNT(*) FROM events GROUP BY name;
`

// plannedAway are the connectors whose tables are planned for users of a server: their planning reads no file and calls no other machine.
func plannedAway() []string {
	return []string{"datagen", "print", "blackhole", "kafka", "upsert-kafka"}
}
