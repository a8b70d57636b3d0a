// Package fetch brings bytes from a URI: a plain path, file:, http: or https:.
//
// What comes in: URIs, the pinned digests, the credentials and how long everything together may take. What
// goes out: the bytes of a [Document], or [Result]s of artifacts that were streamed to disk, verified and
// renamed into place; on failure an [*Error] that says what was asked, what came back and what to do.
//
// One [Client] has one deadline for all it fetches. HTTP goes through go-retryablehttp with the schedule of
// retry.go; credentials are added per hop (transport.go), so that no redirect can carry them to another
// origin. No HTTP client is built before the first http: or https: URI.
package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Header is a request header whose value may be secret. Value is called at each request and its result is
// never formatted; it is a function so that printing a Header shows an address only.
type Header struct {
	Name  string
	Value func() string
}

// Options say how a [Client] fetches. The zero value fetches without credentials within two minutes.
type Options struct {
	Timeout   time.Duration // total for everything fetched by one Client, from its first fetch (0: 2m)
	Splay     time.Duration // random delay in [0, Splay) before the first HTTP request; part of Timeout
	UserAgent string        // "" : flink-entrypoint

	// Credentials: sent only to the origin (scheme, host, port) of Origin and never after a redirect has
	// left it. Origin "": the first http(s) URI given to Document.
	Origin            string
	Headers           []Header
	TokenFile         string // bearer token, read again at each attempt
	CertFile, KeyFile string // client certificate, PEM

	CAFile string // PEM certificates trusted beside the system's

	// Proxy chooses the proxy of a request, as http.ProxyFromEnvironment does; nil: no proxy. Env looks up
	// HTTP_PROXY and HTTPS_PROXY (also in lower case), since a variable that is set to something else than a URL is an error.
	Proxy func(*http.Request) (*url.URL, error)
	Env   func(name string) string

	Logger *slog.Logger // nil: silent

	// Learn gets every secret as soon as it is known (tokens, what a URI holds), so that the code that prints can mask it in
	// text that came from outside; nil: not needed.
	Learn func(secrets ...string)

	// For tests; zero values are the documented defaults.
	Limits Limits
	Retry  Schedule
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Rand   func() float64 // in [0, 1)
	Now    func() time.Time
}

// Limits bound one attempt; the total is Options.Timeout.
type Limits struct {
	Connect time.Duration // name lookup and TCP connect (5s)
	TLS     time.Duration // TLS handshake (10s)
	Header  time.Duration // from the request sent to the answer's header (30s)
	Idle    time.Duration // between two pieces of the body (30s)
}

const (
	defaultTimeout     = 2 * time.Minute
	defaultMaxDocument = 16 << 20
	parallelArtifacts  = 4
)

// Client fetches. It is safe for concurrent use. Its zero value is not usable: see [New].
type Client struct {
	o   Options
	log *slog.Logger

	start    sync.Once
	deadline time.Time

	splay sync.Once

	originMu sync.Mutex
	origin   string

	build    sync.Once
	http     *http.Client
	buildErr *Error

	seenMu sync.Mutex
	seen   []hidden // tokens that were read, and secrets of redirects' targets
}

// hidden keeps a secret out of every formatter: a func value prints as an address.
type hidden struct{ reveal func() string }

func hide(s string) hidden { return hidden{func() string { return s }} }

func (h hidden) text() string {
	if h.reveal == nil {
		return ""
	}
	return h.reveal()
}

// New checks the options. It reads no file and opens no connection. The error is an [*Error] of [KindInput].
func New(o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = "flink-entrypoint"
	}
	o.Limits.Connect = orElse(o.Limits.Connect, 5*time.Second)
	o.Limits.TLS = orElse(o.Limits.TLS, 10*time.Second)
	o.Limits.Header = orElse(o.Limits.Header, 30*time.Second)
	o.Limits.Idle = orElse(o.Limits.Idle, 30*time.Second)
	o.Retry = o.Retry.withDefaults(o.Timeout)
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{o: o, log: o.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Timeout < 0:
		return nil, inputError("", "the fetch timeout is negative: "+o.Timeout.String(), "")
	case o.Splay < 0 || o.Splay >= o.Timeout:
		return nil, inputError("", fmt.Sprintf("the splay %s must be shorter than the fetch timeout %s, which includes it", o.Splay, o.Timeout), "")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return nil, inputError("", "a client certificate needs both its certificate file and its key file", "")
	}
	for _, h := range o.Headers {
		if err := checkHeader(h); err != nil {
			return nil, err
		}
	}
	// With an Origin that cannot be parsed no request gets credentials; Document reports the error.
	if t, err := parseTarget(o.Origin); err == nil && t.url != nil {
		c.origin = originOf(t.url)
	}
	return c, nil
}

