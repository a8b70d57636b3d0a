package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
)

// A Run is one life of one version of a job on one cluster.
type Run struct {
	State    jobstate.Run
	Job      string
	Version  int
	Revision int64
	Pending  []jobstate.Effect // not done yet
	Cluster  json.RawMessage   // what the driver must know to find the cluster again
	Asked    Asked
	Created  time.Time
	Due      time.Time // zero: not looked at again
}

// Asked is what the user asked for at the start of a run.
type Asked struct {
	By        string `json:"by"`
	Savepoint string `json:"savepoint,omitempty"` // a path, "latest" or "none"
	Session   string `json:"session,omitempty"`   // the session cluster that it runs on; empty: one of its own
	// SessionRun is the run of the session cluster that gets the job; it is fixed before the job is submitted, so that a repeated start
	// submits to the same one.
	SessionRun string `json:"sessionRun,omitempty"`
	// StartFrom is the savepoint or checkpoint that was found for "latest"; it is fixed once found, so that a repeated start is the same.
	StartFrom string `json:"startFrom,omitempty"`
	Restart   int    `json:"restart,omitempty"` // how many runs the restart policy has made in a row
	After     string `json:"after,omitempty"`   // the run that it follows
	// Upgrade: the run is the second half of an upgrade. Back: it is the version before, since the upgrade did not run.
	Upgrade *Upgrade `json:"upgrade,omitempty"`
	Back    *Back    `json:"back,omitempty"`
	// Reservation is the ID of the one of the request that starts it, given to CreateRun alone; empty: it has none.
	Reservation string `json:"-"`
}

// An Upgrade is from the version of the run that was stopped for it.
type Upgrade struct {
	From   int           `json:"from"`
	Within time.Duration `json:"within"` // it has to run
}

// Back says which version did not run, and why.
type Back struct {
	From   int    `json:"from"`
	Reason string `json:"reason"`
}

// ClusterRun is the run that a driver knows the run's cluster by; "": a session cluster that is not chosen yet.
func (r Run) ClusterRun() string {
	if r.State.Session {
		return r.Asked.SessionRun
	}
	return r.State.ID
}

const runColumns = "id, job, version, revision, state, pending, cluster, asked, created, COALESCE(due, 0)"

func scanRun(row interface{ Scan(...any) error }) (Run, error) {
	var r Run
	var id, state, pending, cluster, asked string
	var created, due int64
	if err := row.Scan(&id, &r.Job, &r.Version, &r.Revision, &state, &pending, &cluster, &asked, &created, &due); err != nil {
		return r, found(err)
	}
	r.Created, r.Due, r.Cluster = at(created), at(due), json.RawMessage(cluster)
	for text, into := range map[string]any{state: &r.State, pending: &r.Pending, asked: &r.Asked} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return r, fmt.Errorf("run %s: %w", id, err)
		}
	}
	return r, nil
}

