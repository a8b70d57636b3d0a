package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
)

// KeepLog keeps the log of a process of a run's cluster; a later one replaces it. Of a run that was removed nothing is kept.
func (s *Store) KeepLog(ctx context.Context, run, process string, log []byte) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(log); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO kept_logs (run, process, content) SELECT id, ?, ? FROM runs WHERE id = ? ON CONFLICT (run, process) DO UPDATE SET content = excluded.content", process, b.Bytes(), run)
		return err
	})
}

// KeptLog is a log that was kept.
func (s *Store) KeptLog(ctx context.Context, run, process string) ([]byte, error) {
	var content []byte
	if err := s.read.QueryRowContext(ctx, "SELECT content FROM kept_logs WHERE run = ? AND process = ?", run, process).Scan(&content); err != nil {
		return nil, found(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err == nil {
		content, err = io.ReadAll(z)
	}
	if err != nil {
		return nil, fmt.Errorf("the log of %s of run %s: %w", process, run, err)
	}
	return content, nil
}

// KeepStatus keeps how a run's cluster ended. The first one stays.
func (s *Store) KeepStatus(ctx context.Context, run string, status []byte) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO kept_clusters (run, status) SELECT id, ? FROM runs WHERE id = ? ON CONFLICT (run) DO NOTHING", string(status), run)
		return err
	})
}

// KeptStatus is the one that was kept.
func (s *Store) KeptStatus(ctx context.Context, run string) ([]byte, error) {
	var status string
	err := s.read.QueryRowContext(ctx, "SELECT status FROM kept_clusters WHERE run = ?", run).Scan(&status)
	return []byte(status), found(err)
}

// ForgetKept removes what is kept of a run's cluster.
func (s *Store) ForgetKept(ctx context.Context, run string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"kept_logs", "kept_clusters"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE run = ?", run); err != nil {
				return err
			}
		}
		return nil
	})
}