func orElse(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}

// within returns ctx with the Client's deadline, which starts at the first call.
func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	c.start.Do(func() { c.deadline = c.o.Now().Add(c.o.Timeout) })
	return context.WithDeadline(ctx, c.deadline)
}

// half ends when half of the time that remains is over.
func (c *Client) half(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.deadline.Sub(c.o.Now())/2)
}

// wait sleeps for the splay once per Client.
func (c *Client) wait(ctx context.Context) {
	if c.o.Splay == 0 {
		return
	}
	c.splay.Do(func() {
		d := time.Duration(c.o.Rand() * float64(c.o.Splay))
		c.log.Debug("waiting before the first request", "splay", d)
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	})
}

// DocumentOptions say what is expected of one document.
type DocumentOptions struct {
	MaxBytes  int64  // after decompression (0: 16 MiB)
	SHA256    string // pinned digest, hexadecimal; "": none
	Accept    string // request header ("": YAML or JSON preferred)
	CacheFile string // last good copy, for http(s) only; "": none
	ReadOnly  bool   // use the last good copy but never write it
	// WithScript says whether a document that is good names a script, which is fetched with [Client.Script]: then the last good
	// copy is written with both, or not at all.
	WithScript func([]byte) bool
	// Check, if set, decides whether the bytes are good enough to become the last good copy. It does not
	// decide whether Document returns them.
	Check func([]byte) error
}

// Document is what was fetched.
type Document struct {
	URI         string // redacted, for display
	Bytes       []byte
	SHA256      string // of Bytes, lower-case hexadecimal
	ContentType string
	Cached      bool // the service could not be reached: Bytes are the last good copy, see Warnings
	NotModified bool // the service confirmed the last good copy
	Warnings    []string

	saved   *lastGoodCopy // the last good copy that holds these Bytes; nil without
	pending *lastGoodCopy // to become the last good copy, with its script
	file    string        // of the last good copy; "": none is to be written
	t       target
}

