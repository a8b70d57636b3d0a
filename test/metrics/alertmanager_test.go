//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// tool returns the path of a program of ./test/metrics/tools.
func tool(t *testing.T, name string) string {
	t.Helper()
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "run", "./test/metrics/tools", name)
	c.Dir, c.Stderr = root, os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// A server is a program that the test starts, stops and starts again.
type server struct {
	t    *testing.T
	name string
	args []string
	env  []string
	url  string
	cmd  *exec.Cmd
	log  *os.File
}

// serve prepares a program that answers at path when it is ready.
func newServer(t *testing.T, url, name string, args ...string) *server {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, name: name, args: args, url: url, log: log}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("%s: %s", filepath.Base(name), text[max(0, len(text)-4000):])
			}
		}
		log.Close()
	})
	return s
}

// launch starts the program and does not wait.
func (s *server) launch() {
	s.t.Helper()
	s.cmd = exec.Command(s.name, s.args...)
	s.cmd.Env = s.env
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the program and waits until it answers at a path.
func (s *server) start(ready string) {
	s.t.Helper()
	s.launch()
	poll(s.t, func() error {
		res, err := http.Get(s.url + ready)
		if err != nil {
			return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
		}
		_, err = readAll(res)
		res.Body.Close()
		return err
	})
}

// kill ends the program without a warning.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// get decodes what a URL answers.
func get(url string, into any) error {
	res, err := http.Get(url)
	if err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	defer res.Body.Close()
	body, err := readAll(res)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), into)
}

// TestAlertmanager follows an alert from a job that fails to whom Alertmanager notifies: Alertmanager is away at first, the platform is killed
// and started again, and whoever waits for it hears once that it began and once that it is over.
func TestAlertmanager(t *testing.T) {
	var mu sync.Mutex
	var heard []string
	notified := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n struct {
			Status string
			Alerts []struct {
				Status      string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &n)
		}
		if err != nil {
			t.Errorf("Alertmanager sent %s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, a := range n.Alerts {
			heard = append(heard, strings.Join([]string{a.Status, a.Labels["alertname"], a.Labels["job"], a.Labels["severity"]}, " "))
			if a.Status == "firing" && !strings.Contains(a.Annotations["description"], "ended with 1") {
				t.Errorf("the description is %q", a.Annotations["description"])
			}
		}
	}))
	t.Cleanup(notified.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: hook, group_by: [alertname, job], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\nreceivers:\n  - name: hook\n    webhook_configs: [{url: '"+notified.URL+"', send_resolved: true}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	addresses := make([]string, 2)
	for i := range addresses {
		addresses[i] = served.FreeAddress(t)
	}
	manager := newServer(t, "http://"+addresses[0], tool(t, "alertmanager"), "--config.file", config, "--storage.path", filepath.Join(dir, "am"), "--web.listen-address", addresses[0], "--cluster.listen-address=")
	command := served.Command(t, filepath.Join(dir, "data"), addresses[1], "--entrypoint", "/bin/false", "--alertmanager", manager.url, "--alert-after", "failed=0s")
	platform := newServer(t, "http://"+addresses[1], command.Path, command.Args[1:]...)
	platform.env = command.Env
	platform.start("/readyz")
	call(t, http.MethodPut, platform.url+"/v1/jobs/clicks", "apiVersion: flink-entrypoint/v1\nname: clicks\nsql: {script: \"CREATE TABLE s (a INT) WITH ('connector'='blackhole'); INSERT INTO s VALUES (1);\"}\n")
	call(t, http.MethodPost, platform.url+"/v1/jobs/clicks/start", "{}")
	poll(t, func() error {
		var job struct {
			Run struct{ Queue, Outcome string }
		}
		if err := get(platform.url+"/v1/jobs/clicks", &job); err != nil {
			return err
		}
		if job.Run.Outcome != "failed" {
			return fmt.Errorf("%w: %+v", cluster.ErrNotYet, job)
		}
		return nil
	})
	platform.kill() // with an alert that no receiver has heard of
	manager.start("/-/ready")
	platform.start("/readyz")
	hears := func(want ...string) {
		t.Helper()
		poll(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(heard, want) {
				return fmt.Errorf("%w: heard %q, want %q", cluster.ErrNotYet, heard, want)
			}
			return nil
		})
	}
	begun := "firing FlinkJobFailed clicks critical"
	hears(begun)
	var active []struct {
		Labels map[string]string
		EndsAt time.Time
		Status struct{ State string }
	}
	if err := get(manager.url+"/api/v2/alerts", &active); err != nil || len(active) != 1 || active[0].Status.State != "active" || time.Until(active[0].EndsAt) < 10*time.Minute {
		t.Errorf("%+v %v", active, err)
	}
	platform.kill()
	platform.start("/readyz")
	call(t, http.MethodDelete, platform.url+"/v1/jobs/clicks", "")
	hears(begun, "resolved FlinkJobFailed clicks critical")
}

// call sends a request that must succeed.
func call(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s %v", method, url, res.Status, answer, err)
	}
}
