package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/test/faultserver"
)

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestLastGoodCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds: leave out -short")
	}
	t.Parallel()
	s := start(t, "ok-once", definition) // an answer with an ETag, then 503 for ever
	file := filepath.Join(t.TempDir(), "new", "copy")
	opts := fetch.DocumentOptions{CacheFile: file}
	doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, opts)
	if err != nil || doc.Cached || doc.SHA256 != sum(definition) || doc.ContentType != "application/yaml" {
		t.Fatalf("first: %+v, %v", doc, err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v, %v, want mode 0600", st, err)
	}
	if got := entries(t, filepath.Dir(file)); len(got) != 1 {
		t.Errorf("files beside the copy: %q", got)
	}

	down := fetch.Options{Timeout: 5 * time.Second}
	began := time.Now()
	doc, err = newClient(t, down).Document(context.Background(), s.URL, opts)
	if err != nil || !doc.Cached || doc.NotModified || !bytes.Equal(doc.Bytes, definition) || doc.SHA256 != sum(definition) || doc.ContentType != "application/yaml" {
		t.Fatalf("service down: %+v, %v", doc, err)
	}
	if len(doc.Warnings) != 1 || !strings.Contains(doc.Warnings[0], "using the last good copy") || !strings.Contains(doc.Warnings[0], "503") {
		t.Errorf("warnings %q", doc.Warnings)
	}
	if d := time.Since(began); d < down.Timeout/4 || d >= down.Timeout { // it ends a little before, where no other attempt fits in
		t.Errorf("took %s: the service should get half of the time", d)
	}
	down.Timeout = 500 * time.Millisecond
	// The pinned digest decides about the copy too.
	opts.SHA256 = strings.ToUpper(sum(definition))
	if doc, err = newClient(t, down).Document(context.Background(), s.URL, opts); err != nil || !doc.Cached {
		t.Errorf("pinned to the copy: %+v, %v", doc, err)
	}
	opts.SHA256 = otherSHA256
	if doc, err = newClient(t, down).Document(context.Background(), s.URL, opts); err == nil {
		t.Errorf("pinned to another version, but got the copy: %+v", doc)
	}
	// A copy serves its own URI only.
	opts.SHA256 = ""
	if doc, err = newClient(t, down).Document(context.Background(), s.URL+"?id=8", opts); err == nil {
		t.Errorf("another URI got this copy: %+v", doc)
	}
}

// TestCopyIsNotUsedWhenTheServiceAnswers: a refusal is an answer.
func TestCopyIsNotUsedWhenTheServiceAnswers(t *testing.T) {
	t.Parallel()
	for behaviour, kind := range map[string]fetch.Kind{"status-404": fetch.KindNotFound, "status-401": fetch.KindStatus, "html-login": fetch.KindHTML, "tls-expired": fetch.KindTLS, "gzip-header": fetch.KindGzip} {
		s := start(t, behaviour, definition)
		file := copyFor(t, s.URL)
		o := fetch.Options{}
		if strings.HasPrefix(s.URL, "https") {
			trust(t, s, &o)
		}
		_, err := newClient(t, o).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
	for _, behaviour := range []string{"refused", "closes", "truncated", "always-503", "header-hang"} {
		s := start(t, behaviour, definition)
		doc, err := newClient(t, fetch.Options{Timeout: 500 * time.Millisecond}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: copyFor(t, s.URL)})
		if err != nil || !doc.Cached {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
}

// keyOf is the key of a request without credentials and headers.
func keyOf(t *testing.T, salt, uri string) string {
	t.Helper()
	text, err := json.Marshal([]string{salt, uri, "", "", ""})
	if err != nil {
		t.Fatal(err)
	}
	return sum(text)
}

// copyFor makes a last good copy of a URI as an earlier start would have left it.
func copyFor(t *testing.T, uri string) string {
	t.Helper()
	s := start(t, "ok-etag", definition)
	file := filepath.Join(t.TempDir(), "copy")
	if _, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	salt := string(regexp.MustCompile(`"salt":"([0-9a-f]+)"`).FindSubmatch(b)[1])
	b = bytes.Replace(b, []byte(keyOf(t, salt, s.URL)), []byte(keyOf(t, salt, uri)), 1)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestETagSavesTheTransferAndTheWrite(t *testing.T) {
	s := start(t, "ok-etag", definition)
	file := filepath.Join(t.TempDir(), "copy")
	for i, notModified := range []bool{false, true, true} {
		if i > 0 {
			if err := os.Chtimes(file, time.Unix(1000, 0), time.Unix(1000, 0)); err != nil {
				t.Fatal(err)
			}
		}
		doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file, SHA256: sum(definition)})
		if err != nil || doc.NotModified != notModified || doc.Cached || !bytes.Equal(doc.Bytes, definition) || len(doc.Warnings) != 0 {
			t.Errorf("start %d: %+v, %v", i, doc, err)
		}
		st, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && st.ModTime().Unix() != 1000 {
			t.Errorf("start %d wrote the copy again", i)
		}
	}
	for i, r := range s.Requests() {
		if got, want := r.Header.Get("If-None-Match"), map[bool]string{true: faultserver.ETag}[i > 0]; got != want {
			t.Errorf("request %d: If-None-Match %q, want %q", i, got, want)
		}
	}
	// A copy with another digest than the pinned one must not be confirmed.
	if _, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file, SHA256: otherSHA256}); err == nil {
		t.Error("another digest passed")
	}
	if r := s.Requests(); r[3].Header.Get("If-None-Match") != "" {
		t.Error("asked to confirm a copy that cannot be used")
	}
}

