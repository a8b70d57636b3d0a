package faultserver

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Replies returns the places of an answer at which a service, or a proxy before it, may repeat a part of what it was asked: for each
// the whole answer with s at that place. ADDRESS in it becomes the server's own.
func Replies() map[string]func(s string) string {
	body := func(status int, kind, text string) string {
		return fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, kind, len(text), text)
	}
	head := func(line string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(line, "S", s) }
	}
	out := map[string]func(string) string{
		"not HTTP":            head("S\r\n\r\n"),
		"not HTTP, no line":   head("S"),
		"status line":         head("S 200 OK\r\n\r\n"),
		"status line, late":   func(s string) string { return strings.Repeat("x", 100) + s + " 200 OK\r\n\r\n" },
		"status code":         head("HTTP/1.1 S OK\r\n\r\n"),
		"status code, glued":  head("HTTP/1.1 200S OK\r\n\r\n"),
		"protocol":            head("HTTP/S 200 OK\r\n\r\n"),
		"reason":              head("HTTP/1.1 503 S\r\nContent-Length: 0\r\n\r\n"),
		"reason of a 404":     head("HTTP/1.1 404 S\r\nContent-Length: 0\r\n\r\n"),
		"strange status":      head("HTTP/1.1 299 S\r\nContent-Length: 0\r\n\r\n"),
		"header line":         head("HTTP/1.1 200 OK\r\nS\r\n\r\n"),
		"header name":         head("HTTP/1.1 200 OK\r\nbad S: x\r\n\r\n"),
		"header value":        head("HTTP/1.1 200 OK\r\nX: S\x01\r\n\r\n"),
		"headers too long":    func(s string) string { return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat(s, 8000) + "\r\n\r\n" },
		"folded header":       head("HTTP/1.1 200 OK\r\n S\r\n\r\n"),
		"informational":       head("HTTP/1.1 100 S\r\n\r\nHTTP/1.1 500 S\r\nContent-Length: 0\r\n\r\n"),
		"location":            head("HTTP/1.1 302 x\r\nLocation: S\r\n\r\n"),
		"location scheme":     head("HTTP/1.1 302 x\r\nLocation: S://h/\r\n\r\n"),
		"location opaque":     head("HTTP/1.1 302 x\r\nLocation: mailto:S\r\n\r\n"),
		"location host":       head("HTTP/1.1 302 x\r\nLocation: http://S/\r\n\r\n"),
		"location port":       head("HTTP/1.1 302 x\r\nLocation: http://h:S/\r\n\r\n"),
		"location user":       head("HTTP/1.1 302 x\r\nLocation: ftp://S@h/\r\n\r\n"),
		"location password":   head("HTTP/1.1 302 x\r\nLocation: ftp://u:S@h/\r\n\r\n"),
		"location path":       head("HTTP/1.1 302 x\r\nLocation: ftp://h/a/S/b\r\n\r\n"),
		"location query":      head("HTTP/1.1 302 x\r\nLocation: ftp://h/?id=S\r\n\r\n"),
		"location fragment":   head("HTTP/1.1 302 x\r\nLocation: ftp://h/#S\r\n\r\n"),
		"location, no escape": head("HTTP/1.1 302 x\r\nLocation: http://h/%zzS\r\n\r\n"),
		"location, bracket":   head("HTTP/1.1 302 x\r\nLocation: http://[S\r\n\r\n"),
		"relative, a 404":     head("HTTP/1.1 302 x\r\nLocation: /404/S?id=S\r\n\r\n"),
		"own user, a 404":     head("HTTP/1.1 302 x\r\nLocation: http://S@ADDRESS/404/x\r\n\r\n"),
		"a loop":              head("HTTP/1.1 302 x\r\nLocation: /loop/S?S\r\n\r\n"),
		"encoding":            head("HTTP/1.1 200 OK\r\nContent-Encoding: S\r\nContent-Length: 1\r\n\r\nx"),
		"encoding, late": func(s string) string {
			return "HTTP/1.1 200 OK\r\nContent-Encoding: " + strings.Repeat("x", 25) + s + "\r\nContent-Length: 1\r\n\r\nx"
		},
		"length":            head("HTTP/1.1 200 OK\r\nContent-Length: S\r\n\r\nx"),
		"two lengths":       head("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: S\r\n\r\nx"),
		"transfer encoding": head("HTTP/1.1 200 OK\r\nTransfer-Encoding: S\r\n\r\nx"),
		"chunk size":        head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nS\r\nx"),
		"chunk extension":   head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;S\r\nx\r\nS"),
		"trailer":           head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nS\r\n\r\n"),
		"content type":      head("HTTP/1.1 200 OK\r\nContent-Type: text/html; x=S\r\nContent-Length: 1\r\n\r\nx"),
		"content range":     head("HTTP/1.1 206 x\r\nContent-Range: S\r\nContent-Length: 1\r\n\r\nx"),
		"request id":        head("HTTP/1.1 500 x\r\nX-Request-Id: S\r\nContent-Length: 0\r\n\r\n"),
		"request id, late": func(s string) string {
			return "HTTP/1.1 500 x\r\nX-Request-Id: " + strings.Repeat("y", 70) + s + "\r\nContent-Length: 0\r\n\r\n"
		},
		"request id of a good answer": head("HTTP/1.1 200 OK\r\nX-Request-Id: S\r\nETag: \"S\"\r\nContent-Length: 1\r\n\r\nx"),
		"retry after":                 head("HTTP/1.1 503 x\r\nRetry-After: S\r\nContent-Length: 0\r\n\r\n"),
		"authenticate":                head("HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer realm=\"S\"\r\nContent-Length: 0\r\n\r\n"),
		"407":                         head("HTTP/1.1 407 S\r\nProxy-Authenticate: S\r\nContent-Length: 0\r\n\r\n"),
		"body":                        func(s string) string { return body(500, "text/plain", "no "+s+" here") },
		"body, lines":                 func(s string) string { return body(500, "text/plain", s[:len(s)/2]+"\r\n\t"+s[len(s)/2:]) },
		"body at the cut":             func(s string) string { return body(500, "text/plain", strings.Repeat("z ", 145)+s) },
		"body at the limit": func(s string) string {
			return body(500, "text/plain", strings.Repeat(" ", 16<<10-len(s)/2)+s+strings.Repeat("z", 100))
		},
		"body of the size of the limit": func(s string) string {
			return body(500, "text/plain", strings.Repeat(" ", 16<<10+1-len(s)*2/3)+s[:len(s)*2/3])
		},
		"body after control characters": func(s string) string { return body(500, "text/plain", "\x00\x1b[31m"+s+"\xff\xfe"+s) },
		"cut body":                      func(s string) string { return "HTTP/1.1 500 x\r\nContent-Length: 100000\r\n\r\n" + s },
		"problem": func(s string) string {
			return body(400, "application/problem+json", fmt.Sprintf(`{"type": %q, "title": %q, "detail": %q}`, s, s, s))
		},
		"problem, nested": func(s string) string {
			return body(400, "application/json", fmt.Sprintf(`{"errors": [{"x": %q}, %q]}`, s, s))
		},
		"problem, a key":      func(s string) string { return body(400, "application/json", fmt.Sprintf(`{"error": {%q: 1}}`, s)) },
		"problem, broken":     func(s string) string { return body(400, "application/json", fmt.Sprintf(`{"detail": %q, `, s)) },
		"problem, \\u":        func(s string) string { return body(400, "application/json", `{"detail": "`+unicodeEscaped(s)+`"}`) },
		"problem, \\u broken": func(s string) string { return body(400, "application/json", `{"detail": "`+unicodeEscaped(s)+`"`) },
		"title":               func(s string) string { return body(200, "text/html", "<html><title>"+s+"</title>") },
		"title of an error":   func(s string) string { return body(502, "text/html", "<html><title>502 "+s+"</title>") },
		"title, cut": func(s string) string {
			return body(502, "text/html", "<html><title>"+strings.Repeat("z", 16<<10-len(s)/2)+s+"</title>")
		},
		"title, references":  func(s string) string { return body(502, "text/html", "<html><title>"+references(s)+"</title>") },
		"not gzip":           head("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nS"),
		"more than the body": head("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxS\r\n\r\n"),
		"good":               func(s string) string { return body(200, "text/yaml", s) },
	}
	return out
}

func unicodeEscaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

func references(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `&#%d;`, c)
	}
	return b.String()
}

// Spellings returns the ways in which a service may write what it repeats, or a part of it.
func Spellings(s string) map[string]string {
	quoted := strconv.Quote(s)
	var percent strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&percent, "%%%02X", c)
	}
	return map[string]string{
		"raw": s, "quoted": quoted, "quoted twice": strconv.Quote(quoted),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "lower-case percent": strings.ToLower(url.QueryEscape(s)),
		"percent twice": url.QueryEscape(url.QueryEscape(s)), "all percent": percent.String(),
		"base64": base64.StdEncoding.EncodeToString([]byte(s)), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(s)),
		"inside of base64": base64.StdEncoding.EncodeToString([]byte("x:" + s + ":y")), "hex": fmt.Sprintf("%x", s), "HEX": fmt.Sprintf("%X", s),
		"lower": strings.ToLower(s), "upper": strings.ToUpper(s),
		"first half": s[:len(s)/2], "second half": s[len(s)/2:], "middle": s[len(s)/4 : len(s)*3/4], "but one": s[:len(s)-1],
	}
}

// Echo is a service that gives each path the answer that was set for it. /404 and /loop below it repeat the request.
type Echo struct {
	Address  string // host and port
	listener net.Listener
	mu       sync.Mutex
	answers  map[string]func(r *http.Request) string // by the first step of the path
}

// StartEcho starts one on 127.0.0.1.
func StartEcho() (*Echo, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Echo{Address: l.Addr().String(), listener: l, answers: map[string]func(*http.Request) string{
		"loop": func(r *http.Request) string { return "HTTP/1.1 302 x\r\nLocation: " + r.RequestURI + "\r\n\r\n" },
		"404": func(r *http.Request) string {
			text := fmt.Sprintf("not here: %s %s %s", r.RequestURI, r.Header, r.URL.Query())
			return fmt.Sprintf("HTTP/1.1 404 x\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		},
	}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go e.serve(conn)
		}
	}()
	return e, nil
}

func (e *Echo) serve(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	step, _, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	e.mu.Lock()
	answer := e.answers[step]
	e.mu.Unlock()
	if answer != nil {
		_, _ = io.WriteString(conn, strings.ReplaceAll(answer(r), "ADDRESS", e.Address))
	}
}

// Answer sets the answer for paths that begin with a step.
func (e *Echo) Answer(step, answer string) {
	e.AnswerWith(step, func(*http.Request) string { return answer })
}

// AnswerWith is Answer for one that depends on the request.
func (e *Echo) AnswerWith(step string, answer func(r *http.Request) string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[step] = answer
}

// Close ends the service.
func (e *Echo) Close() { e.listener.Close() }
