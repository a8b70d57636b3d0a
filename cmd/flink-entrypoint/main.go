// Command flink-entrypoint prepares a Flink process and becomes it.
package main

import (
	"os"
	"syscall"

	"flink-entrypoint/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System{Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Exec: syscall.Exec}))
}
