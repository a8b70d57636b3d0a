package document

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/sqltext"
)

const (
	referenceHint = "write {fromEnv: NAME} or {fromFile: /path}: the pod has the value, the platform never"
	storedHint    = "write '${fromEnv:NAME}' or '${fromFile:/path}': the pod has the value, the platform never"
	scriptHint    = "make the table in a catalog whose options are references, or keep the whole script with the pod: script: {fromFile: /path}"
)

// secretsIn refuses literals where Flink itself says that the value is a secret: versions are kept for ever and shown to a team.
func secretsIn(def *jobdef.Definition) api.Faults {
	var faults api.Faults
	check := func(path string, settings []jobdef.Setting) {
		for _, s := range settings {
			text, _ := s.Value.Plain()
			switch at := max(s.Line, 1); {
			case flinkconf.Hidden(s.Key):
				if s.Value.HasLiteral() && !isSwitch(text) {
					faults = append(faults, secretHere(path+"."+s.Key, s.Key, at, 1, referenceHint))
				}
			case strings.HasPrefix(s.Key, "env."): // options of Java, which have names of their own
				redact.Options(flinkconf.UnquoteOptions(s.Key, text), func(name, hidden string) {
					if !redact.Ordinary(hidden) {
						faults = append(faults, secretHere(path+"."+s.Key, name, at, 1, "refer to the whole value: {fromEnv: NAME} or {fromFile: /path}"))
					}
				})
			}
		}
	}
	check("configuration", def.Configuration)
	if def.Jar != nil {
		faults = append(faults, secretArguments(def.Jar.Args)...)
	}
	if def.SQL == nil {
		return faults
	}
	check("sql.set", def.SQL.Set)
	for i, m := range def.SQL.Modules {
		check(fmt.Sprintf("sql.modules[%d].options", i), m.Options)
	}
	for i, c := range def.SQL.Catalogs {
		check(fmt.Sprintf("sql.catalogs[%d].options", i), c.Options)
		statement, _ := c.CreateStatement.Plain()
		for _, l := range secretLiterals(statement, true) {
			// Of a block scalar, the columns of the statement are not columns of the document.
			faults = append(faults, secretHere(c.CreateStatement.Path(), l.key, max(c.CreateStatement.Line(), 1)+l.line-1, 1, storedHint))
		}
	}
	return faults
}

// secretHere is the fault of a secret that is written where everybody of the team can read it. It never quotes the value.
func secretHere(path, key string, line, column int, hint string) wire.Fault {
	return wire.Fault{Path: path, Line: line, Column: column, Message: fmt.Sprintf("%.200s is a secret, and its value is written here", key), Hint: hint}
}

// isSwitch reports whether a value turns something on or off: security.delegation.tokens.enabled is such a key, by Flink's rule a sensitive one.
func isSwitch(value string) bool {
	return strings.EqualFold(value, "true") || strings.EqualFold(value, "false")
}

// secretArguments are the arguments of a program that follow a sensitive name: --password x, --password=x.
func secretArguments(args []jobdef.Text) api.Faults {
	var faults api.Faults
	words := make([]string, len(args))
	for i, a := range args {
		words[i], _ = a.Plain() // of a reference, nothing
	}
	for i, shown := range redact.Arguments(words, nil) {
		value := words[i]
		if _, after, ok := strings.Cut(value, "="); ok {
			value = after
		}
		if shown != words[i] && args[i].HasLiteral() && !redact.Ordinary(value) {
			faults = append(faults, secretHere(args[i].Path(), args[i].Path(), max(args[i].Line(), 1), 1, referenceHint))
		}
	}
	return faults
}

// A secretLiteral is a value under a sensitive key in SQL, by the place of the key.
type secretLiteral struct {
	key          string
	line, column int
}

// secretLiterals finds values under sensitive keys in SQL: options of tables, catalogs, functions, models and hints, and SET. stored: a value may be a
// reference, as in stored catalogs. SQL that cannot be cut into statements has faults of its own.
func secretLiterals(text string, stored bool) []secretLiteral {
	script, err := sqltext.Cut(text, sqltext.DialectOf(newest()))
	if err != nil {
		return nil
	}
	var found []secretLiteral
	add := func(key, value string, line, column int) {
		if !flinkconf.Hidden(key) || isSwitch(value) || stored && reference(value) != nil {
			return
		}
		if n := len(found); n > 0 && found[n-1].line == line && strings.HasSuffix(found[n-1].key, key) && found[n-1].key != key {
			return // the rest of a key that is written in pieces
		}
		found = append(found, secretLiteral{key, line, column})
	}
	for s := range script.All() {
		if s.Kind == sqltext.Set {
			if key, value, ok, err := sqltext.ParseSet(s); ok && err == nil {
				add(key, value, s.Line, s.Column)
			}
			continue
		}
		for t, o := range s.OptionsAt() {
			add(o.Key, o.Value, t.Line, t.Column)
		}
		hintOptions(s, add)
	}
	return found
}

// hintOptions are options of hints whose keys are identifiers: /*+ OPTIONS(password = 'x') */
func hintOptions(s sqltext.Statement, add func(key, value string, line, column int)) {
	var before [2]sqltext.Token
	hint := false
	for t := range s.Significant() {
		switch t.Kind {
		case sqltext.HintStart:
			hint = true
		case sqltext.HintEnd:
			hint = false
		case sqltext.String:
			if name := before[0]; hint && before[1].Text == "=" && (name.Kind == sqltext.Word || name.Kind == sqltext.QuotedIdentifier) {
				value, _ := sqltext.Unquote(t.Text)
				if key, err := sqltext.Unquote(name.Text); err == nil {
					add(key, value, name.Line, name.Column)
				}
			}
		}
		before[0], before[1] = before[1], t
	}
}

// secretsOf are the faults of a script's literals, by their places in what the user sent.
func secretsOf(text string, place func(line, column int) (int, int, bool)) api.Faults {
	var faults api.Faults
	for _, l := range secretLiterals(text, false) {
		line, column, _ := place(l.line, l.column)
		faults = append(faults, secretHere("sql.script", l.key, line, column, scriptHint))
	}
	return faults
}
