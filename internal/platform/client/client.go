// Package client calls the platform's API.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// A Client calls one server.
type Client struct {
	Base  string // URL of the server
	Token string // empty: none
	HTTP  *http.Client
	// Away, if not nil, hears once of each time in which Follow waits for a server that does not answer.
	Away func(*Unreachable)
}

// A Problem is an answer that is an error.
type Problem struct{ wire.Problem }

// Error is what went wrong, with the places of faults in a text, one a line.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" || len(p.Faults) > 0 {
		text = strings.TrimSuffix(p.Title+": "+p.Detail, ": ")
	}
	for _, f := range p.Faults {
		text += "\n  "
		if f.Line > 0 {
			text += fmt.Sprintf("%d:%d: ", f.Line, max(f.Column, 1))
		}
		text += f.Message
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
	}
	return text
}

// Unreachable: no answer came.
type Unreachable struct{ Err error }

func (u *Unreachable) Error() string { return "the server cannot be reached: " + u.Err.Error() }

// Unwrap returns the cause.
func (u *Unreachable) Unwrap() error { return u.Err }

// Send sends a request and returns the answer if it is not an error. The caller closes it.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Base, "/")+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, &Unreachable{err}
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	content, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &Problem{}
	if json.Unmarshal(content, &p.Problem) != nil || p.Title == "" {
		p.Problem = wire.Problem{Title: resp.Status, Status: resp.StatusCode, Detail: "the answer is not of flink-platform; is the URL right?"}
	}
	return nil, p
}

// Do sends JSON and reads JSON. in or out nil: none.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.Send(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func job(name string) string { return "/v1/jobs/" + url.PathEscape(name) }

// pageSize is how many entries of a list are asked for at a time.
const pageSize = 500

// pages lists the entries of a path, page after page, at most so many (0: all). list is their name in the answer, and key what the next page
// begins after.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values, list string, most int, key func(T) string) ([]T, error) {
	all := []T{}
	for {
		size := pageSize
		if most > 0 {
			size = min(size, most-len(all))
		}
		q.Set("limit", strconv.Itoa(size))
		var out map[string][]T
		if err := c.Do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &out); err != nil {
			return all, err
		}
		page := out[list]
		all = append(all, page...)
		if len(page) < size || len(all) == most {
			return all, nil
		}
		after := key(page[len(page)-1])
		if after == q.Get("after") {
			return all, fmt.Errorf("GET %s: the page after %s ends with it: the answer is not of flink-platform", path, after)
		}
		q.Set("after", after)
	}
}

// Jobs lists all jobs, or the jobs of a queue.
func (c *Client) Jobs(ctx context.Context, queue string) ([]wire.Job, error) {
	return pages(ctx, c, "/v1/jobs", url.Values{"queue": {queue}}, "jobs", 0, func(j wire.Job) string { return j.Name })
}

// Catalogs lists all catalogs.
func (c *Client) Catalogs(ctx context.Context) ([]wire.Catalog, error) {
	return pages(ctx, c, "/v1/catalogs", url.Values{}, "catalogs", 0, func(x wire.Catalog) string { return x.Name })
}

