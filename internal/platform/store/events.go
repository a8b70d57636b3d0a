package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
)

// An Event is one line of a run's timeline, or something that a user did beside runs; then Run is empty.
type Event struct {
	ID       int64 // grows over all runs
	Run, Job string
	Team     string
	Revision int64
	At       time.Time
	jobstate.Event
}

func (s *Store) addEvents(ctx context.Context, tx *sql.Tx, run, job, team string, revision, now int64, events []jobstate.Event) error {
	if len(events) > 0 {
		if err := s.oneByOne(ctx, tx); err != nil {
			return err
		}
	}
	for i, e := range events {
		e.Text = mask.Text(e.Text)
		texts, err := marshal(e)
		if err != nil {
			return err
		}
		person := 0
		if e.Source == jobstate.FromUser {
			person = 1
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO events (run, job, team, revision, position, at, event, person) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", run, job, team, revision, i, now, texts[0], person); err != nil {
			return err
		}
	}
	return nil
}

// oneByOne waits until no other transaction inserts events, and keeps others from it until this one ends.
func (s *Store) oneByOne(ctx context.Context, tx *sql.Tx) error {
	if s.d.oneByOne == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, s.d.oneByOne)
	return err
}

// An EventFilter chooses events. Empty fields choose all.
type EventFilter struct {
	Job, Run, Team string
	After          int64 // ids after this one
	Newest         bool  // the newest ones, still oldest first
	Limit          int   // 0: 1,000
}

// Events lists events, oldest first.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	query, args := "SELECT id, run, job, team, revision, at, event FROM events WHERE id > ?", []any{f.After}
	for column, value := range map[string]string{"job": f.Job, "run": f.Run, "team": f.Team} {
		if value != "" {
			query, args = query+" AND "+column+" = ?", append(args, value)
		}
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	order := " ORDER BY id LIMIT ?"
	if f.Newest {
		query, order = "SELECT * FROM ("+query, " ORDER BY id DESC LIMIT ?) AS newest ORDER BY id"
	}
	rows, err := s.read.QueryContext(ctx, query+order, append(args, f.Limit)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Event, error) {
		var e Event
		var ms int64
		var text string
		if err := rows.Scan(&e.ID, &e.Run, &e.Job, &e.Team, &e.Revision, &ms, &text); err != nil {
			return e, err
		}
		e.At = at(ms)
		return e, json.Unmarshal([]byte(text), &e.Event)
	})
}
