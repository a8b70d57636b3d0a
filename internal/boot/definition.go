package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/secret"
)

var errNoDefinition = errors.New("no definition given")

// definition fetches and decodes the job definition.
func (g *gatherer) definition(ctx context.Context) error {
	if g.opts.Definition == "" {
		return nil
	}
	client, err := g.fetcher()
	if err != nil {
		return err
	}
	doc, err := client.Document(ctx, g.opts.Definition, fetch.DocumentOptions{
		SHA256: g.opts.DefinitionSHA256, CacheFile: g.opts.DefinitionCache, ReadOnly: g.mode == Explain,
		Check: func(b []byte) error { _, err := g.decode(b); return err },
	})
	if err != nil {
		return fetchError(DefinitionFetch, err)
	}
	g.plan.Warnings = append(g.plan.Warnings, doc.Warnings...)
	def, err := g.decode(doc.Bytes)
	if err != nil {
		return fail(DefinitionInvalid, err, "flink-entrypoint schema prints what a definition may hold")
	}
	g.def, g.document = def, doc.Bytes
	name := def.Name.String()
	if def.Name.IsReference() { // resolved only by the role that needs it
		name = secret.Mask
	}
	g.plan.Definition = &DefinitionSeen{URI: doc.URI, SHA256: doc.SHA256, Name: name, Cached: doc.Cached}
	g.world.Log.Info("definition read", "phase", "definition", "name", name, "uri", doc.URI, "sha256", doc.SHA256)
	wanted, err := g.resolve(def.FlinkVersion, DefinitionInvalid)
	if err != nil {
		return err
	}
	if g.plan.Home != nil && !wanted.IsEmpty() && wanted.Reveal() != g.plan.Home.Version.MinorString() {
		return fail(DefinitionInvalid, fmt.Errorf("the definition is for Flink %s, this is Flink %s", wanted, g.plan.Home.Version),
			"use an image of that version, or change flinkVersion")
	}
	if g.role == "jobmanager" && (def.SQL.Runs() || def.Jar != nil) {
		return fail(DefinitionInvalid, errors.New("the definition holds a job (sql.script or jar), but the role jobmanager is a session cluster"), "use the role standalone-job")
	}
	return nil
}

func (g *gatherer) decode(b []byte) (*jobdef.Definition, error) {
	name := fetch.Redact(g.opts.Definition)
	if g.opts.DefinitionPointer != "" {
		inner, err := jobdef.Pointer(b, g.opts.DefinitionPointer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b = inner
	}
	if path, _, _ := strings.Cut(g.opts.Definition, "?"); strings.HasSuffix(path, ".sql") {
		return jobdef.FromSQL(name, b), nil
	}
	return jobdef.Decode(name, b)
}

// fetcher returns the one client, whose deadline covers everything that is fetched.
func (g *gatherer) fetcher() (*fetch.Client, error) {
	if g.plan.client != nil {
		return g.plan.client, nil
	}
	o := fetch.Options{
		Timeout: g.opts.FetchTimeout, Splay: g.opts.FetchSplay, UserAgent: "flink-entrypoint/" + g.world.Version,
		Origin: g.opts.Definition, TokenFile: g.opts.TokenFile, CAFile: g.opts.CAFile, CertFile: g.opts.CertFile, KeyFile: g.opts.KeyFile,
		Proxy: g.world.Proxy, Env: g.env.get, Logger: g.world.Log,
	}
	for _, h := range g.opts.DefinitionHeaders {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, fail(Usage, errors.New("--definition-header: expected 'Name: value'"), "")
		}
		value = strings.TrimSpace(value)
		o.Headers = append(o.Headers, fetch.Header{Name: strings.TrimSpace(name), Value: func() string { return value }})
	}
	c, err := fetch.New(o)
	if err != nil {
		return nil, fetchError(Usage, err)
	}
	g.plan.client, g.plan.progress = c, g.world.Progress
	return c, nil
}

func fetchError(p Phase, err error) error {
	hint := ""
	var e *fetch.Error
	if errors.As(err, &e) {
		hint = e.Hint
		if e.Kind == fetch.KindWrite {
			p = Write
		}
	}
	return fail(p, err, hint)
}

// resolve returns the content of a text of the definition.
func (g *gatherer) resolve(t jobdef.Text, phase Phase) (secret.Text, error) {
	v, err := t.Resolve(jobdef.Resolver{LookupEnv: g.env.lookup, ReadFile: readSecret})
	if err != nil {
		return secret.Text{}, fail(phase, err, "")
	}
	if v.IsHidden() {
		if phase == SQL {
			g.secrets = append(g.secrets, v.Reveal())
		}
		g.world.Redactor.Add(v.Reveal())
	}
	return v, nil
}

