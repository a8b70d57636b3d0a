package kubernetes

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"flink-entrypoint/internal/platform/cluster"
)

var update = flag.Bool("update", false, "write what is built into testdata; read the difference")

// specs are one of each kind of cluster.
var specs = map[string]cluster.Spec{
	"job": {
		Run: "0123456789abcdef", Job: "orders", Team: "shop", Flink: "2.2", JobID: "aabb", Savepoint: "s3://state/savepoints/x", AllowNonRestored: true,
		Definition: "https://platform:8088/v1/jobs/orders/versions/3", Digest: "d1", Events: "https://platform:8088/v1/flink-events",
		JobManagers: 1, TaskManagers: 3, Slots: 2, KeepMemory: true, Arguments: []string{"-Dexecution.checkpointing.savepoint-dir=s3://state/savepoints/0123456789abcdef"},
		JobManager: cluster.Size{Memory: 2 << 30, CPU: "500m"}, TaskManager: cluster.Size{Memory: 1500<<20 + 1}, Secrets: []string{"orders-db"},
	},
	"job-high-availability": {
		Run: "0123456789abcdef", Job: "orders", Team: "shop", Flink: "1.20", JobID: "aabb", ClusterID: "run-1", Election: "kubernetes",
		Definition: "https://platform:8088/v1/jobs/orders/versions/3", Digest: "d1", Events: "https://platform:8088/v1/flink-events", JobManagers: 2, TaskManagers: 1,
	},
	"session": {
		Run: "0123456789abcdef", Session: true, Job: "shared", Team: "shop", Definition: "https://platform:8088/v1/jobs/shared/versions/1", Digest: "d1",
		JobManagers: 1, TaskManagers: 1, Arguments: []string{"-Dexecution.checkpointing.savepoint-dir=s3://state/savepoints/0123456789abcdef"},
	},
	"session-high-availability": {
		Run: "0123456789abcdef", Session: true, Job: "shared", Team: "shop", ClusterID: "run-1", Election: "zookeeper", Definition: "https://platform:8088/v1/jobs/shared/versions/1", Digest: "d1",
		JobManagers: 2, TaskManagers: 1,
	},
}

var options = Options{Instance: "1f2e3d4c", Namespace: "flink", Image: "registry.example.com:5000/flink-entrypoint:{version}-slim", FlinkVersion: "2.2", StateDir: "s3://state", StateClaim: "flink-state"}

// TestManifests: the objects of each kind of cluster are those of testdata.
func TestManifests(t *testing.T) {
	for name, s := range specs {
		t.Run(name, func(t *testing.T) {
			d := &Driver{o: options}
			all, err := d.manifests(s)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, o := range all {
				b, err := yaml.Marshal(o.Object)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString("---\n" + string(b))
			}
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("the objects are others (-update writes them, then read the difference):\n%s", got.String())
			}
		})
	}
}
