package store

import (
	"bytes"
	"errors"
	"testing"
)

// TestKept: the logs and the status of a run's cluster, until they are forgotten or the run goes.
func TestKept(t *testing.T) {
	s, r := begun(t)
	ctx, run := t.Context(), r.State.ID
	nothing := func(of string) {
		t.Helper()
		if _, err := s.KeptStatus(ctx, of); !errors.Is(err, ErrNotFound) {
			t.Errorf("the status of %s: %v", of, err)
		}
		if _, err := s.KeptLog(ctx, of, "jobmanager"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the log of %s: %v", of, err)
		}
	}
	keep := func(of, status string, log []byte) {
		t.Helper()
		if err := errors.Join(s.KeepLog(ctx, of, "jobmanager", log), s.KeepLog(ctx, of, "empty", nil), s.KeepStatus(ctx, of, []byte(status))); err != nil {
			t.Error(err)
		}
	}
	nothing(run)
	keep("none", `{"a":1}`, []byte("x"))
	nothing("none")
	log := bytes.Repeat([]byte("2026-11-27 a line\x00\xff\n"), 100_000)
	keep(run, `{"a":1}`, []byte("earlier"))
	keep(run, `{"a":2}`, log)
	if got, err := s.KeptStatus(ctx, run); err != nil || string(got) != `{"a":1}` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := s.KeptLog(ctx, run, "jobmanager"); err != nil || !bytes.Equal(got, log) {
		t.Errorf("%d bytes of %d, %v", len(got), len(log), err)
	}
	if got, err := s.KeptLog(ctx, run, "empty"); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.ForgetKept(ctx, run); err != nil {
		t.Error(err)
	}
	nothing(run)
	keep(run, `{"a":3}`, []byte("x"))
	if _, err := s.write.ExecContext(ctx, "DELETE FROM runs WHERE id = ?", run); err != nil {
		t.Fatal(err)
	}
	nothing(run)
}
