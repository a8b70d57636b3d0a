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

	mu   sync.Mutex
	runs map[string]*cluster.Status
}

var _ cluster.Driver = (*driver)(nil)

func newDriver(control string) *driver {
	return &driver{control: control, runs: map[string]*cluster.Status{}}
}

// listen hears of the ends of processes until ctx ends.
func (d *driver) listen(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.control+"/exits", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for lines := json.NewDecoder(resp.Body); ; {
		var x exit
		if err := lines.Decode(&x); err != nil {
			return err
		}
		d.mu.Lock()
		if s := d.runs[x.Run]; s != nil {
			processes := append([]cluster.Process(nil), s.Processes...)
			for i := range processes {
				processes[i].Alive, processes[i].Code, processes[i].Ended = false, x.Code, x.At
			}
			d.runs[x.Run] = &cluster.Status{REST: s.REST, Processes: processes}
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
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runs[s.Run] = &cluster.Status{REST: []string{"http://" + host}, Processes: []cluster.Process{
		{Name: "jobmanager-1", JobManager: true, Attempt: attemptOf(s.Run), Started: now, Alive: true},
		{Name: "taskmanager-1", Attempt: s.Run + "-t1", Started: now, Alive: true}}}
	return nil
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
func (d *driver) Observe(_ context.Context, run string) (cluster.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.runs[run]
	if s == nil {
		return cluster.Status{}, cluster.ErrUnknown
	}
	return *s, nil // never changed, but replaced
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
func (d *driver) SavepointDir(run string) string { return "file:/savepoints/" + run }
