package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotEmpty: a store that is copied to has something already.
var ErrNotEmpty = errors.New("it is not empty")

// CopyTo copies everything of a SQLite store to an empty one of PostgreSQL, which is then the same store: with the same instance, so that it owns the
// clusters of this one. What is interrupted leaves nothing but contents that no artifact has, and can be repeated.
func (s *Store) CopyTo(ctx context.Context, to *Store) error {
	if s.d.shared || !to.d.shared {
		return errors.New("copy: a SQLite store is copied to PostgreSQL, not the other way round")
	}
	tables, err := s.tables(ctx)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	release, err := to.holdContents(ctx)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer release()
	digests, err := s.read.QueryContext(ctx, "SELECT DISTINCT digest FROM artifacts ORDER BY digest")
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	all, err := collect(digests, oneText)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	for _, digest := range all {
		if err := to.shareContent(ctx, digest, s.blob(digest)); err != nil {
			return fmt.Errorf("copy: content %s: %w", digest, err)
		}
	}
	err = to.fenced(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"jobs", "tokens", "catalogs", "artifacts"} {
			var some bool
			if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&some); err != nil || some {
				return errors.Join(err, fmt.Errorf("%w: it has %s", ErrNotEmpty, table))
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM meta"); err != nil {
			return err
		}
		for _, table := range tables {
			if err := s.copyTable(ctx, tx, table); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	to.instance = s.instance
	return nil
}

// tables are the tables of a SQLite store, in an order in which each follows the ones that its rows refer to.
func (s *Store) tables(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_version' AND name <> 'artifact_parts' ORDER BY name")
	if err != nil {
		return nil, err
	}
	left, err := collect(rows, oneText)
	if err != nil {
		return nil, err
	}
	var ordered []string
	for len(left) > 0 {
		before := len(ordered)
		for _, name := range slices.Clone(left) {
			rows, err := s.read.QueryContext(ctx, `SELECT "table" FROM pragma_foreign_key_list(?)`, name)
			if err != nil {
				return nil, err
			}
			needs, err := collect(rows, oneText)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(needs, func(n string) bool { return n != name && slices.Contains(left, n) }) {
				ordered = append(ordered, name)
				left = slices.DeleteFunc(left, func(n string) bool { return n == name })
			}
		}
		if len(ordered) == before {
			return nil, fmt.Errorf("internal error (a bug): the tables %v refer to each other", left)
		}
	}
	return ordered, nil
}

func oneText(rows *sql.Rows) (string, error) {
	var text string
	err := rows.Scan(&text)
	return text, err
}

// copyTable copies all rows of a table.
func (s *Store) copyTable(ctx context.Context, to *sql.Tx, table string) error {
	rows, err := s.read.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	insert, err := to.PrepareContext(ctx, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if !slices.Contains(columns, "id") {
		return nil
	}
	var sequence string
	if err := to.QueryRowContext(ctx, "SELECT COALESCE(pg_get_serial_sequence(?, 'id'), '')", table).Scan(&sequence); err != nil || sequence == "" {
		return err
	}
	// A key that counts goes on after the rows that have theirs already.
	_, err = to.ExecContext(ctx, "SELECT setval(?, (SELECT COALESCE(MAX(id), 0) + 1 FROM "+table+"), false)", sequence)
	return err
}
