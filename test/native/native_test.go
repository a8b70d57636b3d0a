//go:build flink

package native

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// TestNative: an application cluster and a session cluster finish their job, and the JVMs of their pods have the command lines that the
// official way gives them.
func TestNative(t *testing.T) {
	t.Parallel() // most of the time a cluster uses one processor, for a client or a JobManager that starts
	node, java := world.Build(t, "test/native/node"), javaHome(t)
	official := executable(t, filepath.Join("..", "bench", "official.sh"))
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue // Java 17 came with 1.18, whose configuration opens what Flink needs of it
		}
		home := homes.Home(t, version)
		jars, err := Job(t.TempDir(), java, home)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"application", "session"} {
			t.Run(version+"/"+mode, func(t *testing.T) {
				t.Parallel()
				c := Cluster{Node: node, Home: home, Java: java, Version: version, Entrypoint: official, Official: true, Session: mode == "session", Jars: jars, Dir: t.TempDir()}
				theirs := finish(t, c)
				c.Entrypoint, c.Official, c.Dir = world.Binary(t), false, t.TempDir()
				ours := finish(t, c)
				for _, pod := range []string{"demo-jobmanager-0", "demo-taskmanager-1-1"} {
					want, got := commandLine(t, theirs, pod), commandLine(t, ours, pod)
					if !slices.Equal(got, want) {
						t.Errorf("%s:\n%s\nofficial:\n%s", pod, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				}
			})
		}
	}
}

// TestDefinition: the job of an application cluster is a SQL script in a definition, in an image without a job of its own.
func TestDefinition(t *testing.T) {
	t.Parallel()
	node, java := world.Build(t, "test/native/node"), javaHome(t)
	for _, version := range homes.Versions() {
		if version < "1.15" {
			continue // see TestNative
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			jars := t.TempDir()
			world.File(t, filepath.Join(jars, "job.yaml"), `apiVersion: flink-entrypoint/v1
name: from the definition
configuration: {execution.runtime-mode: batch}
sql:
  script: |
    CREATE TABLE p (x INT, y STRING) WITH ('connector' = 'print');
    INSERT INTO p VALUES (1, 'a;b'), (2, 'it''s');
`, 0o644)
			c := Cluster{Node: node, Home: homes.Home(t, version), Java: java, Version: version, Entrypoint: world.Binary(t), Definition: true, Jars: jars, Dir: t.TempDir(),
				Named: []string{"-c", sqlrunner.MainClass, "local://" + boot.DefaultRunDir + "/" + sqlrunner.JarName}}
			out := finishDefinition(t, c)
			for _, row := range []string{"+I[1, a;b]", "+I[2, it's]"} {
				if !strings.Contains(out, row) {
					t.Errorf("no row %s in\n%s", row, out[max(0, len(out)-4000):])
				}
			}
		})
	}
}

