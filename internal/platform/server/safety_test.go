package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/outbound"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
)

// The tests of this file are of what docs/platform.md promises under "Safety". test/README.md has the list of all of them.

// unchecked is a header with which call does not hold the answer against the page.
func unchecked(more ...string) header {
	h := header{"Host": "127.0.0.1"}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

// TestHostsOfLoopback: under another name nothing is answered, reads too: a page of another site can give its own name this address.
func TestHostsOfLoopback(t *testing.T) {
	strange := []string{"evil.example", "evil.example:8088", "localhost.evil.example", "127.0.0.1.nip.io", "localhost.", "127.0.0.2", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "2130706433", "platform.example"}
	for _, auth := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		f := newFixture(t, auth, Options{URL: "http://proxy.example", Listen: address})
		f.s.URL = "http://" + address
		if auth {
			f.token = f.tokenOf("ann", "web", store.RoleAdmin)
		}
		for _, path := range []string{"/", "/healthz", "/readyz", "/v1/jobs", "/v1/events", "/v1/nothing"} {
			for _, host := range []string{"localhost", "localhost:8088", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8088"} {
				if resp, _ := f.call("GET", path, nil, header{"Host": host}); resp.StatusCode == http.StatusMisdirectedRequest {
					t.Errorf("auth %t: %s of %s is refused", auth, path, host)
				}
			}
			for _, host := range strange {
				for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
					resp, body := f.call(method, path, nil, header{"Host": host})
					if resp.StatusCode != http.StatusMisdirectedRequest || bytes.Contains(body, []byte("jobs")) {
						t.Errorf("auth %t: %s %s of %s: %d %s", auth, method, path, host, resp.StatusCode, body)
					}
				}
			}
			// A proxy on this machine has the host of --url; without tokens it would be a way around the rule.
			if resp, _ := f.call("GET", path, nil, header{"Host": "proxy.example"}); (resp.StatusCode == http.StatusMisdirectedRequest) == auth {
				t.Errorf("auth %t: %s of the proxy: %d", auth, path, resp.StatusCode)
			}
		}
	}
}

// TestOtherAddressesNeedTokens: on any address but loopback the server does not start without them, and has made nothing.
func TestOtherAddressesNeedTokens(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		dir := filepath.Join(t.TempDir(), "data")
		s, err := Start(t.Context(), Options{DataDir: dir, Listen: listen})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "start it with --auth") {
			t.Errorf("%s: %v", listen, err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: the data directory was made: %v", listen, err)
		}
	}
}

// TestTokens: one is shown once, is not in the database, ends when it expires or is deleted, and is taken from its header alone.
func TestTokens(t *testing.T) {
	f := newFixture(t, true)
	f.token = f.tokenOf("root", "web", store.RoleAdmin)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := decode[wire.Token](t, f.want(201, "POST", "/v1/tokens", map[string]any{"name": "ann", "role": "view", "expires": expires}, nil))
	if made.Secret == "" || made.Expires == nil || !made.Expires.Equal(expires) || made.Team != "web" || made.Role != "view" {
		t.Errorf("%+v", made)
	}
	old := decode[wire.Token](t, f.want(201, "POST", "/v1/tokens", map[string]any{"name": "old", "role": "admin", "expires": time.Now().Add(-time.Second)}, nil))
	if list := f.want(200, "GET", "/v1/tokens", nil, nil); bytes.Contains(list, []byte("fp_")) || bytes.Contains(list, []byte("sha256")) {
		t.Errorf("the list shows secrets or digests: %s", list)
	}
	f.as(made.Secret, func() { f.want(200, "GET", "/v1/jobs/clicks", nil, nil) })
	f.as(old.Secret, func() { f.want(401, "GET", "/v1/jobs/clicks", nil, nil) })
	for _, wrong := range []string{made.Secret + "x", made.Secret[:len(made.Secret)-1], strings.ToUpper(made.Secret), "fp_", "' OR 1=1 --"} {
		f.as(wrong, func() { f.want(401, "GET", "/v1/jobs/clicks", nil, nil) })
	}
	sum := sha256.Sum256([]byte(made.Secret))
	f.as(hex.EncodeToString(sum[:]), func() { f.want(401, "GET", "/v1/jobs", nil, nil) }) // whoever reads the database has no token

	// In a URL a token would be in logs of proxies and in histories of browsers, so none is read from there.
	f.as("", func() {
		for _, query := range []string{"token", "access_token", "authorization", "api_key", "bearer"} {
			f.call("PUT", "/v1/jobs/clicks?"+query+"="+made.Secret, definition, unchecked())
			if resp, _ := f.call("GET", "/v1/jobs?"+query+"="+made.Secret, nil, unchecked()); resp.StatusCode != 401 {
				t.Errorf("?%s: %d", query, resp.StatusCode)
			}
		}
		for name, value := range map[string]string{"X-Auth-Token": made.Secret, "Authorization": "Basic " + made.Secret, "Cookie": "token=" + made.Secret} {
			if resp, _ := f.call("GET", "/v1/jobs", nil, unchecked(name, value)); resp.StatusCode != 401 {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
		}
		f.call("PUT", "/v1/jobs/"+made.Secret, definition, unchecked())
	})
	f.want(204, "DELETE", "/v1/tokens/ann", nil, nil)
	f.as(made.Secret, func() { f.want(401, "GET", "/v1/jobs/clicks", nil, nil) })
	f.stop()
	if log := f.log.String(); strings.Contains(log, made.Secret) || strings.Contains(log, old.Secret) || strings.Contains(log, f.token) || !strings.Contains(log, "/v1/jobs/******") {
		t.Errorf("the log has a token, or not the request:\n%s", log)
	}
	for _, name := range []string{"platform.db", "platform.db-wal"} {
		content, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, secret := range []string{made.Secret, old.Secret, f.token} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has the secret of a token", name)
			}
		}
	}
}

