// Command node is a Kubernetes cluster of one node that runs on this machine as long as one Flink cluster needs it, in a
// network namespace of its own: Flink's own client talks to its API, a controller makes the JobManager's pod from the
// deployment, and every pod, those that the JobManager asks for too, is started as a process with exactly the command,
// the arguments, the variables and the mounts of its object. It prints what happened as JSON.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options say what to run.
type options struct {
	home       string // a Flink home, only read
	java       string // JAVA_HOME
	entrypoint string // what is /docker-entrypoint.sh in the pods
	dir        string // an empty folder: the pods' output stays there
	usrlib     string // /opt/flink/usrlib of the pods
	session    bool
	timeout    time.Duration
	client     []string // how a client starts a program of Flink's: before its name
	deploy     []string // the client's command that starts the cluster
	submit     []string // of a session cluster: the client's command for the job
}

// Report is what the node saw.
type Report struct {
	FinishedMS float64  `json:"finishedMs"` // from the start of the JobManager's pod until the job is FINISHED
	Pods       []*pod   `json:"pods"`
	Deleted    bool     `json:"deleted"`  // the cluster deleted its deployment itself
	Left       []string `json:"left"`     // pods that exist at the end
	Refused    []string `json:"refused"`  // requests that the API does not know
	Services   []string `json:"services"` // the client's
}

const stepVariable = "FLINK_NATIVE_STEP" // this program starts itself twice: for the namespaces, and for each pod's mounts

func main() {
	var err error
	switch step := os.Getenv(stepVariable); step {
	case "":
		err = outside()
	case "node":
		err = inside(os.Args[1:])
	default:
		err = enter(step)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// outside starts the node in its namespaces.
func outside() error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stepVariable+"=node")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces: %w; this needs root, or a kernel that lets users make user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0)", err)
	}
	return cmd.Wait()
}

func inside(args []string) error {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.home, "home", "", "Flink `home`")
	flags.StringVar(&o.java, "java", "", "`JAVA_HOME`")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "the `program` that is /docker-entrypoint.sh")
	flags.StringVar(&o.dir, "dir", "", "empty `folder` for the pods' output")
	flags.StringVar(&o.usrlib, "usrlib", "", "`folder` with the job's jar")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "until the job has finished and the pods have ended")
	words := func(name, usage string, to *[]string) {
		flags.Func(name, usage+", a JSON `list`", func(s string) error { return json.Unmarshal([]byte(s), to) })
	}
	words("client", "what a client's command starts with", &o.client)
	words("deploy", "the client's command that starts the cluster", &o.deploy)
	words("submit", "the client's command that submits the job to a session cluster", &o.submit)
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.session = len(o.submit) > 0
	for _, path := range []*string{&o.home, &o.java, &o.entrypoint, &o.dir, &o.usrlib} {
		if *path == "" {
			return errors.New("-home, -java, -entrypoint, -dir and -usrlib are needed")
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("cannot bring the loopback interface up: %w", err)
	}
	report, err := run(o)
	if report != nil {
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
	}
	return err
}

// loopback brings lo up: it is the only interface of a new network namespace.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr)
}
