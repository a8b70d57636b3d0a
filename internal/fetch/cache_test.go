package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
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

	down := fetch.Options{Timeout: 200 * time.Millisecond}
	began := time.Now()
	doc, err = newClient(t, down).Document(context.Background(), s.URL, opts)
	if err != nil || !doc.Cached || doc.NotModified || !bytes.Equal(doc.Bytes, definition) || doc.SHA256 != sum(definition) || doc.ContentType != "application/yaml" {
		t.Fatalf("service down: %+v, %v", doc, err)
	}
	if len(doc.Warnings) != 1 || !strings.Contains(doc.Warnings[0], "using the last good copy") || !strings.Contains(doc.Warnings[0], "503") {
		t.Errorf("warnings %q", doc.Warnings)
	}
	if d := time.Since(began); d > 180*time.Millisecond+time.Second {
		t.Errorf("took %s: the service should get half of the time", d)
	}
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
		doc, err := newClient(t, fetch.Options{Timeout: 100 * time.Millisecond}).Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: copyFor(t, s.URL)})
		if err != nil || !doc.Cached {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
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
	b = bytes.Replace(b, []byte(sum([]byte(s.URL))), []byte(sum([]byte(uri))), 1)
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
		{"of a newer version", bytes.Replace(b, []byte(`"format":1`), []byte(`"format":9`), 1), 0o600, "not a copy that this version wrote"},
		{"of another URI", bytes.Replace(b, []byte(sum([]byte(s.URL))), []byte(otherSHA256), 1), 0o600, "of another URI"},
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
	c := newClient(t, fetch.Options{Splay: splay, Rand: func() float64 { return 1 }})
	began := time.Now()
	if _, err := c.Document(context.Background(), writeFile(t, "job.yaml", definition), fetch.DocumentOptions{}); err != nil || time.Since(began) > splay {
		t.Errorf("a file waited %s, %v", time.Since(began), err)
	}
	began = time.Now()
	if _, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil || time.Since(began) < splay {
		t.Errorf("the first request waited %s, %v", time.Since(began), err)
	}
	if r := s.Requests(); len(r) != 1 || r[0].At.Sub(began) < splay {
		t.Errorf("arrived after %s", r[0].At.Sub(began))
	}
	began = time.Now()
	if _, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{}); err != nil || time.Since(began) > splay {
		t.Errorf("the second request waited %s, %v", time.Since(began), err)
	}
}

func TestOneDeadlineForAllFetches(t *testing.T) {
	t.Parallel()
	ok, hangs := start(t, "ok", definition), start(t, "header-hang", definition)
	c := newClient(t, fetch.Options{Timeout: 150 * time.Millisecond})
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
	if d := time.Since(began); d < 150*time.Millisecond || d > 3*time.Second {
		t.Errorf("took %s", d)
	}
}
