// Package document makes of what a user sends the definition that pods get: it checks everything that can be checked without an engine,
// reads the platform's own settings (x-platform), and writes the catalogs that the job chose by name into it.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/validate"
	"flink-entrypoint/internal/yaml"
)

// limits are the limits of a definition.
var limits = yaml.Options{Strict: true, Bytes: jobdef.MaxSize, Depth: 100, Aliased: 10_000}

// Known is what definitions name.
type Known struct {
	Catalog  func(name string) (store.Catalog, error)  // store.ErrNotFound: it is not stored
	Clusters func() ([]string, error)                  // names of the session clusters
	Artifact func(name string) (store.Artifact, error) // store.ErrNotFound: it is not stored
	// Chosen are the catalogs of a script alone. A definition names its catalogs itself.
	Chosen []string
	// Script fetches the script that sql.scriptUri names; nil: none is fetched.
	Script func(uri string) (string, error)
}

// Prepare checks a definition of a job and makes what pods get. A name that ends in .sql says that the source is a script alone, which is a
// definition too. The error is an api.Faults where the definition is wrong.
func Prepare(name string, source []byte, known Known) (api.Document, error) {
	if strings.HasSuffix(name, ".sql") {
		return fromScript(name, source, known)
	}
	if len(known.Chosen) > 0 {
		return api.Document{}, api.Faults{{Path: "catalog", Message: "catalogs are chosen for a SQL script alone", Hint: "a definition names them itself: x-platform: {catalogs: [NAME]}"}}
	}
	def, doc, err := decode(name, source)
	if err != nil {
		return api.Document{}, err
	}
	settings, faults := read(store.KindJob, doc.Root, def)
	faults = append(faults, secretsIn(def)...)
	if settings.session != nil {
		wrong, err := onSession(doc.Root, def, settings, known)
		if err != nil {
			return api.Document{}, err
		}
		faults = append(faults, wrong...)
	}
	out := api.Document{Document: source, Place: placeIn(def, name, source)}
	text, have := plainScript(def)
	fetched := false
	if settings.session == nil { // whose scripts are in their definitions
		var wrong api.Faults
		if text, fetched, wrong, out.NoScript = fetchedScript(def, doc.Root, known.Script, text); out.NoScript != nil {
			out.Warnings = append(out.Warnings, "sql.scriptUri: the script is not checked here: "+out.NoScript.Error())
		}
		faults = append(faults, wrong...)
	}
	if fetched {
		out.Place = func(line, column int) (int, int, bool) { return line, column, false }
	}
	if have || fetched {
		warnings, wrong := script(def, name, source, text, settings.session != nil)
		faults, out.Warnings = append(faults, wrong...), append(out.Warnings, warnings...)
	}
	var chosen []object
	for i, name := range settings.catalogs {
		at := settings.catalogNodes[i]
		made, used, err := known.chosen(name)
		if errors.Is(err, store.ErrNotFound) {
			faults = append(faults, fault(at, "x-platform.catalogs", unknownCatalog(name), catalogHint))
			continue
		}
		if err != nil {
			return out, err
		}
		chosen = append(chosen, made)
		out.Catalogs = append(out.Catalogs, used)
	}
	if fetched && len(chosen) == len(settings.catalogs) {
		out.Planned = written(doc.Root, chosen, &text)
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b wire.Fault) int { return a.Line - b.Line })
		return out, faults
	}
	if len(chosen) > 0 {
		if def.SQL == nil {
			return out, api.Faults{fault(settings.catalogNodes[0], "x-platform.catalogs", "catalogs are chosen for a job without SQL", "")}
		}
		out.Document = written(doc.Root, chosen, nil)
		if out.Planned == nil {
			out.Planned = out.Document
		}
		// What was written is what pods read, so it is read here too.
		withCatalogs, err := jobdef.Decode("the definition with its catalogs", out.Document)
		if err == nil && settings.session != nil {
			_, err = programOf(withCatalogs, versionOf(withCatalogs))
		}
		if err != nil {
			return out, api.Faults{{Path: "x-platform.catalogs", Line: settings.catalogNodes[0].Content.Line + 1, Column: settings.catalogNodes[0].Content.Column + 1, Message: err.Error()}}
		}
	}
	return out, nil
}

// chosen is a stored catalog as it is written into a definition.
func (k Known) chosen(name string) (object, store.UsedCatalog, error) {
	c, err := k.Catalog(name)
	if err != nil {
		return object{}, store.UsedCatalog{}, err
	}
	made, err := catalogObject(c)
	if err != nil {
		return object{}, store.UsedCatalog{}, fmt.Errorf("catalog %s: %w", name, err)
	}
	return made, store.UsedCatalog{Name: name, Revision: c.Revision}, nil
}

// decode reads a definition, and its document for what the entrypoint does not read.
func decode(name string, source []byte) (*jobdef.Definition, *yaml.Document, error) {
	def, err := jobdef.Decode(name, source)
	if err != nil {
		var faults api.Faults
		for _, p := range validate.Problems(err) {
			faults = append(faults, wire.Fault(p))
		}
		if faults == nil {
			return nil, nil, err
		}
		return nil, nil, faults
	}
	doc, err := yaml.Read(source, limits)
	if err != nil {
		return nil, nil, fmt.Errorf("internal error (a bug): a definition that was read cannot be read: %w", err)
	}
	return def, doc, nil
}

const catalogHint = "flink-platform catalogs lists them; store one with: flink-platform catalog put NAME FILE"

func unknownCatalog(name string) string { return fmt.Sprintf("unknown catalog %q", name) }

