package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
)

// unzipped is a job's archive.
func (s *Server) unzipped(ctx context.Context, run, job string) ([]byte, error) {
	gzipped, err := s.Store.Archive(ctx, run, job)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
