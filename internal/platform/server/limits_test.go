package server

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

func (f *fixture) tokenOf(name, team string, role store.Role) string {
	f.t.Helper()
	secret, err := f.s.Store.MakeToken(f.t.Context(), store.Token{Name: name, Role: role, Team: team})
	if err != nil {
		f.t.Fatal(err)
	}
	return secret
}

// TestRates: a token that asks too often waits; others, and the events of its runs, do not wait with it.
func TestRates(t *testing.T) {
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 2}})
	ann, bob := f.tokenOf("ann", "web", store.RoleEdit), f.tokenOf("bob", "web", store.RoleView)
	// burst sends requests until one is refused: after eight, and what the time until then adds.
	burst := func() (refused *http.Response, body []byte) {
		passed, began := 0, time.Now()
		for time.Since(began) < time.Minute {
			resp, content := f.call("GET", "/v1/jobs", nil, nil)
			switch resp.StatusCode {
			case 200, 401:
				passed++
			case 429:
				if most := 8 + int(math.Ceil(2*time.Since(began).Seconds())); passed < 8 || passed > most {
					t.Errorf("%d requests passed before the first was refused, want 8 to %d", passed, most)
				}
				return resp, content
			default:
				t.Fatal(resp.Status)
			}
		}
		t.Fatalf("none of %d requests was refused", passed)
		return nil, nil
	}
	f.token = ann
	refused, body := burst()
	if p := decode[wire.Problem](t, body); !strings.Contains(p.Detail, "the token ann sends more than 2 requests a second") {
		t.Errorf("%+v", p)
	}
	wait, err := strconv.Atoi(refused.Header.Get("Retry-After"))
	if err != nil || wait != 1 {
		t.Errorf("Retry-After: %q", refused.Header.Get("Retry-After"))
	}
	f.as(bob, func() { f.want(200, "GET", "/v1/jobs", nil, nil) })
	f.as("guessed", func() {
		if _, body := burst(); !bytes.Contains(body, []byte("the address 127.0.0.1")) {
			t.Errorf("guesses: %s", body)
		}
	})
	f.as(bob, func() { f.want(200, "GET", "/v1/jobs", nil, nil) })
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if resp, _ := f.call("GET", "/v1/jobs", nil, nil); resp.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is still refused")
		}
	}
}

// TestRatesOfARun: pods that ask too often do not make the server miss the end of their job.
func TestRatesOfARun(t *testing.T) {
	f := newFixture(t, false, Options{Limits: api.Limits{Requests: 2}})
	r := f.running("clicks") // by the local user, who is not counted
	f.as(f.runToken(r.ID), func() {
		refused := false
		for end := time.Now().Add(time.Minute); !refused && time.Now().Before(end); {
			resp, _ := f.call("GET", "/v1/jobs/clicks/versions/1", nil, nil)
			refused = resp.StatusCode == 429
		}
		if !refused {
			t.Error("no pod was refused")
		}
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, archiveOf(r.JobID, "FINISHED"), nil)
	})
	f.until("clicks", "finished", func(r wire.Run) bool { return r.Outcome == "finished" })
}

// TestStreamsAreBounded: event streams and followed logs share one limit; a place is free when a stream ends.
func TestStreamsAreBounded(t *testing.T) {
	f := newFixture(t, false, Options{Limits: api.Limits{Streams: 2}})
	f.running("clicks")
	stream := header{"Accept": "text/event-stream"}
	var ends []context.CancelFunc
	for _, path := range []string{"/v1/events", "/v1/jobs/clicks/logs?follow=true"} {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		ends = append(ends, end)
		req, err := http.NewRequestWithContext(ctx, "GET", f.s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", stream["Accept"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	for path, h := range map[string]header{"/v1/events": stream, "/v1/jobs/clicks/logs?follow=true": nil} {
		resp, body := f.call("GET", path, nil, h)
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "5" || !bytes.Contains(body, []byte("2 open streams")) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	f.want(200, "GET", "/v1/events", nil, nil) // a list is not a stream
	ends[0]()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", f.s.URL+"/v1/events", nil)
		req.Header.Set("Accept", stream["Accept"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		cancel()
		if resp.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a stream that has ended keeps its place")
		}
	}
}

// TestBodiesAreBounded: each kind of body has a bound, and nothing of one that is too long is kept.
func TestBodiesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it sends 80 MB")
	}
	f := newFixture(t, false, Options{Limits: api.Limits{Artifact: 1000, Stored: 1500}})
	r := f.running("clicks")
	long := func(n int) []byte { return bytes.Repeat([]byte(" "), n) }
	f.want(413, "PUT", "/v1/jobs/clicks", long(16<<20+1), nil)
	f.want(413, "PUT", "/v1/catalogs/ods", long(1<<20+1), nil)
	f.want(413, "POST", "/v1/jobs/clicks/stop", long(1<<20+1), nil)
	f.want(413, "POST", "/v1/tokens", long(1<<20+1), nil)
	f.want(413, "PUT", "/v1/artifacts/a.jar", long(1001), nil)
	f.want(201, "PUT", "/v1/artifacts/a.jar", long(1000), nil)
	if body := f.want(507, "PUT", "/v1/artifacts/b.jar", long(501), nil); !bytes.Contains(body, []byte("they have 1000 bytes and may have 1500, this one has 501")) {
		t.Errorf("%s", body)
	}
	f.want(404, "GET", "/v1/artifacts/b.jar", nil, nil)
	if left, err := filepath.Glob(filepath.Join(f.dir, "artifacts", "*")); err != nil || len(left) != 1 {
		t.Errorf("%d files, want the content of a.jar alone: %v %v", len(left), left, err)
	}
	f.want(201, "PUT", "/v1/artifacts/b.jar", long(500), nil)
	f.as(f.runToken(r.ID), func() {
		f.want(413, "POST", "/v1/flink-events", long(1<<20+1), nil)
		f.want(413, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, long(64<<20+1), nil)
	})
	resp, err := http.DefaultClient.Do(func() *http.Request {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", f.s.URL+"/v1/jobs", nil)
		req.Header.Set("X-Long", strings.Repeat("x", 80<<10))
		return req
	}())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 80 KiB: %d", resp.StatusCode)
	}
	if v := decode[struct{ Versions []wire.Version }](t, f.want(200, "GET", "/v1/jobs/clicks/versions", nil, nil)); len(v.Versions) != 1 {
		t.Errorf("%d versions", len(v.Versions))
	}
}

// TestDatabaseTrouble: a locked database and one that is full are answered with what they are, and nothing is lost.
func TestDatabaseTrouble(t *testing.T) {
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	f.stop()
	// The server's own waits are long; this one opens with a short one.
	f.start()
	f.s.Store.LockWait = 300 * time.Millisecond
	tx, err := f.database().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := f.call("PUT", "/v1/jobs/clicks", definition+"#2\n", nil)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" || !bytes.Contains(body, []byte("another process has locked")) {
		t.Errorf("locked: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	f.want(200, "GET", "/v1/jobs/clicks/versions/1", nil, nil) // pods go on
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if v := decode[wire.Version](t, f.want(201, "PUT", "/v1/jobs/clicks", definition+"#2\n", nil)); v.Number != 2 {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(f.log.String(), "locked by another process") {
		t.Error("the log does not say why")
	}
}
