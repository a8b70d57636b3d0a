//go:build metrics

package metrics

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/cluster"
)

// numbers is a job in SQL; before 1.15, which the entrypoint runs no SQL on, one in a jar.
func numbers(t *testing.T, version string, c *cluster.Cluster) string {
	t.Helper()
	if !runsSQL(version) {
		return fmt.Sprintf("jar: {uri: %q}\n", compile(t, c.Home))
	}
	return `sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n FROM numbers;
`
}

// compile makes the jar of a job from testdata.
func compile(t *testing.T, home string) string {
	t.Helper()
	dir := t.TempDir()
	jar := filepath.Join(dir, "numbers.jar")
	for _, args := range [][]string{{"javac", "--release", "8", "-Xlint:-options", "-cp", filepath.Join(home, "lib", "*"), "-d", filepath.Join(dir, "classes"), filepath.Join("testdata", "Numbers.java")},
		{"jar", "cfe", jar, "Numbers", "-C", filepath.Join(dir, "classes"), "."}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	return jar
}

// TestEndpoint scrapes the endpoints of a JobManager and a TaskManager of each version, while a job runs. What makes a reader of a
// configuration split a text is in the labels.
func TestEndpoint(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		first := contiguous(t)
		definition := write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks-per-minute
metrics:
  prometheus: {port: %d-%d}
  labels: {team: web-shop, note: "a:b, 'c'"}
%s`, first, first+1, numbers(t, version, c)))
		start(t, c, definition)
		endpoints := map[string][]sample{}
		poll(t, func() error {
			for _, port := range []int{first, first + 1} {
				all, err := scrape(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
				if err != nil {
					return err
				}
				role := "taskmanager"
				if slices.ContainsFunc(all, func(s sample) bool { return strings.HasPrefix(s.name, "flink_jobmanager_") }) {
					role = "jobmanager"
				}
				endpoints[role] = all
			}
			for role, name := range map[string]string{"jobmanager": "flink_jobmanager_job_numRestarts", "taskmanager": "flink_taskmanager_job_task_numRecordsOut"} {
				if len(named(endpoints[role], name)) == 0 {
					return fmt.Errorf("%w: the %s has no %s among %d samples", cluster.ErrNotYet, role, name, len(endpoints[role]))
				}
			}
			return nil
		})
		for role, names := range map[string][]string{
			"jobmanager":  {"flink_jobmanager_Status_JVM_Memory_Heap_Used", "flink_jobmanager_numRegisteredTaskManagers", "flink_jobmanager_job_numRestarts"},
			"taskmanager": {"flink_taskmanager_Status_JVM_Memory_Heap_Used", "flink_taskmanager_job_task_numRecordsOut", "flink_taskmanager_job_task_busyTimeMsPerSecond"},
		} {
			for _, name := range names {
				found := named(endpoints[role], name)
				if len(found) == 0 {
					t.Errorf("the %s has no %s", role, name)
				}
				for _, s := range found {
					for label, want := range map[string]string{"flink_job": "clicks-per-minute", "team": "web-shop", "note": "a:b, 'c'"} {
						if version < "1.15" {
							want = "" // it cannot add labels
						}
						if got := s.labels[label]; got != want {
							t.Errorf("%s: label %s is %q, want %q", name, label, got, want)
						}
					}
				}
			}
		}
		if tasks := named(endpoints["taskmanager"], "flink_taskmanager_job_task_numRecordsOut"); len(tasks) > 0 && !strings.Contains(tasks[0].labels["task_name"], ": ") {
			t.Errorf("the task is called %q, want Flink's own text", tasks[0].labels["task_name"])
		}
	})
}

// TestOnePort: a single port, which is not Flink's default, is where the endpoint is.
func TestOnePort(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		port := contiguous(t)
		p, err := c.Start("jm", "jobmanager", []string{"--metrics", fmt.Sprintf("prometheus=%d", port), "--memory-limit", "1600m", "jobmanager"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(p.Tail(40))
			}
		})
		poll(t, func() error {
			all, err := scrape(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
			if err == nil && len(named(all, "flink_jobmanager_Status_JVM_Memory_Heap_Used")) == 0 {
				err = fmt.Errorf("%w: %d samples", cluster.ErrNotYet, len(all))
			}
			return err
		})
	})
}

// contiguous returns the first of two free ports that follow each other.
func contiguous(t *testing.T) int {
	t.Helper()
	for range 100 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		a.Close()
		if err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("no two free ports that follow each other")
	return 0
}

// A sample is one line of Prometheus' text format.
type sample struct {
	name   string
	labels map[string]string
	value  string
}

func named(all []sample, name string) []sample {
	var found []sample
	for _, s := range all {
		if s.name == name {
			found = append(found, s)
		}
	}
	return found
}

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?`)
	unescape   = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
)

// scrape reads an endpoint. It is not yet there while nothing listens.
func scrape(url string) ([]sample, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	defer res.Body.Close()
	body, err := readAll(res)
	if err != nil {
		return nil, err
	}
	var all []sample
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%s: not a line of the text format: %s", url, line)
		}
		s := sample{name: m[1], labels: map[string]string{}, value: m[3]}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			s.labels[pair[1]] = unescape.Replace(pair[2])
		}
		all = append(all, s)
	}
	return all, nil
}
