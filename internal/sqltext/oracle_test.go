//go:build flink

package sqltext

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/test/flinkhome/homes"
)

var (
	update = flag.Bool("update", false, "rewrite testdata/scripts.json and words.tsv from what Flink answers")
	seed   = flag.Uint64("seed", 20260101, "seed of the generated texts")
	count  = flag.Int("count", 400, "number of generated scripts; lexer and SET texts are ten and five times as many")
)

// oracle is Flink's parser of one version in a JVM of its own.
type oracle struct {
	version string
	in      io.WriteCloser
	out     *bufio.Reader
}

// planner returns a class path that has Flink's planner itself: planner-loader hides it in an inner jar.
func planner(t *testing.T, home string) string {
	jars, _ := filepath.Glob(filepath.Join(home, "lib/*.jar"))
	var path []string
	for _, jar := range jars {
		name := filepath.Base(jar)
		switch {
		case strings.HasPrefix(name, "flink-table-planner-loader-"):
			z, err := zip.OpenReader(jar)
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			in, err := z.Open("flink-table-planner.jar")
			if err != nil {
				t.Fatal(err)
			}
			inner := filepath.Join(t.TempDir(), "planner.jar")
			out, err := os.Create(inner)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(out, in); err != nil {
				t.Fatal(err)
			}
			out.Close()
			path = append([]string{inner}, path...)
		case strings.HasPrefix(name, "flink-table_") && strings.HasSuffix(name, "-1.13.6.jar"): // the legacy planner
		default:
			path = append(path, jar)
		}
	}
	if len(path) == 0 {
		t.Fatalf("%s has no jars in lib", home)
	}
	return strings.Join(path, string(os.PathListSeparator))
}

func startOracle(t *testing.T, home string) *oracle {
	t.Helper()
	path := planner(t, home)
	classes := t.TempDir()
	java := func(name string) string {
		if h := os.Getenv("JAVA_HOME"); h != "" {
			return filepath.Join(h, "bin", name)
		}
		return name
	}
	if out, err := exec.Command(java("javac"), "-nowarn", "-d", classes, "-cp", path, "testdata/oracle/SqlOracle.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	cmd := exec.Command(java("java"), "-Xmx512m", "-Xss4m", "-cp", classes+string(os.PathListSeparator)+path, "SqlOracle")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("SqlOracle: %v\n%s", err, stderr.String())
		}
	})
	return &oracle{version: filepath.Base(home), in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

func (o *oracle) dialect(t *testing.T) Dialect {
	v, err := flinkversion.Parse(o.version)
	if err != nil {
		t.Fatal(err)
	}
	return DialectOf(v)
}

func (o *oracle) ask(t *testing.T, command, text string) []string {
	t.Helper()
	if _, err := fmt.Fprintf(o.in, "%s %s\n", command, base64.StdEncoding.EncodeToString([]byte(text))); err != nil {
		t.Fatal(err)
	}
	line, err := o.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s %q: %v", command, text, err)
	}
	fields := strings.Fields(line)
	for i, f := range fields {
		if strings.HasPrefix(f, "=") {
			b, err := base64.StdEncoding.DecodeString(f[1:])
			if err != nil {
				t.Fatal(err)
			}
			fields[i] = string(b)
		}
	}
	return fields
}

// span is "line:column:line:column" of first and last character.
func span(text string, line, column int) string {
	l, c := advance(text, line, column)
	return fmt.Sprintf("%d:%d:%d:%d", line, column, l, c-1)
}

func TestAgreesWithFlink(t *testing.T) {
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			o := startOracle(t, homes.Home(t, version))
			t.Run("lex", func(t *testing.T) { lexAgrees(t, o) })
			t.Run("split", func(t *testing.T) { splitAgrees(t, o) })
			t.Run("set", func(t *testing.T) { setAgrees(t, o) })
			t.Run("escapes", func(t *testing.T) { escapesAgree(t, o) })
			if version == recordedVersion {
				t.Run("words", func(t *testing.T) { wordsAgree(t, o) })
			}
		})
	}
}

