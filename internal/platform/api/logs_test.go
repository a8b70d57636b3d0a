package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// A logDriver has logs only.
type logDriver struct {
	cluster.Driver
	open      func(process string, tail int) io.ReadCloser
	processes []string
}

func (d logDriver) Observe(context.Context, string) (cluster.Status, error) {
	var s cluster.Status
	for _, p := range d.processes {
		s.Processes = append(s.Processes, cluster.Process{Name: p})
	}
	return s, nil
}

func (d logDriver) Logs(_ context.Context, _, process string, tail int) (io.ReadCloser, error) {
	return d.open(process, tail), nil
}

// logAPI is an API with one job, clicks, whose run has started.
func logAPI(t *testing.T, d logDriver) (*API, store.Run) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, _, err := s.PutJob(t.Context(), DefaultTeam, store.Version{Job: "clicks", Document: []byte("x"), Source: []byte("x")}, 0); err != nil {
		t.Fatal(err)
	}
	r, err := s.CreateRun(t.Context(), "clicks", 1, store.Asked{}, func(id string, now time.Time) jobstate.Run {
		return jobstate.New(id, "", false, false, now, time.Minute)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &API{Store: s, Driver: d, Log: slog.New(slog.DiscardHandler), Open: true, Observes: func() bool { return false }}, r
}

func get(t *testing.T, a *API, w http.ResponseWriter, query string) {
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/v1/jobs/clicks/logs?"+query, nil)
	a.Handler().ServeHTTP(w, r)
}

func lines(t *testing.T, body string) []string {
	t.Helper()
	var all []string
	for d := json.NewDecoder(strings.NewReader(body)); d.More(); {
		var l struct{ Source, Line string }
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Source+"|"+l.Line)
	}
	return all
}

func texts(logs map[string]string) func(string, int) io.ReadCloser {
	return func(process string, _ int) io.ReadCloser { return io.NopCloser(strings.NewReader(logs[process])) }
}

// TestLogsAreMerged: by time; a line without one stays with the line before it, and the order of a log stays.
func TestLogsAreMerged(t *testing.T) {
	at := func(second int, text string) string {
		return time.Date(2026, 1, 2, 3, 4, second, 5e6, time.Local).Format("2006-01-02 15:04:05,000") + " " + text
	}
	utc := time.Date(2026, 1, 2, 3, 4, 3, 0, time.Local).UTC().Format(time.RFC3339Nano) + " from the JVM's JSON"
	long := strings.Repeat("x", maxLine)
	a, _ := logAPI(t, logDriver{processes: []string{"jobmanager-1", "taskmanager-1"}, open: texts(map[string]string{
		"jobmanager-1":  "before any time\n" + at(1, "one") + "\nException\n\tat x\n" + at(4, "four") + "\r\n" + at(2, "the clock went back") + "\n\n" + at(6, "six"),
		"taskmanager-1": at(1, "one, too") + "\n" + utc + "\n" + at(5, "five \xff") + "\n" + at(7, "") + long + "\n",
	})})
	w := httptest.NewRecorder()
	get(t, a, w, "")
	got := lines(t, w.Body.String())
	platform := slices.IndexFunc(got, func(l string) bool { return strings.HasPrefix(l, "platform|") })
	if platform < 0 {
		t.Fatalf("no event: %q", got)
	}
	got = slices.Delete(got, platform, platform+1) // its time is now
	j, m := "jobmanager-1|", "taskmanager-1|"
	want := []string{j + "before any time", j + at(1, "one"), j + "Exception", j + "\tat x", m + at(1, "one, too"), m + utc, j + at(4, "four"), j + at(2, "the clock went back"), j,
		m + at(5, "five ?"), j + at(6, "six")}
	// The long line is cut, and its rest follows.
	if len(got) < len(want)+2 || strings.Join(got[len(want):], "") != m+at(7, "")+long[:len(got[len(want)])-len(m)-len(at(7, ""))]+m+long[len(got[len(want)])-len(m)-len(at(7, "")):] {
		t.Errorf("the long line is in %d pieces", len(got)-len(want))
	}
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got[:len(want)], "\n"), strings.Join(want, "\n"))
	}
	for query, want := range map[string]int{"process=taskmanager-1": 5, "process=platform": 1, "process=nothing": 0} {
		w := httptest.NewRecorder()
		if get(t, a, w, query); len(lines(t, w.Body.String())) != want {
			t.Errorf("%s: %d lines, want %d", query, len(lines(t, w.Body.String())), want)
		}
	}
}

