package fetch_test

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	search "flink-entrypoint/test/canary"
	"flink-entrypoint/test/faultserver"
)

// echoAll runs each secret in each spelling at each place, which takes minutes; without it each pair of spelling and place has one secret.
var echoAll = flag.Bool("echo-all", false, "let servers repeat every secret in every spelling at every place")

func startEcho(t *testing.T) *faultserver.Echo {
	t.Helper()
	e, err := faultserver.StartEcho()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// echoSecrets are what a request carries.
func echoSecrets() map[string]string {
	out := map[string]string{
		"token": "tk0Kq1Wx2Zc3v/Bn4Ml5+Pj6==", "odd token": "uT9rE8wQ7:yX6?cV5#bN4@mK3&jH2%gF1[dS0", "header": `hD7f"Gh6j\Kl5'zX4 cV3bN2m`,
		"password": "pW3o/eIr4:uty5@lkJ6#hg?fd s7+", "user": "uS8eRn9aMe0q", "user alone": "gHp_x7Yz8Kw9Qv1B", "query": "qR4z&sT5y=uV6x wW7v+Z/8",
	}
	out["basic"] = base64.StdEncoding.EncodeToString([]byte(out["user"] + ":" + out["password"]))
	return out
}

// shown is all that a fetch has put out: its log, its warnings, and its error with the causes.
func shown(log *logBuffer, err error, results ...any) string {
	out := log.String() + fmt.Sprint(results...)
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		out += fmt.Sprintf("\n%v", cause)
	}
	if e := (*fetch.Error)(nil); errors.As(err, &e) {
		out += "\n" + e.Hint + "\n" + e.Body
	}
	return out
}

// TestServersThatRepeatSecrets: a token, header, password, user or query value that a service repeats anywhere in its answer, in whatever
// spelling, whole or in part, is in no message and in no log line.
func TestServersThatRepeatSecrets(t *testing.T) {
	s, secrets := startEcho(t), echoSecrets()
	type job struct{ what, place, spelling, answer string }
	jobs := make(chan job)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			step, dir := "w"+strconv.Itoa(worker), t.TempDir()
			for j := range jobs {
				s.Answer(step, j.answer)
				token, user := secrets["token"], url.UserPassword(secrets["user"], secrets["password"])
				switch j.what {
				case "odd token":
					token = secrets["odd token"]
				case "user alone":
					user = url.User(secrets["user alone"])
				}
				file := filepath.Join(dir, "token")
				if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
					t.Error(err)
				}
				for _, kind := range []string{"document", "artifact"} {
					var log logBuffer
					o := fetch.Options{Timeout: 20 * time.Millisecond, Logger: debugLog(&log), Retry: fetch.Schedule{Base: time.Millisecond, Cap: 2 * time.Millisecond},
						Headers: []fetch.Header{secretHeader("X-Tenant", secrets["header"])}, TokenFile: file, Origin: "http://" + s.Address}
					if strings.HasPrefix(j.what, "user") || j.what == "basic" || j.what == "password" {
						o.TokenFile = "" // which would win over the user
					}
					c, err := fetch.New(o)
					if err != nil {
						t.Error(err)
						continue
					}
					uri := "http://" + user.String() + "@" + s.Address + "/" + step + "/x?id=7&sig=" + url.QueryEscape(secrets["query"])
					out := ""
					if kind == "document" {
						file := filepath.Join(dir, "copy")
						_ = os.Remove(file)
						doc, err := c.Document(context.Background(), uri, fetch.DocumentOptions{CacheFile: file})
						if copied, readErr := os.ReadFile(file); readErr == nil {
							head, _, _ := strings.Cut(string(copied), "\n")
							doc.Warnings = append(doc.Warnings, head)
						}
						out = shown(&log, err, doc.URI, doc.Warnings)
					} else {
						results, err := c.Artifacts(context.Background(), []fetch.Item{{URI: uri, Root: dir, Path: filepath.Join(dir, "a.jar"), Zip: true}}, nil)
						out = shown(&log, err, results)
					}
					for name, v := range secrets {
						if piece := search.Shows(out, v); piece != "" {
							t.Errorf("%s, %s, %s of %s: shows %q of %s:\n%s", kind, j.place, j.spelling, j.what, piece, name, out)
							break
						}
					}
				}
			}
		})
	}
	names, n := slices.Sorted(maps.Keys(secrets)), 0
	replies := faultserver.Replies()
	for p, place := range slices.Sorted(maps.Keys(replies)) {
		for q, spelling := range slices.Sorted(maps.Keys(faultserver.Spellings("12345678"))) {
			if testing.Short() && (p+q)%11 != 0 {
				continue
			}
			for i, what := range names {
				if n%len(names) == i || *echoAll {
					jobs <- job{what, place, spelling, replies[place](faultserver.Spellings(secrets[what])[spelling])}
				}
			}
			n++
		}
		n++ // else each spelling would meet the same secrets where the numbers have a common divisor
	}
	close(jobs)
	group.Wait()
}

