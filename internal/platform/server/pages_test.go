package server

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/growth"
	"flink-entrypoint/test/platform/simulate"
)

// A browser is one with cookies that does not follow redirects by itself.
type browser struct {
	f    *fixture
	http *http.Client
}

func (f *fixture) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return &browser{f: f, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// browse is a browser that is signed in with a token; "": with a code of the local user.
func (f *fixture) browse(token string) *browser {
	f.t.Helper()
	b := f.browser()
	in := wire.SignIn{Token: token}
	if token == "" {
		in.Code = decode[wire.Code](f.t, f.want(201, "POST", "/v1/codes", nil, nil)).Code
	}
	form, path := url.Values{"token": {in.Token}}, "/sign-in"
	if token == "" {
		form, path = url.Values{"code": {in.Code}}, "/enter"
	}
	if resp, body := b.post(path, form); resp.StatusCode != 303 {
		f.t.Fatalf("cannot sign in: %d %s", resp.StatusCode, body)
	}
	return b
}

func (b *browser) send(method, path string, form url.Values, h header) (*http.Response, string) {
	b.f.t.Helper()
	req, err := http.NewRequestWithContext(b.f.t.Context(), method, b.f.s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.f.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range h {
		req.Header.Set(k, v)
	}
	if h["Host"] != "" {
		req.Host = h["Host"]
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.f.t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		b.f.isPage(path, resp, string(body))
	}
	return resp, string(body)
}

func (b *browser) get(path string) (*http.Response, string) { return b.send("GET", path, nil, nil) }

func (b *browser) post(path string, form url.Values) (*http.Response, string) {
	return b.send("POST", path, form, header{"Sec-Fetch-Site": "same-origin"})
}

// page is a page that must have a status and some texts.
func (b *browser) page(status int, path string, texts ...string) string {
	b.f.t.Helper()
	resp, body := b.get(path)
	b.f.has(resp, body, status, path, texts...)
	return body
}

func (f *fixture) has(resp *http.Response, body string, status int, path string, texts ...string) {
	f.t.Helper()
	if resp.StatusCode != status {
		f.t.Errorf("%s: status %d, want %d\n%s", path, resp.StatusCode, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			f.t.Errorf("%s: the page does not have %q\n%s", path, text, body)
		}
	}
}

var (
	inlineScript = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<\s]|<script>|<[a-z][^<>]*\son[a-z]+\s*=|<[a-z][^<>]*=\s*"?javascript:`)
	inlineStyle  = regexp.MustCompile(`(?i)<style|<[a-z][^<>]*\sstyle\s*=`)
	control      = regexp.MustCompile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\u202e|\u2066")
)

// isPage checks what holds for each page: its headers, no script or style in it, no control character, one main heading.
func (f *fixture) isPage(path string, resp *http.Response, body string) {
	f.t.Helper()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			f.t.Errorf("%s: the policy %q does not have %s", path, policy, part)
		}
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"} {
		if got := resp.Header.Get(name); got != want {
			f.t.Errorf("%s: %s is %q, want %q", path, name, got, want)
		}
	}
	for what, pattern := range map[string]*regexp.Regexp{"a script": inlineScript, "a style": inlineStyle, "a control character": control} {
		if m := pattern.FindString(body); m != "" {
			f.t.Errorf("%s: the page has %s in it: %q", path, what, m)
		}
	}
	if n := strings.Count(body, "<h1"); n != 1 {
		f.t.Errorf("%s: %d main headings", path, n)
	}
	if !strings.Contains(body, `<html lang="en">`) || !strings.Contains(body, `href="#main"`) || !strings.Contains(body, `<main id="main"`) {
		f.t.Errorf("%s: no language, skip link or main part", path)
	}
}