// TestTimeOf: times at the beginning of lines.
func TestTimeOf(t *testing.T) {
	local := func(ms int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5, ms*1e6, time.Local) }
	for line, want := range map[string]time.Time{
		"2026-01-02 03:04:05,678 INFO  x":            local(678),
		"2026-01-02 03:04:05.678 INFO":               local(678),
		"2026-01-02 03:04:05 [main] INFO":            local(0),
		"2026-01-02T03:04:05.678Z x":                 time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
		"2026-01-02T03:04:05.678+02:00\tx":           time.Date(2026, 1, 2, 1, 4, 5, 678e6, time.UTC),
		"2026-01-02T03:04:05 without an offset":      {},
		"2026-13-02 03:04:05,678 INFO":               {},
		"2026-01-02 03:0x:05,678 INFO":               {},
		"2026-01-02":                                 {},
		"a line that says 2026-01-02 03:04:05,678 x": {},
	} {
		if got, ok := timeOf([]byte(line)); ok != !want.IsZero() || ok && !got.Equal(want) {
			t.Errorf("%s: %v %v, want %v", line, got, ok, want)
		}
	}
}

// A growing log gets text while it is read.
type growing struct {
	mu   sync.Mutex
	text []byte
}

func (g *growing) write(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text = append(g.text, text...)
}

