package workbench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/platform/workbench/wall"
	"flink-entrypoint/internal/sqlrunner"
)

// jvm is one JVM with the runner.
type jvm struct {
	process  *localrun.Process
	cell     *wall.Cell // nil: no wall
	network  *network   // nil: it reaches no host
	said     *tail      // of its standard error, until it is listened to
	replaced bool       // another one was asked for in its place
}

// dataSeen is the directory of rows of users as a JVM sees it, where there is a wall. They are in dataDir of its own directory.
const (
	dataSeen = "/data"
	dataDir  = "data"
)

// pool keeps JVMs that wait for one script each.
type pool struct {
	w *Workbench

	mu      sync.Mutex
	warm    []*jvm
	wanted  int           // to be started
	changed chan struct{} // capacity 1: something is wanted
	ending  context.CancelFunc
	running sync.WaitGroup
	context context.Context
}

// Times of a pool.
const (
	retryFirst = time.Second // after a JVM that did not become ready; doubled each time
	retryMost  = time.Minute
)

func newPool(w *Workbench) *pool {
	p := &pool{w: w, wanted: w.o.Warm, changed: make(chan struct{}, 1)}
	p.context, p.ending = context.WithCancel(context.Background())
	if w.o.Warm > 0 {
		p.running.Go(p.fill)
		p.changed <- struct{}{}
	}
	return p
}

// fill starts what is wanted, one after the other: JVMs that start together take longer each.
func (p *pool) fill() {
	retry := retryFirst
	for {
		select {
		case <-p.context.Done():
			return
		case <-p.changed:
		}
		for p.wants() {
			began := p.w.o.Now()
			j, err := p.w.ready(p.context)
			if err == nil {
				retry = retryFirst
				p.add(j)
				p.w.o.Log.Info("a JVM is ready", "flink", p.w.Version().String(), "took", p.w.o.Now().Sub(began).Round(time.Millisecond))
				continue
			}
			if p.context.Err() != nil {
				return
			}
			p.w.o.Log.Error("no JVM in store: debug runs start their own", "error", err, "retry", retry)
			select {
			case <-p.context.Done():
				return
			case <-time.After(retry):
			}
			retry = min(2*retry, retryMost)
		}
	}
}

func (p *pool) wants() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted > 0
}

func (p *pool) add(j *jvm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted--
	p.warm = append(p.warm, j)
	p.running.Go(func() { p.watch(j) })
}

// watch replaces a JVM that ends before it was used.
func (p *pool) watch(j *jvm) {
	select {
	case <-p.context.Done():
		return
	case <-j.process.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.warm, j)
	if i >= 0 {
		p.warm = slices.Delete(p.warm, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		code, err := j.process.Wait()
		p.w.o.Log.Warn("a JVM ended before it was used", "exitCode", code, "error", err)
		p.used(j)
	}
}

func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.warm)
}

// take returns a JVM for one run: one in store, or one that it starts.
func (p *pool) take(ctx context.Context) (j *jvm, warm bool, err error) {
	p.mu.Lock()
	if len(p.warm) > 0 {
		j, p.warm = p.warm[0], p.warm[1:]
	}
	p.mu.Unlock()
	if j != nil {
		p.w.serves(j)
		return j, true, nil
	}
	j, err = p.w.start(ctx, jvmOptions{})
	return j, false, err
}

