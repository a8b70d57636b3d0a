package scripts

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

// newHome makes a bin directory with all scripts, and the table that knows them. Their texts are their names.
func newHome(t *testing.T) (req Request, known table) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin := root + "/flink/bin"
	var lines strings.Builder
	for _, file := range listedFiles() {
		write(t, bin+"/"+file, file)
		fmt.Fprintf(&lines, "%x %s 2.2 2.3\n", sha256.Sum256([]byte(file)), file)
	}
	return Request{Env: []string{"PATH=" + root + "/first:" + bin}, BinDir: bin, Version: flinkversion.Of(2, 2, 1)}, table(lines.String())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// show writes a result as a test table does: role and arguments, or - and the reason, with a ! for a warning.
func show(r Result) string {
	if r.Role != "" {
		return fmt.Sprintf("%s %q", r.Role, r.Args)
	}
	instead := ""
	if r.Script != "" {
		instead = " instead " + r.Script
	}
	return "-" + map[bool]string{true: "!"}[r.Warn] + " " + r.Reason + instead
}

func TestRecognise(t *testing.T) {
	req, known := newHome(t)
	for _, test := range []struct {
		command []string
		want    string // BIN is the bin directory
	}{
		{[]string{"bash", "-c", "kubernetes-jobmanager.sh kubernetes-application "}, `kubernetes-application []`},
		{[]string{"bash", "-c", "kubernetes-jobmanager.sh kubernetes-session -D a='b c'"}, `kubernetes-session ["-D" "a=b c"]`},
		{[]string{"bash", "-c", `kubernetes-taskmanager.sh -Dpipeline.jars='['\''file:/x'\'']' -D b=1b `}, `kubernetes-taskmanager ["-Dpipeline.jars=['file:/x']" "-D" "b=1b"]`},
		{[]string{"kubernetes-jobmanager.sh", "kubernetes-session", "a b"}, `kubernetes-session ["a b"]`},
		{[]string{"jobmanager.sh", "start-foreground", "h"}, `jobmanager ["h"]`},
		{[]string{"taskmanager.sh", "start-foreground"}, `taskmanager []`},
		{[]string{"standalone-job.sh", "start-foreground", "-j", ""}, `standalone-job ["-j" ""]`},
		{[]string{"historyserver.sh", "start-foreground"}, `history-server []`},
		{[]string{"sql-gateway.sh", "start-foreground", "-Da=b"}, `sql-gateway ["-Da=b"]`},
		{[]string{"flink", "list", "$a"}, `flink ["list" "$a"]`},
		{[]string{"sql-client.sh", "-f", "x.sql"}, `sql-client ["-f" "x.sql"]`},
		{[]string{"BIN/flink"}, `flink []`},
		{[]string{"BIN/../bin/jobmanager.sh", "start-foreground"}, `jobmanager []`},
		{[]string{"/bin/bash", "-c", "exec BIN/taskmanager.sh start-foreground"}, `taskmanager []`},
		{[]string{"sh", "-c", "exec flink 'list'"}, `flink ["list"]`},
		{[]string{"bash", "-ec", "\n'exec' \"flink\" l\\ist\n"}, `flink ["list"]`},
		{[]string{"bash", "-e", "-c", "-u", "flink"}, `flink []`},
		{[]string{"/nowhere/bash", "-c", "flink"}, `flink []`},

		{nil, "- "},
		{[]string{""}, "- "},
		{[]string{"sleep", "1"}, "- "},
		{[]string{"flinkx"}, "- "},
		{[]string{"kubernetes-session.sh"}, "- "},
		{[]string{"start-cluster.sh"}, "- "},
		{[]string{"bash"}, "- "},
		{[]string{"bash", "-c"}, "- "},
		{[]string{"bash", "-c", ""}, "- "},
		{[]string{"bash", "-c", " exec "}, "- "},
		{[]string{"bash", "-c", "exec -a x flink"}, "- "},
		{[]string{"bash", "-c", "exec exec flink"}, "- "},
		{[]string{"bash", "-c", "flink", "x"}, "- "},
		{[]string{"bash", "-lc", "flink"}, "- "},
		{[]string{"bash", "-xc", "flink"}, "- "},
		{[]string{"bash", "--", "-c", "flink"}, "- "},
		{[]string{"bash", "-e", "flink"}, "- "},
		{[]string{"bash", "flink"}, "- "},
		{[]string{"bash", "-c", "bash -c flink"}, "- "},
		{[]string{"bash", "-c", "X=BIN/flink list"}, "- flink: an assignment is left to the shell"},
		{[]string{"bash", "-c", "BIN=x BIN/flink list"}, "- "},
		{[]string{"bash", "-c", "time flink list"}, "- "},
		{[]string{"env", "flink"}, "- "},
		{[]string{"jobmanager.sh"}, "- only jobmanager.sh start-foreground starts a process that replaces the script"},
		{[]string{"taskmanager.sh", "start"}, "- only taskmanager.sh start-foreground starts a process that replaces the script"},
		{[]string{"kubernetes-jobmanager.sh", "taskexecutor"}, `-! kubernetes-jobmanager.sh: found "taskexecutor", expected kubernetes-session or kubernetes-application`},
		{[]string{"kubernetes-jobmanager.sh"}, `-! kubernetes-jobmanager.sh: found "", expected kubernetes-session or kubernetes-application`},
		{[]string{"bash", "-c", "flink list $X"}, "- flink: $ outside quotes is left to the shell"},
		{[]string{"bash", "-c", "flink list 'x"}, "- flink: a ' that is not closed is left to the shell"},
		{[]string{"bash", "-c", "exec flink list; true"}, "- flink: ; outside quotes is left to the shell"},
		{[]string{"/elsewhere/flink"}, "- /elsewhere/flink: file does not exist"},
		{[]string{"./flink"}, "- ./flink: file does not exist"},
	} {
		for i, w := range test.command {
			test.command[i] = strings.ReplaceAll(w, "BIN", req.BinDir)
		}
		req.Command = test.command
		if got := show(req.recognise(known)); got != strings.ReplaceAll(test.want, "BIN", req.BinDir) {
			t.Errorf("%q:\n got %s\nwant %s", test.command, got, test.want)
		}
	}
}

