package web

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
)

// Bounds of the page of logs. A browser holds the last lines only, however long logs are.
const (
	firstLines = 500  // of each process, in the page itself
	mostLines  = 5000 // that a reader can ask the page for
)

// logsPage is the logs of a run.
type logsPage struct {
	Head     jobHead
	Choice   runChoice
	Process  string
	Contains string
	Tail     int
	Sources  []string
	Lines    []logLine
	Open     bool   // the run goes on, so its logs do
	Stream   string // address of the same lines at the API
	Download string
	Problem  *wire.Problem
}

// Tails are how many last lines a reader can choose.
func (logsPage) Tails() []int { return []int{100, firstLines, 1000, mostLines} }

// Most is how many lines a browser holds.
func (logsPage) Most() int { return mostLines }

// A logLine is one line with where it is from.
type logLine struct{ Source, Text, Level string }

// levelOf finds the level of a line of Flink's log4j pattern or of the entrypoint's log: it is the word after the time.
func levelOf(line string) string {
	if len(line) < 20 || line[0] < '0' || line[0] > '9' {
		return ""
	}
	words := strings.Fields(line[:min(len(line), 60)])
	for _, w := range words[:min(len(words), 4)] {
		switch strings.Trim(w, "[]:") {
		case "ERROR", "FATAL":
			return "ERROR"
		case "WARN", "WARNING":
			return "WARN"
		case "INFO":
			return "INFO"
		case "DEBUG", "TRACE":
			return "DEBUG"
		}
	}
	return ""
}

func (v *visit) jobLogs() error {
	h, err := v.head("logs")
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	p := logsPage{Head: h, Process: q.Get("process"), Contains: q.Get("contains"), Tail: firstLines}
	if n, err := strconv.Atoi(q.Get("tail")); err == nil && n > 0 {
		p.Tail = min(n, mostLines)
	}
	if p.Choice, err = v.choose(h); err != nil {
		return err
	}
	if p.Choice.Run == nil {
		return v.showJob(http.StatusOK, "job-logs", h, p)
	}
	p.Open = open(p.Choice.Run)
	filter := url.Values{}
	for name, value := range map[string]string{"run": p.Choice.Chosen, "process": p.Process, "contains": p.Contains} {
		if value != "" {
			filter.Set(name, value)
		}
	}
	p.Stream = "/v1" + h.Path + "/logs?" + filter.Encode()
	p.Download = h.Path + "/logs/download?" + filter.Encode()
	p.Sources, err = v.api.LogLines(v.ctx(), h.Job.Name, client.LogQuery{Run: p.Choice.Chosen, Process: p.Process, Contains: p.Contains, Tail: p.Tail}, func(source, line string) error {
		p.Lines = append(p.Lines, logLine{source, line, levelOf(line)})
		return nil
	})
	if err != nil {
		if p.Problem = v.problem(err); p.Problem == nil {
			return err
		}
	}
	if extra := len(p.Lines) - mostLines; extra > 0 {
		p.Lines = p.Lines[extra:]
	}
	if p.Process != "" && !slices.Contains(p.Sources, p.Process) {
		p.Sources = append(p.Sources, p.Process)
	}
	return v.showJob(http.StatusOK, "job-logs", h, p, h.live(0))
}

// downloadLogs sends the whole logs of a run as text. They are passed on as they come: they may be longer than what memory holds.
func (v *visit) downloadLogs() error {
	h, err := v.head("logs")
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	ask := client.LogQuery{Run: q.Get("run"), Process: q.Get("process"), Contains: q.Get("contains"), Tail: math.MaxInt32}
	out := &textLog{w: v.w, name: h.Job.Name, one: ask.Process != ""}
	for _, part := range []string{ask.Run, ask.Process} {
		if part != "" {
			out.name += "-" + part
		}
	}
	_, err = v.api.LogLines(v.ctx(), h.Job.Name, ask, out.line)
	return out.end(err)
}

// textLog is a file of log lines that a browser saves.
type textLog struct {
	w     http.ResponseWriter
	name  string
	one   bool // process: its name is not before each line
	begun bool
	text  []byte // not sent yet
}

func (t *textLog) begin() {
	if t.begun {
		return
	}
	t.begun = true
	h := t.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", strings.Map(fileRune, t.name)+".log"))
	h.Set("Content-Security-Policy", policy(""))
	t.w.WriteHeader(http.StatusOK)
}

// fileRune keeps what every file system takes in a name.
func fileRune(r rune) rune {
	if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

func (t *textLog) line(source, line string) error {
	if !t.one {
		t.text = append(append(t.text, source...), ' ')
	}
	if t.text = append(append(t.text, line...), '\n'); len(t.text) < 64<<10 {
		return nil
	}
	return t.send()
}

func (t *textLog) send() error {
	t.begin()
	http.NewResponseController(t.w).SetWriteDeadline(time.Now().Add(time.Minute)) // a reader that takes nothing is cut off
	_, err := t.w.Write(t.text)
	t.text = t.text[:0]
	return err
}

// end sends what is left. An error before the first line is shown as a page; one after it can only cut the file off.
func (t *textLog) end(err error) error {
	switch {
	case err != nil && !t.begun:
		return err
	case err != nil:
		panic(http.ErrAbortHandler)
	}
	return t.send()
}
