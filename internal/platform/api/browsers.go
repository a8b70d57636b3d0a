package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// Pages is what people see. It answers what is not of the API.
type Pages interface {
	http.Handler
	// Problem answers with a page, or reports that who sent the request does not read pages.
	Problem(w http.ResponseWriter, r *http.Request, p wire.Problem) bool
}

// Times of signing in.
const (
	codeLife    = 5 * time.Minute
	sessionLife = 12 * time.Hour
)

// cookie is the session cookie with a value. Cookies do not know ports, so each server has a name of its own.
func (a *API) cookie(r *http.Request, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{Name: "flink-platform-" + a.Store.Instance(), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(life.Seconds())}
	if a.Secure || r.TLS != nil {
		c.Name, c.Secure = "__Host-"+c.Name, true
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// browserSession is the session of a request's cookie, and its secret. ErrNotFound: it has none that is valid.
func (a *API) browserSession(r *http.Request) (secret string, b store.BrowserSession, err error) {
	cookie, err := r.Cookie(a.cookie(r, "", 0).Name)
	if err != nil {
		return "", b, store.ErrNotFound
	}
	b, err = a.Store.SessionOf(r.Context(), cookie.Value)
	if err == nil && b.Token.Name == "" && !a.Open {
		err = store.ErrNotFound // it was made while the server asked for no token
	}
	return cookie.Value, b, err
}

func callerOf(t store.Token) caller {
	return caller{name: t.Name, role: t.Role, team: t.Team, run: t.Run}
}

func localUser() caller {
	return caller{name: "local user", role: store.RoleAdmin, team: DefaultTeam, local: true}
}

// sessionCaller is who a browser's session acts as.
func sessionCaller(b store.BrowserSession) caller {
	c := localUser()
	if b.Token.Name != "" {
		c = callerOf(b.Token)
	}
	c.session = b.Expires
	return c
}

func meOf(c caller) wire.Me {
	me := wire.Me{Name: c.name, Role: string(c.role), Team: c.team, Local: c.local}
	if !c.session.IsZero() {
		me.Expires = &c.session
	}
	return me
}

// me: GET /v1/me
func (a *API) me(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, meOf(who(r)))
}

// makeCode: POST /v1/codes. A browser's session gets none: it would never end.
func (a *API) makeCode(w http.ResponseWriter, r *http.Request) error {
	c := who(r)
	if !c.session.IsZero() {
		return refuse(http.StatusForbidden, "a browser's session makes no codes", "flink-platform link makes one")
	}
	token := c.name
	if c.local {
		token = ""
	}
	code, expires, err := a.Store.MakeCode(r.Context(), token, codeLife)
	if err == nil {
		err = a.Store.Audit(r.Context(), c.team, "", "a code to sign a browser in was made")
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, wire.Code{Code: code, Expires: expires})
}

// signIn: POST /v1/sessions {token} or {code}: a session, whose secret is in the cookie alone.
func (a *API) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := a.unknown(w, r); err != nil { // guessing is slow
		return err
	}
	var in wire.SignIn
	if err := read(w, r, &in); err != nil {
		return err
	}
	if (in.Token == "") == (in.Code == "") {
		return refuse(http.StatusBadRequest, "a token or a code is needed, not both", "")
	}
	var secret string
	var b store.BrowserSession
	var err error
	if in.Code != "" {
		secret, b, err = a.Store.UseCode(r.Context(), in.Code, sessionLife)
		if errors.Is(err, store.ErrNotFound) || err == nil && b.Token.Name == "" && !a.Open {
			return refuse(http.StatusUnauthorized, "the code is not valid: it was used, or is older than 5 minutes", "flink-platform link makes another one")
		}
	} else {
		var t store.Token
		t, err = a.Store.TokenOf(r.Context(), strings.TrimSpace(in.Token))
		if errors.Is(err, store.ErrNotFound) {
			return refuse(http.StatusUnauthorized, "the token is not valid, or no longer", "an admin makes one with: flink-platform token make NAME")
		}
		if err == nil && t.Run != "" {
			return refuse(http.StatusForbidden, "this is the token of a run, which is for its pods", "")
		}
		if err == nil {
			secret, b, err = a.Store.MakeSession(r.Context(), t.Name, sessionLife)
		}
	}
	if err != nil {
		return err
	}
	c := sessionCaller(b)
	if err := a.Store.Audit(store.ByUser(r.Context(), c.name), c.team, "", "a browser signed in"); err != nil {
		return err
	}
	http.SetCookie(w, a.cookie(r, secret, time.Until(b.Expires)))
	return answer(w, http.StatusCreated, meOf(c))
}

// signOut: DELETE /v1/session. It succeeds without one, too.
func (a *API) signOut(w http.ResponseWriter, r *http.Request) error {
	secret, b, err := a.browserSession(r)
	if err == nil {
		err = a.Store.EndSession(r.Context(), secret)
	}
	if err == nil {
		c := sessionCaller(b)
		err = a.Store.Audit(store.ByUser(r.Context(), c.name), c.team, "", "a browser signed out")
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	http.SetCookie(w, a.cookie(r, "", 0))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// everybody lets requests without a valid token or session through.
func (a *API) everybody(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.answerError(w, r, err)
		}
	})
}

// counts: GET /v1/counts: how many jobs are in each state.
func (a *API) counts(w http.ResponseWriter, r *http.Request) error {
	all, err := a.Store.CountJobs(r.Context(), who(r).team)
	if err != nil {
		return err
	}
	counts := make([]wire.Count, len(all))
	for i, c := range all {
		counts[i] = wire.Count(c)
	}
	return answer(w, http.StatusOK, map[string]any{"counts": counts})
}

// conditions that a list can be asked for.
var conditions = []string{"starting", "waiting for slots", "restarting", "ending", "parked", "lost"}

func knownCondition(name string) bool { return name == "" || slices.Contains(conditions, name) }
