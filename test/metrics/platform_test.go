//go:build metrics

package metrics

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// sizes are enough for a job of a test.
const sizes = "resources: {jobManager: {memory: 1000m}, taskManager: {memory: 1200m, slots: 1}}\n"

// A platform is a flink-platform whose clusters are processes of this machine.
type platform struct {
	*server
	runs string // directory of the clusters
	jobs []string
}

// startPlatform starts a platform. Its clusters, which outlive it, end with the test.
func startPlatform(t *testing.T, home string, more ...string) *platform {
	t.Helper()
	address, data := served.FreeAddress(t), filepath.Join(t.TempDir(), "data")
	p := &platform{runs: filepath.Join(data, "runs")}
	p.server = newServer(t, "http://"+address, served.Program(t), append([]string{"serve", "--warm", "0", "--data-dir", data, "--listen", address, "--flink-home", home, "--entrypoint", world.Binary(t)}, more...)...)
	p.env = os.Environ()
	p.server.start("/readyz")
	t.Cleanup(p.stop)
	return p
}

// start makes a job and starts it.
func (p *platform) start(job, definition string) {
	p.t.Helper()
	call(p.t, http.MethodPut, p.url+"/v1/jobs/"+job, definition)
	call(p.t, http.MethodPost, p.url+"/v1/jobs/"+job+"/start", "{}")
	p.jobs = append(p.jobs, job)
}

// awaitRunning waits until jobs run.
func (p *platform) awaitRunning(jobs ...string) {
	p.t.Helper()
	poll(p.t, func() error {
		for _, job := range jobs {
			switch state := p.state(job); state {
			case "running":
			case "failed":
				return fmt.Errorf("%s has failed", job)
			default:
				return fmt.Errorf("%w: %s is in %s", cluster.ErrNotYet, job, state)
			}
		}
		return nil
	})
}

// stop cancels all jobs, and waits until nothing of their clusters is left.
func (p *platform) stop() {
	for _, job := range p.jobs {
		if res, err := http.Post(p.url+"/v1/jobs/"+job+"/stop", "application/json", strings.NewReader(`{"mode":"cancel"}`)); err == nil {
			res.Body.Close()
		}
	}
	poll(p.t, func() error {
		for _, job := range p.jobs {
			if state := p.state(job); state != "cancel" && state != "failed" && state != "" {
				return fmt.Errorf("%w: %s is in %s", cluster.ErrNotYet, job, state)
			}
		}
		if err := served.NoneBelow(p.runs); err != nil { // a run ends before its cluster is deleted
			return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
		}
		return nil
	})
}

// state is the condition of a job's newest run, or else its queue; "" if it is not known.
func (p *platform) state(job string) string {
	var answer struct {
		Run struct{ Queue, Condition string }
	}
	if get(p.url+"/v1/jobs/"+job, &answer) != nil || answer.Run.Condition != "" {
		return answer.Run.Condition
	}
	return answer.Run.Queue
}

// connectorJar brings Flink's connector for Kafka into a directory.
func connectorJar(t *testing.T, dir string) string {
	t.Helper()
	if out, err := exec.Command("mvn", "-q", "-B", "dependency:copy", "-Dartifact=org.apache.flink:flink-sql-connector-kafka:"+connector, "-DoutputDirectory="+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "flink-sql-connector-kafka-"+connector+".jar")
}
