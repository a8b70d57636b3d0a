package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/test/postgres"
)

// postgresServer has the server that the tests of this program use in place of SQLite; empty: SQLite.
const postgresServer = "TEST_POSTGRES"

// onSQLite are tests of what SQLite alone has: its files, its one writer, its plans.
var onSQLite = []string{"TestOpen", "TestGroup", "TestGroupGivenUp", "TestGroupOfCanceled", "TestPlans", "TestUpgradeOfTheFirstTables", "TestLockedByAnotherProcess",
	"TestFullDatabase", "TestFullDisk", "TestNewerTables", "TestOlderProgram", "TestMigrations", "TestPostgres", "TestDollars", "TestReplicas", "TestSharedArtifacts", "TestCopy", "TestStoredAtOnce"}

// openedPostgres makes a database of its own on a server.
func openedPostgres(t testing.TB, server string) *Store {
	t.Helper()
	s, err := OpenPostgres(context.Background(), filepath.Join(t.TempDir(), "data"), postgres.Server(server).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestPostgres executes the tests of the store, but those of SQLite's own, on a real PostgreSQL.
func TestPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	c := exec.Command(os.Args[0], "-test.v", "-test.run", "^Test", "-test.skip", "^("+strings.Join(onSQLite, "|")+")$", "-test.count=1")
	c.Env = append(os.Environ(), postgresServer+"="+string(postgres.Start(t)))
	out, err := c.CombinedOutput()
	passed := strings.Count(string(out), "\n--- PASS: ")
	if err != nil || passed < 10 {
		t.Fatalf("%d tests passed, %v\n%s", passed, err, out)
	}
	t.Logf("%d tests", passed)
}

// TestReplicas: several servers on one database. Each run is claimed by one of them, one that dies is replaced after its lease, and each event is
// seen by who reads on after the last one that it saw.
func TestReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	url := postgres.Start(t).Database(t)
	const replicas, runs, steps = 3, 60, 4
	var stores []*Store
	var opening sync.WaitGroup
	stores = make([]*Store, replicas)
	for i := range replicas { // at the same time, on an empty database
		opening.Go(func() {
			s, err := OpenPostgres(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(i)), url)
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i, s := range stores {
		defer s.Close()
		if s.Instance() != stores[0].Instance() {
			t.Errorf("replica %d is of the instance %s, the first of %s", i, s.Instance(), stores[0].Instance())
		}
	}
	for i := range runs {
		job := fmt.Sprint("job-", i)
		put(t, stores[i%replicas], job, "a")
		if _, err := start(t, stores[(i+1)%replicas], job); err != nil {
			t.Fatal(err)
		}
	}
	// A reader follows the events while they are written.
	reading, stop := context.WithCancel(t.Context())
	var seen []int64
	var reader sync.WaitGroup
	reader.Go(func() {
		for last := int64(0); ; {
			page, err := stores[0].Events(t.Context(), EventFilter{After: last})
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range page {
				seen, last = append(seen, e.ID), e.ID
			}
			if len(page) == 0 && reading.Err() != nil {
				return
			}
		}
	})
	var working sync.WaitGroup
	for i, s := range stores {
		for w := range 2 {
			working.Go(func() {
				owner := fmt.Sprint("replica-", i, "-", w)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); {
					claimed, err := s.Claim(t.Context(), jobstate.Accept, owner, 5, 2*time.Second)
					if err != nil {
						t.Error(err)
						return
					}
					for _, c := range claimed {
						if c.Revision > steps {
							t.Errorf("a run at revision %d was due", c.Revision)
							continue
						}
						if w == 1 && c.Revision == 2 { // this one dies with what it has claimed: others get it after its lease
							continue
						}
						next := time.Millisecond
						if c.Revision == steps {
							next = 0
						}
						change := Change{State: c.State, Events: []jobstate.Event{{Queue: c.State.Queue, Source: jobstate.FromDriver, Text: owner}}, Next: next}
						if _, err := s.Transition(t.Context(), c.State.ID, c.Revision, owner, change); err != nil && !errors.Is(err, ErrConflict) {
							t.Error(err)
						}
					}
					depths, err := s.Depths(t.Context(), "")
					if err != nil {
						t.Error(err)
						return
					}
					if len(depths) == 0 {
						return
					}
				}
				t.Error("runs are left")
			})
		}
	}
	working.Wait()
	stop()
	reader.Wait()
	events, err := stores[1].Events(t.Context(), EventFilter{Limit: 10 * runs * steps})
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]int64{}
	var ids []int64
	for _, e := range events {
		of[e.Run], ids = append(of[e.Run], e.Revision), append(ids, e.ID)
	}
	if len(of) != runs {
		t.Errorf("%d runs have events, want %d", len(of), runs)
	}
	for run, revisions := range of {
		for i, r := range revisions {
			if r != int64(i+1) {
				t.Errorf("the events of run %s have the revisions %v", run, revisions)
				break
			}
		}
		if len(revisions) != steps+1 {
			t.Errorf("run %s has %d events, want %d", run, len(revisions), steps+1)
		}
	}
	if !slices.Equal(seen, ids) {
		t.Errorf("who read on saw %d events, there are %d", len(seen), len(ids))
	}
}

