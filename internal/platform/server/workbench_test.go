package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

const shown = `CREATE TABLE p (id INT) WITH ('connector' = 'kafka');
CREATE VIEW v AS SELECT 1 AS id;
INSERT INTO p SELECT id FROM v;
`

// benches calls a test with servers of both kinds: with a workbench of its own, and with a worker, which is another process.
func benches(t *testing.T, auth bool, test func(t *testing.T, f *fixture)) {
	t.Run("here", func(t *testing.T) { test(t, withWorkbench(t, auth)) })
	t.Run("worker", func(t *testing.T) {
		w := newWorker(t)
		w.start()
		test(t, newFixture(t, auth, Options{Workers: []*workbench.Worker{w.client}}))
	})
}

// A workerProcess is flink-platform workbench, with a Java that answers as the runner of SQL does.
type workerProcess struct {
	t       *testing.T
	command func() *exec.Cmd
	cmd     *exec.Cmd
	url     string
	own     string // a file of the user in its --dir
	log     bytes.Buffer
	client  *workbench.Worker
}

func newWorker(t *testing.T) *workerProcess {
	t.Helper()
	dir, address := t.TempDir(), served.FreeAddress(t)
	world.Write(t, dir, world.Stub("2.2.1", "", world.Runner))
	const token = "a-token-of-the-server"
	file := world.File(t, filepath.Join(dir, "token"), token+"\n", 0o600)
	w := &workerProcess{t: t, url: "http://" + address}
	program := served.Program(t)
	own := filepath.Join(dir, "workbench", "own") // a file of the user
	if err := os.Mkdir(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	world.File(t, own, "own", 0o600)
	w.command = func() *exec.Cmd {
		c := exec.Command(program, "workbench", "--listen", address, "--token-file", file, "--flink-home", filepath.Join(dir, "flink"), "--dir", filepath.Dir(own), "--debug-wall", "off")
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java")}
		c.Stderr = &w.log
		return c
	}
	var err error
	if w.client, err = workbench.NewWorker("2.2", w.url, func() (string, error) { return token, nil }); err != nil {
		t.Fatal(err)
	}
	w.own = own
	t.Cleanup(w.stop)
	return w
}

// start starts it and waits until it answers.
func (w *workerProcess) start() {
	w.t.Helper()
	w.cmd = w.command()
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(w.url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("the worker does not answer: %v\n%s", err, w.log.String())
		}
	}
}

// stop ends it as Kubernetes does; it must end by itself, with code 0.
func (w *workerProcess) stop() {
	if w.cmd == nil {
		return
	}
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("the worker ended with %v\n%s", err, w.log.String())
	}
	w.cmd = nil
}

// TestWorkerDirectory: a worker removes what it has made in its --dir, and nothing else; two do not share one.
func TestWorkerDirectory(t *testing.T) {
	w := newWorker(t)
	w.start()
	second := w.command()
	var said bytes.Buffer // the first one may write at the same time
	second.Stderr = &said
	if err := second.Run(); err == nil || !strings.Contains(said.String(), "is used by another worker") {
		t.Errorf("a second worker on the directory: %v %s", err, said.String())
	}
	w.stop()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(w.own), "*"))
	if err != nil || strings.Join(left, " ") != filepath.Join(filepath.Dir(w.own), "flink-platform-workbench.lock")+" "+w.own {
		t.Errorf("the worker has left %q; %v", left, err)
	}
}

// TestWorkerGoesAway: the server says so, goes on, and uses it again when it is back.
func TestWorkerGoesAway(t *testing.T) {
	w := newWorker(t)
	f := newFixture(t, false, Options{Workers: []*workbench.Worker{w.client}})
	sql := header{"Content-Type": "application/sql"}
	for range 2 {
		resp, body := f.call("POST", "/v1/debug", shown, sql)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "the worker for Flink 2.2 cannot be used: it does not answer") || !strings.Contains(string(body), `"hint"`) {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		f.want(503, "POST", "/v1/validate", shown, sql)
		if h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)); len(h.Workbench.Workers) != 1 || h.Workbench.Workers[0].Reason == "" {
			t.Errorf("%+v", h.Workbench)
		}
		w.start()
		if names, _ := f.debugged("/v1/debug", shown); strings.Join(names, " ") != "started running row end" {
			t.Error(names)
		}
		if h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)); h.Workbench.Flink != "2.2.1" || h.Workbench.Workers[0].Reason != "" || h.Workbench.Workers[0].Slots != 2 {
			t.Errorf("%+v", h.Workbench)
		}
		// In the middle of a run it is killed.
		c := &client.Client{Base: f.s.URL}
		var last []byte
		err := c.Debug(t.Context(), []byte(shown+"-- FOREVER"), true, client.DebugOptions{}, func(event string, data []byte) error {
			if last = data; event == wire.DebugRow {
				w.cmd.Process.Kill()
				w.cmd.Wait()
				w.cmd = nil
			}
			return nil
		})
		if err != nil || !strings.Contains(string(last), `"outcome":"failed"`) || !strings.Contains(string(last), "the worker for Flink 2.2 cannot be used: it has ended in the middle of its answer") {
			t.Errorf("%v, %s", err, last)
		}
	}
}

