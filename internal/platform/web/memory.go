package web

import (
	"net/http"
	"strconv"

	"flink-entrypoint/internal/platform/wire"
)

// memoryPage is how the processes of a version divide their memory.
type memoryPage struct {
	Head    jobHead
	Version int
	Roles   []memoryOfRole
	Notes   []string
	Problem *wire.Problem
}

type memoryOfRole struct {
	wire.RoleMemory
	Title string
	Parts []memoryPart
}

// A memoryPart is a component of the memory of a process, with its place in the bar.
type memoryPart struct {
	Name, Title, For string
	Bytes            int64
	Percent          float64
	At, Width        float64 // in the bar, which is 1000 wide
}

// partWords are what people call the components of Flink's memory model, and what each is for.
var partWords = map[string]struct{ title, use string }{
	"frameworkHeap":    {"Framework heap", "Flink's own objects on the Java heap"},
	"taskHeap":         {"Task heap", "operators and user code on the Java heap; state of the hashmap backend"},
	"managed":          {"Managed memory", "RocksDB state, sorting and hash tables; outside the Java heap"},
	"frameworkOffHeap": {"Framework off-heap", "Flink's own direct and native memory"},
	"taskOffHeap":      {"Task off-heap", "direct and native memory of user code"},
	"network":          {"Network", "buffers of records between tasks"},
	"heap":             {"JVM heap", "the JobManager's Java heap: job graphs, checkpoint coordination"},
	"offHeap":          {"Off-heap", "direct and native memory of the JobManager"},
	"jvmMetaspace":     {"JVM metaspace", "classes: Flink, connectors and user code"},
	"jvmOverhead":      {"JVM overhead", "thread stacks, code cache, garbage collection"},
}

// barWidth is the width of the bar in its own units.
const barWidth = 1000

func roleOf(m wire.RoleMemory) memoryOfRole {
	out := memoryOfRole{RoleMemory: m, Title: map[string]string{"jobmanager": "JobManager", "taskmanager": "TaskManager"}[m.Role]}
	if out.Title == "" {
		out.Title = m.Role
	}
	at := 0.0
	for _, p := range m.Parts {
		words := partWords[p.Name]
		part := memoryPart{Name: p.Name, Title: words.title, For: words.use, Bytes: p.Bytes, At: at}
		if part.Title == "" {
			part.Title = p.Name
		}
		if m.Process > 0 {
			part.Percent = 100 * float64(p.Bytes) / float64(m.Process)
			part.Width = barWidth * float64(p.Bytes) / float64(m.Process)
		}
		at += part.Width
		out.Parts = append(out.Parts, part)
	}
	return out
}

func (v *visit) jobMemory() error {
	h, err := v.head("memory")
	if err != nil {
		return err
	}
	p := memoryPage{Head: h}
	if p.Version, err = v.versionAsked(h); err != nil {
		return err
	}
	m, err := v.api.Memory(v.ctx(), h.Job.Name, p.Version)
	if err != nil {
		if p.Problem = v.problem(err); p.Problem == nil || p.Problem.Status == http.StatusNotFound {
			return err
		}
	}
	for _, r := range m.Roles {
		p.Roles = append(p.Roles, roleOf(r))
	}
	p.Notes = m.Notes
	return v.showJob(http.StatusOK, "job-memory", h, p)
}

// versionAsked is the version in ?version=, or the one that runs, or the newest.
func (v *visit) versionAsked(h jobHead) (int, error) {
	if text := v.r.URL.Query().Get("version"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > h.Job.Newest {
			return 0, noSuch("unknown version "+strconv.Quote(text), "the page Versions of the job lists them")
		}
		return n, nil
	}
	if r := h.Run(); open(r) {
		return r.Version, nil
	}
	return h.Job.Newest, nil
}

// lineagePage is what feeds what in the script of a version.
type lineagePage struct {
	Head    jobHead
	Version int
	Lineage wire.Lineage
	Flows   []flow
	Problem *wire.Problem
}

// A flow is a line of the table of lineage.
type flow struct {
	From, To  string // short names; To "": the rows are shown
	Connector string // of From
	Sink      string // connector of To
	Statement int
	Line      int
}

func flowsOf(l wire.Lineage) []flow {
	tables := map[string]wire.LineageTable{}
	for _, t := range l.Tables {
		tables[t.Name] = t
	}
	flows := make([]flow, len(l.Edges))
	for i, e := range l.Edges {
		from, to := tables[e.From], tables[e.To]
		flows[i] = flow{From: from.Short, To: to.Short, Connector: from.Connector, Sink: to.Connector, Statement: e.Statement, Line: from.Line}
	}
	return flows
}

func (v *visit) jobLineage() error {
	h, err := v.head("lineage")
	if err != nil {
		return err
	}
	p := lineagePage{Head: h}
	if p.Version, err = v.versionAsked(h); err != nil {
		return err
	}
	if !h.Cluster() {
		p.Lineage, err = v.api.JobLineage(v.ctx(), h.Job.Name, p.Version)
		if err != nil {
			if p.Problem = v.problem(err); p.Problem == nil || p.Problem.Status == http.StatusNotFound {
				return err
			}
		}
		p.Flows = flowsOf(p.Lineage)
	}
	return v.showJob(http.StatusOK, "job-lineage", h, p, bundle()...)
}
