package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"flink-entrypoint/internal/platform/mask"
)

// A Kind says what a name with versions is.
type Kind string

// Kinds.
const (
	KindJob     Kind = "job"
	KindCluster Kind = "cluster" // a session cluster: its runs are clusters without a job of their own
)

// A Job is a name with versions.
type Job struct {
	Name, Team string
	Kind       Kind
	Newest     int // number of its newest version
	Created    time.Time
	CreatedBy  string
}

// A Version is an immutable definition of a job.
type Version struct {
	Job      string
	Kind     Kind // of Job; read by PutJob alone, empty is a job
	Number   int
	Document []byte // what pods get
	Digest   string // SHA-256 of Document, hexadecimal
	Source   []byte // what the user sent
	Catalogs []UsedCatalog
	Comment  string
	Created  time.Time
	By       string
	// Reservation is the ID of the one of the request that makes it, given to PutJob alone; empty: it has none.
	Reservation string
}

// A UsedCatalog is a stored catalog that was written into a version, at its revision then.
type UsedCatalog struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
}

// PutJob adds a version to a job or session cluster of a team, and makes it if it does not exist. ErrExists: the name is another team's, or
// of another kind. newest is the number of the newest version that the
// user has seen: 0 where the job must not exist yet, -1 where it does not matter; else ErrConflict. A document that the newest version
// has already makes no version: that one is returned. A version of the same reservation is the one that this request has made already.
func (s *Store) PutJob(ctx context.Context, team string, v Version, newest int) (Version, bool, error) {
	return s.PutJobWithin(ctx, team, v, newest, 0)
}

// PutJobWithin is PutJob that refuses what would make all versions of the team larger than quota bytes (0: no quota): ErrDefinitions.
func (s *Store) PutJobWithin(ctx context.Context, team string, v Version, newest int, quota int64) (Version, bool, error) {
	v.Comment = mask.Text(v.Comment)
	// Each reads how large all of them are, so two at the same time are in each other's way in a serializable transaction.
	if s.storing != nil {
		select {
		case s.storing <- struct{}{}:
			defer func() { <-s.storing }()
		case <-ctx.Done():
			return v, false, ctx.Err()
		}
	}
	made, given := false, v
	err := s.tx(ctx, func(tx *sql.Tx) error {
		made, v = false, given // it may be repeated
		var owner string
		var is Kind
		var have int
		if v.Reservation != "" {
			var number int
			err := tx.QueryRowContext(ctx, "SELECT number FROM versions WHERE job = ? AND reservation = ?", v.Job, v.Reservation).Scan(&number)
			if err == nil {
				made = true
				v, err = s.version(ctx, tx, v.Job, number)
				return err
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		err := tx.QueryRowContext(ctx, "SELECT team, kind, newest FROM jobs WHERE name = ?", v.Job).Scan(&owner, &is, &have)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if newest > 0 {
				return ErrConflict
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO jobs (name, team, kind, created, created_by, newest) VALUES (?, ?, ?, "+s.d.now+", ?, 0)", v.Job, team, cmp.Or(v.Kind, KindJob), v.By); err != nil {
				return err
			}
			have = 0
		case err != nil:
			return err
		case owner != team || is != cmp.Or(v.Kind, KindJob):
			return fmt.Errorf("%s: %w", v.Job, ErrExists)
		case newest >= 0 && newest != have:
			return ErrConflict
		}
		if have > 0 {
			last, err := s.version(ctx, tx, v.Job, have)
			if err != nil {
				return err
			}
			if last.Digest == v.Digest && string(last.Source) == string(v.Source) {
				v = last
				return nil
			}
		}
		if quota > 0 {
			var stored int64
			if err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(v.size), 0) FROM versions v JOIN jobs j ON j.name = v.job WHERE j.team = ?", team).Scan(&stored); err != nil {
				return err
			}
			if size := v.size(); stored+size > quota {
				return fmt.Errorf("%w: they have %d bytes and may have %d, this one has %d", ErrDefinitions, stored, quota, size)
			}
		}
		v.Number, made = have+1, true
		catalogs, err := json.Marshal(v.Catalogs)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO versions (job, number, document, digest, source, catalogs, comment, created, created_by, size, reservation) VALUES (?, ?, ?, ?, ?, ?, ?, "+s.d.now+", ?, ?, ?)",
			v.Job, v.Number, v.Document, v.Digest, v.Source, string(catalogs), v.Comment, v.By, v.size(), v.Reservation); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE jobs SET newest = ? WHERE name = ?", v.Number, v.Job); err != nil {
			return err
		}
		if err := s.nameArtifacts(ctx, tx, team, v.Job, v.Number, v.Document); err != nil {
			return err
		}
		if v, err = s.version(ctx, tx, v.Job, v.Number); err != nil {
			return err
		}
		return s.audit(ctx, tx, team, v.Job, "version %d was stored%s", v.Number, commented(v.Comment))
	})
	return v, made, err
}