// roleOf is what each route that changes something needs; routes that read need view.
var roleOf = map[string]store.Role{
	"POST /v1/lineage": store.RoleView, "POST /v1/codes": store.RoleView,
	"GET /v1/tokens": store.RoleAdmin, "POST /v1/tokens": store.RoleAdmin, "DELETE /v1/tokens/{name}": store.RoleAdmin,
	"POST /v1/flink-events": store.RoleRun, "PUT /v1/runs/{run}/archive/{name...}": store.RoleRun,
}

// TestRoles walks over all routes: a token with too few rights gets 403, whatever else is wrong with its request.
func TestRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	admin := f.tokenOf("root", "web", store.RoleAdmin)
	f.token = admin
	r := f.running("clicks")
	tokens := map[store.Role]string{store.RoleView: f.tokenOf("ann", "web", store.RoleView), store.RoleEdit: f.tokenOf("bob", "web", store.RoleEdit), store.RoleRun: f.runToken(r.ID)}
	rank := map[store.Role]int{store.RoleView: 1, store.RoleEdit: 2, store.RoleAdmin: 3}
	for _, pattern := range api.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/v1/") && path != "/metrics" || strings.HasPrefix(path, "/v1/session") { // everybody may ask whether it lives, and sign in and out
			continue
		}
		need, known := roleOf[pattern]
		if !known {
			if need = store.RoleEdit; method == "GET" {
				need = store.RoleView
			}
		}
		for role, token := range tokens {
			f.as(token, func() {
				resp, _ := f.call(method, fill(path, r.ID), "{", unchecked())
				refused := resp.StatusCode == 403
				var want bool
				switch {
				case role == store.RoleRun:
					want = need != store.RoleRun && pattern != "GET /v1/jobs/{job}/versions/{n}" && pattern != "GET /v1/artifacts/{name}"
				case need == store.RoleRun:
					want = true
				default:
					want = rank[role] < rank[need]
				}
				if refused != want {
					t.Errorf("%s as %s: %d", pattern, role, resp.StatusCode)
				}
			})
		}
	}
}

// fill makes a path of a pattern; what it names does not exist, but for the run.
func fill(path, run string) string {
	return strings.NewReplacer("{job}", "no-job", "{n}", "1", "{run}", run, "{name...}", "0123456789abcdef0123456789abcdef", "{name}", "no-name").Replace(path)
}

// TestOtherTeams walks over all routes: what is of another team is answered like what does not exist, word for word. Only a name of a job that is
// taken says that it is: names are unique in a server.
func TestOtherTeams(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	ann, bob := f.tokenOf("ann", "web", store.RoleAdmin), f.tokenOf("bob", "ads", store.RoleAdmin)
	f.token = ann
	r := f.running("clicks")
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, nil)
	f.want(201, "PUT", "/v1/artifacts/a.jar", "content", nil)
	f.want(201, "POST", "/v1/tokens", map[string]string{"name": "carl", "role": "view"}, nil)
	events := decode[struct{ Events []wire.Event }](t, f.want(200, "GET", "/v1/events", nil, nil)).Events
	theirs := func(path string) string {
		name := "ods"
		switch {
		case strings.HasPrefix(path, "/v1/artifacts"):
			name = "a.jar"
		case strings.HasPrefix(path, "/v1/tokens"):
			name = "carl"
		}
		job := "clicks"
		if strings.HasPrefix(path, "/v1/clusters") {
			job = "shared"
		}
		return strings.NewReplacer("{job}", job, "{n}", "1", "{run}", r.ID, "{name}", name).Replace(path)
	}
	mine := func(path string) string { // what does not exist
		return strings.NewReplacer("{job}", "missing", "{n}", "1", "{run}", r.ID, "{name}", "missing").Replace(path)
	}
	f.token = bob
	for _, pattern := range api.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.Contains(path, "{") || method == "PUT" || strings.HasPrefix(path, "/v1/runs/") {
			continue
		}
		for _, body := range []any{nil, "{}", `{"mode":"cancel"}`, `{"as":"failed","reason":"x"}`} {
			if method == "GET" && body != nil {
				continue
			}
			resp, got := f.call(method, theirs(path), body, nil)
			other, want := f.call(method, mine(path), body, nil)
			same := strings.NewReplacer("clicks", "missing", "shared", "missing", "ods", "missing", "a.jar", "missing", "carl", "missing")
			if resp.StatusCode != 404 || other.StatusCode != 404 || same.Replace(string(got)) != string(want) {
				t.Errorf("%s %v: %d %s, of what does not exist %d %s", pattern, body, resp.StatusCode, got, other.StatusCode, want)
			}
		}
	}
	for path, names := range map[string]string{"/v1/jobs/clicks": definition, "/v1/clusters/shared": sessionCluster} {
		p := decode[wire.Problem](t, f.want(409, "PUT", path, names, nil))
		if !strings.Contains(p.Detail, "is taken") || strings.Contains(p.Detail, "web") {
			t.Errorf("%s: %+v", path, p)
		}
	}
	// Catalogs and artifacts of the same names are the team's own.
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='jdbc')"}, header{"If-None-Match": "*"})
	f.want(201, "PUT", "/v1/artifacts/a.jar", "another content", nil)
	if got := f.want(200, "GET", "/v1/artifacts/a.jar", nil, nil); string(got) != "another content" {
		t.Errorf("%s", got)
	}
	f.want(204, "DELETE", "/v1/artifacts/a.jar", nil, nil)
	f.want(204, "DELETE", "/v1/catalogs/ods", nil, nil)
	for path, key := range map[string]string{"/v1/jobs?name=clic": "jobs", "/v1/jobs?queue=running": "jobs", "/v1/jobs?after=a": "jobs", "/v1/clusters": "clusters", "/v1/catalogs": "catalogs", "/v1/artifacts": "artifacts",
		"/v1/events?run=" + r.ID: "events", fmt.Sprintf("/v1/events?after=%d", events[0].ID-1): "events"} {
		for _, x := range decode[map[string][]map[string]any](t, f.want(200, "GET", path, nil, nil))[key] {
			if by := fmt.Sprint(x["by"]); by != "bob" {
				t.Errorf("%s shows another team's: %v", path, x)
			}
		}
	}
	if tokens := decode[struct{ Tokens []wire.Token }](t, f.want(200, "GET", "/v1/tokens", nil, nil)).Tokens; len(tokens) != 1 || tokens[0].Name != "bob" {
		t.Errorf("%+v", tokens)
	}
	if h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)); len(h.Queues) > 0 {
		t.Errorf("another team's runs are counted: %+v", h)
	}
	if c := f.want(200, "GET", "/v1/counts", nil, nil); strings.TrimSpace(string(c)) != `{"counts":[]}` {
		t.Errorf("another team's jobs are counted: %s", c)
	}
	// A definition cannot name what is of another team, and the fault does not propose it.
	p := decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/mine", strings.Replace(definition, "sql:\n", "x-platform: {catalogs: [ods], cluster: session share}\nsql:\n", 1), nil))
	if text := fmt.Sprint(p); !strings.Contains(text, "unknown catalog") || !strings.Contains(text, "unknown session cluster") || strings.Contains(text, "shared") {
		t.Errorf("%+v", p)
	}
	// An answer that another team got is not repeated.
	f.as(ann, func() { f.want(201, "PUT", "/v1/jobs/one", definition, header{"Idempotency-Key": "k"}) })
	f.want(409, "PUT", "/v1/jobs/one", definition, header{"Idempotency-Key": "k"})
}

