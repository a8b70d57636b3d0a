package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/warmup"
)

func newWarmupFlags(timeout *time.Duration) *pflag.FlagSet {
	f := pflag.NewFlagSet("warmup", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	*timeout = 5 * time.Minute
	f.Var(&boundedDuration{into: timeout, least: 1, must: "must be longer than 0"}, "timeout", "time limit of each training run")
	return f
}

// warmup makes archives of classes, and prints the path of each.
func (p *program) warmup(ctx context.Context, words []string) error {
	w := warmup.Warmup{Options: p.opts.Options, World: p.world(nil), Children: p.expectChildren}
	set := newWarmupFlags(&w.Timeout)
	if err := set.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return p.help(ctx, []string{"warmup"})
		}
		return usageError("warmup: %w", err)
	}
	names := set.Args()
	if len(names) == 0 {
		return &phase.Error{Phase: phase.Usage, Err: errors.New("warmup needs the name of a role or program to make an archive for"), Hint: "the names are: " + strings.Join(warmup.Names(), ", ")}
	}
	var err error
	if w.Quiet, err = newLogger(p.Stderr, &p.redactor, p.opts.logFormat, "error"); err != nil {
		return err
	}
	w.Made = func(a warmup.Archive) {
		p.log.Info("class archive made", "name", a.Name, "file", a.File, "megabytes", a.Size/1e6, "took", a.Took.Round(100*time.Millisecond))
		fmt.Fprintln(p.Stdout, a.File)
	}
	return w.Run(ctx, names)
}