// Document fetches a whole document into memory. The error is an [*Error].
func (c *Client) Document(ctx context.Context, uri string, d DocumentOptions) (Document, error) {
	t, e := parseTarget(uri)
	if e != nil {
		return Document{}, e
	}
	c.learn(t.secretValues(false)...)
	pin, e := parseDigest(t.display, d.SHA256)
	if e != nil {
		return Document{}, e
	}
	if d.MaxBytes == 0 {
		d.MaxBytes = defaultMaxDocument
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	doc := Document{URI: t.display}
	var receipt []any
	if t.url == nil {
		doc.Bytes, e = readFile(ctx, t, d.MaxBytes)
		doc.SHA256 = digest(doc.Bytes)
	} else {
		receipt, e = c.httpDocument(ctx, t, d, pin, &doc)
	}
	if e == nil {
		e = checkDigest(t.display, doc.SHA256, pin)
	}
	if e != nil {
		return Document{}, e
	}
	c.log.With(receipt...).Info("fetched", "uri", t.display, "bytes", len(doc.Bytes), "sha256", doc.SHA256, "lastGoodCopy", doc.Cached)
	return doc, nil
}

// httpDocument fetches t, asks with the last good copy's ETag, and falls back on it.
func (c *Client) httpDocument(ctx context.Context, t target, d DocumentOptions, pin string, doc *Document) ([]any, *Error) {
	c.adoptOrigin(t)
	doc.Warnings = c.plainTextWarnings(t)
	saved, warning, hangs := c.loadCopy(ctx, d, t, pin)
	if warning != "" {
		doc.Warnings = append(doc.Warnings, warning)
	}
	if hangs {
		d.ReadOnly = true
	}
	if saved != nil {
		// With a usable copy the service gets half of the remaining time: artifacts need the rest.
		half, cancel := c.half(ctx)
		defer cancel()
		ctx = half
	}

	if !d.ReadOnly {
		doc.file, doc.t = d.CacheFile, t
	}
	var got lastGoodCopy
	receipt, e := c.get(ctx, t, func(r *http.Request) {
		r.Header.Set("Accept", d.Accept)
		if d.Accept == "" {
			r.Header.Set("Accept", "application/yaml, application/json;q=0.9, text/plain;q=0.8, */*;q=0.5")
		}
		r.Header.Set("Accept-Encoding", "gzip")
		if saved != nil && saved.ETag != "" {
			r.Header.Set("If-None-Match", saved.ETag)
		}
	}, func(a *answer) *Error {
		if a.StatusCode == http.StatusNotModified && saved != nil && saved.ETag != "" {
			doc.NotModified = true
			return nil
		}
		body, e := a.document(d.MaxBytes)
		if e != nil {
			return e
		}
		got = lastGoodCopy{ETag: c.keepable(t, a.Header.Get("ETag")), ContentType: c.keepable(t, a.Header.Get("Content-Type")), SHA256: digest(body), body: body}
		return nil
	})
	switch {
	case e == nil && doc.NotModified:
		doc.Bytes, doc.SHA256, doc.ContentType, doc.saved = saved.body, saved.SHA256, saved.ContentType, saved
		return receipt, nil
	case e == nil:
		doc.Bytes, doc.SHA256, doc.ContentType = got.body, got.SHA256, got.ContentType
		if d.CacheFile == "" || d.ReadOnly || (pin != "" && pin != got.SHA256) || (d.Check != nil && d.Check(got.body) != nil) {
			return receipt, nil
		}
		named := d.WithScript != nil && d.WithScript(got.body)
		if saved != nil && saved.SHA256 == got.SHA256 {
			doc.saved = saved
			if saved.ETag == got.ETag && named == (saved.Script != nil) {
				return receipt, nil // a second start changes no byte
			}
		}
		if named {
			doc.pending = &got
			return receipt, nil
		}
		if d.WithScript == nil && saved != nil && saved.Script != nil {
			return receipt, nil // of a JobManager, which needs both: a TaskManager that shares the file has only the definition
		}
		c.keep(ctx, doc, got, d.CacheFile, t, nil)
		return receipt, nil
	case saved != nil && e.Temporary():
		doc.Cached = true
		doc.Bytes, doc.SHA256, doc.ContentType, doc.saved = saved.body, saved.SHA256, saved.ContentType, saved
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("using the last good copy of %s from %s (sha256 %s): %s",
			t.display, saved.Fetched.UTC().Format(time.RFC3339), saved.SHA256, e.Error()))
		return receipt, nil
	}
	if warning != "" && e.Temporary() { // a usable copy would have replaced the answer
		if e.Hint != "" {
			warning += "; " + e.Hint
		}
		e.Hint = warning
	}
	return nil, e
}

// keep writes a last good copy. A failure to write becomes a warning of doc.
func (c *Client) keep(ctx context.Context, doc *Document, got lastGoodCopy, file string, t target, script *target) {
	_, err := bounded(ctx, func() (struct{}, error) { return struct{}{}, c.store(ctx, got, file, t, script) }, nil)
	if err != nil && err == ctx.Err() {
		err = notInTime{err}
	}
	if err != nil {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("cannot write the last good copy %s: %v", file, plainCause(err)))
	}
}

// Script fetches the script that a definition names. When the service cannot be reached, it is taken from the last good copy
// of that definition; when it can, the two become the last good copy. The error is an [*Error].
func (c *Client) Script(ctx context.Context, definition *Document, uri string, d DocumentOptions) (Document, error) {
	t, e := parseTarget(uri)
	if e != nil {
		return Document{}, e
	}
	saved := definition.saved
	usable := saved != nil && saved.Script != nil && t.url != nil && saved.Script.Key == c.key(saved.Salt, t)
	if pin, e := parseDigest(t.display, d.SHA256); e != nil {
		return Document{}, e
	} else if usable && pin != "" && pin != saved.Script.SHA256 {
		usable = false
	}
	within, cancel := ctx, context.CancelFunc(func() {})
	if usable { // as with the definition, artifacts need the rest of the time
		outer, stop := c.within(ctx)
		defer stop()
		within, cancel = c.half(outer)
	}
	defer cancel()
	doc, err := c.Document(within, uri, d)
	var failed *Error
	switch {
	case err == nil:
		both := definition.pending
		if both == nil && saved != nil && t.url != nil && (!usable || saved.Script.SHA256 != doc.SHA256) {
			both = saved // the same definition, and another script
		}
		definition.pending = nil
		switch {
		case both == nil || definition.file == "":
		case t.url == nil: // a script of the file system needs no copy
			c.keep(ctx, &doc, *both, definition.file, definition.t, nil)
		default:
			both.script = doc.Bytes
			c.keep(ctx, &doc, *both, definition.file, definition.t, &t)
		}
		return doc, nil
	case usable && errors.As(err, &failed) && failed.Temporary() && ctx.Err() == nil:
		return Document{URI: t.display, Bytes: saved.script, SHA256: saved.Script.SHA256, Cached: true, Warnings: []string{
			fmt.Sprintf("using the last good copy of %s from %s (sha256 %s): %s", t.display, saved.Fetched.UTC().Format(time.RFC3339), saved.Script.SHA256, failed.Error())}}, nil
	}
	return doc, err
}

