package cli

import (
	"context"
	"fmt"
	"strings"
)

const usageHead = `flink-entrypoint prepares a Flink process and becomes it.

  flink-entrypoint [FLAGS] ROLE [FLINK ARGS…]     prepare, then become the Flink process
  flink-entrypoint [FLAGS] COMMAND [ARGS…]        anything else: prepare the configuration, then exec it

Roles
  jobmanager      session cluster
  standalone-job  application cluster
  taskmanager
  history-server
  sql-gateway

Commands
`

// help prints the usage, or that of one command.
func (p *program) help(_ context.Context, words []string) error {
	if len(words) > 0 {
		for _, c := range commands() {
			if c.name == words[0] {
				fmt.Fprintf(p.Stdout, "flink-entrypoint [FLAGS] %s\n\n%s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
				if c.flags != nil {
					fmt.Fprintf(p.Stdout, "\n%s", c.flags().FlagUsages())
				}
				return nil
			}
		}
	}
	fmt.Fprint(p.Stdout, usageHead)
	for _, c := range commands() {
		fmt.Fprintf(p.Stdout, "  %-22s%s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
	}
	fmt.Fprintf(p.Stdout, "\nFlags (each --some-flag is also read from %sSOME_FLAG)\n", envPrefix)
	fmt.Fprint(p.Stdout, newFlagSet(&options{}).FlagUsages())
	fmt.Fprint(p.Stdout, "\nFlags come before the role; everything after it belongs to Flink. \"--\" ends our flags.\n")
	return nil
}
