package document

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/initsql"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/nearest"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/yaml"
)

// PrepareCluster checks the definition of a session cluster: sizes, configuration and artifacts, and no job. The error is an api.Faults
// where it is wrong.
func PrepareCluster(name string, source []byte) (api.Document, error) {
	def, doc, err := decode(name, source)
	if err != nil {
		return api.Document{}, err
	}
	_, faults := read(store.KindCluster, doc.Root, def)
	faults = append(faults, secretsIn(def)...)
	for _, f := range []struct{ field, why, hint string }{
		{"id", "a session cluster has no job of its own", "the platform gives each job on it an id"},
		{"sql", "a session cluster has no job of its own", "submit it as a job with x-platform: {cluster: session NAME}"},
		{"jar", "a session cluster has no job of its own", "submit it as a job with x-platform: {cluster: session NAME}"},
		{"savepoint", "a session cluster has no job of its own", "start the job with --savepoint"},
	} {
		if n := doc.Root.Get(f.field); n != nil {
			faults = append(faults, fault(n, f.field, f.field+": "+f.why, f.hint))
		}
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b wire.Fault) int { return a.Line - b.Line })
		return api.Document{}, faults
	}
	return api.Document{Document: source}, nil
}

// ofCluster are prefixes of keys that Flink reads once for a cluster: a job of a session cluster cannot change them.
var ofCluster = []string{"blob.", "cluster.", "env.", "heartbeat.", "high-availability", "historyserver.", "io.tmp.", "jobmanager.", "job-result-store.", "kubernetes.", "metrics.", "pekko.", "akka.",
	"plugin.", "process.", "queryable-state.", "resourcemanager.", "rest.", "security.", "slot.", "taskmanager.", "web.", "yarn.", "zookeeper."}

// onSession says what a job of a session cluster cannot have: what belongs to the cluster, and secrets, which only pods read.
func onSession(root *yaml.Node, def *jobdef.Definition, s Settings, known Known) (api.Faults, error) {
	var faults api.Faults
	if s.Session != "" {
		names, err := known.Clusters()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, s.Session) {
			hint := "flink-platform clusters lists them; make one with: flink-platform cluster put NAME FILE"
			if near := nearest.Name(s.Session, names, 2); near != "" {
				hint = "did you mean " + near + "?"
			}
			faults = append(faults, fault(s.session, field+".cluster", fmt.Sprintf("%s.cluster: unknown session cluster %q", field, s.Session), hint))
		}
	}
	for _, f := range []struct{ field, hint string }{
		{"id", "the platform gives each run an id"},
		{"resources", "say it in the definition of the cluster"},
		{"logging", "say it in the definition of the cluster"},
		{"artifacts", "name them in the definition of the cluster, with to: lib"},
		{"highAvailability", "say it in the definition of the cluster: then its jobs outlive their JobManager"},
	} {
		if n := root.Get(f.field); n != nil {
			faults = append(faults, fault(n, f.field, f.field+": a job of a session cluster cannot have it", f.hint))
		}
	}
	for _, c := range def.Configuration {
		if slices.ContainsFunc(ofCluster, func(prefix string) bool { return strings.HasPrefix(c.Key, prefix) }) {
			faults = append(faults, wire.Fault{Path: "configuration." + c.Key, Line: max(c.Line, 1), Column: 1, Message: c.Key + " is of the cluster: a job of a session cluster cannot set it", Hint: "say it in the definition of the cluster"})
		}
	}
	if def.Jar != nil {
		wrong, err := jarOnSession(def, known)
		return append(faults, wrong...), err
	}
	if !def.SQL.Runs() {
		return append(faults, fault(s.session, "sql", "sql: a job of a session cluster needs a script, or a jar", "")), nil
	}
	if !def.SQL.ScriptURI.IsZero() {
		return append(faults, fault(root.Get("sql"), "sql.scriptUri", "sql.scriptUri: the platform reads no files for a job of a session cluster", "write the script as sql.script")), nil
	}
	for _, f := range def.SQL.Functions {
		if len(f.Jars) > 0 {
			faults = append(faults, wire.Fault{Path: f.Jars[0].Path(), Line: max(f.Jars[0].Line(), 1), Column: 1, Message: f.Jars[0].Path() + ": a job of a session cluster has no jars", Hint: "the cluster needs the jar: an artifact with to: lib"})
		}
	}
	return append(faults, secretOnSession(def)...), nil
}

// secretOnSession is the first value that only a pod can read.
func secretOnSession(def *jobdef.Definition) api.Faults {
	_, err := programOf(def, versionOf(def))
	wrong, ok := errors.AsType[*reserved](err)
	if !ok { // if the script itself is wrong, it is reported at its place
		return nil
	}
	return api.Faults{at(wrong.text, wrong.Error(), "put the secret into the cluster, or give the job a cluster of its own")}
}

func at(t jobdef.Text, message, hint string) wire.Fault {
	return wire.Fault{Path: t.Path(), Line: max(t.Line(), 1), Column: 1, Message: message, Hint: hint}
}

