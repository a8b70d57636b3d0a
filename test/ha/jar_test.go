//go:build ha

package ha

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// slow is a user's job, which has nothing from this program.
const slow = `import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

public class Slow {
    static class Wait implements MapFunction<Long, Long> {
        public Long map(Long n) throws Exception {
            Thread.sleep(100);
            return n;
        }
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, 1_000_000).map(new Wait()).print();
        env.execute();
    }
}
`

// TestJarJobTellsAnOlderDefinition: what a recovered SQL job tells, a jar job does too, with a usrlib and with a class that
// only the jar's manifest names.
func TestJarJobTellsAnOlderDefinition(t *testing.T) {
	forEachVersion(t, func(t *testing.T, ctx context.Context, g *group) {
		jar := g.jobJar(slow)
		definition := func(name, argument string) string {
			return g.write(name, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: slow
highAvailability: {type: zookeeper, clusterId: slow, storageDir: "file://%s/ha", quorum: "%s"}
configuration:
  high-availability.zookeeper.client.session-timeout: 6000
  high-availability.zookeeper.client.connection-timeout: 6000
  execution.checkpointing.interval: 2 s
  parallelism.default: 1
jar: {uri: %s, args: [%s]}
`, g.dir, g.quorum, jar, argument))
		}
		first := definition("first.yaml", "one")
		jm1 := g.start("jm1", "standalone-job", "127.0.0.2", first)
		tm := g.start("tm1", "taskmanager", "127.0.0.4", first)
		job := running(t, ctx, jm1)
		line(t, ctx, jm1, same)
		jm2 := g.start("jm2", "standalone-job", "127.0.0.3", definition("changed.yaml", "two"))
		standby(t, ctx, jm2, job.ID)
		checkpointed(t, ctx, jm1, job.ID, 1)
		takeover(t, ctx, "takeover of a jar job", jm1, jm2, job.ID, []member{tm})
		onStderr(t, ctx, jm2, older)
		for _, m := range []member{jm2, tm} {
			_ = m.Signal(syscall.SIGKILL)
		}
	})
}

// jobJar compiles a class and makes the jar whose manifest names it.
func (g *group) jobJar(source string) string {
	g.t.Helper()
	src := g.write("Slow.java", source)
	classes := filepath.Join(g.dir, "classes")
	if err := os.Mkdir(classes, 0o755); err != nil {
		g.t.Fatal(err)
	}
	jar := filepath.Join(g.dir, "slow.jar")
	for _, command := range [][]string{
		{"javac", "--release", "8", "-Xlint:-options", "-cp", filepath.Join(g.home, "lib", "*"), "-d", classes, src},
		{"jar", "--create", "--file", jar, "--main-class", "Slow", "-C", classes, "."},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			g.t.Fatalf("%s: %v\n%s\nhint: apt-get install openjdk-17-jdk-headless", command[0], err, out)
		}
	}
	return jar
}