// stream opens a stream as the fixture's token.
func (f *fixture) stream(path, accept string) *http.Response {
	f.t.Helper()
	ctx, end := context.WithTimeout(f.t.Context(), time.Minute) // one that does not end fails its test
	f.t.Cleanup(end)
	req, err := http.NewRequestWithContext(ctx, "GET", f.s.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		f.t.Fatal(resp.Status)
	}
	return resp
}

// nextEvent is the next event of a stream; nil: it has ended.
func nextEvent(t *testing.T, lines *bufio.Scanner) *wire.Event {
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			e := decode[wire.Event](t, []byte(data))
			return &e
		}
	}
	return nil
}

// TestStreamsOfATeam: a stream shows its team only, and ends when its token does: events and followed logs. One whose token stays goes on.
func TestStreamsOfATeam(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{StreamCheck: 10 * time.Millisecond})
	ann, bob := f.tokenOf("ann", "web", store.RoleEdit), f.tokenOf("bob", "ads", store.RoleEdit)
	f.token = ann
	f.running("clicks")
	dora, err := f.s.Store.MakeToken(t.Context(), store.Token{Name: "dora", Role: store.RoleView, Team: "web", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var bobs *bufio.Scanner
	f.as(bob, func() { bobs = bufio.NewScanner(f.stream("/v1/events?after=0", "text/event-stream").Body) })
	var ends []io.Reader
	f.as(dora, func() {
		ends = append(ends, f.stream("/v1/events", "text/event-stream").Body, f.stream("/v1/jobs/clicks/logs?follow=true", "*/*").Body)
	})
	f.as(f.tokenOf("emil", "web", store.RoleView), func() {
		ends = append(ends, f.stream("/v1/jobs/clicks/events", "text/event-stream").Body, f.stream("/v1/jobs/clicks/logs?follow=true", "*/*").Body)
	})
	if err := f.s.Store.DeleteToken(t.Context(), "web", "emil"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.database().Exec("UPDATE tokens SET expires = 1 WHERE name = 'dora'"); err != nil { // long ago
		t.Fatal(err)
	}
	for i, r := range ends {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("stream %d: %v", i, err)
		}
	}
	f.want(201, "PUT", "/v1/jobs/more", definition, nil)
	f.as(bob, func() { f.want(201, "PUT", "/v1/jobs/mine", definition, nil) })
	if e := nextEvent(t, bobs); e == nil || e.Job != "mine" || e.By != "bob" {
		t.Errorf("the first event of another team is %+v", e)
	}
}

const withArtifact = `apiVersion: flink-entrypoint/v1
name: clicks
artifacts:
  - {uri: "http://127.0.0.1/v1/artifacts/udf.jar"}
sql:
  script: |
    CREATE TABLE s (id INT) WITH ('connector' = 'datagen');
    CREATE TABLE p (id INT) WITH ('connector' = 'print');
    INSERT INTO p SELECT id FROM s;
`

// TestTokenOfARun: it reads its version and the artifacts of that, writes its events and archive, and nothing else; it ends with the run.
func TestTokenOfARun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false, Options{Limits: api.Limits{Requests: 1e6}})
	f.want(201, "PUT", "/v1/artifacts/udf.jar", "content", nil)
	f.want(201, "PUT", "/v1/artifacts/other.jar", "content", nil)
	f.want(201, "PUT", "/v1/jobs/clicks", withArtifact, nil)
	r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil))
	f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	r = f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	other := f.running("other")
	f.want(200, "PUT", "/v1/jobs/clicks", withArtifact, nil)
	f.want(201, "PUT", "/v1/jobs/clicks", withArtifact+"#2\n", nil)
	token := f.runToken(r.ID)
	f.as(token, func() {
		f.want(200, "GET", "/v1/jobs/clicks/versions/1", nil, nil)
		f.want(404, "GET", "/v1/jobs/clicks/versions/2", nil, nil)
		f.want(404, "GET", "/v1/jobs/other/versions/1", nil, nil)
		f.want(200, "GET", "/v1/artifacts/udf.jar", nil, nil)
		f.want(404, "GET", "/v1/artifacts/other.jar", nil, nil)
		f.want(403, "PUT", "/v1/artifacts/udf.jar", "content", nil)
		f.want(403, "DELETE", "/v1/artifacts/udf.jar", nil, nil)
		f.want(403, "POST", "/v1/flink-events", wire.Push{Run: other.ID, Attempt: "a", Sequence: 1, JobID: other.JobID, Status: "FAILED"}, nil)
		f.want(403, "PUT", "/v1/runs/"+other.ID+"/archive/"+other.JobID, archiveOf(other.JobID, "FAILED"), nil)
		// The id of another run's job under its own run is an anomaly, and changes nothing of the other.
		f.want(204, "POST", "/v1/flink-events", wire.Push{Run: r.ID, Attempt: r.Attempt, Sequence: 1, JobID: other.JobID, Status: "FAILED"}, nil)
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/"+other.JobID, archiveOf(other.JobID, "FAILED"), nil)
	})
	for _, job := range []string{"clicks", "other"} {
		if now := f.run(job); now.Queue != "running" {
			t.Errorf("%s: %+v", job, now)
		}
	}
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "cancel"}, nil)
	f.as(token, func() {
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, archiveOf(r.JobID, "CANCELED"), nil)
	})
	f.until("clicks", "done", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && run.State.HasEnded() && len(run.Pending) == 0
	})
	f.as(token, func() {
		f.want(401, "GET", "/v1/jobs/clicks/versions/1", nil, nil)
		f.want(401, "GET", "/v1/artifacts/udf.jar", nil, nil)
		f.want(401, "POST", "/v1/flink-events", wire.Push{Run: r.ID}, nil)
		f.want(401, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, "{}", nil)
	})
}

