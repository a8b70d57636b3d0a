package warmup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/phase"
)

// process is a trainee that was started.
type process struct {
	*trainee
	cmd  *exec.Cmd
	done chan struct{}
}

// train does one run: start, wait until enough is loaded, stop, keep the archives. Whatever happens, nothing is left running.
func (w Warmup) train(ctx context.Context, r training) error {
	began := time.Now()
	all, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	w.Children()
	runtime.LockOSThread() // the death of the thread that started a child counts as ours
	defer runtime.UnlockOSThread()
	var started []process
	defer func() {
		for _, p := range started {
			_ = p.cmd.Process.Kill() // of one that has ended, nothing
			<-p.done
		}
	}()
	failed := func(err error, of *trainee) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if all.Err() != nil {
			err = fmt.Errorf("not done after %s: %w", w.Timeout, err)
		}
		text, _ := os.ReadFile(of.log)
		return &phase.Error{Phase: phase.Distribution, Err: fmt.Errorf("the training run of %s failed: %w", of.name, err), Hint: "the last line of its output: " + w.World.Redactor.Redact(lastLine(string(text)))}
	}
	for _, t := range r.trainees {
		p, err := t.start()
		if err != nil {
			return failed(err, t)
		}
		started = append(started, p)
	}
	first := started[0]
	if r.ready != "" {
		if err := r.loaded(all, first); err != nil {
			return failed(err, first.trainee)
		}
		for _, p := range started {
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range started {
		select {
		case <-p.done:
		case <-all.Done():
			return failed(errors.New("it does not end"), p.trainee)
		}
		if r.ready == "" && !p.cmd.ProcessState.Success() {
			return failed(errors.New(p.cmd.ProcessState.String()), p.trainee)
		}
	}
	for _, t := range r.trainees {
		if t.archive == "" {
			continue
		}
		made, err := t.keep()
		if err != nil {
			return err
		}
		made.Took = time.Since(began)
		w.Made(made)
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (t *trainee) start() (process, error) {
	log, err := os.Create(t.log)
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	cmd := exec.Command(t.path)
	cmd.Args, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = t.argv, t.env, log, log, filepath.Dir(t.log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.E2BIG) {
			err = launch.TooLong(cmd.Args, cmd.Env)
		}
		return process{}, err
	}
	child := process{t, cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(child.done)
	}()
	return child, nil
}

// checkpointTime is how long a training run waits for a checkpoint.
const checkpointTime = 10 * time.Second

func (p process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// loaded waits until the processes of a run have loaded what it is for.
func (r training) loaded(ctx context.Context, first process) error {
	api := restAPI{first: first, base: r.ready}
	if !r.job {
		return api.until(ctx, "its port does not answer", func() bool { return api.get(ctx, "", nil) == nil })
	}
	if err := api.until(ctx, "the REST API does not answer", func() bool { return api.get(ctx, "/overview", nil) == nil }); err != nil {
		return err
	}
	if r.submit != nil {
		if err := api.submit(ctx, r.submit); err != nil {
			return err
		}
	}
	var jobs struct {
		Jobs []struct {
			JID, State string
			Tasks      map[string]int
		}
	}
	err := api.until(ctx, "the job does not run", func() bool {
		return api.get(ctx, "/jobs/overview", &jobs) == nil && len(jobs.Jobs) > 0 && jobs.Jobs[0].State == "RUNNING" && jobs.Jobs[0].Tasks["running"] == jobs.Jobs[0].Tasks["total"]
	})
	if err != nil {
		return err
	}
	// A checkpoint is worth some seconds, and no failure.
	some, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	var checkpoints struct{ Counts struct{ Completed int } }
	id := "/jobs/" + jobs.Jobs[0].JID
	_ = api.until(some, "", func() bool {
		return api.get(ctx, id+"/checkpoints", &checkpoints) == nil && checkpoints.Counts.Completed > 0
	})
	if first.ended() {
		return errors.New("it ended while the job ran")
	}
	for _, page := range []string{"/", "/config", "/taskmanagers", id, id + "/exceptions", id + "/metrics"} {
		_ = api.get(ctx, page, nil) // what the web interface asks for; its classes are all that is wanted
	}
	return nil
}

// restAPI asks the REST API of a starting process.
type restAPI struct {
	first process
	base  string
	last  error

	submitted error // what the submission answered
}

// until asks again and again until it is so, the process has ended, or the time is over.
func (a *restAPI) until(ctx context.Context, otherwise string, so func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return errors.Join(errors.New(otherwise), a.last, a.submitted)
		case <-a.first.done:
			return fmt.Errorf("%s, it has ended with %s", otherwise, a.first.cmd.ProcessState)
		case <-tick.C:
		}
	}
	return nil
}

func (a *restAPI) get(ctx context.Context, page string, into any) error {
	return a.do(ctx, http.MethodGet, page, "", nil, into)
}

func (a *restAPI) do(ctx context.Context, method, page, contentType string, body io.Reader, into any) (err error) {
	defer func() { a.last = err }()
	req, err := http.NewRequestWithContext(ctx, method, a.base+page, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	if method == http.MethodGet {
		client.Timeout = 20 * time.Second // it is asked again
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 400))
		return fmt.Errorf("%s %s: %s %s", method, page, res.Status, why)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// submit hands a job to a session cluster as its web interface would.
func (a *restAPI) submit(ctx context.Context, job []string) error {
	jar, err := os.ReadFile(job[0])
	if err != nil {
		return err
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("jarfile", filepath.Base(job[0]))
	if err == nil {
		_, err = part.Write(jar)
	}
	if err == nil {
		err = parts.Close()
	}
	if err != nil {
		return err
	}
	var uploaded struct{ Filename string }
	if err := a.do(ctx, http.MethodPost, "/jars/upload", parts.FormDataContentType(), &form, &uploaded); err != nil {
		return err
	}
	run, err := json.Marshal(map[string]any{"entryClass": job[1], "programArgsList": job[2:]})
	if err != nil {
		return err
	}
	// The runner waits for its job, which a program that is started this way may not: an error follows on the job that it has submitted.
	// Whether there is one is seen by whether it runs.
	a.submitted = a.do(ctx, http.MethodPost, "/jars/"+path.Base(uploaded.Filename)+"/run", "application/json", bytes.NewReader(run), nil)
	return nil
}
