//go:build flink

package underplatform

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	suite "flink-entrypoint/test/world"
)

const (
	run   = "orders-7"
	token = "plainly-a-token-0xA11CE"

	// For how long a platform that is away may hold a JobManager.
	forArchive, forEvent = 5 * time.Second, 3 * time.Second
	// What a busy machine may add. Without these limits it would be a minute, or for ever.
	slack = 25 * time.Second
)

// world is one version's TaskManager, which serves one JobManager after the other.
type world struct {
	*cluster.Cluster
	version string
	pushes  bool // has a status listener
	jar     string
}

// TestJobManagers: the versions side by side, and one TaskManager for all JobManagers of a version.
func TestJobManagers(t *testing.T) {
	versions := homes.Versions()
	if !slices.Contains(versions, "1.15.4") { // the oldest, which the runner is compiled against
		versions = append([]string{"1.15.4"}, versions...)
	}
	for _, version := range versions {
		if version < "1.15" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, version)
			for _, c := range []struct {
				name string
				run  func(*world, *testing.T)
			}{{"ends", (*world).ends}, {"several jobs", (*world).severalJobs}, {"away", (*world).away}, {"returns", (*world).returns}} {
				t.Run(c.name, func(t *testing.T) { c.run(w, t) })
			}
		})
	}
}

