package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
)

// envPrefix starts the environment twin of every flag: --some-flag is FLINK_ENTRYPOINT_SOME_FLAG.
const envPrefix = "FLINK_ENTRYPOINT_"

// options are all flags of the program: those of the pipeline and those that concern only the command line.
type options struct {
	boot.Options
	output         string
	logFormat      string
	logLevel       string
	terminationLog string
	help           bool
	version        bool
}

// newFlagSet declares every flag once; help, the environment twins and the README's table come from it.
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
	f.DurationVar(&o.FetchTimeout, "fetch-timeout", 2*time.Minute, "total time for all that is fetched, retries too")
	f.DurationVar(&o.FetchSplay, "fetch-splay", 0, "random delay before the first request, at most this long")
	f.StringVar(&o.MemoryPolicy, "memory", "auto", "process size: auto, limit, keep, or a `SIZE`")
	f.StringVar(&o.MemoryLimit, "memory-limit", "", "memory limit of the container (`SIZE`), instead of detecting it")
	f.StringVar(&o.CPULimit, "cpu-limit", "", "CPU limit of the container (`CORES`), instead of detecting it")
	f.StringVar(&o.MemoryRatio, "memory-ratio", "1.0", "process size = `R` × container size")
	f.StringVar(&o.Slots, "slots", "keep", "task slots: auto (one per whole CPU), keep, `N`")
	f.StringVar(&o.Advertise, "advertise", "", "`ADDRESS` under which others reach this process")
	f.StringVar(&o.ConfDir, "conf-dir", "", "base `DIR`, only read (else $FLINK_CONF_DIR, $FLINK_HOME/conf)")
	f.StringVar(&o.RunDir, "run-dir", boot.DefaultRunDir, "`DIR` for what is written")
	f.StringVar(&o.ConfOut, "conf-out", "", "rendered configuration (`DIR`, default RUN-DIR/conf)")
	f.StringVar(&o.FlinkVersion, "flink-version", "", "`VERSION`, instead of reading it from lib/flink-dist-*.jar")
	f.StringVar(&o.Sysroot, "sysroot", "/", "read /proc and /sys below `DIR`")
	f.StringVar(&o.ClassArchive, "class-archive", "auto", "archive that warmup made: auto, off, or a `PATH`")
	f.StringVar(&o.output, "output", "text", "`FORMAT`: text or json; of explain also html")
	f.StringVar(&o.logFormat, "log-format", "text", "of our log on stderr: text or json (`FORMAT`)")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error (`LEVEL`)")
	f.StringVar(&o.terminationLog, "termination-log", "", "one short message on failure (`FILE`, else /dev/termination-log)")
	f.BoolVar(&o.Strict, "strict", false, "warnings become errors")
	f.BoolVarP(&o.help, "help", "h", false, "show this help")
	f.BoolVar(&o.version, "version", false, "show the version")
	return f
}

// twin returns the environment variable of a flag.
func twin(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyTwins sets every flag that was not given from its environment variable, and returns a warning for each
// variable with our prefix that no flag answers to. Kubernetes injects variables for a service that is called
// flink-entrypoint (FLINK_ENTRYPOINT_SERVICE_HOST, …_PORT_8081_TCP_ADDR): those are nobody's mistake.
func applyTwins(f *pflag.FlagSet, env []string) (warnings []string, err error) {
	byTwin := map[string]*pflag.Flag{}
	f.VisitAll(func(fl *pflag.Flag) {
		if fl.Name != "help" && fl.Name != "version" {
			byTwin[twin(fl.Name)] = fl
		}
	})
	var known []string
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		fl, ok := byTwin[name]
		switch {
		case ok && (fl.Changed || value == ""):
			// a flag beats its twin; an empty variable is what a template leaves of an unset value
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
				for k := range byTwin {
					known = append(known, k)
				}
			}
			w := fmt.Sprintf("unknown variable %s is ignored", name)
			if near := nearest(name, known); near != "" {
				w += fmt.Sprintf(" (did you mean %s?)", near)
			}
			warnings = append(warnings, w)
		}
	}
	slices.Sort(warnings)
	return warnings, nil
}

func isServiceLink(name string) bool {
	return strings.HasSuffix(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") ||
		strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_")
}

// nearest returns the word of at most three edits' distance that is closest to s, or "".
func nearest(s string, words []string) string {
	best, bestDistance := "", 4
	slices.Sort(words)
	for _, w := range words {
		if d := editDistance(s, w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
