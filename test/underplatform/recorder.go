// Package underplatform runs real JobManagers under a platform that only records, and shows what reaches it, in which
// order, and how long a platform that is away holds a JobManager.
package underplatform

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Event is the body of a POST to the events URL.
type Event struct {
	Run       string `json:"run"`
	Attempt   string `json:"attempt"`
	Sequence  int64  `json:"sequence"`
	JobID     string `json:"jobId"`
	JobName   string `json:"jobName"`
	OldStatus string `json:"oldStatus"`
	Status    string `json:"status"`
	Cause     string `json:"cause"`
	At        int64  `json:"at"` // ms
}

// Archive is one PUT below the run's archive.
type Archive struct {
	Name    string // the path below archive/
	Attempt string
	Body    []byte
	At      time.Time
}

// Path returns the JSON that the archive holds for a path of the REST API.
func (a Archive) Path(path string, into any) error {
	var content struct {
		Archive []struct{ Path, JSON string }
	}
	if err := json.Unmarshal(a.Body, &content); err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	for _, entry := range content.Archive {
		if entry.Path == path {
			return json.Unmarshal([]byte(entry.JSON), into)
		}
	}
	return fmt.Errorf("%s has no %s", a.Name, path)
}

// Recorder is a platform that keeps what it is sent. Answer may change what it does.
type Recorder struct {
	Token   string
	address string

	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request) bool
	server   *http.Server
	events   []Event
	archives []Archive
	refused  []string // what was wrong with a request
	requests int
}

// recorders counts them.
var recorders atomic.Uint32

// NewRecorder listens on a port of a loopback address of its own: nothing else takes the port while the recorder does not listen.
func NewRecorder(token string) (*Recorder, error) {
	r := &Recorder{Token: token, address: fmt.Sprintf("127.0.1.%d:0", 1+recorders.Add(1)%250)}
	return r, r.Open()
}

// Open listens again, after Close, on the same port.
func (r *Recorder) Open() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address = l.Addr().String()
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(l) }() // ends with Close
	return nil
}

// Close makes connections be refused.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
}

// URL is the events URL.
func (r *Recorder) URL() string { return "http://" + r.address + "/v1/flink-events" }

// Answer sets what is done with the next requests: f answers and returns true, or returns false for the usual.
func (r *Recorder) Answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Events returns those that were taken so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// Archives returns those that were taken so far.
func (r *Recorder) Archives() []Archive {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Archive(nil), r.archives...)
}

// Requests returns how many requests came, and what was wrong with them.
func (r *Recorder) Requests() (int, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, append([]string(nil), r.refused...)
}

// WaitEvents waits until what was taken satisfies enough.
func (r *Recorder) WaitEvents(ctx context.Context, enough func([]Event) bool) ([]Event, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if events := r.Events(); enough(events) {
			return events, nil
		}
		select {
		case <-ctx.Done():
			return r.Events(), fmt.Errorf("%d events came, expected others: %w", len(r.Events()), ctx.Err())
		case <-tick.C:
		}
	}
}

// ServeHTTP is the platform's part of the API.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	answer := r.answer
	r.requests++
	r.mu.Unlock()
	if answer != nil && answer(w, req) {
		return
	}
	body, err := io.ReadAll(req.Body)
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	refuse := func(code int, format string, args ...any) {
		r.refused = append(r.refused, req.Method+" "+req.URL.String()+": "+fmt.Sprintf(format, args...))
		w.WriteHeader(code)
	}
	const events, archive = "/v1/flink-events", "/archive/"
	name, isArchive := "", false
	if _, after, ok := strings.Cut(req.URL.Path, archive); ok && strings.HasPrefix(req.URL.Path, "/v1/runs/") {
		name, isArchive = after, true
	}
	switch {
	case err != nil:
		refuse(http.StatusBadRequest, "%v", err)
	case req.Header.Get("Authorization") != "Bearer "+r.Token:
		refuse(http.StatusUnauthorized, "not the token")
	case req.Header.Get("Content-Type") != "application/json" || req.Header.Get("Flink-Attempt") == "":
		refuse(http.StatusBadRequest, "headers %v", req.Header)
	case req.Method == http.MethodPost && req.URL.Path == events:
		var e Event
		if err := json.Unmarshal(body, &e); err != nil {
			refuse(http.StatusBadRequest, "%v", err)
			return
		}
		r.events = append(r.events, e)
		w.WriteHeader(http.StatusNoContent)
	case req.Method == http.MethodPut && isArchive:
		for _, a := range r.archives {
			if a.Name == name && req.Header.Get("If-None-Match") == "*" {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
		}
		r.archives = append(r.archives, Archive{name, req.Header.Get("Flink-Attempt"), body, at})
		w.WriteHeader(http.StatusCreated)
	default:
		refuse(http.StatusNotFound, "unknown")
	}
}
