package fetch_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/fetch"
)

// TestCopyOnAFileSystemThatHangs: as a network's file system does whose server is gone. The service answers, so the start goes on, and
// nothing is written there. The file system is in a mount namespace of this test's own, where nothing else meets it.
func TestCopyOnAFileSystemThatHangs(t *testing.T) {
	const inside = "FETCH_TEST_HANGS"
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if os.Getenv(inside) == "" {
		t.Parallel()
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		} else if strings.Contains(string(out), "--- SKIP") {
			t.Skip(string(out))
		}
		return
	}
	file := filepath.Join(hanging(t), "copy")
	s := start(t, "ok-etag", definition)
	const total = 4 * time.Second
	c := newClient(t, fetch.Options{Timeout: total})
	began := time.Now()
	doc, err := c.Document(context.Background(), s.URL, fetch.DocumentOptions{CacheFile: file})
	took := time.Since(began)
	if err != nil || string(doc.Bytes) != string(definition) {
		t.Fatalf("%q, %v after %v", doc.Bytes, err, took)
	}
	if took < total/2 { // the service was asked after it, so not all of the time was gone
		t.Errorf("it took %v, want half of the time for the file system", took)
	}
	want := "the last good copy " + file + " is not used: it did not answer before the time was over (--fetch-timeout)"
	if len(doc.Warnings) != 1 || doc.Warnings[0] != want {
		t.Errorf("warnings %q, want %q", doc.Warnings, want)
	}
}

// hanging mounts a file system that answers only that it is there: whoever looks for a file in it waits until the test ends.
func hanging(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := unix.Mount("hanging", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(device)
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		unix.Close(device) // all that wait get an error
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// The kernel's first question, and its answer (linux/fuse.h: fuse_out_header and fuse_init_out).
	question := make([]byte, 64<<10)
	if n, err := unix.Read(device, question); err != nil || n < 40 {
		t.Fatalf("FUSE_INIT: %d bytes, %v", n, err)
	}
	answer := make([]byte, 16+64)
	binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
	copy(answer[8:16], question[8:16])               // which question
	binary.NativeEndian.PutUint32(answer[16:], 7)    // major version
	binary.NativeEndian.PutUint32(answer[20:], 31)   // minor
	binary.NativeEndian.PutUint32(answer[24:], 4096) // read ahead
	binary.NativeEndian.PutUint32(answer[36:], 4096) // a write's size
	if _, err := unix.Write(device, answer); err != nil {
		t.Fatalf("FUSE_INIT: %v", err)
	}
	return dir
}
