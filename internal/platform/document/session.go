package document

import (
	"errors"
	"fmt"
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
		{"jar", "a session cluster has no job of its own", "a jar job needs a cluster of its own"},
		{"savepoint", "a session cluster has no job of its own", "start the job with --savepoint"},
		{"highAvailability", "a session cluster with high availability is not supported", "jobs that must outlive their JobManager need a cluster of their own"},
	} {
		if n := doc.Root.Get(f.field); n != nil && (f.field != "highAvailability" || !strings.EqualFold(def.HighAvailability.Type, "none")) {
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
func onSession(root *yaml.Node, def *jobdef.Definition, s Settings, clusters func() ([]string, error)) (api.Faults, error) {
	var faults api.Faults
	if s.Session != "" {
		names, err := clusters()
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
		{"highAvailability", "a job that must outlive its JobManager needs a cluster of its own"},
		{"jar", "a jar job needs a cluster of its own"},
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
	if !def.SQL.Runs() {
		if def.Jar == nil {
			faults = append(faults, fault(s.session, "sql", "sql: a job of a session cluster needs a script", ""))
		}
		return faults, nil
	}
	if !def.SQL.ScriptURI.IsZero() {
		return append(faults, fault(root.Get("sql"), "sql.scriptUri", "sql.scriptUri: the platform reads no files for a job of a session cluster", "write the script as sql.script")), nil
	}
	for _, f := range def.SQL.Functions {
		if len(f.Jars) > 0 {
			faults = append(faults, wire.Fault{Path: f.Jars[0].Path(), Line: max(f.Jars[0].Line(), 1), Column: 1, Message: f.Jars[0].Path() + ": a job of a session cluster has no jars", Hint: "the cluster needs the jar: an artifact with to: lib"})
		}
	}
	if _, err := programOf(def, versionOf(def)); err != nil {
		wrong, ok := errors.AsType[*reserved](err)
		if ok {
			faults = append(faults, wire.Fault{Path: wrong.text.Path(), Line: max(wrong.text.Line(), 1), Column: 1, Message: wrong.Error(), Hint: "put the secret into the cluster, or give the job a cluster of its own"})
		} // else the script itself is wrong, and is reported at its place
	}
	return faults, nil
}

// A Program is what a session cluster gets of a job.
type Program struct {
	Arguments        []string // of sqlrunner.MainClass
	Savepoint        string   // that the definition starts from
	AllowNonRestored bool
}

// ProgramOf makes the program of a stored definition of a job of a session cluster, for the cluster's version of Flink.
func ProgramOf(document []byte, v flinkversion.Version) (Program, error) {
	def, err := jobdef.Decode("definition", document)
	if err != nil {
		return Program{}, err
	}
	if want, _ := def.FlinkVersion.Plain(); want != "" && want != v.Release().String() {
		return Program{}, fmt.Errorf("the definition is for Flink %s, the session cluster is Flink %s", want, v)
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
	p := Program{Arguments: sqlrunner.SessionArguments(plan)}
	if def.Savepoint != nil {
		from, err := plain(def.Savepoint.Path)
		if err != nil {
			return Program{}, err
		}
		p.Savepoint, p.AllowNonRestored = from.Reveal(), def.Savepoint.AllowNonRestoredState
	}
	return p, nil
}