// TestSharedArtifacts: a content that one server got is served by another, and removed with its last name for both.
func TestSharedArtifacts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	url := postgres.Start(t).Database(t)
	var two [2]*Store
	for i := range two {
		var err error
		if two[i], err = OpenPostgres(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(i)), url); err != nil {
			t.Fatal(err)
		}
		defer two[i].Close()
	}
	content := strings.Repeat("0123456789abcdef", 600_000) // more than two parts
	for _, text := range []string{content, ""} {
		a, err := two[0].PutArtifact(t.Context(), Artifact{Name: fmt.Sprint("a-", len(text)), Team: "team"}, strings.NewReader(text), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, f, err := two[1].OpenArtifact(t.Context(), "team", a.Name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil || string(b) != text {
				t.Errorf("%d bytes of %d, %v", len(b), len(text), err)
			}
		}
		if err := two[1].DeleteArtifact(t.Context(), "team", a.Name); err != nil {
			t.Fatal(err)
		}
		var parts int
		if err := two[0].read.QueryRow("SELECT COUNT(*) FROM artifact_parts").Scan(&parts); err != nil || parts != 0 {
			t.Errorf("%d parts are left, %v", parts, err)
		}
		if n, err := two[0].RemoveContents(t.Context()); err != nil || n != 1 {
			t.Errorf("%d copies were removed, %v", n, err)
		}
	}
}

// TestCopy: a SQLite store with something of each kind is the same in PostgreSQL, and goes on there.
func TestCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	server, ctx := string(postgres.Start(t)), t.Context()
	from, err := Open(ctx, filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	from.TellJobs = true
	put(t, from, "clicks", "a")
	put(t, from, "clicks", "b: 'é ✓ \\x00'")
	run, err := start(t, from, "clicks")
	if err == nil {
		_, err = from.Transition(ctx, run.State.ID, run.Revision, "", Change{State: run.State, Events: []jobstate.Event{{Text: "x"}}, Started: &Attempt{ID: "a1", Started: time.Now()}, Next: time.Hour})
	}
	if err == nil {
		_, err = from.PutArtifact(ctx, Artifact{Name: "a.jar", Team: "team"}, strings.NewReader(strings.Repeat("x", contentPart+1)), "", 0)
	}
	if err == nil {
		_, err = from.MakeToken(ctx, Token{Name: "ann", Role: RoleEdit, Team: "team"})
	}
	if err == nil {
		err = errors.Join(from.KeepLog(ctx, run.State.ID, "jobmanager", []byte("x")), from.KeepStatus(ctx, run.State.ID, []byte("{}")))
	}
	if err != nil {
		t.Fatal(err)
	}
	to := openedPostgres(t, server)
	tables, err := from.tables(ctx)
	if err != nil || slices.Index(tables, "jobs") > slices.Index(tables, "runs") || !slices.Contains(tables, "runs") {
		t.Fatal(tables, err)
	}
	if err := from.CopyTo(ctx, to); err != nil {
		t.Fatal(err)
	}
	if from.Instance() != to.Instance() {
		t.Error("the instance is another one: it would not find its clusters")
	}
	for _, table := range tables {
		if a, b := rowsOf(t, from, table), rowsOf(t, to, table); !slices.Equal(a, b) {
			t.Errorf("%s\n%q\n%q", table, a, b)
		}
	}
	_, f, err := to.OpenArtifact(ctx, "team", "a.jar")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != contentPart+1 {
		t.Errorf("%v, %v", info, err)
	}
	if err := from.CopyTo(ctx, to); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a second copy: %v", err)
	}
	put(t, to, "views", "a")
	if _, err := start(t, to, "views"); err != nil { // its event has a new id
		t.Error(err)
	}
}

// rowsOf are the rows of a table as texts, in order.
func rowsOf(t *testing.T, s *Store, table string) []string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	all, err := collect(rows, func(rows *sql.Rows) (string, error) {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return "", err
		}
		var b strings.Builder
		for i, c := range columns {
			if bytes, ok := values[i].([]byte); ok {
				values[i] = string(bytes)
			}
			fmt.Fprintf(&b, "%s=%v ", c, values[i])
		}
		return b.String(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestDollars(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1": "SELECT 1", "a = ? AND b = ?": "a = $1 AND b = $2", "a <> '?' AND b IN (?, ?)": "a <> '?' AND b IN ($1, $2)", "'it''s ?' || ?": "'it''s ?' || $1",
	} {
		if got := dollars(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestCallerHasGone: a write that was in the way of another when its caller left was not tried for as long as it may.
func TestCallerHasGone(t *testing.T) {
	s := &Store{d: postgresDialect, LockWait: lockWait}
	conflict := &pgconn.PgError{Code: "40001"}
	if err := s.Explain(conflict); !errors.Is(err, ErrBusy) {
		t.Errorf("a conflict: %v", err)
	}
	if err := s.Explain(errors.Join(context.Canceled, conflict)); errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("a conflict of a caller that has gone: %v", err)
	}
}

// TestStoredAtOnce: users who store versions at the same time at one server are not in each other's way: no transaction is done again.
func TestStoredAtOnce(t *testing.T) {
	url := postgres.Start(t).Database(t)
	s, err := OpenPostgres(t.Context(), filepath.Join(t.TempDir(), "data"), url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	count := func() int64 {
		var n int64
		if err := s.read.QueryRow("SELECT pg_stat_get_db_xact_rollback(oid) FROM pg_database WHERE datname = current_database()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	var users sync.WaitGroup
	for user := range 8 {
		users.Go(func() {
			for i := range 25 {
				v := Version{Job: fmt.Sprintf("job-%d-%d", user, i), Document: []byte("a"), Source: []byte("a"), Digest: "a"}
				if _, _, err := s.PutJobWithin(t.Context(), "team", v, -1, 1<<30); err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	s.write.SetMaxIdleConns(0) // sessions report what they did when they end, at the latest
	s.write.SetMaxIdleConns(1)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var sessions int
		if err := s.read.QueryRow("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()").Scan(&sessions); err != nil {
			t.Fatal(err)
		}
		if sessions == 1 {
			break
		}
	}
	if again := count() - before; again > 0 {
		t.Errorf("%d transactions were done again, want 0", again)
	}
}
