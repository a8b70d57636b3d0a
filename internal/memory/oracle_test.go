//go:build flink

package memory_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestAgainstFlink compares the model with the real BashJavaUtils on random configurations, arguments and environments.
//
// FLINK_VERSIONS: the versions ("1.20.5 2.2.1"); FLINK_HOMES: the folder of their homes; FLINK_CASES: cases for each version and
// configuration file (300); FLINK_SEED: the seed of an earlier run.
func TestAgainstFlink(t *testing.T) {
	cases := envInt(t, "FLINK_CASES", 300)
	seed := envInt(t, "FLINK_SEED", int(time.Now().UnixNano()%1e9))
	classes := compileOracle(t)
	for _, version := range homes.Versions() {
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		files := []string{"flink-conf.yaml"}
		if v.Reaches(flinkversion.Since(2, 0)) {
			files = []string{"config.yaml"}
		} else if v.Reaches(flinkversion.Since(1, 19)) {
			files = append(files, "config.yaml")
		}
		for _, file := range files {
			t.Run(version+"_"+file, func(t *testing.T) {
				t.Logf("%d cases, FLINK_SEED=%d", cases, seed)
				compareWithFlink(t, v, version, file, classes, generate(uint64(seed), cases, file == "config.yaml"))
			})
		}
	}
}

