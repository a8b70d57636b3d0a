package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/cluster"
)

// TestMain lets this program be the shim, and the entrypoint that it starts.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "shim":
		if err := Shim(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) > 1 && os.Args[1] == "--run-dir":
		entrypoint()
	}
	os.Exit(m.Run())
}

// entrypoint writes its words, then does what the file "do" beside the run's directory says.
func entrypoint() {
	fmt.Println("words:", strings.Join(os.Args[1:], " "))
	fmt.Println("home:", os.Getenv("FLINK_HOME"), "secret:", os.Getenv("SECRET"))
	do, _ := os.ReadFile("../../do")
	i := slices.Index(os.Args, "--termination-log")
	switch strings.TrimSpace(string(do)) {
	case "refuse":
		os.WriteFile(os.Args[i+1], []byte("definition invalid: no name\n"), 0o600)
		os.Exit(22)
	case "finish":
		os.Exit(0)
	case "script":
		fmt.Println("error: statement 1, line 1: old\nsome text\nerror: statement 4, line 4: Querying an unbounded table\n\tat x")
		os.Exit(2)
	case "ignore":
		signal.Ignore(unix.SIGTERM)
	}
	time.Sleep(time.Hour)
}

func driver(t *testing.T, do string) *Driver {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &Driver{Dir: filepath.Join(t.TempDir(), "runs"), Instance: "i1", Entrypoint: self, Home: "/opt/flink", Self: []string{self, "shim"}, Env: []string{"PATH=/bin", "SECRET=1"}}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "do"), []byte(do), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing outlives a failed test
		runs, _ := d.Runs(context.Background())
		for _, r := range runs {
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				status, err := d.Observe(context.Background(), r)
				if err == nil && status.Gone() {
					break
				}
				for _, p := range status.Processes {
					var s state
					if p.Alive && readJSON(filepath.Join(d.run(r), p.Name, stateFile), &s) == nil && s.Process.PID != 0 {
						s.Process.signal(unix.SIGKILL)
					}
				}
			}
		}
	})
	return d
}

func spec(run string) cluster.Spec {
	return cluster.Spec{Run: run, Definition: "http://127.0.0.1/v", Token: func(context.Context) (string, error) { return "secret-token", nil }, JobID: "aa", JobManagers: 1, TaskManagers: 1, Events: "http://127.0.0.1/e"}
}

// until observes until f agrees.
func until(t *testing.T, d *Driver, run string, f func(cluster.Status) bool) cluster.Status {
	t.Helper()
	var s cluster.Status
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if s, err = d.Observe(t.Context(), run); err == nil && f(s) {
			return s
		}
	}
	t.Fatalf("it never came so far: %+v, %v", s, err)
	return s
}

func up(s cluster.Status) bool {
	for _, p := range s.Processes {
		if !p.Alive || p.Attempt == "" {
			return false
		}
	}
	return true
}

