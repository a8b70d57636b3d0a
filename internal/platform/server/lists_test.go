package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// lists are the operations that list what can grow, with the key that the next page begins after.
var lists = map[string]struct{ list, key string }{
	"/v1/jobs": {"jobs", "name"}, "/v1/jobs/{job}/versions": {"versions", "number"}, "/v1/jobs/{job}/runs": {"runs", "id"}, "/v1/jobs/{job}/events": {"events", "id"}, "/v1/events": {"events", "id"},
	"/v1/catalogs": {"catalogs", "name"}, "/v1/artifacts": {"artifacts", "name"}, "/v1/tokens": {"tokens", "name"}, "/v1/clusters": {"clusters", "name"},
}

// filled makes some of everything that is listed.
func filled(t *testing.T, f *fixture) {
	t.Helper()
	ctx, s := t.Context(), f.s.Store
	for i := range 5 {
		n := fmt.Sprint("x", i)
		if _, _, err := s.PutJob(ctx, "default", store.Version{Job: n, Document: []byte(definition), Source: []byte(definition), Digest: strings.Repeat("0", 64)}, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.PutJob(ctx, "default", store.Version{Job: "clicks", Document: []byte(definition), Source: []byte(n), Digest: strings.Repeat("0", 64)}, i); err != nil {
			t.Fatal(err)
		}
		r, err := s.CreateRun(ctx, "clicks", 1, store.Asked{}, func(id string, _ time.Time) jobstate.Run {
			return jobstate.Run{ID: id, Queue: jobstate.Failed, Desired: jobstate.WantRun}
		})
		if err != nil {
			t.Fatal(err)
		}
		r.State.Outcome, r.State.Ended = jobstate.IsFailed, r.Created
		if _, err := s.Transition(ctx, r.State.ID, r.Revision, "", store.Change{State: r.State}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutCatalog(ctx, store.Catalog{Team: "default", Name: n, Statement: "CREATE CATALOG x"}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutArtifact(ctx, store.Artifact{Team: "default", Name: n}, strings.NewReader(n), "", 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.PutJob(ctx, "default", store.Version{Job: "cluster-" + n, Kind: store.KindCluster, Document: []byte(sessionCluster), Source: []byte(sessionCluster), Digest: strings.Repeat("0", 64)}, 0); err != nil {
			t.Fatal(err)
		}
		f.tokenOf(n, "default", store.RoleView)
		f.tokenOf("other-"+n, "others", store.RoleView)
	}
}

// TestLists: each list of the page has pages, and its pages are the whole list.
func TestLists(t *testing.T) {
	f := newFixture(t, false)
	filled(t, f)
	keys := func(path, list, key string) []string {
		t.Helper()
		var out []string
		for _, x := range decode[map[string][]map[string]json.RawMessage](t, f.want(200, "GET", path, nil, nil))[list] {
			out = append(out, strings.Trim(string(x[key]), `"`))
		}
		return out
	}
	for template, methods := range f.page.doc["paths"].(map[string]any) {
		schema, _ := f.page.get("/paths/" + escaped(template) + "/get/responses/200/content/" + escaped("application/json") + "/schema/properties")
		properties, _ := schema.(map[string]any)
		l, known := lists[template]
		if isList := len(properties) == 1 && template != "/v1/jobs/{job}/exceptions" && template != "/v1/counts" && template != "/v1/jobs/{job}/checkpoints"; isList != known {
			t.Errorf("%s %v: is it a list that can grow?", template, methods)
		}
		if !known {
			continue
		}
		if have := f.page.parameters(template, "get"); !slices.Contains(have, "after") || !slices.Contains(have, "limit") {
			t.Errorf("%s has only the parameters %q", template, have)
		}
		path := strings.Replace(template, "{job}", "clicks", 1)
		all := keys(path, l.list, l.key)
		if len(all) < 5 {
			t.Errorf("%s lists %q", template, all)
		}
		for size := 1; size <= 4; size++ {
			var paged []string
			after := ""
			if l.list == "events" {
				after = "0" // without it, the newest
			}
			for range len(all) + 1 {
				q := url.Values{"limit": {fmt.Sprint(size)}}
				if after != "" {
					q.Set("after", after)
				}
				page := keys(path+"?"+q.Encode(), l.list, l.key)
				if len(page) > size {
					t.Errorf("%s: %d entries in a page of %d", template, len(page), size)
				}
				if paged = append(paged, page...); len(page) < size {
					break
				}
				after = page[len(page)-1]
			}
			if !slices.Equal(paged, all) {
				t.Errorf("%s in pages of %d: %q, want %q", template, size, paged, all)
			}
		}
		for _, wrong := range []string{"limit=0", "limit=x", "limit=100000"} {
			f.want(400, "GET", path+"?"+wrong, nil, nil)
		}
	}
	f.want(400, "GET", "/v1/jobs/clicks/versions?after=x", nil, nil)
	f.want(404, "GET", "/v1/jobs/clicks/runs?after=x", nil, nil)
}

// TestClientFollowsPages: the client lists everything, or as many as are asked for.
func TestClientFollowsPages(t *testing.T) {
	f := newFixture(t, false)
	filled(t, f)
	db := f.database()
	const many = 1200 // more than two pages
	numbers := fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", 1000+many-1)
	for _, q := range []string{
		"INSERT INTO jobs (name, team, created, created_by, newest, kind) SELECT 'j' || i, team, created, created_by, newest, kind FROM n, jobs WHERE name = 'x1'",
		"INSERT INTO jobs (name, team, created, created_by, newest, kind) SELECT 'k' || i, team, created, created_by, newest, kind FROM n, jobs WHERE name = 'cluster-x1'",
		"INSERT INTO catalogs SELECT 'c' || i, team, revision, statement, changed, changed_by FROM n, catalogs WHERE name = 'x1'",
		"INSERT INTO artifacts SELECT 'a' || i, team, digest, size, created, created_by, unused FROM n, artifacts WHERE name = 'x1'",
		"INSERT INTO tokens SELECT 't' || i, role, team, run, i, created, expires FROM n, tokens WHERE name = 'x1'",
		"INSERT INTO versions SELECT job, i, document, digest, source, catalogs, comment, created, created_by, size, reservation FROM n, versions WHERE job = 'clicks' AND number = 1",
	} {
		if _, err := db.Exec(numbers + q); err != nil {
			t.Fatal(q, err)
		}
	}
	c := &client.Client{Base: f.s.URL}
	ctx := t.Context()
	for name, list := range map[string]func() (int, error){
		"jobs":      func() (int, error) { all, err := c.Jobs(ctx, ""); return len(all) - 1, err }, // clicks, too
		"clusters":  func() (int, error) { all, err := c.Clusters(ctx); return len(all), err },
		"catalogs":  func() (int, error) { all, err := c.Catalogs(ctx); return len(all), err },
		"artifacts": func() (int, error) { all, err := c.Artifacts(ctx); return len(all), err },
		"tokens":    func() (int, error) { all, err := c.Tokens(ctx); return len(all), err },
		"versions":  func() (int, error) { all, err := c.Versions(ctx, "clicks", 0); return len(all), err },
	} {
		if n, err := list(); n != many+5 || err != nil {
			t.Errorf("%d %s, %v, want %d", n, name, err, many+5)
		}
	}
	for most, want := range map[int]int{0: many + 5, 1: 1, 500: 500, 501: 501, 5000: many + 5} {
		if all, err := c.Versions(ctx, "clicks", most); err != nil || len(all) != want || all[0].Number != 1000+many-1 {
			t.Errorf("at most %d: %d versions, %v, want %d", most, len(all), err, want)
		}
	}
	if runs, err := c.Runs(ctx, "clicks", 3); err != nil || len(runs) != 3 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if runs, err := c.Runs(ctx, "clicks", 0); err != nil || len(runs) != 5 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}
