// Package cli is the command line of flink-platform: the server, and the client of its API. A table is for people, --output json for
// programs.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/nearest"
	"flink-entrypoint/internal/platform/client"
)

// Exit codes. They are part of the interface.
const (
	exitOK          = 0
	exitUsage       = 20
	exitUnreachable = 21 // the server cannot be reached
	exitInvalid     = 22 // a definition is invalid
	exitRefused     = 23 // the server refused: it does not exist, exists already, or has changed
	exitJobFailed   = 24 // --wait: the run did not end as wanted
	exitServer      = 28 // the server cannot start, or cannot go on
	exitBug         = 70
	exitInterrupted = 130
)

// prefix starts the environment variable of each flag: --data-dir is FLINK_PLATFORM_DATA_DIR.
const prefix = "FLINK_PLATFORM_"

// A command is one verb.
type command struct {
	name, words, short string
	group              string
	flags              func(*pflag.FlagSet)
	run                func(*call) error
	least, most        int // words
}

// A call is one use of a command.
type call struct {
	ctx            context.Context
	flags          *pflag.FlagSet
	words          []string
	env            []string
	args0          string
	stdin          io.Reader
	stdout, stderr io.Writer
}

type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failure is an error with an exit code.
type failure struct {
	error
	code int
}

// Main runs the program and returns its exit code.
func Main(args, env []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, args, env, stdin, stdout, stderr)
	if err == nil {
		return exitOK
	}
	var f failure
	var p *client.Problem
	var hint string
	switch {
	case errors.As(err, &f):
		code = f.code
	case errors.As(err, new(usageError)):
		code, hint = exitUsage, "flink-platform help"
		if c, _ := find(args[1:]); c != nil {
			hint += " " + c.name
		}
	case errors.As(err, &p):
		code, hint = exitRefused, p.Hint
		switch p.Status {
		case http.StatusUnprocessableEntity:
			code = exitInvalid
		case http.StatusUnauthorized:
			hint = "--token-file FILE (or " + prefix + "TOKEN_FILE) is a file with a token; an admin makes one with: flink-platform token make NAME"
		}
	case errors.As(err, new(*client.Unreachable)):
		code, hint = exitUnreachable, "is it running, and is --server (or FLINK_PLATFORM_SERVER) its URL?"
	case ctx.Err() != nil:
		return exitInterrupted
	default:
		code = exitServer
	}
	fmt.Fprintln(stderr, "error:", err)
	if hint != "" {
		fmt.Fprintln(stderr, "hint:", hint)
	}
	return code
}

func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) error {
	words := args[1:]
	if len(words) == 0 || words[0] == "help" || words[0] == "--help" || words[0] == "-h" {
		name := ""
		if len(words) > 1 {
			name = strings.Join(words[1:], " ")
		}
		return help(stdout, name)
	}
	if words[0] == "--version" {
		words = append([]string{"version"}, words[1:]...)
	}
	cmd, rest := find(words)
	if cmd == nil {
		return unknownCommand(words[0])
	}
	f := flagsOf(cmd)
	if err := f.Parse(rest); err != nil {
		return usageError{err}
	}
	if ok, _ := f.GetBool("help"); ok {
		return help(stdout, cmd.name)
	}
	if err := twins(f, env); err != nil {
		return usageError{err}
	}
	for _, name := range unknownTwins(env) {
		fmt.Fprintf(stderr, "warning: %s has no effect: no command has such a flag\n", name)
	}
	if o, err := f.GetString("output"); err == nil && o != "text" && o != "json" {
		return usagef("--output is %q, expected text or json", o)
	}
	if n := f.NArg(); n < cmd.least || n > cmd.most {
		found := "no word"
		if n > 0 {
			found = strings.Join(f.Args(), " ")
		}
		return usagef("found %s after %s, expected: flink-platform %s", found, cmd.name, strings.TrimSpace(cmd.name+" "+cmd.words))
	}
	return cmd.run(&call{ctx: ctx, flags: f, words: f.Args(), env: env, args0: args[0], stdin: stdin, stdout: stdout, stderr: stderr})
}

