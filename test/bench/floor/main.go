// Command floor becomes the program it is given and does nothing else: no static Go program can start Flink in less.
package main

import (
	"os"
	"syscall"
)

func main() {
	if err := syscall.Exec(os.Args[1], os.Args[1:], os.Environ()); err != nil {
		os.Exit(126)
	}
}
