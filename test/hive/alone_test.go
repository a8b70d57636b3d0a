//go:build hive

package hive

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// alone gives this test, and the processes that it starts, a network of their own: Hive's metastore (2.3) listens on every
// interface and has no option for another. The network and its thread end with the test.
func alone(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the runtime ends the thread with the test's goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("cannot make a network namespace: %v; run as root", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		t.Fatalf("cannot start the loopback interface: %v", err)
	}
}
