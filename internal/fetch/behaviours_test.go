package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/test/faultserver"
)

var definition = []byte("apiVersion: flink-entrypoint/v1\nname: clicks-per-minute\nsql:\n  script: INSERT INTO t SELECT 1\n")

// otherSHA256 is the digest of something else.
var otherSHA256 = strings.Repeat("0d", 32)

// logBuffer collects log text from several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// patience is for what must end soon: a machine with other work takes seconds for what takes milliseconds, and a fault would
// wait for ever, or for the default of two minutes.
const patience = time.Minute

func quick(o fetch.Options) fetch.Options {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	o.Retry = fetch.Schedule{Base: time.Millisecond, Cap: 4 * time.Millisecond, RetryAfterCap: 30 * time.Millisecond}
	return o
}

func start(t *testing.T, behaviour string, content []byte) *faultserver.Server {
	t.Helper()
	s, err := faultserver.Start(behaviour, content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, o fetch.Options) *fetch.Client {
	t.Helper()
	c, err := fetch.New(quick(o))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func trust(t *testing.T, s *faultserver.Server, o *fetch.Options) {
	o.CAFile = writeFile(t, "ca.pem", s.CA())
}

func trustAndCertify(t *testing.T, s *faultserver.Server, o *fetch.Options) {
	trust(t, s, o)
	cert, key, err := s.ClientCert()
	if err != nil {
		t.Fatal(err)
	}
	o.CertFile, o.KeyFile = writeFile(t, "client.pem", cert), writeFile(t, "client.key", key)
}

// short is enough for two attempts on a machine with other work.
const short = 2 * time.Second

// brief makes one limit short enough to wait for.
func brief(set func(*fetch.Limits)) func(*testing.T, *faultserver.Server, *fetch.Options) {
	return func(_ *testing.T, _ *faultserver.Server, o *fetch.Options) {
		o.Timeout = short
		set(&o.Limits)
	}
}

func within(d time.Duration) func(*testing.T, *faultserver.Server, *fetch.Options) {
	return func(_ *testing.T, _ *faultserver.Server, o *fetch.Options) { o.Timeout = d }
}

// TestBehaviours: every way of answering that the fault server knows, for a document.
func TestBehaviours(t *testing.T) {
	headerLimit := brief(func(l *fetch.Limits) { l.Header = 30 * time.Millisecond })
	idleLimit := brief(func(l *fetch.Limits) { l.Idle = 30 * time.Millisecond })
	bearer := func(t *testing.T, _ *faultserver.Server, o *fetch.Options) {
		o.TokenFile = writeFile(t, "token", []byte("t0ken\n"))
	}
	for _, test := range []struct {
		behaviour string
		set       func(*testing.T, *faultserver.Server, *fetch.Options)
		pin       string
		max       int64

		kind     fetch.Kind // "" : the definition arrives
		status   int
		requests int    // exactly; 0: not checked; -1: at least two
		says     string // part of the error's text
	}{
		{behaviour: "ok", requests: 1},
		{behaviour: "ok", pin: otherSHA256, kind: fetch.KindDigest, requests: 1, says: "expected " + otherSHA256},
		{behaviour: "ok", pin: "12", kind: fetch.KindInput, says: "64 hexadecimal"},
		{behaviour: "ok", max: 10, kind: fetch.KindTooLarge, requests: 1, says: "10 bytes"},
		{behaviour: "ok-chunked", requests: 1},
		{behaviour: "ok-close", requests: 1},
		{behaviour: "ok-gzip", requests: 1},
		{behaviour: "ok-etag", requests: 1},
		{behaviour: "ok-early-hints", requests: 1},
		{behaviour: "ok-drip", requests: 1},
		{behaviour: "ok-tls", set: trust, requests: 1},
		{behaviour: "ok-mtls", set: trustAndCertify, requests: 1},
		{behaviour: "ok-http2", set: trust, requests: 1},
		{behaviour: "flaky-http2", set: trust, requests: 2},
		{behaviour: "ok-bearer", set: bearer, requests: 1},
		{behaviour: "ok-bearer", kind: fetch.KindStatus, status: 401, requests: 1, says: "who are you?"},

		{behaviour: "flaky-500", requests: 3},
		{behaviour: "flaky-502", requests: 3},
		{behaviour: "flaky-503", requests: 3},
		{behaviour: "flaky-504", requests: 3},
		{behaviour: "flaky-408", requests: 3},
		{behaviour: "flaky-425", requests: 3},
		{behaviour: "flaky-429", requests: 3},
		{behaviour: "flaky-reset", requests: -1},
		{behaviour: "flaky-close", requests: -1},
		{behaviour: "flaky-truncated", requests: 2},
		{behaviour: "flaky-stall", requests: 2, set: func(_ *testing.T, _ *faultserver.Server, o *fetch.Options) { o.Limits.Idle = time.Second }},
		{behaviour: "retry-after-seconds", requests: 2},
		{behaviour: "retry-after-date", requests: 2},
		{behaviour: "retry-after-huge", requests: 2},
		{behaviour: "retry-after-garbage", requests: 2},
		{behaviour: "retry-after-negative", requests: 2},

		{behaviour: "always-500", set: within(short), kind: fetch.KindStatus, status: 500, requests: -1, says: "500 Internal Server Error: database is down (gave up after"},
		{behaviour: "always-503", set: within(short), kind: fetch.KindStatus, status: 503, requests: -1, says: "no backend"},
		{behaviour: "status-501", kind: fetch.KindStatus, status: 501, requests: 1},
		{behaviour: "status-505", kind: fetch.KindStatus, status: 505, requests: 1},
		{behaviour: "status-400", kind: fetch.KindStatus, status: 400, requests: 1, says: "400 Bad Request: job id is not a number"},
		{behaviour: "status-401", kind: fetch.KindStatus, status: 401, requests: 1, says: "token expired"},
		{behaviour: "status-403", kind: fetch.KindStatus, status: 403, requests: 1, says: "an HTML page titled Forbidden"},
		{behaviour: "status-404", kind: fetch.KindNotFound, status: 404, requests: 1, says: "404 Not Found: no job 42"},
		{behaviour: "status-409", kind: fetch.KindStatus, status: 409, requests: 1, says: "job is being edited"},
		{behaviour: "status-410", kind: fetch.KindNotFound, status: 410, requests: 1, says: "deleted"},
		{behaviour: "status-418", kind: fetch.KindStatus, status: 418, requests: 1, says: "I am a teapot . I am a"},
		{behaviour: "status-204", kind: fetch.KindStatus, status: 204, requests: 1},
		{behaviour: "status-206", kind: fetch.KindStatus, status: 206, requests: 1},
		{behaviour: "status-300", kind: fetch.KindStatus, status: 300, requests: 1},
		{behaviour: "status-304", kind: fetch.KindStatus, status: 304, requests: 1},

		{behaviour: "html-login", kind: fetch.KindHTML, requests: 1, says: "a web page: an HTML page titled Sign in to Corp SSO"},
		{behaviour: "html-mislabelled", kind: fetch.KindHTML, requests: 1, says: "Sign in"},
		{behaviour: "html-redirect", kind: fetch.KindHTML, requests: 2, says: "/login?******"},
		{behaviour: "empty", kind: fetch.KindEmpty, requests: 1},
		{behaviour: "too-large", kind: fetch.KindTooLarge, requests: 1},
		{behaviour: "endless", kind: fetch.KindTooLarge, max: 1 << 20, requests: 1},
		{behaviour: "truncated", set: within(short), kind: fetch.KindTruncated, requests: -1, says: fmt.Sprintf("cut after %d of %d bytes", len(definition)/2, len(definition))},
		{behaviour: "truncated-chunked", set: within(short), kind: fetch.KindTruncated, requests: -1, says: "cut after"},
		{behaviour: "bad-chunk", set: within(short), kind: fetch.KindTruncated, requests: -1},
		{behaviour: "length-contradiction", kind: fetch.KindLength, requests: 1, says: "multiple Content-Length"},
		{behaviour: "length-invalid", kind: fetch.KindLength, requests: 1},
		{behaviour: "length-short", pin: otherSHA256, kind: fetch.KindDigest, requests: 1},
		{behaviour: "gzip-header", kind: fetch.KindGzip, requests: 1, says: "invalid header"},
		{behaviour: "gzip-checksum", kind: fetch.KindGzip, requests: 1, says: "invalid checksum"},
		{behaviour: "gzip-truncated", kind: fetch.KindGzip, requests: 1},
		{behaviour: "gzip-bomb", kind: fetch.KindTooLarge, requests: 1},
		{behaviour: "encoding-unknown", kind: fetch.KindGzip, requests: 1, says: `"br"`},

		{behaviour: "redirect-same", requests: 2},
		{behaviour: "redirect-other", requests: 2},
		{behaviour: "redirect-loop", kind: fetch.KindRedirectLoop, requests: 11, says: "more than 10 redirects"},
		{behaviour: "redirect-downgrade", set: trust, kind: fetch.KindRedirect, requests: 1, says: "from https: down to http://"},
		{behaviour: "redirect-file", kind: fetch.KindRedirect, requests: 1, says: "file:///etc/passwd"},
		{behaviour: "redirect-nowhere", kind: fetch.KindRedirect, requests: 1, says: "without a Location"},

		{behaviour: "header-hang", set: headerLimit, kind: fetch.KindTimeout, requests: -1, says: "no answer in time"},
		{behaviour: "header-hang", set: within(150 * time.Millisecond), kind: fetch.KindTimeout, says: "total time"},
		{behaviour: "body-hang", set: idleLimit, kind: fetch.KindTimeout, requests: -1, says: "the body stalled"},
		{behaviour: "error-hang", set: idleLimit, kind: fetch.KindStatus, status: 503, requests: -1, says: "partly"},
		{behaviour: "drip", set: within(300 * time.Millisecond), kind: fetch.KindTimeout, says: "total time"},
		{behaviour: "header-huge", set: within(short), kind: fetch.KindProtocol, requests: -1},
		{behaviour: "not-http", set: within(short), kind: fetch.KindProtocol, says: "not valid HTTP"},
		{behaviour: "closes", set: within(short), kind: fetch.KindConnect, says: "closed the connection"},
		{behaviour: "refused", set: within(short), kind: fetch.KindConnect, says: "connection refused"},

		{behaviour: "tls-expired", set: trust, kind: fetch.KindTLS, says: "expired"},
		{behaviour: "tls-wrong-host", set: trust, kind: fetch.KindTLS, says: "not for 127.0.0.1"},
		{behaviour: "tls-unknown-ca", set: trust, kind: fetch.KindTLS, says: "unknown authority"},
		{behaviour: "ok-tls", kind: fetch.KindTLS, says: "unknown authority"},
		{behaviour: "tls-old", set: trust, kind: fetch.KindTLS, says: "protocol version"},
		{behaviour: "tls-client-cert", set: trust, kind: fetch.KindTLS, says: "certificate required"},
		{behaviour: "tls-plain", set: trust, kind: fetch.KindTLS, says: "does not speak TLS"},
		{behaviour: "tls-hang", set: brief(func(l *fetch.Limits) { l.TLS = 30 * time.Millisecond }), kind: fetch.KindTimeout, says: "TLS handshake"},
		{behaviour: "tls-closes", set: within(short), kind: fetch.KindConnect, says: "closed the connection"},
	} {
		name := test.behaviour
		if test.says != "" {
			name += "/" + string(test.kind)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, test.behaviour, definition)
			var o fetch.Options
			if test.set != nil {
				test.set(t, s, &o)
			}
			began := time.Now()
			doc, err := newClient(t, o).Document(context.Background(), s.URL, fetch.DocumentOptions{SHA256: test.pin, MaxBytes: test.max})
			if o.Timeout != 0 && time.Since(began) > o.Timeout+patience {
				t.Errorf("took %s with a total of %s", time.Since(began), o.Timeout)
			}
			n := len(s.Requests())
			if test.requests > 0 && n != test.requests || test.requests < 0 && n < 2 {
				t.Errorf("%d requests arrived, want %d", n, test.requests)
			}
			if test.kind == "" {
				if err != nil || !bytes.Equal(doc.Bytes, definition) {
					t.Fatalf("got %d bytes, error %v", len(doc.Bytes), err)
				}
				return
			}
			var e *fetch.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error of kind %s", err, test.kind)
			}
			if e.Kind != test.kind || (test.status != 0 && e.Status != test.status) || !strings.Contains(e.Error(), test.says) {
				t.Errorf("kind %s, status %d: %v\nwant kind %s, status %d, text %q", e.Kind, e.Status, e, test.kind, test.status, test.says)
			}
			if strings.ContainsAny(e.Error(), "\n\x00") || len(e.Body) > 300 {
				t.Errorf("text is not one line, or the body too long: %q", e.Error())
			}
		})
	}
}

