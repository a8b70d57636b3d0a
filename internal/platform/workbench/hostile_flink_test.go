//go:build flink

package workbench_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/flinkhome/homes"
)

// walled is a workbench of Flink 2.2 inside a wall, with a stored jar of hostile functions.
type walled struct {
	*workbench.Workbench
	t   *testing.T
	dir string
	jar string
}

func openWalled(t *testing.T, o workbench.Options) *walled {
	w := &walled{t: t, dir: t.TempDir()}
	o.Home = homes.Home(t, "2.2.1")
	o.Dir, o.Env, o.Wall = filepath.Join(w.dir, "workbench"), append(os.Environ(), "AWS_SECRET_ACCESS_KEY=hunter2"), workbench.WallNeeded
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
	if w.Workbench, err = workbench.Open(o); err != nil {
		t.Fatal(err)
	}
	jar, err := hostileJar()
	if w.jar = filepath.Join(w.dir, "stored"); err == nil {
		err = os.WriteFile(w.jar, jar, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		if n := running(o.Dir); n > 0 {
			t.Errorf("%d processes of the workbench are left", n)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", o.Dir, err)
		}
	})
	return w
}

// running counts the processes of this machine with a text in their command line.
func running(text string) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), text) {
			n++
		}
	}
	return n
}

// hostileJar compiles the functions once, and packs them with the program that one of them starts.
var hostileJar = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := homes.Root()
	if err != nil {
		return nil, err
	}
	jars, err := filepath.Glob(filepath.Join(root, "2.2.1", "lib", "*.jar"))
	if err != nil {
		return nil, err
	}
	for _, c := range []*exec.Cmd{
		exec.Command("javac", "-nowarn", "-d", dir, "-classpath", strings.Join(jars, ":"), "testdata/hostile/Hostile.java"),
		exec.Command("go", "build", "-o", filepath.Join(dir, "helper"), "./testdata/helper"),
	} {
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", c.Args, err, out)
		}
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	err = errors.Join(z.AddFS(os.DirFS(dir)), z.Close())
	return jar.Bytes(), err
})

const address = "http://platform.example.com/v1/artifacts/"

// script is a script of a user whose team has stored hostile.jar.
func (w *walled) script(name, text string) workbench.Script {
	return workbench.Script{Name: name, Source: []byte(text), Artifacts: address, Stored: func(name string) (string, string, error) {
		if name != "hostile.jar" {
			return "", "", fmt.Errorf("no artifact %s is stored", name)
		}
		b, err := os.ReadFile(w.jar)
		sum := sha256.Sum256(b)
		return w.jar, hex.EncodeToString(sum[:]), err
	}}
}

type outcome struct {
	rows, lines []string
	end         workbench.End
	err         error
}

// text is everything that the user sees.
func (o outcome) text() string {
	text := strings.Join(o.rows, "\n") + "\n" + o.end.Limit
	if o.err != nil {
		text += "\n" + o.err.Error()
	}
	return text
}

func (w *walled) debug(ctx context.Context, user string, s workbench.Script, d workbench.DebugOptions) (o outcome) {
	o.end, o.err = w.Debug(ctx, user, s, d, workbench.Events{Start: func(bool) {}, Ready: func(_, _ []string) {}, Warn: func(string) {},
		Row: func(row workbench.Row) { o.rows = append(o.rows, row.Kind+row.Text) }, Line: func(line string) { o.lines = append(o.lines, line) }})
	return o
}

const hostileSQL = `CREATE TEMPORARY FUNCTION hostile AS 'hostile.Hostile' USING JAR 'hostile.jar';
CREATE TABLE s (id INT) WITH ('connector' = 'kafka');
CREATE TABLE p (r STRING) WITH ('connector' = 'kafka');
INSERT INTO p SELECT hostile('%s', '%s') FROM s WHERE id IS NOT NULL;
`

// An attack is a call of a hostile function, and what its user may see.
type attack struct {
	what, argument string
	want           []string // one of them
	never          string
}

func (a attack) check(t *testing.T, found string) {
	t.Helper()
	if !slices.ContainsFunc(a.want, func(want string) bool { return strings.Contains(found, want) }) || a.never != "" && strings.Contains(found, a.never) {
		t.Errorf("%s %s\nfound    %.2000s\nexpected %s", a.what, a.argument, found, strings.Join(a.want, "\n      or "))
	}
}

