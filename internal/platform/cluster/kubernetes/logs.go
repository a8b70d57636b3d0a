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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/platform/cluster"
)

// What is kept of a cluster that was deleted: how its processes ended, and the end of each log. Kubernetes forgets the logs with the pods.
const (
	keptFile  = "status.json"
	keptLines = 10_000
	keptBytes = 8 << 20
	keptTime  = 20 * time.Second
)

// Logs is as cluster.Driver says. A container's log is read from its node; the log of a deleted cluster from where it is kept.
func (d *Driver) Logs(ctx context.Context, run, process string, tail int) (io.ReadCloser, error) {
	if process != filepath.Base(process) || strings.HasPrefix(process, ".") {
		return nil, cluster.ErrUnknown
	}
	if d.kept(run) {
		b, err := os.ReadFile(filepath.Join(d.dir(run), process+".log"))
		if errors.Is(err, os.ErrNotExist) {
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

// keepLogs writes down how the processes of a run ended, or are, and the end of their logs. It is done once, before the run is deleted; what a node
// does not answer in time is left out.
func (d *Driver) keepLogs(ctx context.Context, run string) error {
	if d.o.Dir == "" || d.kept(run) {
		return nil
	}
	if _, busy := d.keeping.LoadOrStore(run, true); busy {
		return nil
	}
	defer d.keeping.Delete(run)
	ctx, cancel := context.WithTimeout(ctx, keptTime)
	defer cancel()
	status, err := d.Observe(ctx, run)
	if err != nil {
		return err
	}
	dir := d.dir(run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	status.Processes = slices.DeleteFunc(status.Processes, func(p cluster.Process) bool { return p.Waits != "" }) // they never were
	var errs []error
	for i := range status.Processes {
		p := &status.Processes[i]
		q := url.Values{"container": {containerName}, "tailLines": {strconv.Itoa(keptLines)}, "limitBytes": {strconv.Itoa(keptBytes)}}
		if p.Replaced {
			q.Set("previous", "true")
		}
		body, err := d.log(ctx, run, p.Place, q)
		if err == nil && body != nil {
			var b []byte
			b, err = io.ReadAll(io.LimitReader(body, keptBytes))
			body.Close()
			if _, e := atomicfile.Write(filepath.Join(dir, p.Name+".log"), b, 0o600, atomicfile.Lasting); e != nil {
				err = errors.Join(err, e)
			}
		}
		errs = append(errs, err)
		if p.Alive { // it is about to be deleted
			p.Alive, p.Ended, p.Code = false, time.Now(), cluster.Unknown
		}
	}
	status.REST = nil
	b, err := json.Marshal(status)
	if err != nil {
		return err
	}
	_, err = atomicfile.Write(filepath.Join(dir, keptFile), b, 0o600, atomicfile.Lasting)
	return errors.Join(append(errs, err)...)
}

// keptStatus is what was kept of a deleted run.
func (d *Driver) keptStatus(run string) (cluster.Status, error) {
	var s cluster.Status
	b, err := os.ReadFile(filepath.Join(d.dir(run), keptFile))
	if errors.Is(err, os.ErrNotExist) || d.o.Dir == "" {
		return s, cluster.ErrUnknown
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}
