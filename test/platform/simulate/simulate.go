// Package simulate has clusters that are not there: a driver and a REST API that answer as Flink's do, in one process. Tests say how each
// cluster is. What only a real Flink can show is in test/platform.
package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster"
)

// A World is simulated clusters: their processes and their REST API, as Flink answers.
type World struct {
	Mu       sync.Mutex
	clusters map[string]*Cluster
	url      string
	Refuse   string // why every start is refused; lock Mu
}

// A Cluster is one of them. Its fields are read and changed in Of.
type Cluster struct {
	Starts, Deletes int
	Alive, Deleted  bool
	Code            int
	Ended           time.Time
	Status          string   // of its job, "": not submitted yet
	Broken          string   // what REST answers instead
	Savepoint       string   // JSON of the savepoint's answer
	Stops           []string // trigger ids of stops
	Forgets         int      // so many cancels are taken and lost
	Tasks           int      // that do not run
	Checkpoints     string   // JSON of the job's checkpoints; "": they are not known
	Restarts        int      // of its job
	JobID           string
	Token           string            // that its pods have
	Spec            cluster.Spec      // it was started with
	Session         Session           // of a session cluster
	jars            []string          // its uploaded ones
	Exceptions      string            // JSON that /jobs/ID/exceptions answers; "": one failure
	Logs            map[string]string // by process; a followed log sees what is added

	Lost     map[string]time.Time // when the process of a place (taskmanager-1) ended, with 137, that is there now
	Replaced map[string]int       // how many processes were started in a place after the first
	Full     string               // why none is started
}

// Lose ends the process in a place.
func (c *Cluster) Lose(place string) {
	if c.Lost == nil {
		c.Lost, c.Replaced = map[string]time.Time{}, map[string]int{}
	}
	c.Lost[place] = time.Now()
}

func (c *Cluster) lost(place string) bool { return !c.Lost[place].IsZero() }

// process is the one that is in a place now.
func (c *Cluster) process(run, place string) cluster.Process {
	name := place
	if n := c.Replaced[place]; n > 0 {
		name = fmt.Sprintf("%s.%d", place, n+1)
	}
	p := cluster.Process{Name: name, Place: place, Attempt: run + "-" + name, JobManager: strings.HasPrefix(place, "jobmanager"), Alive: c.Alive && !c.lost(place)}
	if c.lost(place) {
		p.Code, p.Message, p.Started, p.Ended = 137, "killed", c.Lost[place], c.Lost[place]
	} else if p.JobManager {
		p.Code, p.Ended = c.Code, c.Ended
	}
	return p
}

// New makes a world that ends with the test.
func New(t testing.TB) *World {
	w := &World{clusters: map[string]*Cluster{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// Of lets f read and change a run's cluster; nil: it was never started.
func (w *World) Of(run string, f func(*Cluster)) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	f(w.clusters[run])
}

// Start is as cluster.Driver says.
func (w *World) Start(ctx context.Context, s cluster.Spec) error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.Refuse != "" {
		return &cluster.Refusal{Err: errors.New(w.Refuse)}
	}
	c := w.clusters[s.Run]
	if c == nil {
		c = &Cluster{Alive: true, JobID: s.JobID, Spec: s}
		if s.Token != nil {
			token, err := s.Token(ctx)
			if err != nil {
				return err
			}
			c.Token = token
		}
		w.clusters[s.Run] = c
	}
	c.Starts++
	return nil
}

// Observe is as cluster.Driver says.
func (w *World) Observe(_ context.Context, run string) (cluster.Status, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c := w.clusters[run]
	if c == nil {
		return cluster.Status{}, cluster.ErrUnknown
	}
	var status cluster.Status
	for i := range max(c.Spec.JobManagers, 1) {
		status.REST = append(status.REST, fmt.Sprintf("%s/%s~%d", w.url, run, i+1))
		status.Processes = append(status.Processes, c.process(run, fmt.Sprint("jobmanager-", i+1)))
	}
	status.Processes = append(status.Processes, c.process(run, "taskmanager-1"))
	return status, nil
}

// Replace is as cluster.Replacer says.
func (w *World) Replace(_ context.Context, run, process string) error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c := w.clusters[run]
	if c == nil {
		return cluster.ErrUnknown
	}
	place, _, _ := strings.Cut(process, ".")
	switch {
	case c.Full != "":
		return errors.New(c.Full)
	case c.process(run, place).Name == process && !c.lost(place):
		return fmt.Errorf("%s has not ended", process)
	case c.process(run, place).Name == process:
		c.Replaced[place]++
		delete(c.Lost, place)
	}
	return nil
}