// TestHostile: what the functions of an attacker do is bounded and reported in a sentence; the next run works, and nothing is left.
func TestHostile(t *testing.T) {
	w := openWalled(t, workbench.Options{Warm: 1, Time: 5 * time.Minute, Memory: 1 << 30, Disk: 128 << 20})
	by, cgroup, _ := w.Wall()
	t.Log(by, ", cgroup: ", cgroup)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	spins := openWalled(t, workbench.Options{Time: 20 * time.Second})
	lanes := make(chan struct{}, 2) // a JVM that starts uses a processor or more
	var all sync.WaitGroup
	data := filepath.Join(w.dir, "platform.db")
	if err := os.WriteFile(data, []byte("the store"), 0o644); err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("hostile-%d", os.Getpid())
	// looks have a run of their own each; in the short form they share one, as a JVM lives on after them.
	looks := []attack{
		{"hello", "world", []string{"+I[hello world]"}, ""},
		{"read", "/etc/passwd", []string{"+I[root:x:0:0:root:/:/nonexistent debug:"}, "/bin/"},
		{"read", "/etc/shadow", []string{"NoSuchFileException: /etc/shadow"}, ""},
		{"read", "/proc/1/environ", []string{"AccessDeniedException: /proc/1/environ", "+I[LANG=", "+I[PATH="}, "hunter2"},
		{"environment", "", []string{"+I[{"}, "hunter2"},
		{"connect", l.Addr().String(), []string{"Connection refused"}, "connected"},
		{"connect", "192.0.2.1:80", []string{"Network is unreachable"}, "connected"},
		{"fill", "/tmp", []string{"No space left on device"}, ""},
		{"fill", "/dev/shm", []string{"No space left on device"}, ""},
	}
	attacks := []attack{
		{"heap", "", []string{"ended: it needs more than the 341 MiB of heap that a run has here"}, ""},
		{"native", "", []string{"ended: it needs more than the 1024 MiB of memory", "Unable to allocate 16777216 bytes", "its processes held more than 1024 MiB"}, ""},
		{"threads", "", []string{"unable to create native thread", "ended: it needs more than the 1024 MiB of memory"}, ""},
		{"print", "", []string{"ended after 8 MiB of output, the most that is shown here"}, ""},
		{"complain", "", []string{"ended after 8 MiB of output, the most that is shown here"}, ""},
		{"exit", "0", []string{"Java ended before the script did: code of the script called System.exit"}, ""},
		{"exit", "7", []string{"java ended with exit code 7"}, ""},
		{"halt", "0", []string{"Java ended before the script did"}, ""},
		{"read", data, []string{"NoSuchFileException: " + data}, "the store"},
		{"helper", "leave " + mark + "-leave", []string{"+I[left <nil>]"}, ""},
		{"helper", "fork " + mark + "-fork", []string{"resource temporarily unavailable", "+I[runtime: failed to create new OS thread", "+I[runtime/cgo"}, "no end"},
	}
	run := func(user, what, argument string) string {
		lanes <- struct{}{}
		defer func() { <-lanes }()
		began := time.Now()
		o := w.debug(t.Context(), user, w.script("job.sql", fmt.Sprintf(hostileSQL, what, argument)), workbench.DebugOptions{Rows: 1})
		t.Logf("%s %s: %.1f s", what, argument, time.Since(began).Seconds())
		return o.text()
	}
	if testing.Short() {
		var each []string
		for _, a := range looks {
			each = append(each, a.what+" "+a.argument)
		}
		all.Go(func() {
			text := run("mallory", "each", strings.Join(each, "|"))
			found := strings.Split(text, " ## ")
			if len(found) != len(looks)+1 {
				t.Errorf("found %.2000s\nexpected %d results", text, len(looks))
				return
			}
			found[0] = strings.TrimPrefix(found[0], "+I[") // of the row that has them
			for i, a := range looks {
				a.check(t, found[i])
			}
		})
	} else {
		attacks = append(attacks, looks...)
	}
	for i, a := range attacks {
		all.Go(func() {
			a.check(t, run(fmt.Sprint("mallory-", i), a.what, a.argument))
			if _, own, ok := strings.Cut(a.argument, " "); ok {
				if n := running(own); n > 0 {
					t.Errorf("%s %s: %d processes are left", a.what, a.argument, n)
				}
			}
		})
	}
	all.Go(func() {
		lanes <- struct{}{}
		defer func() { <-lanes }()
		o := spins.debug(t.Context(), "mallory", spins.script("job.sql", fmt.Sprintf(hostileSQL, "spin", "")), workbench.DebugOptions{Rows: 1})
		if o.end.Limit != "ended after 20s, the longest that a run may take here" || !slices.Contains(o.lines, "it spins") {
			t.Errorf("spin: %s, %q", o.text(), o.lines)
		}
	})
	all.Wait()
	example, err := os.ReadFile("../../../examples/clicks.sql")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, w.Workbench)
	if o := w.debug(t.Context(), "ada", workbench.Script{Name: "clicks.sql", Source: example}, workbench.DebugOptions{}); o.err != nil || o.end.Limit != "" || o.end.Rows == 0 || !o.end.Warm {
		t.Errorf("the next run: %s, %+v", o.text(), o.end)
	}
}