// TestDefinitionOfAJar: the job is a jar that the definition names, with its class and its arguments, and that the image does not have
// where Flink looks for it. The manifest names no class, and the client's command neither a class nor arguments.
func TestDefinitionOfAJar(t *testing.T) {
	t.Parallel()
	node, java := world.Build(t, "test/native/node"), javaHome(t)
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue // see TestNative
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			home := homes.Home(t, version)
			jars, err := Job(t.TempDir(), java, home)
			if err != nil {
				t.Fatal(err)
			}
			arguments, err := json.Marshal(Arguments)
			if err != nil {
				t.Fatal(err)
			}
			// Its name in the definition has no .jar, and the file of that name is the only one in the pod.
			if err := os.Rename(filepath.Join(jars, "squares.jar"), filepath.Join(jars, "squares-1.0")); err != nil {
				t.Fatal(err)
			}
			world.File(t, filepath.Join(jars, "job.yaml"), fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: squares
jar: {uri: /opt/flink/usrlib/squares-1.0, entryClass: Squares, args: %s}
`, arguments), 0o644)
			c := Cluster{Node: node, Home: home, Java: java, Version: version, Entrypoint: world.Binary(t), Definition: true, Jars: jars, Dir: t.TempDir(),
				Named: []string{"local://" + boot.DefaultRunDir + "/usrlib/squares-1.0.jar"}}
			printed(t, finishDefinition(t, c))
		})
	}
}

// finishDefinition runs a cluster whose job is in a definition, and returns what its TaskManager printed.
func finishDefinition(t *testing.T, c Cluster) string {
	t.Helper()
	r, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Left) > 0 || !r.Deleted {
		t.Errorf("pods left: %q; the cluster deleted its deployment: %v", r.Left, r.Deleted)
	}
	jm, err := os.ReadFile(find(t, r, "demo-jobmanager-0").Output)
	if err != nil {
		t.Fatal(err)
	}
	if _, warning, ok := strings.Cut(string(jm), "of the definition has no effect"); ok {
		t.Errorf("the JobManager says that something of the definition has no effect%.200s", warning)
	}
	out, err := os.ReadFile(find(t, r, "demo-taskmanager-1-1").Output)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// printed wants the rows of Squares, each once, among what a TaskManager printed.
func printed(t *testing.T, out string) {
	t.Helper()
	var rows []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "square ") {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		}
	}
	if slices.Sort(rows); !slices.Equal(rows, Rows()) {
		t.Errorf("rows %q, want %q\n%s", rows, Rows(), out[max(0, len(out)-4000):])
	}
}

// finish runs a cluster and looks at what any must have done.
func finish(t *testing.T, c Cluster) Report {
	t.Helper()
	r, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Refused) > 0 {
		t.Errorf("requests that the API does not know: %q", r.Refused)
	}
	if len(r.Left) > 0 || !c.Session && !r.Deleted {
		t.Errorf("pods left: %q; the cluster deleted its deployment: %v", r.Left, r.Deleted)
	}
	jm, tm := find(t, r, "demo-jobmanager-0"), find(t, r, "demo-taskmanager-1-1")
	kind := "kubernetes-application"
	if c.Session {
		kind = "kubernetes-session"
	}
	for pod, want := range map[*Pod]string{jm: "kubernetes-jobmanager.sh " + kind, tm: "kubernetes-taskmanager.sh -D"} {
		if len(pod.Command) != 4 || !slices.Equal(pod.Command[:3], []string{"/docker-entrypoint.sh", "bash", "-c"}) || !strings.HasPrefix(pod.Command[3], want) {
			t.Errorf("%s was asked for as %q, want %s…", pod.Name, pod.Command, want)
		}
	}
	out, err := os.ReadFile(tm.Output)
	if err != nil {
		t.Fatal(err)
	}
	printed(t, string(out))
	t.Logf("%s: FINISHED after %.1f s; exec of java after %.0f ms (JobManager) and %.0f ms (TaskManager)", map[bool]string{true: "official", false: "flink-entrypoint"}[c.Official], r.FinishedMS/1e3, jm.ExecMS, tm.ExecMS)
	return r
}

func find(t *testing.T, r Report, name string) *Pod {
	t.Helper()
	for i, p := range r.Pods {
		if p.Name == name {
			return &r.Pods[i]
		}
	}
	t.Fatalf("no pod %s among %+v", name, r.Pods)
	return nil
}

// chance is what differs from one cluster to the next.
var chance = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}`)

// commandLine is the one of a pod's JVM, without chance, without the place of the rendered configuration, which is ours alone, and without
// the empty elements that the scripts leave at the end of the class path.
func commandLine(t *testing.T, r Report, pod string) []string {
	t.Helper()
	line := slices.Clone(find(t, r, pod).Java)
	if len(line) == 0 {
		t.Errorf("%s never became a JVM", pod)
	}
	for i, word := range line {
		line[i] = strings.ReplaceAll(chance.ReplaceAllString(word, "CHANCE"), "/tmp/flink-entrypoint/conf", "/opt/flink/conf")
		if i > 0 && line[i-1] == "-classpath" {
			line[i] = strings.TrimRight(line[i], ":")
		}
	}
	// The JobManager passes on what its configuration has, in the order of a hash map: another one each time.
	for i := 0; i < len(line); i++ {
		n := 0
		for i+n < len(line) && len(line[i+n]) > 2 && strings.HasPrefix(line[i+n], "-D") {
			n++
		}
		slices.Sort(line[i : i+n])
		i += n
	}
	return line
}

// executable is a copy that may be executed.
func executable(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return world.File(t, filepath.Join(t.TempDir(), filepath.Base(file)), string(content), 0o755)
}

func javaHome(t *testing.T) string {
	t.Helper()
	home, err := JavaHome()
	if err != nil {
		t.Fatal(err)
	}
	return home
}
