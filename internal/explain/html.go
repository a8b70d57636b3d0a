package explain

import (
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/redact"
)

// htmlColours are the components' colours on the page, in the order of the memory model.
var htmlColours = [...]string{"#2f6fb3", "#4ea3e0", "#e8833a", "#8a63c9", "#b99be0", "#4caf72", "#8d99a6", "#c3cad1"}

const htmlStyle = `body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;margin:2rem auto;max-width:64rem;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid #d8dee4;padding-bottom:.25rem}
p.sub{color:#5b6875;margin-top:.25rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e8ecf0;vertical-align:top}
th{color:#5b6875;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code,pre{font:13px/1.5 ui-monospace,monospace}
pre{background:#f5f7f9;padding:.8rem 1rem;overflow-x:auto;border-radius:6px}td code{overflow-wrap:anywhere}.sw{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.5em}
.old{color:#a33;text-decoration:line-through}.new{color:#176b35}.warn{background:#fff6e0;border-left:4px solid #e0a100;padding:.5rem 1rem;margin:.4rem 0}svg{display:block;width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#14191f;color:#d9e0e7}p.sub,th{color:#a3b1bf}pre{background:#1d242c}th,td,h2{border-color:#2d3742}.warn{background:#3a2f10}.old{color:#f08a8a}.new{color:#7fd69b}}`

