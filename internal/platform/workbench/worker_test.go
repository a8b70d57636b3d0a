package workbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// byWorker makes the tests of this program ask a worker instead of the workbench itself.
const byWorker = "TEST_WORKER"

const workerToken = "a-token-of-servers"

func tokenOf(text string) func() (string, error) { return func() (string, error) { return text, nil } }

// serve says which bench the fixture's test asks.
func (f *fixture) serve() {
	if f.bench = f.Workbench; os.Getenv(byWorker) != "" {
		f.bench = f.worker()
	}
}

// worker is a worker that has the fixture's workbench.
func (f *fixture) worker() *Worker {
	f.t.Helper()
	service, err := NewService(f.Workbench, tokenOf(workerToken), slog.New(slog.NewTextHandler(f.t.Output(), nil)))
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	f.t.Cleanup(server.Close)
	w, err := NewWorker("2.2", server.URL, tokenOf(workerToken))
	if err != nil {
		f.t.Fatal(err)
	}
	return w
}

func (f *fixture) Validate(ctx context.Context, s Script) ([]string, error) {
	return f.bench.Validate(ctx, s)
}

func (f *fixture) Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (End, error) {
	return f.bench.Debug(ctx, user, s, d, e)
}

func (f *fixture) Lineage(ctx context.Context, s Script) (Lineage, error) {
	return f.bench.Lineage(ctx, s)
}

func (f *fixture) CheckCatalog(ctx context.Context, s Script) error {
	return f.bench.CheckCatalog(ctx, s)
}

// TestByWorker executes the tests of the workbench against a worker.
func TestByWorker(t *testing.T) {
	if os.Getenv(byWorker) != "" {
		t.Skip("it is one")
	}
	skipped := "^(TestByWorker|TestWorker.*|TestRouted)$"
	if testing.Short() {
		skipped = "^(TestByWorker|TestWorker.*|TestRouted|TestTwentyPeople|TestInsideAWall)$"
	}
	c := exec.Command(os.Args[0], "-test.v", "-test.run", "^Test", "-test.skip", skipped, "-test.count=1", "-test.short="+fmt.Sprint(testing.Short()))
	c.Env = append(os.Environ(), byWorker+"=1")
	out, err := c.CombinedOutput()
	passed := strings.Count(string(out), "\n--- PASS: ")
	if err != nil || passed < 10 {
		t.Fatalf("%d tests passed, %v\n%s", passed, err, out)
	}
	t.Logf("%d tests", passed)
}