// PutCatalog stores a CREATE CATALOG statement. revision is the one that the user has seen: 0 where it must not exist yet, -1 where it does
// not matter.
func (c *Client) PutCatalog(ctx context.Context, name, statement string, revision int) (wire.Catalog, error) {
	var out wire.Catalog
	body, err := json.Marshal(map[string]string{"statement": statement})
	if err != nil {
		return out, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if revision == 0 {
		header.Set("If-None-Match", "*")
	} else if revision > 0 {
		header.Set("If-Match", fmt.Sprintf(`"r%d"`, revision))
	}
	resp, err := c.Send(ctx, http.MethodPut, "/v1/catalogs/"+url.PathEscape(name), header, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// Code makes a code that signs a browser in as the caller, once.
func (c *Client) Code(ctx context.Context) (wire.Code, error) {
	var out wire.Code
	err := c.Do(ctx, http.MethodPost, "/v1/codes", nil, &out)
	return out, err
}

// Artifacts lists all artifacts.
func (c *Client) Artifacts(ctx context.Context) ([]wire.Artifact, error) {
	return pages(ctx, c, "/v1/artifacts", url.Values{}, "artifacts", 0, func(x wire.Artifact) string { return x.Name })
}

// Tokens lists all tokens of the team.
func (c *Client) Tokens(ctx context.Context) ([]wire.Token, error) {
	return pages(ctx, c, "/v1/tokens", url.Values{}, "tokens", 0, func(x wire.Token) string { return x.Name })
}

// Job is one job with its newest run.
func (c *Client) Job(ctx context.Context, name string) (wire.Job, error) {
	var out wire.Job
	err := c.Do(ctx, http.MethodGet, job(name), nil, &out)
	return out, err
}

// Clusters lists the session clusters.
func (c *Client) Clusters(ctx context.Context) ([]wire.Job, error) {
	return pages(ctx, c, "/v1/clusters", url.Values{}, "clusters", 0, func(j wire.Job) string { return j.Name })
}

// Put makes a version of a definition. script: it is a SQL script alone.
func (c *Client) Put(ctx context.Context, name string, definition []byte, script bool, comment string) (wire.Version, error) {
	return c.put(ctx, job(name), kindOf(script), definition, comment, nil)
}

// Make is Put for a job that must not exist yet.
func (c *Client) Make(ctx context.Context, name string, definition []byte, script bool, comment string) (wire.Version, error) {
	return c.put(ctx, job(name), kindOf(script), definition, comment, http.Header{"If-None-Match": {"*"}})
}

// kindOf is the content type of a definition, or of a script alone.
func kindOf(script bool) string {
	if script {
		return "application/sql"
	}
	return "application/yaml" // JSON is YAML, too
}

// PutCluster makes a version of the definition of a session cluster.
func (c *Client) PutCluster(ctx context.Context, name string, definition []byte, comment string) (wire.Version, error) {
	return c.put(ctx, "/v1/clusters/"+url.PathEscape(name), kindOf(false), definition, comment, nil)
}

func (c *Client) put(ctx context.Context, path, kind string, definition []byte, comment string, more http.Header) (wire.Version, error) {
	var out wire.Version
	header := http.Header{"Content-Type": {kind}}
	maps.Copy(header, more)
	resp, err := c.Send(ctx, http.MethodPut, path+"?comment="+url.QueryEscape(comment), header, bytes.NewReader(definition))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// Versions lists a job's versions, newest first, at most so many (0: all).
func (c *Client) Versions(ctx context.Context, name string, most int) ([]wire.Version, error) {
	return pages(ctx, c, job(name)+"/versions", url.Values{}, "versions", most, func(v wire.Version) string { return strconv.Itoa(v.Number) })
}

// Version is one version with what the user sent.
func (c *Client) Version(ctx context.Context, name string, n int) (wire.Version, error) {
	var out wire.Version
	err := c.Do(ctx, http.MethodGet, job(name)+"/versions/"+strconv.Itoa(n)+"?view=info", nil, &out)
	return out, err
}

// Document is what pods get of a version.
func (c *Client) Document(ctx context.Context, name string, n int) ([]byte, error) {
	resp, err := c.Send(ctx, http.MethodGet, job(name)+"/versions/"+strconv.Itoa(n), nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Start starts a job.
func (c *Client) Start(ctx context.Context, name string, in wire.Start) (wire.Run, error) {
	var out wire.Run
	err := c.Do(ctx, http.MethodPost, job(name)+"/start", in, &out)
	return out, err
}

// Upgrade stops a job with a savepoint and starts another version from it. The answer is the run that is stopped.
func (c *Client) Upgrade(ctx context.Context, name string, in wire.UpgradeJob) (wire.Run, error) {
	var out wire.Run
	err := c.Do(ctx, http.MethodPost, job(name)+"/upgrade", in, &out)
	return out, err
}

// Stop stops a job.
func (c *Client) Stop(ctx context.Context, name, mode string) (wire.Run, error) {
	var out wire.Run
	err := c.Do(ctx, http.MethodPost, job(name)+"/stop", wire.Stop{Mode: mode}, &out)
	return out, err
}

// Run is one run; empty id: the job's newest.
func (c *Client) Run(ctx context.Context, name, id string) (wire.Run, error) {
	var out wire.Run
	err := c.Do(ctx, http.MethodGet, job(name)+"/runs/"+url.PathEscape(id), nil, &out)
	return out, err
}

// Runs lists a job's runs, newest first, at most so many (0: all).
func (c *Client) Runs(ctx context.Context, name string, most int) ([]wire.Run, error) {
	return pages(ctx, c, job(name)+"/runs", url.Values{}, "runs", most, func(r wire.Run) string { return r.ID })
}

// Resolve decides about a lost run.
func (c *Client) Resolve(ctx context.Context, name, run string, in wire.Resolve) (wire.Run, error) {
	var out wire.Run
	err := c.Do(ctx, http.MethodPost, job(name)+"/runs/"+url.PathEscape(run)+"/resolve", in, &out)
	return out, err
}

// Events lists the newest events (1,000), oldest first: of a job, or of all where name is empty.
func (c *Client) Events(ctx context.Context, name, run string) ([]wire.Event, error) {
	path := "/v1/events"
	if name != "" {
		path = job(name) + "/events"
	}
	var out struct{ Events []wire.Event }
	err := c.Do(ctx, http.MethodGet, path+"?run="+url.QueryEscape(run), nil, &out)
	return out.Events, err
}

// Follow calls f for each event after an id until f returns false or ctx ends. It comes back after a lost connection.
func (c *Client) Follow(ctx context.Context, name string, after int64, f func(wire.Event) bool) error {
	path := "/v1/events"
	if name != "" {
		path = job(name) + "/events"
	}
	away := false
	for wait := time.Duration(0); ; wait = time.Second {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		header := http.Header{"Accept": {"text/event-stream"}, "Last-Event-ID": {strconv.FormatInt(after, 10)}}
		resp, err := c.Send(ctx, http.MethodGet, path, header, nil)
		if gone, ok := errors.AsType[*Unreachable](err); ok && ctx.Err() == nil {
			if c.Away != nil && !away {
				c.Away(gone)
			}
			away = true
			continue
		}
		if err != nil {
			return err
		}
		away = false
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e wire.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				resp.Body.Close()
				return err
			}
			after = e.ID
			if !f(e) {
				resp.Body.Close()
				return nil
			}
		}
		resp.Body.Close()
	}
}

// Logs copies the lines of a run.
func (c *Client) Logs(ctx context.Context, name, run, process string, tail int, follow bool, f func(source, line string)) error {
	_, err := c.LogLines(ctx, name, LogQuery{Run: run, Process: process, Tail: tail, Follow: follow}, func(source, line string) error {
		f(source, line)
		return nil
	})
	return err
}
