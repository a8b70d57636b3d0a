package monitor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/store"
)

// A Retention removes what is older than its lifetime. Each step may be interrupted: what is outside the store goes before the row that owns
// it, so the next pass finds what is left.
type Retention struct {
	Store  *store.Store
	Driver cluster.Driver
	Log    *slog.Logger
	Keep   store.Lifetimes
	// Needed lists the runs of a job that its next start may need: the ones that "latest" chooses from.
	Needed func(ctx context.Context, job string) ([]string, error)
	// Now is the clock; nil: the store's.
	Now func(ctx context.Context) (time.Time, error)
	// Point, if not nil, is called at each place where a crash must do no harm. Tests end the process there.
	Point func(place string)
}

// Between two passes, and before the first: a server that starts has more urgent work.
const (
	eachPass  = time.Hour
	firstPass = time.Minute
)

// Sizes of what is done at once, so that no writer waits long.
const (
	removeBatch = 200
	removeRows  = 500
	removeBytes = 8 << 20
)

// Run makes passes until ctx ends.
func (r *Retention) Run(ctx context.Context) {
	for wait := firstPass; ; wait = eachPass {
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(wait)):
		}
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("not everything whose time has come was removed; it is tried again", "error", err)
		}
	}
}

// Pass removes everything whose time has come. An error of one thing does not keep it from the others.
func (r *Retention) Pass(ctx context.Context) error {
	p := &pass{Retention: r, keep: r.Keep.WithDefaults(), needed: map[string][]string{}}
	now := r.Now
	if now == nil {
		now = r.Store.Now
	}
	var err error
	if p.now, err = now(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{p.answers, p.unowned, p.removals, p.clear, p.runs, p.audit, p.artifacts} {
		err = errors.Join(err, part(ctx))
		if ctx.Err() != nil {
			break
		}
	}
	if n := p.removed; n != (counts{}) {
		r.Log.Info("removed what was older than its lifetime", "runs", n.runs, "directories", n.directories, "events", n.events, "artifacts", n.artifacts, "contents", n.contents, "answers", n.answers)
	}
	return err
}

type counts struct{ runs, directories, events, artifacts, contents, answers int }

// A pass is one.
type pass struct {
	*Retention
	keep    store.Lifetimes
	now     time.Time
	needed  map[string][]string // by job
	removed counts
}

// until is the newest time of what has lived for its lifetime. ok false: it is kept for ever.
func (p *pass) until(lifetime time.Duration) (t time.Time, ok bool) {
	return p.now.Add(-lifetime), lifetime >= 0
}

func (p *pass) at(place string) {
	if p.Point != nil {
		p.Point("retention: " + place)
	}
}

// yield lets other writers go first, for as long as the last write took.
func (p *pass) yield(ctx context.Context, began time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(min(time.Since(began), 200*time.Millisecond)):
	}
}

// repeat calls f until it says that less than a batch was left.
func (p *pass) repeat(ctx context.Context, f func() (n int, err error)) error {
	for ctx.Err() == nil {
		began := time.Now()
		n, err := f()
		if err != nil || n < removeBatch {
			return err
		}
		p.yield(ctx, began)
	}
	return ctx.Err()
}

func (p *pass) answers(ctx context.Context) error {
	until, ok := p.until(p.keep.Answers)
	if !ok {
		return nil
	}
	return p.repeat(ctx, func() (int, error) {
		n, err := p.Store.RemoveAnswers(ctx, until, removeBatch)
		p.removed.answers += n
		return n, err
	})
}

