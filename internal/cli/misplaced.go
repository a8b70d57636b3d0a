package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/phase"
)

// ownFlag returns the first flag of this program among words, or nil. A "--" ends the search.
func ownFlag(words []string) *pflag.Flag {
	known := newFlagSet(&options{})
	for _, word := range words {
		if word == "--" {
			return nil
		}
		name, _, _ := strings.Cut(word, "=")
		if long, ok := strings.CutPrefix(name, "--"); ok {
			if f := known.Lookup(long); f != nil {
				return f
			}
		}
	}
	return nil
}

// goesBefore says how a flag is written that was found after a role or command.
func goesBefore(f *pflag.Flag, word string) string {
	shown := "--" + f.Name
	if value, _ := pflag.UnquoteUsage(f); value != "" {
		shown += " " + value
	}
	return fmt.Sprintf("flags go before the role or command: flink-entrypoint %s %s …", shown, word)
}

// misplaced is the failure of a command that is followed by a flag of the program. Where a role follows, all words after it are the role's.
func (c command) misplaced(words []string) error {
	if strings.HasPrefix(c.args, "ROLE") {
		words = words[:min(1, len(words))]
	}
	f := ownFlag(words)
	if f == nil || c.flags != nil && c.flags().Lookup(f.Name) != nil {
		return nil
	}
	return &phase.Error{Phase: phase.Usage, Err: fmt.Errorf("%s: --%s after the word %s is not read", c.name, f.Name, c.name), Hint: goesBefore(f, c.name)}
}

// programRoles run a main method, whose arguments may have any name.
var programRoles = []string{"standalone-job", "kubernetes-application"}

// warnOfMisplaced warns of a flag of the program after a role that has no use for it: Flink ignores such a word, and all options after it.
func (p *program) warnOfMisplaced(role string, args []string) {
	if f := ownFlag(args); f != nil && !slices.Contains(programRoles, role) {
		p.warnings = append(p.warnings, fmt.Sprintf("--%s after the role %s is not read: %s", f.Name, role, goesBefore(f, role)))
	}
}

// hintOfMisplaced gives the failure of wrong arguments the hint that one of them is a flag of the program.
func hintOfMisplaced(err error, role string, args []string) error {
	var e *phase.Error
	if f := ownFlag(args); f != nil && errors.As(err, &e) && e.Phase == phase.Usage {
		return &phase.Error{Phase: e.Phase, Err: e.Err, Hint: goesBefore(f, role)}
	}
	return err
}
