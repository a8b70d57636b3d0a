package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
)

// A visit is one request of a person.
type visit struct {
	site *Site
	w    http.ResponseWriter
	r    *http.Request
	api  *client.Client // the API, as the person who asks
	me   wire.Me        // zero: not signed in, or not asked
}

func (s *Site) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{site: s, w: w, r: r, api: &client.Client{Base: "http://platform", HTTP: &http.Client{Transport: inside{s.API, r}}}}
}

func (v *visit) ctx() context.Context    { return v.r.Context() }
func (v *visit) path(name string) string { return v.r.PathValue(name) }

// errSignIn: the page is for people who are signed in.
var errSignIn = errors.New("not signed in")

// begin learns who asks, and refuses who may not.
func (v *visit) begin(role string) error {
	if role == "" {
		return nil
	}
	if err := v.whoAsks(); err != nil {
		return err
	}
	if !v.may(role) {
		return &client.Problem{Problem: wire.Problem{Title: http.StatusText(http.StatusForbidden), Status: http.StatusForbidden,
			Detail: "your role is " + v.me.Role + ", this page needs " + role, Hint: "sign in with another token, or ask an admin for one"}}
	}
	return nil
}

// whoAsks asks the API. errSignIn: without a session. On loopback the API answers requests without one, too; pages do not, because every
// program and page on this machine can send them.
func (v *visit) whoAsks() error {
	var me wire.Me
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1/me", nil, &me); err != nil {
		return err
	}
	if me.Expires == nil {
		return errSignIn
	}
	v.me = me
	return nil
}

// may reports whether the person has at least a role.
func (v *visit) may(role string) bool {
	rank := map[string]int{"view": 1, "edit": 2, "admin": 3}
	return rank[v.me.Role] >= rank[role] && rank[role] > 0
}

// problem is what the API answered instead; nil if err is something else.
func (v *visit) problem(err error) *wire.Problem {
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Status != http.StatusUnauthorized {
		return &p.Problem
	}
	return nil
}

// fail answers with an error.
func (v *visit) fail(err error) {
	if v.ctx().Err() != nil {
		return // the reader is gone
	}
	p, known := errors.AsType[*client.Problem](err)
	switch {
	case errors.Is(err, errSignIn), known && p.Status == http.StatusUnauthorized:
		if !readsPages(v.r) {
			wire.Problem{Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized, Detail: "this page needs a browser that is signed in", Hint: "programs call /v1/…"}.Write(v.w)
			return
		}
		to := "/sign-in"
		if here := v.r.URL.RequestURI(); v.r.Method == http.MethodGet && here != "/" {
			to += "?to=" + url.QueryEscape(here)
		}
		v.redirect(to)
	case known:
		v.site.answer(v.w, v.r, p.Problem)
	default:
		v.site.log.Error("page failed", "path", v.r.URL.Path, "error", err, "requestId", v.w.Header().Get("X-Request-Id"))
		v.site.answer(v.w, v.r, wire.Problem{Title: "Internal error", Status: http.StatusInternalServerError, Detail: "it is in the server's log under the request's id " + v.w.Header().Get("X-Request-Id")})
	}
}

// local is an address of this server, or the address of the first page: "//host" and "/\\host" are of others.
func local(address string) string {
	if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.HasPrefix(address, "/\\") || strings.ContainsFunc(address, func(c rune) bool { return c < ' ' }) {
		return "/"
	}
	return address
}

func (v *visit) redirect(to string) {
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

// done ends a POST: the page at to shows what was done, see doneTexts.
func (v *visit) done(to, what string) error {
	path, query, _ := strings.Cut(to, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	q.Set("done", what)
	v.redirect(path + "?" + q.Encode())
	return nil
}

// doneTexts are what pages say after something was done.
var doneTexts = map[string]string{
	"signed-out":      "You are signed out.",
	"catalog-saved":   "The catalog is saved. Jobs get it with their next version.",
	"catalog-deleted": "The catalog is deleted. Versions that have it keep their copy.",
	"job-deleted":     "The job is deleted.",
	"started":         "The job was asked to start.",
	"started-empty":   "It starts without state.",
	"stopping":        "A stop with savepoint was asked for.",
	"draining":        "A drain was asked for.",
	"upgrading":       "The upgrade was asked for.",
	"canceling":       "The cancel was asked for.",
	"resolving":       "The run ends as you said when its cluster is gone.",
	"version":         "The version is saved.",
}

// A view is what a template sees.
type view struct {
	Title, Nav, Path string
	Done             string
	Me               *wire.Me // nil: not signed in
	Scripts, Styles  []string
	Live             string // address of the events after which parts are read again
	Every            int    // seconds after which they are, too
	Nonce            string
	Wide             bool
	Data             any

	may func(string) bool
}

// May reports whether the reader has at least a role.
func (v view) May(role string) bool { return v.may(role) }

type option func(*view)

func script(names ...string) option {
	return func(v *view) { v.Scripts = append(v.Scripts, names...) }
}
func style(names ...string) option { return func(v *view) { v.Styles = append(v.Styles, names...) } }
func nav(entry string) option      { return func(v *view) { v.Nav = entry } }
func wide() option                 { return func(v *view) { v.Wide = true } }

// live reads the parts of the page again after each event of an address (empty: none), and every so many seconds (0: no).
func live(events string, every int) option {
	return func(v *view) { v.Live, v.Every = events, every }
}

// styleNonce lets a script of the page add style elements that have the nonce.
func styleNonce() option {
	return func(v *view) {
		b := make([]byte, 16)
		rand.Read(b) // never fails
		v.Nonce = base64.RawStdEncoding.EncodeToString(b)
	}
}

// render writes a page: templates/NAME.html in the layout.
func (v *visit) render(status int, name, title string, data any, options ...option) error {
	x := view{Title: title, Path: v.r.URL.Path, Done: doneTexts[v.r.URL.Query().Get("done")], Data: data, may: v.may}
	if v.me.Name != "" {
		x.Me = &v.me
	}
	for _, o := range options {
		o(&x)
	}
	t, err := v.site.template(name)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, "layout", x); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(x.Nonce))
	// Without a referrer a browser says "Origin: null" with a form, and on plain http nothing else says that the form is of this server.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	v.w.WriteHeader(status)
	v.w.Write(page.Bytes()) // a reader who is gone hears nothing
	return nil
}