// unowned notes directories without a row. Between the list and the look into the store no directory without a row can come: the row is made
// before it.
func (p *pass) unowned(ctx context.Context) error {
	runs, err := p.Driver.Runs(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, id := range runs {
		if cleared, err := p.Store.IsCleared(ctx, id); err != nil {
			return err
		} else if cleared {
			missing = append(missing, id)
		}
	}
	for batch := range slices.Chunk(missing, removeBatch) {
		began := time.Now()
		if err := p.Store.Unowned(ctx, batch, p.now); err != nil {
			return err
		}
		p.at("directories without a run noted")
		p.yield(ctx, began)
	}
	return nil
}

// logsUntil is the end of the time before which runs lose their directory: their row goes after it, so it is not kept longer than the row.
func (p *pass) logsUntil() (time.Time, bool) {
	until, ok := p.until(p.keep.Logs)
	if runs, too := p.until(p.keep.Runs); too && (!ok || runs.After(until)) {
		return runs, true
	}
	return until, ok
}

// removals removes directories that have no row. Those of deleted jobs go at once; of others nothing says how old they are, so they are kept
// as long as logs are from when they were first seen.
func (p *pass) removals(ctx context.Context) error {
	until, ok := p.logsUntil()
	if !ok {
		until = time.UnixMilli(0)
	}
	var errs []error
	var after store.Removal
	for ctx.Err() == nil {
		all, err := p.Store.Removals(ctx, until, after, removeBatch)
		if err != nil || len(all) == 0 {
			return errors.Join(append(errs, err)...)
		}
		began := time.Now()
		var gone []string
		for _, x := range all {
			if after = x; ctx.Err() != nil {
				break
			}
			done, err := p.clearOne(ctx, x.Run)
			errs = append(errs, err)
			if done {
				gone = append(gone, x.Run)
			}
		}
		p.at("directories without a run removed")
		if err := p.Store.Removed(ctx, gone); err != nil {
			return errors.Join(append(errs, err)...)
		}
		p.removed.directories += len(gone)
		p.yield(ctx, began)
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// clearOne removes the directory of one run. done false without an error: its cluster is ending.
func (p *pass) clearOne(ctx context.Context, run string) (done bool, err error) {
	err = p.Driver.Remove(ctx, run)
	if errors.Is(err, cluster.ErrAlive) {
		if gone, err := p.Driver.Delete(ctx, run); err != nil || !gone {
			return false, err // the next pass finds it gone
		}
		err = p.Driver.Remove(ctx, run)
	}
	p.at("directory removed")
	return err == nil, err
}

func (p *pass) clear(ctx context.Context) error {
	until, ok := p.logsUntil()
	if !ok {
		return nil
	}
	var errs []error
	var after store.EndedRun
	for ctx.Err() == nil {
		all, err := p.Store.Uncleared(ctx, until, after, removeBatch)
		if err != nil || len(all) == 0 {
			return errors.Join(append(errs, err)...)
		}
		began := time.Now()
		var gone []string
		for _, r := range all {
			if after = r; ctx.Err() != nil {
				break
			}
			done, err := p.clearOne(ctx, r.ID)
			errs = append(errs, err)
			if done {
				gone = append(gone, r.ID)
			}
		}
		p.at("directories removed")
		if err := p.Store.Cleared(ctx, gone); err != nil {
			return errors.Join(append(errs, err)...)
		}
		p.at("directories noted as removed")
		p.removed.directories += len(gone)
		p.yield(ctx, began)
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (p *pass) runs(ctx context.Context) error {
	until, ok := p.until(p.keep.Runs)
	if !ok {
		return nil
	}
	var errs []error
	var after store.EndedRun
	for ctx.Err() == nil {
		all, err := p.Store.Expired(ctx, until, after, removeBatch)
		if err != nil || len(all) == 0 {
			return errors.Join(append(errs, err)...)
		}
		after = all[len(all)-1]
		var ids []string
		for _, r := range all {
			needed, have := p.needed[r.Job]
			if !have {
				if needed, err = p.Needed(ctx, r.Job); err != nil {
					errs = append(errs, err)
					continue
				}
				p.needed[r.Job] = needed
			}
			if !slices.Contains(needed, r.ID) {
				ids = append(ids, r.ID)
			}
		}
		for len(ids) > 0 && ctx.Err() == nil {
			began := time.Now()
			done, err := p.Store.RemoveRuns(ctx, ids, store.Budget{Rows: removeRows, Bytes: removeBytes})
			if err != nil {
				return errors.Join(append(errs, err)...)
			}
			p.at("runs removed")
			p.removed.runs += done
			ids = ids[done:]
			p.yield(ctx, began)
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (p *pass) audit(ctx context.Context) error {
	until, ok := p.until(p.keep.Audit)
	if !ok {
		return nil
	}
	var mark store.AuditMark
	return p.repeat(ctx, func() (int, error) {
		next, n, more, err := p.Store.RemoveAudit(ctx, until, mark, removeBatch)
		p.removed.events += n
		if mark = next; more {
			n = removeBatch
		} else {
			n = 0
		}
		return n, err
	})
}

func (p *pass) artifacts(ctx context.Context) error {
	if until, ok := p.until(p.keep.Artifacts); ok {
		if err := p.repeat(ctx, func() (int, error) {
			n, err := p.Store.RemoveArtifacts(ctx, until, removeBatch)
			p.removed.artifacts += n
			return n, err
		}); err != nil {
			return err
		}
	}
	n, err := p.Store.RemoveContents(ctx)
	p.removed.contents = n
	return err
}