// TestEveryActionIsAnEvent walks over all routes: each that a user changes something with has an action here, after which an event says who did it and
// when. A new route without an action fails this test.
func TestEveryActionIsAnEvent(t *testing.T) {
	t.Parallel()
	f := withWorkbench(t, true)
	f.token = f.tokenOf("ann", "web", store.RoleAdmin)
	catalog := map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}
	lost := func() wire.Run {
		f.want(201, "PUT", "/v1/jobs/late", strings.Replace(definition, "sql:\n", "x-platform: {lostAfter: 100ms}\nsql:\n", 1), nil)
		r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/late/start", wire.Start{}, nil))
		f.until("late", "started", func(r wire.Run) bool { return r.Attempt != "" })
		f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
		f.until("late", "running", func(r wire.Run) bool { return r.Queue == "running" })
		f.world.Of(r.ID, func(c *simulate.Cluster) { c.Broken = "no leader" })
		return f.until("late", "lost", func(r wire.Run) bool { return r.Condition == "lost" })
	}
	cookie := ""
	type action struct {
		route, text string // text is in the event
		do          func()
	}
	actions := []action{
		{"PUT /v1/jobs/{job}", "version 1 was stored: first", func() { f.want(201, "PUT", "/v1/jobs/clicks?comment=first", definition, nil) }},
		{"POST /v1/jobs/{job}/start", "version 1 was asked to start", func() { f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil) }},
		{"POST /v1/jobs/{job}/upgrade", "an upgrade to version 1 was asked for", func() {
			r := f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
			f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
			f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
			f.want(202, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Version: 1}, nil)
		}},
		{"POST /v1/jobs/{job}/stop", "", func() { f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "cancel"}, nil) }},
		{"POST /v1/jobs/{job}/runs/{run}/resolve", "to be resolved as canceled", func() {
			r := lost()
			f.want(202, "POST", "/v1/jobs/late/runs/"+r.ID+"/resolve", wire.Resolve{As: "canceled", Reason: "x"}, nil)
		}},
		{"PUT /v1/clusters/{job}", "version 1 was stored", func() { f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil) }},
		{"DELETE /v1/clusters/{job}", "it was deleted, with its versions up to 1", func() { f.want(204, "DELETE", "/v1/clusters/shared", nil, nil) }},
		{"PUT /v1/catalogs/{name}", "the catalog ods was stored, revision 1", func() { f.want(200, "PUT", "/v1/catalogs/ods", catalog, nil) }},
		{"POST /v1/catalogs/{name}/check", "the catalog ods was checked", func() {
			f.want(200, "POST", "/v1/catalogs/ods/check", nil, nil)
		}},
		{"DELETE /v1/catalogs/{name}", "the catalog ods was deleted", func() { f.want(204, "DELETE", "/v1/catalogs/ods", nil, nil) }},
		{"PUT /v1/artifacts/{name}", "the artifact a.jar was stored: 7 bytes", func() { f.want(201, "PUT", "/v1/artifacts/a.jar", "content", nil) }},
		{"DELETE /v1/artifacts/{name}", "the artifact a.jar was deleted", func() { f.want(204, "DELETE", "/v1/artifacts/a.jar", nil, nil) }},
		{"POST /v1/tokens", "the token carl was made: role view", func() { f.want(201, "POST", "/v1/tokens", map[string]string{"name": "carl", "role": "view"}, nil) }},
		{"DELETE /v1/tokens/{name}", "the token carl was deleted", func() { f.want(204, "DELETE", "/v1/tokens/carl", nil, nil) }},
		{"DELETE /v1/jobs/{job}", "it was deleted, with its versions up to 1", func() {
			f.want(201, "PUT", "/v1/jobs/gone", definition, nil)
			f.want(204, "DELETE", "/v1/jobs/gone", nil, nil)
		}},
		{"POST /v1/debug", "a script was debugged: ", func() { f.debugged("/v1/debug", shown) }},
		{"POST /v1/codes", "a code to sign a browser in was made", func() { f.want(201, "POST", "/v1/codes", nil, nil) }},
		{"POST /v1/sessions", "a browser signed in", func() {
			resp, _ := f.call("POST", "/v1/sessions", map[string]string{"token": f.token}, nil)
			for _, c := range resp.Cookies() {
				cookie = c.Name + "=" + c.Value
			}
		}},
		{"DELETE /v1/session", "a browser signed out", func() { f.want(204, "DELETE", "/v1/session", nil, header{"Cookie": cookie}) }},
	}
	// These change nothing, and are sent with each pause of typing: the log has them. Those of pods are in the timelines of their runs.
	without := []string{"POST /v1/validate", "POST /v1/lineage", "POST /v1/flink-events", "PUT /v1/runs/{run}/archive/{name...}"}
	for _, pattern := range api.Patterns() {
		if strings.HasPrefix(pattern, "GET ") || slices.Contains(without, pattern) {
			continue
		}
		if !slices.ContainsFunc(actions, func(a action) bool { return a.route == pattern }) {
			t.Errorf("%s has no action here: what a user does with it must be an event", pattern)
		}
	}
	newest := func() []wire.Event {
		return decode[struct{ Events []wire.Event }](t, f.want(200, "GET", "/v1/events", nil, nil)).Events
	}
	for _, a := range actions {
		if !slices.Contains(api.Patterns(), a.route) {
			t.Errorf("%s is not a route", a.route)
		}
		last := int64(0)
		if all := newest(); len(all) > 0 {
			last = all[len(all)-1].ID
		}
		began := time.Now().Add(-time.Second)
		a.do()
		if !slices.ContainsFunc(newest(), func(e wire.Event) bool {
			return e.ID > last && e.By == "ann" && e.Evidence == "user" && strings.Contains(e.Text, a.text) && e.At.After(began)
		}) {
			t.Errorf("%s: no event of ann with %q in %+v", a.route, a.text, newest())
		}
	}
	// What did not happen has no event.
	before := len(newest())
	f.want(412, "PUT", "/v1/jobs/clicks", definition+"#2\n", header{"If-Match": `"v7"`})
	f.want(404, "DELETE", "/v1/catalogs/ods", nil, nil)
	f.want(200, "PUT", "/v1/jobs/clicks?comment=first", definition, nil)
	if after := newest(); slices.ContainsFunc(after[min(before, len(after)):], func(e wire.Event) bool { return e.By != "" }) {
		t.Errorf("%+v", after[before:])
	}
}

