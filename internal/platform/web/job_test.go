package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

func names(actions []action) string {
	var all []string
	for _, a := range actions {
		all = append(all, a.Name)
	}
	return strings.Join(all, " ")
}

// TestStatesOfAJob: what each state says, and what can be done in it.
func TestStatesOfAJob(t *testing.T) {
	ended := time.Unix(1, 0)
	for name, c := range map[string]struct {
		job     wire.Job
		kind    string
		text    string // part of the sentence
		can     string
		refuses string // part of what cannot be done; "-": nothing is refused
	}{
		"never started":     {wire.Job{}, "idle", "never started", "start delete", "-"},
		"starting":          {wire.Job{Run: &wire.Run{Queue: "accept", Condition: "starting", Desired: "run"}}, "info", "cluster is starting", "cancel", "has no state to save"},
		"submitted":         {wire.Job{Run: &wire.Run{Queue: "accept", Condition: "starting", Desired: "run", Session: "shared"}}, "info", "submitted to its session cluster", "cancel", "has no state to save"},
		"waiting for slots": {wire.Job{Run: &wire.Run{Queue: "accept", Condition: "waiting for slots", Desired: "run"}}, "warn", "waits for task slots", "cancel", "Start: there is a run"},
		"parked":            {wire.Job{Run: &wire.Run{Queue: "accept", Condition: "parked", Desired: "run"}}, "warn", "waits for a decision", "empty cancel resolve", "Start: there is a run"},
		"running":           {wire.Job{Run: &wire.Run{Queue: "running", Desired: "run"}}, "ok", "Every task runs", "savepoint drain cancel", "Upgrade: there is only one version"},
		"with versions":     {wire.Job{Newest: 2, Run: &wire.Run{Queue: "running", Version: 1, Desired: "run"}}, "ok", "Every task runs", "upgrade savepoint drain cancel", "Start: there is a run"},
		"being upgraded":    {wire.Job{Newest: 2, Run: &wire.Run{Queue: "running", Version: 2, Desired: "run", Upgrade: &wire.Upgrade{State: "starting", From: 1, To: 2}}}, "ok", "Every task runs", "savepoint drain cancel", "Upgrade: the one from version 1 is not decided yet"},
		"upgraded":          {wire.Job{Newest: 2, Run: &wire.Run{Queue: "running", Version: 2, Desired: "run", Upgrade: &wire.Upgrade{State: "done", From: 1, To: 2}}}, "ok", "Every task runs", "upgrade savepoint drain cancel", "Start: there is a run"},
		"restarting":        {wire.Job{Run: &wire.Run{Queue: "running", Condition: "restarting", Desired: "run"}}, "warn", "restarts the job", "savepoint drain cancel", "Start: there is a run"},
		"lost":              {wire.Job{Run: &wire.Run{Queue: "running", Condition: "lost", Desired: "run"}}, "bad", "Nothing says how the run is", "savepoint drain cancel resolve", "Start: there is a run"},
		"ending":            {wire.Job{Run: &wire.Run{Queue: "running", Condition: "ending", Desired: "run"}}, "info", "not yet proven", "savepoint drain cancel resolve", "Start"},
		"stopping":          {wire.Job{Run: &wire.Run{Queue: "cancel", Condition: "ending", Desired: "stop"}}, "info", "savepoint is being made", "cancel resolve", "Stop with savepoint: it was asked for"},
		"canceling":         {wire.Job{Run: &wire.Run{Queue: "cancel", Condition: "ending", Desired: "cancel"}}, "info", "being canceled", "resolve", "Cancel: it was asked for"},
		"failed":            {wire.Job{Run: &wire.Run{Queue: "failed", Outcome: "failed", Ended: &ended}}, "bad", "has failed", "start delete", "-"},
		"finished":          {wire.Job{Run: &wire.Run{Queue: "finish", Outcome: "finished", Ended: &ended}}, "ok", "ended by itself", "start delete", "-"},
		"canceled":          {wire.Job{Run: &wire.Run{Queue: "cancel", Outcome: "canceled", Ended: &ended}}, "idle", "was canceled", "start delete", "-"},
		"stopped":           {wire.Job{Run: &wire.Run{Queue: "cancel", Outcome: "stopped", Ended: &ended}}, "idle", "stopped with a savepoint", "start delete", "-"},
		"a session cluster": {wire.Job{Kind: "cluster", Run: &wire.Run{Queue: "running", Desired: "run"}, Jobs: []string{"views"}}, "ok", "takes jobs", "", "jobs use this cluster"},
		"an unused one":     {wire.Job{Kind: "cluster", Run: &wire.Run{Queue: "running", Desired: "run"}}, "ok", "takes jobs", "cancel", "Start"},
		"an ended one":      {wire.Job{Kind: "cluster", Run: &wire.Run{Queue: "finish", Outcome: "finished", Ended: &ended}}, "idle", "session cluster has ended", "start delete", "-"},
		"a queue of later":  {wire.Job{Newest: 2, Run: &wire.Run{Queue: "later", Desired: "run"}}, "info", "in the queue later", "savepoint drain cancel", "Upgrade: the job does not run"},
	} {
		s := sayingOf(c.job)
		if s.Kind != c.kind || !strings.Contains(s.Text, c.text) {
			t.Errorf("%s: %+v", name, s)
		}
		can, cannot := actionsOf(c.job)
		if names(can) != c.can {
			t.Errorf("%s: can %s, want %s", name, names(can), c.can)
		}
		if c.refuses == "-" && len(cannot) > 0 || c.refuses != "-" && !strings.Contains(strings.Join(cannot, "\n"), c.refuses) {
			t.Errorf("%s: cannot %q", name, cannot)
		}
		for _, a := range can {
			if len(a.Will) == 0 || a.Title == "" {
				t.Errorf("%s: %s does not say what it will do", name, a.Name)
			}
		}
	}
}

