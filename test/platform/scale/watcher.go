package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/recorded"
)

// A watcher is the user of the platform, and the one who compares it with the clusters.
type watcher struct {
	fleet *fleet
	url   string
	until time.Time // when the last cluster ends
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// call asks the platform.
func (w *watcher) call(method, path string, body []byte, out any) error {
	req, err := http.NewRequest(method, w.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := w.fleet.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	return err
}

const definition = `apiVersion: flink-entrypoint/v1
name: %s
sql:
  script: |
    CREATE TABLE s (id INT) WITH ('connector' = 'datagen');
    CREATE TABLE p (id INT) WITH ('connector' = 'print');
    INSERT INTO p SELECT id FROM s;
x-platform: {startWithin: 30 min}
`

// submit stores and starts every job, from several users at once.
func (w *watcher) submit() error {
	var all sync.WaitGroup
	work := make(chan *member)
	errs := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			for m := range work {
				err := w.call(http.MethodPut, "/v1/jobs/"+m.name(), fmt.Appendf(nil, definition, m.name()), nil)
				if err == nil {
					err = w.call(http.MethodPost, "/v1/jobs/"+m.name()+"/start", []byte("{}"), nil)
				}
				if err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for _, m := range w.fleet.members {
		work <- m
	}
	close(work)
	all.Wait()
	close(errs)
	return <-errs
}

// eventually waits for a condition.
func eventually(within time.Duration, ok func() (error, bool)) error {
	for end := time.Now().Add(within); ; time.Sleep(250 * time.Millisecond) {
		err, now := ok()
		if now {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %s: %w", within, err)
		}
	}
}

// depths are the queues by name.
func (w *watcher) depths() (map[string]int, error) {
	var h wire.Health
	err := w.call(http.MethodGet, "/v1/health", nil, &h)
	n := map[string]int{}
	for _, q := range h.Queues {
		n[q.Name] = q.Runs
	}
	return n, err
}

func (w *watcher) allRun(within time.Duration) error {
	return eventually(within, func() (error, bool) {
		n, err := w.depths()
		if err != nil {
			return err, false
		}
		return unless(n["running"] == len(w.fleet.members), "%d of %d run: %v", n["running"], len(w.fleet.members), n)
	})
}

// unless is what eventually wants to know.
func unless(ok bool, format string, args ...any) (error, bool) {
	if ok {
		return nil, true
	}
	return fmt.Errorf(format, args...), false
}

// disturb lets clusters restart and be silent.
func (w *watcher) disturb() {
	for _, m := range w.fleet.members {
		switch m.fate {
		case restarts:
			w.fleet.becomes(m, recorded.Restarting)
		case silent:
			m.setQuiet(true)
		}
	}
}

// jobs are all jobs of the platform with their newest runs.
func (w *watcher) jobs() (map[string]wire.Job, error) {
	all := map[string]wire.Job{}
	for after := ""; ; {
		var page struct{ Jobs []wire.Job }
		if err := w.call(http.MethodGet, "/v1/jobs?limit=1000&after="+url.QueryEscape(after), nil, &page); err != nil {
			return nil, err
		}
		for _, j := range page.Jobs {
			all[j.Name], after = j, j.Name
		}
		if len(page.Jobs) < 1000 {
			return all, nil
		}
	}
}

// settled waits until the platform knows what disturb has done.
func (w *watcher) settled(within time.Duration) error {
	return eventually(within, func() (error, bool) {
		all, err := w.jobs()
		if err != nil {
			return err, false
		}
		for _, m := range w.fleet.members {
			run := all[m.name()].Run
			want := map[fate]string{restarts: "restarting", silent: "lost"}[m.fate]
			if run == nil || run.Condition != want {
				return unless(false, "%s: %+v, want %q", m.name(), run, want)
			}
		}
		return nil, true
	})
}

// openWindow begins to measure times between checks.
func (f *fleet) openWindow() {
	for _, m := range f.members {
		m.gap.Store(0)
	}
}

func (f *fleet) checks() int64 {
	var n int64
	for _, m := range f.members {
		n += m.checks.Load()
	}
	return n
}

// longest is the longest time between two checks of clusters that run: those that push, and those that do not.
func (f *fleet) longest() (pushing, polled time.Duration) {
	now := time.Now().UnixNano()
	for _, m := range f.members {
		if m.fate != runs {
			continue
		}
		gap := time.Duration(max(m.gap.Load(), now-m.last.Load()))
		if m.way == byListener {
			pushing = max(pushing, gap)
		} else {
			polled = max(polled, gap)
		}
	}
	return pushing, polled
}

// endSome lets jobs end in the window, each at a time of its own.
func (w *watcher) endSome(window time.Duration) {
	for _, m := range w.fleet.members {
		if m.fate == ends {
			at := time.Duration(rand.Float64() * float64(window))
			w.fleet.after(at, func() { w.fleet.becomes(m, m.end) })
		}
	}
	w.until = time.Now().Add(window)
}

// allEnded waits until no run has a cluster that should be deleted, and each end is known.
func (w *watcher) allEnded(within time.Duration) error {
	return eventually(time.Until(w.until)+within, func() (error, bool) {
		for _, m := range w.fleet.members {
			m.mu.Lock()
			ended, deleted, exited := !m.endedAt.IsZero(), !m.deletedAt.IsZero(), m.exited
			m.mu.Unlock()
			if m.fate == ends && (!ended || !deleted || !exited) {
				return unless(false, "%s: ended %t, deleted %t, its process ended %t", m.name(), ended, deleted, exited)
			}
		}
		return nil, true
	})
}

// judge compares every run with its cluster, and returns how long each end took to become an event.
func (w *watcher) judge() (map[way][]time.Duration, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	jobs, err := w.jobs()
	if err != nil {
		return nil, err
	}
	ended := map[string][]wire.Event{}
	for after := int64(0); ; {
		var page struct{ Events []wire.Event }
		if err := w.call(http.MethodGet, fmt.Sprintf("/v1/events?limit=10000&after=%d", after), nil, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			after = e.ID
			if e.Outcome != "" && strings.HasPrefix(e.Text, e.Outcome) {
				ended[e.Run] = append(ended[e.Run], e)
			}
		}
		if len(page.Events) < 10000 {
			break
		}
	}
	if len(jobs) != len(w.fleet.members) {
		fault("%d jobs, want %d", len(jobs), len(w.fleet.members))
	}
	delays := map[way][]time.Duration{}
	for _, m := range w.fleet.members {
		m.mu.Lock()
		run, starts, at := m.run, m.starts, m.endedAt
		deleted := !m.deletedAt.IsZero()
		m.mu.Unlock()
		r := jobs[m.name()].Run
		switch {
		case r == nil || r.ID != run:
			fault("%s: its run is %+v, its cluster is of %s", m.name(), r, run)
			continue
		case starts != 1:
			fault("%s: its cluster was started %d times", m.name(), starts)
		case m.checks.Load() == 0:
			fault("%s: its cluster was never looked at", m.name())
		case m.strange.Load() > 0:
			fault("%s: its cluster got %d requests that change it", m.name(), m.strange.Load())
		case m.atOnce.Load() > 2:
			fault("%s: its cluster got %d requests at the same time", m.name(), m.atOnce.Load())
		}
		if m.fate != ends {
			condition := map[fate]string{restarts: "restarting", silent: "lost"}[m.fate]
			if r.Queue != "running" || r.Condition != condition || r.Outcome != "" || len(ended[run]) > 0 || deleted {
				fault("%s %s: %s/%s %s, %d events of an end, deleted %t", m.name(), m.fate, r.Queue, r.Condition, r.Outcome, len(ended[run]), deleted)
			}
			continue
		}
		queue := map[string]string{recorded.Finished: "finish", recorded.Failed: "failed", recorded.Canceled: "cancel"}[m.end]
		if r.Queue != queue || r.Outcome != m.end {
			fault("%s (%s) ended %s: it is %s in %s by %s: %s", m.name(), m.way, m.end, r.Outcome, r.Queue, r.Evidence, r.Reason)
		}
		if len(ended[run]) != 1 {
			fault("%s has %d events of its end: %+v", m.name(), len(ended[run]), ended[run])
			continue
		}
		delays[m.way] = append(delays[m.way], ended[run][0].At.Sub(at))
	}
	for _, d := range delays {
		slices.Sort(d)
	}
	w.fleet.mu.Lock()
	for _, text := range w.fleet.bugs {
		fault("%s", text)
	}
	w.fleet.mu.Unlock()
	if len(faults) > 20 {
		faults = append(faults[:20], fmt.Errorf("and %d more", len(faults)-20))
	}
	return delays, errors.Join(faults...)
}
