package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/platform/simulate"
)

const definition = `apiVersion: flink-entrypoint/v1
name: clicks
sql:
  script: |
    CREATE TABLE s (id INT) WITH ('connector' = 'datagen');
    CREATE TABLE p (id INT) WITH ('connector' = 'print');
    INSERT INTO p SELECT id FROM s;
`

// A fixture is a server with simulated clusters.
type fixture struct {
	t     *testing.T
	s     *Server
	world *simulate.World
	page  *page
	token string
	dir   string
	auth  bool
	log   *bytes.Buffer
	more  Options // limits and what is kept
}

// TestMain runs more tests at the same time than there are processors, unless a flag says how many: they wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		flag.Set("test.parallel", "12")
	}
	os.Exit(m.Run())
}

func newFixture(t *testing.T, auth bool, more ...Options) *fixture {
	f := &fixture{t: t, world: simulate.New(t), page: readPage(t), dir: filepath.Join(t.TempDir(), "data"), auth: auth, log: &bytes.Buffer{}}
	for _, o := range more {
		f.more = o
	}
	f.start()
	t.Cleanup(func() {
		if f.s != nil {
			f.s.Close()
		}
	})
	return f
}

func (f *fixture) start() {
	f.t.Helper()
	s, err := Start(context.Background(), Options{DataDir: f.dir, Store: f.more.Store, Listen: cmp.Or(f.more.Listen, "127.0.0.1:0"), ArchiveWait: 200 * time.Millisecond, Driver: func(string) cluster.Driver { return f.world },
		Log: slog.New(slog.NewTextHandler(f.log, nil)), Auth: f.auth, Limits: f.more.Limits, Home: f.more.Home, Entrypoint: f.more.Entrypoint, Env: f.more.Env, Warm: f.more.Warm, URL: f.more.URL, StreamCheck: f.more.StreamCheck, Fetch: f.more.Fetch,
		DebugSlots: f.more.DebugSlots, DebugQueue: f.more.DebugQueue, DebugWall: workbench.WallOff, Workers: f.more.Workers, Lease: f.more.Lease, Point: f.more.Point})
	if err != nil {
		f.t.Fatal(err)
	}
	f.s = s
}

func (f *fixture) stop() {
	f.t.Helper()
	if err := f.s.Close(); err != nil {
		f.t.Error(err)
	}
	f.s = nil
}

type header map[string]string

// database opens the server's database beside it.
func (f *fixture) database() *sql.DB {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(f.dir, "platform.db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { db.Close() })
	return db
}

// call sends a request, holds the answer against the page, and returns it.
func (f *fixture) call(method, path string, body any, h header) (*http.Response, []byte) {
	f.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			f.t.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.s.URL+path, r)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	for k, v := range h {
		req.Header.Set(k, v)
	}
	if h["Host"] != "" {
		req.Host = h["Host"]
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if h["Host"] == "" {
		f.page.check(method, path, resp, content)
	}
	return resp, content
}

// want calls and expects a status; it returns the body.
func (f *fixture) want(status int, method, path string, body any, h header) []byte {
	f.t.Helper()
	resp, content := f.call(method, path, body, h)
	if resp.StatusCode != status {
		f.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, content)
	}
	return content
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

func (f *fixture) run(job string) wire.Run {
	f.t.Helper()
	j := decode[wire.Job](f.t, f.want(200, "GET", "/v1/jobs/"+job, nil, nil))
	if j.Run == nil {
		f.t.Fatal("never started")
	}
	return *j.Run
}

func (f *fixture) until(job, what string, ok func(wire.Run) bool) wire.Run {
	f.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r := f.run(job); ok(r) {
			return r
		}
	}
	f.t.Fatalf("%s is not %s: %+v\n%s", job, what, f.run(job), f.log)
	return wire.Run{}
}

// running submits and starts a job, and waits until it runs.
func (f *fixture) running(job string) wire.Run {
	f.t.Helper()
	f.want(201, "PUT", "/v1/jobs/"+job, definition, nil)
	r := decode[wire.Run](f.t, f.want(202, "POST", "/v1/jobs/"+job+"/start", wire.Start{}, nil))
	f.until(job, "started", func(r wire.Run) bool { return r.Attempt != "" })
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	return f.until(job, "running", func(r wire.Run) bool { return r.Queue == "running" })
}

// runToken is the token that the run's pods have.
func (f *fixture) runToken(run string) string {
	f.t.Helper()
	token := ""
	f.world.Of(run, func(c *simulate.Cluster) { token = c.Token })
	if token == "" {
		f.t.Fatal("the run's pods have no token")
	}
	return token
}

func (f *fixture) as(token string, do func()) {
	before := f.token
	f.token = token
	defer func() { f.token = before }()
	do()
}

func archiveOf(job, status string) []byte {
	overview := fmt.Sprintf(`{"jobs":[{"jid":%q,"name":"x","state":%q,"tasks":{}}]}`, job, status)
	exceptions := `{"exceptionHistory":{"entries":[{"exceptionName":"x","stacktrace":"a.B: wrapper\nCaused by: c.D: the cause","timestamp":1}]}}`
	checkpoints := `{"counts":{"completed":1},"latest":{},"history":[{"id":1,"status":"COMPLETED","is_savepoint":false,"external_path":"file:/nowhere","trigger_timestamp":1}]}`
	b, _ := json.Marshal(map[string]any{"archive": []map[string]string{{"path": "/jobs/overview", "json": overview}, {"path": "/jobs/" + job + "/exceptions", "json": exceptions}, {"path": "/jobs/" + job + "/checkpoints", "json": checkpoints}}})
	return b
}

