package process

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A written log is one as keepLog writes it.
type written struct {
	t    *testing.T
	d    *Driver
	path string
}

func newWritten(t *testing.T) *written {
	d := &Driver{Dir: t.TempDir(), Instance: "i1"}
	w := &written{t: t, d: d, path: filepath.Join(d.run("r1"), "jobmanager-1", logFile)}
	if err := os.MkdirAll(filepath.Dir(w.path), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *written) write(text string) {
	w.t.Helper()
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *written) rotate() {
	w.t.Helper()
	if err := os.Rename(w.path, w.path+".1"); err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
}

func (w *written) open(tail int) io.ReadCloser {
	w.t.Helper()
	r, err := w.d.Logs(w.t.Context(), "r1", "jobmanager-1", tail)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.Close() })
	return r
}

func (w *written) all(r io.Reader) string {
	w.t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// TestTail: the last lines, over both files and over blocks.
func TestTail(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for name, c := range map[string]struct{ older, newer string }{
		"nothing":                    {"", ""},
		"one file":                   {"", "a\nb\nc\n"},
		"an unfinished line":         {"", "a\nb\nc"},
		"two files":                  {"a\nb\n", "c\nd\n"},
		"a line in two files":        {"a\nb", "c\nd\n"},
		"empty lines":                {"\n\n", "\n\n"},
		"the newer one is empty":     {"a\nb\n", ""},
		"lines longer than blocks":   {long + "\n" + long + "\n", long + "\n" + long},
		"a line feed between blocks": {"", strings.Repeat("y", 64<<10-1) + "\n" + strings.Repeat("z", 64<<10-1) + "\n" + "a\n"},
	} {
		w := newWritten(t)
		if c.older != "" {
			w.write(c.older)
			w.rotate()
		}
		w.write(c.newer)
		lines := strings.SplitAfter(c.older+c.newer, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		for tail := -1; tail < 7; tail++ {
			want := c.older + c.newer
			if tail >= 0 {
				want = strings.Join(lines[max(0, len(lines)-tail):], "")
			}
			if got := w.all(w.open(tail)); got != want {
				t.Errorf("%s, tail %d: %d bytes %.60q, want %d bytes %.60q", name, tail, len(got), got, len(want), want)
			}
		}
	}
}

// TestFollowRotation: a log is read while it is written and its files are renamed, in any order, up to two times between two reads.
func TestFollowRotation(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWritten(t)
		var want, got bytes.Buffer
		w.write("first line\n")
		want.WriteString("first line\n")
		r := w.open(-1)
		for step := range 100 {
			for rotations := 0; random.IntN(3) > 0; {
				if random.IntN(3) == 0 && rotations < 2 {
					w.rotate()
					rotations++
				}
				text := fmt.Sprintf("line of step %d\n", step)
				w.write(text)
				want.WriteString(text)
			}
			got.WriteString(w.all(r))
			if got.String() != want.String() {
				t.Fatalf("seed %d, step %d: %q, want %q", seed, step, got.String(), want.String())
			}
		}
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLargeLog: the end of a log of 1 GiB, and all of it, cost a few blocks of memory.
func TestLargeLog(t *testing.T) {
	w := newWritten(t)
	w.write("")
	if err := os.Truncate(w.path, 1<<30); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	w.write("\n" + lines.String())
	for tail, want := range map[int]int64{100: 900, 1000: int64(lines.Len())} {
		var n int64
		if bytes := allocated(func() { n, _ = io.Copy(io.Discard, w.open(tail)) }); bytes > 1<<20 {
			t.Errorf("the last %d lines allocate %d bytes", tail, bytes)
		}
		if n != want {
			t.Errorf("the last %d lines have %d bytes, want %d", tail, n, want)
		}
	}
	if testing.Short() {
		return // all of it takes seconds
	}
	var n int64
	if bytes := allocated(func() { n, _ = io.Copy(io.Discard, w.open(-1)) }); bytes > 1<<20 || n != 1<<30+1+int64(lines.Len()) {
		t.Errorf("%d bytes of log allocate %d bytes", n, bytes)
	}
}
