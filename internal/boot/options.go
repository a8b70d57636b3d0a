// Package boot is the pipeline: gather → plan → apply → exec. It is the only place that knows the order of
// things and who overrides whom; every stage's own knowledge lives in the room named after it.
//
// [Gather] reads the world and returns a [Plan], a plain value that says everything that will happen.
// [Plan.Apply] writes the files. The caller executes [Plan.Command]. A dry run prints the Plan that the real run
// would execute, so the two cannot differ.
package boot

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/redact"
)

// What is not a role.
const (
	// PassThrough is a command that is executed as it is, after its configuration is prepared.
	PassThrough = "pass-through"
	// Command is a command that may start one of Flink's scripts, whose role it then has; else it is PassThrough.
	Command = "command"
)

// Roles are the Flink processes that can be started, by the names of the official image and of Flink's native Kubernetes mode.
var roles = [...]string{"jobmanager", "standalone-job", "taskmanager", "history-server", "sql-gateway",
	"kubernetes-session", "kubernetes-application", "kubernetes-taskmanager"}

// IsRole reports whether name is a role.
func IsRole(name string) bool {
	for _, r := range roles {
		if r == name {
			return true
		}
	}
	return false
}

// Roles returns the roles.
func Roles() []string { return slices.Clone(roles[:]) }

// RoleNames returns the roles for messages.
func RoleNames() string { return strings.Join(roles[:], ", ") }

// Options are the values of the flags; the zero value of each means that it was not given.
type Options struct {
	Definition        string // URI
	DefinitionPointer string
	DefinitionSHA256  string
	DefinitionHeaders []string // "K: V"
	TokenFile         string
	CAFile            string
	CertFile, KeyFile string
	DefinitionCache   string
	FetchTimeout      time.Duration
	FetchSplay        time.Duration

	// What a JobManager of a platform's run must know; the first three, or none.
	Run             string
	EventsURL       string
	EventsTokenFile string
	Attempt         string // what the platform calls this process; empty: boot id, process id and start

	Metrics               string // list: see reporters.Wanted.Flag
	MemoryPolicy          string // auto, limit, keep, or a size
	MemoryLimit, CPULimit string
	MemoryRatio           string // decimal text, so that the multiplication is exact
	Slots                 string // auto, keep, or a number
	Advertise             string

	ConfDir      string
	RunDir       string
	ConfOut      string
	FlinkVersion string
	Sysroot      string
	ClassArchive string // auto, off, or where it is: a file or a directory
	JIT          string // default or quick
	Strict       bool
}

// World is what the pipeline sees of the outside, as values, so that a test can put another in its place.
type World struct {
	Args     []string // of the role or command
	Env      []string // complete environment, "K=V"
	Hostname func() (string, error)
	FQDN     func(ctx context.Context, hostname string) string // name of this host for others: hosts file before DNS
	Log      *slog.Logger
	Version  string                                // of this program, for the User-Agent
	Self     string                                // the file of this program; "" when it is not known
	Progress fetch.Progress                        // may be nil
	Proxy    func(*http.Request) (*url.URL, error) // chooses the proxy of a request; nil: none
	Warnings []string                              // found before the pipeline, e.g. unknown variables
	Redactor *redact.Redactor                      // gets every secret as soon as it is known; may be nil
	// SecretFiles are the places of files that references name, where that is not their path.
	SecretFiles map[string]string
}

// DefaultRunDir is where the rendered files are unless --run-dir says otherwise. Images set FLINK_CONF_DIR to the conf below
// it, for those who enter a container; as the base of another run dir that would be a directory that does not exist.
const DefaultRunDir = "/tmp/flink-entrypoint"

// Mode is what the plan is made for.
type Mode uint8

// The modes: start the process, write everything but start nothing, only show, or write everything for a training run of
// warmup, which uses no archive.
const (
	Start Mode = iota
	Render
	Explain
	Train
)
