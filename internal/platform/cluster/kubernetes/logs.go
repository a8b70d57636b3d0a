package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"flink-entrypoint/internal/platform/cluster"
)

// A Keeper keeps what Kubernetes forgets of a cluster that is deleted, for all servers of the platform: how its processes ended, and the end of each
// log.
type Keeper interface {
	// KeepLog keeps the log of a process; a later one replaces it.
	KeepLog(ctx context.Context, run, process string, log []byte) error
	// KeepStatus comes after the logs. The first one stays.
	KeepStatus(ctx context.Context, run string, s cluster.Status) error
	// Status and Log are what was kept. [cluster.ErrUnknown]: nothing.
	Status(ctx context.Context, run string) (cluster.Status, error)
	Log(ctx context.Context, run, process string) ([]byte, error)
	// Forget removes what is kept of a run.
	Forget(ctx context.Context, run string) error
}

// How much of the logs of a cluster is kept, and how long its nodes have to answer.
const (
	keptLines = 10_000
	keptBytes = 8 << 20  // of a log
	keptTotal = 64 << 20 // of all logs of a run
	keptTime  = 20 * time.Second
)

// Logs is as cluster.Driver says. A container's log is read from its node; the log of a deleted cluster from where it is kept.
func (d *Driver) Logs(ctx context.Context, run, process string, tail int) (io.ReadCloser, error) {
	if process != filepath.Base(process) || strings.HasPrefix(process, ".") {
		return nil, cluster.ErrUnknown
	}
	if kept, err := d.kept(ctx, run); err != nil {
		return nil, err
	} else if kept {
		b, err := d.o.Keeper.Log(ctx, run, process)
		if errors.Is(err, cluster.ErrUnknown) {
			err = nil // it could not be read in time
		}
		return io.NopCloser(bytes.NewReader(lastLines(b, tail))), err
	}
	status, err := d.Observe(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, p := range status.Processes {
		if p.Name == process {
			return &containerLog{d: d, ctx: ctx, run: run, process: p, tail: tail}, nil
		}
	}
	return nil, cluster.ErrUnknown
}

// lastLines are at most n lines; all of them if n is less than 0.
func lastLines(b []byte, n int) []byte {
	if n < 0 {
		return b
	}
	end := len(b)
	for at := len(bytes.TrimSuffix(b, []byte("\n"))); n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(b[:at], '\n')
		end = at + 1
	}
	return b[end:]
}

// A containerLog is the log of a container. At its end it is asked again for what came since: by the time of the last line, and how many lines
// have that time.
type containerLog struct {
	d       *Driver
	ctx     context.Context
	run     string
	process cluster.Process
	tail    int

	body   io.ReadCloser
	buffer []byte // lines without their times, ready to be given
	line   []byte // what was read of the next one
	since  string // the time of the last line that was given
	same   int    // how many with it
	skip   int    // of them, in this answer
	begun  bool
}

// Read is as cluster.Driver.Logs says.
func (l *containerLog) Read(b []byte) (int, error) {
	for {
		if len(l.buffer) > 0 {
			n := copy(b, l.buffer)
			l.buffer = l.buffer[n:]
			return n, nil
		}
		if l.body == nil {
			if err := l.open(); err != nil || l.body == nil {
				return 0, errors.Join(err, eof(err))
			}
		}
		part := make([]byte, 32<<10)
		n, err := l.body.Read(part)
		l.take(part[:n])
		if len(l.buffer) > 0 {
			continue
		}
		if err != nil {
			l.body.Close()
			l.body, l.line = nil, nil // an unfinished line comes again
			return 0, err
		}
	}
}

func eof(err error) error {
	if err == nil {
		return io.EOF
	}
	return nil
}

// take takes the times off lines, and leaves out those that were given before.
func (l *containerLog) take(b []byte) {
	l.line = append(l.line, b...)
	for {
		end := bytes.IndexByte(l.line, '\n')
		if end < 0 {
			return
		}
		stamp, text, _ := strings.Cut(string(l.line[:end]), " ")
		l.line = l.line[end+1:]
		if stamp == l.since {
			if l.skip > 0 {
				l.skip--
				continue
			}
			l.same++
		} else {
			l.since, l.same, l.skip = stamp, 1, 0
		}
		l.buffer = append(append(l.buffer, text...), '\n')
	}
}

