package signals

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asRootWithFlink runs the program as root in a mount namespace whose /etc/passwd has the user flink, as an image has.
func (m *machine) asRootWithFlink(env []string, args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	return m.asRootWithInput(nil, env, args...)
}

func (m *machine) asRootWithInput(stdin io.Reader, env []string, args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	m.write("passwd", "root:x:0:0:root:/root:/bin/sh\nflink:x:9999:9998::/opt/flink:/bin/sh\n")
	m.write("group", "root:x:0:\nflink:x:9998:\nvolume:x:9997:flink\n")
	for dir := m.dir; dir != "/"; dir = filepath.Dir(dir) { // the user flink goes through
		if st, err := os.Stat(dir); err == nil && st.Mode().Perm()&0o005 != 0o005 {
			if err := os.Chmod(dir, st.Mode().Perm()|0o055); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-ec", `mount --bind "$1" /etc/passwd; mount --bind "$2" /etc/group; shift 2; exec "$@"`, "sh",
		filepath.Join(m.dir, "passwd"), filepath.Join(m.dir, "group"), m.binary, "--run-dir", filepath.Join(m.dir, "run")}, args...)...)
	cmd.Env, cmd.Dir, cmd.Stdin = append(m.env, env...), "/", stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestEveryCommandDropsPrivileges: explain and validate read as root what a start could not read, and the Java of debug,
// validate --engine and warmup ran as root although the image has the user flink.
func TestEveryCommandDropsPrivileges(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	m := newMachine(t)
	if _, stderr, code := m.asRootWithFlink(nil, "version"); code != 0 {
		t.Skipf("a mount namespace: %s; with docker, run with --cap-add SYS_ADMIN", stderr)
	}
	definition := m.write("root-only.yaml", "apiVersion: flink-entrypoint/v1\nname: x\nsql: {script: \"SELECT 1\"}\n")
	if err := os.Chmod(definition, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"explain", "standalone-job"}, {"validate"}, {"validate", "--engine"}, {"render", "taskmanager"}, {"taskmanager"}} {
		_, stderr, code := m.asRootWithFlink(nil, append([]string{"--definition", definition, "--memory-limit", "2g"}, words...)...)
		if code != 21 || !strings.Contains(stderr, "uid 9999 must be able to read it") {
			t.Errorf("%v: exit code %d, want 21 with the user that cannot read it\n%s", words, code, stderr)
		}
	}
	if _, stderr, code := m.asRootWithFlink(nil, "debug", definition); code != 21 {
		t.Errorf("debug: exit code %d, want 21\n%s", code, stderr)
	}

	// Who Java runs as: the stand-in for Java says so and fails.
	m.write("java/bin/java", "#!/bin/sh\necho uid=$(id -u) groups=$(id -G) home=$HOME >&2\nexit 3\n")
	script := m.write("job.sql", "CREATE TABLE t (a INT) WITH ('connector' = 'datagen');\nSELECT a FROM t;\n")
	temp := filepath.Join(m.dir, "tmp")
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(temp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"debug", script}, {"--definition", script, "validate", "--engine"}, {"warmup", "history-server"}, {"warmup", "debug"}} {
		stdout, stderr, code := m.asRootWithFlink([]string{"TMPDIR=" + temp}, words...)
		if said := stdout + stderr; code == 0 || !strings.Contains(said, "uid=9999 groups=9998 9997 home=/opt/flink") {
			t.Errorf("%v: exit code %d; Java does not run as the user flink\n%s", words, code, said)
		}
	}
	st, err := os.Stat(filepath.Join(m.dir, "flink/class-archives"))
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := owner(st); uid != 9999 || gid != 9998 {
		t.Errorf("the directory of the archives belongs to %d:%d, want flink's 9999:9998", uid, gid)
	}
}

