package memory_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/secret"
)

// TestVectors compares the model with tables that BashJavaUtils of the released versions has filled.
func TestVectors(t *testing.T) {
	testVectors(t, "testdata")
}

// TestExtraVectors does the same with the tables below $FLINK_ENTRYPOINT_VECTORS/memory, if that is set.
func TestExtraVectors(t *testing.T) {
	dir := os.Getenv("FLINK_ENTRYPOINT_VECTORS")
	if dir == "" {
		t.Skip("set FLINK_ENTRYPOINT_VECTORS to a folder with memory/groups.tsv to run its tables")
	}
	testVectors(t, filepath.Join(dir, "memory"))
}

func testVectors(t *testing.T, dir string) {
	rows := 0
	for _, group := range readTable(t, filepath.Join(dir, "groups.tsv")) {
		file := filepath.Join(dir, group["file"])
		if group["kind"] == "logs" && !exists(file) {
			continue
		}
		table := readTable(t, file)
		for _, target := range strings.Fields(group["version_conffile..."]) {
			version, confFile, _ := strings.Cut(target, "_")
			v, err := flinkversion.Parse(version)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(target+"/"+group["kind"], func(t *testing.T) {
				for _, row := range table {
					rows++
					checkVector(t, v, confFile, row)
				}
			})
		}
	}
	t.Logf("%d rows", rows)
}

// TestSizesAsArguments: a TaskManager that gets its sizes as arguments, as in native Kubernetes, derives from its own file and them
// the JVM parameters that were computed with the sizes.
func TestSizesAsArguments(t *testing.T) {
	rows := 0
	for _, group := range readTable(t, "testdata/groups.tsv") {
		for _, target := range strings.Fields(group["version_conffile..."]) {
			version, confFile, _ := strings.Cut(target, "_")
			v, err := flinkversion.Parse(version)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range readTable(t, filepath.Join("testdata", group["file"])) {
				want := unescape(row["jvm_params"])
				if row["role"] != "tm" || want == "" {
					continue
				}
				if strings.Contains(row["dynamic_props"], "taskmanager.cpu.cores=0.0 ") {
					continue // the text of 0.000000001 cores, which no process can read back
				}
				rows++
				args := append(list(row["dynamic_args"]), strings.Fields(unescape(row["dynamic_props"]))...)
				got := evaluate(v, confFile, testCase{Role: "tm", Conf: strings.Join(list(row["conf"]), "\n") + "\n", Args: args, Env: list(row["env"])})
				if got.JVM != want {
					t.Errorf("%s %s: conf %q args %q: %q %q, want %q", target, row["id"], row["conf"], args, got.JVM, got.Error, want)
				}
			}
		}
	}
	if rows == 0 {
		t.Error("no rows")
	}
	t.Logf("%d rows", rows)
}

func checkVector(t *testing.T, v flinkversion.Version, confFile string, row map[string]string) {
	t.Helper()
	known := []string{"id", "role", "conf", "dynamic_args", "env", "jvm_params", "dynamic_props", "error", "log", "logs"}
	for column := range row {
		if !slices.Contains(known, column) {
			t.Fatalf("unknown column %q", column)
		}
	}
	got := evaluate(v, confFile, testCase{
		Role: row["role"], Conf: strings.Join(list(row["conf"]), "\n") + "\n", Args: list(row["dynamic_args"]), Env: list(row["env"]),
	})
	report := func(what, got, want string) {
		t.Errorf("%s: conf %q args %q env %q\n%s:\n got  %q\n want %q", row["id"], row["conf"], row["dynamic_args"], row["env"], what, got, want)
	}
	if _, ok := row["error"]; ok {
		if g, w := strings.Join(got.Error, "\n"), strings.Join(list(row["error"]), "\n"); g != w {
			report("error", g, w)
		}
		if want := unescape(row["jvm_params"]); got.JVM != want {
			report("JVM parameters", got.JVM, want)
		}
		if want := unescape(row["dynamic_props"]); got.Dynamic != want {
			report("dynamic properties", got.Dynamic, want)
		}
	}
	for _, column := range []string{"log", "logs"} {
		if want := row[column]; want != "" {
			lines := list(want)
			loading := slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "- Loading ") || strings.Contains(l, " YAML parser ") })
			if g, w := normalLog(got.Log, loading), normalLog(lines, loading); !slices.Equal(g, w) {
				report("log", strings.Join(g, "\n"), strings.Join(w, "\n"))
			}
		}
	}
}

// normalLog brings lines of a log into one form: "LEVEL text", with the conf dir as $CONF.
// A table that leaves out the lines about loading the configuration is compared without them.
func normalLog(lines []string, withLoading bool) []string {
	var out []string
	for _, l := range lines {
		level, text, _ := strings.Cut(l, " ")
		for _, layout := range []string{"[] - ", "- "} { // of BashJavaUtils' log4j2.properties, after a padded level
			if printed, ok := strings.CutPrefix(strings.TrimLeft(text, " "), layout); ok {
				text = printed
				break
			}
		}
		text = strings.ReplaceAll(text, "<CONF>", "$CONF")
		if withLoading || !isLoading(text) {
			out = append(out, level+" "+strings.TrimRight(text, " "))
		}
	}
	return out
}

