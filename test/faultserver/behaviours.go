package faultserver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ETag is the validator of the behaviours that have one.
const ETag = `"v1"`

// LoginPage is the web page that a gateway shows instead of the answer.
const LoginPage = "<!DOCTYPE html>\n<html><head><title>Sign in to Corp SSO</title></head><body><form></form></body></html>\n"

// Behaviours returns all of them, in the order of the documentation.
func Behaviours() []Behaviour {
	list := []Behaviour{
		// Good answers.
		{Name: "ok", Summary: "200 with Content-Length", http: func(x *exchange) { x.ok() }},
		{Name: "ok-chunked", Summary: "200, chunked", http: func(x *exchange) {
			x.piece(x.content[:len(x.content)/2])
			x.piece(x.content[len(x.content)/2:])
		}},
		{Name: "ok-close", Summary: "HTTP/1.0 answer that ends with the connection", http: func(x *exchange) {
			x.raw("HTTP/1.0 200 OK\r\nContent-Type: application/yaml\r\n\r\n", x.content)
		}},
		{Name: "ok-gzip", Summary: "200, gzip content encoding", http: func(x *exchange) { x.zipped(gzipped(x.content)) }},
		{Name: "ok-etag", Summary: "ETag; 304 to If-None-Match", http: func(x *exchange) {
			x.Header().Set("ETag", ETag)
			if x.Request.Header.Get("If-None-Match") == ETag {
				x.WriteHeader(http.StatusNotModified)
				return
			}
			x.ok()
		}},
		{Name: "ok-once", Summary: "the first request is answered with an ETag, then 503", http: func(x *exchange) {
			if x.nth > 1 {
				x.status(503, "down")
				return
			}
			x.Header().Set("ETag", ETag)
			x.ok()
		}},
		{Name: "ok-early-hints", Summary: "103 Early Hints before the 200", http: func(x *exchange) {
			x.WriteHeader(http.StatusEarlyHints)
			x.ok()
		}},
		{Name: "ok-drip", Summary: "slow but steady: a piece every few milliseconds", http: func(x *exchange) {
			for i := range x.content {
				x.piece(x.content[i : i+1])
				x.pause(2 * time.Millisecond)
			}
		}},
		{Name: "ok-tls", Summary: "200 over TLS, certificate of the server's own authority", tls: tlsGood, http: func(x *exchange) { x.ok() }},
		{Name: "ok-mtls", Summary: "200 over TLS to a client with a certificate", tls: tlsClientCert, http: func(x *exchange) { x.ok() }},
		{Name: "ok-http2", Summary: "200 over HTTP/2", tls: tlsHTTP2, http: func(x *exchange) { x.ok() }},
		{Name: "ok-bearer", Summary: "401 without an Authorization header", http: func(x *exchange) {
			if x.Request.Header.Get("Authorization") == "" {
				x.status(401, "who are you?")
				return
			}
			x.ok()
		}},

		// Trouble that passes.
		{Name: "flaky-500", Summary: "500 twice, then 200", http: flaky(500)},
		{Name: "flaky-502", Summary: "502 twice, then 200", http: flaky(502)},
		{Name: "flaky-503", Summary: "503 twice, then 200", http: flaky(503)},
		{Name: "flaky-504", Summary: "504 twice, then 200", http: flaky(504)},
		{Name: "flaky-408", Summary: "408 twice, then 200", http: flaky(408)},
		{Name: "flaky-425", Summary: "425 twice, then 200", http: flaky(425)},
		{Name: "flaky-429", Summary: "429 twice, then 200", http: flaky(429)},
		{Name: "flaky-reset", Summary: "connection reset before the answer, then 200", http: func(x *exchange) {
			if x.nth == 1 {
				x.reset()
				return
			}
			x.ok()
		}},
		{Name: "flaky-close", Summary: "connection closed before the answer, then 200", http: func(x *exchange) {
			if x.nth == 1 {
				x.raw("", nil)
				return
			}
			x.ok()
		}},
		{Name: "flaky-truncated", Summary: "the body cut in the middle, then 200", http: func(x *exchange) {
			if x.nth == 1 {
				x.truncated()
				return
			}
			x.ok()
		}},
		{Name: "flaky-stall", Summary: "the body stalls in the middle, then 200", http: func(x *exchange) {
			if x.nth == 1 {
				x.piece(x.content[:len(x.content)/2])
				x.hang()
				return
			}
			x.ok()
		}},
		{Name: "flaky-http2", Summary: "an HTTP/2 stream reset in the middle of the body, then 200", tls: tlsHTTP2, http: func(x *exchange) {
			if x.nth == 1 {
				x.piece(x.content[:len(x.content)/2])
				panic(http.ErrAbortHandler)
			}
			x.ok()
		}},
		{Name: "retry-after-seconds", Summary: "429 with Retry-After: 1, then 200", http: retryAfter(429, "1")},
		{Name: "retry-after-date", Summary: "503 with a Retry-After date 2 s after its own Date, then 200", http: func(x *exchange) {
			if x.nth == 1 {
				now := time.Now().Add(-48 * time.Hour) // a wrong clock
				x.Header().Set("Date", now.UTC().Format(http.TimeFormat))
				x.Header().Set("Retry-After", now.Add(2*time.Second).UTC().Format(http.TimeFormat))
				x.status(503, "maintenance")
				return
			}
			x.ok()
		}},
		{Name: "retry-after-huge", Summary: "503 with Retry-After: 86400, then 200", http: retryAfter(503, "86400")},
		{Name: "retry-after-garbage", Summary: "503 with Retry-After: soon, then 200", http: retryAfter(503, "soon")},
		{Name: "retry-after-negative", Summary: "503 with Retry-After: -5, then 200", http: retryAfter(503, "-5")},
		{Name: "token-rotates", Summary: "503 to the first request; the test rotates the token", http: func(x *exchange) {
			if x.nth == 1 {
				x.status(503, "try with the new token")
				return
			}
			x.ok()
		}},

		// Statuses that stay.
		{Name: "always-500", Summary: "500", http: always(500, "text/plain", "database is down")},
		{Name: "always-503", Summary: "503", http: always(503, "text/plain", "no backend")},
		{Name: "status-501", Summary: "501", http: always(501, "text/plain", "not implemented")},
		{Name: "status-505", Summary: "505", http: always(505, "text/plain", "speak HTTP/3")},
		{Name: "status-400", Summary: "400 with a JSON error", http: always(400, "application/json", `{"message": "job id is not a number", "code": 17}`)},
		{Name: "status-401", Summary: "401", http: always(401, "text/plain", "token expired")},
		{Name: "status-403", Summary: "403 with an HTML page", http: always(403, "text/html", "<html><head><title>Forbidden</title></head></html>")},
		{Name: "status-404", Summary: "404 with a problem document (RFC 9457)", http: always(404, "application/problem+json", `{"type": "about:blank", "title": "Not Found", "detail": "no job 42"}`)},
		{Name: "status-409", Summary: "409 with nested JSON", http: always(409, "application/json", `{"error": {"message": "job is being edited"}}`)},
		{Name: "status-410", Summary: "410", http: always(410, "text/plain", "deleted")},
		{Name: "status-418", Summary: "418 with a long body of several lines", http: always(418, "text/plain", strings.Repeat("I am a\n\tteapot\x00. ", 2000))},
		{Name: "status-204", Summary: "204", http: func(x *exchange) { x.WriteHeader(204) }},
		{Name: "status-206", Summary: "206 to a request without a range", http: func(x *exchange) {
			x.Header().Set("Content-Range", "bytes 0-3/100")
			x.status(206, "part")
		}},
		{Name: "status-300", Summary: "300 without a Location", http: always(300, "text/plain", "choose")},
		{Name: "status-304", Summary: "304 to a request without a condition", http: func(x *exchange) { x.WriteHeader(304) }},
		{Name: "echo-secrets", Summary: "500 whose body repeats the request's headers and URL, also JSON-escaped", http: func(x *exchange) {
			x.status(400, fmt.Sprintf(`{"message": %q}`, fmt.Sprintf("bad request %s %v token=%s", x.URL, x.Request.Header, x.URL.Query().Get("token"))))
		}},

		// 200 without the right content.
		{Name: "html-login", Summary: "200 with a login page", http: always(200, "text/html; charset=utf-8", LoginPage)},
		{Name: "html-mislabelled", Summary: "200 with a login page that says it is YAML", http: always(200, "application/yaml", "\xef\xbb\xbf \n"+LoginPage)},
		{Name: "html-redirect", Summary: "302 to a login page on another origin", http: func(x *exchange) {
			if !x.other {
				x.redirect(x.s.Other + "/login?session=abc")
				return
			}
			x.Header().Set("Content-Type", "text/html")
			fmt.Fprint(x, LoginPage)
		}},
		{Name: "empty", Summary: "200 with Content-Length: 0", http: func(x *exchange) { x.Header().Set("Content-Length", "0"); x.WriteHeader(200) }},
		{Name: "too-large", Summary: "200 that announces 1 TB", http: func(x *exchange) {
			x.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", x.content)
		}},
		{Name: "endless", Summary: "200, chunked, without an end", http: func(x *exchange) {
			block := bytes.Repeat([]byte("# endless\n"), 1000)
			for x.piece(block) {
			}
		}},
		{Name: "truncated", Summary: "Content-Length, then half of the body", http: func(x *exchange) { x.truncated() }},
		{Name: "truncated-chunked", Summary: "chunked, closed before the last chunk", http: func(x *exchange) {
			half := x.content[:len(x.content)/2]
			x.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(half)), append(bytes.Clone(half), "\r\n"...))
		}},
		{Name: "bad-chunk", Summary: "a chunk size that is not a number", http: func(x *exchange) {
			x.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", x.content)
		}},
		{Name: "length-contradiction", Summary: "two different Content-Length headers", http: func(x *exchange) {
			x.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Length: 3\r\n\r\n", len(x.content)), x.content)
		}},
		{Name: "length-invalid", Summary: "Content-Length: many", http: func(x *exchange) {
			x.raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", x.content)
		}},
		{Name: "length-short", Summary: "Content-Length one less than the body: cut, which only a digest shows", http: func(x *exchange) {
			x.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(x.content)-1), x.content)
		}},
		{Name: "gzip-header", Summary: "Content-Encoding: gzip on plain bytes", http: func(x *exchange) { x.zipped(x.content) }},
		{Name: "gzip-checksum", Summary: "gzip with a wrong checksum", http: func(x *exchange) {
			z := gzipped(x.content)
			z[len(z)-6] ^= 0xff
			x.zipped(z)
		}},
		{Name: "gzip-truncated", Summary: "a gzip stream that ends early in a complete body", http: func(x *exchange) {
			z := gzipped(x.content)
			x.zipped(z[:len(z)-9])
		}},
		{Name: "gzip-bomb", Summary: "64 MB of zeros in 64 KB of gzip", http: func(x *exchange) { x.zipped(gzipped(make([]byte, 64<<20))) }},
		{Name: "encoding-unknown", Summary: "Content-Encoding: br", http: func(x *exchange) {
			x.Header().Set("Content-Encoding", "br")
			x.ok()
		}},

		// Redirects.
		{Name: "redirect-same", Summary: "302 on the same origin", http: func(x *exchange) {
			if x.nth == 1 {
				x.redirect("/moved")
				return
			}
			x.ok()
		}},
		{Name: "redirect-other", Summary: "302 to another origin", http: func(x *exchange) {
			if !x.other {
				x.redirect(x.s.Other + "/moved")
				return
			}
			x.ok()
		}},
		{Name: "redirect-other-mtls", Summary: "302 to another origin that asks for a client certificate too", tls: tlsClientCert, http: func(x *exchange) {
			if !x.other {
				x.redirect(x.s.Other + "/moved")
				return
			}
			x.ok()
		}},
		{Name: "redirect-back", Summary: "302 to another origin and back", http: func(x *exchange) {
			switch {
			case x.other:
				x.redirect(x.s.URL + "?back")
			case x.nth == 1:
				x.redirect(x.s.Other + "/away")
			default:
				x.ok()
			}
		}},
		{Name: "redirect-loop", Summary: "302 to itself", http: func(x *exchange) { x.redirect(x.s.URL) }},
		{Name: "redirect-downgrade", Summary: "302 from https: to http:", tls: tlsGood, http: func(x *exchange) {
			if !x.other {
				x.redirect(x.s.Other + "/plain")
				return
			}
			x.ok()
		}},
		{Name: "redirect-file", Summary: "302 to file:///etc/passwd", http: func(x *exchange) { x.redirect("file:///etc/passwd") }},
		{Name: "redirect-nowhere", Summary: "302 without a Location", http: func(x *exchange) { x.WriteHeader(302) }},

		// Silence and noise.
		{Name: "header-hang", Summary: "the request is read, nothing is answered", http: func(x *exchange) { x.hang() }},
		{Name: "body-hang", Summary: "half of the body, then nothing", http: func(x *exchange) {
			x.piece(x.content[:len(x.content)/2])
			x.hang()
		}},
		{Name: "drip", Summary: "a byte now and then, without an end", http: func(x *exchange) {
			for x.piece([]byte("#")) {
				x.pause(5 * time.Millisecond)
			}
		}},
		{Name: "error-hang", Summary: "503 whose body never ends", http: func(x *exchange) {
			x.WriteHeader(503)
			x.piece([]byte("partly"))
			x.hang()
		}},
		{Name: "header-huge", Summary: "1 MB of headers", http: func(x *exchange) {
			x.raw("HTTP/1.1 200 OK\r\nX-Big: "+strings.Repeat("a", 1<<20)+"\r\n\r\n", x.content)
		}},
		{Name: "not-http", Summary: "an SSH banner", conn: func(c net.Conn, _ int) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n"); readSome(c) }},
		{Name: "closes", Summary: "connections are accepted and closed", conn: func(c net.Conn, _ int) { readSome(c) }},
		{Name: "refused", Summary: "no listener", none: true},

		// TLS.
		{Name: "tls-expired", Summary: "an expired certificate", tls: tlsExpired, http: func(x *exchange) { x.ok() }},
		{Name: "tls-wrong-host", Summary: "a certificate for another host", tls: tlsWrongHost, http: func(x *exchange) { x.ok() }},
		{Name: "tls-unknown-ca", Summary: "a certificate of an unknown authority", tls: tlsUnknownCA, http: func(x *exchange) { x.ok() }},
		{Name: "tls-old", Summary: "TLS 1.0 only", tls: tlsOld, http: func(x *exchange) { x.ok() }},
		{Name: "tls-client-cert", Summary: "wants a client certificate", tls: tlsClientCert, http: func(x *exchange) { x.ok() }},
		{Name: "tls-plain", Summary: "plain HTTP on the https: port", conn: func(c net.Conn, _ int) {
			readSome(c)
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		}},
		{Name: "tls-hang", Summary: "the handshake is never answered", conn: func(c net.Conn, _ int) {
			for readSome(c) {
			}
		}},
		{Name: "tls-closes", Summary: "the connection is closed in the handshake", conn: func(c net.Conn, _ int) { readSome(c) }},

		// Ranges.
		{Name: "range-cut", Summary: "the first answer is cut in the middle; ranges, ETag", http: func(x *exchange) { x.ranges(ETag, true) }},
		{Name: "range-cut-often", Summary: "every answer but the last brings a fifth; ranges, ETag", http: func(x *exchange) { x.cutRange(5) }},
		{Name: "range-cut-plain", Summary: "as range-cut, without ETag or date", http: func(x *exchange) { x.ranges("", true) }},
		{Name: "range-changed", Summary: "after the cut the file is another one (new ETag)", http: func(x *exchange) {
			if x.nth == 1 {
				x.content = bytes.Repeat([]byte("x"), len(x.content))
				x.ranges(`"v0"`, true)
				return
			}
			x.ranges(ETag, true)
		}},
		{Name: "range-ignored", Summary: "after the cut the range is ignored: 200 with everything", http: func(x *exchange) {
			if x.nth == 1 {
				x.ranges(ETag, true)
				return
			}
			x.ok()
		}},
		{Name: "range-wrong", Summary: "after the cut a 206 with another range, then 200", http: func(x *exchange) {
			switch {
			case x.nth == 1:
				x.ranges(ETag, true)
			case x.Request.Header.Get("Range") != "":
				x.Header().Set("ETag", ETag)
				x.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(x.content)-1, len(x.content)))
				x.WriteHeader(206)
				x.Write(x.content)
			default:
				x.ok()
			}
		}},
		{Name: "range-416", Summary: "after the cut 416, then 200", http: func(x *exchange) {
			switch {
			case x.nth == 1:
				x.ranges(ETag, true)
			case x.Request.Header.Get("Range") != "":
				x.status(416, "no such range")
			default:
				x.ok()
			}
		}},
		{Name: "range-none", Summary: "Accept-Ranges: none, and the first answer is cut", http: func(x *exchange) {
			x.Header().Set("Accept-Ranges", "none")
			if x.nth == 1 {
				x.truncatedWith("Accept-Ranges: none\r\nETag: " + ETag + "\r\n")
				return
			}
			x.ok()
		}},
		{Name: "range-ok", Summary: "ranges, ETag, nothing cut", http: func(x *exchange) { x.ranges(ETag, false) }},
	}
	return list
}