// TestBrings: jars of a script and of a definition in debug, validate and lineage; functions without jars on a JVM that was started ahead.
func TestBrings(t *testing.T) {
	w := openWalled(t, workbench.Options{Warm: 1})
	ready(t, w.Workbench)
	good := fmt.Sprintf(hostileSQL, "hello", "you")
	sum := func() string { _, sum, _ := w.script("", "").Stored("hostile.jar"); return sum }()
	definition := func(sum string) string {
		return "apiVersion: flink-entrypoint/v1\nname: job\nartifacts: [{uri: '" + address + "hostile.jar', sha256: '" + sum + "'}]\nsql:\n  functions: [{name: hostile, class: hostile.Hostile, system: true}]\n  script: |\n" +
			"    " + strings.ReplaceAll(strings.TrimSpace(good[strings.Index(good, "\n")+1:]), "\n", "\n    ") + "\n"
	}
	for what, s := range map[string]workbench.Script{
		"USING JAR":          w.script("job.sql", good),
		"ADD JAR":            w.script("job.sql", "ADD JAR 'hostile.jar';\n"+strings.Replace(good, " USING JAR 'hostile.jar'", "", 1)),
		"artifacts of a job": w.script("job.yaml", definition(sum)),
	} {
		o := w.debug(t.Context(), "ada", s, workbench.DebugOptions{Rows: 2})
		if o.err != nil || len(o.rows) != 2 || o.rows[0] != "+I[hello you]" || o.end.Warm {
			t.Errorf("%s: %s %+v", what, o.text(), o.end)
		}
		if _, err := w.Validate(t.Context(), s); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if l, err := w.Lineage(t.Context(), s); err != nil || len(l.Edges) != 1 {
			t.Errorf("%s: %v, %+v", what, err, l)
		}
	}
	wrong := w.script("job.sql", strings.Replace(good, "hostile('hello', 'you')", "hostile(1)", 1))
	if _, err := w.Validate(t.Context(), wrong); len(workbench.Faults(err)) != 1 || workbench.Faults(err)[0].Line != 4 {
		t.Errorf("a wrong call: %v", err)
	}
	if _, err := w.Validate(t.Context(), w.script("job.sql", strings.ReplaceAll(good, "hostile.jar", "no.jar"))); err == nil || !strings.Contains(err.Error(), "job.sql:1:1: statement 1: no artifact no.jar is stored") {
		t.Error(err)
	}
	if _, err := w.Validate(t.Context(), w.script("job.sql", strings.ReplaceAll(good, "hostile.jar", "/etc/passwd"))); err == nil || !strings.Contains(err.Error(), `"/etc/passwd" is not the name of a stored artifact`) {
		t.Error(err)
	}
	if o := w.debug(t.Context(), "ada", w.script("job.yaml", definition(strings.Repeat("0", 64))), workbench.DebugOptions{}); o.err == nil || !strings.Contains(o.err.Error(), "its SHA-256 is "+sum) {
		t.Errorf("another digest: %v", o.err)
	}
	ready(t, w.Workbench)
	o := w.debug(t.Context(), "ada", w.script("job.sql", "CREATE TABLE s (id INT, name STRING, t TIMESTAMP(3), ok BOOLEAN, tags ARRAY<INT>) WITH ('connector' = 'kafka');\nCREATE TABLE p (id INT, name STRING, t TIMESTAMP(3), ok BOOLEAN, tags ARRAY<INT>) WITH ('connector' = 'kafka');\nINSERT INTO p SELECT * FROM s;\n"),
		workbench.DebugOptions{Data: []workbench.Data{{Table: "s", CSV: true, Content: []byte("name,id,tags,ok,t\nada,7,\"[1, 2]\",true,2024-01-02 03:04:05\n,,,,\n")}}})
	if o.err != nil || strings.Join(o.rows, " ") != "+I[7, ada, 2024-01-02T03:04:05, true, [1, 2]] +I[null, null, null, null, null]" || !o.end.Warm {
		t.Errorf("rows of a user: %s, %+v", o.text(), o.end)
	}
}

// TestTwentyPeopleOnFlink: on four slots, each with a JVM of Flink: no row is another's, and nothing is left.
func TestTwentyPeopleOnFlink(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: twenty JVMs are started, each for one run; TestTwentyPeople has the queue with a stand-in of Java")
	}
	w := openWalled(t, workbench.Options{Warm: 1, Runs: 4, Queue: 16, Time: 5 * time.Minute})
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			sql := fmt.Sprintf("CREATE TABLE s (id INT) WITH ('connector' = 'kafka');\nCREATE TABLE p (r STRING) WITH ('connector' = 'kafka');\nINSERT INTO p SELECT 'person %d' FROM s;\n", i)
			o := w.debug(t.Context(), fmt.Sprint(i), w.script("job.sql", sql), workbench.DebugOptions{Rows: 3})
			if want := fmt.Sprintf("+I[person %d]", i); o.err != nil || len(o.rows) != 3 || o.rows[0] != want || o.rows[1] != want || o.rows[2] != want {
				t.Errorf("person %d: %s", i, o.text())
			}
		})
	}
	all.Wait()
	if slots, onTheirWay, waiting := w.Slots(); slots != 4 || onTheirWay != 0 || waiting != 0 {
		t.Errorf("%d slots, %d runs, %d waiting", slots, onTheirWay, waiting)
	}
}
