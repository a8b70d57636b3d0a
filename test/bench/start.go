package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// reading is what meter prints of one run.
type reading struct {
	Wall    int64 `json:"wall"`    // nanoseconds
	CPU     int64 `json:"cpu"`     // nanoseconds
	PeakKiB int64 `json:"peakKiB"` // of the largest process
	Exit    int   `json:"exit"`
}

// contestant is one way to get from the start of a container to the exec of Flink's own java.
type contestant struct {
	Name  string
	argv  []string
	env   []string
	fresh func() (env []string, err error) // makes the world as a new container has it; env adds to the environment
	again int                              // runs per round; the fast ones are run more often
	calls string                           // where the recorder notes its calls, "" without
}

// result is what was measured of a contestant, on one version, with one environment.
type result struct {
	Version    string    `json:"version"`
	Properties bool      `json:"flinkProperties"`
	Name       string    `json:"name"`
	WallMS     float64   `json:"wallMedianMs"`
	FastestMS  float64   `json:"wallFastestMs"`
	CPUMS      float64   `json:"cpuMedianMs"`
	PeakMiB    float64   `json:"peakMiB"`
	JVMs       int       `json:"helperJVMs"`
	Processes  int       `json:"helperProcesses"` // -1: not counted
	Runs       []reading `json:"runs"`
}

// properties is a usual FLINK_PROPERTIES.
const properties = "jobmanager.rpc.address: jobmanager\ntaskmanager.numberOfTaskSlots: 2\nstate.checkpoints.dir: file:///checkpoints\nparallelism.default: 2\n"

// programs are the small programs that the benchmark builds for itself.
type programs struct{ dir, meter, floor, recorder, node string }

func build(dir string) (programs, error) {
	p := programs{dir: dir, meter: dir + "/meter", floor: dir + "/floor", recorder: dir + "/recorder", node: dir + "/node"}
	for _, name := range []string{"bench/meter", "bench/floor", "bench/recorder", "native/node"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, filepath.Base(name)), "flink-entrypoint/test/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build %s: %w\n%s", name, err, out)
		}
	}
	return p, nil
}

// javaHome makes a JAVA_HOME whose java is program.
func javaHome(dir, real string, program []byte) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "java"), program, 0o755); err != nil {
		return "", err
	}
	return dir, copyFile(filepath.Join(real, "release"), filepath.Join(dir, "release"))
}

// startContestants are the official way, ours, and the floor, on one home.
func startContestants(b *bench, home string, withProperties bool) ([]contestant, error) {
	// In memory, because ext4 passes over the inodes that were deleted in the last minute, of which the official way leaves
	// many: a start would be measured by the deletions before it.
	work := filepath.Join(b.memory, filepath.Base(home), fmt.Sprint(withProperties))
	official := filepath.Join(work, "flink")
	if err := copyHome(home, official); err != nil {
		return nil, err
	}
	recorder, err := os.ReadFile(b.programs.recorder)
	if err != nil {
		return nil, err
	}
	target := nothing()
	if target == nil {
		target = recorder
	}
	recording, err := javaHome(filepath.Join(work, "java-recorder"), b.java, recorder)
	if err != nil {
		return nil, err
	}
	ending, err := javaHome(filepath.Join(work, "java-nothing"), b.java, target)
	if err != nil {
		return nil, err
	}
	env := func(flinkHome, java string, more ...string) []string {
		e := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "HOSTNAME=" + b.host, "FLINK_HOME=" + flinkHome, "JAVA_HOME=" + java,
			"FLINK_LOG_DIR=" + work, "FLINK_PID_DIR=" + work, "DISABLE_JEMALLOC=true", "JOB_MANAGER_RPC_ADDRESS=jobmanager"}
		if withProperties {
			e = append(e, "FLINK_PROPERTIES="+properties)
		}
		return append(e, more...)
	}
	calls, run, runs := filepath.Join(work, "calls"), filepath.Join(work, "run"), 0
	return []contestant{
		{Name: "official", argv: []string{"/bin/bash", b.official, "taskmanager"}, calls: calls, again: 1,
			env: env(official, recording, "BENCH_JAVA="+filepath.Join(b.java, "bin", "java"), "BENCH_CALLS="+calls),
			fresh: func() ([]string, error) {
				if err := os.RemoveAll(calls); err != nil {
					return nil, err
				}
				return nil, freshConf(official, home)
			}},
		{Name: "flink-entrypoint", argv: []string{b.binary, "taskmanager"}, again: b.again, env: env(home, ending), fresh: func() ([]string, error) {
			runs++ // another one each time: removing the last one is not a part of a start
			return []string{fmt.Sprintf("FLINK_ENTRYPOINT_RUN_DIR=%s-%d", run, runs)}, nil
		}},
		{Name: "floor", argv: []string{b.programs.floor, filepath.Join(ending, "bin", "java")}, again: b.again, env: env(home, ending), fresh: func() ([]string, error) { return nil, nil }},
	}, nil
}

