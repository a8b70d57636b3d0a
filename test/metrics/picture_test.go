//go:build metrics

package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/picture"
	"flink-entrypoint/test/world"
)

var pictures = flag.String("pictures", "", "folder for pictures of the dashboards in both themes")

// span is the time that pictures show.
const span = 3 * time.Minute

// A chart is a panel with what its queries returned, for the page.
type chart struct {
	Title, Unit string
	Min, Max    *float64
	Steps       []step
	Times       []float64
	Lines       []line
}

type step struct {
	Colour string
	At     float64
}

type line struct {
	Name   string
	Values []*float64 // by Times; nil: none
}

// pictures makes a picture of each dashboard. It is not Grafana: a page draws the panels from the results of their own queries.
func (p prometheus) pictures(boards []dashboard) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*span)
	defer cancel()
	if err := cluster.Poll(ctx, func() error {
		all, err := p.query(fmt.Sprintf("count_over_time(up[%ds]) >= %d", int(span.Seconds()), int(span.Seconds())-5))
		if err == nil && len(all) < 3 {
			err = fmt.Errorf("%w: Prometheus has not scraped for %s", cluster.ErrNotYet, span)
		}
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	to := time.Now()
	for _, b := range boards {
		charts := make([]chart, len(b.Panels))
		for i, panel := range b.Panels {
			d := panel.FieldConfig.Defaults
			c := chart{Title: panel.Title, Unit: d.Unit, Min: d.Min, Max: d.Max}
			for _, s := range d.Thresholds.Steps {
				if s.Value != nil {
					c.Steps = append(c.Steps, step{s.Color, *s.Value})
				}
			}
			for at := to.Add(-span).Unix(); at <= to.Unix(); at += 2 {
				c.Times = append(c.Times, float64(at))
			}
			for _, q := range panel.Targets {
				all, err := p.ask(fmt.Sprintf("query_range?query=%s&start=%.0f&end=%.0f&step=2", url.QueryEscape(q.all()), c.Times[0], c.Times[len(c.Times)-1]))
				if err != nil {
					p.t.Fatal(err)
				}
				for _, s := range all {
					l := line{Name: legend(q.LegendFormat, s.Metric), Values: make([]*float64, len(c.Times))}
					for _, v := range s.Values {
						if !math.IsNaN(v.value) && !math.IsInf(v.value, 0) {
							l.Values[int(v.at-c.Times[0])/2] = &v.value
						}
					}
					c.Lines = append(c.Lines, l)
				}
			}
			charts[i] = c
		}
		p.draw(b, charts)
	}
}

var label = regexp.MustCompile(`{{\s*(\w+)\s*}}`)

// legend puts labels into a legend as Grafana does.
func legend(format string, labels map[string]string) string {
	return strings.TrimSpace(label.ReplaceAllStringFunc(format, func(m string) string { return labels[label.FindStringSubmatch(m)[1]] }))
}

// draw makes the pictures of one dashboard.
func (p prometheus) draw(b dashboard, charts []chart) {
	p.t.Helper()
	root, err := world.Root()
	if err != nil {
		p.t.Fatal(err)
	}
	uplot := filepath.Join(root, "internal", "platform", "web", "bundle", "node_modules", "uplot", "dist")
	content, err := json.Marshal(charts)
	if err != nil {
		p.t.Fatal(err)
	}
	page, err := template.ParseFiles(filepath.Join("testdata", "board.html"))
	if err != nil {
		p.t.Fatal(err)
	}
	dir := p.t.TempDir()
	for _, theme := range []string{"light", "dark"} {
		var html bytes.Buffer
		if err := page.Execute(&html, map[string]any{"Title": b.Title, "Theme": theme, "UPlot": uplot, "Charts": template.JS(content)}); err != nil {
			p.t.Fatal(err)
		}
		file, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "shot.png")
		if err := os.WriteFile(file, html.Bytes(), 0o644); err != nil {
			p.t.Fatal(err)
		}
		if out, err := exec.CommandContext(p.t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+filepath.Join(dir, "profile"),
			fmt.Sprintf("--window-size=1120,%d", 50+(len(charts)+1)/2*258), "--screenshot="+shot, "file://"+file).CombinedOutput(); err != nil {
			p.t.Fatalf("chromium: %v\n%s", err, out)
		}
		large, err := os.ReadFile(shot)
		if err != nil {
			p.t.Fatal(err)
		}
		small, err := picture.Shrink(large)
		if err == nil {
			err = os.WriteFile(filepath.Join(*pictures, "board-"+b.file+"-"+theme+".png"), small, 0o644)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}