// TestScriptsOfOthers: what a name means is the file that a shell finds.
func TestScriptsOfOthers(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(t *testing.T, root string, req *Request)
		command string
		want    string // ROOT is the directory with flink/bin and first, which comes first in PATH
	}{
		{"another before it", func(t *testing.T, root string, _ *Request) { write(t, root+"/first/flink", "#!/bin/sh\n") }, "flink",
			"- ROOT/first/flink is not the script of the Flink home, ROOT/flink/bin/flink"},
		{"a directory before it", func(t *testing.T, root string, _ *Request) { write(t, root+"/first/flink/x", "") }, "flink", "flink []"},
		{"not executable before it", func(t *testing.T, root string, _ *Request) {
			write(t, root+"/first/flink", "")
			if err := os.Chmod(root+"/first/flink", 0o644); err != nil {
				t.Fatal(err)
			}
		}, "flink", "flink []"},
		{"a link to a script that follows it", func(t *testing.T, root string, _ *Request) { link(t, root+"/flink/bin/flink", root+"/first/flink") }, "flink", "flink []"},
		{"a link to a script that does not", func(t *testing.T, root string, _ *Request) {
			link(t, root+"/flink/bin/jobmanager.sh", root+"/first/jobmanager.sh")
		}, "jobmanager.sh start-foreground", "- ROOT/first/jobmanager.sh is a link, and the script looks for config.sh beside the link"},
		{"a link to the directory", func(t *testing.T, root string, _ *Request) { link(t, root+"/flink/bin", root+"/first") }, "jobmanager.sh start-foreground", "jobmanager []"},
		{"a link of another name", func(t *testing.T, root string, _ *Request) {
			link(t, root+"/flink/bin/jobmanager.sh", root+"/first/taskmanager.sh")
		}, "taskmanager.sh start-foreground", "- ROOT/first/taskmanager.sh is not the script of the Flink home, ROOT/flink/bin/taskmanager.sh"},
		{"a link to this program", func(t *testing.T, root string, req *Request) {
			write(t, root+"/self", "")
			link(t, root+"/self", root+"/first/flink")
			req.Self = root + "/self"
		}, "flink list", `flink ["list"]`},
		{"a link to this program, for a patched script", func(t *testing.T, root string, req *Request) {
			write(t, root+"/self", "")
			link(t, root+"/self", root+"/first/flink")
			req.Self = root + "/self"
			write(t, root+"/flink/bin/flink", "patched")
		}, "flink list", "-! ROOT/flink/bin/flink is not the file of Flink 2.2 that is known here instead ROOT/flink/bin/flink"},
		{"the same in a shell", func(t *testing.T, root string, req *Request) {
			write(t, root+"/self", "")
			link(t, root+"/self", root+"/first/flink")
			req.Self = root + "/self"
			write(t, root+"/flink/bin/flink", "patched")
		}, "bash -c flink", "-! ROOT/flink/bin/flink is not the file of Flink 2.2 that is known here"},
		{"a link to this program, for a daemon", func(t *testing.T, root string, req *Request) {
			write(t, root+"/self", "")
			link(t, root+"/self", root+"/first/jobmanager.sh")
			req.Self = root + "/self"
		}, "jobmanager.sh stop", "- only jobmanager.sh start-foreground starts a process that replaces the script instead ROOT/flink/bin/jobmanager.sh"},
		{"not in PATH", func(_ *testing.T, _ string, req *Request) { req.Env = []string{"PATH=/nowhere"} }, "flink", "- flink: file does not exist"},
		{"no PATH", func(_ *testing.T, _ string, req *Request) { req.Env = nil }, "flink", "- flink: file does not exist"},
		{"the last PATH", func(_ *testing.T, _ string, req *Request) { req.Env = append([]string{"PATH=/nowhere"}, req.Env...) }, "flink", "flink []"},

		{"patched", func(t *testing.T, root string, _ *Request) { write(t, root+"/flink/bin/flink", "patched") }, "flink",
			"-! ROOT/flink/bin/flink is not the file of Flink 2.2 that is known here"},
		{"patched below", func(t *testing.T, root string, _ *Request) { write(t, root+"/flink/bin/flink-console.sh", "patched") }, "jobmanager.sh start-foreground",
			"-! ROOT/flink/bin/flink-console.sh is not the file of Flink 2.2 that is known here"},
		{"patched where it does not matter", func(t *testing.T, root string, _ *Request) { write(t, root+"/flink/bin/flink-console.sh", "patched") }, "flink", "flink []"},
		{"a file is missing", func(t *testing.T, root string, _ *Request) {
			if err := os.Remove(root + "/flink/bin/config.sh"); err != nil {
				t.Fatal(err)
			}
		}, "flink", "-! ROOT/flink/bin/config.sh cannot be compared with the file of Flink 2.2: no such file or directory"},
		{"another version's", func(_ *testing.T, _ string, req *Request) { req.Version = flinkversion.Of(2, 0, 2) }, "flink",
			"-! ROOT/flink/bin/flink is not the file of Flink 2.0 that is known here"},
		{"a newer version with the same", func(_ *testing.T, _ string, req *Request) { req.Version = flinkversion.Of(2, 9, 0) }, "flink", "flink []"},

		{"BASH_ENV", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_ENV=/x") }, "flink", "-! the environment variable BASH_ENV changes what bash does"},
		{"no BASH_ENV", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_ENV=") }, "flink", "flink []"},
		{"a function", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_FUNC_flink%%=() { :; }") }, "bash -c flink",
			"-! the environment holds a function of bash for flink"},
		{"exec is a function", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_FUNC_exec%%=() { :; }") }, "bash -c flink",
			"-! the environment holds a function of bash for flink"},
		{"a function without a shell", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_FUNC_flink%%=() { :; }") }, "flink", "flink []"},
		{"another function", func(_ *testing.T, _ string, req *Request) { req.Env = append(req.Env, "BASH_FUNC_module%%=() { :; }") }, "bash -c flink", "flink []"},
		{"the shell is a script", func(t *testing.T, root string, _ *Request) { write(t, root+"/first/bash", "#!/bin/sh\n") }, "bash -c flink", "- "},
		{"the shell is a program", func(t *testing.T, root string, _ *Request) { write(t, root+"/first/bash", "\x7fELF") }, "bash -c flink", "flink []"},
	} {
		req, known := newHome(t)
		root := filepath.Dir(filepath.Dir(req.BinDir))
		test.change(t, root, &req)
		req.Command = strings.Fields(test.command)
		got := show(req.recognise(known))
		if got != strings.ReplaceAll(test.want, "ROOT", root) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestTable: the table has each script for each version that has it, once.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(string(digests)) {
		words := strings.Fields(line)
		if len(words) < 3 || len(words[0]) != 64 || !slices.Contains(listedFiles(), words[1]) {
			t.Fatalf("%q is not a line of the table", line)
		}
		for _, minor := range words[2:] {
			if seen[words[1]+" "+minor] {
				t.Errorf("%s of Flink %s is there twice", words[1], minor)
			}
			seen[words[1]+" "+minor] = true
		}
	}
	for _, r := range homes.Releases() {
		version, err := flinkversion.Parse(r.Version)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range listedFiles() {
			exists := file != "sql-gateway.sh" && file != "bash-java-utils.sh" || file == "sql-gateway.sh" && version.Reaches(flinkversion.Since(1, 16)) || version.Reaches(flinkversion.Since(1, 19))
			if seen[file+" "+version.Release().String()] != exists {
				t.Errorf("%s of Flink %s: in the table %v, in the release %v", file, r.Version, !exists, exists)
			}
		}
	}
}
