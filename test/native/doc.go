// Package native runs Flink's native Kubernetes mode, client, JobManager and TaskManager, on real Flink and a small API in one network
// namespace: each pod is the process of exactly the command that Flink asked for, by the official steps and by this entrypoint.
package native

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

//go:embed Squares.java
var squares []byte

// Cluster is one that runs on a node of its own until its job has finished.
type Cluster struct {
	Node       string // the program test/native/node
	Home, Java string // real ones
	Version    string // of the home
	Entrypoint string // what is /docker-entrypoint.sh
	Official   bool   // the client is started without it
	Session    bool
	Definition bool     // the job is the definition job.yaml in Jars, which the JobManager's pod gets by a variable
	Named      []string // with a definition: the words that name the job in the client's command, which demands a jar
	Jars       string   // the folder with the job's jar, see Job
	Dir        string   // an empty folder
}

// Pod is one that ran, or a client's command ("client", "submitter").
type Pod struct {
	Name    string
	Command []string          // of its object
	Env     map[string]string // of its object
	Java    []string          // the command line of its JVM
	ExecMS  float64           // from its start to that
	Exit    int
	Output  string // a file
}

// Report is what the node saw.
type Report struct {
	FinishedMS float64 // from the start of the JobManager's pod until the job is FINISHED
	Pods       []Pod
	Deleted    bool // the cluster deleted its deployment
	Left       []string
	Refused    []string
	Services   []string
}

// Arguments are the job's, which a shell, Java's and Flink's lists would each take apart in a way of their own.
var Arguments = []string{"--text", `it's a "b" $HOME`, "c;d"}

// Job compiles the job into a new folder below dir.
func Job(dir, java, home string) (jars string, err error) {
	return filepath.Join(dir, "jars"), Jar(dir, java, home, "Squares", squares)
}

// Jar compiles a class of the default package, and makes dir/jars/CLASS.jar of it, its name in small letters. The manifest names no class.
func Jar(dir, java, home, class string, source []byte) error {
	jars, classes := filepath.Join(dir, "jars"), filepath.Join(dir, class)
	for _, d := range []string{jars, classes} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	file := filepath.Join(dir, class+".java")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{filepath.Join(java, "bin", "javac"), "--release", "11", "-nowarn", "-d", classes, "-cp", filepath.Join(home, "lib", "*"), file},
		{filepath.Join(java, "bin", "jar"), "cf", filepath.Join(jars, strings.ToLower(class)+".jar"), "-C", classes, "."},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", argv[0], err, out)
		}
	}
	return nil
}

// Rows are the lines that the job prints, sorted.
func Rows() []string {
	var rows []string
	for n := range 5 {
		rows = append(rows, fmt.Sprintf("square %d %s", (n+1)*(n+1), strings.Join(Arguments, "|")))
	}
	slices.Sort(rows)
	return rows
}

// JavaHome is JAVA_HOME, or the home of the java that is on the path.
func JavaHome() (string, error) {
	if dir := os.Getenv("JAVA_HOME"); dir != "" {
		return dir, nil
	}
	path, err := exec.LookPath("java")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	return filepath.Dir(filepath.Dir(path)), err
}

// Run runs it to its end.
func (c Cluster) Run(ctx context.Context) (r Report, err error) {
	options := []string{"-Dkubernetes.cluster-id=demo", "-Dkubernetes.container.image.ref=image", "-Dkubernetes.rest-service.exposed.type=ClusterIP"}
	job := func(command, target, scheme string) []string {
		words := append([]string{"flink", command, "-t", target}, options...)
		if c.Definition {
			return append(append(words, "-Dcontainerized.master.env.FLINK_ENTRYPOINT_DEFINITION=/opt/flink/usrlib/job.yaml"), c.Named...)
		}
		return append(append(words, "-c", "Squares", scheme+"/opt/flink/usrlib/squares.jar"), Arguments...)
	}
	var client, deploy, submit []string
	if !c.Official {
		client = []string{"/docker-entrypoint.sh"}
	}
	switch {
	case c.Session:
		deploy, submit = append([]string{"kubernetes-session.sh"}, options...), job("run", "kubernetes-session", "")
	case strings.HasPrefix(c.Version, "1."):
		deploy = job("run-application", "kubernetes-application", "local://")
	default: // from 2.0 on there is one command
		deploy = job("run", "kubernetes-application", "local://")
	}
	args := []string{"-home", c.Home, "-java", c.Java, "-entrypoint", c.Entrypoint, "-dir", c.Dir, "-usrlib", c.Jars}
	for _, list := range []struct {
		flag  string
		words []string
	}{{"-client", client}, {"-deploy", deploy}, {"-submit", submit}} {
		text, err := json.Marshal(list.words)
		if err != nil {
			return r, err
		}
		args = append(args, list.flag, string(text))
	}
	cmd := exec.CommandContext(ctx, c.Node, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // the node dies with its caller, and its pods with it
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%w\n%s", err, &errs)
	}
	return r, json.Unmarshal(out, &r)
}