func TestCopiesThatAreNotUsed(t *testing.T) {
	t.Parallel()
	s := start(t, "ok-etag", definition)
	good := filepath.Join(t.TempDir(), "copy")
	if _, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: good}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		content []byte
		mode    os.FileMode
		says    string
	}{
		{"changed content", append(bytes.Clone(b), '#'), 0o600, "does not match its own digest"},
		{"cut", b[:len(b)/2], 0o600, "not a copy that this version wrote"},
		{"empty", nil, 0o600, "not a copy that this version wrote"},
		{"of a newer version", bytes.Replace(b, []byte(`"format":2`), []byte(`"format":9`), 1), 0o600, "not a copy that this version wrote"},
		{"of another URI", regexp.MustCompile(`"key":"[0-9a-f]+"`).ReplaceAll(b, []byte(`"key":"`+otherSHA256+`"`)), 0o600, "of another URI"},
		{"writable for anyone", b, 0o602, "anyone may write it"},
	} {
		file := writeFile(t, "copy", test.content)
		if err := os.Chmod(file, test.mode); err != nil {
			t.Fatal(err)
		}
		doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file})
		if err != nil || doc.NotModified || len(doc.Warnings) != 1 || !strings.Contains(doc.Warnings[0], test.says) {
			t.Errorf("%s: %v, warnings %q", test.name, err, doc.Warnings)
		}
		if now, _ := os.ReadFile(file); sum(now[bytes.IndexByte(now, '\n')+1:]) != sum(definition) {
			t.Errorf("%s: the copy was not replaced", test.name)
		}
	}
	if doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: t.TempDir()}); err != nil || len(doc.Warnings) != 2 {
		t.Errorf("a directory as copy: %v, %q", err, doc.Warnings)
	}
}

func TestWhatDoesNotBecomeTheCopy(t *testing.T) {
	s := start(t, "ok", definition)
	for name, o := range map[string]fetch.DocumentOptions{
		"read only":        {ReadOnly: true},
		"refused by Check": {Check: func([]byte) error { return errors.New("no job") }},
		"wrong digest":     {SHA256: otherSHA256},
	} {
		o.CacheFile = filepath.Join(t.TempDir(), "copy")
		doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, o)
		if (err != nil) != (name == "wrong digest") || (err == nil && len(doc.Bytes) == 0) {
			t.Errorf("%s: %v", name, err)
		}
		if got := entries(t, filepath.Dir(o.CacheFile)); len(got) != 0 {
			t.Errorf("%s: wrote %q", name, got)
		}
	}
	file := filepath.Join(t.TempDir(), "copy")
	doc, err := newClient(t, fetch.Options{}).Document(context.Background(), writeFile(t, "job.yaml", definition), fetch.DocumentOptions{CacheFile: file})
	if _, err2 := os.Stat(file); err != nil || err2 == nil || doc.Cached {
		t.Errorf("a local file was copied: %v", err)
	}
}

