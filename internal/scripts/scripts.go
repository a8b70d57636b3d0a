// Package scripts recognises a command that starts one of Flink's own scripts, so that the process which the script would
// become can be started without it: by the script's name, by its path, or as the one command of a `bash -c`.
//
// In come the command, the environment and the Flink home, out comes a role with its arguments, or nothing: then the command
// is to be executed as it is. The rule for doubts: a command is never replaced by one that differs from it, so whatever a
// shell would act on, and every script that a release did not bring like this, is left to the shell.
//
// Sources: what Flink's native Kubernetes mode and the operators put into a pod (KubernetesUtils.getStartCommandWithBashWrapper,
// FLINK-20650), the scripts of the releases 1.13 to 2.3, and bash, which the tests compare with.
package scripts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkversion"
)

// Request is a command and the world that it is looked up in.
type Request struct {
	Command []string // what follows the flags of this program
	Env     []string // NAME=value
	BinDir  string   // $FLINK_HOME/bin, links resolved
	Version flinkversion.Version
	Self    string // this program; a link to it with the name of a script is for that script. Empty: not known
}

// Result says what a command is.
type Result struct {
	Role   string   // as launch names it; empty: execute the command as it is
	Args   []string // of the role
	Script string   // the script that is not needed. Without a role: what to execute instead of a link to this program, or empty

	Reason string // of a command with the name of one of Flink's scripts that has no role: why
	Warn   bool   // the reason is a surprise for those who know what this program does with Flink's scripts
}

// script is one that this program can do without.
type script struct {
	role     string // empty: the first argument says it
	start    bool   // the first argument is start-foreground
	console  bool   // flink-console.sh does the rest
	followed bool   // the script finds its directory through a link to it
}

// allScripts lists them by name.
func allScripts() map[string]script {
	return map[string]script{
		"kubernetes-jobmanager.sh":  {console: true},
		"kubernetes-taskmanager.sh": {role: "kubernetes-taskmanager", console: true},
		"jobmanager.sh":             {role: "jobmanager", start: true, console: true},
		"standalone-job.sh":         {role: "standalone-job", start: true, console: true},
		"taskmanager.sh":            {role: "taskmanager", start: true, console: true},
		"historyserver.sh":          {role: "history-server", start: true, console: true},
		"sql-gateway.sh":            {role: "sql-gateway", start: true, console: true, followed: true},
		"flink":                     {role: "flink", followed: true},
		"sql-client.sh":             {role: "sql-client", followed: true},
	}
}

// IsName reports whether a file of that name, linked to this program, means a script.
func IsName(name string) bool {
	_, ok := allScripts()[name]
	return ok
}

// Recognise says which role a command starts, if any.
func Recognise(req Request) Result { return req.recognise(digests) }

func (req Request) recognise(known table) Result {
	words, shell, reason := unwrap(req)
	if len(words) == 0 {
		return Result{}
	}
	name := filepath.Base(words[0])
	s, ok := allScripts()[name]
	if !ok {
		return Result{}
	}
	if reason != "" {
		return Result{Reason: fmt.Sprintf("%s: %s is left to the shell", name, reason)}
	}
	path, linked, reason := req.find(words[0], s)
	if reason != "" {
		return Result{Reason: reason}
	}
	role, args, reason, warn := s.arguments(name, words[1:])
	if reason == "" {
		reason, warn = req.environment(name, shell), true
	}
	if reason == "" {
		reason, warn = req.changed(known, name, s), true
	}
	if reason != "" {
		if !linked || shell { // the shell comes back here, without itself
			path = ""
		}
		return Result{Script: path, Reason: reason, Warn: warn}
	}
	return Result{Role: role, Args: args, Script: path}
}

