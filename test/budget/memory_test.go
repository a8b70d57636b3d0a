package budget

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"flink-entrypoint/test/world"
)

// TestMemoryOfLargeScripts: a script of 16 MiB took 1.7 GB before Java started. A start, and debug --show, take at most 20 MiB and eight
// times the script, as the kernel counts it.
func TestMemoryOfLargeScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("a large script takes seconds")
	}
	binary := world.Binary(t)
	dir := t.TempDir()
	world.Write(t, dir, world.Stub("2.2.1", world.Sizes, ""))
	head := "CREATE TABLE source (id INT) WITH ('connector'='datagen', 'password'='abcdefgh');\nCREATE TABLE sink (id INT) WITH ('connector'='print');\n"
	open := "INSERT INTO sink SELECT id FROM source WHERE id IN ('1'"
	large, name := 4<<20, "4 MiB" // the bound is a slope: make test-full climbs higher
	if os.Getenv("FLINK_CASES") != "" {
		large, name = 12<<20, "12 MiB"
	}
	for _, c := range []struct {
		name, before, piece, after string // # in piece is its number
		size                       int
	}{
		{"2 MiB of statements", head, "INSERT INTO sink SELECT id FROM source WHERE id > 3 AND name <> 'x' -- a comment of some length\n;\n", "", 2 << 20},
		{name + " of statements", head, "INSERT INTO sink SELECT id FROM source WHERE id > 3 AND name <> 'x' -- a comment of some length\n;\n", "", large},
		{name + " of numbers", head + open, ",1234567", ");\n", large},
		{name + " of literals", head + open, ",'a'", ");\n", large},
		{name + " of other letters", head, "INSERT INTO sink SELECT id FROM source WHERE n <> 'текст запроса из нескольких слов'\n;\n", "", large},
		{name + " of tiny tokens", head + "INSERT INTO sink SELECT id FROM source WHERE id IN (1", ",1", ");\n", large},
		{name + " of settings", head + "INSERT INTO sink SELECT id FROM source;\n", "SET 'a'='b';\n", "", large},
		{name + " of tables", head + "INSERT INTO sink SELECT id FROM source;\n", "CREATE TABLE t# (id INT, name STRING) WITH ('connector' = 'kafka', 'topic' = 'a');\n", "", large},
	} {
		for _, form := range []string{"job.sql", "job.yaml"} {
			file := filepath.Join(dir, form)
			size := writeScript(t, file, c.before, c.piece, c.after, c.size, form == "job.yaml")
			commands := [][]string{{"validate"}, {"render", "standalone-job"}}
			if form == "job.sql" { // in YAML it takes as much more as validate does
				commands = append(commands, []string{"debug", "--show"})
			}
			for _, words := range commands {
				cmd := exec.Command(binary, append([]string{"--definition", file, "--memory-limit", "2g", "--run-dir", filepath.Join(dir, "run")}, words...)...)
				cmd.Env = world.Env(dir)
				// Into a file: what this process has counts for its child until exec.
				stderr, err := os.Create(filepath.Join(dir, "stderr"))
				if err != nil {
					t.Fatal(err)
				}
				cmd.Stderr = stderr
				debug.FreeOSMemory()
				err = cmd.Run()
				stderr.Close()
				if err != nil {
					said, _ := os.ReadFile(stderr.Name())
					t.Fatalf("%s, %s, %v: %v\n%.2000s", c.name, form, words, err, said)
				}
				usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
				if !ok {
					t.Fatal("this system does not count memory")
				}
				times := 8
				if strings.HasSuffix(c.name, "of settings") {
					times = 16 // a statement of twelve bytes, a third of a million times: what is kept of each is more than its text
				}
				most, limit := usage.Maxrss<<10, int64(20<<20+times*size)
				said := fmt.Sprintf("%s, %s, %s: %d KiB, %.1f times the script; at most %d KiB", c.name, form, words[0], most>>10, float64(most)/float64(size), limit>>10)
				if most > limit {
					t.Error(said)
				} else {
					t.Log(said)
				}
			}
		}
	}
}

// writeScript writes a script of that size, piece by piece, and returns its real size. In YAML it is a block, whose indentation does
// not count.
func writeScript(t *testing.T, file, before, piece, after string, size int, yaml bool) (script int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	put := func(text string) {
		script += len(text)
		if yaml {
			text = strings.ReplaceAll(text, "\n", "\n    ")
		}
		_, _ = w.WriteString(text)
	}
	if yaml {
		_, _ = w.WriteString("apiVersion: flink-entrypoint/v1\nname: x\nsql:\n  script: |\n    ")
	}
	put(before)
	for n := 0; script < size; n++ {
		put(strings.ReplaceAll(piece, "#", strconv.Itoa(n)))
	}
	put(after)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return script
}
