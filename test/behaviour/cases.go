package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/test/world"
)

// testCase is one set of inputs and the commands that are run on it, each in a run dir of its own.
type testCase struct {
	name     string
	version  string
	files    map[string]string // below the case's directory
	confDir  string            // a folder of confpatch's test cases, copied to the home's conf; "" for a stock file
	env      []string
	commands [][]string
}

type result struct {
	Name string
	Runs []run
}

type run struct {
	Args   []string
	Exit   int
	Stdout string
	Stderr string
	Files  map[string]string // path below the case's directory to mode and content
}

// javaStandIn prints argv and the environment that the process would have got.
const javaStandIn = "for a; do printf 'arg: %s\\n' \"$a\"; done\nenv | sort\n"

// emptyJar is a zip file without entries.
const emptyJar = "PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func (c testCase) run(program, work string) (result, error) {
	dir := filepath.Join(work, c.name)
	defer os.RemoveAll(dir)
	files := world.Join(world.StubHome(c.version, "").In("flink"), world.StubJava("17.0.15", javaStandIn).In("java"),
		world.Files{"flink/lib/flink-cep.jar": "", "flink/opt/flink-s3-fs-hadoop-" + c.version + ".jar": "", "flink/usrlib/job.jar": emptyJar})
	if c.confDir == "" {
		name := "flink-conf.yaml"
		if c.version >= "2" {
			name = "config.yaml"
		}
		files["flink/conf/"+name] = stock[name]
	} else {
		entries, err := os.ReadDir(c.confDir)
		if err != nil {
			return result{}, err
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(c.confDir, e.Name()))
			if err != nil {
				return result{}, err
			}
			files["flink/conf/"+e.Name()] = string(content)
		}
	}
	maps.Copy(files, c.files)
	if err := files.In(dir).Write(); err != nil {
		return result{}, err
	}
	r := result{Name: c.name}
	for _, args := range c.commands {
		one, err := c.command(program, dir, args)
		if err != nil {
			return result{}, err
		}
		r.Runs = append(r.Runs, one)
	}
	return r, nil
}

func (c testCase) command(program, dir string, args []string) (run, error) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = strings.ReplaceAll(a, "DIR/", dir+"/")
	}
	runDir := filepath.Join(dir, "run")
	if err := os.RemoveAll(runDir); err != nil {
		return run{}, err
	}
	cmd := exec.Command(program, words...)
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=/usr/bin:/bin", "HOME=" + dir, "HOSTNAME=host", "FLINK_HOME=" + dir + "/flink", "JAVA_HOME=" + dir + "/java",
		"FLINK_ENTRYPOINT_RUN_DIR=" + runDir, "FLINK_ENTRYPOINT_TERMINATION_LOG=" + runDir + ".termination",
	}, c.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return run{}, err
	}
	one := run{Args: plain(args), Exit: cmd.ProcessState.ExitCode(), Stdout: plain([]string{stdout.String()})[0], Stderr: ordered(plain([]string{stderr.String()})[0]), Files: map[string]string{}}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() || !strings.HasPrefix(name, "run") {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if d.Type()&fs.ModeSymlink != 0 {
			var target string
			target, err = os.Readlink(path)
			content = []byte("-> " + target)
		}
		if strings.HasSuffix(name, ".jar") { // the runner: its size will do
			content = []byte(strconv.Itoa(len(content)))
		}
		one.Files[name] = st.Mode().String() + "\n" + plain([]string{string(content)})[0]
		return err
	})
	if err != nil {
		return run{}, err
	}
	return one, os.RemoveAll(runDir + ".termination")
}

var durations = regexp.MustCompile(`(prepared=|elapsed=|"took": ?|took )[0-9.]+[nµm]?s`)

// plain takes out what differs between two checkouts and two runs: the checkout's path, and how long something took.
func plain(texts []string) []string {
	root, _ := os.Getwd()
	var all []string
	for _, text := range texts {
		all = append(all, durations.ReplaceAllString(strings.ReplaceAll(text, root+"/", "CHECKOUT/"), "${1}TIME"))
	}
	return all
}