// withWorkbench has a Java that answers as the runner of SQL does.
func withWorkbench(t *testing.T, auth bool, more ...Options) *fixture {
	dir := t.TempDir()
	world.Write(t, dir, world.Stub("2.2.1", "", world.Runner))
	o := Options{}
	for _, m := range more {
		o = m
	}
	o.Home, o.Env, o.Warm = filepath.Join(dir, "flink"), []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java")}, 1
	return newFixture(t, auth, o)
}

// debugged returns the events of a run, after it held each against the page.
func (f *fixture) debugged(path, script string) (names []string, data []string) {
	f.t.Helper()
	resp, body := f.call("POST", path, script, header{"Content-Type": "application/sql"})
	if resp.StatusCode != http.StatusOK {
		f.t.Fatalf("%d: %s", resp.StatusCode, body)
	}
	schemas := map[string]string{wire.DebugQueued: "DebugQueue", wire.DebugStarted: "DebugStart", wire.DebugRunning: "DebugRun", wire.DebugColumns: "Columns", wire.DebugRow: "Row", wire.DebugLine: "Text", wire.DebugWarning: "Text",
		wire.DebugFault: "ScriptFault", wire.DebugEnd: "DebugEnded"}
	for event := range strings.SplitSeq(strings.TrimSuffix(string(body), "\n\n"), "\n\n") {
		name, content, ok := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		schema, err := f.page.compiler.Compile("page.json#/components/schemas/" + schemas[name])
		if !ok || err != nil {
			f.t.Fatalf("%v: %q", err, event)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(content))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			f.t.Errorf("%v: %q", err, event)
		}
		names, data = append(names, name), append(data, content)
	}
	return names, data
}

func TestWorkbench(t *testing.T) { benches(t, false, testWorkbench) }

