// Command boards writes the Grafana dashboards of ../dashboards from the lists in this folder:
//
//	go run ./deploy/monitoring/boards
//
// A panel is a row of a list: what it shows, its unit, and queries. A test holds what is committed against what this program writes.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A board is one dashboard.
type board struct {
	file, title string
	about       string
	panels      []panel
	platform    bool // its series are of flink-platform, which has no variable of a job
}

// A panel shows queries over time.
type panel struct {
	title, about string
	unit         string // of Grafana: short, bytes, percentunit, ms, s, ops
	queries      []query
	warn, bad    float64 // thresholds; 0: none
	below        bool    // less is worse
}

// A query is one expression. JOB in it is the selector of the board's variables for metrics of jobs, which have Flink's job_name; CLUSTER for metrics
// of processes, which have the entrypoint's flink_job; TEAM for metrics of flink-platform.
type query struct{ expr, legend string }

func main() {
	dir := "deploy/monitoring/dashboards"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, b := range boards() {
		content, err := b.json()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, b.file), content, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
	}
}

// An object is a JSON object. Its members are written in the order of their names, so that a change of a panel is a small difference.
type object = map[string]any

// dataSource is the Prometheus that the user chooses.
var dataSource = object{"type": "prometheus", "uid": "${datasource}"}

// json writes the board as Grafana imports it.
func (b board) json() ([]byte, error) {
	variables := []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0},
		// Where the pages of flink-platform are; the links of panels go there.
		{"name": "platform", "label": "URL of flink-platform", "type": "textbox", "query": "http://localhost:8088", "current": object{"text": "http://localhost:8088", "value": "http://localhost:8088"}, "hide": 0},
	}
	from := "flink_jobmanager_job_numRestarts"
	if b.platform {
		from = "flink_platform_jobs"
	}
	variables = append(variables, valuesOf("team", "Team", "label_values("+from+", team)"))
	links := []object{{"title": "flink-platform", "type": "link", "url": "${platform}", "targetBlank": true, "icon": "external link"}}
	if !b.platform {
		variables = append(variables, valuesOf("job", "Job", `label_values(`+from+`{team=~"$team"}, job_name)`))
		links = append(links, object{"title": "Page of the job", "type": "link", "url": "${platform}/jobs/${job}", "targetBlank": true, "icon": "external link"})
	}
	for _, other := range boards() {
		if other.file != b.file {
			links = append(links, object{"title": other.title, "type": "link", "url": "/d/" + other.uid(), "includeVars": true, "keepTime": true, "icon": "dashboard"})
		}
	}
	panels := make([]object, len(b.panels))
	for i, p := range b.panels {
		panels[i] = p.object(i)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"uid": b.uid(), "title": b.title, "description": b.about, "tags": []string{"flink"}, "schemaVersion": 39, "version": 1, "editable": true,
		"time": object{"from": "now-3h", "to": "now"}, "refresh": "30s", "timezone": "browser", "graphTooltip": 1,
		"templating": object{"list": variables}, "links": links, "panels": panels, "annotations": object{"list": []object{}},
	})
	return out.Bytes(), err
}

func (b board) uid() string { return "flink-" + b.file[:len(b.file)-len(".json")] }

// valuesOf is a variable with the values of a label; all of them is the default, and also finds series without the label.
func valuesOf(name, label, query string) object {
	return object{"name": name, "label": label, "type": "query", "datasource": dataSource, "query": object{"query": query, "refId": name}, "definition": query,
		"includeAll": true, "allValue": ".*", "multi": true, "refresh": 2, "sort": 1, "current": object{"text": "All", "value": "$__all"}, "hide": 0}
}

// jobLabel is the label that has the job in the panel's series.
func (p panel) jobLabel() string {
	if strings.Contains(p.queries[0].expr, "flink_job") {
		return "flink_job"
	}
	return "job_name"
}

// object is the panel at a place of a grid of two columns.
func (p panel) object(i int) object {
	targets := make([]object, len(p.queries))
	for n, q := range p.queries {
		targets[n] = object{"refId": string(rune('A' + n)), "datasource": dataSource, "expr": q.selected(), "legendFormat": q.legend, "range": true}
	}
	steps := []object{{"color": "green", "value": nil}}
	colours := []string{"orange", "red"}
	bounds := []float64{p.warn, p.bad}
	if p.below {
		steps = []object{{"color": "red", "value": nil}}
		colours, bounds = []string{"orange", "green"}, []float64{p.bad, p.warn}
	}
	for n, at := range bounds {
		if at != 0 {
			steps = append(steps, object{"color": colours[n], "value": at})
		}
	}
	style := "off"
	if len(steps) > 1 {
		style = "line"
	}
	defaults := object{"unit": p.unit, "thresholds": object{"mode": "absolute", "steps": steps}, "custom": object{"lineWidth": 1, "fillOpacity": 5, "showPoints": "never", "thresholdsStyle": object{"mode": style}},
		"links": []object{{"title": "Page of the job", "url": "${platform}/jobs/${__field.labels." + p.jobLabel() + "}", "targetBlank": true}}}
	if p.unit == "percentunit" {
		defaults["min"], defaults["max"] = 0, 1
	}
	return object{"id": i + 1, "type": "timeseries", "title": p.title, "description": p.about, "datasource": dataSource, "targets": targets,
		"gridPos": object{"h": 8, "w": 12, "x": 12 * (i % 2), "y": 8 * (i / 2)}, "fieldConfig": object{"defaults": defaults, "overrides": []object{}},
		"options": object{"legend": object{"displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}}, "tooltip": object{"mode": "multi", "sort": "desc"}}}
}
