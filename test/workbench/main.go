// Command workbench measures how long a script takes to its first row, and a fault to its place: on the JVMs that a workbench has started
// ahead, on one that it starts, and by flink-entrypoint debug, in turn and in one run; of five scripts that the warm-up has never seen, or yours:
//
//	go run ./test/workbench [-flink HOME] [-n TIMES] [-wall MODE] [SCRIPT…]
//
// The load of the machine is beside each sample: figures of a busy one say little.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/flinkhome/homes"
)

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// samples are the times of one thing.
type samples struct {
	name string
	all  []float64
}

func (s *samples) add(d time.Duration) {
	s.all = append(s.all, d.Seconds())
	fmt.Printf("%-34s %6.2f s   load %s\n", s.name, d.Seconds(), load())
}

func (s *samples) summary() string {
	if len(s.all) == 0 {
		return fmt.Sprintf("%-34s none", s.name)
	}
	slices.Sort(s.all)
	return fmt.Sprintf("%-34s best %.2f s, middle %.2f s, worst %.2f s of %d", s.name, s.all[0], s.all[len(s.all)/2], s.all[len(s.all)-1], len(s.all))
}

// load is the machine's load average of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func measure() error {
	root, err := homes.Root()
	if err != nil {
		return err
	}
	home := flag.String("flink", filepath.Join(root, "2.2.1"), "Flink `home`")
	times := flag.Int("n", 1, "how many `times` each script")
	mode := flag.String("wall", workbench.WallNeeded, "around each JVM: needed or off (`mode`)")
	flag.Parse()
	files := flag.Args()
	if len(files) == 0 {
		if files, err = filepath.Glob("test/workbench/testdata/*.sql"); err != nil {
			return err
		}
		files = append([]string{"examples/clicks.sql"}, files...)
	}
	dir, err := os.MkdirTemp("", "workbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	entrypoint := filepath.Join(dir, "flink-entrypoint")
	if out, err := exec.Command("go", "build", "-o", entrypoint, "./cmd/flink-entrypoint").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	began := time.Now()
	open := func(name string, warm int) (*workbench.Workbench, error) {
		return workbench.Open(workbench.Options{Home: *home, Dir: filepath.Join(dir, name), Env: os.Environ(), Warm: warm, Time: 10 * time.Minute, Wall: *mode, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	}
	warm, err := open("warm", 1)
	if err != nil {
		return err
	}
	defer warm.Close()
	cold, err := open("cold", 0)
	if err != nil {
		return err
	}
	defer cold.Close()
	if err := until(func() bool { return warm.Warm() == 1 && warm.Planner() }); err != nil {
		return err
	}
	fmt.Printf("Flink %s: a JVM and a planner are ready after %.1f s, and idle hold %d MiB together\n", warm.Version(), time.Since(began).Seconds(), warm.Memory()>>20)
	results := []*samples{{name: "first row, JVM started ahead"}, {name: "first row, JVM of its own"}, {name: "first row, flink-entrypoint debug"}, {name: "a JVM ready again"}, {name: "a fault of the planner"}, {name: "what the planner finds good"}}
	for i := range *times * len(files) {
		file := files[i%len(files)]
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Println(file)
		wrong := bytes.Replace(source, []byte("SELECT "), []byte("SELECT no_such_column, "), 1)
		script := workbench.Script{Name: file, Source: source}
		for i, w := range []*workbench.Workbench{warm, cold} {
			end, err := first(w, script)
			if err != nil {
				return err
			}
			if end.Warm != (i == 0) || end.First == 0 {
				return fmt.Errorf("started ahead: %v, expected %v; first row after %s %s", end.Warm, i == 0, end.First, end.Limit)
			}
			results[i].add(end.First)
			if i == 0 {
				ended := time.Now()
				if err := until(func() bool { return warm.Warm() == 1 }); err != nil {
					return err
				}
				results[3].add(time.Since(ended))
			}
		}
		took, err := debug(entrypoint, *home, file)
		if err != nil {
			return err
		}
		results[2].add(took)
		for i, text := range [][]byte{wrong, source} {
			asked := time.Now()
			_, err := warm.Validate(context.Background(), workbench.Script{Name: file, Source: text})
			if len(workbench.Faults(err)) == 0 && err != nil || (err == nil) != (i == 1) {
				return fmt.Errorf("the planner says %w", err)
			}
			results[4+i].add(time.Since(asked))
		}
	}
	fmt.Println()
	for _, r := range results {
		fmt.Println(r.summary())
	}
	return nil
}

func first(w *workbench.Workbench, s workbench.Script) (workbench.End, error) {
	return w.Debug(context.Background(), "bench", s, workbench.DebugOptions{Rows: 10, Seed: 7}, workbench.Events{
		Start: func(bool) {}, Ready: func(_, _ []string) {}, Row: func(workbench.Row) {}, Line: func(string) {}, Warn: func(string) {}})
}

var firstAfter = regexp.MustCompile(`the first after ([0-9.]+) s`)

// debug is the time to the first row of flink-entrypoint debug, by its own clock.
func debug(entrypoint, home, file string) (time.Duration, error) {
	cmd := exec.Command(entrypoint, "debug", "--seed", "7", file)
	cmd.Env = append(os.Environ(), "FLINK_HOME="+home)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, said.String())
	}
	m := firstAfter.FindStringSubmatch(said.String())
	if m == nil {
		return 0, fmt.Errorf("no first row: %s", said.String())
	}
	seconds, err := strconv.ParseFloat(m[1], 64)
	return time.Duration(seconds * float64(time.Second)), err
}

func until(holds func() bool) error {
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("no JVM became ready in 5 minutes")
		}
	}
	return nil
}