// readSecret reads a file that a reference names, a pipe too.
func readSecret(path string) ([]byte, error) {
	const limit = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it holds more than %d bytes", limit)}
	}
	return b, err
}

// reveal is resolve for what is written where it is needed, be it secret or not.
func (g *gatherer) reveal(t jobdef.Text, phase Phase) (string, error) {
	v, err := g.resolve(t, phase)
	return v.Reveal(), err
}

// definitionSettings applies what the definition says about the configuration.
func (g *gatherer) definitionSettings() error {
	d, v := g.def, g.plan.Home.Version
	named := slices.ContainsFunc(d.Configuration, func(s jobdef.Setting) bool { return s.Key == "pipeline.name" })
	if g.role == "standalone-job" && !named {
		if err := g.setText("pipeline.name", d.Name, "name"); err != nil {
			return err
		}
	}
	if ha := d.HighAvailability; ha != nil {
		key := keyHAType
		if !featuresOf(v).haType {
			key = keyHATypeOld
		}
		g.conf.set(key, haType(ha.Type, v), flinkconf.Definition, "job definition highAvailability.type")
		texts := []struct {
			key, field string
			value      jobdef.Text
		}{
			{"high-availability.cluster-id", "highAvailability.clusterId", ha.ClusterID},
			{"high-availability.storageDir", "highAvailability.storageDir", ha.StorageDir},
			{"high-availability.zookeeper.quorum", "highAvailability.quorum", ha.Quorum},
		}
		if strings.EqualFold(ha.Type, "kubernetes") {
			texts = append(texts, texts[0])
			texts[len(texts)-1].key = "kubernetes.cluster-id"
		}
		for _, t := range texts {
			if err := g.setText(t.key, t.value, t.field); err != nil {
				return err
			}
		}
	}
	for _, s := range d.Configuration {
		if strings.HasPrefix(s.Key, "env.") && s.Value.IsReference() {
			return fail(DefinitionInvalid, fmt.Errorf("%s: a secret reference would stand in the command line, where everybody can read it", s.Value.Path()),
				"hand the program the name of the file or variable instead")
		}
		value, err := g.resolve(s.Value, Configuration)
		if err != nil {
			return err
		}
		g.world.Redactor.addEntry(s.Key, value.Reveal(), v)
		if value.IsHidden() && !flinkconf.IsSensitive(s.Key, v) {
			g.warnf("%s is a secret reference, but Flink writes the value of %s into its log: it hides only keys whose name says password, secret, token and the like", s.Value.Path(), s.Key)
		}
		g.conf.setEntry(flinkconf.Entry{Key: s.Key, Value: value, Source: flinkconf.Source{Layer: flinkconf.Definition, Where: "job definition configuration"}})
	}
	return nil
}

// setText sets a key from a field of the definition, unless the field is absent.
func (g *gatherer) setText(key string, t jobdef.Text, field string) error {
	if t.IsZero() {
		return nil
	}
	value, err := g.resolve(t, DefinitionInvalid)
	if err != nil {
		return err
	}
	g.conf.setEntry(flinkconf.Entry{Key: key, Value: value, Source: flinkconf.Source{Layer: flinkconf.Definition, Where: "job definition " + field}})
	return nil
}

// haType returns the value of the HA key: until 1.16 Kubernetes had no short name (FLINK-29154).
func haType(t string, v flinkconf.Version) string {
	if strings.EqualFold(t, "kubernetes") && !featuresOf(v).haType {
		return "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"
	}
	return t
}

// logging patches the log4j properties that the console processes read.
func (g *gatherer) logging() error {
	if g.def == nil || g.def.Logging == nil {
		return nil
	}
	const name = "log4j-console.properties"
	source, err := os.ReadFile(filepath.Join(g.plan.Config.BaseDir, name))
	if err != nil {
		return fail(Configuration, fmt.Errorf("logging: cannot read %s: %w", name, err), "the image must use log4j for the definition's logging to apply")
	}
	loggers := make(map[string]string, len(g.def.Logging.Loggers))
	for _, l := range g.def.Logging.Loggers {
		loggers[l.Name] = l.Level
	}
	patched, err := confpatch.PatchLog4j(source, g.def.Logging.Level, loggers)
	if err != nil {
		return fail(Configuration, fmt.Errorf("logging: %s: %w", name, err), "")
	}
	g.plan.Config.siblings = map[string][]byte{name: patched}
	if _, err := os.Stat(filepath.Join(g.plan.Config.BaseDir, "logback-console.xml")); err == nil {
		g.world.Log.Debug("logback-console.xml is left alone: the definition's logging applies to log4j")
	}
	return nil
}
