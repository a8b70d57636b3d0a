// Command tools builds the programs that the suite for metrics needs, each from its Go module, and prints their paths on stdout,
// one a line:
//
//	go run ./test/metrics/tools alertmanager prometheus promtool pushgateway
//
// They are kept in DIR/tools/NAME-VERSION, DIR being the cache of ./test/flinkhome, and are built once.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flink-entrypoint/test/flinkhome/homes"
)

// A tool is one program.
type tool struct {
	name   string
	module string // directory with go.mod, and the module's own path
	path   string
	pkg    string // below the module's path; "" for the module itself
	tags   string
}

var tools = []tool{
	// The newest version whose module has its web pages: without them it does not compile.
	{name: "alertmanager", module: "alertmanager", path: "github.com/prometheus/alertmanager", pkg: "/cmd/alertmanager"},
	// Service discovery of clouds is most of its code.
	{name: "prometheus", module: "prometheus", path: "github.com/prometheus/prometheus", pkg: "/cmd/prometheus", tags: "remove_all_sd,enable_file_sd,enable_http_sd"},
	{name: "promtool", module: "prometheus", path: "github.com/prometheus/prometheus", pkg: "/cmd/promtool", tags: "remove_all_sd,enable_file_sd,enable_http_sd"},
	{name: "pushgateway", module: "pushgateway", path: "github.com/prometheus/pushgateway"},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	if len(names) == 0 {
		return errors.New("expected names: alertmanager, prometheus, promtool, pushgateway")
	}
	cache, err := homes.Cache()
	if err != nil {
		return err
	}
	for _, name := range names {
		i := slices.IndexFunc(tools, func(t tool) bool { return t.name == name })
		if i < 0 {
			return fmt.Errorf("unknown program %q: expected alertmanager, prometheus, promtool or pushgateway", name)
		}
		path, err := tools[i].ensure(filepath.Join(cache, "tools"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(path)
	}
	return nil
}

// ensure builds a program unless it is there.
func (t tool) ensure(dir string) (string, error) {
	source, err := output(exec.Command("go", "list", "-m", "-f", "{{.Dir}}")) // of flink-entrypoint
	if err != nil {
		return "", err
	}
	module := filepath.Join(source, "test", "metrics", "tools", t.module)
	list := exec.Command("go", "list", "-m", "-f", "{{.Version}}", t.path)
	list.Dir = module
	version, err := output(list)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, t.name+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, t.name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "building %s %s (once)\n", t.name, version)
	made := path + ".new"
	build := exec.Command("nice", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", t.tags, "-o", made)
	build.Args = append(build.Args, t.path+t.pkg)
	build.Dir, build.Stderr = module, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return "", err
	}
	return path, os.Rename(made, path)
}

func output(c *exec.Cmd) (string, error) {
	c.Stderr = os.Stderr
	out, err := c.Output()
	return strings.TrimSpace(string(out)), err
}
