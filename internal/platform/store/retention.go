package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Lifetimes are how long things are kept that no one needs to delete by hand. 0 is the default, less than 0 means for ever.
type Lifetimes struct {
	Runs      time.Duration // ended runs with their events, attempts and archives; 30 days after their end
	Logs      time.Duration // directories and logs of ended runs; 7 days after their end, and never longer than Runs
	Artifacts time.Duration // artifacts since no version names them; 30 days
	Answers   time.Duration // of requests with an Idempotency-Key; 24 hours
	Audit     time.Duration // events of what users did, after their run was removed; a year since the event
}

// Day is 24 hours.
const Day = 24 * time.Hour

// WithDefaults fills in what is 0.
func (l Lifetimes) WithDefaults() Lifetimes {
	for _, f := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&l.Runs, 30 * Day}, {&l.Logs, 7 * Day}, {&l.Artifacts, 30 * Day}, {&l.Answers, Day}, {&l.Audit, 365 * Day}} {
		if *f.of == 0 {
			*f.of = f.otherwise
		}
	}
	return l
}

// An EndedRun is a run that has ended and of which nothing is left to do.
type EndedRun struct {
	ID, Job string
	Ended   time.Time
}

func scanEnded(rows *sql.Rows) (EndedRun, error) {
	var r EndedRun
	var ended int64
	err := rows.Scan(&r.ID, &r.Job, &ended)
	r.Ended = at(ended)
	return r, err
}

const (
	// A session cluster's run is needed by runs of jobs on it that still have something to do.
	hasOpenJobs    = `EXISTS (SELECT 1 FROM runs o WHERE o.session_run = r.id AND o.session_run <> '' AND (o.ended IS NULL OR o.pending <> '[]'))`
	queryUncleared = `SELECT r.id, r.job, r.ended FROM runs r WHERE r.ended IS NOT NULL AND r.cleared IS NULL AND r.ended <= ? AND (r.ended, r.id) > (?, ?) AND r.pending = '[]'
		AND NOT ` + hasOpenJobs + ` ORDER BY r.ended, r.id LIMIT ?`
	hasNewer     = `EXISTS (SELECT 1 FROM runs n WHERE n.job = r.job AND n.created >= r.created AND (n.created > r.created OR n.id > r.id))`
	queryExpired = `SELECT r.id, r.job, r.ended FROM runs r WHERE r.ended IS NOT NULL AND r.ended <= ? AND (r.ended, r.id) > (?, ?) AND r.cleared IS NOT NULL AND r.pending = '[]'
		AND ` + hasNewer + ` AND NOT ` + hasOpenJobs + ` ORDER BY r.ended, r.id LIMIT ?`
)

// Uncleared lists up to limit runs whose directory and logs may be there, and that ended at a time or before it, in the order of their ends,
// after one of them (the zero value: from the first).
func (s *Store) Uncleared(ctx context.Context, until time.Time, after EndedRun, limit int) ([]EndedRun, error) {
	return s.endedRuns(ctx, queryUncleared, until, after, limit)
}

// Expired lists runs like Uncleared does, but those whose directory was removed, and of whose job there is a newer run.
func (s *Store) Expired(ctx context.Context, until time.Time, after EndedRun, limit int) ([]EndedRun, error) {
	return s.endedRuns(ctx, queryExpired, until, after, limit)
}

func (s *Store) endedRuns(ctx context.Context, query string, until time.Time, after EndedRun, limit int) ([]EndedRun, error) {
	from := int64(0)
	if after.ID != "" {
		from = after.Ended.UnixMilli()
	}
	rows, err := s.read.QueryContext(ctx, query, until.UnixMilli(), from, after.ID, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanEnded)
}

