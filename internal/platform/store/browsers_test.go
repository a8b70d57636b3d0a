package store

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestBrowserSessions: a code makes one session, which ends with its time, by a sign-out, and with its token. Only digests are stored.
func TestBrowserSessions(t *testing.T) {
	s, ctx := opened(t), t.Context()
	for _, name := range []string{"ann", "bob"} {
		if _, err := s.MakeToken(ctx, Token{Name: name, Role: RoleEdit, Team: "web"}); err != nil {
			t.Fatal(err)
		}
	}
	code, expires, err := s.MakeCode(ctx, "ann", time.Hour)
	if err != nil || time.Until(expires) < 59*time.Minute {
		t.Fatal(expires, err)
	}
	secret, b, err := s.UseCode(ctx, code, time.Hour)
	if err != nil || b.Token.Name != "ann" || b.Token.Role != RoleEdit || b.Token.Team != "web" {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, _, err := s.UseCode(ctx, code, time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("the code worked twice: %v", err)
	}
	if got, err := s.SessionOf(ctx, secret); err != nil || got.Token.Name != "ann" || !got.Expires.Equal(b.Expires) {
		t.Errorf("%+v, %v", got, err)
	}
	old, _, err := s.MakeCode(ctx, "ann", -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.UseCode(ctx, old, time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("an old code worked: %v", err)
	}
	past, _, err := s.MakeSession(ctx, "ann", -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SessionOf(ctx, past); !errors.Is(err, ErrNotFound) {
		t.Errorf("an old session works: %v", err)
	}
	stored := everything(t, s)
	for _, plain := range []string{secret, code, past} {
		if strings.Contains(stored, plain) {
			t.Error("a secret is stored as it is")
		}
	}
	bobs, _, err := s.MakeSession(ctx, "bob", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	left, _, err := s.MakeCode(ctx, "ann", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteToken(ctx, "web", "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SessionOf(ctx, secret); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session outlives its token: %v", err)
	}
	if _, _, err := s.UseCode(ctx, left, time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("a code outlives its token: %v", err)
	}
	if _, err := s.SessionOf(ctx, bobs); err != nil {
		t.Errorf("another token's session has ended: %v", err)
	}
	if err := s.EndSession(ctx, bobs); err != nil {
		t.Error(err)
	}
	if _, err := s.SessionOf(ctx, bobs); !errors.Is(err, ErrNotFound) {
		t.Errorf("signed out, and it still works: %v", err)
	}
	if _, _, err := s.MakeSession(ctx, "ann", time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session of a token that has ended: %v", err)
	}
}

// TestSessionsOfTokensThatExpire: no session is longer than its token.
func TestSessionsOfTokensThatExpire(t *testing.T) {
	s, ctx := opened(t), t.Context()
	end := time.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()
	if _, err := s.MakeToken(ctx, Token{Name: "ann", Role: RoleView, Team: "web", Expires: end}); err != nil {
		t.Fatal(err)
	}
	if _, b, err := s.MakeSession(ctx, "ann", time.Hour); err != nil || !b.Expires.Equal(end) {
		t.Errorf("it ends at %v, want %v: %v", b.Expires, end, err)
	}
	if _, err := s.MakeToken(ctx, Token{Name: "bob", Role: RoleView, Team: "web", Expires: time.Now().Add(-time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.MakeSession(ctx, "bob", time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session of an expired token: %v", err)
	}
}

// TestManySessions: the newest ones stay.
func TestManySessions(t *testing.T) {
	s, ctx := opened(t), t.Context()
	first, _, err := s.MakeSession(ctx, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(ctx, "UPDATE browser_sessions SET created = created - 1000"); err != nil {
		t.Fatal(err)
	}
	last := ""
	for range maxSessions + 3 {
		if last, _, err = s.MakeSession(ctx, "", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SessionOf(ctx, last); err != nil {
		t.Errorf("the newest: %v", err)
	}
	if _, err := s.SessionOf(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the oldest: %v", err)
	}
	n := 0
	if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM browser_sessions").Scan(&n); err != nil || n > maxSessions+1 {
		t.Errorf("%d sessions are kept, %v", n, err)
	}
}

// TestCountJobs: each job is counted once, in the state of its newest run.
func TestCountJobs(t *testing.T) {
	s, ctx := opened(t), t.Context()
	for _, name := range []string{"a", "b", "c"} {
		put(t, s, name, "x")
	}
	if _, _, err := s.PutJob(ctx, "others", Version{Job: "d", Document: []byte("x"), Digest: "d", Source: []byte("x")}, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	got, err := s.CountJobs(ctx, "team")
	if err != nil || len(got) != 2 || got[0] != (Count{Queue: "accept", Condition: "starting", Jobs: 1}) || got[1] != (Count{Queue: "none", Jobs: 2}) {
		t.Errorf("%+v, %v", got, err)
	}
	for ended, want := range map[bool]int{true: 0, false: 1} {
		lines, err := s.Jobs(ctx, JobFilter{Team: "team", Condition: "starting", Ended: &ended})
		if err != nil || len(lines) != want {
			t.Errorf("ended %v: %d jobs, want %d, %v", ended, len(lines), want, err)
		}
	}
}
