package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flink-entrypoint/test/cluster"
)

// spent is what one way took, medians, from the start of both processes.
type spent struct {
	RestMS    float64 `json:"restMs"`    // until the JobManager's REST API answers
	RunningMS float64 `json:"runningMs"` // until all tasks of the job run
	RSSMiB    float64 `json:"rssMiB"`    // of the JobManager, then
}

// clusterResult compares the start of an application cluster: JobManager with a job, and TaskManager.
type clusterResult struct {
	Version  string `json:"version"`
	Official spent  `json:"official"`
	Ours     spent  `json:"flinkEntrypoint"`
	WarmedUp spent  `json:"warmedUp"` // ours, from archives that warmup made
	Quick    spent  `json:"quickJit"` // the same, the JobManager with --jit quick

	ArchiveBytes map[string]int64 `json:"archiveBytes"`
}

// way is one way to start a cluster.
type way struct {
	name     string
	official bool
	archive  string // --class-archive
	jit      string // --jit of the JobManager
	spent    func(*clusterResult) *spent
}

func ways() []way {
	return []way{
		{"official", true, "", "", func(c *clusterResult) *spent { return &c.Official }},
		{"flink-entrypoint", false, "off", "default", func(c *clusterResult) *spent { return &c.Ours }},
		{"warmed up", false, "auto", "default", func(c *clusterResult) *spent { return &c.WarmedUp }},
		{"quick JIT", false, "auto", "quick", func(c *clusterResult) *spent { return &c.Quick }},
	}
}

const clusterTimeout = 3 * time.Minute

func (b *bench) runClusters() (err error) {
	for _, v := range b.versions {
		home := filepath.Join(b.work, "cluster", v)
		stock := filepath.Join(b.homes, v)
		if err := copyHome(stock, home); err != nil {
			return err
		}
		if err := b.idleJob(home); err != nil {
			return err
		}
		result := clusterResult{Version: v}
		if result.ArchiveBytes, err = b.warmUp(home); err != nil {
			return err
		}
		times := map[string][]spent{}
		for i := range b.jvmRounds {
			fmt.Fprintf(os.Stderr, "bench: cluster of %s, round %d\n", v, i+1)
			for _, w := range ways() {
				if err := freshConf(home, stock); err != nil {
					return err
				}
				s, err := b.cluster(home, w)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, v, err)
				}
				times[w.name] = append(times[w.name], s)
			}
		}
		for _, w := range ways() {
			*w.spent(&result) = medianSpent(times[w.name])
		}
		b.clusters = append(b.clusters, result)
	}
	return nil
}

func medianSpent(all []spent) spent {
	of := func(f func(spent) float64) float64 {
		var v []int64
		for _, s := range all {
			v = append(v, int64(f(s)*1e3))
		}
		return median(v) / 1e3
	}
	return spent{of(func(s spent) float64 { return s.RestMS }), of(func(s spent) float64 { return s.RunningMS }), of(func(s spent) float64 { return s.RSSMiB })}
}

// warmUp makes the archives that an image would have, and returns their sizes.
func (b *bench) warmUp(home string) (map[string]int64, error) {
	roles := []string{"standalone-job", "taskmanager"}
	cmd := exec.Command(b.binary, append([]string{"warmup"}, roles...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "JAVA_HOME=" + b.java, "FLINK_HOME=" + home, "HOSTNAME=" + b.host, "DISABLE_JEMALLOC=true"}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("warmup: %w", err)
	}
	sizes := map[string]int64{}
	for _, r := range roles {
		st, err := os.Stat(filepath.Join(home, "class-archives", r+".jsa"))
		if err != nil {
			return nil, err
		}
		sizes[r] = st.Size()
	}
	return sizes, nil
}