// TestStoredBytes: versions of a team have a limit as artifacts have; what is deleted makes room.
func TestStoredBytes(t *testing.T) {
	f := newFixture(t, false, Options{Limits: api.Limits{Definitions: 8000}})
	text := func(n int) string { return definition + "#" + strings.Repeat("x", n) + "\n" }
	f.want(201, "PUT", "/v1/jobs/one", text(1500), nil)
	p := decode[wire.Problem](t, f.want(507, "PUT", "/v1/jobs/two", text(3000), nil))
	if !strings.Contains(p.Detail, "may have 8000") || !strings.Contains(p.Hint, "--max-definitions") {
		t.Errorf("%+v", p)
	}
	f.want(404, "GET", "/v1/jobs/two", nil, nil)
	f.want(507, "PUT", "/v1/clusters/shared", sessionCluster+"#"+strings.Repeat("x", 3000), nil)
	f.want(204, "DELETE", "/v1/jobs/one", nil, nil)
	f.want(201, "PUT", "/v1/jobs/two", text(2500), nil)
	for n := 0; ; n++ { // many small ones count as well
		resp, _ := f.call("PUT", fmt.Sprintf("/v1/jobs/small-%d", n), "apiVersion: flink-entrypoint/v1\nname: x\n", nil)
		if resp.StatusCode == 507 {
			break
		}
		if resp.StatusCode != 201 || n > 5 {
			t.Fatalf("%d: %s", n, resp.Status)
		}
	}
}