// readFile reads a path. Pipes are allowed (a shell's <(command)), so it is bounded by ctx too.
func readFile(ctx context.Context, t target, limit int64) ([]byte, *Error) {
	// Without O_NONBLOCK the open of a FIFO without a writer would never return.
	f, err := openWithin(ctx, t.path, os.O_RDONLY|syscall.O_NONBLOCK)
	if ctx.Err() != nil {
		return nil, contextError(t.display, ctx)
	}
	if _, open := descriptor(t.path); open && errors.Is(err, fs.ErrPermission) {
		b, err := readWithin(ctx, t.path, limit)
		switch {
		case ctx.Err() != nil:
			return nil, contextError(t.display, ctx)
		case err != nil:
			return nil, fileError(t.display, err)
		}
		return b, nil
	}
	if err != nil {
		return nil, fileError(t.display, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fileError(t.display, err)
	}
	if st.IsDir() {
		return nil, &Error{URI: t.display, Kind: KindFile, Detail: "it is a directory, expected a file", cause: syscall.EISDIR}
	}
	if st.Mode()&fs.ModeNamedPipe != 0 {
		writer, e := withWriter(ctx, t)
		if e != nil {
			return nil, e
		}
		defer writer.Close()
		f = writer
	}
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) }) // ends a read from a pipe
	defer stop()
	var b bytes.Buffer
	if st.Mode().IsRegular() && st.Size() <= limit {
		b.Grow(int(st.Size()) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(f, limit+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, contextError(t.display, ctx)
	case err != nil:
		return nil, fileError(t.display, err)
	case n > limit:
		return nil, tooLarge(t.display, limit)
	}
	return b.Bytes(), nil
}

// withWriter opens a FIFO and waits until a process writes to it: before, it would read as empty.
func withWriter(ctx context.Context, t target) (*os.File, *Error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(t.path, os.O_RDONLY, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, fileError(t.display, o.err)
		}
		return o.f, nil
	case <-ctx.Done():
		if w, err := os.OpenFile(t.path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil { // lets the other open return
			if o := <-done; o.err == nil {
				o.f.Close()
			}
			w.Close()
		}
		return nil, contextError(t.display, ctx)
	}
}

func fileError(display string, err error) *Error {
	e := &Error{URI: display, Kind: KindFile, Detail: plainCause(err).Error(), cause: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Hint = KindNotFound, "check the path and the volume that should hold it"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = fmt.Sprintf("uid %d must be able to read it", os.Getuid())
	}
	return e
}

// plainCause strips the path that a *fs.PathError or *os.LinkError repeats.
func plainCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// parseDigest normalises a pinned SHA-256: 64 hexadecimal digits, optionally after "sha256:".
func parseDigest(display, s string) (string, *Error) {
	if s == "" {
		return "", nil
	}
	d := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "sha256:"))
	if b, err := hex.DecodeString(d); err != nil || len(b) != sha256.Size {
		return "", inputError(display, fmt.Sprintf("the pinned digest %q is not a SHA-256, expected 64 hexadecimal digits", cut(s, 80)), "")
	}
	return d, nil
}

func checkDigest(display, got, pin string) *Error {
	if pin == "" || got == pin {
		return nil
	}
	return &Error{URI: display, Kind: KindDigest, Detail: fmt.Sprintf("its sha256 is %s, expected %s", got, pin),
		Hint: "the content changed or was cut: compare it with what was pinned"}
}
