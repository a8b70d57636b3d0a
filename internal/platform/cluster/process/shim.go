package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/platform/cluster"
)

// Files of a process's directory. A directory is for one process: it is started once, whatever is killed when.
const (
	commandFile = "command.json" // what to start
	stateFile   = "state.json"   // what was started
	exitFile    = "exit.json"    // how it ended
	lockFile    = "lock"         // held by the shim as long as it lives
	logFile     = "log"          // what the process wrote; log.1 is older
	messageFile = "termination"  // the entrypoint's termination message
)

// A command is what a shim starts.
type command struct {
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

type state struct {
	Shim    identity  `json:"shim"`
	Process identity  `json:"process"` // PID 0: about to start
	Started time.Time `json:"started"`
}

type exit struct {
	Code    int       `json:"code"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
}

// Bounds of a shim.
const (
	maxLog     = 64 << 20         // bytes of a log file; two are kept
	maxMessage = 4096             // bytes of a termination message
	maxTail    = 1 << 20          // bytes of a log's end that are searched for an error
	graceOfEnd = 15 * time.Second // between SIGTERM and SIGKILL
)

// Shim starts the process that a directory's command.json describes, holds its log, and writes how it ended. It is the whole life of a
// process of its own, so that a platform that dies loses neither: the next one finds the directory.
//
// It ends the process at SIGTERM. If it is killed itself, the kernel kills the process.
func Shim(dir string) error {
	// The kernel sends the parent's death signal when the thread ends that started the child.
	runtime.LockOSThread()
	lock, err := tryLock(filepath.Join(dir, lockFile))
	if err != nil || lock == nil {
		return err // nil: another shim has this directory
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(dir, exitFile)); err == nil {
		return nil
	}
	var s state
	if err := readJSON(filepath.Join(dir, stateFile), &s); err == nil {
		return bury(dir, s)
	}
	var c command
	if err := readJSON(filepath.Join(dir, commandFile), &c); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	signal.Ignore(unix.SIGPIPE)
	if s.Shim, err = identify(os.Getpid()); err != nil {
		return err
	}
	s.Started = time.Now().UTC()
	// Before the process: if this is the last thing that happens, the directory is not used again.
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: c.Path, Args: append([]string{c.Path}, c.Args...), Env: c.Env, Dir: c.Dir, Stdout: in, Stderr: in,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, writeJSON(filepath.Join(dir, exitFile), exit{Code: 127, Message: "cannot start: " + err.Error(), At: time.Now().UTC()}))
	}
	in.Close()
	s.Process, err = identify(cmd.Process.Pid)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait()) // an unknown process must not run
	}
	logged := make(chan error, 1)
	go func() { logged <- keepLog(filepath.Join(dir, logFile), out) }()
	ended := make(chan struct{})
	go func() {
		var kill <-chan time.Time
		for {
			select {
			case sig := <-signals:
				if sig == unix.SIGHUP {
					continue
				}
				unix.Kill(-cmd.Process.Pid, unix.SIGTERM)
				if kill == nil {
					kill = time.After(graceOfEnd)
				}
			case <-kill:
				unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
			case <-ended:
				return
			}
		}
	}()
	_ = cmd.Wait() // how it ended is in ProcessState
	close(ended)
	unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // children that it left hold the log open
	select {
	case <-logged:
	case <-time.After(2 * time.Second):
	}
	x := exit{Code: codeOf(cmd.ProcessState), At: time.Now().UTC()}
	if x.Code != 0 {
		x.Message = message(dir)
	}
	return writeJSON(filepath.Join(dir, exitFile), x)
}

// codeOf is the code of an ended process as a shell gives it, or cluster.Unknown.
func codeOf(p *os.ProcessState) int {
	w, ok := p.Sys().(syscall.WaitStatus)
	switch {
	case ok && w.Signaled():
		return 128 + int(w.Signal())
	case ok && w.Exited():
		return w.ExitStatus()
	}
	return cluster.Unknown
}

// bury ends what a killed shim has left, and writes that nothing saw its end.
func bury(dir string, s state) error {
	if s.Process.alive() {
		if err := s.Process.signal(unix.SIGKILL); err != nil {
			return err
		}
		if !s.Process.waitGone(10 * time.Second) {
			return fmt.Errorf("process %d does not end", s.Process.PID)
		}
	}
	why := "it ended while nothing watched it"
	if boot, err := bootID(); err == nil && boot != s.Shim.Boot {
		why = "the machine restarted"
	}
	return writeJSON(filepath.Join(dir, exitFile), exit{Code: cluster.Unknown, Message: why, At: time.Now().UTC()})
}

// message is why a process ended: the entrypoint's termination message, or the last error that our SQL runner wrote, or Flink's.
func message(dir string) string {
	f, err := os.Open(filepath.Join(dir, messageFile))
	if err == nil {
		defer f.Close()
		b, _ := io.ReadAll(io.LimitReader(f, maxMessage))
		if text := strings.TrimSpace(strings.ToValidUTF8(string(b), "?")); text != "" {
			return text
		}
	}
	return lastError(filepath.Join(dir, logFile))
}

// fatal are texts of Flink's log (ClusterEntrypoint, ExecutionGraph) before the exception by which a JobManager or its job has ended.
var fatal = []string{"Fatal error occurred in the cluster entrypoint", "Could not start cluster entrypoint", "switched from state FAILING to FAILED", "Application failed unexpectedly"}

// lastError is the last line of a log that begins with "error: ", without it, or else the cause of the last fatal exception.
func lastError(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size > maxTail {
		f.Seek(-maxTail, io.SeekEnd)
	} else {
		f.Seek(0, io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxTail))
	last, cause, inside := "", "", false
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "error: "); ok {
			last = text
		}
		switch {
		case line[0] >= '0' && line[0] <= '9': // a time: the next entry
			if inside = slices.ContainsFunc(fatal, func(text string) bool { return strings.Contains(line, text) }); inside {
				cause = ""
			}
		case inside && strings.HasPrefix(line, "Caused by: "):
			cause = strings.TrimPrefix(line, "Caused by: ") // the last is the innermost
		}
	}
	if last == "" {
		last = cause
	}
	if len(last) > maxMessage {
		last = last[:maxMessage]
	}
	return strings.TrimSpace(strings.ToValidUTF8(last, "?"))
}

// keepLog copies to a file that is renamed when it is full. It never stops reading: a full disk must not stop Flink.
func keepLog(path string, from io.Reader) error {
	var f *os.File
	var size int64
	b := make([]byte, 64<<10)
	var failed error
	for {
		n, err := from.Read(b)
		if n > 0 {
			if f != nil && size > maxLog {
				failed = errors.Join(f.Close(), os.Rename(path, path+".1"))
				f = nil
			}
			if f == nil {
				f, failed = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				size = 0
			}
			if f != nil {
				m, _ := f.Write(b[:n])
				size += int64(m)
			}
		}
		if err != nil {
			if f != nil {
				failed = errors.Join(failed, f.Close())
			}
			return failed
		}
	}
}

// tryLock holds a lock file. nil without an error: another process holds it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	return f, nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = atomicfile.Write(path, b, 0o600, atomicfile.Lasting)
	return err
}
