//go:build flink

package underplatform

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/test/flinkhome/homes"
	suite "flink-entrypoint/test/world"
)

// The jar without a cluster: a program that calls it as Flink does, on a Flink of each kind. What needs only the jar is
// here, since a JVM of this kind is up in a second.
const flink2 = "2.2.1"

// scratch is a folder for what the tests share.
var scratch string

// TestMain lets more cases run at once than there are processors, since they wait: for a platform that is away, and for the end of that.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "underplatform")
	if err == nil {
		err = suite.Parallel(16)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// driver is a JVM with testdata/Driver.java.
type driver struct {
	*exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	err       bytes.Buffer
	dir       string // its java.io.tmpdir and the token's file are here
	tokenFile string
	root      string // the archive directory
}

// compiled has the result of each version whose driver was compiled.
var compiled sync.Map

// compile compiles testdata/Driver.java once for a version, and returns the class path of a JVM with it.
func compile(t *testing.T, version string) string {
	t.Helper()
	home := homes.Home(t, version)
	once, _ := compiled.LoadOrStore(version, sync.OnceValues(func() (string, error) {
		dir := filepath.Join(scratch, version)
		classes, source := filepath.Join(dir, "classes"), filepath.Join(dir, "Driver.java")
		content, err := os.ReadFile("testdata/Driver.java")
		if err != nil {
			return "", err
		}
		text := string(content)
		if version < "2" { // it has no listener, so the source would not compile
			start := strings.Index(text, "    /** Only loaded where")
			text = text[:start] + "    private static final class Events { static void add(Object... o) {} }\n}\n"
			for _, class := range []string{"DefaultJobExecutionStatusEvent", "JobStatusChangedListener", "JobStatusChangedListenerFactory"} {
				text = strings.Replace(text, "import org.apache.flink.core.execution."+class+";\n", "", 1)
			}
		}
		if err := errors.Join(os.MkdirAll(classes, 0o755), os.WriteFile(source, []byte(text), 0o600)); err != nil {
			return "", err
		}
		classPath := filepath.Join(home, "lib", "*")
		if out, err := exec.Command(tool("javac"), "-nowarn", "-d", classes, "-cp", classPath, source).CombinedOutput(); err != nil {
			return "", fmt.Errorf("javac: %w\n%s", err, out)
		}
		return classPath + ":" + classes, nil
	}))
	classPath, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return classPath
}

// tool is a program of Java.
func tool(name string) string {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", name)
	}
	return name
}

// newDriver starts one with the settings of a run of the platform at url. options are the JVM's, or settings of Flink.
func newDriver(t *testing.T, version, url string, options ...string) *driver {
	t.Helper()
	d := &driver{dir: t.TempDir()}
	d.tokenFile = filepath.Join(d.dir, "token")
	write(t, d.tokenFile, token+"\n")
	jar := filepath.Join(d.dir, sqlrunner.PlatformJarName)
	write(t, jar, string(sqlrunner.PlatformJar()))
	classPath := compile(t, version)
	major, minor := 0, 0
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	settings, err := sqlrunner.Platform{Run: run, EventsURL: url, TokenFile: d.tokenFile}.Settings(flinkversion.Of(major, minor, 0))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.dir, "log4j2.properties"), "rootLogger.level = DEBUG\nrootLogger.appenderRef.e.ref = E\nappender.e.name = E\nappender.e.type = Console\n"+
		"appender.e.target = SYSTEM_ERR\nappender.e.layout.type = PatternLayout\nappender.e.layout.pattern = %p %c{1} %m %ex%n\n")
	args := append([]string{"-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + d.dir,
		"-Dlog4j.configurationFile=" + filepath.Join(d.dir, "log4j2.properties")}, options...)
	var more []string
	args = slices.DeleteFunc(args, func(a string) bool {
		setting := !strings.HasPrefix(a, "-")
		if setting {
			more = append(more, a)
		}
		return setting
	})
	args = append(append(args, "-cp", classPath+":"+jar, "Driver"), more...)
	for _, s := range settings {
		args = append(args, s.Key+"="+s.Value)
		if strings.HasPrefix(s.Value, "flink-platform") {
			d.root = s.Value
		}
	}
	d.Cmd = exec.Command(tool("java"), args...)
	d.Stderr = &d.err
	if d.in, err = d.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReader(out)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Process.Kill() // where it has not ended
		_ = d.Wait()
		if strings.Contains(d.err.String(), token) {
			t.Error("the log shows the token")
		}
		if t.Failed() {
			t.Logf("the log:\n%s", d.err.String())
		}
		left, err := filepath.Glob(filepath.Join(d.dir, "flink-entrypoint-archive*"))
		if err != nil || len(left) > 0 {
			t.Errorf("temporary files are left: %q, %v", left, err)
		}
	})
	if _, result := d.do(t, "hello"); result != "ok" { // it is up: times count from here
		t.Fatal(result)
	}
	return d
}