// open asks for the log, or for what came since.
func (l *containerLog) open() error {
	q := url.Values{"container": {containerName}, "timestamps": {"true"}}
	if l.process.Replaced {
		if l.begun {
			return nil // nothing is added to it
		}
		q.Set("previous", "true")
	}
	if l.since != "" {
		q.Set("sinceTime", l.since)
	} else if l.tail >= 0 {
		q.Set("tailLines", strconv.Itoa(l.tail))
	}
	l.skip, l.begun = l.same, true
	body, err := l.d.log(l.ctx, l.run, l.process.Place, q)
	l.body = body
	return err
}

// Close ends the reading.
func (l *containerLog) Close() error {
	if l.body == nil {
		return nil
	}
	return l.body.Close()
}

// log asks for the log of a pod. nil without an error: it does not exist.
func (d *Driver) log(ctx context.Context, run, place string, q url.Values) (io.ReadCloser, error) {
	host, _, err := rest.DefaultServerUrlFor(d.config)
	if err != nil {
		return nil, err
	}
	address := host.JoinPath("api", "v1", "namespaces", d.o.Namespace, "pods", prefixOf(run)+"flink-"+place, "log")
	address.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest { // no such pod; its container has not started
		return nil, nil
	}
	var said struct{ Message string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = strings.TrimSpace(string(text))
	}
	return nil, fmt.Errorf("the log of %s: %s: %s", place, resp.Status, said.Message)
}

// keep keeps how the processes of a run ended, or are, and the end of their logs. It is done once, before the run is deleted; what a node does not
// answer in time is left out. done false without an error: another call does it.
func (d *Driver) keep(ctx context.Context, run string) (done bool, err error) {
	if kept, err := d.kept(ctx, run); err != nil || kept {
		return kept, err
	}
	if _, busy := d.keeping.LoadOrStore(run, true); busy {
		return false, nil
	}
	defer d.keeping.Delete(run)
	ctx = context.WithoutCancel(ctx) // the next call would have to begin again; the keeper has a time of its own
	answering, cancel := context.WithTimeout(ctx, keptTime)
	defer cancel()
	status, err := d.Observe(answering, run)
	if err != nil {
		return false, err
	}
	status.REST = nil
	status.Processes = slices.DeleteFunc(status.Processes, func(p cluster.Process) bool { return p.Waits != "" }) // they never were
	most := min(keptBytes, keptTotal/max(len(status.Processes), 1))
	for i := range status.Processes {
		p := &status.Processes[i]
		q := url.Values{"container": {containerName}, "tailLines": {strconv.Itoa(keptLines)}} // with a limit of bytes, the newest lines would be missing
		if p.Replaced {
			q.Set("previous", "true")
		}
		body, err := d.log(answering, run, p.Place, q)
		if body != nil {
			var log []byte
			if log, err = endOf(body, most); len(log) > 0 {
				if err := d.o.Keeper.KeepLog(ctx, run, p.Name, log); err != nil {
					body.Close()
					return false, err
				}
			}
			body.Close()
		}
		if err != nil {
			d.o.Log.Warn("not the whole end of a log is kept", "run", run, "process", p.Name, "error", err)
		}
		if p.Alive { // it is about to be deleted
			p.Alive, p.Ended, p.Code = false, time.Now(), cluster.Unknown
		}
	}
	err = d.o.Keeper.KeepStatus(ctx, run, status)
	return err == nil, err
}

// endOf is the end of what r gives, at most a number of bytes, from the beginning of a line. With an error it is what came before it.
func endOf(r io.Reader, most int) ([]byte, error) {
	var b []byte
	cut := false
	for part := make([]byte, 32<<10); ; {
		n, err := r.Read(part)
		b = append(b, part[:n]...)
		if len(b) > 2*most || err != nil && len(b) > most {
			b, cut = append(b[:0], b[len(b)-most:]...), true
		}
		if err == nil {
			continue
		}
		if first := bytes.IndexByte(b, '\n'); cut && first >= 0 {
			b = b[first+1:]
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return b, err
	}
}

// kept reports whether the run was deleted, and what is left of it is kept.
func (d *Driver) kept(ctx context.Context, run string) (bool, error) {
	_, err := d.o.Keeper.Status(ctx, run)
	if errors.Is(err, cluster.ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}
