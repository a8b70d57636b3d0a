package store

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
)

// archivePart is how many bytes of an archive are in one row.
const archivePart = 1 << 20

// A Received archive has arrived and is not stored yet. It has no name in the file system: whatever ends the server, nothing of it is left.
type Received struct {
	s    *Store
	file *os.File
}

// Receive takes a stream as it arrives, compressed, into a file of the data directory. The caller closes what it returns.
func (s *Store) Receive(content io.Reader) (*Received, error) {
	file, err := os.CreateTemp(s.dir, partPrefix)
	if err != nil {
		return nil, s.Explain(err)
	}
	r := &Received{s, file}
	err = os.Remove(file.Name())
	if err == nil {
		z := gzip.NewWriter(file)
		if _, err = io.Copy(z, content); err == nil {
			err = z.Close()
		}
	}
	if err != nil {
		return nil, errors.Join(s.Explain(err), r.Close())
	}
	return r, nil
}

// Close forgets what was received, unless it was stored.
func (r *Received) Close() error { return r.file.Close() }

// Open is the content, from its beginning.
func (r *Received) Open() (io.Reader, error) {
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return gzip.NewReader(bufio.NewReader(r.file))
}

// What the archives of one run may be: each job has one, and the token of a run must not fill the disk.
const (
	maxArchives = 1000
	maxArchived = 512 << 20 // bytes, compressed
)

// ErrArchives: the archives of the run are too many or too large.
var ErrArchives = errors.New("the run has archived too much")

// PutArchive keeps a file that a run's JobManager archived. The first one of a name stays. ErrArchives: it is one too many.
func (s *Store) PutArchive(ctx context.Context, run, name string, r *Received) error {
	part := make([]byte, archivePart)
	return s.tx(ctx, func(tx *sql.Tx) error {
		size, err := r.file.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		var files, bytes int64
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM archives WHERE run = ? AND name <> ?", run, name).Scan(&files, &bytes); err != nil {
			return err
		}
		if files >= maxArchives || bytes+size > s.maxArchived {
			return fmt.Errorf("%w: it has %d files with %d bytes", ErrArchives, files, bytes)
		}
		made, err := tx.ExecContext(ctx, "INSERT INTO archives (run, name, size, stored) VALUES (?, ?, ?, "+s.d.now+") ON CONFLICT (run, name) DO NOTHING", run, name, size)
		if err := changedOne(made, err, ErrExists); errors.Is(err, ErrExists) {
			return nil
		} else if err != nil {
			return err
		}
		for at := int64(0); at < size; at += archivePart {
			b := part[:min(archivePart, size-at)]
			if _, err := r.file.ReadAt(b, at); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO archive_parts (run, name, part, content) VALUES (?, ?, ?, ?)", run, name, at/archivePart, b); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "UPDATE runs SET points = NULL WHERE id = ?", run)
		return err
	})
}

// Archive is the content of a file that a run's JobManager archived.
func (s *Store) Archive(ctx context.Context, run, name string) (io.Reader, error) {
	var size int64
	if err := s.read.QueryRowContext(ctx, "SELECT size FROM archives WHERE run = ? AND name = ?", run, name).Scan(&size); err != nil {
		return nil, found(err)
	}
	return gzip.NewReader(bufio.NewReader(&archiveParts{ctx: ctx, s: s, run: run, name: name}))
}

// archiveParts reads one part after the other.
type archiveParts struct {
	ctx       context.Context
	s         *Store
	run, name string
	next      int
	rest      []byte // of the part before next
}

func (p *archiveParts) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		err := p.s.read.QueryRowContext(p.ctx, "SELECT content FROM archive_parts WHERE run = ? AND name = ? AND part = ?", p.run, p.name, p.next).Scan(&p.rest)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, io.EOF // gzip knows whether it is the end
		}
		if err != nil {
			return 0, fmt.Errorf("archive %s of run %s: %w", p.name, p.run, err)
		}
		p.next++
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Archives lists the names of a run's archived files.
func (s *Store) Archives(ctx context.Context, run string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name FROM archives WHERE run = ? ORDER BY name", run)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (string, error) {
		var name string
		err := rows.Scan(&name)
		return name, err
	})
}
