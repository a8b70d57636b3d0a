//go:build platform

package platform

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// forward passes connections on, as long as the program runs: LISTEN TO.
func forward(listen, to string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	pass(l, to, &traffic{})
	return nil
}

// traffic counts what comes from who asks, and from who answers: connections, and pieces of what is said. A request without a body is one.
type traffic struct{ asked, answered atomic.Int64 }

// A counter counts the pieces that are read.
type counter struct {
	io.Reader
	pieces *atomic.Int64
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.pieces.Add(1)
	}
	return n, err
}

// pass passes each connection of a listener on.
func pass(l net.Listener, to string, count *traffic) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		count.asked.Add(1)
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer out.Close()
			done := make(chan bool, 2)
			go func() { io.Copy(out, counter{in, &count.asked}); done <- true }()
			go func() { io.Copy(in, counter{out, &count.answered}); done <- true }()
			<-done
		}()
	}
}

// A namespace is a network of its own, in which a cluster lives. A pair of virtual devices leads out of it.
type namespace struct {
	t           *testing.T
	name        string
	here, there string // addresses of the pair
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make a network namespace; run as root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is missing: apt-get install iproute2")
	}
	pid := os.Getpid()
	n := &namespace{t: t, name: fmt.Sprintf("cut-%d", pid)}
	net := fmt.Sprintf("10.%d.%d.", 200+pid>>8&31, pid&255)
	n.here, n.there = net+"1", net+"2"
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("ip netns add: %v %s; with docker, run with --privileged", err, out)
	}
	t.Cleanup(func() { n.ip("netns", "delete", n.name) }) // the pair goes with it
	n.ip("link", "add", n.device(0), "type", "veth", "peer", "name", n.device(1), "netns", n.name)
	n.ip("addr", "add", n.here+"/30", "dev", n.device(0))
	n.ip("link", "set", n.device(0), "up")
	n.inside("addr", "add", n.there+"/30", "dev", n.device(1))
	n.inside("link", "set", "lo", "up")
	n.join()
	return n
}

func (n *namespace) device(i int) string {
	return fmt.Sprintf("c%s%d", strings.TrimPrefix(n.name, "cut-"), i)
}

func (n *namespace) ip(words ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v %s", strings.Join(words, " "), err, out)
	}
}

func (n *namespace) inside(words ...string) {
	n.t.Helper()
	n.ip(append([]string{"-n", n.name}, words...)...)
}

// cut takes the link away; connections that are open hear nothing of it.
func (n *namespace) cut() { n.t.Helper(); n.inside("link", "set", n.device(1), "down") }

func (n *namespace) join() { n.t.Helper(); n.inside("link", "set", n.device(1), "up") }

// forward passes connections on inside the namespace, or from it to its outside.
func (n *namespace) forward(listen, to string) {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", n.name, self, "forward", listen, to)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// listen passes connections on, outside of the namespace.
func (n *namespace) listen(listen, to string) *traffic {
	n.t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	count := &traffic{}
	go pass(l, to, count)
	return count
}

// TestRealCut: a cluster whose network is cut goes on, and the platform says so: nothing of a cut that is shorter than lostAfter, "lost" of a
// longer one, and that it runs as soon as it is seen again. A cancel that was asked for meanwhile comes through after it. No cut ends a run.
func TestRealCut(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		n := newNamespace(t)
		_, port, _ := net.SplitHostPort(r.listen)
		// What the JobManager asks of the platform: out of the namespace.
		n.listen(n.here+":"+port, r.listen)
		n.forward("127.0.0.1:"+port, n.here+":"+port)
		// The entrypoint, and the JVM that it becomes, are in the namespace.
		script := filepath.Join(r.dir, "entrypoint")
		ip, err := exec.LookPath("ip")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %s netns exec %s %s \"$@\"\n", ip, n.name, r.entrypoint), 0o755); err != nil {
			t.Fatal(err)
		}
		r.entrypoint = script
		r.again()
		const name = "canceled"
		r.begin(name, r.definition(jobOf(name))+"x-platform: {lostAfter: 40 s}\n", wire.Start{})
		var run wire.Run
		var ports struct{ REST []int }
		within(t, time.Minute, "the driver has chosen a port", func() bool {
			var j wire.Job
			if _, err := r.call("GET", "/v1/jobs/"+name, nil, &j); err != nil || j.Run == nil {
				return false
			}
			run = *j.Run
			b, err := os.ReadFile(filepath.Join(r.dir, "data", "runs", run.ID, "ports.json"))
			return err == nil && json.Unmarshal(b, &ports) == nil && len(ports.REST) == 1
		})
		rest := fmt.Sprintf(":%d", ports.REST[0])
		// What the platform asks of the JobManager: into the namespace.
		rests := n.listen("127.0.0.1"+rest, n.there+rest)
		n.forward(n.there+rest, "127.0.0.1"+rest)
		run = r.running(name)
		r.wrote(run.ID, 5)

		misses := func() {
			t.Helper()
			r.kill() // a server that starts looks at once, and not when the minute is over that a JobManager which pushes has
			r.again()
			before := rests.asked.Load()
			within(t, 2*time.Minute, "the platform has asked twice", func() bool { return rests.asked.Load() >= before+2 })
		}
		n.cut()
		misses()
		n.join()
		before := rests.answered.Load()
		within(t, 2*time.Minute, "the JobManager has answered", func() bool { return rests.answered.Load() > before })
		r.goesOn(name, "running", func(run wire.Run) bool { return run.Condition == "" })
		if lost := r.eventsOf(run.ID, "lost"); len(lost) > 0 {
			t.Errorf("a short cut makes events: %q", lost)
		}

		rows := len(r.lives()[run.ID].rows)
		n.cut()
		misses()
		r.lost(name)
		r.wrote(run.ID, rows+100)
		n.join()
		r.back(name)
		if lost := r.eventsOf(run.ID, "lost"); len(lost) != 1 {
			t.Errorf("a long cut makes the events %q, want one", lost)
		}

		n.cut()
		r.stop(name, "cancel")
		misses()
		if now := r.until(name, "known", func(wire.Run) bool { return true }); now.Outcome != "" {
			t.Fatalf("it is %s by %s while nothing can be known of it: %s", now.Outcome, now.Evidence, now.Reason)
		}
		n.join()
		if end := r.ends(name); end.ID != run.ID || end.Outcome != "canceled" {
			t.Errorf("%s by %s: %s", end.Outcome, end.Evidence, end.Reason)
		}
		r.judge(jobOf(name), false)
		r.owned()
	})
}

// eventsOf are the texts of a run's events with a condition.
func (r *real) eventsOf(run, condition string) []string {
	r.t.Helper()
	var o struct{ Events []wire.Event }
	if _, err := r.call("GET", "/v1/events?run="+run, nil, &o); err != nil {
		r.t.Fatal(err)
	}
	var texts []string
	for _, e := range o.Events {
		if e.Condition == condition {
			texts = append(texts, e.Text)
		}
	}
	return texts
}
