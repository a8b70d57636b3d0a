package fetch_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
)

// jar is a zip file of about n bytes that does not compress.
func jar(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "com/example/ParseUa.class", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	r.Read(b)
	f.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func one(t *testing.T, o fetch.Options, item fetch.Item) (fetch.Result, error) {
	t.Helper()
	r, err := newClient(t, o).Artifacts(context.Background(), []fetch.Item{item}, nil)
	if err != nil {
		return fetch.Result{}, err
	}
	return r[0], nil
}

// TestArtifactBehaviours: what the network does to a jar.
func TestArtifactBehaviours(t *testing.T) {
	content := jar(t, 300<<10)
	for _, test := range []struct {
		behaviour string
		pinned    bool
		ranges    []string // Range header per request; nil: not checked
		kind      fetch.Kind
	}{
		{behaviour: "ok", ranges: []string{""}},
		{behaviour: "ok", pinned: true, ranges: []string{""}},
		{behaviour: "ok-chunked", ranges: []string{""}},
		{behaviour: "flaky-503", ranges: []string{"", "", ""}},
		{behaviour: "range-ok", ranges: []string{""}},
		{behaviour: "range-cut", ranges: []string{"", "half"}},
		{behaviour: "range-cut", pinned: true, ranges: []string{"", "half"}},
		{behaviour: "range-cut-often", pinned: true, ranges: []string{"", "", "", "", ""}},
		{behaviour: "range-cut-plain", pinned: true, ranges: []string{"", "half"}}, // the digest replaces the validator
		{behaviour: "range-cut-plain", ranges: []string{"", ""}},
		{behaviour: "range-changed", ranges: []string{"", "half"}},
		{behaviour: "range-changed", pinned: true, ranges: []string{"", "half"}},
		{behaviour: "range-ignored", ranges: []string{"", "half"}},
		{behaviour: "range-wrong", ranges: []string{"", "half", ""}},
		{behaviour: "range-416", ranges: []string{"", "half", ""}},
		{behaviour: "range-none", ranges: []string{"", ""}},
		{behaviour: "flaky-truncated"},

		{behaviour: "status-404", kind: fetch.KindNotFound},
		{behaviour: "status-403", kind: fetch.KindStatus},
		{behaviour: "status-206", kind: fetch.KindStatus},
		{behaviour: "html-login", kind: fetch.KindHTML},
		{behaviour: "html-mislabelled", kind: fetch.KindHTML},
		{behaviour: "empty", kind: fetch.KindEmpty},
		{behaviour: "ok-gzip", pinned: true, kind: fetch.KindGzip}, // compressed though identity was asked for
		{behaviour: "gzip-bomb", kind: fetch.KindGzip},             // once it was written to the disk without bound
		{behaviour: "gzip-header", kind: fetch.KindGzip},
		{behaviour: "gzip-checksum", kind: fetch.KindGzip},
		{behaviour: "encoding-unknown", kind: fetch.KindGzip},
		{behaviour: "length-contradiction", kind: fetch.KindLength},
		{behaviour: "length-short", kind: fetch.KindZip},
		{behaviour: "length-short", pinned: true, kind: fetch.KindDigest},
		{behaviour: "redirect-loop", kind: fetch.KindRedirectLoop},
	} {
		name := test.behaviour
		if test.pinned {
			name += "/pinned"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, test.behaviour, content)
			root := t.TempDir()
			item := fetch.Item{URI: s.URL, Root: root, Path: root + "/usrlib/udf.jar", Zip: true}
			if test.pinned {
				item.SHA256 = sum(content)
			}
			r, err := one(t, fetch.Options{}, item)
			if test.kind != "" {
				var e *fetch.Error
				if !errors.As(err, &e) || e.Kind != test.kind {
					t.Errorf("got %v, want kind %s", err, test.kind)
				}
				if left := entries(t, root+"/usrlib"); len(left) != 0 {
					t.Errorf("left over: %q", left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(item.Path)
			if err != nil || !bytes.Equal(got, content) || r.SHA256 != sum(content) || r.Size != int64(len(content)) || r.Kept {
				t.Errorf("%d bytes, %v, %+v", len(got), err, r)
			}
			if left := entries(t, root+"/usrlib"); len(left) != 1 {
				t.Errorf("beside the jar: %q", left)
			}
			if st, _ := os.Stat(item.Path); st.Mode().Perm() != 0o644 {
				t.Errorf("mode %v, want 0644", st.Mode())
			}
			if test.ranges == nil {
				return
			}
			requests := s.Requests()
			if len(requests) != len(test.ranges) {
				t.Fatalf("%d requests, want %d", len(requests), len(test.ranges))
			}
			for i, r := range requests {
				want := test.ranges[i]
				if want == "half" {
					want = fmt.Sprintf("bytes=%d-", len(content)/2)
				}
				if got := r.Header.Get("Range"); got != want && test.behaviour != "range-cut-often" {
					t.Errorf("request %d: Range %q, want %q", i, got, want)
				}
				if ifRange := r.Header.Get("If-Range"); (ifRange != "") != (r.Header.Get("Range") != "") && test.behaviour != "range-cut-plain" {
					t.Errorf("request %d: If-Range %q with Range %q", i, ifRange, r.Header.Get("Range"))
				}
				if i > 0 && test.behaviour == "range-cut-often" && r.Header.Get("Range") == "" {
					t.Errorf("request %d started over", i)
				}
			}
		})
	}
}

// TestRestartDownloadsNothing: a container restart finds its artifacts by their digest.
func TestRestartDownloadsNothing(t *testing.T) {
	t.Parallel()
	content := jar(t, 5000)
	s := start(t, "ok", content)
	root := t.TempDir()
	pinned := fetch.Item{URI: s.URL, SHA256: sum(content), Root: root, Path: root + "/pinned.jar", Zip: true}
	loose := fetch.Item{URI: s.URL, Root: root, Path: root + "/loose.jar", Zip: true, Mode: 0o600}
	var before []string
	for i := range 2 {
		r, err := newClient(t, fetch.Options{}).Artifacts(context.Background(), []fetch.Item{pinned, loose}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r[0].Path != pinned.Path || r[1].Path != loose.Path || r[0].Kept != (i == 1) || r[1].Kept != (i == 1) {
			t.Errorf("start %d: %+v", i, r)
		}
		var now []string
		for _, name := range entries(t, root) {
			st, err := os.Stat(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			now = append(now, fmt.Sprint(name, st.Mode(), st.ModTime().UnixNano(), st.Sys().(*syscall.Stat_t).Ino))
		}
		if i == 1 && !slices.Equal(before, now) {
			t.Errorf("the second start changed %q to %q", before, now)
		}
		before = now
	}
	if n := len(s.Requests()); n != 3 { // the one without a digest must be asked for again
		t.Errorf("%d requests, want 3", n)
	}
}

// TestResumeAfterARestart: the part of a killed process is continued, if its digest is pinned.
func TestResumeAfterARestart(t *testing.T) {
	t.Parallel()
	content := jar(t, 100_000)
	for _, test := range []struct {
		name   string
		part   []byte
		pinned bool
		ranges []string
	}{
		{"half", content[:50_000], true, []string{"bytes=50000-"}},
		{"complete", content, true, nil},
		{"of another file", bytes.Repeat([]byte("x"), 50_000), true, []string{"bytes=50000-", ""}},
		{"too long", append(bytes.Clone(content), "more"...), true, []string{fmt.Sprintf("bytes=%d-", len(content)+4), ""}},
		{"not pinned", content[:50_000], false, []string{""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, "range-ok", content)
			root := t.TempDir()
			if err := os.WriteFile(root+"/.udf.jar.part", test.part, 0o600); err != nil {
				t.Fatal(err)
			}
			item := fetch.Item{URI: s.URL, Root: root, Path: root + "/udf.jar", Zip: true}
			if test.pinned {
				item.SHA256 = sum(content)
			}
			if _, err := one(t, fetch.Options{}, item); err != nil {
				t.Fatal(err)
			}
			var ranges []string
			for _, r := range s.Requests() {
				ranges = append(ranges, r.Header.Get("Range"))
			}
			if !slices.Equal(ranges, test.ranges) {
				t.Errorf("asked for %q, want %q", ranges, test.ranges)
			}
			if got, _ := os.ReadFile(item.Path); !bytes.Equal(got, content) {
				t.Errorf("got %d bytes", len(got))
			}
			if left := entries(t, root); len(left) != 1 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestInterruptedDownloads: only a part whose digest is known is worth keeping.
func TestInterruptedDownloads(t *testing.T) {
	content := jar(t, 100_000)
	for pinned, want := range map[bool][]string{true: {".udf.jar.part"}, false: nil} {
		s := start(t, "body-hang", content)
		root := t.TempDir()
		item := fetch.Item{URI: s.URL, Root: root, Path: root + "/udf.jar"}
		if pinned {
			item.SHA256 = sum(content)
		}
		ctx, cancel := context.WithCancel(context.Background())
		p := &recorder{onBytes: cancel}
		_, err := newClient(t, fetch.Options{}).Artifacts(ctx, []fetch.Item{item}, p)
		cancel()
		var e *fetch.Error
		if !errors.As(err, &e) || e.Kind != fetch.KindCancelled || !errors.Is(err, context.Canceled) {
			t.Errorf("pinned %v: %v", pinned, err)
		}
		if got := entries(t, root); !slices.Equal(got, want) {
			t.Errorf("pinned %v: left %q, want %q", pinned, got, want)
		}
	}
}

type recorder struct {
	onBytes func()
	bytes   int64
	size    int64
}

func (r *recorder) Begin(int)                         {}
func (r *recorder) Started(int, string, string)       {}
func (r *recorder) Finished(int, fetch.Result, error) {}
func (r *recorder) End()                              {}
func (r *recorder) Received(_ int, n, size int64) {
	r.bytes, r.size = r.bytes+n, size
	if r.onBytes != nil {
		r.onBytes()
	}
}

// TestTwoProcessesOneVolume: JobManager and TaskManager may share usrlib.
func TestTwoProcessesOneVolume(t *testing.T) {
	content := jar(t, 200_000)
	s := start(t, "ok-chunked", content)
	root := t.TempDir()
	item := fetch.Item{URI: s.URL, SHA256: sum(content), Root: root, Path: root + "/udf.jar", Zip: true}
	errs := make(chan error)
	for range 6 {
		go func() {
			c, err := fetch.New(quick(fetch.Options{}))
			if err == nil {
				_, err = c.Artifacts(context.Background(), []fetch.Item{item}, nil)
			}
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got, _ := os.ReadFile(item.Path); !bytes.Equal(got, content) {
		t.Errorf("%d bytes", len(got))
	}
	if left := entries(t, root); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	content := jar(t, 1000)
	source := writeFile(t, "udf.jar", content)
	outside := t.TempDir()
	for _, test := range []struct {
		name  string
		path  string // below the root
		setup func(root string) error
		item  fetch.Item
		kind  fetch.Kind
		says  string
	}{
		{name: "new directories", path: "/plugins/udf/udf.jar"},
		{name: "outside", path: "/../udf.jar", kind: fetch.KindPath, says: "leads out of"},
		{name: "dots inside", path: "/a/../udf.jar", kind: fetch.KindPath, says: "leads out of"},
		{name: "the root itself", path: "", kind: fetch.KindPath},
		{name: "slash at the end", path: "/a/", kind: fetch.KindPath},
		{name: "NUL", path: "/a\x00b", kind: fetch.KindPath},
		{name: "link to the file", path: "/udf.jar", setup: func(root string) error { return os.Symlink(outside+"/x", root+"/udf.jar") }, kind: fetch.KindPath, says: "symbolic link"},
		{name: "link to an existing file", path: "/udf.jar", setup: func(root string) error { return os.Symlink(source, root+"/udf.jar") }, kind: fetch.KindPath, says: "symbolic link"},
		{name: "link to a directory", path: "/lib/udf.jar", setup: func(root string) error { return os.Symlink(outside, root+"/lib") }, kind: fetch.KindPath, says: "symbolic link"},
		{name: "link inside the root", path: "/lib/udf.jar", setup: func(root string) error {
			return errors.Join(os.Mkdir(root+"/real", 0o755), os.Symlink("real", root+"/lib"))
		}, kind: fetch.KindPath, says: "symbolic link"},
		{name: "file as directory", path: "/lib/udf.jar", setup: func(root string) error { return os.WriteFile(root+"/lib", nil, 0o644) }, kind: fetch.KindPath, says: "not a directory"},
		{name: "directory as file", path: "/udf.jar", setup: func(root string) error { return os.Mkdir(root+"/udf.jar", 0o755) }, kind: fetch.KindPath, says: "not a regular file"},
		{name: "older version", path: "/udf.jar", setup: func(root string) error { return os.WriteFile(root+"/udf.jar", []byte("old"), 0o644) }},
		{name: "a file of Flink", path: "/udf.jar", item: fetch.Item{NoReplace: true}, setup: func(root string) error { return os.WriteFile(root+"/udf.jar", []byte("old"), 0o644) }, kind: fetch.KindClash, says: "exists with other content"},
		{name: "the same file of Flink", path: "/udf.jar", item: fetch.Item{NoReplace: true}, setup: func(root string) error { return os.WriteFile(root+"/udf.jar", content, 0o644) }},
		{name: "part is a link", path: "/udf.jar", setup: func(root string) error { return os.Symlink(outside+"/x", root+"/.udf.jar.part") }},
		{name: "mode", path: "/udf.jar", item: fetch.Item{Mode: 0o640}},
		{name: "no zip", path: "/udf.jar", item: fetch.Item{URI: writeFile(t, "no.jar", []byte("hello world, this is not a jar"))}, kind: fetch.KindZip, says: `beginning with "hell"`},
		{name: "cut zip", path: "/udf.jar", item: fetch.Item{URI: writeFile(t, "cut.jar", content[:len(content)-10])}, kind: fetch.KindZip},
		{name: "wrong digest", path: "/udf.jar", item: fetch.Item{SHA256: otherSHA256}, kind: fetch.KindDigest},
		{name: "bad digest", path: "/udf.jar", item: fetch.Item{SHA256: "sha256:xyz"}, kind: fetch.KindInput},
		{name: "missing source", path: "/udf.jar", item: fetch.Item{URI: "file:///nonexistent/udf.jar"}, kind: fetch.KindNotFound},
		{name: "directory as source", path: "/udf.jar", item: fetch.Item{URI: outside}, kind: fetch.KindFile},
		{name: "scheme", path: "/udf.jar", item: fetch.Item{URI: "s3://bucket/udf.jar"}, kind: fetch.KindScheme},
	} {
		for _, pinned := range []bool{false, true} {
			name := fmt.Sprintf("%s, pinned %v", test.name, pinned)
			root := t.TempDir()
			if test.setup != nil {
				if err := test.setup(root); err != nil {
					t.Fatal(err)
				}
			}
			item := test.item
			item.Root, item.Path, item.Zip = root, root+test.path, true
			if item.URI == "" {
				item.URI = source
			}
			if pinned && item.SHA256 == "" && (test.kind == "" || test.kind == fetch.KindPath || test.kind == fetch.KindClash) {
				item.SHA256 = "sha256:" + sum(content)
			}
			r, err := one(t, fetch.Options{}, item)
			if test.kind != "" {
				var e *fetch.Error
				if !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(e.Error(), test.says) {
					t.Errorf("%s: %v, want kind %s and %q", name, err, test.kind, test.says)
				}
				continue
			}
			got, err2 := os.ReadFile(item.Path)
			if err != nil || err2 != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %v %v", name, err, err2)
				continue
			}
			if st, _ := os.Stat(item.Path); item.Mode != 0 && st.Mode().Perm() != item.Mode {
				t.Errorf("%s: mode %v", name, st.Mode())
			}
			if r.Kept != strings.HasPrefix(test.name, "the same") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	if got := entries(t, outside); len(got) != 0 {
		t.Errorf("written outside the root: %q", got)
	}
}

func TestArtifactOntoItself(t *testing.T) {
	root := t.TempDir()
	content := jar(t, 1000)
	if err := os.WriteFile(root+"/udf.jar", content, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := one(t, fetch.Options{}, fetch.Item{URI: "file:" + root + "/udf.jar", Root: root, Path: root + "/udf.jar", Zip: true})
	if err != nil || !r.Kept || r.SHA256 != sum(content) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestNameClash(t *testing.T) {
	s := start(t, "ok", definition)
	root := t.TempDir()
	_, err := newClient(t, fetch.Options{}).Artifacts(context.Background(), []fetch.Item{
		{URI: s.URL + "?a&token=x", Root: root, Path: root + "/udf.jar"}, {URI: s.URL + "?b", Root: root, Path: root + "/udf.jar"}}, nil)
	var e *fetch.Error
	if !errors.As(err, &e) || e.Kind != fetch.KindClash || !strings.Contains(e.Error(), "?a&token=****** would go to") {
		t.Error(err)
	}
	if len(s.Requests()) != 0 || len(entries(t, root)) != 0 {
		t.Error("something was fetched or written")
	}
}

// TestFirstFailureEndsTheOthers, but its own reason is what is reported.
func TestFirstFailureEndsTheOthers(t *testing.T) {
	missing, hangs := start(t, "status-404", nil), start(t, "header-hang", nil)
	root := t.TempDir()
	var items []fetch.Item
	for i := range 10 {
		items = append(items, fetch.Item{URI: hangs.URL, Root: root, Path: fmt.Sprintf("%s/%d", root, i)})
	}
	items[2].URI = missing.URL
	began := time.Now()
	_, err := newClient(t, fetch.Options{Timeout: time.Hour}).Artifacts(context.Background(), items, nil)
	var e *fetch.Error
	if !errors.As(err, &e) || e.Kind != fetch.KindNotFound || time.Since(began) > patience {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestLocalDisk: a root that cannot be made stands for all failures of the local disk.
func TestLocalDisk(t *testing.T) {
	file := writeFile(t, "file", nil)
	_, err := one(t, fetch.Options{}, fetch.Item{URI: file, Root: file + "/root", Path: file + "/root/a"})
	var e *fetch.Error
	if !errors.As(err, &e) || e.Kind != fetch.KindWrite || !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
}

func TestManyArtifactsAndTheirProgress(t *testing.T) {
	t.Parallel()
	content := jar(t, 50_000)
	s := start(t, "range-cut", content) // only the very first answer is cut
	root := t.TempDir()
	var items []fetch.Item
	for i := range 12 {
		items = append(items, fetch.Item{URI: s.URL, Root: root, Path: fmt.Sprintf("%s/%02d.jar", root, i)})
	}
	var terminal, log logBuffer
	if _, err := newClient(t, fetch.Options{}).Artifacts(context.Background(), items, fetch.Bar(&terminal)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(terminal.String(), "artifacts 12/12 [============] 602 kB of 602 kB, ") || !strings.HasSuffix(terminal.String(), "\n") {
		t.Errorf("the bar shows %q", terminal.String())
	}
	if _, err := newClient(t, fetch.Options{Logger: debugLog(&log)}).Artifacts(context.Background(), items[:1], nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "artifact ready") || !strings.Contains(log.String(), sum(content)) {
		t.Errorf("the log says %s", log.String())
	}
	p := &recorder{}
	cut := start(t, "range-ignored", content)
	if _, err := newClient(t, fetch.Options{}).Artifacts(context.Background(), []fetch.Item{{URI: cut.URL, Root: root, Path: root + "/x"}}, p); err != nil {
		t.Fatal(err)
	}
	if p.bytes != int64(len(content)) || p.size != p.bytes {
		t.Errorf("progress ended at %d of %d, want %d", p.bytes, p.size, len(content))
	}
}
