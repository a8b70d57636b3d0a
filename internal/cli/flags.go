package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/nearest"
)

// envPrefix starts the environment variable of every flag: --some-flag is FLINK_ENTRYPOINT_SOME_FLAG.
const envPrefix = "FLINK_ENTRYPOINT_"

// options are all flags of the program: the flags of the pipeline, and the flags of the command line alone.
type options struct {
	boot.Options
	output         string
	logFormat      string
	logLevel       string
	terminationLog string
	help           bool
	version        bool
}

// newFlagSet declares every flag once; help, the environment variables and the README's table come from it.
func newFlagSet(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet("flink-entrypoint", pflag.ContinueOnError)
	f.SetInterspersed(false) // what follows the role or command belongs to Flink
	f.SortFlags = false
	f.Usage = func() {}
	f.StringVar(&o.Definition, "definition", "", "job definition: path, file:, http(s): `URI`, or a .sql file")
	f.StringVar(&o.DefinitionPointer, "definition-pointer", "", "JSON `POINTER` to the definition inside the answer, e.g. /data")
	f.StringVar(&o.DefinitionSHA256, "definition-sha256", "", "the definition must have this digest (`HEX`)")
	f.StringArrayVar(&o.DefinitionHeaders, "definition-header", nil, "request header `'K: V'`; may be repeated")
	f.StringVar(&o.TokenFile, "definition-token-file", "", "bearer token, read from `FILE` at each attempt")
	f.StringVar(&o.CAFile, "definition-ca-file", "", "certificates to trust (PEM `FILE`)")
	f.StringVar(&o.CertFile, "definition-cert-file", "", "client certificate (PEM `FILE`)")
	f.StringVar(&o.KeyFile, "definition-key-file", "", "key of the client certificate (PEM `FILE`)")
	f.StringVar(&o.DefinitionCache, "definition-cache", "", "last good copy, used when the service cannot be reached (`FILE`)")
	o.FetchTimeout = 2 * time.Minute
	f.Var(&boundedDuration{into: &o.FetchTimeout, least: 1, must: "must be longer than 0"}, "fetch-timeout", "total time for fetching everything, with retries")
	f.Var(&boundedDuration{into: &o.FetchSplay, must: "must not be negative"}, "fetch-splay", "random delay before the first request, at most this long")
	f.StringVar(&o.Run, "run", "", "`ID` of a run; its JobManager reports its jobs to the platform")
	f.StringVar(&o.EventsURL, "events-url", "", "`URL` for the status of jobs; archives go beside it")
	f.StringVar(&o.EventsTokenFile, "events-token-file", "", "bearer token of the run, read from `FILE` at each request")
	f.StringVar(&o.Attempt, "attempt", "", "`ID` of this process for the platform: the UID of a pod")
	f.StringVar(&o.Metrics, "metrics", "", "`LIST` of prometheus[=PORT], otlp=URL, labels.NAME=VALUE; or off")
	f.StringVar(&o.MemoryPolicy, "memory", "auto", "process size: auto, limit, keep, or a `SIZE`")
	f.StringVar(&o.MemoryLimit, "memory-limit", "", "memory limit of the container (`SIZE`), instead of detecting it")
	f.StringVar(&o.CPULimit, "cpu-limit", "", "CPU limit of the container (`CORES`), instead of detecting it")
	f.StringVar(&o.MemoryRatio, "memory-ratio", "1.0", "process size = `R` × container size")
	f.StringVar(&o.Slots, "slots", "keep", "task slots: auto (one per whole CPU), keep, `N`")
	f.StringVar(&o.Advertise, "advertise", "", "`ADDRESS` at which other processes reach this one")
	f.StringVar(&o.ConfDir, "conf-dir", "", "base `DIR`, only read (else $FLINK_CONF_DIR, $FLINK_HOME/conf)")
	f.StringVar(&o.RunDir, "run-dir", boot.DefaultRunDir, "`DIR` for generated files")
	f.StringVar(&o.ConfOut, "conf-out", "", "rendered configuration (`DIR`, default RUN-DIR/conf)")
	f.StringVar(&o.FlinkVersion, "flink-version", "", "`VERSION`, instead of reading it from lib/flink-dist-*.jar")
	f.StringVar(&o.Sysroot, "sysroot", "/", "read /proc and /sys below `DIR`")
	f.StringVar(&o.ClassArchive, "class-archive", "auto", "archive that warmup made: auto, off, or a `PATH`")
	f.Var(&choice{into: &o.JIT, of: []string{"default", "quick"}}, "jit", "JobManager's JIT (`MODE`): default or quick")
	f.StringVar(&o.output, "output", "text", "`FORMAT`: text or json; also html for explain")
	f.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log on stderr: text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error (`LEVEL`)")
	f.StringVar(&o.terminationLog, "termination-log", "", "one short message on failure (`FILE`, else /dev/termination-log)")
	f.BoolVar(&o.Strict, "strict", false, "warnings become errors")
	f.BoolVarP(&o.help, "help", "h", false, "show this help")
	f.BoolVar(&o.version, "version", false, "show the version")
	return f
}

