package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

func eventOf(e store.Event) wire.Event {
	return wire.Event{ID: e.ID, Run: e.Run, Job: e.Job, Revision: e.Revision, At: e.At, Queue: string(e.Queue), Condition: string(e.Condition),
		Outcome: string(e.Outcome), Evidence: string(e.Source), Text: e.Text, By: e.By, Inferred: e.Inferred}
}

// events: GET /v1/events and /v1/jobs/{job}/events, ?run=&after=ID&limit=. Accept: text/event-stream makes it a stream that goes on; it
// begins after Last-Event-ID or after=, or with what comes next.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := store.EventFilter{Team: who(r).team, Run: q.Get("run")}
	if r.PathValue("job") != "" {
		j, err := a.job(r)
		if err != nil {
			return err
		}
		f.Job = j.Name
	}
	var err error
	if f.Limit, err = limit(r); err != nil {
		return err
	}
	after := q.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	if after != "" {
		if f.After, err = strconv.ParseInt(after, 10, 64); err != nil {
			return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not the id of an event", after), "")
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return a.stream(w, r, f, after == "")
	}
	f.Newest = after == ""
	all, err := a.Store.Events(r.Context(), f)
	if err != nil {
		return err
	}
	events := make([]wire.Event, len(all))
	for i, e := range all {
		events[i] = eventOf(e)
	}
	return answer(w, http.StatusOK, map[string]any{"events": events})
}

// Times of a stream.
const (
	streamPoll  = 250 * time.Millisecond
	streamCheck = time.Minute // rights are looked at again; see API.StreamCheck
	streamAlive = 15 * time.Second
	streamWrite = 30 * time.Second // a reader that takes nothing for this long is cut off
)

func (a *API) streamCheck() time.Duration { return cmp.Or(a.StreamCheck, streamCheck) }

// mayStillRead reports whether the caller of a stream would be let in again: the token is valid, its team is the same, and it may read. A request
// whose session has ended is the local user's where no token is needed: the stream of a person who signed out ends all the same.
func (a *API) mayStillRead(r *http.Request) bool {
	c, err := a.caller(r)
	return err == nil && c.team == who(r).team && c.session.IsZero() == who(r).session.IsZero() && allowed(c, store.RoleView) == nil
}

func (a *API) stream(w http.ResponseWriter, r *http.Request, f store.EventFilter, fromNow bool) error {
	end, err := a.streaming(w, r)
	if err != nil {
		return err
	}
	defer end()
	if fromNow {
		last, err := a.Store.Events(r.Context(), store.EventFilter{Newest: true, Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range last {
			f.After = e.ID
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	write := func(text string) bool {
		rc.SetWriteDeadline(time.Now().Add(streamWrite))
		_, err := w.Write([]byte(text))
		return err == nil && rc.Flush() == nil
	}
	if !write(": events follow\n\n") {
		return nil
	}
	checked, spoke := time.Now(), time.Now()
	for {
		all, err := a.Store.Events(r.Context(), f)
		if err != nil {
			return nil // the caller comes back with Last-Event-ID
		}
		for _, e := range all {
			b, err := json.Marshal(eventOf(e))
			if err != nil {
				return nil
			}
			if !write(fmt.Sprintf("id: %d\nevent: transition\ndata: %s\n\n", e.ID, b)) {
				return nil
			}
			f.After, spoke = e.ID, time.Now()
		}
		if time.Since(spoke) > streamAlive {
			if !write(": still here\n\n") {
				return nil
			}
			spoke = time.Now()
		}
		if time.Since(checked) > a.streamCheck() {
			if !a.mayStillRead(r) {
				return nil
			}
			checked = time.Now()
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-time.After(streamPoll):
		}
	}
}
