package fetch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// requestID is the header that both sides log.
const requestID = "X-Request-Id"

// errGaveUp ends retryablehttp's wait when no time is left for another attempt.
var errGaveUp = errors.New("no time left for another attempt")

// httpFetch is one fetch over HTTP with all its attempts.
type httpFetch struct {
	c        *Client
	t        target
	ctx      context.Context
	cancel   context.CancelCauseFunc
	id       string
	started  time.Time
	attempts int
	pauses   *pauses
	last     *Error
	log      *slog.Logger
}

// answer is one response. Its body may only be read through decoded, document or raw.
type answer struct {
	*http.Response
	c   *Client
	t   target
	raw *idleReader
}

// get makes attempts until handle is satisfied, the answer is final, or the time is over. prepare sets the
// headers of each attempt; handle judges an answer and reads its body. Both run in this goroutine. What it
// returns beside the error is for the log.
func (c *Client) get(ctx context.Context, t target, prepare func(*http.Request), handle func(*answer) *Error) ([]any, *Error) {
	hc, e := c.client(ctx, t.display)
	if e != nil {
		return nil, e
	}
	c.wait(ctx)
	now := c.o.Now()
	hf := &httpFetch{c: c, t: t, id: newRequestID(), started: now, pauses: newPauses(c.o.Retry, c.o.Rand)}
	hf.log = c.log.With("uri", t.display)
	hf.ctx, hf.cancel = context.WithCancelCause(context.WithValue(ctx, hopKey{}, t))
	defer hf.cancel(nil)

	r, err := retryablehttp.NewRequestWithContext(hf.ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return nil, inputError(t.display, "it is not a valid URL", "")
	}
	var receipt []any
	r.Header.Set("User-Agent", c.o.UserAgent)
	r.SetResponseHandler(func(resp *http.Response) error {
		a := &answer{Response: resp, c: c, t: t, raw: newIdleReader(resp.Body, c.o.Limits.Idle)}
		defer a.raw.stop()
		defer resp.Body.Close()
		e := handle(a)
		answerID := cut(oneLine(c.without(t, resp.Header.Get(requestID))), 80)
		if e != nil {
			e.RequestID = answerID
			return e
		}
		receipt = []any{"status", resp.StatusCode, "attempts", hf.attempts, "elapsed", roundDuration(c.o.Now().Sub(hf.started)),
			"requestId", hf.attemptID(), "answerId", answerID}
		return nil
	})
	rc := &retryablehttp.Client{
		HTTPClient:   hc,
		RetryMax:     math.MaxInt32,
		CheckRetry:   hf.check,
		Backoff:      hf.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, r *http.Request, _ int) {
			hf.attempts++
			r.Header.Set(requestID, hf.attemptID())
			prepare(r)
			hf.log.Debug("request", "attempt", hf.attempts, "requestId", hf.attemptID())
		},
	}
	if _, err := rc.Do(r); err == nil {
		return receipt, nil
	}
	return nil, hf.failure(ctx)
}

// check is retryablehttp's CheckRetry: once after the round trip, once after the response handler.
func (hf *httpFetch) check(_ context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	if hf.ctx.Err() != nil {
		// The error of an earlier attempt says more than "the time is over".
		if hf.last == nil {
			hf.last = contextError(hf.t.display, hf.ctx)
		}
		return false, hf.last
	}
	e := classify(hf.ctx, hf.t, err, hf.c.secrets(hf.t))
	hf.last = e
	return e.retry, e.orNil()
}

// orNil hides a retried error from retryablehttp, which would stop at any.
func (e *Error) orNil() error {
	if e.retry {
		return nil
	}
	return e
}

// backoff is retryablehttp's Backoff. It cannot say "stop", so it ends the fetch's context.
func (hf *httpFetch) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	if hf.last.again {
		hf.pauses.reset()
	}
	deadline, _ := hf.ctx.Deadline()
	wait, ok := hf.pauses.next(hf.last.retryAfter, deadline.Sub(hf.c.o.Now()))
	if !ok {
		hf.cancel(errGaveUp)
		return 0
	}
	hf.log.Warn("fetch failed, trying again", "attempt", hf.attempts, "reason", hf.last.Detail, "wait", wait.Round(time.Millisecond),
		"requestId", hf.attemptID(), "answerId", hf.last.RequestID)
	return wait
}

// failure completes the error of the last attempt.
func (hf *httpFetch) failure(ctx context.Context) *Error {
	e := hf.last
	if e == nil || (ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)) {
		e = contextError(hf.t.display, ctx)
	}
	done := *e
	done.Attempts, done.Elapsed = hf.attempts, hf.c.o.Now().Sub(hf.started)
	if done.RequestID == "" {
		done.RequestID = hf.attemptID()
	}
	if done.retryAfter > hf.c.o.Retry.RetryAfterCap && done.Hint == "" {
		done.Hint = fmt.Sprintf("the service asked to wait %s; --fetch-timeout is %s", done.retryAfter, hf.c.o.Timeout)
	}
	hf.log.Debug("fetch gave up", "kind", string(done.Kind), "attempts", done.Attempts, "elapsed", done.Elapsed, "requestId", hf.attemptID())
	return &done
}