func flaky(status int) func(*exchange) {
	return func(x *exchange) {
		if x.nth <= 2 {
			x.status(status, "not now")
			return
		}
		x.ok()
	}
}

func always(status int, contentType, body string) func(*exchange) {
	return func(x *exchange) {
		x.Header().Set("Content-Type", contentType)
		x.WriteHeader(status)
		fmt.Fprint(x, body)
	}
}

func retryAfter(status int, value string) func(*exchange) {
	return func(x *exchange) {
		if x.nth == 1 {
			x.Header().Set("Retry-After", value)
			x.status(status, "not now")
			return
		}
		x.ok()
	}
}

// Header is the answer's; the request's is x.Request.Header.
func (x *exchange) Header() http.Header { return x.ResponseWriter.Header() }

// Write writes to the answer; the embedded request has a Write of its own.
func (x *exchange) Write(b []byte) (int, error) { return x.ResponseWriter.Write(b) }

func (x *exchange) ok() {
	if x.Header().Get("Content-Type") == "" {
		x.Header().Set("Content-Type", "application/yaml")
	}
	x.Header().Set("Content-Length", strconv.Itoa(len(x.content)))
	x.WriteHeader(200)
	x.Write(x.content)
}

func (x *exchange) status(code int, body string) {
	x.WriteHeader(code)
	fmt.Fprint(x, body)
}