// TestEveryOperation calls each operation of the page at least once, right and wrong.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	f.want(200, "PUT", "/v1/jobs/clicks", definition, nil)
	if got := decode[struct{ Jobs []wire.Job }](t, f.want(200, "GET", "/v1/jobs?queue=running", nil, nil)); len(got.Jobs) != 1 || got.Jobs[0].Run.ID != r.ID {
		t.Errorf("%+v", got)
	}
	f.want(400, "GET", "/v1/jobs?limit=x", nil, nil)
	f.want(404, "GET", "/v1/jobs/nothing", nil, nil)
	f.want(400, "PUT", "/v1/jobs/No_Name", definition, nil)
	f.want(409, "DELETE", "/v1/jobs/clicks", nil, nil)
	f.want(200, "GET", "/v1/jobs/clicks/versions", nil, nil)
	f.want(404, "GET", "/v1/jobs/clicks/versions/9", nil, nil)
	f.want(409, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil)
	f.want(400, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "x"}, nil)
	f.want(400, "POST", "/v1/jobs/clicks/stop", `{"mode": 3}`, nil)
	f.want(404, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Version: 9}, nil) // see TestUpgrade
	f.want(200, "GET", "/v1/jobs/clicks/runs", nil, nil)
	f.want(200, "GET", "/v1/jobs/clicks/runs/"+r.ID, nil, nil)
	f.want(404, "GET", "/v1/jobs/clicks/runs/x", nil, nil)
	f.want(400, "POST", "/v1/jobs/clicks/runs/"+r.ID+"/resolve", wire.Resolve{As: "failed"}, nil)
	f.want(409, "POST", "/v1/jobs/clicks/runs/"+r.ID+"/resolve", wire.Resolve{As: "failed", Reason: "x"}, nil)
	f.want(200, "GET", "/v1/jobs/clicks/exceptions", nil, nil)
	f.want(503, "GET", "/v1/jobs/clicks/checkpoints", nil, nil)
	f.want(503, "GET", "/v1/jobs/clicks/memory", nil, nil)  // no entrypoint here; see TestMemory
	f.want(503, "GET", "/v1/jobs/clicks/lineage", nil, nil) // no Flink here; see TestLineageOfAVersion
	f.want(200, "GET", "/v1/jobs/clicks/logs?tail=5", nil, nil)
	f.want(200, "GET", "/v1/jobs/clicks/events", nil, nil)
	f.want(200, "GET", "/v1/events?run="+r.ID, nil, nil)
	f.want(400, "GET", "/v1/events?after=x", nil, nil)
	f.want(200, "GET", "/v1/health", nil, nil)
	f.want(200, "GET", "/metrics", nil, nil)
	f.want(200, "GET", "/v1/counts", nil, nil)
	f.want(200, "GET", "/v1/jobs?seen=true&condition=lost&ended=false&limit=10", nil, nil)
	f.want(400, "GET", "/v1/jobs?seen=true&limit=1000", nil, nil)
	f.want(400, "GET", "/v1/jobs?condition=x", nil, nil)
	f.want(400, "GET", "/v1/jobs?ended=x", nil, nil)
	f.want(200, "GET", "/v1/me", nil, nil)
	code := decode[wire.Code](t, f.want(201, "POST", "/v1/codes", nil, nil))
	f.want(400, "POST", "/v1/sessions", wire.SignIn{}, nil)
	f.want(201, "POST", "/v1/sessions", wire.SignIn{Code: code.Code}, nil)
	f.want(401, "POST", "/v1/sessions", wire.SignIn{Code: code.Code}, nil)
	f.want(204, "DELETE", "/v1/session", nil, nil)

	f.want(422, "PUT", "/v1/clusters/shared", definition, nil)
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	f.want(200, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	f.want(412, "PUT", "/v1/clusters/shared", sessionCluster+"#2\n", header{"If-Match": `"v7"`})
	f.want(400, "PUT", "/v1/clusters/No_Name", sessionCluster, nil)
	f.want(409, "PUT", "/v1/clusters/clicks", sessionCluster, nil)
	f.want(409, "PUT", "/v1/jobs/shared", definition, nil)
	f.want(200, "GET", "/v1/clusters", nil, nil)
	f.want(200, "GET", "/v1/clusters/shared", nil, nil)
	f.want(404, "GET", "/v1/clusters/clicks", nil, nil)
	f.want(409, "DELETE", "/v1/jobs/shared", nil, nil)
	f.want(404, "DELETE", "/v1/clusters/clicks", nil, nil)
	f.want(204, "DELETE", "/v1/clusters/shared", nil, nil)

	f.want(422, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "DROP CATALOG ods"}, nil)
	f.want(422, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='jdbc','password'='hunter2')"}, nil)
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, header{"If-None-Match": "*"})
	f.want(412, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods"}, header{"If-Match": `"r7"`})
	f.want(200, "GET", "/v1/catalogs?jobs=true", nil, nil)
	f.want(200, "GET", "/v1/catalogs/ods", nil, nil)
	f.want(503, "POST", "/v1/catalogs/ods/check", nil, nil) // no Flink here; see TestCheckCatalog
	f.want(204, "DELETE", "/v1/catalogs/ods", nil, nil)
	f.want(404, "GET", "/v1/catalogs/ods", nil, nil)

	f.want(201, "PUT", "/v1/artifacts/udf-1.2.jar", "content", nil)
	f.want(409, "PUT", "/v1/artifacts/udf-1.2.jar", "other", nil)
	f.want(422, "PUT", "/v1/artifacts/x.jar?sha256="+strings.Repeat("0", 64), "content", nil)
	f.want(400, "PUT", "/v1/artifacts/.hidden", "content", nil)
	f.want(200, "GET", "/v1/artifacts", nil, nil)
	if got := f.want(206, "GET", "/v1/artifacts/udf-1.2.jar", nil, header{"Range": "bytes=3-"}); string(got) != "tent" {
		t.Errorf("a range is %q", got)
	}
	f.want(204, "DELETE", "/v1/artifacts/udf-1.2.jar", nil, nil)

	made := decode[wire.Token](t, f.want(201, "POST", "/v1/tokens", map[string]string{"name": "ann", "role": "view"}, nil))
	f.want(409, "POST", "/v1/tokens", map[string]string{"name": "ann", "role": "view"}, nil)
	f.want(400, "POST", "/v1/tokens", map[string]string{"name": "bob", "role": "king"}, nil)
	if list := f.want(200, "GET", "/v1/tokens", nil, nil); bytes.Contains(list, []byte(made.Secret)) {
		t.Error("the list shows the secret")
	}
	f.as(made.Secret, func() { f.want(403, "PUT", "/v1/jobs/clicks", definition, nil) })
	f.want(204, "DELETE", "/v1/tokens/ann", nil, nil)
	f.as(made.Secret, func() { f.want(401, "GET", "/v1/jobs", nil, nil) })

	for _, path := range []string{"/v1/validate", "/v1/debug", "/v1/lineage"} { // no Flink here; see TestWorkbench
		f.want(503, "POST", path, "SELECT 1;", nil)
	}

	f.want(403, "POST", "/v1/flink-events", wire.Push{Run: r.ID}, nil)
	token := f.runToken(r.ID)
	f.as(token, func() {
		f.want(403, "GET", "/v1/jobs", nil, nil)
		f.want(200, "GET", "/v1/jobs/clicks/versions/1", nil, nil)
		f.want(400, "POST", "/v1/flink-events", wire.Push{Run: r.ID}, nil)
		f.want(204, "POST", "/v1/flink-events", wire.Push{Run: r.ID, Attempt: r.Attempt, Sequence: 1, JobID: r.JobID, Status: "RESTARTING", Cause: "x"}, nil)
		f.want(422, "PUT", "/v1/runs/"+r.ID+"/archive/"+r.JobID, "{}", nil)
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/applications/"+r.JobID, "{}", nil)
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/a/"+r.JobID, archiveOf(r.JobID, "FAILED"), nil)
	})
	r = f.until("clicks", "failed", func(r wire.Run) bool { return r.Queue == "failed" })
	if r.Evidence != "archive" || r.Reason != "c.D: the cause" {
		t.Errorf("%+v", r)
	}
	if got := f.want(200, "GET", "/v1/jobs/clicks/exceptions", nil, nil); !bytes.Contains(got, []byte(`"cause":"c.D: the cause"`)) {
		t.Errorf("%s", got)
	}
	f.want(200, "GET", "/v1/jobs/clicks/checkpoints", nil, nil)
	f.until("clicks", "cleaned up", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && len(run.Pending) == 0
	})
	f.want(204, "DELETE", "/v1/jobs/clicks", nil, nil)
	f.want(404, "GET", "/v1/nothing", nil, nil)
	if m := f.page.missing(); len(m) > 0 {
		t.Errorf("operations of the page that no one called: %v", m)
	}
}

