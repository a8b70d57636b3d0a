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
	"slices"
	"strings"
	"time"
)

const (
	maxRedirects    = 10
	maxHeaderBytes  = 64 << 10
	maxTokenBytes   = 64 << 10
	tokenFileAdvice = "check that the volume with the token is mounted, and that this uid can read it"
)

// client builds the HTTP client at the first http(s) URI: a start from a local definition pays nothing.
func (c *Client) client(ctx context.Context, display string) (*http.Client, *Error) {
	c.build.Do(func() {
		roots, err := c.roots(ctx)
		if err != nil {
			c.buildErr = err
			return
		}
		ct := &credentialTransport{c: c, plain: c.transport(roots)}
		ct.certified = ct.plain
		if c.o.CertFile != "" {
			pair, err := keyPair(ctx, c.o.CertFile, c.o.KeyFile)
			if err != nil {
				c.buildErr = &Error{Kind: KindCredential, cause: err,
					Detail: fmt.Sprintf("the client certificate %s with key %s cannot be used: %v", c.o.CertFile, c.o.KeyFile, err)}
				return
			}
			// A transport of its own: redirected elsewhere, the certificate must not be shown.
			ct.certified = c.transport(roots)
			ct.certified.TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
		c.http = &http.Client{Transport: ct, CheckRedirect: c.checkRedirect}
	})
	if c.buildErr != nil {
		e := *c.buildErr
		e.URI = display
		return nil, &e
	}
	return c.http, nil
}

// maxPEMBytes bounds files of certificates and keys.
const maxPEMBytes = 4 << 20

func keyPair(ctx context.Context, certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readWithin(ctx, certFile, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readWithin(ctx, keyFile, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// roots are the system's certificates and those of CAFile; nil: the system's alone.
func (c *Client) roots(ctx context.Context) (*x509.CertPool, *Error) {
	if c.o.CAFile == "" {
		return nil, nil
	}
	pem, err := readWithin(ctx, c.o.CAFile, maxPEMBytes)
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
				e.Hint = "the proxy requires credentials: put them into HTTPS_PROXY or HTTP_PROXY"
			}
			return e
		},
	}
	if c.o.Proxy != nil {
		choose := checkedProxy(c.o.Proxy, c.o.Env)
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := choose(r)
			if err == nil && u != nil && u.User != nil {
				c.learnTarget(u)
			}
			return u, err
		}
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

// credentialTransport adds the credentials to each hop that may have them. The request that http.Client holds never has
// them, so nothing that it copies to a redirect's target can leak.
type credentialTransport struct {
	c                *Client
	plain, certified *http.Transport
}

// hopKey is the context key of the fetch's target.
type hopKey struct{}

func (ct *credentialTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	t, _ := r.Context().Value(hopKey{}).(target)
	allowed := func(origin string) bool { return origin != "" && neverLeft(r, origin) }
	client := allowed(ct.c.credentialOrigin())
	own := t.basic.text() != "" && allowed(originOf(t.url))
	if !client && !own {
		return ct.plain.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if own {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(t.basic.text())))
	}
	if !client {
		return ct.plain.RoundTrip(r)
	}
	if ct.c.o.TokenFile != "" {
		token, err := ct.c.readToken(r.Context())
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range ct.c.o.Headers {
		if strings.EqualFold(h.Name, "Host") {
			r.Host = h.Value()
			continue
		}
		r.Header.Set(h.Name, h.Value())
	}
	return ct.certified.RoundTrip(r)
}

// neverLeft reports whether r and all redirects that led to it are of this origin. A chain that comes back is
// not trusted: the other origin chose the path.
func neverLeft(r *http.Request, origin string) bool {
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

// checkRedirect decides whether a redirect is followed, and learns the secrets of its target.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	r.Header.Del("Referer") // would carry the query of the last URL
	from := via[len(via)-1].URL
	t, _ := r.Context().Value(hopKey{}).(target)
	to := func() string { return cut(scrub(redirected(r.URL), c.secrets(t)), maxDetail) }
	defer c.learnTarget(r.URL)
	switch {
	case len(via) > maxRedirects:
		return &Error{Kind: KindRedirectLoop, Detail: fmt.Sprintf("more than %d redirects, the last to %s", maxRedirects, to()),
			Hint: "the service may require a login, or another scheme or host name"}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return &Error{Kind: KindRedirect, Detail: "a redirect to " + to() + ", expected http: or https:"}
	case from.Scheme == "https" && r.URL.Scheme == "http":
		return &Error{Kind: KindRedirect, Detail: "a redirect from https: down to " + to() + " is refused",
			Hint: "let the service (or the proxy before it) redirect to https:"}
	}
	return nil
}

// readToken reads the bearer token again: service account tokens rotate.
func (c *Client) readToken(ctx context.Context) (string, *Error) {
	bad := func(detail string, err error) (string, *Error) {
		return "", &Error{Kind: KindCredential, Detail: "the token file " + c.o.TokenFile + " " + detail, Hint: tokenFileAdvice, cause: err}
	}
	b, err := readWithin(ctx, c.o.TokenFile, maxTokenBytes)
	token := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return bad("cannot be read: "+plainCause(err).Error(), err)
	case token == "":
		return bad("is empty", nil)
	case len(b) > maxTokenBytes || !validHeaderValue(token) || strings.ContainsAny(token, " \t"):
		return bad("holds more than one token: expected one line without spaces", nil)
	}
	c.rememberSecrets(token)
	c.learn(token)
	return token, nil
}

// rememberSecrets remembers secrets that became known on the way: a later answer may repeat them, even a token that has been replaced since.
func (c *Client) rememberSecrets(secrets ...string) {
	c.seenMu.Lock()
	defer c.seenMu.Unlock()
	for _, s := range secrets {
		if !slices.ContainsFunc(c.seen, func(h hidden) bool { return h.text() == s }) {
			c.seen = append(c.seen, hide(s))
		}
	}
	c.seen = c.seen[max(0, len(c.seen)-maxSeen):]
}

// maxSeen bounds how many secrets are remembered: a service may redirect to another signed URL each time.
const maxSeen = 100

// learnTarget makes the secrets of a redirect's target or of a proxy known: it may be signed, or hold a password.
func (c *Client) learnTarget(u *url.URL) {
	all, credentials := foreignSecrets(u)
	c.rememberSecrets(all...)
	c.learn(credentials...)
}

// without takes the secrets out of a header of a good answer.
func (c *Client) without(t target, text string) string {
	if text == "" {
		return ""
	}
	return newNeedles(c.secrets(t)).replace(text)
}

// learn makes secrets known to the code that prints.
func (c *Client) learn(secrets ...string) {
	if c.o.Learn != nil {
		c.o.Learn(secrets...)
	}
}

// secrets are what an answer must not bring into a message.
func (c *Client) secrets(t target) []string {
	out := t.secretValues(true)
	c.seenMu.Lock()
	for _, s := range c.seen {
		out = append(out, s.text())
	}
	c.seenMu.Unlock()
	for _, h := range c.o.Headers {
		v := h.Value()
		out = append(out, v)
		if scheme, rest, found := strings.Cut(v, " "); found && scheme != "" {
			out = append(out, strings.TrimSpace(rest)) // "Bearer …"
		}
	}
	return out
}

// keepable returns a header that goes into the last good copy, "" if it repeats a secret of the request.
func (c *Client) keepable(t target, text string) string {
	if c.without(t, text) != text {
		return ""
	}
	return text
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

// plainTextWarnings lists the credentials that are sent unencrypted.
func (c *Client) plainTextWarnings(t target) []string {
	if t.url.Scheme != "http" {
		return nil
	}
	var out []string
	say := func(what string) {
		out = append(out, fmt.Sprintf("%s is sent to %s over plain http: anyone on the network path can read it; use https:", what, t.url.Host))
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
