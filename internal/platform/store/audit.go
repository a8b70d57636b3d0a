package store

import (
	"context"
	"database/sql"
	"fmt"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
)

type actorKey struct{}

// ByUser is a context in which a user changes the store: each change writes an event with the user's name, in the same transaction. Changes
// without a user (the platform's own, those of pods) write none.
func ByUser(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Audit writes an event of something that a user did and that changes nothing in the store. Without a user (see ByUser) it does nothing.
func (s *Store) Audit(ctx context.Context, team, job, text string) error {
	return s.tx(ctx, func(tx *sql.Tx) error { return s.audit(ctx, tx, team, job, "%s", text) })
}

// audit writes an event that belongs to no run. job may be empty.
func (s *Store) audit(ctx context.Context, tx *sql.Tx, team, job, format string, args ...any) error {
	by, ok := ctx.Value(actorKey{}).(string)
	if !ok {
		return nil
	}
	texts, err := marshal(jobstate.Event{Source: jobstate.FromUser, Text: mask.Text(fmt.Sprintf(format, args...)), By: by})
	if err != nil {
		return err
	}
	if err := s.oneByOne(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO events (run, job, team, revision, position, at, event, person) SELECT '', ?, ?, COALESCE(MAX(revision), 0) + 1, 0, "+s.d.now+", ?, 1 FROM events WHERE run = ''", job, team, texts[0])
	return err
}
