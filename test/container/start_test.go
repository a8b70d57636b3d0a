//go:build container

package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBeforeTheStart is what people's containers look like when nothing of Flink runs yet: each case ends before a JVM.
func TestBeforeTheStart(t *testing.T) {
	w := newWorld(t, newest())
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
	show := []string{"bash", "-c", "cat $FLINK_CONF_DIR/config.yaml && id -u && echo jemalloc=$LD_PRELOAD. && ls $FLINK_CONF_DIR /opt/flink/plugins/*"}
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
		{name: "variables of the official image", args: []string{"-e", "TASK_MANAGER_NUMBER_OF_TASK_SLOTS=5", "-e", "JOB_MANAGER_RPC_ADDRESS=elsewhere", "-e", "DISABLE_JEMALLOC=true",
			"-e", "ENABLE_BUILT_IN_PLUGINS=flink-sql-client-" + w.version + ".jar", "-e", "FLINK_PROPERTIES=a.b: c  d"}, cmd: append([]string{"bash", "-c"}, show[2]+"; ls -R ${FLINK_PLUGINS_DIR:-/opt/flink/plugins}"), code: 0,
			want: []string{"taskmanager.numberOfTaskSlots: 5", "jobmanager.rpc.address: elsewhere", "jemalloc=.", "a.b: c  d", "flink-sql-client-" + w.version + ".jar"}},
		{name: "render in a place of its own, sized by the given limit", args: []string{"-v", conf + ":/opt/flink/conf:ro"},
			cmd: []string{"--conf-out", "/tmp/elsewhere", "--memory-limit", "1728m", "render", "taskmanager"}, code: 0, want: []string{"file=/tmp/elsewhere/config.yaml"}},
		{name: "render does not take its own container's size", args: []string{"--memory", "1g"}, cmd: []string{"render", "taskmanager"}, code: 23, want: []string{"--memory-limit"}},
		{name: "any user", args: []string{"--user", "1234567:0"}, cmd: show, code: 0, want: []string{"\n1234567\n"}},
		{name: "as few processes as a platform may allow", args: []string{"--pids-limit", "16"}, slim: true, cmd: []string{"--memory-limit", "1728m", "render", "taskmanager"}, code: 0,
			want: []string{"file=/tmp/flink-entrypoint/conf/config.yaml"}},
		{name: "nothing writable", args: []string{"--read-only", "--read-only-tmpfs=false"}, slim: true, cmd: []string{"--memory-limit", "1728m", "render", "taskmanager"}, code: 29,
			want: []string{"read-only file system", "hint: the file system is read-only: mount a volume (emptyDir)"}},
		{name: "too small, refused before the start", args: []string{"--memory", "600m"}, slim: true, cmd: []string{"taskmanager"}, code: 24,
			want: []string{"error: ", "smallest size that would work: ", "hint: "}},
		{name: "the definition service is down", slim: true, cmd: []string{"--fetch-timeout", "2s", "--definition", "http://127.0.0.1:1/x", "--memory-limit", "1600m", "standalone-job"}, code: 21,
			want: []string{"connection refused"}},
		{name: "a probe before the start", slim: true, cmd: []string{"health", "jobmanager"}, code: 1, want: []string{"unhealthy: "}},
		{name: "help", slim: true, code: 0, want: []string{"Roles"}},
		{name: "an unknown command", slim: true, cmd: []string{"no-such-command"}, code: 127, want: []string{"no-such-command"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.of(t)
			image := w.Full
			if c.slim {
				image = w.Slim
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
