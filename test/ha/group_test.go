//go:build ha

package ha

import (
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/freeport"
	"flink-entrypoint/test/world"
	"flink-entrypoint/test/zookeeper"
)

// versions are the main ones and 2.3, where delete-on-commit is deprecated.
func versions() []string { return homes.Versions("2.3.0") }

// group is the processes of one application: JobManagers, each with ports of its own as on a host of its own, and TaskManagers.
type group struct {
	t         *testing.T
	binary    string
	home      string
	version   string
	dir       string
	quorum    string
	clusterID string
	names     map[string]bool
}

// forEachVersion runs f with an empty group and a ZooKeeper of each version that can run SQL by our runner.
func forEachVersion(t *testing.T, f func(t *testing.T, ctx context.Context, g *group)) {
	for _, version := range versions() {
		if version < "1.15" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			g := newGroup(t, version)
			g.quorum = zookeeper.Start(t, g.home)
			f(t, ctx, g)
		})
	}
}

func newGroup(t *testing.T, version string) *group {
	t.Helper()
	return &group{t: t, binary: world.Binary(t), home: homes.Home(t, version), version: version, dir: t.TempDir(), clusterID: "clicks", names: map[string]bool{}}
}

// a member is one process and the ports by which it can be asked.
type member struct {
	*cluster.Process
	*cluster.Cluster
}

// javaArgs let six processes on two cores spend their time on the job and not on compiling themselves.
const javaArgs = "JVM_ARGS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

// patience is for a machine that does other things too: Flink gives the start of its actors 10 s.
func patience(version string) string {
	if version < "1.18" {
		return "akka.startup-timeout: 120 s"
	}
	return "pekko.startup-timeout: 120 s"
}

// start starts a process of the group, the address of whose pod is ip.
func (g *group) start(name, role, ip, definition string, env ...string) member {
	g.t.Helper()
	if g.names[name] {
		g.t.Fatalf("%s is started twice", name)
	}
	g.names[name] = true
	dir := filepath.Join(g.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		g.t.Fatal(err)
	}
	c, err := cluster.New(g.binary, g.home, dir)
	if err != nil {
		g.t.Fatal(err)
	}
	ports, err := freeport.Ports(2)
	if err != nil {
		g.t.Fatal(err)
	}
	// No address of a JobManager: with high availability each finds its own, and others find the leader's.
	properties := fmt.Sprintf("jobmanager.bind-host: %[1]s\nrest.bind-address: 127.0.0.1\nrest.address: 127.0.0.1\nrest.port: %[2]d\nblob.server.port: %[3]d\n"+
		"high-availability.jobmanager.port: %[4]d\ntaskmanager.bind-host: %[1]s\ntaskmanager.rpc.port: 0\n%[5]s\n", ip, c.Rest, ports[0], ports[1], patience(g.version))
	env = append([]string{"FLINK_PROPERTIES=" + properties, "POD_IP=" + ip, "POD_NAME=" + name, javaArgs}, append(cluster.ForJava17(g.version), env...)...)
	words := []string{"--definition", definition, "--memory-limit", "1600m", role}
	if role == "taskmanager" {
		words = []string{"--definition", definition, "--memory-limit", "1728m", "--advertise", ip, role}
	}
	// One name for all run dirs, as in containers: TaskManagers look for a job's jars where the JobManager has them,
	// relative to the working directory.
	p, err := c.Start("run", role, words, env...)
	if err != nil {
		g.t.Fatal(err)
	}
	p.Name = name
	g.t.Cleanup(func() {
		if g.t.Failed() {
			var said []string // what the tail may not reach back to
			for _, l := range p.Stdout() {
				if strings.Contains(l, "flinkentrypoint.DefinitionListener") || strings.Contains(l, leadership) {
					said = append(said, l)
				}
			}
			g.t.Logf("--- %s, of its log\n%s\n%s", name, strings.Join(said, "\n"), p.Tail(150))
		}
		c.Close()
	})
	return member{p, c}
}

