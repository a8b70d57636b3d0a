package workbench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a worker takes.
const (
	maxRequest   = 96 << 20 // a script and rows of tables, as JSON
	maxContent   = 2 << 30  // an artifact
	maxContents  = 8 << 30  // all that it keeps
	contentsKept = 10 * time.Minute
)

// A Service lets a server use the workbench of this process by HTTP. It keeps the artifacts that scripts have named, by their digests.
type Service struct {
	bench *Workbench
	token func() (string, error)
	log   *slog.Logger
	dir   string

	mu sync.Mutex // while contents are removed
}

// NewService serves a workbench to who has the token, which is asked for at each request, so that it can be replaced.
func NewService(w *Workbench, token func() (string, error), log *slog.Logger) (*Service, error) {
	s := &Service{bench: w, token: token, log: log, dir: filepath.Join(w.o.Dir, "artifacts")}
	return s, os.MkdirAll(s.dir, 0o755)
}

// Handler answers /v1/workbench/…, and without a token /healthz and /readyz.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	}
	mux.HandleFunc("GET "+workerPath+"state", s.known(s.state))
	mux.HandleFunc("HEAD "+workerPath+"artifacts/{digest}", s.known(s.hasContent))
	mux.HandleFunc("PUT "+workerPath+"artifacts/{digest}", s.known(s.putContent))
	for name, do := range map[string]func(context.Context, Script, request, func(message)) finished{"validate": s.validate, "debug": s.debug, "lineage": s.lineage, "catalog": s.catalog} {
		mux.HandleFunc("POST "+workerPath+name, s.known(func(w http.ResponseWriter, r *http.Request) { s.run(w, r, do) }))
	}
	return mux
}

// known lets who has the token in.
func (s *Service) known(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, err := s.token()
		if err != nil {
			s.log.Error("the token cannot be read", "error", err)
			http.Error(w, "the worker has no token", http.StatusServiceUnavailable)
			return
		}
		sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a, b := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		w.Header().Set(versionHeader, s.bench.Version().String())
		then(w, r)
	}
}

func (s *Service) state(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.bench.State())
}

// run answers a request by messages, a line of JSON each.
func (s *Service) run(w http.ResponseWriter, r *http.Request, do func(context.Context, Script, request, func(message)) finished) {
	var in request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		http.Error(w, "not a request of a flink-platform: "+err.Error(), http.StatusBadRequest)
		return
	}
	io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1)) // to its end: after it the end of the connection is noticed
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	var mu sync.Mutex
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	send := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		rc.SetWriteDeadline(time.Now().Add(workerQuiet))
		if out.Encode(m) == nil {
			rc.Flush()
		}
	}
	send(message{})
	done := make(chan struct{})
	var alive sync.WaitGroup
	alive.Go(func() {
		t := time.NewTicker(workerAlive)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				send(message{})
			case <-done:
				return
			}
		}
	})
	var missing []string
	script := Script{Name: in.Name, Source: in.Source, Sent: in.Sent, Artifacts: in.Artifacts, Stored: func(name string) (string, string, error) {
		known, ok := in.Stored[name]
		if known.Error != "" {
			return "", "", errors.New(known.Error)
		}
		path := s.content(known.SHA256)
		if ok && path != "" {
			return path, known.SHA256, nil
		}
		if !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return "", "", fmt.Errorf("the worker does not have the artifact %s", name)
	}}
	end := do(r.Context(), script, in, send)
	if len(missing) > 0 && end.Failure != nil {
		end.Failure = &failure{Stored: missing}
	}
	close(done)
	alive.Wait()
	send(message{End: &end})
}

func (s *Service) validate(ctx context.Context, script Script, _ request, _ func(message)) finished {
	warnings, err := s.bench.Validate(ctx, script)
	return finished{Warnings: warnings, Failure: failed(err)}
}

func (s *Service) lineage(ctx context.Context, script Script, _ request, _ func(message)) finished {
	l, err := s.bench.Lineage(ctx, script)
	places := map[int]place{}
	for _, t := range l.Tables {
		if line, column, ok := l.Place(t.Line, 1); ok {
			places[t.Line] = place{line, column}
		}
	}
	return finished{Lineage: &l, Places: places, Failure: failed(err)}
}

func (s *Service) catalog(ctx context.Context, script Script, _ request, _ func(message)) finished {
	return finished{Failure: failed(s.bench.CheckCatalog(ctx, script))}
}

func (s *Service) debug(ctx context.Context, script Script, in request, send func(message)) finished {
	end, err := s.bench.Debug(ctx, in.User, script, in.Debug, Events{
		Queued:  func(place int) { send(message{Queued: &place}) },
		Start:   func(warm bool) { send(message{Start: &warm}) },
		Ready:   func(sinks, warnings []string) { send(message{Ready: &ready{sinks, warnings}}) },
		Columns: func(table string, names []string) { send(message{Columns: &columns{table, names}}) },
		Row:     func(row Row) { send(message{Row: &row}) },
		Line:    func(line string) { send(message{Line: &line}) },
		Warn:    func(warning string) { send(message{Warn: &warning}) },
	})
	return finished{Debug: end, Failure: failed(err)}
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// content is the file of a content, "" if it is not here. It is kept for a while from now.
func (s *Service) content(digest string) string {
	if !digestForm.MatchString(digest) {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path, now := filepath.Join(s.dir, digest), time.Now()
	if os.Chtimes(path, now, now) != nil {
		return ""
	}
	return path
}

func (s *Service) hasContent(w http.ResponseWriter, r *http.Request) {
	if s.content(r.PathValue("digest")) == "" {
		w.WriteHeader(http.StatusNotFound)
	}
}

// putContent takes a content whose digest is in its address.
func (s *Service) putContent(w http.ResponseWriter, r *http.Request) {
	digest := r.PathValue("digest")
	if !digestForm.MatchString(digest) {
		http.Error(w, "expected the SHA-256 of the content", http.StatusBadRequest)
		return
	}
	if err := s.receive(digest, http.MaxBytesReader(w, r.Body, maxContent)); err != nil {
		s.log.Warn("an artifact is not taken", "sha256", digest, "error", err)
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Service) receive(digest string, body io.Reader) error {
	f, err := os.CreateTemp(s.dir, "part-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, sum), body)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("the content has the SHA-256 %s, expected %s", got, digest)
	}
	if err := s.room(size); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(s.dir, digest))
}

// room removes what was not used for longest, until there is room for so many bytes more.
func (s *Service) room(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var all []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && digestForm.MatchString(e.Name()) {
			all = append(all, info)
			size += info.Size()
		}
	}
	slices.SortFunc(all, func(a, b os.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range all {
		if size <= maxContents || time.Since(info.ModTime()) < contentsKept {
			break
		}
		if err := os.Remove(filepath.Join(s.dir, info.Name())); err != nil {
			return err
		}
		size -= info.Size()
	}
	if size > maxContents {
		return fmt.Errorf("the worker has no room for more artifacts now: it keeps at most %d GiB", maxContents>>30)
	}
	return nil
}