func (x *exchange) redirect(to string) {
	x.Header().Set("Location", to)
	x.WriteHeader(http.StatusFound)
}

func (x *exchange) zipped(b []byte) {
	x.Header().Set("Content-Encoding", "gzip")
	x.Header().Set("Content-Type", "application/yaml")
	x.Header().Set("Content-Length", strconv.Itoa(len(b)))
	x.ResponseWriter.Write(b)
}

// piece sends b at once and reports whether the client still listens.
func (x *exchange) piece(b []byte) bool {
	if _, err := x.ResponseWriter.Write(b); err != nil {
		return false
	}
	return http.NewResponseController(x.ResponseWriter).Flush() == nil && x.Context().Err() == nil
}

// pause waits, but not longer than the client or the server lives.
func (x *exchange) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.Context().Done():
	case <-x.s.done:
	}
}

func (x *exchange) hang() {
	select {
	case <-x.Context().Done():
	case <-x.s.done:
	}
}

// raw takes the connection over, sends exactly this and closes it.
func (x *exchange) raw(head string, body []byte) {
	c, w := x.hijack()
	if c == nil {
		return
	}
	defer c.Close()
	w.WriteString(head)
	w.Write(body)
	w.Flush()
}

func (x *exchange) hijack() (net.Conn, *bufio.Writer) {
	c, rw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil
	}
	return c, rw.Writer
}

