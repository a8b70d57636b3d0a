package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/document"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// startPoint is the newest completed savepoint or retained checkpoint of a job's earlier runs, or "".
func (s *Server) startPoint(ctx context.Context, r store.Run) (string, error) {
	path := ""
	err := s.offers(ctx, r.Job, func(o store.Offer) bool {
		path = s.usable(o.Points)
		return path == ""
	})
	return path, err
}

// needed are the runs of a job that its next start may need: the one that startPoint chooses from, and the newest one that had anything to
// choose from, whose files may be away only for a while.
func (s *Server) needed(ctx context.Context, job string) ([]string, error) {
	var runs []string
	err := s.offers(ctx, job, func(o store.Offer) bool {
		used := s.usable(o.Points) != ""
		if len(o.Points) > 0 && (used || len(runs) == 0) {
			runs = append(runs, o.Run.State.ID)
		}
		return !used
	})
	return runs, err
}

// offers calls f with what each ended run of a job offers, newest first, until it returns false. What the archives of a run offer is read from
// them once.
func (s *Server) offers(ctx context.Context, job string, f func(store.Offer) bool) error {
	var before store.Run
	for {
		const page = 100
		all, err := s.Store.Offers(ctx, job, before, page)
		if err != nil {
			return err
		}
		var read []store.Offer
		more := len(all) == page
		for _, o := range all {
			if before = o.Run; !o.Known {
				if o.Points, o.Archives, err = s.points(ctx, o.Run); err != nil {
					return err
				}
				read = append(read, o)
			}
			if !f(o) {
				more = false
				break
			}
		}
		if err := s.Store.KeepPoints(ctx, read); err != nil || !more {
			return err
		}
	}
}

// points are the savepoint that a stop of an ended run has made, and what its archives list.
func (s *Server) points(ctx context.Context, r store.Run) (all []store.Point, archived int, err error) {
	archives, err := s.Store.Archives(ctx, r.State.ID)
	if err != nil {
		return nil, 0, err
	}
	if stop := r.State.Stop; stop != nil && stop.State == jobstate.SavepointCompleted {
		all = append(all, store.Point{Path: stop.Path, Made: true})
	}
	for _, j := range r.State.Jobs {
		if !slices.Contains(archives, j.ID) {
			continue
		}
		c, err := s.checkpoints(ctx, r, j.ID)
		if err != nil {
			s.o.Log.Warn("the checkpoints of an archive cannot be read", "run", r.State.ID, "error", err)
			continue
		}
		for _, p := range newestFirst(c) {
			all = append(all, store.Point{Path: p.Path})
		}
	}
	return all, len(archives), nil
}

// usable is the first point that can be used, or "". The savepoint of a stop is the state that the user wants to go on from: an older one in its
// place would read input again, so it is used unseen, and Flink says if it is gone.
func (s *Server) usable(points []store.Point) string {
	for _, p := range points {
		if p.Made || s.exists(p.Path) {
			return p.Path
		}
	}
	return ""
}

// checkpoints of an ended run are in its archive.
func (s *Server) checkpoints(ctx context.Context, r store.Run, job string) (flinkrest.Checkpoints, error) {
	content, err := s.Store.Archive(ctx, r.State.ID, job)
	if err != nil {
		return flinkrest.Checkpoints{}, err
	}
	archived, err := flinkrest.Archived(content, "/jobs/"+job+"/checkpoints")
	if err != nil {
		return flinkrest.Checkpoints{}, err
	}
	return flinkrest.CheckpointsOf(archived)
}

// newestFirst are the completed savepoints and checkpoints, by the time of their trigger.
func newestFirst(c flinkrest.Checkpoints) []flinkrest.Checkpoint {
	all := slices.Clone(c.History)
	for _, p := range []*flinkrest.Checkpoint{c.Latest.Completed, c.Latest.Savepoint} {
		if p != nil {
			all = append(all, *p)
		}
	}
	all = slices.DeleteFunc(all, func(p flinkrest.Checkpoint) bool { return p.Status != "COMPLETED" || p.Path == "" || p.Trigger <= 0 })
	slices.SortStableFunc(all, func(a, b flinkrest.Checkpoint) int { return cmp.Compare(b.Trigger, a.Trigger) })
	return slices.CompactFunc(all, func(a, b flinkrest.Checkpoint) bool { return a.Path == b.Path })
}

// exists reports whether a checkpoint's directory is there. Of other files than this machine's nothing is known: Flink will say.
func (s *Server) exists(uri string) bool {
	path, ok := s.local(uri)
	if !ok {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "_metadata"))
	return err == nil
}

// local is the path of a file: URI, or of a path alone, of a cluster's. ok false: the file is not of this machine.
func (s *Server) local(uri string) (path string, ok bool) {
	if _, local := s.driver.(cluster.LocalFiles); !local {
		return "", false
	}
	if path, ok = strings.CutPrefix(uri, "file:"); !ok {
		return uri, strings.HasPrefix(uri, "/")
	}
	return filepath.Join("/", strings.TrimLeft(path, "/")), true
}

// findSavepoint is as monitor.Monitor says. Flink writes _metadata last.
func (s *Server) findSavepoint(_ context.Context, dir string) (string, error) {
	path, ok := s.local(dir)
	if !ok {
		return "", nil
	}
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(path, e.Name(), "_metadata")); err == nil {
			return dir + "/" + e.Name(), nil
		}
	}
	return "", err
}