// Cleared notes that the directories of runs were removed, and ends the runs' tokens. A run that has something to do meanwhile is left out:
// that may leave files.
func (s *Store) Cleared(ctx context.Context, runs []string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, id := range runs {
			r, err := tx.ExecContext(ctx, "UPDATE runs SET cleared = "+s.d.now+" WHERE id = ? AND ended IS NOT NULL AND pending = '[]'", id)
			if err := changedOne(r, err, ErrNotFound); errors.Is(err, ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			if err := endRunTokens(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// A Budget bounds what one transaction removes, so that other writers do not wait long for it.
type Budget struct {
	Rows  int
	Bytes int64 // of archives
}

// RemoveRuns removes runs that Expired listed, each with its events, attempts, archives and token, and says how many of them, from the first,
// are done. It ends when the budget is used up; the run that it came to is then removed in part, its row last. Events of what users did stay.
func (s *Store) RemoveRuns(ctx context.Context, runs []string, b Budget) (done int, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		left := b
		for done = 0; done < len(runs); done++ {
			whole, err := s.removeRun(ctx, tx, runs[done], &left)
			if err != nil {
				return err
			}
			if !whole {
				return nil
			}
		}
		return nil
	})
	return done, err
}

func (s *Store) removeRun(ctx context.Context, tx *sql.Tx, id string, left *Budget) (whole bool, err error) {
	var ok bool
	err = tx.QueryRowContext(ctx, "SELECT r.ended IS NOT NULL AND r.cleared IS NOT NULL AND r.pending = '[]' AND "+hasNewer+" AND NOT "+hasOpenJobs+" FROM runs r WHERE r.id = ?", id).Scan(&ok)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !ok {
		return true, nil // it was removed, or is needed since
	}
	if err != nil {
		return false, err
	}
	if left.Rows <= 0 {
		return false, nil
	}
	r, err := tx.ExecContext(ctx, "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE run = ? AND person = 0 LIMIT ?)", id, left.Rows)
	if err != nil {
		return false, err
	}
	events, err := r.RowsAffected()
	if err != nil {
		return false, err
	}
	if left.Rows -= int(events); left.Rows <= 0 {
		return false, nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT name, size FROM archives WHERE run = ?", id)
	if err != nil {
		return false, err
	}
	type archive struct {
		name string
		size int64
	}
	archives, err := collect(rows, func(rows *sql.Rows) (archive, error) {
		var a archive
		err := rows.Scan(&a.name, &a.size)
		return a, err
	})
	if err != nil {
		return false, err
	}
	for _, a := range archives {
		if left.Bytes <= 0 || left.Rows <= 0 {
			return false, nil
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM archives WHERE run = ? AND name = ?", id, a.name); err != nil {
			return false, err
		}
		left.Bytes -= a.size
		left.Rows--
	}
	for _, q := range []string{"DELETE FROM attempts WHERE run = ?", "DELETE FROM runs WHERE id = ?"} {
		r, err := tx.ExecContext(ctx, q, id)
		if err != nil {
			return false, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return false, err
		}
		left.Rows -= int(n)
	}
	err = endRunTokens(ctx, tx, id)
	return err == nil, err
}

// A Removal is a directory of a run that has no row any more.
type Removal struct {
	Run   string
	Since time.Time // when it was first seen; zero: its job was deleted
}

// Unowned notes which of the directories' runs have no row, to be removed when they were known for a time; and has those removed again that
// should be: after a crash, the file system may show what was removed before it.
func (s *Store) Unowned(ctx context.Context, runs []string, now time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, id := range runs {
			if _, err := tx.ExecContext(ctx, "UPDATE runs SET cleared = NULL WHERE id = ? AND cleared IS NOT NULL", id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO removals (run, since) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = ?) ON CONFLICT (run) DO NOTHING", id, now.UnixMilli(), id); err != nil {
				return err
			}
		}
		return nil
	})
}

const queryRemovals = "SELECT run, since FROM removals WHERE since <= ? AND (since, run) > (?, ?) ORDER BY since, run LIMIT ?"

// Removals lists directories that were noted at a time or before it, in that order, after one of them (the zero value: from the first).
func (s *Store) Removals(ctx context.Context, until time.Time, after Removal, limit int) ([]Removal, error) {
	from := int64(0)
	if !after.Since.IsZero() {
		from = after.Since.UnixMilli()
	}
	rows, err := s.read.QueryContext(ctx, queryRemovals, until.UnixMilli(), from, after.Run, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Removal, error) {
		var r Removal
		var since int64
		err := rows.Scan(&r.Run, &since)
		r.Since = at(since)
		return r, err
	})
}

// Removed forgets directories that are gone.
func (s *Store) Removed(ctx context.Context, runs []string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, id := range runs {
			if _, err := tx.ExecContext(ctx, "DELETE FROM removals WHERE run = ?", id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) remove(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		rows, err := r.RowsAffected()
		n = int(rows)
		return err
	})
	return n, err
}

