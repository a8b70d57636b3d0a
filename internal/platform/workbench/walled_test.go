package workbench

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/world"
)

// TestMain: this program is also a java that behaves as the runner of SQL does, and what that leaves. It needs no other files, as a
// program inside a wall has none.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) != "java":
		os.Exit(m.Run())
	case slices.Contains(os.Args, "-version"):
	case len(os.Args) == 3 && os.Args[1] == "stay":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		fmt.Println("stays")
		time.Sleep(time.Hour)
	case os.Args[len(os.Args)-1] == "serve":
		os.Exit(runner())
	default:
		fmt.Fprintln(os.Stderr, "unknown arguments", os.Args)
		os.Exit(1)
	}
}

// runner answers requests as a comment in the script says.
func runner() int {
	in := bufio.NewReader(os.Stdin)
	for {
		var mode string
		var a, b int
		if _, err := fmt.Fscanf(in, "%s %d %d\n", &mode, &a, &b); err != nil {
			return 0
		}
		script, index := make([]byte, a), make([]byte, b)
		if _, err := io.ReadFull(in, script); err != nil {
			return 1
		}
		if _, err := io.ReadFull(in, index); err != nil {
			return 1
		}
		switch mode {
		case "warm":
			fmt.Println("ready\t")
		case "check":
			fmt.Printf("checked\t1\n")
		case "local":
			shown := local(string(script))
			fmt.Printf("p> +I[%s]\n", strings.ReplaceAll(shown, "\n", " "))
			fmt.Println("\x1eended")
			return 0
		}
	}
}

// local does what a script asks for, and returns what it found.
func local(script string) string {
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			return "error: " + err.Error()
		}
		return string(b)
	}
	rest := func(word string) string {
		_, rest, _ := strings.Cut(script, word+" ")
		rest, _, _ = strings.Cut(rest, "\n")
		return strings.TrimSpace(rest)
	}
	switch {
	case strings.Contains(script, "-- WHO"):
		return fmt.Sprint("user ", os.Getuid(), ", secret ", os.Getenv("AWS_SECRET_ACCESS_KEY"), ", in ", os.TempDir())
	case strings.Contains(script, "-- READ"):
		return read(rest("READ"))
	case strings.Contains(script, "-- ROWS"):
		file := regexp.MustCompile(`file://([^']+)'`).FindStringSubmatch(script)
		if file == nil {
			return "no file"
		}
		return read(file[1])
	case strings.Contains(script, "-- WRITE"):
		at := func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o600) }
		return fmt.Sprint(at("/tmp"), at(rest("WRITE")) != nil)
	case strings.Contains(script, "-- LEAVE"):
		self, _ := os.Executable()
		c := exec.Command(self, "stay", rest("LEAVE"))
		c.Args[0] = "java"
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err == nil {
			_, err = bufio.NewReader(out).ReadString('\n')
		}
		return fmt.Sprint("left ", err)
	}
	return fmt.Sprint(os.Getpid())
}

// openWalled has that java, inside a wall.
func openWalled(t *testing.T, o Options) *fixture {
	t.Helper()
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip("bubblewrap is not installed")
	}
	f := &fixture{t: t, dir: t.TempDir()}
	world.Write(t, f.dir, world.Stub("2.2.1", "", world.Runner))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, "java", "bin", "java"), program, 0o755)
	}
	if err == nil {
		err = filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == f.dir {
				return err
			}
			return os.Chmod(path, 0o755)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Home, o.Dir, o.Wall = filepath.Join(f.dir, "flink"), filepath.Join(f.dir, "workbench"), WallNeeded
	o.Env = []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(f.dir, "java"), "AWS_SECRET_ACCESS_KEY=hunter2"}
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if f.Workbench, err = Open(o); err != nil {
		t.Skip("no wall can be built here: ", err)
	}
	t.Cleanup(func() {
		f.Close()
		if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left after the end: %v", o.Dir, err)
		}
		if n := withText(o.Dir); n > 0 {
			t.Errorf("%d processes are left after the end", n)
		}
	})
	f.serve()
	return f
}

// withText counts the processes of this machine that have a text in their command line.
func withText(text string) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), text) {
			n++
		}
	}
	return n
}