func log(t *testing.T, d *Driver, run, name string) string {
	t.Helper()
	f, err := d.Logs(t.Context(), run, name, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStartObserveDelete(t *testing.T) {
	d, ctx := driver(t, "run"), t.Context()
	if _, err := d.Observe(ctx, "r1"); !errors.Is(err, cluster.ErrUnknown) {
		t.Errorf("a run that was never started: %v", err)
	}
	for range 2 { // twice is once
		if err := d.Start(ctx, spec("r1")); err != nil {
			t.Fatal(err)
		}
	}
	s := until(t, d, "r1", up)
	if len(s.REST) != 1 || len(s.Processes) != 2 || s.Gone() || !s.Processes[0].JobManager {
		t.Errorf("%+v", s)
	}
	if err := d.Start(ctx, spec("r1")); err != nil {
		t.Fatal(err)
	}
	again := until(t, d, "r1", up)
	if again.Processes[0].Attempt != s.Processes[0].Attempt || again.REST[0] != s.REST[0] {
		t.Errorf("a start that was repeated made another process: %+v, %+v", s, again)
	}
	// A new platform with the same directory finds the survivors.
	d2 := *driverAgain(d)
	adopted, err := d2.Observe(ctx, "r1")
	if err != nil || adopted.Processes[0].Attempt != s.Processes[0].Attempt || !adopted.Processes[0].Alive {
		t.Errorf("%+v, %v", adopted, err)
	}
	var text string
	for end := time.Now().Add(time.Minute); strings.Count(text, "\n") < 2 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text = log(t, d, "r1", "jobmanager-1")
	}
	for _, want := range []string{"standalone-job --job-id aa", "--run r1 --events-url http://127.0.0.1/e", "home: /opt/flink secret: \n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret-token") {
		t.Error("the token is in the arguments")
	}
	if info, err := os.Stat(filepath.Join(d.run("r1"), tokenFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		gone, err := d.Delete(ctx, "r1")
		if err != nil {
			t.Fatal(err)
		}
		if gone {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not end")
		}
	}
	s, err = d.Observe(ctx, "r1")
	if err != nil || !s.Gone() || s.Processes[0].Code != 143 {
		t.Errorf("after the delete: %+v, %v", s, err)
	}
	if err := d.Start(ctx, spec("r1")); err == nil || !errors.As(err, new(*cluster.Refusal)) {
		t.Errorf("a start after the delete: %v", err)
	}
	if log(t, d, "r1", "jobmanager-1") != text {
		t.Error("the log is gone")
	}
	for range 2 { // twice is once
		if err := d.Remove(ctx, "r1"); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(d.run("r1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is there: %v", err)
	}
	if runs, err := d.Runs(ctx); err != nil || len(runs) != 0 {
		t.Error(runs, err)
	}
}

func driverAgain(d *Driver) *Driver {
	return &Driver{Dir: d.Dir, Instance: d.Instance, Entrypoint: d.Entrypoint, Home: d.Home, Self: d.Self, Env: d.Env}
}

func TestHowProcessesEnd(t *testing.T) {
	for do, want := range map[string]cluster.Process{
		"refuse": {Code: 22, Message: "definition invalid: no name"},
		"finish": {Code: 0},
		"script": {Code: 2, Message: "statement 4, line 4: Querying an unbounded table"},
	} {
		t.Run(do, func(t *testing.T) {
			d := driver(t, do)
			if err := d.Start(t.Context(), spec("r1")); err != nil {
				t.Fatal(err)
			}
			s := until(t, d, "r1", cluster.Status.Gone)
			if p := s.Processes[0]; p.Code != want.Code || p.Message != want.Message || p.Ended.IsZero() || p.Attempt == "" {
				t.Errorf("%+v", p)
			}
			if err := d.Start(t.Context(), spec("r1")); err != nil {
				t.Fatal(err)
			}
			if again := until(t, d, "r1", cluster.Status.Gone); again.Processes[0].Attempt != s.Processes[0].Attempt {
				t.Error("a process that has ended was started again")
			}
		})
	}
}

// TestEndOfAnAdoptedJobManager: a server that did not start a JobManager hears of its end too.
func TestEndOfAnAdoptedJobManager(t *testing.T) {
	first := driver(t, "ignore")
	if err := first.Start(t.Context(), spec("r1")); err != nil {
		t.Fatal(err)
	}
	until(t, first, "r1", up)
	d, ended := driverAgain(first), make(chan string, 10)
	d.Ended = func(run string) { ended <- run }
	for range 3 { // it is waited for once
		if s, err := d.Observe(t.Context(), "r1"); err != nil || !up(s) {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	var s state
	if err := readJSON(filepath.Join(d.run("r1"), "jobmanager-1", stateFile), &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Process.signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case run := <-ended:
		if now, err := d.Observe(t.Context(), "r1"); run != "r1" || err != nil || now.Processes[0].Alive {
			t.Errorf("the end of %s: %+v, %v", run, now, err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the end of the JobManager was not noticed")
	}
	if _, err := d.Delete(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	if len(ended) > 0 {
		t.Errorf("its end was reported %d times", 1+len(ended))
	}
}

// TestKilled: whoever is killed, the process ends with its shim, is not started again, and its end is known.
func TestKilled(t *testing.T) {
	for _, victim := range []string{"process", "shim"} {
		t.Run(victim, func(t *testing.T) {
			d := driver(t, "ignore")
			ended := make(chan string, 10)
			d.Ended = func(run string) { ended <- run }
			if err := d.Start(t.Context(), spec("r1")); err != nil {
				t.Fatal(err)
			}
			before := until(t, d, "r1", up)
			var s state
			if err := readJSON(filepath.Join(d.run("r1"), "jobmanager-1", stateFile), &s); err != nil {
				t.Fatal(err)
			}
			who, code := s.Process, 137
			if victim == "shim" {
				who, code = s.Shim, cluster.Unknown
			}
			if err := who.signal(unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			after := until(t, d, "r1", func(s cluster.Status) bool { return !s.Processes[0].Alive })
			if p := after.Processes[0]; p.Code != code || p.Attempt != before.Processes[0].Attempt {
				t.Errorf("%+v", p)
			}
			if s.Process.alive() {
				t.Error("the process outlives its shim")
			}
			select {
			case run := <-ended:
				if run != "r1" {
					t.Errorf("the end of %s was reported", run)
				}
			case <-time.After(time.Minute):
				t.Error("the end of the JobManager was not reported")
			}
			if !after.Processes[1].Alive {
				t.Error("the TaskManager ended too")
			}
			if err := d.Start(t.Context(), spec("r1")); err != nil {
				t.Fatal(err)
			}
			if now, err := d.Observe(t.Context(), "r1"); err != nil || now.Processes[0].Alive {
				t.Errorf("it was started again: %+v, %v", now, err)
			}
		})
	}
}

// TestShimKilledBeforeItsProcess: state.json without a process is an attempt that never ran; it is not tried again.
func TestShimKilledBeforeItsProcess(t *testing.T) {
	d := driver(t, "run")
	dir := filepath.Join(d.run("r1"), "jobmanager-1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(filepath.Join(dir, stateFile), state{Shim: identity{Boot: "an older boot", PID: 1}, Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), spec("r1")); err != nil {
		t.Fatal(err)
	}
	s := until(t, d, "r1", func(s cluster.Status) bool { return s.Processes[1].Alive })
	if p := s.Processes[0]; p.Alive || p.Code != cluster.Unknown || p.Message != "the machine restarted" {
		t.Errorf("%+v", p)
	}
}

func TestAnotherPlatformsRun(t *testing.T) {
	d := driver(t, "run")
	other := driverAgain(d)
	other.Instance = "i2"
	if err := d.Start(t.Context(), spec("r1")); err != nil {
		t.Fatal(err)
	}
	until(t, d, "r1", up)
	if err := other.Start(t.Context(), spec("r1")); err == nil || !errors.As(err, new(*cluster.Refusal)) {
		t.Errorf("another platform's run was started: %v", err)
	}
	if runs, err := other.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("another platform's run is listed: %v, %v", runs, err)
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	line := strings.Repeat("x", 1<<20) + "\n"
	r, w := io.Pipe()
	go func() {
		for range 200 {
			io.WriteString(w, line)
		}
		io.WriteString(w, "last\n")
		w.Close()
	}()
	if err := keepLog(path, r); err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum > 2*(maxLog+64<<10) {
		t.Errorf("%d bytes are kept", sum)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(b), "last\n") {
		t.Errorf("the end is missing: %v", err)
	}
}

// TestCauseOfTheEnd: where neither the entrypoint nor our runner says why, Flink's log does.
func TestCauseOfTheEnd(t *testing.T) {
	const application = `2026-11-26 21:06:01,600 WARN  a.b.C [] - not this
java.lang.Exception: other
Caused by: java.lang.Exception: not this
2026-11-26 21:06:01,691 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint        [] - Fatal error occurred in the cluster entrypoint.
java.util.concurrent.CompletionException: Could not execute application.
	at x
Caused by: org.apache.flink.X: Could not execute application.
	... 14 more
Caused by: java.lang.reflect.InaccessibleObjectException: module java.base does not open it
	at y
2026-11-26 21:06:01,700 INFO  a.b.C [] - Closing
Caused by: java.lang.Exception: nor this
`
	for log, want := range map[string]string{
		application:                          "java.lang.reflect.InaccessibleObjectException: module java.base does not open it",
		application + "error: statement 1\n": "statement 1",
		"2026-11-26 21:06:01,700 INFO  a.b.C [] - Closing\nCaused by: java.lang.Exception: no\n\n": "",
		"": "",
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastError(path); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestPortsOfClusters: no two clusters get one port, before either has bound it, and none is of those that the kernel gives away by itself.
func TestPortsOfClusters(t *testing.T) {
	low := 0
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(b), &low)
	}
	d := &Driver{}
	seen := map[int]bool{}
	for range 300 {
		p, err := d.freePorts(2)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range append(p.REST, p.RPC, p.Blob) {
			if seen[port] || low >= 11_000 && port >= low {
				t.Errorf("port %d, given before: %v; the kernel's begin at %d", port, seen[port], low)
			}
			seen[port] = true
		}
	}
}

// TestSessionCommand: up to Flink 1.20 the first two words after the role jobmanager are a host and a port, so the settings of a session
// cluster's JobManager are not words.
func TestSessionCommand(t *testing.T) {
	d := &Driver{Dir: t.TempDir()}
	s := cluster.Spec{Run: "r1", Session: true, Arguments: []string{"-Da.b=c=d"}}
	c := d.command(s, ports{RPC: 1, Blob: 2, REST: []int{3}}, "jobmanager-1", t.TempDir())
	if last := c.Args[len(c.Args)-1]; last != "jobmanager" {
		t.Errorf("the last word is %q", last)
	}
	i := slices.IndexFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, "FLINK_PROPERTIES=") })
	if i < 0 || !strings.Contains(c.Env[i], "rest.port: 3\n") || !strings.Contains(c.Env[i], "a.b: c=d\n") {
		t.Errorf("%q", c.Env)
	}
	if tm := d.command(s, ports{RPC: 1, Blob: 2, REST: []int{3}}, "taskmanager-1", t.TempDir()); !slices.Contains(tm.Args, "-Da.b=c=d") {
		t.Errorf("%q", tm.Args)
	}
}

// TestSavepointCommand: what a run starts from reaches the JobManager; "none" is an empty path, which the entrypoint takes for that.
func TestSavepointCommand(t *testing.T) {
	d := &Driver{Dir: t.TempDir()}
	for _, tt := range []struct {
		savepoint string
		none      bool
		want      []string // the words after the job's id
	}{
		{"", false, []string{"-Djobmanager.rpc.address=127.0.0.1"}},
		{"file:/s", false, []string{"--fromSavepoint", "file:/s"}},
		{"", true, []string{"--fromSavepoint", ""}},
	} {
		s := spec("r1")
		s.Savepoint, s.NoSavepoint = tt.savepoint, tt.none
		args := d.command(s, ports{RPC: 1, Blob: 2, REST: []int{3}}, "jobmanager-1", t.TempDir()).Args
		if i := slices.Index(args, "--job-id"); !slices.Equal(args[i+2:i+2+len(tt.want)], tt.want) {
			t.Errorf("%q, want %q", args, tt.want)
		}
		if args := d.command(s, ports{RPC: 1, Blob: 2, REST: []int{3}}, "taskmanager-1", t.TempDir()).Args; slices.Contains(args, "--fromSavepoint") {
			t.Errorf("a TaskManager gets %q", args)
		}
	}
}

// TestReplace: a process in the place of one that ended, once, also by another server; its log and the log of the one before it are kept.
func TestReplace(t *testing.T) {
	d := driver(t, "run")
	ended := make(chan string, 10)
	d.Ended = func(run string) { ended <- run }
	if err := d.Start(t.Context(), spec("r1")); err != nil {
		t.Fatal(err)
	}
	first := until(t, d, "r1", up).Processes[1]
	if err := d.Replace(t.Context(), "r1", "taskmanager-1"); err == nil || err.Error() != "taskmanager-1 has not ended" {
		t.Errorf("one that is alive was replaced: %v", err)
	}
	for _, wrong := range []string{"taskmanager-2", "taskmanager-1.3", "taskmanager-1.x", "../r1", ""} {
		if err := d.Replace(t.Context(), "r1", wrong); err == nil {
			t.Errorf("%q was replaced", wrong)
		}
	}
	seen := map[string]bool{first.Attempt: true}
	name := func(n int) string { return nameOf("taskmanager-1", n) }
	for n := 1; n <= 4; n++ {
		var s state
		if err := readJSON(filepath.Join(d.run("r1"), name(n), stateFile), &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Process.signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatal("the end of the TaskManager was not reported")
		}
		until(t, d, "r1", func(s cluster.Status) bool { return !s.Processes[len(s.Processes)-1].Alive })
		// Another server, which does not know whether it was done, does it again.
		for _, by := range []*Driver{d, driverAgain(d), d} {
			if err := by.Replace(t.Context(), "r1", name(n)); err != nil {
				t.Fatal(err)
			}
		}
		now := until(t, driverAgain(d), "r1", func(s cluster.Status) bool {
			return s.Processes[len(s.Processes)-1].Alive && s.Processes[len(s.Processes)-1].Attempt != ""
		})
		until(t, d, "r1", func(cluster.Status) bool { return true }) // it waits for the end of the new one
		newest := now.Processes[len(now.Processes)-1]
		if newest.Name != name(n+1) || newest.Place != "taskmanager-1" || newest.Replaced || seen[newest.Attempt] {
			t.Errorf("%+v", newest)
		}
		seen[newest.Attempt] = true
		for _, p := range now.Processes[1 : len(now.Processes)-1] {
			if !p.Replaced || p.Alive || p.Code != 137 || p.Place != "taskmanager-1" {
				t.Errorf("%+v", p)
			}
		}
		if len(now.Processes) != 1+min(n+1, 1+kept) {
			t.Errorf("%d processes are kept: %+v", len(now.Processes), now.Processes)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // it lives before it writes
		text := log(t, d, "r1", name(5))
		if strings.Contains(text, "-Dtaskmanager.resource-id=r1-taskmanager-1.5 ") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("its log: %s", text)
		}
	}
	if _, err := d.Delete(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	gone := until(t, d, "r1", cluster.Status.Gone)
	if last := gone.Processes[len(gone.Processes)-1]; last.Name != name(5) || last.Code != 143 {
		t.Errorf("after the delete: %+v", last)
	}
	if err := d.Replace(t.Context(), "r1", name(5)); err == nil || !errors.As(err, new(*cluster.Refusal)) {
		t.Errorf("a replacement after the delete: %v", err)
	}
	if err := d.Remove(t.Context(), "r1"); err != nil {
		t.Error(err)
	}
}
