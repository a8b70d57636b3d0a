package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	maxRedirects    = 10
	maxHeaderBytes  = 64 << 10
	maxTokenBytes   = 64 << 10
	tokenFileAdvice = "is the volume with the token mounted, and readable for this uid?"
)

// client builds the HTTP client at the first http(s) URI: a start from a local definition pays nothing.
func (c *Client) client(display string) (*http.Client, *Error) {
	c.build.Do(func() {
		roots, err := c.roots()
		if err != nil {
			c.buildErr = err
			return
		}
		co := &courier{c: c, plain: c.transport(roots)}
		co.certified = co.plain
		if c.o.CertFile != "" {
			pair, err := tls.LoadX509KeyPair(c.o.CertFile, c.o.KeyFile)
			if err != nil {
				c.buildErr = &Error{Kind: KindCredential, cause: err,
					Detail: fmt.Sprintf("the client certificate %s with key %s cannot be used: %v", c.o.CertFile, c.o.KeyFile, err)}
				return
			}
			// A transport of its own: redirected elsewhere, the certificate must not be shown.
			co.certified = c.transport(roots)
			co.certified.TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
		c.http = &http.Client{Transport: co, CheckRedirect: checkRedirect}
	})
	if c.buildErr != nil {
		e := *c.buildErr
		e.URI = display
		return nil, &e
	}
	return c.http, nil
}

// roots are the system's certificates and those of CAFile; nil: the system's alone.
func (c *Client) roots() (*x509.CertPool, *Error) {
	if c.o.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.o.CAFile)
	if err != nil {
		return nil, &Error{Kind: KindCredential, Detail: "the CA file cannot be read: " + err.Error(), cause: err}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &Error{Kind: KindCredential, Detail: "the CA file " + c.o.CAFile + " holds no PEM certificate"}
	}
	return pool, nil
}

func (c *Client) transport(roots *x509.CertPool) *http.Transport {
	dial := c.o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: c.o.Limits.Connect, KeepAlive: 15 * time.Second}).DialContext
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.o.Limits.TLS,
		ResponseHeaderTimeout:  c.o.Limits.Header,
		MaxResponseHeaderBytes: maxHeaderBytes,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    parallelArtifacts,
		ForceAttemptHTTP2:      true, // setting TLSClientConfig would turn it off
		DisableCompression:     true, // decoded here, to tell a broken encoding from a cut connection
		ReadBufferSize:         64 << 10,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode == http.StatusOK {
				return nil
			}
			e := &Error{Kind: KindProxy, Status: r.StatusCode, retry: retried(r.StatusCode),
				Detail: fmt.Sprintf("the proxy answered %d %s", r.StatusCode, http.StatusText(r.StatusCode))}
			if r.StatusCode == http.StatusProxyAuthRequired {
				e.Hint = "the proxy wants credentials: put them into HTTPS_PROXY or HTTP_PROXY"
			}
			return e
		},
	}
	if c.o.Proxy != nil {
		t.Proxy = checkedProxy(c.o.Proxy, c.o.Env)
	}
	return t
}

// checkedProxy is choose, but a variable that holds no URL is an error for the URLs of its scheme, where choose would
// go there without a proxy. Its text is not repeated, since it may hold a password.
func checkedProxy(choose func(*http.Request) (*url.URL, error), env func(string) string) func(*http.Request) (*url.URL, error) {
	bad := func(name string) bool {
		v := env(name)
		if v == "" {
			v = env(strings.ToLower(name))
		}
		if v == "" {
			return false
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme == "" || u.Host == "" {
			u, err = url.Parse("http://" + v)
		}
		return err != nil || u.Host == ""
	}
	return func(r *http.Request) (*url.URL, error) {
		name := strings.ToUpper(r.URL.Scheme) + "_PROXY"
		u, err := choose(r)
		if err != nil || (u == nil && env != nil && bad(name)) {
			return nil, &Error{Kind: KindProxy, Detail: "the variable " + name + " is not a valid URL", Hint: "percent-encode special characters in user and password"}
		}
		return u, nil
	}
}

// courier adds the credentials to each hop that may have them. The request that http.Client holds never has
// them, so nothing that it copies to a redirect's target can leak.
type courier struct {
	c                *Client
	plain, certified *http.Transport
}

// hopKey is the context key of the fetch's target.
type hopKey struct{}

func (co *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	t, _ := r.Context().Value(hopKey{}).(target)
	allowed := func(origin string) bool { return origin != "" && stayed(r, origin) }
	client := allowed(co.c.credentialOrigin())
	own := t.basic.text() != "" && allowed(originOf(t.url))
	if !client && !own {
		return co.plain.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if own {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(t.basic.text())))
	}
	if !client {
		return co.plain.RoundTrip(r)
	}
	if co.c.o.TokenFile != "" {
		token, err := co.c.readToken()
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range co.c.o.Headers {
		if strings.EqualFold(h.Name, "Host") {
			r.Host = h.Value()
			continue
		}
		r.Header.Set(h.Name, h.Value())
	}
	return co.certified.RoundTrip(r)
}

// stayed reports whether r and all redirects that led to it are of this origin. A chain that comes back is
// not trusted: the other origin chose the path.
func stayed(r *http.Request, origin string) bool {
	for {
		if originOf(r.URL) != origin {
			return false
		}
		if r.Response == nil || r.Response.Request == nil {
			return true
		}
		r = r.Response.Request
	}
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	r.Header.Del("Referer") // would carry the query of the last URL
	from := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return &Error{Kind: KindRedirectLoop, Detail: fmt.Sprintf("more than %d redirects, the last to %s", maxRedirects, Redact(r.URL.String())),
			Hint: "does the service want to be logged in, or another scheme or host name?"}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return &Error{Kind: KindRedirect, Detail: "a redirect to " + Redact(r.URL.String()) + ", expected http: or https:"}
	case from.Scheme == "https" && r.URL.Scheme == "http":
		return &Error{Kind: KindRedirect, Detail: "a redirect from https: down to " + Redact(r.URL.String()) + " is refused",
			Hint: "let the service (or the proxy before it) redirect to https:"}
	}
	return nil
}

