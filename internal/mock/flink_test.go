//go:build flink

package mock

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/test/flinkhome/homes"
)

var only = flag.String("script", "", "run the scripts whose name holds this alone, and show their output")

// TestScriptsRunOnFlink executes every statement of the rewritten scripts on real Flink (plans the ones of the lab),
// with nothing but Flink's own lib on the class path, in one JVM for each version.
func TestScriptsRunOnFlink(t *testing.T) {
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time a JVM uses one processor
			runScripts(t, version)
		})
	}
}

func runScripts(t *testing.T, version string) {
	flink, err := flinkversion.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	var input strings.Builder
	var ran []script
	var plans [][]sqltext.Statement
	for _, s := range scripts(t) {
		if !strings.Contains(s.name, *only) || !s.runs(flink) {
			continue
		}
		o := s.options(t)
		o.Flink = flink
		r, err := Rewrite([]Part{{Text: s.text}}, o)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		statements, err := sqltext.Split(r.Script(), sqltext.DialectOf(flink))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		mode := "streaming"
		if r.Batch {
			mode = "batch"
		}
		if strings.HasPrefix(s.name, "lab: ") || o.PlanOnly {
			mode += ",plan"
		}
		input.WriteString(strings.ReplaceAll(s.name, "\t", " ") + "\t" + mode)
		for _, st := range s.setup {
			statements = slices.Insert(statements, slices.Index(s.setup, st), sqltext.Statement{Text: st})
		}
		for _, st := range statements {
			input.WriteString("\t" + base64.StdEncoding.EncodeToString([]byte(st.Text)))
		}
		input.WriteByte('\n')
		ran = append(ran, s)
		plans = append(plans, statements)
		if *only != "" {
			fmt.Println(r.Script())
		}
	}
	lines := drive(t, version, input.String())
	for i, s := range ran {
		t.Run(s.name, func(t *testing.T) {
			var shown []string
			for n := 0; ; {
				if len(lines) == 0 {
					t.Fatal("the driver ended early")
				}
				line := lines[0]
				lines = lines[1:]
				if line == "\x01 END" {
					if n != len(plans[i]) {
						t.Errorf("%d of %d statements ran", n, len(plans[i]))
					}
					break
				}
				state, isState := strings.CutPrefix(line, "\x01 ")
				if !isState {
					shown = append(shown, line)
					continue
				}
				if state != "OK" {
					t.Errorf("%s\n%s", state, plans[i][n].Text)
				}
				n++
			}
			if *only != "" {
				fmt.Println(strings.Join(shown, "\n"))
			}
			output := strings.Join(shown, "\n")
			for _, want := range s.prints {
				if !strings.Contains(output, want) {
					t.Errorf("no %q in the rows:\n%.2000s", want, output)
				}
			}
		})
	}
	t.Logf("%d scripts on %s", len(ran), version)
}

// drive runs the driver and returns the lines it prints.
func drive(t *testing.T, version, input string) []string {
	t.Helper()
	home := homes.Home(t, version)
	jars, err := filepath.Glob(filepath.Join(home, "lib", "*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	classPath := strings.Join(jars, ":")
	dir := t.TempDir()
	tool := func(name string) string {
		if home := os.Getenv("JAVA_HOME"); home != "" {
			return filepath.Join(home, "bin", name)
		}
		return name
	}
	if out, err := exec.Command(tool("javac"), "-nowarn", "-d", dir, "-cp", classPath, "testdata/driver/MockDriver.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	log := filepath.Join(dir, "log4j.properties")
	if err := os.WriteFile(log, []byte("rootLogger.level = OFF\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j.configurationFile=file:" + log, "-Djava.io.tmpdir=" + dir}
	for _, open := range strings.Fields("sun.net.util java.lang java.net java.io java.nio sun.nio.ch java.lang.reflect java.text java.time " +
		"java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks") {
		args = append(args, "--add-opens=java.base/"+open+"=ALL-UNNAMED")
	}
	cmd := exec.Command(tool("java"), append(args, "-cp", dir+":"+classPath, "MockDriver")...)
	cmd.Stdin = strings.NewReader(input)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("driver: %v\n%s", err, problems.String())
	}
	if *only != "" {
		fmt.Fprintln(os.Stderr, problems.String())
	}
	var lines []string
	scan := bufio.NewScanner(strings.NewReader(string(out)))
	scan.Buffer(nil, 1<<24)
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	return lines
}

// runs tells whether Flink of that version can run the script.
func (s script) runs(v flinkversion.Version) bool {
	return v.Reaches(s.since) && (s.before.IsZero() || !v.Reaches(s.before))
}