func (hf *httpFetch) attemptID() string { return fmt.Sprintf("%s-%d", hf.id, hf.attempts) }

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// leftOrigin reports whether redirects led to another origin than the asked one.
func (a *answer) leftOrigin() bool {
	return a.Request != nil && a.Request.URL != nil && originOf(a.Request.URL) != originOf(a.t.url)
}

// document reads the whole body of a 200.
func (a *answer) document(limit int64) ([]byte, *Error) {
	if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusNonAuthoritativeInfo {
		return nil, a.statusError()
	}
	body := a.decoded()
	if a.ContentLength > limit && body == io.Reader(a.raw) {
		return nil, tooLarge(a.t.display, limit)
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, a.bodyError(err)
	case int64(len(b)) > limit:
		return nil, tooLarge(a.t.display, limit)
	case len(b) == 0:
		return nil, &Error{URI: a.t.display, Kind: KindEmpty, Detail: "the service answered 200 with an empty body"}
	case looksHTML(b, a.Header.Get("Content-Type")):
		return nil, a.htmlError(b)
	}
	return b, nil
}

// decoded is the body without its content encoding. Errors come at the first read.
func (a *answer) decoded() io.Reader {
	switch encoding := strings.ToLower(strings.TrimSpace(a.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return a.raw
	case "gzip", "x-gzip":
		return &gunzip{raw: a.raw}
	default:
		return failingReader{&Error{URI: a.t.display, Kind: KindGzip,
			Detail: fmt.Sprintf("the content encoding %q is unknown, expected gzip or none", cut(oneLine(scrub(a.Header.Get("Content-Encoding"), a.c.secrets(a.t))), 40))}}
	}
}

type failingReader struct{ e *Error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.e }

// gunzip opens the gzip stream at the first read.
type gunzip struct {
	raw io.Reader
	z   *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(bufio.NewReaderSize(g.raw, 32<<10))
		if err != nil {
			return 0, err
		}
		g.z = z
	}
	return g.z.Read(p)
}

// bodyError says why a body ended early.
func (a *answer) bodyError(err error) *Error {
	e := &Error{URI: a.t.display, Status: a.StatusCode, retry: true, cause: plainReason(err)}
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case a.raw.idled.Load():
		e.Kind, e.Detail = KindTimeout, fmt.Sprintf("the body stalled: no byte for %s after %d bytes", a.c.o.Limits.Idle, a.raw.n)
	case isTimeout(err):
		return classify(a.Request.Context(), a.t, err, a.c.secrets(a.t))
	case errors.Is(a.raw.err, io.EOF) || a.raw.err == nil:
		// The transfer itself was fine, so the encoding is not.
		e.fatal(KindGzip, "the gzip content encoding is broken: "+err.Error())
	case a.ContentLength > 0:
		e.Kind, e.Detail = KindTruncated, fmt.Sprintf("the body was cut after %d of %d bytes", a.raw.n, a.ContentLength)
	default:
		e.Kind, e.Detail = KindTruncated, fmt.Sprintf("the body was cut after %d bytes", a.raw.n)
	}
	return e
}

func (a *answer) htmlError(b []byte) *Error {
	e := &Error{URI: a.t.display, Kind: KindHTML, Status: a.StatusCode, Detail: "the service answered with a web page",
		Hint: "is it a login page? give credentials (--definition-token-file, --definition-header), or correct the URI"}
	if a.leftOrigin() {
		e.Detail += " (after a redirect to " + scrub(redirected(a.Request.URL), a.c.secrets(a.t)) + ")"
	}
	e.Body = cut(oneLine(scrub(htmlTitle(strings.ToValidUTF8(string(b[:min(len(b), maxWords)]), "�")), a.c.secrets(a.t))), 300)
	return e
}

// looksHTML judges by the first bytes, or for a document by the declared type.
func looksHTML(b []byte, contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(media) {
	case "text/html", "application/xhtml+xml":
		return true
	}
	b = bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 512)], []byte("\xef\xbb\xbf")), " \t\r\n")
	b = bytes.ToLower(b[:min(len(b), 14)])
	return bytes.HasPrefix(b, []byte("<!doctype html")) || bytes.HasPrefix(b, []byte("<html"))
}

// idleReader closes a body that brings nothing for a while, and remembers how it ended.
type idleReader struct {
	body  io.ReadCloser
	timer *time.Timer
	limit time.Duration
	idled atomic.Bool
	n     int64
	err   error
}

func newIdleReader(body io.ReadCloser, limit time.Duration) *idleReader {
	r := &idleReader{body: body, limit: limit}
	r.timer = time.AfterFunc(limit, func() {
		r.idled.Store(true)
		body.Close()
	})
	return r
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.n += int64(n)
	r.err = err
	if err == nil {
		r.timer.Reset(r.limit)
	}
	return n, err
}

func (r *idleReader) stop() { r.timer.Stop() }
