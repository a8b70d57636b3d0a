//go:build platform

package platform

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// A real is a server with a real Flink.
type real struct {
	*site
	jar   string // with Note
	truth string // the file that the jobs write

	onShared string // the job that runs on the session cluster shared; empty: none
}

// eachVersion runs a test on the main versions, or on those of FLINK_VERSIONS.
func eachVersion(t *testing.T, f func(t *testing.T, r *real)) {
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) { f(t, newReal(t, version)) })
	}
}

func newReal(t *testing.T, version string) *real {
	t.Helper()
	r := &real{site: &site{t: t, dir: t.TempDir(), listen: served.FreeAddress(t), home: homes.Home(t, version), entrypoint: world.Build(t, "cmd/flink-entrypoint")}}
	r.truth = filepath.Join(r.dir, "truth")
	r.again = func() { r.start(0) }
	r.jar = noteJar(t, r.home, r.dir)
	t.Cleanup(func() {
		if t.Failed() {
			r.explain()
		}
		if r.cmd != nil {
			r.kill()
		}
		for _, pid := range r.children() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return r
}

// explain logs what is known when a test has failed.
func (r *real) explain() {
	r.mu.Lock()
	r.t.Logf("the server said\n%s", r.log.String())
	r.mu.Unlock()
	if truth, err := os.ReadFile(r.truth); err == nil {
		r.t.Logf("the jobs wrote %d bytes\n%.2000s", len(truth), truth)
	}
	logs, _ := filepath.Glob(filepath.Join(r.dir, "data", "runs", "*", "*", "log"))
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		r.t.Logf("--- %s\n%s", name, strings.Join(tail(strings.Split(string(b), "\n"), 60), "\n"))
	}
}

func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// noteJar makes a jar of testdata/Note.java.
func noteJar(t *testing.T, home, dir string) string { return makeJar(t, "Note", home, dir) }

// makeJar makes a jar of a class of testdata, which may need classes of Flink, and of jars that were made before in the same directory.
func makeJar(t *testing.T, class, home, dir string) string {
	t.Helper()
	classes, jar := filepath.Join(dir, class), filepath.Join(dir, strings.ToLower(class)+".jar")
	for _, command := range [][]string{
		{"javac", "--release", "8", "-Xlint:-options", "-cp", filepath.Join(home, "lib", "*") + ":" + filepath.Join(dir, "*"), "-d", classes, "testdata/" + class + ".java"},
		{"jar", "--create", "--file", jar, "-C", classes, "."},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\nhint: apt-get install openjdk-17-jdk-headless", command[0], err, out)
		}
	}
	return jar
}

// serve starts flink-platform itself.
func (r *real) serve(platform string) {
	r.t.Helper()
	r.cmd = exec.Command(platform, "serve", "--warm", "0", "--data-dir", filepath.Join(r.dir, "data"), "--listen", r.listen, "--entrypoint", r.entrypoint, "--flink-home", r.home)
	r.cmd.Stderr = r
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(r.cmd, r.ended)
}

