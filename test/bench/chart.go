package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart draws the medians as bars on a logarithmic scale: on a linear one, ours could not be seen.
func chart(starts []result, clusters []clusterResult, m machine) string {
	const (
		width, left, right = 860.0, 210.0, 110.0
		bar, gap, section  = 15.0, 3.0, 30.0
	)
	colours := map[string]string{"official": "#b45309", "flink-entrypoint": "#0f766e", "warmed up": "#1d4ed8", "quick JIT": "#7c3aed", "floor": "#94a3b8"}
	low, high := 1.0, 10.0 // milliseconds
	for _, r := range starts {
		high = max(high, r.WallMS)
		low = min(low, r.WallMS)
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	x := func(ms float64) float64 {
		return left + (width-left-right)*math.Log10(ms/low)/math.Log10(high/low)
	}
	var body strings.Builder
	text := func(px, py float64, anchor, class, s string) {
		fmt.Fprintf(&body, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", px, py, anchor, class, html.EscapeString(s))
	}
	y := 84.0
	top := y - 12
	for _, g := range groups(starts) {
		name := "Flink " + g.version
		if g.properties {
			name += ", FLINK_PROPERTIES"
		}
		text(left-8, y+bar+gap+11, "end", "name", name)
		for _, r := range []result{g.official, g.ours, g.floor} {
			fmt.Fprintf(&body, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"/>\n", left, y, max(1, x(r.WallMS)-left), bar, colours[r.Name])
			text(x(r.WallMS)+5, y+12, "start", "value", duration(r.WallMS))
			y += bar + gap
		}
		y += section - bar
	}
	bottom := y - 8
	var grid strings.Builder
	for v := low; v <= high*1.001; v *= 10 {
		fmt.Fprintf(&grid, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", x(v), x(v), top, bottom)
		fmt.Fprintf(&grid, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" class=\"axis\">%s</text>\n", x(v), bottom+15, duration(v))
	}
	y = bottom + 44
	if len(clusters) > 0 {
		text(16, y, "start", "title", "From the container's start to a running job (linear)")
		y += 18
		longest := 1.0
		for _, c := range clusters {
			longest = max(longest, c.Official.RunningMS, c.Ours.RunningMS, c.WarmedUp.RunningMS)
		}
		for _, c := range clusters {
			text(left-8, y+bar+gap, "end", "name", "Flink "+c.Version)
			for _, w := range ways() {
				s := w.spent(&c)
				scale := (width - left - right) / longest
				fmt.Fprintf(&body, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\" opacity=\"0.45\"/>\n", left, y, s.RunningMS*scale, bar, colours[w.name])
				fmt.Fprintf(&body, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"/>\n", left, y, s.RestMS*scale, bar, colours[w.name])
				text(left+s.RunningMS*scale+5, y+12, "start", "value", duration(s.RestMS)+" / "+duration(s.RunningMS))
				y += bar + gap
			}
			y += section - bar
		}
		text(left, y+2, "start", "axis", "dark: REST answers; light: job RUNNING; blue: from class archives; violet: --jit quick, too")
		y += 26
	}
	legend, lx := "", left
	for _, l := range [][2]string{{"official", "official entrypoint"}, {"flink-entrypoint", "flink-entrypoint"}, {"floor", "floor: a Go program that only execs"}} {
		legend += fmt.Sprintf("<rect x=\"%.0f\" y=\"44\" width=\"11\" height=\"11\" fill=\"%s\"/><text x=\"%.0f\" y=\"54\" class=\"axis\">%s</text>\n", lx, colours[l[0]], lx+16, l[1])
		lx += 40 + 6.6*float64(len(l[1]))
	}
	footer := fmt.Sprintf("%s, %d cores, Linux %s, Java %s; medians, in turn in one run: make bench", m.CPU, m.Cores, m.Kernel, m.Java)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">
<title>Start of Flink through the official entrypoint and through flink-entrypoint</title>
<style>text{font-family:system-ui,sans-serif;fill:#1e293b}.title{font-size:15px;font-weight:600}.name{font-size:12px}.value{font-size:11px;font-weight:600}.axis{font-size:11px;fill:#475569}.grid{stroke:#e2e8f0}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="16" y="26" class="title">From the start of the entrypoint to the exec of Flink's java (TaskManager, logarithmic)</text>
%s%s%s<text x="16" y="%.0f" class="axis">%s</text>
</svg>
`, width, y+22, width, y+22, legend, grid.String(), body.String(), y+8, html.EscapeString(footer))
}

// duration writes milliseconds as a user would.
func duration(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.3g s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.3g ms", ms)
}