// TestUpgradeOf: how far an upgrade is and how it ended, on the page of the run before and of the new one.
func TestUpgradeOf(t *testing.T) {
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		upgrade *wire.Upgrade
		kind    string
		says    string // parts of text, reason and hint
	}{
		{nil, "", ""},
		{&wire.Upgrade{State: "done", From: 1, To: 2}, "", ""},
		{&wire.Upgrade{State: "stopping", From: 1, To: 2}, "info", "from version 1 to version 2|stopped with a savepoint first|goes on in its version"},
		{&wire.Upgrade{State: "stopped", From: 1, To: 2}, "info", "an upgrade from version 1 to version 2, which starts from its savepoint"},
		{&wire.Upgrade{State: "not started", From: 1, To: 2}, "warn", "Version 2 was not started"},
		{&wire.Upgrade{State: "starting", From: 1, To: 2, Until: &until}, "info", "every task of version 2 has run for 10 s|02:04:05 UTC, version 1 starts again from the same savepoint"},
		{&wire.Upgrade{State: "failed", From: 1, To: 2}, "warn", "Version 2 did not run. Version 1 starts again from the same savepoint"},
		{&wire.Upgrade{State: "canceled", From: 1, To: 2}, "idle", "Version 1 is not started again"},
		{&wire.Upgrade{State: "back", From: 2, To: 1, Reason: "/ by zero"}, "warn", "Version 2 did not run, so version 1 was started again from the same savepoint|/ by zero|is written again"},
	} {
		s := upgradeOf(&wire.Run{Upgrade: c.upgrade})
		if s.Kind != c.kind {
			t.Errorf("%+v: %+v", c.upgrade, s)
		}
		for part := range strings.SplitSeq(c.says, "|") {
			if !strings.Contains(s.Text+"\n"+s.Reason+"\n"+s.Hint, part) {
				t.Errorf("%+v: %+v does not say %q", c.upgrade, s, part)
			}
		}
	}
	if s := upgradeOf(nil); s.Kind != "" {
		t.Errorf("%+v", s)
	}
	if a, b := usualUpgrade(wire.Job{Newest: 3, Run: &wire.Run{Version: 1}}), usualUpgrade(wire.Job{Newest: 3, Run: &wire.Run{Version: 3}}); a != 3 || b != 2 {
		t.Errorf("it goes to %d and %d", a, b)
	}
}

func TestFailureOf(t *testing.T) {
	f := failureOf(wire.Exception{At: "2026-11-27T16:00:00.000Z", Task: "Calc", Stack: "a.Wrapper: outer\n\tat A.b(A.java:1)\nCaused by: b.Middle\n\tat B.c(B.java:1)\nCaused by: c.Real: / by zero\n\tat C.d(C.java:1)\n\t... 2 more\n"})
	if f.Cause.Head() != "c.Real: / by zero" || len(f.Cause.Frames) != 2 || f.At.IsZero() || f.Task != "Calc" {
		t.Errorf("%+v", f)
	}
	if len(f.Outer) != 2 || f.Outer[0].Class != "b.Middle" || f.Outer[1].Head() != "a.Wrapper: outer" {
		t.Errorf("%+v", f.Outer)
	}
	if f := failureOf(wire.Exception{Name: "x.Y", Cause: "unknown"}); f.Cause.Class != "x.Y" || f.Cause.Message != "unknown" {
		t.Errorf("without a stack: %+v", f)
	}
}