// TestWorkerIsAway: what answers in a wrong way, or does not, is a sentence that says so, and what to do.
func TestWorkerIsAway(t *testing.T) {
	right := func(version string, then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(versionHeader, version)
			then(w, r)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with the token %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"another server": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, "what answers (200 OK) is not a worker"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "what answers (307 Temporary Redirect) is not a worker"},
		"a wrong token":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "it does not take the server's token"},
		"a wrong version": {right("1.20.5", func(w http.ResponseWriter, r *http.Request) {}), "it has Flink 1.20.5"},
		"an error":        {right("2.2.1", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", 500) }), "it answers 500 Internal Server Error: broken"},
		"no JSON":         {right("2.2.1", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}\n<html>") }), "its answer cannot be read"},
		"half an answer":  {right("2.2.1", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}\n{\"que") }), "it has ended in the middle of its answer"},
		"a crash": {right("2.2.1", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{}\n")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}), "it has ended in the middle of its answer"},
		"always the same artifact": {right("2.2.1", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"end": {"failure": {"stored": ["a.jar"]}}}`)
		}), "it asks for artifacts again and again"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			w, err := NewWorker("2.2", server.URL, tokenOf("hunter2-hunter2-hunter2"))
			if err != nil {
				t.Fatal(err)
			}
			_, validate := w.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script)})
			_, lineage := w.Lineage(t.Context(), Script{Name: "job.sql", Source: []byte(script)})
			_, debug := w.Debug(t.Context(), "ada", Script{Name: "job.sql", Source: []byte(script)}, DebugOptions{}, Events{})
			for _, err := range []error{validate, lineage, debug, w.CheckCatalog(t.Context(), Script{Name: "job.sql"})} {
				away, ok := errors.AsType[*Away](err)
				if !ok || !strings.HasPrefix(err.Error(), "the worker for Flink 2.2 cannot be used: ") || !strings.Contains(err.Error(), c.want) || away.Hint() == "" || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v", err)
				}
			}
		})
	}
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	w, err := NewWorker("2.2", away.URL, tokenOf(workerToken))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script)}); err == nil || !strings.Contains(err.Error(), "it does not answer: ") {
		t.Error(err)
	}
	if s := w.state(); s.Flink != "2.2" || !strings.Contains(s.Reason, "it does not answer") {
		t.Errorf("%+v", s)
	}
	for _, address := range []string{"", "worker:8089", "ftp://worker", "http://user:secret@worker", "http://worker?token=x", "http://"} {
		if _, err := NewWorker("2.2", address, tokenOf(workerToken)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := NewWorker("two", "http://worker", tokenOf(workerToken)); err == nil {
		t.Error("a worker for the version two")
	}
}

// TestWorkerNeedsToken at everything but its probes; and it takes nothing else than what it is for.
func TestWorkerNeedsToken(t *testing.T) {
	f := open(t, Options{})
	service, err := NewService(f.Workbench, tokenOf(workerToken), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	defer server.Close()
	content := strings.Repeat("a jar", 1000)
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	ask := func(method, path, token, body string) int {
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const at = "/v1/workbench/"
	for _, c := range []struct {
		method, path, token, body string
		want                      int
	}{
		{"GET", "/healthz", "", "", 200}, {"GET", "/readyz", "", "", 200},
		{"GET", at + "state", "", "", 401}, {"GET", at + "state", workerToken + "x", "", 401}, {"GET", at + "state", workerToken, "", 200},
		{"POST", at + "debug", "", "{}", 401}, {"POST", at + "debug", workerToken, "<html>", 400}, {"GET", at + "debug", workerToken, "", 405}, {"POST", at + "anything", workerToken, "{}", 404},
		{"PUT", at + "artifacts/" + digest, "", content, 401}, {"HEAD", at + "artifacts/" + digest, workerToken, "", 404},
		{"PUT", at + "artifacts/" + digest, workerToken, content + "x", 422}, {"HEAD", at + "artifacts/" + digest, workerToken, "", 404},
		{"PUT", at + "artifacts/..%2fx", workerToken, content, 400},
		{"PUT", at + "artifacts/" + digest, workerToken, content, 204}, {"HEAD", at + "artifacts/" + digest, workerToken, "", 200},
	} {
		if got := ask(c.method, c.path, c.token, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(service.dir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != digest {
		t.Errorf("%v, %v", left, err)
	}
}

// TestWorkerEndsWithItsCaller: a run ends when its server goes away, also in the middle.
func TestWorkerEndsWithItsCaller(t *testing.T) {
	f := open(t, Options{Warm: 1})
	f.ready(1)
	f.bench = f.worker()
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := f.debug(ctx, "ada", script+"-- FOREVER", cancel)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f.until("the run has ended", func() bool { return f.State().Running == 0 })
}

// TestRouted: the version that a definition names says who gets it.
func TestRouted(t *testing.T) {
	f := open(t, Options{})
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set(versionHeader, "1.20.5")
		if strings.HasSuffix(r.URL.Path, "state") {
			io.WriteString(w, `{"Warm": 3}`)
			return
		}
		io.WriteString(w, `{"end": {"warnings": ["by the worker"]}}`)
	}))
	defer server.Close()
	w, err := NewWorker("1.20", server.URL, tokenOf(workerToken))
	if err != nil {
		t.Fatal(err)
	}
	definition := func(version string) Script {
		return Script{Name: "job.yaml", Source: []byte("apiVersion: flink-entrypoint/v1\nname: a\n" + version + "sql:\n  script: |\n    " + strings.ReplaceAll(script, "\n", "\n    ") + "\n")}
	}
	r := Routed{Own: f.Workbench, Workers: []*Worker{w}}
	for version, byWorker := range map[string]bool{"": false, "flinkVersion: \"2.2\"\n": false, "flinkVersion: \"1.20\"\n": true} {
		before := asked.Load()
		warnings, err := r.Validate(t.Context(), definition(version))
		if err != nil || (asked.Load() > before) != byWorker || byWorker && len(warnings) != 1 {
			t.Errorf("%q: %v, %v", version, warnings, err)
		}
	}
	if got := r.VersionOf(definition("flinkVersion: \"1.20\"\n")); got != "1.20.5" {
		t.Error(got)
	}
	if s := r.State(); s.Flink != "2.2.1" || fmt.Sprint(s.Versions) != "[2.2.1 1.20.5]" || len(s.Workers) != 1 || s.Workers[0].State.Warm != 3 || s.Workers[0].Reason != "" {
		t.Errorf("%+v", s)
	}
	r.Own = nil
	if warnings, err := r.Validate(t.Context(), definition("")); err != nil || len(warnings) != 1 {
		t.Errorf("without a workbench of its own: %v, %v", warnings, err)
	}
	if s := r.State(); s.Flink != "1.20.5" || s.Warm != 3 || fmt.Sprint(s.Versions) != "[1.20.5]" {
		t.Errorf("%+v", s)
	}
	server.Close()
	if s := r.State(); s.Workers[0].Reason == "" || s.Flink != "1.20.5" {
		t.Errorf("%+v", s)
	}
	if _, err := r.Validate(t.Context(), definition("")); err == nil {
		t.Error("a worker that is away has answered")
	}
}