// do has the program do something and returns how long that took and with what result.
func (d *driver) do(t *testing.T, format string, args ...any) (time.Duration, string) {
	t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
	line, err := d.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, d.err.String())
	}
	millis, result, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	n, err := strconv.Atoi(millis)
	if err != nil {
		t.Fatalf("the program prints %q", line)
	}
	if strings.Contains(result, token) {
		t.Errorf("%s: the error shows the token", format)
	}
	return time.Duration(n) * time.Millisecond, result
}

// exit ends the program and returns how long its end took.
func (d *driver) exit(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := io.WriteString(d.in, "exit\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, d.out)
	_ = d.Wait() // ends with 7
	if code := d.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit code %d", code)
	}
	return time.Since(start)
}

// bothKinds runs a test on a Flink of each kind. Nearly all of the time it waits: the cases run side by side.
func bothKinds(t *testing.T, f func(t *testing.T, version string)) {
	t.Parallel()
	for _, version := range []string{"1.15.4", flink2} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, version)
		})
	}
}

// TestArchiveSizes: small and large archives arrive whole, in little memory; one that is there already counts as written.
func TestArchiveSizes(t *testing.T) {
	bothKinds(t, func(t *testing.T, version string) {
		p := newRecorder(t)
		// A proxy that is set for other purposes is not asked.
		d := newDriver(t, version, p.URL(), "-Dhttp.proxyHost=127.0.0.1", "-Dhttp.proxyPort=1", "-Dhttp.nonProxyHosts=")
		for i, size := range []int{0, 20_000, 1 << 20, 1<<20 + 1, 50_000_000} {
			name := fmt.Sprintf("%032x", i)
			took, result := d.do(t, "archive %s/%s %d", d.root, name, size)
			if result != "ok" {
				t.Fatalf("%d bytes: %s", size, result)
			}
			t.Logf("%d bytes in %v", size, took)
			archives := p.Archives()
			if a := archives[len(archives)-1]; a.Name != name || sha256.Sum256(a.Body) != sha256.Sum256(bytes.Repeat([]byte("a"), size)) {
				t.Errorf("%s has %d bytes, want %s with %d", a.Name, len(a.Body), name, size)
			}
		}
		if _, result := d.do(t, "archive %s/%032x 30", d.root, 1); result != "ok" {
			t.Errorf("an archive that exists: %s", result)
		}
		for path, want := range map[string]string{
			"/cluster/applications/0a/jobs/0b":             "0b", // Flink 2.3
			"/cluster/applications/0a/application-summary": "applications/0a",
		} {
			if _, result := d.do(t, "archive %s%s 1", d.root, path); result != "ok" {
				t.Errorf("%s: %s", path, result)
			}
			archives := p.Archives()
			if a := archives[len(archives)-1]; a.Name != want {
				t.Errorf("%s is archived as %s, want %s", path, a.Name, want)
			}
		}
		if n, refused := p.Requests(); n != 8 || len(refused) > 0 {
			t.Errorf("%d requests, refused %q", n, refused)
		}
	})
}

