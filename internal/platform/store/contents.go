package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Contents of artifacts are files by digest. Where several servers share a database, the contents are in it too, in parts, and a server's files
// are copies, which it makes when it needs them.

// contentPart is how large a part is, at most.
const contentPart = 4 << 20

// holdContents keeps everyone else from adding and removing contents until release is called: a content that has no name yet must not be removed
// with the last name that it had.
func (s *Store) holdContents(ctx context.Context) (release func(), err error) {
	s.blobs.Lock()
	if !s.d.shared {
		return s.blobs.Unlock, nil
	}
	conn, err := s.write.Conn(ctx) // the lock is of a connection
	if err == nil {
		if _, err = conn.ExecContext(ctx, "SELECT pg_advisory_lock(6712172)"); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		s.blobs.Unlock()
		return nil, err
	}
	return func() {
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(6712172)"); err != nil {
			conn.Raw(func(any) error { return driver.ErrBadConn }) // it is not used again, and the lock ends with it
		}
		conn.Close()
		s.blobs.Unlock()
	}, nil
}

// shareContent copies a content from a file to the database.
func (s *Store) shareContent(ctx context.Context, digest, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, contentPart)
	for part := 0; ; part++ {
		n, err := io.ReadFull(f, b)
		if n > 0 || part == 0 {
			if err := s.fenced(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO artifact_parts (digest, part, content) VALUES (?, ?, ?) ON CONFLICT (digest, part) DO NOTHING", digest, part, b[:n])
				return err
			}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fetchContent makes the file of a content from what the database has.
func (s *Store) fetchContent(ctx context.Context, digest string) error {
	dir := filepath.Join(s.dir, "artifacts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, partPrefix)
	if err != nil {
		return s.Explain(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	hash := sha256.New()
	for part := 0; ; part++ {
		var content []byte
		err := s.read.QueryRowContext(ctx, "SELECT content FROM artifact_parts WHERE digest = ? AND part = ?", digest, part).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := io.MultiWriter(file, hash).Write(content); err != nil {
			return s.Explain(err)
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("the database does not have the whole content %s, what it has is %s", digest, got)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return s.Explain(err)
	}
	return errors.Join(os.Rename(file.Name(), s.blob(digest)), syncDir(dir))
}

// dropShared removes contents that no artifact has from the database. The caller holds them.
func (s *Store) dropShared(ctx context.Context) error {
	if !s.d.shared {
		return nil
	}
	return s.fenced(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM artifact_parts p WHERE NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = p.digest)")
		return err
	})
}