// TestHostilePods: what the pods of a run send is bounded, has a form, and still lets the end of the job through.
func TestHostilePods(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false, Options{Limits: api.Limits{Requests: 1e6, Reported: 8}})
	r := f.running("clicks")
	f.as(f.runToken(r.ID), func() {
		good := wire.Push{Run: r.ID, Attempt: r.Attempt, Sequence: 1, JobID: r.JobID, Status: "RESTARTING"}
		for name, change := range map[string]func(*wire.Push){
			"an attempt with a line end": func(p *wire.Push) { p.Attempt = "a\nb" },
			"a long attempt":             func(p *wire.Push) { p.Attempt = strings.Repeat("a", 201) },
			"no attempt":                 func(p *wire.Push) { p.Attempt = "" },
			"a status with HTML":         func(p *wire.Push) { p.Status = "<b>" },
			"a long status":              func(p *wire.Push) { p.Status = strings.Repeat("A", 41) },
			"a job that is a path":       func(p *wire.Push) { p.JobID = "../../etc/passwd" },
			"a long cause":               func(p *wire.Push) { p.Cause = strings.Repeat("x", 64<<10+1) },
			"a sequence of zero":         func(p *wire.Push) { p.Sequence = 0 },
		} {
			p := good
			change(&p)
			if resp, body := f.call("POST", "/v1/flink-events", p, nil); resp.StatusCode != 400 {
				t.Errorf("%s: %d %s", name, resp.StatusCode, body)
			}
		}
		for _, name := range []string{"..%2f..%2fetc%2fpasswd", "%00", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde", "x%2f" + "zz"} {
			if resp, body := f.call("PUT", "/v1/runs/"+r.ID+"/archive/"+name, "{}", unchecked()); resp.StatusCode != 400 {
				t.Errorf("an archive %s: %d %s", name, resp.StatusCode, body)
			}
		}
		for n := int64(1); ; n++ {
			p := good
			p.Sequence = n
			if n%2 == 0 {
				p.Cause = fmt.Sprintf("c.D: %d", n)
			}
			resp, body := f.call("POST", "/v1/flink-events", p, nil)
			if resp.StatusCode == 429 {
				if resp.Header.Get("Retry-After") != "3600" || !bytes.Contains(body, []byte("only the end of its job is taken")) {
					t.Errorf("%v %s", resp.Header, body)
				}
				good.Sequence = n
				break
			}
			if resp.StatusCode != 204 || n > 20 {
				t.Fatalf("event %d: %s %s", n, resp.Status, body)
			}
		}
		good.Status, good.Cause = "FAILED", "c.D: the cause"
		f.want(204, "POST", "/v1/flink-events", good, nil)
	})
	if r := f.until("clicks", "failed", func(r wire.Run) bool { return r.Queue == "failed" }); r.Reason != "c.D: the cause" {
		t.Errorf("%+v", r)
	}
}

// TestAnswersAreBounded: a token cannot fill the database with answers that are kept to be repeated.
func TestAnswersAreBounded(t *testing.T) {
	f := newFixture(t, true, Options{Limits: api.Limits{Answers: 2}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	for i := range 2 {
		f.want(201, "PUT", fmt.Sprintf("/v1/jobs/job-%d", i), definition, header{"Idempotency-Key": fmt.Sprint(i)})
	}
	resp, body := f.call("PUT", "/v1/jobs/job-2", definition, header{"Idempotency-Key": "2"})
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "3600" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	f.want(404, "GET", "/v1/jobs/job-2", nil, nil)
	f.want(201, "PUT", "/v1/jobs/job-1", definition, header{"Idempotency-Key": "1"}) // a repetition is answered
	f.want(201, "PUT", "/v1/jobs/job-2", definition, nil)
	f.as(f.tokenOf("bob", "web", store.RoleEdit), func() { f.want(201, "PUT", "/v1/jobs/job-3", definition, header{"Idempotency-Key": "2"}) })
}

// TestUploadsAreBounded: of one token a few bodies are received at the same time, each of which takes room before its size is known.
func TestUploadsAreBounded(t *testing.T) {
	f := newFixture(t, false)
	var bodies []*io.PipeWriter
	done := make(chan error, 4)
	// The server says "100 Continue" when it receives a body, so a slow one has its place as soon as its first byte is asked for.
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	slow := &http.Client{Transport: transport}
	for i := range 4 {
		out, in := io.Pipe()
		bodies = append(bodies, in)
		req, err := http.NewRequestWithContext(t.Context(), "PUT", fmt.Sprintf("%s/v1/artifacts/slow-%d.jar", f.s.URL, i), out)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Expect", "100-continue")
		go func() {
			resp, err := slow.Do(req)
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != 201 {
					err = fmt.Errorf("%s", resp.Status)
				}
			}
			done <- err
		}()
		if _, err := in.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	resp, body := f.call("PUT", "/v1/artifacts/more.jar", "x", nil)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "5" || !bytes.Contains(body, []byte("4 files at the same time")) {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}
	// One that is refused is answered while its body is on its way.
	late, in := io.Pipe()
	defer in.Close()
	go in.Write([]byte("x"))
	req, err := http.NewRequestWithContext(t.Context(), "PUT", f.s.URL+"/v1/artifacts/late.jar", late)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err = slow.Do(req); err != nil || resp.StatusCode != 429 {
		t.Fatalf("%+v %v", resp, err)
	}
	resp.Body.Close()
	for _, b := range bodies {
		b.Close()
	}
	for range bodies {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	f.want(201, "PUT", "/v1/artifacts/last.jar", "x", nil)
}

// TestHostileNames: what is not a name is refused or does not exist, in each path and with each method; it is never a path of the server.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	names := []string{"..", ".", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "a%2fb", "a%5cb", "%00", "clicks%00", "clicks%0a", "%0aclicks", "clicks%20", "%ff%fe", "%c3%bc", "%e2%80%ae", "%f0%9f%98%80", "Clicks", "-a", "a-", "_a",
		"a..b%2f..", "%2e%2e", "%252e%252e%252f", "con%3a", "a'%20OR%201=1%20--", "%3cscript%3e", strings.Repeat("a", 64), strings.Repeat("a", 10_000), "file:%2f%2f%2fetc%2fpasswd", "$%7bjndi:x%7d", "%25s%25n"}
	before := tree(t, f.dir)
	for _, pattern := range api.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		for _, name := range names {
			for _, part := range []string{"{job}", "{name}", "{name...}", "{run}", "{n}"} {
				if !strings.Contains(path, part) {
					continue
				}
				target := strings.NewReplacer("{job}", "clicks", "{n}", "1", "{run}", r.ID, "{name...}", r.JobID, "{name}", "a").Replace(strings.Replace(path, part, name, 1))
				body := any(nil)
				switch {
				case method == "PUT" && strings.Contains(path, "catalogs"):
					body = `{"statement":"CREATE CATALOG a WITH ('type'='generic_in_memory')"}`
				case method == "PUT":
					body = definition
				case method == "POST":
					body = "{}"
				}
				resp, content := f.call(method, target, body, unchecked("Accept", "application/json"))
				switch s := resp.StatusCode; {
				case s == 301 || s == 307 || s == 308: // "..": the path is another one, which its own rules are for
					if l := resp.Header.Get("Location"); !strings.HasPrefix(l, "/") || strings.HasPrefix(l, "//") {
						t.Errorf("%s %s leads to %s", method, target, l)
					}
				case s >= 400 && s < 500:
					if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
						t.Errorf("%s %.200s: %d %s", method, target, s, content)
					}
				default:
					// A name of capitals, or with an underscore, is one of an artifact.
					if !strings.HasPrefix(path, "/v1/artifacts/") || s != 201 && s != 204 || strings.ContainsAny(name, "%/.") {
						t.Errorf("%s %.200s: %d %.200s", method, target, s, content)
					}
				}
			}
		}
	}
	for _, file := range tree(t, f.dir) {
		dir, base := filepath.Split(file)
		if !slices.Contains(before, file) && !(dir == "artifacts/" && len(base) == 64 && strings.Trim(base, "0123456789abcdef") == "") {
			t.Errorf("a request made the file %s", file)
		}
	}
	if r := f.run("clicks"); r.Queue != "running" {
		t.Errorf("%+v", r)
	}
}

