// Package launch turns a role into the java command line and environment that Flink's own scripts would make,
// without a shell and without helper JVMs.
//
// In comes everything as values ([Request]), out comes one value ([Command]); [Command.Exec] replaces the process.
// The scripts (bin/*.sh of 1.13 to 2.3) are the specification; what differs by version is data in rules.go, what
// differs on purpose is reported in [Command.Differences].
package launch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
)

// Role is a kind of Flink process.
type Role string

// The roles.
const (
	JobManager    Role = "jobmanager"     // session cluster
	StandaloneJob Role = "standalone-job" // application cluster
	TaskManager   Role = "taskmanager"
	HistoryServer Role = "history-server"
	SQLGateway    Role = "sql-gateway"

	// Flink's native Kubernetes mode.
	KubernetesSession     Role = "kubernetes-session"     // JobManager of a session cluster
	KubernetesApplication Role = "kubernetes-application" // JobManager of an application cluster
	KubernetesTaskManager Role = "kubernetes-taskmanager" // its sizes come from the JobManager, in FLINK_TM_JVM_MEM_OPTS and arguments

	// Clients of a cluster.
	FlinkClient Role = "flink"
	SQLClient   Role = "sql-client"
)

// HasMemory reports whether the role's scripts size the process (Request.Memory).
func (r Role) HasMemory() bool {
	switch r {
	case JobManager, StandaloneJob, TaskManager, KubernetesSession, KubernetesApplication:
		return true
	}
	return false
}

// IsClient reports whether the process is a client of a cluster: it logs to files of its own, and its script neither sizes it nor
// evaluates quotes in Java options.
func (r Role) IsClient() bool { return r == FlinkClient || r == SQLClient }

// Sizes is the memory calculation's result, in the words of the command line.
type Sizes interface {
	JVMParameters() []string     // -Xmx… -Xms… …
	DynamicProperties() []string // key=value, without -D
}

// Request is what a start depends on.
type Request struct {
	Role      Role
	Home      *distribution.Home
	Java      distribution.Java
	Conf      *flinkconf.Conf // what Flink reads from the file; used to say where a value comes from
	ConfDir   string          // FLINK_CONF_DIR and --configDir; empty: the home's
	Standard  bool            // config.yaml is in force, not flink-conf.yaml
	RawConf   []byte          // the bytes of the file in force: up to 1.18 the scripts read them
	ShellConf []string        // "key: value" lines as Flink flattens the file for its scripts: from 1.19 on
	Args      []string        // the user's arguments of the role
	ExtraArgs []string        // ours, put where Flink's options go: before the user's
	Env       []string        // complete process environment, NAME=value
	Memory    Sizes           // nil for roles without memory calculation

	Hostname       string   // used when HOSTNAME is unset or empty
	ExtraClasspath []string // appended to the class path
	QuickJIT       bool     // a JobManager starts with less work for the compiler
	InheritedLogs  string   // our decisions, for the head of Flink's log (FLINK_INHERITED_LOGS)

	Root  string             // absolute paths outside the home are looked up below it; empty: /
	Alive func(pid int) bool // whether a process of a pid file runs; nil: ask the kernel
}

// Command is a process to become.
type Command struct {
	Path    string            // the executable
	Argv    []string          // argv[0] is what the scripts would give
	Env     []string          // complete
	Changed map[string]string // variables added or changed
	Removed []string          // variables removed, sorted
	Stdout  string            // file that stdout is redirected to; empty: as it is
	Stderr  string

	Options   []string // the options of Argv that are the JVM's, before -classpath; nil for any other command
	ClassPath []string // its elements

	Warnings    []string // what a person should know
	Differences []string // deliberate differences from Flink's scripts that took effect
}

