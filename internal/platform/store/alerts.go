package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
)

// An Alert is something about a job that people should know.
type Alert struct {
	ID       int64
	Job      string
	Team     string
	Name     jobstate.Alert
	Run      string // the run that it is about
	Version  int    // of that run; 0: the run is gone
	Reason   string // a sentence for people, as it is now
	Since    time.Time
	Resolved time.Time // zero: it goes on
	Change   int       // grows each time it begins or ends, so that a receiver can tell what it has had
	Tries    int       // since it was sent last, this one included
	Told     bool      // a receiver has heard of it, as it is now
}

// setAlerts begins and ends the alerts of a job by the state that its newest run gets, in the transaction of the transition. What was not sent
// when it ends is forgotten.
func (s *Store) setAlerts(ctx context.Context, tx *sql.Tx, job, team string, r jobstate.Run, now int64) error {
	if r.HasEnded() { // its archive may be stored, and its cluster deleted, when the job runs again
		var earlier bool
		if err := tx.QueryRowContext(ctx, "SELECT ? <> (SELECT id FROM runs WHERE job = ? ORDER BY created DESC, id DESC LIMIT 1)", r.ID, job).Scan(&earlier); err != nil || earlier {
			return err
		}
	}
	active, unknown := jobstate.Alerts(r)
	args := []any{job}
	for _, a := range slices.Concat(active, unknown) {
		args = append(args, a)
	}
	if err := s.endAlerts(ctx, tx, now, "name NOT IN (''"+strings.Repeat(", ?", len(args)-1)+")", args); err != nil {
		return err
	}
	for _, a := range active {
		after := s.AlertAfter[a]
		// A receiver that has not heard yet that it was over is not told so.
		if _, err := tx.ExecContext(ctx, `INSERT INTO alerts (job, name, team, run, since, change, told, due, lease, tries) VALUES (?, ?, ?, ?, ?, 1, 0, ?, 0, 0)
			ON CONFLICT (job, name) DO UPDATE SET run = excluded.run, team = excluded.team, resolved = NULL,
			since = CASE WHEN alerts.resolved IS NULL THEN alerts.since ELSE excluded.since END,
			due = CASE WHEN alerts.resolved IS NULL THEN alerts.due ELSE excluded.due END,
			change = CASE WHEN alerts.resolved IS NULL THEN alerts.change ELSE alerts.change + 1 END`,
			job, a, team, r.ID, r.Since.UnixMilli(), max(now, r.Since.Add(after).UnixMilli())); err != nil {
			return err
		}
	}
	return nil
}

// endAlerts ends the alerts of a job for which a condition holds. The first of args is the job.
func (s *Store) endAlerts(ctx context.Context, tx *sql.Tx, now int64, which string, args []any) error {
	where := " WHERE job = ? AND " + which + " AND resolved IS NULL"
	if _, err := tx.ExecContext(ctx, "DELETE FROM alerts"+where+" AND told = 0 AND tries = 0", args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE alerts SET resolved = ?, due = ?, change = change + 1, tries = 0"+where, append([]any{now, now}, args...)...)
	return err
}

// ClaimAlerts takes up to limit alerts that are due to be sent, for the length of a lease: [Store.AlertSent] or [Store.AlertNotSent] gives
// each back. Now is the database's clock.
func (s *Store) ClaimAlerts(ctx context.Context, limit int, lease time.Duration) (all []Alert, now time.Time, err error) {
	var some bool
	if err := s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM alerts WHERE due <= "+s.d.now+" AND lease <= "+s.d.now+")").Scan(&some); err != nil || !some {
		return nil, time.Time{}, s.Explain(err)
	}
	err = s.fenced(ctx, func(tx *sql.Tx) error {
		var ms int64
		if err := tx.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&ms); err != nil {
			return err
		}
		now = at(ms)
		rows, err := tx.QueryContext(ctx, "UPDATE alerts SET lease = ?, tries = tries + 1 WHERE id IN (SELECT id FROM alerts WHERE due <= ? AND lease <= ? ORDER BY due, id LIMIT ? "+s.d.skipLocked+
			") RETURNING id, job, team, name, run, since, COALESCE(resolved, 0), change, tries, told = change", ms+lease.Milliseconds(), ms, ms, limit)
		if err != nil {
			return err
		}
		all, err = collect(rows, func(rows *sql.Rows) (Alert, error) {
			var a Alert
			var since, resolved int64
			err := rows.Scan(&a.ID, &a.Job, &a.Team, &a.Name, &a.Run, &since, &resolved, &a.Change, &a.Tries, &a.Told)
			a.Since, a.Resolved = at(since), at(resolved)
			return a, err
		})
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.Run
	}
	runs, err := s.runsByID(ctx, ids)
	if err != nil {
		return nil, time.Time{}, err
	}
	for i := range all {
		if r := runs[all[i].Run]; r != nil {
			all[i].Version, all[i].Reason = r.Version, r.State.Reason
		}
	}
	return all, now, nil
}

// AlertSent says that a receiver has an alert as it was claimed. One that goes on is due again after a time, 0: not until it is over.
func (s *Store) AlertSent(ctx context.Context, a Alert, again time.Duration) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		if !a.Resolved.IsZero() {
			if _, err := tx.ExecContext(ctx, "DELETE FROM alerts WHERE id = ? AND change = ?", a.ID, a.Change); err != nil {
				return err
			}
		}
		next := "NULL"
		args := []any{a.Change, a.Change}
		if again > 0 {
			next = s.d.now + " + ?"
			args = append(args, again.Milliseconds())
		}
		// What changed while it was sent is due already.
		_, err := tx.ExecContext(ctx, "UPDATE alerts SET told = ?, lease = 0, tries = 0, due = CASE WHEN change = ? THEN "+next+" ELSE due END WHERE id = ?", append(args, a.ID)...)
		return err
	})
}

// AlertNotSent says that an alert has not reached its receiver: it is due again after a time.
func (s *Store) AlertNotSent(ctx context.Context, a Alert, again time.Duration) error {
	return s.fenced(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE alerts SET lease = 0, due = CASE WHEN change = ? THEN "+s.d.now+" + ? ELSE due END WHERE id = ?", a.Change, again.Milliseconds(), a.ID)
		return err
	})
}

// AlertsNow are the alerts of a team, or of all if team is empty, that go on, and how many should have been sent and were not: a receiver is
// away, or the server has no receiver.
func (s *Store) AlertsNow(ctx context.Context, team string) (all []Alert, overdue int, err error) {
	const which = " FROM alerts WHERE (? = '' OR team = ?)"
	rows, err := s.read.QueryContext(ctx, "SELECT job, team, name, run, since"+which+" AND resolved IS NULL ORDER BY job, name", team, team)
	if err != nil {
		return nil, 0, s.Explain(err)
	}
	all, err = collect(rows, func(rows *sql.Rows) (Alert, error) {
		var a Alert
		var since int64
		err := rows.Scan(&a.Job, &a.Team, &a.Name, &a.Run, &since)
		a.Since = at(since)
		return a, err
	})
	if err != nil {
		return nil, 0, err
	}
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*)"+which+" AND told <> change AND due <= "+s.d.now, team, team).Scan(&overdue)
	return all, overdue, s.Explain(err)
}
