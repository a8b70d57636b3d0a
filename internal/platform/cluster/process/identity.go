package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An identity names one process of all times on this machine: a process id alone is used again.
type identity struct {
	Boot  string `json:"boot"` // /proc/sys/kernel/random/boot_id
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat, in clock ticks since boot
}

// attempt is the identity as one word, as the status listener in the JVM makes it too.
func (i identity) attempt() string {
	return i.Boot[:min(8, len(i.Boot))] + "-" + strconv.Itoa(i.PID) + "-" + i.Start
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

func identify(pid int) (identity, error) {
	boot, err := bootID()
	if err != nil {
		return identity{}, err
	}
	start, err := startOf(pid)
	return identity{boot, pid, start}, err
}

// startOf is when a process started. Its name, which may hold blanks and brackets, ends at the last ")".
func startOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(rest) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields", pid, len(rest))
	}
	if rest[0] == "Z" {
		return "", os.ErrNotExist // it has ended, and waits for its parent
	}
	return rest[19], nil
}

// alive reports whether this very process runs.
func (i identity) alive() bool {
	boot, err := bootID()
	if err != nil || boot != i.Boot || i.PID <= 0 {
		return false
	}
	start, err := startOf(i.PID)
	return err == nil && start == i.Start
}

// signal sends a signal to this very process. For a process that has ended it does nothing.
func (i identity) signal(s unix.Signal) error {
	fd, err := unix.PidfdOpen(i.PID, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	}
	defer unix.Close(fd)
	if !i.alive() { // the number may be another's: looked at while the descriptor holds it
		return nil
	}
	if err := unix.PidfdSendSignal(fd, s, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// wait returns when this very process has ended. It holds a descriptor and no thread.
func (i identity) wait() error {
	fd, err := unix.PidfdOpen(i.PID, unix.PIDFD_NONBLOCK) // non-blocking descriptors are waited for by Go's poller
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	if !i.alive() { // the number may be another's: looked at while the descriptor holds it
		return nil
	}
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return c.Read(func(uintptr) bool { return !i.alive() }) // a pidfd is readable when its process has ended
}

// waitGone waits until the process has ended.
func (i identity) waitGone(within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !i.alive() {
			return true
		}
	}
	return !i.alive()
}
