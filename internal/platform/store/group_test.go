package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// waiting are writes that become one group: they are added while another has the turn.
func waiting(t *testing.T, s *Store, all ...func(tx *sql.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(all))
	var done sync.WaitGroup
	s.group.turn.Lock()
	for i, f := range all {
		done.Go(func() { errs[i] = s.tx(t.Context(), f) })
		for n := 0; n <= i; runtime.Gosched() { // in this order
			s.group.mu.Lock()
			n = len(s.group.waiting)
			s.group.mu.Unlock()
		}
	}
	s.group.turn.Unlock()
	done.Wait()
	return errs
}

func insert(t *testing.T, key string) func(tx *sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO meta VALUES (?, 'x')", key)
		return err
	}
}

// keys are what the tests have written.
func keys(t *testing.T, s *Store) string {
	t.Helper()
	var text string
	if err := s.read.QueryRow("SELECT COALESCE(group_concat(key, ' '), '') FROM (SELECT key FROM meta WHERE value = 'x' ORDER BY key)").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGroup: writes that wait together are one transaction, and each fails or succeeds as if it were alone.
func TestGroup(t *testing.T) {
	s := opened(t)
	failed := errors.New("changed its mind")
	var in []*sql.Tx
	noted := func(f func(tx *sql.Tx) error) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error { in = append(in, tx); return f(tx) }
	}
	errs := waiting(t, s, noted(insert(t, "a")), noted(func(tx *sql.Tx) error {
		if err := insert(t, "b")(tx); err != nil {
			return err
		}
		return failed
	}), noted(insert(t, "a")), noted(insert(t, "c")))
	if errs[0] != nil || !errors.Is(errs[1], failed) || errs[2] == nil || errs[3] != nil {
		t.Errorf("%v", errs)
	}
	if got := keys(t, s); got != "a c" {
		t.Errorf("written: %q", got)
	}
	if len(in) != 4 || in[0] != in[3] {
		t.Errorf("%d calls, in transactions of their own", len(in))
	}
}

// TestGroupGivenUp: where the database gives the whole transaction up, each write is tried alone.
func TestGroupGivenUp(t *testing.T) {
	s := opened(t)
	broken := errors.New("rolled back")
	errs := waiting(t, s, insert(t, "a"), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "ROLLBACK"); err != nil { // as SQLite does by itself when the disk is full
			return err
		}
		return broken
	}, insert(t, "c"))
	if errs[0] != nil || !errors.Is(errs[1], broken) || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	if got := keys(t, s); got != "a c" {
		t.Errorf("written: %q", got)
	}
}

// TestGroupOfCanceled: the end of one request leaves the others alone.
func TestGroupOfCanceled(t *testing.T) {
	s := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := waiting(t, s, insert(t, "a"), func(tx *sql.Tx) error {
		cancel()
		_, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES ('b', 'x')")
		return err
	}, insert(t, "c"))
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	if got := keys(t, s); got != "a c" {
		t.Errorf("written: %q", got)
	}
}

// TestManyWriters: more writers than a group holds lose nothing.
func TestManyWriters(t *testing.T) {
	s := opened(t)
	var all sync.WaitGroup
	for i := range 4 * maxGroup {
		all.Go(func() {
			if err := s.tx(t.Context(), insert(t, fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var n int
	if err := s.read.QueryRow("SELECT COUNT(*) FROM meta WHERE value = 'x'").Scan(&n); err != nil || n != 4*maxGroup {
		t.Errorf("%d rows, %v", n, err)
	}
}
