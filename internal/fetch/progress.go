package fetch

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Progress receives the progress of the artifacts. Its methods are called from several goroutines.
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
	uri            string
	bytes          int64
	began, written time.Time // written: when the last line was
}

const logInterval = 10 * time.Second

func (l *logProgress) Begin(items int) { l.items = make(map[int]*logged, items) }

func (l *logProgress) Started(i int, uri, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.items[i] = &logged{uri: uri, began: now, written: now}
	l.log.Debug("fetching artifact", "uri", uri, "path", path)
}

func (l *logProgress) Received(i int, n, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.items[i]
	x.bytes += n
	if now := l.now(); now.Sub(x.written) >= logInterval {
		x.written = now
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

// Bar shows one progress bar for all artifacts on w, a terminal of at least 80 columns. It is drawn by hand: a library for it
// (schollz/progressbar) cost 200 KB of binary, and tables that every start initialises.
func Bar(w io.Writer) Progress { return &bar{w: w, now: time.Now} }

type bar struct {
	w   io.Writer
	now func() time.Time

	mu           sync.Mutex
	began, drawn time.Time
	items, done  int
	got, sizes   map[int]int64
	name         string
}

const (
	barInterval = 100 * time.Millisecond
	barWidth    = 12
	barName     = 20 // characters of an artifact's name
)

func (b *bar) Begin(items int) {
	b.items, b.got, b.sizes, b.began = items, make(map[int]int64), make(map[int]int64), b.now()
}

func (b *bar) Started(_ int, _, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw(filepath.Base(path), true)
}

func (b *bar) Received(i int, n, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got[i] += n
	b.sizes[i] = max(size, 0)
	b.draw(b.name, false)
}

func (b *bar) Finished(i int, r Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return
	}
	b.done++
	b.got[i], b.sizes[i] = r.Size, r.Size // one that was kept brought no bytes
	b.draw(filepath.Base(r.Path), true)
}

func (b *bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw("", true)
	fmt.Fprintln(b.w)
}

// draw writes the line again: how many are complete, the last one's name, the fetched fraction, bytes and speed.
func (b *bar) draw(name string, now bool) {
	b.name = name
	t := b.now()
	if !now && t.Sub(b.drawn) < barInterval {
		return
	}
	b.drawn = t
	var got, size int64
	for i, n := range b.got {
		got += n
		size += max(n, b.sizes[i])
	}
	full := 0
	if size > 0 {
		full = int(barWidth * got / size)
	}
	speed := int64(0)
	if s := t.Sub(b.began).Seconds(); s > 0 {
		speed = int64(float64(got) / s)
	}
	fmt.Fprintf(b.w, "\r\x1b[Kartifacts %d/%d [%s%s] %s of %s, %s/s %s", b.done, b.items, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		shortBytes(got), shortBytes(size), shortBytes(speed), shortName(name))
}

// shortBytes writes a size in at most seven characters.
func shortBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n), 0
	for ; x >= 999.5; unit++ {
		x /= 1000
	}
	if x < 9.95 {
		return fmt.Sprintf("%.1f %cB", x, "?kMGTPE"[unit])
	}
	return fmt.Sprintf("%.0f %cB", x, "?kMGTPE"[unit])
}

// shortName is a file's name as a terminal may see it: a definition's author chose it.
func shortName(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name))
	if len(runes) > barName {
		return string(runes[:barName-1]) + "…"
	}
	return string(runes)
}