// TestMethods: each path of the page has the methods of the page and no others; others are answered with those that it has.
func TestMethods(t *testing.T) {
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	values := strings.NewReplacer("{job}", "clicks", "{n}", "1", "{run}", "r", "{name}", "x", "{artifact}", "x", "{file}", "x")
	all := []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
	paths := map[string][]string{"/healthz": {"GET", "HEAD"}, "/readyz": {"GET", "HEAD"}, "/openapi.yaml": {"GET", "HEAD"}}
	for template, operations := range f.page.doc["paths"].(map[string]any) {
		for m := range operations.(map[string]any) {
			if m = strings.ToUpper(m); m != "PARAMETERS" {
				paths[template] = append(paths[template], m)
			}
			if m == "GET" {
				paths[template] = append(paths[template], "HEAD")
			}
		}
	}
	f.as(f.tokenOf("ann", "web", store.RoleView), func() {
		for template, allowed := range paths {
			slices.Sort(allowed)
			path := values.Replace(template)
			for _, m := range all {
				resp, body := f.call(m, path, nil, header{"Host": "127.0.0.1"})
				if has := slices.Contains(allowed, m); (resp.StatusCode != 405) != has {
					t.Errorf("%s %s: %d", m, template, resp.StatusCode)
				} else if has {
					continue
				}
				if got := resp.Header.Get("Allow"); got != strings.Join(allowed, ", ") {
					t.Errorf("%s %s: Allow: %s, want %q", m, template, got, allowed)
				}
				if m == "HEAD" {
					continue
				}
				if p := decode[wire.Problem](t, body); p.Status != 405 || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(p.Detail, m+" cannot be used with the path "+path) {
					t.Errorf("%s %s: %s", m, template, body)
				}
			}
		}
		for _, path := range []string{"/v1", "/v1/", "/v1/jobs/clicks/nothing", "/v2/jobs", "/v1/runs/r"} {
			if resp, body := f.call("GET", path, nil, nil); resp.StatusCode != 404 || decode[wire.Problem](t, body).Status != 404 {
				t.Errorf("%s: %d %s", path, resp.StatusCode, body)
			}
		}
	})
	f.want(401, "PATCH", "/v1/jobs", nil, nil) // who may ask nothing learns nothing
	f.want(401, "GET", "/v1/nothing", nil, header{"Host": "127.0.0.1"})
}