// choice is the value of a flag: one of some words, the first of which is the default.
type choice struct {
	into *string
	of   []string
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("must be %s", strings.Join(c.of, " or "))
	}
	*c.into = s
	return nil
}

func (c *choice) String() string {
	if c.into == nil || *c.into == "" && len(c.of) == 0 {
		return ""
	}
	return cmp.Or(*c.into, c.of[0])
}

func (c *choice) Type() string { return "string" }

// boundedDuration is the value of a flag: a duration that is not shorter than the least.
type boundedDuration struct {
	into  *time.Duration
	least time.Duration
	must  string // what is wrong with a shorter one
}

func (d *boundedDuration) Set(s string) error {
	value, err := time.ParseDuration(s)
	if err != nil {
		return errors.New(`must be a duration like "30s" or "5m"`)
	}
	if value < d.least {
		return errors.New(d.must)
	}
	*d.into = value
	return nil
}

// String is "0" for no time: help leaves that default out.
func (d *boundedDuration) String() string {
	if d.into == nil || *d.into == 0 {
		return "0"
	}
	return d.into.String()
}

func (d *boundedDuration) Type() string { return "duration" }

// environmentName returns the environment variable of a flag.
func environmentName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnvironment sets every flag that was not given from its environment variable, and returns a warning for each
// variable with our prefix that no flag answers to. Kubernetes injects variables for a service that is called
// flink-entrypoint (FLINK_ENTRYPOINT_SERVICE_HOST, …_PORT_8081_TCP_ADDR): they are not user errors.
func applyEnvironment(f *pflag.FlagSet, env []string) (warnings []string, err error) {
	byEnvironmentName := map[string]*pflag.Flag{}
	f.VisitAll(func(fl *pflag.Flag) {
		if fl.Name != "help" && fl.Name != "version" {
			byEnvironmentName[environmentName(fl.Name)] = fl
		}
	})
	var known []string
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		fl, ok := byEnvironmentName[name]
		switch {
		case ok && (fl.Changed || value == ""):
			// a flag beats its variable; an empty variable is what a template leaves of an unset value
		case ok && fl.Name == "definition-header":
			for line := range strings.Lines(value) {
				if line = strings.TrimSpace(line); line != "" {
					if err := f.Set(fl.Name, line); err != nil {
						return nil, fmt.Errorf("%s: %w", name, err)
					}
				}
			}
		case ok:
			if err := f.Set(fl.Name, value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		case isServiceLink(name):
		default:
			if known == nil {
				for k := range byEnvironmentName {
					known = append(known, k)
				}
				slices.Sort(known)
			}
			w := fmt.Sprintf("unknown variable %s is ignored", name)
			if near := nearest.Name(name, known, nearEnough); near != "" {
				w += fmt.Sprintf(" (did you mean %s?)", near)
			}
			warnings = append(warnings, w)
		}
	}
	slices.Sort(warnings)
	return warnings, nil
}

// nearEnough is how many edits away a name may be that was meant.
const nearEnough = 3

func isServiceLink(name string) bool {
	return strings.HasSuffix(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") ||
		strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_")
}
