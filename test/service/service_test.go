package service

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
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

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
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
	f, err := confpatch.Parse("definition-service.yaml", confpatch.Standard, flinkconf.Version{Major: 2, Minor: 2}, src)
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
			Message string
			Code    any
		}
		if err := json.Unmarshal(body, &e); err != nil || e.Message == "" {
			t.Errorf("%s %s: %q is no error body: %v", path, status, body, err)
		}
	}
}

const definition = "apiVersion: flink-entrypoint/v1\nname: clicks\n"

// jar is a small zip file.
func jar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "a", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("x"), 10000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newService(t *testing.T) (*Service, *httptest.Server) {
	s := &Service{
		Jobs:      fstest.MapFS{"clicks.yaml": {Data: []byte(definition)}, "session.json": {Data: []byte(`{"apiVersion": "flink-entrypoint/v1", "name": "session"}`)}},
		Artifacts: fstest.MapFS{"udf-1.2.jar": {Data: jar(t)}, "data.csv": {Data: []byte("a,b\n")}},
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

func TestAnswersAreAsDescribed(t *testing.T) {
	d := readDescription(t)
	tag := etag([]byte(definition))
	for _, c := range []struct {
		name, path string
		header     map[string]string
		token      string
		busy       time.Duration
		status     int
		has        map[string]string // headers of the answer
	}{
		{name: "definition", path: "/jobs/clicks", status: 200, has: map[string]string{"ETag": tag, "X-Request-Id": "r1", "Content-Type": "application/yaml"}},
		{name: "definition by file name", path: "/jobs/clicks.yaml", status: 200},
		{name: "JSON", path: "/jobs/session", status: 200, has: map[string]string{"Content-Type": "application/json"}},
		{name: "compressed", path: "/jobs/clicks", header: map[string]string{"Accept-Encoding": "gzip"}, status: 200, has: map[string]string{"Content-Encoding": "gzip"}},
		{name: "not modified", path: "/jobs/clicks", header: map[string]string{"If-None-Match": tag}, status: 304, has: map[string]string{"ETag": tag}},
		{name: "not modified, weakly", path: "/jobs/clicks", header: map[string]string{"If-None-Match": `"x", W/` + tag}, status: 304},
		{name: "modified", path: "/jobs/clicks", header: map[string]string{"If-None-Match": `"other"`}, status: 200},
		{name: "no such job", path: "/jobs/nothing", status: 404},
		{name: "a path out", path: "/jobs/..%2Fservice", status: 404},
		{name: "no token", path: "/jobs/clicks", token: "t", status: 401, has: map[string]string{"WWW-Authenticate": "Bearer"}},
		{name: "another token", path: "/jobs/clicks", header: map[string]string{"Authorization": "Bearer x"}, token: "t", status: 401},
		{name: "the token", path: "/jobs/clicks", header: map[string]string{"Authorization": "Bearer t"}, token: "t", status: 200},
		{name: "busy", path: "/jobs/clicks", busy: 5 * time.Second, status: 503, has: map[string]string{"Retry-After": "5"}},
		{name: "artifact", path: "/artifacts/udf-1.2.jar", status: 200, has: map[string]string{"Content-Type": "application/java-archive", "Accept-Ranges": "bytes", "X-Request-Id": "r1"}},
		{name: "artifact that is no jar", path: "/artifacts/data.csv", status: 200, has: map[string]string{"Content-Type": "application/octet-stream"}},
		{name: "rest of an artifact", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=100-", "If-Range": etag(jar(t))}, status: 206},
		{name: "rest of another artifact", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=100-", "If-Range": `"other"`}, status: 200},
		{name: "rest behind the end", path: "/artifacts/udf-1.2.jar", header: map[string]string{"Range": "bytes=99999999-"}, status: 416},
		{name: "no such artifact", path: "/artifacts/nothing.jar", status: 404},
		{name: "artifact without a token", path: "/artifacts/udf-1.2.jar", token: "t", status: 401},
		{name: "artifact, busy", path: "/artifacts/udf-1.2.jar", busy: time.Second, status: 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, server := newService(t)
			s.Token = c.token
			s.SetBusy(c.busy)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Request-Id", "r1")
			req.Header.Set("Accept-Encoding", "identity")
			for k, v := range c.header {
				req.Header.Set(k, v)
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
			if answer.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", answer.StatusCode, c.status, body)
			}
			for k, want := range c.has {
				if got := answer.Header.Get(k); got != want {
					t.Errorf("%s is %q, want %q", k, got, want)
				}
			}
			d.check(t, c.path, answer, body)
		})
	}
}

// TestClient fetches from the service as a start does: definition, last good copy confirmed, artifact resumed.
func TestClient(t *testing.T) {
	s, server := newService(t)
	dir := t.TempDir()
	s.Token = "t"
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := func(o fetch.Options) *fetch.Client {
		o.Origin, o.TokenFile, o.Timeout = server.URL, token, 10*time.Second
		c, err := fetch.New(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	url, options := server.URL+"/jobs/clicks", fetch.DocumentOptions{CacheFile: filepath.Join(dir, "copy")}
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

	content := jar(t)
	place := filepath.Join(dir, "lib", "udf-1.2.jar")
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lib", ".udf-1.2.jar.part"), content[:4000], 0o600); err != nil { // of a start that was stopped
		t.Fatal(err)
	}
	item := fetch.Item{URI: server.URL + "/artifacts/udf-1.2.jar", SHA256: fmt.Sprintf("%x", sha256.Sum256(content)), Root: dir, Path: place, Zip: true}
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
	if _, err := client(fetch.Options{}).Document(t.Context(), server.URL+"/jobs/nothing", fetch.DocumentOptions{}); !errors.As(err, &e) || e.Kind != fetch.KindNotFound || e.Body != "no job nothing" {
		t.Errorf("an unknown job gives %v", err)
	}
	s.SetBusy(time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := client(fetch.Options{}).Document(ctx, url, fetch.DocumentOptions{}); !errors.As(err, &e) || !strings.Contains(err.Error(), "interrupted") && !e.Temporary() {
		t.Errorf("a busy service gives %v, want an error that a retry may mend", err)
	}
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
