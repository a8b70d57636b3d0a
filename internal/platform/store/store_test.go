package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
)

func opened(t testing.TB) *Store {
	t.Helper()
	if server := os.Getenv(postgresServer); server != "" {
		return openedPostgres(t, server)
	}
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// everything is all that a database holds: its files, or, of PostgreSQL, every row.
func everything(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	if s.d.shared {
		rows, err := s.read.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
		if err != nil {
			t.Fatal(err)
		}
		tables, err := collect(rows, oneText)
		if err != nil || len(tables) < 10 {
			t.Fatal(tables, err)
		}
		for _, table := range tables {
			b.WriteString(strings.Join(rowsOf(t, s, table), "\n"))
		}
		return b.String()
	}
	for _, name := range []string{"platform.db", "platform.db-wal"} {
		content, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(content)
	}
	return b.String()
}

func put(t testing.TB, s *Store, job, document string) Version {
	t.Helper()
	v, _, err := s.PutJob(t.Context(), "team", Version{Job: job, Document: []byte(document), Source: []byte(document), Digest: "d-" + document, By: "ann"}, -1)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func start(t testing.TB, s *Store, job string) (Run, error) {
	t.Helper()
	return s.CreateRun(t.Context(), job, 1, Asked{By: "ann"}, func(id string, now time.Time) jobstate.Run {
		return jobstate.New(id, jobstate.JobIDOf(id), false, false, now, time.Minute)
	})
}

func TestVersionsAreImmutable(t *testing.T) {
	s, ctx := opened(t), t.Context()
	one := put(t, s, "clicks", "a")
	if again := put(t, s, "clicks", "a"); again.Number != 1 || again.Created != one.Created {
		t.Errorf("the same document made version %d", again.Number)
	}
	two := put(t, s, "clicks", "b")
	if two.Number != 2 || two.Created.IsZero() {
		t.Errorf("version %+v", two)
	}
	for newest, want := range []error{ErrConflict, ErrConflict, nil} {
		if _, _, err := s.PutJob(ctx, "team", Version{Job: "clicks", Document: []byte("c"), Source: []byte("c"), Digest: "c"}, newest); !errors.Is(err, want) {
			t.Errorf("put on top of %d: %v, want %v", newest, err, want)
		}
	}
	if _, _, err := s.PutJob(ctx, "others", Version{Job: "clicks"}, -1); !errors.Is(err, ErrExists) {
		t.Errorf("another team's name: %v", err)
	}
	if v, err := s.Version(ctx, "clicks", 1); err != nil || string(v.Document) != "a" {
		t.Errorf("version 1 is %q, %v", v.Document, err)
	}
	if v, err := s.Version(ctx, "clicks", 0); err != nil || v.Number != 3 {
		t.Errorf("the newest is %d, %v", v.Number, err)
	}
	if _, err := s.Version(ctx, "clicks", 9); !errors.Is(err, ErrNotFound) {
		t.Errorf("version 9: %v", err)
	}
	if all, err := s.Versions(ctx, "clicks", 0, 100); err != nil || len(all) != 3 || all[0].Number != 3 {
		t.Errorf("versions %+v, %v", all, err)
	}
}

func TestOneRunAtATime(t *testing.T) {
	s, ctx := opened(t), t.Context()
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, s, "clicks"); !errors.Is(err, ErrExists) {
		t.Errorf("a second run: %v", err)
	}
	if err := s.DeleteJob(ctx, "clicks"); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted while it runs: %v", err)
	}
	if _, err := start(t, s, "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a run of no job: %v", err)
	}
	result := jobstate.Step(r.State, jobstate.Push{Attempt: "a", Sequence: 1, JobID: r.State.JobID, Status: jobstate.StFinished}, time.Now())
	r, err = s.Transition(ctx, r.State.ID, r.Revision, "", Change{State: result.Run, Events: result.Events, Pending: result.Effects, Next: time.Second})
	if err != nil || r.State.Outcome != jobstate.IsFinished {
		t.Fatal(r.State, err)
	}
	if err := s.DeleteJob(ctx, "clicks"); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted before its effects were done: %v", err)
	}
	if r, err = s.Transition(ctx, r.State.ID, r.Revision, "", Change{State: r.State}); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, s, "clicks"); err != nil {
		t.Errorf("a run after the end of the first: %v", err)
	}
	lines, err := s.Jobs(ctx, JobFilter{Queue: "accept"})
	if err != nil || len(lines) != 1 || lines[0].Run.State.ID == r.State.ID {
		t.Errorf("jobs in accept: %+v, %v", lines, err)
	}
	if lines, err := s.Jobs(ctx, JobFilter{Queue: "finish"}); err != nil || len(lines) != 0 {
		t.Errorf("the state of a job is of its newest run: %+v, %v", lines, err)
	}
}

