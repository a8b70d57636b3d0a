package boot

import (
	"context"
	"errors"
	"fmt"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/validate"
)

// Job is the definition of a run, and how to read what it refers to.
type Job struct {
	*jobdef.Definition
	Seen DefinitionSeen

	document fetch.Document // its bytes are nil where they are the script and nothing else
	isScript bool           // the document is a .sql file alone

	run  *Run
	proc Process
	ctx  context.Context // of the references, which are read where they are needed
}

// DefinitionSeen identifies the definition that the plan was made from.
type DefinitionSeen struct {
	URI    string // redacted
	SHA256 string
	Name   string
	Cached bool // the last good copy, because the service could not be reached
}

// ErrNoDefinition is the failure of what needs a definition and has none.
var ErrNoDefinition = errors.New("no definition given")

// ReadJob fetches and decodes the definition; nil where none was given. home is nil without a Flink home.
func (r *Run) ReadJob(ctx context.Context, p Process, home *distribution.Home) (*Job, error) {
	if r.opts.Definition == "" {
		return nil, nil
	}
	client, err := r.fetcher(p)
	if err != nil {
		return nil, err
	}
	d := decoder{name: fetch.Redact(r.opts.Definition), pointer: r.opts.DefinitionPointer, script: fetch.IsSQL(r.opts.Definition)}
	o := fetch.DocumentOptions{
		SHA256: r.opts.DefinitionSHA256, CacheFile: r.opts.DefinitionCache, ReadOnly: r.mode == Explain,
		Check: func(b []byte) error { _, err := d.decode(b); return err },
	}
	if r.role != "taskmanager" && r.role != "kubernetes-taskmanager" && r.role != "sql-gateway" { // these fetch no script
		o.WithScript = func(b []byte) bool {
			def, err := d.decode(b)
			return err == nil && def.SQL != nil && !def.SQL.ScriptURI.IsZero()
		}
	}
	doc, err := client.Document(ctx, r.opts.Definition, o)
	if err != nil {
		return nil, fetchError(phase.DefinitionFetch, err)
	}
	r.warnings = append(r.warnings, doc.Warnings...)
	def, err := d.decode(doc.Bytes)
	if err != nil {
		return nil, phase.Fail(phase.DefinitionInvalid, err, "flink-entrypoint schema prints what a definition may hold")
	}
	if d.script && d.pointer == "" {
		doc.Bytes = nil // the definition's script is all of it
	}
	name := def.Name.String()
	if def.Name.IsReference() { // resolved only by the role that needs it
		name = secret.Mask
	}
	j := &Job{Definition: def, Seen: DefinitionSeen{URI: doc.URI, SHA256: doc.SHA256, Name: name, Cached: doc.Cached}, document: doc, isScript: d.script, run: r, proc: p, ctx: ctx}
	r.world.Log.Info("definition read", "phase", "definition", "name", name, "uri", doc.URI, "sha256", doc.SHA256)
	return j, j.fits(home)
}

// decoder decodes a document once, however often it is asked.
type decoder struct {
	name    string
	pointer string
	script  bool // the document is a .sql file alone

	last []byte
	def  *jobdef.Definition
	err  error
}

func (d *decoder) decode(b []byte) (*jobdef.Definition, error) {
	if d.def == nil && d.err == nil || len(b) != len(d.last) || len(b) > 0 && &b[0] != &d.last[0] {
		d.last = b
		d.def, d.err = d.read(b)
	}
	return d.def, d.err
}

