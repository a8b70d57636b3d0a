package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// group is what was measured of one version with one environment.
type group struct {
	version               string
	properties            bool
	official, ours, floor result
}

func groups(results []result) []group {
	var out []group
	for i := 0; i+2 < len(results); i += 3 {
		out = append(out, group{results[i].Version, results[i].Properties, results[i], results[i+1], results[i+2]})
	}
	return out
}

// goal is a figure that was promised.
type goal struct {
	text  string
	value float64
	limit float64
	least bool // the limit is the least that is allowed, not the most
}

func (g goal) met() bool {
	if g.least {
		return g.value >= g.limit
	}
	return g.value <= g.limit
}

// goals judges by ratio, so that a slow or busy machine is neither an excuse nor an advantage.
func (b *bench) goals() []goal {
	out := []goal{{text: "stripped binary, bytes", value: float64(b.binarySize), limit: float64(b.strippedBudget)}}
	for _, g := range groups(b.start) {
		name := g.version
		if g.properties {
			name += " with FLINK_PROPERTIES"
		}
		out = append(out, goal{text: name + ": times the floor", value: g.ours.WallMS / g.floor.WallMS, limit: 3},
			goal{text: name + ": peak memory, MiB", value: g.ours.PeakMiB, limit: 20})
		if g.official.JVMs > 1 { // 1.19 and later read the configuration with a JVM each time
			out = append(out, goal{text: name + ": times faster than the official entrypoint", value: g.official.WallMS / g.ours.WallMS, limit: 300, least: true})
		}
	}
	for _, c := range b.clusters {
		out = append(out, goal{text: c.Version + ": REST up from archives, part of the official time", value: c.WarmedUp.RestMS / c.Official.RestMS, limit: 0.25},
			goal{text: c.Version + ": job RUNNING from archives, part of the official time", value: c.WarmedUp.RunningMS / c.Official.RunningMS, limit: 0.4})
	}
	return append(out, b.nativeGoals()...)
}

// print writes the tables and returns how many goals were missed.
func (b *bench) print(w io.Writer) (missed int) {
	m := b.machine()
	fmt.Fprintf(w, "%s, %d cores, Linux %s, Java %s; medians of %d (official) and %d runs, in turn\n\n", m.CPU, m.Cores, m.Kernel, m.Java, b.rounds, b.rounds*b.again)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "Flink\tFLINK_PROPERTIES\tway\tstart to exec\tfastest\tCPU time\tpeak memory\tprocesses\tJVMs\tofficial ÷ it\tit ÷ floor\t\n")
	for _, g := range groups(b.start) {
		set := "-"
		if g.properties {
			set = "set"
		}
		for _, r := range []result{g.official, g.ours, g.floor} {
			processes := "?"
			if r.Processes >= 0 {
				processes = fmt.Sprint(r.Processes)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%.2f ms\t%.2f ms\t%.2f ms\t%.1f MiB\t%s\t%d\t%.0f ×\t%.1f ×\t\n", g.version, set, r.Name, r.WallMS, r.FastestMS, r.CPUMS, r.PeakMiB,
				processes, r.JVMs, g.official.WallMS/r.WallMS, r.WallMS/g.floor.WallMS)
		}
	}
	_ = t.Flush()
	if len(b.clusters) > 0 {
		fmt.Fprintf(w, "\napplication cluster, JobManager and TaskManager started together; medians of %d, in turn\n\n", b.jvmRounds)
		fmt.Fprint(t, "Flink\tway\tREST answers\tjob RUNNING\tJobManager RSS\tREST, part\tRUNNING, part\t\n")
		for _, c := range b.clusters {
			for _, w := range ways() {
				s := w.spent(&c)
				fmt.Fprintf(t, "%s\t%s\t%.2f s\t%.2f s\t%.0f MiB\t%.2f\t%.2f\t\n", c.Version, w.name, s.RestMS/1e3, s.RunningMS/1e3, s.RSSMiB,
					s.RestMS/c.Official.RestMS, s.RunningMS/c.Official.RunningMS)
			}
		}
		_ = t.Flush()
	}
	b.printNative(w)
	fmt.Fprintln(w)
	for _, g := range b.goals() {
		verdict, sign := "met   ", "at most"
		if !g.met() {
			verdict = "MISSED"
			missed++
		}
		if g.least {
			sign = "at least"
		}
		fmt.Fprintf(w, "%s  %s: %.4g (%s %.8g)\n", verdict, g.text, g.value, sign, g.limit)
	}
	return missed
}