func (g *growing) Read(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := copy(b, g.text)
	if g.text = g.text[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (g *growing) Close() error { return nil }

// TestFollow: lines come as they are written, unfinished ones when they are finished or the run has ended.
func TestFollow(t *testing.T) {
	log := &growing{}
	a, r := logAPI(t, logDriver{processes: []string{"jobmanager-1"}, open: func(string, int) io.ReadCloser { return log }})
	out, in := io.Pipe()
	go func() {
		get(t, a, &streamed{in}, "follow=true&process=jobmanager-1")
		in.Close()
	}()
	read := bufio.NewReader(out)
	want := func(line string) {
		t.Helper()
		got, err := read.ReadString('\n')
		if err != nil || !strings.Contains(got, `"line":"`+line+`"`) {
			t.Fatalf("%q %v, want %q", got, err, line)
		}
	}
	log.write("one\ntw")
	want("one")
	log.write("o\n")
	want("two")
	log.write("the last, unfinished")
	state := r.State
	state.Outcome, state.Ended = jobstate.IsFinished, time.Now()
	if _, err := a.Store.Transition(t.Context(), state.ID, r.Revision, "", store.Change{State: state}); err != nil {
		t.Fatal(err)
	}
	want("the last, unfinished")
	if rest, err := io.ReadAll(read); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// TestFollowEndsWithTheToken: the rights of a reader are looked at again, also while lines come faster than they are read.
func TestFollowEndsWithTheToken(t *testing.T) {
	for name, log := range map[string]io.ReadCloser{"busy": &generated{left: 1 << 62, random: rand.New(rand.NewPCG(1, 1))}, "quiet": &growing{}} {
		a, _ := logAPI(t, logDriver{processes: []string{"jobmanager-1"}, open: func(string, int) io.ReadCloser { return log }})
		a.Open, a.StreamCheck = false, time.Millisecond
		secret, err := a.Store.MakeToken(t.Context(), store.Token{Name: "ann", Role: store.RoleView, Team: DefaultTeam})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/v1/jobs/clicks/logs?follow=true", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		ended, began := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			a.Handler().ServeHTTP(&streamed{&first{began: began}}, r)
		}()
		<-began
		if err := a.Store.DeleteToken(t.Context(), DefaultTeam, "ann"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: the log is followed although the token was deleted", name)
		}
	}
}

// first is a Writer that says when something is written.
type first struct {
	began chan struct{}
	once  sync.Once
}

func (f *first) Write(b []byte) (int, error) {
	f.once.Do(func() { close(f.began) })
	return len(b), nil
}

// TestLogsAreMasked: a line is shown without what looks like a secret.
func TestLogsAreMasked(t *testing.T) {
	token := "fp_" + strings.Repeat("Ab3-_", 9)[:43]
	a, _ := logAPI(t, logDriver{processes: []string{"jobmanager-1"}, open: texts(map[string]string{
		"jobmanager-1": "2026-01-01 00:00:00,000 INFO jdbc:x://u:hunter2@h/?password=hunter2 -Ds3.secret-key=hunter2\n\"password\":\"hunter2\", Bearer " + token + "\nWITH ('password' = 'hunter2')\n"})})
	w := httptest.NewRecorder()
	get(t, a, w, "process=jobmanager-1")
	got := strings.Join(lines(t, w.Body.String()), "\n")
	if strings.Contains(got, "hunter2") || strings.Contains(got, token) || strings.Count(got, "******") != 6 {
		t.Errorf("%s", got)
	}
}

// streamed is a ResponseWriter without a buffer.
type streamed struct{ io.Writer }

func (s *streamed) Header() http.Header { return http.Header{} }
func (s *streamed) WriteHeader(int)     {}

// generated is a log of a size that is made while it is read.
type generated struct {
	left   int64
	at     time.Time
	random *rand.Rand
	line   []byte
}

func (g *generated) Read(b []byte) (int, error) {
	if g.left <= 0 {
		return 0, io.EOF
	}
	if len(g.line) == 0 {
		g.at = g.at.Add(time.Duration(g.random.IntN(1000)) * time.Millisecond)
		g.line = g.at.AppendFormat(g.line[:0], "2006-01-02 15:04:05,000 INFO ")
		g.line = append(g.line, bytes.Repeat([]byte("x"), 2000)...)
		g.line = append(g.line, '\n')
	}
	n := copy(b, g.line)
	g.line, g.left = g.line[n:], g.left-int64(n)
	return n, nil
}

func (g *generated) Close() error { return nil }

// measured is a ResponseWriter that looks at the memory of the process after each part of what it gets.
type measured struct {
	written, looked int64
	most            uint64
	last            string // time of the last line
	back            int
}

func (m *measured) Header() http.Header { return http.Header{} }
func (m *measured) WriteHeader(int)     {}
func (m *measured) Write(b []byte) (int, error) {
	if _, at, ok := bytes.Cut(b, []byte(`"line":"`)); ok && len(at) > 23 && at[0] == '2' {
		if string(at[:23]) < m.last {
			m.back++
		}
		m.last = string(at[:23])
	}
	if m.written += int64(len(b)); m.written-m.looked >= 64<<20 {
		m.looked = m.written
		m.most = max(m.most, heap())
	}
	return len(b), nil
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestLogsInBoundedMemory: logs of 1 GiB in all are merged with the memory of some lines.
func TestLogsInBoundedMemory(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 256 << 20
	}
	const processes = 4
	var names []string
	for i := range processes {
		names = append(names, fmt.Sprint("taskmanager-", i+1))
	}
	a, _ := logAPI(t, logDriver{processes: names, open: func(process string, _ int) io.ReadCloser {
		return &generated{left: size / processes, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.Local), random: rand.New(rand.NewPCG(uint64(process[len(process)-1]), 1))}
	}})
	var m measured
	before := heap()
	get(t, a, &m, "tail=2000000000")
	if m.written < size || m.most == 0 {
		t.Errorf("%d bytes were written, want more than %d", m.written, size)
	}
	if m.most > before+4<<20 {
		t.Errorf("the heap has %d bytes, %d before it", m.most, before)
	}
	if m.back > 0 {
		t.Errorf("%d lines are earlier than the line before them", m.back)
	}
	t.Logf("%d MiB written, heap %d KiB before, at most %d KiB", m.written>>20, before>>10, m.most>>10)
}