// TestTargetsOfRedirects: where a service redirects to is a secret too, when the URL is signed; with parameters of any name.
func TestTargetsOfRedirects(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	const signature, user, password = "sgKq1Wx2Zc3vBn4Ml5", "rdUs8eRn9aMe0q", "rdPw3oeIr4uty5"
	for name, location := range map[string]string{
		"signed, 404":          "http://ADDRESS/404/x?st=" + signature + "&e=1767225600&X-Goog-Signature=" + signature,
		"signed, relative":     "/404/x?" + signature,
		"signed, a loop":       "/loop/x?h=" + signature,
		"signed, closed":       "http://ADDRESS/nothing?h=" + signature,
		"signed, refused":      "http://127.0.0.1:1/x?h=" + signature,
		"signed, another one":  "ftp://h/x?h=" + signature,
		"signed, not valid":    "http://ADDRESS:port/?h=" + signature,
		"signed, broken":       "http://ADDRESS/%zz?h=" + signature,
		"fragment":             "/404/x#" + signature,
		"password":             "http://" + user + ":" + password + "@ADDRESS/404/x",
		"password, refused":    "http://" + user + ":" + password + "@127.0.0.1:1/x",
		"password, not a URL":  "http://" + user + ":" + password + "%zz@ADDRESS/404/x",
		"password, other":      "s3://" + user + ":" + password + "@bucket/x?h=" + signature,
		"password, no escapes": "http://" + user + ":" + password + "#/@ADDRESS/404/x",
	} {
		step := strings.NewReplacer(" ", "", ",", "").Replace(name)
		s.Answer(step, "HTTP/1.1 302 x\r\nLocation: "+location+"\r\nContent-Length: 0\r\n\r\n")
		var log logBuffer
		var learned []string
		c, err := fetch.New(fetch.Options{Timeout: 100 * time.Millisecond, Logger: debugLog(&log), Retry: fetch.Schedule{Base: time.Millisecond, Cap: 2 * time.Millisecond},
			Learn: func(s ...string) { learned = append(learned, s...) }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Document(context.Background(), "http://"+s.Address+"/"+step, fetch.DocumentOptions{})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		out := shown(&log, err)
		for _, v := range []string{signature, user, password} {
			if piece := search.Shows(out, v); piece != "" {
				t.Errorf("%s shows %q:\n%s", name, piece, out)
			}
		}
		if strings.HasPrefix(name, "password") && !strings.Contains(name, "not") && !strings.Contains(name, "no escapes") && !slices.Contains(learned, password) {
			t.Errorf("%s: what was learned for later is %q, want the password", name, learned)
		}
	}
}

// TestATokenThatWasReplaced: each token that was read at an attempt is a secret, also when a later answer repeats an earlier one.
func TestATokenThatWasReplaced(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	first := ""
	s.AnswerWith("x", func(r *http.Request) string {
		if first == "" {
			first = r.Header.Get("Authorization")
			return "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"
		}
		return fmt.Sprintf("HTTP/1.1 400 x\r\nContent-Length: %d\r\n\r\n%s", len(first)-len("Bearer "), strings.TrimPrefix(first, "Bearer "))
	})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("first-token-Kq1Wx2Zc3v")
	var log logBuffer
	var learned []string
	o := quick(fetch.Options{Logger: debugLog(&log), TokenFile: file, Learn: func(s ...string) { learned = append(learned, s...) },
		Rand: func() float64 { write("second-token-Bn4Ml5Pj6"); return 0 }})
	_, err := newClient(t, o).Document(context.Background(), "http://"+s.Address+"/x", fetch.DocumentOptions{})
	if out := shown(&log, err); search.Shows(out, "first-token-Kq1Wx2Zc3v") != "" || !strings.Contains(out, "******") {
		t.Errorf("the first token is shown, or nothing was answered:\n%s", out)
	}
	if !slices.Contains(learned, "first-token-Kq1Wx2Zc3v") || !slices.Contains(learned, "second-token-Bn4Ml5Pj6") {
		t.Errorf("the tokens %q were learned, want both", learned)
	}
}

// TestShortCredentials: what is too short to be looked for anywhere is masked as a word, and at the places of credentials.
func TestShortCredentials(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	for text, want := range map[string]string{
		"no access with ab1 or Bearer k7":         "no access with ****** or Bearer ******",
		"GET http://u:pw@h/x?token=k7&id=7":       "GET http://******@h/x?token=******&id=7",
		"lab1 and ab12 are not it":                "lab1 and ab12 are not it",
		`{"detail": "token: k7, sig=k7 \"ab1\""}`: `token: ******, sig=k7 "******"`,
		`found %61b1`: `found ******`,
	} {
		s.Answer("x", fmt.Sprintf("HTTP/1.1 400 x\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		o := quick(fetch.Options{TokenFile: writeFile(t, "token", []byte("k7")), Headers: []fetch.Header{secretHeader("X-A", "ab1")}})
		_, err := newClient(t, o).Document(context.Background(), "http://u:pw@"+s.Address+"/x?token=k7", fetch.DocumentOptions{})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Body != want {
			t.Errorf("%s is shown as %v, want %s", text, err, want)
		}
	}
}

// TestProxiesThatRepeatTheirPassword: a proxy's own error page, and its answer to CONNECT.
func TestProxiesThatRepeatTheirPassword(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	const user, password = "pxUs8eRn9aMe0q", "pxPw3o/eIr4:uty5"
	replies, n := faultserver.Replies(), 0
	secrets := []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), user}
	for _, place := range slices.Sorted(maps.Keys(replies)) {
		for _, scheme := range []string{"http", "https"} {
			for i, text := range secrets {
				if n++; (n+n/len(secrets))%len(secrets) != 0 && !*echoAll {
					continue // one of them
				}
				reply := replies[place]
				s.Answer("", reply(text)) // CONNECT has no path
				s.Answer("x", reply(text))
				var log logBuffer
				proxy := "http://" + url.UserPassword(user, password).String() + "@" + s.Address
				o := fetch.Options{Timeout: 20 * time.Millisecond, Logger: debugLog(&log), Retry: fetch.Schedule{Base: time.Millisecond, Cap: 2 * time.Millisecond},
					Proxy: proxies(map[string]string{"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}), Env: func(string) string { return proxy }}
				_, err := newClient(t, o).Document(context.Background(), scheme+"://jobs.test/x", fetch.DocumentOptions{})
				out := shown(&log, err)
				for _, v := range secrets {
					if piece := search.Shows(out, v); piece != "" {
						t.Errorf("%s, %s, secret %d: %q is shown:\n%s", scheme, place, i, piece, out)
					}
				}
			}
		}
	}
}