// Error is a command line that cannot be made from the configuration.
type Error struct {
	Message string
	Hint    string // what to do about it; may be empty
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Build makes the command of a role.
func Build(req Request) (*Command, error) {
	script, ok := scriptOf(req.Role)
	if !ok {
		return nil, &Error{Message: fmt.Sprintf("unknown role %q", req.Role)}
	}
	b := &builder{
		Request: req,
		rules:   rulesOf(req.Home.Version),
		script:  script,
		sh:      newShell(req.Env),
		cmd:     &Command{Path: req.Java.Path},
	}
	if b.ConfDir == "" {
		b.ConfDir = req.Home.ConfDir
	}
	if b.Role.IsClient() {
		b.rules.evaluate = false
	}
	return b.build()
}

// builder carries what the scripts carry from line to line.
type builder struct {
	Request
	rules  rules
	script roleScript
	sh     *shell
	cmd    *Command

	keepQuotes   bool   // see composeJavaOptions
	splitQuoted  bool   // see unquote
	sqlClientJar string // the one of the opt directory, where the lib directory has none
}

func (b *builder) build() (*Command, error) {
	if b.Role == SQLGateway && !b.rules.gateway {
		first := flinkversion.FirstWith(history(), func(r rules) bool { return r.gateway })
		return nil, &Error{Message: fmt.Sprintf("Flink %s has no SQL gateway: expected %s or later", b.Home.Version, first)}
	}
	b.configSh()
	args := b.roleSh()
	classpath, err := b.classpath()
	if err != nil {
		return nil, err
	}
	logging := b.logging()
	options, err := b.javaOptions()
	if err != nil {
		return nil, err
	}

	jvmArgs := fields(b.sh.get("JVM_ARGS"))
	switch {
	case b.Role == SQLClient && !b.rules.sqlClientOptions:
		options = jvmArgs
	case b.Role == SQLClient:
		options = append(options, jvmArgs...)
	default:
		options = append(jvmArgs, options...)
	}
	argv := concat([]string{b.Java.Run}, options, logging)
	b.cmd.Options, b.cmd.ClassPath = argv[1:len(argv):len(argv)], classpath
	argv = append(argv, "-classpath", strings.Join(classpath, ":"), b.script.class)
	b.cmd.Argv = append(argv, args...)
	if b.Role == SQLClient && b.rules.sqlClientJarArgument && b.sqlClientJar != "" {
		b.cmd.Argv = append(b.cmd.Argv, "--jar", b.sqlClientJar)
	}

	b.addQuickJIT()
	if b.InheritedLogs != "" {
		b.sh.export("FLINK_INHERITED_LOGS", "\n"+b.sh.get("FLINK_INHERITED_LOGS")+"\n\n"+b.InheritedLogs+"\n")
	}
	b.cmd.Env, b.cmd.Changed, b.cmd.Removed = b.sh.environment()
	return b.cmd, nil
}

// Prepend puts options before all others, which are stronger for that.
func (c *Command) Prepend(options ...string) {
	c.Options = slices.Concat(options, c.Options)
	c.Argv = slices.Concat(c.Argv[:1], options, c.Argv[1:])
}

// shell is the variables of the running script.
type shell struct {
	initial  map[string]string
	order    []string // names of the initial environment
	vars     map[string]string
	exported map[string]bool
}

func newShell(env []string) *shell {
	s := &shell{initial: make(map[string]string, len(env)), exported: make(map[string]bool, len(env)+16)}
	for _, kv := range env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			continue
		}
		if _, seen := s.initial[name]; !seen {
			s.order = append(s.order, name)
		}
		s.initial[name] = value
		s.exported[name] = true
	}
	s.vars = maps.Clone(s.initial)
	return s
}

func (s *shell) get(name string) string { return s.vars[name] }

func (s *shell) lookup(name string) (string, bool) {
	v, ok := s.vars[name]
	return v, ok
}

// set assigns a variable. One that came with the environment stays exported, as in any shell.
func (s *shell) set(name, value string) { s.vars[name] = value }

func (s *shell) export(name, value string) {
	s.vars[name] = value
	s.exported[name] = true
}

// array makes the variable an array, which no environment can hold.
func (s *shell) array(name string) {
	delete(s.vars, name)
	delete(s.exported, name)
}

// environment returns the exported variables, and what differs from the initial ones.
func (s *shell) environment() (env []string, changed map[string]string, removed []string) {
	changed = make(map[string]string)
	for _, name := range s.order {
		if !s.exported[name] {
			removed = append(removed, name)
			continue
		}
		env = append(env, name+"="+s.vars[name])
		if s.vars[name] != s.initial[name] {
			changed[name] = s.vars[name]
		}
	}
	var added []string
	for name := range s.exported {
		if _, ok := s.initial[name]; !ok {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	for _, name := range added {
		env = append(env, name+"="+s.vars[name])
		changed[name] = s.vars[name]
	}
	slices.Sort(removed)
	return env, changed, removed
}
