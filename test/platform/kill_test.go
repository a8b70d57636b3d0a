//go:build platform

// Package platform tests flink-platform as a whole: killed anywhere, with simulated clusters; and on real Flink. The truth is what the jobs
// themselves wrote, never the platform's own tables.
package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster/process"
	"flink-entrypoint/internal/platform/server"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/crash/trace"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// TestMain lets this program be the server that is killed, and its shims.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "shim" {
		if err := process.Shim(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
	}
	if len(os.Args) > 3 && os.Args[1] == "forward" {
		fmt.Fprintln(os.Stderr, forward(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve is the server. It kills itself at the place whose number is in KILL_AT, or whose name begins with KILL_PLACE, and notes the place.
func serve() {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	at, _ := strconv.Atoi(os.Getenv("KILL_AT"))
	named := os.Getenv("KILL_PLACE")
	var mu sync.Mutex
	n := 0
	point := func(place string) {
		mu.Lock()
		defer mu.Unlock()
		if os.Getenv("TRACED") != "" {
			tellTracer(place)
		}
		if n++; n == at || named != "" && strings.HasPrefix(place, named) {
			os.WriteFile(os.Getenv("KILLED_AT"), []byte(place), 0o600)
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	home := os.Getenv("FLINK_HOME")
	s, err := server.Start(context.Background(), server.Options{DataDir: os.Getenv("DATA"), Listen: os.Getenv("LISTEN"), Entrypoint: os.Getenv("ENTRYPOINT"), Home: home,
		Self: []string{self, "shim"}, Env: os.Environ(), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Point: point})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-s.Failed()
	os.Exit(1)
}

// A site is one store with its simulated clusters.
type site struct {
	t      *testing.T
	dir    string
	listen string
	// The program that starts Flink, and the Flink home: here that of fakeflink, which answers for both.
	entrypoint, home string
	cmd              *exec.Cmd
	ended            chan struct{}
	traced           func(trace.Call) bool // if not nil, the server is killed at the first of its system calls for which this is true
	again            func()                // starts the server again after it was killed
	place            string                // where the next server kills itself, too; empty: only by number
	log              bytes.Buffer
	mu               sync.Mutex
}

func newSite(t *testing.T, fake string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), listen: served.FreeAddress(t)}
	s.home = filepath.Join(s.dir, "home")
	s.entrypoint = filepath.Join(s.home, "fakeflink")
	s.again = func() { s.start(0) }
	if err := os.Mkdir(filepath.Join(s.dir, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(fake, filepath.Join(s.dir, "home", "fakeflink")); err != nil {
		b, err := os.ReadFile(fake)
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, "home", "fakeflink"), b, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.endAll)
	return s
}

func (s *site) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

// start starts the server, which kills itself at a place; 0: nowhere.
func (s *site) start(killAt int) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(self, "serve")
	s.cmd.Env = []string{"PATH=/usr/bin:/bin", "FLINK_HOME=" + s.home, "ENTRYPOINT=" + s.entrypoint, "DATA=" + filepath.Join(s.dir, "data"), "LISTEN=" + s.listen,
		"KILL_AT=" + strconv.Itoa(killAt), "KILL_PLACE=" + s.place, "KILLED_AT=" + filepath.Join(s.dir, "killed")}
	s.place = ""
	s.cmd.Stderr = s
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.ended = make(chan struct{})
	if s.traced != nil {
		s.startTraced()
		return
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(s.cmd, s.ended)
}

func (s *site) kill() {
	s.cmd.Process.Kill()
	<-s.ended
}

// endAll ends whatever the test has started. Shims end with their processes, and write that down first: only then can the directory be removed.
func (s *site) endAll() {
	if s.cmd != nil {
		s.kill()
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		shims, processes := s.shims(), s.processes()
		if len(shims) == 0 && len(processes) == 0 {
			return
		}
		for _, pid := range processes {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	s.t.Errorf("processes %v and shims %v are left", s.processes(), s.shims())
}

// shims are the shims of this site that run.
func (s *site) shims() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if words := strings.Split(string(line), "\x00"); err == nil && len(words) > 2 && words[1] == "shim" && strings.HasPrefix(words[2], s.dir+"/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// processes are the simulated Flink processes of this site that run.
func (s *site) processes() []int {
	var pids []int
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		if to, err := os.Readlink(exe); err == nil && strings.TrimSuffix(to, " (deleted)") == filepath.Join(s.dir, "home", "fakeflink") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// call asks the server until it answers; a killed one is started again (without another kill).
func (s *site) call(method, path string, body any, out any) (int, error) {
	for end := time.Now().Add(2 * time.Minute); ; {
		var r io.Reader
		if text, ok := body.(string); ok {
			r = strings.NewReader(text)
		} else if body != nil {
			b, err := json.Marshal(body)
			if err != nil {
				return 0, err
			}
			r = bytes.NewReader(b)
		}
		req, err := http.NewRequest(method, "http://"+s.listen+path, r)
		if err != nil {
			return 0, err
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err == nil {
				if out != nil && resp.StatusCode < 300 {
					err = json.Unmarshal(b, out)
				}
				if resp.StatusCode >= 400 {
					err = errors.New(string(b))
				}
				return resp.StatusCode, err
			}
		}
		select {
		case <-s.ended:
			s.again()
		default:
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("the server does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// jobs of the scenario: what each does, and what becomes of it.
// Those that begin with session- are on the session cluster shared.
var jobs = map[string]string{"finishes": "finished", "fails": "failed", "canceled": "canceled", "stopped": "stopped", "refused": "failed", "crashes": "failed",
	"tells": "finished", "restarts": "finished", "session-finishes": "finished", "session-canceled": "canceled", "shared": "canceled"}

// restarting is what the job that restarts has more.
const restarting = "configuration: {execution.runtime-mode: batch}\nx-platform: {restart: {attempts: 1, backoff: 1 s}}\n"

const script = "sql:\n  script: |\n    CREATE TABLE s (id INT) WITH ('connector' = 'datagen');\n    CREATE TABLE p (id INT) WITH ('connector' = 'print');\n    INSERT INTO p SELECT id FROM s;\n"

// live makes every job go its way, whenever the server is killed.
func (s *site) live() {
	s.t.Helper()
	for _, name := range append([]string{"shared"}, slices.Sorted(mapKeys(jobs))...) {
		path, text := "/v1/jobs/"+name, "apiVersion: flink-entrypoint/v1\nname: "+name+"\n"
		switch {
		case name == "shared":
			path = "/v1/clusters/" + name
		case strings.HasPrefix(name, "session-"):
			text += "x-platform: {cluster: session shared}\n" + script
		case name == "restarts":
			text += restarting + script
		default:
			text += script
		}
		if code, err := s.call("PUT", path, text, nil); err != nil {
			s.t.Fatalf("put %s: %d %v\n%s", name, code, err, s.log.String())
		}
		// 409: the answer of an earlier try was lost.
		if code, err := s.call("POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil); err != nil && code != http.StatusConflict {
			s.t.Fatalf("start %s: %d %v", name, code, err)
		}
	}
	s.loseTaskManager()
	for name, mode := range map[string]string{"canceled": "cancel", "stopped": "savepoint", "session-canceled": "cancel"} {
		s.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" || r.Outcome != "" })
		if code, err := s.call("POST", "/v1/jobs/"+name+"/stop", wire.Stop{Mode: mode}, nil); err != nil && code != http.StatusConflict {
			s.t.Fatalf("stop %s: %d %v", name, code, err)
		}
	}
	for name := range jobs {
		if name != "shared" {
			s.until(name, "ended", func(r wire.Run) bool { return r.Outcome != "" && (name != "restarts" || r.Restart > 0) })
		}
	}
	if code, err := s.call("POST", "/v1/jobs/shared/stop", wire.Stop{Mode: "cancel"}, nil); err != nil && code != http.StatusConflict {
		s.t.Fatalf("stop shared: %d %v", code, err)
	}
	s.until("shared", "ended", func(r wire.Run) bool { return r.Outcome != "" })
}

// loseTaskManager kills the TaskManager of the session cluster and waits until another one is in its place, whenever the server is killed.
func (s *site) loseTaskManager() {
	s.t.Helper()
	run := s.until("shared", "running", func(r wire.Run) bool { return r.Queue == "running" || r.Outcome != "" })
	first := s.taskManager(run.ID, "taskmanager-1")
	syscall.Kill(first, syscall.SIGKILL)
	s.taskManager(run.ID, "taskmanager-1.2")
}

// taskManager waits for a TaskManager of a run, by the name of its directory, and returns its process.
func (s *site) taskManager(run, name string) int {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := s.call("GET", "/readyz", nil, nil); err != nil { // a killed server is started again
			s.t.Fatal(err)
		}
		for _, pid := range s.processes() {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && bytes.Contains(line, []byte(filepath.Join(run, name, "run"))) {
				return pid
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("run %s has no process %s\n%s", run, name, s.log.String())
	return 0
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// patience is for what takes a second on a quiet machine.
const patience = 3 * time.Minute

func (s *site) until(name, what string, ok func(wire.Run) bool) wire.Run {
	s.t.Helper()
	return s.untilWithin(patience, name, what, ok)
}

func (s *site) untilWithin(limit time.Duration, name, what string, ok func(wire.Run) bool) wire.Run {
	s.t.Helper()
	var j wire.Job
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		j = wire.Job{} // fields that are not in the answer are empty
		if _, err := s.call("GET", "/v1/jobs/"+name, nil, &j); err == nil && j.Run != nil && ok(*j.Run) {
			return *j.Run
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("%s is not %s: %+v\n%s", name, what, j.Run, s.log.String())
	return wire.Run{}
}

// judge compares what the platform says with what the jobs wrote.
func (s *site) judge() {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "home", "oracle"))
	if err != nil {
		s.t.Fatal(err)
	}
	starts, ends := map[string]int{}, map[string]string{}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		switch w[3] {
		case "start":
			starts[w[0]]++
		case "end":
			ends[w[0]] = w[4]
		}
	}
	total, known := 0, map[string]bool{}
	for name, want := range jobs {
		var runs struct{ Runs []wire.Run }
		if _, err := s.call("GET", "/v1/jobs/"+name+"/runs", nil, &runs); err != nil {
			s.t.Fatal(err)
		}
		asked := 1
		if name == "restarts" {
			asked = 2
		}
		if len(runs.Runs) != asked {
			s.t.Errorf("%s has %d runs, want %d", name, len(runs.Runs), asked)
			continue
		}
		if first := runs.Runs[asked-1]; asked == 2 && (first.Outcome != "failed" || starts[first.ID] != 1) {
			s.t.Errorf("the first run of %s is %s (%s, by %s), and ran %d times", name, first.Outcome, first.Reason, first.Evidence, starts[first.ID])
		}
		for _, run := range runs.Runs {
			known[run.ID] = true
		}
		r := runs.Runs[0]
		total++
		id := r.ID
		if r.Session != "" {
			id = r.JobID // several are in the process of one run
		}
		known[id] = true
		if n := starts[id]; n != 1 && !(name == "refused" && n == 0) && !(r.Outcome == "failed" && n == 0) {
			s.t.Errorf("%s ran %d times", name, n)
		}
		if r.Outcome != want {
			s.t.Errorf("%s is %s (%s, by %s), want %s; it wrote %q", name, r.Outcome, r.Reason, r.Evidence, want, ends[id])
		}
	}
	for id := range starts {
		if !known[id] {
			s.t.Errorf("a cluster or job ran for the run %s, which the platform does not know", id)
		}
	}
	if places, err := filepath.Glob(filepath.Join(s.dir, "data", "runs", "*", "taskmanager-*.*")); err != nil || len(places) != 1 || filepath.Base(places[0]) != "taskmanager-1.2" {
		s.t.Errorf("%v in the places of TaskManagers, %v; one was killed", places, err)
	}
	for end := time.Now().Add(patience); len(s.processes()) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Errorf("%d processes are left of clusters whose runs have ended", len(s.processes()))
			break
		}
	}
}

// number is the value of an environment variable, or what is taken without it.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s is not a number", variable, text)
	}
	return n
}

// seeded is what a test chooses by: the same for the same FLINK_SEED. Each test has a stream of its own.
func seeded(t *testing.T, stream uint64) *rand.Rand {
	t.Helper()
	seed := number(t, "FLINK_SEED", 1)
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(uint64(seed), stream))
}

// places are those at which servers killed themselves, and how often.
type places struct {
	mu  sync.Mutex
	all map[string]int
}

// note adds the place of a site's server, if it was reached.
func (p *places) note(s *site) {
	b, err := os.ReadFile(filepath.Join(s.dir, "killed"))
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]int{}
	}
	p.all[string(b)]++
}

// report says which they are, and fails where they are too few.
func (p *places) report(t *testing.T, kills, least int) {
	t.Helper()
	t.Logf("%d kills at %d distinct places", kills, len(p.all))
	for place, n := range p.all {
		t.Logf("%3d %s", n, place)
	}
	if len(p.all) < least {
		t.Errorf("only %d places were reached, want %d", len(p.all), least)
	}
}

// TestKilled kills the server at one of its places, starts it again, and compares the ends of its jobs with what they wrote. KILLS says how
// often; the places are chosen by FLINK_SEED.
func TestKilled(t *testing.T) {
	kills, rnd := number(t, "KILLS", 12), seeded(t, 1)
	fake := world.Build(t, "test/platform/fakeflink")
	var reached places
	t.Run("places", func(t *testing.T) {
		for i := range kills {
			at := 1 + rnd.IntN(260)
			t.Run(fmt.Sprint(i, "-at-", at), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, fake)
				s.start(at)
				s.live()
				select {
				case <-s.ended:
					s.start(0)
				default:
				}
				reached.note(s)
				s.judge()
			})
		}
	})
	t.Run("submit", func(t *testing.T) { // few places, each in a request that must not be repeated blindly
		for _, place := range []string{"job looked for", "jar uploaded", "jar run"} {
			t.Run(strings.ReplaceAll(place, " ", "-"), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, fake)
				s.place = place
				s.start(0)
				s.live()
				if b, err := os.ReadFile(filepath.Join(s.dir, "killed")); err != nil || !strings.HasPrefix(string(b), place) {
					t.Errorf("killed at %q, %v", b, err)
				}
				s.judge()
			})
		}
	})
	reached.report(t, kills, min(kills/4, 20))
}
