package boot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/rundir"
)

// Apply writes what the plan says: artifacts, SQL, the runner, and the configuration last. Every file appears by rename, and one
// that would not change is not touched. It returns the paths that did change.
func (r *Run) Apply(ctx context.Context, p *Plan) ([]string, error) {
	began := time.Now()
	defer func() { r.spend(phase.Write, time.Since(began)) }()
	log := r.world.Log
	for _, w := range p.Warnings {
		log.Warn(w)
	}
	if p.Config.Kept {
		return nil, nil
	}
	if err := rundir.Prepare(p.runDir); err != nil {
		return nil, err
	}
	dir, conf := p.dir(), &p.Config
	way := dir.InTheWay()
	if err := dir.CheckPlaces(way, conf.OutDir, conf.OutFile, conf.inPlace()); err != nil {
		return nil, err
	}
	locks := rundir.Locks{Log: log}
	own, err := locks.Take(ctx, p.runDir)
	if err != nil {
		return nil, err
	}
	defer func() { own.Release() }()
	dir.RemoveStale(own)
	changed, err := dir.ClearWay(way)
	if err != nil {
		return nil, err
	}
	if len(p.Artifacts) > 0 {
		own.Release() // a download may take minutes; each has a lock of its own
		if err := r.FetchArtifacts(ctx, p.Artifacts); err != nil {
			return nil, err
		}
		if own, err = locks.Take(ctx, p.runDir); err != nil {
			return nil, err
		}
		more, err := dir.ClearWay(dir.InTheWay()) // of a start that shares the run dir and was here meanwhile
		if err != nil {
			return nil, err
		}
		changed = append(changed, more...)
	}
	put, err := dir.Put(ctx)
	changed = append(changed, put...)
	if err != nil {
		return changed, err
	}
	written, err := p.writeConfiguration(ctx, &locks, own)
	if err != nil {
		if ctx.Err() != nil {
			return changed, err
		}
		return changed, phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	changed = append(changed, written...)
	if err := p.inForce(); err != nil {
		return changed, err
	}
	removed, err := dir.RemoveOld()
	changed = append(changed, removed...)
	if err != nil {
		return changed, err
	}
	log.Info("configuration written", "phase", "write", "file", p.Config.OutFile, "changed", len(changed) > 0)
	return changed, nil
}

// inForce makes sure that Flink will read what was written: where a person laid a flink-conf.yaml into the directory, 1.19 and
// 1.20 would prefer that one, in silence.
func (p *Plan) inForce() error {
	c := &p.Config
	name, _, _ := confpatch.InForceIn(c.OutDir, p.Home.Version)
	if name == filepath.Base(c.OutFile) {
		return nil
	}
	return phase.Fail(phase.Write, fmt.Errorf("Flink %s would read %s instead of %s", p.Home.Version.Release(), filepath.Join(c.OutDir, name), c.OutFile),
		"remove that file, or choose another directory with --conf-out")
}

// writeConfiguration writes the complete conf dir. own is the lock of the run dir.
func (p *Plan) writeConfiguration(ctx context.Context, locks *rundir.Locks, own *atomicfile.Lock) ([]string, error) {
	c := &p.Config
	if err := os.MkdirAll(c.OutDir, 0o755); err != nil {
		return nil, atomicfile.Failed(c.OutDir, err)
	}
	l := own
	if !rundir.SameDir(c.OutDir, p.runDir) { // else this start would wait for itself
		var err error
		if l, err = locks.Take(ctx, c.OutDir); err != nil {
			return nil, err
		}
		defer l.Release()
	}
	r := p.rendered()
	if c.inPlace() {
		return confpatch.WriteInPlace(l, c.BaseDir, c.base, r)
	}
	to := confpatch.Place{Dir: c.OutDir, Lock: l, Life: p.dir().Lifetime(c.OutFile)}
	return confpatch.WriteDir(c.BaseDir, to, r, p.copying(p.mode == Start))
}

func (p *Plan) rendered() confpatch.Rendered {
	c := &p.Config
	return confpatch.Rendered{Name: filepath.Base(c.OutFile), Content: c.Rendered, Secret: c.Secret, Extra: c.siblings, By: p.Role}
}

func (p *Plan) copying(linkLogs bool) confpatch.Copying {
	return confpatch.Copying{LinkLogs: linkLogs, Without: p.runDir}
}
