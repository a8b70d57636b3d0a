package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/phase"
)

const usageHead = `flink-entrypoint prepares the configuration of a Flink process, then executes the process.

  flink-entrypoint [FLAGS] ROLE [FLINK ARGS…]  prepare, then execute a Flink process (exec)
  flink-entrypoint [FLAGS] COMMAND [ARGS…]     a command below; any other: prepare, then execute it

Roles
  jobmanager (session cluster), standalone-job (application cluster), taskmanager,
  history-server, sql-gateway, kubernetes-session, kubernetes-application, kubernetes-taskmanager
  Flink's own scripts (bash -c 'kubernetes-jobmanager.sh …', taskmanager.sh start-foreground,
  flink, sql-client.sh) start as these roles and clients, without a shell.

Commands
`

// help prints the usage, all flags, or the usage of one role or command. Each fits a screen.
func (p *program) help(_ context.Context, words []string) error {
	if len(words) == 0 {
		fmt.Fprint(p.Stdout, usageHead)
		for _, c := range commands() {
			fmt.Fprintf(p.Stdout, "  %-22s%s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
		}
		fmt.Fprintf(p.Stdout, "\nFlags come before the role; everything after it belongs to Flink. \"--\" ends the flags.\n%s",
			flagUsages("definition", "memory", "memory-limit", "slots", "conf-dir", "run-dir", "strict"))
		fmt.Fprint(p.Stdout, "All flags: flink-entrypoint help flags\n")
		return nil
	}
	name, args, short := words[0], "[FLINK ARGS…]", "prepare, then execute this Flink process; its arguments are Flink's own, such as -D key=value"
	var own *pflag.FlagSet
	for _, c := range commands() {
		if c.name == name {
			args, short = c.args, c.short
			if c.flags != nil {
				own = c.flags()
			}
		}
	}
	switch {
	case name == "flags":
		fmt.Fprintf(p.Stdout, "Each --some-flag is also read from %sSOME_FLAG.\n%s", envPrefix, newFlagSet(&options{}).FlagUsages())
		return nil
	case !boot.IsRole(name) && args == "[FLINK ARGS…]":
		return didYouMean(&phase.Error{Phase: phase.Usage, Err: fmt.Errorf("unknown command %q", name)}, name)
	}
	fmt.Fprintf(p.Stdout, "flink-entrypoint [FLAGS] %s\n\n%s\n", strings.TrimSpace(name+" "+args), short)
	if own != nil {
		fmt.Fprintf(p.Stdout, "\n%s", own.FlagUsages())
	}
	fmt.Fprint(p.Stdout, "\nFLAGS: flink-entrypoint help flags\n")
	return nil
}

// flagUsages describes some flags.
func flagUsages(names ...string) string {
	all, some := newFlagSet(&options{}), pflag.NewFlagSet("", pflag.ContinueOnError)
	some.SortFlags = false
	for _, n := range names {
		some.AddFlag(all.Lookup(n))
	}
	return some.FlagUsages()
}
