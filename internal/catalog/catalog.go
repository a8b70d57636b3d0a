// Package catalog writes the SQL that prepares a session for a job: settings, jars, modules, catalogs, functions.
//
// In: a [Spec], what the job definition asks for. Out: [Statement]s that Flink reads back to exactly those
// values, each in a form to run and a form to show. The order is fixed, because later statements need earlier ones:
//
//  1. RESET, SET: settings may rule how everything else is read; but table.sql-dialect goes last, since Hive's
//     parser would read the rest otherwise.
//  2. ADD JAR: modules, catalogs and functions may live in these jars.
//  3. LOAD MODULE, USE MODULES.
//  4. CREATE CATALOG.
//  5. USE CATALOG, USE: before the functions, so that a function without a catalog in its name is created where
//     the job's script looks for it.
//  6. CREATE FUNCTION: may name a catalog, and a module's function may be shadowed on purpose.
//
// Facts are from the parsers and table environments of Flink 1.13 to 2.3; oracle_test.go (build tag flink) reads
// everything back through them.
package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqltext"
)

// Spec is what the session of a job needs. Slices keep their order.
type Spec struct {
	Reset       []string // keys
	Set         []KV
	Jars        []string // paths for ADD JAR
	Modules     []Module
	UseModules  []string // resolution order; empty: see Module
	Catalogs    []Catalog
	UseCatalog  string // empty: default_catalog
	UseDatabase string // empty: the catalog's default
	Functions   []Function
}

// KV is a setting or an option.
type KV struct {
	Key   string
	Value secret.Text
}

// Module is a module to load. The module core is always loaded: without options it may be in the list to say
// its position in the resolution order, else it comes first.
type Module struct {
	Name    string
	Options []KV
}

// Catalog is a catalog to create: by name and options, or by a stored CREATE CATALOG statement, not both.
type Catalog struct {
	Name            string
	Options         []KV
	Comment         string
	IfNotExists     bool
	CreateStatement secret.Text
}

// Function is a function to create. Temporary and system: found under its simple name from every catalog and database.
// Temporary alone, and neither: belongs to the catalog and database that its name or USE says; what is neither
// is stored in the catalog, and one that is there already is left as it is.
type Function struct {
	Name              string // one to three parts joined by dots; a part may be in backticks
	Class             string
	Language          string // JAVA (also if empty), SCALA or PYTHON
	Temporary, System bool
	Jars              []string // paths for USING JAR
}

// Target is what the statements are for.
type Target struct {
	Flink     flinkversion.Version
	Sensitive func(key string) bool // Flink's rule for keys whose values are secret; nil: no key is
}

// Statement is one statement without its semicolon. A quoted part of it never spans lines, except a catalog's
// comment that does.
type Statement struct {
	SQL   secret.Text // hidden if it holds a secret
	Shown string      // the same with every secret value replaced by ******
	Why   string      // where it comes from, on one line, without secrets
}

// Error says what is wrong with a part of the Spec.
type Error struct {
	Subject string // the part, such as: catalog "ods"
	Message string
	Hint    string // what to do about it; may be empty
}

// Error returns subject and message.
func (e *Error) Error() string { return e.Subject + ": " + e.Message }

// VersionError says that this version of Flink cannot do what the Spec asks for.
type VersionError struct {
	Subject string
	Feature string
	Flink   flinkversion.Release // the one that runs
	Since   flinkversion.Release // the first that can
}

// Error returns subject, feature and the two versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: %s needs Flink %s, this is %s", e.Subject, e.Feature, e.Since, e.Flink)
}

// feature is something that not every version has.
type feature int

const (
	addJar feature = iota
	usingJar
	catalogIfNotExists
	catalogComment
)

// since returns the release that brought a feature to the SQL that a table environment executes.
func since(f feature) (name string, first flinkversion.Release) {
	table := [...]struct {
		name  string
		first flinkversion.Release
	}{
		addJar:             {"ADD JAR", sqltext.JarStatements()},
		usingJar:           {"CREATE FUNCTION … USING JAR", flinkversion.Since(1, 16)},
		catalogIfNotExists: {"CREATE CATALOG IF NOT EXISTS", flinkversion.Since(1, 20)},
		catalogComment:     {"CREATE CATALOG … COMMENT", flinkversion.Since(1, 20)},
	}
	return table[f].name, table[f].first
}