// jarOnSession says what is wrong with a jar job of a session cluster. The platform sends the jar to the cluster, so it is one that is stored here:
// the server reads no file and asks no other server. What it sends is what the definition was made with, by the digest.
func jarOnSession(def *jobdef.Definition, known Known) (api.Faults, error) {
	if faults := secretOnSession(def); faults != nil {
		return faults, nil
	}
	const hint = "store it with: flink-platform artifact put FILE, and write uri and sha256 as that prints them"
	p, err := programOf(def, versionOf(def))
	switch {
	case err != nil:
		return nil, err
	case p.Artifact == "":
		return api.Faults{at(def.Jar.URI, "jar.uri: the jar of a job of a session cluster is an artifact of the platform (…/v1/artifacts/NAME)", hint)}, nil
	case p.Digest == "":
		return api.Faults{at(def.Jar.URI, "jar.sha256: the jar of a job of a session cluster needs its digest", hint)}, nil
	}
	a, err := known.Artifact(p.Artifact)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return api.Faults{at(def.Jar.URI, fmt.Sprintf("jar.uri: unknown artifact %q", p.Artifact), hint)}, nil
	case err != nil:
		return nil, err
	case a.Digest != p.Digest:
		return api.Faults{at(def.Jar.SHA256, fmt.Sprintf("jar.sha256: the artifact %s has %s, expected %s", p.Artifact, a.Digest, p.Digest), hint)}, nil
	}
	return nil, nil
}

// artifactOf is the name of an artifact of a platform in a URI, or "".
func artifactOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return ""
	}
	name, ok := strings.CutPrefix(u.Path, "/v1/artifacts/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// A Program is what a session cluster gets of a job.
type Program struct {
	Artifact         string // the stored jar of a jar job; empty: the jar that runs scripts
	Digest           string // of it
	MainClass        string // empty: the manifest of the jar names it
	Arguments        []string
	Configuration    map[string]string // of a jar job; a script has its own
	Savepoint        string            // that the definition starts from
	AllowNonRestored bool
}

// ProgramOf makes the program of a stored definition of a job of a session cluster, for the cluster's version of Flink. Without state, the job
// starts from nothing that the definition names.
func ProgramOf(document []byte, v flinkversion.Version, withoutState bool) (Program, error) {
	def, err := jobdef.Decode("definition", document)
	if err != nil {
		return Program{}, err
	}
	if want, _ := def.FlinkVersion.Plain(); want != "" && want != v.Release().String() {
		return Program{}, fmt.Errorf("the definition is for Flink %s, the session cluster is Flink %s", want, v)
	}
	if withoutState {
		def.Savepoint = nil
		def.Configuration = slices.DeleteFunc(def.Configuration, func(c jobdef.Setting) bool {
			return c.Key == "execution.state-recovery.path" || c.Key == "execution.savepoint.path"
		})
	}
	return programOf(def, v)
}

// reserved: a value is only for pods.
type reserved struct{ text jobdef.Text }

func (r *reserved) Error() string {
	return fmt.Sprintf("%s is %s, which only a pod can read: a job of a session cluster cannot have secrets", r.text.Path(), r.text)
}

func programOf(def *jobdef.Definition, v flinkversion.Version) (Program, error) {
	plain := func(t jobdef.Text) (secret.Text, error) {
		if t.IsReference() {
			return secret.Text{}, &reserved{t}
		}
		text, _ := t.Plain()
		return secret.Public(text), nil
	}
	configuration := map[string]string{}
	if name, ok := def.Name.Plain(); ok {
		configuration["pipeline.name"] = name
	}
	for _, c := range def.Configuration {
		value, err := plain(c.Value)
		if err != nil {
			return Program{}, err
		}
		configuration[c.Key] = value.Reveal()
	}
	p := Program{MainClass: sqlrunner.MainClass}
	if def.Savepoint != nil {
		from, err := plain(def.Savepoint.Path)
		if err != nil {
			return Program{}, err
		}
		p.Savepoint, p.AllowNonRestored = from.Reveal(), def.Savepoint.AllowNonRestoredState
	}
	if def.Jar != nil {
		p.Configuration = configuration
		err := p.ofJar(def.Jar, plain)
		return p, err
	}
	session, err := initsql.Source{Resolve: plain, Redactor: new(redact.Redactor), Flink: v, JarPath: func(jar string) string { return jar }}.Prepare(def.SQL)
	if err != nil {
		return Program{}, err
	}
	script, err := plain(def.SQL.Script)
	if err != nil {
		return Program{}, err
	}
	plan, err := sqlrunner.Prepare([]sqlrunner.Part{{Name: "init.sql", Text: string(session.Text())}, {Text: script.Reveal()}}, sqlrunner.Options{
		Flink: v, FixedJobID: true, RuntimeMode: configuration["execution.runtime-mode"], Configuration: configuration, Secrets: session.Secrets, Sensitive: flinkconf.Hidden})
	if err != nil {
		return Program{}, err
	}
	p.Arguments = sqlrunner.SessionArguments(plan)
	return p, nil
}

func (p *Program) ofJar(jar *jobdef.Jar, plain func(jobdef.Text) (secret.Text, error)) error {
	uri := ""
	for into, t := range map[*string]jobdef.Text{&uri: jar.URI, &p.Digest: jar.SHA256, &p.MainClass: jar.EntryClass} {
		text, err := plain(t)
		if err != nil {
			return err
		}
		*into = text.Reveal()
	}
	p.Artifact, p.Arguments = artifactOf(uri), []string{}
	for _, a := range jar.Args {
		text, err := plain(a)
		if err != nil {
			return err
		}
		p.Arguments = append(p.Arguments, text.Reveal())
	}
	return nil
}