// ordered sorts the lines about artifacts among themselves: they are fetched at the same time.
func ordered(log string) string {
	lines := strings.Split(log, "\n")
	var artifacts []string
	isArtifact := func(line string) bool { return strings.HasPrefix(line, "flink-entrypoint: artifact ") }
	for _, line := range lines {
		if isArtifact(line) {
			artifacts = append(artifacts, line)
		}
	}
	slices.Sort(artifacts)
	for i, line := range lines {
		if isArtifact(line) {
			lines[i], artifacts = artifacts[0], artifacts[1:]
		}
	}
	return strings.Join(lines, "\n")
}

// stock is what the releases ship, shortened to what the program has rules for.
var stock = map[string]string{
	"flink-conf.yaml": "# a comment\njobmanager.rpc.address: localhost\njobmanager.rpc.port: 6123\njobmanager.bind-host: localhost\njobmanager.memory.process.size: 1600m\n" +
		"taskmanager.bind-host: localhost\ntaskmanager.host: localhost\ntaskmanager.memory.process.size: 1728m\ntaskmanager.numberOfTaskSlots: 1\nparallelism.default: 1\nrest.address: localhost\nrest.bind-address: localhost\n",
	"config.yaml": "# a comment\nenv:\n  java:\n    opts:\n      all: --add-opens=java.base/java.lang=ALL-UNNAMED\njobmanager:\n  bind-host: localhost\n  rpc:\n    address: localhost\n    port: 6123\n  memory:\n    process:\n      size: 1600m\n  execution:\n    failover-strategy: region\n" +
		"taskmanager:\n  bind-host: localhost\n  host: localhost\n  numberOfTaskSlots: 1\n  memory:\n    process:\n      size: 1728m\nparallelism:\n  default: 1\nrest:\n  address: localhost\n  bind-address: localhost\n",
}

// allCases lists the cases of one version: each configuration, definition and script of the tests, then the generated ones.
func allCases(version string, seed uint64, generated int) []testCase {
	var cases []testCase
	add := func(c testCase) { cases = append(cases, c) }
	confs, _ := filepath.Glob("internal/confpatch/testdata/cases/*")
	for _, conf := range confs {
		if st, err := os.Stat(conf); err != nil || !st.IsDir() {
			continue
		}
		add(testCase{name: version + "/conf/" + filepath.Base(conf), version: version, confDir: conf,
			commands: [][]string{{"--output", "json", "explain", "taskmanager"}, {"--memory-limit", "3g", "render", "jobmanager"}}})
	}
	for name, text := range definitions() {
		add(testCase{name: version + "/definition/" + name, version: version, files: map[string]string{"d.yaml": text},
			commands: [][]string{
				{"--definition", "d.yaml", "--output", "json", "validate"},
				{"--definition", "d.yaml", "--memory-limit", "4g", "--output", "json", "explain", "standalone-job"},
				{"--definition", "d.yaml", "--memory-limit", "4g", "standalone-job"},
				{"--definition", "d.yaml", "--memory-limit", "4g", "explain", "taskmanager"},
			}})
	}
	for name, text := range scripts() {
		add(testCase{name: version + "/script/" + name, version: version, files: map[string]string{"job.sql": text},
			commands: [][]string{
				{"--definition", "job.sql", "validate"},
				{"debug", "--show", "job.sql"},
				{"--definition", "job.sql", "--memory-limit", "4g", "render", "standalone-job"},
			}})
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(version))<<8|uint64(version[len(version)-3]))) //nolint:gosec // repeatable on purpose
	for i := range generated {
		add(generate(fmt.Sprintf("%s/generated/%03d", version, i), version, random, confs))
	}
	return cases
}

// definitions are the examples and what the tests of jobdef hold.
func definitions() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"examples/clicks-per-minute.yaml", "examples/full.yaml"} {
		all[filepath.Base(name)] = read(name)
	}
	for i, block := range strings.Split(read("internal/jobdef/testdata/errors.txt"), "=== ")[1:] {
		title, body, _ := strings.Cut(block, "\n")
		var text strings.Builder
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "---> ") {
				text.WriteString(line)
			}
		}
		all[fmt.Sprintf("error-%03d-%s", i, strings.Map(letters, title))] = text.String()
	}
	return all
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

func scripts() map[string]string {
	all := map[string]string{"clicks.sql": read("examples/clicks.sql")}
	found, _ := filepath.Glob("internal/mock/testdata/scripts/*.sql")
	for _, path := range found {
		all[filepath.Base(path)] = read(path)
	}
	return all
}

func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(content)
}