// size is what a version counts for: its texts, and a kilobyte for its row, so that many small ones count too.
func (v Version) size() int64 { return int64(len(v.Document)+len(v.Source)+len(v.Comment)) + 1<<10 }

func commented(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}

// ErrDefinitions: the versions of the team would need more than they may.
var ErrDefinitions = errors.New("the definitions of the team are too large")

// queryer is a database or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (s *Store) version(ctx context.Context, q queryer, job string, number int) (Version, error) {
	v := Version{Job: job, Number: number}
	var created int64
	var catalogs string
	err := q.QueryRowContext(ctx, "SELECT document, digest, source, catalogs, comment, created, created_by FROM versions WHERE job = ? AND number = ?", job, number).
		Scan(&v.Document, &v.Digest, &v.Source, &catalogs, &v.Comment, &created, &v.By)
	if err != nil {
		return v, found(err)
	}
	v.Created = at(created)
	return v, json.Unmarshal([]byte(catalogs), &v.Catalogs)
}

// Version is one version of a job. number 0 is the newest.
func (s *Store) Version(ctx context.Context, job string, number int) (Version, error) {
	if number == 0 {
		j, err := s.Job(ctx, job)
		if err != nil {
			return Version{}, err
		}
		number = j.Newest
	}
	return s.version(ctx, s.read, job, number)
}

// Versions lists up to limit versions of a job without their documents, newest first: those before a number (0: from the newest).
func (s *Store) Versions(ctx context.Context, job string, before, limit int) ([]Version, error) {
	if before <= 0 {
		before = math.MaxInt32
	}
	rows, err := s.read.QueryContext(ctx, "SELECT number, digest, catalogs, comment, created, created_by FROM versions WHERE job = ? AND number < ? ORDER BY number DESC LIMIT ?", job, before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Version, error) {
		v := Version{Job: job}
		var created int64
		var catalogs string
		if err := rows.Scan(&v.Number, &v.Digest, &catalogs, &v.Comment, &created, &v.By); err != nil {
			return v, err
		}
		v.Created = at(created)
		return v, json.Unmarshal([]byte(catalogs), &v.Catalogs)
	})
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, read func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Job is one job.
func (s *Store) Job(ctx context.Context, name string) (Job, error) {
	j := Job{Name: name}
	var created int64
	err := s.read.QueryRowContext(ctx, "SELECT team, kind, newest, created, created_by FROM jobs WHERE name = ?", name).Scan(&j.Team, &j.Kind, &j.Newest, &created, &j.CreatedBy)
	j.Created = at(created)
	return j, found(err)
}

// A JobFilter chooses jobs. Empty fields choose all.
type JobFilter struct {
	Team  string
	Kind  Kind
	Queue string // of the newest run; "none": it has no run
	// Condition and Ended are of the newest run, too.
	Condition string
	Ended     *bool
	Name      string // a part of it
	After     string // names after this one
	Limit     int    // 0: 1,000
}

// A JobLine is a job with its newest run, if it has one.
type JobLine struct {
	Job Job
	Run *Run
}

