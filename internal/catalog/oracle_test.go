//go:build flink

package catalog

import (
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
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/test/flinkhome/homes"
)

var (
	seed  = flag.Uint64("seed", 20260102, "seed of the generated values")
	count = flag.Int("count", 200, "number of generated definitions")
)

// oracle is a table environment of one Flink version in a JVM of its own.
type oracle struct {
	target Target
	in     io.WriteCloser
	out    *bufio.Reader
}

func startOracles(t *testing.T, each func(t *testing.T, o *oracle)) {
	for _, v := range homes.Versions() {
		t.Run(v, func(t *testing.T) { each(t, startOracle(t, homes.Home(t, v))) })
	}
}

func startOracle(t *testing.T, home string) *oracle {
	var o oracle
	var err error
	if o.target.Flink, err = flinkversion.Parse(filepath.Base(home)); err != nil {
		t.Fatalf("%s: %v", home, err)
	}
	o.target.Sensitive = sensitive
	classes := t.TempDir()
	java := func(name string) string {
		if h := os.Getenv("JAVA_HOME"); h != "" {
			return filepath.Join(h, "bin", name)
		}
		return name
	}
	path := filepath.Join(home, "lib") + "/*"
	if out, err := exec.Command(java("javac"), "-nowarn", "-d", classes, "-cp", path, "testdata/oracle/CatalogOracle.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	args := []string{"-Xmx512m"}
	for _, p := range []string{"lang", "util", "time", "net"} { // 1.15 on Java 17
		args = append(args, "--add-opens=java.base/java."+p+"=ALL-UNNAMED")
	}
	cmd := exec.Command(java("java"), append(args, "-cp", classes+string(os.PathListSeparator)+path, "CatalogOracle")...)
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
			t.Errorf("CatalogOracle: %v\n%s", err, stderr.String())
		}
	})
	o.in, o.out = in, bufio.NewReaderSize(out, 1<<20)
	return &o
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
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f, "="))
		if err != nil {
			t.Fatal(err)
		}
		fields[i] = string(b)
	}
	return fields
}

// hostile is text that something on the way might take for something else.
func hostile(r *rand.Rand) string {
	pieces := []string{"a", "B1", " ", "'", "''", "\"", "`", "\\", "\\u0041", "\\0041", ";", ";\n", "\n", "\r", "\r\n", "\t", "\x00", "\x01", "\x1b[0m", "\x7f", "\u0085", "\u00a0", "\u2028", "\ufeff", "\ufffd", "--", "\n-- x;\n", "//", "/*", "*/", "/*+", "${x}", "$y", "%s",
		"#", "é", "中文", "😀", "👩‍👩‍👧", "𝒳", "U&'", "E'", "END", "=", ",", ")", "&", "!", "{d", "null", "\u202e", "\uffff", "\ue000"}
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	if r.IntN(50) == 0 {
		b.WriteString(strings.Repeat("x'", r.IntN(5000)))
	}
	return b.String()
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if sqltext.HasControl(string(r)) {
			return -1
		}
		return r
	}, s)
}

func hostileName(r *rand.Rand) string {
	for {
		if s := []rune(hostile(r)); strings.ContainsAny(string(s), "aB'`\"x中") {
			return string(s[:min(len(s), 60)])
		}
	}
}

func hostileOptions(r *rand.Rand) []KV {
	out := kv("type", hostile(r))
	seen := map[string]bool{"type": true}
	for range r.IntN(5) {
		if key := hostileName(r); !seen[key] {
			seen[key] = true
			out = append(out, KV{key, secret.Public(hostile(r))})
		}
	}
	return out
}

// answerOf lists options as the oracle does.
func answerOf(head []string, options []KV) []string {
	sorted := append([]KV{}, options...)
	sort.Slice(sorted, func(i, j int) bool { return javaLess(sorted[i].Key, sorted[j].Key) })
	for _, o := range sorted {
		head = append(head, o.Key, o.Value.Reveal())
	}
	return head
}

