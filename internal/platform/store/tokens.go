package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"flink-entrypoint/internal/platform/mask"
)

// A Role is what a token may do.
type Role string

// Roles. A run's token can only read its version and artifacts, and write its events and archive.
const (
	RoleView  Role = "view"
	RoleEdit  Role = "edit"
	RoleAdmin Role = "admin"
	RoleRun   Role = "run"
)

// A Token is a bearer token. Only its digest is stored.
type Token struct {
	Name    string
	Role    Role
	Team    string
	Run     string // of RoleRun
	Created time.Time
	Expires time.Time // zero: never
}

// MakeToken stores a new token and returns its secret, which is shown this once. ErrExists: the name has one; ErrMany: it is one too many.
func (s *Store) MakeToken(ctx context.Context, t Token) (string, error) {
	if t.Team == "" {
		return "", errors.New("a token needs a team: without one it would see every team")
	}
	secret := newSecret()
	return secret, s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.manyOf(ctx, tx, "tokens", "tokens WHERE run = ''", t.Team, maxTokens); err != nil {
			return err
		}
		if err := s.addToken(ctx, tx, t, secret); err != nil {
			return err
		}
		until := ""
		if !t.Expires.IsZero() {
			until = ", until " + t.Expires.UTC().Format(time.RFC3339)
		}
		return s.audit(ctx, tx, t.Team, "", "the token %s was made: role %s%s", t.Name, t.Role, until)
	})
}

// SetToken stores a token whose secret the caller has, e.g. from a Secret of Kubernetes. A token of this name with another secret ends; the
// same one again changes nothing, so that each replica of a server may do it at its start. ErrExists: another team has the name, or another
// token the secret.
func (s *Store) SetToken(ctx context.Context, t Token, secret string) error {
	if t.Team == "" {
		return errors.New("a token needs a team: without one it would see every team")
	}
	set := func() error {
		return s.tx(ctx, func(tx *sql.Tx) error {
			var same bool
			if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM tokens WHERE name = ? AND role = ? AND team = ? AND run = '' AND digest = ? AND expires IS NULL)", t.Name, t.Role, t.Team, tokenDigest(secret)).Scan(&same); err != nil || same {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE name = ? AND team = ? AND run = ''", t.Name, t.Team); err != nil {
				return err
			}
			if err := s.addToken(ctx, tx, t, secret); err != nil {
				return err
			}
			return s.audit(ctx, tx, t.Team, "", "the token %s was set: role %s", t.Name, t.Role)
		})
	}
	err := set()
	if errors.Is(err, ErrExists) { // another replica may have been quicker
		err = set()
	}
	return err
}

func newSecret() string { return mask.Token + randomText() }

func (s *Store) addToken(ctx context.Context, tx *sql.Tx, t Token, secret string) error {
	var expires any
	if !t.Expires.IsZero() {
		expires = t.Expires.UnixMilli()
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO tokens (name, role, team, run, digest, created, expires) VALUES (?, ?, ?, ?, ?, "+s.d.now+", ?)", t.Name, t.Role, t.Team, t.Run, tokenDigest(secret), expires)
	if err != nil && s.d.unique(err) {
		return ErrExists
	}
	return err
}

func tokenDigest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// TokenOf is the token with this secret. ErrNotFound: no such token, or it has expired. The token of a run expires when the run has ended and
// nothing is left to do for it: until then its JobManager may send its archive.
func (s *Store) TokenOf(ctx context.Context, secret string) (Token, error) {
	return scanToken(s.read.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE digest = ? AND (expires IS NULL OR expires > "+s.d.now+") AND (run = '' OR EXISTS (SELECT 1 FROM runs r WHERE r.id = tokens.run AND (r.ended IS NULL OR r.pending <> '[]')))", tokenDigest(secret)))
}

const tokenColumns = "name, role, team, run, created, COALESCE(expires, 0)"

func scanToken(row interface{ Scan(...any) error }) (Token, error) {
	var t Token
	var created, expires int64
	err := row.Scan(&t.Name, &t.Role, &t.Team, &t.Run, &created, &expires)
	t.Created, t.Expires = at(created), at(expires)
	return t, found(err)
}

// Tokens lists up to limit tokens of people and programs of a team, by name: those after a name.
func (s *Store) Tokens(ctx context.Context, team, after string, limit int) ([]Token, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE run = '' AND team = ? AND name > ? ORDER BY name LIMIT ?", team, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Token, error) { return scanToken(rows) })
}

// DeleteToken ends a token of people and programs of a team.
func (s *Store) DeleteToken(ctx context.Context, team, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE name = ? AND team = ? AND run = ''", name, team)
		if err := changedOne(r, err, ErrNotFound); err != nil {
			return err
		}
		return s.audit(ctx, tx, team, "", "the token %s was deleted", name)
	})
}

// runTokens are the bounds of the names of a run's tokens: from, and before to.
func runTokens(run string) (from, to string) { return "run/" + run, "run/" + run + "0" } // 0 follows /

// maxRunTokens of one run are valid at the same time.
const maxRunTokens = 8

// NewRunToken makes a token of a run that has not ended (else ErrConflict). Those before it stay, up to a bound: a server that was frozen while it
// started the cluster, and one that took its place, both make one, and only one of the two reaches the cluster. The secret is stored nowhere here.
func (s *Store) NewRunToken(ctx context.Context, team, run string) (string, error) {
	from, to := runTokens(run)
	t, secret := Token{Name: from + "/" + NewID(), Role: RoleRun, Team: team, Run: run}, newSecret()
	return secret, s.tx(ctx, func(tx *sql.Tx) error {
		var ended bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM runs WHERE id = ? AND ended IS NOT NULL)", run).Scan(&ended); err != nil {
			return err
		}
		if ended {
			return ErrConflict
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE name IN (SELECT name FROM tokens WHERE name >= ? AND name < ? ORDER BY created DESC, name LIMIT 1000 OFFSET ?)", from, to, maxRunTokens-1)
		if err != nil {
			return err
		}
		return s.addToken(ctx, tx, t, secret)
	})
}

// endRunTokens removes the tokens of a run.
func endRunTokens(ctx context.Context, tx *sql.Tx, run string) error {
	from, to := runTokens(run)
	_, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE name >= ? AND name < ?", from, to)
	return err
}
