package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flink-entrypoint/test/platform/recorded"
)

// What clusters do beside, where several servers look after them.

// of is the cluster of a job's run: its first one, or the one of the run that the restart policy makes.
func (f *fleet) of(m *member, run string) *member {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fate != beginsAnew || m.run == "" || m.run == run {
		return m
	}
	if m.next == nil {
		m.next = &member{number: m.number + len(f.members), job: m.number, version: m.version, way: m.way, fate: ends, end: recorded.Finished, cycle: m.cycle}
		f.mu.Lock()
		f.byHost[f.host(m.next)] = m.next
		f.mu.Unlock()
		if m.endedAt.IsZero() {
			f.bug("%s: another run begins while its first goes on", m.name())
		}
	}
	return m.next
}

// pod starts as a pod of the entrypoint does: by asking for its definition. again: its cluster was deleted, so nothing may run.
func (f *fleet) pod(m *member, b begin, again bool) {
	got, err := f.definition(b)
	switch {
	case err != nil:
		f.bug("%s: its definition: %v", m.name(), err)
	case again && got:
		f.bug("%s: its job begins again after its end", m.name())
	case again:
		f.lates.Add(1)
	case !got:
		f.bug("%s: its definition is refused", m.name())
	default:
		m.mu.Lock()
		m.lives++
		m.mu.Unlock()
		f.becomes(m, recorded.Running)
		f.lives(m)
	}
}

// definition asks for it until there is an answer. got false: it is refused.
func (f *fleet) definition(b begin) (got bool, err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && f.ctx.Err() == nil; {
		var req *http.Request
		if req, err = http.NewRequestWithContext(f.ctx, http.MethodGet, b.Definition, nil); err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+b.Token)
		var resp *http.Response
		if resp, err = f.client.Do(req); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			switch {
			case err != nil:
			case resp.StatusCode == http.StatusOK:
				return true, nil
			case resp.StatusCode < 500:
				return false, nil
			default:
				err = fmt.Errorf("%s", resp.Status)
			}
		}
		wait(f.ctx, 200*time.Millisecond)
	}
	return false, err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// lives lets a job that runs go its way.
func (f *fleet) lives(m *member) {
	switch m.fate {
	case restarts:
		f.after(m.cycle/2, func() { f.becomes(m, recorded.Restarting) })
		f.after(m.cycle, func() { f.becomes(m, recorded.Running) })
		f.after(m.cycle*3/2, func() { f.becomes(m, m.end) })
	case pauses:
		f.after(m.cycle/2, func() { m.setQuiet(true) })
		f.after(m.cycle, func() { m.setQuiet(false) })
		f.after(m.cycle*3/2, func() { f.becomes(m, m.end) })
	case ends, beginsAnew:
		f.after(m.cycle, func() { f.becomes(m, m.end) })
	}
}

// asked answers what changes a job, as a JobManager does. false: it is not such a request.
func (f *fleet) asked(w http.ResponseWriter, r *http.Request, m *member) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := strings.CutPrefix(r.URL.Path, "/jobs/"+m.id)
	if !ok || m.id == "" || m.state == "" || m.exited || m.quiet {
		return false
	}
	trigger, isSavepoint := strings.CutPrefix(at, "/savepoints/")
	switch {
	case r.Method == http.MethodPatch && at == "":
		m.cancels++
		f.after(300*time.Millisecond, func() { f.becomes(m, recorded.Canceled) })
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "{}")
	case r.Method == http.MethodPost && at == "/stop":
		var in struct{ TargetDirectory, TriggerID string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return true
		}
		if m.stops == nil {
			m.stops = map[string]bool{}
		}
		if !m.stops[in.TriggerID] { // Flink does what a trigger asks for once
			m.stops[in.TriggerID] = true
			dir := filepath.Join(strings.TrimPrefix(in.TargetDirectory, "file:"), "savepoint-1")
			f.after(300*time.Millisecond, func() {
				err := os.MkdirAll(dir, 0o700)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "_metadata"), nil, 0o600)
				}
				if err != nil {
					f.bug("%s: its savepoint: %v", m.name(), err)
				}
				m.mu.Lock()
				m.savepoint = "file:" + dir
				m.mu.Unlock()
				f.becomes(m, recorded.Stopped)
			})
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"request-id":%q}`, in.TriggerID)
	case r.Method == http.MethodGet && isSavepoint && m.stops[trigger] && m.savepoint == "":
		io.WriteString(w, `{"status":{"id":"IN_PROGRESS"},"operation":null}`)
	case r.Method == http.MethodGet && isSavepoint && m.stops[trigger]:
		fmt.Fprintf(w, `{"status":{"id":"COMPLETED"},"operation":{"location":%q}}`, m.savepoint)
	default:
		return false
	}
	return true
}

// refused notes that something was not taken, and reports whether its cluster is deleted by then. A server that was killed before it answered leaves
// the JobManager to send its archive again, with a token that has ended; whether the platform has it is looked at in the end.
func (m *member) refused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unanswered = !m.deletedAt.IsZero()
	return m.unanswered
}