func testWorkbench(t *testing.T, f *fixture) {
	sql := header{"Content-Type": "application/sql"}
	names, data := f.debugged("/v1/debug?rows=3&seed=7", shown)
	if strings.Join(names, " ") != "started running row end" || !strings.Contains(data[2], `"table":"p","kind":"+I"`) || data[1] != `{"sinks":["p"],"warnings":[]}` {
		t.Errorf("%v %v", names, data)
	}
	end := decode[wire.DebugEnded](t, []byte(data[len(data)-1]))
	if end.Outcome != "finished" || end.Rows != 1 || end.First <= 0 || !end.Expects {
		t.Errorf("%+v", end)
	}
	names, data = f.debugged("/v1/debug", shown+"-- EXACT")
	if strings.Join(names, " ") != "started running columns row row end" || data[2] != `{"table":"p","columns":["id","a, b"]}` ||
		data[3] != `{"table":"p","kind":"+I","row":"[1, x, \"y\"\nz]","cells":["1","x, \"y\"\nz"]}` || data[4] != `{"table":"p","kind":"-D","row":"[null, null]","cells":[null,"null"]}` {
		t.Errorf("%v %v", names, data)
	}
	names, data = f.debugged("/v1/debug", shown+"-- FAIL")
	fault := decode[wire.ScriptFault](t, []byte(data[len(data)-2]))
	if strings.Join(names, " ") != "started running fault end" || fault.Line != 2 || fault.Column != 1 || fault.Message != "Division by zero" || fault.Text != "CREATE VIEW v AS SELECT 1 AS id;" || fault.File != "job.sql" {
		t.Errorf("%v %+v", names, fault)
	}
	names, data = f.debugged("/v1/debug", "SELECT 'a;") // found without Java
	if strings.Join(names, " ") != "fault end" || !strings.Contains(data[1], `"outcome":"failed"`) {
		t.Errorf("%v %v", names, data)
	}
	names, data = f.debugged("/v1/debug", "ADD JAR '/x.jar';")
	if strings.Join(names, " ") != "fault end" || !strings.Contains(data[0], "the server loads no jars") {
		t.Errorf("%v %v", names, data)
	}
	f.want(400, "POST", "/v1/debug?rows=0", shown, sql)
	f.want(400, "POST", "/v1/debug?seed=x", shown, sql)
	f.want(422, "POST", "/v1/debug", "apiVersion: flink-entrypoint/v1\nname: a\nsql: {scriptUri: /etc/shadow}\n", nil)
	if got := string(f.want(422, "POST", "/v1/debug", "apiVersion: flink-entrypoint/v1\nname: [a]\nsql: {script: SELECT 1}\n", nil)); !strings.Contains(got, `"line":2`) {
		t.Error(got)
	}

	chosen := "apiVersion: flink-entrypoint/v1\nname: a\nx-platform: {catalogs: [ods]}\nsql: {script: SELECT 1}\n"
	if got := string(f.want(422, "POST", "/v1/validate", chosen, nil)); !strings.Contains(got, `unknown catalog \"ods\"`) || !strings.Contains(got, `"line":3`) {
		t.Error(got)
	}
	put := func(options string) {
		f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory'" + options + ")"}, nil)
	}
	put(", 'password' = '${fromEnv:HOME}'")
	if got := string(f.want(422, "POST", "/v1/validate", chosen, nil)); !strings.Contains(got, "sql.catalogs[0].options.password is a reference: the server has no secrets of a job") {
		t.Error(got)
	}
	put("")
	if got := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate", chosen, nil)); !got.Valid {
		t.Errorf("%+v", got)
	}

	// A script alone chooses its catalogs beside it. Faults keep their places, in a definition too.
	if got := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate?catalog=ods&catalog=ods", shown+"-- WRONG", sql)); len(got.Faults) != 1 || got.Faults[0].Line != 1 || got.Faults[0].Column != 25 || got.Faults[0].File != "job.sql" {
		t.Errorf("%+v", got)
	}
	inDefinition := "apiVersion: flink-entrypoint/v1\nname: a\nx-platform: {catalogs: [ods]}\nsql:\n  script: |\n    " + strings.ReplaceAll(shown, "\n", "\n    ") + "-- WRONG\n"
	if got := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate", inDefinition, nil)); len(got.Faults) != 1 || got.Faults[0].Line != 6 || got.Faults[0].Column != 29 || got.Faults[0].File != "job.yaml" {
		t.Errorf("%+v", got)
	}
	if got := string(f.want(422, "POST", "/v1/validate?catalog=ods&catalog=none", shown, sql)); !strings.Contains(got, `unknown catalog \"none\"`) {
		t.Error(got)
	}
	if got := string(f.want(422, "POST", "/v1/validate?catalog=ods", chosen, nil)); !strings.Contains(got, "a definition names them itself") {
		t.Error(got)
	}
	version := decode[wire.Version](t, f.want(201, "PUT", "/v1/jobs/chosen?catalog=ods", shown, sql))
	if len(version.Catalogs) != 1 || version.Catalogs[0].Name != "ods" {
		t.Errorf("%+v", version)
	}
	if got := decode[wire.Version](t, f.want(200, "GET", "/v1/jobs/chosen/versions/1?view=info", "", nil)); got.Source != shown || len(got.Catalogs) != 1 {
		t.Errorf("%+v", got)
	}
	if got := string(f.want(200, "GET", "/v1/jobs/chosen/versions/1", "", nil)); !strings.Contains(got, `"catalogs":[{"createStatement":"CREATE CATALOG ods`) {
		t.Error(got)
	}

	good := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate", shown, sql))
	wrong := decode[wire.Validated](t, f.want(200, "POST", "/v1/validate", shown+"-- WRONG", sql))
	if !good.Valid || good.Flink != "2.2.1" || wrong.Valid || len(wrong.Faults) != 1 || wrong.Faults[0].Line != 1 || wrong.Faults[0].Column != 25 {
		t.Errorf("%+v %+v", good, wrong)
	}
	f.want(422, "POST", "/v1/validate", "apiVersion: flink-entrypoint/v1\nname: a\n", nil)

	l := decode[wire.Lineage](t, f.want(200, "POST", "/v1/lineage", "CREATE TABLE s (id INT) WITH ('connector' = 'jdbc');\n"+strings.Replace(shown, "1 AS id", "id FROM s", 1), sql))
	const prefix = "default_catalog.default_database."
	if len(l.Tables) != 3 || len(l.Edges) != 2 || l.Edges[0] != (wire.LineageEdge{From: prefix + "v", To: prefix + "p", Statement: 4}) || l.Edges[1] != (wire.LineageEdge{From: prefix + "s", To: prefix + "v"}) {
		t.Errorf("%+v", l)
	}
	for document, want := range map[string]string{
		"CREATE TABLE s (id INT) WITH ('connector' = 'jdbc');\nCREATE TABLE p (id INT) WITH ('connector' = 'print');\nINSERT INTO p SELECT id FROM s;\n":                                                                                          "1:1 2:1",
		"apiVersion: flink-entrypoint/v1\nname: a\nsql:\n  script: |\n    CREATE TABLE s (id INT) WITH ('connector' = 'jdbc');\n    CREATE TABLE p (id INT) WITH ('connector' = 'print');\n    INSERT INTO p SELECT id FROM s;\n":                 "5:5 6:5",
		"{\"apiVersion\": \"flink-entrypoint/v1\", \"name\": \"a\",\n \"sql\": {\"script\": \"CREATE TABLE s (id INT) WITH ('connector' = 'jdbc');\\nCREATE TABLE p (id INT) WITH ('connector' = 'print');\\nINSERT INTO p SELECT id FROM s;\"}}": "2:21 2:75",
	} {
		kind := sql
		if !strings.HasPrefix(document, "CREATE") {
			kind = header{"Content-Type": "application/yaml"}
		}
		places := map[string]string{}
		for _, table := range decode[wire.Lineage](t, f.want(200, "POST", "/v1/lineage", document, kind)).Tables {
			if table.Place != nil {
				places[table.Short] = fmt.Sprint(table.Place.Line, ":", table.Place.Column)
			}
		}
		if got := places["s"] + " " + places["p"]; got != want {
			t.Errorf("the tables are at %s, want %s, in\n%s", got, want, document)
		}
	}
	inJSON := "{\"apiVersion\": \"flink-entrypoint/v1\", \"name\": \"a\",\n \"sql\": {\"script\": \"SELECT 1;\\nSELECT 'a;\"}}"
	if p := decode[wire.Problem](t, f.want(422, "POST", "/v1/lineage", inJSON, header{"Content-Type": "application/yaml"})); len(p.Faults) != 1 || p.Faults[0].Line != 2 || p.Faults[0].Column != 39 {
		t.Errorf("a fault in JSON: %+v", p)
	}
	f.want(422, "POST", "/v1/lineage", "SELECT 'a;", sql)
}

