package workbench

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/internal/validate"
)

// plain refuses what would read, write or call something of the server's: without a wall around Java, what is left is SQL on
// generated rows. The errors of a script have the places of its statements.
func (w *Workbench) plain(s Script) error {
	def, script, err := w.read(s)
	if err != nil {
		return err
	}
	cut, err := sqltext.Cut(strings.TrimPrefix(script, "\uFEFF"), sqltext.DialectOf(w.Version()))
	if err != nil {
		return nil // the preparation reports it with its place
	}
	source := sourceOf(def, s, script)
	var faults []validate.Fault
	for statement := range cut.All() {
		if reason := w.refusal(statement); reason != "" {
			f := source.Fault("", statement.Line, statement.Column, 0, 0, reason)
			f.Statement = fmt.Sprintf("statement %d", statement.Number)
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		return &validate.FaultsError{Faults: faults}
	}
	return nil
}

// read reads what a user sent, and refuses what a definition names beside its script.
func (w *Workbench) read(s Script) (*jobdef.Definition, string, error) {
	def, err := decode(s)
	if err != nil {
		return nil, "", err
	}
	script, err := scriptOf(def)
	if err == nil {
		err = w.plainDefinition(def)
	}
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
	return validate.SourceOf(def, s.Name, document, script, func(text string) string { return text })
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

// plainDefinition refuses what a definition names beside its script.
func (w *Workbench) plainDefinition(def *jobdef.Definition) error {
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
		return &Refused{"artifacts: the server runs no jars", ownMachine, false}
	}
	for _, s := range def.Configuration { // of the others, nothing is used
		if strings.HasPrefix(s.Key, "table.") && !isPlainSetting(s.Key) {
			return &Refused{fmt.Sprintf("configuration: %s is not set here", s.Key), settingHint, false}
		}
	}
	sql := def.SQL
	if len(sql.Functions) > 0 {
		return &Refused{"sql.functions: " + noFunctions, ownMachine, false}
	}
	if len(sql.Modules) > 0 {
		return &Refused{"sql.modules: " + noModules, ownMachine, false}
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
				return &Refused{path + ": " + noCatalog(kind), ownMachine, false}
			}
		}
		if text, literal := c.CreateStatement.Plain(); literal && !c.CreateStatement.IsZero() {
			statements, err := sqltext.Split(text, sqltext.DialectOf(w.Version()))
			if err != nil {
				return &Refused{path + ": " + err.Error(), "", false}
			}
			for _, s := range statements {
				if reason := w.refusal(s); reason != "" {
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
	for path, t := range texts {
		if t.IsReference() {
			return secretIn(path)
		}
	}
	return nil
}

const (
	noFunctions = "the server runs no functions of users"
	noModules   = "the server loads no modules"
	settingHint = "settings of tables (table.…), pipelines (pipeline.…) and execution (execution.…) are; the rest is for a cluster"
)

func noCatalog(kind string) string {
	return fmt.Sprintf("a catalog of type %q would connect from the server", kind)
}

// isPlainCatalog: in memory, or of a type that nothing here makes; an empty one in memory then takes its place.
func (w *Workbench) isPlainCatalog(kind string) bool {
	return kind == "generic_in_memory" || !w.served.Makes(kind)
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

// refusal says why a statement is not run here, "" if it is.
func (w *Workbench) refusal(s sqltext.Statement) string {
	if changesConnector(s) {
		return "a table keeps its connector here: planning a table of files would look into a directory of the server"
	}
	switch s.Kind {
	case sqltext.Set:
		if key, _, ok, err := sqltext.ParseSet(s); ok && err == nil && !isPlainSetting(key) {
			return key + " is not set here: " + settingHint
		}
	case sqltext.CreateCatalog:
		for key, value := range s.Options() {
			if key == "type" && !w.isPlainCatalog(value) {
				return noCatalog(value)
			}
		}
	case sqltext.CreateFunction:
		return noFunctions
	case sqltext.LoadModule:
		return noModules
	case sqltext.AddJar, sqltext.RemoveJar:
		return "the server loads no jars"
	case sqltext.CreateModel:
		return "the server calls no models"
	case sqltext.Alter:
		switch object := words(s); {
		case strings.HasPrefix(object, "ALTER TABLE "), strings.HasPrefix(object, "ALTER VIEW "), strings.HasPrefix(object, "ALTER DATABASE "):
		default:
			return "ALTER is run here of tables, views and databases only"
		}
	case sqltext.Reset, sqltext.Insert, sqltext.StatementSet, sqltext.BeginStatementSet, sqltext.EndStatementSet, sqltext.Select, sqltext.CreateDatabase,
		sqltext.CreateTable, sqltext.CreateTableAs, sqltext.CreateView, sqltext.Drop, sqltext.Use, sqltext.UseModules, sqltext.UnloadModule,
		sqltext.Explain, sqltext.Show, sqltext.Describe, sqltext.Quit, sqltext.Clear, sqltext.Help, sqltext.Source: // the last three are refused with a better reason
	default:
		return s.Kind.String() + " is not run by the server"
	}
	return ""
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
