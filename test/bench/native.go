package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"flink-entrypoint/test/native"
)

// podResult compares the start of one pod of the native Kubernetes mode, up to the exec of Flink's own java.
type podResult struct {
	Version  string `json:"version"`
	Pod      string `json:"pod"`
	Official result `json:"official"`
	Ours     result `json:"flinkEntrypoint"`
}

// nativeResult compares application clusters of the native mode: from the JobManager's start until the job is FINISHED, medians.
type nativeResult struct {
	Version    string    `json:"version"`
	OfficialMS float64   `json:"officialMs"`
	OursMS     float64   `json:"flinkEntrypointMs"`
	Official   []float64 `json:"officialRunsMs"`
	Ours       []float64 `json:"flinkEntrypointRunsMs"`
}

// podCommands are what Flink writes into the pods of an application cluster, as the suite test/native sees it arrive.
var podCommands = []struct{ pod, command string }{
	{"JobManager", "kubernetes-jobmanager.sh kubernetes-application "},
	{"TaskManager", `kubernetes-taskmanager.sh -Djobmanager.memory.jvm-overhead.min='201326592b' -Dtaskmanager.resource-id='demo-taskmanager-1-1' -Djobmanager.memory.off-heap.size='134217728b' ` +
		`-Dexecution.target='embedded' -Dweb.tmpdir='/tmp/flink-web-2e117299-d750-497b-a4c8-f8bd38dcbe51' -Dpipeline.jars='['\''file:/opt/flink/usrlib/squares.jar'\'']' ` +
		`-Djobmanager.memory.jvm-metaspace.size='268435456b' -Djobmanager.memory.heap.size='1073741824b' -Djobmanager.memory.jvm-overhead.max='201326592b' ` +
		`-D taskmanager.memory.network.min=134217730b -D taskmanager.cpu.cores=1.0 -D taskmanager.memory.task.off-heap.size=0b -D taskmanager.memory.jvm-metaspace.size=268435456b ` +
		`-D external-resources=none -D taskmanager.memory.jvm-overhead.min=201326592b -D taskmanager.memory.framework.off-heap.size=134217728b -D taskmanager.memory.network.max=134217730b ` +
		`-D taskmanager.memory.framework.heap.size=134217728b -D taskmanager.memory.managed.size=536870920b -D taskmanager.memory.task.heap.size=402653174b ` +
		`-D taskmanager.numberOfTaskSlots=1 -D taskmanager.memory.jvm-overhead.max=201326592b `},
}

func (b *bench) runNative() error {
	for _, v := range b.versions {
		for _, p := range podCommands {
			fmt.Fprintf(os.Stderr, "bench: native %s of %s\n", p.pod, v)
			r, err := b.pod(v, p.pod, p.command)
			if err != nil {
				return fmt.Errorf("native %s of %s: %w", p.pod, v, err)
			}
			b.pods = append(b.pods, r)
		}
	}
	if b.podClusters == 0 {
		return nil
	}
	for _, v := range b.versions {
		r, err := b.nativeClusters(v)
		if err != nil {
			return fmt.Errorf("native cluster of %s: %w", v, err)
		}
		b.natives = append(b.natives, r)
	}
	return nil
}

// pod measures both ways in turn.
func (b *bench) pod(version, pod, command string) (r podResult, err error) {
	both, err := b.podContestants(version, pod, command)
	if err != nil {
		return r, err
	}
	r = podResult{Version: version, Pod: pod}
	results := []*result{&r.Official, &r.Ours}
	for i, c := range both {
		*results[i] = result{Version: version, Name: c.Name}
		if _, err := b.measure(c); err != nil { // once before, for the page cache
			return r, err
		}
		if results[i].JVMs, err = c.helpers(); err != nil {
			return r, err
		}
		if results[i].Processes, err = b.processes(c); err != nil {
			return r, err
		}
	}
	for range b.podRounds {
		for i, c := range both {
			reading, err := b.measure(c)
			if err != nil {
				return r, err
			}
			results[i].Runs = append(results[i].Runs, reading)
		}
	}
	r.Official.summarize()
	r.Ours.summarize()
	return r, nil
}

// podContestants are the official way and ours. Both end in the same program, which only notes that it was reached.
func (b *bench) podContestants(version, pod, command string) ([]contestant, error) {
	work := filepath.Join(b.memory, "native", version, pod)
	stock, home := filepath.Join(work, "stock"), filepath.Join(work, "flink")
	for _, to := range []string{stock, home} {
		if err := copyHome(filepath.Join(b.homes, version), to); err != nil {
			return nil, err
		}
	}
	if err := controlled(filepath.Join(stock, "conf")); err != nil {
		return nil, err
	}
	recorder, err := os.ReadFile(b.programs.recorder)
	if err != nil {
		return nil, err
	}
	java, err := javaHome(filepath.Join(work, "java"), b.java, recorder)
	if err != nil {
		return nil, err
	}
	calls, runs := filepath.Join(work, "calls"), 0
	env := []string{"PATH=" + filepath.Join(home, "bin") + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "HOSTNAME=" + b.host, "FLINK_HOME=" + home, "JAVA_HOME=" + java,
		"FLINK_LOG_DIR=" + work, "FLINK_PID_DIR=" + work, "DISABLE_JEMALLOC=true", "_POD_IP_ADDRESS=127.0.0.1", "_POD_NODE_ID=node", "BENCH_JAVA=" + filepath.Join(b.java, "bin", "java"), "BENCH_CALLS=" + calls,
		"FLINK_TM_JVM_MEM_OPTS=-Xmx536870902 -Xms536870902 -XX:MaxDirectMemorySize=268435458 -XX:MaxMetaspaceSize=268435456"}
	fresh := func() ([]string, error) { // what is mounted in the pod
		if err := os.RemoveAll(calls); err != nil {
			return nil, err
		}
		runs++
		return []string{fmt.Sprintf("FLINK_ENTRYPOINT_RUN_DIR=%s/run-%d", work, runs)}, freshConf(home, stock)
	}
	words := []string{"bash", "-c", command}
	return []contestant{
		{Name: "official", argv: append([]string{"/bin/bash", b.official}, words...), calls: calls, env: env, fresh: fresh},
		{Name: "flink-entrypoint", argv: append([]string{b.binary}, words...), calls: calls, env: env, fresh: fresh},
	}, nil
}

