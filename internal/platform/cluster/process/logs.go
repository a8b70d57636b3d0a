package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/platform/cluster"
)

// Logs opens a process's log: the older file, then the newer one, then those that follow it.
func (d *Driver) Logs(_ context.Context, run, process string, tail int) (io.ReadCloser, error) {
	if process != filepath.Base(process) || !strings.Contains(process, "manager-") {
		return nil, cluster.ErrUnknown
	}
	l := &logReader{path: filepath.Join(d.run(run), process, logFile)}
	err := l.open()
	if err == nil && tail >= 0 {
		err = l.seekTail(tail)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// A logReader reads a log that keepLog writes. After io.EOF it can be read again: it follows a file that is renamed when it is full, because it
// holds it open.
type logReader struct {
	path  string
	files []*os.File // that are not read yet, oldest first
}

// open opens what is there now.
func (l *logReader) open() error {
	// The newer one first: if it is renamed meanwhile, it is found again as the older one, and nothing between them is left out.
	newer, err := os.Open(l.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	older, err := os.Open(l.path + ".1")
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return errors.Join(err, closeAll(newer))
	case newer != nil && same(older, newer):
		older.Close()
	default:
		l.files = append(l.files, older)
	}
	if newer != nil {
		l.files = append(l.files, newer)
	}
	return nil
}

func closeAll(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// Read is as cluster.Driver.Logs says.
func (l *logReader) Read(b []byte) (int, error) {
	for {
		if len(l.files) == 0 {
			if err := l.open(); err != nil {
				return 0, err
			}
			if len(l.files) == 0 {
				return 0, io.EOF // it is not started yet
			}
		}
		n, err := l.files[0].Read(b)
		if n > 0 || err != io.EOF {
			return n, err
		}
		if len(l.files) == 1 {
			now, err := os.Stat(l.path)
			if errors.Is(err, os.ErrNotExist) {
				return 0, io.EOF // renamed, and the next one is not there yet
			}
			if err != nil {
				return 0, err
			}
			was, err := l.files[0].Stat()
			if err != nil {
				return 0, err
			}
			if os.SameFile(now, was) {
				return 0, io.EOF
			}
			// It was renamed, perhaps after a last line that came after the read above.
			if n, err := l.files[0].Read(b); n > 0 || err != io.EOF {
				return n, err
			}
			if err := l.open(); err != nil {
				return 0, err
			}
			if len(l.files) > 1 && same(l.files[0], l.files[1]) { // the older one is this one
				l.files[1].Close()
				l.files = append(l.files[:1], l.files[2:]...)
			}
			if len(l.files) == 1 {
				return 0, io.EOF
			}
		}
		l.files[0].Close()
		l.files = l.files[1:]
	}
}

// Close ends the reading.
func (l *logReader) Close() error { return closeAll(l.files...) }

// seekTail goes to the last lines of what is there now. It reads from the end, a block at a time.
func (l *logReader) seekTail(lines int) error {
	block := make([]byte, 64<<10)
	last := true // no byte was seen yet: a line feed at the very end begins no line
	for i := len(l.files) - 1; i >= 0; i-- {
		f := l.files[i]
		end, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		if lines == 0 {
			return l.begin(i, end)
		}
		for end > 0 {
			from := max(end-int64(len(block)), 0)
			b := block[:end-from]
			if _, err := f.ReadAt(b, from); err != nil && err != io.EOF {
				return err
			}
			for {
				at := bytes.LastIndexByte(b, '\n')
				if at < 0 {
					break
				}
				if !last || at < len(b)-1 {
					if lines--; lines == 0 {
						return l.begin(i, from+int64(at)+1)
					}
				}
				b, last = b[:at], false
			}
			end, last = from, false
		}
	}
	return l.begin(0, 0)
}

// begin forgets what is before a place.
func (l *logReader) begin(file int, offset int64) error {
	err := closeAll(l.files[:min(file, len(l.files))]...)
	l.files = l.files[min(file, len(l.files)):]
	for i, f := range l.files {
		at := int64(0)
		if i == 0 {
			at = offset
		}
		if _, e := f.Seek(at, io.SeekStart); err == nil {
			err = e
		}
	}
	return err
}
