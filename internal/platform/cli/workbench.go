package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/workbench"
)

func workbenchFlags(f *pflag.FlagSet) {
	f.String("listen", "127.0.0.1:8089", "`ADDRESS` to serve on")
	f.String("token-file", "", "`FILE` with the token that servers send; it is read again at each request")
	f.StringArray("flink-home", nil, "Flink distribution (`DIR`; $FLINK_HOME)")
	f.String("dir", "", "`DIR` in which the worker keeps files of the JVMs and artifacts, in a directory "+workDirName+" of its own (a new one below $TMPDIR)")
	benchFlags(f)
	logFlagsOfServers(f)
}

// leastToken is how many characters a token between a server and its workers has, at least.
const leastToken = 16

// tokenIn reads a file with a token each time it is asked for.
func tokenIn(flag, file string) (func() (string, error), error) {
	if file == "" {
		return nil, usagef("%s is missing: a file with a token of at least %d characters", flag, leastToken)
	}
	read := func() (string, error) {
		b, err := os.ReadFile(file)
		token := strings.TrimSpace(string(b))
		if err == nil && len(token) < leastToken {
			err = fmt.Errorf("%s %s: the token has %d characters, expected at least %d", flag, file, len(token), leastToken)
		}
		return token, err
	}
	if _, err := read(); err != nil {
		return nil, usageError{err}
	}
	return read, nil
}

// workers are those of --workbench.
func (c *call) workers() ([]*workbench.Worker, error) {
	all, err := c.flags.GetStringArray("workbench")
	if err != nil || len(all) == 0 {
		return nil, err
	}
	token, err := tokenIn("--workbench-token-file", c.text("workbench-token-file"))
	if err != nil {
		return nil, err
	}
	var workers []*workbench.Worker
	seen := map[string]bool{}
	for _, text := range all {
		version, address, _ := strings.Cut(text, "=")
		w, err := workbench.NewWorker(version, address, token)
		if err != nil {
			return nil, usagef("--workbench %s: %w", version, err)
		}
		if seen[version] {
			return nil, usagef("--workbench %s is there twice: several workers of a version have one address", version)
		}
		seen[version] = true
		workers = append(workers, w)
	}
	return workers, nil
}

const workDirName = "flink-platform-workbench"

// workDir is the directory that a worker empties at its start and removes at its end: never the user's own, which can have anything. free lets another
// worker have it.
func workDir(in string) (dir string, free func() error, err error) {
	if in == "" {
		dir, err = os.MkdirTemp("", workDirName+"-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if err := os.MkdirAll(in, 0o700); err != nil {
		return "", nil, fmt.Errorf("--dir: %w", err)
	}
	dir = filepath.Join(in, workDirName)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("--dir: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", nil, errors.Join(fmt.Errorf("--dir %s is used by another worker: end that one first, or use another --dir", in), lock.Close())
	}
	return dir, lock.Close, nil
}

// runWorkbench is a worker: a workbench of one version of Flink, without a store.
func runWorkbench(c *call) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	token, err := tokenIn("--token-file", c.text("token-file"))
	if err != nil {
		return err
	}
	homes, err := c.homes(true)
	if err != nil {
		return err
	}
	if len(homes) > 1 {
		return usagef("--flink-home is there %d times: a worker is for one version", len(homes))
	}
	o, err := c.debugOptions()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var free func() error
	if o.Dir, free, err = workDir(c.text("dir")); err != nil {
		return err
	}
	defer free()
	o.Home, o.Env, o.Log, o.Self = homes[0], c.env, log, []string{self, "wall-forward"}
	listener, err := net.Listen("tcp", c.text("listen"))
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.text("listen"), err)
	}
	defer listener.Close()
	bench, err := workbench.Open(o)
	if err != nil {
		return err
	}
	defer bench.Close()
	service, err := workbench.NewService(bench, token, log)
	if err != nil {
		return err
	}
	running, end := context.WithCancel(context.WithoutCancel(c.ctx)) // runs end with their readers, or with the worker
	defer end()
	server := &http.Server{Handler: service.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 15 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return running }}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Info("serving", "address", listener.Addr().String(), "flink", bench.Version().String())
	select {
	case err = <-failed:
		return err
	case <-c.ctx.Done():
	}
	log.Info("ending")
	end()
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err = server.Shutdown(ending); errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}