// template is a page's template with what all have.
func (s *Site) template(name string) (*template.Template, error) {
	if t, ok := s.parsed.Load(name); ok {
		return t.(*template.Template), nil
	}
	t, err := template.New(name).Funcs(s.functions()).ParseFS(files, "templates/layout.html", "templates/parts*.html", "templates/"+name+".html")
	if err != nil {
		return nil, err
	}
	s.parsed.Store(name, t)
	return t, nil
}

// An errorPage is what the page of an error shows.
type errorPage struct {
	Problem *wire.Problem
	Request string
	Here    string // the address, where trying again may help
}

// problemPage answers with the page of an error.
func (v *visit) problemPage(p wire.Problem) {
	busy := p.Status == http.StatusTooManyRequests || p.Status >= 500
	if v.me.Name == "" && !busy && p.Status != http.StatusMisdirectedRequest {
		_ = v.whoAsks() // without it the page has no navigation, and that is all
	}
	e := errorPage{Problem: &p, Request: v.w.Header().Get("X-Request-Id")}
	if busy && (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead) {
		e.Here = local(v.r.URL.RequestURI())
	}
	if err := v.render(p.Status, "error", titleOf(p), e); err != nil {
		v.site.log.Error("the page of an error failed", "error", err)
		p.Write(v.w)
	}
}

// titles replace those of HTTP, which say little to people.
var titles = map[int]string{
	http.StatusBadRequest: "Not understood", http.StatusUnauthorized: "Not signed in", http.StatusForbidden: "Not allowed", http.StatusNotFound: "Not found", http.StatusMethodNotAllowed: "Not found",
	http.StatusConflict: "Not now", http.StatusPreconditionFailed: "Changed meanwhile", http.StatusMisdirectedRequest: "Another host", http.StatusTooManyRequests: "Too many requests",
	http.StatusServiceUnavailable: "Not available",
}

func titleOf(p wire.Problem) string {
	if t := titles[p.Status]; t != "" && (p.Title == "" || p.Title == http.StatusText(p.Status)) {
		return t
	}
	return sentence(plain(p.Title))
}

// inside calls a handler of this process on behalf of who sent a request. Of that request only the cookie goes along. The body of the answer
// comes as the handler writes it; the handler has ended when it is closed.
type inside struct {
	handler http.Handler
	from    *http.Request
}

func (t inside) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	r := req.Clone(ctx)
	r.Host, r.RemoteAddr, r.TLS, r.RequestURI = t.from.Host, t.from.RemoteAddr, t.from.TLS, req.URL.RequestURI()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	for _, name := range []string{"Cookie", "X-Request-Id"} {
		if values := t.from.Header.Values(name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	reader, writer := io.Pipe()
	a := &answered{header: http.Header{}, body: writer, begun: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer writer.Close()
		t.handler.ServeHTTP(a, r)
		a.WriteHeader(http.StatusOK)
	}()
	<-a.begun
	return &http.Response{Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.sent, ContentLength: -1,
		Body: insideBody{reader, func() { cancel(); reader.Close(); <-ended }}, Request: req}, nil
}

type insideBody struct {
	io.Reader
	end func()
}

func (b insideBody) Close() error {
	b.end()
	return nil
}

// answered is what a handler writes to.
type answered struct {
	header, sent http.Header
	status       int
	begun        chan struct{} // closed when status and header are sent
	body         io.Writer
}

func (a *answered) Header() http.Header { return a.header }

func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	}
}

func (a *answered) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush is for handlers that stream: what is written is read at once.
func (a *answered) Flush() { a.WriteHeader(http.StatusOK) }
