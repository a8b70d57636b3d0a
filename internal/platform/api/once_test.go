package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/store"
)

// A keyedAPI counts what is done for requests with keys.
type keyedAPI struct {
	*API
	t    *testing.T
	done chan string // gets the reservation of each
	act  func() (any, error)
}

func newKeyedAPI(t *testing.T) *keyedAPI {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &keyedAPI{t: t, done: make(chan string, 100), act: func() (any, error) { return "made", nil },
		API: &API{Store: s, Log: slog.New(slog.DiscardHandler), Owner: "one", Lease: time.Hour, Limits: Limits{Answers: 100}}}
}

// send is a request with a key.
func (a *keyedAPI) send(ctx context.Context, key, body string) (status int, answer string) {
	r := httptest.NewRequestWithContext(context.WithValue(ctx, callerKey{}, caller{name: "ann", team: "web"}), http.MethodPut, "/", nil)
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	err := a.once(w, r, []byte(body), func(reservation string) (int, any, error) {
		a.done <- reservation
		out, err := a.act()
		return http.StatusCreated, out, err
	})
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Status, p.Detail
	} else if err != nil {
		return 0, err.Error()
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

// waiting waits until a number of requests have a key, or wait for it.
func (a *keyedAPI) waiting(n int) {
	a.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		a.keys.mu.Lock()
		have := 0
		for _, i := range a.keys.of {
			have += i.waiting
		}
		a.keys.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(end) {
			a.t.Fatalf("%d requests have the key or wait for it, want %d", have, n)
		}
	}
}

type got struct {
	status int
	answer string
}

// sendAll sends n requests at the same time.
func (a *keyedAPI) sendAll(n int, key string) <-chan got {
	all := make(chan got, n)
	for range n {
		go func() {
			status, answer := a.send(a.t.Context(), key, "body")
			all <- got{status, answer}
		}()
	}
	return all
}

// TestSameKeyAtTheSameTime: one request is done, the others wait for it and get its answer.
func TestSameKeyAtTheSameTime(t *testing.T) {
	const n = 8
	a := newKeyedAPI(t)
	first, times := make(chan struct{}), 0
	a.act = func() (any, error) {
		<-first
		times++
		return fmt.Sprint("made ", times), nil
	}
	all := a.sendAll(n, "k")
	<-a.done
	a.waiting(n)
	// Another key does not wait, and neither does one whose client goes away.
	gone, leave := context.WithCancel(t.Context())
	leave()
	if status, text := a.send(gone, "k", "body"); status != 0 || text != context.Canceled.Error() {
		t.Errorf("a client that went away: %d %s", status, text)
	}
	other := a.sendAll(1, "other")
	<-a.done
	a.waiting(n + 1)
	close(first)
	texts := map[string]int{}
	for range n {
		g := <-all
		if g.status != http.StatusCreated {
			t.Errorf("%+v", g)
		}
		texts[g.answer]++
	}
	if g := <-other; g.status != http.StatusCreated || len(texts) != 1 {
		t.Errorf("the answers are %v, of the other key %+v", texts, g)
	}
	a.waiting(0)
	if status, _ := a.send(t.Context(), "k", "another body"); status != http.StatusUnprocessableEntity {
		t.Errorf("another request with the key: %d", status)
	}
	if len(a.done) != 0 {
		t.Errorf("%d were done too many", len(a.done))
	}
}

// TestRefusedKey: what was refused has no answer, so a repetition is done, as is the next one that waits.
func TestRefusedKey(t *testing.T) {
	a := newKeyedAPI(t)
	first, times := make(chan struct{}), 0
	a.act = func() (any, error) {
		<-first
		if times++; times == 1 {
			return nil, refuse(http.StatusConflict, "not now", "")
		}
		return "made", nil
	}
	all := a.sendAll(3, "k")
	before := <-a.done
	a.waiting(3)
	close(first)
	count := map[got]int{}
	for range 3 {
		count[<-all]++
	}
	if count[got{409, "not now"}] != 1 || count[got{201, `"made"`}] != 2 {
		t.Errorf("%v", count)
	}
	if next := <-a.done; next == before || len(a.done) != 0 {
		t.Errorf("the reservation is the same one, or more was done")
	}
}

// TestUnknownOutcome: after an error that leaves open whether it was done, and after a crash, a repetition finds the same reservation, so that what was
// done is not done again.
func TestUnknownOutcome(t *testing.T) {
	a := newKeyedAPI(t)
	a.act = func() (any, error) { return nil, store.ErrAway }
	if status, text := a.send(t.Context(), "k", "body"); status != 0 || !strings.Contains(text, store.ErrAway.Error()) {
		t.Errorf("%d %s", status, text)
	}
	before := <-a.done
	a.act = func() (any, error) { panic("a crash") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		a.send(t.Context(), "k", "body")
	}()
	if next := <-a.done; next != before {
		t.Errorf("the reservation is another one: %s, %s", before, next)
	}
	a.act = func() (any, error) { return "made", nil }
	a.Owner = "the next server"
	if status, text := a.send(t.Context(), "k", "body"); status != http.StatusCreated || text != `"made"` {
		t.Errorf("%d %s", status, text)
	}
	if next := <-a.done; next != before {
		t.Errorf("the reservation is another one: %s, %s", before, next)
	}
	a.waiting(0)
}
