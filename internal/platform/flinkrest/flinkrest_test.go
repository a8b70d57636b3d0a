package flinkrest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/test/platform/recorded"
)

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func answer(kind, body string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// TestWhatIsNotAnAnswer: none of these says that a cluster has no jobs. Systems that took them for it lost jobs (StreamPark#3618,
// Dinky#1277).
func TestWhatIsNotAnAnswer(t *testing.T) {
	const json = "application/json; charset=UTF-8"
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"a web page":         {answer("text/html", "<html>Log in</html>", 200), "text/html, not JSON"},
		"a proxy's error":    {answer("text/html", "<html>Bad gateway</html>", 502), "502 a web page"},
		"an election":        {answer(json, `{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}`, 503), "503 Service temporarily unavailable"},
		"no list":            {answer(json, `{}`, 200), "no list of jobs"},
		"null":               {answer(json, `null`, 200), "no list of jobs"},
		"another service":    {answer(json, `{"jobs":[{"jid":"clicks","state":"ok"}]}`, 200), `a job with the id "clicks"`},
		"half an answer":     {answer(json, `{"jobs":[{"jid":"0000`, 200), "not what a JobManager says"},
		"a redirect":         {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "302"},
		"nothing":            {answer("", "", 200), "not JSON"},
		"another's 404":      {answer("text/plain", "404 page not found\n", 404), "404 404 page not found"},
		"a server's failure": {answer(json, `{"errors":["Internal server error.","<Exception on server side:\njava.lang.IllegalStateException: no\n\tat x\nEnd of exception on server side>"]}`, 500), "500 java.lang.IllegalStateException: no"},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, err := New(nil).Jobs(t.Context(), serve(t, c.serve))
			if err == nil || !strings.Contains(err.Error(), c.want) || jobs != nil {
				t.Errorf("jobs %v, error %v, want %q", jobs, err, c.want)
			}
		})
	}
	if _, err := New(nil).Jobs(t.Context(), "http://127.0.0.1:1"); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("a closed port: %v", err)
	}
}

func TestJobs(t *testing.T) {
	const body = `{"jobs":[{"jid":"0123456789abcdef0123456789abcdef","name":"clicks","start-time":1,"end-time":-1,"duration":5,"state":"RUNNING","last-modification":2,
		"tasks":{"running":3,"canceling":0,"canceled":0,"total":4,"created":0,"scheduled":1,"deploying":0,"reconciling":0,"finished":0,"initializing":0,"failed":0},"pending-operators":1}]}`
	jobs, err := New(nil).Jobs(t.Context(), serve(t, answer("application/json", body, 200)))
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	if s := jobs[0].Seen(); s.Status != jobstate.StRunning || s.Tasks.All() || s.Tasks.Scheduled != 1 || s.Tasks.Total != 4 {
		t.Errorf("%+v", s)
	}
	if jobs, err := New(nil).Jobs(t.Context(), serve(t, answer("application/json", `{"jobs":[]}`, 200))); err != nil || len(jobs) != 0 {
		t.Errorf("a cluster without jobs: %v, %v", jobs, err)
	}
}