func TestFlinkReadsTheSame(t *testing.T) {
	startOracles(t, func(t *testing.T, o *oracle) {
		t.Run("vectors", func(t *testing.T) { vectorsComeBack(t, o) })
		t.Run("init", func(t *testing.T) { initComesBack(t, o) })
		t.Run("stored", func(t *testing.T) { storedStatementsAgree(t, o) })
	})
}

// vectorsComeBack runs the values of the table through SET, WITH and COMMENT.
func vectorsComeBack(t *testing.T, o *oracle) {
	files := []string{"testdata/literals.tsv"}
	if more := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); more != "" {
		files = append(files, filepath.Join(more, "sql/literals.tsv"))
	}
	rows := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n")[1:] {
			f := strings.Split(line, "\t")
			var value string
			if err := json.Unmarshal([]byte(f[1]), &value); err != nil {
				t.Fatal(err)
			}
			if c, n, ok := strings.Cut(value, "*"); ok && f[2] == "(long)" {
				times := 0
				fmt.Sscan(n, &times)
				value = strings.Repeat(c, times)
			}
			rows++
			checkValue(t, o, value)
		}
	}
	t.Logf("%d rows", rows)
}

// checkValue brings a value through SET (unless Init refuses it), CREATE CATALOG and a table that a catalog keeps.
func checkValue(t *testing.T, o *oracle, value string) {
	t.Helper()
	statements, err := Init(Spec{Set: kv("k", value)}, o.target)
	if (err != nil) != (javatext.Trim(value) != value) {
		t.Errorf("SET to %q: %v", value, err)
	}
	for _, s := range statements {
		if d := cmp.Diff([]string{"SetOperation", "k", value}, o.ask(t, "parse", s.SQL.Reveal())); d != "" {
			t.Errorf("SET to %q: %s", value, d)
		}
	}
	options := kv("connector", "x", "k", value)
	text := "CREATE TABLE t (a INT) COMMENT " + sqltext.PlainLiteral(value) + " WITH ('connector' = 'x', 'k' = " + sqltext.Literal(value) + ")"
	if d := cmp.Diff(answerOf([]string{"TABLE", value}, options), o.ask(t, "table", text)); d != "" {
		t.Errorf("%s\n%s", text, d)
	}
}

// initComesBack reads every statement of random definitions back.
func initComesBack(t *testing.T, o *oracle) {
	r := rand.New(rand.NewPCG(*seed, 1))
	read := 0
	for range *count {
		var s Spec
		var want [][]string
		key, value := javatext.Trim("k"+hostile(r)+"k"), javatext.Trim("v"+hostile(r)+"v")
		s.Reset = []string{key}
		want = append(want, []string{"ResetOperation", key})
		s.Set = kv(key, value)
		want = append(want, []string{"SetOperation", key, value})
		if o.target.Flink.Reaches(flinkversion.Since(1, 16)) {
			jar := "/" + printable(hostile(r))
			s.Jars = []string{jar}
			want = append(want, []string{"AddJarOperation", jar})
		}
		module := Module{Name: "m" + hostileName(r), Options: hostileOptions(r)}
		s.Modules = []Module{module, {Name: "core"}}
		want = append(want, answerOf([]string{"LoadModuleOperation", module.Name}, module.Options), []string{"UseModulesOperation", module.Name, "core"})
		catalog := Catalog{Name: hostileName(r), Options: hostileOptions(r)}
		if o.target.Flink.Reaches(flinkversion.Since(1, 20)) {
			catalog.IfNotExists, catalog.Comment = r.IntN(2) == 0, hostile(r)
		}
		s.Catalogs = []Catalog{catalog}
		want = append(want, answerOf([]string{"CreateCatalogOperation", catalog.Name}, catalog.Options))
		s.UseCatalog, s.UseDatabase = hostileName(r), hostileName(r)
		want = append(want, []string{"UseCatalogOperation", s.UseCatalog}, []string{"UseDatabaseOperation", "default_catalog", s.UseDatabase})
		system := "f" + strings.Map(func(r rune) rune {
			if r == '.' || r == '`' {
				return 'x'
			}
			return r
		}, hostileName(r))
		parts := []string{hostileName(r), hostileName(r), hostileName(r)}
		var quoted []string
		for _, p := range parts {
			quoted = append(quoted, "`"+strings.ReplaceAll(p, "`", "``")+"`")
		}
		class := "c" + printable(hostile(r))
		s.Functions = []Function{{Name: system, Class: class, Temporary: true, System: true}, {Name: strings.Join(quoted, "."), Class: class, Temporary: r.IntN(2) == 0}}
		want = append(want, []string{"CreateTempSystemFunctionOperation", system}, append(append([]string{"CreateCatalogFunctionOperation"}, parts...), class))

		statements, err := Init(s, o.target)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if len(statements) != len(want) {
			t.Fatalf("%d statements, want %d", len(statements), len(want))
		}
		for i, st := range statements {
			got := o.ask(t, "parse", st.SQL.Reveal())
			if d := cmp.Diff(want[i], got); d != "" {
				t.Errorf("%s\n%s", st.SQL.Reveal(), d)
			}
			read++
		}
		checkValue(t, o, hostile(r))
	}
	t.Logf("%d statements read back", read)
}

