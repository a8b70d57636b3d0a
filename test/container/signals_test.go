//go:build container

package container

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignalsBeforeExec stops containers in every phase of a start that waits for another process, with an init before the entrypoint and as
// PID 1, to which the kernel gives no default action.
func TestSignalsBeforeExec(t *testing.T) {
	w := newWorld(t, newest())
	artifact := []byte(strings.Repeat("half of this comes, the rest never does\n", 1000))
	arrived, gone := make(chan struct{}, 100), make(chan struct{})
	t.Cleanup(func() { close(gone) })
	service := w.service(w.join(), func(rw http.ResponseWriter, r *http.Request) {
		hang := func() {
			arrived <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-gone:
			}
		}
		switch r.URL.Path {
		case "/silent":
			hang()
		case "/down":
			arrived <- struct{}{}
			rw.Header().Set("Retry-After", "60")
			rw.WriteHeader(http.StatusServiceUnavailable)
		case "/definition":
			fmt.Fprintf(rw, "apiVersion: flink-entrypoint/v1\nname: x\nartifacts:\n  - {uri: \"http://%s/artifact.jar\", sha256: %x}\n", r.Host, sha256.Sum256(artifact))
		case "/artifact.jar":
			rw.Header().Set("Content-Length", fmt.Sprint(len(artifact)))
			_, _ = rw.Write(artifact[:len(artifact)/2])
			_ = http.NewResponseController(rw).Flush()
			hang()
		}
	}).up()
	request := func(*started) {
		select {
		case <-arrived:
		case <-time.After(time.Minute):
			t.Error("no request has arrived")
		}
	}
	for _, phase := range []struct {
		name, path string
		ready      func(c *started)
	}{
		{"waiting for the definition service", "/silent", request},
		{"between two attempts", "/down", func(c *started) { request(c); c.says("503") }},
		{"in the middle of an artifact", "/definition", request},
	} {
		eachSignal(w, phase.name, func(w *world, signal string, args []string, want int) {
			args = append(args, w.Slim, "--definition", "http://"+service.address+phase.path, "--memory-limit", "1600m", "jobmanager")
			job := w.start("job", []string{"JOB_MANAGER_RPC_ADDRESS=job"}, args...)
			phase.ready(job)
			code, took := job.stopped(signal)
			if code != want || !strings.Contains(job.logs(), "error: stopped by a signal") {
				w.Errorf("exit code %d, expected %d", code, want)
			}
			w.Logf("%.1f s", took.Seconds())
			if took > 5*time.Second {
				w.Errorf("the end took %s", took)
			}
		})
	}
}

// TestSignalsAfterExec: then they are the JVM's, with the same codes once Flink runs. While it starts it may end with others.
func TestSignalsAfterExec(t *testing.T) {
	eachSignal(newWorld(t, newest()), "a session cluster", func(w *world, signal string, args []string, want int) {
		job := w.start("job", []string{"JOB_MANAGER_RPC_ADDRESS=job"}, append(args, "--memory", "1600m", w.Slim, "jobmanager")...)
		job.healthy("jobmanager")
		code, took := job.stopped(signal)
		if code != want || strings.Contains(job.logs(), "error: ") {
			w.Errorf("exit code %d, expected %d", code, want)
		}
		w.Logf("%.1f s", took.Seconds())
	})
}

// eachSignal runs a test for both signals, as PID 1 and under an init (args are podman's).
func eachSignal(w *world, name string, test func(w *world, signal string, args []string, code int)) {
	for _, c := range []struct {
		signal string
		init   bool
		code   int
	}{{"TERM", false, 143}, {"INT", false, 130}, {"TERM", true, 143}, {"INT", true, 130}} {
		w.Run(fmt.Sprintf("%s: %s init=%v", name, c.signal, c.init), func(t *testing.T) {
			test(w.of(t), c.signal, []string{fmt.Sprintf("--init=%v", c.init)}, c.code)
		})
	}
}
