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
		l.log.Info("artifact ready", "uri", r.URI, "path", r.Path, "bytes", r.Size, "sha256", r.SHA256, "kept", r.Kept,
			"elapsed", roundDuration(l.now().Sub(l.items[i].began)))
	}
}

func (l *logProgress) End() {}

// Bar shows one progress bar for all artifacts on w, a terminal.
func Bar(w io.Writer) Progress { return &bar{w: w} }

type bar struct {
	w io.Writer

	mu          sync.Mutex
	bar         *progressbar.ProgressBar
	items, done int
	sizes       map[int]int64
	got         map[int]int64
}

func (b *bar) Begin(items int) {
	b.items, b.sizes, b.got = items, make(map[int]int64), make(map[int]int64)
	b.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(b.w), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(24), progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
}

func (b *bar) describe(name string) {
	b.bar.Describe(fmt.Sprintf("artifacts %d/%d %s", b.done, b.items, name))
}

func (b *bar) Started(_ int, _, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.describe(filepath.Base(path))
}

func (b *bar) Received(i int, n, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got[i] += n
	if size > 0 && b.sizes[i] != size {
		b.sizes[i] = size
		var sum int64
		for _, s := range b.sizes {
			sum += s
		}
		b.bar.ChangeMax64(sum)
	}
	var sum int64
	for _, g := range b.got {
		sum += g
	}
	b.bar.Set64(sum)
}

func (b *bar) Finished(_ int, r Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.done++
		b.describe(filepath.Base(r.Path))
	}
}

func (b *bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bar.Finish()
	b.bar.Clear()
}
