//go:build container

package container

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
)

// hardened is how a careful platform starts a container: any user, nothing writable but /tmp, no rights.
var hardened = []string{"--user", "1234567:0", "--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "400"}

// TestCluster starts a session cluster in two images: the drop-in one as the official image is started, and the shell-less one
// hardened. It is the official image's own list of tests (both start, one TaskManager registers, also as non-root), and more:
// Flink has the sizes that explain names, from the container's limit alone.
func TestCluster(t *testing.T) {
	forEachVersion(t, func(w *world) {
		for _, kind := range []struct {
			name, image, user string
			args              []string
		}{
			{"full", FullImage(w.version), "9999", nil},
			{"slim", SlimImage(w.version), "1234567", hardened},
		} {
			w.Run(kind.name, func(t *testing.T) {
				w := &world{T: t, Podman: w.Podman, ctx: w.ctx, version: w.version}
				w.join()
				env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager"}
				jm := w.start("jobmanager", env, append(kind.args, "--memory", "1600m", "-p", "127.0.0.1::8081", kind.image, "jobmanager")...)
				tm := w.start("taskmanager", env, append(kind.args, "--memory", "1300m", "--cpus", "1.5", kind.image, "taskmanager")...)
				registered, err := jm.rest().TaskManagers(w.ctx, 1)
				if err != nil {
					t.Fatal(err)
				}
				sizesAgree(t, registered[0], tm.explain("taskmanager"), 1300<<20)
				for role, c := range map[string]*started{"jobmanager": jm, "taskmanager": tm} {
					if out, code := c.exec(entrypoint, "health", role); code != 0 {
						t.Errorf("health %s ended with %d\n%s", role, code, out)
					}
					if uids := c.proc("status"); !strings.Contains(uids, "Uid:\t"+kind.user+"\t"+kind.user+"\t"+kind.user) {
						t.Errorf("the %s does not run as %s", role, kind.user)
					}
					if environ := c.proc("environ"); !strings.Contains(environ, "LD_PRELOAD=:/usr/lib/") || !strings.Contains(environ, "libjemalloc.so") {
						t.Errorf("the %s runs without jemalloc", role)
					}
				}
				if kind.name == "full" {
					if out, code := jm.exec("flink", "list"); code != 0 || !strings.Contains(out, "No running jobs") {
						t.Errorf("flink list ended with %d\n%s", code, out)
					}
				}
				for role, c := range map[string]*started{"taskmanager": tm, "jobmanager": jm} {
					begin := time.Now()
					w.do("kill", "-s", "TERM", c.name)
					if code := c.wait(); code != 143 {
						t.Errorf("after SIGTERM the %s ended with %d, expected 143", role, code)
					}
					t.Logf("%s: SIGTERM to end %.1f s", role, time.Since(begin).Seconds())
				}
			})
		}
	})
}

// sizesAgree compares what Flink says of a TaskManager with what explain says in its container.
func sizesAgree(t *testing.T, tm cluster.TaskManager, e explained, limit int64) {
	t.Helper()
	if tm.Hardware.PhysicalMemory != limit || e.Memory.ProcessSize != limit {
		t.Errorf("Flink sees %d bytes, explain sizes for %d, expected %d", tm.Hardware.PhysicalMemory, e.Memory.ProcessSize, limit)
	}
	for rest, ours := range map[string]string{"frameworkHeap": "frameworkHeap", "taskHeap": "taskHeap", "frameworkOffHeap": "frameworkOffHeap", "taskOffHeap": "taskOffHeap",
		"networkMemory": "network", "managedMemory": "managed", "jvmMetaspace": "jvmMetaspace", "jvmOverhead": "jvmOverhead"} {
		if n, err := tm.Memory[rest].Int64(); err != nil || n != e.Memory.Components[ours] {
			t.Errorf("%s: Flink has %s, explain says %d", rest, tm.Memory[rest], e.Memory.Components[ours])
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

// TestApplicationFromHTTP runs a bounded SQL job in the shell-less image. The definition service comes up after the
// containers: they wait for it.
func TestApplicationFromHTTP(t *testing.T) {
	forEachVersion(t, func(w *world) {
		gateway := w.join()
		listener, err := net.Listen("tcp", gateway+":0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		listener.Close()
		env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager", "FLINK_ENTRYPOINT_DEFINITION=http://" + address + "/jobs/squares"}
		jm := w.start("jobmanager", env, append(hardened, "--memory", "1600m", SlimImage(w.version), "standalone-job")...)
		tm := w.start("taskmanager", env, append(hardened, "--memory", "1300m", SlimImage(w.version), "taskmanager")...)
		if listener, err = net.Listen("tcp", address); err != nil {
			t.Fatal(err)
		}
		server := http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/yaml")
			_, _ = rw.Write([]byte(definition))
		})}
		go func() { _ = server.Serve(listener) }()
		w.Cleanup(func() { server.Close() })
		if code := jm.wait(); code != 0 {
			w.Errorf("the JobManager of a finished job ended with %d, expected 0", code)
		}
		logs := tm.logs()
		for _, n := range []int{1, 4, 9, 16, 25} {
			if !strings.Contains(logs, fmt.Sprintf("+I[%d]", n)) {
				w.Errorf("the row %d is missing", n)
			}
		}
	})
}

// TestBeforeTheStart is what people's containers look like when nothing of Flink runs yet: each case ends before a JVM.
func TestBeforeTheStart(t *testing.T) {
	w := newWorld(t, "2.2.1")
	conf := t.TempDir()
	for name, text := range map[string]string{"config.yaml": "# ours\ntaskmanager:\n  numberOfTaskSlots: 7 # seven\n", "log4j-console.properties": "rootLogger.level = INFO\n"} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(conf, "config.yaml")
	show := []string{"bash", "-c", "cat $FLINK_CONF_DIR/config.yaml && id -u && echo jemalloc=$LD_PRELOAD && ls $FLINK_CONF_DIR"}
	for _, c := range []struct {
		name string
		args []string // of podman run up to the image
		slim bool
		cmd  []string
		code int
		want []string
		not  []string
	}{
		{name: "native Kubernetes calls /docker-entrypoint.sh bash -c with a read-only conf dir",
			args: []string{"-v", conf + ":/opt/flink/conf:ro", "--entrypoint", `["/docker-entrypoint.sh"]`}, cmd: show, code: 0,
			want: []string{"# ours\ntaskmanager:\n  numberOfTaskSlots: 7 # seven\n", "blob.server.port: 6124", "\n9999\n", "jemalloc=:/usr/lib/", "log4j-console.properties"},
			not:  []string{"memory.process.size"}},
		{name: "one file bound into the conf dir", args: []string{"-v", file + ":/opt/flink/conf/config.yaml:ro"}, cmd: show, code: 0,
			want: []string{"numberOfTaskSlots: 7 # seven", "masters"}},
		{name: "render in a place of its own, sized by what it is told", args: []string{"-v", conf + ":/opt/flink/conf:ro"},
			cmd: []string{"--conf-out", "/tmp/elsewhere", "--memory-limit", "1728m", "render", "taskmanager"}, code: 0, want: []string{"file=/tmp/elsewhere/config.yaml"}},
		{name: "render does not take its own container's size", args: []string{"--memory", "1g"}, cmd: []string{"render", "taskmanager"}, code: 23, want: []string{"--memory-limit"}},
		{name: "any user", args: []string{"--user", "1234567:0"}, cmd: show, code: 0, want: []string{"\n1234567\n"}},
		{name: "nothing writable", args: []string{"--read-only", "--read-only-tmpfs=false"}, slim: true, cmd: []string{"--memory-limit", "1728m", "render", "taskmanager"}, code: 29,
			want: []string{"read-only file system", "hint: the file system is read-only: mount a volume (emptyDir)"}},
		{name: "too small, refused before the start", args: []string{"--memory", "600m"}, slim: true, cmd: []string{"taskmanager"}, code: 24,
			want: []string{"error: ", "hint: "}},
		{name: "the definition service is down", slim: true, cmd: []string{"--fetch-timeout", "2s", "--definition", "http://127.0.0.1:1/x", "--memory-limit", "1600m", "standalone-job"}, code: 21,
			want: []string{"connection refused"}},
		{name: "a probe before the start", slim: true, cmd: []string{"health", "jobmanager"}, code: 1, want: []string{"unhealthy: "}},
		{name: "help", slim: true, code: 0, want: []string{"Roles"}},
		{name: "an unknown command", slim: true, cmd: []string{"no-such-command"}, code: 127, want: []string{"no-such-command"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := FullImage(w.version)
			if c.slim {
				image = SlimImage(w.version)
			}
			out, code := w.once(append(append(c.args, image), c.cmd...)...)
			if code != c.code {
				t.Errorf("exit code %d, expected %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("the output lacks %q", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(out, not) {
					t.Errorf("the output has %q", not)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// TestSignalsBeforeExec: the kernel gives PID 1 no default action, so the entrypoint must end by itself, with an init
// before it and without.
func TestSignalsBeforeExec(t *testing.T) {
	w := newWorld(t, "2.2.1")
	gateway := w.join()
	listener, err := net.Listen("tcp", gateway+":0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct {
		signal string
		init   bool
		code   int
	}{{"TERM", false, 143}, {"INT", false, 130}, {"TERM", true, 143}, {"INT", true, 130}} {
		t.Run(fmt.Sprintf("%s init=%v", c.signal, c.init), func(t *testing.T) {
			w := &world{T: t, Podman: w.Podman, ctx: w.ctx, version: w.version, network: w.network}
			job := w.start("job", nil, fmt.Sprintf("--init=%v", c.init), SlimImage(w.version),
				"--definition", "http://"+listener.Addr().String()+"/x", "--memory-limit", "1600m", "standalone-job")
			conn, err := listener.Accept() // now it waits for the answer
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			w.do("kill", "-s", c.signal, job.name)
			if code := job.wait(); code != c.code {
				t.Errorf("exit code %d, expected %d", code, c.code)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("the end took %s", d)
			}
		})
	}
}
