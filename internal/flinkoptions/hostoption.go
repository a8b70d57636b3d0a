package flinkoptions

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkversion"
)

// The options --host and --webui-port of JobManagers. Flink 1.x sets jobmanager.rpc.address and rest.port from them, stronger than
// from -D (ClusterEntrypoint.loadConfiguration). 2.0 removed them (FLINK-36355): standalone-job gives them, and every Flink option
// after them, to the job's main. Operators until FLINK-38795 and Flink's own manifests for high availability pass --host.

// hostOption is one of them.
type hostOption struct {
	short, long, key string
	fits             func(value string) bool
}

func hostOptions() []hostOption {
	return []hostOption{
		{"h", "host", keyAddress, func(v string) bool { return v != "" && v[0] != '-' }},
		{"r", "webui-port", "rest.port", func(v string) bool { _, err := strconv.ParseUint(v, 10, 16); return err == nil }},
	}
}

// hostOptionAt reads such an option at the start of words, as commons-cli does: --host V, --host=V, -host V, -h V, -h=V, -hV.
func hostOptionAt(words []string) (o hostOption, value string, size int, ok bool) {
	name, joined, isJoined := strings.Cut(words[0], "=")
	for _, o := range hostOptions() {
		switch {
		case name == "--"+o.long || name == "-"+o.long || name == "-"+o.short:
			switch {
			case isJoined:
				return o, joined, 1, o.fits(joined)
			case len(words) > 1:
				return o, words[1], 2, o.fits(words[1])
			}
		case strings.HasPrefix(words[0], "-"+o.short) && !isJoined:
			value := words[0][2:] // -rate and -help are the job's
			_, err := netip.ParseAddr(value)
			if o.key != keyAddress && o.fits(value) || o.key == keyAddress && err == nil {
				return o, value, 1, true
			}
		}
	}
	return o, "", 0, false
}

// Arguments are the arguments of a role as its process gets them.
type Arguments struct {
	Words       []string
	Differences []string // from Flink's scripts
	Warnings    []string
}

// WithoutHostOptions replaces the options of a JobManager where this Flink does not know them, or its script does not.
func WithoutHostOptions(role string, v flinkversion.Version, args []string, vars environ.Vars) Arguments {
	r := hostOptionReader{version: v, vars: vars}
	switch {
	case role == "jobmanager":
		args = r.session(args, rulesOf(v).jobManagerProperties)
	case role == "standalone-job" && !KnowsHost(v):
		args = r.application(args)
	}
	return Arguments{args, r.differences, r.warnings}
}

// keyAddress is what --host sets.
const keyAddress = "jobmanager.rpc.address"

// rules are what releases know of these options.
type rules struct {
	hostOption           bool // JobManagers know --host and --webui-port
	jobManagerProperties bool // jobmanager.sh takes -D
}

// KnowsHost reports whether JobManagers of a release know --host and --webui-port.
func KnowsHost(v flinkversion.Version) bool { return rulesOf(v).hostOption }

func rulesOf(v flinkversion.Version) rules {
	return flinkversion.RulesOf(v, []flinkversion.Change[rules]{
		flinkversion.From(0, 0, func(r *rules) { r.hostOption = true }),
		flinkversion.From(1, 15, func(r *rules) { r.jobManagerProperties = true }), // FLINK-28733
		flinkversion.From(2, 0, func(r *rules) { r.hostOption = false }),           // FLINK-36355
	})
}

// hostOptionReader reads the arguments, and notes warnings and differences.
type hostOptionReader struct {
	version     flinkversion.Version
	vars        environ.Vars
	differences []string
	warnings    []string
}

