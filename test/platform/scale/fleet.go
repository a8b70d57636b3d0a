package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/recorded"
)

// A way is how the platform can learn that a job has ended.
type way string

const (
	byListener way = "status listener and archive" // Flink 2.x
	byArchive  way = "archive"                     // Flink 1.x
	byREST     way = "REST alone"                  // a JobManager that stays after the job
	byExit     way = "exit code alone"             // a JobManager that ends, and has sent nothing
)

var ways = []way{byListener, byArchive, byREST, byExit}

// A fate is what becomes of a cluster once all run.
type fate string

const (
	runs     fate = "runs"
	restarts fate = "restarts"
	silent   fate = "does not answer"
	ends     fate = "ends"
	// Of clusters that several servers look after.
	isCanceled fate = "is canceled by a user"
	isStopped  fate = "is stopped with a savepoint"
	beginsAnew fate = "fails, and finishes in the run after it"
	pauses     fate = "does not answer for some seconds, and ends"
)

// A member is one simulated cluster.
type member struct {
	number  int
	version string
	way     way
	fate    fate
	end     string        // of the recorded states, for those that end
	silence int           // how it does not answer
	job     int           // the number of its job
	cycle   time.Duration // a job's life, where it has one

	mu        sync.Mutex
	run, id   string // of the platform, of Flink
	token     string
	events    string // URL of status events
	state     string // of the recorded ones; empty: not submitted yet
	quiet     bool   // it does not answer now
	starts    int
	exited    bool
	code      int
	endedAt   time.Time // of the job
	exitedAt  time.Time
	deletedAt time.Time
	sequence  int64
	late      bool            // it was started again after it was deleted, and has found no definition
	stops     map[string]bool // triggers of its stops
	savepoint string
	// unanswered: its archive may have been taken, but no answer has said so.
	unanswered bool
	cancels    int
	lives      int     // pods that had their definition
	next       *member // the cluster of the run after this one's

	checks  atomic.Int64
	last    atomic.Int64 // nanoseconds: when it was asked last
	gap     atomic.Int64 // nanoseconds: the longest time between two checks of a window
	asking  atomic.Int64
	atOnce  atomic.Int64 // the most requests at the same time
	strange atomic.Int64 // requests that no cluster of its state gets
}

// memberOf plans a cluster by its number: versions and ways change with each, fates with each six.
func memberOf(number, ending int) *member {
	m := &member{number: number, job: number, fate: runs, silence: number % 4}
	switch number % 6 {
	case 0, 3:
		m.version, m.way = "2.2.1", byListener
	case 1:
		m.version, m.way = "1.20.5", byArchive
	case 2:
		m.version, m.way = "1.18.1", byArchive
	case 4:
		m.version, m.way = "1.20.5", byREST
	case 5:
		m.version, m.way = "1.18.1", byExit
	}
	switch f := number / 6 % 100; {
	case f == 0:
		m.fate = restarts
	case f == 1:
		m.fate = silent
	case f < 2+ending:
		m.fate = ends
		m.end = []string{recorded.Finished, recorded.Failed, recorded.Canceled}[(number/6+number)%3]
		if m.way == byExit && m.end == recorded.Canceled {
			m.end = recorded.Finished // exit code 0 does not tell them apart
		}
	}
	return m
}

// name is the job's.
func (m *member) name() string { return fmt.Sprintf("job-%05d", m.job) }

// A fleet is the clusters, which one listener serves: each has an address of its own in 127.0.0.0/8.
type fleet struct {
	members []*member
	port    int
	control string // URL that the driver uses

	server *http.Server
	client *http.Client
	mu     sync.Mutex
	byHost map[string]*member
	byRun  map[string]*member
	exits  []exit // in the order in which they happened
	more   chan struct{}
	bugs   []string
	wait   sync.WaitGroup
	ctx    context.Context
	end    context.CancelFunc
	// served: the platform is several servers. A pod asks for its definition, users stop and cancel, and what a server does twice counts once.
	served bool
	lates  atomic.Int64 // clusters that were started again after they were deleted
}

// An exit tells the driver that a JobManager process has ended.
type exit struct {
	Run  string    `json:"run"`
	Host string    `json:"host"` // of its cluster
	Code int       `json:"code"`
	At   time.Time `json:"at"`
}

func newFleet(clusters, ending int) (*fleet, error) {
	// One socket for all addresses, but of the loopback device alone.
	listen := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), "lo") })
		return errors.Join(err, failed)
	}}
	l, err := listen.Listen(context.Background(), "tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, fmt.Errorf("simulated clusters: %w", err)
	}
	f := &fleet{port: l.Addr().(*net.TCPAddr).Port, byHost: map[string]*member{}, byRun: map[string]*member{}, more: make(chan struct{}),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxIdleConns: 64}}}
	f.ctx, f.end = context.WithCancel(context.Background())
	f.control = fmt.Sprintf("http://127.0.0.1:%d/control", f.port)
	for i := range clusters {
		m := memberOf(i, ending)
		f.members = append(f.members, m)
		f.byHost[f.host(m)] = m
	}
	f.server = &http.Server{Handler: f, BaseContext: func(net.Listener) context.Context { return f.ctx }}
	f.wait.Go(func() { f.server.Serve(l) })
	return f, nil
}