// TestInsideAWall: what a JVM has of the server, what it leaves, and what a script may bring.
func TestInsideAWall(t *testing.T) {
	f := openWalled(t, Options{Warm: 1})
	secret := filepath.Join(f.dir, "platform.db")
	jar := filepath.Join(f.dir, "blob")
	for file, text := range map[string]string{secret: "the store", jar: "the jar"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte("the jar"))
	digest := hex.EncodeToString(sum[:])
	const address = "http://127.0.0.1:8088/v1/artifacts/"
	stored := func(name string) (string, string, error) {
		if unescaped, err := url.PathUnescape(name); err == nil && unescaped == "udf.jar" {
			return jar, digest, nil
		}
		return "", "", fmt.Errorf("no artifact %s is stored", name)
	}
	mark := fmt.Sprintf("mark-%d", os.Getpid())
	one := func(name, text string, data ...Data) (string, End, error) {
		t.Helper()
		var rows []string
		end, err := f.Debug(t.Context(), "ada", Script{Name: name, Source: []byte(text), Stored: stored, Artifacts: address}, DebugOptions{Data: data},
			Events{Start: func(bool) {}, Ready: func(_, _ []string) {}, Line: func(string) {}, Warn: func(w string) { t.Log(w) }, Row: func(row Row) { rows = append(rows, row.Text) }})
		return strings.Join(rows, "\n"), end, err
	}
	const reads = "CREATE TABLE s (id INT) WITH ('connector' = 'kafka');\nCREATE TABLE p (id INT) WITH ('connector' = 'kafka');\nINSERT INTO p SELECT id FROM s;\n"
	definition := "apiVersion: flink-entrypoint/v1\nname: job\nartifacts: [{uri: '" + address + "udf.jar', sha256: '" + digest + "'}]\nsql:\n  functions: [{name: f, class: a.B}]\n  script: |\n" +
		"    " + strings.ReplaceAll(strings.TrimSpace(script), "\n", "\n    ") + "\n    -- WHO\n"
	for _, tt := range []struct {
		what, name, text string
		data             []Data
		want             string // a pattern
		warm             bool
	}{
		{"who it is", "job.sql", script + "-- WHO", nil, `\[user [1-9][0-9]*, secret , in /tmp\]`, true},
		{"the store", "job.sql", script + "-- READ " + secret, nil, `\[error: open .*: no such file or directory\]`, true},
		{"users", "job.sql", script + "-- READ /etc/shadow", nil, `\[error: open /etc/shadow: no such file or directory\]`, true},
		{"the configuration of clusters", "job.sql", script + "-- READ " + f.dir + "/flink/conf/config.yaml", nil, `\[error: open .*/conf/config.yaml: no such file or directory\]`, true},
		{"writing", "job.sql", script + "-- WRITE " + f.dir + "/flink/lib", nil, `\[<nil> true\]`, true},
		{"rows", "job.sql", reads + "-- ROWS", []Data{{Table: "s", CSV: true, Content: []byte("id\n7\n")}}, `\[\{"id":"7"\} \]`, true},
		{"ADD JAR", "job.sql", "ADD JAR 'udf.jar';\n" + script + "-- READ udf.jar", nil, `\[the jar\]`, false},
		{"USING JAR", "job.sql", "CREATE FUNCTION f AS 'a.B' USING JAR 'udf.jar';\n" + script + "-- READ udf.jar", nil, `\[the jar\]`, false},
		{"a class of Flink", "job.sql", "CREATE FUNCTION f AS 'a.B';\n" + script + "-- WHO", nil, `\[user [1-9]`, true},
		{"artifacts", "job.yaml", definition, nil, `\[user [1-9]`, false},
		{"what it leaves", "job.sql", script + "-- LEAVE " + mark, nil, `\[left <nil>\]`, true},
	} {
		f.ready(1)
		got, end, err := one(tt.name, tt.text, tt.data...)
		if err != nil || end.Limit != "" || end.Warm != tt.warm || !regexp.MustCompile("^"+tt.want).MatchString(got) {
			t.Errorf("%s: %q, %+v, %v, expected %s", tt.what, got, end, err, tt.want)
		}
		if n := withText(mark); n > 0 {
			t.Errorf("%s: %d processes are left", tt.what, n)
		}
	}
	for text, want := range map[string]string{
		"ADD JAR 'no.jar';\n" + script:                                  "job.sql:1:1: statement 1: no artifact no.jar is stored",
		"ADD JAR '/etc/passwd';\n" + script:                             `job.sql:1:1: statement 1: "/etc/passwd" is not the name of a stored artifact`,
		"CREATE FUNCTION f AS 'a.B' USING JAR '../x.jar';\n" + script:   `job.sql:1:1: statement 1: "../x.jar" is not the name of a stored artifact`,
		"CREATE MODEL m INPUT (a STRING) OUTPUT (b STRING);\n" + script: "job.sql:1:1: statement 1: the server calls no models",
		"SET 'pipeline.jars' = 'file:///x.jar';\n" + script:             "pipeline.jars is not set here",
	} {
		if _, _, err := one("job.sql", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for change, want := range map[[2]string]string{
		{address, "http://example.com/v1/artifacts/"}: "artifacts[0]: the server fetches nothing from other addresses",
		{digest, strings.Repeat("cd", 32)}:            "its SHA-256 is " + digest,
		{"class: a.B", "class: {fromEnv: HOME}"}:      "sql.functions[0].class is a reference",
	} {
		if _, _, err := one("job.yaml", strings.Replace(definition, change[0], change[1], 1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte("ADD JAR 'udf.jar';\n" + script), Stored: stored}); err != nil {
		t.Errorf("a check in a JVM of its own: %v", err)
	}
	if by, _, reason := f.Wall(); by == "" || reason != "" {
		t.Errorf("the wall is %q, %q", by, reason)
	}
}