// tree lists the files of a directory.
func tree(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSavepointsAreNoOptions: the path of a savepoint is a word of Flink's command line, where -D… would be a setting.
func TestSavepointsAreNoOptions(t *testing.T) {
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	for _, path := range []string{"-Drest.bind-address=0.0.0.0", "--host", "x", "relative/path", " /a", "/a b", "/a\nb", "s3:/a\x00", strings.Repeat("/a", 2000), "Latest"} {
		if resp, body := f.call("POST", "/v1/jobs/clicks/start", wire.Start{Savepoint: path}, nil); resp.StatusCode != 400 {
			t.Errorf("%.100q: %d %s", path, resp.StatusCode, body)
		}
	}
	r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{Savepoint: "s3://bucket/savepoint-1"}, nil))
	if r.From != "s3://bucket/savepoint-1" {
		t.Errorf("%+v", r)
	}
}

// TestSecretsAreMasked: what looks like a secret in a text of a cluster is neither stored in a timeline nor shown: reasons, events, attempts, causes of
// pushes, stacks of archives, streams.
func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	token := "fp_" + strings.Repeat("Ab3-_", 9)[:43]
	leak := "c.D: cannot connect to jdbc:mysql://root:hunter2@db/x?password=hunter2 with token=hunter2, " + token
	streamed := bufio.NewScanner(f.stream("/v1/events?after=0", "text/event-stream").Body)
	r := f.running("clicks")
	f.as(f.runToken(r.ID), func() {
		f.want(204, "POST", "/v1/flink-events", wire.Push{Run: r.ID, Attempt: r.Attempt, Sequence: 1, JobID: r.JobID, Status: "RESTARTING", Cause: leak}, nil)
		archive := bytes.ReplaceAll(archiveOf(r.JobID, "FAILED"), []byte("c.D: the cause"), []byte(leak))
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, archive, nil)
	})
	f.until("clicks", "failed", func(r wire.Run) bool { return r.Queue == "failed" })
	var shown bytes.Buffer
	for _, path := range []string{"/v1/jobs", "/v1/jobs/clicks", "/v1/jobs/clicks/runs", "/v1/jobs/clicks/runs/" + r.ID, "/v1/jobs/clicks/events", "/v1/events", "/v1/jobs/clicks/exceptions", "/v1/jobs/clicks/checkpoints", "/v1/jobs/clicks/logs"} {
		shown.Write(f.want(200, "GET", path, nil, nil))
	}
	for {
		e := nextEvent(t, streamed)
		if e == nil {
			t.Fatal("the stream has ended")
		}
		shown.WriteString(e.Text)
		if e.Outcome == "failed" {
			break
		}
	}
	if text := shown.String(); strings.Contains(text, "hunter2") || strings.Contains(text, token) || strings.Count(text, "jdbc:mysql://******@db/x?password=******") < 5 {
		t.Errorf("%s", text)
	}
	f.stop()
	for _, name := range []string{"platform.db", "platform.db-wal"} {
		if content, err := os.ReadFile(filepath.Join(f.dir, name)); err == nil && (bytes.Contains(content, []byte("hunter2")) || bytes.Contains(content, []byte(token))) {
			t.Errorf("%s has the secret", name)
		}
	}
	if strings.Contains(f.log.String(), "hunter2") {
		t.Error("the log has the secret")
	}
}

