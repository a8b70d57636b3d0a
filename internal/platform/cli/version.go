package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the Makefile's builds (-ldflags -X); a plain "go install" has the version from the build info.
var release string

// programVersion is the version of this program.
func programVersion() string {
	if release != "" {
		return release
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "devel"
}

func version(c *call) error {
	target := runtime.GOOS + "/" + runtime.GOARCH
	if !c.json(map[string]string{"version": programVersion(), "go": runtime.Version(), "target": target}) {
		fmt.Fprintf(c.stdout, "flink-platform %s %s %s\n", programVersion(), runtime.Version(), target)
	}
	return nil
}