// idleJob compiles the job into the home's usrlib.
func (b *bench) idleJob(home string) error {
	text, err := sources.ReadFile("Idle.java")
	if err != nil {
		return err
	}
	dir := filepath.Join(home, "idle")
	if err := os.MkdirAll(filepath.Join(dir, "classes"), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, "usrlib"), 0o755); err != nil {
		return err
	}
	source := filepath.Join(dir, "Idle.java")
	if err := os.WriteFile(source, text, 0o644); err != nil {
		return err
	}
	classes := filepath.Join(dir, "classes")
	for _, argv := range [][]string{
		{filepath.Join(b.java, "bin", "javac"), "-nowarn", "-d", classes, "-cp", filepath.Join(home, "lib", "*"), source},
		{filepath.Join(b.java, "bin", "jar"), "cf", filepath.Join(home, "usrlib", "idle.jar"), "-C", classes, "."},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", argv[0], err, out)
		}
	}
	return nil
}

// cluster starts JobManager and TaskManager together, waits until the job runs, and ends them.
func (b *bench) cluster(home string, way way) (s spent, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clusterTimeout)
	defer cancel()
	dir, err := os.MkdirTemp(b.work, "run-")
	if err != nil {
		return s, err
	}
	c, err := cluster.New(b.binary, home, dir)
	if err != nil {
		return s, err
	}
	var started []*exec.Cmd
	defer func() {
		for _, p := range started {
			_ = p.Process.Signal(syscall.SIGKILL)
			_ = p.Wait()
		}
	}()
	start := func(role string, args ...string) (*exec.Cmd, error) {
		roleHome, argv := home, append([]string{b.binary, "--class-archive", way.archive, "--jit", way.jit, "--run-dir", filepath.Join(dir, role), role}, args...)
		if way.official {
			// A container has its own home. Here both write into conf, so each process gets one.
			roleHome = filepath.Join(dir, role+"-home")
			if err := copyHome(home, roleHome); err != nil {
				return nil, err
			}
			if err := os.Symlink(filepath.Join(home, "usrlib"), filepath.Join(roleHome, "usrlib")); err != nil {
				return nil, err
			}
			argv = append([]string{"/bin/bash", b.official, role}, args...)
		}
		p := exec.Command(argv[0], argv[1:]...)
		p.Env = append(c.Environment(role), "JAVA_HOME="+b.java, "FLINK_HOME="+roleHome, "JOB_MANAGER_RPC_ADDRESS=127.0.0.1", "HOSTNAME="+b.host)
		p.Dir = dir
		log, err := os.Create(filepath.Join(dir, role+".out"))
		if err != nil {
			return nil, err
		}
		defer log.Close()
		p.Stdout, p.Stderr = log, log
		// A group of its own dies with the benchmark.
		p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return p, nil
	}
	jm, err := start("standalone-job", "--job-classname", "Idle")
	if err != nil {
		return s, err
	}
	tm, err := start("taskmanager")
	if err != nil {
		return s, err
	}
	began := time.Now()
	for _, p := range []*exec.Cmd{jm, tm} {
		if err := p.Start(); err != nil {
			return s, err
		}
		started = append(started, p)
	}
	elapsed := func() float64 { return float64(time.Since(began).Microseconds()) / 1e3 }
	err = poll(ctx, func() bool { return get(ctx, c.Rest, "/overview", nil) == nil })
	s.RestMS = elapsed()
	if err == nil {
		err = poll(ctx, func() bool {
			var o struct {
				Jobs []struct {
					State string
					Tasks map[string]int
				}
			}
			return get(ctx, c.Rest, "/jobs/overview", &o) == nil && len(o.Jobs) == 1 && o.Jobs[0].State == "RUNNING" && o.Jobs[0].Tasks["running"] == o.Jobs[0].Tasks["total"]
		})
		s.RunningMS = elapsed()
	}
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "standalone-job.out"))
		return s, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-6000):])
	}
	rss := strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", jm.Process.Pid), "VmRSS", ":"), " kB")
	if kib, err := strconv.ParseFloat(rss, 64); err == nil {
		s.RSSMiB = kib / 1024
	}
	return s, nil
}

// poll asks every ten milliseconds until it is so.
func poll(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// get asks the REST API and decodes the answer.
func get(ctx context.Context, port int, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, res.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}