// TestVersionsAsPodsReadThem: docs/definition-service.yaml holds for the path that pods get.
func TestVersionsAsPodsReadThem(t *testing.T) {
	f := newFixture(t, false)
	v := decode[wire.Version](t, f.want(201, "PUT", "/v1/jobs/clicks?comment=first", definition, nil))
	resp, body := f.call("GET", "/v1/jobs/clicks/versions/1", nil, header{"X-Request-Id": "r1"})
	if string(body) != definition || resp.Header.Get("Content-Type") != "application/yaml" || resp.Header.Get("X-Request-Id") != "r1" {
		t.Errorf("%v %s", resp.Header, body)
	}
	tag := resp.Header.Get("ETag")
	if resp, body := f.call("GET", "/v1/jobs/clicks/versions/1", nil, header{"If-None-Match": `"x", W/` + tag}); resp.StatusCode != 304 || len(body) > 0 || resp.Header.Get("ETag") != tag {
		t.Errorf("not modified: %d %s", resp.StatusCode, body)
	}
	if resp, body := f.call("GET", "/v1/jobs/clicks/versions/1", nil, header{"Accept-Encoding": "gzip"}); resp.Header.Get("Content-Encoding") != "gzip" || bytes.Contains(body, []byte("apiVersion")) {
		t.Error("not compressed")
	}
	if v.Comment != "first" || v.By != "local user" {
		t.Errorf("%+v", v)
	}
	// If-Match protects from a lost change; an Idempotency-Key from a double one.
	f.want(412, "PUT", "/v1/jobs/clicks", definition+"#2\n", header{"If-Match": `"v7"`})
	f.want(412, "PUT", "/v1/jobs/clicks", definition+"#2\n", header{"If-None-Match": "*"})
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"#2\n", header{"If-Match": `"v1"`, "Idempotency-Key": "k1"})
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"#2\n", header{"If-Match": `"v1"`, "Idempotency-Key": "k1"})
	f.want(422, "PUT", "/v1/jobs/clicks", definition+"#3\n", header{"If-Match": `"v1"`, "Idempotency-Key": "k1"})
	if all := decode[struct{ Versions []wire.Version }](t, f.want(200, "GET", "/v1/jobs/clicks/versions", nil, nil)); len(all.Versions) != 2 {
		t.Errorf("%d versions", len(all.Versions))
	}
}

