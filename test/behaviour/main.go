// Command behaviour records what flink-entrypoint does with some thousands of inputs, and compares two records.
//
// A redesign must not change what users see. Before it, make a record with the old binary; after each step, make
// one with the new binary and compare:
//
//	go run ./test/behaviour record -binary OLD -out /tmp/old.jsonl
//	go run ./test/behaviour record -binary NEW -out /tmp/new.jsonl
//	go run ./test/behaviour compare /tmp/old.jsonl /tmp/new.jsonl
//
// The inputs are the configurations, definitions and scripts of the tests and, for each supported version of Flink,
// generated mixtures of them. A record holds for each command: exit code, standard output and error, the files
// written with their modes, and the argv and environment of the Java process (a stand-in that prints them).
// A record depends on nothing but the binary and the seed.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"flink-entrypoint/test/flinkhome/homes"
)

func main() {
	if len(os.Args) < 2 {
		exit(fmt.Errorf("give a command: record or compare"))
	}
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "record":
		exit(record(args))
	case "compare":
		exit(compare(args))
	default:
		exit(fmt.Errorf("unknown command %q: expected record or compare", command))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func record(args []string) error {
	flags := flag.NewFlagSet("record", flag.ExitOnError)
	binary := flags.String("binary", "bin/flink-entrypoint", "the program to record")
	out := flags.String("out", "", "the file to write, one JSON object a line")
	work := flags.String("work", "/tmp/flink-entrypoint-behaviour", "a directory that is made and removed; the same for the records that are compared")
	seed := flags.Uint64("seed", 1, "of the generated cases")
	generated := flags.Int("generated", 200, "generated cases for each version of Flink")
	only := flags.String("version", "", "record this version of Flink alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return fmt.Errorf("give the file to write with -out")
	}
	program, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return err
	}
	if err := os.Mkdir(*work, 0o755); err != nil {
		return fmt.Errorf("%w (is another record being made? remove the directory if not)", err)
	}
	defer os.RemoveAll(*work)
	var cases []testCase
	for _, release := range homes.Releases() {
		version := release.Version
		if *only == "" || *only == version {
			cases = append(cases, allCases(version, *seed, *generated)...)
		}
	}
	results := make([]result, len(cases))
	next := make(chan int)
	var workers sync.WaitGroup
	var failed sync.Once
	var failure error
	for range runtime.NumCPU() {
		workers.Go(func() {
			for i := range next {
				var err error
				if results[i], err = cases[i].run(program, *work); err != nil {
					failed.Do(func() { failure = fmt.Errorf("%s: %w", cases[i].name, err) })
				}
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	workers.Wait()
	if failure != nil {
		return failure
	}
	var buf bytes.Buffer
	for _, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		buf.Write(line)
		buf.WriteByte('\n')
	}
	fmt.Printf("%d cases\n", len(cases))
	return os.WriteFile(*out, buf.Bytes(), 0o644)
}

// compare prints the cases that differ, and fails where there is one.
func compare(args []string) error {
	flags := flag.NewFlagSet("compare", flag.ExitOnError)
	most := flags.Int("most", 10, "show at most so many differing cases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("give two records")
	}
	before, err := load(flags.Arg(0))
	if err != nil {
		return err
	}
	after, err := load(flags.Arg(1))
	if err != nil {
		return err
	}
	var names []string
	for name := range before {
		if _, ok := after[name]; !ok {
			return fmt.Errorf("%s has no case %s: the records are of different inputs", flags.Arg(1), name)
		}
		names = append(names, name)
	}
	if len(after) != len(before) {
		return fmt.Errorf("the records hold %d and %d cases", len(before), len(after))
	}
	slices.Sort(names)
	differing := 0
	for _, name := range names {
		a, b := before[name], after[name]
		lines := difference(a, b)
		if len(lines) == 0 {
			continue
		}
		if differing++; differing <= *most {
			fmt.Printf("%s\n%s\n", name, strings.Join(lines, "\n"))
		}
	}
	if differing > 0 {
		return fmt.Errorf("%d of %d cases differ", differing, len(names))
	}
	fmt.Printf("%d cases, no difference\n", len(names))
	return nil
}

func load(path string) (map[string]result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]result{}
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return all, nil
		}
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[r.Name] = r
	}
}

// difference lists what differs between two results of one case, a few lines for each field.
func difference(a, b result) []string {
	var lines []string
	show := func(what, x, y string) {
		if x == y {
			return
		}
		xs, ys := strings.Split(x, "\n"), strings.Split(y, "\n")
		for len(xs) > 0 && len(ys) > 0 && xs[0] == ys[0] {
			xs, ys = xs[1:], ys[1:]
		}
		lines = append(lines, "  "+what, "    - "+first(xs), "    + "+first(ys))
	}
	for i := range min(len(a.Runs), len(b.Runs)) {
		x, y := a.Runs[i], b.Runs[i]
		at := strings.Join(x.Args, " ")
		show(at+": exit code", fmt.Sprint(x.Exit), fmt.Sprint(y.Exit))
		show(at+": standard output", x.Stdout, y.Stdout)
		show(at+": standard error", x.Stderr, y.Stderr)
		for _, name := range names(x.Files, y.Files) {
			show(at+": "+name, x.Files[name], y.Files[name])
		}
	}
	return lines
}

func names(a, b map[string]string) []string {
	var all []string
	for name := range a {
		all = append(all, name)
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func first(lines []string) string {
	if len(lines) == 0 {
		return "(end)"
	}
	return lines[0][:min(len(lines[0]), 400)]
}
