package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Backup writes a copy of the whole store to a directory that does not exist yet, while the store is in use: the database as it is at one
// moment, and every artifact that it names.
func (s *Store) Backup(ctx context.Context, to string) error {
	if s.d.shared {
		return errors.New("backup: the store is in PostgreSQL: use pg_dump, and copy the data directory after it")
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err := s.backup(ctx, to)
	if err != nil {
		// A directory without its end mark is refused by Restore, but half a backup helps no one.
		return errors.Join(fmt.Errorf("backup: %w", err), os.RemoveAll(to))
	}
	return nil
}

const endOfBackup = "complete"

func (s *Store) backup(ctx context.Context, to string) error {
	if _, err := s.write.ExecContext(ctx, "VACUUM INTO ?", filepath.Join(to, "platform.db")); err != nil {
		return err
	}
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT digest FROM artifacts")
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := os.Mkdir(filepath.Join(to, "artifacts"), 0o700); err != nil {
		return err
	}
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			return err
		}
		if err := copyFile(s.blob(digest), filepath.Join(to, "artifacts", digest)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err // one that was deleted meanwhile is in no version
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(to, endOfBackup), nil, 0o600), syncDir(to))
}

// Restore makes a data directory, which must not exist or be empty, from a backup. The server that opens it only observes until an operator says
// "resume": clusters may run that the backup does not know.
func Restore(from, dir string) error {
	if _, err := os.Stat(filepath.Join(from, endOfBackup)); err != nil {
		return fmt.Errorf("restore: %s is not a complete backup: %w", from, err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("restore: %s is not empty", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, "artifacts"), 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	artifacts, err := os.ReadDir(filepath.Join(from, "artifacts"))
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	for _, a := range artifacts {
		if err := copyFile(filepath.Join(from, "artifacts", a.Name()), filepath.Join(dir, "artifacts", a.Name())); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, restored), nil, 0o600); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	// Last: a directory without a database is an empty store's, which would start as a new one.
	if err := copyFile(filepath.Join(from, "platform.db"), filepath.Join(dir, "platform.db")); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return syncDir(dir)
}

const restored = "restored"

// OnlyObserves reports whether the store was restored from a backup and was not resumed since.
func (s *Store) OnlyObserves() bool {
	_, err := os.Stat(filepath.Join(s.dir, restored))
	return err == nil
}

// Resume ends that.
func (s *Store) Resume() error {
	if err := os.Remove(filepath.Join(s.dir, restored)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
