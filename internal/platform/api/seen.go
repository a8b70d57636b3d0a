package api

import (
	"context"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// What a list shows of clusters is asked for when a user looks at it, and not stored: a poll that changes nothing writes nothing.
const (
	seenFor     = 10 * time.Second       // an answer is not asked for again
	seenWait    = 500 * time.Millisecond // the list waits no longer
	seenAtOnce  = 32
	maxSeen     = 200 // jobs of one list
	maxSeenRuns = 20000
)

// seen is what clusters said of their runs.
type seen struct {
	mu   sync.Mutex
	runs map[string]wire.Seen
}

func (s *seen) of(run string) (wire.Seen, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.runs[run]
	return x, ok
}

func (s *seen) keep(run string, x wire.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil || len(s.runs) > maxSeenRuns {
		s.runs = map[string]wire.Seen{}
	}
	s.runs[run] = x
}

// see asks the clusters of runs for what the store does not have. A cluster that does not answer in time keeps its last answer.
func (a *API) see(ctx context.Context, runs []*store.Run) map[string]wire.Seen {
	ctx, cancel := context.WithTimeout(ctx, seenWait)
	defer cancel()
	places := make(chan struct{}, seenAtOnce)
	var asking sync.WaitGroup
	for _, run := range runs {
		s := run.State
		if x, ok := a.clusters.of(s.ID); ok && time.Since(x.At) < seenFor || s.Queue != jobstate.Running || s.Condition == jobstate.Lost || len(s.Jobs) == 0 {
			continue
		}
		asking.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			case <-ctx.Done():
				return
			}
			x, _ := a.clusters.of(s.ID)
			x.At, x.Error = time.Now().UTC(), ""
			if err := a.ask(ctx, *run, &x); err != nil {
				x.Error = err.Error()
			}
			if ctx.Err() != nil && x.Error != "" {
				x.Error = "no answer in time"
			}
			a.clusters.keep(s.ID, x)
		})
	}
	asking.Wait()
	out := map[string]wire.Seen{}
	for _, run := range runs {
		if x, ok := a.clusters.of(run.State.ID); ok {
			out[run.State.ID] = x
		}
	}
	return out
}

// ask asks one cluster: the newest checkpoint of all jobs of the run, and their restarts together.
func (a *API) ask(ctx context.Context, run store.Run, x *wire.Seen) error {
	return a.asked(ctx, run, func(base string) error {
		restarts := 0
		var newest *time.Time
		for _, j := range run.State.Jobs {
			if j.Status.Terminal() {
				continue
			}
			c, err := a.REST.Checkpoints(ctx, base, j.ID)
			if err != nil {
				return err
			}
			if done := c.Latest.Completed; done != nil && done.Ack > 0 {
				if t := time.UnixMilli(done.Ack).UTC(); newest == nil || t.After(*newest) {
					newest = &t
				}
			}
			n, err := a.REST.Restarts(ctx, base, j.ID)
			if err != nil {
				return err
			}
			restarts += n
		}
		x.Checkpoint, x.Restarts = newest, restarts
		return nil
	})
}
