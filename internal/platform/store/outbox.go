package store

import (
	"context"
	"database/sql"
	"time"
)

// OutboxJob is the kind of messages that say that the newest run of a job, in the payload, has begun or ended, or that the job was deleted.
const OutboxJob = "job"

// jobChanged puts such a message into the outbox, if it is read. change tells it from the others of the job.
func (s *Store) jobChanged(ctx context.Context, tx *sql.Tx, job, change string, now int64) error {
	if !s.TellJobs {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO outbox (kind, name, payload, created, due, tries) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (kind, name) DO NOTHING", OutboxJob, job+"/"+change, job, now, now)
	return err
}

// A Waiting is a message of the outbox that is due.
type Waiting struct {
	ID      int64
	Tries   int    // how often it was taken, this one included
	Payload string // of OutboxJob: the name of the job
}

// Outbox takes up to limit messages of a kind that are due; they are due again after lease unless Delivered says that they arrived.
func (s *Store) Outbox(ctx context.Context, kind string, limit int, lease time.Duration) ([]Waiting, error) {
	var all []Waiting
	err := s.fenced(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "UPDATE outbox SET due = "+s.d.now+" + ?, tries = tries + 1 WHERE id IN (SELECT id FROM outbox WHERE kind = ? AND due <= "+s.d.now+" ORDER BY due, id LIMIT ? "+s.d.skipLocked+") RETURNING id, tries, payload",
			lease.Milliseconds(), kind, limit)
		if err != nil {
			return err
		}
		all, err = collect(rows, func(rows *sql.Rows) (Waiting, error) {
			var w Waiting
			err := rows.Scan(&w.ID, &w.Tries, &w.Payload)
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
