// Package service is a small platform as docs/definition-service.yaml describes it: it answers with job definitions and with the
// files that they name. The demo serves its example from it; what it does is tested against that description.
package service

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Service answers from two directories, read at each request, so that a changed file is a new version.
type Service struct {
	Jobs      fs.FS  // ID.yaml, ID.json or ID.sql is the definition of the job ID
	Artifacts fs.FS  // nil: none
	Token     string // bearer token that a caller must have; "": anybody may ask
	Log       *slog.Logger

	busy atomic.Int64 // seconds; 0: ready
}

// SetBusy makes the service answer 503 and ask for another try after the given time; 0 ends that.
func (s *Service) SetBusy(retryAfter time.Duration) { s.busy.Store(int64(retryAfter / time.Second)) }

// Start serves on a free port of the loopback interface and returns the base URL.
func (s *Service) Start() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), func() { server.Close() }, nil
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if id != "" {
		w.Header().Set("X-Request-Id", id)
	}
	if s.Log != nil {
		s.Log.Info("request", "method", r.Method, "path", r.URL.Path, "requestId", id)
	}
	if !s.admitted(w, r) {
		return
	}
	switch dir, name := path.Split(r.URL.Path); {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "only GET is possible")
	case dir == "/jobs/" && name != "":
		s.job(w, r, name)
	case dir == "/artifacts/" && name != "" && s.Artifacts != nil:
		s.artifact(w, r, name)
	default:
		fail(w, http.StatusNotFound, "there are /jobs/{id} and /artifacts/{name}")
	}
}

// admitted answers for the service when the caller gets nothing.
func (s *Service) admitted(w http.ResponseWriter, r *http.Request) bool {
	if n := s.busy.Load(); n > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(n, 10))
		fail(w, http.StatusServiceUnavailable, "the database is starting")
		return false
	}
	if s.Token == "" {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		fail(w, http.StatusUnauthorized, "a valid bearer token is needed")
		return false
	}
	return true
}

// contentTypes are the content types of the formats of a definition.
var contentTypes = [...]struct{ extension, contentType string }{
	{".yaml", "application/yaml"}, {".json", "application/json"}, {".sql", "application/sql"},
}

func (s *Service) job(w http.ResponseWriter, r *http.Request, id string) {
	for _, t := range contentTypes {
		b, err := fs.ReadFile(s.Jobs, strings.TrimSuffix(id, t.extension)+t.extension)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue
		}
		if err != nil {
			fail(w, http.StatusServiceUnavailable, "the definition cannot be read at the moment")
			return
		}
		w.Header().Set("ETag", etag(b))
		if matches(r.Header.Get("If-None-Match"), etag(b)) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", t.contentType)
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			b = zipped(b)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
		return
	}
	fail(w, http.StatusNotFound, "no job "+id)
}

// artifact leaves ranges and their conditions to net/http.
func (s *Service) artifact(w http.ResponseWriter, r *http.Request, name string) {
	b, err := fs.ReadFile(s.Artifacts, name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		fail(w, http.StatusNotFound, "no file "+name)
		return
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "the file cannot be read at the moment")
		return
	}
	sum := sha256.Sum256(b)
	w.Header().Set("ETag", etag(b))
	w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	w.Header().Set("Content-Type", "application/octet-stream")
	if strings.HasSuffix(name, ".jar") {
		w.Header().Set("Content-Type", "application/java-archive")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

// etag names a content.
func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// matches compares weakly, as If-None-Match asks for.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// fail answers with the description's error body.
func fail(w http.ResponseWriter, status int, message string) {
	b, err := json.Marshal(map[string]any{"message": message, "code": status})
	if err != nil {
		panic(err) // strings and numbers can be marshalled
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// File is a directory that holds one file of the machine, under its own name.
func File(name string) fs.FS { return only{os.DirFS(path.Dir(name)), path.Base(name)} }

type only struct {
	fs.FS
	name string
}

// Open implements fs.FS.
func (o only) Open(name string) (fs.File, error) {
	if name != o.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.FS.Open(name)
}