// TestKeyOfACrash: a server that ends in the middle of a request with a key leaves it done once, by the next server.
func TestKeyOfACrash(t *testing.T) {
	t.Parallel()
	crash := ""
	f := newFixture(t, false, Options{Point: func(place string) {
		if place == crash {
			panic("a crash at " + place)
		}
	}})
	for i, place := range []string{"a key is reserved", "a request with a key is done"} {
		name := fmt.Sprint("job-", i)
		for _, r := range []struct {
			method, path string
			in           any
			want         int
		}{{"PUT", "/v1/jobs/" + name, definition, 201}, {"POST", "/v1/jobs/" + name + "/start", wire.Start{}, 202}, {"POST", "/v1/jobs/" + name + "/stop", wire.Stop{Mode: "cancel"}, 202}} {
			h := header{"Idempotency-Key": name + r.path}
			body, ok := r.in.(string)
			if !ok {
				b, err := json.Marshal(r.in)
				if err != nil {
					t.Fatal(err)
				}
				body = string(b)
			}
			req, err := http.NewRequestWithContext(t.Context(), r.method, f.s.URL+r.path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Idempotency-Key", h["Idempotency-Key"])
			crash = place
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != 500 { // nothing of an answer
				t.Errorf("%s: %s", place, resp.Status)
			}
			crash = ""
			f.stop()
			f.start()
			if strings.HasSuffix(r.path, "/stop") && i == 1 { // it was done: another run, which the user starts meanwhile, goes on
				f.until(name, "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
				f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil)
			}
			answer := f.want(r.want, r.method, r.path, r.in, h)
			if again := f.want(r.want, r.method, r.path, r.in, h); string(again) != string(answer) {
				t.Errorf("%s: %s\n%s", place, answer, again)
			}
		}
		if all := decode[struct{ Versions []wire.Version }](t, f.want(200, "GET", "/v1/jobs/"+name+"/versions", nil, nil)); len(all.Versions) != 1 {
			t.Errorf("%s: %d versions", place, len(all.Versions))
		}
		if all := decode[struct{ Runs []wire.Run }](t, f.want(200, "GET", "/v1/jobs/"+name+"/runs", nil, nil)); len(all.Runs) != 1+i || i == 1 && all.Runs[0].Desired != "run" {
			t.Errorf("%s: %+v", place, all.Runs)
		}
	}
}

func TestFaultsHavePlaces(t *testing.T) {
	f := newFixture(t, false)
	p := decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/clicks", "apiVersion: flink-entrypoint/v1\nname: clicks\nsqll: {}\nx-platform:\n  catalogs: [ods]\n", nil))
	if len(p.Faults) != 1 || p.Faults[0].Line != 3 {
		t.Errorf("%+v", p)
	}
	p = decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/clicks",
		"apiVersion: flink-entrypoint/v1\nname: clicks\nconfiguration:\n  s3.secret-key: hunter2\nx-platform:\n  catalogs: [ods]\n  restart: {atempts: 3}\n", nil))
	if len(p.Faults) != 3 || p.Faults[0].Line != 4 || p.Faults[1].Line != 6 || p.Faults[2].Line != 7 || strings.Contains(fmt.Sprint(p), "hunter2") {
		t.Errorf("%+v", p)
	}
	// Faults of the SQL are at their places in what the user sent, YAML or a script alone.
	p = decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/clicks",
		"apiVersion: flink-entrypoint/v1\nname: clicks\nsql:\n  script: |\n    SET 'a' = 'b';\n    INSERT INTO t SELECT 'x;\n", nil))
	if len(p.Faults) != 1 || p.Faults[0].Line != 6 {
		t.Errorf("%+v", p)
	}
	script := header{"Content-Type": "application/sql"}
	p = decode[wire.Problem](t, f.want(422, "PUT", "/v1/jobs/clicks", "SET 'a' = 'b';\n\nINSERT INTO t SELECT 'x;\n", script))
	if len(p.Faults) != 1 || p.Faults[0].Line != 3 {
		t.Errorf("%+v", p)
	}
	f.want(201, "PUT", "/v1/jobs/clicks", "INSERT INTO t SELECT 1;\n", script)
	if _, body := f.call("GET", "/v1/jobs/clicks/versions/1", nil, nil); !strings.Contains(string(body), `INSERT INTO t SELECT 1;`) {
		t.Errorf("%s", body)
	}
}

// TestCatalogsAreWrittenIn: a version keeps the catalog that it was made with, and the catalog's page says who has an older one.
func TestCatalogsAreWrittenIn(t *testing.T) {
	f := newFixture(t, false)
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='jdbc','password'='${fromEnv:ODS_PASSWORD}')"}, nil)
	with := strings.Replace(definition, "sql:\n", "x-platform: {catalogs: [ods]}\nsql:\n  catalogs:\n    - {name: dim, options: {type: generic_in_memory, default-database: 'no'}}\n", 1)
	f.want(201, "PUT", "/v1/jobs/clicks", with, nil)
	_, body := f.call("GET", "/v1/jobs/clicks/versions/1", nil, nil)
	if want := `"catalogs":[{"name":"ods","options":{"type":"jdbc","password":{"fromEnv":"ODS_PASSWORD"}}},{"name":"dim","options":{"type":"generic_in_memory","default-database":"no"}}]`; !strings.Contains(string(body), want) {
		t.Errorf("%s", body)
	}
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, nil)
	c := decode[wire.Catalog](t, f.want(200, "GET", "/v1/catalogs/ods", nil, nil))
	if len(c.Jobs) != 1 || c.Jobs[0].Revision != 1 || c.Revision != 2 {
		t.Errorf("%+v", c)
	}
	v := decode[wire.Version](t, f.want(200, "GET", "/v1/jobs/clicks/versions/1?view=info", nil, nil))
	if len(v.Catalogs) != 1 || v.Catalogs[0].Revision != 1 || v.Catalogs[0].Newest != 2 || v.Source != with {
		t.Errorf("%+v", v)
	}
	// The same text again is another version, since the catalog has changed.
	f.want(201, "PUT", "/v1/jobs/clicks", with, nil)
}

