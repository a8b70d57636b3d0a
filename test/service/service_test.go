package service

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"time"

	"flink-entrypoint/test/world"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
)

// description is docs/definition-service.yaml, its mappings flattened to keys with dots.
type description struct {
	*flinkconf.Conf
	source string
}

func readDescription(t *testing.T) description {
	t.Helper()
	src, err := os.ReadFile("../../docs/definition-service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := confpatch.Parse("definition-service.yaml", confpatch.Standard, flinkversion.Of(2, 2, 0), src)
	if err != nil {
		t.Fatal(err)
	}
	return description{f.Conf(), string(src)}
}

// follow returns where a key leads when it holds a reference.
func (d description) follow(key string) string {
	if ref, ok := d.Get(key + ".$ref"); ok {
		return strings.ReplaceAll(strings.TrimPrefix(ref.Value.Reveal(), "#/"), "/", ".")
	}
	return key
}

// children returns the names directly below a key. A name with dots comes in parts, which no name here has.
func (d description) children(key string) []string {
	var out []string
	for e := range d.All() {
		if rest, ok := strings.CutPrefix(e.Key, key+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// check compares an answer with what the description says of its path and status.
func (d description) check(t *testing.T, path string, answer *http.Response, body []byte) {
	t.Helper()
	operation := "paths./jobs/{id}.get.responses"
	if strings.HasPrefix(path, "/artifacts/") {
		operation = "paths./artifacts/{name}.get.responses"
	}
	status := fmt.Sprint(answer.StatusCode)
	if !slices.Contains(d.children(operation), status) {
		t.Errorf("%s: the description knows no status %s (there are %v)", path, status, d.children(operation))
		return
	}
	response := d.follow(operation + "." + status)
	for _, name := range d.children(response + ".headers") {
		header := d.follow(response + ".headers." + name)
		value := answer.Header.Get(name)
		if name == "Content-Length" && answer.ContentLength >= 0 {
			value = fmt.Sprint(answer.ContentLength)
		}
		if value == "" {
			if d.Text(header+".required") == "true" {
				t.Errorf("%s %s: the answer lacks the header %s", path, status, name)
			}
			continue
		}
		if pattern := d.Text(header + ".schema.pattern"); pattern != "" && !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("%s %s: %s is %q, expected %s", path, status, name, value, pattern)
		}
	}
	contents := d.children(response + ".content")
	contentType, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	known := slices.Contains(contents, contentType) || strings.Contains(d.source, contentType+": {}\n") // which Flink's reader drops
	if len(body) > 0 && (contentType == "" || !known) && answer.StatusCode != 416 {
		t.Errorf("%s %s: the content type is %q, the description has %v", path, status, contentType, contents)
	}
	if answer.StatusCode >= 400 && answer.StatusCode != 416 {
		var e struct {
			Message, Detail string
			Code            any
			Status          int
		}
		if err := json.Unmarshal(body, &e); err != nil || contentType == "application/json" && e.Message == "" || contentType == "application/problem+json" && (e.Detail == "" || e.Status != answer.StatusCode) {
			t.Errorf("%s %s: %q is not an error body: %v", path, status, body, err)
		}
	}
}

const definition = "apiVersion: flink-entrypoint/v1\nname: clicks\n"

var jar = world.Jar(strings.Repeat("x", 10000))

func newService(t *testing.T) (*Service, *httptest.Server) {
	s := &Service{
		Jobs:      fstest.MapFS{"clicks.yaml": {Data: []byte(definition)}, "session.json": {Data: []byte(`{"apiVersion": "flink-entrypoint/v1", "name": "session"}`)}},
		Artifacts: fstest.MapFS{"udf-1.2.jar": {Data: jar}, "data.csv": {Data: []byte("a,b\n")}},
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

// A target is a service that the description holds for. It has the job clicks (definition), the job session (in JSON), and the artifacts
// udf-1.2.jar and data.csv, for callers with its token.
type target struct {
	url, token string
	definition func(id string) string // path of a job's definition
	artifacts  string                 // path above artifacts
	unknown    string                 // what it says of a job that does not exist
}

// path translates a path of the description.
func (g target) path(described string) string {
	if id, ok := strings.CutPrefix(described, "/jobs/"); ok {
		return g.definition(id)
	}
	return g.artifacts + strings.TrimPrefix(described, "/artifacts/")
}

// get requests a path of the description, and reports what the description does not say of the answer.
func (g target) get(t *testing.T, d description, path string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+g.path(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "r1")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Authorization", "Bearer "+g.token)
	for k, v := range header {
		req.Header.Set(k, v)
		if v == "" {
			req.Header.Del(k)
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if id := answer.Header.Get("X-Request-Id"); id != "r1" {
		t.Errorf("X-Request-Id is %q, want the id of the request", id)
	}
	d.check(t, path, answer, body)
	return answer, body
}

// exampleTarget is the service of this package.
func exampleTarget(t *testing.T) (target, *Service) {
	s, server := newService(t)
	s.Token = "t"
	return target{url: server.URL, token: s.Token, definition: func(id string) string { return "/jobs/" + id }, artifacts: "/artifacts/", unknown: "no job nothing"}, s
}

func TestAnswersAreAsDescribed(t *testing.T) {
	g, s := exampleTarget(t)
	contract(t, g)
	d := readDescription(t)
	for _, c := range []struct {
		path   string
		busy   time.Duration
		status int
	}{{"/jobs/clicks.yaml", 0, 200}, {"/jobs/clicks", 5 * time.Second, 503}, {"/artifacts/udf-1.2.jar", 5 * time.Second, 503}} {
		s.SetBusy(c.busy)
		answer, body := g.get(t, d, c.path, nil)
		if answer.StatusCode != c.status || c.busy > 0 && answer.Header.Get("Retry-After") != "5" {
			t.Errorf("%s: status %d, want %d: %v %s", c.path, answer.StatusCode, c.status, answer.Header, body)
		}
	}
}

// contract is what every service does, as the description says.
func contract(t *testing.T, g target) {
	d := readDescription(t)
	tagOf := func(path string) string {
		answer, body := g.get(t, d, path, nil)
		if tag := answer.Header.Get("ETag"); tag != "" {
			return tag
		}
		t.Fatalf("%s: no ETag: %d %s", path, answer.StatusCode, body)
		return ""
	}
	tag, jarTag := tagOf("/jobs/clicks"), tagOf("/artifacts/udf-1.2.jar")
	for _, c := range []struct {
		name, path string
		header     map[string]string // of the request; empty: without it
		status     int
		has        map[string]string // headers of the answer
		body       []byte            // nil: any
	}{
		{name: "definition", path: "/jobs/clicks", status: 200, has: map[string]string{"ETag": tag, "Content-Type": "application/yaml"}, body: []byte(definition)},
		{name: "JSON", path: "/jobs/session", status: 200, has: map[string]string{"Content-Type": "application/json"}},
		{name: "compressed", path: "/jobs/clicks", header: map[string]string{"Accept-Encoding": "gzip"}, status: 200, has: map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}},
		{name: "not compressed", path: "/jobs/clicks", header: map[string]string{"Accept-Encoding": "br"}, status: 200, has: map[string]string{"Content-Encoding": ""}, body: []byte(definition)},
		{name: "not modified", path: "/jobs/clicks", header: map[string]string{"If-None-Match": tag}, status: 304, has: map[string]string{"ETag": tag}, body: []byte{}},
		{name: "not modified, weakly", path: "/jobs/clicks", header: map[string]string{"If-None-Match": `"x", W/` + tag}, status: 304, body: []byte{}},
		{name: "modified", path: "/jobs/clicks", header: map[string]string{"If-None-Match": `"other"`}, status: 200, body: []byte(definition)},
		{name: "no such job", path: "/jobs/nothing", status: 404},
		{name: "a path out", path: "/jobs/..%2Fservice", status: 404},
		{name: "no token", path: "/jobs/clicks", header: map[string]string{"Authorization": ""}, status: 401, has: map[string]string{"WWW-Authenticate": "Bearer"}},
		{name: "another token", path: "/jobs/clicks", header: map[string]string{"Authorization": "Bearer x"}, status: 401, has: map[string]string{"WWW-Authenticate": "Bearer"}},
		{name: "artifact", path: "/artifacts/udf-1.2.jar", status: 200, has: map[string]string{"Content-Type": "application/java-archive", "Accept-Ranges": "bytes"}, body: jar},
		{name: "artifact that is not a jar", path: "/artifacts/data.csv", status: 200, has: map[string]string{"Content-Type": "application/octet-stream"}},
		{name: "rest of an artifact", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=100-", "If-Range": jarTag}, status: 206, body: jar[100:]},
		{name: "rest of another artifact", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=100-", "If-Range": `"other"`}, status: 200, body: jar},
		{name: "rest after the end", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=99999999-"}, status: 416},
		{name: "no such artifact", path: "/artifacts/nothing.jar", status: 404},
		{name: "artifact without a token", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Authorization": ""}, status: 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, body := g.get(t, d, c.path, c.header)
			if answer.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", answer.StatusCode, c.status, body)
			}
			for k, want := range c.has {
				if got := answer.Header.Get(k); got != want {
					t.Errorf("%s is %q, want %q", k, got, want)
				}
			}
			if c.body != nil && !bytes.Equal(body, c.body) {
				t.Errorf("another body, of %d bytes", len(body))
			}
			if digest := answer.Header.Get("Repr-Digest"); digest != "" && c.status == 200 {
				if sum := sha256.Sum256(body); digest != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
					t.Errorf("Repr-Digest is %s, which is not of the body", digest)
				}
			}
			if c.has["Content-Encoding"] == "gzip" {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err == nil {
					body, err = io.ReadAll(z)
				}
				if err != nil || string(body) != definition {
					t.Errorf("decompressed: %q %v", body, err)
				}
			}
		})
	}
}

// TestClient fetches from the service as a start does: definition, last good copy confirmed, artifact resumed.
func TestClient(t *testing.T) {
	g, s := exampleTarget(t)
	client := fetches(t, g)
	s.SetBusy(time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var e *fetch.Error
	if _, err := client(fetch.Options{}).Document(ctx, g.url+g.path("/jobs/clicks"), fetch.DocumentOptions{CacheFile: filepath.Join(t.TempDir(), "copy")}); !errors.As(err, &e) || !strings.Contains(err.Error(), "interrupted") && !e.Temporary() {
		t.Errorf("a busy service gives %v, want an error that a retry may repair", err)
	}
}

func fetches(t *testing.T, g target) (client func(fetch.Options) *fetch.Client) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(g.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client = func(o fetch.Options) *fetch.Client {
		o.Origin, o.TokenFile, o.Timeout = g.url, token, 10*time.Second
		c, err := fetch.New(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	url, options := g.url+g.path("/jobs/clicks"), fetch.DocumentOptions{CacheFile: filepath.Join(dir, "copy")}
	doc, err := client(fetch.Options{}).Document(t.Context(), url, options)
	if err != nil || doc.NotModified || string(doc.Bytes) != definition {
		t.Fatalf("%q, not modified: %v, %v", doc.Bytes, doc.NotModified, err)
	}
	if _, err := jobdef.Decode("clicks", doc.Bytes); err != nil {
		t.Error(err)
	}
	if doc, err = client(fetch.Options{}).Document(t.Context(), url, options); err != nil || !doc.NotModified || string(doc.Bytes) != definition {
		t.Errorf("the second time: %q, not modified: %v, %v", doc.Bytes, doc.NotModified, err)
	}

	content := jar
	place := filepath.Join(dir, "lib", "udf-1.2.jar")
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lib", ".udf-1.2.jar.part"), content[:4000], 0o600); err != nil { // of a start that was stopped
		t.Fatal(err)
	}
	item := fetch.Item{URI: g.url + g.path("/artifacts/udf-1.2.jar"), SHA256: fmt.Sprintf("%x", sha256.Sum256(content)), Root: dir, Path: place, Zip: true}
	for _, kept := range []bool{false, true} {
		results, err := client(fetch.Options{}).Artifacts(t.Context(), []fetch.Item{item}, nil)
		if err != nil || results[0].Kept != kept {
			t.Fatalf("%+v, want kept: %v, %v", results, kept, err)
		}
	}
	if got, err := os.ReadFile(place); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	var e *fetch.Error
	if _, err := client(fetch.Options{}).Document(t.Context(), g.url+g.path("/jobs/nothing"), fetch.DocumentOptions{}); !errors.As(err, &e) || e.Kind != fetch.KindNotFound || e.Body != g.unknown {
		t.Errorf("an unknown job gives %v", err)
	}
	return client
}

// TestFile serves one file and nothing beside it.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(definition), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(&Service{Jobs: File(filepath.Join(dir, "a.yaml"))})
	defer server.Close()
	for name, want := range map[string]int{"a.yaml": 200, "a": 200, "b.yaml": 404, "": 404} {
		answer, err := http.Get(server.URL + "/jobs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%q: status %d, want %d", name, answer.StatusCode, want)
		}
	}
}
