package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CellOptions are of one program.
type CellOptions struct {
	Visible    []string          // files and directories that it sees beside the wall's
	At         map[string]string // those that it sees at another place: the place, and the path here
	Hosts      string            // a file that it sees as /etc/hosts; "": localhost alone
	LowPorts   bool              // it may listen on ports below 1024 of its own loopback
	WorkingDir string            // "": Temp
}

// A Cell is where one program runs. Its calls are Change, Begin once the command has started, and Gone in the end, whatever happened.
type Cell struct {
	w     *Wall
	o     CellOptions
	user  int // where the server is root
	group *subgroup

	info, infoChild   *os.File
	block, blockChild *os.File

	mu     sync.Mutex
	first  int // process id of the first process, here
	handle int // pidfd of it; -1: none
	reason string
}

// Cell makes a place for a program.
func (w *Wall) Cell(o CellOptions) (*Cell, error) {
	c := &Cell{w: w, o: o, handle: -1}
	var err error
	if w.setpriv != "" {
		if c.user, err = takeUser(); err != nil {
			return nil, err
		}
	}
	if w.group != nil {
		if c.group, err = w.group.make(w.o.Memory+w.o.Disk, w.o.Processes); err != nil {
			c.Gone()
			return nil, err
		}
	}
	if c.info, c.infoChild, err = os.Pipe(); err == nil {
		c.blockChild, c.block, err = os.Pipe()
	}
	if err != nil {
		c.Gone()
		return nil, err
	}
	return c, nil
}

// Change makes of a command that starts a program one that starts it here.
func (c *Cell) Change(cmd *exec.Cmd) error {
	if len(cmd.ExtraFiles) > 0 {
		return errors.New("internal error (a bug): a walled program gets no files")
	}
	program, err := filepath.EvalSymlinks(cmd.Path) // links may lead through what is not seen
	if err != nil {
		return err
	}
	args := append([]string{"bwrap"}, c.w.arguments(c)...)
	args = append(args, program)
	cmd.Args = append(args, cmd.Args[1:]...)
	cmd.Path = c.w.bwrap
	cmd.Err = nil
	cmd.Env = environment(cmd.Env)
	cmd.ExtraFiles = []*os.File{c.infoChild, c.blockChild}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// A session of its own: its priority counts beside others'. The process group has the same number.
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Pdeathsig = false, true, syscall.SIGKILL
	if c.group != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, c.group.fd()
	}
	return nil
}

// beginTime is how long bwrap may need on a busy machine.
const beginTime = 30 * time.Second

// Begin sets the bounds, and lets the program start.
func (c *Cell) Begin() error {
	c.infoChild.Close()
	c.blockChild.Close()
	var said struct {
		PID int `json:"child-pid"`
	}
	if err := c.info.SetReadDeadline(time.Now().Add(beginTime)); err != nil {
		return err
	}
	if err := json.NewDecoder(c.info).Decode(&said); err != nil || said.PID <= 0 {
		return fmt.Errorf("bwrap made no namespaces: %w", err)
	}
	handle, err := unix.PidfdOpen(said.PID, 0)
	if err != nil {
		return fmt.Errorf("bwrap has ended: %w", err)
	}
	c.mu.Lock()
	c.first, c.handle = said.PID, handle
	c.mu.Unlock()
	for _, l := range []struct {
		what  int
		limit uint64
	}{
		{unix.RLIMIT_DATA, uint64(c.w.o.Memory)}, // what Java has only reserved does not count
		{unix.RLIMIT_NPROC, uint64(c.w.o.Processes)},
		{unix.RLIMIT_NOFILE, 8192},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
	} {
		if err := limit(said.PID, l.what, l.limit); err != nil {
			return fmt.Errorf("cannot bound a program: %w", err)
		}
	}
	c.w.enter(c)
	if _, err := c.block.Write([]byte{1}); err != nil {
		return fmt.Errorf("bwrap has ended: %w", err)
	}
	return nil
}

// limit lowers a limit of a process; it is never raised.
func limit(pid, what int, to uint64) error {
	var have unix.Rlimit
	if err := unix.Prlimit(pid, what, nil, &have); err != nil {
		return err
	}
	have.Max = min(have.Max, to)
	have.Cur = have.Max
	return unix.Prlimit(pid, what, &have, nil)
}

// Kill kills the program and everything that it has started. false: it did not begin.
func (c *Cell) Kill() bool {
	if c.group != nil {
		c.group.kill()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handle < 0 {
		return false
	}
	// The kernel ends all of a namespace with its first process. Where that has ended already, nothing is left.
	err := unix.PidfdSendSignal(c.handle, unix.SIGKILL, nil, 0)
	return err == nil || errors.Is(err, unix.ESRCH)
}

// end kills the program for a reason.
func (c *Cell) end(reason string) {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reason
	}
	c.mu.Unlock()
	c.Kill()
}

// Reason says why the wall ended the program; "": it did not.
func (c *Cell) Reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" && c.group != nil && c.group.outOfMemory() {
		c.reason = tooMuch(c.w.o.Memory)
	}
	return c.reason
}

func tooMuch(memory int64) string {
	return fmt.Sprintf("its processes held more than %d MiB of memory together, the most that a run may have here", memory>>20)
}

// First is the process id of the first process of its namespace, 0 before Begin.
func (c *Cell) First() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Processes are the process ids of everything in the cell, without bwrap itself.
func (c *Cell) Processes() []int {
	first := c.First()
	if first == 0 || unix.Kill(first, 0) != nil {
		return nil
	}
	children := childrenOfAll()
	all := []int{first}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
		delete(children, all[i])
	}
	return all
}

// Gone kills what is left of the program, waits until nothing is, and gives back what the cell had.
func (c *Cell) Gone() {
	c.Reason() // while the cgroup is there
	c.Kill()
	for _, f := range []*os.File{c.info, c.infoChild, c.block, c.blockChild} {
		if f != nil {
			f.Close()
		}
	}
	c.w.leave(c)
	c.mu.Lock()
	handle := c.handle
	c.handle = -1
	c.mu.Unlock()
	if handle >= 0 {
		// The first process ends when all of its namespace have: the kernel waits for them.
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, int(beginTime.Milliseconds()))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if n == 0 && c.w.o.Log != nil {
				c.w.o.Log.Error("a process that was killed does not end: it hangs in the kernel", "pid", c.first)
			}
			break
		}
		unix.Close(handle)
	}
	if c.group != nil {
		if err := c.group.remove(); err != nil && c.w.o.Log != nil {
			c.w.o.Log.Warn("a cgroup is left", "error", err)
		}
	}
	if c.user != 0 {
		freeUser(c.user)
		c.user = 0
	}
}
