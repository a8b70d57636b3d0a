package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/validate"
)

// debugFlags are the flags after the word debug.
type debugFlags struct {
	localrun.Options
	data []string
	show bool
}

func newDebugFlags(o *debugFlags) *pflag.FlagSet {
	f := pflag.NewFlagSet("debug", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.Int64Var(&o.Rows, "rows", 10, "rows that each source generates")
	f.Int64Var(&o.RowsPerSecond, "rows-per-second", 0, "rows per second of each source (default: no limit)")
	f.StringArrayVar(&o.Keep, "keep", nil, "keep the real connector of `TABLE`; may be repeated")
	f.StringArrayVar(&o.data, "data", nil, "read `TABLE=FILE` (CSV, JSON) instead of generated rows; may be repeated")
	f.Int64Var(&o.Seed, "seed", 0, "seed that gives the same numbers and strings each time")
	f.BoolVar(&o.show, "show", false, "print the rewritten SQL, its sources and sinks; run nothing")
	return f
}

// debug runs a SQL job here, on generated rows.
func (p *program) debug(ctx context.Context, words []string) error {
	var flags debugFlags
	set := newDebugFlags(&flags)
	if err := set.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return p.help(ctx, []string{"debug"})
		}
		return debugUsage("debug: %w", err)
	}
	switch rest := set.Args(); {
	case len(rest) == 1:
		p.opts.Definition = rest[0]
	case len(rest) > 1 || p.opts.Definition == "":
		return debugUsage("debug needs one job, a definition or a .sql file; found %d", len(rest))
	}
	if flags.Rows < 1 || flags.RowsPerSecond < 1 && set.Changed("rows-per-second") {
		return debugUsage("--rows and --rows-per-second: expected a number of at least 1")
	}
	var err error
	if flags.Data, err = dataFiles(flags.data); err != nil {
		return err
	}
	if p.opts.logLevel == "info" && !p.levelGiven {
		p.log, _ = newLogger(p.Stderr, &p.redactor, p.opts.logFormat, "warn") // rows are what is asked for
	}
	start := time.Now()
	local, err := localrun.Debug(ctx, !flags.show, p.opts.Options, flags.Options, p.world(nil))
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return p.shownFaults(err)
	}
	if flags.show {
		p.warn(local.Warnings)
		return local.Show(p.Stdout)
	}
	out := localrun.Output{Stdout: p.Stdout, Stderr: p.Stderr, Colour: p.colour(), Log: p.log, Children: p.expectChildren}
	return p.shownFaults(local.Run(ctx, out, start))
}

func (p *program) warn(warnings []string) {
	for _, w := range warnings {
		p.log.Warn(w)
	}
}

func debugUsage(format string, args ...any) error {
	return &phase.Error{Phase: phase.Usage, Err: fmt.Errorf(format, args...), Hint: "flink-entrypoint help debug shows its flags"}
}

// dataFiles reads --data. Paths become absolute: another process opens them.
func dataFiles(words []string) (map[string]string, error) {
	files := map[string]string{}
	for _, w := range words {
		table, file, ok := strings.Cut(w, "=")
		if !ok || table == "" || file == "" {
			return nil, debugUsage("--data: found %q, expected TABLE=FILE", w)
		}
		if other, twice := files[table]; twice {
			return nil, debugUsage("--data: table %s has two files, %q and %q", table, other, file)
		}
		if !strings.Contains(file, "://") && !strings.HasPrefix(file, "file:") {
			abs, err := filepath.Abs(file)
			if err != nil {
				return nil, debugUsage("--data: %w", err)
			}
			if _, err := os.Stat(abs); err != nil {
				return nil, debugUsage("--data: %w", err)
			}
			file = abs
		}
		files[table] = file
	}
	return files, nil
}

// shownFaults shows the places of an error of the script, before it is reported as any other.
func (p *program) shownFaults(err error) error {
	var faults *validate.FaultsError
	if errors.As(err, &faults) {
		validate.Write(p.Stderr, faults.Faults, p.redactor.Redact)
	}
	return err
}