func unknownCommand(name string) error {
	var names []string
	for _, c := range commands {
		if c.group != "" {
			names = append(names, c.name)
		}
	}
	if near := nearest.Name(name, names, 2); near != "" {
		return usagef("unknown command %q (did you mean %s?)", name, near)
	}
	return usagef("unknown command %q", name)
}

// find is the command that the words begin with: of two words (catalog put), or of one.
func find(words []string) (*command, []string) {
	for n := min(2, len(words)); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		for i := range commands {
			if commands[i].name == name {
				return &commands[i], words[n:]
			}
		}
	}
	return nil, nil
}

func flagsOf(c *command) *pflag.FlagSet {
	f := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.BoolP("help", "h", false, "show this help")
	if c.flags != nil {
		c.flags(f)
	}
	return f
}

// twins sets flags that were not given from the environment.
func twins(f *pflag.FlagSet, env []string) error {
	var err error
	f.VisitAll(func(fl *pflag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if fl.Changed || fl.Name == "help" {
			return
		}
		for _, kv := range env {
			if k, v, _ := strings.Cut(kv, "="); k == name && v != "" {
				if e := fl.Value.Set(v); e != nil {
					err = errors.Join(err, fmt.Errorf("%s: %w", name, e))
				}
			}
		}
	})
	return err
}

// serviceLink is the name of a variable that Kubernetes sets for a Service called flink-platform.
var serviceLink = regexp.MustCompile("^" + prefix + "(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*)$")

// unknownTwins are the variables with our prefix that are the twin of no flag of any command.
func unknownTwins(env []string) []string {
	known := map[string]bool{}
	for i := range commands {
		flagsOf(&commands[i]).VisitAll(func(f *pflag.Flag) { known[prefix+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = true })
	}
	var unknown []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, prefix) && !known[name] && !serviceLink.MatchString(name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (c *call) text(flag string) string {
	v, err := c.flags.GetString(flag)
	if err != nil {
		panic(err) // a flag that the command does not declare
	}
	return v
}

func (c *call) bool(flag string) bool {
	v, err := c.flags.GetBool(flag)
	if err != nil {
		panic(err)
	}
	return v
}

// json reports whether the answer is for programs, and writes it then.
func (c *call) json(v any) bool {
	if c.text("output") != "json" {
		return false
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	e.Encode(v)
	return true
}

func help(w io.Writer, name string) error {
	if name != "" {
		c, rest := find(strings.Fields(name))
		if c == nil || len(rest) > 0 {
			return unknownCommand(name)
		}
		fmt.Fprintf(w, "flink-platform %s\n\n%s\n\nFlags (each is also an environment variable: --data-dir is %sDATA_DIR):\n%s", strings.TrimSpace(c.name+" [FLAGS] "+c.words), c.short, prefix, flagsOf(c).FlagUsagesWrapped(100))
		return nil
	}
	fmt.Fprint(w, "flink-platform keeps Flink jobs, starts their clusters, and knows the true state of each.\n")
	var groups []string
	for _, c := range commands {
		if c.group != "" && !slices.Contains(groups, c.group) {
			groups = append(groups, c.group)
		}
	}
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s:\n", g)
		for _, c := range commands {
			if c.group == g {
				fmt.Fprintf(w, "  %-34s %s\n", strings.TrimSpace(c.name+" "+c.words), c.short)
			}
		}
	}
	fmt.Fprintf(w, "\nflink-platform help COMMAND shows its flags.\nExit codes: 0 fine, 20 usage, 21 server not reached, 22 definition invalid, 23 refused by the server,\n24 the run did not end as wanted (--wait), 28 the server cannot start or go on, 130 interrupted.\n")
	return nil
}

// ago is a time as people say it.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := now.Sub(t)
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds ago", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm ago", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd ago", int(d.Hours())/24)
}
