package workbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"flink-entrypoint/internal/flinkversion"
)

// A Worker is a workbench of one version of Flink in another process, which has no store and no rights of the server (flink-platform workbench).
type Worker struct {
	flink  string // the release that it is for
	url    string
	token  func() (string, error)
	client *http.Client
	seen   atomic.Pointer[string] // its version, as it said last
}

// NewWorker is the worker of a release of Flink (1.20) at an http or https URL. The token is asked for at each request, so that it can be replaced.
func NewWorker(flink, address string, token func() (string, error)) (*Worker, error) {
	release, err := flinkversion.ParseRelease(flink)
	if err != nil {
		return nil, fmt.Errorf("the version %q: %w", flink, err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the worker's address is not one, expected http://HOST:PORT or https://HOST:PORT")
	}
	dial := &net.Dialer{Timeout: 5 * time.Second}
	return &Worker{flink: release.String(), url: strings.TrimSuffix(u.String(), "/") + workerPath, token: token, client: &http.Client{
		Transport:     &http.Transport{DialContext: dial.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: workerQuiet, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for the worker
	}}, nil
}

// maxAnswer bounds what a worker may answer: the output of a run as JSON.
const maxAnswer = 128 << 20

// ask sends a request. A worker that answers in another way than one is an [*Away].
func (w *Worker) ask(ctx context.Context, method, path string, body io.Reader, size int64) (*http.Response, error) {
	token, err := w.token()
	if err != nil {
		return nil, w.away("the server's token for it cannot be read: %v", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, body)
	if err != nil {
		return nil, err
	}
	if req.Header.Set("Authorization", "Bearer "+token); body != nil {
		req.ContentLength = size
	}
	resp, err := w.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without its address
		}
		return nil, w.away("it does not answer: %v", err)
	}
	version, err := flinkversion.Parse(resp.Header.Get(versionHeader))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		err = w.away("it does not take the server's token")
	case err != nil:
		err = w.away("what answers (%s) is not a worker", resp.Status)
	case version.Release().String() != w.flink:
		err = w.away("it has Flink %s", version)
	case resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotFound:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		err = w.away("it answers %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	text := version.String()
	w.seen.Store(&text)
	return resp, nil
}

func (w *Worker) away(format string, args ...any) error {
	return &Away{Flink: w.flink, Reason: fmt.Sprintf(format, args...)}
}

// do asks for something, with the artifacts that the worker then asks for.
func (w *Worker) do(ctx context.Context, path string, s Script, in request, hear func(message)) (finished, error) {
	in.Name, in.Source, in.Sent, in.Artifacts, in.Stored = s.Name, s.Source, s.Sent, s.Artifacts, map[string]stored{}
	for range 20 { // a script may name the next one only after the one before was found
		end, err := w.once(ctx, path, in, hear)
		if err != nil {
			return end, err
		}
		if end.Failure == nil || end.Failure.Stored == nil {
			return end, end.Failure.err()
		}
		for _, name := range end.Failure.Stored {
			if in.Stored[name], err = w.bring(ctx, s, name); err != nil {
				return end, err
			}
		}
	}
	return finished{}, w.away("it asks for artifacts again and again")
}

// once sends a request and hears its answer to the end.
func (w *Worker) once(ctx context.Context, path string, in request, hear func(message)) (finished, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return finished{}, err
	}
	asking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(workerQuiet, func() { cancel(w.away("it has said nothing for %s", workerQuiet)) })
	defer quiet.Stop()
	resp, err := w.ask(asking, http.MethodPost, path, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return finished{}, err
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	for {
		var m message
		if err := lines.Decode(&m); err != nil {
			switch {
			case asking.Err() != nil:
				err = context.Cause(asking)
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				err = w.away("it has ended in the middle of its answer")
			default:
				err = w.away("its answer cannot be read: %v", err)
			}
			return finished{}, err
		}
		quiet.Reset(workerQuiet)
		if m.End != nil {
			return *m.End, nil
		}
		hear(m)
	}
}

// bring gives the worker the content of a stored artifact, if it does not have it.
func (w *Worker) bring(ctx context.Context, s Script, name string) (stored, error) {
	path, digest, err := s.stored(name)
	if err != nil {
		return stored{Error: err.Error()}, nil
	}
	resp, err := w.ask(ctx, http.MethodHead, "artifacts/"+digest, nil, 0)
	if err != nil {
		return stored{}, err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return stored{SHA256: digest}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return stored{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return stored{}, err
	}
	if resp, err = w.ask(ctx, http.MethodPut, "artifacts/"+digest, f, info.Size()); err != nil {
		return stored{}, err
	}
	return stored{SHA256: digest}, resp.Body.Close()
}

func (w *Worker) nothing(message) {}

// Validate is as Bench says, and so are the others.
func (w *Worker) Validate(ctx context.Context, s Script) ([]string, error) {
	end, err := w.do(ctx, "validate", s, request{}, w.nothing)
	return end.Warnings, err
}

func (w *Worker) Lineage(ctx context.Context, s Script) (Lineage, error) {
	end, err := w.do(ctx, "lineage", s, request{}, w.nothing)
	if err == nil && end.Lineage == nil {
		err = w.away("its answer has no lineage")
	}
	if err != nil {
		return Lineage{}, err
	}
	end.Lineage.Place = func(line, column int) (int, int, bool) {
		at, ok := end.Places[line]
		return at.Line, at.Column, ok && column == 1
	}
	return *end.Lineage, nil
}

func (w *Worker) CheckCatalog(ctx context.Context, s Script) error {
	_, err := w.do(ctx, "catalog", s, request{}, w.nothing)
	return err
}

func (w *Worker) Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (End, error) {
	end, err := w.do(ctx, "debug", s, request{User: user, Debug: d}, func(m message) {
		switch {
		case m.Queued != nil && e.Queued != nil:
			e.Queued(*m.Queued)
		case m.Start != nil:
			e.Start(*m.Start)
		case m.Ready != nil:
			e.Ready(m.Ready.Sinks, m.Ready.Warnings)
		case m.Columns != nil && e.Columns != nil:
			e.Columns(m.Columns.Table, m.Columns.Names)
		case m.Row != nil:
			e.Row(*m.Row)
		case m.Line != nil:
			e.Line(*m.Line)
		case m.Warn != nil:
			e.Warn(*m.Warn)
		}
	})
	return end.Debug, err
}

// VersionOf is the version that the worker said last, or the release that it is for.
func (w *Worker) VersionOf(Script) string {
	if seen := w.seen.Load(); seen != nil {
		return *seen
	}
	return w.flink
}

// State is the worker's; it is empty where the worker cannot be used.
func (w *Worker) State() State { return w.state().State }

func (w *Worker) state() WorkerState {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	resp, err := w.ask(ctx, http.MethodGet, "state", nil, 0)
	var s State
	if err == nil {
		defer resp.Body.Close()
		if err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s); err != nil {
			err = w.away("its answer cannot be read: %v", err)
		}
	}
	out := WorkerState{Flink: w.VersionOf(Script{}), State: s}
	if away, ok := errors.AsType[*Away](err); ok {
		out.Reason = away.Reason
	} else if err != nil {
		out.Reason = "it does not answer in time"
	}
	return out
}
