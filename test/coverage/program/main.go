// Command program is flink-entrypoint for a coverage report: what was counted is written before exec, which would lose it.
package main

import (
	"os"
	"runtime/coverage"
	"syscall"

	"flink-entrypoint/internal/cli"
)

func main() {
	exec := func(path string, argv, env []string) error {
		if err := coverage.WriteCountersDir(os.Getenv("GOCOVERDIR")); err != nil {
			return err
		}
		return syscall.Exec(path, argv, env)
	}
	os.Exit(cli.Main(cli.System{Name: os.Args[0], Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Exec: exec}))
}
