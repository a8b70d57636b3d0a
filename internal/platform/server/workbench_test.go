package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/world"
)

const shown = `CREATE TABLE p (id INT) WITH ('connector' = 'kafka');
CREATE VIEW v AS SELECT 1 AS id;
INSERT INTO p SELECT id FROM v;
`

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

func TestWorkbench(t *testing.T) {
	f := withWorkbench(t, false)
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
func TestDebugEndsWithItsReader(t *testing.T) {
	f := withWorkbench(t, true)
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
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
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