func TestSplayDelaysTheFirstRequestOnly(t *testing.T) {
	t.Parallel()
	s := start(t, "ok", definition)
	const splay = 300 * time.Millisecond
	drawn := 0 // a splay is drawn before it is waited for
	c := newClient(t, fetch.Options{Splay: splay, Rand: func() float64 { drawn++; return 1 }})
	if _, err := c.Document(context.Background(), writeFile(t, "job.yaml", definition), fetch.DocumentOptions{}); err != nil || drawn != 0 {
		t.Errorf("a file waited for %d splays, %v", drawn, err)
	}
	began := time.Now()
	if _, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil || drawn != 1 {
		t.Errorf("the first request waited for %d splays, %v", drawn, err)
	}
	if r := s.Requests(); len(r) != 1 || r[0].At.Sub(began) < splay {
		t.Errorf("arrived after %s", r[0].At.Sub(began))
	}
	if _, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil || drawn != 1 {
		t.Errorf("two requests waited for %d splays, %v", drawn, err)
	}
}

func TestOneDeadlineForAllFetches(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds: leave out -short")
	}
	t.Parallel()
	ok, hangs := start(t, "ok", definition), start(t, "header-hang", definition)
	c := newClient(t, fetch.Options{Timeout: 2 * time.Second})
	began := time.Now()
	if _, err := c.Document(context.Background(), ok.URL, fetch.DocumentOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{hangs.URL, ok.URL} { // the second finds no time left
		_, err := c.Document(context.Background(), url, fetch.DocumentOptions{})
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != fetch.KindTimeout || !strings.Contains(e.Hint, "--fetch-timeout") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if d := time.Since(began); d < 2*time.Second || d > patience {
		t.Errorf("took %s", d)
	}
}

// TestCopyOfAnotherUser: a copy that another user had laid into a directory for all was started.
func TestCopyOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	s := start(t, "ok-etag", definition)
	for name, plant := range map[string]func(file string) error{
		"owner":               func(file string) error { return os.Chown(file, 12345, 0) },
		"group may write":     func(file string) error { return errors.Join(os.Chown(file, 0, 54321), os.Chmod(file, 0o660)) },
		"link":                func(file string) error { return errors.Join(os.Rename(file, file+"2"), os.Symlink(file+"2", file)) },
		"pipe":                func(file string) error { return errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)) },
		"everybody may write": func(file string) error { return os.Chmod(file, 0o602) },
		"an earlier format":   func(file string) error { return os.WriteFile(file, []byte(`{"format":1}`+"\n"), 0o600) },
		"a length beyond it": func(file string) error {
			return replaceIn(file, `"sha256"`, `"script":{"key":"x","sha256":"y"},"sha256"`)
		},
		"an ETag that cannot be sent": func(file string) error { return replaceIn(file, `"etag":"`, `"etag":"\n`) },
		"half":                        func(file string) error { return truncateToHalf(file) },
		"empty":                       func(file string) error { return os.Truncate(file, 0) },
		"a directory":                 func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"a script of no digest":       func(file string) error { return replaceIn(file, "\n", "\n3\nabc") },
	} {
		file := filepath.Join(t.TempDir(), "copy")
		if _, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file}); err != nil {
			t.Fatal(err)
		}
		if err := plant(file); err != nil {
			t.Fatal(err)
		}
		doc, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file, ReadOnly: true})
		if err != nil || doc.NotModified || len(doc.Warnings) != 1 || !strings.Contains(doc.Warnings[0], "is not used") {
			t.Errorf("%s: %v, %+v", name, err, doc.Warnings)
		}
	}
}

// TestWhyNoCopy: without the service, the reason why the copy was not used was lost.
func TestWhyNoCopy(t *testing.T) {
	t.Parallel()
	s := start(t, "refused", definition)
	file := copyFor(t, s.URL)
	if err := truncateToHalf(file); err != nil {
		t.Fatal(err)
	}
	_, err := newClient(t, fetch.Options{Timeout: 200 * time.Millisecond}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file})
	var e *fetch.Error
	if !errors.As(err, &e) || e.Kind != fetch.KindConnect || !strings.Contains(e.Hint, "the last good copy "+file+" is not used: it is not a copy that this version wrote") {
		t.Errorf("%v, hint %q", err, e.Hint)
	}
}

func truncateToHalf(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	return os.Truncate(file, st.Size()/2)
}