// Init returns the statements for s in their fixed order. The error joins everything that is wrong with s: [*Error]
// and [*VersionError], none of which shows a secret.
func Init(s Spec, t Target) ([]Statement, error) {
	in := initializer{target: t}
	in.settings(s)
	in.jars(s.Jars)
	in.modules(s)
	in.catalogs(s.Catalogs)
	in.use(s)
	in.functions(s.Functions)
	in.out = append(in.out, in.dialect...)
	if err := errors.Join(in.errs...); err != nil {
		return nil, err
	}
	return in.out, nil
}

// Write returns the file with all statements: UTF-8, LF, a statement to a block with its semicolon at the line end,
// comments on lines of their own. It holds the secrets. Without statements it is empty.
func Write(statements []Statement) []byte {
	if len(statements) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("-- Prepares the session of this job. Written by flink-entrypoint at each start: edits are lost.\n")
	why := ""
	for _, s := range statements {
		b.WriteByte('\n')
		if s.Why != why {
			why = s.Why
			fmt.Fprintf(&b, "-- %s\n", why)
		}
		b.WriteString(s.SQL.Reveal())
		b.WriteString(";\n")
	}
	return []byte(b.String())
}

// initializer collects statements and errors.
type initializer struct {
	target  Target
	out     []Statement
	dialect []Statement // what must come last
	errs    []error
}

