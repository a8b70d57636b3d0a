package server

import (
	"encoding/json"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/store"
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
		_, rest, _ := strings.Cut(body, `id="workbench-data">`)
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
	page(404, "/workbench?job=clicks&version=3")
	page(404, "/workbench?job=clicks&version=x", "has no version")
	page(404, "/workbench?job=other")
	f.token = f.tokenOf("bob", "default", store.RoleView)
	f.browse(f.token).page(403, "/workbench", "this page needs edit")
}