func TestTransitionsAreFenced(t *testing.T) {
	s, ctx := opened(t), t.Context()
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	id := r.State.ID
	claimed, err := s.Claim(ctx, jobstate.Accept, "w1", 10, time.Minute)
	if err != nil || len(claimed) != 1 || len(claimed[0].Pending) != 1 {
		t.Fatal(claimed, err)
	}
	if more, err := s.Claim(ctx, jobstate.Accept, "w2", 10, time.Second); err != nil || len(more) != 0 {
		t.Errorf("claimed twice: %v, %v", more, err)
	}
	if _, err := s.Transition(ctx, id, 1, "w2", Change{State: r.State}); !errors.Is(err, ErrConflict) {
		t.Errorf("another worker wrote: %v", err)
	}
	// A push needs no lease, and makes the worker's write fail.
	event := jobstate.Event{Queue: jobstate.Accept, Source: jobstate.FromPush, Text: "pushed"}
	if _, err := s.Transition(ctx, id, 1, "", Change{State: r.State, Events: []jobstate.Event{event}, Next: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transition(ctx, id, 1, "w1", Change{State: r.State}); !errors.Is(err, ErrConflict) {
		t.Errorf("a poll that began before a push was written: %v", err)
	}
	if err := s.Release(ctx, "w1", []Return{{id, 1, time.Hour}}); err != nil {
		t.Fatal(err)
	}
	waitDue := func(owner string, lease time.Duration) []Claimed {
		t.Helper()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // the database's clock decides
			c, err := s.Claim(ctx, jobstate.Accept, owner, 1, lease)
			if err != nil {
				t.Fatal(err)
			}
			if len(c) > 0 {
				return c
			}
		}
		t.Fatal("never due again")
		return nil
	}
	c := waitDue("w3", 50*time.Millisecond)
	if c[0].Revision != 2 {
		t.Fatalf("revision %d", c[0].Revision)
	}
	// A worker whose lease has ended writes nothing, whoever holds it now.
	waitDue("w4", time.Minute)
	if _, err := s.Transition(ctx, id, 2, "w3", Change{State: r.State}); !errors.Is(err, ErrConflict) {
		t.Errorf("a worker wrote after its lease: %v", err)
	}
	if err := s.Release(ctx, "w4", []Return{{id, 2, time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Run(ctx, id); err != nil || time.Until(got.Due) < 50*time.Minute {
		t.Errorf("due %s, %v", got.Due, err)
	}
	// A server that starts looks at every open run, and takes none from a worker that still has it.
	if err := s.WakeWithin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Claim(ctx, jobstate.Accept, "w5", 1, time.Minute); err != nil || len(c) != 1 {
		t.Errorf("claimed %v, %v", c, err)
	}
	if err := s.WakeWithin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Claim(ctx, jobstate.Accept, "w6", 1, time.Minute); err != nil || len(c) != 0 {
		t.Errorf("taken from its worker: %v, %v", c, err)
	}
	events, err := s.Events(ctx, EventFilter{Run: id})
	if err != nil || len(events) != 2 || events[1].Text != "pushed" || events[1].Revision != 2 {
		t.Errorf("events %+v, %v", events, err)
	}
}

// TestWorkersShareQueues: many workers on one queue take each run once per turn.
func TestWorkersShareQueues(t *testing.T) {
	s, ctx := opened(t), t.Context()
	const runs, workers = 60, 6
	for i := range runs {
		put(t, s, fmt.Sprint("job-", i), "a")
		if _, err := start(t, s, fmt.Sprint("job-", i)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	turns := map[string]int{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			owner := fmt.Sprint("w", w)
			for {
				claimed, err := s.Claim(ctx, jobstate.Accept, owner, 7, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				if len(claimed) == 0 {
					return
				}
				var back []Return
				for _, c := range claimed {
					mu.Lock()
					turns[c.State.ID]++
					mu.Unlock()
					back = append(back, Return{c.State.ID, c.Revision, time.Hour})
				}
				if err := s.Release(ctx, owner, back); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(turns) != runs {
		t.Errorf("%d of %d runs had a turn", len(turns), runs)
	}
	for id, n := range turns {
		if n != 1 {
			t.Errorf("run %s had %d turns", id, n)
		}
	}
	depths, err := s.Depths(ctx, "team")
	if err != nil || len(depths) != 1 || depths[0].Runs != runs || depths[0].Leased != 0 {
		t.Errorf("depths %+v, %v", depths, err)
	}
}

func TestCatalogs(t *testing.T) {
	s, ctx := opened(t), t.Context()
	c, err := s.PutCatalog(ctx, Catalog{Team: "team", Name: "ods", Statement: "CREATE CATALOG ods WITH ('type'='generic_in_memory')", By: "ann"}, 0)
	if err != nil || c.Revision != 1 {
		t.Fatal(c, err)
	}
	if _, err := s.PutCatalog(ctx, Catalog{Team: "team", Name: "ods", Statement: "x"}, 0); !errors.Is(err, ErrConflict) {
		t.Errorf("overwritten: %v", err)
	}
	if c, err = s.PutCatalog(ctx, c, -1); err != nil || c.Revision != 1 {
		t.Errorf("the same statement: revision %d, %v", c.Revision, err)
	}
	c.Statement = "CREATE CATALOG ods WITH ('type'='jdbc')"
	if c, err = s.PutCatalog(ctx, c, 1); err != nil || c.Revision != 2 {
		t.Errorf("revision %d, %v", c.Revision, err)
	}
	if _, err := s.Catalog(ctx, "others", "ods"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another team sees it: %v", err)
	}
	if err := s.DeleteCatalog(ctx, "team", "ods"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteCatalog(ctx, "team", "ods"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestArtifacts(t *testing.T) {
	s, ctx := opened(t), t.Context()
	a := Artifact{Team: "team", Name: "udf.jar", By: "ann"}
	if _, err := s.PutArtifact(ctx, a, strings.NewReader("content"), "00", 0); !errors.Is(err, ErrDigest) {
		t.Errorf("wrong digest: %v", err)
	}
	if _, err := s.PutArtifact(ctx, a, failing{}, "", 0); err == nil {
		t.Error("half a stream was stored")
	}
	got, err := s.PutArtifact(ctx, a, strings.NewReader("content"), "", 0)
	if err != nil || got.Size != 7 || len(got.Digest) != 64 {
		t.Fatal(got, err)
	}
	if _, err := s.PutArtifact(ctx, a, strings.NewReader("content"), got.Digest, 0); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if _, err := s.PutArtifact(ctx, a, strings.NewReader("other"), "", 0); !errors.Is(err, ErrExists) {
		t.Errorf("another content under the name: %v", err)
	}
	_, f, err := s.OpenArtifact(ctx, "team", "udf.jar")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if b.ReadFrom(f); b.String() != "content" {
		t.Errorf("content %q", b.String())
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "artifacts", ".part-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	put(t, s, "clicks", "uses http://127.0.0.1/v1/artifacts/udf.jar.")
	if err := s.DeleteArtifact(ctx, "team", "udf.jar"); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted while a version names it: %v", err)
	}
	if err := s.DeleteJob(ctx, "clicks"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteArtifact(ctx, "team", "udf.jar"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.blob(got.Digest)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its content stays: %v", err)
	}
}

func TestTokens(t *testing.T) {
	s, ctx := opened(t), t.Context()
	secret, err := s.MakeToken(ctx, Token{Name: "ann", Role: RoleEdit, Team: "team"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.MakeToken(ctx, Token{Name: "ann", Team: "team"}); !errors.Is(err, ErrExists) {
		t.Errorf("two tokens of one name: %v", err)
	}
	if got, err := s.TokenOf(ctx, secret); err != nil || got.Role != RoleEdit || got.Team != "team" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.TokenOf(ctx, secret+"x"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	old, err := s.MakeToken(ctx, Token{Name: "old", Team: "team", Expires: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TokenOf(ctx, old); !errors.Is(err, ErrNotFound) {
		t.Errorf("an expired token works: %v", err)
	}
	if strings.Contains(everything(t, s), secret) {
		t.Error("the secret is stored")
	}
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	// Two servers may start one cluster, and either's token may be the one that it has.
	var tokens []string
	for range maxRunTokens + 1 {
		token, err := s.NewRunToken(ctx, "team", r.State.ID)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	works := 0
	for _, token := range tokens {
		if got, err := s.TokenOf(ctx, token); err == nil && got.Run == r.State.ID {
			works++
		} else if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if _, err := s.TokenOf(ctx, tokens[len(tokens)-1]); err != nil || works != maxRunTokens {
		t.Errorf("%d tokens of the run work, want %d; the newest: %v", works, maxRunTokens, err)
	}
	if list, err := s.Tokens(ctx, "team", "", 100); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestSetToken: a token with a secret of the caller is set again without a change, replaced by another secret, and takes nothing of another team.
func TestSetToken(t *testing.T) {
	s := opened(t)
	ctx := ByUser(t.Context(), "a test")
	admin, first, second := Token{Name: "admin", Role: RoleAdmin, Team: "team"}, newSecret(), newSecret()
	events := func() int {
		var n int
		if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM events").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 { // as two replicas do
		if err := s.SetToken(ctx, admin, first); err != nil {
			t.Fatal(err)
		}
	}
	if n := events(); n != 1 {
		t.Errorf("%d events of a token that was set once and again", n)
	}
	if got, err := s.TokenOf(ctx, first); err != nil || got.Role != RoleAdmin || got.Team != "team" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.SetToken(ctx, admin, second); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TokenOf(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the replaced secret works: %v", err)
	}
	if _, err := s.TokenOf(ctx, second); err != nil {
		t.Error(err)
	}
	other := admin
	other.Team = "other"
	if err := s.SetToken(ctx, other, newSecret()); !errors.Is(err, ErrExists) {
		t.Errorf("the name of another team was taken: %v", err)
	}
	if strings.Contains(everything(t, s), second) {
		t.Error("the secret is stored")
	}
}

// later waits until a run that is created is newer than r: two of one millisecond are ordered by their ids.
func later(t *testing.T, s *Store, r Run) {
	t.Helper()
	for now(t, s).UnixMilli() <= r.Created.UnixMilli() {
		runtime.Gosched()
	}
}

// TestFollowingRun: what follows a run is made once, also when it is asked for again after its end: a user may have ended it.
func TestFollowingRun(t *testing.T) {
	s := opened(t)
	put(t, s, "clicks", "a")
	after := func(id string) (Run, error) {
		return s.CreateRun(t.Context(), "clicks", 1, Asked{After: id}, func(id string, now time.Time) jobstate.Run {
			return jobstate.New(id, "", false, false, now, time.Minute)
		})
	}
	end := func(r Run) {
		t.Helper()
		later(t, s, r)
		r.State.Outcome, r.State.Ended = jobstate.IsFailed, time.Now()
		if _, err := s.Transition(t.Context(), r.State.ID, r.Revision, "", Change{State: r.State}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	end(first)
	second, err := after(first.State.ID)
	if err != nil {
		t.Fatal(err)
	}
	end(second)
	if again, err := after(first.State.ID); !errors.Is(err, ErrExists) {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := after(second.State.ID); err != nil {
		t.Error(err)
	}
}

func TestOutboxAndAnswers(t *testing.T) {
	s, ctx := opened(t), t.Context()
	s.TellJobs = true
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	r.State.Outcome, r.State.Ended = jobstate.IsFinished, time.Now()
	for i := range int64(2) { // its end, and what is done after it
		if _, err := s.Transition(ctx, r.State.ID, r.Revision+i, "", Change{State: r.State}); err != nil {
			t.Fatal(err)
		}
	}
	waiting, err := s.Outbox(ctx, OutboxJob, 10, time.Hour)
	if err != nil || len(waiting) != 2 || waiting[0].Tries != 1 || waiting[0].Payload != "clicks" { // of its begin and of its end
		t.Fatal(waiting, err)
	}
	if again, err := s.Outbox(ctx, OutboxJob, 10, time.Hour); err != nil || len(again) != 0 {
		t.Error(again, err)
	}
	if err := s.Delivered(ctx, waiting[0].ID); err != nil {
		t.Error(err)
	}
}

// TestReservations: of owners with the same key at the same time one has it, until it gives an answer, gives up, or its lease ends.
func TestReservations(t *testing.T) {
	s, ctx := opened(t), t.Context()
	reserve := func(owner, request string, lease time.Duration) (*Answer, Reservation) {
		t.Helper()
		a, r, err := s.ReserveKey(ctx, "ann", "k", request, owner, lease)
		if err != nil {
			t.Fatal(err)
		}
		return a, r
	}
	var got [8]Reservation
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { _, got[i] = reserve(fmt.Sprint(i), "d", time.Hour) })
	}
	all.Wait()
	mine, owner := 0, ""
	for i, r := range got {
		if r.ID == "" || r.ID != got[0].ID || r.Request != "d" {
			t.Errorf("%+v, the others have %s", r, got[0].ID)
		}
		if r.Mine {
			mine, owner = mine+1, fmt.Sprint(i)
		}
	}
	if mine != 1 {
		t.Fatalf("%d have it", mine)
	}
	if _, r := reserve(owner, "d", time.Hour); !r.Mine || r.ID != got[0].ID {
		t.Errorf("its owner again: %+v", r)
	}
	if _, r := reserve(owner, "e", time.Hour); r.Mine || r.Request != "d" {
		t.Errorf("another request: %+v", r)
	}

	// Its lease ends: another one takes it over, and it is the same reservation.
	if err := s.RenewKey(ctx, "ann", "k", owner, 0); err != nil {
		t.Error(err)
	}
	if _, r := reserve("next", "d", time.Hour); !r.Mine || r.ID != got[0].ID {
		t.Errorf("after its lease: %+v", r)
	}
	if err := s.RenewKey(ctx, "ann", "k", owner, time.Hour); !errors.Is(err, ErrConflict) {
		t.Errorf("the one before renews it: %v", err)
	}
	if err := s.ReleaseKey(ctx, "ann", "k", owner); err != nil {
		t.Error(err)
	}
	if _, r := reserve("third", "d", time.Hour); r.Mine {
		t.Error("the one before has given up what it does not have")
	}
	if err := s.ReleaseKey(ctx, "ann", "k", "next"); err != nil {
		t.Error(err)
	}
	_, r := reserve("third", "d", time.Hour)
	if !r.Mine || r.ID == got[0].ID {
		t.Errorf("after it was given up: %+v", r)
	}

	// What was made with a reservation is made once, whoever makes it.
	put := func(newest int) (Version, bool) {
		t.Helper()
		v, made, err := s.PutJob(ctx, "team", Version{Job: "clicks", Document: []byte("a"), Source: []byte("a"), Digest: "a", By: "ann", Reservation: r.ID}, newest)
		if err != nil {
			t.Fatal(err)
		}
		return v, made
	}
	if v, made := put(0); v.Number != 1 || !made {
		t.Errorf("%+v %t", v, made)
	}
	if v, _, err := s.PutJob(ctx, "team", Version{Job: "clicks", Document: []byte("b"), Source: []byte("b"), Digest: "b"}, 1); err != nil || v.Number != 2 {
		t.Errorf("%+v %v", v, err)
	}
	if v, made := put(0); v.Number != 1 || !made || string(v.Document) != "a" {
		t.Errorf("again: %+v %t", v, made)
	}
	begin := func() (Run, error) {
		return s.CreateRun(ctx, "clicks", 1, Asked{By: "ann", Reservation: r.ID}, func(id string, now time.Time) jobstate.Run {
			return jobstate.New(id, "", false, false, now, time.Minute)
		})
	}
	first, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := begin(); err != nil || again.State.ID != first.State.ID {
		t.Errorf("%+v %v, want run %s", again, err, first.State.ID)
	}

	// The first answer stays, and ends the reservation.
	for _, a := range []Answer{{"d", 201, []byte("one")}, {"d", 500, []byte("two")}} {
		if kept, err := s.KeepAnswer(ctx, "ann", "k", a); err != nil || kept.Status != 201 || string(kept.Body) != "one" {
			t.Fatal(kept, err)
		}
	}
	if a, r := reserve("third", "d", time.Hour); a == nil || a.Status != 201 || r.ID != "" {
		t.Errorf("%+v %+v", a, r)
	}
	if n, err := s.AnswersOf(ctx, "ann", 5); err != nil || n != 1 {
		t.Errorf("%d answers, %v", n, err)
	}
	var left int
	if err := s.read.QueryRow("SELECT COUNT(*) FROM reservations").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d reservations are left, %v", left, err)
	}

	// It is never repeated: it goes with the answers.
	if _, _, err := s.ReserveKey(ctx, "ann", "other", "d", "dead", 0); err != nil {
		t.Fatal(err)
	}
	now, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RemoveAnswers(ctx, now.Add(time.Second), 10); err != nil {
		t.Fatal(err)
	}
	if err := s.read.QueryRow("SELECT COUNT(*) FROM reservations").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d reservations are left, %v", left, err)
	}
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "another flink-platform") {
		t.Errorf("opened twice: %v", err)
	}
	put(t, s, "clicks", "a")
	if _, err := s.PutArtifact(t.Context(), Artifact{Team: "team", Name: "a.jar"}, strings.NewReader("content"), "", 0); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), copied); err == nil {
		t.Error("a backup was overwritten")
	}
	instance := s.Instance()
	if _, err := s.write.Exec("INSERT INTO schema_version VALUES (1000); UPDATE meta SET value = '1000' WHERE key = 'oldest'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "use the newer flink-platform") {
		t.Errorf("a newer data directory: %v", err)
	}

	if err := Restore(copied, dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored over something: %v", err)
	}
	other := filepath.Join(t.TempDir(), "restored")
	if err := Restore(copied, other); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if v, err := s.Version(t.Context(), "clicks", 1); err != nil || string(v.Document) != "a" || s.Instance() != instance {
		t.Errorf("%+v, %v", v, err)
	}
	if _, f, err := s.OpenArtifact(t.Context(), "team", "a.jar"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if !s.OnlyObserves() {
		t.Error("a restored store acts at once")
	}
	if err := s.Resume(); err != nil || s.OnlyObserves() {
		t.Error("it cannot be resumed", err)
	}
	os.Remove(filepath.Join(copied, endOfBackup))
	if err := Restore(copied, filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("half a backup was restored")
	}
}

// BenchmarkChecks is a worker's turn when nothing has changed: claim and release, in batches.
func BenchmarkChecks(b *testing.B) {
	for _, batch := range []int{1, 64, 256} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			s := opened(b)
			for i := range 1000 {
				put(b, s, fmt.Sprint("job-", i), "a")
				if _, err := start(b, s, fmt.Sprint("job-", i)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for n := 0; n < b.N; {
				claimed, err := s.Claim(b.Context(), jobstate.Accept, "w", batch, time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				var back []Return
				for _, c := range claimed {
					back = append(back, Return{c.State.ID, c.Revision, 0})
				}
				if err := s.Release(b.Context(), "w", back); err != nil {
					b.Fatal(err)
				}
				n += max(len(claimed), 1)
			}
		})
	}
}

// TestAtTheSameTime: what users store at the same time is stored as they sent it, also where the database lets a transaction be repeated.
func TestAtTheSameTime(t *testing.T) {
	s, ctx := opened(t), t.Context()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 5 {
				name := fmt.Sprintf("job-%d-%d", i, n)
				text := []byte("of " + name)
				if _, made, err := s.PutJobWithin(ctx, "team", Version{Job: name, Document: text, Source: text, Digest: name, By: "ann"}, -1, 1<<30); err != nil || !made {
					t.Errorf("%s: %t, %v", name, made, err)
				}
				if _, err := s.PutCatalog(ctx, Catalog{Name: name, Team: "team", Statement: string(text)}, -1); err != nil {
					t.Error(err)
				}
				if v, err := s.Version(ctx, name, 1); err != nil || string(v.Document) != string(text) {
					t.Errorf("%s: %q, %v", name, v.Document, err)
				}
				if c, err := s.Catalog(ctx, "team", name); err != nil || c.Statement != string(text) {
					t.Errorf("%s: %q, %v", name, c.Statement, err)
				}
			}
		})
	}
	all.Wait()
}

// TestWakeWithin: each run is due within the time, not all at once, and none later than before.
func TestWakeWithin(t *testing.T) {
	s, ctx := opened(t), t.Context()
	dues := func() (all []time.Duration) {
		t.Helper()
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := s.OpenRuns(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			all = append(all, r.Due.Sub(now))
		}
		return all
	}
	for i := range 20 {
		put(t, s, fmt.Sprint("job-", i), "a")
		r, err := start(t, s, fmt.Sprint("job-", i))
		if err == nil {
			next := time.Hour
			if i == 0 {
				next = 2 * time.Second
			}
			_, err = s.Transition(ctx, r.State.ID, r.Revision, "", Change{State: r.State, Next: next})
		}
		if err == nil { // they begin at any time
			_, err = s.write.ExecContext(ctx, "UPDATE runs SET created = created - ? WHERE id = '"+r.State.ID+"'", i*777)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WakeWithin(ctx, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	different := map[time.Duration]bool{}
	for _, d := range dues() {
		if d > 10*time.Second {
			t.Errorf("a run is due in %s", d)
		}
		different[d.Round(100*time.Millisecond)] = true
	}
	if len(different) < 10 {
		t.Errorf("the runs are due at %d different times", len(different))
	}
	if err := s.WakeWithin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for _, d := range dues() {
		if d > 0 {
			t.Errorf("a run is due in %s", d)
		}
	}
}
