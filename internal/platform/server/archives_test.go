package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"

	"flink-entrypoint/internal/platform/store"
)

// store stores an archive with checkpoints in a store.
func (f *fixture) store(s *store.Store, run, job, checkpoints string) {
	f.t.Helper()
	b, err := json.Marshal(map[string]any{"archive": []map[string]string{{"path": "/jobs/" + job + "/checkpoints", "json": checkpoints}}})
	if err != nil {
		f.t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(b)
	if err := z.Close(); err != nil {
		f.t.Fatal(err)
	}
	if err := s.PutArchive(f.t.Context(), run, job, zipped.Bytes()); err != nil {
		f.t.Fatal(err)
	}
}
