package signals

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"flink-entrypoint/test/world"
)

// TestPrivilegesAreDroppedFirst traces a start as root on a machine with a user flink: not a byte of a definition, a token or the network
// is read before root is given up for good, and what is written and executed belongs to that user.
func TestPrivilegesAreDroppedFirst(t *testing.T) {
	const enable = "run the tests as root, with strace and unshare installed"
	if os.Getuid() != 0 {
		t.Skip("not root: " + enable)
	}
	for _, tool := range []string{"strace", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is missing: " + enable)
		}
	}
	m := newMachine(t)
	dir, err := os.MkdirTemp("", "order-*") // unlike a test's own directory, other users may look into it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Rename(filepath.Join(m.dir, "flink"), filepath.Join(dir, "flink")); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"java", "sysroot"} {
		if err := os.Rename(filepath.Join(m.dir, sub), filepath.Join(dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	m.dir = dir
	m.write("java/bin/java", "#!/bin/sh\nid -u\nid -G\necho home=$HOME\n")
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	const uid, gid = 9999, 9998
	for path, mode := range map[string]os.FileMode{dir: 0o755, filepath.Join(dir, "out"): 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	m.write("passwd", "root:x:0:0:root:/root:/bin/sh\nflink:x:9999:9998::/opt/flink:/bin/sh\n")
	m.write("group", "root:x:0:\nflink:x:9998:\nextra:x:9997:flink\n")
	token := m.write("token", "secret-token\n")
	if err := os.Chmod(token, 0o444); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(dir, "trace")
	m.env = world.Env(dir, "HOME=/root")
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$1" /etc/passwd; mount --bind "$2" /etc/group; shift 2; exec "$@"`, "sh",
		filepath.Join(dir, "passwd"), filepath.Join(dir, "group"),
		"strace", "-f", "-qq", "-e", "trace=setuid,setgid,setgroups,openat,open,socket,connect,execve", "-o", trace,
		m.binary, "--run-dir", filepath.Join(dir, "out", "run"), "--termination-log", filepath.Join(dir, "out", "termination"),
		"--definition", m.service.URL+"/job.yaml", "--definition-token-file", token, "--definition-cache", filepath.Join(dir, "out", "copy"), "standalone-job")
	cmd.Env = m.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if strings.Contains(stderr.String(), "mount:") || strings.Contains(stderr.String(), "unshare:") || strings.Contains(stderr.String(), "ptrace") {
			t.Skipf("no mount namespace or no ptrace here: %s\n%s", stderr.String(), enable)
		}
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	if got, want := strings.Join(strings.Fields(stdout.String()), " "), "9999 9998 9997 home=/opt/flink"; got != want {
		t.Errorf("Java runs as %q, want %q", got, want)
	}
	for _, name := range []string{"run", "run/conf/config.yaml", "run/job.sql", "run/usrlib/a.jar", "copy"} {
		st, err := os.Stat(filepath.Join(dir, "out", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); !ok || sys.Uid != uid || sys.Gid != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, sys.Uid, sys.Gid, uid, gid)
		}
	}

	content, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	dropped := -1
	steps := []string{}
	for i, l := range lines {
		for _, call := range []string{"setgroups", "setgid", "setuid"} {
			if strings.Contains(l, " "+call+"(") && (len(steps) == 0 || steps[len(steps)-1] != call) {
				steps = append(steps, call) // one for each thread
				dropped = i
			}
		}
	}
	if strings.Join(steps, " ") != "setgroups setgid setuid" {
		t.Errorf("calls: %v, want setgroups, setgid, setuid", steps)
	}
	foreign := regexp.MustCompile(`socket\(AF_INET|connect\(|token"|/copy"|out/run|termination"|job\.yaml`)
	for i, l := range lines {
		if i <= dropped && foreign.MatchString(l) && !strings.Contains(l, "execve(") && !strings.Contains(l, "AF_UNIX") {
			t.Errorf("as root, before the drop: %s", l)
		}
	}
	if dropped < 0 || !foreign.MatchString(strings.Join(lines[dropped:], "\n")) {
		t.Errorf("the trace shows no use of the definition after the drop")
	}
}