func isLoading(text string) bool {
	for _, start := range []string{"Loading ", "Using legacy YAML", "Using standard YAML", "Error while trying to split",
		"Error after splitting", "Failed to parse YAML"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// testCase is one call of BashJavaUtils.
type testCase struct {
	Role string   `json:"role"` // tm or jm
	Conf string   `json:"conf"` // the file's content
	Args []string `json:"args"`
	Env  []string `json:"env"` // NAME=value
}

// outcome is what it printed.
type outcome struct {
	JVM     string   `json:"jvm"`
	Dynamic string   `json:"dynamic"`
	Error   []string `json:"error"` // exception chain, outermost first
	Log     []string `json:"log"`   // "LEVEL text"
}

// evaluate is our answer to a case.
func evaluate(v flinkversion.Version, confFile string, c testCase) outcome {
	standard := confFile == "config.yaml"
	process := memory.TaskManager
	if c.Role == "jm" {
		process = memory.JobManager
	}
	// Flink reads its arguments before its file.
	dynamic, err := flinkconf.ApplyDynamicArgs(&flinkconf.Conf{}, c.Args, v)
	if err != nil {
		return outcome{Error: chain(err)}
	}
	var out outcome
	format := confpatch.Legacy
	if standard {
		format = confpatch.Standard
	}
	file, err := confpatch.Parse(confFile, format, v, []byte(c.Conf))
	if err != nil {
		var syntax *confpatch.SyntaxError
		if !errors.As(err, &syntax) {
			panic(err)
		}
		out.load(syntax.Log)
		out.Error = syntax.Flink.Chain()
		return out
	}
	out.load(file.Log())
	out.loadDynamic(dynamic, v)
	conf := file.Conf()
	conf.Merge(dynamic)
	spec, err := memory.Derive(process, memory.Input{Version: v, Standard: standard, Conf: conf, LookupEnv: lookup(c.Env)})
	for _, l := range spec.Log {
		out.Log = append(out.Log, l.Level+" "+l.Text)
	}
	if err != nil {
		out.Error = chain(err)
		return out
	}
	out.JVM = strings.Join(spec.JVMParameters(), " ")
	out.Dynamic = "-D " + strings.Join(spec.DynamicProperties(), " -D ")
	return out
}

// load adds what Flink logs about its file.
func (o *outcome) load(lines []confpatch.LogLine) {
	for _, l := range lines {
		o.Log = append(o.Log, l.Level+" "+l.Message.Reveal())
	}
}

// loadDynamic adds what Flink logs about dynamic properties since 1.16.
func (o *outcome) loadDynamic(dynamic *flinkconf.Conf, v flinkversion.Version) {
	if !v.Reaches(flinkversion.Since(1, 16)) {
		return
	}
	var keys []string
	for e := range dynamic.All() {
		keys = append(keys, e.Key)
	}
	for _, k := range javatext.HashMapOrder(javatext.HashMapOrder(keys, javatext.DefaultCapacity), javatext.DefaultCapacity) {
		value := dynamic.Text(k)
		if flinkconf.IsSensitive(k, v) {
			value = secret.Mask
		}
		o.Log = append(o.Log, "INFO Loading dynamic configuration property: "+k+", "+value)
	}
}

func chain(err error) []string {
	var e *javatext.Exception
	if err == nil {
		return nil
	}
	if errors.As(err, &e) {
		return e.Chain()
	}
	return []string{err.Error()}
}

func lookup(env []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, e := range env {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v, true
			}
		}
		return "", false
	}
}

// list splits a field of a table: items separated by ";", in which \s stands for a semicolon.
func list(field string) []string {
	if field == "" {
		return nil
	}
	items := strings.Split(field, ";")
	for i, s := range items {
		items[i] = unescape(s)
	}
	return items
}

func unescape(s string) string {
	return strings.NewReplacer(`\s`, ";", `\t`, "\t", `\n`, "\n", `\r`, "\r", `\\`, `\`).Replace(s)
}

func exists(file string) bool {
	_, plain := os.Stat(file)
	_, zipped := os.Stat(file + ".gz")
	return plain == nil || zipped == nil
}

// readTable reads a table with a header line, gzipped or not, as one map per line.
func readTable(t *testing.T, file string) []map[string]string {
	t.Helper()
	var in io.Reader
	f, err := os.Open(file)
	if err == nil {
		in = f
	} else if f, err = os.Open(file + ".gz"); err == nil {
		in, err = gzip.NewReader(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	var header []string
	var rows []map[string]string
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if header == nil {
			header = fields
			continue
		}
		row := make(map[string]string)
		for i, name := range header {
			if i < len(fields) {
				row[name] = fields[i]
			}
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", file, err))
	}
	return rows
}
