package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics answers Prometheus. Everything is read when it asks, so that what it gets is what the store has, whichever server it asks.
func (a *API) metrics(w http.ResponseWriter, r *http.Request) error {
	team := who(r).team
	if who(r).local {
		team = "" // the local user may see all
	}
	m := &readings{}
	if err := m.read(r.Context(), a, team); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// readings are what was read for one answer.
type readings []prometheus.Metric

func (m *readings) Describe(chan<- *prometheus.Desc) {} // its series depend on what the store has

func (m *readings) Collect(to chan<- prometheus.Metric) {
	for _, x := range *m {
		to <- x
	}
}

func (m *readings) gauge(name, help string, value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	*m = append(*m, prometheus.MustNewConstMetric(prometheus.NewDesc("flink_platform_"+name, help, names, nil), prometheus.GaugeValue, value, values...))
}

// read reads what a team may see, or all if team is empty.
func (m *readings) read(ctx context.Context, a *API, team string) error {
	teams := []string{team}
	if team == "" {
		var err error
		if teams, err = a.Store.Teams(ctx); err != nil {
			return err
		}
	}
	for _, team := range teams {
		counts, err := a.Store.CountJobs(ctx, team)
		if err != nil {
			return err
		}
		for _, c := range counts {
			m.gauge("jobs", "Jobs by the state of their newest run.", float64(c.Jobs), "team", team, "queue", c.Queue, "condition", c.Condition, "ended", strconv.FormatBool(c.Ended))
		}
	}
	depths, err := a.Store.Depths(ctx, team)
	if err != nil {
		return err
	}
	for _, d := range depths {
		m.gauge("queue_runs", "Runs that are looked at again.", float64(d.Runs), "queue", string(d.Queue))
		m.gauge("queue_overdue_seconds", "How long the run that has waited longest for its look is overdue.", d.Oldest.Seconds(), "queue", string(d.Queue))
	}
	alerts, waiting, err := a.Store.AlertsNow(ctx, team)
	if err != nil {
		return err
	}
	for _, x := range alerts {
		m.gauge("alert", "1 for each alert of a job that goes on, whether it was sent or not.", 1, "alert", string(x.Name), "job_name", x.Job, "team", x.Team)
	}
	m.gauge("alerts_overdue", "Alerts that should have been sent and have not reached a receiver.", float64(waiting))
	m.gauge("polls_per_second", "Looks at runs of this server, in the last minute.", a.Polls())
	m.gauge("pushes_per_second", "Events of status listeners and archives that this server got, in the last minute.", a.pushes.PerSecond())
	m.gauge("start_time_seconds", "When this server started.", float64(a.started.UnixMilli())/float64(time.Second/time.Millisecond))
	return nil
}