// TestTokenGoesToThePlatformAlone: not to another host, another path, or where a redirect leads.
func TestTokenGoesToThePlatformAlone(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	bothKinds(t, func(t *testing.T, version string) {
		p := newRecorder(t)
		d := newDriver(t, version, p.URL())
		for _, path := range []string{
			strings.Replace(other.URL, "http", "flink-platform", 1) + "/v1/runs/" + run + "/archive/0a",
			strings.TrimSuffix(d.root, run+"/archive") + "other/archive/0a",
			d.root + "/../../other/archive/0a",
		} {
			if _, result := d.do(t, "archive %s 1", path); !strings.Contains(result, "is not below") {
				t.Errorf("%s: %s", path, result)
			}
		}
		if n, _ := p.Requests(); n > 0 {
			t.Errorf("%d requests", n)
		}
		p.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return true
		})
		_, result := d.do(t, "archive %s/0a 1", d.root)
		if n, _ := p.Requests(); !strings.Contains(result, "it answered 307") || n != 1 {
			t.Errorf("a redirect: %s after %d requests", result, n)
		}
		for _, bad := range []string{"", " \n", token + "\n" + token, token + "\x00", token + "é", strings.Repeat("x", 70<<10)} {
			write(t, d.tokenFile, bad)
			if took, result := d.do(t, "archive %s/0a 1", d.root); !strings.Contains(result, "has not taken") || took > forArchive+slack {
				t.Errorf("a token file of %d bytes: %s after %v", len(bad), result, took)
			}
		}
		if n := elsewhere.Load(); n > 0 {
			t.Errorf("another server got %d requests", n)
		}
	})
}

// away are the ways in which a platform can be away. Each leaves p so that it refuses archives and events.
var away = []struct {
	name  string
	begin func(t *testing.T, p *Recorder)
	quick bool // says so at once, for good: a request is not repeated
}{
	{"refused", func(_ *testing.T, p *Recorder) { p.Close() }, false},
	{"500", answering(http.StatusInternalServerError), false},
	{"401", answering(http.StatusUnauthorized), true},
	{"hangs", func(t *testing.T, p *Recorder) {
		done := make(chan struct{})
		t.Cleanup(func() { close(done) })
		p.Answer(func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-done:
			case <-r.Context().Done():
			}
			return true
		})
	}, false},
}

// awayFor has the platform answer 503 until back is called, which waits until some requests have come: by then the next one is not at once.
func awayFor(p *Recorder, requests int64) (back func()) {
	var n atomic.Int64
	came := make(chan struct{})
	p.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		if n.Add(1) == requests {
			close(came)
		}
		return true
	})
	return func() {
		<-came
		p.Answer(nil)
	}
}

func answering(code int) func(*testing.T, *Recorder) {
	return func(_ *testing.T, p *Recorder) {
		p.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			return true
		})
	}
}

