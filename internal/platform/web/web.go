// Package web is the pages of the platform, for people. They work without scripts, but for what is live.
//
// A page is a client of the platform's API like any other: it calls the API's handler in this process, with the cookie of the browser that
// asks. So who may see and do what is decided in one place, and a page never knows more than its reader.
package web

import (
	"embed"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"flink-entrypoint/internal/platform/wire"
)

//go:embed templates assets
var files embed.FS

// A Site is the pages.
type Site struct {
	// API answers for the pages. It is set before the first request.
	API http.Handler

	log    *slog.Logger
	assets *assets
	mux    *http.ServeMux
	parsed sync.Map // templates by name
}

// A page is one path that people use.
type page struct {
	pattern string // of http.ServeMux
	role    string // the least role: view, edit or admin; "": everybody, also who is not signed in
	serve   func(*visit) error
}

// pages are all of them.
func pages() []page {
	return slices.Concat(signInPages, jobsPages, jobPages, catalogPages, healthPages, workbenchPages)
}

// New makes the pages.
func New(log *slog.Logger) *Site {
	s := &Site{log: log, assets: readAssets(), mux: http.NewServeMux()}
	methods := map[string][]string{}
	for _, p := range pages() {
		method, path, _ := strings.Cut(p.pattern, " ")
		if methods[path] = append(methods[path], method); method == http.MethodGet {
			methods[path] = append(methods[path], http.MethodHead)
		}
		s.mux.Handle(p.pattern, s.page(p))
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		s.mux.Handle(path, s.refusing(http.StatusMethodNotAllowed, "this address has no page", strings.Join(allowed, ", ")))
	}
	s.mux.HandleFunc("GET /assets/{hash}/{name}", s.assets.serve)
	s.mux.Handle("/", s.refusing(http.StatusNotFound, "this address has no page", ""))
	return s
}

// refusing answers every request alike.
func (s *Site) refusing(status int, detail, allowed string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed != "" {
			w.Header().Set("Allow", allowed)
		}
		s.answer(w, r, wire.Problem{Title: http.StatusText(status), Status: status, Detail: detail, Hint: "the page Jobs has everything"})
	})
}

func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Site) page(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.visit(w, r)
		err := v.begin(p.role)
		if err == nil {
			err = p.serve(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// Problem answers with a page, or reports that who sent the request does not read pages.
func (s *Site) Problem(w http.ResponseWriter, r *http.Request, p wire.Problem) bool {
	if !readsPages(r) {
		return false
	}
	s.visit(w, r).problemPage(p)
	return true
}

// answer answers with a page, or a problem document.
func (s *Site) answer(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	if !s.Problem(w, r, p) {
		p.Write(w)
	}
}

// readsPages reports whether a request wants a page rather than JSON.
func readsPages(r *http.Request) bool {
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, _, _ := strings.Cut(accepted, ";"); strings.TrimSpace(kind) == "text/html" {
			return true
		}
	}
	return false
}

// policy is what a page may load and run: only what comes from this server, and no script or style inside of the page itself. Styles that a
// script adds (the editor does) need the nonce.
func policy(nonce string) string {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	return "default-src 'none'; script-src 'self'; style-src " + style + "; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}
