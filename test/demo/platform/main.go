// Command platform is `make platform`: it starts flink-platform on loopback, stores an example job and a catalog, starts the job, shows its
// way through the states, its rows and its end, and leaves the server running until Ctrl-C.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "directory with flink-platform and flink-entrypoint")
	home := flag.String("home", "", "a Flink home")
	data := flag.String("data", "", "data directory of the server (below the user's cache)")
	listen := flag.String("listen", "127.0.0.1:8088", "address of the server")
	once := flag.Bool("once", false, "end the server when the job has ended; 0 only if it is in Finish")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *home, *data, *listen, *once); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func step(format string, args ...any) { fmt.Printf("\n\033[1m"+format+"\033[0m\n", args...) }

func run(ctx context.Context, bin, home, data, listen string, once bool) (err error) {
	if home == "" {
		return errors.New("-home is missing: go run ./test/flinkhome 2.2 brings one and prints its path")
	}
	if data == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		data = filepath.Join(cache, "flink-entrypoint", "platform")
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(data, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	program := filepath.Join(bin, "flink-platform")
	server := exec.Command(program, "serve", "--data-dir", data, "--listen", listen, "--flink-home", home)
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches this program, which ends the server itself
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			_ = server.Process.Kill()
		}
	}()
	url := "http://" + listen
	if err := ready(ctx, url, ended, log.Name()); err != nil {
		return err
	}
	step("flink-platform serves at %s, with everything it keeps in %s", url, data)

	client := func(words ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, program, words...)
		c.Env = append(os.Environ(), "FLINK_PLATFORM_SERVER="+url)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		return c
	}
	show := func(words ...string) error {
		step("flink-platform %s", strings.Join(words, " "))
		return client(words...).Run()
	}
	if err := show("catalog", "put", "clickstream", "examples/platform/clickstream.sql"); err != nil {
		return err
	}
	if err := show("submit", "examples/platform/clicks.yaml", "-m", "the example"); err != nil {
		return err
	}
	if err := show("start", "clicks", "--savepoint", "none", "--wait"); err != nil {
		return err
	}
	step("flink-platform logs clicks --process taskmanager-1   (its rows)")
	rows, err := printed(client("logs", "clicks", "--process", "taskmanager-1", "--tail", "100000"))
	if err != nil {
		return err
	}
	if rows == 0 {
		return errors.New("the job printed no rows")
	}
	if err := show("job", "clicks"); err != nil {
		return err
	}
	if once {
		run, err := inFinish(ctx, url)
		return errors.Join(err, gone(ctx, filepath.Join(data, "runs", run)))
	}
	step("The pages, in a browser (the link works once, for 5 minutes; flink-platform link prints another one):")
	if err := client("link").Run(); err != nil {
		return err
	}
	step("The server goes on at %s until Ctrl-C. In another terminal, for example:", url)
	fmt.Printf("  export PATH=%s:$PATH\n  flink-platform jobs\n  flink-platform start clicks --savepoint none\n  flink-platform logs clicks -f\n  flink-platform help\n", absolute(bin))
	select {
	case <-ctx.Done():
		fmt.Println("\nthe server ends; what it keeps stays in", data)
		return nil
	case err := <-ended:
		ended <- err
		return fmt.Errorf("the server ended: %w; its log is %s", err, log.Name())
	}
}

func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// ready waits until the server answers.
func ready(ctx context.Context, url string, ended <-chan error, log string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			b, _ := os.ReadFile(log)
			return fmt.Errorf("the server did not start (%v):\n%s", err, b)
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// printed shows the first rows of a print sink in a log, and counts them all.
func printed(c *exec.Cmd) (rows int, err error) {
	c.Stdout = nil
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, text, ok := strings.Cut(lines.Text(), "+I[")
		if !ok || !strings.HasSuffix(text, "]") {
			continue
		}
		if rows++; rows <= 10 {
			fmt.Println("  +I[" + text)
		}
	}
	if rows > 10 {
		fmt.Printf("  … %d rows in all\n", rows)
	}
	_, _ = io.Copy(io.Discard, out)
	return rows, c.Wait()
}

// inFinish is nil only if the job is in Finish. It returns the id of the job's run.
func inFinish(ctx context.Context, url string) (run string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/jobs/clicks", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var j struct {
		Run struct{ ID, Queue, Reason string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&j); err != nil {
		return "", err
	}
	if j.Run.Queue != "finish" {
		return j.Run.ID, fmt.Errorf("the job is in %s, expected finish: %s", j.Run.Queue, j.Run.Reason)
	}
	step("the job is in Finish")
	return j.Run.ID, nil
}

// gone waits until each process of a run has ended. A server that ended before that would leave the TaskManager running until it gives up by itself,
// after five minutes, or until the next server finds it.
func gone(ctx context.Context, run string) error {
	for end := time.Now().Add(time.Minute); ; {
		processes, err := filepath.Glob(filepath.Join(run, "*", "command.json"))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(processes, func(p string) bool {
			_, err := os.Stat(filepath.Join(filepath.Dir(p), "exit.json"))
			return err != nil
		}) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("processes of the run have not ended after a minute; their folders are in %s", run)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