// children are the processes of this server's clusters: their working directory is below its data.
func (r *real) children() []int {
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, filepath.Join(r.dir, "data", "runs")) {
			var pid int
			fmt.Sscan(filepath.Base(filepath.Dir(l)), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

type realJob struct {
	name, want string
	rows, jobs int
}

// Six jobs that the platform must tell apart: the rows that each writes, 0 without end, and what becomes of it.
var realJobs = []realJob{
	{"finishes", "finished", 20, 1},
	{"stopped", "stopped", 0, 1},
	{"fails", "failed", 40, 1},
	{"canceled", "canceled", 0, 1},
	{"several", "finished", 20, 2}, // two batch jobs in one script
	{"crashes", "failed", 0, 1},    // its JobManager is killed
}

// jobOf is one of them.
func jobOf(name string) realJob {
	return realJobs[slices.IndexFunc(realJobs, func(j realJob) bool { return j.name == name })]
}

// modes are how jobs are asked to end.
var modes = map[string]string{"canceled": "cancel", "stopped": "savepoint"}

// ofCluster is the configuration of every cluster: two cores are for the jobs, not for compilers, and a machine that is slow is not a failure.
var ofCluster = []string{"jobmanager.memory.heap.size: 128m", "taskmanager.memory.managed.size: 64m", "taskmanager.memory.task.heap.size: 128m",
	"env.java.opts.jobmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "env.java.opts.taskmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
	"heartbeat.timeout: 600000", "pekko.startup-timeout: 120 s"}

const resources = "resources: {jobManager: {memory: 1g}, taskManager: {memory: 1g}}\n"

// startShared stores and starts the session cluster shared. more: lines of its definition.
func (r *real) startShared(more ...string) {
	r.t.Helper()
	content, err := os.ReadFile(r.jar)
	if err != nil {
		r.t.Fatal(err)
	}
	text := fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: shared\n%sartifacts: [{uri: 'file://%s', sha256: %x, to: lib}]\nconfiguration:\n  %s\n%s", resources, r.jar, sha256.Sum256(content), strings.Join(ofCluster, "\n  "), strings.Join(more, ""))
	if code, err := r.call("PUT", "/v1/clusters/shared", text, nil); err != nil {
		r.t.Fatalf("put shared: %d %v", code, err)
	}
	// 409: the answer of an earlier try was lost.
	if code, err := r.call("POST", "/v1/jobs/shared/start", wire.Start{}, nil); err != nil && code != http.StatusConflict {
		r.t.Fatalf("start shared: %d %v", code, err)
	}
}

// stopShared ends it.
func (r *real) stopShared() {
	r.t.Helper()
	r.stop("shared", "cancel")
	if end := r.ends("shared"); end.Outcome != "canceled" {
		r.t.Errorf("the session cluster is %s by %s: %s", end.Outcome, end.Evidence, end.Reason)
	}
}

// clusterOf is the run whose directory a run's processes have.
func clusterOf(run wire.Run) string { return cmp.Or(run.SessionOf, run.ID) }

// definition of a job. more: lines of its configuration, instead of those with the same key.
func (r *real) definition(job realJob, more ...string) string {
	r.t.Helper()
	name, shared := job.name, job.name == r.onShared
	content, err := os.ReadFile(r.jar)
	if err != nil {
		r.t.Fatal(err)
	}
	rows, last := job.rows, 1_000_000
	if rows > 0 {
		last = rows
	}
	bound := ""
	if rows > 0 {
		bound = fmt.Sprintf(", 'number-of-rows' = '%d'", rows)
	}
	column := fmt.Sprintf("note('%s', id)", r.truth)
	if name == "fails" {
		column = fmt.Sprintf("10 / (%s - %d)", column, rows)
	}
	configuration := []string{"restart-strategy.type: none", "execution.checkpointing.interval: 1 s", "execution.checkpointing.dir: file:" + filepath.Join(r.dir, "checkpoints")}
	if !shared {
		configuration = append(configuration, ofCluster...)
	}
	inserts := []string{"INSERT INTO p SELECT " + column + " FROM s;"}
	if name == "several" {
		configuration = append(configuration, "execution.runtime-mode: batch")
		inserts = append(inserts, inserts[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: flink-entrypoint/v1\nname: %s\n", name)
	if shared {
		b.WriteString("x-platform: {cluster: session shared}\nconfiguration:\n")
	} else {
		fmt.Fprintf(&b, "%sartifacts: [{uri: 'file://%s', sha256: %x, to: usrlib}]\nconfiguration:\n", resources, r.jar, sha256.Sum256(content))
	}
	key := func(line string) string { return line[:strings.Index(line, ":")] }
	for _, line := range configuration {
		if !slices.ContainsFunc(more, func(other string) bool { return key(other) == key(line) }) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	for _, line := range more {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	jars := ", jars: [note.jar]"
	if shared {
		jars = "" // the cluster has it
	}
	fmt.Fprintf(&b, "sql:\n  functions: [{name: note, class: Note%s}]\n  script: |\n", jars)
	fmt.Fprintf(&b, "    CREATE TABLE s (id INT) WITH ('connector' = 'datagen', 'rows-per-second' = '20', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '%d'%s);\n", last, bound)
	b.WriteString("    CREATE TABLE p (id INT) WITH ('connector' = 'blackhole');\n")
	for _, i := range inserts {
		fmt.Fprintf(&b, "    %s\n", i)
	}
	return b.String()
}

// begin stores and starts a job. The answer of an earlier try may have been lost with the server: then the start is a conflict.
func (r *real) begin(name, definition string, start wire.Start) {
	r.t.Helper()
	if code, err := r.call("PUT", "/v1/jobs/"+name, definition, nil); err != nil {
		r.t.Fatalf("put %s: %d %v", name, code, err)
	}
	if code, err := r.call("POST", "/v1/jobs/"+name+"/start", start, nil); err != nil && code != http.StatusConflict {
		r.t.Fatalf("start %s: %d %v", name, code, err)
	}
}

func (r *real) stop(name, mode string) {
	r.t.Helper()
	if code, err := r.call("POST", "/v1/jobs/"+name+"/stop", wire.Stop{Mode: mode}, nil); err != nil && code != http.StatusConflict {
		r.t.Fatalf("stop %s: %d %v", name, code, err)
	}
}

func (r *real) running(name string) wire.Run {
	r.t.Helper()
	return r.untilWithin(5*time.Minute, name, "running", func(run wire.Run) bool { return run.Queue == "running" || run.Outcome != "" })
}

func (r *real) ends(name string) wire.Run {
	r.t.Helper()
	return r.untilWithin(3*time.Minute, name, "ended", func(run wire.Run) bool { return run.Outcome != "" })
}

// A life is what the jobs wrote of a run.
type life struct {
	opened map[string]bool // processes and instances
	rows   []int
}

func (r *real) lives() map[string]*life {
	r.t.Helper()
	b, err := os.ReadFile(r.truth)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	all := map[string]*life{}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if len(w) < 4 {
			r.t.Fatalf("a job wrote %q", line)
		}
		l := all[w[0]]
		if l == nil {
			l = &life{opened: map[string]bool{}}
			all[w[0]] = l
		}
		switch w[3] {
		case "open":
			l.opened[w[1]+"/"+w[2]] = true
		case "row":
			n, err := strconv.Atoi(w[4])
			if err != nil {
				r.t.Fatalf("a job wrote %q", line)
			}
			l.rows = append(l.rows, n)
		}
	}
	return all
}

// wrote waits until a run has written a number of rows.
func (r *real) wrote(run string, rows int) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if l := r.lives()[run]; l != nil && len(l.rows) >= rows {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("run %s has not written %d rows", run, rows)
		}
	}
}

var switched = regexp.MustCompile(`(?m)^(\S+ \S+) .*\(([0-9a-f]{32})\) switched from state [A-Z]+ to (FINISHED|FAILED|CANCELED)\.`)

// flinkSays is how and when the jobs of a run ended by Flink's own log.
func (r *real) flinkSays(run string) (ends map[string]string, last time.Time) {
	r.t.Helper()
	var b []byte
	logs, err := filepath.Glob(filepath.Join(r.dir, "data", "runs", run, "jobmanager-*", "log"))
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		b = append(b, log...)
	}
	if err != nil || len(b) == 0 {
		r.t.Fatalf("run %s has no log: %v", run, err)
	}
	ends = map[string]string{}
	for _, m := range switched.FindAllSubmatch(b, -1) {
		ends[string(m[2])] = string(m[3])
		if last, err = time.ParseInLocation("2006-01-02 15:04:05,000", string(m[1]), time.Local); err != nil {
			r.t.Fatal(err)
		}
	}
	return ends, last
}

// judge compares what the platform says of a job's only run with what the job wrote and what Flink logged. late: the end may be known later
// than a minute after it, since the server was away.
func (r *real) judge(job realJob, late bool) {
	r.t.Helper()
	name := job.name
	var runs struct{ Runs []wire.Run }
	if _, err := r.call("GET", "/v1/jobs/"+name+"/runs", nil, &runs); err != nil {
		r.t.Fatal(err)
	}
	if len(runs.Runs) != 1 {
		r.t.Errorf("%s has %d runs, it was asked for one", name, len(runs.Runs))
		return
	}
	run := runs.Runs[0]
	if run.Outcome != job.want {
		r.t.Errorf("%s is %q (%s, by %s), want %s", name, run.Outcome, run.Reason, run.Evidence, job.want)
	}
	var events struct{ Events []wire.Event }
	if _, err := r.call("GET", "/v1/events?run="+run.ID, nil, &events); err != nil {
		r.t.Fatal(err)
	}
	var end []wire.Event
	for _, e := range events.Events {
		if e.Outcome != "" {
			end = append(end, e)
		}
	}
	if len(end) != 1 || end[0].Evidence == "" {
		r.t.Fatalf("%s ended %d times: %+v", name, len(end), end)
	}
	said, at := r.flinkSays(clusterOf(run))
	flink := map[string]string{"finished": "FINISHED", "failed": "FAILED", "canceled": "CANCELED", "stopped": "FINISHED"}[job.want]
	if name == "crashes" {
		if len(said) != 0 {
			r.t.Errorf("%s: Flink says %v of a job whose JobManager was killed", name, said)
		}
	} else if len(said) != job.jobs {
		r.t.Errorf("%s: Flink says %v, want the ends of %d jobs", name, said, job.jobs)
	}
	for id, status := range said {
		if status != flink || run.JobID != "" && id != run.JobID {
			r.t.Errorf("%s: Flink says that job %s is %s, the platform that %q is %s", name, id, status, run.JobID, run.Outcome)
		}
	}
	if took := end[0].At.Sub(at); len(said) > 0 && !late && took > patience {
		r.t.Errorf("%s: its end was known after %s", name, took)
	} else if len(said) > 0 {
		r.t.Logf("%s: %s by %s, %s after Flink's log: %s", name, run.Outcome, run.Evidence, took.Round(time.Millisecond), end[0].Text)
	}
	l := r.lives()[clusterOf(run)]
	if l == nil {
		r.t.Errorf("%s has written nothing", name)
		return
	}
	if len(l.opened) != job.jobs {
		r.t.Errorf("%s ran %d times, want %d", name, len(l.opened), job.jobs)
	}
	times := map[int]int{}
	for _, n := range l.rows {
		times[n]++
	}
	for n, k := range times {
		if k != job.jobs {
			r.t.Errorf("%s wrote row %d %d times", name, n, k)
		}
	}
	if job.rows > 0 && len(times) != job.rows {
		r.t.Errorf("%s wrote %d rows, want %d", name, len(times), job.rows)
	}
}

// owned checks that every cluster that was ever started is a run's, and waits until no process is left of runs that have ended.
func (r *real) owned() {
	r.t.Helper()
	known := map[string]bool{}
	var all struct{ Jobs []wire.Job }
	if _, err := r.call("GET", "/v1/jobs", nil, &all); err != nil {
		r.t.Fatal(err)
	}
	var clusters struct{ Clusters []wire.Job }
	if _, err := r.call("GET", "/v1/clusters", nil, &clusters); err != nil {
		r.t.Fatal(err)
	}
	for _, j := range append(all.Jobs, clusters.Clusters...) {
		var runs struct{ Runs []wire.Run }
		if _, err := r.call("GET", "/v1/jobs/"+j.Name+"/runs", nil, &runs); err != nil {
			r.t.Fatal(err)
		}
		for _, run := range runs.Runs {
			known[run.ID] = true
		}
	}
	dirs, err := os.ReadDir(filepath.Join(r.dir, "data", "runs"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, d := range dirs {
		if !known[d.Name()] {
			r.t.Errorf("a cluster of the run %s, which the platform does not know", d.Name())
		}
	}
	for end := time.Now().Add(patience); len(r.children()) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Errorf("%d processes are left", len(r.children()))
			break
		}
	}
}

// jobManager is the process of a run's JobManager.
func (r *real) jobManager(run wire.Run) int {
	r.t.Helper()
	return r.pidOf("StandaloneApplicationClusterEntryPoint", run.JobID)
}

// pidOf is the process whose command line has these words.
func (r *real) pidOf(words ...string) int {
	r.t.Helper()
	for _, c := range r.children() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c))
		if err == nil && !slices.ContainsFunc(words, func(w string) bool { return !bytes.Contains(line, []byte(w)) }) {
			return c
		}
	}
	r.t.Fatalf("no process of %q was found", words)
	return 0
}

