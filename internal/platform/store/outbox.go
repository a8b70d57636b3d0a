package store

import (
	"context"
	"database/sql"
	"time"
)

// A Waiting is a message of the outbox that is due.
type Waiting struct {
	ID    int64
	Tries int
	Message
}

// Outbox takes up to limit messages of a kind that are due; they are due again after lease unless Delivered says that they arrived.
func (s *Store) Outbox(ctx context.Context, kind string, limit int, lease time.Duration) ([]Waiting, error) {
	var all []Waiting
	err := s.fenced(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "UPDATE outbox SET due = "+s.d.now+" + ?, tries = tries + 1 WHERE id IN (SELECT id FROM outbox WHERE kind = ? AND due <= "+s.d.now+" ORDER BY due, id LIMIT ? "+s.d.skipLocked+") RETURNING id, tries, kind, name, payload",
			lease.Milliseconds(), kind, limit)
		if err != nil {
			return err
		}
		all, err = collect(rows, func(rows *sql.Rows) (Waiting, error) {
			var w Waiting
			err := rows.Scan(&w.ID, &w.Tries, &w.Kind, &w.Name, &w.Payload)
			return w, err
		})
		return err
	})
	return all, err
}

// Delivered removes a message.
func (s *Store) Delivered(ctx context.Context, id int64) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE id = ?", id)
		return err
	})
}