// fromScript makes a definition of a script alone, with the catalogs that were chosen for it.
func fromScript(name string, source []byte, known Known) (api.Document, error) {
	def := jobdef.FromSQL(name, source)
	text, _ := def.SQL.Script.Plain()
	warnings, faults := script(def, name, nil, text, false)
	out := api.Document{Warnings: warnings, Place: func(line, column int) (int, int, bool) { return line, column, true }}
	chosen := []any{}
	for i, name := range known.Chosen {
		if slices.Contains(known.Chosen[:i], name) {
			continue
		}
		made, used, err := known.chosen(name)
		if errors.Is(err, store.ErrNotFound) {
			faults = append(faults, wire.Fault{Path: "catalog", Message: unknownCatalog(name), Hint: catalogHint})
			continue
		}
		if err != nil {
			return out, err
		}
		chosen = append(chosen, made)
		out.Catalogs = append(out.Catalogs, used)
	}
	if len(faults) > 0 {
		return out, faults
	}
	job, _ := def.Name.Plain()
	sql := object{{"script", text}}
	if len(chosen) > 0 {
		sql = append(sql, member{"catalogs", chosen})
	}
	var b bytes.Buffer
	write(&b, object{{"apiVersion", jobdef.APIVersion}, {"name", job}, {"sql", sql}})
	b.WriteByte('\n')
	out.Document = b.Bytes()
	if len(chosen) > 0 {
		out.Planned = out.Document
	}
	return out, nil
}

func fault(n *yaml.Node, path, message, hint string) wire.Fault {
	return wire.Fault{Path: path, Line: n.Content.Line + 1, Column: n.Content.Column + 1, Message: message, Hint: hint}
}

// fetchedScript is the script that sql.scriptUri names, else text. no is why it was not fetched: that is not a fault, since the pods fetch it.
func fetchedScript(def *jobdef.Definition, root *yaml.Node, fetch func(uri string) (string, error), text string) (script string, fetched bool, faults api.Faults, no error) {
	if def.SQL == nil || def.SQL.ScriptURI.IsZero() {
		return text, false, nil, nil
	}
	uri, literal := def.SQL.ScriptURI.Plain()
	if !literal {
		return text, false, nil, errors.New("its address is a reference, which only a pod can read")
	}
	if fetch == nil {
		return text, false, nil, errors.New("the server fetches nothing")
	}
	script, err := fetch(uri)
	if err != nil {
		return text, false, nil, err
	}
	want, _ := def.SQL.ScriptSHA256.Plain()
	if sum := sha256.Sum256([]byte(script)); want != "" && !strings.EqualFold(want, hex.EncodeToString(sum[:])) {
		at := root.Get("sql").Get("scriptSha256")
		return text, false, api.Faults{fault(at, "sql.scriptSha256", fmt.Sprintf("sql.scriptSha256: the script that sql.scriptUri names has another digest, %x", sum), "the script has changed, or the digest is of another one")}, nil
	}
	return script, true, nil, nil
}

// script says what a start would refuse of the script, at its places in what the user sent. oneJob: it may start only one.
func script(def *jobdef.Definition, name string, source []byte, text string, oneJob bool) (warnings []string, faults api.Faults) {
	options := validate.Application(def, versionOf(def))
	options.FixedJobID = options.FixedJobID || oneJob
	places := validate.SourceOf(def, name, source, text, new(redact.Redactor).Redact).InLiterals()
	faults = secretsOf(text, places.Place)
	warnings, err := validate.Script(def, options, name, places)
	refused, ok := errors.AsType[*validate.Refused](err)
	switch {
	case err == nil:
		return warnings, faults
	case !ok || len(refused.Faults) == 0:
		return warnings, append(faults, wire.Fault{Path: "sql.script", Message: err.Error()})
	}
	for _, f := range refused.Faults {
		hint := f.Hint
		if hint == "" {
			hint = refused.Hint
		}
		message := f.Message
		if f.Statement != "" {
			message = f.Statement + ": " + message
		}
		faults = append(faults, wire.Fault{Path: "sql.script", Line: f.Line, Column: f.Column, Message: message, Hint: hint})
	}
	return warnings, faults
}

// placeIn finds places of the script in the definition.
func placeIn(def *jobdef.Definition, name string, source []byte) func(line, column int) (int, int, bool) {
	text, ok := plainScript(def)
	if !ok {
		return nil
	}
	return validate.SourceOf(def, name, source, text, new(redact.Redactor).Redact).InLiterals().Place
}

func plainScript(def *jobdef.Definition) (string, bool) {
	if def.SQL == nil {
		return "", false
	}
	return def.SQL.Script.Plain()
}

// versionOf is the version that the definition is for, or the newest: what an older one lacks is the start's to say.
func versionOf(def *jobdef.Definition) flinkversion.Version {
	text, _ := def.FlinkVersion.Plain()
	v, err := flinkversion.Parse(text)
	if err != nil {
		return newest()
	}
	return v
}

// newest is the version by which a stored catalog is read.
func newest() flinkversion.Version { return flinkversion.Newest().First() }

// setting is a key's value in the configuration or in sql.set, or "".
func setting(def *jobdef.Definition, key string) string {
	value := ""
	for _, s := range def.Configuration {
		if v, ok := s.Value.Plain(); ok && s.Key == key {
			value = v
		}
	}
	if def.SQL != nil {
		for _, s := range def.SQL.Set {
			if v, ok := s.Value.Plain(); ok && s.Key == key {
				value = v
			}
		}
	}
	return value
}
