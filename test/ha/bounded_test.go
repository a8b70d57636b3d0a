//go:build ha

package ha

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestBoundedJobRunsOnce ends a bounded job beside a standby, which must not run it again.
func TestBoundedJobRunsOnce(t *testing.T) {
	forEachVersion(t, func(t *testing.T, ctx context.Context, g *group) {
		definition := g.write("bounded.yaml", fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: five
highAvailability: {type: zookeeper, clusterId: five, storageDir: "file://%s/ha", quorum: "%s"}
configuration:
  high-availability.zookeeper.client.session-timeout: 6000
  heartbeat.interval: 1000
  heartbeat.timeout: 10000
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
    CREATE TABLE printed (n BIGINT) WITH ('connector' = 'print');
    INSERT INTO printed SELECT n FROM numbers;
`, g.dir, g.quorum))
		// The first one leads, and the other is up before the job can begin.
		jms := []member{g.start("jm1", "standalone-job", "127.0.0.2", definition)}
		line(t, ctx, jms[0], leadership)
		jms = append(jms, g.start("jm2", "standalone-job", "127.0.0.3", definition))
		line(t, ctx, jms[1], "Rest endpoint listening")
		tm := g.start("tm1", "taskmanager", "127.0.0.4", definition)
		jms[0] = g.ends(ctx, jms[0], "127.0.0.2", definition)
		jms[1] = g.standbyEnds(ctx, jms[1], "127.0.0.3", definition)
		for _, jm := range jms {
			if prints(jm, leadership) == 0 {
				t.Errorf("%s never led: that a standby does not run the job again was not tried", jm.Name)
			}
		}
		var rows []string
		for _, l := range tm.Stdout() {
			if i := strings.Index(l, "+I["); i >= 0 {
				rows = append(rows, l[i:])
			}
		}
		slices.Sort(rows)
		if want := []string{"+I[1]", "+I[2]", "+I[3]", "+I[4]", "+I[5]"}; !slices.Equal(rows, want) {
			t.Errorf("rows %v, want %v", rows, want)
		}
	})
}