// TestOpenFilesOfRootAreRead: what root has opened for the program, as "docker run -i … < job.yaml" and a shell's <(command)
// do, is not opened again as flink, which has no right to it. A pipe of root's could not be read at all.
func TestOpenFilesOfRootAreRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	m := newMachine(t)
	if _, stderr, code := m.asRootWithFlink(nil, "version"); code != 0 {
		t.Skipf("a mount namespace: %s; with docker, run with --cap-add SYS_ADMIN", stderr)
	}
	const text = "apiVersion: flink-entrypoint/v1\nname: piped\n"
	definition := m.write("root-only.yaml", text)
	if err := os.Chmod(definition, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"} {
		file, err := os.Open(definition)
		if err != nil {
			t.Fatal(err)
		}
		for what, stdin := range map[string]io.Reader{"a file": file, "a pipe": strings.NewReader(text)} {
			if stdout, stderr, code := m.asRootWithInput(stdin, nil, "--definition", path, "validate"); code != 0 || stdout != "valid: piped\n" {
				t.Errorf("%s, %s: exit code %d\n%s", path, what, code, stderr)
			}
		}
		file.Close()
	}
}

// TestValidateAsRootFromFlink24On: the images of Flink 2.4 leave root as it is, so there validate reads what a start reads.
func TestValidateAsRootFromFlink24On(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	m := newMachine(t)
	if _, stderr, code := m.asRootWithFlink(nil, "version"); code != 0 {
		t.Skipf("a mount namespace: %s; with docker, run with --cap-add SYS_ADMIN", stderr)
	}
	definition := m.write("root-only.yaml", "apiVersion: flink-entrypoint/v1\nname: x\n")
	if err := os.Chmod(definition, 0o600); err != nil {
		t.Fatal(err)
	}
	dist := filepath.Join(m.dir, "flink/lib/flink-dist-")
	if err := os.Rename(dist+"2.2.1.jar", dist+"2.4.0.jar"); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := m.asRootWithFlink(nil, "--definition", definition, "validate"); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, stderr)
	}
}

// TestWarmupKeepsOwnersOfOtherDirectories: as root, warmup made the user flink the owner of whatever directory it was to write to.
func TestWarmupKeepsOwnersOfOtherDirectories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	m := newMachine(t)
	if _, stderr, code := m.asRootWithFlink(nil, "version"); code != 0 {
		t.Skipf("a mount namespace: %s; with docker, run with --cap-add SYS_ADMIN", stderr)
	}
	temp := filepath.Join(m.dir, "tmp")
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(temp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	m.write("java/bin/java", "#!/bin/sh\nexit 3\n")
	m.write("system/lib.so", "")
	m.write("archives/taskmanager.jsa", "")
	for dir, want := range map[string]uint32{"system": 0, "tmp": 0, "archives": 9999, "new/one": 9999, "new": 0} {
		dir = filepath.Join(m.dir, dir)
		if want != 0 || filepath.Base(dir) != "new" { // whose child is made
			_, stderr, code := m.asRootWithFlink([]string{"TMPDIR=" + temp}, "--class-archive", dir, "warmup", "history-server")
			if code != 28 && (code != 29 || !strings.Contains(stderr, "uid 9999 must be able to write there")) { // no Java runs here
				t.Errorf("%s: exit code %d\n%s", dir, code, stderr)
			}
		}
	}
	for dir, want := range map[string]uint32{"system": 0, "tmp": 0, "archives": 9999, "new/one": 9999, "new": 0} {
		st, err := os.Stat(filepath.Join(m.dir, dir))
		if err != nil {
			t.Error(err)
		} else if uid, _ := owner(st); uid != want {
			t.Errorf("%s belongs to %d, want %d", dir, uid, want)
		}
	}
}

// TestRootWithoutPasswd: an image without /etc/passwd ended with 28; it has no user to change to.
func TestRootWithoutPasswd(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root is asked for a user to become")
	}
	m := newMachine(t)
	m.write("java/bin/java", "#!/bin/sh\necho started\n")
	m.write("empty/.keep", "")
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$1" /etc; shift; exec "$@"`, "sh", filepath.Join(m.dir, "empty"),
		m.binary, "--run-dir", filepath.Join(m.dir, "run"), "taskmanager")
	cmd.Env = m.env
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "mount:") || strings.Contains(string(out), "unshare:") {
		t.Skipf("a mount namespace: %s; with docker, run with --cap-add SYS_ADMIN", out)
	}
	if err != nil || !strings.Contains(string(out), "started") || !strings.Contains(string(out), "warning: running as root: this image has no /etc/passwd") {
		t.Errorf("%v\n%s", err, out)
	}
}

func owner(st os.FileInfo) (uid, gid uint32) {
	s := st.Sys().(*syscall.Stat_t)
	return s.Uid, s.Gid
}
