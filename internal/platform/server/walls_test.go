package server

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/world"
)

// part is a part of a form.
type part struct{ name, file, kind, content string }

func form(t *testing.T, parts ...part) (body []byte, h header) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for _, p := range parts {
		m := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.name + `"`}}
		if p.file != "" {
			m["Content-Disposition"][0] += `; filename="` + p.file + `"`
		}
		if p.kind != "" {
			m["Content-Type"] = []string{p.kind}
		}
		to, err := w.CreatePart(m)
		if err == nil {
			_, err = to.Write([]byte(p.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), header{"Content-Type": w.FormDataContentType()}
}

const reading = "CREATE TABLE s (id INT) WITH ('connector' = 'kafka');\nCREATE TABLE p (id INT) WITH ('connector' = 'kafka');\nINSERT INTO p SELECT id FROM s;\n"

// TestForm: a script with rows of its tables.
func TestForm(t *testing.T) {
	f := withWorkbench(t, false)
	script := part{"script", "clicks.sql", "", reading}
	for what, parts := range map[string][]part{
		"CSV by its type":      {script, {"data:s", "", "text/csv", "id\n7\n"}},
		"JSON by its name":     {script, {"data:s", "rows.jsonl", "application/octet-stream", "{\"id\": 7}\n"}},
		"a script by its type": {{"script", "", "application/sql", reading}, {"data:default_database.s", "rows.csv", "", "id\n7\n"}},
		"a definition":         {{"script", "job.yaml", "", "apiVersion: flink-entrypoint/v1\nname: a\nsql:\n  script: |\n    " + strings.ReplaceAll(strings.TrimSpace(reading), "\n", "\n    ") + "\n"}},
	} {
		body, h := form(t, parts...)
		if got := string(f.want(200, "POST", "/v1/debug?rows=3", body, h)); !strings.Contains(got, `"table":"p","kind":"+I"`) || !strings.Contains(got, `"outcome":"finished"`) {
			t.Errorf("%s: %s", what, got)
		}
	}
	body, h := form(t, script, part{"data:s", "", "text/csv", "id\n1,2\n"})
	if got := string(f.want(200, "POST", "/v1/debug", body, h)); !strings.Contains(got, `"file":"data:s","line":2,"column":1`) || !strings.Contains(got, "the row has 2 values") {
		t.Error(got)
	}
	body, h = form(t, script, part{"data:no_such", "", "text/csv", "id\n1\n"})
	if got := string(f.want(200, "POST", "/v1/debug", body, h)); !strings.Contains(got, "the script has no table no_such") {
		t.Error(got)
	}
	many := []part{script}
	for i := range maxTestTables {
		many = append(many, part{"data:t" + strings.Repeat("x", i), "", "text/csv", "id\n"})
	}
	for what, tt := range map[string]struct {
		status int
		want   string
		parts  []part
	}{
		"no script":            {400, "the form has no part script", []part{{"data:s", "", "text/csv", "id\n"}}},
		"two scripts":          {400, "the part script is there twice", []part{script, script}},
		"an unknown part":      {400, `unknown part \"rows\"`, []part{script, {"rows", "", "", ""}}},
		"no name of a table":   {400, `unknown part \"data:\"`, []part{script, {"data:", "", "text/csv", ""}}},
		"an unknown script":    {400, `ends in \".sh\"`, []part{{"script", "x.sh", "", ""}}},
		"an unknown type":      {400, "the rows of s are neither text/csv nor application/json", []part{script, {"data:s", "x.parquet", "", ""}}},
		"a table twice":        {400, "the table s has rows twice", []part{script, {"data:s", "", "text/csv", "id\n"}, {"data:s", "", "text/csv", "id\n"}}},
		"more than one can do": {413, "the part data:s is too long", []part{script, {"data:s", "", "text/csv", strings.Repeat("x", 4<<20+1)}}},
		"too many tables":      {400, "more than 20 tables have rows", many},
	} {
		body, h := form(t, tt.parts...)
		if got := string(f.want(tt.status, "POST", "/v1/debug", body, h)); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := string(f.want(400, "POST", "/v1/debug", "--x\r\nContent-Disposition: form-data; name=\"script\"\r\n\r\nSELECT", header{"Content-Type": "multipart/form-data; boundary=x"})); !strings.Contains(got, "the form cannot be read") {
		t.Error(got)
	}
	c := &client.Client{Base: f.s.URL}
	rows := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(rows, []byte("id\n7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := 0
	err := c.Debug(t.Context(), []byte(reading), true, client.DebugOptions{Data: map[string]string{"s": rows}}, func(event string, _ []byte) error {
		if event == wire.DebugRow {
			shown++
		}
		return nil
	})
	if err != nil || shown != 1 {
		t.Errorf("the client: %v, %d rows", err, shown)
	}
}

const maxTestTables = 21

// TestDebugQueue: with one slot, the second user waits at a place, the third finds no room; one that goes away leaves its place.
func TestDebugQueue(t *testing.T) {
	dir := t.TempDir()
	world.Write(t, dir, world.Stub("2.2.1", "", world.Runner))
	f := newFixture(t, true, Options{Home: filepath.Join(dir, "flink"), Env: []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java")}, DebugSlots: 1, DebugQueue: 1})
	users := map[string]*client.Client{}
	for _, name := range []string{"ada", "grace", "joan"} {
		users[name] = &client.Client{Base: f.s.URL, Token: f.tokenOf(name, "default", store.RoleEdit)}
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	began, first := make(chan struct{}), make(chan error, 1)
	go func() {
		first <- users["ada"].Debug(running, []byte(shown+"-- FOREVER"), true, client.DebugOptions{}, func(event string, _ []byte) error {
			if event == wire.DebugRow {
				close(began)
			}
			return nil
		})
	}()
	<-began
	for range 2 { // the second time after it has gone away
		waiting, leave := context.WithCancel(t.Context())
		var events []string
		err := users["grace"].Debug(waiting, []byte(shown), true, client.DebugOptions{}, func(event string, data []byte) error {
			events = append(events, event+string(data))
			err := users["joan"].Debug(t.Context(), []byte(shown), true, client.DebugOptions{}, func(string, []byte) error { return nil })
			if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != 429 || !strings.Contains(p.Detail, "1 debug runs wait already") {
				t.Errorf("a third user: %v", err)
			}
			f.token = users["grace"].Token
			h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil))
			if b := h.Workbench; b == nil || b.Slots != 1 || b.Running != 1 || b.Waiting != 1 || b.Flink != "2.2.1" || b.Wall.On || b.Wall.Reason == "" {
				t.Errorf("%+v", b)
			}
			leave()
			return nil
		})
		if len(events) != 1 || events[0] != `queued{"place":1}` || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", events, err)
		}
		for deadline := time.Now().Add(20 * time.Second); decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)).Workbench.Waiting > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a run waits whose reader is gone")
			}
		}
	}
	var events []string
	err := users["joan"].Debug(t.Context(), []byte(shown), true, client.DebugOptions{}, func(event string, _ []byte) error {
		if events = append(events, event); event == wire.DebugQueued {
			stop()
		}
		return nil
	})
	if got := strings.Join(events, " "); err != nil || got != "queued started running row end" {
		t.Errorf("%s, %v", got, err)
	}
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCheckCatalog: in memory it answers; where nothing makes it, the check says so; without a wall nothing is connected to.
func TestCheckCatalog(t *testing.T) {
	f := withWorkbench(t, false)
	put := func(name, kind string) {
		f.want(200, "PUT", "/v1/catalogs/"+name, map[string]string{"statement": "CREATE CATALOG " + name + " WITH ('type'='" + kind + "')"}, nil)
	}
	put("ods", "generic_in_memory")
	put("lake", "iceberg")
	if got := decode[wire.CatalogChecked](t, f.want(200, "POST", "/v1/catalogs/ods/check", nil, nil)); !got.OK || got.Message != "the catalog ods answers" || got.Took <= 0 {
		t.Errorf("%+v", got)
	}
	if got := decode[wire.CatalogChecked](t, f.want(200, "POST", "/v1/catalogs/lake/check", nil, nil)); got.OK || len(got.Faults) != 1 || got.Message != `no jar of the server's Flink makes catalogs of type "iceberg"` {
		t.Errorf("%+v", got)
	}
	f.want(404, "POST", "/v1/catalogs/no-such/check", nil, nil)
	jar := filepath.Join(f.more.Home, "lib", "hive.jar")
	if err := os.WriteFile(jar, world.FactoryJar("hive"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.stop()
	f.start()
	put("hive", "hive")
	if got := string(f.want(422, "POST", "/v1/catalogs/hive/check", nil, nil)); !strings.Contains(got, `a catalog of type \"hive\" would connect from the server`) {
		t.Error(got)
	}
	f.stop()
	f.more.Home = "" // no workbench
	f.start()
	f.want(503, "POST", "/v1/catalogs/ods/check", nil, nil)
	if h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil)); h.Workbench != nil {
		t.Errorf("%+v", h.Workbench)
	}
}
