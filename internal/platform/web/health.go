package web

import (
	"cmp"
	"net/http"
	"slices"

	"flink-entrypoint/internal/platform/wire"
)

var healthPages = []page{
	{"GET /health", "view", (*visit).health},
}

// A healthPage is what the page of the server's health shows.
type healthPage struct {
	wire.Health
	Late []string // queues whose oldest run is overdue
	Runs int
}

// late is how many seconds a run may be overdue before the page says so: a queue that keeps up is never that late.
const late = 5

// queueOrder is the order in which a run passes the queues.
var queueOrder = []string{"accept", "running", "cancel", "failed", "finish"}

func (v *visit) health() error {
	var p healthPage
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1/health", nil, &p.Health); err != nil {
		return err
	}
	for _, name := range queueOrder {
		if !slices.ContainsFunc(p.Queues, func(q wire.Queue) bool { return q.Name == name }) {
			p.Queues = append(p.Queues, wire.Queue{Name: name})
		}
	}
	slices.SortFunc(p.Queues, func(a, b wire.Queue) int {
		return cmp.Compare(slices.Index(queueOrder, a.Name), slices.Index(queueOrder, b.Name))
	})
	for _, q := range p.Queues {
		if p.Runs += q.Runs; q.Overdue >= late {
			p.Late = append(p.Late, q.Name)
		}
	}
	return v.render(http.StatusOK, "health", "Health", p, nav("health"), live("", 2))
}