func replaceIn(file, old, with string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(with), 1), 0o600)
}

// TestCopyBelongsToOneTenant: with another Host or tenant header the other tenant's definition came through 304.
func TestCopyBelongsToOneTenant(t *testing.T) {
	s := start(t, "ok-etag", definition)
	file := filepath.Join(t.TempDir(), "copy")
	header := func(name, value string) []fetch.Header {
		return []fetch.Header{{Name: name, Value: func() string { return value }}}
	}
	token, otherToken := writeFile(t, "token", []byte("one")), writeFile(t, "token2", []byte("one"))
	base := fetch.Options{Headers: header("X-Tenant", "a"), TokenFile: token}
	if _, err := newClient(t, base).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    fetch.Options
		uri  string
		same bool
	}{
		"the same":           {base, s.URL, true},
		"another value":      {fetch.Options{Headers: header("X-Tenant", "b"), TokenFile: token}, s.URL, false},
		"another header":     {fetch.Options{Headers: header("Host", "a"), TokenFile: token}, s.URL, false},
		"no header":          {fetch.Options{TokenFile: token}, s.URL, false},
		"a header more":      {fetch.Options{Headers: append(header("X-Tenant", "a"), header("X-B", "")...), TokenFile: token}, s.URL, false},
		"another token file": {fetch.Options{Headers: header("X-Tenant", "a"), TokenFile: otherToken}, s.URL, false},
		"another user":       {base, strings.Replace(s.URL, "http://", "http://user:pw@", 1), false},
		"a header's case":    {fetch.Options{Headers: header("x-TENANT", "a"), TokenFile: token}, s.URL, true},
		"the file's path":    {fetch.Options{Headers: header("X-Tenant", "a"), TokenFile: filepath.Dir(token) + "/./" + filepath.Base(token)}, s.URL, true},
	} {
		doc, err := newClient(t, c.o).Document(context.Background(), c.uri, fetch.DocumentOptions{CacheFile: file, ReadOnly: true})
		if err != nil || doc.NotModified != c.same {
			t.Errorf("%s: confirmed %v, want %v (%v)", name, doc.NotModified, c.same, err)
		}
	}
	// Tokens rotate: what is in the file does not count.
	if err := os.WriteFile(token, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if doc, err := newClient(t, base).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file, ReadOnly: true}); err != nil || !doc.NotModified {
		t.Errorf("another token: %+v, %v", doc, err)
	}
	if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte("X-Tenant")) || bytes.Contains(b, []byte(`"a"`)) {
		t.Errorf("the copy shows headers: %v %.300s", err, b)
	}
}

// TestCopyWhateverTheOrderOfHeaders: the order of headers chooses no answer, except of those with one name.
func TestCopyWhateverTheOrderOfHeaders(t *testing.T) {
	s := start(t, "ok-etag", definition)
	file := filepath.Join(t.TempDir(), "copy")
	headers := func(lines ...string) (h []fetch.Header) {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			h = append(h, fetch.Header{Name: name, Value: func() string { return value }})
		}
		return h
	}
	if _, err := newClient(t, fetch.Options{Headers: headers("X-A: 1", "X-B: 2", "X-B: 3")}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		h    []fetch.Header
		same bool
	}{
		{headers("X-B: 2", "X-B: 3", "X-A: 1"), true},
		{headers("x-b: 2", "X-A: 1", "X-B: 3"), true},
		{headers("X-A: 1", "X-B: 3", "X-B: 2"), false},
		{headers("X-A: 2", "X-B: 1", "X-B: 3"), false},
	} {
		doc, err := newClient(t, fetch.Options{Headers: c.h}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file, ReadOnly: true})
		if err != nil || doc.NotModified != c.same {
			t.Errorf("%v: confirmed %v, want %v (%v)", c.h, doc.NotModified, c.same, err)
		}
	}
}

// TestCopyFromAnotherWorkingDirectory: two tenants whose token files have the same relative name are two.
func TestCopyFromAnotherWorkingDirectory(t *testing.T) {
	s := start(t, "ok-etag", definition)
	file := filepath.Join(t.TempDir(), "copy")
	for i, same := range []bool{false, false} {
		t.Chdir(filepath.Dir(writeFile(t, "token", []byte(strconv.Itoa(i)))))
		doc, err := newClient(t, fetch.Options{TokenFile: "token"}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file})
		if err != nil || doc.NotModified != same {
			t.Errorf("directory %d: confirmed %v, want %v (%v)", i, doc.NotModified, same, err)
		}
	}
}