// arguments returns the role and the arguments of its process.
func (s script) arguments(name string, args []string) (role string, rest []string, reason string, warn bool) {
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	switch {
	case s.start && first != "start-foreground":
		return "", nil, fmt.Sprintf("only %s start-foreground starts a process that replaces the script", name), false
	case s.start:
		return s.role, args[1:], "", false
	case s.role != "":
		return s.role, args, "", false
	case first == "kubernetes-session" || first == "kubernetes-application":
		return first, args[1:], "", false
	}
	return "", nil, fmt.Sprintf("%s: found %q, expected kubernetes-session or kubernetes-application", name, first), true
}

// unwrap returns the words of the command, or of the command that it gives to a shell. If the shell has more to do than to split
// them, reason says what, and words holds the first one, as far as one can tell.
func unwrap(req Request) (words []string, shell bool, reason string) {
	words = req.Command
	if len(words) == 0 || filepath.Base(words[0]) != "bash" && filepath.Base(words[0]) != "sh" {
		return words, false, ""
	}
	text, ok := commandString(words[1:])
	if !ok || req.wrapped(words[0]) {
		return words, false, ""
	}
	words, reason = split(text)
	if reason != "" {
		words = strings.Fields(text)
	}
	if len(words) > 0 && words[0] == "exec" {
		words = words[1:] // an option of exec is not the name of a script
	}
	return words, true, reason
}

// commandString returns what follows the -c of a shell, if no option says more than to end at a failure (-e) or at a variable that
// is not set (-u), and if nothing follows.
func commandString(args []string) (text string, ok bool) {
	for i, a := range args {
		if len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "ceu") == "" {
			ok = ok || strings.Contains(a, "c")
			continue
		}
		return a, ok && i == len(args)-1
	}
	return "", false
}

// wrapped reports whether the shell is itself a script, which may do anything. One that does not exist is not: images without
// a shell are started with the same commands.
func (req Request) wrapped(shell string) bool {
	path, err := distribution.LookPath(shell, req.variable("PATH"))
	if err != nil {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	var head [2]byte
	n, _ := f.Read(head[:])
	return string(head[:n]) == "#!"
}

// find looks the command up as a shell does, and compares it with the script of the Flink home. It may be a link to this program.
func (req Request) find(command string, s script) (path string, linked bool, reason string) {
	own := req.BinDir + "/" + filepath.Base(command)
	path, err := distribution.LookPath(command, req.variable("PATH"))
	if err != nil {
		return "", false, fmt.Sprintf("%s: %v", command, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, err.Error()
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", false, err.Error()
	}
	if req.isSelf(resolved) {
		if req.isSelf(own) { // to execute it would come back here without end
			return "", false, fmt.Sprintf("%s is a link to this program: the Flink home must keep its own script, which is compared", own)
		}
		return own, true, ""
	}
	if resolved != own {
		return "", false, fmt.Sprintf("%s is not the script of the Flink home, %s", path, own)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); !s.followed && (err != nil || dir != req.BinDir) {
		return "", false, fmt.Sprintf("%s is a link, and the script looks for config.sh beside the link", path)
	}
	return own, false, ""
}

func (req Request) isSelf(path string) bool {
	if req.Self == "" {
		return false
	}
	self, err := os.Stat(req.Self)
	if err != nil {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(self, other)
}

func (req Request) variable(name string) string {
	value := ""
	for _, kv := range req.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// environment names a variable that lets bash do something else before the script, or instead of it.
func (req Request) environment(name string, shell bool) string {
	for _, v := range []string{"BASH_ENV", "BASHOPTS", "SHELLOPTS", "EXECIGNORE"} {
		if req.variable(v) != "" {
			return fmt.Sprintf("the environment variable %s changes what bash does", v)
		}
	}
	isFunction := func(kv, name string) bool {
		rest, ok := strings.CutPrefix(kv, "BASH_FUNC_"+name)
		return ok && (strings.HasPrefix(rest, "%%=") || strings.HasPrefix(rest, "()="))
	}
	if shell && slices.ContainsFunc(req.Env, func(kv string) bool { return isFunction(kv, name) || isFunction(kv, "exec") }) {
		return fmt.Sprintf("the environment holds a function of bash for %s", name)
	}
	return ""
}
