package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// store stores an archive with checkpoints in a store.
func (f *fixture) store(s *store.Store, run, job, checkpoints string) {
	f.t.Helper()
	b, err := json.Marshal(map[string]any{"archive": []map[string]string{{"path": "/jobs/" + job + "/checkpoints", "json": checkpoints}}})
	if err != nil {
		f.t.Fatal(err)
	}
	received, err := s.Receive(bytes.NewReader(b))
	if err != nil {
		f.t.Fatal(err)
	}
	defer received.Close()
	if err := s.PutArchive(f.t.Context(), run, job, received); err != nil {
		f.t.Fatal(err)
	}
}

// files are the names in the data directory.
func (f *fixture) files() string {
	f.t.Helper()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestHalfAnArchive: a body that ends early, is too long or is not an archive leaves nothing, and the run goes on.
func TestHalfAnArchive(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	before := f.files()
	body := archiveOf(r.JobID, "FINISHED")
	token := f.runToken(r.ID)
	c, err := net.Dial("tcp", strings.TrimPrefix(f.s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PUT /v1/runs/%s/archive/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", r.ID, r.JobID, token, len(body), body[:len(body)/2])
	c.(*net.TCPConn).CloseWrite()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode < 400 {
		t.Errorf("half a body: %s", resp.Status)
	}
	f.as(token, func() {
		path := "/v1/runs/" + r.ID + "/archive/" + r.JobID
		f.want(422, "PUT", path, body[:len(body)-1], nil)
		f.want(422, "PUT", path, string(body)+"x", nil)
		f.want(422, "PUT", path, "", nil)
	})
	if have, err := f.s.Store.Archives(t.Context(), r.ID); err != nil || len(have) > 0 {
		t.Errorf("%q, %v", have, err)
	}
	if _, err := f.s.Store.Archive(t.Context(), r.ID, r.JobID); err != store.ErrNotFound {
		t.Error(err)
	}
	if after := f.files(); after != before {
		t.Errorf("the data directory has %s, before it %s", after, before)
	}
	if r := f.run("clicks"); r.Queue != "running" {
		t.Errorf("%+v", r)
	}
}

// TestLargeArchive: an archive of 60 MiB that does not compress well costs a few MiB of memory to take and to read.
func TestLargeArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it sends 60 MB")
	}
	f := newFixture(t, false)
	r := f.running("clicks")
	small := string(archiveOf(r.JobID, "FAILED"))
	letters := make([]byte, 1<<20) // longer than what gzip looks back, so that it does not find a repetition
	source := rand.New(rand.NewPCG(1, 2))
	for i := range letters {
		letters[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[source.IntN(64)]
	}
	parts := []io.Reader{strings.NewReader(`{"archive":[`)}
	for i := range 4 {
		parts = append(parts, strings.NewReader(fmt.Sprintf(`{"path":"/jobs/x/%d","json":"`, i)), filler(letters, 15), strings.NewReader(`"},`))
	}
	parts = append(parts, strings.NewReader(strings.TrimPrefix(small, `{"archive":[`)))
	req, err := http.NewRequestWithContext(t.Context(), "PUT", f.s.URL+"/v1/runs/"+r.ID+"/archive/"+r.JobID, io.MultiReader(parts...))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.runToken(r.ID))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); resp.StatusCode != 204 {
		t.Fatalf("%s %s %v", resp.Status, b, err)
	}
	runtime.ReadMemStats(&after)
	n := after.TotalAlloc - before.TotalAlloc
	t.Logf("put: %d KiB allocated", n>>10)
	if n > 16<<20 {
		t.Errorf("%d bytes were allocated to take it", n)
	}
	failed := f.until("clicks", "failed", func(r wire.Run) bool { return r.Queue == "failed" })
	if failed.Reason != "c.D: the cause" {
		t.Errorf("%+v", failed)
	}
	f.want(200, "GET", "/v1/jobs/clicks/checkpoints", nil, nil)
	content, err := f.s.Store.Archive(t.Context(), r.ID, r.JobID)
	if err != nil {
		t.Fatal(err)
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	least, most, size := live(), uint64(0), int64(0)
	for {
		n, err := io.CopyN(io.Discard, content, 8<<20)
		size, most = size+n, max(most, live())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("read: %d KiB live, %d KiB before", most>>10, least>>10)
	if size < 60<<20 || most > least+8<<20 {
		t.Errorf("%d bytes were read with %d bytes of memory, %d before it", size, most, least)
	}
}

// filler is a block, so many times.
func filler(block []byte, times int) io.Reader {
	var all []io.Reader
	for range times {
		all = append(all, bytes.NewReader(block))
	}
	return io.MultiReader(all...)
}
