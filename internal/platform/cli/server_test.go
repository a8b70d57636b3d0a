package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/store"
)

// TestLifetimes: flags of what is kept, as people write them.
func TestLifetimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * store.Day, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "forever": -1,
		"": 0, "0": 0, "-1d": 0, "0d": 0, "30": 0, "1.5d": 0, "9999999d": 0} {
		var l lifetime
		if err := l.Set(text); (err == nil) != (want != 0) || time.Duration(l) != want {
			t.Errorf("%q: %v, %v, want %v", text, time.Duration(l), err, want)
		}
		if again := lifetime(0); want != 0 && (again.Set(l.String()) != nil || again != l) {
			t.Errorf("%q is shown as %q, which is %v", text, l.String(), time.Duration(again))
		}
	}
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	serveFlags(f)
	if err := f.Parse([]string{"--keep-logs", "2d", "--keep-audit=forever"}); err != nil {
		t.Fatal(err)
	}
	want := store.Lifetimes{Logs: 2 * store.Day, Audit: -1}.WithDefaults()
	if got := (&call{flags: f}).keep(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestLogIsMasked: what looks like a secret is not in the server's log, in both of its forms, and JSON stays JSON.
func TestLogIsMasked(t *testing.T) {
	token := "fp_" + strings.Repeat("Ab3-_", 9)[:43]
	for _, format := range []string{"text", "json"} {
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		serveFlags(f)
		if err := f.Parse([]string{"--log-format", format}); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		log, err := (&call{flags: f, stderr: &b}).logger()
		if err != nil {
			t.Fatal(err)
		}
		log.Error("request failed", "error", errors.New(`jdbc:x://u:hunter2@h with "password":"hunter2", password="hunter2 x" and token=hunter2`), "header", "Bearer "+token, "path", "/v1/jobs/"+token)
		if text := b.String(); strings.Contains(text, "hunter2") || strings.Contains(text, token) || !strings.Contains(text, "request failed") {
			t.Errorf("%s: %s", format, text)
		}
		if format == "json" && !json.Valid(b.Bytes()) {
			t.Errorf("%s is not JSON", &b)
		}
	}
}

// TestFirstToken: a token is made in the store of a server that is not running: with a secret of its own, or with one from a file, again and again.
func TestFirstToken(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("fp_"+strings.Repeat("Ab3-_", 9)[:43]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		code   int
		stdout string // a part, "" for nothing
		stderr string
	}{
		{[]string{"admin", "--role", "admin", "--data-dir", data, "--secret-file", file}, 0, "", ""},
		{[]string{"admin", "--role", "admin", "--data-dir", data, "--secret-file", file}, 0, "", ""},
		{[]string{"ann", "--role", "edit", "--data-dir", data}, 0, "fp_", ""},
		{[]string{"ann", "--role", "edit", "--data-dir", data}, 28, "", "there is a token ann"},
		{[]string{"bob", "--team", "Web.1", "--data-dir", data}, 20, "", `"Web.1" is not a name of a team, expected small letters, digits and hyphens, at most 63`},
		{[]string{"ann", "--role", "root", "--data-dir", data}, 20, "", `unknown role "root", expected view, edit or admin`},
		{[]string{"An n", "--data-dir", data}, 20, "", `"An n" is not a name of a token`},
		{[]string{"admin", "--role", "admin", "--data-dir", data, "--secret-file", short}, 20, "", "has no secret of a token, expected fp_ and 43 or more"},
		{[]string{"admin", "--role", "admin", "--data-dir", data, "--secret-file", filepath.Join(dir, "none")}, 20, "", "no such file"},
		{[]string{"admin", "--secret-file", file}, 20, "", "--secret-file needs --data-dir"},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"flink-platform", "token", "make"}, c.args...), nil, nil, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || c.stdout == "" && stdout.Len() > 0 || !strings.Contains(stderr.String(), c.stderr) || strings.Contains(stderr.String(), "hunter2") {
			t.Errorf("%v: %d\n%s%s", c.args, code, stdout.String(), stderr.String())
		}
	}
}

