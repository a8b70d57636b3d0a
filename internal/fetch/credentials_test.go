package fetch_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"

	"flink-entrypoint/internal/fetch"
)

// canary holds what quoting tends to get wrong.
const canary = `c4n'ar"y%\#x`

func secretHeader(name, value string) fetch.Header {
	return fetch.Header{Name: name, Value: func() string { return value }}
}

// TestRedirectsKeepCredentialsOnTheSameOrigin: other clients sent Authorization to any target of a redirect.
func TestRedirectsKeepCredentialsOnTheSameOrigin(t *testing.T) {
	for _, test := range []struct {
		behaviour string
		carried   []bool // per request
	}{
		{"redirect-same", []bool{true, true}},
		{"redirect-other", []bool{true, false}},
		{"redirect-back", []bool{true, false, false}},
		{"redirect-downgrade", []bool{true}},
		{"redirect-other-mtls", []bool{true, false}},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			s := start(t, test.behaviour, definition)
			o := fetch.Options{TokenFile: writeFile(t, "token", []byte("t0ken")), Headers: []fetch.Header{secretHeader("X-Api-Key", canary), secretHeader("Cookie", "id=7")}}
			if strings.HasPrefix(s.URL, "https") {
				trustAndCertify(t, s, &o)
			}
			_, err := newClient(t, o).Document(context.Background(), s.URL+"?token=inquery", fetch.DocumentOptions{})
			if err != nil && test.behaviour != "redirect-downgrade" {
				t.Fatal(err)
			}
			requests := s.Requests()
			if len(requests) != len(test.carried) {
				t.Fatalf("%d requests, want %d", len(requests), len(test.carried))
			}
			for i, r := range requests {
				has := r.Header.Get("Authorization") == "Bearer t0ken" && r.Header.Get("X-Api-Key") == canary && r.Header.Get("Cookie") == "id=7"
				none := r.Header.Get("Authorization") == "" && r.Header.Get("X-Api-Key") == "" && r.Header.Get("Cookie") == "" && !r.ClientCert
				if has != test.carried[i] || none == test.carried[i] {
					t.Errorf("request %d to other=%v had %v (client certificate %v)", i, r.Other, r.Header, r.ClientCert)
				}
				if test.behaviour == "redirect-other-mtls" && r.ClientCert != test.carried[i] {
					t.Errorf("request %d: client certificate %v", i, r.ClientCert)
				}
				if r.Header.Get("Referer") != "" {
					t.Errorf("request %d carries a Referer: %s", i, r.Header.Get("Referer"))
				}
				if r.Header.Get("X-Request-Id") == "" || r.Header.Get("User-Agent") != "flink-entrypoint" {
					t.Errorf("request %d: id %q, agent %q", i, r.Header.Get("X-Request-Id"), r.Header.Get("User-Agent"))
				}
			}
		})
	}
}