// Jobs lists jobs by name.
func (s *Store) Jobs(ctx context.Context, f JobFilter) ([]JobLine, error) {
	query := `SELECT j.name, j.team, j.kind, j.newest, j.created, j.created_by, COALESCE(r.id, '') FROM jobs j
		LEFT JOIN runs r ON r.id = (SELECT id FROM runs WHERE job = j.name ORDER BY created DESC, id DESC LIMIT 1) WHERE j.name > ?`
	args := []any{f.After}
	if f.Team != "" {
		query, args = query+" AND j.team = ?", append(args, f.Team)
	}
	if f.Kind != "" {
		query, args = query+" AND j.kind = ?", append(args, f.Kind)
	}
	switch f.Queue {
	case "":
	case "none":
		query += " AND r.id IS NULL"
	default:
		query, args = query+" AND r.queue = ?", append(args, f.Queue)
	}
	if f.Condition != "" {
		query, args = query+" AND r.condition = ?", append(args, f.Condition)
	}
	if f.Ended != nil {
		query += " AND r.id IS NOT NULL AND (r.ended IS NOT NULL) = ?"
		args = append(args, *f.Ended)
	}
	if f.Name != "" {
		query, args = query+" AND "+s.d.instr+"(j.name, ?) > 0", append(args, f.Name)
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	rows, err := s.read.QueryContext(ctx, query+" ORDER BY j.name LIMIT ?", append(args, f.Limit)...)
	if err != nil {
		return nil, err
	}
	var ids []string
	lines, err := collect(rows, func(rows *sql.Rows) (JobLine, error) {
		var l JobLine
		var created int64
		var id string
		err := rows.Scan(&l.Job.Name, &l.Job.Team, &l.Job.Kind, &l.Job.Newest, &created, &l.Job.CreatedBy, &id)
		l.Job.Created = at(created)
		ids = append(ids, id)
		return l, err
	})
	if err != nil {
		return nil, err
	}
	runs, err := s.runsByID(ctx, ids)
	for i := range lines {
		lines[i].Run = runs[ids[i]]
	}
	return lines, err
}

// A Count is how many jobs are in a state.
type Count struct {
	Queue     string // of the newest run; "none": it has no run
	Condition string
	Ended     bool
	Jobs      int
}

// CountJobs counts a team's jobs by the state of their newest run.
func (s *Store) CountJobs(ctx context.Context, team string) ([]Count, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT COALESCE(r.queue, 'none'), COALESCE(r.condition, ''), r.ended IS NOT NULL, COUNT(*) FROM jobs j
		LEFT JOIN runs r ON r.id = (SELECT id FROM runs WHERE job = j.name ORDER BY created DESC, id DESC LIMIT 1)
		WHERE j.team = ? AND j.kind = ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, team, KindJob)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Count, error) {
		var c Count
		return c, rows.Scan(&c.Queue, &c.Condition, &c.Ended, &c.Jobs)
	})
}

// DeleteJob deletes a job, or a session cluster, with its versions and ended runs, and notes the runs' directories for removal. Events of what
// users did stay. ErrInUse: a run has not ended, or one of a job on the cluster.
func (s *Store) DeleteJob(ctx context.Context, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var open int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM runs WHERE (job = ? OR session = ?) AND (ended IS NULL OR pending <> '[]')", name, name).Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			return ErrInUse
		}
		for _, q := range []string{
			"INSERT INTO removals (run, since) SELECT id, 0 FROM runs WHERE job = ? AND cleared IS NULL ON CONFLICT (run) DO NOTHING",
			"DELETE FROM tokens WHERE name IN (SELECT t.name FROM runs r JOIN tokens t ON t.name >= 'run/' || r.id AND t.name < 'run/' || r.id || '0' WHERE r.job = ?)", // as runTokens
			"DELETE FROM events WHERE job = ? AND person = 0", "DELETE FROM runs WHERE job = ?",
		} {
			if _, err := tx.ExecContext(ctx, q, name); err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(ctx, "SELECT DISTINCT team, name FROM version_artifacts WHERE job = ?", name)
		if err != nil {
			return err
		}
		named, err := collect(rows, func(rows *sql.Rows) (Artifact, error) {
			var a Artifact
			err := rows.Scan(&a.Team, &a.Name)
			return a, err
		})
		if err != nil {
			return err
		}
		var team string
		var newest int
		if err := tx.QueryRowContext(ctx, "SELECT team, newest FROM jobs WHERE name = ?", name).Scan(&team, &newest); err != nil {
			return found(err)
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM jobs WHERE name = ?", name)
		if err := changedOne(r, err, ErrNotFound); err != nil {
			return err
		}
		var now int64
		if err := tx.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&now); err != nil {
			return err
		}
		if err := s.endAlerts(ctx, tx, now, "1 = 1", []any{name}); err != nil {
			return err
		}
		if err := s.jobChanged(ctx, tx, name, "deleted/"+NewID(), now); err != nil {
			return err
		}
		if err := s.audit(ctx, tx, team, name, "it was deleted, with its versions up to %d", newest); err != nil {
			return err
		}
		for _, a := range named {
			if _, err := tx.ExecContext(ctx, "UPDATE artifacts SET unused = "+s.d.now+" WHERE team = ? AND name = ? AND NOT "+isNamed, a.Team, a.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// changedOne is otherwise unless a statement changed a row.
func changedOne(r sql.Result, err, otherwise error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return otherwise
}

// Teams returns the teams that have jobs, in order.
func (s *Store) Teams(ctx context.Context) (teams []string, err error) {
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT team FROM jobs ORDER BY team")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var team string
		if err := rows.Scan(&team); err != nil {
			return nil, err
		}
		teams = append(teams, team)
	}
	return teams, rows.Err()
}
