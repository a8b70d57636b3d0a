package workbench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A JVM that is started ahead yields to the clusters of this machine, until a person waits for it: then it goes on as they do.
//
// Linux shares the processors between sessions (autogroups) before it looks at a process's niceness, except in a cgroup with a share of its own,
// and where that is off. A cluster's JVM in another session got no more than the two or three of the workbench: it took twice as long to
// start. On a machine with a load of 30, a person's run at that niceness got a tenth of what a cluster got.

// niceness is how much a JVM yields that is started ahead.
const niceness = 10

// own is the niceness of this process.
func own() int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the system call returns 20 - niceness
	if err != nil {
		return 0
	}
	return 20 - raw
}

// undoes reports whether this process may take a niceness back, which a user who is not root may not. What would stay is not given.
var undoes = sync.OnceValue(func() bool {
	result := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends, maybe with the niceness
		before := own()
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, min(before+1, 19))
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, 0, before)
		}
		result <- err == nil
	}()
	return <-result
})

// yields lets everything else on this machine go before a process group, which has a session of its own. Where nothing else is to be done, it is as
// fast as before.
func yields(pid int) error { return prioritize(pid, min(own()+niceness, 19)) }

// hurries takes that back.
func hurries(pid int) error { return prioritize(pid, own()) }

func prioritize(pid, nice int) error {
	var err error
	if undoes() {
		if err = unix.Setpriority(unix.PRIO_PGRP, pid, nice); errors.Is(err, unix.ESRCH) {
			return nil // it has ended
		}
	}
	// Without effect on a kernel without autogroups.
	for range 5 {
		group, e := os.OpenFile(fmt.Sprintf("/proc/%d/autogroup", pid), os.O_WRONLY, 0)
		if e != nil {
			break
		}
		_, e = group.WriteString(strconv.Itoa(nice))
		_ = group.Close()
		if !errors.Is(e, unix.EAGAIN) {
			break
		}
		time.Sleep(100 * time.Millisecond) // a user who is not root may change ten a second
	}
	return err
}
