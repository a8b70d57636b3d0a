package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// An Artifact is a file that definitions name. Its content never changes; it is kept by digest, so names are never paths.
type Artifact struct {
	Name, Team string
	Digest     string // SHA-256, hexadecimal
	Size       int64
	Created    time.Time
	By         string
}

// ErrDigest: the content is not what the sender says it is.
var ErrDigest = errors.New("wrong digest")

// partPrefix begins the names of files that are being received.
const partPrefix = ".part-"

// ErrQuota: the artifacts of the team would need more than they may.
var ErrQuota = errors.New("the artifacts of the team are too large")

// PutArtifact stores a stream. digest is what the sender says its SHA-256 is, or empty. ErrExists: the name has another content;
// ErrDigest: the stream was another one; ErrQuota: all artifacts of the team would be larger than quota (0: no quota); ErrMany: it is one too many. Nothing half-written stays under a name.
func (s *Store) PutArtifact(ctx context.Context, a Artifact, content io.Reader, digest string, quota int64) (Artifact, error) {
	dir := filepath.Join(s.dir, "artifacts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return a, err
	}
	part, err := os.CreateTemp(dir, partPrefix)
	if err != nil {
		return a, s.Explain(err)
	}
	defer os.Remove(part.Name())
	defer part.Close()
	hash := sha256.New()
	if a.Size, err = io.Copy(io.MultiWriter(part, hash), content); err != nil {
		return a, s.Explain(err)
	}
	a.Digest = hex.EncodeToString(hash.Sum(nil))
	if digest != "" && digest != a.Digest {
		return a, fmt.Errorf("%w: the content has %s, %s was announced", ErrDigest, a.Digest, digest)
	}
	err = errors.Join(part.Sync(), part.Close())
	if err != nil {
		return a, s.Explain(err)
	}
	release, err := s.holdContents(ctx)
	if err != nil {
		return a, err
	}
	defer release()
	err = errors.Join(os.Rename(part.Name(), s.blob(a.Digest)), syncDir(dir))
	if err == nil && s.d.shared {
		err = s.shareContent(ctx, a.Digest, s.blob(a.Digest))
	}
	if err != nil {
		return a, s.Explain(err)
	}
	given := a
	err = s.tx(ctx, func(tx *sql.Tx) error {
		a = given // it may be repeated
		have, err := s.artifact(ctx, tx, a.Team, a.Name)
		switch {
		case err == nil && have.Digest != a.Digest:
			return ErrExists
		case err == nil:
			a = have
			return nil
		case !errors.Is(err, ErrNotFound):
			return err
		}
		if err := s.manyOf(ctx, tx, "artifacts", "artifacts WHERE true", a.Team, maxArtifacts); err != nil {
			return err
		}
		var stored int64
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(size), 0) FROM artifacts WHERE team = ?", a.Team).Scan(&stored); err != nil {
			return err
		}
		if quota > 0 && stored+a.Size > quota {
			return fmt.Errorf("%w: they have %d bytes and may have %d, this one has %d", ErrQuota, stored, quota, a.Size)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO artifacts (team, name, digest, size, created, created_by, unused) VALUES (?, ?, ?, ?, "+s.d.now+", ?, "+s.d.now+")", a.Team, a.Name, a.Digest, a.Size, a.By); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE artifacts SET unused = NULL WHERE team = ? AND name = ? AND "+isNamed, a.Team, a.Name); err != nil {
			return err
		}
		if a, err = s.artifact(ctx, tx, a.Team, a.Name); err != nil {
			return err
		}
		return s.audit(ctx, tx, a.Team, "", "the artifact %s was stored: %d bytes, sha256 %s", a.Name, a.Size, a.Digest)
	})
	if err != nil {
		err = errors.Join(err, s.dropBlob(ctx, a.Digest))
	}
	return a, err
}

func (s *Store) hasContent(ctx context.Context, digest string) (has bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM artifacts WHERE digest = ?)", digest).Scan(&has)
	return has, err
}

// dropBlob removes a content that no artifact has. The caller holds blobs, so that no artifact of it is made meanwhile, and has committed that
// the artifact is gone: a content without an artifact only takes room, an artifact without its content would be damaged.
func (s *Store) dropBlob(ctx context.Context, digest string) error {
	if has, err := s.hasContent(ctx, digest); err != nil || has {
		return err
	}
	if err := s.dropShared(ctx); err != nil {
		return err
	}
	if err := os.Remove(s.blob(digest)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) blob(digest string) string { return filepath.Join(s.dir, "artifacts", digest) }

func (s *Store) artifact(ctx context.Context, q queryer, team, name string) (Artifact, error) {
	a := Artifact{Name: name, Team: team}
	var created int64
	err := q.QueryRowContext(ctx, "SELECT digest, size, created, created_by FROM artifacts WHERE team = ? AND name = ?", team, name).Scan(&a.Digest, &a.Size, &created, &a.By)
	a.Created = at(created)
	return a, found(err)
}

// Artifact is a team's artifact.
func (s *Store) Artifact(ctx context.Context, team, name string) (Artifact, error) {
	return s.artifact(ctx, s.read, team, name)
}

// Names reports whether a version of a job names an artifact of a team.
func (s *Store) Names(ctx context.Context, team, job string, number int, artifact string) (names bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM version_artifacts WHERE team = ? AND name = ? AND job = ? AND number = ?)", team, artifact, job, number).Scan(&names)
	return names, err
}

// OpenArtifact is the content of an artifact. The caller closes it.
func (s *Store) OpenArtifact(ctx context.Context, team, name string) (Artifact, *os.File, error) {
	a, err := s.Artifact(ctx, team, name)
	if err != nil {
		return a, nil, err
	}
	f, err := os.Open(s.blob(a.Digest))
	if errors.Is(err, os.ErrNotExist) && s.d.shared { // another server got it
		if err := s.fetchContent(ctx, a.Digest); err != nil {
			return a, nil, err
		}
		f, err = os.Open(s.blob(a.Digest))
	}
	return a, f, err
}

// Artifacts lists up to limit artifacts of a team by name: those after a name.
func (s *Store) Artifacts(ctx context.Context, team, after string, limit int) ([]Artifact, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name, digest, size, created, created_by FROM artifacts WHERE team = ? AND name > ? ORDER BY name LIMIT ?", team, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (Artifact, error) {
		a := Artifact{Team: team}
		var created int64
		err := rows.Scan(&a.Name, &a.Digest, &a.Size, &created, &a.By)
		a.Created = at(created)
		return a, err
	})
}

// DeleteArtifact deletes an artifact that no version of a job of its team names; else ErrInUse.
func (s *Store) DeleteArtifact(ctx context.Context, team, name string) error {
	release, err := s.holdContents(ctx)
	if err != nil {
		return err
	}
	defer release()
	var a Artifact
	err = s.tx(ctx, func(tx *sql.Tx) (err error) {
		if a, err = s.artifact(ctx, tx, team, name); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM artifacts WHERE team = ? AND name = ? AND NOT "+isNamed, team, name)
		if err := changedOne(r, err, ErrInUse); err != nil {
			return err
		}
		return s.audit(ctx, tx, team, "", "the artifact %s was deleted", name)
	})
	if err != nil {
		return err
	}
	s.at("name of an artifact removed")
	return s.dropBlob(ctx, a.Digest)
}