// TestSlots reads what real Flink answers about a job that did not get its slots.
func TestSlots(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	recordedAs := func(version, state string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			for name, path := range recorded.Names {
				if r.URL.Path == strings.Replace(path, "ID", id, 1) {
					answer("application/json", string(recorded.Body(version, state, name, id)), 200)(w, r)
					return
				}
			}
			http.NotFound(w, r)
		})
	}
	for _, version := range recorded.Versions {
		tasks := jobstate.Tasks{Total: 6, Running: 4, Scheduled: 2}
		if version == "1.18.1" { // source and sink are one task
			tasks = jobstate.Tasks{Total: 3, Running: 2, Scheduled: 1}
		}
		for state, want := range map[string]struct {
			seen  jobstate.Seen
			slots jobstate.Slots
		}{
			recorded.Waiting:  {jobstate.Seen{ID: id, Status: jobstate.StRunning, Tasks: tasks}, jobstate.Slots{Needed: 3, Streaming: true, TaskManagers: 1, Total: 2}},
			recorded.Adaptive: {jobstate.Seen{ID: id, Status: jobstate.Created}, jobstate.Slots{Needed: 3, Streaming: version != "1.18.1"}}, // 1.18 does not say it yet
		} {
			base := recordedAs(version, state)
			jobs, err := New(nil).Jobs(t.Context(), base)
			if err != nil || len(jobs) != 1 || jobs[0].Seen() != want.seen || !want.seen.MayWait() {
				t.Errorf("%s %s: %+v %v, want %+v", version, state, jobs, err, want.seen)
			}
			if got, err := New(nil).Slots(t.Context(), base, id); err != nil || got != want.slots {
				t.Errorf("%s %s: %+v %v, want %+v", version, state, got, err, want.slots)
			}
		}
	}
	job := ""
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/overview" {
			answer("application/json", `{"flink-version":"2.2.1","taskmanagers":2,"slots-total":4,"slots-available":1}`, 200)(w, r)
			return
		}
		answer("application/json", job, 200)(w, r)
	})
	for text, want := range map[string]jobstate.Slots{
		// Two groups do not share slots.
		`{"job-type":"STREAMING","vertices":[{"slotSharingGroupId":"a","parallelism":2},{"slotSharingGroupId":"b","parallelism":3},{"slotSharingGroupId":"a","parallelism":4}]}`: {Needed: 7, Streaming: true, TaskManagers: 2, Total: 4, Free: 1},
		`{"plan":{"type":"BATCH"},"vertices":[{"parallelism":-1}]}`: {TaskManagers: 2, Total: 4, Free: 1},
	} {
		job = text
		if got, err := New(nil).Slots(t.Context(), base, id); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", text, got, err, want)
		}
	}
	job = `{}`
	if got, err := New(nil).Slots(t.Context(), base, id); err == nil {
		t.Errorf("another's answer: %+v", got)
	}
}

func TestAtMostTwoRequestsPerHost(t *testing.T) {
	var now, most atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond) // so that requests meet
		now.Add(-1)
		answer("application/json", `{"jobs":[]}`, 200)(w, r)
	})
	c := New(nil)
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := c.Jobs(t.Context(), url)
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > perHost {
		t.Errorf("%d requests at once, want at most %d", most.Load(), perHost)
	}
}

func TestCause(t *testing.T) {
	for stack, want := range map[string]string{
		"org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy\n\tat a\nCaused by: java.lang.ArithmeticException: / by zero\n\tat b\n\t... 3 more": "java.lang.ArithmeticException: / by zero",
		"java.lang.Error: alone\n\tat x": "java.lang.Error: alone",
		"":                               "",
	} {
		if got := Cause(stack); got != want {
			t.Errorf("cause %q, want %q", got, want)
		}
	}
}

func TestSavepoints(t *testing.T) {
	c := Checkpoints{History: []Checkpoint{
		{IsSavepoint: false, Status: "COMPLETED", Path: "file:/s/r1/chk-4"}, {IsSavepoint: true, Status: "FAILED", Path: "file:/s/r1/savepoint-x"},
		{IsSavepoint: true, Status: "COMPLETED", Path: "file:/s/r12/savepoint-b"}, {IsSavepoint: true, Status: "COMPLETED", Path: "file:/s/r1/savepoint-a"},
	}}
	if got := c.SavepointIn("file:///s/r1"); got != "file:/s/r1/savepoint-a" {
		t.Errorf("savepoint %q", got)
	}
	if got := c.SavepointIn("/s/r2"); got != "" {
		t.Errorf("another run's savepoint %q", got)
	}
	for body, want := range map[string]jobstate.SavepointState{
		`{"status":{"id":"IN_PROGRESS"},"operation":null}`:                                                                                jobstate.SavepointAsked,
		`{"status":{"id":"COMPLETED"},"operation":{"location":"file:/s/r1/savepoint-a"}}`:                                                 jobstate.SavepointCompleted,
		`{"status":{"id":"COMPLETED"},"operation":{"failure-cause":{"class":"x","stack-trace":"x: y\nCaused by: z: not all tasks run"}}}`: jobstate.SavepointFailed,
	} {
		got, err := New(nil).Savepoint(t.Context(), serve(t, answer("application/json", body, 200)), "j", "t")
		if err != nil || got.State != want || want == jobstate.SavepointFailed && got.Cause != "z: not all tasks run" {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestStop(t *testing.T) {
	var got map[string]any
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+r.URL.Path != "POST/jobs/j/stop" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		answer("application/json", `{"request-id":"t"}`, 202)(w, r)
	})
	if err := New(nil).Stop(t.Context(), url, "j", "t", "file:/s/r1", true); err != nil {
		t.Fatal(err)
	}
	if got["triggerId"] != "t" || got["drain"] != true || got["targetDirectory"] != "file:/s/r1" {
		t.Errorf("%v", got)
	}
}
