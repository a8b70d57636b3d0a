package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/document"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/sqlrunner"
)

// session is as monitor.Monitor says.
func (s *Server) session(ctx context.Context, r store.Run) (store.Run, error) {
	of, err := s.Store.Job(ctx, r.Job)
	if err != nil {
		return store.Run{}, err
	}
	j, err := s.Store.Job(ctx, r.Asked.Session)
	if errors.Is(err, store.ErrNotFound) || err == nil && (j.Kind != store.KindCluster || j.Team != of.Team) {
		return store.Run{}, &cluster.Refusal{Err: fmt.Errorf("the session cluster %s does not exist", r.Asked.Session)}
	}
	if err != nil {
		return store.Run{}, err
	}
	return s.Store.NewestRun(ctx, j.Name)
}

// program is as monitor.Monitor says. The savepoint that was asked for wins over the definition's.
func (s *Server) program(ctx context.Context, r store.Run, flink string) (flinkrest.Submission, error) {
	version, err := flinkversion.Parse(flink)
	if err != nil {
		return flinkrest.Submission{}, fmt.Errorf("the session cluster's version: %w", err)
	}
	v, err := s.Store.Version(ctx, r.Job, r.Version)
	if err != nil {
		return flinkrest.Submission{}, err
	}
	p, err := document.ProgramOf(v.Document, version, withoutState(r))
	if err != nil {
		return flinkrest.Submission{}, &cluster.Refusal{Err: err}
	}
	from := cmp.Or(r.Asked.StartFrom, p.Savepoint)
	sub := flinkrest.Submission{MainClass: p.MainClass, Arguments: p.Arguments, Configuration: p.Configuration, Savepoint: from, AllowLost: p.AllowNonRestored}
	if p.Artifact == "" {
		sub.JarName, sub.Jar = jarName(sqlrunner.JarName, fmt.Sprintf("%x", sha256.Sum256(sqlrunner.Jar()))), flinkrest.Bytes(sqlrunner.Jar())
		return sub, nil
	}
	if !version.Reaches(withConfiguration) {
		delete(sub.Configuration, "pipeline.name")
	}
	if len(sub.Configuration) > 0 && !version.Reaches(withConfiguration) {
		return sub, &cluster.Refusal{Err: fmt.Errorf("the session cluster is Flink %s, which takes no configuration with a jar: %s or newer does", version, withConfiguration)}
	}
	j, err := s.Store.Job(ctx, r.Job)
	if err != nil {
		return sub, err
	}
	a, err := s.Store.Artifact(ctx, j.Team, p.Artifact)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return sub, &cluster.Refusal{Err: fmt.Errorf("the artifact %s does not exist any more", p.Artifact)}
	case err != nil:
		return sub, err
	case a.Digest != p.Digest:
		return sub, &cluster.Refusal{Err: fmt.Errorf("the artifact %s has the digest %s, the definition wants %s", p.Artifact, a.Digest, p.Digest)}
	}
	sub.JarName = jarName(p.Artifact, a.Digest)
	sub.Jar = func() (io.ReadCloser, int64, error) {
		a, f, err := s.Store.OpenArtifact(ctx, j.Team, p.Artifact)
		return f, a.Size, err
	}
	return sub, nil
}

// withConfiguration is the first release of Flink that takes a configuration with a jar (FLINK-29543).
var withConfiguration = flinkversion.Since(1, 17)

// jarName names the content of a jar, so that a cluster which has another one of the same origin gets this one too.
func jarName(name, digest string) string {
	return strings.TrimSuffix(name, ".jar") + "-" + digest[:12] + ".jar"
}