// readToken reads the bearer token anew: service account tokens rotate.
func (c *Client) readToken() (string, *Error) {
	bad := func(detail string, err error) (string, *Error) {
		return "", &Error{Kind: KindCredential, Detail: "the token file " + c.o.TokenFile + " " + detail, Hint: tokenFileAdvice, cause: err}
	}
	b, err := os.ReadFile(c.o.TokenFile)
	token := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return bad("cannot be read: "+plainCause(err).Error(), err)
	case token == "":
		return bad("is empty", nil)
	case len(b) > maxTokenBytes || !validHeaderValue(token) || strings.ContainsAny(token, " \t"):
		return bad("holds more than one token: expected one line without spaces", nil)
	}
	c.tokenMu.Lock()
	c.token = hide(token)
	c.tokenMu.Unlock()
	return token, nil
}

// secrets are what an answer must not bring into a message.
func (c *Client) secrets(t target) []string {
	out := t.secretValues()
	c.tokenMu.Lock()
	if s := c.token.text(); s != "" {
		out = append(out, s)
	}
	c.tokenMu.Unlock()
	for _, h := range c.o.Headers {
		v := h.Value()
		out = append(out, v)
		if scheme, rest, found := strings.Cut(v, " "); found && scheme != "" {
			out = append(out, strings.TrimSpace(rest)) // "Bearer …"
		}
	}
	return out
}

func (c *Client) adoptOrigin(t target) {
	c.originMu.Lock()
	defer c.originMu.Unlock()
	if c.origin == "" && c.o.Origin == "" {
		c.origin = originOf(t.url)
	}
}

func (c *Client) credentialOrigin() string {
	c.originMu.Lock()
	defer c.originMu.Unlock()
	return c.origin
}

// plainTextWarnings tells which credentials travel unencrypted.
func (c *Client) plainTextWarnings(t target) []string {
	if t.url.Scheme != "http" {
		return nil
	}
	var out []string
	say := func(what string) {
		out = append(out, fmt.Sprintf("%s is sent to %s over plain http: anyone on the way can read it; use https:", what, t.url.Host))
	}
	if t.basic.text() != "" {
		say("the password of the URI")
	}
	if c.credentialOrigin() != originOf(t.url) {
		return out
	}
	if c.o.TokenFile != "" {
		say("the bearer token")
	}
	for _, h := range c.o.Headers {
		if looksSecret(h.Name) || strings.EqualFold(h.Name, "Cookie") {
			say("the header " + h.Name)
		}
	}
	return out
}

// checkHeader refuses what net/http would refuse only later, and never shows the value.
func checkHeader(h Header) *Error {
	if h.Name == "" || strings.ContainsFunc(h.Name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}) {
		return inputError("", fmt.Sprintf("%q is not a valid header name", cut(h.Name, 40)), "write a header as 'Name: value'")
	}
	if h.Value == nil || !validHeaderValue(h.Value()) {
		return inputError("", "the value of the header "+h.Name+" holds a line break or control character", "")
	}
	return nil
}

func validHeaderValue(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isTimeout reports whether err is a timeout of the network kind.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