// TestRealJobs: each of six jobs on real Flink, one of them on a session cluster, ends right, once, with its evidence, within a minute after
// its end. The server is killed once while two of them run.
func TestRealJobs(t *testing.T) {
	platform := world.Build(t, "cmd/flink-platform")
	eachVersion(t, func(t *testing.T, r *real) {
		r.again = func() { r.serve(platform) }
		r.serve(platform)
		r.onShared = "stopped"
		r.startShared()
		var crashed time.Time
		for i := 0; i < len(realJobs); i += 2 { // two at a time: this machine is small
			two := realJobs[i : i+2]
			for _, j := range two {
				definition, start := r.definition(j), wire.Start{}
				if i == 0 { // one has a cluster of its own, the other is on the session cluster
					definition, start.Savepoint = definition+"savepoint: {path: 'file:/nowhere/savepoint'}\n", "none"
				}
				r.begin(j.name, definition, start)
			}
			for k, j := range two {
				run := r.running(j.name)
				if i == 0 && k == 0 {
					r.kill()
					r.again()
				}
				if mode := modes[j.name]; mode != "" {
					r.wrote(clusterOf(run), 5)
					r.stop(j.name, mode)
				}
				if j.name == "crashes" {
					r.wrote(clusterOf(run), 5)
					unix.Kill(r.jobManager(run), unix.SIGKILL)
					crashed = time.Now()
				}
			}
			for _, j := range two {
				run := r.ends(j.name)
				if j.name == "fails" && !strings.Contains(run.Reason, "by zero") {
					t.Errorf("the cause of the failure is %q", run.Reason)
				}
				r.judge(j, false)
				if took := run.Ended.Sub(crashed); j.name == "crashes" && took > patience {
					t.Errorf("the end was known %s after the kill", took)
				} else if j.name == "crashes" {
					t.Logf("crashes: %s by %s, %s after the kill: %s", run.Outcome, run.Evidence, took.Round(time.Millisecond), run.Reason)
				}
			}
		}
		// From the savepoint: the sequence goes on where it was, in a new run with a new job id, on the cluster that went on.
		before := r.ends("stopped")
		if r.until("shared", "running", func(run wire.Run) bool { return run.Queue == "running" }).ID != before.SessionOf {
			t.Errorf("the session cluster has a run other than the run of the job, %s", before.SessionOf)
		}
		rows := len(r.lives()[before.SessionOf].rows)
		if _, err := os.Stat(filepath.Join(strings.TrimPrefix(before.Savepoint, "file:"), "_metadata")); err != nil {
			t.Errorf("the savepoint %s: %v", before.Savepoint, err)
		}
		if code, err := r.call("POST", "/v1/jobs/stopped/start", wire.Start{Savepoint: "latest"}, nil); err != nil {
			t.Fatalf("start from the savepoint: %d %v", code, err)
		}
		after := r.untilWithin(5*time.Minute, "stopped", "running from its savepoint", func(run wire.Run) bool { return run.ID != before.ID && run.Queue == "running" })
		r.wrote(after.SessionOf, rows+5)
		written := r.lives()[after.SessionOf].rows
		if last, first := slices.Max(written[:rows]), written[rows]; first != last+1 || after.JobID == before.JobID {
			t.Errorf("the last row was %d, the first from the savepoint is %d; job ids %s and %s", last, first, before.JobID, after.JobID)
		}
		// The JobManager of the session cluster is killed: its job has failed with the cause, and the cluster is started again.
		unix.Kill(r.pidOf("StandaloneSessionClusterEntrypoint", after.SessionOf), unix.SIGKILL)
		lost := r.ends("stopped")
		if want := "the session cluster shared lost its JobManager (exit code 137), and without high availability its jobs with it"; lost.Outcome != "failed" || lost.Reason != want {
			t.Errorf("the job of a killed session cluster is %s: %s, want %s", lost.Outcome, lost.Reason, want)
		}
		r.untilWithin(3*time.Minute, "shared", "running again", func(run wire.Run) bool {
			return run.ID != after.SessionOf && run.Queue == "running" && run.Condition == ""
		})
		r.stopShared()
		r.owned()
	})
}

