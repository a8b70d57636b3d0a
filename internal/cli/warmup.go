package cli

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

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
)

func newWarmupFlags(timeout *time.Duration) *pflag.FlagSet {
	f := pflag.NewFlagSet("warmup", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.DurationVar(timeout, "timeout", 5*time.Minute, "for each training run")
	return f
}

// warmup starts each role once, lets it load what a start and a job need, and keeps the classes in an archive.
func (p *program) warmup(ctx context.Context, words []string) (err error) {
	var timeout time.Duration
	set := newWarmupFlags(&timeout)
	if err := set.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return p.help(ctx, []string{"warmup"})
		}
		return usageError("warmup: %w", err)
	}
	names := set.Args()
	if len(names) == 0 {
		return &boot.Error{Phase: boot.Usage, Err: errors.New("warmup needs something to make an archive for"), Hint: "there are: " + strings.Join(boot.WarmupNames(), ", ")}
	}
	dir, err := os.MkdirTemp("", "flink-entrypoint-warmup-")
	if err != nil {
		return &boot.Error{Phase: boot.Write, Err: fmt.Errorf("cannot create a directory for this run: %w", err), Hint: "name a writable directory with TMPDIR"}
	}
	defer os.RemoveAll(dir)
	w := p.world(nil)
	if w.Log, err = newLogger(p.redactor.Writer(p.Stderr), p.opts.logFormat, "error"); err != nil {
		return err // what is said of the training runs concerns nobody
	}
	runs, err := boot.Warmup(ctx, names, dir, p.opts.Options, w)
	if err != nil {
		return err
	}
	defer func() {
		for _, r := range runs {
			r.Close()
			for _, t := range r.Trainees {
				t.Discard()
			}
		}
	}()
	for _, r := range runs {
		if err := p.train(ctx, r, timeout); err != nil {
			return err
		}
	}
	return nil
}

// trainee is a started process.
type trainee struct {
	*boot.Trainee
	cmd  *exec.Cmd
	done chan struct{}
}

// train does one run: start, wait until enough is loaded, stop, keep the archives. Whatever happens, nothing is left running.
func (p *program) train(ctx context.Context, r boot.Training, timeout time.Duration) error {
	began := time.Now()
	all, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p.signals.children.Store(true)
	runtime.LockOSThread() // the death of the thread that started a child counts as ours
	defer runtime.UnlockOSThread()
	var started []trainee
	defer func() {
		for _, t := range started {
			_ = t.cmd.Process.Kill() // of one that has ended, nothing
			<-t.done
		}
	}()
	failed := func(err error, of *boot.Trainee) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if all.Err() != nil {
			err = fmt.Errorf("not done after %s: %w", timeout, err)
		}
		text, _ := os.ReadFile(of.Log)
		return &boot.Error{Phase: boot.Distribution, Err: fmt.Errorf("the training run of %s failed: %w", of.Name, err), Hint: "its last words were: " + p.redactor.Redact(lastLine(string(text)))}
	}
	for _, t := range r.Trainees {
		child, err := startTrainee(t)
		if err != nil {
			return failed(err, t)
		}
		started = append(started, child)
	}
	first := started[0]
	if r.Ready != "" {
		if err := trained(all, r, first); err != nil {
			return failed(err, first.Trainee)
		}
		for _, t := range started {
			_ = t.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, t := range started {
		select {
		case <-t.done:
		case <-all.Done():
			return failed(errors.New("it does not end"), t.Trainee)
		}
		if r.Ready == "" && !t.cmd.ProcessState.Success() {
			return failed(errors.New(t.cmd.ProcessState.String()), t.Trainee)
		}
	}
	for _, t := range started {
		if !t.Archives() {
			continue
		}
		file, size, err := t.Keep()
		if err != nil {
			return err
		}
		p.log.Info("class archive made", "name", t.Name, "file", file, "megabytes", size/1e6, "took", time.Since(began).Round(100*time.Millisecond))
		fmt.Fprintln(p.Stdout, file)
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func startTrainee(t *boot.Trainee) (trainee, error) {
	log, err := os.Create(t.Log)
	if err != nil {
		return trainee{}, err
	}
	defer log.Close()
	cmd := exec.Command(t.Path)
	cmd.Args, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = t.Argv, t.Env, log, log, filepath.Dir(t.Log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return trainee{}, err
	}
	child := trainee{t, cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(child.done)
	}()
	return child, nil
}

// checkpointTime is how long a training run waits for a checkpoint.
const checkpointTime = 10 * time.Second

func (t trainee) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// trained waits until the processes of a run have loaded what it is for.
func trained(ctx context.Context, r boot.Training, first trainee) error {
	api := restAPI{first: first, base: r.Ready}
	if !r.Job {
		return api.until(ctx, "its port does not answer", func() bool { return api.get(ctx, "", nil) == nil })
	}
	if err := api.until(ctx, "the REST API does not answer", func() bool { return api.get(ctx, "/overview", nil) == nil }); err != nil {
		return err
	}
	if r.Submit != nil {
		if err := api.submit(ctx, r.Submit); err != nil {
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

// restAPI is that of a starting process.
type restAPI struct {
	first trainee
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
