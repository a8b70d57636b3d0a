//go:build flink

package confpatch

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

// oracle is a JVM that runs testdata/oracle/ConfOracle.java on one Flink distribution.
type oracle struct {
	version flinkversion.Version
	in      *bufio.Writer
	out     *bufio.Reader
}

func startOracle(t *testing.T, version string) *oracle {
	home := homes.Home(t, version)
	jars, err := filepath.Glob(filepath.Join(home, "lib", "flink-dist*.jar"))
	if err != nil || len(jars) != 1 {
		t.Fatalf("no Flink %s at %s (%v); FLINK_HOMES names the folder that holds one distribution per version", version, home, err)
	}
	classes := t.TempDir()
	if out, err := exec.Command("javac", "--release", "8", "-nowarn", "-Xlint:-options", "-d", classes,
		filepath.Join("testdata", "oracle", "ConfOracle.java")).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	cmd := exec.Command("java", "-Xmx256m", "-XX:-OmitStackTraceInFastThrow", "-Dfile.encoding=UTF-8", "-cp",
		classes+":"+filepath.Join(home, "bin", "bash-java-utils.jar")+":"+jars[0], "ConfOracle")
	cmd.Stderr = os.Stderr
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
			t.Errorf("oracle: %v", err)
		}
	})
	v, err := flinkversion.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{v, bufio.NewWriter(in), bufio.NewReaderSize(out, 1<<20)}
}

func (o *oracle) read(t *testing.T, name string, src []byte) outcome {
	fmt.Fprintf(o.in, "%s %s\n", name, base64.StdEncoding.EncodeToString(src))
	if err := o.in.Flush(); err != nil {
		t.Fatal(err)
	}
	line, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("oracle: %v", err)
	}
	var result outcome
	if err := json.Unmarshal(line, &result); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return result
}

// files returns the files to test with: both where Flink reads both.
func (o *oracle) files() map[Format]string {
	files := map[Format]string{}
	if r := rulesOf(o.version); r.legacyFile {
		files[Legacy] = LegacyName
	}
	if r := rulesOf(o.version); r.standardFile {
		files[Standard] = StandardName
	}
	return files
}

func caseCount(t *testing.T) int {
	text := os.Getenv("FLINK_CASES")
	if text == "" {
		return 300
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func seed(t *testing.T) int64 {
	s := time.Now().UnixNano()
	if text := os.Getenv("FLINK_SEED"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s = n
	}
	t.Logf("FLINK_SEED=%d", s)
	return s
}

const maxReports = 12

// TestParseAgrees: random and hostile files through Flink's reader and ours.
func TestParseAgrees(t *testing.T) {
	base := seed(t)
	for _, version := range homes.Versions() {
		o := startOracle(t, version)
		for format, name := range o.files() {
			t.Run(version+"/"+name, func(t *testing.T) {
				g := newGenerator(t, 0)
				failures, rejected := 0, 0
				for i := range caseCount(t) {
					g.Rand = rand.New(rand.NewSource(base + int64(i)))
					src := []byte(g.file(format))
					want := o.read(t, name, src)
					if len(want.Error) > 0 {
						rejected++
					}
					if d := readBytes(t, o.version, name, format, src).diff(want); d != "" {
						if failures++; failures <= maxReports {
							t.Errorf("case %d (seed %d):\n%q\n%s", i, base+int64(i), src, d)
						}
					}
				}
				t.Logf("%d cases, %d of them rejected by Flink, %d differences", caseCount(t), rejected, failures)
				if failures > 0 {
					t.Fail()
				}
			})
		}
	}
}

// TestRenderAgrees: Flink reads from the rendered file what it read before, plus the changes.
func TestRenderAgrees(t *testing.T) {
	base := seed(t)
	for _, version := range homes.Versions() {
		o := startOracle(t, version)
		for format, name := range o.files() {
			t.Run(version+"/"+name, func(t *testing.T) {
				g := newGenerator(t, 0)
				failures, cases, rewritten := 0, 0, 0
				for i := 0; cases < caseCount(t); i++ {
					g.Rand = rand.New(rand.NewSource(base + int64(i)))
					src := []byte(g.file(format))
					f, err := Parse(name, format, o.version, src)
					if err != nil {
						continue
					}
					before := o.read(t, name, src)
					changes := g.changes(f)
					out, whole, err := f.render(changes, "test")
					if err != nil {
						if format == Legacy {
							continue
						}
						t.Errorf("case %d: %q: %v", i, src, err)
						failures++
						cases++
						continue
					}
					cases++
					want := map[string]string{}
					for k, v := range before.Map {
						want[k] = v
					}
					for _, c := range changes {
						delete(want, c.Key)
					}
					for _, c := range changes {
						if c.Delete {
							delete(want, c.Key)
						} else {
							want[c.Key] = c.Value.Reveal()
						}
					}
					after := o.read(t, name, out)
					ok := len(after.Error) == 0 && len(after.Map) == len(want)
					for k, v := range want {
						got, has := after.Map[k]
						ok = ok && has && normal(got) == normal(v)
					}
					if !ok {
						if failures++; failures <= maxReports {
							t.Errorf("case %d (seed %d):\n%q\nchanges %v\nrendered %q\nerror %v\ngot  %q\nwant %q", i, base+int64(i), src, changeText(changes), out, after.Error, after.Map, want)
						}
						continue
					}
					if whole {
						if rewritten < 5 {
							t.Logf("rewritten as a whole: case %d\n%q\nchanges %v\n%q", i, src, changeText(changes), out)
						}
						rewritten++
					}
					again, err := Parse(name, format, o.version, out)
					if err != nil {
						t.Fatal(err)
					}
					second, err := again.Render(changes, "test")
					if err != nil || string(second) != string(out) {
						if failures++; failures <= maxReports {
							t.Errorf("case %d (seed %d): not the same again (%v):\n%q\nchanges %v\nfirst  %q\nsecond %q", i, base+int64(i), err, src, changeText(changes), out, second)
						}
					}
				}
				t.Logf("%d cases, %d rewritten as a whole, %d failures", cases, rewritten, failures)
			})
		}
	}
}

func changeText(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "{%q %q delete=%v} ", c.Key, c.Value.Reveal(), c.Delete)
	}
	return b.String()
}

// TestVectorsAgree runs the oracle on the vectors themselves, so that both are known to be of one mind.
func TestVectorsAgree(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "cases", "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors (%v)", err)
	}
	for _, version := range homes.Versions() {
		o := startOracle(t, version)
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for format, name := range o.files() {
				if d := readBytes(t, o.version, name, format, src).diff(o.read(t, name, src)); d != "" {
					t.Errorf("%s as %s on %s:\n%s", file, name, version, d)
				}
			}
		}
	}
}
