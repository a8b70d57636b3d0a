package sqlrunner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
)

// Part is a piece of the script with lines of its own.
type Part struct {
	Name string // as errors call it, e.g. "init.sql"; empty for the user's script
	Text string
}

// Options says under which circumstances a script will run.
type Options struct {
	Mode             Mode
	Flink            flinkversion.Version // zero: the newest known
	FixedJobID       bool                 // the cluster gets a job id
	HighAvailability bool
	// RuntimeMode is execution.runtime-mode of the configuration; empty is streaming. A SET in the script beats it.
	RuntimeMode string
	// Compare tells the statements, by part and line, that a Local run also plans as the real connectors would have them, to report
	// what Flink refuses there; nil: none.
	Compare func(part string, line int) bool
	// Configuration is given to the environment at its creation, for Local and Check; an application cluster's
	// environment gets the cluster's configuration.
	Configuration map[string]string
	// Tables (catalog, database, table) are those that an Ask is about; with a catalog alone it is about its default database.
	Tables [][3]string
	// Secrets are values that the runner must not show in what it prints and throws.
	Secrets []string
	// Sensitive tells the keys whose literal values in the script are as secret; nil: none.
	Sensitive func(key string) bool
	// Left are, by part, the offsets of statements that were blanked, in their order: they count in the numbers of the others.
	Left [][]int
}

// Plan is a script made ready. Script and Index hold the secrets of the parts; Index also Options.Secrets.
type Plan struct {
	Script      []byte // the parts, one after the other
	Index       []byte // its statements, for the runner
	RuntimeMode string // "streaming" or "batch"
	Jobs        int    // how many jobs the script starts, as far as its text tells
	Warnings    []string
}

const runtimeModeKey = "execution.runtime-mode"

// Prepare makes a script ready for the runner. In a streaming script all INSERTs join one statement set, each at
// its place, so that USE and DROP around it mean what they say, and are submitted as one job after the last
// statement. In a batch script each statement runs, and its job ends, before the next. The error is an [*Error]:
// text that Flink's lexer refuses, or a script that Flink would not run as it is meant; or several joined, for commands of an
// SQL shell.
func Prepare(parts []Part, o Options) (Plan, error) {
	p, err := read(parts, o)
	if err != nil {
		return Plan{}, err
	}
	return p.plan(), nil
}

// Judge returns the warnings and the error of [Prepare], and makes nothing ready.
func Judge(parts []Part, o Options) (warnings []string, err error) {
	p, err := read(parts, o)
	return p.warnings, err
}

func read(parts []Part, o Options) (*preparer, error) {
	p := &preparer{Options: o, lastBeforeQuit: make(map[string]int)}
	p.Flink = p.Flink.OrNewest()
	if err := p.split(parts); err != nil {
		return p, err
	}
	if err := p.runtimeMode(); err != nil {
		return p, err
	}
	err := p.judge()
	if more := p.late - mostLate; more > 0 {
		p.warnf("%d more settings apply to the INSERTs before them too", more)
	}
	return p, err
}

// statement is a statement with its place in the script file.
type statement struct {
	sqltext.Statement
	part  string
	start int // of Text in the script file
}

func (s statement) label() string {
	if s.part == "" {
		return fmt.Sprintf("statement %d", s.Number)
	}
	return fmt.Sprintf("%s statement %d", s.part, s.Number)
}

func (s statement) place() string { return fmt.Sprintf("%s, line %d", s.label(), s.Line) }

