package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/cluster"
)

// A driver starts clusters of a fleet, which can be in another process. As the real drivers do, it hears of a process's end at once.
type driver struct {
	control string
	ended   func(run string)
	shared  bool   // other servers start clusters too
	dir     string // of savepoints, if they are files of this machine

	mu   sync.Mutex
	runs map[string]*cluster.Status
}

var _ cluster.Driver = (*driver)(nil)

func newDriver(control string) *driver {
	return &driver{control: control, runs: map[string]*cluster.Status{}}
}

// listen hears of the ends of processes until ctx ends.
func (d *driver) listen(ctx context.Context) error {
	path := "/exits"
	if d.shared {
		path += "?from=now"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.control+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if d.shared { // what was observed before may have ended meanwhile
		d.mu.Lock()
		clear(d.runs)
		d.mu.Unlock()
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var x exit
		if err := lines.Decode(&x); err != nil {
			return err
		}
		d.mu.Lock()
		if d.shared || d.runs[x.Run] != nil { // one that is being observed may be known in a moment
			d.runs[x.Run] = statusOf(x.Run, observed{Exited: true, Exit: x})
		}
		d.mu.Unlock()
		d.ended(x.Run)
	}
}

// attemptOf is the identity of the one JobManager process of a run.
func attemptOf(run string) string { return run + "-a1" }

// Start is as cluster.Driver says.
func (d *driver) Start(ctx context.Context, s cluster.Spec) error {
	d.mu.Lock()
	known := d.runs[s.Run] != nil
	d.mu.Unlock()
	if known {
		return nil
	}
	token, err := s.Token(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(begin{Run: s.Run, JobID: s.JobID, Token: token, Definition: s.Definition, Events: s.Events})
	if err != nil {
		return err
	}
	host, status, err := d.ask(ctx, "/start", body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("start: %d %s", status, host)
	}
	if d.shared { // it may have ended already
		_, err := d.Observe(ctx, s.Run)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runs[s.Run] = statusOf(s.Run, observed{Exit: exit{Host: host}})
	return nil
}

// An observed is how a cluster is. Where it has not exited, Exit has its host alone.
type observed struct {
	Exited bool
	Exit   exit
}

func statusOf(run string, o observed) *cluster.Status {
	now := time.Now()
	s := &cluster.Status{REST: []string{"http://" + o.Exit.Host}, Processes: []cluster.Process{
		{Name: "jobmanager-1", JobManager: true, Attempt: attemptOf(run), Started: now, Alive: true},
		{Name: "taskmanager-1", Attempt: run + "-t1", Started: now, Alive: true}}}
	if o.Exited {
		for i := range s.Processes {
			s.Processes[i].Alive, s.Processes[i].Code, s.Processes[i].Ended = false, o.Exit.Code, o.Exit.At
		}
	}
	return s
}

func (d *driver) ask(ctx context.Context, path string, body []byte) (string, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.control+path, bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.StatusCode, err
}

// Observe is as cluster.Driver says.
func (d *driver) Observe(ctx context.Context, run string) (cluster.Status, error) {
	d.mu.Lock()
	s := d.runs[run]
	d.mu.Unlock()
	if s != nil {
		return *s, nil // never changed, but replaced
	}
	if !d.shared {
		return cluster.Status{}, cluster.ErrUnknown
	}
	text, status, err := d.ask(ctx, "/observe?run="+url.QueryEscape(run), nil)
	switch {
	case err != nil:
		return cluster.Status{}, err
	case status == http.StatusNotFound:
		return cluster.Status{}, cluster.ErrUnknown
	case status != http.StatusOK:
		return cluster.Status{}, fmt.Errorf("observe: %d %s", status, text)
	}
	var o observed
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return cluster.Status{}, err
	}
	s = statusOf(run, o)
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.runs[run]; now != nil && !now.Processes[0].Alive { // its end was heard of meanwhile
		return *now, nil
	}
	d.runs[run] = s
	return *s, nil
}

// Delete is as cluster.Driver says.
func (d *driver) Delete(ctx context.Context, run string) (bool, error) {
	text, status, err := d.ask(ctx, "/delete?run="+url.QueryEscape(run), nil)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusGone:
		return true, nil
	case status != http.StatusOK:
		return false, fmt.Errorf("delete: %d %s", status, text)
	}
	return false, nil
}

// Remove is as cluster.Driver says.
func (d *driver) Remove(_ context.Context, run string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.runs, run)
	return nil
}

// Logs is as cluster.Driver says.
func (d *driver) Logs(context.Context, string, string, int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

// Runs is as cluster.Driver says.
func (d *driver) Runs(context.Context) ([]string, error) { return nil, nil }

// SavepointDir is as cluster.Driver says.
func (d *driver) SavepointDir(run string) string { return "file:" + d.dir + "/savepoints/" + run }

// A localDriver's savepoints are files of this machine.
type localDriver struct{ *driver }

// LocalFiles is as cluster.LocalFiles says.
func (localDriver) LocalFiles() {}
