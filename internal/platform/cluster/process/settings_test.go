package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/test/world"
)

// hostile asks, in each way that a definition has, that the cluster is open to the network and takes jars.
const hostile = `apiVersion: flink-entrypoint/v1
name: clicks
configuration:
  web.submit.enable: true
  web.cancel.enable: true
  rest.address: 0.0.0.0
  rest.port: 9999
  rest.bind-port: 9990-9999
  rest:
    bind-address: 0.0.0.0
  jobmanager.bind-host: 0.0.0.0
  jobmanager.rpc.address: 203.0.113.1
  jobmanager.web.address: 0.0.0.0
  web.address: 0.0.0.0
  taskmanager.bind-host: 0.0.0.0
  taskmanager.host: 203.0.113.1
`

// TestUserConfigurationOpensNothing: REST and RPC of a cluster stay on loopback, and it takes no jars, whatever its definition says; shown by the
// configuration that the entrypoint renders for Flink.
func TestUserConfigurationOpensNothing(t *testing.T) {
	binary := world.Binary(t)
	for _, version := range []string{"1.18.1", "1.20.5", "2.2.1"} {
		for _, session := range []bool{false, true} {
			for _, name := range []string{"jobmanager-1", "taskmanager-1"} {
				dir := t.TempDir()
				world.Write(t, dir, world.Stub(version, world.Sizes, "printf '%s\\n' \"$@\"\n"))
				text := hostile
				if !session {
					text += "sql: {script: 'INSERT INTO p SELECT 1'}\n"
				}
				definition := world.File(t, filepath.Join(dir, "job.yaml"), text, 0o600)
				d := &Driver{Dir: filepath.Join(dir, "runs"), Entrypoint: binary, Home: filepath.Join(dir, "flink"), Env: world.Env(dir)}
				c := d.command(cluster.Spec{Run: "r1", Session: session, Definition: definition, JobManagers: 1, TaskManagers: 1}, ports{RPC: 7001, Blob: 7002, REST: []int{7003}}, name, dir)
				var args []string // a file takes the place of the platform's address, so it needs no token
				for i := 0; i < len(c.Args); i++ {
					if c.Args[i] == "--definition-token-file" {
						i++
						continue
					}
					args = append(args, c.Args[i])
				}
				cmd := exec.Command(c.Path, args...)
				cmd.Dir, cmd.Env = dir, append(world.Env(dir), c.Env...)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s %s: %v: %s\n%q", version, name, err, err.(*exec.ExitError).Stderr, args)
				}
				conf := effective(t, strings.Split(string(out), "\n"))
				want := map[string]string{"rest.address": "127.0.0.1", "rest.bind-address": "127.0.0.1", "rest.port": "7003", "rest.bind-port": "7003", "jobmanager.bind-host": "127.0.0.1", "jobmanager.rpc.address": "127.0.0.1"}
				if name == "taskmanager-1" {
					want["taskmanager.host"], want["taskmanager.bind-host"] = "127.0.0.1", "127.0.0.1"
				}
				if !session { // a session cluster is given its jobs as jars by the platform
					want["web.submit.enable"] = "false"
				}
				for key, value := range want {
					if got := conf[key]; got != value {
						t.Errorf("%s session=%t %s: %s is %q, want %q", version, session, name, key, got, value)
					}
				}
			}
		}
	}
}

// effective is what Flink makes of its command line: the file of --configDir, and the properties after the main class, which win.
func effective(t *testing.T, java []string) map[string]string {
	t.Helper()
	conf := map[string]string{}
	main := slices.IndexFunc(java, func(word string) bool { return strings.HasPrefix(word, "org.apache.flink.") })
	at := slices.Index(java, "--configDir")
	if main < 0 || at < main {
		t.Fatalf("not a command line of Flink: %q", java)
	}
	for _, name := range []string{"config.yaml", "flink-conf.yaml"} {
		b, err := os.ReadFile(filepath.Join(java[at+1], name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				conf[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
			}
		}
	}
	for i, word := range java[main:] {
		property, ok := strings.CutPrefix(word, "-D")
		if ok && property == "" {
			property = java[main+i+1]
		}
		if key, value, is := strings.Cut(property, "="); ok && is {
			conf[key] = value
		}
	}
	return conf
}
