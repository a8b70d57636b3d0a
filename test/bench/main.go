// Command bench compares the start of Flink through the official image's entrypoint with ours, in one run and in turn:
// wall and CPU time from the start of the entrypoint to the exec of Flink's own java, processes, and memory. The floor is
// a static Go program that does nothing but the exec. With -jvm it also starts real clusters and waits until the REST API
// answers and the job runs; with -native it starts the pods of Flink's native Kubernetes mode, and whole clusters of them.
//
// OFFICIAL names the real docker-entrypoint.sh to measure instead of our own few lines that do the same.
package main

import (
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/test/flinkhome/homes"
)

//go:embed official.sh Idle.java
var sources embed.FS

// bench is one run: where things are, and how often each is done.
type bench struct {
	work, homes    string
	memory         string // a folder in memory if there is one, else work
	java, host     string
	binary         string
	official       string
	programs       programs
	rounds, again  int
	jvmRounds      int
	versions       []string
	start          []result
	clusters       []clusterResult
	podRounds      int
	podClusters    int
	pods           []podResult
	natives        []nativeResult
	binarySize     int64
	strippedBudget int64 // bytes
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	binary := flags.String("binary", "bin/flink-entrypoint", "the entrypoint to measure")
	versions := flags.String("versions", "1.18.1 1.20.5 2.2.1", "Flink versions")
	rounds := flags.Int("rounds", 5, "rounds; in each the official way is run once")
	again := flags.Int("again", 10, "runs of the fast ones in each round")
	jvm := flags.Bool("jvm", false, "also start real clusters")
	jvmRounds := flags.Int("jvm-rounds", 3, "clusters of each kind with -jvm")
	natives := flags.Bool("native", false, "also start the pods of Flink's native Kubernetes mode, and whole clusters of them")
	podRounds := flags.Int("native-rounds", 9, "starts of each pod with -native")
	podClusters := flags.Int("native-clusters", 5, "clusters of each kind with -native")
	out := flags.String("out", "bin/bench", "folder for bench.json and bench.svg")
	check := flags.Bool("check", false, "fail when a goal is missed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := &bench{rounds: *rounds, again: *again, jvmRounds: *jvmRounds, podRounds: *podRounds, podClusters: *podClusters, versions: strings.Fields(*versions), host: "bench", strippedBudget: 10 << 20}
	if b.work, err = os.MkdirTemp("", "flink-entrypoint-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	b.memory = b.work
	if usable("/dev/shm") {
		if b.memory, err = os.MkdirTemp("/dev/shm", "flink-entrypoint-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.memory)
	}
	if err := b.prepare(*binary); err != nil {
		return err
	}
	for _, v := range b.versions {
		for _, withProperties := range []bool{false, true} {
			fmt.Fprintf(os.Stderr, "bench: %s, FLINK_PROPERTIES %v\n", v, withProperties)
			r, err := b.starts(v, withProperties)
			if err != nil {
				return err
			}
			b.start = append(b.start, r...)
		}
	}
	if *jvm {
		if err := b.runClusters(); err != nil {
			return err
		}
	}
	if *natives {
		if err := b.runNative(); err != nil {
			return err
		}
	}
	missed := b.print(os.Stdout)
	if err := b.write(*out); err != nil {
		return err
	}
	if *check && missed > 0 {
		return fmt.Errorf("%d goals missed", missed)
	}
	return nil
}

// usable tells whether dir is a file system in memory that programs may be started from.
func usable(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC && st.Flags&unix.ST_NOEXEC == 0 && unix.Access(dir, unix.W_OK) == nil
}

func (b *bench) prepare(binary string) (err error) {
	if b.binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	st, err := os.Stat(b.binary)
	if err != nil {
		return fmt.Errorf("no binary to measure: %w; make build", err)
	}
	b.binarySize = st.Size()
	if b.homes, err = homes.Root(); err != nil {
		return err
	}
	for _, v := range b.versions {
		if _, err := os.Stat(filepath.Join(b.homes, v, "lib")); err != nil {
			return fmt.Errorf("no Flink %s: %w; go run ./test/flinkhome %s", v, err, v)
		}
	}
	if b.java, err = realJava(); err != nil {
		return err
	}
	if b.official = os.Getenv("OFFICIAL"); b.official == "" {
		text, err := sources.ReadFile("official.sh")
		if err != nil {
			return err
		}
		b.official = filepath.Join(b.work, "official.sh")
		if err := os.WriteFile(b.official, text, 0o755); err != nil {
			return err
		}
	} else if b.official, err = filepath.Abs(b.official); err != nil {
		return err
	}
	if _, err := exec.LookPath("envsubst"); err != nil {
		return errors.New("envsubst is missing, which the official entrypoint calls; apt-get install gettext-base")
	}
	b.programs, err = build(b.work)
	return err
}

// realJava returns JAVA_HOME, else the home of the java on the path.
func realJava() (string, error) {
	if h := os.Getenv("JAVA_HOME"); h != "" {
		return h, nil
	}
	path, err := exec.LookPath("java")
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(path)), nil
}

// machine describes where the figures are from.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Java   string `json:"java"`
	Go     string `json:"go"`
}

func (b *bench) machine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = field("/proc/cpuinfo", "model name", ":")
	m.Memory = field("/proc/meminfo", "MemTotal", ":")
	m.Java = strings.Trim(field(filepath.Join(b.java, "release"), "JAVA_VERSION", "="), `"`)
	if v, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(v))
	}
	return m
}

// field returns the value of the first line of a file that has this name.
func field(path, name, separator string) string {
	content, _ := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if k, v, ok := strings.Cut(line, separator); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// write leaves the figures as JSON and as a chart.
func (b *bench) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	report := struct {
		When       time.Time       `json:"when"`
		Machine    machine         `json:"machine"`
		Official   string          `json:"official"`
		BinarySize int64           `json:"binaryBytes"`
		Starts     []result        `json:"starts"`
		Clusters   []clusterResult `json:"clusters,omitempty"`
		Pods       []podResult     `json:"nativePods,omitempty"`
		Natives    []nativeResult  `json:"nativeClusters,omitempty"`
	}{time.Now().UTC().Truncate(time.Second), b.machine(), "the steps of docker-entrypoint.sh in our own words", b.binarySize, b.start, b.clusters, b.pods, b.natives}
	if os.Getenv("OFFICIAL") != "" {
		report.Official = "the real docker-entrypoint.sh"
	}
	text, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench.svg"), []byte(chart(b.start, b.clusters, b.machine())), 0o644)
}