// TestSignIn: by a token in a form. The browser gets a session, never the token.
func TestSignIn(t *testing.T) {
	f := newFixture(t, true)
	token := f.tokenOf("ann", "web", store.RoleEdit)
	b := f.browser()
	resp, _ := b.get("/catalogs?x=1")
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/sign-in?to=%2Fcatalogs%3Fx%3D1" {
		t.Errorf("without a session: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	b.page(200, "/sign-in?to=%2Fcatalogs", "flink-platform link --server "+f.s.URL, `value="/catalogs"`)
	resp, body := b.post("/sign-in", url.Values{"token": {"fp_wrong"}})
	f.has(resp, body, 401, "/sign-in", "the token is not valid, or no longer")
	resp, body = b.post("/sign-in", url.Values{"token": {""}})
	f.has(resp, body, 400, "/sign-in", "paste a token")
	resp, body = b.post("/sign-in?token="+token, nil)
	f.has(resp, body, 400, "/sign-in", "paste a token") // not from an address
	for to, want := range map[string]string{"/catalogs": "/catalogs", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "": "/", "/\tx": "/"} {
		resp, body := f.browser().post("/sign-in", url.Values{"token": {token}, "to": {to}})
		if resp.StatusCode != 303 || resp.Header.Get("Location") != want {
			t.Errorf("to %q: %d to %q, want %q\n%s", to, resp.StatusCode, resp.Header.Get("Location"), want, body)
		}
	}
	resp, _ = b.post("/sign-in", url.Values{"token": {" " + token + "\n"}})
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Domain != "" || c.MaxAge < 11*3600 || c.MaxAge > 12*3600 || strings.Contains(c.Value, token) {
		t.Errorf("cookie: %+v", c)
	}
	b.page(200, "/", "ann", "team web", "Sign out")
	if resp, _ := b.get("/sign-in?to=/health"); resp.StatusCode != 303 || resp.Header.Get("Location") != "/health" {
		t.Errorf("signed in already: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}

	// The cookie is a caller of the API, too, with the rights of the token.
	f.want(200, "GET", "/v1/jobs", nil, header{"Cookie": c.Name + "=" + c.Value})
	f.want(403, "GET", "/v1/tokens", nil, header{"Cookie": c.Name + "=" + c.Value})
	f.want(401, "GET", "/v1/jobs", nil, header{"Cookie": c.Name + "=" + c.Value + "x"})
	f.want(403, "POST", "/v1/codes", nil, header{"Cookie": c.Name + "=" + c.Value})
	f.want(403, "PUT", "/v1/jobs/x", definition, header{"Cookie": c.Name + "=" + c.Value, "Sec-Fetch-Site": "cross-site"})
	f.want(403, "PUT", "/v1/jobs/x", definition, header{"Cookie": c.Name + "=" + c.Value, "Origin": "https://evil.example"})
	if me := decode[wire.Me](t, f.want(200, "GET", "/v1/me", nil, header{"Cookie": c.Name + "=" + c.Value})); me.Name != "ann" || me.Role != "edit" || me.Team != "web" || me.Expires == nil || me.Local {
		t.Errorf("%+v", me)
	}

	resp, _ = b.post("/sign-out", url.Values{})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/sign-in?done=signed-out" || len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge != -1 {
		t.Errorf("sign out: %d %v", resp.StatusCode, resp.Header)
	}
	b.page(200, "/sign-in?done=signed-out", "You are signed out.")
	f.want(401, "GET", "/v1/jobs", nil, header{"Cookie": c.Name + "=" + c.Value})

	// A session ends with its token.
	b = f.browse(token)
	b.page(200, "/")
	if err := f.s.Store.DeleteToken(t.Context(), "web", "ann"); err != nil {
		t.Fatal(err)
	}
	if resp, _ := b.get("/"); resp.StatusCode != 303 || resp.Header.Get("Location") != "/sign-in" {
		t.Errorf("after the token's end: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

// TestTokensOfRunsDoNotSignIn: they are for pods.
func TestTokensOfRunsDoNotSignIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	resp, body := f.browser().post("/sign-in", url.Values{"token": {f.runToken(r.ID)}})
	f.has(resp, body, 403, "/sign-in", "the token of a run")
}

// TestSecureCookie: where people come by https, the cookie never goes without it.
func TestSecureCookie(t *testing.T) {
	f := newFixture(t, true, Options{URL: "https://platform.example"})
	token := f.tokenOf("ann", "web", store.RoleView)
	answer := httptest.NewRecorder()
	f.s.http.Handler.ServeHTTP(answer, httptest.NewRequest("POST", "http://platform.example/v1/sessions", strings.NewReader(`{"token":"`+token+`"}`)))
	c := answer.Result().Cookies()
	if len(c) != 1 || !c[0].Secure || !strings.HasPrefix(c[0].Name, "__Host-flink-platform-") || c[0].Path != "/" || c[0].Domain != "" {
		t.Errorf("%+v", c)
	}
}

// TestLink: a code signs in once. What looks at the link ahead does not use it up.
func TestLink(t *testing.T) {
	f := newFixture(t, false)
	b := f.browser()
	if resp, _ := b.get("/"); resp.StatusCode != 303 || resp.Header.Get("Location") != "/sign-in" {
		t.Errorf("without a session: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	b.page(200, "/sign-in", "flink-platform link --server "+f.s.URL)
	code := decode[wire.Code](t, f.want(201, "POST", "/v1/codes", nil, nil)).Code
	for _, h := range []header{nil, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"}} {
		resp, body := b.send("GET", "/enter?code="+code, nil, h)
		f.has(resp, body, 200, "/enter", code, `action="/enter"`)
		if len(resp.Cookies()) > 0 {
			t.Errorf("%v: signed in", h)
		}
	}
	resp, _ := b.send("GET", "/enter?code="+code, nil, header{"Sec-Fetch-Site": "none"})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/" || len(resp.Cookies()) != 1 {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	b.page(200, "/", "local user", "No jobs yet")
	if resp, _ := b.send("GET", "/enter?code="+code, nil, header{"Sec-Fetch-Site": "none"}); resp.StatusCode != 303 {
		t.Errorf("the link again, in the same browser: %d", resp.StatusCode)
	}
	other := f.browser()
	resp, body := other.post("/enter", url.Values{"code": {code}})
	f.has(resp, body, 401, "/enter", "it was used, or is older than 5 minutes")
	if resp, _ := other.get("/"); resp.StatusCode != 303 {
		t.Errorf("a used code signs in: %d", resp.StatusCode)
	}
	resp, body = other.post("/enter", url.Values{})
	f.has(resp, body, 400, "/enter", "the address has no code")

	// The session of the local user is worth nothing when the server asks for tokens.
	f.auth = true
	f.stop()
	f.start() // on another port, for which the browser has the same cookies
	if resp, _ := b.get("/"); resp.StatusCode != 303 {
		t.Errorf("with --auth: %d", resp.StatusCode)
	}
}

// TestPagesAreForTheirHostAndSite: no other host name on loopback, no form of another site.
func TestPagesAreForTheirHostAndSite(t *testing.T) {
	f := newFixture(t, false)
	b := f.browse("")
	resp, body := b.send("GET", "/", nil, header{"Host": "evil.example"})
	f.has(resp, body, 421, "/", "This server answers for localhost only")
	for _, h := range []header{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}} {
		resp, body := b.send("POST", "/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}}, h)
		f.has(resp, body, 403, "/new-catalog", "A request of another site is refused")
	}
	f.want(404, "GET", "/v1/catalogs/ods", nil, nil)
	// A browser on plain http, or an old one, says only the origin.
	if resp, body := b.send("POST", "/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}}, header{"Origin": f.s.URL}); resp.StatusCode != 303 {
		t.Errorf("a form of this server: %d %s", resp.StatusCode, body)
	}
}

// TestErrorPages: sentences with a way out for people, problem documents for programs.
func TestErrorPages(t *testing.T) {
	f := newFixture(t, true)
	b := f.browse(f.tokenOf("ann", "web", store.RoleView))
	b.page(404, "/nothing", "Not found", "This address has no page.", `href="/"`)
	b.page(404, "/v1/jobs/nothing", "Unknown job", `href="/"`)
	b.page(404, "/catalogs/nothing", "Unknown catalog")
	b.page(403, "/new-job", "Your role is view, this page needs edit")
	resp, body := b.get("/sign-out")
	f.has(resp, body, 405, "/sign-out")
	if resp.Header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q", resp.Header.Get("Allow"))
	}
	program := func(path string) (*http.Response, string) {
		return b.send("GET", path, nil, header{"Accept": "application/json"})
	}
	for path, status := range map[string]int{"/nothing": 404, "/v1/jobs/nothing": 404, "/new-job": 403} {
		resp, body := program(path)
		if resp.Header.Get("Content-Type") != "application/problem+json" || resp.StatusCode != status || decode[wire.Problem](t, []byte(body)).Status != status {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	b.http.Jar, _ = cookiejar.New(nil)
	if resp, body := program("/"); resp.StatusCode != 401 || decode[wire.Problem](t, []byte(body)).Status != 401 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	b.page(404, "/nothing", "Sign in")
}

// TestRolesOnPages: view sees no button that it may not use, and cannot use it either.
func TestRolesOnPages(t *testing.T) {
	f := newFixture(t, true)
	edit := f.browse(f.tokenOf("ann", "web", store.RoleEdit))
	if resp, body := edit.post("/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}}); resp.StatusCode != 303 {
		t.Fatal(body)
	}
	view := f.browse(f.tokenOf("bob", "web", store.RoleView))
	for _, path := range []string{"/", "/catalogs", "/catalogs/ods", "/health"} {
		body := view.page(200, path)
		if i := strings.Index(body, "<main"); strings.Contains(body[i:], "<form method=\"post\"") || strings.Contains(body[i:], `href="/new-`) {
			t.Errorf("%s offers what the role view may not do:\n%s", path, body[i:])
		}
	}
	for path, form := range map[string]url.Values{
		"/new-job":             {"name": {"x"}, "source": {definition}, "kind": {"definition"}},
		"/new-catalog":         {"name": {"x"}, "statement": {"CREATE CATALOG x WITH ('type'='generic_in_memory')"}},
		"/catalogs/ods":        {"statement": {"CREATE CATALOG ods WITH ('type'='jdbc')"}},
		"/catalogs/ods/delete": {}, "/catalogs/ods/check": {},
	} {
		resp, body := view.post(path, form)
		f.has(resp, body, 403, path, "this page needs edit")
	}
	view.page(200, "/catalogs/ods", "revision 1", "generic_in_memory")

	// Another team's things do not exist.
	other := f.browse(f.tokenOf("eve", "spies", store.RoleAdmin))
	other.page(404, "/catalogs/ods", "Unknown catalog")
	if body := other.page(200, "/catalogs", "No catalogs yet"); strings.Contains(body, "ods") {
		t.Error("another team's catalog is listed")
	}
}

const checkpointAnswer = `{"counts":{"restored":0,"total":3,"in_progress":0,"completed":3,"failed":0},"latest":{"completed":{"id":3,"status":"COMPLETED","latest_ack_timestamp":%d,"trigger_timestamp":1}},"history":[]}`

// TestJobsPage: states with their evidence, counts, filters, pages, and what clusters say.
func TestJobsPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	b := f.browse("")
	b.page(200, "/", "No jobs yet", "/new-job", "/workbench")

	f.want(201, "PUT", "/v1/jobs/clicks", definition+"x-platform: {lostAfter: 1 s}\n", nil)
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil)
	r := f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"# more\n", nil)
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Checkpoints, c.Restarts = fmt.Sprintf(checkpointAnswer, time.Now().Add(-90*time.Second).UnixMilli()), 1234
	})
	f.want(201, "PUT", "/v1/jobs/idle", definition, nil)
	f.world.Mu.Lock()
	f.world.Refuse = "<script>alert('\x1b[31m\u202e')</script> refused"
	f.world.Mu.Unlock()
	f.want(201, "PUT", "/v1/jobs/refused", definition, nil)
	f.want(202, "POST", "/v1/jobs/refused/start", wire.Start{}, nil)
	f.until("refused", "failed", func(r wire.Run) bool { return r.Queue == "failed" })

	all := b.page(200, "/", `href="/jobs/clicks"`, `href="/jobs/idle"`, "never started", "newest 2", "1 min ago", "1\u202f234", "&lt;script&gt;alert(&#39;\u241b[31m\ufffd&#39;)&lt;/script&gt; refused", `data-live="/v1/events"`)
	for _, want := range []string{"<strong>3</strong> all", "<strong>1</strong> running", "<strong>1</strong> failed", "<strong>1</strong> never started", "<strong>0</strong> finished"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	for path, want := range map[string]string{"/?state=running": "clicks", "/?state=failed": "refused", "/?state=never-started": "idle", "/?name=fuse": "refused"} {
		body := b.page(200, path, `href="/jobs/`+want+`"`)
		if n := strings.Count(body, `<th scope="row">`); n != 1 {
			t.Errorf("%s: %d jobs", path, n)
		}
	}
	b.page(200, "/?state=finished", "No job matches")
	b.page(200, "/?state=%3Cb%3E", "The state “&lt;b&gt;” does not exist", `href="/jobs/clicks"`)

	// A run that is lost is one in its condition, too.
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Broken = "<b>broken</b>" })
	f.until("clicks", "lost", func(r wire.Run) bool { return r.Condition == "lost" })
	b.page(200, "/?state=lost", `href="/jobs/clicks"`, "running · lost", "<strong>1</strong> lost", "&lt;b&gt;broken&lt;/b&gt;")
}

// TestManyJobsHavePages: a page lists 100.
func TestManyJobsHavePages(t *testing.T) {
	f := newFixture(t, false)
	f.fill(150)
	b := f.browse("")
	body := b.page(200, "/", `rel="next"`, "job-00099", "<strong>150</strong> all")
	if strings.Contains(body, "job-00100") {
		t.Error("more than a page")
	}
	body = b.page(200, "/?after=job-00099", "job-00100", "job-00149", "First page")
	if strings.Contains(body, `rel="next"`) {
		t.Error("the last page has a next one")
	}
}

// fill stores jobs at once, half of them running, of an empty server.
func (f *fixture) fill(jobs int) {
	t := f.t
	t.Helper()
	f.stop()
	db, err := sql.Open("sqlite", filepath.Join(f.dir, "platform.db"))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	queues := []string{"running", "running", "running", "running", "running", "failed", "finish", "cancel", "running", "accept"}
	for i := range jobs {
		name := fmt.Sprintf("job-%05d", i)
		if _, err := tx.Exec("INSERT INTO jobs (name, team, created, created_by, newest) VALUES (?, 'default', ?, 'ann', 1)", name, now); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO versions (job, number, document, digest, source, catalogs, comment, created, created_by) VALUES (?, 1, 'x', 'x', 'x', '[]', '', ?, 'ann')", name, now); err != nil {
			t.Fatal(err)
		}
		for n := range 3 { // runs, the last of which may not have ended
			queue, ended, outcome := queues[i%len(queues)], any(now), ""
			if n < 2 {
				queue = "finish"
			} else if queue == "running" || queue == "accept" {
				ended = nil
			}
			if ended != nil {
				outcome = map[string]string{"failed": "failed", "finish": "finished", "cancel": "canceled"}[queue]
			}
			state := fmt.Sprintf(`{"id":"%s-%d","queue":%q,"desired":"run","since":"2026-01-01T00:00:00Z","outcome":%q}`, name, n, queue, outcome)
			if _, err := tx.Exec(`INSERT INTO runs (id, job, version, revision, queue, condition, desired, outcome, state, pending, cluster, asked, created, ended, due, owner, lease)
				VALUES (?, ?, 1, 1, ?, '', 'run', ?, ?, '[]', '{}', '{"by":"ann"}', ?, ?, NULL, '', 0)`, fmt.Sprintf("%s-%d", name, n), name, queue, outcome, state, now+int64(n), ended); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f.start()
}

// TestNewJob: faults are shown at their places, and nothing that was typed is lost.
func TestNewJob(t *testing.T) {
	f := newFixture(t, false)
	b := f.browse("")
	b.page(200, "/new-job", `name="source"`, "Save and start")
	const wrong = "apiVersion: flink-entrypoint/v1\nname: clicks\nsql:\n  script: |\n    INSERT INTO p SELECT 1;\nsgl: <img src=x onerror=alert(1)>\n"
	resp, body := b.post("/new-job", url.Values{"name": {"clicks"}, "kind": {"definition"}, "source": {strings.ReplaceAll(wrong, "\n", "\r\n")}, "comment": {"\"><script>x</script>"}, "then": {"save"}})
	f.has(resp, body, 422, "/new-job", "line 6", "sgl: &lt;img src=x onerror=alert(1)&gt;", "INSERT INTO p SELECT 1;")
	resp, body = b.post("/new-job", url.Values{"name": {"No Name"}, "kind": {"sql"}, "source": {"SELECT 1;"}})
	f.has(resp, body, 400, "/new-job", "is not a name of a job", "No Name")
	resp, body = b.post("/new-job", url.Values{"name": {" "}, "kind": {"sql"}, "source": {"SELECT 1;"}})
	f.has(resp, body, 400, "/new-job", "The job has no name")
	resp, body = b.post("/new-job", url.Values{"name": {"clicks"}, "kind": {"definition"}, "source": {definition}, "then": {"save"}})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/jobs/clicks?done=version" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	resp, body = b.post("/new-job", url.Values{"name": {"clicks"}, "kind": {"definition"}, "source": {definition}, "then": {"save"}})
	f.has(resp, body, 409, "/new-job", "there is a job clicks")
	resp, body = b.post("/new-job", url.Values{"name": {"script"}, "kind": {"sql"}, "source": {"CREATE TABLE s (id INT) WITH ('connector' = 'datagen');\nCREATE TABLE p (id INT) WITH ('connector' = 'print');\nINSERT INTO p SELECT id FROM s;\n"}, "then": {"start"}})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/jobs/script?done=started" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if r := f.run("script"); r.Version != 1 {
		t.Errorf("%+v", r)
	}
	resp, body = b.post("/new-job", url.Values{"name": {"large"}, "kind": {"sql"}, "source": {strings.Repeat("x", 17<<20)}})
	f.has(resp, body, 413, "/new-job", "longer than")
}

// TestCatalogPages: made, listed with their jobs, changed, refused, deleted.
func TestCatalogPages(t *testing.T) {
	f := newFixture(t, false)
	b := f.browse("")
	b.page(200, "/catalogs", "No catalogs yet", "/new-catalog")
	b.page(200, "/new-catalog", "CREATE CATALOG")
	resp, body := b.post("/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH (\r\n'type'='jdbc',\r\n'password'='<b>hunter2')"}})
	f.has(resp, body, 422, "/new-catalog", "The text is wrong", "&#39;password&#39;=&#39;&lt;b&gt;hunter2&#39;)")
	resp, body = b.post("/new-catalog", url.Values{"name": {""}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}})
	f.has(resp, body, 400, "/new-catalog", "The catalog has no name")
	if resp, body := b.post("/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}}); resp.StatusCode != 303 || resp.Header.Get("Location") != "/catalogs/ods?done=catalog-saved" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	resp, body = b.post("/new-catalog", url.Values{"name": {"ods"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory')"}})
	f.has(resp, body, 409, "/new-catalog", "there is a catalog ods")
	b.page(200, "/catalogs/ods?done=catalog-saved", "The catalog is saved", "No job has this catalog")
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"x-platform: {catalogs: [ods]}\n", nil)
	b.page(200, "/catalogs", `href="/catalogs/ods"`, `href="/jobs/clicks"`)
	resp, body = b.post("/catalogs/ods", url.Values{"revision": {"1"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory', 'default-database'='<i>x</i>')"}})
	if resp.StatusCode != 303 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	b.page(200, "/catalogs/ods", "revision 2", "&lt;i&gt;x&lt;/i&gt;", "1 job has an older revision", "older", "Save as revision 3")
	resp, body = b.post("/catalogs/ods", url.Values{"revision": {"1"}, "statement": {"CREATE CATALOG ods WITH ('type'='generic_in_memory', 'default-database'='mine')"}})
	f.has(resp, body, 412, "/catalogs/ods", "Changed meanwhile", "&lt;i&gt;x&lt;/i&gt;", "mine", `name="revision" value="2"`)
	resp, body = b.post("/catalogs/ods", url.Values{"revision": {"2"}, "statement": {"DROP CATALOG ods"}})
	f.has(resp, body, 422, "/catalogs/ods", "DROP CATALOG ods")
	if resp, body := b.post("/catalogs/ods/delete", url.Values{}); resp.StatusCode != 303 || resp.Header.Get("Location") != "/catalogs?done=catalog-deleted" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	b.page(200, "/catalogs?done=catalog-deleted", "The catalog is deleted")
	b.page(404, "/catalogs/ods", "Unknown catalog")
}

// TestHealthPage: every queue, also an empty one, and a server without a workbench.
func TestHealthPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	b := f.browse("")
	body := b.page(200, "/health", "Every queue keeps up.", "Looks at runs", "No workbench", `data-every="2"`)
	for _, q := range []string{"accept", "running", "cancel", "failed", "finish"} {
		if !strings.Contains(body, `<th scope="row">`+q+`</th>`) {
			t.Errorf("no queue %s", q)
		}
	}
	f.as(f.runToken(r.ID), func() {
		f.want(204, "POST", "/v1/flink-events", wire.Push{Run: r.ID, Attempt: r.Attempt, Sequence: 1, JobID: r.JobID, Status: "RUNNING"}, nil)
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // a rate is of whole seconds
		h := decode[wire.Health](t, f.want(200, "GET", "/v1/health", nil, nil))
		if h.Polls > 0 && h.Pushes > 0 && !h.Started.IsZero() && time.Since(h.Started) < time.Hour {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", h)
		}
	}
}

// TestAssets: their addresses change with their content, and browsers keep them.
func TestAssets(t *testing.T) {
	f := newFixture(t, false)
	b := f.browser()
	body := b.page(200, "/sign-in")
	found := regexp.MustCompile(`/assets/[0-9a-f]{12}/[a-z.-]+`).FindAllString(body, -1)
	if len(found) < 4 {
		t.Fatalf("%q", found)
	}
	for _, path := range found {
		resp, content := b.get(path)
		if resp.StatusCode != 200 || len(content) == 0 || resp.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || resp.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
	if resp, _ := b.get("/assets/000000000000/site.css"); resp.StatusCode != 404 {
		t.Errorf("another content: %d", resp.StatusCode)
	}
}

// TestTenThousandJobs: the page of all jobs stays quick. It takes some hundredths of a second; the bound is for a page that reads all jobs' texts, on
// any machine.
func TestTenThousandJobs(t *testing.T) {
	f := newFixture(t, false)
	f.fill(10000)
	b := f.browse("")
	for _, path := range []string{"/", "/?after=job-05000", "/?state=failed", "/?name=999", "/?state=lost"} {
		fastest := time.Hour
		for range 3 {
			began := growth.ProcessorTime()
			b.page(200, path, "<strong>10\u202f000</strong> all")
			fastest = min(fastest, growth.ProcessorTime()-began)
		}
		t.Logf("%s: %v", path, fastest.Round(time.Millisecond))
		if fastest > 5*time.Second {
			t.Errorf("%s takes %v", path, fastest)
		}
	}
}
