//go:build platform

package platform

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/wire"
)

// A line is what is between the platform and a JobManager's REST API: it passes requests on, or answers in another way.
type line struct {
	*httptest.Server
	mu    sync.Mutex
	way   string // empty: it passes on
	asked int    // in this way
}

// lineTo puts a line before the JobManager of a run: the driver finds it where it has written the port.
func (r *real) lineTo(run wire.Run) *line {
	r.t.Helper()
	path := filepath.Join(r.dir, "data", "runs", run.ID, "ports.json")
	var ports struct {
		RPC, Blob int
		REST      []int
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &ports)
	}
	if err != nil || len(ports.REST) != 1 {
		r.t.Fatalf("%s: %v, want one port of REST", b, err)
	}
	l := &line{}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(ports.REST[0])})
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		l.mu.Lock()
		way := l.way
		l.asked++
		l.mu.Unlock()
		wrong, ok := wrongAnswers[way]
		if !ok {
			pass.ServeHTTP(w, req)
			return
		}
		wrong(w, req)
	}))
	r.t.Cleanup(l.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(l.URL, "http://"), ":")
	ports.REST[0], _ = strconv.Atoi(port)
	if b, err = json.Marshal(ports); err == nil {
		if err = os.WriteFile(path+".new", b, 0o600); err == nil {
			err = os.Rename(path+".new", path)
		}
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func (l *line) set(way string) {
	l.mu.Lock()
	l.way, l.asked = way, 0
	l.mu.Unlock()
}

func (l *line) wasAsked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked > 0
}

// wrongAnswers are what may come in place of an answer of the run's JobManager.
var wrongAnswers = map[string]http.HandlerFunc{
	"500": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "database is locked", http.StatusInternalServerError)
	},
	"404": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":["Not found"]}`)
	},
	"a web page": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><title>Sign in</title></html>")
	},
	"the network is cut":       func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
	"the connection is closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"another cluster": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jobs":[{"jid":"0123456789abcdef0123456789abcdef","state":"FAILED","tasks":{"total":2,"failed":2}}]}`)
	},
	"an empty cluster": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jobs":[]}`)
	},
}

// lost waits until a run is lost, which is all that may happen to it.
func (r *real) lost(name string) {
	r.t.Helper()
	r.goesOn(name, "lost", func(run wire.Run) bool { return run.Condition == "lost" })
}

func (r *real) back(name string) {
	r.t.Helper()
	r.goesOn(name, "back", func(run wire.Run) bool { return run.Condition == "" })
}

func (r *real) goesOn(name, what string, ok func(wire.Run) bool) {
	r.t.Helper()
	run := r.untilWithin(4*time.Minute, name, what, func(run wire.Run) bool { return ok(run) || run.Outcome != "" || run.Queue != "running" })
	if run.Outcome != "" || run.Queue != "running" {
		r.t.Fatalf("%s is not %s but %s %s: %s (by %s)", name, what, run.Queue, run.Outcome, run.Reason, run.Evidence)
	}
}

// TestRealFaults: whatever is between the platform and a JobManager that runs, and a JobManager that is frozen, make the run lost; it comes
// back, and nothing ends it. A JobManager that is killed ends it.
func TestRealFaults(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		r.again()
		r.begin("crashes", r.definition(jobOf("crashes")), wire.Start{})
		run := r.running("crashes")
		r.wrote(run.ID, 5)
		l := r.lineTo(run)
		for way := range wrongAnswers { // one after the other, without a right answer between them
			l.set(way)
			r.goesOn("crashes", "asked while there is "+way, func(wire.Run) bool { return l.wasAsked() })
			r.lost("crashes")
		}
		l.set("")
		r.back("crashes")

		manager := r.jobManager(run)
		unix.Kill(manager, unix.SIGSTOP)
		r.lost("crashes")
		unix.Kill(manager, unix.SIGCONT)
		r.back("crashes")

		unix.Kill(manager, unix.SIGKILL)
		killed := time.Now()
		if end := r.ends("crashes"); !strings.Contains(end.Reason, "137") || end.Evidence != "exit code" {
			t.Errorf("%s by %s: %s", end.Outcome, end.Evidence, end.Reason)
		}
		if took := time.Since(killed).Round(time.Millisecond); took > patience {
			t.Errorf("the end was known %s after the kill", took)
		} else {
			t.Logf("the end was known %s after the kill", took)
		}
		r.judge(jobOf("crashes"), false)
		r.owned()
	})
}
