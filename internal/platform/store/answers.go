package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// An Answer is what a request with an Idempotency-Key was answered.
type Answer struct {
	Request string // digest of the request
	Status  int
	Body    []byte
}

// A Reservation says who does what a request with an Idempotency-Key asks for. The key is reserved before anything is done; so of servers that get the
// same request at the same time one does it, and the others wait for its answer. A server that dies leaves the reservation, which another one takes
// over when its lease has ended.
type Reservation struct {
	// Request is the digest of the request that has the key.
	Request string
	// ID stays the same when another server takes the reservation over. What is done is stored with it, so that it is done once: see Version.Reservation and
	// Asked.Reservation.
	ID   string
	Mine bool // its lease is the owner's
}

// ReserveKey reserves a token's key for an owner, unless the key has an answer: then that is returned. A reservation that is not the owner's is another
// one's, whose lease has not ended.
func (s *Store) ReserveKey(ctx context.Context, token, key, request, owner string, lease time.Duration) (a *Answer, r Reservation, err error) {
	if a, r, err = s.reserveKey(ctx, token, key, request, owner, lease); errors.Is(err, ErrExists) { // another server was quicker
		a, r, err = s.reserveKey(ctx, token, key, request, owner, lease)
	}
	return a, r, err
}

func (s *Store) reserveKey(ctx context.Context, token, key, request, owner string, lease time.Duration) (a *Answer, r Reservation, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		a, r = nil, Reservation{} // it may be repeated
		before, err := answerOf(ctx, tx, token, key)
		if err == nil {
			a = &before
			return nil
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		var other bool
		err = tx.QueryRowContext(ctx, "SELECT request, id, owner <> ? AND lease > "+s.d.now+" FROM reservations WHERE token = ? AND key = ?", owner, token, key).Scan(&r.Request, &r.ID, &other)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			r = Reservation{Request: request, ID: NewID() + NewID(), Mine: true}
			_, err = tx.ExecContext(ctx, "INSERT INTO reservations (token, key, request, id, owner, lease) VALUES (?, ?, ?, ?, ?, "+s.d.now+" + ?)", token, key, request, r.ID, owner, lease.Milliseconds())
			if err != nil && s.d.unique(err) {
				err = ErrExists
			}
		case err == nil && !other && r.Request == request:
			r.Mine = true
			_, err = tx.ExecContext(ctx, "UPDATE reservations SET owner = ?, lease = "+s.d.now+" + ? WHERE token = ? AND key = ?", owner, lease.Milliseconds(), token, key)
		}
		return err
	})
	return a, r, err
}

// RenewKey lengthens the lease of an owner's reservation. ErrConflict: another has it, or it has an answer.
func (s *Store) RenewKey(ctx context.Context, token, key, owner string, lease time.Duration) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE reservations SET lease = "+s.d.now+" + ? WHERE token = ? AND key = ? AND owner = ?", lease.Milliseconds(), token, key, owner)
		return changedOne(r, err, ErrConflict)
	})
}

// ReleaseKey gives up an owner's reservation: nothing was done.
func (s *Store) ReleaseKey(ctx context.Context, token, key, owner string) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM reservations WHERE token = ? AND key = ? AND owner = ?", token, key, owner)
		return err
	})
}

// KeepAnswer keeps an answer, which ends the reservation, and returns the one that is kept: the first one stays.
func (s *Store) KeepAnswer(ctx context.Context, token, key string, a Answer) (kept Answer, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO answers (token, key, request, status, body, created) VALUES (?, ?, ?, ?, ?, "+s.d.now+") ON CONFLICT (token, key) DO NOTHING", token, key, a.Request, a.Status, a.Body); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM reservations WHERE token = ? AND key = ?", token, key); err != nil {
			return err
		}
		kept, err = answerOf(ctx, tx, token, key)
		return err
	})
	return kept, err
}

func answerOf(ctx context.Context, q queryer, token, key string) (Answer, error) {
	var a Answer
	err := q.QueryRowContext(ctx, "SELECT request, status, body FROM answers WHERE token = ? AND key = ?", token, key).Scan(&a.Request, &a.Status, &a.Body)
	return a, found(err)
}

// AnswersOf is how many answers of a token are kept; it counts up to limit.
func (s *Store) AnswersOf(ctx context.Context, token string, limit int) (n int, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM answers WHERE token = ? LIMIT ?) AS kept", token, limit).Scan(&n)
	return n, err
}

const (
	deleteAnswers      = "DELETE FROM answers WHERE (token, key) IN (SELECT token, key FROM answers WHERE created <= ? ORDER BY created LIMIT ?)"
	deleteReservations = "DELETE FROM reservations WHERE (token, key) IN (SELECT token, key FROM reservations WHERE lease <= ? ORDER BY lease LIMIT ?)"
)

// RemoveAnswers removes up to limit answers that were given at a time or before it, and says how many there were. Reservations of servers that died, and
// whose requests were never repeated, go with them.
func (s *Store) RemoveAnswers(ctx context.Context, until time.Time, limit int) (int, error) {
	n, err := s.remove(ctx, deleteAnswers, until.UnixMilli(), limit)
	if err == nil {
		_, err = s.remove(ctx, deleteReservations, until.UnixMilli(), limit)
	}
	return n, err
}