// measure runs a contestant once.
func (b *bench) measure(c contestant) (r reading, err error) {
	more, err := c.fresh()
	if err != nil {
		return r, err
	}
	log := filepath.Join(b.work, "output")
	cmd := exec.Command(b.programs.meter, append([]string{log}, c.argv...)...)
	cmd.Env = append(slices.Clip(c.env), more...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", c.Name, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("%s: %w", c.Name, err)
	}
	if r.Exit != 0 {
		text, _ := os.ReadFile(log)
		return r, fmt.Errorf("%s ended with %d, expected 0:\n%s", c.Name, r.Exit, text)
	}
	return r, nil
}

// starts measures all contestants in turn, so that what else the machine does meets all of them.
func (b *bench) starts(version string, withProperties bool) ([]result, error) {
	contestants, err := startContestants(b, filepath.Join(b.homes, version), withProperties)
	if err != nil {
		return nil, err
	}
	results := make([]result, len(contestants))
	for i, c := range contestants {
		results[i] = result{Version: version, Properties: withProperties, Name: c.Name}
		if _, err := b.measure(c); err != nil { // once before, for the page cache
			return nil, err
		}
		if c.calls != "" {
			if results[i].JVMs, err = c.helpers(); err != nil {
				return nil, fmt.Errorf("%s: %w", version, err)
			}
		}
		if results[i].Processes, err = b.processes(c); err != nil {
			return nil, err
		}
	}
	for range b.rounds {
		for i, c := range contestants {
			for range c.again {
				r, err := b.measure(c)
				if err != nil {
					return nil, err
				}
				results[i].Runs = append(results[i].Runs, r)
			}
		}
	}
	for i := range results {
		results[i].summarize()
	}
	return results, nil
}

// helpers counts the JVMs before Flink's own in the last run.
func (c contestant) helpers() (int, error) {
	calls, err := os.ReadFile(c.calls)
	if err != nil || !strings.HasSuffix(string(calls), "final\n") {
		return 0, fmt.Errorf("%s did not reach Flink's own java: calls %q, %w", c.Name, calls, errors.Join(err))
	}
	return strings.Count(string(calls), "helper\n"), nil
}

func (r *result) summarize() {
	const ms = 1e6
	pick := func(of func(reading) int64) []int64 {
		var v []int64
		for _, x := range r.Runs {
			v = append(v, of(x))
		}
		return v
	}
	wall := pick(func(x reading) int64 { return x.Wall })
	r.WallMS, r.FastestMS = median(wall)/ms, float64(slices.Min(wall))/ms
	r.CPUMS = median(pick(func(x reading) int64 { return x.CPU })) / ms
	r.PeakMiB = float64(slices.Max(pick(func(x reading) int64 { return x.PeakKiB }))) / 1024
}

func median(v []int64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return float64(v[n/2-1]+v[n/2]) / 2
	}
	return float64(v[len(v)/2])
}

// processes counts the processes (not threads) that a contestant starts beside its own; -1 without strace.
func (b *bench) processes(c contestant) (int, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return -1, nil
	}
	more, err := c.fresh()
	if err != nil {
		return 0, err
	}
	trace := filepath.Join(b.work, "trace")
	cmd := exec.Command(strace, append([]string{"-f", "-qq", "-e", "signal=none", "-e", "trace=clone,clone3,fork,vfork", "-o", trace}, c.argv...)...)
	cmd.Env = append(slices.Clip(c.env), more...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("strace %s: %w\n%s", c.Name, err, out)
	}
	content, err := os.ReadFile(trace)
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "clone") || strings.Contains(line, "fork") {
			if !strings.Contains(line, "CLONE_THREAD") && !strings.Contains(line, "resumed>") {
				n++
			}
		}
	}
	return n, nil
}