// TestUpdateTables writes the tables random_*.tsv.gz of testdata again if FLINK_UPDATE is set: what Flink answers, logs included.
func TestUpdateTables(t *testing.T) {
	if os.Getenv("FLINK_UPDATE") == "" {
		t.Skip("set FLINK_UPDATE=1 to write testdata/random_*.tsv.gz again")
	}
	classes := compileOracle(t)
	for i, target := range []string{"1.13.6_flink-conf.yaml", "1.15.4_flink-conf.yaml", "1.16.3_flink-conf.yaml", "1.18.1_flink-conf.yaml",
		"1.20.5_flink-conf.yaml", "1.20.5_config.yaml", "2.2.1_config.yaml"} {
		version, file, _ := strings.Cut(target, "_")
		cases := generate(uint64(i), 60, file == "config.yaml")
		var table bytes.Buffer
		table.WriteString("id\trole\tconf\tdynamic_args\tenv\tjvm_params\tdynamic_props\terror\tlog\n")
		for i, o := range askFlink(t, version, file, classes, cases) {
			c := cases[i]
			if slices.ContainsFunc(o.Error, func(l string) bool {
				return strings.Contains(l, "ParseException") || strings.Contains(l, "YamlEngineException")
			}) {
				o.Log = nil // a usage or a stack trace
			}
			items := func(list []string) string { return strings.TrimSuffix(joined(list), ";") }
			fmt.Fprintf(&table, "random-%03d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i, c.Role, items(strings.Split(strings.TrimSuffix(c.Conf, "\n"), "\n")),
				items(c.Args), items(c.Env), escape(o.JVM), escape(o.Dynamic), items(o.Error), items(o.Log))
		}
		var zipped bytes.Buffer
		w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
		if _, err := w.Write(table.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/random_"+target+".tsv.gz", zipped.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func compileOracle(t *testing.T) (classes string) {
	classes = t.TempDir()
	javac := exec.Command("javac", "-nowarn", "--release", "8", "-d", classes, "testdata/oracle/MemoryOracle.java")
	if out, err := javac.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return classes
}

// TestTypedReadsAgainstFlink compares the parsers of sizes and durations with Flink's on random text.
func TestTypedReadsAgainstFlink(t *testing.T) {
	cases := envInt(t, "FLINK_CASES", 300)
	seed := envInt(t, "FLINK_SEED", int(time.Now().UnixNano()%1e9))
	g := generator{rand.New(rand.NewPCG(uint64(seed), 42)), false}
	inputs := make([]testCase, cases)
	for i := range inputs {
		inputs[i] = testCase{Role: "duration", Conf: g.duration()}
		if g.chance(3) {
			inputs[i] = testCase{Role: "size", Conf: pick(g, g.oddSize(), g.size(), strconv.FormatInt(g.Int64()>>g.IntN(63), 10)+pick(g, "", "", "k", "m", "g", "tb"))}
		}
	}
	classes := compileOracle(t)
	for _, version := range homes.Versions() {
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d cases, FLINK_SEED=%d", version, cases, seed)
		for i, want := range askFlink(t, version, "flink-conf.yaml", classes, inputs) {
			var got outcome
			if inputs[i].Role == "size" {
				size, err := flinkconf.ParseMemorySize(inputs[i].Conf)
				if got = (outcome{Error: chain(err)}); err == nil {
					got = outcome{JVM: flinkconf.FormatMemorySize(size), Dynamic: flinkconf.HumanReadable(size)}
				}
			} else {
				d, err := flinkconf.ParseDuration(inputs[i].Conf, v)
				if got = (outcome{Error: chain(err)}); err == nil {
					got = outcome{JVM: fmt.Sprint(int64(d/time.Second), " ", int64(d%time.Second))}
				}
				if d == math.MaxInt64 {
					got.JVM = want.JVM // more than Go can hold
				}
			}
			if d := difference(got, want); d != "" {
				t.Errorf("%s %s %q\n%s", version, inputs[i].Role, inputs[i].Conf, d)
			}
		}
	}
}

func (g generator) duration() string {
	number := pick(g, strconv.Itoa(g.IntN(100000)), strconv.FormatInt(g.Int64(), 10), "0", "007", "", "-1", "99999999999999999999", "106751991167300", "106751991167301", "153722867280912931", "١", "1.5")
	unit := pick(g, "", "ns", "µs", "micros", "ms", "milli", "s", "SEC", "secs", "m", "min", "minutes", "h", "hour", "d", "days", "w", "x", "D", "MIN", "μs")
	if g.chance(4) {
		return pick(g, "PT10S", "pt1h2m3.5s", "P1D", "P2DT3H", "PT-5S", "-PT5S", "-PT-5S", "PT", "P", "P1DT", "PT1.1234567891S", "PT1,5S", "PT+1M", "P1H", "PT1S2M", "PT.5S", "PT1.S",
			"P1Y", "PT0.000000001S", "+PT1S", "--PT1S", "PT--1S", "PT 1S", "PT99999999999999999999S", "P-1DT25H", "PT-0.5S", "P1W")
	}
	return pick(g, "", "", " ") + number + pick(g, "", " ", "  ", "\t") + unit + pick(g, "", "", " ")
}

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

func envInt(t *testing.T, name string, def int) int {
	n, err := strconv.Atoi(envOr(name, strconv.Itoa(def)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func compareWithFlink(t *testing.T, v flinkversion.Version, version, file, classes string, cases []testCase) {
	good, differences := 0, 0
	for i, want := range askFlink(t, version, file, classes, cases) {
		if want.JVM != "" {
			good++
		}
		if d := difference(evaluate(v, file, cases[i]), want); d != "" {
			if differences++; differences <= 20 {
				t.Errorf("case %d: %q\n%s", i, cases[i], d)
			}
		}
	}
	t.Logf("%d cases, %d of them valid, %d differences", len(cases), good, differences)
}

// askFlink lets the Flink of that version answer the cases, in one JVM.
func askFlink(t *testing.T, version, file, classes string, cases []testCase) []outcome {
	home := homes.Home(t, version)
	dist, err := filepath.Glob(filepath.Join(home, "lib", "flink-dist*.jar"))
	if err != nil || len(dist) != 1 {
		t.Fatalf("flink-dist jar of %s: %v %v", home, dist, err)
	}
	classPath := strings.Join([]string{classes, filepath.Join(home, "bin", "bash-java-utils.jar"), dist[0]}, ":")
	java := exec.Command("java", "-Xmx400m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"--add-opens=java.base/java.util=ALL-UNNAMED", "-cp", classPath, "MemoryOracle", t.TempDir())
	var in, stderr bytes.Buffer
	for _, c := range cases {
		fmt.Fprintf(&in, "%s\t%s\t%s\t%s\t%s\n", c.Role, file, escape(c.Conf), joined(c.Args), joined(c.Env))
	}
	java.Stdin, java.Stderr = &in, &stderr
	stdout, err := java.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	answers := make([]outcome, 0, len(cases))
	for d := json.NewDecoder(bytes.NewReader(stdout)); d.More(); {
		var o outcome
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, o)
	}
	if len(answers) != len(cases) {
		t.Fatalf("%d answers for %d cases: %s", len(answers), len(cases), stderr.String())
	}
	return answers
}

func difference(got, want outcome) string {
	var out []string
	report := func(what string, g, w string) {
		if g != w {
			out = append(out, fmt.Sprintf("%s:\n got  %s\n want %s", what, g, w))
		}
	}
	report("error", strings.Join(got.Error, "\n      "), strings.Join(want.Error, "\n      "))
	report("JVM parameters", got.JVM, want.JVM)
	report("dynamic properties", got.Dynamic, want.Dynamic)
	// A failed parse of arguments or file prints a stack trace and a usage, which are not the model's.
	if !slices.ContainsFunc(want.Error, func(l string) bool {
		return strings.Contains(l, "ParseException") || strings.Contains(l, "YamlEngineException")
	}) {
		report("log", strings.Join(normalLog(got.Log, true), "\n      "), strings.Join(normalLog(want.Log, true), "\n      "))
	}
	return strings.Join(out, "\n")
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\s`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(s)
}

func joined(items []string) string {
	var b strings.Builder
	for _, s := range items {
		b.WriteString(escape(s) + ";")
	}
	return b.String()
}

// generator makes cases up.
type generator struct {
	*rand.Rand
	standard bool
}

func generate(seed uint64, n int, standard bool) []testCase {
	g := generator{rand.New(rand.NewPCG(seed, 4711)), standard}
	cases := make([]testCase, n)
	for i := range cases {
		cases[i] = g.testCase()
	}
	return cases
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// chance is true once in n.
func (g generator) chance(n int) bool { return g.IntN(n) == 0 }

type pair struct{ key, value string }

func (g generator) testCase() testCase {
	c := testCase{Role: pick(g, "tm", "tm", "jm")}
	pairs := g.totals(c.Role)
	for range g.IntN(5) {
		pairs = append(pairs, g.setting(c.Role))
	}
	for g.chance(4) {
		pairs = append(pairs, g.odd(c.Role))
	}
	g.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	seen := map[string]bool{}
	var lines []string
	for _, p := range pairs {
		switch {
		case g.chance(6):
			if g.chance(2) {
				c.Args = append(c.Args, "-D"+p.key+"="+p.value)
			} else {
				c.Args = append(c.Args, "-D", p.key+"="+p.value)
			}
		case g.standard && (seen[p.key] || p.value == "" || strings.ContainsAny(p.value, "\r\n")):
		default:
			seen[p.key] = true
			lines = append(lines, p.key+": "+g.quoted(p.value))
		}
	}
	for g.chance(8) {
		c.Args = append(c.Args, g.argument(c.Role))
	}
	c.Conf = strings.Join(lines, "\n")
	if !g.chance(20) {
		c.Conf += "\n"
	}
	if g.chance(12) {
		c.Env = append(c.Env, pick(g, "FLINK_TM_HEAP=", "FLINK_JM_HEAP=")+g.size())
	}
	return c
}

// quoted returns a value for the file. Odd text that YAML would take apart is quoted there.
func (g generator) quoted(value string) string {
	if g.standard && (strings.ContainsAny(value, "#\"'&*!|>%@`{}[],?:\t") || strings.TrimSpace(value) != value || strings.HasPrefix(value, "-") || g.chance(15)) {
		if g.chance(2) && !strings.ContainsAny(value, `\"`) {
			return `"` + value + `"`
		}
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	return value
}

// totals are the settings that decide which way the model goes.
func (g generator) totals(role string) []pair {
	prefix := map[string]string{"tm": "taskmanager.", "jm": "jobmanager."}[role]
	size := func(key string, from, to int) pair { return pair{prefix + key, g.mebibytes(from, to)} }
	switch g.IntN(10) {
	case 0:
		return []pair{size("memory.flink.size", 100, 20000)}
	case 1:
		return []pair{size("memory.flink.size", 300, 2000), size("memory.process.size", 600, 4000)}
	case 2:
		if role == "jm" {
			return []pair{size("memory.heap.size", 1, 4000)}
		}
		return []pair{size("memory.task.heap.size", 0, 4000), size("memory.managed.size", 0, 3000)}
	case 3:
		if role == "jm" {
			return []pair{size("memory.heap.size", 1, 1200), size("memory.flink.size", 100, 1300)}
		}
		return []pair{size("memory.task.heap.size", 0, 800), size("memory.managed.size", 0, 500), size("memory.flink.size", 700, 1700)}
	case 4:
		if role == "tm" {
			return []pair{size("memory.task.heap.size", 0, 1000), size("memory.process.size", 1000, 3000)}
		}
		return []pair{size("heap.size", 100, 3000), size("memory.process.size", 500, 5000)}
	case 5:
		return []pair{{prefix + pick(g, "heap.size", "heap.mb"), pick(g, g.size(), strconv.Itoa(g.IntN(5000)))}}
	case 6:
		return nil
	}
	return []pair{size("memory.process.size", 300, pick(g, 1200, 4000, 80000))}
}

// mebibytes is a size between two numbers of MiB, in any spelling.
func (g generator) mebibytes(from, to int) string {
	n := from + g.IntN(to-from)
	switch g.IntN(6) {
	case 0:
		return strconv.Itoa(n<<20 + g.IntN(1<<20))
	case 1:
		return strconv.Itoa(n<<10+g.IntN(1024)) + pick(g, "k", "kb", " kibibytes", "KB")
	case 2:
		return strconv.Itoa(max(1, n>>10)) + pick(g, "g", " gb", "GB", "gibibytes")
	default:
		return strconv.Itoa(n) + pick(g, "m", "mb", "M", " mb", "mebibytes", "m", "m")
	}
}

func (g generator) size() string {
	if g.chance(8) {
		return g.oddSize()
	}
	return g.mebibytes(0, pick(g, 300, 3000))
}

func (g generator) fraction() string {
	switch g.IntN(8) {
	case 0:
		return g.oddNumber()
	case 1:
		return pick(g, "0", "0.0", "1", "0.5", "0.1", "0.4", "0.999999", ".25", "1e-3", "0.1f")
	default:
		return "0." + strings.TrimLeft(strconv.Itoa(g.IntN(1_000_000)), "-")
	}
}

// setting is an ordinary option with a mostly ordinary value.
func (g generator) setting(role string) pair {
	if role == "jm" {
		switch g.IntN(7) {
		case 0:
			return pair{"jobmanager.memory.off-heap.size", g.size()}
		case 1:
			return pair{"jobmanager.memory.enable-jvm-direct-memory-limit", pick(g, "true", "TRUE", "false", "tru", "1", "yes", "falſe")}
		}
		return g.jvm("jobmanager.memory.")
	}
	m := "taskmanager.memory."
	switch g.IntN(20) {
	case 0:
		return pair{m + "framework.heap.size", g.size()}
	case 1:
		return pair{m + "framework.off-heap.size", g.size()}
	case 2:
		return pair{m + "task.off-heap.size", g.size()}
	case 3:
		return pair{m + "task.heap.size", g.size()}
	case 4:
		return pair{pick(g, m+"managed.size", m+"size"), g.size()}
	case 5, 6:
		return pair{m + "managed.fraction", g.fraction()}
	case 7, 8:
		return pair{pick(g, m+"network.fraction", "taskmanager.network.memory.fraction"), g.fraction()}
	case 9:
		return pair{pick(g, m+"network.min", "taskmanager.network.memory.min"), g.size()}
	case 10:
		return pair{pick(g, m+"network.max", "taskmanager.network.memory.max"), g.size()}
	case 11:
		return pair{"taskmanager.network.numberOfBuffers", pick(g, "2048", "100", "-5", "0", "70000", "2147483648", g.oddNumber())}
	case 12:
		return pair{m + "segment-size", pick(g, "32kb", "4096", "4095", "5000", "64k", "3g", "0", g.size())}
	case 13:
		return pair{"taskmanager.cpu.cores", pick(g, "1", "0.5", "2.123456789123", "1e-9", "0.000000001", "-1", "0", "1e10", "123456789.987654321", g.oddNumber())}
	case 14:
		return pair{"taskmanager.numberOfTaskSlots", pick(g, "1", "4", "32", "0", "-1", "2147483647", g.oddNumber())}
	case 15:
		return pair{"external-resources", pick(g, "gpu", "none", "gpu;fpga", "a;b;c;d;e;f;g;h;i;j;k;l;m;n", "gpu;;tpu", "'a;b';c", `"x";y`, "a;'b", "a b", "token",
			"gpu;gpu", "'a'b", " gpu ; fpga ", "[gpu, fpga]", "['a;b', c]", "[1, 2.50, true, x y]", "[]", "[gpu", "- gpu", "[gpu] # c", "[0x1F, [a, b], .inf]", "[&x a, *x, ~]", "None", "AaAa;BBBB;AaBB;BBAa")}
	case 16:
		return pair{"external-resource." + pick(g, "gpu", "fpga", "a", "b", "c", "x", "y", "1", "2.5", "a;b", "token", "AaAa", "BBBB", "tpu") + ".amount",
			pick(g, "1", "2", "0", "-3", "9007199254740993", "9223372036854775807", "9223372036854775808", "abc", "1.0", "١٢", g.oddNumber())}
	}
	return g.jvm(m)
}

func (g generator) jvm(prefix string) pair {
	switch g.IntN(5) {
	case 0:
		return pair{prefix + "jvm-metaspace.size", g.size()}
	case 1:
		return pair{prefix + "jvm-overhead.min", g.size()}
	case 2:
		return pair{prefix + "jvm-overhead.max", g.size()}
	}
	return pair{prefix + "jvm-overhead.fraction", g.fraction()}
}

func (g generator) oddSize() string {
	return pick(g, "", " ", "0", "00", "-1", "1.5g", "4Gi", "4096Mi", "1e9", "1E9", "9223372036854775807", "9223372036854775808", "8388608t", "8388607t",
		"99999999999999999999999", "١٢٣m", "12 34", "1g#x", "5 m b", "1\u00a0g", "0x10", "1_000", "4K", "4\u212a", "5 ΣΑΣ", "5 İ", "true", "~", "\"2g\"", "'2g'",
		"2g;", "1 tebibytes", "١", "+5m", "١2g", "4g 4g", "12345678901234567890b", "1728.", "0b", "7 bytes", "007m", "017", "0o17", ".5", "1,5g", "2²g", "５g")
}

func (g generator) oddNumber() string {
	return pick(g, "", "NaN", "Infinity", "-Infinity", "+Infinity", ".inf", ".nan", "-.inf", "1e50", "1e-50", "-0.0", "-0", "0x1p-2", "0x1.8p1", "0x", "0x1", "0.4d", "0.4F", "0.4f ",
		"+0.25", "+5", "1_0", "1e", "e1", "1e+2", "1.e1", ".", "..1", "1..2", "inf", "nan", "infinity", "0.30000001192092896", "3.4028235e38", "3.4028236e38", "1.4e-45", "7e-46",
		"2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "١٢", "１２", "1\u00a0", "five", "0.1.2", "1,5", "1e400", "1e999999999999",
		"0x1p3f", "0X.8P0D", "true", "False", "~", "0o17", "0b101", "1e3", "12e03", "0.7499999999999999999999", "1.0000000001", "0.99999998", "0.9999999999", "1e22", "𝟏")
}

// odd is anything else that may be in a file.
func (g generator) odd(role string) pair {
	switch g.IntN(4) {
	case 0:
		return pair{pick(g, "my.password", "s3.secret-key", "api.key", "api-key", "a.token", "security.jaas.config.x", "a.http-headers.b", "PassWord"), "hunter2"}
	case 1:
		return pair{g.setting(role).key, pick(g, g.oddSize(), g.oddNumber())}
	case 2:
		return pair{pick(g, "taskmanager.heap.size", "taskmanager.heap.mb", "jobmanager.heap.size", "jobmanager.heap.mb"), pick(g, g.size(), g.oddNumber())}
	}
	return g.setting(pick(g, "tm", "jm"))
}

func (g generator) argument(role string) string {
	p := g.setting(role)
	return pick(g, "-D", "-D=x", "-D=a=b", "=x", "-Dx", "D", "c", "-c", "--configDir", "configDir", "--", "-", "-D"+p.key, p.key+"="+p.value, "--D", "-x", "--host",
		"h1", "-DD=D", "-D"+p.key+"="+p.value, "-Dconf", "-con", "-configDir/x", "--configDir=/x", "-configDir=/x", "-c=5", "-c/x", "-=x", "--=x", "--c=1", `"quoted"`, `"a=b"`, `"`, "-1", "-1e5", "a b=c d",
		"-D"+p.key+"=\""+p.value+"\"")
}
