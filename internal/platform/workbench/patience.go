package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// A JVM that is started ahead may need two minutes until it is ready, of which the time in which it waits for a processor does not count: on a
// machine with a load of 30 it needs longer, and to kill it would only begin that work again.
const (
	warmUpTime = 2 * time.Minute
	lookTime   = time.Second // between two looks
)

// errNotReady ends what took longer than that.
var errNotReady = errors.New("it had the processors it asked for, and was not ready")

// patient is a context for work of a JVM: it ends when that has had limit, without the time in which it waited for a processor.
func (w *Workbench) patient(ctx context.Context, j *jvm, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	clock := newAllowance(limit, w.o.Now())
	go func() {
		look := time.NewTicker(lookTime)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			if clock.over(w.o.Now(), sharesOf(j.processes())) {
				cancel(fmt.Errorf("%w after %s", errNotReady, limit))
				return
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// processes are the numbers of the processes of a JVM.
func (j *jvm) processes() []int {
	pids := []int{j.process.PID()}
	if j.cell != nil {
		pids = append(pids, j.cell.Processes()...)
	}
	return pids
}

// allowance is how long a JVM may still need.
type allowance struct {
	left time.Duration
	last time.Time
	seen map[string]shares // of each thread, by the last look
}

// shares are what a thread had of the processors, and how long it could have run and had none, since its start.
type shares struct{ ran, waited time.Duration }

func newAllowance(limit time.Duration, now time.Time) *allowance {
	return &allowance{left: limit, last: now}
}

// over takes the time since the last look off, without the time in which the thread that waited longest for a processor did so; but at least what
// the threads had of each processor, so that threads which wait for each other's processors count.
func (p *allowance) over(now time.Time, threads map[string]shares) bool {
	var longest, ran time.Duration
	for thread, now := range threads {
		longest = max(longest, now.waited-p.seen[thread].waited)
		ran += now.ran - p.seen[thread].ran
	}
	p.left -= max(ran/time.Duration(runtime.NumCPU()), now.Sub(p.last)-longest, 0)
	p.last, p.seen = now, threads
	return p.left <= 0
}

// sharesOf are the shares of the threads of some processes. It is empty on a kernel that does not say so: then all time counts.
func sharesOf(pids []int) map[string]shares {
	out := map[string]shares{}
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, thread := range threads {
			b, err := os.ReadFile(thread)
			var s shares // in nanoseconds
			if n, _ := fmt.Sscan(string(b), (*int64)(&s.ran), (*int64)(&s.waited)); err == nil && n == 2 {
				out[thread] = s
			}
		}
	}
	return out
}
