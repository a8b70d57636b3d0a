package workbench

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/internal/validate"
)

// needs are what a script needs beside SQL on generated rows.
type needs struct {
	// special: it may load classes, connect, or hold a secret. It gets no process that another script has, or had.
	special bool
	beside  localrun.Beside
}

// look refuses what would read, write or call something of the server's, and says what the script needs. Without a wall around Java, what is
// left is SQL on generated rows. The errors of a script have the places of its statements.
func (w *Workbench) look(s Script) (need needs, err error) {
	defer func() { err = s.named(err) }()
	need.beside.Dir = w.o.Dir
	def, script, err := w.read(s, &need)
	if err != nil {
		return need, err
	}
	cut, err := sqltext.Cut(strings.TrimPrefix(script, "\uFEFF"), sqltext.DialectOf(w.Version()))
	if err != nil {
		return need, nil // the preparation reports it with its place
	}
	source := sourceOf(def, s, script)
	var faults []validate.Fault
	for statement := range cut.All() {
		reason, walled := w.refusal(statement)
		if walled && w.wall != nil {
			need.special = true
			reason = w.jarsOf(s, statement, &need)
		}
		if reason != "" {
			f := source.Fault("", statement.Line, statement.Column, 0, 0, reason)
			f.Statement = fmt.Sprintf("statement %d", statement.Number)
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		return need, &validate.FaultsError{Faults: faults}
	}
	return need, w.secrets(&need)
}

// secrets lets references name what the policy lists, where the script may have them.
func (w *Workbench) secrets(need *needs) (err error) {
	if w.wall == nil || !need.special {
		return nil
	}
	need.beside.Files = w.o.Policy.files()
	need.beside.Env, err = w.o.Policy.environment()
	return err
}

// jarsOf finds the jars that a statement names among what is stored, and says what is wrong with one.
func (w *Workbench) jarsOf(s Script, statement sqltext.Statement, need *needs) string {
	for _, name := range jarsIn(statement) {
		if need.beside.Jars[name] != "" {
			continue
		}
		path, _, err := s.stored(name)
		if err != nil {
			return err.Error()
		}
		if need.beside.Jars == nil {
			need.beside.Jars = map[string]string{}
		}
		need.beside.Jars[name] = path
	}
	return ""
}

// stored finds the file of a stored artifact.
func (s Script) stored(name string) (path, sha256 string, err error) {
	if !jarName().MatchString(name) {
		return "", "", fmt.Errorf("%q is not the name of a stored artifact: store the jar (flink-platform artifact put FILE), and write its name alone", name)
	}
	if s.Stored == nil {
		return "", "", fmt.Errorf("no artifact %s is stored", name)
	}
	return s.Stored(name)
}

var jarName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([-._A-Za-z0-9]{0,198}[A-Za-z0-9])?$`) })

// jarsIn are the jars that a statement names: ADD JAR 'NAME', and CREATE FUNCTION … USING JAR 'NAME', JAR 'NAME'.
func jarsIn(s sqltext.Statement) []string {
	if s.Kind != sqltext.AddJar && s.Kind != sqltext.CreateFunction {
		return nil
	}
	tokens := slices.Collect(s.Significant())
	var names []string
	for i := 0; i < len(tokens); i++ {
		if tokens[i].Kind != sqltext.Word || !strings.EqualFold(tokens[i].Text, "JAR") {
			continue
		}
		if name, end, err := sqltext.Literals(tokens, i+1); err == nil && end > i+1 {
			names = append(names, name)
			i = end - 1
		}
	}
	return names
}

// read reads what a user sent, and refuses what a definition names beside its script.
func (w *Workbench) read(s Script, need *needs) (*jobdef.Definition, string, error) {
	def, err := decode(s)
	if err != nil {
		return nil, "", err
	}
	script, err := scriptOf(def)
	if err == nil {
		err = w.plainDefinition(s, def, need)
	}
	need.beside.InLiterals = s.Sent
	return def, script, err
}

func decode(s Script) (*jobdef.Definition, error) {
	if strings.HasSuffix(s.Name, ".sql") {
		return jobdef.FromSQL(s.Name, s.Source), nil
	}
	return jobdef.Decode(s.Name, s.Source)
}

// sourceOf finds the places of a script's lines in what the user sent.
func sourceOf(def *jobdef.Definition, s Script, script string) *validate.Source {
	document := s.Source
	if strings.HasSuffix(s.Name, ".sql") {
		document = nil
	}
	source := validate.SourceOf(def, s.Name, document, script, func(text string) string { return text })
	if s.Sent {
		source.InLiterals()
	}
	return source
}

const ownMachine = "flink-entrypoint debug and validate --engine do it on your own machine"

// scriptOf is the script of a definition; it must be written there.
func scriptOf(def *jobdef.Definition) (string, error) {
	switch {
	case !def.SQL.Runs():
		return "", &Refused{"the definition has no SQL script", "write sql.script, or send a .sql file", false}
	case !def.SQL.ScriptURI.IsZero():
		return "", &Refused{"sql.scriptUri: the server opens no file and no address of a definition", "write the script as sql.script, or send the .sql file", false}
	}
	script, literal := def.SQL.Script.Plain()
	if !literal {
		return "", secretIn("sql.script")
	}
	return script, nil
}

func secretIn(path string) error {
	return &Refused{path + " is a reference: the server has no secrets of a job", ownMachine, false}
}

// walled refuses what needs a wall, without one.
func (w *Workbench) walled(need *needs, reason string) error {
	if w.wall == nil {
		return &Refused{reason, ownMachine, false}
	}
	need.special = true
	return nil
}

// plainDefinition refuses what a definition names beside its script.
func (w *Workbench) plainDefinition(s Script, def *jobdef.Definition, need *needs) error {
	texts := map[string]jobdef.Text{"name": def.Name, "id": def.ID, "flinkVersion": def.FlinkVersion}
	settings := func(path string, list []jobdef.Setting, allowed func(key string) bool) error {
		for _, s := range list {
			texts[path+"."+s.Key] = s.Value
			if !allowed(s.Key) {
				return &Refused{fmt.Sprintf("%s: %s is not set here", path, s.Key), settingHint, false}
			}
		}
		return nil
	}
	if len(def.Artifacts) > 0 {
		if err := w.walled(need, "artifacts: the server runs no jars"); err != nil {
			return err
		}
		if err := artifacts(s, def, need); err != nil {
			return err
		}
	}
	for _, s := range def.Configuration { // of the others, nothing is used
		if strings.HasPrefix(s.Key, "table.") && !isPlainSetting(s.Key) {
			return &Refused{fmt.Sprintf("configuration: %s is not set here", s.Key), settingHint, false}
		}
	}
	sql := def.SQL
	if len(sql.Functions) > 0 {
		if err := w.walled(need, "sql.functions: "+noFunctions); err != nil {
			return err
		}
		for i, f := range sql.Functions {
			texts[fmt.Sprintf("sql.functions[%d].name", i)], texts[fmt.Sprintf("sql.functions[%d].class", i)] = f.Name, f.Class
			for _, jar := range f.Jars {
				if name, _ := jar.Plain(); strings.Contains(name, "/") {
					return &Refused{fmt.Sprintf("sql.functions[%d]: found the jar %q, expected the file name of one of the artifacts", i, name), "", false}
				}
			}
		}
	}
	if len(sql.Modules) > 0 {
		if err := w.walled(need, "sql.modules: "+noModules); err != nil {
			return err
		}
		for i, m := range sql.Modules {
			path := fmt.Sprintf("sql.modules[%d]", i)
			texts[path+".name"] = m.Name
			if err := settings(path+".options", m.Options, func(string) bool { return true }); err != nil {
				return err
			}
		}
	}
	if err := settings("sql.set", sql.Set, isPlainSetting); err != nil {
		return err
	}
	for i, c := range sql.Catalogs {
		path := fmt.Sprintf("sql.catalogs[%d]", i)
		texts[path+".name"], texts[path+".createStatement"] = c.Name, c.CreateStatement
		if err := settings(path+".options", c.Options, func(string) bool { return true }); err != nil {
			return err
		}
		for _, o := range c.Options {
			if kind, _ := o.Value.Plain(); o.Key == "type" && !w.isPlainCatalog(kind) {
				if err := w.walled(need, path+": "+noCatalog(kind)); err != nil {
					return err
				}
			}
		}
		if text, literal := c.CreateStatement.Plain(); literal && !c.CreateStatement.IsZero() {
			statements, err := sqltext.Split(text, sqltext.DialectOf(w.Version()))
			if err != nil {
				return &Refused{path + ": " + err.Error(), "", false}
			}
			for _, s := range statements {
				reason, walled := w.refusal(s)
				if reason != "" && walled {
					if err := w.walled(need, path+": "+reason); err != nil {
						return err
					}
				} else if reason != "" {
					return &Refused{path + ": " + reason, ownMachine, false}
				}
			}
		}
	}
	for i, t := range sql.UseModules {
		texts[fmt.Sprintf("sql.useModules[%d]", i)] = t
	}
	if sql.Use != nil {
		texts["sql.use.catalog"], texts["sql.use.database"] = sql.Use.Catalog, sql.Use.Database
	}
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		t := texts[path]
		if !t.IsReference() {
			continue
		}
		if w.wall == nil || !w.o.Policy.allows(t.String()) {
			return secretIn(path)
		}
		need.special = true
	}
	return nil
}

// artifacts lets a run bring artifacts of a definition that this server has stored.
func artifacts(s Script, def *jobdef.Definition, need *needs) error {
	for i, a := range def.Artifacts {
		uri, _ := a.URI.Plain()
		if a.URI.IsReference() || a.SHA256.IsReference() {
			return secretIn(fmt.Sprintf("artifacts[%d]", i))
		}
		if _, ours := s.artifact(uri); !ours {
			return &Refused{fmt.Sprintf("artifacts[%d]: the server fetches nothing from other addresses", i),
				fmt.Sprintf("store the file (flink-platform artifact put FILE), and write its address: %sNAME", s.Artifacts), false}
		}
	}
	need.beside.Artifact = func(uri string) (path, sha256 string, err error) {
		name, _ := s.artifact(uri)
		return s.stored(name)
	}
	return nil
}

// artifact is the name of a stored artifact in its address.
func (s Script) artifact(uri string) (name string, ours bool) {
	name, ours = strings.CutPrefix(uri, s.Artifacts)
	return name, ours && s.Artifacts != ""
}

const (
	noFunctions = "the server runs no functions of users"
	noModules   = "the server loads no modules"
	alters      = "ALTER is run here of tables, views and databases only"
	settingHint = "settings of tables (table.…), pipelines (pipeline.…) and execution (execution.…) are; the rest is for a cluster"
)

func noCatalog(kind string) string {
	return fmt.Sprintf("a catalog of type %q would connect from the server", kind)
}

// inMemory is the type of catalogs that connect to nothing.
const inMemory = "generic_in_memory"

// isPlainCatalog: in memory, or of a type that nothing here makes; an empty one in memory then takes its place.
func (w *Workbench) isPlainCatalog(kind string) bool {
	return kind == inMemory || !w.served.Makes(kind)
}

// isPlainSetting tells the keys that a script may SET. What localrun leaves out is among them.
func isPlainSetting(key string) bool {
	for _, denied := range []string{"table.catalog-store", "table.resources", "pipeline.jars", "pipeline.classpaths"} { // files of the server
		if strings.HasPrefix(key, denied) {
			return false
		}
	}
	for _, allowed := range []string{"table.", "pipeline.", "execution.", "parallelism.", "restart-strategy", "sql-client.", "state.checkpoints.", "state.savepoints.",
		"jobmanager.", "taskmanager.", "high-availability", "kubernetes.", "rest."} {
		if strings.HasPrefix(key, allowed) {
			return true
		}
	}
	return key == "state.backend" || key == "state.backend.type" || key == "state.backend.incremental"
}

// refusal says why a statement is not run here, "" if it is. walled: it is run where there is a wall.
func (w *Workbench) refusal(s sqltext.Statement) (reason string, walled bool) {
	if changesConnector(s) {
		return "a table keeps its connector here: planning a table of files would look into a directory of the server", false
	}
	switch s.Kind {
	case sqltext.Set:
		if key, _, ok, err := sqltext.ParseSet(s); ok && err == nil && !isPlainSetting(key) {
			return key + " is not set here: " + settingHint, false
		}
	case sqltext.CreateCatalog:
		for key, value := range s.Options() {
			if key == "type" && !w.isPlainCatalog(value) {
				return noCatalog(value), true
			}
		}
	case sqltext.CreateFunction:
		return noFunctions, true
	case sqltext.LoadModule:
		return noModules, true
	case sqltext.AddJar, sqltext.RemoveJar:
		return "the server loads no jars", true
	case sqltext.CreateModel:
		return "the server calls no models", false
	case sqltext.Alter:
		switch object := words(s); {
		case strings.HasPrefix(object, "ALTER TABLE "), strings.HasPrefix(object, "ALTER VIEW "), strings.HasPrefix(object, "ALTER DATABASE "):
		case strings.HasPrefix(object, "ALTER FUNCTION "), strings.HasPrefix(object, "ALTER TEMPORARY "), strings.HasPrefix(object, "ALTER CATALOG "):
			return alters, true
		default:
			return alters, false
		}
	case sqltext.Reset, sqltext.Insert, sqltext.StatementSet, sqltext.BeginStatementSet, sqltext.EndStatementSet, sqltext.Select, sqltext.CreateDatabase,
		sqltext.CreateTable, sqltext.CreateTableAs, sqltext.CreateView, sqltext.Drop, sqltext.Use, sqltext.UseModules, sqltext.UnloadModule,
		sqltext.Explain, sqltext.Show, sqltext.Describe, sqltext.Quit, sqltext.Clear, sqltext.Help, sqltext.Source: // the last three are refused with a better reason
	default:
		return s.Kind.String() + " is not run by the server", false
	}
	return "", false
}

// changesConnector reports whether a statement gives a table another connector than the one that it was looked at with: ALTER TABLE, or a
// hint, whose keys may be literals and identifiers.
func changesConnector(s sqltext.Statement) bool {
	const key = "connector"
	if s.Kind == sqltext.Alter {
		for k := range s.Options() {
			if strings.EqualFold(k, key) {
				return true
			}
		}
	}
	tokens := slices.Collect(s.Significant())
	hint := false
	for i, t := range tokens {
		name := ""
		switch t.Kind {
		case sqltext.HintStart:
			hint = true
		case sqltext.HintEnd:
			hint = false
		case sqltext.Word:
			name = t.Text
		case sqltext.QuotedIdentifier:
			name = strings.Trim(t.Text, "`")
		case sqltext.String:
			value, _, err := sqltext.Literals(tokens, i)
			if name = value; err != nil {
				name = key // what Flink makes of it is not known
			}
		}
		if hint && strings.EqualFold(name, key) {
			return true
		}
	}
	return false
}

// words is the start of a statement in upper case, with single blanks.
func words(s sqltext.Statement) string {
	var b strings.Builder
	n := 0
	for t := range s.Significant() {
		b.WriteString(strings.ToUpper(t.Text) + " ")
		if n++; n == 2 {
			break
		}
	}
	return b.String()
}