// TestArchiveAway: an archive holds Flink for 5 s at most, and for 1 s if the platform was away before.
func TestArchiveAway(t *testing.T) {
	bothKinds(t, func(t *testing.T, version string) {
		for _, c := range away {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				p := newRecorder(t)
				d := newDriver(t, version, p.URL())
				c.begin(t, p)
				shortest := time.Hour
				for i, size := range []int{2_000_000, 1_000_000, 0} { // in a file, in memory, empty
					took, result := d.do(t, "archive %s/0a %d", d.root, size)
					if !strings.Contains(result, "the platform has not taken") || took > forArchive+slack {
						t.Errorf("%d bytes: %s after %v", size, result, took)
					}
					if n, _ := p.Requests(); c.quick && n != i+1 {
						t.Errorf("%d requests for %d archives", n, i+1)
					}
					if i > 0 {
						shortest = min(shortest, took)
					}
					t.Logf("%d bytes: %v, %s", size, took, result)
				}
				if shortest >= forArchive { // of two, since a busy machine may add more than it to one
					t.Errorf("after an archive that was not taken the next one held Flink for %v, want a second", shortest)
				}
				p.Answer(nil)
				if c.name == "refused" {
					if err := p.Open(); err != nil {
						t.Fatal(err)
					}
				}
				if _, result := d.do(t, "archive %s/0b 30", d.root); result != "ok" || len(p.Archives()) != 1 {
					t.Errorf("back again: %s, %d archives", result, len(p.Archives()))
				}
			})
		}
		// It takes connections, and reads nothing.
		t.Run("does not read", func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			d := newDriver(t, version, "http://"+l.Addr().String()+"/events")
			if took, result := d.do(t, "archive %s/0a 50000000", d.root); !strings.Contains(result, "the platform has not taken") || took > forArchive+slack {
				t.Errorf("%s after %v", result, took)
			}
		})
		// It answers, one byte a second.
		t.Run("trickles", func(t *testing.T) {
			t.Parallel()
			p := newRecorder(t)
			d := newDriver(t, version, p.URL())
			p.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return true
				}
				defer conn.Close()
				for tick := time.Tick(time.Second); ; {
					if _, err := conn.Write([]byte("H")); err != nil {
						return true
					}
					select {
					case <-tick:
					case <-t.Context().Done():
						return true
					}
				}
			})
			if took, result := d.do(t, "archive %s/0a 30", d.root); !strings.Contains(result, "the platform has not taken") || took > forArchive+slack {
				t.Errorf("%s after %v", result, took)
			}
		})
		// It is back before the time is over.
		t.Run("returns", func(t *testing.T) {
			t.Parallel()
			p := newRecorder(t)
			d := newDriver(t, version, p.URL())
			var n atomic.Int64
			p.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
				switch n.Add(1) {
				case 1:
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return true
					}
					conn.Close()
				case 2:
					w.WriteHeader(http.StatusServiceUnavailable)
				default:
					return false
				}
				return true
			})
			if _, result := d.do(t, "archive %s/0a 30", d.root); result != "ok" || n.Load() != 3 || len(p.Archives()) != 1 {
				t.Errorf("%s after %d requests, %d archives", result, n.Load(), len(p.Archives()))
			}
		})
	})
}

func moreThan(n int) func([]Event) bool { return func(got []Event) bool { return len(got) > n } }

const job = "000000000000000000000000000000aa"

// TestEventsWait: a platform that is away gets what came meanwhile, in order; of too many, what matters.
func TestEventsWait(t *testing.T) {
	t.Parallel()
	p := newRecorder(t)
	d := newDriver(t, flink2, p.URL())
	p.Close()
	events := 0
	for _, burst := range []struct {
		status string
		n      int
	}{{"FINISHED", 1}, {"RUNNING", 900}, {"FAILED", 50}, {"RUNNING", 700}, {"CANCELED", 1}} {
		if took, result := d.do(t, "event %s %s %d", job, burst.status, burst.n); result != "ok" || took > slack {
			t.Fatalf("%s after %v", result, took)
		}
		events += burst.n
	}
	if err := p.Open(); err != nil {
		t.Fatal(err)
	}
	got, err := p.WaitEvents(within(t), func(got []Event) bool { return len(got) > 0 && got[len(got)-1].Sequence == int64(events) })
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 1000 || len(got) > 1002 { // the queue, and what was being sent
		t.Errorf("%d events came", len(got))
	}
	terminal := map[string]int{}
	for i, e := range got {
		if i > 0 && e.Sequence <= got[i-1].Sequence {
			t.Fatalf("event %d comes after event %d", e.Sequence, got[i-1].Sequence)
		}
		terminal[e.Status]++
	}
	if terminal["FINISHED"] != 1 || terminal["FAILED"] != 50 || terminal["CANCELED"] != 1 {
		t.Errorf("of %d events came %v", events, terminal)
	}
	took := d.exit(t)
	for range 2 { // on a busy machine the end of a JVM alone may take as long as it may wait
		if took < forEvent {
			return
		}
		d := newDriver(t, flink2, p.URL())
		before := len(p.Events())
		if _, result := d.do(t, "event %s FINISHED 1", job); result != "ok" {
			t.Fatal(result)
		}
		if _, err := p.WaitEvents(within(t), moreThan(before)); err != nil {
			t.Fatal(err)
		}
		took = min(took, d.exit(t))
	}
	if took >= forEvent {
		t.Errorf("with nothing unsent the end took %v", took)
	}
}

