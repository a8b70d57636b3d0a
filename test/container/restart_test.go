//go:build container

package container

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/test/cluster"
)

// TestRestart restarts the same container: what the entrypoint writes has the same bytes each time and does not grow, and Flink starts
// again; in the drop-in image, where the files of the last start are still there, and in the shell-less one with an empty /tmp each time.
func TestRestart(t *testing.T) {
	const restarts = 2
	forEachVersion(t, func(w *world) {
		var jar bytes.Buffer
		z := zip.NewWriter(&jar)
		if _, err := z.Create("nothing"); err != nil {
			w.Fatal(err)
		}
		if err := z.Close(); err != nil {
			w.Fatal(err)
		}
		service := w.service(w.join(), func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/udf.jar" {
				_, _ = rw.Write(jar.Bytes())
				return
			}
			fmt.Fprintf(rw, "apiVersion: flink-entrypoint/v1\nname: x\nconfiguration: {parallelism.default: 2}\nartifacts:\n  - {uri: \"http://%s/udf.jar\", sha256: %x, to: lib}\n",
				r.Host, sha256.Sum256(jar.Bytes()))
		}).up()
		for _, kind := range []struct {
			name, image string
			args        []string
			keeps       bool // the files of the last start
		}{{"full", w.Full, nil, true}, {"slim", w.Slim, hardened, false}} {
			w.Run(kind.name, func(t *testing.T) {
				w := w.of(t)
				env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager", "FLINK_ENTRYPOINT_DEFINITION=http://" + service.address + "/job", "FLINK_PROPERTIES=env.java.opts.jobmanager: -Da=b  -Dc=d\nx.y: z"}
				c := w.start("jobmanager", env, append(kind.args, "--memory", "1600m", kind.image, "jobmanager")...)
				c.healthy("jobmanager")
				const run = "/tmp/flink-entrypoint"
				conf := run + "/conf/" + w.confName()
				first, written := c.files(run), c.time(conf)
				if len(first) < 6 || first[conf] == "" {
					t.Fatalf("too few files: %q", slices.Sorted(maps.Keys(first)))
				}
				for i := range restarts {
					w.do("restart", c.name)
					c.healthy("jobmanager")
					again := c.files(run)
					for name, what := range again {
						if first[name] != what {
							t.Errorf("start %d: %s is %s, was %s", i+2, name, what, first[name])
						}
					}
					for name := range first {
						if again[name] == "" {
							t.Errorf("start %d: %s is gone", i+2, name)
						}
					}
					if at := c.time(conf); kind.keeps && at != written {
						t.Errorf("start %d has written the configuration again", i+2)
					}
				}
				t.Logf("%d files, the same after %d restarts", len(first), restarts)
			})
		}
	})
}

// time is when a file of the container was changed.
func (c *started) time(file string) int64 {
	c.w.Helper()
	st, err := os.Stat(c.proc("root") + file)
	if err != nil {
		c.w.Fatal(err)
	}
	return st.ModTime().UnixNano()
}

// TestRestartOnFailure: a container with a restart policy survives a definition service that comes up late.
func TestRestartOnFailure(t *testing.T) {
	w := newWorld(t, newest())
	service := w.service(w.join(), func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, "apiVersion: flink-entrypoint/v1\nname: x\nconfiguration: {parallelism.default: 2}\n")
	})
	env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager", "FLINK_ENTRYPOINT_DEFINITION=http://" + service.address + "/job", "FLINK_ENTRYPOINT_FETCH_TIMEOUT=1s"}
	c := w.start("jobmanager", env, append(hardened, "--restart", "on-failure:100", "--memory", "1600m", w.Slim, "jobmanager")...)
	restarts := func() int {
		n, err := strconv.Atoi(c.inspect("{{.RestartCount}}"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := cluster.Poll(w.ctx, func() error {
		if restarts() < 2 {
			return cluster.ErrNotYet
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(c.logs(), "error: cannot fetch "); n < 2 {
		t.Errorf("the starts without the service say so %d times, expected 2 or more", n)
	}
	service.up()
	if err := cluster.Poll(w.ctx, func() error {
		if _, code := c.exec(entrypoint, "health", "jobmanager"); code != 0 {
			return cluster.ErrNotYet
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := restarts(); n < 2 {
		t.Errorf("restarted %d times", n)
	}
	t.Logf("running after %d restarts", restarts())
	w.do("stop", c.name)
	if state := c.inspect("{{.State.Status}} {{.State.ExitCode}}"); state != "exited 143" {
		t.Errorf("after a stop it is %s, expected exited 143", state)
	}
}
