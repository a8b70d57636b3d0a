package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// A receiver is a server that takes alerts, or fails as a test wants.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	keys   []string
	auth   string
	fail   func(n int, body string) int // the status to fail with, 0: none; n counts from 1
	n      int
}

func serve(t *testing.T) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.n++
		if r.fail != nil {
			if status := r.fail(r.n, string(body)); status != 0 {
				http.Error(w, "password=hunter2 is wrong", status)
				return
			}
		}
		r.bodies, r.keys, r.auth = append(r.bodies, req.URL.Path+" "+string(body)), append(r.keys, req.Header.Get("Idempotency-Key")), req.Header.Get("Authorization")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies
}

// world is a store with a job and its run.
func world(t *testing.T, dir string) (*store.Store, store.Run) {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := s.NewestRun(t.Context(), "clicks")
	if err == nil {
		return s, r
	}
	if _, _, err := s.PutJob(t.Context(), "web", store.Version{Job: "clicks", Document: []byte("a"), Source: []byte("a"), By: "ann"}, -1); err != nil {
		t.Fatal(err)
	}
	r, err = s.CreateRun(t.Context(), "clicks", 1, store.Asked{By: "ann"}, func(id string, now time.Time) jobstate.Run {
		return jobstate.New(id, "", false, false, now, time.Minute)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// shift puts the run into a condition.
func shift(t *testing.T, s *store.Store, r store.Run, c jobstate.Condition, reason string) store.Run {
	t.Helper()
	at, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.State.Queue, r.State.Condition, r.State.Reason, r.State.Since = jobstate.Running, c, reason, at
	next, err := s.Transition(t.Context(), r.State.ID, r.Revision, "", store.Change{State: r.State})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func sender(s *store.Store, r Receiver, log io.Writer) *Sender {
	return &Sender{Store: s, Receiver: r, Log: slog.New(slog.NewTextHandler(log, nil)), URL: "https://platform"}
}

func once(t *testing.T, s *Sender, want int) {
	t.Helper()
	if n, err := s.Once(t.Context()); err != nil || n != want {
		t.Fatalf("%d alerts were due, %v; want %d", n, err, want)
	}
}

// until sends until a condition holds.
func until(t *testing.T, s *Sender, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		_, _ = s.Once(t.Context())
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestAlertmanager(t *testing.T) {
	s, run := world(t, t.TempDir())
	away, there := serve(t), serve(t)
	away.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	members, err := NewAlertmanagers([]string{away.URL, there.URL + "/prefix/"}, token)
	if err != nil {
		t.Fatal(err)
	}
	members.Each = time.Millisecond
	var log bytes.Buffer
	send := sender(s, members, &log)
	once(t, send, 0)
	run = shift(t, s, run, jobstate.Lost, "no answer")
	once(t, send, 1)
	until(t, send, "sent again while it goes on", func() bool { return len(there.got()) >= 3 })
	shift(t, s, run, jobstate.None, "")
	until(t, send, "over", func() bool { return strings.Contains(log.String(), "status=resolved") })
	all := there.got()
	var first, last []alertmanagerAlert
	for i, into := range map[int]*[]alertmanagerAlert{0: &first, len(all) - 1: &last} {
		path, body, _ := strings.Cut(all[i], " ")
		if err := json.Unmarshal([]byte(body), into); err != nil || path != "/prefix/api/v2/alerts" || len(*into) != 1 {
			t.Fatal(all[i], err)
		}
	}
	labels := map[string]string{"alertname": "FlinkJobLost", "severity": "critical", "job": "clicks", "team": "web"}
	for _, a := range []alertmanagerAlert{first[0], last[0]} {
		for k, want := range labels {
			if a.Labels[k] != want {
				t.Errorf("label %s is %q, want %q", k, a.Labels[k], want)
			}
		}
		if len(a.Labels) != len(labels) || !a.StartsAt.Equal(first[0].StartsAt) || a.GeneratorURL != "https://platform/jobs/clicks" {
			t.Errorf("%+v", a)
		}
	}
	if d := time.Until(first[0].EndsAt); d < stay-time.Minute || first[0].Annotations["description"] != "no answer" || first[0].Annotations["run"] != run.State.ID {
		t.Errorf("%+v", first[0])
	}
	if time.Now().Before(last[0].EndsAt) {
		t.Errorf("it is over, but ends at %s", last[0].EndsAt)
	}
	if there.auth != "Bearer s3cret" || strings.Contains(log.String(), "s3cret") {
		t.Error(there.auth, log.String())
	}
	if n := strings.Count(log.String(), "status=firing") + strings.Count(log.String(), "status=resolved"); n != 2 {
		t.Errorf("%d lines about one alert that began and ended:\n%s", n, &log)
	}
}

// TestAlertmanagersThatHang: members that take a connection and never answer do not keep an alert from the one that does.
func TestAlertmanagersThatHang(t *testing.T) {
	s, run := world(t, t.TempDir())
	there := serve(t)
	arrived := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the end of the connection is noticed after it
		select {
		case <-arrived: // the other one has it
		case <-r.Context().Done():
			t.Error("it was given up before the next member was asked")
		}
	}))
	t.Cleanup(hang.Close)
	has := sync.OnceFunc(func() { close(arrived) })
	there.fail = func(int, string) int { has(); return 0 }
	members, err := NewAlertmanagers([]string{hang.URL, hang.URL, there.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	shift(t, s, run, jobstate.Lost, "no answer")
	once(t, sender(s, members, t.Output()), 1)
	if len(there.got()) != 1 {
		t.Errorf("the member that answers got %q", there.got())
	}
}

// TestWebhook: one message when it begins and one when it ends, with ids that stay the same; a receiver that is away or refuses loses none, and
// a restart of the server doubles none.
func TestWebhook(t *testing.T) {
	dir := t.TempDir()
	s, run := world(t, filepath.Join(dir, "data"))
	r := serve(t)
	file := filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte(r.URL+"/hook/T0K3N?key=s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hook, err := NewWebhook(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	send := sender(s, hook, &log)
	shift(t, s, run, jobstate.Lost, "no answer")
	refused := 0
	r.fail = func(n int, _ string) int {
		if refused < 2 {
			refused++
			return http.StatusInternalServerError
		}
		return 0
	}
	_, err = send.Once(t.Context())
	if err == nil || !strings.Contains(err.Error(), "500 Internal Server Error") {
		t.Errorf("the error is %v", err)
	}
	for _, secret := range []string{"T0K3N", "s3cret", "hunter2"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s is in %v", secret, err)
		}
	}
	until(t, send, "taken after it was refused", func() bool { return len(r.got()) == 1 })
	once(t, send, 0) // it goes on, and was sent

	// The server ends and starts again: nothing is sent twice.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, run = world(t, filepath.Join(dir, "data"))
	send = sender(s, hook, &log)
	once(t, send, 0)
	shift(t, s, run, jobstate.None, "")
	until(t, send, "over", func() bool { return len(r.got()) == 2 })
	once(t, send, 0)
	var begun, over Notice
	for i, n := range []*Notice{&begun, &over} {
		path, body, _ := strings.Cut(r.got()[i], " ")
		if err := json.Unmarshal([]byte(body), n); err != nil || path != "/hook/T0K3N" || r.keys[i] != n.ID {
			t.Fatal(r.got()[i], err)
		}
	}
	if begun.Status != "firing" || begun.Alert != "FlinkJobLost" || begun.Job != "clicks" || begun.Team != "web" || begun.Reason != "no answer" || begun.Resolved != nil || begun.Version != 1 || begun.URL != "https://platform/jobs/clicks" {
		t.Errorf("%+v", begun)
	}
	if over.Status != "resolved" || over.Resolved == nil || over.ID == begun.ID || !over.Since.Equal(begun.Since) {
		t.Errorf("%+v", over)
	}
	r.Close()
	run2, err := s.NewestRun(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	shift(t, s, run2, jobstate.Parked, "which savepoint?")
	_, err = send.Once(t.Context())
	if err == nil || strings.Contains(err.Error(), "T0K3N") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error of a receiver that is away is %v", err)
	}
}

// TestWebhookThatRefusesOne goes on with the others.
func TestWebhookThatRefusesOne(t *testing.T) {
	r := serve(t)
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(r.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	hook, err := NewWebhook(file)
	if err != nil {
		t.Fatal(err)
	}
	r.fail = func(_ int, body string) int {
		if strings.Contains(body, `"job":"bad"`) {
			return http.StatusBadRequest
		}
		return 0
	}
	failures := hook.Send(t.Context(), []Notice{{Job: "a"}, {Job: "bad"}, {Job: "c"}})
	if failures[0] != nil || failures[1] == nil || failures[2] != nil || len(r.got()) != 2 {
		t.Errorf("%v, %d taken", failures, len(r.got()))
	}
	r.Close()
	failures = hook.Send(t.Context(), []Notice{{Job: "a"}, {Job: "b"}})
	if failures[0] == nil || failures[1] == nil {
		t.Errorf("%v", failures)
	}
}

// TestRedirect: the credentials go nowhere else.
func TestRedirect(t *testing.T) {
	elsewhere := serve(t)
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	a, err := NewAlertmanagers([]string{s.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	if failures := a.Send(context.Background(), []Notice{{Job: "a"}}); failures[0] == nil || len(elsewhere.got()) != 0 {
		t.Errorf("%v, %d arrived", failures, len(elsewhere.got()))
	}
}

func TestAddresses(t *testing.T) {
	for _, text := range []string{"", "alertmanager:9093", "ftp://u:hunter2@h", "http://", "http://u:hunter2@h:port"} {
		if _, err := NewAlertmanagers([]string{text}, ""); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