// TestArchiveWithHighAvailability: where a standby waits, an archive does not hold the commit of the job's result. It holds the end of the JVM
// for 3 s, and comes if the platform returns in that time.
func TestArchiveWithHighAvailability(t *testing.T) {
	bothKinds(t, func(t *testing.T, version string) {
		for _, c := range away {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				p := newRecorder(t)
				d := newDriver(t, version, p.URL(), "high-availability.type=zookeeper")
				c.begin(t, p)
				if took, result := d.do(t, "archive %s/0a 2000000", d.root); result != "ok" || took > slack {
					t.Errorf("%s after %v", result, took)
				}
				if took := d.exit(t); took > forEvent+slack {
					t.Errorf("the end took %v", took)
				}
			})
		}
		t.Run("returns", func(t *testing.T) {
			t.Parallel()
			p := newRecorder(t)
			d := newDriver(t, version, p.URL(), "high-availability=zookeeper")
			back := awayFor(p, 4)
			if took, result := d.do(t, "archive %s/%032x 30", d.root, 1); result != "ok" || took > slack {
				t.Errorf("%s after %v", result, took)
			}
			back() // after the fourth request it waits for nearly a second
			if took := d.exit(t); took > forEvent+slack || len(p.Archives()) != 1 {
				t.Errorf("the end took %v, %d archives came", took, len(p.Archives()))
			}
		})
	})
}

// TestEventsEnd: what is unsent holds the end of the JVM for 3 s, and is sent if the platform returns in that time.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range away {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newRecorder(t)
			d := newDriver(t, flink2, p.URL())
			c.begin(t, p)
			if took, result := d.do(t, "event %s FINISHED 3", job); result != "ok" || took > slack {
				t.Errorf("%s after %v", result, took)
			}
			took := d.exit(t)
			t.Logf("the end took %v", took)
			if took > forEvent+slack || !c.quick && took < 2900*time.Millisecond {
				t.Errorf("the end took %v", took)
			}
			if n, _ := p.Requests(); c.quick && n != 3 {
				t.Errorf("%d requests for 3 events", n)
			}
		})
	}
	t.Run("returns", func(t *testing.T) {
		t.Parallel()
		p := newRecorder(t)
		d := newDriver(t, flink2, p.URL())
		back := awayFor(p, 4)
		if _, result := d.do(t, "event %s FINISHED 3", job); result != "ok" {
			t.Error(result)
		}
		back()
		if took := d.exit(t); took > forEvent+slack || len(p.Events()) != 3 {
			t.Errorf("the end took %v, %d events came", took, len(p.Events()))
		}
	})
}