func (in *initializer) fail(subject, hint, format string, args ...any) {
	in.errs = append(in.errs, &Error{Subject: subject, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// needs records an error if the target lacks the feature.
func (in *initializer) needs(f feature, subject string) {
	name, first := since(f)
	if v := in.target.Flink; !v.Reaches(first) {
		in.errs = append(in.errs, &VersionError{subject, name, v.Release(), first})
	}
}

// name checks what becomes an identifier.
func (in *initializer) name(subject, name string) {
	switch {
	case strings.TrimFunc(name, javatext.IsWhitespace) == "":
		in.fail(subject, "", "the name is empty")
	case !utf8.ValidString(name):
		in.fail(subject, "", "the name is not UTF-8")
	case len(utf16.Encode([]rune(name))) > maxIdentifier:
		in.fail(subject, "", "the name has more than %d characters, Flink's limit", maxIdentifier)
	}
}

const maxIdentifier = 256 // CalciteParser's identifierMaxLength

func (in *initializer) settings(s Spec) {
	for _, key := range s.Reset {
		subject := "RESET " + quoteName(key)
		if in.key(subject, key) {
			b := builder{}
			b.text("RESET ", sqltext.Literal(key))
			in.out = append(in.out, b.statement("settings"))
		}
	}
	for _, kv := range s.Set {
		subject := "SET " + quoteName(kv.Key)
		value := kv.Value.Reveal()
		if !in.key(subject, kv.Key) {
			continue
		}
		if !utf8.ValidString(value) {
			in.fail(subject, "", "the value is not UTF-8")
			continue
		}
		if javatext.Trim(value) != value {
			in.fail(subject, "remove them; a file often ends in a line end", "the value starts or ends with blanks or control characters, which SET drops")
			continue
		}
		b := builder{sensitive: in.target.Sensitive}
		b.text("SET ", sqltext.Literal(kv.Key), " = ")
		b.value(kv.Key, kv.Value)
		if kv.Key == "table.sql-dialect" {
			in.dialect = append(in.dialect, b.statement("the SQL dialect of the script, last because it rules how statements are read"))
		} else {
			in.out = append(in.out, b.statement("settings"))
		}
	}
}

// key checks the key of a setting.
func (in *initializer) key(subject, key string) bool {
	switch {
	case key == "":
		in.fail(subject, "", "the key is empty")
	case javatext.Trim(key) != key || !utf8.ValidString(key):
		in.fail(subject, "", "the key starts or ends with blanks, or is not UTF-8")
	default:
		return true
	}
	return false
}

func (in *initializer) jars(paths []string) {
	for _, path := range paths {
		in.needs(addJar, "jar "+quoteName(path))
		in.plain("jar "+quoteName(path), "the path", path)
		b := builder{}
		b.text("ADD JAR ", sqltext.PlainLiteral(path))
		in.out = append(in.out, b.statement("jars of the job"))
	}
}

// plain checks what becomes a plain literal: the grammar takes no other there, so control characters would be
// written to the file as they are.
func (in *initializer) plain(subject, what, s string) {
	switch {
	case s == "":
		in.fail(subject, "", "%s is empty", what)
	case !utf8.ValidString(s) || sqltext.HasControl(s):
		in.fail(subject, "", "%s holds control characters or is not UTF-8", what)
	}
}

func (in *initializer) modules(s Spec) {
	const core = "core"
	known := map[string]bool{core: true}
	listed := map[string]bool{}
	var order []string
	coreListed := false
	for _, m := range s.Modules {
		subject := "module " + quoteName(m.Name)
		in.name(subject, m.Name)
		switch {
		case listed[m.Name]:
			in.fail(subject, "", "it is listed twice")
			continue
		case m.Name == core && len(m.Options) > 0:
			in.fail(subject, "", "Flink loads it itself, without options")
			continue
		}
		listed[m.Name], known[m.Name] = true, true
		order = append(order, m.Name)
		if m.Name == core {
			coreListed = true
			continue
		}
		b := builder{sensitive: in.target.Sensitive}
		b.text("LOAD MODULE ", sqltext.Identifier(m.Name))
		in.options(subject, &b, m.Options)
		in.out = append(in.out, b.statement("module "+sqltext.Identifier(m.Name)))
	}
	why := "order in which modules resolve functions"
	if len(s.UseModules) > 0 {
		order = s.UseModules
	} else if !coreListed {
		return
	}
	used := map[string]bool{}
	quoted := make([]string, len(order))
	for i, name := range order {
		subject := "use of module " + quoteName(name)
		switch {
		case used[name]:
			in.fail(subject, "", "it is listed twice")
		case !known[name]:
			in.fail(subject, "add it to the modules", "it is not loaded")
		}
		used[name] = true
		quoted[i] = sqltext.Identifier(name)
	}
	b := builder{}
	b.text("USE MODULES ", strings.Join(quoted, ", "))
	in.out = append(in.out, b.statement(why))
}

func (in *initializer) use(s Spec) {
	const why = "where names without a catalog or database are looked up"
	if s.UseCatalog != "" {
		in.name("use of catalog "+quoteName(s.UseCatalog), s.UseCatalog)
		b := builder{}
		b.text("USE CATALOG ", sqltext.Identifier(s.UseCatalog))
		in.out = append(in.out, b.statement(why))
	}
	if s.UseDatabase != "" {
		in.name("use of database "+quoteName(s.UseDatabase), s.UseDatabase)
		b := builder{}
		b.text("USE ", sqltext.Identifier(s.UseDatabase))
		in.out = append(in.out, b.statement(why))
	}
}

func (in *initializer) functions(functions []Function) {
	for _, f := range functions {
		subject := "function " + quoteName(f.Name)
		parts, ok := path(f.Name)
		if !ok || len(parts) > 3 {
			in.fail(subject, "write name, database.name or catalog.database.name; put a part with a dot in backticks", "the name is not one to three parts")
			continue
		}
		for i, p := range parts {
			in.name(subject, p)
			parts[i] = sqltext.Identifier(p)
		}
		in.plain(subject, "the class", f.Class)
		language := strings.ToUpper(f.Language)
		switch language {
		case "", "JAVA", "SCALA":
		case "PYTHON":
			if len(f.Jars) > 0 {
				in.fail(subject, "set python.files instead", "a Python function cannot have jars")
			}
		default:
			in.fail(subject, "", "unknown language %q, expected JAVA, SCALA or PYTHON", f.Language)
		}
		b := builder{}
		switch {
		case f.System && !f.Temporary:
			in.fail(subject, "make it temporary too", "Flink creates system functions as temporary ones only")
		case f.System && len(parts) > 1:
			in.fail(subject, "", "a system function has a simple name, without catalog and database")
		case f.System:
			b.text("CREATE TEMPORARY SYSTEM FUNCTION ")
		case f.Temporary:
			b.text("CREATE TEMPORARY FUNCTION ")
		default:
			// A catalog that outlives the session has it from the second start on.
			b.text("CREATE FUNCTION IF NOT EXISTS ")
		}
		b.text(strings.Join(parts, "."), " AS ", sqltext.PlainLiteral(f.Class))
		if language != "" {
			b.text(" LANGUAGE ", language)
		}
		for i, jar := range f.Jars {
			if i == 0 {
				in.needs(usingJar, subject)
				b.text(" USING JAR ")
			} else {
				b.text(", JAR ")
			}
			in.plain(subject, "the path of a jar", jar)
			b.text(sqltext.PlainLiteral(jar))
		}
		in.out = append(in.out, b.statement("function "+strings.Join(parts, ".")))
	}
}

// path splits a name at dots outside of backticks and removes the backticks.
func path(name string) (parts []string, ok bool) {
	for {
		var part string
		if strings.HasPrefix(name, "`") {
			end := 1
			for ; ; end++ {
				at := strings.IndexByte(name[end:], '`')
				if at < 0 {
					return nil, false
				}
				end += at
				if !strings.HasPrefix(name[end+1:], "`") {
					break
				}
				end++
			}
			part, name = strings.ReplaceAll(name[1:end], "``", "`"), name[end+1:]
		} else {
			at := strings.IndexAny(name, ".`")
			if at < 0 {
				at = len(name)
			}
			part, name = name[:at], name[at:]
		}
		if part == "" {
			return nil, false
		}
		parts = append(parts, part)
		if name == "" {
			return parts, true
		}
		if name[0] != '.' {
			return nil, false
		}
		name = name[1:]
	}
}

// options writes WITH ( … ).
func (in *initializer) options(subject string, b *builder, options []KV) {
	if len(options) == 0 {
		return
	}
	seen := map[string]bool{}
	b.text(" WITH (")
	for i, kv := range options {
		switch {
		case kv.Key == "":
			in.fail(subject, "", "an option has an empty key")
		case seen[kv.Key]:
			in.fail(subject, "", "option %s is given twice", quoteName(kv.Key))
		case !utf8.ValidString(kv.Key) || !utf8.ValidString(kv.Value.Reveal()):
			in.fail(subject, "", "option %s is not UTF-8", quoteName(kv.Key))
		}
		seen[kv.Key] = true
		if i > 0 {
			b.text(",")
		}
		b.text("\n  ", sqltext.Literal(kv.Key), " = ")
		b.value(kv.Key, kv.Value)
	}
	b.text("\n)")
}

// quoteName returns a name for a message: on one line, and cut if it is very long.
func quoteName(name string) string {
	const most = 80
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return strconv.Quote(name)
}

// builder writes the two forms of a statement.
type builder struct {
	sensitive  func(key string) bool
	sql, shown strings.Builder
	hidden     bool
}

// text adds what may be shown.
func (b *builder) text(parts ...string) {
	for _, p := range parts {
		b.sql.WriteString(p)
		b.shown.WriteString(p)
	}
}

// value adds the value of a key as a literal.
func (b *builder) value(key string, v secret.Text) {
	b.sql.WriteString(sqltext.Literal(v.Reveal()))
	if v.IsHidden() || isSecret(key, v.Reveal(), b.sensitive) {
		b.hidden = true
		v = v.Hide()
	}
	b.shown.WriteString(sqltext.Literal(v.String()))
}

func (b *builder) statement(why string) Statement {
	s := Statement{SQL: secret.Public(b.sql.String()), Shown: b.shown.String(), Why: why}
	if b.hidden {
		s.SQL = s.SQL.Hide()
	}
	return s
}

// isSecret reports whether a value must not be shown: its key is sensitive, or it is a URL with user information,
// or it holds key=value with a sensitive key, as JDBC URLs and JAAS configurations do.
func isSecret(key, value string, sensitive func(string) bool) bool {
	if sensitive != nil && sensitive(key) {
		return true
	}
	if _, rest, ok := strings.Cut(value, "://"); ok {
		if at := strings.IndexByte(rest, '@'); at >= 0 && !strings.ContainsAny(rest[:at], "/?#") {
			return true
		}
	}
	if sensitive == nil || !strings.Contains(value, "=") {
		return false
	}
	for _, field := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("?&;, \t\r\n\"'{}()", r) }) {
		if k, _, ok := strings.Cut(field, "="); ok && sensitive(k) {
			return true
		}
	}
	return false
}
