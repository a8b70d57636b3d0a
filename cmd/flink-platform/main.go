// Command flink-platform keeps Flink jobs: their definitions, their clusters, and the true state of each. See docs/platform.md.
package main

import (
	"os"

	"flink-entrypoint/internal/platform/cli"
)

func main() { os.Exit(cli.Main(os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr)) }
