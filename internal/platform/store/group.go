package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// Writes that wait for the one writer of SQLite at the same time become one transaction: the disk is waited for once, and not once for each.
// Each write is a savepoint, so one that fails takes nothing with it; a write is answered when the transaction is on the disk.

// maxGroup bounds how long the first of a group waits for the last.
const maxGroup = 64

// A write is one that waits.
type write struct {
	ctx  context.Context
	f    func(tx *sql.Tx) error
	done bool
	err  error
}

// A group is the writes that wait. Its zero value has none.
type group struct {
	turn    sync.Mutex // held by who writes
	mu      sync.Mutex
	waiting []*write
}

// take takes the writes that have waited longest.
func (g *group) take() []*write {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup)
	taken := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return taken
}

// once runs f in a transaction, alone or with others that wait. f may be called more than once.
func (s *Store) once(ctx context.Context, isolation sql.IsolationLevel, f func(tx *sql.Tx) error) error {
	if s.d.shared {
		return s.alone(ctx, isolation, f)
	}
	w := &write{ctx: ctx, f: f}
	s.group.mu.Lock()
	s.group.waiting = append(s.group.waiting, w)
	s.group.mu.Unlock()
	s.group.turn.Lock()
	defer s.group.turn.Unlock()
	for !w.done { // who had the turn before may have done it
		s.writeAll(s.group.take())
	}
	return w.err
}

// writeAll does all of some writes.
func (s *Store) writeAll(all []*write) {
	if len(all) > 1 && s.together(all) {
		return
	}
	for _, w := range all {
		w.err, w.done = s.alone(w.ctx, sql.LevelDefault, w.f), true
	}
}

// together does writes in one transaction. false: the database has given the transaction up, as it does when its disk is full or a statement
// was interrupted; nothing was written, and whose fault it was shows when each is alone.
func (s *Store) together(all []*write) bool {
	ctx := context.Background() // the end of one request must not end the others
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		finish(all, err)
		return true
	}
	for _, w := range all {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
			tx.Rollback()
			return false
		}
		if w.err = w.f(tx); w.err != nil {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO one"); err != nil {
				tx.Rollback()
				return false
			}
		}
		if _, err := tx.ExecContext(ctx, "RELEASE one"); err != nil {
			tx.Rollback()
			return false
		}
	}
	if err := tx.Commit(); err != nil {
		// Also for those that failed: they may have failed by what others had written.
		finish(all, errors.Join(err, ignoreDone(tx.Rollback())))
		return true
	}
	for _, w := range all {
		w.done = true
	}
	return true
}

func finish(all []*write, err error) {
	for _, w := range all {
		w.err, w.done = err, true
	}
}

// alone runs f in a transaction of its own.
func (s *Store) alone(ctx context.Context, isolation sql.IsolationLevel, f func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, &sql.TxOptions{Isolation: isolation})
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", errCommit, err)
	}
	return nil
}

// errCommit marks an error of a commit, after which a transaction is written or not.
var errCommit = errors.New("commit")