// write makes a file of the group and returns its path.
func (g *group) write(name, content string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// line waits until the process has printed a line that holds text, and returns it.
func line(t *testing.T, ctx context.Context, m member, text string) string {
	t.Helper()
	found, err := m.Lines(ctx, 1, func(l string) bool { return strings.Contains(l, text) })
	if err != nil {
		t.Fatalf("no line with %q: %v", text, err)
	}
	return found[0]
}

// onStderr waits until the process has said a line that holds text, and returns it.
func onStderr(t *testing.T, ctx context.Context, m member, text string) string {
	t.Helper()
	said := ""
	if err := cluster.Poll(ctx, func() error {
		for _, l := range m.Stderr() {
			if strings.Contains(l, text) {
				said = l
				return nil
			}
		}
		return fmt.Errorf("%w: no line with %q on stderr", cluster.ErrNotYet, text)
	}); err != nil {
		t.Fatal(err)
	}
	return said
}

// prints counts the lines of stdout that hold text.
func prints(m member, text string) int {
	n := 0
	for _, l := range m.Stdout() {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

// checkpoints is what /jobs/ID/checkpoints says.
type checkpoints struct {
	Counts struct{ Completed, Restored int }
	Latest struct {
		Restored *struct {
			ID          int  `json:"id"`
			IsSavepoint bool `json:"is_savepoint"`
		}
	}
}

// running waits for the job to run with all its tasks, and returns it.
func running(t *testing.T, ctx context.Context, m member) cluster.Job {
	t.Helper()
	var job cluster.Job
	err := cluster.Poll(ctx, func() error {
		jobs, err := m.Jobs(ctx)
		if err != nil {
			return stillThere(m, err)
		}
		if len(jobs) != 1 || jobs[0].State != "RUNNING" || jobs[0].Tasks["running"] == 0 || jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return fmt.Errorf("%w: jobs %+v", cluster.ErrNotYet, jobs)
		}
		job = jobs[0]
		return nil
	})
	if err != nil {
		t.Fatalf("the job does not run: %v", err)
	}
	return job
}

// stillThere makes err the last word when the process has ended.
func stillThere(m member, err error) error {
	select {
	case <-m.Done():
		return fmt.Errorf("%s has ended: %v", m.Name, err)
	default:
		return err
	}
}

// checkpointed waits for n completed checkpoints of the job and returns what there are.
func checkpointed(t *testing.T, ctx context.Context, m member, id string, n int) checkpoints {
	t.Helper()
	var c checkpoints
	if err := cluster.Poll(ctx, func() error {
		c = checkpoints{}
		if err := m.Get(ctx, "/jobs/"+id+"/checkpoints", &c); err != nil {
			return stillThere(m, err)
		}
		if c.Counts.Completed < n {
			return fmt.Errorf("%w: %d of %d checkpoints", cluster.ErrNotYet, c.Counts.Completed, n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// numbers returns the numbers in the finished files of a file sink, sorted.
func numbers(t *testing.T, dir string) []int {
	t.Helper()
	var out []int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
			return nil // in progress
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		for _, row := range rows {
			n, err := strconv.Atoi(row[0])
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			out = append(out, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// standbyEnds waits for the end of a standby whose leader has ended, and returns the process that ended. The leader removes the path of the election, and
// a standby that asks for it at that moment waits for ever (CURATOR-724, up to Flink 2.2). It is started again then.
func (g *group) standbyEnds(ctx context.Context, m member, ip, definition string) member {
	g.t.Helper()
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := m.Wait(soon); err != nil && ctx.Err() == nil && prints(m, leadership) == 0 && g.version < "2.3" {
		g.t.Logf("%s does not see that the leader has ended: started again", m.Name)
		_ = m.Signal(syscall.SIGTERM)
		if _, err := m.Wait(ctx); err != nil {
			g.t.Fatal(err)
		}
		m = g.start(m.Name+"-next", "standalone-job", ip, definition)
	}
	return g.ends(ctx, m, ip, definition)
}

// ends waits for a JobManager to end after its job. The leader that ends first removes its data from ZooKeeper, and where a
// standby is granted leadership in the same moment, Flink ends that with 239 or 2. A Kubernetes Job starts it again then, and so
// does this: the second time it must find that the job has ended.
func (g *group) ends(ctx context.Context, m member, ip, definition string) member {
	g.t.Helper()
	c, err := m.Wait(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	if (c == 239 || c == 2) && prints(m, "NoNodeException") > 0 {
		g.t.Logf("%s met the removal of the leader's data and ended with %d: started again", m.Name, c)
		return g.ends(ctx, g.start(m.Name+"-again", "standalone-job", ip, definition), ip, definition)
	}
	if c == 163 && g.version >= "2.3" && prints(m, "DuplicateJobSubmissionException") > 0 {
		g.t.Logf("%s found that the job has ended; since 2.3 that is 163", m.Name)
		return m
	}
	if c != 0 {
		g.t.Errorf("%s ended with %d, want 0", m.Name, c)
	}
	return m
}
