// Package sqlrunner runs a SQL script as one Flink application, on every version, by a small Java program.
//
// The jar (source in docker/sql-runner) is carried inside the binary. [Prepare] turns the parts of a script into
// the script file and an index of its statements, so that splitting and understanding SQL happens once, in Go,
// and the Java side only executes. What would fail or silently lose statements in the cluster is refused here.
//
// Why neither Flink's SqlDriver (2.x) nor sql-client: the first prints every statement, secrets included, and with
// a fixed job id drops the second INSERT without a message (2.0, 2.2); the second exits with 0 whatever happens.
package sqlrunner

import (
	_ "embed"
	"fmt"
)

//go:embed runner.jar
var jar string

// Jar returns the runner's jar. It is the result of go run ./docker/sql-runner.
func Jar() []byte { return []byte(jar) }

//go:embed connector.jar
var connectorJar string

// ConnectorJar returns a jar with the connector that internal/mock's Options.Changes names. It is for local runs alone: in a cluster
// nothing may find it. It is the other result of go run ./docker/sql-runner.
func ConnectorJar() []byte { return []byte(connectorJar) }

const (
	// MainClass is the job class of an application cluster, and the main class of a local run.
	MainClass = "flinkentrypoint.SqlRunner"
	// ListenerClass is a job listener that tells when a recovered job is from another definition. It is in the jar, but
	// has nothing to do with the runner: jar jobs have it too.
	ListenerClass = "flinkentrypoint.DefinitionListener"
	// JarName is the name for the jar's file.
	JarName = "flink-entrypoint-sql-runner.jar"
	// ConnectorJarName is the name for the file of ConnectorJar.
	ConnectorJarName = "flink-entrypoint-mock-connector.jar"
)

// Mode says how a script is run.
type Mode uint8

// The modes.
const (
	Application Mode = iota // main of an application cluster: what fails is thrown, Flink's exit codes
	Local                   // in one process, with lib/* and the jar on the class path: exits with 0 or 1
	Check                   // plan, do not run: every error on stdout, see ParseReport; exits with 0 or 1
	Ask                     // say how tables of catalogs are defined, see ParseDefinition
	Warm                    // run as Local does, show nothing, and say when that is done, see ParseReady
)

// String returns the runner's word for the mode.
func (m Mode) String() string { return [...]string{"run", "local", "check", "ask", "warm"}[m] }

// Arguments returns the program arguments of the main class. They hold no option, so Flink's own parser of an
// application cluster's command line leaves them alone.
func Arguments(m Mode, scriptPath, indexPath string) []string {
	return []string{m.String(), scriptPath, indexPath}
}

// Serve is the only program argument of a runner that takes requests on its standard input, each made by [Request]. It ends after a
// Local, and where its input ends, with the exit code of the last request.
const Serve = "serve"

// Request is what such a runner is asked. The modes are all but Application.
func Request(m Mode, p Plan) []byte {
	out := make([]byte, 0, len(p.Script)+len(p.Index)+64)
	out = fmt.Appendf(out, "%s %d %d\n", m, len(p.Script), len(p.Index))
	return append(append(out, p.Script...), p.Index...)
}

// SessionArguments returns the program arguments of the main class in a session cluster, for a plan of an application: the script and its
// index themselves, since the JobManager has no files of a job. The main submits the job and does not wait for its end.
func SessionArguments(p Plan) []string {
	return []string{"session", string(p.Script), string(p.Index)}
}

// Error is a script that is refused, before any Java runs. Part is empty for the user's own script; Line and
// Column (from 1) count in the part, 0 where no single place is at fault.
type Error struct {
	Part         string
	Number       int // of the statement in the part, from 1; 0 for none
	Line, Column int
	Message      string
	Hint         string
}

// Error returns place and message in one line.
func (e *Error) Error() string {
	where := ""
	if e.Number > 0 {
		where = fmt.Sprintf("statement %d, ", e.Number)
	}
	if e.Line > 0 {
		where += fmt.Sprintf("line %d", e.Line)
	}
	if e.Number == 0 && e.Column > 0 {
		where += fmt.Sprintf(", column %d", e.Column)
	}
	if e.Part != "" && where != "" {
		where = e.Part + ": " + where
	}
	if where == "" {
		return e.Message
	}
	return where + ": " + e.Message
}