func lexAgrees(t *testing.T, o *oracle) {
	d := o.dialect(t)
	r := rand.New(rand.NewPCG(*seed, 1))
	refused := 0
	texts := append(handwrittenTexts(), scripts(r, 100)...)
	for len(texts) < 10**count {
		texts = append(texts, soup(r))
	}
	for _, text := range texts {
		if strings.HasPrefix(text, byteOrderMark) {
			continue // refused by Flink, stripped by us
		}
		answer := o.ask(t, "lex", text)
		flinkErr := answer[0] == "E"
		for _, a := range answer[1:] {
			flinkErr = flinkErr || strings.HasPrefix(a, "QUOTE:") // a quote without end
		}
		tokens, err := Lex(text, d)
		if flinkErr || err != nil {
			refused++
			if !flinkErr || err == nil {
				t.Errorf("%q\nflink %v\nours  %v, error %v", text, answer, tokens, err)
			}
			continue
		}
		var ours []string
		for _, tok := range tokens {
			kind := ""
			switch {
			case tok.Kind == Whitespace, tok.Kind == Comment && !strings.HasPrefix(tok.Text, "/*"):
				continue
			case tok.Kind == Comment:
				kind = "C"
			default:
				kind = map[Kind]string{HintStart: "H", HintEnd: "h", Word: "W", QuotedIdentifier: "Q", String: "S",
					Number: "N", Symbol: "Y", Collation: "COLLATION"}[tok.Kind]
			}
			ours = append(ours, kind+":"+span(tok.Text, tok.Line, tok.Column))
		}
		if got, want := strings.Join(ours, " "), strings.Join(answer[1:], " "); got != want {
			t.Errorf("%q\nflink %s\nours  %s", text, want, got)
		}
	}
	t.Logf("%d texts, %d refused by both", len(texts), refused)
}

// recordedVersion is the one whose answers are kept in files.
const recordedVersion = "2.2.1"