// TestRealJar: a jar that is stored as an artifact is a job of a session cluster. A main method that starts a second job gets an error of Flink,
// which the timeline has; its first job is the run's.
func TestRealJar(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		r.again()
		r.startShared()
		jar, err := os.ReadFile(makeJar(t, "NoteJob", r.home, r.dir))
		if err != nil {
			t.Fatal(err)
		}
		if code, err := r.call("PUT", "/v1/artifacts/job.jar", string(jar), nil); err != nil {
			t.Fatalf("put job.jar: %d %v", code, err)
		}
		definition := func(name string, jobs int) string {
			return fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: %s\nx-platform: {cluster: session shared}\nconfiguration: {restart-strategy.type: none}\njar: {uri: 'http://%s/v1/artifacts/job.jar', sha256: %x, entryClass: NoteJob, args: ['%s', '20', '%d']}\n",
				name, r.listen, sha256.Sum256(jar), r.truth, jobs)
		}
		job := realJob{"jar", "finished", 20, 1}
		r.begin(job.name, definition(job.name, 1), wire.Start{})
		r.untilWithin(5*time.Minute, job.name, "ended", func(run wire.Run) bool { return run.Outcome != "" })
		r.judge(job, false)
		r.begin("twice", definition("twice", 2), wire.Start{})
		if end := r.ends("twice"); end.Outcome != "finished" {
			t.Errorf("%s by %s: %s", end.Outcome, end.Evidence, end.Reason)
		} else { // its main method can end after it
			within(t, patience, "the timeline has the error of the second job", func() bool {
				return strings.Contains(r.textsOf(end.ID), "its main method failed after that: ") && strings.Contains(r.textsOf(end.ID), "Cannot have more than one execute() or executeAsync() call")
			})
		}
		r.stopShared()
		r.owned()
	})
}

