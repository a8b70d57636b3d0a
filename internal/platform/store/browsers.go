package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"
)

// A BrowserSession is who a browser is signed in as.
type BrowserSession struct {
	Token   Token // without a name: the local user of a server without --auth
	Expires time.Time
}

// maxSessions is how many sessions of one token are kept: the newest ones.
const maxSessions = 50

// MakeCode stores a code that signs a browser in once, as a token (empty: as the local user). It is returned this once.
func (s *Store) MakeCode(ctx context.Context, token string, life time.Duration) (code string, expires time.Time, err error) {
	code = randomText()
	err = s.tx(ctx, func(tx *sql.Tx) error {
		now, err := s.forget(ctx, tx)
		if err != nil {
			return err
		}
		expires = at(now + life.Milliseconds())
		_, err = tx.ExecContext(ctx, "INSERT INTO sign_in_codes (digest, token, expires) VALUES (?, ?, ?)", tokenDigest(code), orNull(token), expires.UnixMilli())
		return err
	})
	return code, expires, err
}

// UseCode makes a session of a code, which ends with that. ErrNotFound: no such code, or it was used, or it has expired, or its token has ended.
func (s *Store) UseCode(ctx context.Context, code string, life time.Duration) (secret string, b BrowserSession, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := s.forget(ctx, tx); err != nil {
			return err
		}
		var token sql.NullString
		if err := tx.QueryRowContext(ctx, "DELETE FROM sign_in_codes WHERE digest = ? RETURNING token", tokenDigest(code)).Scan(&token); err != nil {
			return found(err)
		}
		secret, b, err = s.makeSession(ctx, tx, token.String, life)
		return err
	})
	return secret, b, err
}

// MakeSession makes a session of a token (empty: of the local user). Its secret is returned this once. ErrNotFound: the token has ended.
func (s *Store) MakeSession(ctx context.Context, token string, life time.Duration) (secret string, b BrowserSession, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := s.forget(ctx, tx); err != nil {
			return err
		}
		secret, b, err = s.makeSession(ctx, tx, token, life)
		return err
	})
	return secret, b, err
}

func (s *Store) makeSession(ctx context.Context, tx *sql.Tx, token string, life time.Duration) (string, BrowserSession, error) {
	var b BrowserSession
	var now int64
	err := tx.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&now)
	if err != nil {
		return "", b, err
	}
	if token != "" {
		if b.Token, err = scanToken(tx.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE name = ? AND (expires IS NULL OR expires > ?)", token, now)); err != nil {
			return "", b, err
		}
	}
	b.Expires = at(now + life.Milliseconds())
	if e := b.Token.Expires; !e.IsZero() && e.Before(b.Expires) {
		b.Expires = e
	}
	secret := randomText()
	if _, err := tx.ExecContext(ctx, "INSERT INTO browser_sessions (digest, token, created, expires) VALUES (?, ?, ?, ?)", tokenDigest(secret), orNull(token), now, b.Expires.UnixMilli()); err != nil {
		return "", b, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM browser_sessions WHERE COALESCE(token, '') = ? AND digest <> ? AND digest NOT IN
		(SELECT digest FROM browser_sessions WHERE COALESCE(token, '') = ? ORDER BY created DESC, digest LIMIT ?)`, token, tokenDigest(secret), token, maxSessions)
	return secret, b, err
}

// SessionOf is the session whose cookie has this secret. ErrNotFound: no such session, or it has expired, or its token has.
func (s *Store) SessionOf(ctx context.Context, secret string) (BrowserSession, error) {
	var b BrowserSession
	var token sql.NullString
	var expires int64
	err := s.read.QueryRowContext(ctx, "SELECT token, expires FROM browser_sessions WHERE digest = ? AND expires > "+s.d.now, tokenDigest(secret)).Scan(&token, &expires)
	if err != nil {
		return b, found(err)
	}
	b.Expires = at(expires)
	if !token.Valid {
		return b, nil
	}
	b.Token, err = scanToken(s.read.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE name = ? AND (expires IS NULL OR expires > "+s.d.now+")", token.String))
	return b, err
}

// EndSession ends the session whose cookie has this secret, if there is one.
func (s *Store) EndSession(ctx context.Context, secret string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM browser_sessions WHERE digest = ?", tokenDigest(secret))
		return err
	})
}

// forget removes codes and sessions that have expired, and returns the database's time.
func (s *Store) forget(ctx context.Context, tx *sql.Tx) (now int64, err error) {
	if err := tx.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&now); err != nil {
		return 0, err
	}
	_, codes := tx.ExecContext(ctx, "DELETE FROM sign_in_codes WHERE expires <= ?", now)
	_, sessions := tx.ExecContext(ctx, "DELETE FROM browser_sessions WHERE expires <= ?", now)
	return now, errors.Join(codes, sessions)
}

// randomText is 256 random bits.
func randomText() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