// TestDebugEndsWithItsReader: the run of a browser that goes away is over, and its user may run again; a second run of the user is refused until then.
func TestDebugEndsWithItsReader(t *testing.T) { benches(t, true, testDebugEndsWithItsReader) }

func testDebugEndsWithItsReader(t *testing.T, f *fixture) {
	f.token = f.tokenOf("ada", "default", store.RoleEdit)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &client.Client{Base: f.s.URL, Token: f.token}
	rows := 0
	err := c.Debug(ctx, []byte(shown+"-- FOREVER"), true, client.DebugOptions{}, func(event string, _ []byte) error {
		if event == wire.DebugRow {
			rows++
			resp, body := f.call("POST", "/v1/debug", shown, header{"Content-Type": "application/sql"})
			if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "another debug run of yours") {
				t.Errorf("a second run: %d %s", resp.StatusCode, body)
			}
			cancel()
		}
		return nil
	})
	if rows != 1 || err == nil {
		t.Fatalf("%d rows, %v", rows, err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		resp, body := f.call("POST", "/v1/debug", shown, header{"Content-Type": "application/sql"})
		if resp.StatusCode == 200 {
			if !strings.Contains(string(body), `"outcome":"finished"`) {
				t.Errorf("%s", body)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the run goes on without its reader: %d %s", resp.StatusCode, body)
		}
	}
}