func TestTeams(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true)
	make := func(name, team string, role store.Role) string {
		secret, err := f.s.Store.MakeToken(t.Context(), store.Token{Name: name, Role: role, Team: team})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	ann, bob := make("ann", "web", store.RoleEdit), make("bob", "ads", store.RoleAdmin)
	f.want(401, "GET", "/v1/jobs", nil, nil)
	f.token = ann
	r := f.running("clicks")
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, nil)
	f.want(201, "PUT", "/v1/artifacts/a.jar", "content", nil)
	f.want(403, "GET", "/v1/tokens", nil, nil)
	f.as(bob, func() {
		for _, path := range []string{"/v1/jobs/clicks", "/v1/jobs/clicks/versions", "/v1/jobs/clicks/versions/1", "/v1/jobs/clicks/runs", "/v1/jobs/clicks/runs/" + r.ID, "/v1/jobs/clicks/logs",
			"/v1/jobs/clicks/events", "/v1/jobs/clicks/exceptions", "/v1/jobs/clicks/checkpoints", "/v1/jobs/clicks/memory", "/v1/jobs/clicks/lineage", "/v1/catalogs/ods", "/v1/artifacts/a.jar"} {
			f.want(404, "GET", path, nil, nil)
		}
		f.want(404, "POST", "/v1/jobs/clicks/stop", wire.Stop{}, nil)
		f.want(404, "DELETE", "/v1/jobs/clicks", nil, nil)
		f.want(409, "PUT", "/v1/jobs/clicks", definition, nil)
		for path, key := range map[string]string{"/v1/jobs": "jobs", "/v1/events": "events", "/v1/catalogs": "catalogs", "/v1/artifacts": "artifacts"} {
			if got := decode[map[string][]any](t, f.want(200, "GET", path, nil, nil)); len(got[key]) != 0 {
				t.Errorf("%s shows another team's: %v", path, got)
			}
		}
	})
	f.as(f.runToken(r.ID), func() {
		f.want(404, "GET", "/v1/jobs/clicks/versions/2", nil, nil)
		f.want(404, "GET", "/v1/jobs/other/versions/1", nil, nil)
		f.want(404, "GET", "/v1/artifacts/a.jar", nil, nil) // its version does not name it; see TestTokenOfARun
		f.want(403, "POST", "/v1/flink-events", wire.Push{Run: "another"}, nil)
		f.want(403, "PUT", "/v1/runs/another/archive/"+r.JobID, "{}", nil)
		f.want(403, "POST", "/v1/jobs/clicks/stop", wire.Stop{}, nil)
	})
	if strings.Contains(f.log.String(), f.runToken(r.ID)) {
		t.Error("the log has a token")
	}
}

// TestOneTeam: clusters as processes run as one user, so a server that starts them starts none once a second team has jobs.
func TestOneTeam(t *testing.T) {
	s, err := Start(t.Context(), Options{DataDir: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Auth: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := &fixture{t: t, s: s, page: readPage(t)}
	for _, team := range []string{"web", "ads"} {
		secret, err := s.Store.MakeToken(t.Context(), store.Token{Name: team, Role: store.RoleEdit, Team: team})
		if err != nil {
			t.Fatal(err)
		}
		f.as(secret, func() {
			f.want(201, "PUT", "/v1/jobs/"+team, definition, nil)
			if team == "web" {
				return // its start would be taken, and needs a Flink
			}
			p := decode[wire.Problem](t, f.want(409, "POST", "/v1/jobs/"+team+"/start", wire.Start{}, nil))
			if !strings.Contains(p.Detail, "jobs of other teams are stored here (1)") || strings.Contains(p.Detail, "web") || p.Hint == "" {
				t.Errorf("%+v", p)
			}
		})
	}
	teams, err := s.Store.Teams(t.Context())
	if err != nil || !slices.Equal(teams, []string{"ads", "web"}) {
		t.Errorf("teams %q, %v", teams, err)
	}
}

// TestOtherSites: a browser that a page of another site makes call this server gets nothing.
func TestOtherSites(t *testing.T) {
	f := newFixture(t, false)
	if resp, _ := f.call("GET", "/v1/jobs", nil, header{"Host": "evil.example"}); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("DNS rebinding: %d", resp.StatusCode)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		if resp, _ := f.call("GET", "/v1/jobs", nil, header{"Host": host + ":1"}); resp.StatusCode != 200 {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
	if resp, _ := f.call("PUT", "/v1/jobs/clicks", definition, header{"Sec-Fetch-Site": "cross-site", "Host": "localhost"}); resp.StatusCode != 403 {
		t.Errorf("a cross-site request: %d", resp.StatusCode)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.s.URL+"/v1/jobs/clicks/events?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "cancel"}, nil)
	lines := bufio.NewScanner(resp.Body)
	var texts []string
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			e := decode[wire.Event](t, []byte(data))
			texts = append(texts, e.Text)
			if e.Run != r.ID && e.Text != "version 1 was stored" {
				t.Errorf("%+v", e)
			}
			if e.Outcome == "canceled" {
				break
			}
		}
	}
	if len(texts) < 5 || texts[0] != "version 1 was stored" || texts[1] != "version 1 was asked to start" {
		t.Errorf("%q", texts)
	}
}

// TestSavepoints: stopped with a savepoint, started from it.
func TestSavepoints(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "savepoint"}, nil)
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Status, c.Savepoint = "FINISHED", `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savepoints/one"}}`
	})
	r = f.until("clicks", "stopped", func(r wire.Run) bool { return r.Outcome == "stopped" })
	if r.Savepoint != "file:/savepoints/one" {
		t.Errorf("%+v", r)
	}
	next := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{Savepoint: "latest"}, nil))
	next = f.until("clicks", "started again", func(r wire.Run) bool { return r.ID == next.ID && r.Attempt != "" })
	f.world.Of(next.ID, func(c *simulate.Cluster) {
		if c.Spec.Savepoint != "file:/savepoints/one" {
			t.Errorf("it started from %q", c.Spec.Savepoint)
		}
	})
	if next.JobID == r.JobID || next.From != "file:/savepoints/one" {
		t.Errorf("%+v", next)
	}
}

