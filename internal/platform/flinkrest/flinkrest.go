// Package flinkrest is a client of Flink's REST API for what the platform asks: how jobs are, why they failed, their checkpoints, stop,
// cancel, logs. It knows Flink 1.15 to 2.3; where they differ, the answers of both are read (org.apache.flink.runtime.rest.messages).
//
// Nothing here decides what an answer means for a run. But what is not an answer of a leading JobManager (a web page, 5xx, an election
// that is not over) is always an error, never an empty answer.
package flinkrest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/platform/jobstate"
)

// Limits of one request.
const (
	Timeout     = 5 * time.Second
	RunTimeout  = time.Minute // of RunJar: the main method runs before the answer
	maxBody     = 16 << 20
	perHost     = 2
	maxLogBytes = 64 << 20
)

// A Client asks clusters. Its zero value is not usable; see New.
type Client struct {
	http *http.Client
	slow *http.Client // for answers that may take longer than Timeout
	mu   sync.Mutex
	host map[string]chan struct{} // at most perHost requests at a time

	uploading sync.Map // by base, a *sync.Mutex
}

// New makes a client. transport nil is one of its own, with connections that are kept.
func New(transport http.RoundTripper) *Client {
	if transport == nil {
		return Dialing(nil)
	}
	return newClient(transport, transport)
}

// Dialing makes a client that makes its connections by dial; nil: as usual.
func Dialing(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	t := &http.Transport{MaxIdleConnsPerHost: perHost, MaxIdleConns: 2000, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: Timeout, DialContext: dial, TLSHandshakeTimeout: Timeout}
	slow := t.Clone()
	slow.ResponseHeaderTimeout = RunTimeout
	return newClient(t, slow)
}

func newClient(transport, slow http.RoundTripper) *Client {
	client := func(t http.RoundTripper) *http.Client {
		return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{http: client(transport), slow: client(slow), host: map[string]chan struct{}{}}
}

// An Error is an answer that is not what was asked for.
type Error struct {
	Status int    // of HTTP
	Text   string // what the JobManager said, its first line
	Cause  string // the innermost cause of the stack that it sent; empty: none
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Text) }

// IsNotFound reports whether the JobManager said that it does not know what was asked about. Whoever answered may not be a JobManager.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

func (c *Client) slot(ctx context.Context, base string) (func(), error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	slots := c.host[u.Host]
	if slots == nil {
		if len(c.host) > 50000 { // hosts of runs that ended long ago
			c.host = map[string]chan struct{}{}
		}
		slots = make(chan struct{}, perHost)
		c.host[u.Host] = slots
	}
	c.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// do sends a request and reads its whole JSON answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, method, base, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	done, err := c.slot(ctx, base)
	if err != nil {
		return err
	}
	defer done()
	return c.send(ctx, c.http, method, base, path, in, out)
}

func (c *Client) send(ctx context.Context, by *http.Client, method, base, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := by.Do(req)
	if err != nil {
		return plain(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return plain(err)
	case len(content) > maxBody:
		return fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp.StatusCode, kind, content)
	}
	if out == nil {
		return nil
	}
	if kind != "application/json" {
		return fmt.Errorf("the answer is %s, not JSON: not a JobManager", orNothing(kind))
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("the answer is not what a JobManager says: %w", err)
	}
	return nil
}

func orNothing(kind string) string {
	if kind == "" {
		return "without a type"
	}
	return kind
}

// plain removes the URL from an error of net/http: a run's page shows it, and the address is there already.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return errors.New("timeout")
		}
		return u.Err
	}
	return err
}

// refusal is the error of an answer that is not 2xx.
func refusal(status int, kind string, content []byte) *Error {
	e := &Error{Status: status, Text: reason(kind, content)}
	var said struct{ Errors []string }
	if kind == "application/json" && json.Unmarshal(content, &said) == nil {
		for _, stack := range said.Errors {
			if strings.Contains(stack, "Caused by: ") {
				e.Cause = Cause(stack)
			}
		}
	}
	return e
}