// CreateRun stores a new run whose start is due now, with its first event. ErrExists: the job has a run that has not ended, or another run has followed
// the one that this one follows.
func (s *Store) CreateRun(ctx context.Context, job string, version int, asked Asked, state func(id string, now time.Time) jobstate.Run) (Run, error) {
	var r Run
	err := s.tx(ctx, func(tx *sql.Tx) error {
		var now int64
		var team string
		if err := tx.QueryRowContext(ctx, "SELECT "+s.d.now+", team FROM jobs WHERE name = ?", job).Scan(&now, &team); err != nil {
			return found(err)
		}
		if _, err := s.version(ctx, tx, job, version); err != nil {
			return err
		}
		if asked.After != "" { // a server that was frozen after it did this, and one that took its place, both do
			var newest string
			if err := tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE job = ? ORDER BY created DESC, id DESC LIMIT 1", job).Scan(&newest); err != nil {
				return found(err)
			}
			if newest != asked.After {
				return ErrExists
			}
		}
		if asked.Reservation != "" { // the run of the same reservation is the one that this request has made already
			var err error
			if r, err = scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE job = ? AND reservation = ?", job, asked.Reservation)); !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		state := state(NewID(), at(now))
		event := jobstate.Event{Queue: state.Queue, Condition: state.Condition, Source: jobstate.FromUser, By: asked.By, Text: fmt.Sprintf("version %d was asked to start", version)}
		switch {
		case asked.Upgrade != nil:
			event.Source, event.Text = jobstate.FromClock, fmt.Sprintf("version %d is started from savepoint %s: an upgrade from version %d, which starts again if this one does not run within %s", version, asked.Savepoint, asked.Upgrade.From, asked.Upgrade.Within)
		case asked.Back != nil:
			event.Source, event.Text = jobstate.FromClock, fmt.Sprintf("version %d is started again from savepoint %s: version %d did not run%s", version, asked.Savepoint, asked.Back.From, because(asked.Back.Reason))
		case asked.After != "":
			event.Source, event.Text = jobstate.FromClock, fmt.Sprintf("version %d is started again after run %s, try %d", version, asked.After, asked.Restart)
		}
		texts, err := marshal(state, []jobstate.Effect{jobstate.StartCluster}, asked)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO runs (id, job, version, revision, queue, condition, desired, outcome, state, pending, cluster, asked, created, due, owner, lease, session, flink_job, reservation)
			VALUES (?, ?, ?, 1, ?, ?, ?, '', ?, ?, '{}', ?, ?, ?, '', 0, ?, ?, ?)`, state.ID, job, version, state.Queue, state.Condition, state.Desired, texts[0], texts[1], texts[2], now, now,
			asked.Session, state.JobID, asked.Reservation)
		if err != nil {
			if s.d.unique(err) {
				return ErrExists
			}
			return err
		}
		if err := s.addEvents(ctx, tx, state.ID, job, team, 1, now, []jobstate.Event{event}); err != nil {
			return err
		}
		if err := s.jobChanged(ctx, tx, job, state.ID+"/begun", now); err != nil {
			return err
		}
		r, err = scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id = ?", state.ID))
		return err
	})
	return r, err
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func marshal(values ...any) ([]string, error) {
	texts := make([]string, len(values))
	for i, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return texts, nil
}

// Run is one run.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	return scanRun(s.read.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id = ?", id))
}

// NewestRun is the newest run of a job.
func (s *Store) NewestRun(ctx context.Context, job string) (Run, error) {
	return scanRun(s.read.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE job = ? ORDER BY created DESC, id DESC LIMIT 1", job))
}

// Runs lists up to limit runs of a job, newest first: those before a run (empty: from the newest). ErrNotFound: the job has no such run.
func (s *Store) Runs(ctx context.Context, job, before string, limit int) ([]Run, error) {
	created := int64(math.MaxInt64)
	if before != "" {
		if err := s.read.QueryRowContext(ctx, "SELECT created FROM runs WHERE id = ? AND job = ?", before, job).Scan(&created); err != nil {
			return nil, found(err)
		}
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+runColumns+" FROM runs WHERE job = ? AND (created, id) < (?, ?) ORDER BY created DESC, id DESC LIMIT ?", job, created, before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Run, error) { return scanRun(rows) })
}

// OpenRuns lists all runs that have not ended or whose effects are not done: what the drivers compare the world with.
func (s *Store) OpenRuns(ctx context.Context) ([]Run, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+runColumns+" FROM runs WHERE ended IS NULL OR pending <> '[]'")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Run, error) { return scanRun(rows) })
}

func (s *Store) runsByID(ctx context.Context, ids []string) (map[string]*Run, error) {
	byID := map[string]*Run{}
	for len(ids) > 0 {
		n := min(len(ids), 500)
		var args []any
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		rows, err := s.read.QueryContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id IN (?"+strings.Repeat(", ?", n-1)+")", args...)
		if err != nil {
			return nil, err
		}
		runs, err := collect(rows, func(rows *sql.Rows) (Run, error) { return scanRun(rows) })
		if err != nil {
			return nil, err
		}
		for i := range runs {
			byID[runs[i].State.ID] = &runs[i]
		}
		ids = ids[n:]
	}
	return byID, nil
}

// A Claimed is a run that a worker holds until its lease ends.
type Claimed struct {
	Run
	Owner string
	Now   time.Time // the database's clock when it was claimed
}

// Claim takes up to limit runs of a queue that are due, for the length of a lease. Their order is by due time.
func (s *Store) Claim(ctx context.Context, queue jobstate.Queue, owner string, limit int, lease time.Duration) ([]Claimed, error) {
	var some bool
	// Most looks find nothing: they read, and neither wait for a writer nor are one.
	if err := s.anyDue.QueryRowContext(ctx, queue).Scan(&some); err != nil || !some {
		return nil, s.Explain(err)
	}
	var all []Claimed
	err := s.fenced(ctx, func(tx *sql.Tx) error {
		all = nil
		var now int64
		if err := tx.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&now); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `UPDATE runs SET owner = ?, lease = ? WHERE id IN
			(SELECT id FROM runs WHERE queue = ? AND due <= ? AND lease <= ? ORDER BY due LIMIT ? `+s.d.skipLocked+`) RETURNING `+runColumns,
			owner, now+lease.Milliseconds(), queue, now, now, limit)
		if err != nil {
			return err
		}
		all, err = collect(rows, func(rows *sql.Rows) (Claimed, error) {
			r, err := scanRun(rows)
			return Claimed{Run: r, Owner: owner, Now: at(now)}, err
		})
		return err
	})
	return all, err
}

// A Change is what a transition writes.
type Change struct {
	State   jobstate.Run
	Events  []jobstate.Event
	Pending []jobstate.Effect // what is left to do, replaces what was
	Cluster json.RawMessage   // nil: as it was
	Asked   *Asked            // nil: as it was
	Next    time.Duration     // until it is due again; 0: not looked at again
	Started *Attempt          // an attempt to write down
}

// An Attempt is one JobManager process of a run.
type Attempt struct {
	ID      string
	Started time.Time
	Ended   time.Time // zero: it has not ended
	Code    int
	Message string
}

// Transition writes a change of a run whose row still has this revision, and gives it back to its queue. ErrConflict: it has changed
// since. owner is the worker's, or empty for those who write without a lease (push, archive, users).
func (s *Store) Transition(ctx context.Context, id string, revision int64, owner string, c Change) (Run, error) {
	var r Run
	err := s.fenced(ctx, func(tx *sql.Tx) error {
		var now int64
		var job, team string
		err := tx.QueryRowContext(ctx, "SELECT "+s.d.now+", r.job, j.team FROM runs r JOIN jobs j ON j.name = r.job WHERE r.id = ?", id).Scan(&now, &job, &team)
		if err != nil {
			return found(err)
		}
		if c.Pending == nil {
			c.Pending = []jobstate.Effect{}
		}
		texts, err := marshal(c.State, c.Pending)
		if err != nil {
			return err
		}
		query := `UPDATE runs SET revision = revision + 1, queue = ?, condition = ?, desired = ?, outcome = ?, state = ?, pending = ?, due = ?, ended = ?, owner = '', lease = 0, cleared = NULL`
		args := []any{c.State.Queue, c.State.Condition, c.State.Desired, c.State.Outcome, texts[0], texts[1], due(now, c.Next), ended(c.State)}
		if c.Cluster != nil {
			query, args = query+", cluster = ?", append(args, string(c.Cluster))
		}
		if c.Asked != nil {
			asked, err := marshal(c.Asked)
			if err != nil {
				return err
			}
			query, args = query+", asked = ?, session_run = ?", append(args, asked[0], c.Asked.SessionRun)
		}
		query, args = query+" WHERE id = ? AND revision = ?", append(args, id, revision)
		if owner != "" {
			query, args = query+" AND owner = ? AND lease > ?", append(args, owner, now)
		}
		result, err := tx.ExecContext(ctx, query, args...)
		if err := changedOne(result, err, ErrConflict); err != nil {
			return err
		}
		if err := s.setAlerts(ctx, tx, job, team, c.State, now); err != nil {
			return err
		}
		if c.State.HasEnded() {
			if err := s.jobChanged(ctx, tx, job, id+"/ended", now); err != nil {
				return err
			}
		}
		if a := c.Started; a != nil {
			if err := s.putAttempt(ctx, tx, id, *a, now); err != nil {
				return err
			}
		}
		if r, err = scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id = ?", id)); err != nil {
			return err
		}
		return s.addEvents(ctx, tx, id, job, team, revision+1, now, c.Events) // last, since others wait for it
	})
	return r, err
}

func due(now int64, next time.Duration) any {
	if next <= 0 {
		return nil
	}
	return now + next.Milliseconds()
}

func ended(r jobstate.Run) any {
	if !r.HasEnded() {
		return nil
	}
	return r.Ended.UnixMilli()
}

// A Return gives a claimed run back to its queue, unchanged.
type Return struct {
	ID       string
	Revision int64
	Next     time.Duration
}

// Release gives back runs of which only the due time changes, in one transaction. Those that changed in between, or whose lease ended,
// are left as they are.
func (s *Store) Release(ctx context.Context, owner string, returns []Return) error {
	if len(returns) == 0 {
		return nil
	}
	return s.fenced(ctx, func(tx *sql.Tx) error {
		update, err := tx.PrepareContext(ctx, "UPDATE runs SET due = "+s.d.now+" + ?, owner = '', lease = 0 WHERE id = ? AND revision = ? AND owner = ?")
		if err != nil {
			return err
		}
		defer update.Close()
		for _, r := range returns {
			if _, err := update.ExecContext(ctx, r.Next.Milliseconds(), r.ID, r.Revision, owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// Wake makes a run due now, and the runs of jobs on it if it is a session cluster's.
func (s *Store) Wake(ctx context.Context, id string) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		for _, which := range []string{"id = ?", "session_run = ? AND session_run <> ''"} {
			if _, err := tx.ExecContext(ctx, "UPDATE runs SET due = "+s.d.now+" WHERE "+which+" AND due IS NOT NULL", id); err != nil {
				return err
			}
		}
		return nil
	})
}

// RunOnSession is the run that a Flink job of a session cluster's run belongs to.
func (s *Store) RunOnSession(ctx context.Context, clusterRun, flinkJob string) (Run, error) {
	return scanRun(s.read.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE session_run = ? AND flink_job = ? AND session_run <> ''", clusterRun, flinkJob))
}

// OpenOnSession lists the Flink jobs of runs on a session cluster's run that have not ended.
func (s *Store) OpenOnSession(ctx context.Context, clusterRun string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT flink_job FROM runs WHERE session_run = ? AND session_run <> '' AND ended IS NULL", clusterRun)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (string, error) {
		var id string
		err := rows.Scan(&id)
		return id, err
	})
}

// JobsOnSessions lists, by session cluster, the jobs with a run on it that has not ended, by name.
func (s *Store) JobsOnSessions(ctx context.Context, team string) (map[string][]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT r.session, r.job FROM runs r JOIN jobs j ON j.name = r.job WHERE r.session <> '' AND r.ended IS NULL AND j.team = ? ORDER BY r.session, r.job", team)
	if err != nil {
		return nil, err
	}
	on := map[string][]string{}
	_, err = collect(rows, func(rows *sql.Rows) (string, error) {
		var session, job string
		err := rows.Scan(&session, &job)
		on[session] = append(on[session], job)
		return job, err
	})
	return on, err
}

// Attended reports whether a server has leased a run, or had until a moment ago.
func (s *Store) Attended(ctx context.Context) (yes bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM runs WHERE lease > "+s.d.now+")").Scan(&yes)
	return yes, s.Explain(err)
}

// WakeWithin makes every open run due within a time, each at another moment of it; 0: now. A server that starts looks at what happened while there
// was none.
func (s *Store) WakeWithin(ctx context.Context, within time.Duration) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		ms := within.Milliseconds()
		_, err := tx.ExecContext(ctx, "UPDATE runs SET due = "+s.d.now+" + created % ? WHERE due > "+s.d.now+" + ?", max(ms, 1), ms)
		return err
	})
}

func (s *Store) putAttempt(ctx context.Context, tx *sql.Tx, run string, a Attempt, now int64) error {
	var ended, code any
	if !a.Ended.IsZero() {
		ended, code = a.Ended.UnixMilli(), a.Code
	}
	if !a.Started.IsZero() {
		now = a.Started.UnixMilli()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO attempts (run, attempt, started, ended, code, message) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, attempt) DO UPDATE SET ended = excluded.ended, code = excluded.code, message = excluded.message WHERE attempts.ended IS NULL`, run, a.ID, now, ended, code, mask.Text(a.Message))
	return err
}

// Attempts lists a run's attempts, oldest first.
func (s *Store) Attempts(ctx context.Context, run string) ([]Attempt, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT attempt, started, COALESCE(ended, 0), COALESCE(code, 0), message FROM attempts WHERE run = ? ORDER BY started, attempt", run)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Attempt, error) {
		var a Attempt
		var started, ended int64
		err := rows.Scan(&a.ID, &started, &ended, &a.Code, &a.Message)
		a.Started, a.Ended = at(started), at(ended)
		return a, err
	})
}

// Depth is how many runs of a queue wait, and since when the one that is longest overdue is due.
type Depth struct {
	Queue  jobstate.Queue
	Runs   int // that are looked at again
	Leased int
	Oldest time.Duration // overdue
}

// Depths are the queues as they are now, of the runs of a team, or of all if team is empty.
func (s *Store) Depths(ctx context.Context, team string) ([]Depth, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT queue, COUNT(*), SUM(CASE WHEN lease > "+s.d.now+" THEN 1 ELSE 0 END), MAX("+s.d.now+" - due) FROM runs WHERE due IS NOT NULL AND (? = '' OR job IN (SELECT name FROM jobs WHERE team = ?)) GROUP BY queue ORDER BY queue", team, team)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Depth, error) {
		var d Depth
		var oldest int64
		err := rows.Scan(&d.Queue, &d.Runs, &d.Leased, &oldest)
		d.Oldest = max(time.Duration(oldest)*time.Millisecond, 0)
		return d, err
	})
}
