package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Catalog is one stored CREATE CATALOG statement. Its secrets are references.
type Catalog struct {
	Name, Team string
	Revision   int // grows by one with each change
	Statement  string
	Changed    time.Time
	By         string
}

// What a team may have, beside the limits in bytes of what is larger.
const (
	maxCatalogs  = 1000
	maxTokens    = 1000
	maxArtifacts = 10_000
)

// ErrMany: the team has as many of these as it may have.
var ErrMany = errors.New("the team has too many")

// manyOf refuses a row more where a team has most of them.
func (s *Store) manyOf(ctx context.Context, tx *sql.Tx, what, where, team string, most int) error {
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+where+" AND team = ?", team).Scan(&n); err != nil {
		return err
	}
	if n >= most {
		return fmt.Errorf("%w %s: %d", ErrMany, what, n)
	}
	return nil
}

// PutCatalog makes or changes a catalog. revision is the one that the user has seen: 0 where it must not exist yet, -1 where it does not
// matter; else ErrConflict. ErrMany: it is one too many.
func (s *Store) PutCatalog(ctx context.Context, c Catalog, revision int) (Catalog, error) {
	given := c
	err := s.tx(ctx, func(tx *sql.Tx) error {
		c = given // it may be repeated
		have, err := s.catalog(ctx, tx, c.Team, c.Name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if revision >= 0 && revision != have.Revision {
			return ErrConflict
		}
		if have.Revision > 0 && have.Statement == c.Statement {
			c = have
			return nil
		}
		if have.Revision == 0 {
			if err := s.manyOf(ctx, tx, "catalogs", "catalogs WHERE true", c.Team, maxCatalogs); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO catalogs (team, name, revision, statement, changed, changed_by) VALUES (?, ?, ?, ?, `+s.d.now+`, ?)
			ON CONFLICT (team, name) DO UPDATE SET revision = excluded.revision, statement = excluded.statement, changed = excluded.changed, changed_by = excluded.changed_by`,
			c.Team, c.Name, have.Revision+1, c.Statement, c.By); err != nil {
			return err
		}
		if c, err = s.catalog(ctx, tx, c.Team, c.Name); err != nil {
			return err
		}
		return s.audit(ctx, tx, c.Team, "", "the catalog %s was stored, revision %d", c.Name, c.Revision)
	})
	return c, err
}

func (s *Store) catalog(ctx context.Context, q queryer, team, name string) (Catalog, error) {
	c := Catalog{Name: name, Team: team}
	var changed int64
	err := q.QueryRowContext(ctx, "SELECT revision, statement, changed, changed_by FROM catalogs WHERE team = ? AND name = ?", team, name).Scan(&c.Revision, &c.Statement, &changed, &c.By)
	c.Changed = at(changed)
	return c, found(err)
}

// Catalog is a team's catalog.
func (s *Store) Catalog(ctx context.Context, team, name string) (Catalog, error) {
	return s.catalog(ctx, s.read, team, name)
}

// Catalogs lists up to limit catalogs of a team by name: those after a name.
func (s *Store) Catalogs(ctx context.Context, team, after string, limit int) ([]Catalog, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name, revision, statement, changed, changed_by FROM catalogs WHERE team = ? AND name > ? ORDER BY name LIMIT ?", team, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Catalog, error) {
		c := Catalog{Team: team}
		var changed int64
		err := rows.Scan(&c.Name, &c.Revision, &c.Statement, &changed, &c.By)
		c.Changed = at(changed)
		return c, err
	})
}

// DeleteCatalog deletes a catalog. Versions that it was written into keep their copy.
func (s *Store) DeleteCatalog(ctx context.Context, team, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "DELETE FROM catalogs WHERE team = ? AND name = ?", team, name)
		if err := changedOne(r, err, ErrNotFound); err != nil {
			return err
		}
		return s.audit(ctx, tx, team, "", "the catalog %s was deleted", name)
	})
}

// A Use is a catalog in a version of a job.
type Use struct {
	Job      string
	Version  int
	Revision int // of the catalog in that version
	Running  bool
}

// UsesOf lists the jobs of a team whose newest version, or the version of whose open run, has a catalog.
func (s *Store) UsesOf(ctx context.Context, team, name string) ([]Use, error) {
	uses, err := s.uses(ctx, team, `%"`+name+`"%`)
	return uses[name], err
}

// Uses lists, for each catalog of a team that a job has, what UsesOf does.
func (s *Store) Uses(ctx context.Context, team string) (map[string][]Use, error) {
	return s.uses(ctx, team, `%"name"%`)
}

func (s *Store) uses(ctx context.Context, team, pattern string) (map[string][]Use, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT v.job, v.number, v.catalogs, EXISTS (SELECT 1 FROM runs r WHERE r.job = v.job AND r.version = v.number AND r.ended IS NULL)
		FROM versions v JOIN jobs j ON j.name = v.job WHERE j.team = ? AND v.catalogs LIKE ?
		AND (v.number = j.newest OR EXISTS (SELECT 1 FROM runs r WHERE r.job = v.job AND r.version = v.number AND r.ended IS NULL)) ORDER BY v.job, v.number`, team, pattern)
	if err != nil {
		return nil, err
	}
	uses := map[string][]Use{}
	_, err = collect(rows, func(rows *sql.Rows) (u Use, err error) {
		var text string
		if err := rows.Scan(&u.Job, &u.Version, &text, &u.Running); err != nil {
			return u, err
		}
		var used []UsedCatalog
		if err := json.Unmarshal([]byte(text), &used); err != nil {
			return u, err
		}
		for _, c := range used {
			u.Revision = c.Revision
			uses[c.Name] = append(uses[c.Name], u)
		}
		return u, nil
	})
	return uses, err
}