// TestUsage: a wrong command line is refused with what was found, what is expected, and where the help is; a variable without a flag is named.
func TestUsage(t *testing.T) {
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"title": "Unauthorized", "status": 401, "detail": "a bearer token is needed", "hint": "Authorization: Bearer TOKEN"}`))
	}))
	defer closed.Close()
	for _, c := range []struct {
		args, env, want []string
		code            int
	}{
		{[]string{"jobs", "extra"}, nil, []string{"error: found extra after jobs, expected: flink-platform jobs\n", "hint: flink-platform help jobs\n"}, 20},
		{[]string{"catalog", "put", "x"}, nil, []string{"found x after catalog put, expected: flink-platform catalog put NAME FILE", "hint: flink-platform help catalog put\n"}, 20},
		{[]string{"submit"}, nil, []string{"found no word after submit, expected: flink-platform submit FILE [NAME]"}, 20},
		{[]string{"jobs", "--token-file", "server_test.go"}, nil, []string{"error: --token-file server_test.go has no token, expected one line that begins with fp_\n"}, 20},
		{[]string{"jobs", "--token-file", os.DevNull}, nil, []string{"error: --token-file /dev/null has no token"}, 20},
		{[]string{"jobs", "--server", closed.URL}, nil, []string{"error: a bearer token is needed\nhint: --token-file FILE (or FLINK_PLATFORM_TOKEN_FILE) is a file with a token"}, 23},
		{[]string{"jobs", "--server", "nonsense"}, nil, []string{`--server is "nonsense", expected a URL such as http://127.0.0.1:8088`}, 20},
		{[]string{"versions"}, nil, []string{`unknown command "versions" (did you mean version?)`}, 20},
		{[]string{"help"}, []string{"FLINK_PLATFORM_SERVER=x"}, nil, 0},
		{[]string{"jobs", "extra"}, []string{"FLINK_PLATFORM_KEEP_RUNS=1d", "FLINK_PLATFORM_SERVICE_HOST=10.0.0.1", "FLINK_PLATFORM_PORT_8088_TCP=x", "FLINK_PLATFORM_KEEP_RUN=1d"},
			[]string{"warning: FLINK_PLATFORM_KEEP_RUN has no effect: no command has such a flag\nerror: "}, 20},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"flink-platform"}, c.args...), c.env, nil, &stdout, &stderr)
		for _, want := range c.want {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: %q is not in:\n%s", c.args, want, stderr.String())
			}
		}
		if code != c.code || strings.Count(stderr.String(), "warning") > 1 {
			t.Errorf("%v: %d\n%s", c.args, code, stderr.String())
		}
	}
}

// TestWait: start --wait ends with the run, and also when the run is parked: then only a person can go on with it. A reason of two lines stays together.
func TestWait(t *testing.T) {
	for _, c := range []struct {
		name, outcome, condition, text string
		code                           int
		stdout, stderr                 string
	}{
		{"finished", "finished", "", "all jobs finished", 0, "all jobs finished  [driver]\n", ""},
		{"failed", "failed", "", "failed: no jar\nhint: bring it", 24, "failed: no jar\n               hint: bring it  [driver]\n", "error: run r1 of clicks is failed: no jar"},
		{"parked", "", "parked", "parked: no savepoint", 24, "accept (parked)", "error: run r1 of clicks is parked: no savepoint (flink-platform resolve clicks --as empty, or stop clicks)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := map[string]any{"id": "r1", "job": "clicks", "version": 1, "queue": "accept", "condition": c.condition, "outcome": c.outcome, "reason": "no jar"}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/jobs/clicks/events" {
					json.NewEncoder(w).Encode(run)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				for i, e := range []map[string]any{{"run": "r0", "queue": "accept", "condition": "parked", "text": "parked: of another run"}, {"run": "r1", "queue": "accept", "condition": c.condition, "outcome": c.outcome, "evidence": "driver", "text": c.text}} {
					e["id"] = i + 1
					b, err := json.Marshal(e)
					if err != nil {
						t.Error(err)
					}
					fmt.Fprintf(w, "data: %s\n\n", b)
				}
				w.(http.Flusher).Flush()
				<-r.Context().Done() // as a run that goes on
			}))
			defer s.Close()
			var stdout, stderr bytes.Buffer
			code := Main([]string{"flink-platform", "start", "clicks", "--wait", "--server", s.URL}, nil, nil, &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.HasPrefix(stderr.String(), c.stderr) || strings.Contains(stdout.String(), "of another run") {
				t.Errorf("%d, expected %d\n%s%s", code, c.code, stdout.String(), stderr.String())
			}
		})
	}
}

// TestVersion: the program says which version it is, to people and to programs.
func TestVersion(t *testing.T) {
	release = "v1.2.3"
	defer func() { release = "" }()
	for _, c := range []struct {
		args []string
		want string
	}{{[]string{"version"}, "flink-platform v1.2.3 go"}, {[]string{"--version"}, "flink-platform v1.2.3 go"}, {[]string{"version", "--output", "json"}, `"version": "v1.2.3"`}} {
		var stdout, stderr bytes.Buffer
		if code := Main(append([]string{"flink-platform"}, c.args...), nil, nil, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), c.want) {
			t.Errorf("%v: %d\n%s%s", c.args, code, stdout.String(), stderr.String())
		}
	}
}