// HTML prints a plan as one self-contained page: nothing is loaded from elsewhere, nothing runs.
func HTML(w io.Writer, plan *boot.Plan, r *redact.Redactor) error {
	e := Of(plan, r)
	var b strings.Builder
	esc := html.EscapeString
	title := fmt.Sprintf("%s on Flink %s", e.Role, e.Flink.Version)
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>%s</title><style>%s</style></head><body>\n", esc(title), htmlStyle)
	fmt.Fprintf(&b, "<h1>%s</h1>\n<p class=\"sub\">%s · %s", esc(title), esc(e.Flink.Home), esc(orNone(e.Flink.ConfFile)))
	if plan.Java.Version != "" {
		fmt.Fprintf(&b, " · Java %s", esc(plan.Java.Version))
	}
	b.WriteString("</p>\n")
	for _, x := range e.Warnings {
		fmt.Fprintf(&b, "<div class=\"warn\">%s</div>\n", esc(x))
	}
	if plan.Memory != nil {
		htmlMemory(&b, plan)
	}
	fmt.Fprintf(&b, "<h2>Limits of the container</h2>\n<table><tr><th>memory</th><td>%s</td></tr><tr><th>CPU</th><td>%s</td></tr>", esc(memoryLimitText(e.Limits.Memory)), esc(cpuLimitText(e.Limits.CPU)))
	for _, n := range e.Limits.Notes {
		fmt.Fprintf(&b, "<tr><th></th><td>%s</td></tr>", esc(n))
	}
	b.WriteString("</table>\n")
	if d := e.Definition; d != nil {
		fmt.Fprintf(&b, "<h2>Definition</h2>\n<table><tr><th>name</th><td>%s</td></tr><tr><th>from</th><td>%s</td></tr><tr><th>sha256</th><td><code>%s</code></td></tr></table>\n", esc(d.Name), esc(d.URI), esc(d.SHA256))
	}
	htmlConfig(&b, e.Config)
	if len(e.Metrics) > 0 {
		b.WriteString("<h2>Metrics</h2>\n<table><tr><th>reporter</th><th>class</th><th>port or receiver</th><th>labels</th><th>from</th></tr>")
		for _, m := range e.Metrics {
			to := m.Port + m.URL
			if !m.Started {
				to = "not started: metrics.reporters leaves it out"
			}
			fmt.Fprintf(&b, "<tr><td>%s</td><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>", esc(m.Name), esc(m.Class), esc(to), esc(m.Labels), esc(m.Source))
		}
		b.WriteString("</table>\n")
	}
	if s := e.SQL; s != nil {
		fmt.Fprintf(&b, "<h2>SQL</h2>\n<p class=\"sub\">%s</p>\n<pre>%s</pre>\n", esc(s.InitFile), esc(strings.Join(s.Init, ";\n")))
	}
	if len(e.Artifacts) > 0 {
		b.WriteString("<h2>Artifacts</h2>\n<table><tr><th>from</th><th>to</th></tr>")
		for _, a := range e.Artifacts {
			fmt.Fprintf(&b, "<tr><td>%s</td><td><code>%s</code></td></tr>", esc(a.URI), esc(a.Path))
		}
		b.WriteString("</table>\n")
	}
	if len(e.Links) > 0 {
		b.WriteString("<h2>Links</h2>\n<table><tr><th>path</th><th>to</th></tr>")
		for _, l := range e.Links {
			fmt.Fprintf(&b, "<tr><td><code>%s</code></td><td><code>%s</code></td></tr>", esc(l.Path), esc(l.Target))
		}
		b.WriteString("</table>\n")
	}
	if len(e.Removed) > 0 {
		fmt.Fprintf(&b, "<h2>Removed from the run dir</h2>\n<pre>%s</pre>\n", esc(strings.Join(e.Removed, "\n")))
	}
	if c := e.Command; c != nil {
		fmt.Fprintf(&b, "<h2>Command</h2>\n<pre>%s</pre>\n", esc(strings.Join(append([]string{c.Path}, c.Argv[min(1, len(c.Argv)):]...), "\n  ")))
		if len(c.Env) > 0 {
			b.WriteString("<h2>Environment, added or changed</h2>\n<table>")
			for _, k := range slices.Sorted(maps.Keys(c.Env)) {
				fmt.Fprintf(&b, "<tr><th>%s</th><td><code>%s</code></td></tr>", esc(k), esc(c.Env[k]))
			}
			b.WriteString("</table>\n")
		}
		if len(c.Differences) > 0 {
			b.WriteString("<h2>Intended differences from Flink's scripts</h2>\n<ul>")
			for _, d := range c.Differences {
				fmt.Fprintf(&b, "<li>%s</li>", esc(d))
			}
			b.WriteString("</ul>\n")
		}
	}
	b.WriteString("</body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// htmlMemory draws the bar as inline SVG and lists the components with where each comes from.
func htmlMemory(b *strings.Builder, plan *boot.Plan) {
	const width, height = 1000.0, 64.0
	esc := html.EscapeString
	spec := plan.Memory.Spec
	fmt.Fprintf(b, "<h2>Memory: process size %s, from %s</h2>\n", esc(mib(spec.ProcessSize)), esc(plan.Memory.Source))
	whole := spec.ProcessSize // and what of the container's limit it leaves free
	if l := plan.Limits.Memory; l != nil && !l.Shared {
		whole = max(whole, l.Bytes)
	}
	fmt.Fprintf(b, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"memory components\">", width, height)
	x := 0.0
	for i, c := range spec.Components() {
		part := float64(c.Bytes) / float64(whole) * width
		fmt.Fprintf(b, "<rect x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%g\" fill=\"%s\"><title>%s: %s</title></rect>", x, part, height, htmlColours[i%len(htmlColours)], esc(c.Title), mib(c.Bytes))
		if label := fmt.Sprintf("%.0f", float64(c.Bytes)/(1<<20)); part > float64(12*len(label)) {
			fmt.Fprintf(b, "<text x=\"%.2f\" y=\"%g\" font-family=\"system-ui,sans-serif\" font-size=\"20\" fill=\"#fff\" text-anchor=\"middle\">%s</text>", x+part/2, height/2+7, label)
		}
		x += part
	}
	if free := whole - spec.ProcessSize; free > 0 {
		fmt.Fprintf(b, "<rect x=\"%.2f\" y=\"1\" width=\"%.2f\" height=\"%g\" fill=\"none\" stroke=\"#8d99a6\" stroke-dasharray=\"6\"><title>left free: %s</title></rect>", x, width-x-1, height-2, mib(free))
	}
	b.WriteString("</svg>\n<table><tr><th>component</th><th>size</th><th>share</th><th>key</th><th>from</th></tr>")
	for i, c := range spec.Components() {
		fmt.Fprintf(b, "<tr><td><span class=\"sw\" style=\"background:%s\"></span>%s</td><td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td><code>%s</code></td><td>%s</td></tr>",
			htmlColours[i%len(htmlColours)], esc(c.Title), mib(c.Bytes), 100*float64(c.Bytes)/float64(spec.ProcessSize), esc(c.Key), esc(provenance(plan, c.Name, c.Key)))
	}
	b.WriteString("</table>\n")
}

func htmlConfig(b *strings.Builder, c Config) {
	esc := html.EscapeString
	state := ""
	if c.Unchanged {
		state = " (unchanged)"
	}
	fmt.Fprintf(b, "<h2>Configuration</h2>\n<p class=\"sub\">%s%s</p>\n", esc(c.File), state)
	if x := c.Conversion; x != nil {
		fmt.Fprintf(b, "<p>Settings of <code>%s</code> as lines for <code>%s</code>:</p>\n<pre>%s</pre>\n", esc(x.From), esc(x.To), esc(strings.Join(x.Lines, "\n")))
	}
	if len(c.Changes) == 0 {
		b.WriteString("<p>Same as the base file.</p>\n")
		return
	}
	b.WriteString("<table><tr><th>key</th><th>old</th><th>new</th><th>from</th></tr>")
	for _, x := range c.Changes {
		old, value := "", "<i>removed</i>"
		if x.Old != nil {
			old = "<code class=\"old\">" + esc(*x.Old) + "</code>"
		}
		if x.New != nil {
			value = "<code class=\"new\">" + esc(*x.New) + "</code>"
		}
		fmt.Fprintf(b, "<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>", esc(x.Key), old, value, esc(x.Source))
	}
	b.WriteString("</table>\n")
}
