package workbench

import (
	"context"
	"errors"
	"sync"
	"time"

	"flink-entrypoint/internal/localrun"
)

// planner is the one JVM that plans the scripts of all users, one after the other. It never executes, and gets plain SQL alone, so that
// nothing of a script stays in it. Its successor is started while it still serves.
type planner struct {
	w *Workbench

	one     chan struct{} // capacity 1: who has put something in may use the process
	jvm     *jvm
	scripts int
	started time.Time

	mu      sync.Mutex
	next    *jvm //  ready to succeed
	coming  bool // it is being started
	context context.Context
	ending  context.CancelFunc
	running sync.WaitGroup
}

func newPlanner(w *Workbench) *planner {
	p := &planner{w: w, one: make(chan struct{}, 1)}
	p.context, p.ending = context.WithCancel(context.Background())
	if w.o.Warm > 0 {
		p.prepare()
	}
	return p
}

// patience is how long a plan goes on whose user is gone. A new planner takes seconds, most plans a tenth of one.
const patience = 2 * time.Second

// check lets the planner check a script. A script that still waits when ctx ends is never planned: in an editor each key makes the text
// before it worthless.
func (p *planner) check(ctx context.Context, l *localrun.Local) error {
	select {
	case p.one <- struct{}{}:
		defer func() { <-p.one }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil { // both at once
		return err
	}
	if p.context.Err() != nil {
		return &Refused{"the server is ending", "", true}
	}
	if p.jvm != nil && ended(p.jvm.process) {
		p.end()
	}
	if next := p.successor(); next != nil {
		if p.jvm != nil {
			p.end()
		}
		p.jvm, p.scripts, p.started = next, 0, p.w.o.Now()
		p.w.serves(next)
	}
	if p.jvm == nil {
		j, err := p.w.start(ctx, jvmOptions{})
		if err != nil {
			return err
		}
		p.jvm, p.scripts, p.started = j, 0, p.w.o.Now()
	}
	p.scripts++
	plan, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			select {
			case <-plan.Done(): // it has ended
			case <-time.After(patience):
			}
		}
		stop()
	})()
	err := l.PlanOn(plan, p.jvm.process)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	switch {
	case plan.Err() != nil || ended(p.jvm.process): // it was killed, or died
		p.end()
		p.prepare()
	case p.scripts >= p.w.o.PlannerScripts || p.w.o.Now().Sub(p.started) >= p.w.o.PlannerAge:
		p.prepare()
	}
	return err
}

// prepare starts a successor in the background, unless one is coming. Where that fails the next check starts its own.
func (p *planner) prepare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.coming || p.next != nil || p.context.Err() != nil {
		return
	}
	p.coming = true
	p.running.Go(func() {
		j, err := p.warm()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.coming = false
		if err == nil {
			p.next = j
		} else if p.context.Err() == nil {
			p.w.o.Log.Error("no planner in store: the next check starts its own", "error", err)
		}
	})
}

// warmUps is how often a planner plans a script of ours first: the first time loads its classes, the others let Java compile what is hot.
const warmUps = 6

// warm starts a planner.
func (p *planner) warm() (*jvm, error) {
	l, err := p.w.served.WarmUpCheck(p.context)
	if l != nil {
		defer l.Close()
	}
	if err != nil {
		return nil, err
	}
	j, err := p.w.start(p.context, jvmOptions{ahead: true})
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.w.patient(p.context, j, warmUpTime)
	defer cancel()
	for range warmUps {
		if err := l.PlanOn(ctx, j.process); err != nil {
			p.w.end(j)
			return nil, cause(ctx, err)
		}
	}
	return j, nil
}

func (p *planner) successor() *jvm {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.next
	p.next = nil
	return next
}

// Planner reports whether a planner waits for the first script since it was started.
func (w *Workbench) Planner() bool {
	w.plan.mu.Lock()
	defer w.plan.mu.Unlock()
	return w.plan.next != nil
}

func ended(p *localrun.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func (p *planner) end() {
	p.w.end(p.jvm)
	p.jvm = nil
}

func (p *planner) close() {
	p.ending()
	p.running.Wait()
	p.one <- struct{}{}
	defer func() { <-p.one }()
	if p.jvm != nil {
		p.end()
	}
	if next := p.successor(); next != nil {
		p.w.end(next)
	}
}