const queryAudit = `SELECT id, at, EXISTS (SELECT 1 FROM runs WHERE runs.id = events.run) FROM events WHERE person = 1 AND at <= ? AND (at, id) > (?, ?) ORDER BY at, id LIMIT ?`

// An AuditMark is how far RemoveAudit has come.
type AuditMark struct{ at, id int64 }

// RemoveAudit looks at up to limit events of what users did at a time or before it, after a mark (the zero value: from the first), and removes
// those whose run was removed. more says whether others follow.
func (s *Store) RemoveAudit(ctx context.Context, until time.Time, after AuditMark, limit int) (next AuditMark, removed int, more bool, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, queryAudit, until.UnixMilli(), after.at, after.id, limit)
		if err != nil {
			return err
		}
		type event struct {
			mark AuditMark
			runs bool
		}
		all, err := collect(rows, func(rows *sql.Rows) (event, error) {
			var e event
			err := rows.Scan(&e.mark.id, &e.mark.at, &e.runs)
			return e, err
		})
		if err != nil {
			return err
		}
		next, removed, more = after, 0, len(all) == limit
		for _, e := range all {
			if next = e.mark; e.runs {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM events WHERE id = ?", e.mark.id); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return next, removed, more, err
}

const (
	isNamed     = "EXISTS (SELECT 1 FROM version_artifacts v WHERE v.team = artifacts.team AND v.name = artifacts.name)"
	queryUnused = "SELECT team, name, digest FROM artifacts WHERE unused IS NOT NULL AND unused <= ? ORDER BY unused, team, name LIMIT ?"
)

// RemoveArtifacts removes up to limit artifacts that no version names since a time or longer, and says how many there were. Their contents are
// removed after their names: what a crash leaves is found by RemoveContents.
func (s *Store) RemoveArtifacts(ctx context.Context, until time.Time, limit int) (int, error) {
	release, err := s.holdContents(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	var all []Artifact
	err = s.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, queryUnused, until.UnixMilli(), limit)
		if err != nil {
			return err
		}
		if all, err = collect(rows, func(rows *sql.Rows) (Artifact, error) {
			var a Artifact
			err := rows.Scan(&a.Team, &a.Name, &a.Digest)
			return a, err
		}); err != nil {
			return err
		}
		for _, a := range all {
			if _, err := tx.ExecContext(ctx, "DELETE FROM artifacts WHERE team = ? AND name = ? AND NOT "+isNamed, a.Team, a.Name); err != nil {
				return err
			}
			// One that is left has a name in a version after all.
			if _, err := tx.ExecContext(ctx, "UPDATE artifacts SET unused = NULL WHERE team = ? AND name = ?", a.Team, a.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, a := range all {
		s.at("names of artifacts removed")
		errs = append(errs, s.dropBlob(ctx, a.Digest))
	}
	return len(all), errors.Join(errs...)
}

// contentForm is the name of a content: its digest.
var contentForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// RemoveContents removes contents that no artifact has, as a crash leaves them, and says how many there were.
func (s *Store) RemoveContents(ctx context.Context) (removed int, err error) {
	dir, err := os.Open(filepath.Join(s.dir, "artifacts"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	for ctx.Err() == nil {
		names, err := dir.Readdirnames(500)
		if len(names) == 0 || err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return removed, err
		}
		for _, name := range names {
			if !contentForm.MatchString(name) {
				continue
			}
			if has, err := s.hasContent(ctx, name); err != nil {
				return removed, err
			} else if has {
				continue
			}
			release, err := s.holdContents(ctx) // looked at again: one may be being stored
			if err != nil {
				return removed, err
			}
			err = s.dropBlob(ctx, name)
			release()
			if err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, ctx.Err()
}

// forgetParts removes what a server that was killed had received of artifacts. No other server has the store open.
func (s *Store) forgetParts() error {
	parts, err := filepath.Glob(filepath.Join(s.dir, "artifacts", partPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range parts {
		errs = append(errs, os.Remove(p))
	}
	return errors.Join(errs...)
}

// artifactURI is where a document has the URL of an artifact, in YAML or JSON.
var artifactURI = regexp.MustCompile(`/v1\\?/artifacts\\?/([-._A-Za-z0-9%]+)`)

// artifactsOf are the names of artifacts in a document, each once.
func artifactsOf(document []byte) []string {
	var names []string
	seen := map[string]bool{}
	for _, m := range artifactURI.FindAllSubmatch(document, -1) {
		name := string(m[1])
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		name = strings.TrimRight(name, "-._%") // the end of a sentence; no name ends so
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// nameArtifacts notes which artifacts a version names.
func (s *Store) nameArtifacts(ctx context.Context, tx *sql.Tx, team, job string, number int, document []byte) error {
	for _, name := range artifactsOf(document) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO version_artifacts (team, name, job, number) VALUES (?, ?, ?, ?)", team, name, job, number); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE artifacts SET unused = NULL WHERE team = ? AND name = ? AND unused IS NOT NULL", team, name); err != nil {
			return err
		}
	}
	return nil
}

// nameAllArtifacts is the part of migration 3 that is not SQL.
func (s *Store) nameAllArtifacts(ctx context.Context, tx *sql.Tx) error {
	type key struct {
		team, job string
		number    int
	}
	rows, err := tx.QueryContext(ctx, "SELECT j.team, v.job, v.number FROM versions v JOIN jobs j ON j.name = v.job")
	if err != nil {
		return err
	}
	keys, err := collect(rows, func(rows *sql.Rows) (key, error) {
		var k key
		err := rows.Scan(&k.team, &k.job, &k.number)
		return k, err
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		v, err := s.version(ctx, tx, k.job, k.number)
		if err != nil {
			return err
		}
		if err := s.nameArtifacts(ctx, tx, k.team, k.job, k.number, v.Document); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE artifacts SET unused = "+s.d.now+" WHERE NOT "+isNamed)
	return err
}

// A Point is a savepoint or checkpoint that a run has left.
type Point struct {
	Path string `json:"path"`
	// Made: a stop of the run made it for the next start, so it is used even if it cannot be seen. Others may have been removed by Flink.
	Made bool `json:"made,omitempty"`
}

// An Offer is what a run that has ended offers to start from.
type Offer struct {
	Run    Run
	Points []Point
	Known  bool // Points were read from its archives; else they are still to be read
	// Archives is from how many archives Points were read.
	Archives int
}

const queryOffers = "SELECT " + runColumns + ", COALESCE(points, '') FROM runs WHERE job = ? AND (created, id) < (?, ?) AND ended IS NOT NULL AND (points IS NULL OR points <> '[]') ORDER BY created DESC, id DESC LIMIT ?"

// Offers lists up to limit runs of a job that have ended and may offer something, newest first, before one of them (the zero value: from the newest).
func (s *Store) Offers(ctx context.Context, job string, before Run, limit int) ([]Offer, error) {
	created := int64(math.MaxInt64)
	if before.State.ID != "" {
		created = before.Created.UnixMilli()
	}
	rows, err := s.read.QueryContext(ctx, queryOffers, job, created, before.State.ID, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Offer, error) {
		var o Offer
		var points string
		var err error
		o.Run, err = scanRun(more{rows, []any{&points}})
		if err == nil && points != "" {
			o.Known = true
			err = json.Unmarshal([]byte(points), &o.Points)
		}
		return o, err
	})
}

// more scans columns that follow others.
type more struct {
	row interface{ Scan(...any) error }
	to  []any
}

func (m more) Scan(to ...any) error { return m.row.Scan(append(to, m.to...)...) }

// KeepPoints keeps what was read from the archives of runs, so that they are read once. It is not kept of a run that has something to do, or of
// which another archive came meanwhile.
func (s *Store) KeepPoints(ctx context.Context, read []Offer) error {
	if len(read) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, o := range read {
			points := o.Points
			if points == nil {
				points = []Point{}
			}
			texts, err := marshal(points)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE runs SET points = ? WHERE id = ? AND ended IS NOT NULL AND pending = '[]' AND (SELECT COUNT(*) FROM archives WHERE run = runs.id) = ?", texts[0], o.Run.State.ID, o.Archives); err != nil {
				return err
			}
		}
		return nil
	})
}

// IsCleared reports whether a run has no row, or one that says that its directory was removed.
func (s *Store) IsCleared(ctx context.Context, run string) (cleared bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT cleared IS NOT NULL FROM runs WHERE id = ?", run).Scan(&cleared)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return cleared, err
}
