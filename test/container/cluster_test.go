//go:build container

package container

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
)

// hardened is how a careful platform starts a container: any user, nothing writable but /tmp, no rights.
var hardened = []string{"--user", "1234567:0", "--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "400"}

// TestDropIn is the official image's own list of tests: JobManager and TaskManager start, one TaskManager registers, as root and as
// another user, jemalloc is preloaded, other commands are passed through.
func TestDropIn(t *testing.T) {
	forEachVersion(t, func(w *world) {
		w.join()
		env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager"}
		jm := w.start("jobmanager", env, "--memory", "1600m", "-p", "127.0.0.1::8081", w.Full, "jobmanager")
		tm := w.start("taskmanager", env, "--user", "flink", "--memory", "1300m", "--cpus", "1.5", w.Full, "taskmanager")
		w.check(jm, tm, "9999", 1)
		if out, code := jm.exec("flink", "list"); code != 0 || !strings.Contains(out, "No running jobs") {
			t := w.T
			t.Errorf("flink list ended with %d\n%s", code, out)
		}
		w.stops(jm, tm)
	})
}

// TestLockedDown starts a session cluster in the shell-less image: any user, a read-only root, few processes, and a base configuration
// that is read-only, as a ConfigMap is mounted (links through ..data) and as one file bound over the image's.
func TestLockedDown(t *testing.T) {
	forEachVersion(t, func(w *world) {
		w.join()
		conf := w.configMap()
		env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager"}
		jm := w.start("jobmanager", env, append(hardened, "--memory", "1600m", "-p", "127.0.0.1::8081", "-v", conf+":/opt/flink/conf:ro", w.Slim, "jobmanager")...)
		tm := w.start("taskmanager", env, append(hardened, "--memory", "1300m", "--cpus", "1.5",
			"-v", filepath.Join(conf, "..data", w.confName())+":/opt/flink/conf/"+w.confName()+":ro", w.Slim, "taskmanager")...)
		w.check(jm, tm, "1234567", 3)
		for role, c := range map[string]*started{"jobmanager": jm, "taskmanager": tm} {
			if maps := c.procText("maps"); !strings.Contains(maps, "/class-archives/"+role+".jsa") {
				w.Errorf("the %s did not start from the image's class archive\n%s", role, c.logs())
			}
		}
		// Flink's client, in an image without a shell.
		if out, code := jm.exec("flink", "list"); code != 0 || !strings.Contains(out, "No running jobs") {
			w.Errorf("flink list ended with %d\n%s", code, out)
		}
		w.stops(jm, tm)
	})
}

// confName is the file that the version's image comes with.
func (w *world) confName() string {
	if strings.HasPrefix(w.version, "1.") {
		for _, minor := range []string{"19", "20"} {
			if strings.HasPrefix(w.version, "1."+minor+".") {
				return "config.yaml"
			}
		}
		return "flink-conf.yaml"
	}
	return "config.yaml"
}

// configMap makes a folder as Kubernetes mounts a ConfigMap: the files are links into the folder of the present version.
func (w *world) configMap() string {
	w.Helper()
	dir := w.T.TempDir()
	data := filepath.Join(dir, "..2026_01_01")
	text := map[string]string{
		w.confName(): "# ours\ntaskmanager.numberOfTaskSlots: 3\nparallelism.default: 1\n",
		"log4j-console.properties": "rootLogger.level = INFO\nrootLogger.appenderRef.console.ref = C\nappender.console.name = C\nappender.console.type = CONSOLE\n" +
			"appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %d %p %c - %m%n\n",
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		w.Fatal(err)
	}
	for name, t := range text {
		if err := os.WriteFile(filepath.Join(data, name), []byte(t), 0o444); err != nil {
			w.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			w.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Base(data), filepath.Join(dir, "..data")); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	return dir
}

// check waits until the TaskManager is registered: Flink has the sizes that explain names, from the containers' limits alone.
func (w *world) check(jm, tm *started, user string, slots int) {
	w.Helper()
	api := jm.rest()
	registered, err := api.TaskManagers(w.ctx, 1)
	if err != nil {
		w.Fatal(err)
	}
	if len(registered) != 1 || registered[0].Slots != slots {
		w.Errorf("%d TaskManagers with %d slots, expected 1 with %d", len(registered), registered[0].Slots, slots)
	}
	w.taskManagerAgrees(registered[0], tm.explain("taskmanager"), 1300<<20)
	w.jobManagerAgrees(api, jm.explain("jobmanager"), 1600<<20)
	for role, c := range map[string]*started{"jobmanager": jm, "taskmanager": tm} {
		if out, code := c.exec(entrypoint, "health", role); code != 0 {
			w.Errorf("health %s ended with %d\n%s", role, code, out)
		}
		if uids := c.procText("status"); !strings.Contains(uids, "Uid:\t"+user+"\t"+user+"\t"+user) {
			w.Errorf("the %s does not run as %s", role, user)
		}
		if environ := c.procText("environ"); !strings.Contains(environ, "LD_PRELOAD=:/usr/lib/") || !strings.Contains(environ, "libjemalloc.so") {
			w.Errorf("the %s runs without jemalloc", role)
		}
		if maps := c.procText("maps"); !strings.Contains(maps, "libjemalloc") {
			w.Errorf("the %s has not loaded jemalloc", role)
		}
		if strings.Contains(c.logs(), "ERROR: ld.so") {
			w.Errorf("the loader of the %s complains", role)
		}
	}
}

// stops ends both by SIGTERM.
func (w *world) stops(jm, tm *started) {
	w.Helper()
	for role, c := range map[string]*started{"taskmanager": tm, "jobmanager": jm} {
		code, took := c.stopped("TERM")
		if code != 143 {
			w.Errorf("after SIGTERM the %s ended with %d, expected 143", role, code)
		}
		w.Logf("%s: SIGTERM to end %.1f s", role, took.Seconds())
	}
}

// taskManagerAgrees compares what Flink says of a TaskManager with what explain says in its container.
func (w *world) taskManagerAgrees(tm cluster.TaskManager, e explained, limit int64) {
	w.Helper()
	if tm.Hardware.PhysicalMemory != limit || e.Memory.ProcessSize != limit {
		w.Errorf("Flink sees %d bytes, explain sizes for %d, expected %d", tm.Hardware.PhysicalMemory, e.Memory.ProcessSize, limit)
	}
	for rest, ours := range map[string]string{"frameworkHeap": "frameworkHeap", "taskHeap": "taskHeap", "frameworkOffHeap": "frameworkOffHeap", "taskOffHeap": "taskOffHeap",
		"networkMemory": "network", "managedMemory": "managed", "jvmMetaspace": "jvmMetaspace", "jvmOverhead": "jvmOverhead", "totalProcessMemory": ""} {
		want, known := e.Memory.Components[ours]
		if ours == "" {
			want, known = limit, true
		}
		if n, err := tm.Memory[rest].Int64(); err != nil || !known || n != want {
			w.Errorf("%s: Flink has %s, explain says %d", rest, tm.Memory[rest], want)
		}
	}
}

// jobManagerAgrees does the same for a JobManager, whose REST API shows the configuration it was started with.
func (w *world) jobManagerAgrees(api *cluster.Cluster, e explained, limit int64) {
	w.Helper()
	if e.Memory.ProcessSize != limit {
		w.Errorf("explain sizes the JobManager for %d, expected %d", e.Memory.ProcessSize, limit)
	}
	var config []struct{ Key, Value string }
	if err := api.Get(w.ctx, "/jobmanager/config", &config); err != nil {
		w.Fatal(err)
	}
	for key, component := range map[string]string{"jobmanager.memory.heap.size": "heap", "jobmanager.memory.off-heap.size": "offHeap",
		"jobmanager.memory.jvm-metaspace.size": "jvmMetaspace", "jobmanager.memory.jvm-overhead.max": "jvmOverhead"} {
		at := slices.IndexFunc(config, func(c struct{ Key, Value string }) bool { return c.Key == key })
		if at < 0 {
			w.Errorf("the JobManager does not know %s", key)
		} else if want := fmt.Sprintf("%db", e.Memory.Components[component]); config[at].Value != want {
			w.Errorf("%s: Flink has %s, explain says %s", key, config[at].Value, want)
		}
	}
}

const definition = `apiVersion: flink-entrypoint/v1
name: squares
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
    CREATE TABLE squares (n BIGINT) WITH ('connector' = 'print');
    INSERT INTO squares SELECT n * n FROM numbers;
`

// service answers containers at an address of the network's gateway that has no listener until up is called.
type service struct {
	w       *world
	address string
	server  http.Server
}

func (w *world) service(gateway string, handler http.HandlerFunc) *service {
	w.Helper()
	listener, err := net.Listen("tcp", gateway+":0")
	if err != nil {
		w.Fatal(err)
	}
	defer listener.Close()
	return &service{w: w, address: listener.Addr().String(), server: http.Server{Handler: handler}}
}

func (s *service) up() *service {
	s.w.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.w.Fatal(err)
	}
	go func() { _ = s.server.Serve(listener) }()
	s.w.Cleanup(func() { s.server.Close() })
	return s
}

// TestApplicationFromHTTP runs a bounded SQL job in the shell-less image. The definition service comes up after the
// containers: they wait for it.
func TestApplicationFromHTTP(t *testing.T) {
	forEachVersion(t, func(w *world) {
		service := w.service(w.join(), func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/yaml")
			_, _ = rw.Write([]byte(definition))
		})
		env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager", "FLINK_ENTRYPOINT_DEFINITION=http://" + service.address + "/jobs/squares"}
		jm := w.start("jobmanager", env, append(hardened, "--memory", "1600m", w.Slim, "standalone-job")...)
		tm := w.start("taskmanager", env, append(hardened, "--memory", "1300m", w.Slim, "taskmanager")...)
		for _, c := range []*started{jm, tm} {
			c.says("connection refused")
		}
		begin := time.Now()
		service.up()
		if code := jm.wait(); code != 0 {
			w.Errorf("the JobManager of a finished job ended with %d, expected 0", code)
		}
		w.Logf("service up to the JobManager's end: %.1f s", time.Since(begin).Seconds())
		if !strings.Contains(jm.logs(), "switched from state RUNNING to FINISHED") {
			w.Error("the job is not said to be FINISHED")
		}
		logs := tm.logs()
		for _, n := range []int{1, 4, 9, 16, 25} {
			if !strings.Contains(logs, fmt.Sprintf("+I[%d]", n)) {
				w.Errorf("the row %d is missing", n)
			}
		}
	})
}
