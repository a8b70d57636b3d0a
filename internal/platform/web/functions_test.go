package web

import (
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// TestPlain: nothing of a stored text acts on who reads it.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\tc":              "a\nb\tc",
		"a\r\nb\rc":            "a\nb␍c",
		"\x00\x1b[31m\x7f":     "␀␛[31m␡",
		"\u0085\u009b\u202eab": "���ab",
		"\u2066x\u2069\ufeff":  "�x��",
		"line\u2028line":       "line�line",
		"Grüße, 東京 <b>&amp;":   "Grüße, 東京 <b>&amp;",
		"":                     "",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{0: "just now", 4 * time.Second: "just now", 59 * time.Second: "59 s ago", 61 * time.Second: "1 min ago", 90 * time.Minute: "1 h ago", 47 * time.Hour: "47 h ago", 50 * time.Hour: "2 days ago", -2 * time.Hour: "in 2 h"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 20 * time.Millisecond: "20 ms", 61 * time.Second: "1 min 01 s", 3*time.Hour + 5*time.Minute: "3 h 05 min", 49 * time.Hour: "2 days 1 h"} {
		if got := length(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := string(agoHTML(now.Add(-time.Hour), now)); got != `<time datetime="2026-03-01T11:00:00.000Z" title="2026-03-01 11:00:00 UTC" data-ago>1 h ago</time>` {
		t.Error(got)
	}
	if got := agoHTML(time.Time{}, now); got != "–" {
		t.Error(got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", -1000: "-1\u202f000"} {
		if got := number(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 200 << 20: "200 MiB", 3 << 40: "3.0 TiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0", 0.01: "< 0.1", 1.26: "1.3", 652.4: "652"} {
		if got := rate(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

// TestBadges: a state is in words, not in a colour alone.
func TestBadges(t *testing.T) {
	for _, c := range []struct {
		run  *wire.Run
		want badge
	}{
		{nil, badge{"idle", "never started", ""}},
		{&wire.Run{Queue: "accept", Condition: "starting"}, badge{"info", "starting", ""}},
		{&wire.Run{Queue: "accept", Condition: "waiting for slots"}, badge{"info", "starting", "waiting for slots"}},
		{&wire.Run{Queue: "accept", Condition: "parked"}, badge{"warn", "starting", "parked"}},
		{&wire.Run{Queue: "running"}, badge{"ok", "running", ""}},
		{&wire.Run{Queue: "running", Condition: "lost"}, badge{"bad", "running", "lost"}},
		{&wire.Run{Queue: "running", Condition: "restarting"}, badge{"warn", "running", "restarting"}},
		{&wire.Run{Queue: "cancel", Desired: "stop"}, badge{"info", "stopping", ""}},
		{&wire.Run{Queue: "cancel", Desired: "cancel"}, badge{"info", "canceling", ""}},
		{&wire.Run{Queue: "cancel", Outcome: "stopped"}, badge{"idle", "stopped", ""}},
		{&wire.Run{Queue: "failed", Outcome: "failed"}, badge{"bad", "failed", ""}},
		{&wire.Run{Queue: "finish", Outcome: "finished"}, badge{"ok", "finished", ""}},
		{&wire.Run{Queue: "a queue of a newer server"}, badge{"info", "a queue of a newer server", ""}},
	} {
		if got := badgeOf(c.run); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.run, got, c.want)
		}
	}
}

// TestLocal: no page sends its reader to another server.
func TestLocal(t *testing.T) {
	for address, want := range map[string]string{"/jobs/x?y=1": "/jobs/x?y=1", "": "/", "jobs": "/", "//evil": "/", `/\evil`: "/", "/\t/evil": "/", "/\n": "/", "https://evil": "/", "javascript:alert(1)": "/"} {
		if got := local(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// TestTemplates: each page's template can be read.
func TestTemplates(t *testing.T) {
	list, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	s := New(nil)
	for _, e := range list {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name == "layout" || strings.HasPrefix(name, "parts") {
			continue
		}
		page, err := s.template(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if page.Lookup("main") == nil || page.Lookup("layout") == nil {
			t.Errorf("%s has no main part", name)
		}
	}
}

func TestFaultLines(t *testing.T) {
	got := faultLines("one\ntwo\nthree", []wire.Fault{{Line: 2, Message: "a"}, {Message: "b"}, {Line: 9, Message: "c"}, {Line: 2, Message: "d"}})
	if len(got) != 1 || got[0].Number != 2 || got[0].Line != "two" || len(got[0].Faults) != 2 {
		t.Errorf("%+v", got)
	}
}
