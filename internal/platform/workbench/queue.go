package workbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A queue lets so many runs begin at the same time, in the order in which they came. A user has one run in it, on its way or waiting, so
// that the order is fair to users, too.
type queue struct {
	slots, room int // runs at the same time, and runs that may wait

	mu      sync.Mutex
	running int
	users   map[string]bool
	waiting []*waiter
}

// A waiter is a run that waits.
type waiter struct {
	turn  chan struct{} // closed when it may begin
	moved chan int      // its place, capacity 1: the newest
}

func newQueue(slots, room int) *queue {
	return &queue{slots: slots, room: room, users: map[string]bool{}}
}

// enter waits until a user's run may begin, and returns what ends it. place hears the run's place each time it changes, 1 being the next; it
// is not called where a slot is free.
func (q *queue) enter(ctx context.Context, user string, place func(int)) (leave func(), err error) {
	w, err := q.join(user)
	if err != nil {
		return nil, err
	}
	leave = sync.OnceFunc(func() { q.leave(user) })
	for {
		select {
		case <-w.turn:
			return leave, nil
		default:
		}
		select {
		case <-w.turn:
			return leave, nil
		case n := <-w.moved:
			if place != nil {
				place(n)
			}
		case <-ctx.Done():
			if !q.withdraw(w, user) { // its turn came at the same time
				leave()
			}
			return nil, cause(ctx, ctx.Err())
		}
	}
}

// join takes a slot or a place.
func (q *queue) join(user string) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users[user] {
		return nil, &Refused{"another debug run of yours has not ended", "wait for its end, or cancel it", true}
	}
	w := &waiter{turn: make(chan struct{}), moved: make(chan int, 1)}
	if q.running < q.slots {
		q.running++
		close(w.turn)
	} else {
		if len(q.waiting) >= q.room {
			return nil, &Refused{fmt.Sprintf("%d debug runs wait already, which is as many as the server lets wait", len(q.waiting)), "", true}
		}
		q.waiting = append(q.waiting, w)
		w.moved <- len(q.waiting)
	}
	q.users[user] = true
	return w, nil
}

// leave gives a slot to the next.
func (q *queue) leave(user string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.users, user)
	if len(q.waiting) == 0 {
		q.running--
		return
	}
	close(q.waiting[0].turn)
	q.waiting = q.waiting[1:]
	q.tell(0)
}

// withdraw takes a run out that waits. false: it waits no more.
func (q *queue) withdraw(w *waiter, user string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	delete(q.users, user)
	q.tell(i)
	return true
}

// tell tells their places to those that wait, from one of them on.
func (q *queue) tell(from int) {
	for i := from; i < len(q.waiting); i++ {
		select {
		case <-q.waiting[i].moved: // it has not heard of the one before
		default:
		}
		q.waiting[i].moved <- i + 1
	}
}

// counts are the runs on their way, and those that wait.
func (q *queue) counts() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running, len(q.waiting)
}
