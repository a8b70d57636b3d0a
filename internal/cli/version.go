package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// build is what the Go tool chain and the linker say about this binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
	Target  string `json:"target"`
}

// release and commit are set by the release build (-ldflags -X); a plain "go install" has them from the build info.
var release, commit string

func currentBuild() build {
	b := build{Version: "devel", Go: runtime.Version(), Target: runtime.GOOS + "/" + runtime.GOARCH}
	if bi, ok := debug.ReadBuildInfo(); ok {
		if v := bi.Main.Version; v != "" && v != "(devel)" {
			b.Version = v
		}
		for _, s := range bi.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Date = s.Value
			case "vcs.modified":
				b.Dirty = s.Value == "true"
			}
		}
	}
	if release != "" {
		b.Version = release
	}
	if commit != "" {
		b.Commit = commit
	}
	return b
}

func versionString() string {
	if release != "" {
		return release
	}
	return currentBuild().Version
}

func (p *program) version(_ context.Context, _ []string) error {
	b := currentBuild()
	switch p.opts.output {
	case "json":
		enc := json.NewEncoder(p.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(b)
	case "text":
		fmt.Fprintf(p.Stdout, "flink-entrypoint %s", b.Version)
		if b.Commit != "" {
			fmt.Fprintf(p.Stdout, " (%s)", b.Commit)
		}
		fmt.Fprintf(p.Stdout, " %s %s\n", b.Go, b.Target)
		return nil
	}
	return usageError("--output: found %q, expected text or json", p.opts.output)
}