// TestEventAnswers: what each answer does with an event.
func TestEventAnswers(t *testing.T) {
	t.Parallel()
	var code atomic.Int64
	var header atomic.Value
	header.Store("")
	p := newRecorder(t)
	var times []time.Time
	p.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
		n := int(code.Swap(0))
		times = append(times, time.Now()) // one request at a time
		if n == 0 {
			return false
		}
		switch h := header.Load().(string); h {
		case "":
		case "date": // which has whole seconds
			w.Header().Set("Retry-After", time.Now().Add(4*time.Second).UTC().Format(http.TimeFormat))
		default:
			w.Header().Set("Retry-After", h)
		}
		w.WriteHeader(n)
		return true
	})
	d := newDriver(t, flink2, p.URL())
	for _, c := range []struct {
		code       int
		retryAfter string
		sent       bool
		pause      time.Duration // at least
	}{
		{500, "", true, 50 * time.Millisecond}, {503, "2", true, 2 * time.Second}, {429, "1", true, time.Second}, {408, "soon", true, 50 * time.Millisecond},
		{401, "", false, 0}, {403, "", false, 0}, {404, "", false, 0}, {410, "", false, 0}, {400, "", false, 0}, {302, "", false, 0},
		{503, "date", true, 3 * time.Second},
	} {
		before := len(p.Events())
		times = nil
		code.Store(int64(c.code))
		header.Store(c.retryAfter)
		if _, result := d.do(t, "event %s FINISHED 1", job); result != "ok" {
			t.Fatal(result)
		}
		if !c.sent { // the next event follows at once
			if _, result := d.do(t, "event %s CANCELED 1", job); result != "ok" {
				t.Fatal(result)
			}
		}
		events, err := p.WaitEvents(within(t), moreThan(before))
		if err != nil {
			t.Fatal(err)
		}
		last := events[len(events)-1]
		if len(times) != 2 || (last.Status == "FINISHED") != c.sent {
			t.Errorf("%d: %d requests, last event %+v", c.code, len(times), last)
		} else if pause := times[1].Sub(times[0]); pause < c.pause || c.pause < time.Second && pause > slack { // a minute is the longest that a platform may ask for
			t.Errorf("%d: came again after %v, want at least %v", c.code, pause, c.pause)
		}
	}
	// A renewed token is used at once.
	p.Token = "renewed"
	write(t, d.tokenFile, "renewed")
	before := len(p.Events())
	if _, result := d.do(t, "fail %s", job); result != "ok" {
		t.Fatal(result)
	}
	events, err := p.WaitEvents(within(t), moreThan(before))
	if err != nil {
		t.Fatal(err)
	}
	e := events[len(events)-1]
	if len(e.Cause) > 8<<10 || len(e.Cause) < 8<<10-3 || !utf8.ValidString(e.Cause) || !strings.HasPrefix(e.Cause, "java.lang.IllegalStateException: \"inner\"\n\ttab \U0001F600é") || e.JobName != `a "job"` {
		t.Errorf("%d bytes of cause: %.80q of %q", len(e.Cause), e.Cause, e.JobName)
	}
}

// TestTLS: the JVM's own settings say whom to trust.
func TestTLS(t *testing.T) {
	t.Parallel()
	p := newRecorder(t)
	s := httptest.NewTLSServer(p)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	store := filepath.Join(dir, "trust.p12")
	if out, err := exec.Command("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", filepath.Join(dir, "ca.pem"),
		"-keystore", store, "-storetype", "PKCS12", "-storepass", "changeit").CombinedOutput(); err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	for _, trusted := range []bool{true, false} {
		var options []string
		if trusted {
			options = []string{"-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStorePassword=changeit"}
		}
		d := newDriver(t, flink2, s.URL+"/v1/flink-events", options...)
		if !strings.HasPrefix(d.root, "flink-platforms://") {
			t.Errorf("the archive is %s", d.root)
		}
		_, result := d.do(t, "archive %s/%v 30", d.root, trusted)
		if (result == "ok") != trusted {
			t.Errorf("trusted %v: %s", trusted, result)
		}
		if _, result := d.do(t, "event %s FINISHED 1", job); result != "ok" {
			t.Error(result)
		}
		d.exit(t)
	}
	if !slices.ContainsFunc(p.Archives(), func(a Archive) bool { return a.Name == "true" }) || len(p.Archives()) != 1 || len(p.Events()) != 1 {
		t.Errorf("%d archives, %d events, want one of each", len(p.Archives()), len(p.Events()))
	}
}