func (s statement) errorf(hint, format string, args ...any) *Error {
	return &Error{Part: s.part, Number: s.Number, Line: s.Line, Column: s.Column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

type preparer struct {
	late int // settings after an INSERT
	Options
	script         []byte
	parts          []cutPart
	lastBeforeQuit map[string]int // number of the last statement of a part that is not QUIT or EXIT
	batch          bool
	jobs           int
	warnings       []string
}

// cutPart is a part with its place in the script file.
type cutPart struct {
	name  string
	text  string
	left  []int
	start int
	*sqltext.Script
}

// statements yields all statements. They are not kept: a list of them takes more memory than the script.
func (p *preparer) statements() iter.Seq[statement] {
	return func(yield func(statement) bool) {
		for _, part := range p.parts {
			left := 0
			for s := range part.All() {
				for left < len(part.left) && part.left[left] < s.Offset {
					left++
				}
				s.Number += left
				if !yield(statement{Statement: s, part: part.name, start: part.start + s.Offset}) {
					return
				}
			}
		}
	}
}

func (p *preparer) warnf(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *preparer) split(parts []Part) error {
	size, lineEnds := 0, true
	for i, part := range parts {
		text := strings.TrimPrefix(part.Text, "\uFEFF") // would be an error in the middle of the file
		found, err := sqltext.Cut(text, sqltext.DialectOf(p.Flink))
		if err != nil {
			return inPart(err, part.Name, 0)
		}
		if !lineEnds {
			size++
		}
		var left []int
		if i < len(p.Left) {
			left = p.Left[i]
		}
		p.parts = append(p.parts, cutPart{part.Name, text, left, size, found})
		size += len(text)
		lineEnds = text == "" || strings.HasSuffix(text, "\n")
	}
	return nil
}

// write makes the script file of the parts.
func (p *preparer) write() {
	size := 0
	for _, part := range p.parts {
		size = part.start + len(part.text)
	}
	p.script = make([]byte, 0, size)
	for _, part := range p.parts {
		if len(p.script) < part.start {
			p.script = append(p.script, '\n')
		}
		p.script = append(p.script, part.text...)
	}
}

// inPart places an error of sqltext.
func inPart(err error, part string, number int) error {
	if e, ok := errors.AsType[*sqltext.Error](err); ok {
		return &Error{Part: part, Number: number, Line: e.Line, Column: e.Column, Message: e.Message, Hint: e.Hint}
	}
	return &Error{Part: part, Number: number, Message: err.Error()}
}

// runtimeMode finds the mode that the environment must be created with: it cannot change later.
func (p *preparer) runtimeMode() error {
	mode, from := p.RuntimeMode, statement{}
	for s := range p.statements() {
		if s.Kind != sqltext.Quit {
			p.lastBeforeQuit[s.part] = s.Number
		}
		key, value, ok, err := sqltext.ParseSet(s.Statement)
		if err != nil {
			return inPart(err, s.part, s.Number)
		}
		if !ok || key != runtimeModeKey {
			continue
		}
		if from.Number > 0 && !strings.EqualFold(mode, value) {
			p.warnf("%s sets %s to %s, %s to %s: the last one holds for the whole script", from.place(), runtimeModeKey, mode, s.place(), value)
		}
		mode, from = value, s
	}
	switch strings.ToLower(mode) {
	case "", "streaming":
	case "batch":
		p.batch = true
	default:
		const hint = "the Table API has the modes streaming and batch only, not AUTOMATIC"
		if from.Number > 0 {
			return from.errorf(hint, "%s is %.40q, expected streaming or batch", runtimeModeKey, mode)
		}
		return &Error{Message: fmt.Sprintf("%s of the configuration is %.40q, expected streaming or batch", runtimeModeKey, mode), Hint: hint}
	}
	return nil
}

// judge counts jobs, refuses scripts that would lose some of them, and warns of statements that run otherwise than they read.
func (p *preparer) judge() error {
	var firstInsert, begin statement
	var second statement // the one that starts the second job
	inserts := 0
	var shell []error
	for s := range p.statements() {
		if refused, ok := p.shellCommand(s); ok {
			if len(shell) < maxRefused {
				shell = append(shell, &Error{Part: s.part, Line: s.Line, Column: s.Column, Message: refused.message, Hint: refused.hint})
			}
			continue
		}
		switch s.Kind {
		case sqltext.Quit:
			p.warnf("%s: %s is ignored: a script ends with its last statement", s.place(), word(s, 0))
			continue
		case sqltext.Insert:
			if inserts++; inserts == 1 {
				firstInsert = s
			}
			if p.batch && begin.Number == 0 || !p.batch && inserts == 1 {
				p.jobs++
			}
		case sqltext.BeginStatementSet:
			if begin.Number > 0 {
				return s.errorf("", "BEGIN STATEMENT SET inside the one of line %d", begin.Line)
			}
			begin = s
			if p.batch {
				p.jobs++
			}
		case sqltext.EndStatementSet:
			if begin.Number == 0 {
				return s.errorf("", "END without BEGIN STATEMENT SET")
			}
			begin = statement{}
		case sqltext.Set, sqltext.Reset:
			if err := p.judgeSetting(s, firstInsert); err != nil {
				return err
			}
		default:
			if startsJob(s.Kind) {
				if err := p.judgeJob(s); err != nil {
					return err
				}
				p.jobs++
			}
		}
		if p.jobs == 2 && second.Number == 0 {
			second = s
		}
		if begin.Number > 0 && s.Kind != sqltext.Insert && s.Kind != sqltext.BeginStatementSet {
			return s.errorf("", "%s between BEGIN STATEMENT SET (line %d) and its END, expected INSERT", s.Kind, begin.Line)
		}
	}
	if len(shell) == 1 {
		return shell[0]
	}
	if len(shell) > 0 {
		return errors.Join(shell...)
	}
	if begin.Number > 0 {
		return begin.errorf("end it with END;", "BEGIN STATEMENT SET without END")
	}
	if p.Mode != Application {
		return nil
	}
	if p.jobs == 0 {
		return &Error{Message: "the script starts no job: it has no INSERT", Hint: "an application cluster ends with an error when its program submits no job; use the debug command for a script that only defines tables"}
	}
	if reason := p.oneJob(); reason != "" && p.jobs > 1 {
		hint := "write all INSERTs into one EXECUTE STATEMENT SET BEGIN … END"
		if p.batch {
			hint += ", or run the script without a fixed id and without high availability"
		}
		return second.errorf(hint, "the script starts %d jobs, this is the second: %s allows one", p.jobs, reason)
	}
	return nil
}

// oneJob says why the cluster runs a single job, or "".
func (p *preparer) oneJob() string {
	switch {
	case p.FixedJobID:
		return "a fixed job id"
	case p.HighAvailability:
		return "high availability"
	}
	return ""
}

// startsJob tells the statements, other than INSERT, that submit a job of their own.
func startsJob(k sqltext.StatementKind) bool {
	switch k {
	case sqltext.StatementSet, sqltext.Select, sqltext.CreateTableAs, sqltext.CreateMaterializedTable, sqltext.Call,
		sqltext.Execute, sqltext.Update, sqltext.Delete, sqltext.Merge, sqltext.Analyze:
		return true
	}
	return false
}

func (p *preparer) judgeJob(s statement) error {
	reason := p.oneJob()
	if p.Mode != Application || reason == "" {
		return nil
	}
	switch s.Kind {
	case sqltext.CreateTableAs:
		return s.errorf("write CREATE TABLE IF NOT EXISTS and an INSERT", "%s starts a job of its own, and fails when it is run again: %s does not allow it", s.Kind, reason)
	case sqltext.Select, sqltext.Call, sqltext.CreateMaterializedTable, sqltext.Analyze:
		return s.errorf("", "%s starts a job of its own, which %s does not allow", s.Kind, reason)
	}
	return nil
}

func (p *preparer) judgeSetting(s, firstInsert statement) error {
	key, _, ok, err := sqltext.ParseSet(s.Statement)
	if s.Kind == sqltext.Reset {
		key, ok, err = sqltext.ParseReset(s.Statement)
	}
	switch {
	case err != nil:
		return inPart(err, s.part, s.Number)
	case s.Kind == sqltext.Set && !ok:
		p.warnf("%s: SET without a key shows all settings; left out", s.place())
	case s.Kind == sqltext.Reset && key == runtimeModeKey:
		p.warnf("%s: RESET of %s cannot work, the environment is created with it; left out", s.place(), key)
	case key == runtimeModeKey:
	case firstInsert.Number > 0 && !p.batch:
		what := s.Kind.String()
		if key != "" {
			what += " " + key
		}
		if p.late++; p.late <= mostLate {
			p.warnf("%s: %s applies to the INSERT of line %d too: all INSERTs of a streaming script are one job, planned at the end", s.place(), what, firstInsert.Line)
		}
	}
	return nil
}

// mostLate is how many settings after an INSERT are reported one by one: a script of many would have a page of them.
const mostLate = 20

// plan writes the index; docker/sql-runner says what its lines mean.
func (p *preparer) plan() Plan {
	p.write()
	var size counter
	masks := p.masks()
	if p.Mode != Check && p.Mode != Ask { // they add SQL of their own after the script
		p.index(&size, masks)
	}
	index := bytes.NewBuffer(make([]byte, 0, size))
	p.index(index, masks)
	plan := Plan{Script: p.script, Index: index.Bytes(), RuntimeMode: "streaming", Jobs: p.jobs, Warnings: p.warnings}
	if p.batch {
		plan.RuntimeMode = "batch"
	}
	return plan
}

// counter counts what is written, so that the index of a large script is allocated once.
type counter int

func (c *counter) WriteByte(byte) error { *c++; return nil }

func (c *counter) WriteString(s string) (int, error) {
	*c += counter(len(s))
	return len(s), nil
}

// textWriter is a [counter] or a buffer.
type textWriter interface {
	io.ByteWriter
	io.StringWriter
}

func (p *preparer) index(b textWriter, masks []string) {
	line := func(fields ...string) {
		for i, f := range fields {
			if i > 0 {
				_ = b.WriteByte('\t')
			}
			escape(b, f)
		}
		_ = b.WriteByte('\n')
	}
	for _, key := range slices.Sorted(maps.Keys(p.Configuration)) {
		line("conf", key, p.Configuration[key])
	}
	for _, secret := range masks {
		line("mask", secret)
	}
	if p.batch {
		line("batch")
	}
	at := func(kind string, s statement, more ...string) {
		line(append([]string{kind, strconv.Itoa(s.Line), strconv.Itoa(s.Column), s.label()}, more...)...)
	}
	text := func(kind string, s statement) {
		at(kind, s, strconv.Itoa(s.start), strconv.Itoa(s.start+len(s.Text)))
	}
	var first statement // of the statement set
	inserts := 0        // in it
	submit := func() {
		if p.Mode == Check || p.Mode == Ask || inserts == 0 {
			return
		}
		label := first.label()
		if inserts > 1 {
			label = fmt.Sprintf("the job of the %d INSERTs from %s", inserts, label)
		}
		line("submit", strconv.Itoa(first.Line), strconv.Itoa(first.Column), label)
		inserts = 0
	}
	block := false
	for s := range p.statements() {
		if s.Kind == sqltext.Quit || p.Mode == Ask && !opensCatalogs(s.Kind) {
			continue
		}
		if p.Mode == Local && comparable(s.Kind) && p.Compare != nil && p.Compare(s.part, s.Line) {
			text("compare", s)
		}
		switch s.Kind {
		case sqltext.Set:
			if key, value, ok, _ := sqltext.ParseSet(s.Statement); ok && key != runtimeModeKey {
				at("set", s, key, value)
			}
		case sqltext.Reset:
			if key, ok, _ := sqltext.ParseReset(s.Statement); !ok {
				at("reset", s)
			} else if key != runtimeModeKey {
				at("reset", s, key)
			}
		case sqltext.BeginStatementSet:
			block = true
		case sqltext.EndStatementSet:
			block = false
			if p.batch {
				submit()
			}
		case sqltext.Insert:
			switch {
			case p.Mode == Check:
				text("plan", s)
			case p.batch && !block:
				text("run", s)
			default:
				if inserts++; inserts == 1 {
					first = s
				}
				text("insert", s)
			}
		case sqltext.Select:
			text(p.pick("query", "plan"), s)
		case sqltext.CreateTableAs:
			if p.Mode != Check {
				text("run", s)
				continue
			}
			text("run", p.asView(s))
			if rulesOf(p.Flink).explainsTableAs {
				text("ctas", s)
			}
		default:
			if p.Mode != Check || !startsJob(s.Kind) {
				text("run", s)
			} else if s.Kind == sqltext.StatementSet {
				text("plan", s)
			} // nothing can be planned without being run of CALL, ANALYZE and the like
		}
	}
	submit()
	ask := func(kind string, table int, sql string) {
		start := p.addAfter(sql)
		line(kind, "1", "1", strconv.Itoa(table), strconv.Itoa(start), strconv.Itoa(len(p.script)))
	}
	for i, t := range p.Tables {
		if t[1] == "" {
			ask("run", i, "USE CATALOG "+sqltext.Identifier(t[0]))
			ask("ddl", i, "SHOW CURRENT DATABASE")
			continue
		}
		name := sqltext.Identifier(t[0]) + "." + sqltext.Identifier(t[1]) + "." + sqltext.Identifier(t[2])
		ask("ddl", i, "SHOW CREATE TABLE "+name) // Flink refuses the one that it is not
		ask("ddl", i, "SHOW CREATE VIEW "+name)
	}
}

// addAfter adds a statement after the script and returns where it begins.
func (p *preparer) addAfter(sql string) (start int) {
	p.script = append(p.script, "\n;"...)
	start = len(p.script)
	p.script = append(p.script, sql...)
	return start
}

// comparable tells the statements that Flink plans.
func comparable(k sqltext.StatementKind) bool {
	return k == sqltext.Insert || k == sqltext.Select || k == sqltext.StatementSet || k == sqltext.CreateTableAs
}

// opensCatalogs tells the statements without which catalogs are not what the script makes them. None of them writes into one.
func opensCatalogs(k sqltext.StatementKind) bool {
	switch k {
	case sqltext.Set, sqltext.Reset, sqltext.CreateCatalog, sqltext.LoadModule, sqltext.UseModules, sqltext.AddJar:
		return true
	}
	return false
}

// pick returns the first word, or in Check the second.
func (p *preparer) pick(run, check string) string {
	if p.Mode == Check {
		return check
	}
	return run
}

// asView replaces CREATE TABLE t … AS query when nothing may run: a temporary view t AS query, written after
// the script. Positions inside of the query stay.
func (p *preparer) asView(s statement) statement {
	var name strings.Builder
	tokens := slices.Collect(s.Significant())
	word := func(i int, w string) bool {
		return tokens[i].Kind == sqltext.Word && strings.EqualFold(tokens[i].Text, w)
	}
	i := 0
	for ; i < len(tokens) && !word(i, "TABLE"); i++ {
	}
	for i++; i < len(tokens) && (word(i, "IF") || word(i, "NOT") || word(i, "EXISTS")); i++ {
	}
	for ; i < len(tokens) && (tokens[i].Kind == sqltext.QuotedIdentifier || tokens[i].Text == "." || tokens[i].Kind == sqltext.Word); i++ {
		if tokens[i].Kind == sqltext.Word && name.Len() > 0 && !strings.HasSuffix(name.String(), ".") {
			break
		}
		name.WriteString(tokens[i].Text)
	}
	for depth := 0; i < len(tokens) && (depth > 0 || !word(i, "AS")); i++ {
		switch tokens[i].Text {
		case "(":
			depth++
		case ")":
			depth--
		}
	}
	if i+1 >= len(tokens) || name.Len() == 0 {
		return s
	}
	query := tokens[i+1]
	head := "CREATE TEMPORARY VIEW " + name.String() + " AS "
	view := s
	view.Text = head + s.Text[query.Offset-s.Offset:]
	view.start = p.addAfter(view.Text)
	view.Line, view.Column = query.Line, query.Column-len(utf16.Encode([]rune(head)))
	return view
}

// masks lists what must not be shown, each once: the secrets themselves, as they are written in a literal, and as
// Flink's parser shows a literal that it did not expect.
func (p *preparer) masks() []string {
	found := make(map[string]bool)
	for _, secret := range p.Secrets {
		found[secret] = true
	}
	if p.Sensitive != nil {
		for s := range p.statements() {
			p.sensitiveValues(s, found)
		}
	}
	delete(found, "")
	for _, secret := range slices.Collect(maps.Keys(found)) {
		literal := sqltext.Literal(secret)
		for _, text := range []string{strings.ReplaceAll(secret, "'", "''"), literal[strings.IndexByte(literal, '\'')+1 : len(literal)-1]} {
			found[text] = true
			found[parserEscaped(text)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// parserEscaped writes s as JavaCC's add_escapes does in "Encountered …".
func parserEscaped(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		switch {
		case unit == '"' || unit == '\'' || unit == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(unit))
		case unit >= ' ' && unit <= '~':
			b.WriteByte(byte(unit))
		case unit < ' ' && strings.IndexByte("\b\t\n\f\r", byte(unit)) >= 0:
			b.WriteByte('\\')
			b.WriteByte("btnfr"[strings.IndexByte("\b\t\n\f\r", byte(unit))])
		default:
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// sensitiveValues adds the values of sensitive keys in 'key' = 'value' and SET. One or two characters, a number of three digits, true
// and false protect nothing, but masking them would leave no message readable.
func (p *preparer) sensitiveValues(s statement, found map[string]bool) {
	add := func(key, value string) {
		number := strings.Trim(value, "0123456789") == ""
		if p.Sensitive(key) && len(value) > 2 && !(number && len(value) == 3) && value != "true" && value != "false" {
			found[value] = true
		}
	}
	if key, value, ok, _ := sqltext.ParseSet(s.Statement); ok {
		add(key, value)
		return
	}
	for key, value := range s.Options() {
		add(key, value)
	}
}

// escape writes a field of the index.
func escape(b textWriter, s string) {
	for {
		i := strings.IndexAny(s, "\t\n\r\\")
		if i < 0 {
			_, _ = b.WriteString(s)
			return
		}
		_, _ = b.WriteString(s[:i])
		_ = b.WriteByte('\\')
		_ = b.WriteByte(map[byte]byte{'\t': 't', '\n': 'n', '\r': 'r', '\\': '\\'}[s[i]])
		s = s[i+1:]
	}
}