// replace asks for another JVM in the place of one from the store, once.
func (p *pool) replace(j *jvm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.replaced {
		return
	}
	j.replaced = true
	p.wanted++
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// used ends a JVM that has served, and waits for its end.
func (p *pool) used(j *jvm) {
	p.w.end(j)
	p.replace(j)
}

func (p *pool) close() {
	p.ending()
	p.running.Wait()
	for _, j := range p.warm {
		p.w.end(j)
	}
	p.warm = nil
}

// jvmOptions are of a JVM that differs from others.
type jvmOptions struct {
	ahead   bool            // no person waits for it yet: it lets others go first
	local   *localrun.Local // whose jars it has; nil: none
	network bool            // it reaches the hosts of the policy
}

// start starts a JVM. Only one that is ready is for the pool: the others are not replaced.
func (w *Workbench) start(ctx context.Context, o jvmOptions) (j *jvm, err error) {
	dir, err := os.MkdirTemp(w.o.Dir, "jvm-")
	if err != nil {
		return nil, err
	}
	j = &jvm{said: new(tail), replaced: true}
	defer func(j *jvm) {
		if err != nil && j.process == nil {
			j.gone()
			os.RemoveAll(dir)
		}
	}(j)
	const mib = 1 << 20
	engine := localrun.EngineOptions{For: o.local, Java: []string{fmt.Sprintf("-Xmx%dm", w.o.heap()/mib), fmt.Sprintf("-XX:MaxMetaspaceSize=%dm", w.o.Memory/4/mib),
		fmt.Sprintf("-XX:MaxDirectMemorySize=%dm", w.o.Memory/6/mib), "-XX:+ExitOnOutOfMemoryError"}}
	change := ownSession
	if w.wall != nil {
		engine.Temp = wall.Temp
		if n := runtime.GOMAXPROCS(0); n < runtime.NumCPU() { // Java does not see the limits of the server's cgroup there
			engine.Java = append(engine.Java, fmt.Sprintf("-XX:ActiveProcessorCount=%d", n))
		}
	}
	e, err := w.served.Engine(ctx, dir, engine)
	if err != nil {
		return nil, err
	}
	if w.wall != nil {
		if err := w.enclose(j, dir, o); err != nil {
			return nil, err
		}
		change = func(cmd *exec.Cmd) error {
			if j.network != nil {
				if err := j.network.change(cmd); err != nil {
					return err
				}
			}
			return j.cell.Change(cmd)
		}
	}
	process, err := e.Start(change, func(string) {}, j.said.add)
	if err != nil {
		return nil, err
	}
	j.process = process
	if o.ahead {
		if err := yields(process.PID()); err != nil {
			w.end(j)
			return nil, fmt.Errorf("cannot lower the priority of a JVM: %w", err)
		}
	}
	if j.cell != nil {
		process.KillWith(j.cell.Kill)
		if err := j.cell.Begin(); err != nil {
			w.end(j)
			w.o.Log.Error("a JVM cannot be started inside its wall", "error", err, "said", j.said.text())
			return nil, errors.New("no JVM could be started inside its wall: the server's log has the reason")
		}
		return j, nil
	}
	// Memory that Java can write to; what it has only reserved does not count. An error: the process has ended.
	limit := unix.Rlimit{Cur: uint64(w.o.Memory), Max: uint64(w.o.Memory)}
	if err := unix.Prlimit(process.PID(), unix.RLIMIT_DATA, &limit, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		w.end(j)
		return nil, fmt.Errorf("cannot limit the memory of a JVM: %w", err)
	}
	return j, nil
}

// enclose makes the cell of a JVM whose files are in dir: it sees these, and its run's.
func (w *Workbench) enclose(j *jvm, dir string, o jvmOptions) (err error) {
	data := filepath.Join(dir, dataDir)
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	// The JVM may be of another user. No one else gets here: the directory above is the server's alone.
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
	if err != nil {
		return err
	}
	options := wall.CellOptions{Visible: []string{dir}, At: map[string]string{dataSeen: data}}
	if o.local != nil {
		options.Visible = append(options.Visible, o.local.Dir)
		options.WorkingDir = o.local.WorkingDir()
	}
	if o.network {
		if j.network, err = w.openNetwork(); err != nil {
			return err
		}
		options.Hosts, options.At[socketsSeen], options.LowPorts = j.network.hosts, j.network.dir, true
		options.Visible = append(options.Visible, w.o.Self[0])
	}
	j.cell, err = w.wall.Cell(options)
	return err
}

// gone gives back what a JVM had beside its process, when that has ended.
func (j *jvm) gone() {
	if j.cell != nil {
		j.cell.Gone()
	}
	if j.network != nil {
		j.network.close()
	}
}

// ownSession puts a JVM into a session of its own. Its process group has the same number, as before.
func ownSession(c *exec.Cmd) error {
	c.SysProcAttr.Setpgid, c.SysProcAttr.Setsid = false, true
	return nil
}

// serves begins the work of a JVM for a person.
func (w *Workbench) serves(j *jvm) {
	if err := hurries(j.process.PID()); err != nil {
		w.o.Log.Warn("a JVM for which a person waits still lets others go first", "error", err)
	}
}

// end kills a JVM and everything it has started, waits, and removes its files.
func (w *Workbench) end(j *jvm) {
	j.process.Kill()
	<-j.process.Done()
	j.gone()
	if err := os.RemoveAll(j.process.Dir); err != nil {
		w.o.Log.Warn("files of a JVM are left", "error", err)
	}
}

// ready starts a JVM and has it run the warm-up script.
func (w *Workbench) ready(ctx context.Context) (*jvm, error) {
	request, err := w.served.WarmUp(ctx)
	if err != nil {
		return nil, err
	}
	j, err := w.start(ctx, jvmOptions{ahead: true})
	if err != nil {
		return nil, err
	}
	process, ready := j.process, make(chan string, 1)
	var said tail
	process.Listen(func(line string) {
		if reason, ok := sqlrunner.ParseReady(line); ok {
			select {
			case ready <- reason:
			default: // the script is ours: it says so once
			}
		}
	}, said.add)
	process.Send(request)
	ctx, cancel := w.patient(ctx, j, warmUpTime)
	defer cancel()
	select {
	case reason := <-ready:
		if reason == "" {
			j.replaced = false
			return j, nil
		}
		err = fmt.Errorf("the warm-up script failed: %s", reason)
	case <-process.Done():
		code, _ := process.Wait()
		err = fmt.Errorf("java ended with exit code %d: %s", code, said.text())
	case <-ctx.Done():
		err = fmt.Errorf("a JVM is not ready: %w", context.Cause(ctx))
	}
	w.end(j)
	return nil, err
}

// tail keeps the last lines of what a process says.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 5 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

// Memory is how many bytes the JVMs that wait for a script hold, the planner among them. What they share is divided between them.
func (w *Workbench) Memory() int64 {
	var all []*jvm
	w.pool.mu.Lock()
	all = append(all, w.pool.warm...)
	w.pool.mu.Unlock()
	w.plan.mu.Lock()
	if w.plan.next != nil {
		all = append(all, w.plan.next)
	}
	w.plan.mu.Unlock()
	var sum int64
	for _, j := range all {
		for _, pid := range j.processes() {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
			if err != nil {
				continue // it has ended
			}
			for line := range strings.Lines(string(b)) {
				var kib int64
				if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kib); n == 1 {
					sum += kib << 10
				}
			}
		}
	}
	return sum
}
