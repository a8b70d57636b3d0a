package server

import (
	"context"
	"encoding/json"
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

// TestWorkbenchPage: what the page's script begins with.
func TestWorkbenchPage(t *testing.T) {
	f := withWorkbench(t, true)
	f.token = f.tokenOf("ada", "default", store.RoleEdit)
	b := f.browse(f.token)
	type begins struct {
		User, Job, Source, Example string
		Version, Newest            int
		SQL                        bool
		Chosen, Catalogs           []string
	}
	page := func(status int, path string, texts ...string) (got begins) {
		t.Helper()
		body := b.page(status, path, texts...)
		before, rest, _ := strings.Cut(body, `id="workbench-data">`)
		if shown, _, _ := strings.Cut(before, `<div id="workbench" hidden>`); status == 200 && !strings.Contains(shown, "<h1>Workbench</h1>") {
			t.Errorf("%s: without scripts the page has no heading", path)
		}
		content, _, _ := strings.Cut(rest, "</script>")
		if err := json.Unmarshal([]byte(content), &got); status == 200 && err != nil {
			t.Fatalf("%v: %s", err, content)
		}
		return got
	}
	fresh := page(200, "/workbench", "The workbench needs JavaScript", "flink-platform debug job.sql", `<meta name="csp-nonce"`, "editor.js", "workbench.css")
	if fresh.Job != "" || !fresh.SQL || !strings.Contains(fresh.Example, "CREATE TABLE clicks") || fresh.User != "default/ada" || len(fresh.Catalogs) != 0 {
		t.Errorf("%+v", fresh)
	}

	const hostile = "-- </script><script>alert(1)</script> \u202e \u0085 <!--\nCREATE TABLE p (id INT) WITH ('connector' = 'kafka');\nINSERT INTO p VALUES (1);\n"
	sql := header{"Content-Type": "application/sql"}
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, nil)
	f.want(201, "PUT", "/v1/jobs/clicks?catalog=ods", hostile, sql)
	f.want(201, "PUT", "/v1/jobs/clicks", "apiVersion: flink-entrypoint/v1\nname: clicks\nsql: {script: SELECT 1}\n", nil)
	if got := page(200, "/workbench?job=clicks&version=1"); got.Source != hostile || !got.SQL || got.Version != 1 || got.Newest != 2 || strings.Join(got.Chosen, " ") != "ods" || strings.Join(got.Catalogs, " ") != "ods" || got.Example != "" {
		t.Errorf("%+v", got)
	}
	if got := page(200, "/workbench?job=clicks"); got.SQL || got.Version != 2 || !strings.HasPrefix(got.Source, "apiVersion:") {
		t.Errorf("%+v", got)
	}
	b.page(200, "/jobs/clicks", `href="/workbench?job=clicks"`)
	b.page(200, "/jobs/clicks/versions/1", `href="/workbench?job=clicks&amp;version=1"`)
	page(404, "/workbench?job=clicks&version=3")
	page(404, "/workbench?job=clicks&version=x", "has no version")
	page(404, "/workbench?job=other")
	f.token = f.tokenOf("bob", "default", store.RoleView)
	f.browse(f.token).page(403, "/workbench", "this page needs edit")
}

// TestCheckEndsWithItsReader: what an editor cancels does not reach the planner any more, or leaves it alone.
func TestCheckEndsWithItsReader(t *testing.T) {
	dir := t.TempDir()
	world.Write(t, dir, world.Stub("2.2.1", "", world.Runner))
	f := newFixture(t, false, Options{Home: filepath.Join(dir, "flink"), Env: []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java")}})
	validate := func(what string) (cancel func(), faults chan []wire.ScriptFault) {
		ctx, cancel := context.WithCancel(t.Context())
		faults = make(chan []wire.ScriptFault, 1)
		go func() {
			got, err := (&client.Client{Base: f.s.URL}).Validate(ctx, []byte(shown+"-- "+what), true)
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", what, err)
			}
			faults <- got.Faults
		}()
		return cancel, faults
	}
	planner := func() string {
		_, faults := validate("WRONG")
		got := <-faults
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		return got[0].Message
	}
	first := planner()
	leave, left := validate("SLOW")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "planning")); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the planner has no script")
		}
	}
	skip, skipped := validate("DIE") // it would end the planner
	skip()
	<-skipped
	leave()
	<-left
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again := planner(); again != first {
		t.Errorf("%s, then %s", first, again)
	}
}
