package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/store"
)

// Bounds of logs.
const (
	maxLine       = 64 << 10               // bytes; a longer line is cut in pieces
	platformLines = 1000                   // of a run's events, the newest
	logPoll       = 500 * time.Millisecond // between two looks at logs that are followed
	logPass       = 10000                  // lines of one look; then rights are checked and the run's end is seen
)

// logs: GET /v1/jobs/{job}/logs?run=&process=&contains=&tail=N&follow=true: lines of a run's processes and events of the platform, merged by time. Each line
// is a JSON object {source, line}, so that a reader can separate them. One line of each source is held at a time, however long logs are.
func (a *API) logs(w http.ResponseWriter, r *http.Request) error {
	run, err := a.run(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	tail, err := number(r, "tail", 1000, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	status, err := a.Driver.Observe(r.Context(), run.ClusterRun())
	if err != nil {
		return refuse(http.StatusNotFound, "the logs of this run are not kept any more", "")
	}
	follow := q.Get("follow") == "true"
	if follow {
		end, err := a.streaming(w, r)
		if err != nil {
			return err
		}
		defer end()
	}
	sources := []string{platformSource}
	for _, p := range status.Processes {
		sources = append(sources, p.Name)
	}
	w.Header().Set("Log-Sources", strings.Join(sources, ", "))
	contains := bytes.ToLower([]byte(q.Get("contains")))
	var m merged
	defer m.close()
	if p := q.Get("process"); p == "" || p == platformSource {
		m.add(platformSource, a.platformLines(r.Context(), run.State.ID, min(tail, platformLines)))
	}
	for _, p := range status.Processes {
		if name := q.Get("process"); name != "" && name != p.Name {
			continue
		}
		log, err := a.Driver.Logs(r.Context(), run.ClusterRun(), p.Name, tail)
		if err != nil {
			return err
		}
		m.add(p.Name, &logLines{log: log, buffer: bufio.NewReader(log), at: p.Started})
	}
	w.Header().Set("Content-Type", "application/jsonl")
	rc := http.NewResponseController(w)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	wrote := false
	checked := time.Now()
	// pass writes what there is now, and reports whether there was more than one pass takes.
	pass := func(last bool) (more bool, err error) {
		for n := range logPass {
			if n%1000 == 0 {
				rc.SetWriteDeadline(time.Now().Add(streamWrite))
			}
			name, line, err := m.next(last)
			if err != nil || line == nil {
				return false, err
			}
			if len(contains) > 0 && !bytes.Contains(bytes.ToLower(line), contains) {
				continue
			}
			wrote = true
			err = out.Encode(struct {
				Source string `json:"source"`
				Line   string `json:"line"`
			}{name, mask.Text(string(bytes.ToValidUTF8(line, []byte("?"))))})
			if err != nil {
				return false, err
			}
		}
		return true, nil
	}
	for ended := !follow; ; {
		more, err := pass(ended)
		if err != nil && !wrote {
			return err
		}
		if err != nil {
			a.Log.Debug("logs end early", "run", run.State.ID, "error", err) // the status was sent: the caller sees only the end
			return nil
		}
		if time.Since(checked) > a.streamCheck() { // also while lines come faster than they are read
			if !a.mayStillRead(r) {
				return nil
			}
			checked = time.Now()
		}
		if more {
			continue
		}
		if ended {
			return nil
		}
		rc.Flush()
		select {
		case <-r.Context().Done():
			return nil
		case <-time.After(logPoll):
		}
		// Before the last pass: what is written until then belongs to it.
		now, err := a.Store.Run(r.Context(), run.State.ID)
		if ended = errors.Is(err, store.ErrNotFound) || err == nil && now.State.HasEnded() && len(now.Pending) == 0; err != nil && !ended {
			return nil
		}
	}
}

// A lineSource gives lines in the order in which they were written, each with a time.
type lineSource interface {
	// next is the next line, without its end; it is valid until the next call. nil: none is there now. last: what is there of an unfinished
	// line is a line.
	next(last bool) (line []byte, at time.Time, err error)
	close()
}

// merged is several sources, by time. Where times are equal, the order is that of add.
type merged struct{ sources []*mergedSource }

type mergedSource struct {
	name  string
	lines lineSource
	line  []byte // nil: to be read
	at    time.Time
}

func (m *merged) add(name string, lines lineSource) {
	m.sources = append(m.sources, &mergedSource{name: name, lines: lines})
}

func (m *merged) close() {
	for _, s := range m.sources {
		s.lines.close()
	}
}

// next is the line with the earliest time. nil: no source has one now.
func (m *merged) next(last bool) (name string, line []byte, err error) {
	var first *mergedSource
	for _, s := range m.sources {
		if s.line == nil {
			if s.line, s.at, err = s.lines.next(last); err != nil {
				return "", nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if s.line != nil && (first == nil || s.at.Before(first.at)) {
			first = s
		}
	}
	if first == nil {
		return "", nil, nil
	}
	line, first.line = first.line, nil
	return first.name, line, nil
}

// logLines are the lines of a process's log. A line without a time has the time of the line before it, so that a stack stays with its message; and
// a time never goes back, so that the order of the log stays.
type logLines struct {
	log    io.ReadCloser
	buffer *bufio.Reader
	at     time.Time
	line   []byte // what was read of it
	ended  bool   // line was given: the next one begins
	piece  bool   // the next line is the rest of a long one
}

func (l *logLines) close() { l.log.Close() }

func (l *logLines) next(last bool) ([]byte, time.Time, error) {
	if l.ended {
		l.line, l.ended = l.line[:0], false
	}
	for {
		part, err := l.buffer.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case err == nil, len(l.line) >= maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			if !last || len(l.line) == 0 {
				return nil, l.at, nil
			}
		default:
			return nil, l.at, err
		}
		if at, ok := timeOf(l.line); ok && !l.piece && at.After(l.at) {
			l.at = at
		}
		l.ended, l.piece = true, err != nil
		line := bytes.TrimRight(l.line, "\r\n")
		if line == nil {
			line = []byte{}
		}
		return line, l.at, nil
	}
}

// timeOf reads the time at the beginning of a line: 2006-01-02 15:04:05,000 as Flink's log4j has it, in the local time of this machine, which is
// the time of its processes; or in the form of RFC 3339.
func timeOf(line []byte) (time.Time, bool) {
	const form = "2006-01-02T15:04:05.000"
	if len(line) < len(form) || line[4] != '-' || line[7] != '-' || line[10] != ' ' && line[10] != 'T' || line[13] != ':' || line[16] != ':' {
		return time.Time{}, false
	}
	n := func(from, to int) int {
		v := 0
		for _, c := range line[from:to] {
			if c < '0' || c > '9' {
				return math.MinInt16
			}
			v = 10*v + int(c-'0')
		}
		return v
	}
	year, month, day, hour, minute, second, ms := n(0, 4), n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19), 0
	if line[19] == ',' || line[19] == '.' {
		ms = n(20, 23)
	}
	if min(year, month, day, hour, minute, second, ms) < 0 || month > 12 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	if line[10] == 'T' { // RFC 3339 has an offset
		word := line
		if i := bytes.IndexAny(line, " \t\r\n"); i > 0 {
			word = line[:i]
		}
		t, err := time.Parse(time.RFC3339Nano, string(word))
		return t, err == nil
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, ms*1e6, time.Local), true
}

const platformSource = "platform"

// platformLines are a run's events as lines, beginning with the newest ones.
func (a *API) platformLines(ctx context.Context, run string, newest int) lineSource {
	return &eventLines{list: func(after int64) ([]store.Event, error) {
		f := store.EventFilter{Run: run, After: after, Limit: platformLines}
		if after == 0 {
			f.Newest, f.Limit = true, newest
		}
		return a.Store.Events(ctx, f)
	}}
}

type eventLines struct {
	list  func(after int64) ([]store.Event, error)
	page  []store.Event
	after int64
}

func (e *eventLines) close() {}

func (e *eventLines) next(bool) ([]byte, time.Time, error) {
	if len(e.page) == 0 {
		page, err := e.list(e.after)
		if err != nil || len(page) == 0 {
			return nil, time.Time{}, err
		}
		e.page = page
	}
	x := e.page[0]
	e.page, e.after = e.page[1:], x.ID
	return fmt.Appendf(nil, "%s %s %s: %s", x.At.Format(time.RFC3339), x.Queue, x.Source, strings.ReplaceAll(x.Text, "\n", "; ")), x.At, nil
}