func (f *fleet) close() {
	f.end()
	f.server.Close()
	f.wait.Wait()
}

// host is the cluster's address: 127.1.0.0 and following.
func (f *fleet) host(m *member) string {
	return fmt.Sprintf("127.1.%d.%d:%d", m.number>>8, m.number&255, f.port)
}

// bug notes something that a platform must not do.
func (f *fleet) bug(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bugs = append(f.bugs, fmt.Sprintf(format, args...))
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, "/control/"); ok {
		f.serveControl(w, r, path)
		return
	}
	f.mu.Lock()
	m := f.byHost[r.Host]
	f.mu.Unlock()
	if m == nil {
		f.bug("%s is asked, which is not a cluster", r.Host)
		http.Error(w, "no cluster", http.StatusBadGateway)
		return
	}
	if f.served && f.asked(w, r, m) {
		return
	}
	m.serve(w, r)
}

// serve answers as the JobManager of this cluster does.
func (m *member) serve(w http.ResponseWriter, r *http.Request) {
	if n := m.asking.Add(1); n > m.atOnce.Load() {
		m.atOnce.Store(n)
	}
	defer m.asking.Add(-1)
	overview := r.URL.Path == "/jobs/overview"
	if overview {
		m.checks.Add(1)
		now := time.Now().UnixNano()
		if before := m.last.Swap(now); before > 0 && now-before > m.gap.Load() {
			m.gap.Store(now - before)
		}
	}
	m.mu.Lock()
	state, id, quiet, exited := m.state, m.id, m.quiet, m.exited
	m.mu.Unlock()
	switch {
	case exited || quiet && m.silence == 0:
		panic(http.ErrAbortHandler) // the connection is closed
	case quiet && m.silence == 1:
		<-r.Context().Done() // nothing comes
		return
	case quiet && m.silence == 2:
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><title>Sign in</title></html>")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	switch {
	case quiet: // LeaderRetrievalHandler
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}`)
	case r.Method != http.MethodGet:
		m.strange.Add(1)
		w.WriteHeader(http.StatusNotFound)
		w.Write(recorded.Body(m.version, recorded.Running, "unknown", id))
	case overview && state == "":
		io.WriteString(w, `{"jobs":[]}`)
	case overview:
		w.Write(recorded.Body(m.version, state, "overview", id))
	case state != "" && r.URL.Path == "/jobs/"+id+"/exceptions":
		w.Write(recorded.Body(m.version, state, "exceptions", id))
	case state != "" && r.URL.Path == "/jobs/"+id+"/checkpoints":
		w.Write(recorded.Body(m.version, state, "checkpoints", id))
	default:
		w.WriteHeader(http.StatusNotFound)
		w.Write(recorded.Body(m.version, recorded.Running, "unknown", id))
	}
}

// A begin is what the driver asks for.
type begin struct {
	Run, JobID, Token, Definition, Events string
}

var jobInURL = regexp.MustCompile(`/v1/jobs/job-(\d+)/versions/`)

// serveControl is what takes the place of starting and ending processes.
func (f *fleet) serveControl(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case "start":
		var b begin
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		found := jobInURL.FindStringSubmatch(b.Definition)
		if found == nil {
			http.Error(w, "no job in "+b.Definition, http.StatusBadRequest)
			return
		}
		number, _ := strconv.Atoi(found[1])
		m := f.of(f.members[number], b.Run)
		m.mu.Lock()
		first, again := m.run == "", !m.deletedAt.IsZero()
		if !first && m.run != b.Run {
			f.bug("%s: cluster of run %s is started for run %s", m.name(), m.run, b.Run)
		}
		m.starts++
		m.late = again
		if first {
			m.run, m.id, m.token, m.events = b.Run, b.JobID, b.Token, b.Events
		}
		m.mu.Unlock()
		if first {
			f.mu.Lock()
			f.byRun[b.Run] = m
			f.mu.Unlock()
		}
		switch {
		case f.served && (first || again):
			f.after(500*time.Millisecond, func() { f.pod(m, b, again) })
		case first:
			f.after(500*time.Millisecond, func() { f.becomes(m, recorded.Running) }) // the JVM starts
		}
		io.WriteString(w, f.host(m))
	case "delete":
		f.mu.Lock()
		m := f.byRun[r.URL.Query().Get("run")]
		f.mu.Unlock()
		if m == nil {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		m.mu.Lock()
		if m.deletedAt.IsZero() {
			m.deletedAt = time.Now()
		}
		m.late = false
		early, exited := m.endedAt.IsZero(), m.exited
		m.mu.Unlock()
		if early {
			f.bug("%s: its cluster is deleted while its job goes on", m.name())
		}
		if exited {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		f.after(100*time.Millisecond, func() { f.exit(m, 143) })
	case "exits":
		f.serveExits(w, r)
	case "observe":
		f.mu.Lock()
		m := f.byRun[r.URL.Query().Get("run")]
		f.mu.Unlock()
		if m == nil {
			http.NotFound(w, r)
			return
		}
		m.mu.Lock()
		o := observed{Exited: m.exited, Exit: exit{m.run, f.host(m), m.code, m.exitedAt}}
		m.mu.Unlock()
		json.NewEncoder(w).Encode(o)
	default:
		http.NotFound(w, r)
	}
}

// serveExits tells of every end of a JobManager process, a line of JSON each, as long as the driver listens; with ?from=now, of those from now on.
func (f *fleet) serveExits(w http.ResponseWriter, r *http.Request) {
	sent := 0
	if r.URL.Query().Get("from") == "now" {
		f.mu.Lock()
		sent = len(f.exits)
		f.mu.Unlock()
	}
	out := json.NewEncoder(w)
	for {
		f.mu.Lock()
		fresh, more := f.exits[sent:], f.more
		f.mu.Unlock()
		for _, x := range fresh {
			if out.Encode(x) != nil {
				return
			}
		}
		sent += len(fresh)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

// after calls g later, unless the fleet has ended.
func (f *fleet) after(d time.Duration, g func()) {
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		select {
		case <-time.After(d):
			g()
		case <-f.ctx.Done():
		}
	}()
}

func (f *fleet) exit(m *member, code int) {
	m.mu.Lock()
	done := m.exited
	if !done {
		m.exited, m.code, m.exitedAt = true, code, time.Now()
	}
	x := exit{m.run, f.host(m), code, m.exitedAt}
	m.mu.Unlock()
	if done {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exits = append(f.exits, x)
	close(f.more)
	f.more = make(chan struct{})
}

// becomes changes the state of a member's job, and tells the platform in the member's way, as the JobManager does: the listener first, the
// archive after it, then its process ends.
func (f *fleet) becomes(m *member, state string) {
	terminal := state == recorded.Finished || state == recorded.Failed || state == recorded.Canceled || state == recorded.Stopped
	m.mu.Lock()
	if !m.endedAt.IsZero() {
		m.mu.Unlock()
		return
	}
	m.state = state
	if terminal {
		m.endedAt = time.Now()
	}
	run, id, token, events := m.run, m.id, m.token, m.events
	m.sequence++
	push := wire.Push{Run: run, Attempt: attemptOf(run), Sequence: m.sequence, JobID: id, Status: strings.ToUpper(state)}
	if state == recorded.Stopped {
		push.Status = "FINISHED"
	}
	m.mu.Unlock()
	if state == recorded.Failed {
		push.Cause = "java.lang.ArithmeticException: / by zero"
	}
	if m.way == byListener {
		body, err := json.Marshal(push)
		if err == nil {
			err = f.send(m, http.MethodPost, events, token, body)
		}
		if errors.Is(err, errDeleted) { // the end was learned in another way
			return
		}
		if err != nil {
			f.bug("%s: the push of %s: %v", m.name(), state, err)
		}
	}
	if !terminal {
		return
	}
	if m.way == byListener || m.way == byArchive {
		url := strings.TrimSuffix(events, "/v1/flink-events") + "/v1/runs/" + run + "/archive/" + id
		if err := f.send(m, http.MethodPut, url, token, recorded.Archive(m.version, state, id)); err != nil && !errors.Is(err, errDeleted) {
			f.bug("%s: the archive: %v", m.name(), err)
		}
	}
	if m.way != byREST {
		code := 0
		if state == recorded.Failed {
			code = 163
		}
		f.after(1500*time.Millisecond, func() { f.exit(m, code) })
	}
}

var errDeleted = errors.New("its cluster was deleted meanwhile")

// send sends what a JobManager tells the platform, again until it was taken or ten seconds are over; where servers are killed and frozen, a minute,
// or until the JobManager itself is ended because its cluster was deleted.
func (f *fleet) send(m *member, method, url, token string, body []byte) error {
	patience := 10 * time.Second
	if f.served {
		patience = time.Minute
	}
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end) && f.ctx.Err() == nil; {
		req, err := http.NewRequestWithContext(f.ctx, method, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := f.client.Do(req)
		if err == nil {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
			resp.Body.Close()
			if resp.StatusCode < 300 {
				return nil
			}
			err = fmt.Errorf("%s: %s", resp.Status, text)
		}
		last = err
		if f.served && m.refused() {
			return errDeleted
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-f.ctx.Done():
		}
	}
	return last
}

func (m *member) setQuiet(quiet bool) {
	m.mu.Lock()
	m.quiet = quiet
	m.mu.Unlock()
}