func (r *hostOptionReader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// session reads the options of a session cluster, which has no main: all of them are Flink's. jobmanager.sh takes the word --host for
// the name of the host; only after a -D, and only until 1.20, it gets to Flink. It takes HOST [PORT], and from 1.15 on -D.
func (r *hostOptionReader) session(args []string, properties bool) []string {
	var rest []string
	found := map[string]string{}
	for i := 0; i < len(args); {
		if args[i] == "-D" && i+1 < len(args) {
			rest = append(rest, args[i:i+2]...)
			i += 2
			continue
		}
		o, value, size, ok := hostOptionAt(args[i:])
		if !ok {
			rest = append(rest, args[i])
			i++
			continue
		}
		if _, twice := found[o.key]; !twice { // commons-cli returns the first value
			found[o.key] = value
		}
		i += size
	}
	host, port := found[keyAddress], found["rest.port"]
	switch {
	case len(found) == 0 || !properties && host == "":
		return args
	case properties:
		return r.asProperties(rest, found)
	case port != "":
		rest = slices.Insert(rest, 0, port)
	}
	r.differences = append(r.differences, "--host is the JobManager's host; Flink's script takes the word --host for a host name")
	return slices.Insert(rest, 0, host)
}

// asProperties appends what was found as -D, which every version knows. Of two -D of one key the later counts.
func (r *hostOptionReader) asProperties(args []string, found map[string]string) []string {
	out := slices.Clone(args)
	for _, o := range hostOptions() {
		if value, ok := found[o.key]; ok {
			out = append(out, "-D", o.key+"="+value)
			r.differences = append(r.differences, fmt.Sprintf("--%s is passed as -D %s, which is what Flink 1.x makes of it", o.long, o.key))
		}
	}
	return out
}

// application finds the options of an application cluster of Flink 2.x among the words before the job's own arguments, as
// 1.x would. There the same words may be the job's: on 2.x `--host db --port 1` after the class reaches its main. They are Flink's if
// an option of Flink's is after them, or if the value is this pod's address; they are the job's after "--" and after the first word
// that is not an option. Else an address that others can reach is taken for the JobManager's, a name is left to the job.
func (r *hostOptionReader) application(args []string) []string {
	var options []string
	found := map[string]string{}
	i := 0
	for i < len(args) {
		if o, value, size, ok := hostOptionAt(args[i:]); ok {
			_, twice := found[o.key]
			sure := flinkOptionIn(args[i+size:]) || r.isOwnAddress(value) || strings.HasPrefix(args[i], "--webui-port")
			guess := r.mayBeAddress(o, value)
			if !sure && (twice || !guess) {
				if !twice {
					r.warn("--%s after standalone-job is passed to the job's main method, Flink %s does not know it: for the JobManager write -D %s=…, for the job write -- before it", o.long, r.version.Release(), o.key)
				}
				break
			}
			if !sure {
				r.warn("--%s after standalone-job is taken for %s, as by Flink 1.x: if it is the job's, write -- before it", o.long, o.key)
			}
			if !twice {
				found[o.key] = value
			}
			i += size
			continue
		}
		size := JobOptionSize(args[i:])
		if size == 0 {
			break
		}
		options = append(options, args[i:i+size]...)
		i += size
	}
	if len(found) == 0 {
		return args
	}
	return append(r.asProperties(options, found), args[i:]...)
}

// JobOptionSize returns how many words at the start are an option of standalone-job on 2.x, and its values; 0 if the first is not one.
func JobOptionSize(words []string) int {
	word := words[0]
	name, _, joined := strings.Cut(word, "=")
	size := 1
	switch name {
	case "-n", "--allowNonRestoredState", "-allowNonRestoredState":
		return 1
	case "-jars", "--jars":
		for !joined && size < len(words) && !strings.HasPrefix(words[size], "-") {
			size++
		}
		return size
	case "-D", "-c", "-j", "-jid", "-s", "--configDir", "--job-classname", "--job-id", "--fromSavepoint", "-configDir", "-job-classname", "-job-id", "-fromSavepoint":
		if !joined && len(words) > 1 {
			return 2
		}
		return 1
	}
	if strings.HasPrefix(word, "-D") {
		return 1
	}
	return 0
}

// flinkOptionIn reports whether the words go on with an option that only Flink can mean. A job may well have -s or -n of its own.
func flinkOptionIn(words []string) bool {
	for i := 0; i < len(words); {
		name, _, _ := strings.Cut(words[i], "=")
		if slices.Contains([]string{"-j", "-jid", "-jars", "--jars", "--job-classname", "--job-id", "--fromSavepoint", "--allowNonRestoredState", "--configDir"}, name) ||
			strings.HasPrefix(words[i], "-D") {
			return true
		}
		size := JobOptionSize(words[i:])
		if _, _, n, ok := hostOptionAt(words[i:]); ok {
			size = n
		}
		if size == 0 {
			return false
		}
		i += size
	}
	return false
}

// isOwnAddress reports whether an operator or a manifest passed this pod's address.
func (r *hostOptionReader) isOwnAddress(value string) bool {
	return value != "" && (value == r.vars.Get("POD_IP") || value == r.vars.Get("_POD_IP_ADDRESS"))
}

// mayBeAddress reports whether a value after which the job's arguments may follow looks like an address.
func (r *hostOptionReader) mayBeAddress(o hostOption, value string) bool {
	if o.key != keyAddress {
		return false
	}
	ip, err := netip.ParseAddr(value)
	known := r.vars.Get("POD_IP") != "" || r.vars.Get("_POD_IP_ADDRESS") != ""
	return err == nil && !known && !ip.IsLoopback() && !ip.IsUnspecified()
}