// storedStatementsAgree compares ParseCatalog with what Flink reads from stored statements of all shapes.
func storedStatementsAgree(t *testing.T, o *oracle) {
	r := rand.New(rand.NewPCG(*seed, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	gap := func() string { return pick(" ", " ", "\n", " /* ' */ ", " -- it's\n", "\r\n\t", " // ;\n") }
	read := 0
	for range 3 * *count {
		literal := func() string {
			v := hostile(r)
			return pick("'"+strings.ReplaceAll(v, "'", "''")+"'", sqltext.Literal(v), "'a'"+gap()+"'b'", "'type'", "'k'", "U&'\\0041\\4e2d'", "U&'!0041' UESCAPE '!'", "E'a\\tb'", "_utf8'x'", "N'n'", pick("'5'", "'5'", "5", "k", "X'00'"))
		}
		text := gap() + pick("CREATE", "create") + gap() + "CATALOG" + gap() + pick("", "", "", "IF NOT EXISTS ") + pick("c", "`c d`", "`a``b`", `U&"\0041"`, "中文", pick("x", "x", "x", "a.b", "'c'", "if", "")) +
			gap() + pick("", "", "COMMENT "+literal()+" ")
		if r.IntN(10) > 0 {
			text += "WITH" + gap() + "("
			for i := range r.IntN(4) {
				if i > 0 {
					text += gap() + ","
				}
				text += gap() + literal() + gap() + "=" + gap() + literal()
			}
			text += pick(")", ")", ")", ")", ")", ")", ")", "") + gap() + pick("", "", "", "", "", "", ";", "x", "AS SELECT 1")
		}
		got := o.ask(t, "parse", text)
		c, err := ParseCatalog(secret.Public(text), o.target)
		if got[0] == "ERR" || err != nil {
			switch {
			case got[0] != "ERR":
				t.Errorf("%s\nflink %q\nours  %v", text, got, err)
			case err == nil && strings.Contains(strings.Join(got, " "), "Lexical error"):
				t.Errorf("%s\nflink %q\nours  %+v", text, got, c)
			}
			continue
		}
		read++
		if d := cmp.Diff(got, answerOf([]string{"CreateCatalogOperation", c.Name}, c.Options)); d != "" {
			t.Errorf("%s\n%s", text, d)
		}
	}
	t.Logf("%d of %d are statements for Flink", read, 3**count)
}

// javaLess orders by UTF-16 units.
func javaLess(a, b string) bool {
	x, y := []rune(a), []rune(b)
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			return unit(x[i]) < unit(y[i]) || unit(x[i]) == unit(y[i]) && x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

// unit returns the first UTF-16 unit of a character.
func unit(r rune) rune {
	if r > 0xFFFF {
		return 0xD800 + (r-0x10000)>>10
	}
	return r
}