func TestLevelOf(t *testing.T) {
	for line, want := range map[string]string{
		"2026-11-26 21:06:01,691 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Fatal error": "ERROR",
		"2026-11-26 21:06:01,691 WARN  org.apache.flink.x [] - text":                                           "WARN",
		"2026-11-26T21:06:01Z INFO started":                                                                    "INFO",
		"2026-11-26T21:06:01Z running push: ERROR of a word in the text of an event":                           "ERROR",
		"\tat A.b(ERROR.java:1)":                 "",
		"ERROR":                                  "",
		"":                                       "",
		"2026-11-26 21:06:01,691 [main] DEBUG x": "DEBUG",
	} {
		if got := levelOf(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestUnified(t *testing.T) {
	lines, err := unified("a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nD\ne\nf\ng\nh\ni\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, fmt.Sprintf("%s %d %d %s", l.Kind, l.Old, l.New, l.Text))
	}
	want := []string{"hunk 1 1 ", "same 1 1 a", "same 2 2 b", "same 3 3 c", "del 4 0 d", "add 0 4 D", "same 5 5 e", "same 6 6 f", "same 7 7 g", "same 8 8 h", "add 0 9 i"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if lines, err := unified("same", "same"); err != nil || len(lines) != 0 {
		t.Errorf("%v %v", lines, err)
	}
}

func TestLanguageOf(t *testing.T) {
	for source, want := range map[string]string{
		"apiVersion: flink-entrypoint/v1\nname: a\n":   "yaml",
		"# comment\napiVersion: flink-entrypoint/v1\n": "yaml",
		`{"apiVersion":"flink-entrypoint/v1"}`:         "yaml",
		"CREATE TABLE a (apiVersion STRING);":          "sql",
		"-- apiVersion: not a definition\nSELECT 1;":   "sql",
		"": "sql",
	} {
		if got := languageOf(source); got != want {
			t.Errorf("%q: %s, want %s", source, got, want)
		}
	}
}

func TestRoleOf(t *testing.T) {
	m := roleOf(wire.RoleMemory{Role: "taskmanager", Process: 1000, Parts: []wire.MemoryPart{{Name: "taskHeap", Bytes: 250}, {Name: "managed", Bytes: 500}, {Name: "of a later Flink", Bytes: 250}}})
	if m.Title != "TaskManager" || m.Parts[0].Title != "Task heap" || m.Parts[1].At != 250 || m.Parts[1].Width != 500 || m.Parts[1].Percent != 50 || m.Parts[2].Title != "of a later Flink" || m.Parts[2].At+m.Parts[2].Width != barWidth {
		t.Errorf("%+v", m)
	}
	if m := roleOf(wire.RoleMemory{Role: "jobmanager", Fault: &wire.Fault{Message: "too small"}}); m.Title != "JobManager" || len(m.Parts) != 0 || m.Fault.Message != "too small" {
		t.Errorf("%+v", m)
	}
}

func TestFlowsOf(t *testing.T) {
	flows := flowsOf(wire.Lineage{
		Tables: []wire.LineageTable{{Name: "c.d.clicks", Short: "clicks", Connector: "kafka", Line: 3}, {Name: "c.d.sums", Short: "sums", Connector: "print"}},
		Edges:  []wire.LineageEdge{{From: "c.d.clicks", To: "c.d.sums", Statement: 2}, {From: "c.d.clicks"}}})
	want := []flow{{From: "clicks", To: "sums", Connector: "kafka", Sink: "print", Statement: 2, Line: 3}, {From: "clicks", Connector: "kafka", Line: 3}}
	if !slices.Equal(flows, want) {
		t.Errorf("%+v", flows)
	}
}

// TestTextLog: lines become a file as they come; an error before the first one is still an error.
func TestTextLog(t *testing.T) {
	for name, c := range map[string]struct {
		lines int
		one   bool
		err   error
		want  string
	}{
		"two sources":              {2, false, nil, "jobmanager-1 line 0\njobmanager-1 line 1\n"},
		"one source":               {1, true, nil, "line 0\n"},
		"none":                     {0, false, nil, ""},
		"an error before any line": {0, false, errors.New("unknown run"), ""},
		"an error after a few":     {2, false, errors.New("unknown run"), ""},
	} {
		w := httptest.NewRecorder()
		l := &textLog{w: w, name: "clicks-../../x", one: c.one}
		for i := range c.lines {
			if err := l.line("jobmanager-1", fmt.Sprintf("line %d", i)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := l.end(c.err); err != c.err || w.Body.String() != c.want {
			t.Errorf("%s: %q %v", name, w.Body, err)
		}
		if d := w.Header().Get("Content-Disposition"); c.err == nil && d != `attachment; filename="clicks-.._.._x.log"` {
			t.Errorf("%s: %s", name, d)
		}
	}
	// What was sent cannot be taken back: the connection is cut, so that the browser does not take a part for the whole.
	l := &textLog{w: httptest.NewRecorder()}
	for range 2000 {
		if err := l.line("jobmanager-1", strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("%v", p)
		}
	}()
	err := l.end(errors.New("gone"))
	t.Errorf("it ended as if it were whole: %v", err)
}
