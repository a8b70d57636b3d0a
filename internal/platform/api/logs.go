package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/store"
)

// logs: GET /v1/jobs/{job}/logs?run=&process=&tail=N&follow=true: lines of a run's processes and events of the platform. Each line is a JSON
// object {source, line}, so that a reader can separate them.
func (a *API) logs(w http.ResponseWriter, r *http.Request) error {
	run, err := a.run(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	tail, err := number(q.Get("tail"), 1000, 1, 100000)
	if err != nil {
		return err
	}
	status, err := a.Driver.Observe(r.Context(), run.State.ID)
	if err != nil {
		return refuse(http.StatusNotFound, "the logs of this run are not kept any more", "")
	}
	if q.Get("follow") == "true" {
		end, err := a.streaming(w, r)
		if err != nil {
			return err
		}
		defer end()
	}
	w.Header().Set("Content-Type", "application/jsonl")
	rc := http.NewResponseController(w)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	type line struct {
		Source string `json:"source"`
		Line   string `json:"line"`
	}
	events, err := a.Store.Events(r.Context(), store.EventFilter{Run: run.State.ID})
	if err != nil {
		return err
	}
	after := int64(0)
	tell := func(events []store.Event) error {
		for _, e := range events {
			after = e.ID
			if err := out.Encode(line{"platform", fmt.Sprintf("%s %s %s: %s", e.At.Format(time.RFC3339), e.Queue, e.Source, e.Text)}); err != nil {
				return err
			}
		}
		return nil
	}
	if q.Get("process") == "" || q.Get("process") == "platform" {
		if tell(events) != nil {
			return nil
		}
	}
	offsets := map[string]int64{}
	for _, p := range status.Processes {
		if q.Get("process") != "" && q.Get("process") != p.Name {
			continue
		}
		lines, end, err := a.lines(r, run.State.ID, p.Name, 0)
		if err != nil {
			return err
		}
		offsets[p.Name] = end
		for _, text := range lines[max(0, len(lines)-tail):] {
			if out.Encode(line{p.Name, text}) != nil {
				return nil
			}
		}
	}
	for q.Get("follow") == "true" && r.Context().Err() == nil {
		rc.Flush()
		select {
		case <-r.Context().Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		for name, offset := range offsets {
			lines, end, err := a.lines(r, run.State.ID, name, offset)
			if err != nil {
				return nil
			}
			offsets[name] = end
			for _, text := range lines {
				if out.Encode(line{name, text}) != nil {
					return nil
				}
			}
		}
		more, err := a.Store.Events(r.Context(), store.EventFilter{Run: run.State.ID, After: after})
		if err != nil || tell(more) != nil {
			return nil
		}
		if now, err := a.Store.Run(r.Context(), run.State.ID); err != nil || now.State.HasEnded() && len(now.Pending) == 0 {
			return nil
		}
	}
	return nil
}

// lines reads the lines of a log after an offset, and where they end. A line longer than 64 KiB is cut.
func (a *API) lines(r *http.Request, run, process string, offset int64) ([]string, int64, error) {
	f, err := a.Driver.Logs(r.Context(), run, process)
	if err != nil {
		return nil, offset, err
	}
	defer f.Close()
	if _, err := io.CopyN(io.Discard, f, offset); err != nil && err != io.EOF {
		return nil, offset, err
	}
	var lines []string
	b := bufio.NewReaderSize(f, 64<<10)
	for {
		text, err := b.ReadSlice('\n')
		if len(text) > 0 && (err == nil || err == bufio.ErrBufferFull) {
			offset += int64(len(text))
			lines = append(lines, strings.ToValidUTF8(strings.TrimRight(string(text), "\r\n"), "?"))
		}
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			return lines, offset, nil
		default:
			return lines, offset, err
		}
	}
}