// TestPlainToTLSPort: plain HTTP sent to a TLS port.
func TestPlainToTLSPort(t *testing.T) {
	s := start(t, "ok-tls", definition)
	_, err := newClient(t, fetch.Options{}).Document(context.Background(), "http"+strings.TrimPrefix(s.URL, "https"), fetch.DocumentOptions{})
	var e *fetch.Error
	if !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Body, "HTTPS") {
		t.Errorf("got %v", err)
	}
}

func TestNameThatDoesNotResolve(t *testing.T) {
	dials := 0
	c := newClient(t, fetch.Options{Timeout: 100 * time.Millisecond, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dials++
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "metadata.svc", IsNotFound: true}}
	}})
	_, err := c.Document(context.Background(), "http://metadata.svc/jobs/1", fetch.DocumentOptions{})
	var e *fetch.Error
	if !errors.As(err, &e) || e.Kind != fetch.KindDNS || dials < 2 || !strings.Contains(e.Error(), "metadata.svc does not resolve: no such host") {
		t.Errorf("%d dials, %v", dials, err)
	}
}

func TestCancelEndsAtOnce(t *testing.T) {
	for _, behaviour := range []string{"header-hang", "body-hang", "always-503", "refused"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			s := start(t, behaviour, definition)
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(30*time.Millisecond, cancel)
			began := time.Now()
			o := quick(fetch.Options{})
			o.Retry = fetch.Schedule{Base: time.Hour, Cap: time.Hour}
			o.Timeout = 10 * time.Hour
			c, err := fetch.New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Document(ctx, s.URL, fetch.DocumentOptions{})
			var e *fetch.Error
			if !errors.As(err, &e) || e.Kind != fetch.KindCancelled || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(began); d > patience {
				t.Errorf("took %s", d)
			}
		})
	}
}

func debugLog(w *logBuffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
