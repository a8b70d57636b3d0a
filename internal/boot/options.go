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
	"strings"
	"time"

	"flink-entrypoint/internal/fetch"
)

// PassThrough is the role of a command that is no role of Flink's: its configuration is prepared, then it is executed.
const PassThrough = "pass-through"

// Roles are the Flink processes that can be started, by the names of the official image.
var roles = [...]string{"jobmanager", "standalone-job", "taskmanager", "history-server", "sql-gateway"}

// IsRole reports whether name is a role.
func IsRole(name string) bool {
	for _, r := range roles {
		if r == name {
			return true
		}
	}
	return false
}

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

	MemoryPolicy string // auto, limit, keep, or a size
	MemoryLimit  string
	CPULimit     string
	MemoryRatio  string // decimal text, so that the multiplication is exact
	Slots        string // auto, keep, or a number
	Advertise    string

	ConfDir      string
	RunDir       string
	ConfOut      string
	FlinkVersion string
	Sysroot      string
	ClassArchive string // auto, off, or where it is: a file or a directory
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
	Progress fetch.Progress                        // may be nil
	Proxy    func(*http.Request) (*url.URL, error) // chooses the proxy of a request; nil: none
	Warnings []string                              // found before the pipeline, e.g. unknown variables
	Redactor *Redactor                             // is told every secret as soon as it is known; may be nil
}

// DefaultRunDir is where the rendered files lie unless --run-dir says otherwise. Images set FLINK_CONF_DIR to the conf below
// it, for those who enter a container; as the base of another run dir that would be a directory that nobody has made.
const DefaultRunDir = "/tmp/flink-entrypoint"

// Mode is what the plan is made for.
type Mode uint8

// The modes: start the process, write everything but start nothing, or only show.
const (
	Start Mode = iota
	Render
	Explain
)

// environment looks variables up as a process would: the last of equal names wins.
type environment map[string]string

func newEnvironment(env []string) environment {
	m := make(environment, len(env))
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

func (e environment) lookup(name string) (string, bool) { v, ok := e[name]; return v, ok }

// get returns the value of a variable, "" when it is unset: Flink's scripts do not tell the two apart.
func (e environment) get(name string) string { return e[name] }
