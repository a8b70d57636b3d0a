// Package localrun runs a SQL job on this machine without a cluster, or lets Flink's planner check it: debug, and validate
// --engine.
//
// It takes the steps of a start up to the script, replaces tables by mocks, starts Java as a child with the runner, and reads
// what the runner prints. What goes out are the rows, and faults at their places in the user's file.
package localrun

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/internal/validate"
)

// role is used instead of a role: neither cluster nor process of Flink, so nothing of the container is asked.
const role = "local"

// Local is a SQL job made ready to run, or to be checked, on this machine without a cluster: [Debug] and [Check] make it.
type Local struct {
	Definition boot.DefinitionSeen
	Version    flinkversion.Version
	Script     *validate.Source
	Mocked     mock.Result // of a run; the parts are the init SQL and the user's script
	Shown      *mock.Shown // the same, where nothing is started
	Init       []string    // the definition's init SQL, masked
	Warnings   []string
	// Engine starts the runner; zero where nothing is started. Its Dir also has the job's artifacts, and is to be removed by Close.
	Engine

	opts       boot.Options
	run        *boot.Run
	proc       boot.Process
	job        *boot.Job
	place      *placement.Placement
	secrets    []string // what the runner masks
	training   bool     // for an archive of classes, see warmup
	served     *Served  // for whom it is; nil: the user of this machine
	brought    bool     // its jars are in place, see bring
	parts      []mock.Part
	statements [2]*sqltext.Script // of the init SQL and of the script, as they were written; nil where they cannot be cut, or nothing is started
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

// prepare reads the definition and makes its init SQL and script. The Flink home may be missing where nothing will be
// started and none was named: the newest version is then assumed.
func prepare(ctx context.Context, opts boot.Options, w boot.World, starts bool, served *Served) (*Local, error) {
	if opts.Definition == "" {
		return nil, phase.Fail(phase.Usage, boot.ErrNoDefinition, "name a definition or a .sql file")
	}
	l := &Local{opts: opts, served: served, run: boot.New(boot.Explain, role, opts, w)}
	home, err := l.run.OpenHome()
	if err != nil && (starts || environ.Of(w.Env).Get("FLINK_HOME") != "") {
		return l, err
	}
	if served != nil { // the server stays who it is
		l.proc = boot.Process{Env: w.Env, Vars: environ.Of(w.Env)}
	} else if l.proc, err = l.run.BecomeFlink(home); err != nil {
		return l, err
	}
	return l, l.proc.Denied(l.read(ctx, home, starts))
}

// read reads the definition, its artifacts' places, its init SQL and its script. home is nil without a Flink home.
func (l *Local) read(ctx context.Context, home *distribution.Home, starts bool) (err error) {
	if starts {
		if l.Dir, err = os.MkdirTemp(l.served.dirOfRuns(), "flink-entrypoint-"); err != nil {
			return phase.Fail(phase.Write, fmt.Errorf("cannot create a directory for this run: %w", err), "name a writable directory with TMPDIR")
		}
	}
	if l.job, err = l.run.ReadJob(ctx, l.proc, home); err != nil {
		return err
	}
	l.Definition = l.job.Seen
	if home == nil {
		version, err := l.job.AssumedVersion()
		if err != nil {
			return err
		}
		home = &distribution.Home{Version: version}
	}
	l.Version = home.Version
	if !l.job.SQL.Runs() {
		return phase.Fail(phase.DefinitionInvalid, fmt.Errorf("%s has no SQL script", l.Definition.URI), "a definition with sql.script or sql.scriptUri, or a .sql file")
	}
	l.place = l.run.Place(home, l.Dir) // artifacts go there too
	if err := l.job.AddArtifacts(l.place); err != nil {
		return err
	}
	init, err := l.job.Session(l.job.SQL, l.place)
	if err != nil {
		return err
	}
	l.Init = init.Shown()
	script, err := l.job.Script(ctx, l.Version)
	if err != nil {
		return err
	}
	l.secrets = slices.Concat(init.Secrets, script.Secrets)
	if l.Script = l.job.Source(script.Text); l.served != nil && l.served.beside.InLiterals {
		l.Script.InLiterals()
	}
	text := string(init.Text())
	if starts {
		l.statements[0], _ = sqltext.Cut(text, sqltext.DialectOf(l.Version))
	}
	l.parts = []mock.Part{{Name: initPart, Text: text}, l.withoutCluster(script.Text)}
	return nil
}

// withoutCluster blanks the SET statements that are for a cluster, and ADD JAR of a file that is not here; every position and number stays.
func (l *Local) withoutCluster(script string) mock.Part {
	part := mock.Part{Text: script}
	cut, err := sqltext.Cut(script, sqltext.DialectOf(l.Version))
	if err != nil {
		return part // it is reported later, with its place
	}
	if l.Dir != "" {
		l.statements[1] = cut
	}
	var out []byte
	var left []string
	for s := range cut.All() {
		switch s.Kind {
		case sqltext.Set:
			key, _, ok, err := sqltext.ParseSet(s)
			if err != nil || !ok || !mock.Blanked(key) {
				continue
			}
			left = append(left, key)
		case sqltext.AddJar:
			jar, ok := addedJar(s)
			if !ok || l.has(jar) {
				continue
			}
			l.Warnings = append(l.Warnings, fmt.Sprintf("statement %d, line %d: ADD JAR is left out, the file %s does not exist here: functions of that jar are missing", s.Number, s.Line, l.run.Redactor().Redact(fetch.Redact(jar))))
		default:
			continue
		}
		if out == nil {
			out = []byte(script)
		}
		part.Left = append(part.Left, s.Offset)
		for i := s.Offset; i < s.Offset+len(s.Text); i++ {
			if out[i] != '\n' && out[i] != '\r' {
				out[i] = ' '
			}
		}
	}
	if len(left) > 0 {
		l.Warnings = append(l.Warnings, "left out, because these settings are for a cluster: SET "+someOf(left))
	}
	if part.Text = script; out != nil {
		part.Text = string(out)
	}
	return part
}

// addedJar returns the path or URI of ADD JAR.
func addedJar(s sqltext.Statement) (string, bool) {
	tokens := slices.Collect(s.Significant())
	if len(tokens) < 3 {
		return "", false
	}
	jar, end, err := sqltext.Literals(tokens, 2)
	return jar, err == nil && end == len(tokens)
}

// isHere reports whether a path or URI names a file of this machine, relative to where Java will be started.
func isHere(path string) bool {
	if scheme, rest, ok := strings.Cut(path, ":"); ok && !strings.Contains(scheme, "/") {
		if !strings.EqualFold(scheme, "file") {
			return false
		}
		path = "/" + strings.TrimLeft(rest, "/")
	}
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

// mostNames is how many names one line lists.
const mostNames = 20

// someOf lists names, the first ones if there are many.
func someOf(names []string) string {
	if n := len(names) - mostNames; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), n)
	}
	return strings.Join(names, ", ")
}

// index is what a server remembers of jars.
func (l *Local) index() *factoryIndex {
	if l.served == nil {
		return nil
	}
	return l.served.index
}
