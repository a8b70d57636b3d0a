// Package rundir keeps the run dir of a start, and the other directories that it writes to: who may use them, which start
// has them, and what earlier starts have left there.
package rundir

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"flink-entrypoint/internal/atomicfile"
)

// patience is how long a start waits for another one that writes to the same directory. A start writes for some
// milliseconds, so a process that holds a lock for longer is stopped or waits for a dead file system.
const patience = 10 * time.Second

// Locks takes the locks of one start.
type Locks struct {
	Log  *slog.Logger
	busy bool // it has waited once until the time limit, and does not wait again
}

// Take takes the lock of a directory. Without it a start goes on: files have temporary names of their own.
func (k *Locks) Take(ctx context.Context, dir string) (*atomicfile.Lock, error) {
	wait := patience
	if k.busy {
		wait = 0
	}
	l, err := atomicfile.LockDir(ctx, dir, wait)
	var busy *atomicfile.BusyError
	if !errors.As(err, &busy) {
		return l, err
	}
	if !k.busy {
		k.busy = true
		k.Log.Warn(busy.Error() + "; this start does not wait any longer and writes there without the lock")
	}
	return l, nil
}
