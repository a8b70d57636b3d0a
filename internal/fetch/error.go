package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what went wrong. Its text is stable.
type Kind string

const (
	KindInput        Kind = "input"         // the URI, digest or option itself is wrong
	KindScheme       Kind = "scheme"        // a scheme that cannot be fetched
	KindFile         Kind = "file"          // a local file exists but cannot be read
	KindNotFound     Kind = "not-found"     // no such file; 404 or 410
	KindCredential   Kind = "credential"    // the token file or client certificate cannot be read
	KindDNS          Kind = "dns"           // the host name does not resolve
	KindConnect      Kind = "connect"       // refused, reset, unreachable, closed without an answer
	KindProxy        Kind = "proxy"         // the proxy refused
	KindTLS          Kind = "tls"           // certificate or handshake refused by one side
	KindTimeout      Kind = "timeout"       // one of Limits, or the total, ran out
	KindProtocol     Kind = "protocol"      // the answer is not HTTP
	KindStatus       Kind = "status"        // any other status than 200
	KindRedirect     Kind = "redirect"      // a redirect that is not followed
	KindRedirectLoop Kind = "redirect-loop" // more than ten redirects
	KindHTML         Kind = "html"          // a web page instead of the document
	KindEmpty        Kind = "empty"         // 200 without a body
	KindTruncated    Kind = "truncated"     // the connection closed before the end of the body
	KindLength       Kind = "length"        // contradicting lengths or ranges
	KindGzip         Kind = "gzip"          // the content encoding is broken or unknown
	KindTooLarge     Kind = "too-large"     // more than the allowed size
	KindDigest       Kind = "digest"        // another SHA-256 than the pinned one
	KindZip          Kind = "zip"           // a jar that is not a zip file
	KindPath         Kind = "path"          // the place of an artifact is outside its root, a link, or not a file
	KindClash        Kind = "clash"         // two artifacts, or an artifact and another program's file, with one path
	KindWrite        Kind = "write"         // the local disk
	KindCancelled    Kind = "cancelled"     // the caller's context ended
)

// Error is a failed fetch. No field and no wrapped error holds a credential.
type Error struct {
	URI       string // redacted
	Kind      Kind
	Detail    string        // what was found
	Status    int           // HTTP status of the last answer, 0: none
	Attempts  int           // HTTP attempts made
	Elapsed   time.Duration // from the first attempt
	Body      string        // the service's own words: scrubbed, one line, at most 300 bytes
	RequestID string        // X-Request-Id of the last attempt, as the service names it or as it was sent
	Hint      string        // what to do; may be empty

	retry      bool
	again      bool // bytes arrived: the next wait is short again
	retryAfter time.Duration
	cause      error
}

// Error is one line: what, why, the service's words, how often it was tried.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("cannot fetch")
	if e.URI != "" {
		b.WriteString(" " + e.URI)
	}
	b.WriteString(": " + e.Detail)
	if e.Body != "" {
		b.WriteString(": " + e.Body)
	}
	var notes []string
	if e.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("gave up after %d attempts in %s", e.Attempts, roundDuration(e.Elapsed)))
	}
	if e.Status != 0 && e.RequestID != "" {
		notes = append(notes, "request id "+e.RequestID)
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, "; ") + ")")
	}
	return b.String()
}

// Unwrap returns the cause, if there is one: a system call's error, context.Canceled and the like.
func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same fetch may succeed later without anyone changing anything.
func (e *Error) Temporary() bool { return e.retry }

func inputError(display, detail, hint string) *Error {
	return &Error{URI: display, Kind: KindInput, Detail: detail, Hint: hint}
}

func tooLarge(display string, limit int64) *Error {
	return &Error{URI: display, Kind: KindTooLarge, Detail: fmt.Sprintf("it is larger than the allowed %d bytes", limit)}
}

