package fetch

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress is told how artifacts come along. Its methods are called from several goroutines.
type Progress interface {
	Begin(items int)
	Started(i int, uri, path string)
	Received(i int, n, size int64) // n more bytes (negative: started over) of size, -1: unknown
	Finished(i int, r Result, err error)
	End()
}

// logProgress writes a line when an artifact is asked for, when it is there, and every ten seconds between.
type logProgress struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	items map[int]*logged
}

type logged struct {
	uri           string
	bytes         int64
	began, spoken time.Time
}

const logInterval = 10 * time.Second

func (l *logProgress) Begin(items int) { l.items = make(map[int]*logged, items) }

func (l *logProgress) Started(i int, uri, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.items[i] = &logged{uri: uri, began: now, spoken: now}
	l.log.Debug("fetching artifact", "uri", uri, "path", path)
}

func (l *logProgress) Received(i int, n, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.items[i]
	x.bytes += n
	if now := l.now(); now.Sub(x.spoken) >= logInterval {
		x.spoken = now
		l.log.Info("fetching artifact", "uri", x.uri, "bytes", x.bytes, "of", size, "elapsed", roundDuration(now.Sub(x.began)))
	}
}

func (l *logProgress) Finished(i int, r Result, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		r.log(l.log, "elapsed", roundDuration(l.now().Sub(l.items[i].began)))
	}
}

func (l *logProgress) End() {}

func (r Result) log(log *slog.Logger, more ...any) {
	log.With(more...).Info("artifact ready", "uri", r.URI, "path", r.Path, "bytes", r.Size, "sha256", r.SHA256, "kept", r.Kept)
}

// Bar shows one progress bar for all artifacts on w, a terminal.
func Bar(w io.Writer) Progress { return &bar{w: w} }

type bar struct {
	w io.Writer

	mu          sync.Mutex
	bar         *progressbar.ProgressBar
	items, done int
	got, sizes  map[int]int64
}

func (b *bar) Begin(items int) {
	b.items, b.got, b.sizes = items, make(map[int]int64), make(map[int]int64)
	b.bar = progressbar.NewOptions64(int64(items), progressbar.OptionSetWriter(b.w), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(24), progressbar.OptionUseANSICodes(true))
}

// draw shows where all artifacts are. One not yet ready counts a byte more than it has, so that the bar,
// which ends for good at its maximum, does not end before the last of them.
func (b *bar) draw(name string) {
	most, got := int64(b.items-b.done), int64(0)
	for i, n := range b.got {
		got += n
		most += max(n, b.sizes[i])
	}
	b.bar.Describe(fmt.Sprintf("artifacts %d/%d %s", b.done, b.items, name))
	if most > 0 && most != b.bar.GetMax64() {
		b.bar.ChangeMax64(most)
	}
	b.bar.Set64(got)
}

func (b *bar) Started(_ int, _, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw(filepath.Base(path))
}

func (b *bar) Received(i int, n, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got[i] += n
	b.sizes[i] = max(size, 0)
	b.draw("")
}

func (b *bar) Finished(i int, r Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return
	}
	b.done++
	b.got[i], b.sizes[i] = r.Size, r.Size // one that was kept brought no bytes
	b.draw(filepath.Base(r.Path))
}

func (b *bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintln(b.w)
}