// reset ends the connection with RST instead of FIN.
func (x *exchange) reset() {
	c, _ := x.hijack()
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	if c != nil {
		c.Close()
	}
}

func (x *exchange) truncated() { x.truncatedWith("") }

func (x *exchange) truncatedWith(headers string) {
	x.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/yaml\r\n%sContent-Length: %d\r\n\r\n", headers, len(x.content)), x.content[:len(x.content)/2])
}

// ranges serves content with ranges; cut ends the first answer in the middle.
func (x *exchange) ranges(etag string, cut bool) {
	if cut && x.nth == 1 {
		headers := "Accept-Ranges: bytes\r\n"
		if etag != "" {
			headers += "ETag: " + etag + "\r\n"
		}
		x.truncatedWith(headers)
		return
	}
	if etag != "" {
		x.Header().Set("ETag", etag)
	}
	x.Header().Set("Content-Type", "application/java-archive")
	http.ServeContent(x.ResponseWriter, x.Request, "", time.Time{}, bytes.NewReader(x.content))
}

// cutRange answers each range request but the last with a 1/n of the file before the connection closes.
func (x *exchange) cutRange(n int) {
	from := 0
	if r, found := strings.CutPrefix(x.Request.Header.Get("Range"), "bytes="); found {
		from, _ = strconv.Atoi(strings.TrimSuffix(r, "-"))
	}
	to := min(len(x.content), from+(len(x.content)+n-1)/n)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n", ETag, len(x.content))
	if from > 0 {
		head = fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nETag: %s\r\nContent-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n\r\n",
			ETag, len(x.content)-from, from, len(x.content)-1, len(x.content))
	}
	x.raw(head, x.content[from:to])
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func readSome(c net.Conn) bool {
	_, err := c.Read(make([]byte, 4096))
	return err == nil
}