// TestWithoutSavepoint: a start with the savepoint none starts without state, whatever the definition says, on a cluster of its own and on a session
// cluster. A start that names nothing leaves it to the definition.
func TestWithoutSavepoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	shared := f.shared()
	const more = "savepoint: {path: 'file:/savepoints/defined', allowNonRestoredState: true}\nconfiguration: {execution.savepoint.path: 'file:/savepoints/configured'}\n"
	own := strings.Replace(definition, "sql:\n", more+"sql:\n", 1)
	for i, tt := range []struct{ asked, own, session string }{
		{"none", "", ""},
		{"", "", "file:/savepoints/defined"}, // the entrypoint of an own cluster reads the definition
		{"file:/savepoints/asked", "file:/savepoints/asked", "file:/savepoints/asked"},
	} {
		name := fmt.Sprint("own-", i)
		f.want(201, "PUT", "/v1/jobs/"+name, own, nil)
		r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{Savepoint: tt.asked}, nil))
		f.until(name, "started", func(r wire.Run) bool { return r.Attempt != "" })
		f.world.Of(r.ID, func(c *simulate.Cluster) {
			if c.Spec.Savepoint != tt.own || c.Spec.NoSavepoint != (tt.asked == "none") {
				t.Errorf("asked for %q: %+v", tt.asked, c.Spec)
			}
		})
		name = fmt.Sprint("on-shared-", i)
		f.want(201, "PUT", "/v1/jobs/"+name, onShared(more), nil)
		f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{Savepoint: tt.asked}, nil)
		f.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" })
		f.session(shared, func(s *simulate.Session) {
			run := s.Runs[len(s.Runs)-1]
			if path, _ := run["savepointPath"].(string); path != tt.session || strings.Contains(fmt.Sprint(run["programArgsList"]), "execution.savepoint.path") != (tt.asked != "none") {
				t.Errorf("asked for %q: %v", tt.asked, run)
			}
		})
	}
}

// TestRestartPolicy: a failed run is started again, a few times; a canceled one is not.
func TestRestartPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits between restarts")
	}
	f := newFixture(t, false)
	with := strings.Replace(definition, "sql:\n", "x-platform: {restart: {attempts: 2, backoff: 100ms}}\nconfiguration: {execution.runtime-mode: batch}\nsql:\n", 1)
	f.want(201, "PUT", "/v1/jobs/clicks", with, nil)
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{Savepoint: "file:/savepoints/first"}, nil)
	for n := range 3 {
		r := f.until("clicks", fmt.Sprint("restarted ", n), func(r wire.Run) bool { return r.Restart == n && r.Attempt != "" })
		f.world.Of(r.ID, func(c *simulate.Cluster) {
			if c.Status = "FAILED"; c.Spec.Savepoint != "file:/savepoints/first" {
				t.Errorf("start %d of a bounded job was from %q", n, c.Spec.Savepoint)
			}
		})
	}
	r := f.until("clicks", "failed", func(r wire.Run) bool { return r.Restart == 2 && r.Queue == "failed" })
	f.until("clicks", "at rest", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && len(run.Pending) == 0
	})
	if all := decode[struct{ Runs []wire.Run }](t, f.want(200, "GET", "/v1/jobs/clicks/runs", nil, nil)); len(all.Runs) != 3 {
		t.Errorf("%d runs, want 3", len(all.Runs))
	}
}

// TestResolved: nothing says how the run ended; a person does, after its cluster is gone.
func TestResolved(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits until a cluster that does not answer counts as lost")
	}
	f := newFixture(t, false)
	r := f.running("clicks")
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Broken = "no leader" })
	f.until("clicks", "lost", func(r wire.Run) bool { return r.Condition == "lost" })
	f.want(202, "POST", "/v1/jobs/clicks/runs/"+r.ID+"/resolve", wire.Resolve{As: "canceled", Reason: "the machine burnt"}, nil)
	r = f.until("clicks", "resolved", func(r wire.Run) bool { return r.Outcome == "canceled" })
	if r.Evidence != "user" || r.Reason != "the machine burnt" {
		t.Errorf("%+v", r)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		if c.Alive {
			t.Error("it was resolved while its cluster ran")
		}
	})
}

// TestRestored: a server that was restored from a backup observes, and acts after resume.
func TestRestored(t *testing.T) {
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := f.s.Store.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	f.stop()
	f.dir = filepath.Join(t.TempDir(), "restored")
	if err := store.Restore(backup, f.dir); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.want(409, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil)
	if h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)); !h.Observes {
		t.Error("it acts")
	}
	if err := f.s.Store.Resume(); err != nil {
		t.Fatal(err)
	}
	f.stop()
	f.start()
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil)
}