// resultStore is as monitor.Monitor says. Flink commits a job's result here before it removes what a successor would run the job by; it is
// read where it is on this machine.
func (s *Server) resultStore(ctx context.Context, r store.Run) (jobstate.Observation, error) {
	of, kind := r, store.KindJob
	if r.State.Session {
		var err error
		if of, err = s.Store.Run(ctx, r.ClusterRun()); err != nil {
			return nil, err
		}
		kind = store.KindCluster
	}
	v, err := s.Store.Version(ctx, of.Job, of.Version)
	if err != nil {
		return nil, err
	}
	settings, err := document.SettingsOf(kind, v.Document)
	if err != nil {
		return nil, err
	}
	dir, ok := s.local(settings.ResultStore)
	if !ok {
		return nil, nil
	}
	for _, suffix := range []string{".json", "_DIRTY.json"} { // dirty: committed, and not everything of the job is removed yet
		content, err := os.ReadFile(filepath.Join(dir, jobstate.ClusterIDOf(of.State.ID), r.State.JobID+suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		status, err := flinkrest.Recorded(content, r.State.JobID)
		if err != nil {
			return nil, err // it is being written
		}
		return jobstate.Recorded{JobID: r.State.JobID, Status: status}, nil
	}
	return nil, nil
}

// stable is how long a session cluster ran when its next restart counts as the first again.
const stable = 10 * time.Minute

// restart applies the restart policy to a run that has failed: a new run of the same version, from the newest savepoint or checkpoint.
// done false without an error: its time has not come yet.
//
// The version of an upgrade that did not run is not restarted: the version before starts again, from the same savepoint.
func (s *Server) restart(ctx context.Context, r store.Run) (done bool, err error) {
	if t := r.State.Trial; t != nil {
		if !t.Failed && r.State.Desired != jobstate.WantRun { // the user was ending it
			return true, nil
		}
		reason := t.Reason
		if !t.Failed {
			reason = r.State.Reason
		}
		_, err := s.begin(ctx, r.Job, t.From, store.Asked{By: r.Asked.By, Savepoint: r.Asked.StartFrom, After: r.State.ID, Back: &store.Back{From: r.Version, Reason: reason}})
		if errors.Is(err, store.ErrExists) { // this was done before a crash, or a user was quicker
			err = nil
		}
		return err == nil, notStarted(t.From, err)
	}
	if r.State.Desired != jobstate.WantRun {
		return true, nil
	}
	v, err := s.Store.Version(ctx, r.Job, r.Version)
	if err != nil {
		return false, err
	}
	kind, before := store.KindJob, r.Asked.Restart
	if r.State.Cluster {
		if kind = store.KindCluster; r.State.Ended.Sub(r.State.Started) >= stable {
			before = 0
		}
	}
	settings, err := document.SettingsOf(kind, v.Document)
	if err != nil {
		return false, notStarted(r.Version, &cluster.Refusal{Err: err})
	}
	if settings.Restarts <= before {
		return true, nil
	}
	now, err := s.Store.Now(ctx)
	if err != nil || now.Before(r.State.Ended.Add(settings.Backoff<<min(before, 6))) {
		return false, err
	}
	asked := store.Asked{By: r.Asked.By, Savepoint: "latest", Restart: before + 1, After: r.State.ID}
	if !settings.Streaming || r.State.Cluster { // a bounded job begins again, as this run did
		if asked.Savepoint = r.Asked.StartFrom; withoutState(r) {
			asked.Savepoint = "none"
		}
	}
	if _, err := s.begin(ctx, r.Job, r.Version, asked); err != nil && !errors.Is(err, store.ErrExists) {
		return false, err
	} // ErrExists: this was done before a crash, or a user was quicker
	return true, nil
}

// next starts the version that a run was stopped for, from the savepoint of the stop.
func (s *Server) next(ctx context.Context, r store.Run) error {
	then := r.State.Stop.Then
	_, err := s.begin(ctx, r.Job, then.Version, store.Asked{By: then.By, Savepoint: r.State.Stop.Path, After: r.State.ID, Upgrade: &store.Upgrade{From: r.Version, Within: then.Within}})
	if errors.Is(err, store.ErrExists) { // this was done before a crash, or a user was quicker
		newest, err := s.Store.Runs(ctx, r.Job, "", 20) // the run of the upgrade can have been followed, too
		if err != nil || slices.ContainsFunc(newest, func(n store.Run) bool { return n.Asked.After == r.State.ID }) {
			return err
		}
		return &cluster.Refusal{Err: fmt.Errorf("version %d is not started: run %s was started first", then.Version, newest[0].State.ID)}
	}
	return notStarted(then.Version, err)
}

// notStarted says which version it is whose definition this server cannot read.
func notStarted(version int, err error) error {
	if refusal, ok := errors.AsType[*cluster.Refusal](err); ok {
		return &cluster.Refusal{Err: fmt.Errorf("version %d is not started: %w", version, refusal)}
	}
	return err
}

// keepArchive reports whether the archive of each job of an ended run is stored, or will not come: Flink archives a little after it reports
// the end, and its JobManager ends a little later.
func (s *Server) keepArchive(ctx context.Context, r store.Run) (done bool, err error) {
	have, err := s.Store.Archives(ctx, r.State.ID)
	if err != nil {
		return false, err
	}
	missing := false
	for _, j := range r.State.Jobs {
		missing = missing || !slices.Contains(have, j.ID)
	}
	if !missing {
		return true, nil
	}
	now, err := s.Store.Now(ctx)
	if err != nil || !now.Before(r.State.Ended.Add(s.o.ArchiveWait)) {
		return err == nil, err
	}
	status, err := s.driver.Observe(ctx, r.ClusterRun())
	if errors.Is(err, cluster.ErrUnknown) {
		return true, nil
	}
	return !slices.ContainsFunc(status.Processes, func(p cluster.Process) bool { return p.JobManager && p.Alive }), err
}