// TestCredentialsStayWithTheDefinition: an artifact's or a script's host is someone else.
func TestCredentialsStayWithTheDefinition(t *testing.T) {
	definitions, elsewhere := start(t, "ok", definition), start(t, "ok", definition)
	c := newClient(t, fetch.Options{TokenFile: writeFile(t, "token", []byte("t0ken"))})
	for _, url := range []string{definitions.URL, elsewhere.URL, definitions.URL + "/script.sql"} {
		if _, err := c.Document(context.Background(), url, fetch.DocumentOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	if _, err := c.Artifacts(context.Background(), []fetch.Item{{URI: elsewhere.URL, Root: root, Path: root + "/a"}, {URI: definitions.URL, Root: root, Path: root + "/b"}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range elsewhere.Requests() {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("the other host got %q", got)
		}
	}
	for _, r := range definitions.Requests() {
		if got := r.Header.Get("Authorization"); got != "Bearer t0ken" {
			t.Errorf("the definition's host got %q", got)
		}
	}
	// With an explicit origin, the origin of the first document has no privilege.
	c = newClient(t, fetch.Options{TokenFile: writeFile(t, "token", []byte("t0ken")), Origin: definitions.URL})
	if _, err := c.Document(context.Background(), elsewhere.URL, fetch.DocumentOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := elsewhere.Requests(); r[len(r)-1].Header.Get("Authorization") != "" {
		t.Error("the other host got the token")
	}
}

// TestTokenIsReadAtEachAttempt: service account tokens rotate while a start waits for its service.
func TestTokenIsReadAtEachAttempt(t *testing.T) {
	s := start(t, "token-rotates", definition)
	file := writeFile(t, "token", []byte("old"))
	c := newClient(t, fetch.Options{TokenFile: file, Rand: func() float64 {
		if err := os.WriteFile(file, []byte("new\n"), 0o600); err != nil {
			t.Error(err)
		}
		return 0
	}})
	if _, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil {
		t.Fatal(err)
	}
	r := s.Requests()
	if r[0].Header.Get("Authorization") != "Bearer old" || r[1].Header.Get("Authorization") != "Bearer new" {
		t.Errorf("sent %q, then %q", r[0].Header.Get("Authorization"), r[1].Header.Get("Authorization"))
	}
	if a, b := r[0].Header.Get("X-Request-Id"), r[1].Header.Get("X-Request-Id"); a == b || a[:16] != b[:16] {
		t.Errorf("request ids %q and %q, want one id with the attempt's number", a, b)
	}
}

// TestWhichAuthorizationWins: by hand, token, user of the URI; and a redirect on the same origin keeps it.
func TestWhichAuthorizationWins(t *testing.T) {
	token := writeFile(t, "token", []byte("t0ken"))
	byHand := []fetch.Header{secretHeader("authorization", "Custom x"), secretHeader("Host", "jobs.internal")}
	for _, test := range []struct {
		o          fetch.Options
		user, want string
	}{
		{fetch.Options{}, "", ""},
		{fetch.Options{}, "u:p%40", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p@"))},
		{fetch.Options{}, "only", "Basic " + base64.StdEncoding.EncodeToString([]byte("only:"))},
		{fetch.Options{TokenFile: token}, "u:p", "Bearer t0ken"},
		{fetch.Options{TokenFile: token, Headers: byHand}, "u:p", "Custom x"},
	} {
		s := start(t, "redirect-same", definition)
		uri := s.URL
		if test.user != "" {
			uri = strings.Replace(uri, "//", "//"+test.user+"@", 1)
		}
		if _, err := newClient(t, test.o).Document(context.Background(), uri, fetch.DocumentOptions{}); err != nil {
			t.Fatal(err)
		}
		for i, r := range s.Requests() {
			if got := r.Header.Get("Authorization"); got != test.want || (test.o.Headers != nil) != (r.Host == "jobs.internal") {
				t.Errorf("%q, request %d: %q to host %s, want %q", test.user, i, got, r.Host, test.want)
			}
		}
	}
}

func TestTokenFileProblems(t *testing.T) {
	s := start(t, "ok", definition)
	for name, content := range map[string]string{"empty": " \n", "two lines": "a\nb\n", "control": "a\x01b"} {
		_, err := newClient(t, fetch.Options{TokenFile: writeFile(t, "token", []byte(content))}).Document(context.Background(), s.URL, fetch.DocumentOptions{})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != fetch.KindCredential || e.Attempts != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := newClient(t, fetch.Options{TokenFile: "/nonexistent/token"}).Document(context.Background(), s.URL, fetch.DocumentOptions{})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/token cannot be read: no such file") {
		t.Errorf("missing: %v", err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests went out without the token", n)
	}
}

func TestCertificateProblems(t *testing.T) {
	s := start(t, "ok-tls", definition)
	for name, o := range map[string]fetch.Options{
		"no CA file":     {CAFile: "/nonexistent/ca.pem"},
		"CA without PEM": {CAFile: writeFile(t, "ca.pem", []byte("nothing"))},
		"no client cert": {CertFile: "/nonexistent/c", KeyFile: "/nonexistent/k"},
		"broken key":     {CertFile: writeFile(t, "c", s.CA()), KeyFile: writeFile(t, "k", []byte("x"))},
	} {
		_, err := newClient(t, o).Document(context.Background(), s.URL, fetch.DocumentOptions{})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != fetch.KindCredential {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlainTextWarnings(t *testing.T) {
	s := start(t, "ok", definition)
	token := fetch.Options{TokenFile: writeFile(t, "token", []byte("t0ken"))}
	for _, test := range []struct {
		name string
		o    fetch.Options
		url  string
		want []string
	}{
		{"nothing secret", fetch.Options{Headers: []fetch.Header{secretHeader("X-Team", "blue")}}, s.URL, nil},
		{"token", token, s.URL, []string{"the bearer token is sent to"}},
		{"header", fetch.Options{Headers: []fetch.Header{secretHeader("Authorization", "Bearer x")}}, s.URL, []string{"the header Authorization is sent"}},
		{"password", fetch.Options{}, strings.Replace(s.URL, "//", "//u:p4ss@", 1), []string{"the password of the URI is sent"}},
	} {
		doc, err := newClient(t, test.o).Document(context.Background(), test.url, fetch.DocumentOptions{})
		if err != nil || len(doc.Warnings) != len(test.want) {
			t.Errorf("%s: error %v, warnings %q", test.name, err, doc.Warnings)
			continue
		}
		for i, w := range test.want {
			if !strings.Contains(doc.Warnings[i], w) || strings.Contains(doc.Warnings[i], "p4ss") {
				t.Errorf("%s: %q", test.name, doc.Warnings[i])
			}
		}
	}
}

// TestNoSecretInAnyOutput plants canaries wherever a secret can be and lets the service repeat them all.
func TestNoSecretInAnyOutput(t *testing.T) {
	t.Parallel()
	values := map[string]string{"header": "h" + canary, "token": "t0kenCanary", "password": "p" + canary, "query": "q" + canary}
	for _, behaviour := range []string{"echo-secrets", "ok", "always-503", "refused", "html-redirect", "redirect-file"} {
		t.Run(behaviour, func(t *testing.T) {
			s := start(t, behaviour, definition)
			uri := strings.Replace(s.URL, "//", "//user:"+url.QueryEscape(values["password"])+"@", 1) + "?id=7&token=" + url.QueryEscape(values["query"]) + "#" + values["token"]
			for _, withToken := range []bool{false, true} {
				var log logBuffer
				total := 100 * time.Millisecond
				if behaviour == "echo-secrets" { // what it answers is compared
					total = patience
				}
				o := quick(fetch.Options{Timeout: total, Logger: debugLog(&log), Headers: []fetch.Header{secretHeader("X-Api-Key", values["header"])}})
				if withToken {
					o.TokenFile = writeFile(t, "token", []byte(values["token"]))
				}
				c, err := fetch.New(o)
				if err != nil {
					t.Fatal(err)
				}
				doc, err := c.Document(context.Background(), uri, fetch.DocumentOptions{CacheFile: t.TempDir() + "/copy"})
				root := t.TempDir()
				results, err2 := c.Artifacts(context.Background(), []fetch.Item{{URI: uri, Root: root, Path: root + "/a"}}, nil)
				var e *fetch.Error
				errors.As(err, &e)
				doc.Bytes = nil
				out := log.String() + fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v %#v %v %+v %v", err, err, err, e, e, e, doc, o, o, c, results, err2)
				if e != nil {
					out += e.Body + e.Hint + fmt.Sprintf("%+v %#v", *e, errors.Unwrap(e))
				}
				if behaviour == "echo-secrets" && !strings.Contains(e.Body, "bad request /jobs/clicks?id=7&token=******") {
					t.Errorf("the service's words are lost: %q", e.Body)
				}
				for what, v := range values {
					for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v), fmt.Sprintf("%q", v), strings.Trim(fmt.Sprintf("%q", v), `"`),
						base64.StdEncoding.EncodeToString([]byte("user:" + v)), fmt.Sprintf("%x", v)} {
						if strings.Contains(out, form) {
							t.Errorf("%s shows as %s in:\n%s", what, form, out)
						}
					}
				}
				if behaviour == "ok" && !strings.Contains(out, "?id=7&token=******#******") {
					t.Errorf("the URI is not shown:\n%s", out)
				}
			}
		})
	}
}

// TestRequestIDsAreLoggedOnBothSides so that an operator can find the request in the service's log.
func TestRequestIDsAreLogged(t *testing.T) {
	s := start(t, "flaky-503", definition)
	var log logBuffer
	if _, err := newClient(t, fetch.Options{Logger: debugLog(&log), UserAgent: "flink-entrypoint/1.2.3"}).Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Requests() {
		if r.Header.Get("User-Agent") != "flink-entrypoint/1.2.3" {
			t.Errorf("agent %q", r.Header.Get("User-Agent"))
		}
		for _, id := range []string{r.Header.Get("X-Request-Id"), fmt.Sprintf("service-%d", i+1)} {
			if !strings.Contains(log.String(), id) {
				t.Errorf("the log does not name %s:\n%s", id, log.String())
			}
		}
	}
}

// forwarder is a proxy for http: and, by CONNECT, for https:; every host name leads to backend.
func forwarder(t *testing.T, backend, wantAuth string) (address string, seen func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var hosts []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts = append(hosts, r.Method+" "+r.Host)
		mu.Unlock()
		if r.Header.Get("Proxy-Authorization") != wantAuth {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		up, err := net.Dial("tcp", backend)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		defer up.Close()
		if r.Method != http.MethodConnect {
			r.Header.Del("Proxy-Authorization")
			r.Write(up)
			answer, err := http.ReadResponse(bufio.NewReader(up), r)
			if err != nil {
				w.WriteHeader(502)
				return
			}
			w.WriteHeader(answer.StatusCode)
			io.Copy(w, answer.Body)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer down.Close()
		fmt.Fprint(down, "HTTP/1.1 200 Connection established\r\n\r\n")
		go io.Copy(up, down)
		io.Copy(down, up)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), hosts...)
	}
}

// proxies chooses as http.ProxyFromEnvironment does, which reads the environment of the process only, and once.
func proxies(env map[string]string) func(*http.Request) (*url.URL, error) {
	choose := (&httpproxy.Config{HTTPProxy: cmp.Or(env["HTTP_PROXY"], env["http_proxy"]), HTTPSProxy: cmp.Or(env["HTTPS_PROXY"], env["https_proxy"]), NoProxy: env["NO_PROXY"]}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }
}

func TestProxyFromTheGivenEnvironment(t *testing.T) {
	t.Parallel()
	s := start(t, "ok", definition)
	backend := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/jobs/clicks")
	wantAuth := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+canary))
	proxy, seen := forwarder(t, backend, wantAuth)
	proxyURL := "http://u:" + url.QueryEscape(canary) + "@" + proxy
	for _, test := range []struct {
		name, uri string
		env       map[string]string
		kind      fetch.Kind
	}{
		{"http", "http://jobs.test/x", map[string]string{"http_proxy": proxyURL}, ""},
		{"upper case", "http://jobs.test/x", map[string]string{"HTTP_PROXY": proxyURL}, ""},
		{"wrong password", "http://jobs.test/x", map[string]string{"HTTP_PROXY": "http://u:no@" + proxy}, fetch.KindProxy},
		{"CONNECT refused", "https://jobs.test/x", map[string]string{"HTTPS_PROXY": "http://u:no@" + proxy}, fetch.KindProxy},
		{"CONNECT to plain HTTP", "https://jobs.test/x", map[string]string{"HTTPS_PROXY": proxyURL}, fetch.KindTLS},
		{"no listener", "http://jobs.test/x", map[string]string{"HTTP_PROXY": "http://127.0.0.1:1"}, fetch.KindProxy},
		{"no URL", "http://jobs.test/x", map[string]string{"HTTP_PROXY": "http://u:" + canary + "@" + proxy}, fetch.KindProxy},
	} {
		env := test.env
		before := len(seen())
		total := patience
		if test.kind != "" {
			total = time.Second
		}
		doc, err := newClient(t, fetch.Options{Timeout: total, Proxy: proxies(env), Env: func(n string) string { return env[n] }}).Document(context.Background(), test.uri, fetch.DocumentOptions{})
		var e *fetch.Error
		if test.kind == "" && (err != nil || string(doc.Bytes) != string(definition)) || test.kind != "" && (!errors.As(err, &e) || e.Kind != test.kind) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "c4n") {
			t.Errorf("%s shows the proxy's password: %v", test.name, err)
		}
		if !strings.HasPrefix(test.name, "no") && len(seen()) == before {
			t.Errorf("%s: the proxy saw nothing", test.name)
		}
	}
	before := len(seen())
	if _, err := newClient(t, fetch.Options{Proxy: proxies(map[string]string{"HTTP_PROXY": proxyURL, "NO_PROXY": "127.0.0.1"})}).Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil || len(seen()) != before {
		t.Errorf("NO_PROXY: %v, %d requests through the proxy", err, len(seen())-before)
	}
}

func TestRedact(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"/opt/flink/usrlib/job.yaml", "/opt/flink/usrlib/job.yaml"},
		{"jobs/a b.yaml", "jobs/a b.yaml"},
		{"file:///etc/job.yaml", "file:///etc/job.yaml"},
		{"https://jobs.test/a%20b/c?id=7", "https://jobs.test/a%20b/c?id=7"},
		{"HTTPS://jobs.test:8443/", "https://jobs.test:8443/"},
		{"https://user@jobs.test/", "https://******@jobs.test/"},
		{"https://user:pw@jobs.test/x", "https://******@jobs.test/x"},
		{"https://jobs.test/x?token=abc&v=1&X-Amz-Signature=ff&empty=&sig=", "https://jobs.test/x?token=******&v=1&X-Amz-Signature=******&empty=&sig="},
		{"https://jobs.test/x?API%5FKEY=abc", "https://jobs.test/x?API%5FKEY=******"},
		{"https://jobs.test/x?download", "https://jobs.test/x?download"},
		{"https://jobs.test/x?download&abcdef0123456789", "https://jobs.test/x?download&******"},
		{"https://jobs.test/x#access=1", "https://jobs.test/x#******"},
		{"https://user:p/w@jobs.test/x", "https://******@jobs.test/x"},
		{"https://user:p#w@jobs.test/x", "https://******@jobs.test/x"},
		{"https://user:p?w@jobs.test/x?a=b", "https://******@jobs.test/x?******"},
		{"https://user:" + canary + "@jobs.test/x", "https://******@jobs.test/x"},
		{"https://user:a%zz@jobs.test", "https://******@jobs.test"},
		{"s3://key:secret@bucket/x", "s3://******@bucket/x"},
		{"mailto:a@b", "mailto:******@b"},
		{"https://jobs.test/a\nb", "https://jobs.test/a b"},
	} {
		if got := fetch.Redact(test.in); got != test.want {
			t.Errorf("Redact(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestURIs(t *testing.T) {
	c := newClient(t, fetch.Options{})
	for _, test := range []struct {
		uri  string
		kind fetch.Kind
		says string
		hint string
	}{
		{"", fetch.KindInput, "empty", ""},
		{"http://", fetch.KindInput, "not a valid URL", ""},
		{"https://u:p%zz@h/", fetch.KindInput, "not a valid URL", "percent-encode"},
		{"http://h/a\nb", fetch.KindInput, "line break", ""},
		{"s3://bucket/job.yaml", fetch.KindScheme, `scheme "s3" cannot be fetched before the JVM runs; a plain path, file:, http: and https: can`, "presigned"},
		{"s3a://bucket/job.yaml", fetch.KindScheme, `"s3a"`, "presigned"},
		{"hdfs:///job.yaml", fetch.KindScheme, `"hdfs"`, "WebHDFS"},
		{"local:///opt/job.yaml", fetch.KindScheme, `"local"`, "plain path"},
		{"ftp://h/x", fetch.KindScheme, `"ftp"`, "https:"},
		{"file://host/x", fetch.KindInput, "this machine", "file:///"},
		{"file:", fetch.KindInput, "file: URI", ""},
		{"/nonexistent/job.yaml", fetch.KindNotFound, "no such file", "volume"},
		{"file:///nonexistent/job.yaml", fetch.KindNotFound, "no such file", ""},
		{t.TempDir(), fetch.KindFile, "a directory", ""},
	} {
		_, err := c.Document(context.Background(), test.uri, fetch.DocumentOptions{})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(e.Error(), test.says) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%q: %v (hint %v)", test.uri, err, e)
		}
	}
	file := writeFile(t, "a b:c.yaml", definition)
	for _, uri := range []string{file, "file:" + file, "file://" + strings.ReplaceAll(file, " ", "%20"), "file://localhost" + file} {
		doc, err := c.Document(context.Background(), uri, fetch.DocumentOptions{})
		if err != nil || string(doc.Bytes) != string(definition) || len(doc.SHA256) != 64 {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if _, err := c.Document(context.Background(), file, fetch.DocumentOptions{MaxBytes: 5}); err == nil || !strings.Contains(err.Error(), "larger than the allowed 5 bytes") {
		t.Errorf("large file: %v", err)
	}
	if _, err := c.Document(context.Background(), file, fetch.DocumentOptions{SHA256: otherSHA256}); err == nil || !strings.Contains(err.Error(), "its sha256 is") {
		t.Errorf("pinned file: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]fetch.Options{
		"splay":        {Timeout: time.Second, Splay: time.Second},
		"timeout":      {Timeout: -1},
		"cert alone":   {CertFile: "x"},
		"header name":  {Headers: []fetch.Header{secretHeader("a b", canary)}},
		"header value": {Headers: []fetch.Header{secretHeader("a", canary+"\r\nEvil: 1")}},
	} {
		_, err := fetch.New(o)
		var e *fetch.Error
		if !errors.As(err, &e) || strings.Contains(err.Error(), "c4n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