// fetching is a fetcher whose names lead to a server of this process.
func fetching(t *testing.T, h http.HandlerFunc, names map[string]string) *outbound.Fetcher {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	var allow []string
	for name := range names {
		allow = append(allow, name)
	}
	f, err := outbound.New(outbound.Options{Allow: allow, Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(names[name])}, nil
	}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func withURI(uri, more string) string {
	return fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: clicks\nsql:\n  scriptUri: %q\n%s", uri, more)
}

// TestScriptsElsewhere: the server opens no path and no file: URI of a definition, and asks only hosts that its operator lists; then faults and secrets
// of such a script are found as in any other.
func TestScriptsElsewhere(t *testing.T) {
	canary := filepath.Join(t.TempDir(), "canary.sql")
	if err := os.WriteFile(canary, []byte("this line is a canary;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "INSERT INTO p SELECT 1;\n"
	closed := withWorkbench(t, false)
	opened := withWorkbench(t, false, Options{Fetch: fetching(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good.sql":
			io.WriteString(w, shown)
		case "/broken.sql":
			io.WriteString(w, "SET 'a' = 'b';\n\n  INSERT INTO p SELECT 'x;\n")
		case "/secret.sql":
			io.WriteString(w, "CREATE TABLE t (i INT) WITH (\n  'connector'='jdbc', 'password'='hunter2');\n"+script)
		default:
			http.Error(w, "a page with a canary", 404)
		}
	}, map[string]string{"git.example.com": "93.184.215.14", "inside.example.com": "10.0.0.1"})})
	for _, c := range []struct {
		f         *fixture
		uri, want string
	}{
		{closed, canary, "opens no file"},
		{closed, "file://" + canary, `"file" is not a scheme`},
		{closed, "http://git.example.com/good.sql", "without --fetch-allow"},
		{closed, "http://127.0.0.1/x", "without --fetch-allow"},
		{opened, canary, "opens no file"},
		{opened, "file:" + canary, `"file" is not a scheme`},
		{opened, "s3://bucket/a.sql", `"s3" is not a scheme`},
		{opened, opened.s.URL + "/v1/jobs", "is not one that the server may fetch from"},
		{opened, "http://inside.example.com/x", "not of the public internet"},
		{opened, "http://git.example.com/missing.sql", "answers with 404"},
	} {
		for _, path := range []string{"/v1/validate", "/v1/lineage", "/v1/debug"} {
			p := decode[wire.Problem](t, c.f.want(422, "POST", path, withURI(c.uri, ""), nil))
			if !strings.HasPrefix(p.Detail, "sql.scriptUri: ") || !strings.Contains(p.Detail, c.want) || p.Hint == "" || strings.Contains(fmt.Sprint(p), "is a canary") || strings.Contains(fmt.Sprint(p), "a page") {
				t.Errorf("%s %s: %+v", path, c.uri, p)
			}
		}
		// The pods read it, so it is stored; a warning says that nothing has looked at it.
		name := fmt.Sprintf("job-%x", sha256.Sum256([]byte(c.uri)))[:20]
		v := decode[wire.Version](t, c.f.want(201, "PUT", "/v1/jobs/"+name, withURI(c.uri, ""), nil))
		if len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "is not checked here") || !strings.Contains(v.Warnings[0], c.want) {
			t.Errorf("%s: %+v", c.uri, v)
		}
	}
	f := opened
	if v := decode[wire.Version](t, f.want(201, "PUT", "/v1/jobs/good", withURI("http://git.example.com/good.sql", ""), nil)); len(v.Warnings) != 0 {
		t.Errorf("%+v", v)
	}
	if _, body := f.call("GET", "/v1/jobs/good/versions/1", nil, nil); string(body) != withURI("http://git.example.com/good.sql", "") {
		t.Errorf("pods get %s", body)
	}
	if v := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate", withURI("http://git.example.com/good.sql", ""), nil)); !v.Valid {
		t.Errorf("%+v", v)
	}
	if l := decode[wire.Lineage](t, f.want(200, "POST", "/v1/lineage", withURI("http://git.example.com/good.sql", ""), nil)); len(l.Tables) == 0 {
		t.Errorf("%+v", l)
	}
	p := decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/broken", withURI("http://git.example.com/broken.sql", ""), nil))
	if len(p.Faults) != 1 || p.Faults[0].Line != 3 {
		t.Errorf("%+v", p)
	}
	p = decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/secret", withURI("http://git.example.com/secret.sql", ""), nil))
	if len(p.Faults) != 1 || p.Faults[0].Line != 2 || p.Faults[0].Column != 23 || strings.Contains(fmt.Sprint(p), "hunter2") {
		t.Errorf("%+v", p)
	}
	wrong := strings.Repeat("0", 64)
	p = decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/digest", withURI("http://git.example.com/good.sql", "  scriptSha256: "+wrong+"\n"), nil))
	if len(p.Faults) != 1 || p.Faults[0].Path != "sql.scriptSha256" || p.Faults[0].Line != 5 {
		t.Errorf("%+v", p)
	}
	sum := sha256.Sum256([]byte(shown))
	f.want(201, "PUT", "/v1/jobs/digest", withURI("http://git.example.com/good.sql", "  scriptSha256: "+hex.EncodeToString(sum[:])+"\n"), nil)
}
