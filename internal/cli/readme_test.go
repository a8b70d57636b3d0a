package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite the flag table of the README")

const (
	tableStart = "<!-- flags: written by go test ./internal/cli -update -->\n"
	tableEnd   = "<!-- end of flags -->\n"
)

// TestREADMEListsTheFlags keeps the README's table equal to the flags there are.
func TestREADMEListsTheFlags(t *testing.T) {
	var table strings.Builder
	table.WriteString("| flag | meaning |\n| --- | --- |\n")
	newFlagSet(&options{}).VisitAll(func(f *pflag.Flag) {
		name, usage := pflag.UnquoteUsage(f)
		if name != "" && f.Value.Type() != "bool" {
			name = " " + name
		} else {
			name = ""
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			def = fmt.Sprintf(" (default `%s`)", f.DefValue)
		}
		fmt.Fprintf(&table, "| `--%s%s` | %s%s |\n", f.Name, name, strings.ReplaceAll(usage, "|", `\|`), def)
	})
	const path = "../../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(readme, []byte(tableStart))
	have, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", path, tableStart, tableEnd)
	}
	if string(have) == table.String() {
		return
	}
	if !*update {
		t.Fatalf("the flag table of %s is not up to date: go test ./internal/cli -update\n%s", path, table.String())
	}
	if err := os.WriteFile(path, bytes.Join([][]byte{before, []byte(tableStart), []byte(table.String()), []byte(tableEnd), after}, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}