// wordsAgree compares words.tsv, which the editor of the pages has its keywords from.
func wordsAgree(t *testing.T, o *oracle) {
	var b strings.Builder
	b.WriteString("# Keywords of the parser of Flink " + recordedVersion + " (reserved: a name like it needs backquotes) and its functions. Written by: go test -tags flink -run TestAgreesWithFlink -update\n")
	for _, word := range o.ask(t, "words", "") {
		name, kind, _ := strings.Cut(word, ":")
		b.WriteString(name + "\t" + kind + "\n")
	}
	if *update {
		if err := os.WriteFile("words.tsv", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("words.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != b.String() {
		t.Errorf("words.tsv is not what Flink %s answers\nhint: -update writes it", o.version)
	}
	for _, want := range []string{"SELECT\treserved\n", "WATERMARK\treserved\n", "METADATA\tkeyword\n", "COUNT\tfunction\n", "JSON_VALUE\tfunction\n"} {
		if !strings.Contains(string(kept), "\n"+want) {
			t.Errorf("words.tsv has no line %q", want)
		}
	}
}

// recorded is a script with what Flink found in it.
type recorded struct {
	Script     string
	Statements []string // kind:line:column:line:column
}

func splitAgrees(t *testing.T, o *oracle) {
	d := o.dialect(t)
	r := rand.New(rand.NewPCG(*seed, 2))
	all := append(handwrittenScripts(), scripts(r, *count)...)
	refused, statements := 0, 0
	var record []recorded
	for _, script := range all {
		answer := o.ask(t, "split", script)
		ours, err := Split(script, d)
		if answer[0] != "OK" {
			refused++
			if os.Getenv("SHOW_REFUSED") != "" {
				t.Logf("refused: %q\n%.200s", script, answer[1])
			}
			continue
		}
		if err != nil {
			t.Errorf("%q\nflink %v\nours  error %v", script, answer, err)
			continue
		}
		var got, want, kinds []string
		for i, s := range ours {
			at := span(s.Text, s.Line, s.Column)
			got = append(got, at)
			kinds = append(kinds, s.Kind.String()+":"+at)
			if s.Number != i+1 || script[s.Offset:s.Offset+len(s.Text)] != s.Text {
				t.Errorf("%q: statement %d has number %d, offset %d", script, i+1, s.Number, s.Offset)
			}
		}
		for i, a := range answer[2:] {
			parts := strings.SplitN(a, ":", 3)
			want = append(want, parts[2])
			if i < len(ours) && !kindFits(ours[i], parts[0], parts[1]) {
				t.Errorf("%q: statement %d: flink has %s, ours %s", script, i+1, parts[0], ours[i].Kind)
			}
		}
		statements += len(want)
		if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
			t.Errorf("%q\nflink %s\nours  %s", script, w, g)
		}
		record = append(record, recorded{script, kinds})
	}
	if refused > len(all)/4 && !strings.HasPrefix(o.version, "1.1") || refused > 3*len(all)/4 {
		t.Errorf("Flink refuses %d of %d scripts: too few are left to compare", refused, len(all))
	}
	t.Logf("%d scripts with %d statements agree, %d more Flink does not parse", len(all)-refused, statements, refused)
	if *update && o.version == recordedVersion {
		writeRecorded(t, record)
	}
}

func writeRecorded(t *testing.T, record []recorded) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, r := range record {
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("testdata/scripts.json", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// kindFits compares our kind with the class and SqlKind of Flink's node.
func kindFits(s Statement, class, sqlKind string) bool {
	classes := map[StatementKind]string{
		Set: "SqlSet", Reset: "SqlReset", Insert: "RichSqlInsert SqlExecute", StatementSet: "SqlExecute",
		BeginStatementSet: "SqlBeginStatementSet", EndStatementSet: "SqlEndStatementSet", CreateCatalog: "SqlCreateCatalog",
		CreateDatabase: "SqlCreateDatabase", CreateTable: "SqlCreateTable SqlCreateTableLike", CreateTableAs: "SqlCreateTableAs SqlReplaceTableAs",
		CreateMaterializedTable: "SqlCreateMaterializedTable SqlCreateOrAlterMaterializedTable", CreateView: "SqlCreateView",
		CreateFunction: "SqlCreateFunction", CreateModel: "SqlCreateModel SqlCreateModelAs", UseModules: "SqlUseModules", Use: "SqlUseCatalog SqlUseDatabase",
		LoadModule: "SqlLoadModule", UnloadModule: "SqlUnloadModule", AddJar: "SqlAddJar", RemoveJar: "SqlRemoveJar",
		Explain: "SqlRichExplain", Describe: "SqlRichDescribeTable SqlDescribeCatalog SqlDescribeDatabase", Execute: "SqlExecutePlan SqlCompileAndExecutePlan",
		Compile: "SqlCompilePlan", Analyze: "SqlAnalyzeTable", Truncate: "SqlTruncateTable", Delete: "SqlDelete", Update: "SqlUpdate", Merge: "SqlMerge",
	}
	if want, ok := classes[s.Kind]; ok {
		for _, c := range strings.Fields(want) {
			if c == class {
				return true
			}
		}
		return false
	}
	switch s.Kind {
	case Select:
		return strings.Contains("SELECT WITH VALUES UNION EXCEPT INTERSECT ORDER_BY EXPLICIT_TABLE", sqlKind) || class == "SqlExecute"
	case Show:
		return strings.HasPrefix(class, "SqlShow")
	case Drop:
		return strings.HasPrefix(class, "SqlDrop")
	case Alter:
		return strings.HasPrefix(class, "SqlAlter") || strings.HasPrefix(class, "SqlAdd") || strings.HasPrefix(class, "SqlChange")
	case Call:
		return sqlKind == "PROCEDURE_CALL"
	}
	return class == "SqlStopJob"
}

func setAgrees(t *testing.T, o *oracle) {
	d := o.dialect(t)
	r := rand.New(rand.NewPCG(*seed, 3))
	read := 0
	for i := range 5 * *count {
		text := setSoup(r)
		if strings.HasPrefix(o.version, "1.13.") || strings.HasPrefix(o.version, "1.14.") {
			text = strings.TrimRight(text, "; ") // their expressions know no semicolon: SET a=b; sets "b;"
		}
		answer := o.ask(t, "set", text)
		want := "NO"
		switch answer[0] {
		case "SET", "RESET":
			for len(answer) < 3 {
				answer = append(answer, "")
			}
			want = answer[0] + " " + strconv.Quote(javatext.Trim(answer[1])) + " " + strconv.Quote(javatext.Trim(answer[2]))
		case "PLAIN", "RESETALL":
			want = answer[0]
		}
		got := "NO"
		statements, err := Split(text, d)
		if err == nil && len(statements) == 1 {
			s := statements[0]
			key, value, ok, err := ParseSet(s)
			switch {
			case err != nil:
			case ok:
				got = "SET " + strconv.Quote(key) + " " + strconv.Quote(value)
			case s.Kind == Set:
				got = "PLAIN"
			}
			key, ok, err = ParseReset(s)
			switch {
			case err != nil:
			case ok:
				got = "RESET " + strconv.Quote(key) + ` ""`
			case s.Kind == Reset:
				got = "RESETALL"
			}
		}
		if want != "NO" {
			read++
		}
		if got != want && !setMayDiffer(text, got, want) {
			t.Errorf("%d: %q\nflink %s\nours  %s", i, text, want, got)
		}
	}
	t.Logf("%d texts, %d of them read by Flink", 5**count, read)
}

// setMayDiffer names the deliberate differences: we refuse a bare key with a doubled or single quote in its
// value, which Flink cuts or takes literally; a semicolon ends our statement, where Flink takes it into the key
// (RESET a; resets "a;"); a key that starts like a comment is one; we read bare SET beside comments, which Flink
// refuses.
func setMayDiffer(text, got, want string) bool {
	comment := strings.Contains(text, "--") || strings.Contains(text, "//") || strings.Contains(text, "/*")
	switch {
	case comment && (want == "NO" || strings.HasPrefix(want, `SET "--`) || strings.HasPrefix(want, `RESET "--`) || strings.HasPrefix(want, `RESET "//`)):
		return true
	case strings.HasPrefix(want, "RESET") && strings.Contains(text, ";"):
		return got == strings.Replace(want, ";", "", 1) || want == `RESET ";" ""` && got == "RESETALL"
	case got == "NO":
		return strings.Contains(text, "'") || strings.Contains(text, ";") && strings.Contains(want, ";")
	}
	return false
}

func escapesAgree(t *testing.T, o *oracle) {
	d := o.dialect(t)
	r := rand.New(rand.NewPCG(*seed, 4))
	for range 5 * *count {
		text := "SET 'k' = " + literalSoup(r, d)
		answer := o.ask(t, "set", text)
		statements, err := Split(text, d)
		value, ok := "", false
		if err == nil && len(statements) == 1 {
			_, value, ok, err = ParseSet(statements[0])
		}
		if answer[0] != "SET" {
			// Calcite refuses characters outside of the charset; that is not the lexer's business.
			if ok && err == nil && !strings.ContainsAny(text, "_N") {
				t.Errorf("%q: flink %v, ours %q", text, answer, value)
			}
			continue
		}
		for len(answer) < 3 {
			answer = append(answer, "")
		}
		if !ok || err != nil || value != javatext.Trim(answer[2]) {
			t.Errorf("%q: flink %q, ours %q %v %v", text, javatext.Trim(answer[2]), value, ok, err)
		}
	}
}
