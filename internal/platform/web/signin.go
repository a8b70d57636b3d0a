package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
)

var signInPages = []page{
	{"GET /sign-in", "", (*visit).signInForm},
	{"POST /sign-in", "", (*visit).signIn},
	{"GET /enter", "", (*visit).enter},
	{"POST /enter", "", (*visit).useCode},
	{"POST /sign-out", "", (*visit).signOut},
}

// A signInPage is what the page for signing in shows.
type signInPage struct {
	To      string
	Problem *wire.Problem
	Command string // that prints a link
}

// linkCommand is what prints a link with a code for this server.
func (v *visit) linkCommand() string {
	const usual = "127.0.0.1:8088"
	if v.r.Host == usual || v.r.Host == "localhost:8088" {
		return "flink-platform link"
	}
	scheme := "http://"
	if v.r.TLS != nil {
		scheme = "https://"
	}
	return "flink-platform link --server " + scheme + v.r.Host
}

func (v *visit) signInForm() error {
	if v.whoAsks() == nil {
		v.redirect(local(v.r.URL.Query().Get("to")))
		return nil
	}
	return v.render(http.StatusOK, "sign-in", "Sign in", signInPage{To: local(v.r.URL.Query().Get("to")), Command: v.linkCommand()})
}

// maxForm bounds a form: a definition, and a little more.
const maxForm = 17 << 20

// form reads a form. Its fields are in v.r.PostForm.
func (v *visit) form() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &client.Problem{Problem: wire.Problem{Title: "Too large", Status: http.StatusRequestEntityTooLarge, Detail: "the form is longer than " + byteSize(tooLarge.Limit)}}
	}
	if err != nil {
		return &client.Problem{Problem: wire.Problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: "the form cannot be read: " + err.Error()}}
	}
	return nil
}

func (v *visit) signIn() error {
	if err := v.form(); err != nil {
		return err
	}
	to := local(v.r.PostForm.Get("to"))
	err := v.makeSession(wire.SignIn{Token: strings.TrimSpace(v.r.PostForm.Get("token"))})
	if p, ok := errors.AsType[*client.Problem](err); ok {
		if v.r.PostForm.Get("token") == "" {
			p.Problem = wire.Problem{Title: "No token", Status: http.StatusBadRequest, Detail: "paste a token into the field"}
		}
		return v.render(p.Status, "sign-in", "Sign in", signInPage{To: to, Problem: &p.Problem, Command: v.linkCommand()})
	}
	if err != nil {
		return err
	}
	v.redirect(to)
	return nil
}

// makeSession signs in; the API's cookie goes to the browser.
func (v *visit) makeSession(in wire.SignIn) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := v.api.Send(v.ctx(), http.MethodPost, "/v1/sessions", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	v.takeCookies(answer)
	return nil
}

func (v *visit) takeCookies(answer *http.Response) {
	for _, c := range answer.Header.Values("Set-Cookie") {
		v.w.Header().Add("Set-Cookie", c)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}

// enter is the address that flink-platform link prints. A code is used by a POST, so that what looks at links ahead (a chat program, a
// browser that prepares pages) does not use it up, and another site cannot sign a user in as another one. A browser whose user
// has followed the link from outside says so, and needs no click.
func (v *visit) enter() error {
	code := v.r.URL.Query().Get("code")
	if v.r.Header.Get("Sec-Fetch-Site") == "none" && v.r.Header.Get("Sec-Purpose") == "" && v.r.Method == http.MethodGet {
		return v.enterWith(code)
	}
	return v.render(http.StatusOK, "enter", "Sign in", code)
}

func (v *visit) useCode() error {
	if err := v.form(); err != nil {
		return err
	}
	return v.enterWith(v.r.PostForm.Get("code"))
}

func (v *visit) enterWith(code string) error {
	err := v.makeSession(wire.SignIn{Code: code})
	if p, ok := errors.AsType[*client.Problem](err); ok {
		if v.whoAsks() == nil { // the link was opened again
			v.redirect("/")
			return nil
		}
		if code == "" {
			p.Problem = wire.Problem{Title: "No code", Status: http.StatusBadRequest, Detail: "the address has no code"}
		}
		return v.render(p.Status, "sign-in", "Sign in", signInPage{To: "/", Problem: &p.Problem, Command: v.linkCommand()})
	}
	if err != nil {
		return err
	}
	v.redirect("/")
	return nil
}

func (v *visit) signOut() error {
	answer, err := v.api.Send(v.ctx(), http.MethodDelete, "/v1/session", nil, nil)
	if err != nil {
		return err
	}
	v.takeCookies(answer)
	v.redirect("/sign-in?" + url.Values{"done": {"signed-out"}}.Encode())
	return nil
}
