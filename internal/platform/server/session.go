package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

// program is as monitor.Monitor says. What the platform asks for beats the definition's savepoint.
func (s *Server) program(ctx context.Context, r store.Run, flink string) (flinkrest.Submission, error) {
	version, err := flinkversion.Parse(flink)
	if err != nil {
		return flinkrest.Submission{}, fmt.Errorf("the session cluster's version: %w", err)
	}
	v, err := s.Store.Version(ctx, r.Job, r.Version)
	if err != nil {
		return flinkrest.Submission{}, err
	}
	p, err := document.ProgramOf(v.Document, version)
	if err != nil {
		return flinkrest.Submission{}, &cluster.Refusal{Err: err}
	}
	from := r.Asked.StartFrom
	if from == "" && r.Asked.Savepoint == "" {
		from = p.Savepoint
	}
	return flinkrest.Submission{JarName: jarName(sqlrunner.Jar()), Jar: sqlrunner.Jar(), MainClass: sqlrunner.MainClass, Arguments: p.Arguments, Savepoint: from, AllowLost: p.AllowNonRestored}, nil
}

// jarName names the content of a jar, so that a cluster which has another one of the same origin gets this one too.
func jarName(jar []byte) string {
	return fmt.Sprintf("%s-%.6x.jar", strings.TrimSuffix(sqlrunner.JarName, ".jar"), sha256.Sum256(jar))
}