func TestStartIsRefused(t *testing.T) {
	f := newFixture(t, false)
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"an open address without tokens": {Options{DataDir: t.TempDir(), Listen: "0.0.0.0:0"}, "start it with --auth"},
		"an address without a host":      {Options{DataDir: t.TempDir(), Listen: "8088"}, "--listen 8088: listen tcp: address 8088: missing port in address: expected HOST:PORT such as 127.0.0.1:8088"},
		"a port in use":                  {Options{DataDir: t.TempDir(), Listen: strings.TrimPrefix(f.s.URL, "http://")}, "another program, or another flink-platform, serves there"},
		"a store in use":                 {Options{DataDir: f.dir, Listen: "127.0.0.1:0"}, "is used by another flink-platform"},
	} {
		c.o.Log = slog.New(slog.DiscardHandler)
		if s, err := Start(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			if s != nil {
				s.Close()
			}
		}
	}
}

// TestPushedFirst: a JobManager whose push is faster than its driver's report is an attempt as others are: in the timeline and in the list, once.
func TestPushedFirst(t *testing.T) {
	t.Parallel()
	var f *fixture
	var once sync.Once
	run := make(chan string, 1)
	var pushed error
	f = newFixture(t, false, Options{Point: func(place string) {
		if strings.HasPrefix(place, "after start cluster ") {
			once.Do(func() {
				var r store.Run
				if r, pushed = f.s.Store.Run(t.Context(), <-run); pushed == nil {
					_, pushed = f.s.decide(t.Context(), r.State.ID, jobstate.Push{Attempt: r.State.ID + "-jobmanager-1", Sequence: 1, JobID: r.State.JobID, Status: jobstate.StRunning})
				}
			})
		}
	}})
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil))
	run <- r.ID
	f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	once.Do(func() { t.Error("nothing was pushed") })
	if pushed != nil {
		t.Fatal(pushed)
	}
	r = decode[wire.Run](t, f.want(200, "GET", "/v1/jobs/clicks/runs/"+r.ID, nil, nil))
	if len(r.Attempts) != 1 || r.Attempts[0].ID != r.Attempt || r.Attempts[0].Started.IsZero() {
		t.Errorf("%+v, want one attempt, %s", r.Attempts, r.Attempt)
	}
	var started []string
	for _, e := range decode[struct{ Events []wire.Event }](t, f.want(200, "GET", "/v1/jobs/clicks/events", nil, nil)).Events {
		if strings.HasSuffix(e.Text, " has started") {
			started = append(started, e.Evidence+": "+e.Text)
		}
	}
	if want := []string{"push: attempt " + r.Attempt + " has started"}; !slices.Equal(started, want) {
		t.Errorf("%q, want %q", started, want)
	}
}

// TestWhatIsWrong: a wrong request is answered with the name of what is wrong, what was found and what is expected, in words of the API.
func TestWhatIsWrong(t *testing.T) {
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	f.want(201, "PUT", "/v1/clusters/shared", "apiVersion: flink-entrypoint/v1\nname: shared\n", nil)
	for _, c := range []struct {
		status             int
		method, path, body string
		header             header
		want               string
	}{
		{400, "GET", "/v1/jobs?limit=0", "", nil, `limit is "0", expected a whole number from 1 to 10000`},
		{400, "GET", "/v1/jobs?queue=bogus", "", nil, `unknown queue "bogus"`},
		{400, "GET", "/v1/jobs/clicks/versions?after=x", "", nil, `after is "x", expected a whole number`},
		{404, "GET", "/v1/jobs/clicks/versions/9", "", nil, `unknown version "9" of clicks`},
		{404, "POST", "/v1/jobs/clicks/start", `{"version": 9}`, nil, `unknown version "9" of clicks`},
		{400, "POST", "/v1/jobs/clicks/start", `{"version": "x"}`, nil, "version is of the type string, expected a number"},
		{400, "POST", "/v1/jobs/clicks/start", `{"versio": 1}`, nil, `expected: unknown field "versio"`},
		{400, "POST", "/v1/jobs/clicks/start", `[]`, nil, "the value is of the type array, expected an object"},
		{400, "POST", "/v1/jobs/shared/start", `{"savepoint": "latest"}`, nil, "shared is a session cluster, which has no savepoint"},
		{400, "POST", "/v1/tokens", `{"name": "x", "role": "view", "expires": "tomorrow"}`, nil, `"tomorrow" is not a time, expected one such as 2026-01-31T12:00:00Z`},
		{412, "PUT", "/v1/jobs/clicks", definition, header{"If-None-Match": "*"}, "the job clicks exists"},
		{404, "GET", "/v1/nothing", "", nil, "GET /openapi.yaml lists the paths"},
	} {
		resp, body := f.call(c.method, c.path, c.body, c.header)
		if text := strings.ReplaceAll(string(body), `\"`, `"`); resp.StatusCode != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "Go ") || strings.Contains(text, "json:") {
			t.Errorf("%s %s %s: %d %s\nexpected %d and %q", c.method, c.path, c.body, resp.StatusCode, text, c.status, c.want)
		}
	}
	resp, body := f.call("GET", "/openapi.yaml", nil, unchecked())
	if page, err := os.ReadFile("../../../docs/platform-api.yaml"); err != nil || resp.StatusCode != 200 || !bytes.Equal(body, page) || resp.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("/openapi.yaml: %d, %v", resp.StatusCode, err)
	}
}