func (d *decoder) read(b []byte) (*jobdef.Definition, error) {
	if d.pointer != "" {
		inner, err := jobdef.Pointer(b, d.pointer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		b = inner
	}
	if d.script {
		return jobdef.FromSQL(d.name, b), nil
	}
	return jobdef.Decode(d.name, b)
}

// fits refuses a definition for another version of Flink, or for another role.
func (j *Job) fits(home *distribution.Home) error {
	wanted, err := j.resolve(j.FlinkVersion, phase.DefinitionInvalid)
	if err != nil {
		return err
	}
	if home != nil && !wanted.IsEmpty() && wanted.Reveal() != home.Version.Release().String() {
		return phase.Fail(phase.DefinitionInvalid, fmt.Errorf("the definition is for Flink %s, this is Flink %s", wanted, home.Version),
			"use an image of that version, or change flinkVersion")
	}
	application, session := map[string]string{"jobmanager": "standalone-job", "kubernetes-session": "kubernetes-application"}[j.run.role]
	if session && (j.SQL.Runs() || j.Jar != nil) {
		return phase.Fail(phase.DefinitionInvalid, fmt.Errorf("the definition holds a job (sql.script or jar), but the role %s is a session cluster", j.run.role), "use the role "+application)
	}
	return nil
}

// AssumedVersion is the version of Flink without a Flink home: the one that was named, else the newest known.
func (j *Job) AssumedVersion() (flinkversion.Version, error) {
	version, where := j.run.opts.FlinkVersion, "--flink-version"
	if version == "" {
		var err error
		if version, err = j.reveal(j.FlinkVersion, phase.DefinitionInvalid); err != nil {
			return flinkversion.Version{}, err
		}
		where = "flinkVersion"
	}
	if version == "" {
		version = flinkversion.Newest().String()
	}
	v, err := flinkversion.Parse(version)
	if err != nil {
		return v, phase.Fail(phase.Usage, fmt.Errorf("%s: %w", where, err), "")
	}
	return v, nil
}

// VersionFor is the version of Flink to check a definition by, with or without a Flink home.
func (r *Run) VersionFor(j *Job) (flinkversion.Version, error) {
	if r.opts.FlinkVersion == "" && j.FlinkVersion.IsZero() {
		if home, err := r.OpenHome(); err == nil {
			return home.Version, nil
		}
	}
	return j.AssumedVersion()
}

// Source finds the places of the script's lines in the user's file.
func (j *Job) Source(script string) *validate.Source {
	document := j.document.Bytes
	if j.isScript {
		document = nil
	}
	return validate.SourceOf(j.Definition, j.Seen.URI, document, script, j.run.world.Redactor.Redact)
}

// resolve returns the content of a text of the definition.
func (j *Job) resolve(t jobdef.Text, at phase.Phase) (secret.Text, error) {
	v, err := t.Resolve(jobdef.Resolver{LookupEnv: j.proc.Vars.Lookup, ReadFile: j.readSecret})
	if err != nil {
		return secret.Text{}, phase.Fail(at, err, "")
	}
	if v.IsHidden() {
		j.run.world.Redactor.Add(v.Reveal())
	}
	return v, nil
}

// readSecret reads a file that a reference names, a pipe too, in the time that there is for everything that is fetched.
func (j *Job) readSecret(path string) ([]byte, error) {
	const limit = 1 << 20
	if at, ok := j.run.world.SecretFiles[path]; ok {
		path = at
	}
	client, err := j.run.fetcher(j.proc)
	if err != nil {
		return nil, err
	}
	return client.ReadFile(j.ctx, path, limit)
}

// reveal is resolve for what is written where it is needed, be it secret or not.
func (j *Job) reveal(t jobdef.Text, at phase.Phase) (string, error) {
	v, err := j.resolve(t, at)
	return v.Reveal(), err
}

// argument resolves a text that goes to the command line, where everybody on the machine can read it.
func (j *Job) argument(t jobdef.Text) (string, error) {
	if t.IsReference() {
		return "", phase.Fail(phase.DefinitionInvalid, fmt.Errorf("%s: a secret reference would be in the command line, where every user can read it", t.Path()),
			"hand the program the name of the file or variable instead")
	}
	return j.reveal(t, phase.DefinitionInvalid)
}

// Place begins a placement in a run dir, "" for the one of the options.
func (r *Run) Place(home *distribution.Home, dir string) *placement.Placement {
	if dir == "" {
		dir = r.opts.RunDir
	}
	return placement.New(home, dir, r.mode == Train, r.Warn)
}

// AddArtifacts plans where each artifact of the definition goes. j may be nil.
func (j *Job) AddArtifacts(p *placement.Placement) error {
	if j == nil {
		return nil
	}
	for _, a := range j.Artifacts {
		if err := j.addArtifact(p, a.URI, a.SHA256, a.To, jobdef.FileName); err != nil {
			return err
		}
	}
	if jar := j.Jar; jar != nil && (j.run.runsJob() || j.run.role == "taskmanager" || j.run.role == "kubernetes-taskmanager") {
		return j.addArtifact(p, jar.URI, jar.SHA256, "usrlib", jobdef.JarName)
	}
	return nil
}

func (j *Job) addArtifact(p *placement.Placement, from, digest jobdef.Text, to string, fileName func(uri string) string) error {
	uri, err := j.reveal(from, phase.Artifact)
	if err != nil {
		return err
	}
	sha256, err := j.reveal(digest, phase.Artifact)
	if err != nil {
		return err
	}
	if from.IsReference() {
		j.run.world.Redactor.AddURI(uri, fetch.Redact(uri))
	}
	if err := fetch.Check(uri); err != nil { // before any part of it becomes the name of a file
		return fetchError(phase.Artifact, err)
	}
	if err := p.AddArtifact(placement.Artifact{URI: uri, SHA256: sha256, To: to, FileName: fileName}); err != nil {
		return err
	}
	_, err = j.run.fetcher(j.proc)
	return err
}