// controlled adds what tells that Flink's client wrote the configuration.
func controlled(conf string) error {
	for _, name := range []string{"config.yaml", "flink-conf.yaml"} {
		f, err := os.OpenFile(filepath.Join(conf, name), os.O_APPEND|os.O_WRONLY, 0)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString("\nkubernetes.cluster-id: demo\n")
		if closed := f.Close(); err == nil {
			err = closed
		}
		return err
	}
	return fmt.Errorf("neither config.yaml nor flink-conf.yaml in %s", conf)
}

func (b *bench) nativeClusters(version string) (r nativeResult, err error) {
	home := filepath.Join(b.homes, version)
	work := filepath.Join(b.work, "native", version)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return r, err
	}
	jars, err := native.Job(work, b.java, home)
	if err != nil {
		return r, err
	}
	r.Version = version
	for i := range b.podClusters {
		fmt.Fprintf(os.Stderr, "bench: native cluster of %s, round %d\n", version, i+1)
		for _, official := range []bool{true, false} {
			c := native.Cluster{Node: b.programs.node, Home: home, Java: b.java, Version: version, Entrypoint: b.binary, Official: official, Jars: jars}
			if official {
				c.Entrypoint = b.official
			}
			if c.Dir, err = os.MkdirTemp(work, "run-"); err != nil {
				return r, err
			}
			report, err := c.Run(context.Background())
			if err != nil {
				return r, err
			}
			if official {
				r.Official = append(r.Official, report.FinishedMS)
			} else {
				r.Ours = append(r.Ours, report.FinishedMS)
			}
		}
	}
	middle := func(all []float64) float64 {
		var v []int64
		for _, x := range all {
			v = append(v, int64(x*1e3))
		}
		return median(v) / 1e3
	}
	r.OfficialMS, r.OursMS = middle(r.Official), middle(r.Ours)
	return r, nil
}

// nativeGoals: no helper processes or JVMs, 200 times faster where the scripts start JVMs (1.19 and later), and a cluster in 0.7 of the time.
func (b *bench) nativeGoals() (out []goal) {
	for _, p := range b.pods {
		name := fmt.Sprintf("%s, native %s: ", p.Version, p.Pod)
		out = append(out, goal{text: name + "helper JVMs", value: float64(p.Ours.JVMs)})
		if p.Ours.Processes >= 0 {
			out = append(out, goal{text: name + "processes beside its own", value: float64(p.Ours.Processes)})
		}
		if p.Official.JVMs > 1 {
			out = append(out, goal{text: name + "times faster than the official entrypoint", value: p.Official.WallMS / p.Ours.WallMS, limit: 200, least: true})
		}
	}
	for _, c := range b.natives {
		if !strings.HasPrefix(c.Version, "1.18") {
			out = append(out, goal{text: c.Version + ": native cluster until FINISHED, part of the official time", value: c.OursMS / c.OfficialMS, limit: 0.7})
		}
	}
	return out
}

func (b *bench) printNative(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(b.pods) > 0 {
		fmt.Fprintf(w, "\npods of the native Kubernetes mode, start to the exec of Flink's own java; medians of %d, in turn\n\n", b.podRounds)
		fmt.Fprint(t, "Flink\tpod\tway\tstart to exec\tCPU time\tprocesses\tJVMs\tofficial ÷ it\t\n")
		for _, p := range b.pods {
			for _, r := range []result{p.Official, p.Ours} {
				processes := "?"
				if r.Processes >= 0 {
					processes = fmt.Sprint(r.Processes)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%.2f ms\t%.2f ms\t%s\t%d\t%.0f ×\t\n", p.Version, p.Pod, r.Name, r.WallMS, r.CPUMS, processes, r.JVMs, p.Official.WallMS/r.WallMS)
			}
		}
		_ = t.Flush()
	}
	if len(b.natives) > 0 {
		fmt.Fprintf(w, "\nnative application cluster, from the JobManager's start until the job is FINISHED; medians of %d, in turn\n\n", b.podClusters)
		fmt.Fprint(t, "Flink\tofficial\tflink-entrypoint\tpart\t\n")
		for _, c := range b.natives {
			fmt.Fprintf(t, "%s\t%.2f s\t%.2f s\t%.2f\t\n", c.Version, c.OfficialMS/1e3, c.OursMS/1e3, c.OursMS/c.OfficialMS)
		}
		_ = t.Flush()
	}
}
