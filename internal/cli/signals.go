package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"flink-entrypoint/internal/phase"
)

// stopGrace is how long a stopped run may take to clean up. What waits for the network or for a lock notices at once; what
// cannot be interrupted (opening a pipe without a writer, a hanging NFS server) is abandoned: files appear by
// rename only, so nothing is half-written whenever that is.
const stopGrace = 250 * time.Millisecond

// childGrace is the grace of a run with a JVM of its own, which must have ended before its files can go.
const childGrace = 10 * time.Second

// stopping are the signals that end a run, each with its exit code 128 + number. Without a handler the kernel would not
// deliver them to process 1 at all, and Go would answer some of them with exit code 2, which belongs to Flink.
var stopping = map[os.Signal]phase.Phase{
	syscall.SIGTERM: phase.Terminated,
	syscall.SIGINT:  phase.Interrupted,
	syscall.SIGHUP:  phase.HungUp,
	syscall.SIGQUIT: phase.Quit,
	syscall.SIGABRT: phase.Aborted,
}

// interruption turns the stopping signals into the end of the run.
type interruption struct {
	signals   chan os.Signal
	dumps     chan os.Signal // SIGQUIT and SIGABRT until exec: Go's own answer to them would be a stack dump and exit code 2
	broken    chan os.Signal // SIGPIPE, never read: with a handler, a write to a closed stdout or stderr fails and does not kill
	stopped   chan struct{}  // closed by the first signal; phase is set then
	phase     phase.Phase
	decisions chan chan bool
	committed atomic.Bool // the next thing is exec
	children  atomic.Bool // there may be some: childGrace
	ended     chan struct{}
}

// catchSignals returns a context that the first signal cancels.
func catchSignals() (context.Context, *interruption) {
	ctx, cancel := context.WithCancelCause(context.Background())
	i := &interruption{signals: make(chan os.Signal, 1), dumps: make(chan os.Signal, 1), broken: make(chan os.Signal, 1),
		stopped: make(chan struct{}), decisions: make(chan chan bool), ended: make(chan struct{})}
	signal.Notify(i.broken, syscall.SIGPIPE)
	for s := range stopping {
		if signal.Ignored(s) {
			continue // by nohup, say: it stays so, for this program and for the one that it becomes
		}
		signal.Notify(i.signals, s)
		if s == syscall.SIGQUIT || s == syscall.SIGABRT {
			signal.Notify(i.dumps, s)
		}
	}
	go func() {
		defer cancel(nil)
		for {
			select {
			case s := <-i.signals:
				i.stop(s, cancel)
			case decision := <-i.decisions:
				if os.Getpid() != 1 {
					// From here on a signal kills without asking us, as it will a moment later.
					signal.Stop(i.signals)
				}
				select {
				case s := <-i.signals:
					i.stop(s, cancel)
				default:
				}
				i.committed.Store(i.phase == "")
				decision <- i.phase == ""
			case <-i.ended:
				signal.Stop(i.signals)
				return
			}
		}
	}()
	return ctx, i
}

// stop ends the run; a second signal adds nothing.
func (i *interruption) stop(s os.Signal, cancel context.CancelCauseFunc) {
	if i.phase != "" {
		return
	}
	i.phase = stopping[s]
	close(i.stopped) // before anything fails because of it
	cancel(&phase.Error{Phase: i.phase, Err: fmt.Errorf("stopped by %s before the start", s)})
}

// mayExec reports whether no signal has come, and gives up catching them: one that was caught just before exec
// would be lost with this program. As PID 1 the handler stays, since without one the kernel would drop the signal.
func (i *interruption) mayExec() bool {
	decision := make(chan bool)
	i.decisions <- decision
	return <-decision
}

// await runs f until it ends, or until a signal has come and f has had time to tidy up.
func (i *interruption) await(f func() error) error {
	defer close(i.ended)
	done := make(chan error, 1)
	go func() { done <- f() }()
	var err error
	select {
	case err = <-done:
	case <-i.stopped:
		err = errStopped
		if i.committed.Load() {
			break // nothing to tidy up
		}
		patience := stopGrace
		if i.children.Load() {
			patience = childGrace
		}
		grace := time.NewTimer(patience)
		defer grace.Stop()
		select {
		case err = <-done:
		case <-grace.C:
		}
	}
	if err == nil {
		return nil // it was done before it noticed
	}
	select {
	case <-i.stopped:
		return &phase.Error{Phase: i.phase, Err: errStopped} // whatever failed failed because of the signal
	default:
		return err
	}
}

// expectChildren gives a stopped run the time to end its processes.
func (p *program) expectChildren() { p.signals.children.Store(true) }