// contextError is for a context that has ended: by the caller, or by the deadline.
func contextError(display string, ctx context.Context) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{URI: display, Kind: KindTimeout, Detail: "the total time for fetching (--fetch-timeout) is over", retry: true,
			Hint: "give a slow service more time with a longer --fetch-timeout", cause: context.DeadlineExceeded}
	}
	return &Error{URI: display, Kind: KindCancelled, Detail: "interrupted", cause: context.Cause(ctx)}
}

// classify turns what net/http returned into an Error. ctx is the fetch's; secrets are what the other side may have repeated.
func classify(ctx context.Context, t target, err error, secrets []string) *Error {
	var own *Error
	if errors.As(err, &own) {
		if own.URI == "" {
			own.URI = t.display
		}
		return own
	}
	if ctx.Err() != nil {
		return contextError(t.display, ctx)
	}
	// *url.Error repeats the URL with its query.
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	say := func(text string) string { return cut(oneLine(scrub(text, secrets)), maxDetail) }
	e := &Error{URI: t.display, Kind: KindConnect, Detail: say(err.Error()), retry: true, cause: plainReason(err)}
	host := ""
	if t.url != nil {
		host = t.url.Host
	}

	var dns *net.DNSError
	var op *net.OpError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var timeout interface{ Timeout() bool }
	text := err.Error()
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		e.Kind, e.Detail = KindProxy, "the proxy cannot be reached: "+say(op.Err.Error())
		e.Hint = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	case errors.As(err, &dns):
		e.Kind, e.Detail = KindDNS, fmt.Sprintf("the host name %s does not resolve: %s", say(dns.Name), dns.Err)
		e.Hint = "check the name, the namespace and the cluster's DNS"
	case errors.As(err, &unknown):
		e.fatal(KindTLS, "the certificate of "+host+" is signed by an unknown authority")
		e.Hint = "give the authority's certificate with --definition-ca-file"
	case errors.As(err, &hostname):
		e.fatal(KindTLS, "the certificate is not for "+host+": "+say(hostname.Error()))
	case errors.As(err, &invalid):
		e.fatal(KindTLS, "the certificate of "+host+" is not valid: "+say(invalid.Error()))
		if invalid.Reason == x509.Expired {
			e.Hint = "check the certificate's dates and this machine's clock"
		}
	case errors.As(err, &verification):
		e.fatal(KindTLS, "the certificate of "+host+" cannot be verified: "+say(verification.Err.Error()))
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		e.fatal(KindTLS, host+" does not speak TLS on this port")
		e.Hint = "use http: if the service has no TLS, or correct the port"
	case errors.As(err, &op) && op.Op == "remote error":
		e.fatal(KindTLS, host+" refused the TLS handshake: "+say(op.Err.Error()))
		e.Hint = "the server may require a client certificate (--definition-cert-file, --definition-key-file), or another TLS version"
	case strings.Contains(text, "failed to parse Location header"):
		e.fatal(KindRedirect, "a redirect to what is not a valid URL") // its parts are quoted one by one, as no secret is known
	case strings.Contains(text, "tls: "):
		e.fatal(KindTLS, "the TLS handshake with "+host+" failed: "+say(text))
	case strings.Contains(text, "Content-Length"):
		e.fatal(KindLength, "the answer contradicts itself: "+say(text))
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		e.Kind, e.Detail = KindTimeout, timeoutDetail(text)
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Detail = "connection refused by " + host
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Detail = host + " closed the connection without an answer"
	case strings.Contains(text, "readLoopPeekFail"):
		e.Kind, e.Detail = KindProtocol, "the answer is not valid HTTP: "+host+" sends data before it gets a request"
	case strings.Contains(text, "malformed"), strings.Contains(text, "response headers exceeded"),
		strings.Contains(text, "unsupported transfer encoding"):
		e.Kind, e.Detail = KindProtocol, "the answer is not valid HTTP: "+say(text)
	}
	return e
}

// maxDetail is the longest text of net/http that is shown, in bytes. Such a text may quote a header of any length.
const maxDetail = 200

