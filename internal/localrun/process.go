package localrun

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/phase"
)

// Process is an engine that was started. It is the leader of a process group, and ends with this process, however that comes about.
type Process struct {
	Engine

	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended and all that it said was heard

	one            sync.Mutex // one line at a time
	stdout, stderr func(line string)

	killing sync.Mutex
	ended   bool        // another process may have its number
	killer  func() bool // kills it in another way; false: it could not

	panicked string
	code     int
	err      error
}

// maxLine is where a longer line of an engine with Bounded is cut.
const maxLine = 256 << 10

// Start starts an engine. What it says goes to the two functions, until Listen names others. change, which may be nil, changes the
// command before it is started.
func (e Engine) Start(change func(*exec.Cmd) error, stdout, stderr func(line string)) (*Process, error) {
	p := &Process{Engine: e, done: make(chan struct{}), stdout: stdout, stderr: stderr}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death of the thread that started the child counts as ours
		defer runtime.UnlockOSThread()
		defer close(p.done)
		p.run(change, started)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Process) run(change func(*exec.Cmd) error, started chan<- error) {
	readers, err := p.start(change)
	started <- err
	if err != nil {
		return
	}
	// While it is a zombie, no other process or group has its number.
	for {
		if err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.killing.Lock()
	p.ended = true
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what it has started and left
	p.killing.Unlock()
	readers.Wait()
	err = p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.err = err
		return
	}
	p.code = p.cmd.ProcessState.ExitCode()
}

func (p *Process) start(change func(*exec.Cmd) error) (*sync.WaitGroup, error) {
	cmd := exec.Command(p.Path)
	cmd.Args, cmd.Env = p.Argv, p.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if change != nil {
		if err := change(cmd); err != nil {
			return nil, err
		}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.E2BIG) {
			err = launch.TooLong(cmd.Args, cmd.Env)
		}
		return nil, &phase.Error{Phase: phase.Distribution, Err: fmt.Errorf("cannot start %s: %w", p.Path, err)}
	}
	p.cmd = cmd
	readers := new(sync.WaitGroup)
	readers.Go(func() { p.read(out, func(line string) { p.stdout(line) }) })
	readers.Go(func() { p.read(errs, func(line string) { p.stderr(line) }) })
	return readers, nil
}

// read hands on what the process prints, line by line and one line at a time.
func (p *Process) read(from io.Reader, to func(line string)) {
	defer func() { // a panic here would end this process with Go's exit code
		if r := recover(); r != nil {
			p.one.Lock()
			p.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
			p.one.Unlock()
			p.Kill()
		}
	}()
	lines := bufio.NewReader(from)
	for {
		line, err := p.line(lines)
		if line != "" {
			p.hear(to, strings.TrimRight(line, "\r\n"))
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) line(lines *bufio.Reader) (string, error) {
	if !p.Bounded {
		return lines.ReadString('\n')
	}
	var line strings.Builder
	for {
		piece, err := lines.ReadSlice('\n')
		line.Write(piece[:min(len(piece), maxLine-line.Len())])
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line.String(), err
		}
	}
}

func (p *Process) hear(to func(line string), line string) {
	p.one.Lock()
	defer p.one.Unlock()
	to(line)
}

// Listen changes where its lines go. No two calls are at the same time.
func (p *Process) Listen(stdout, stderr func(line string)) {
	p.one.Lock()
	defer p.one.Unlock()
	p.stdout, p.stderr = stdout, stderr
}

// Send writes a request. Where that fails the process has ended, and its exit code says how.
func (p *Process) Send(request []byte) { _, _ = p.in.Write(request) }

// NoMore ends its input: it ends after what it was asked.
func (p *Process) NoMore() { _ = p.in.Close() }

// Kill kills it and what it has started.
func (p *Process) Kill() {
	p.killing.Lock()
	defer p.killing.Unlock()
	if !p.ended && (p.killer == nil || !p.killer()) {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// KillWith names another way to kill it and what it has started. Where that reports false, the process group is killed.
func (p *Process) KillWith(kill func() bool) {
	p.killing.Lock()
	defer p.killing.Unlock()
	p.killer = kill
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for its end and returns its exit code, -1 after a signal.
func (p *Process) Wait() (code int, err error) {
	<-p.done
	if p.panicked != "" {
		panic(p.panicked)
	}
	return p.code, p.err
}
