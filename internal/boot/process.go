package boot

import (
	"errors"
	"io/fs"
	"os"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/privileges"
	"flink-entrypoint/internal/redact"
)

// OpenHome finds out what the Flink home is. Its version decides almost everything that follows.
func (r *Run) OpenHome() (*distribution.Home, error) {
	home, err := openHome(environ.Of(r.world.Env), r.opts.FlinkVersion)
	if err != nil {
		return nil, DistributionError(err)
	}
	if home.Warning != "" {
		r.Warn("%s", home.Warning)
	}
	redact.Arguments(r.world.Args, func(_, hidden string) { r.world.Redactor.AddOption(hidden) })
	return home, nil
}

func openHome(env environ.Vars, version string) (*distribution.Home, error) {
	home := env.Get("FLINK_HOME")
	if home == "" {
		home = "/opt/flink" // where the official images have it
	}
	return distribution.Open(home, env.Lookup, version)
}

func DistributionError(err error) error {
	var e *distribution.Error
	if errors.As(err, &e) {
		return phase.Fail(phase.Distribution, err, e.Hint)
	}
	return phase.Fail(phase.Distribution, err, "")
}

// Process is this process as the user that a start has.
type Process struct {
	Env  []string
	Vars environ.Vars // Env, to look up
	// AsRoot is the warning that it still runs as root. It is for starts: what is only checked may run anywhere.
	AsRoot string

	changed bool // it was root
}

// BecomeFlink comes before the first read of what may be hostile, in every command: what explain, validate or debug could
// read as root and a start could not would not be the truth about that start, and Java is not for root. home may be nil: a
// definition can be checked without a Flink home.
func (r *Run) BecomeFlink(home *distribution.Home) (Process, error) {
	root := os.Getuid() == 0
	env, warning, err := privileges.Drop(r.versionOfStart(home), r.world.Env)
	if err != nil {
		return Process{}, err
	}
	return Process{Env: env, Vars: environ.Of(env), AsRoot: warning, changed: root && os.Getuid() != 0}, nil
}

// versionOfStart is the version of Flink by which a start here would decide about its user.
func (r *Run) versionOfStart(home *distribution.Home) flinkversion.Version {
	if home != nil {
		return home.Version
	}
	if home, err := openHome(environ.Of(r.world.Env), r.opts.FlinkVersion); err == nil {
		return home.Version
	}
	v, _ := flinkversion.Parse(r.opts.FlinkVersion) // the zero version, below 2.4, where nothing is known
	return v
}

// Denied adds to a denied permission which user is denied: root could do it, and root is who started this program.
func (p Process) Denied(err error) error {
	var e *phase.Error
	if !p.changed || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) {
		return err
	}
	const user = "started as root, this program has become the user flink"
	if e.Hint == "" {
		return &phase.Error{Phase: e.Phase, Err: e.Err, Hint: user}
	}
	return &phase.Error{Phase: e.Phase, Err: e.Err, Hint: e.Hint + " (" + user + ")"}
}