// plainReason returns the part of an error that comes from this machine alone, nil if no part does: the rest may quote the other side.
func plainReason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	for _, reason := range []error{context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	return nil
}

func (e *Error) fatal(k Kind, detail string) { e.Kind, e.Detail, e.retry = k, detail, false }

// timeoutDetail says which of the limits it was, from net/http's texts.
func timeoutDetail(text string) string {
	switch {
	case strings.Contains(text, "TLS handshake"):
		return "no TLS handshake in time"
	case strings.Contains(text, "awaiting response headers"), strings.Contains(text, "awaiting headers"):
		return "connected, but no answer in time"
	case strings.Contains(text, "dial"):
		return "no connection in time"
	}
	return "no answer in time"
}

// statusError is for an answer whose status is not the wanted one.
func (a *answer) statusError() *Error {
	e := &Error{URI: a.t.display, Kind: KindStatus, Status: a.StatusCode, retry: retried(a.StatusCode),
		Detail: strings.TrimSpace(fmt.Sprintf("the service answered %d %s", a.StatusCode, http.StatusText(a.StatusCode)))}
	if e.retry {
		e.retryAfter = retryAfter(a.Header, a.c.o.Now())
	}
	switch a.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		e.Kind = KindNotFound
		e.Hint = "check the URI: the service does not have it"
	case http.StatusUnauthorized:
		e.Hint = "the service requires credentials, or other ones: --definition-token-file or --definition-header"
	case http.StatusForbidden:
		e.Hint = "the service accepted the credentials, but they do not allow this request"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		e.Kind = KindRedirect
		e.Detail += " without a Location"
	case http.StatusProxyAuthRequired:
		e.Kind = KindProxy
		e.Hint = "the proxy requires credentials: put them into HTTPS_PROXY or HTTP_PROXY"
	}
	if a.leftOrigin() {
		e.Detail += " (after a redirect to " + scrub(redirected(a.Request.URL), a.c.secrets(a.t)) + ")"
	}
	e.Body = a.words()
	return e
}

const maxWords = 16 << 10

// words is the service's own error text in one line, scrubbed and cut.
func (a *answer) words() string {
	raw, err := io.ReadAll(io.LimitReader(a.decoded(), maxWords+1))
	if err != nil && len(raw) == 0 {
		return ""
	}
	raw = raw[:min(len(raw), maxWords)]
	text := strings.ToValidUTF8(string(raw), "�")
	if looksHTML(raw, a.Header.Get("Content-Type")) {
		text = htmlTitle(text)
	} else if m := jsonMessage(raw); m != "" {
		text = m
	}
	return cut(oneLine(scrub(text, a.c.secrets(a.t))), 300)
}

// jsonMessage finds the text meant for people in the usual shapes of JSON errors (RFC 9457 among them).
func jsonMessage(raw []byte) string {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return ""
	}
	for _, name := range []string{"message", "detail", "error_description", "error", "title", "reason", "msg", "errors"} {
		switch v := fields[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case map[string]any, []any:
			if b, err := json.Marshal(v); err == nil {
				if m := jsonMessage(b); m != "" {
					return m
				}
				return string(b)
			}
		}
	}
	return ""
}

func htmlTitle(text string) string {
	lower := strings.ToLower(text)
	if i := strings.Index(lower, "<title>"); i >= 0 && len(lower) == len(text) {
		if j := strings.Index(lower[i:], "</title>"); j >= 0 {
			return "an HTML page titled " + text[i+len("<title>"):i+j]
		}
	}
	return "an HTML page"
}

// oneLine makes text safe for one log line: no control characters, runs of space become one.
func oneLine(text string) string {
	clean := true
	for _, r := range text {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			clean = false
			break
		}
	}
	if clean && !strings.Contains(text, "  ") {
		return strings.TrimSpace(text)
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}

// cut shortens text to at most n bytes, at a rune's border.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

func roundDuration(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