func newWorld(t *testing.T, version string) *world {
	t.Helper()
	c, err := cluster.New(suite.Binary(t), homes.Home(t, version), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Env = append(c.Env, cluster.ForJava17(version)...)
	w := &world{c, version, version >= "2", filepath.Join(c.Dir, sqlrunner.PlatformJarName)}
	write(t, w.jar, string(sqlrunner.PlatformJar()))
	if _, err := c.Start("tm", "taskmanager", []string{"--memory-limit", "1500m", "taskmanager"},
		"FLINK_PROPERTIES="+c.Properties("taskmanager")+quick+"taskmanager.numberOfTaskSlots: 2\n"); err != nil {
		t.Fatal(err)
	}
	return w
}

// A JobManager is up soon, and the TaskManager soon finds the next one.
const quick = `heartbeat.interval: 1000
heartbeat.timeout: 10000
cluster.registration.error-delay: 500
cluster.registration.refused-registration-delay: 500
cluster.registration.initial-timeout: 200
restart-strategy.type: none
env.java.opts.jobmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
env.java.opts.taskmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
`

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

const (
	tables = `CREATE TABLE five (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
CREATE TABLE endless (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1');
CREATE TABLE sink (n BIGINT) WITH ('connector' = 'blackhole');
`
	bounded = "INSERT INTO sink SELECT n FROM five;\n"
	failing = "INSERT INTO sink SELECT 1 / (n - n) FROM five;\n"
	running = "INSERT INTO sink SELECT n FROM endless;\n"
	// A job cannot choose where its status and the token go.
	override = "SET 'flink-entrypoint.events.url' = 'http://127.0.0.1:1/'; SET 'flink-entrypoint.run' = 'other'; SET 'jobmanager.archive.fs.dir' = 'file:///nowhere';\n"
	several  = "SET 'execution.runtime-mode' = 'batch';\n" + bounded + bounded + bounded
)

// jobManager starts a JobManager that belongs to a run, as the entrypoint's flags will have it.
func (w *world) jobManager(t *testing.T, name string, p *Recorder, script string, arguments ...string) *cluster.Process {
	t.Helper()
	dir := filepath.Join(w.Dir, name+"-files")
	tokenFile := filepath.Join(dir, "token")
	write(t, tokenFile, token+"\n")
	indented := strings.ReplaceAll(strings.TrimSpace(tables+script), "\n", "\n    ")
	write(t, filepath.Join(dir, "definition.yaml"), fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: %s
artifacts: [{uri: 'file://%s', sha256: %x, to: lib}]
sql:
  script: |
    %s
`, name, w.jar, sha256.Sum256(sqlrunner.PlatformJar()), indented))
	major, minor := 0, 0
	if _, err := fmt.Sscanf(w.version, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	settings, err := sqlrunner.Platform{Run: run, EventsURL: p.URL(), TokenFile: tokenFile}.Settings(flinkversion.Of(major, minor, 0))
	if err != nil {
		t.Fatal(err)
	}
	properties := w.Properties("jobmanager") + quick
	for _, s := range settings {
		properties += s.Key + ": " + s.Value + "\n"
	}
	words := append([]string{"--definition", filepath.Join(dir, "definition.yaml"), "--memory-limit", "1300m", "standalone-job"}, arguments...)
	jm, err := w.Start(name, "standalone-job", words, "FLINK_PROPERTIES="+properties)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // where a test has failed, the next JobManager needs its port
		_ = jm.Signal(os.Kill)
		<-jm.Done()
	})
	return jm
}

// end waits for the process's end and returns its exit code, and how long after the last job's end it came.
func end(ctx context.Context, t *testing.T, jm *cluster.Process) (int, time.Duration) {
	t.Helper()
	code, err := jm.Wait(ctx)
	ended := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	ends := logged(t, jm, "reached terminal state")
	return code, ended.Sub(ends[len(ends)-1])
}

// logged returns when Flink logged lines with a text, of which there is one at least.
func logged(t *testing.T, jm *cluster.Process, text string) (times []time.Time) {
	t.Helper()
	for _, line := range jm.Stdout() {
		if !strings.Contains(line, text) || len(line) < 23 {
			continue
		}
		if at, err := time.ParseInLocation("2006-01-02 15:04:05,000", line[:23], time.Local); err == nil {
			times = append(times, at)
		}
	}
	if len(times) == 0 {
		t.Fatalf("%s did not log %q\n%s", jm.Name, text, jm.Tail(60))
	}
	return times
}

// changes returns a job's changes of status: "CREATED>RUNNING RUNNING>FINISHED".
func changes(events []Event, job string) string {
	var list []string
	for _, e := range events {
		if e.JobID == job {
			list = append(list, e.OldStatus+">"+e.Status)
		}
	}
	return strings.Join(list, " ")
}

// checkEnvelope checks what all events of a JobManager have in common.
func checkEnvelope(t *testing.T, p *Recorder, jm *cluster.Process) {
	t.Helper()
	if _, refused := p.Requests(); len(refused) > 0 {
		t.Errorf("requests that a platform refuses: %q", refused)
	}
	attempts := map[string]bool{}
	for i, e := range p.Events() {
		attempts[e.Attempt] = true
		if e.Run != run || e.Sequence != int64(i+1) || time.Since(time.UnixMilli(e.At)) > 5*time.Minute {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	for _, a := range p.Archives() {
		attempts[a.Attempt] = true
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	prefix := fmt.Sprintf("%s-%d-", boot[:8], jm.PID())
	for a := range attempts {
		if len(attempts) != 1 || !strings.HasPrefix(a, prefix) || len(a) == len(prefix) {
			t.Errorf("attempts %v, want one, %sTICKS", attempts, prefix)
		}
	}
}

// overview returns a job's state in its archive.
func overview(t *testing.T, a Archive) (name, state string) {
	t.Helper()
	var o struct {
		Jobs []struct{ JID, Name, State string }
	}
	if err := a.Path("/jobs/overview", &o); err != nil || len(o.Jobs) != 1 || o.Jobs[0].JID != a.Name {
		t.Fatalf("archive %s: %+v, %v", a.Name, o, err)
	}
	return o.Jobs[0].Name, o.Jobs[0].State
}

func jobArchives(p *Recorder) (jobs, others []Archive) {
	for _, a := range p.Archives() {
		if strings.Contains(a.Name, "/") {
			others = append(others, a)
		} else {
			jobs = append(jobs, a)
		}
	}
	return jobs, others
}

func newRecorder(t *testing.T) *Recorder {
	t.Helper()
	p, err := NewRecorder(token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

const jobID = "0123456789abcdef0123456789abcdef"

// ends: each way a job ends reaches the platform twice, by push (2.x) and by archive, before the process ends.
func (w *world) ends(t *testing.T) {
	for _, c := range []struct {
		name, script, changes, state, cause string
		ok                                  bool
	}{
		{"finishes", override + bounded, "CREATED>RUNNING RUNNING>FINISHED", "FINISHED", "", true},
		{"fails", failing, "CREATED>RUNNING RUNNING>FAILING FAILING>FAILED", "FAILED", "java.lang.ArithmeticException: / by zero", false},
		{"canceled", running, "CREATED>RUNNING RUNNING>CANCELLING CANCELLING>CANCELED", "CANCELED", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := within(t)
			p := newRecorder(t)
			jm := w.jobManager(t, c.name, p, c.script, "--job-id", jobID)
			if c.name == "canceled" {
				w.awaitRunning(ctx, t, jm)
				w.checkToken(ctx, t, jm)
				w.cancel(ctx, t)
			}
			code, delay := end(ctx, t, jm)
			t.Logf("exit code %d, %v after the job's end", code, delay)
			if (code == 0) != c.ok {
				t.Errorf("exit code %d\n%s", code, jm.Tail(40))
			}
			checkEnvelope(t, p, jm)
			events := p.Events()
			if w.pushes {
				if got := changes(events, jobID); got != c.changes || len(events) != len(strings.Fields(c.changes)) {
					t.Errorf("pushed %s, want %s", got, c.changes)
				} else if last := events[len(events)-1]; !strings.HasPrefix(last.Cause, cmp.Or(c.cause, "")) || (last.Cause == "null" || last.Cause == "") != (c.cause == "") || last.JobName != c.name {
					t.Errorf("last event %+v, want the cause %q", last, c.cause)
				} else {
					t.Logf("cause %q", last.Cause)
				}
			} else if len(events) != 0 {
				t.Errorf("pushed %+v", events)
			}
			jobs, others := jobArchives(p)
			if len(jobs) != 1 || jobs[0].Name != jobID {
				t.Fatalf("%d archives, %d others\n%s", len(jobs), len(others), jm.Tail(60))
			}
			if name, state := overview(t, jobs[0]); name != c.name || state != c.state {
				t.Errorf("the archive has %s as %s", name, state)
			}
			t.Logf("archive %d bytes", len(jobs[0].Body))
			for _, o := range others {
				t.Logf("beside it %s: %d bytes: %.600s", o.Name, len(o.Body), o.Body)
			}
			w.checkLogs(t, jm)
		})
	}
}

// severalJobs: a batch script's jobs come one after the other, each with an archive of its own.
func (w *world) severalJobs(t *testing.T) {
	ctx := within(t)
	p := newRecorder(t)
	jm := w.jobManager(t, "several", p, several)
	code, delay := end(ctx, t, jm)
	t.Logf("exit code %d, %v after the last job's end", code, delay)
	if code != 0 {
		t.Errorf("exit code %d\n%s", code, jm.Tail(40))
	}
	checkEnvelope(t, p, jm)
	jobs, _ := jobArchives(p)
	var archived, pushed []string
	for _, a := range jobs {
		archived = append(archived, a.Name)
		if _, state := overview(t, a); state != "FINISHED" {
			t.Errorf("archive of %s: %s", a.Name, state)
		}
	}
	for _, e := range p.Events() {
		if !slices.Contains(pushed, e.JobID) {
			pushed = append(pushed, e.JobID)
			if got := changes(p.Events(), e.JobID); got != "CREATED>RUNNING RUNNING>FINISHED" {
				t.Errorf("job %s: %s", e.JobID, got)
			}
		}
	}
	slices.Sort(archived)
	slices.Sort(pushed)
	if len(archived) != 3 || w.pushes && !slices.Equal(archived, pushed) {
		t.Errorf("archived %q, pushed %q, want three jobs\n%s", archived, pushed, jm.Tail(60))
	}
}

var heldByArchive = regexp.MustCompile(`has not taken \S+ within (\d+) ms`)

// away: a platform that is away costs a JobManager what forArchive and forEvent say. The next job of a script may wait
// for an archive too: Flink frees the slots of a job when its archive is written.
func (w *world) away(t *testing.T) {
	for _, c := range away {
		t.Run(c.name, func(t *testing.T) {
			ctx := within(t)
			p := newRecorder(t)
			c.begin(t, p)
			script := bounded
			if c.name == "hangs" {
				script = several
			}
			jm := w.jobManager(t, "away-"+c.name, p, script)
			code, delay := end(ctx, t, jm)
			atEnd := time.Since(logged(t, jm, "Terminating cluster entrypoint process")[0])
			ends := logged(t, jm, "reached terminal state")
			log := strings.Join(jm.Stdout(), "\n")
			var byArchive time.Duration
			for _, m := range heldByArchive.FindAllStringSubmatch(log, -1) {
				millis, _ := strconv.Atoi(m[1]) // digits
				byArchive = max(byArchive, time.Duration(millis)*time.Millisecond)
			}
			t.Logf("%v after the last of %d jobs' ends: by an archive %v, at the JVM's end %v", delay, len(ends), byArchive, atEnd)
			forEvent := forEvent
			if !w.pushes || c.quick {
				forEvent = 0
			}
			if code != 0 || byArchive > forArchive+slack || c.quick != (byArchive == 0) || atEnd > forEvent+slack {
				t.Errorf("exit code %d, held by an archive for %v and at the JVM's end for %v\n%s", code, byArchive, atEnd, jm.Tail(60))
			}
			if n := len(strings.Split(script, bounded)) - 1; len(ends) != n {
				t.Errorf("%d jobs ended, want %d", len(ends), n)
			}
			for i := range len(ends) - 1 {
				gap := ends[i+1].Sub(ends[i])
				t.Logf("job %d ended %v after the one before", i+1, gap)
				if gap > forArchive+slack { // which has what the job itself takes
					t.Errorf("job %d ended %v after the one before", i+1, gap)
				}
			}
			if n := len(p.Events()) + len(p.Archives()); n > 0 {
				t.Errorf("%d requests were taken", n)
			}
			if !strings.Contains(log, "has not taken") || w.pushes && !strings.Contains(log, "flinkentrypoint.platform.Events") {
				t.Errorf("the log does not say what was not reported to the platform\n%s", jm.Tail(60))
			}
			w.checkLogs(t, jm)
		})
	}
}

// returns: what happened while the platform was away reaches it when it is back, in order.
func (w *world) returns(t *testing.T) {
	ctx := within(t)
	p := newRecorder(t)
	p.Close()
	jm := w.jobManager(t, "returns", p, running, "--job-id", jobID)
	w.awaitRunning(ctx, t, jm)
	if w.pushes {
		if err := p.Open(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		if _, err := p.WaitEvents(ctx, moreThan(0)); err != nil {
			t.Fatal(err)
		}
		t.Logf("the first event came %v after the platform's return", time.Since(back))
		p.Close()
	}
	w.cancel(ctx, t)
	if _, err := jm.Lines(ctx, 1, func(line string) bool { return strings.Contains(line, "reached terminal state CANCELED") }); err != nil {
		t.Fatal(err)
	}
	if _, err := jm.Lines(ctx, 1, func(line string) bool { return strings.Contains(line, "The platform does not take ") }); err != nil {
		t.Fatal(err)
	}
	if err := p.Open(); err != nil {
		t.Fatal(err)
	}
	code, delay := end(ctx, t, jm)
	t.Logf("exit code %d, %v after the job's end", code, delay)
	checkEnvelope(t, p, jm)
	jobs, _ := jobArchives(p)
	if code != 0 || len(jobs) != 1 {
		t.Fatalf("exit code %d, %d archives\n%s", code, len(jobs), jm.Tail(60))
	}
	if _, state := overview(t, jobs[0]); state != "CANCELED" {
		t.Errorf("the archive has the job as %s", state)
	}
	if got := changes(p.Events(), jobID); w.pushes && got != "CREATED>RUNNING RUNNING>CANCELLING CANCELLING>CANCELED" {
		t.Errorf("pushed %s", got)
	}
}

func (w *world) awaitRunning(ctx context.Context, t *testing.T, jm *cluster.Process) {
	t.Helper()
	err := cluster.Poll(ctx, func() error {
		select {
		case <-jm.Done():
			return fmt.Errorf("the JobManager ended\n%s", jm.Tail(60))
		default:
		}
		jobs, err := w.Jobs(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
		}
		if len(jobs) != 1 || jobs[0].Tasks["running"] == 0 || jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return fmt.Errorf("%w: %+v", cluster.ErrNotYet, jobs)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) cancel(ctx context.Context, t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, fmt.Sprintf("http://127.0.0.1:%d/jobs/%s?mode=cancel", w.Rest, jobID), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("cancel: %s", res.Status)
	}
}

// checkToken looks for the token wherever others can read.
func (w *world) checkToken(ctx context.Context, t *testing.T, jm *cluster.Process) {
	t.Helper()
	for _, path := range []string{"/jobmanager/config", "/jobmanager/environment", "/jobs/" + jobID + "/config", "/jobs/" + jobID, "/jobmanager/log", "/config"} {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", w.Rest, path))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(body, []byte(token)) {
			t.Errorf("GET %s shows the token", path)
		}
		if path == "/jobmanager/config" {
			var keys []struct{ Key, Value string }
			if err := json.Unmarshal(body, &keys); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(keys, func(k struct{ Key, Value string }) bool { return k.Key == "flink-entrypoint.run" && k.Value == run }) {
				t.Errorf("GET %s lacks flink-entrypoint.run: this test looks at the wrong place", path)
			}
		}
	}
	for _, file := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", jm.PID(), file))
		if err != nil || len(content) == 0 {
			t.Fatalf("%s of the JobManager: %d bytes, %v", file, len(content), err)
		}
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("%s of the JobManager shows the token", file)
		}
	}
}

// checkLogs looks for the token in what the processes printed, and in every file but the token's own.
func (w *world) checkLogs(t *testing.T, jm *cluster.Process) {
	t.Helper()
	if strings.Contains(strings.Join(append(jm.Stdout(), jm.Stderr()...), "\n"), token) {
		t.Errorf("%s printed the token", jm.Name)
	}
	files := 0
	err := filepath.WalkDir(w.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "token" {
			return nil // what a process removes meanwhile
		}
		content, err := os.ReadFile(path)
		if err == nil {
			files++
			if bytes.Contains(content, []byte(token)) {
				t.Errorf("%s holds the token", path)
			}
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files were searched, %v", files, err)
	}
}
