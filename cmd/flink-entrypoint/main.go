// The Go runtime would look every second whether the number of processors has changed, which does not matter to a program
// that lives for milliseconds.
//
//go:debug updatemaxprocs=0

// Command flink-entrypoint prepares a Flink process and becomes it.
package main

import (
	"os"
	"syscall"

	"flink-entrypoint/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System{Name: os.Args[0], Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Exec: syscall.Exec}))
}
