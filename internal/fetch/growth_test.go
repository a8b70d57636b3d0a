package fetch_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/test/growth"
)

const mebibyte = 1 << 20

// pattern is a body of n MiB without being held in memory.
type pattern struct {
	left  int64
	block []byte
}

func newPattern(n int) *pattern {
	block := make([]byte, mebibyte)
	for i := range block {
		block[i] = byte(i * 7 >> 3)
	}
	return &pattern{int64(n) * mebibyte, block}
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), p.left)], p.block)
	p.left -= int64(n)
	return n, nil
}

// source offers n MiB as file: or http: and returns the URI.
func source(tb testing.TB, scheme string, n int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "artifact")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, newPattern(n)); err != nil {
		tb.Fatal(err)
	}
	if scheme == "file" {
		return "file://" + path
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	tb.Cleanup(s.Close)
	return s.URL + "/artifact"
}

// bring fetches an artifact to a place where nothing is yet.
func bring(tb testing.TB, uri string, size int64) error {
	dir := tb.TempDir()
	c, err := fetch.New(fetch.Options{Timeout: 10 * time.Minute})
	if err != nil {
		return err
	}
	results, err := c.Artifacts(tb.Context(), []fetch.Item{{URI: uri, Root: dir, Path: filepath.Join(dir, "a.bin")}}, nil)
	if err != nil {
		return err
	}
	if results[0].Size != size {
		return fmt.Errorf("%d bytes arrived, expected %d", results[0].Size, size)
	}
	return os.Remove(results[0].Path)
}

// TestMemoryStaysConstant: a large artifact takes no more memory than a small one.
func TestMemoryStaysConstant(t *testing.T) {
	for _, scheme := range []string{"file", "http"} {
		t.Run(scheme, func(t *testing.T) {
			allocated := func(n int) uint64 {
				uri := source(t, scheme, n)
				return growth.Allocated(t, func() error { return bring(t, uri, int64(n)*mebibyte) })
			}
			small, large := allocated(1), allocated(64)
			t.Logf("1 MiB: %d bytes; 64 MiB: %d bytes", small, large)
			if large > small+mebibyte/2 {
				t.Errorf("1 MiB allocates %d bytes, 64 MiB %d: it should not depend on the size", small, large)
			}
		})
	}
}

// BenchmarkGrowth compares bringing an artifact with hashing the same bytes, which is what it cannot be faster than, and
// with hashing and writing them.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{1, 32, 1024} {
		for _, scheme := range []string{"file", "http"} {
			b.Run(scheme+"/"+strconv.Itoa(n), func(b *testing.B) {
				uri := source(b, scheme, n)
				b.SetBytes(int64(n) * mebibyte)
				b.ReportAllocs()
				for b.Loop() {
					if err := bring(b, uri, int64(n)*mebibyte); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		for _, write := range []bool{false, true} {
			name := "sha256"
			if write {
				name = "sha256-write-sync"
			}
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				path := source(b, "file", n)[len("file://"):]
				b.SetBytes(int64(n) * mebibyte)
				for b.Loop() {
					if err := plain(b, path, write); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// plain hashes a file and writes it too, in the simplest way there is.
func plain(tb testing.TB, path string, write bool) error {
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	var sum hash.Hash = sha256.New()
	var to io.Writer = sum
	if write {
		f, err := os.Create(filepath.Join(tb.TempDir(), "copy"))
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		defer f.Sync()
		to = io.MultiWriter(f, sum)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{src}, make([]byte, 256<<10)); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) == "" {
		return fmt.Errorf("no digest")
	}
	return nil
}