// Delete is as cluster.Driver says.
func (w *World) Delete(_ context.Context, run string) (bool, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c := w.clusters[run]
	if c == nil {
		return true, nil
	}
	c.Deletes++
	if c.Alive {
		c.Alive, c.Code, c.Ended, c.Deleted = false, 143, time.Now(), true
		return false, nil // as a real one: the processes end a little later
	}
	return true, nil
}

// Remove is as cluster.Driver says.
func (w *World) Remove(context.Context, string) error { return nil }

// Logs is as cluster.Driver says.
func (w *World) Logs(_ context.Context, run, process string, tail int) (io.ReadCloser, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c := w.clusters[run]
	if c == nil {
		return nil, cluster.ErrUnknown
	}
	text, from := c.Logs[process], 0
	for lines := strings.Count(text, "\n"); lines > tail; lines-- {
		from += strings.IndexByte(text[from:], '\n') + 1
	}
	return io.NopCloser(&log{world: w, cluster: c, process: process, at: from}), nil
}

// A log is what a process has written until now.
type log struct {
	world   *World
	cluster *Cluster
	process string
	at      int
}

func (l *log) Read(b []byte) (int, error) {
	l.world.Mu.Lock()
	defer l.world.Mu.Unlock()
	n := copy(b, l.cluster.Logs[l.process][l.at:])
	if l.at += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Runs is as cluster.Driver says.
func (w *World) Runs(context.Context) ([]string, error) { return nil, nil }

// SavepointDir is as cluster.Driver says.
func (w *World) SavepointDir(run string) string { return "file:/savepoints/" + run }

// ServeHTTP is the REST API of every cluster, below /RUN~JOBMANAGER. Each JobManager that is alive answers as the leader does.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	run, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	run, jobManager, _ := strings.Cut(run, "~")
	c := w.clusters[run]
	rw.Header().Set("Content-Type", "application/json")
	switch {
	case c == nil || !c.Alive || c.lost("jobmanager-"+jobManager):
		http.Error(rw, "no cluster", http.StatusBadGateway)
	case c.Broken != "":
		http.Error(rw, c.Broken, http.StatusInternalServerError)
	case c.Spec.Session:
		w.session(rw, r, c, rest)
	case rest == "jobs/overview" && c.Status == "":
		io.WriteString(rw, `{"jobs":[]}`)
	case rest == "jobs/overview":
		fmt.Fprintf(rw, `{"jobs":[{"jid":%q,"state":%q,"tasks":{"total":2,"running":%d}}]}`, c.JobID, c.Status, 2-c.Tasks)
	case r.Method == http.MethodPost && strings.HasSuffix(rest, "/stop"):
		var in struct{ TriggerID string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		c.Stops = append(c.Stops, in.TriggerID)
		io.WriteString(rw, `{"request-id":"x"}`)
	case strings.Contains(rest, "/savepoints/") && c.Savepoint != "":
		io.WriteString(rw, c.Savepoint)
	case r.Method == http.MethodPatch && c.Forgets > 0:
		c.Forgets--
		io.WriteString(rw, `{}`)
	case r.Method == http.MethodPatch:
		c.Status = "CANCELED"
		io.WriteString(rw, `{}`)
	case strings.HasSuffix(rest, "/checkpoints") && c.Checkpoints != "":
		io.WriteString(rw, c.Checkpoints)
	case strings.HasSuffix(rest, "/metrics"):
		fmt.Fprintf(rw, `[{"id":"numRestarts","value":"%d"}]`, c.Restarts)
	case strings.HasSuffix(rest, "/exceptions") && c.Exceptions != "":
		io.WriteString(rw, c.Exceptions)
	case strings.HasSuffix(rest, "/exceptions"):
		io.WriteString(rw, `{"exceptionHistory":{"entries":[{"exceptionName":"x","stacktrace":"JobException: Recovery is suppressed\nCaused by: java.lang.ArithmeticException: / by zero","timestamp":1}]}}`)
	default:
		rw.WriteHeader(http.StatusNotFound)
		io.WriteString(rw, `{"errors":["Not found"]}`)
	}
}
