// Command table runs the growth benchmarks of the given packages and prints what an item costs at each size.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	times := flag.String("benchtime", "3x", "runs of each benchmark, as go test's -benchtime")
	flag.Parse()
	if err := run(*times, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(times string, packages []string) error {
	cmd := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", "^BenchmarkGrowth$", "-benchmem", "-benchtime", times, "-p", "1", "-timeout", "60m"}, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "room\twork\titems\ttime\tns/item\tB/item\tallocs/item\tMB/s\t")
	room, rest := "", []string(nil)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			room = name[strings.LastIndexByte(name, '/')+1:]
			fmt.Fprintln(os.Stderr, "measuring", room)
			continue
		}
		if r, ok := parse(line); ok {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", room, r.work, r.items, r.time, r.unit["ns/item"], r.unit["B/item"], r.unit["allocs/item"], r.unit["MB/s"])
		} else if strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "---") || strings.Contains(line, ".go:") {
			rest = append(rest, line)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w\n%s", err, strings.Join(rest, "\n"))
	}
	return nil
}

// row is one line of a benchmark.
type row struct {
	work, items string
	time        time.Duration
	unit        map[string]string
}

// parse reads "BenchmarkGrowth/WORK/ITEMS-2  3  1234 ns/op  5.6 MB/s …".
func parse(line string) (row, bool) {
	words := strings.Fields(line)
	name, ok := strings.CutPrefix(line, "BenchmarkGrowth/")
	if !ok || len(words) < 4 {
		return row{}, false
	}
	name = strings.Fields(name)[0]
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		name = name[:i] // GOMAXPROCS
	}
	slash := strings.LastIndexByte(name, '/')
	if slash < 0 {
		return row{}, false
	}
	r := row{work: name[:slash], items: name[slash+1:], unit: map[string]string{}}
	for i := 2; i+1 < len(words); i += 2 {
		r.unit[words[i+1]] = words[i]
	}
	ns, err := strconv.ParseFloat(r.unit["ns/op"], 64)
	r.time = time.Duration(ns).Round(10 * time.Microsecond)
	return r, err == nil
}
