package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

// growthCases count in directories, one inside the other. Every path is as long as it is deep and the kernel walks all of it
// for every file, so the whole cannot be linear; 1000 is what a path of 4096 bytes can just hold, and no runtime nests more
// than ten.
func growthCases() []growth.Case {
	var cases []growth.Case
	for _, source := range []string{V2, V1} {
		cases = append(cases, growth.Case{Name: "depth-" + strings.Fields(source)[1], N: 10, Sizes: []int{1, 10, 100, 1000}, Prepare: func(tb testing.TB, n int) func() error {
			root := tb.TempDir()
			own := strings.Repeat("/c", n)
			files := map[string]string{"proc/meminfo": "MemTotal:       25165824 kB\n"}
			limit := "memory.max"
			if source == V2 {
				files["proc/self/cgroup"] = "0::" + own + "\n"
				files["proc/self/mountinfo"] = "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
			} else {
				limit = "memory.limit_in_bytes"
				files["proc/self/cgroup"] = "4:memory,cpu:" + own + "\n"
				files["proc/self/mountinfo"] = "24 23 0:22 / /sys/fs/cgroup rw - cgroup cgroup rw,memory,cpu\n"
			}
			for depth := range n + 1 {
				files["sys/fs/cgroup"+strings.Repeat("/c", depth)+"/"+limit] = fmt.Sprintf("%d\n", int64(1<<30)+int64(depth)*4096)
			}
			for name, content := range files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					tb.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					tb.Fatal(err)
				}
			}
			return func() error {
				limits, err := Detect(root, Machine)
				if err == nil && (limits.Memory == nil || limits.Memory.Bytes != 1<<30) {
					err = fmt.Errorf("the limit is %v, expected the limit of the topmost directory", limits.Memory)
				}
				return err
			}
		}})
	}
	return cases
}