// TestFilesThatDoNotAnswer: a token, certificate or key that is a pipe without a writer ignored the total time.
func TestFilesThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, "ok", definition)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]fetch.Options{
		"token": {TokenFile: pipe}, "CA": {CAFile: pipe}, "certificate": {CertFile: pipe, KeyFile: pipe},
	} {
		o.Timeout = 200 * time.Millisecond
		began := time.Now()
		_, err := newClient(t, o).Document(context.Background(), s.URL, fetch.DocumentOptions{})
		if err == nil || time.Since(began) > patience {
			t.Errorf("%s: %v after %s", name, err, time.Since(began))
		} else if !strings.Contains(err.Error(), "time") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := newClient(t, fetch.Options{Timeout: 200 * time.Millisecond})
	if _, err := c.ReadFile(context.Background(), pipe, 100); err == nil || !strings.Contains(err.Error(), "it did not answer before the time was over") {
		t.Errorf("a secret: %v", err)
	}
}

// TestScriptIsPartOfTheCopy: the script of sql.scriptUri was not in the last good copy, so that a start without the service
// failed although it had the definition. The two are good together only.
func TestScriptIsPartOfTheCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds: leave out -short")
	}
	t.Parallel()
	var up atomic.Bool
	var version atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s of version %d", r.URL.Path, version.Load())
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "copy")
	read := func(script string, sha256 string) (both string, err error) {
		total := patience
		if !up.Load() {
			total = 500 * time.Millisecond
		}
		c := newClient(t, fetch.Options{Timeout: total, Origin: s.URL})
		doc, err := c.Document(context.Background(), s.URL+"/definition", fetch.DocumentOptions{CacheFile: file, WithScript: func([]byte) bool { return true }})
		if err != nil {
			return "", err
		}
		text, err := c.Script(context.Background(), &doc, script, fetch.DocumentOptions{SHA256: sha256})
		return string(doc.Bytes) + " + " + string(text.Bytes), err
	}
	expect := func(what, want string, got string, err error) {
		t.Helper()
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	both, err := read(s.URL+"/script", "")
	expect("nothing is there yet", "", both, err)
	up.Store(true)
	version.Store(1)
	both, err = read(s.URL+"/script", "")
	expect("first", "/definition of version 1 + /script of version 1", both, err)
	before, _ := os.ReadFile(file)
	both, err = read(s.URL+"/script", "")
	expect("again", "/definition of version 1 + /script of version 1", both, err)
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("a second start wrote the copy again")
	}
	up.Store(false)
	both, err = read(s.URL+"/script", "")
	expect("without the service", "/definition of version 1 + /script of version 1", both, err)
	both, err = read(s.URL+"/other", "")
	expect("another script", "", both, err)
	both, err = read(s.URL+"/script", sum([]byte("/script of version 1")))
	expect("the pinned script", "/definition of version 1 + /script of version 1", both, err)
	both, err = read(s.URL+"/script", otherSHA256)
	expect("a pinned script that is another", "", both, err)

	// A new definition whose script cannot be had leaves the older pair.
	up.Store(true)
	version.Store(2)
	both, err = read(s.URL+"/script", otherSHA256)
	expect("the script is not the pinned one", "", both, err)
	up.Store(false)
	both, err = read(s.URL+"/script", "")
	expect("the older pair", "/definition of version 1 + /script of version 1", both, err)

	// A TaskManager, which needs no script, leaves the pair alone; one that has a copy of its own writes it.
	up.Store(true)
	before, _ = os.ReadFile(file)
	own := filepath.Join(t.TempDir(), "copy")
	for _, f := range []string{file, own} {
		if _, err := newClient(t, fetch.Options{}).Document(context.Background(), s.URL+"/definition", fetch.DocumentOptions{CacheFile: f}); err != nil {
			t.Fatal(err)
		}
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("a start without the script replaced the pair")
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
	both, err = read(s.URL+"/script", "")
	expect("both are new", "/definition of version 2 + /script of version 2", both, err)
	up.Store(false)
	both, err = read(s.URL+"/script", "")
	expect("the new pair", "/definition of version 2 + /script of version 2", both, err)
}