// TestRealKilled kills the server at its places while it looks after real clusters: after its restart no run is lost, doubled, or in a state
// that its cluster contradicts, no cluster is without an owner, and no job ran twice.
func TestRealKilled(t *testing.T) {
	const kills = 12
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			rnd := seeded(t, 3)
			var places []string
			for round := 1; len(places) < kills && !t.Failed(); round++ {
				if round > kills {
					t.Fatalf("only %d kills in %d rounds", len(places), round-1)
				}
				t.Run(fmt.Sprint(round), func(t *testing.T) { places = append(places, killed(t, newReal(t, version), rnd)...) })
			}
			t.Logf("%d kills: %s", len(places), strings.Join(places, "; "))
		})
	}
}

// killed lets four jobs live, one of them on a session cluster, while the server is killed again and again, and returns where.
func killed(t *testing.T, r *real, rnd *rand.Rand) (places []string) {
	// How often, and how many places after its start at most: first until every job runs, then from there on.
	limit, far := 6, []int{10, 40, 200}
	r.again = func() {
		note := filepath.Join(r.dir, "killed")
		if b, err := os.ReadFile(note); err == nil {
			places = append(places, string(b))
			if err := os.Remove(note); err != nil {
				t.Fatal(err)
			}
		}
		at := 0
		if len(places) < limit {
			at = 1 + rnd.IntN(far[rnd.IntN(len(far))])
		}
		r.start(at)
	}
	r.again()
	names := []string{"finishes", "stopped", "fails", "canceled"}
	r.onShared = names[rnd.IntN(len(names))]
	t.Logf("%s is on the session cluster", r.onShared)
	r.startShared()
	for _, name := range names {
		r.begin(name, r.definition(jobOf(name)), wire.Start{})
	}
	for _, name := range names {
		r.running(name)
	}
	limit, far = len(places)+8, []int{4, 10, 20}
	r.kill()
	r.again()
	for _, name := range names {
		run := r.running(name)
		if mode := modes[name]; mode != "" {
			if run.Outcome == "" {
				r.wrote(clusterOf(run), 5)
			}
			r.stop(name, mode)
		}
	}
	for _, name := range names {
		r.ends(name)
	}
	for _, name := range names {
		r.judge(jobOf(name), true)
	}
	r.stopShared()
	r.owned()
	return places
}