// reason is the first line of an error of Flink's ({"errors": ["…"]}), or of anything else.
func reason(kind string, content []byte) string {
	var e struct{ Errors []string }
	if kind == "application/json" && json.Unmarshal(content, &e) == nil {
		for _, text := range e.Errors {
			// The first entry is often "Internal server error.", followed by a stack between marks.
			if text = firstLine(strings.TrimPrefix(text, "<Exception on server side:\n")); text != "" && text != "Internal server error." {
				return text
			}
		}
		if len(e.Errors) > 0 {
			return e.Errors[0]
		}
	}
	if kind == "text/html" {
		return "a web page"
	}
	return firstLine(string(content))
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// A Job is one line of /jobs/overview.
type Job struct {
	ID       string          `json:"jid"`
	Name     string          `json:"name"`
	State    jobstate.Status `json:"state"`
	Start    int64           `json:"start-time"` // ms, by the JobManager's clock
	End      int64           `json:"end-time"`   // -1: it has not ended
	Duration int64           `json:"duration"`   // ms
	Tasks    struct {
		Total, Created, Scheduled, Deploying, Running, Finished, Canceling, Canceled, Failed, Reconciling, Initializing int
	} `json:"tasks"`
}

// Jobs asks for all jobs of a cluster, in one request.
func (c *Client) Jobs(ctx context.Context, base string) ([]Job, error) {
	var o struct{ Jobs *[]Job }
	if err := c.do(ctx, http.MethodGet, base, "/jobs/overview", nil, &o); err != nil {
		return nil, err
	}
	if o.Jobs == nil {
		return nil, errors.New("the answer has no list of jobs: not a JobManager")
	}
	for _, j := range *o.Jobs {
		if len(j.ID) != 32 {
			return nil, fmt.Errorf("the answer has a job with the id %.40q: not a JobManager", j.ID)
		}
	}
	return *o.Jobs, nil
}

// Seen is a job as the rule of states wants it.
func (j Job) Seen() jobstate.Seen {
	return jobstate.Seen{ID: j.ID, Status: j.State, Tasks: jobstate.Tasks{Total: j.Tasks.Total, Running: j.Tasks.Running, Finished: j.Tasks.Finished, Created: j.Tasks.Created, Scheduled: j.Tasks.Scheduled}}
}

// An Overview is a cluster's.
type Overview struct {
	TaskManagers   int    `json:"taskmanagers"`
	SlotsTotal     int    `json:"slots-total"`
	SlotsAvailable int    `json:"slots-available"`
	Version        string `json:"flink-version"`
}

// Overview asks for a cluster's.
func (c *Client) Overview(ctx context.Context, base string) (Overview, error) {
	var o Overview
	err := c.do(ctx, http.MethodGet, base, "/overview", nil, &o)
	if err == nil && o.Version == "" {
		err = errors.New("the answer has no version of Flink: not a JobManager")
	}
	return o, err
}

// Slots asks how many slots a job needs and its cluster has. Tasks of one slot sharing group share slots, so a group needs as many as its widest vertex.
// Before 1.20 the answer does not name groups: then all vertices are taken as one, which they are unless the program says otherwise.
func (c *Client) Slots(ctx context.Context, base, job string) (jobstate.Slots, error) {
	var j struct {
		Type string `json:"job-type"` // from 1.20 on
		Plan struct{ Type string }
		All  *[]struct {
			Group       string `json:"slotSharingGroupId"`
			Parallelism int
		} `json:"vertices"`
	}
	if err := c.do(ctx, http.MethodGet, base, "/jobs/"+url.PathEscape(job), nil, &j); err != nil {
		return jobstate.Slots{}, err
	}
	if j.All == nil {
		return jobstate.Slots{}, errors.New("the answer has no vertices of a job: not a JobManager")
	}
	o, err := c.Overview(ctx, base)
	if err != nil {
		return jobstate.Slots{}, err
	}
	kind := cmp.Or(j.Type, j.Plan.Type)
	s := jobstate.Slots{Streaming: kind == "STREAMING", TaskManagers: o.TaskManagers, Total: o.SlotsTotal, Free: o.SlotsAvailable}
	if kind == "BATCH" { // its tasks take their slots one after another
		return s, nil
	}
	widest := map[string]int{}
	for _, v := range *j.All {
		widest[v.Group] = max(widest[v.Group], v.Parallelism)
	}
	for _, n := range widest {
		s.Needed += n
	}
	return s, nil
}

// An Exception is one failure of a job, the cause before its wrappers.
type Exception struct {
	At   time.Time
	Name string // the class
	Text string // the stack
	Task string
}

// Exceptions are a job's failures, newest first. /jobs/:id/exceptions has exceptionHistory in all versions, root-exception up to 1.20.
func (c *Client) Exceptions(ctx context.Context, base, job string) ([]Exception, error) {
	var o exceptionHistory
	if err := c.do(ctx, http.MethodGet, base, "/jobs/"+url.PathEscape(job)+"/exceptions", nil, &o); err != nil {
		return nil, err
	}
	return o.list(), nil
}

type exceptionHistory struct {
	Root    string `json:"root-exception"`
	History struct {
		Entries []struct {
			exceptionEntry
			Concurrent []exceptionEntry `json:"concurrentExceptions"`
		}
	} `json:"exceptionHistory"`
}

type exceptionEntry struct {
	Name  string `json:"exceptionName"`
	Stack string `json:"stacktrace"`
	At    int64  `json:"timestamp"`
	Task  string `json:"taskName"`
}

func (o exceptionHistory) list() []Exception {
	var all []Exception
	for _, e := range o.History.Entries {
		// The failure of the job has no task; the failure of the task that is its cause is beside it.
		for _, c := range e.Concurrent {
			if e.Task == "" && Cause(c.Stack) == Cause(e.Stack) {
				e.Task = c.Task
			}
		}
		all = append(all, Exception{At: time.UnixMilli(e.At).UTC(), Name: e.Name, Text: e.Stack, Task: e.Task})
	}
	if len(all) == 0 && o.Root != "" {
		all = append(all, Exception{Text: o.Root})
	}
	return all
}

// ExceptionsOf reads an archived answer of /jobs/:id/exceptions.
func ExceptionsOf(archived []byte) ([]Exception, error) {
	var o exceptionHistory
	err := json.Unmarshal(archived, &o)
	return o.list(), err
}

// Cause is the innermost exception of a stack, which is what failed: outer ones say only where ("Recovery is suppressed by
// NoRestartBackoffTimeStrategy"). A text that is not a stack gives its first line.
func Cause(stack string) string {
	all := javatext.Trace(stack)
	if len(all) == 0 {
		return ""
	}
	return firstLine(all[len(all)-1].Head())
}

// Checkpoints are a job's, as /jobs/:id/checkpoints says.
type Checkpoints struct {
	Counts struct {
		Restored, Total int
		InProgress      int `json:"in_progress"`
		Completed       int
		Failed          int
	}
	Latest struct {
		Completed *Checkpoint
		Savepoint *Checkpoint
		Failed    *Checkpoint
		Restored  *struct {
			ID   int64
			Path string `json:"external_path"`
		}
	}
	History []Checkpoint
}

// A Checkpoint is one of them.
type Checkpoint struct {
	ID          int64
	Status      string
	IsSavepoint bool   `json:"is_savepoint"`
	Path        string `json:"external_path"`
	Trigger     int64  `json:"trigger_timestamp"`    // ms, by the JobManager's clock
	Ack         int64  `json:"latest_ack_timestamp"` // ms
	StateSize   int64  `json:"state_size"`           // bytes
	Duration    int64  `json:"end_to_end_duration"`  // ms
	Failure     string `json:"failure_message"`
	Type        string `json:"checkpoint_type"`
	Discarded   bool   // Flink has removed it
}

// Checkpoints asks for a job's.
func (c *Client) Checkpoints(ctx context.Context, base, job string) (Checkpoints, error) {
	var o Checkpoints
	return o, c.do(ctx, http.MethodGet, base, "/jobs/"+url.PathEscape(job)+"/checkpoints", nil, &o)
}

// Restarts asks how often Flink has restarted a job since its JobManager has it.
func (c *Client) Restarts(ctx context.Context, base, job string) (int, error) {
	var o []struct{ ID, Value string }
	if err := c.do(ctx, http.MethodGet, base, "/jobs/"+url.PathEscape(job)+"/metrics?get=numRestarts", nil, &o); err != nil {
		return 0, err
	}
	for _, m := range o {
		if m.ID == "numRestarts" {
			return strconv.Atoi(m.Value)
		}
	}
	return 0, nil // it is not there before the job runs
}

// CheckpointsOf reads an archived answer of /jobs/:id/checkpoints.
func CheckpointsOf(archived []byte) (Checkpoints, error) {
	var o Checkpoints
	return o, json.Unmarshal(archived, &o)
}

// SavepointIn is the newest completed savepoint below a directory, or "".
func (c Checkpoints) SavepointIn(dir string) string {
	all := c.History
	if s := c.Latest.Savepoint; s != nil {
		all = append([]Checkpoint{*s}, all...)
	}
	for _, p := range all {
		if p.IsSavepoint && p.Status == "COMPLETED" && strings.HasPrefix(samePath(p.Path), strings.TrimSuffix(samePath(dir), "/")+"/") {
			return p.Path
		}
	}
	return ""
}

// samePath makes file:/x, file:///x and /x one text.
func samePath(p string) string {
	p = strings.TrimPrefix(p, "file:")
	for strings.HasPrefix(p, "//") {
		p = p[1:]
	}
	return p
}

// Cancel asks for a job's cancellation.
func (c *Client) Cancel(ctx context.Context, base, job string) error {
	return c.do(ctx, http.MethodPatch, base, "/jobs/"+url.PathEscape(job)+"?mode=cancel", nil, nil)
}

// Stop asks for a stop with savepoint. trigger is the id that the request is known by; asking again with the same id is asking once
// (the field triggerId is known from 1.15 on).
func (c *Client) Stop(ctx context.Context, base, job, trigger, dir string, drain bool) error {
	in := map[string]any{"drain": drain, "targetDirectory": dir, "triggerId": trigger}
	return c.do(ctx, http.MethodPost, base, "/jobs/"+url.PathEscape(job)+"/stop", in, nil)
}

// Savepoint asks how a savepoint request is. ErrNotFound by IsNotFound: the JobManager does not know the trigger (it restarted).
func (c *Client) Savepoint(ctx context.Context, base, job, trigger string) (jobstate.SavepointSeen, error) {
	var o struct {
		Status struct{ ID string }
		Op     struct {
			Location string
			Failure  struct {
				Class string
				Stack string `json:"stack-trace"`
			} `json:"failure-cause"`
		} `json:"operation"`
	}
	if err := c.do(ctx, http.MethodGet, base, "/jobs/"+url.PathEscape(job)+"/savepoints/"+url.PathEscape(trigger), nil, &o); err != nil {
		return jobstate.SavepointSeen{}, err
	}
	switch {
	case o.Status.ID == "IN_PROGRESS":
		return jobstate.SavepointSeen{State: jobstate.SavepointAsked}, nil
	case o.Status.ID == "COMPLETED" && o.Op.Location != "":
		return jobstate.SavepointSeen{State: jobstate.SavepointCompleted, Path: o.Op.Location}, nil
	case o.Status.ID == "COMPLETED":
		return jobstate.SavepointSeen{State: jobstate.SavepointFailed, Cause: Cause(o.Op.Failure.Stack)}, nil
	}
	return jobstate.SavepointSeen{}, fmt.Errorf("unknown status %q of a savepoint", o.Status.ID)
}

// Applications asks for the end of the cluster's application (Flink 2.3). failed is its cause where it failed before its jobs said so.
func (c *Client) Applications(ctx context.Context, base string) (failed string, err error) {
	var o struct {
		Applications []struct{ ID, Status string }
	}
	if err := c.do(ctx, http.MethodGet, base, "/applications/overview", nil, &o); err != nil {
		return "", err
	}
	for _, a := range o.Applications {
		if a.Status != "FAILED" {
			continue
		}
		var e exceptionHistory
		if err := c.do(ctx, http.MethodGet, base, "/applications/"+url.PathEscape(a.ID)+"/exceptions", nil, &e); err != nil {
			return "", err
		}
		for _, x := range e.list() {
			return Cause(x.Text), nil
		}
		return "the application failed", nil
	}
	return "", nil
}

// UploadJar sends a jar and returns the id that RunJar wants.
func (c *Client) UploadJar(ctx context.Context, base, name string, jar Jar) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	content, size, err := jar()
	if err != nil {
		return "", err
	}
	defer content.Close()
	body, kind, length := multipartJar(name, content, size)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/jars/upload", body)
	if err != nil {
		return "", err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", kind)
	resp, err := c.slow.Do(req)
	if err != nil {
		return "", plain(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return "", plain(err)
	}
	if resp.StatusCode != http.StatusOK {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		return "", refusal(resp.StatusCode, kind, answer)
	}
	var o struct{ Filename string }
	if err := json.Unmarshal(answer, &o); err != nil || o.Filename == "" {
		return "", fmt.Errorf("the answer to the upload is not what a JobManager says: %.100s", answer)
	}
	return o.Filename[strings.LastIndexByte(o.Filename, '/')+1:], nil
}

// RunJar starts a job from an uploaded jar under a job id. The JobManager runs the main method before it answers, so this waits longer than
// other requests, and takes none of their turns.
func (c *Client) RunJar(ctx context.Context, base, jar, jobID, class string, args []string, savepoint string, allowLost bool, configuration map[string]string) error {
	in := map[string]any{"programArgsList": args, "jobId": jobID}
	if class != "" { // else the jar's manifest names it
		in["entryClass"] = class
	}
	if savepoint != "" {
		in["savepointPath"], in["allowNonRestoredState"] = savepoint, allowLost
	}
	if len(configuration) > 0 {
		in["flinkConfiguration"] = configuration
	}
	ctx, cancel := context.WithTimeout(ctx, RunTimeout)
	defer cancel()
	return c.send(ctx, c.slow, http.MethodPost, base, "/jars/"+url.PathEscape(jar)+"/run", in, nil)
}

// Log opens the log of the JobManager, or of a TaskManager. Flink answers the whole file, so at most 64 MiB are read. The caller closes it.
func (c *Client) Log(ctx context.Context, base, taskManager string) (io.ReadCloser, error) {
	path := "/jobmanager/log"
	if taskManager != "" {
		path = "/taskmanagers/" + url.PathEscape(taskManager) + "/log"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		content, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		return nil, refusal(resp.StatusCode, kind, content)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxLogBytes), resp.Body}, nil
}
