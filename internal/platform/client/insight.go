package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

// Cluster is one session cluster with its newest run and the jobs on it.
func (c *Client) Cluster(ctx context.Context, name string) (wire.Job, error) {
	var out wire.Job
	err := c.Do(ctx, http.MethodGet, "/v1/clusters/"+url.PathEscape(name), nil, &out)
	return out, err
}

// Exceptions are the failures of a run, newest first; empty run: the job's newest.
func (c *Client) Exceptions(ctx context.Context, name, run string) ([]wire.Exception, error) {
	var out struct{ Exceptions []wire.Exception }
	err := c.Do(ctx, http.MethodGet, job(name)+"/exceptions?"+url.Values{"run": {run}}.Encode(), nil, &out)
	return out.Exceptions, err
}

// Checkpoints are the checkpoints of a run, by Flink job; empty run: the job's newest.
func (c *Client) Checkpoints(ctx context.Context, name, run string) (map[string]wire.Checkpoints, error) {
	var out struct{ Jobs map[string]wire.Checkpoints }
	err := c.Do(ctx, http.MethodGet, job(name)+"/checkpoints?"+url.Values{"run": {run}}.Encode(), nil, &out)
	return out.Jobs, err
}

func versionQuery(n int) string {
	if n == 0 {
		return ""
	}
	return "?version=" + strconv.Itoa(n)
}

// Memory tells how the processes of a version divide their memory; 0: of the newest.
func (c *Client) Memory(ctx context.Context, name string, version int) (wire.Memory, error) {
	var out wire.Memory
	err := c.Do(ctx, http.MethodGet, job(name)+"/memory"+versionQuery(version), nil, &out)
	return out, err
}

// JobLineage tells what feeds what in a version; 0: in the newest.
func (c *Client) JobLineage(ctx context.Context, name string, version int) (wire.Lineage, error) {
	var out wire.Lineage
	err := c.Do(ctx, http.MethodGet, job(name)+"/lineage"+versionQuery(version), nil, &out)
	return out, err
}

// A LogQuery says which lines are wanted.
type LogQuery struct {
	Run      string // empty: the newest
	Process  string // empty: all
	Contains string // only lines with this text; empty: all
	Tail     int    // the last lines of each process
	Follow   bool   // go on until the run has ended
}

// LogLines calls f for each line. It returns the names of all processes that have logs.
func (c *Client) LogLines(ctx context.Context, name string, q LogQuery, f func(source, line string) error) (sources []string, err error) {
	values := url.Values{"run": {q.Run}, "process": {q.Process}, "contains": {q.Contains}, "tail": {strconv.Itoa(q.Tail)}, "follow": {strconv.FormatBool(q.Follow)}}
	resp, err := c.Send(ctx, http.MethodGet, job(name)+"/logs?"+values.Encode(), nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if header := resp.Header.Get("Log-Sources"); header != "" {
		sources = strings.Split(header, ", ")
	}
	d := json.NewDecoder(resp.Body)
	for {
		var l struct{ Source, Line string }
		err := d.Decode(&l)
		if errors.Is(err, io.EOF) {
			return sources, nil
		}
		if err == nil {
			err = f(l.Source, l.Line)
		}
		if err != nil {
			return sources, err
		}
	}
}
