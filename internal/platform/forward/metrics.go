package forward

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// An Aggregate is a record of the topic of aggregated metrics: one metric of one job over one window.
type Aggregate struct {
	Window  string  `json:"w"` // its end; texts of the same form are compared
	Metric  string  `json:"metric"`
	Job     string  `json:"job"`
	Team    string  `json:"team"`
	Version int     `json:"version"`
	Avg     float64 `json:"v_avg"`
	Max     float64 `json:"v_max"`
	Sum     float64 `json:"v_sum"`
}

// Metrics brings aggregated metrics from Kafka to Pushgateway, one group for each job, and removes the group when the job has ended. Offsets are
// committed after the push, so a Pushgateway that is away loses nothing that Kafka keeps, and stops the reading until it is back.
type Metrics struct {
	Kafka Kafka
	// JobsTopic is what [Jobs] writes, and MetricsTopic what the Flink job writes.
	JobsTopic, MetricsTopic, Group string
	Gateway                        string // URL of the Pushgateway
	Log                            *slog.Logger
	HTTP                           *http.Client // nil: with a time limit

	mu    sync.Mutex
	jobs  map[string]Job  // of the topic of jobs
	over  map[string]bool // jobs that ended or were deleted and whose groups may be there
	said  map[string]bool // jobs that the topic of jobs does not know, as the log says
	ready chan struct{}

	forwarded atomic.Int64 // records
}

// pushJob is the label job of all groups: Pushgateway wants one.
const pushJob = "flink"

// batch is how many records become one round of pushes.
const batch = 5000

// Run forwards until ctx ends. An error is one that does not go away by trying again.
func (m *Metrics) Run(ctx context.Context) error {
	base, _, err := m.gateway()
	if err != nil {
		return err
	}
	m.jobs, m.over, m.said, m.ready = map[string]Job{}, map[string]bool{}, map[string]bool{}, make(chan struct{})
	if m.HTTP == nil {
		m.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	jobs, err := kgo.NewClient(append(m.Kafka.options(), kgo.ConsumeTopics(m.JobsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return err
	}
	defer jobs.Close()
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	reading.Go(func() { m.readJobs(ctx, jobs) })
	select { // a job that has ended must be known before its last windows are read
	case <-m.ready:
	case <-ctx.Done():
		return nil
	}
	m.retry(ctx, "groups of ended jobs", func() error { return m.findGroups(ctx, base) })
	metrics, err := kgo.NewClient(append(m.Kafka.options(), kgo.ConsumeTopics(m.MetricsTopic), kgo.ConsumerGroup(m.Group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return err
	}
	defer metrics.CloseAllowingRebalance()
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, time.Second) // so that ends are seen where no metrics come
		fetches := metrics.PollRecords(waiting, batch)
		cancel()
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) && ctx.Err() == nil {
				m.Log.Warn("metrics cannot be read; it is tried again", "topic", e.Topic, "error", e.Err)
			}
		}
		if !m.forward(ctx, fetches.Records()) {
			return nil
		}
		m.retry(ctx, "offsets", func() error { return metrics.CommitUncommittedOffsets(ctx) })
	}
	return nil
}

// retry repeats f until it succeeds, with a pause that grows to half a minute, and reports whether it did before ctx ended.
func (m *Metrics) retry(ctx context.Context, what string, f func() error) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		m.Log.Warn(what+": it is tried again", "error", err, "after", wait)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// readJobs keeps the topic of jobs. ready is closed when everything was read that was there at the beginning.
func (m *Metrics) readJobs(ctx context.Context, client *kgo.Client) {
	var starts, ends kadm.ListedOffsets
	if !m.retry(ctx, "topic "+m.JobsTopic, func() (err error) {
		admin := kadm.NewClient(client)
		if starts, err = admin.ListStartOffsets(ctx, m.JobsTopic); err == nil {
			err = starts.Error()
		}
		if err == nil {
			ends, err = admin.ListEndOffsets(ctx, m.JobsTopic)
		}
		return cmp.Or(err, ends.Error())
	}) {
		return
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if start, _ := starts.Lookup(o.Topic, o.Partition); o.Offset > start.Offset { // else nothing is left of what was written
			left[o.Partition] = o.Offset
		}
	})
	isReady := false
	for {
		if len(left) == 0 && !isReady {
			isReady = true
			close(m.ready)
		}
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		for _, e := range fetches.Errors() {
			m.Log.Warn("jobs cannot be read; it is tried again", "topic", e.Topic, "error", e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			m.learn(r)
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
}

// learn takes over what a record says of a job. Of two runs the later counts, and an end is never taken back.
func (m *Metrics) learn(r *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := string(r.Key)
	if r.Value == nil {
		delete(m.jobs, name)
		m.over[name] = true
		return
	}
	var j Job
	if err := json.Unmarshal(r.Value, &j); err != nil || j.Job != name {
		m.Log.Warn("a record of the topic of jobs is not one", "offset", r.Offset, "partition", r.Partition)
		return
	}
	if have, ok := m.jobs[name]; ok && (have.Created > j.Created || have.Run == j.Run && have.Ended) {
		return
	}
	m.jobs[name] = j
	if j.Ended {
		m.over[name] = true
	} else {
		delete(m.over, name)
	}
}

// takeOver returns the jobs whose groups are to be removed.
func (m *Metrics) takeOver() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.over))
	clear(m.over)
	return names
}

// runs reports whether a job has a run that has not ended.
func (m *Metrics) runs(job string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.jobs[job]
	return ok && !j.Ended
}

// mostSaid is of how many unknown jobs the log says so: their names are what the records have.
const mostSaid = 1000

// leftOut says once that metrics of a job are left out because the topic of jobs does not have it.
func (m *Metrics) leftOut(job string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.jobs[job]; !ok && !m.said[job] && len(m.said) < mostSaid {
		m.said[job] = true
		m.Log.Warn("metrics are left out: the topic of jobs does not have the job; it was deleted, or flink-platform serve runs without --kafka", "job", job, "topic", m.JobsTopic)
	}
}

// forward pushes what records have, and removes groups of jobs that have ended. It reports false where ctx ended before everything was done.
func (m *Metrics) forward(ctx context.Context, records []*kgo.Record) bool {
	newest := map[string]map[string]Aggregate{} // by job and the metric's name for Prometheus, which two names of Flink can share
	strange := 0
	for _, r := range records {
		var a Aggregate
		switch {
		case r.Value == nil: // what an update of a changelog leaves
			continue
		case json.Unmarshal(r.Value, &a) != nil || a.Job == "" || metricName(a.Metric) == "":
			strange++
			continue
		case !m.runs(a.Job): // its last windows come after its end
			m.leftOut(a.Job)
			continue
		}
		if newest[a.Job] == nil {
			newest[a.Job] = map[string]Aggregate{}
		}
		if name := metricName(a.Metric); a.Window >= newest[a.Job][name].Window {
			newest[a.Job][name] = a
		}
		m.forwarded.Add(1)
	}
	if strange > 0 {
		m.Log.Warn("records of the topic of aggregated metrics that are none are left out", "topic", m.MetricsTopic, "records", strange)
	}
	for _, job := range slices.Sorted(maps.Keys(newest)) {
		if !m.retry(ctx, "Pushgateway", func() error { return m.push(ctx, job, newest[job]) }) {
			return false
		}
	}
	for _, job := range m.takeOver() { // after the pushes: a job may have ended meanwhile
		if m.runs(job) {
			continue
		}
		if !m.retry(ctx, "Pushgateway", func() error { return m.pusher(job).Delete() }) {
			return false
		}
	}
	return true
}

// ErrAddress: the address of the Pushgateway is not one. It may hold a password, so the error has nothing of it.
var ErrAddress = errors.New("expected an http or https URL")

// gateway is the URL of the Pushgateway without its user, so that no error has a password.
func (m *Metrics) gateway() (base string, user *url.Userinfo, err error) {
	u, err := url.Parse(m.Gateway)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", nil, ErrAddress
	}
	user, u.User = u.User, nil
	return strings.TrimSuffix(u.String(), "/"), user, nil
}

func (m *Metrics) pusher(job string) *push.Pusher {
	base, user, _ := m.gateway() // Run has checked it
	p := push.New(base, pushJob).Grouping("job_name", job).Client(m.HTTP).Format(expfmt.NewFormat(expfmt.TypeTextPlain))
	if user != nil {
		password, _ := user.Password()
		p = p.BasicAuth(user.Username(), password)
	}
	return p
}

// push adds metrics to the group of a job; metrics of the same names are replaced, others stay. What the Pushgateway refuses it would refuse
// again, and the metrics of all other jobs would wait for it: it is left out.
func (m *Metrics) push(ctx context.Context, job string, all map[string]Aggregate) error {
	answer := &answered{client: m.HTTP}
	err := m.pusher(job).Client(answer).Collector(samples(all)).AddContext(ctx)
	if err != nil && (answer.status == http.StatusBadRequest || answer.status == http.StatusRequestEntityTooLarge) {
		m.Log.Warn("the Pushgateway refuses metrics of a job; they are left out", "job", job, "metrics", len(all), "error", err)
		return nil
	}
	return err
}

// answered is a client that remembers the status of the answer, which the errors of package push have in their texts only.
type answered struct {
	client *http.Client
	status int
}

func (a *answered) Do(r *http.Request) (*http.Response, error) {
	resp, err := a.client.Do(r)
	if err == nil {
		a.status = resp.StatusCode
	}
	return resp, err
}

// samples are the metrics of a job as Prometheus knows them, by their names.
type samples map[string]Aggregate

func (s samples) Describe(chan<- *prometheus.Desc) {}

func (s samples) Collect(to chan<- prometheus.Metric) {
	for name, a := range s {
		labels := prometheus.Labels{"team": a.Team, "version": strconv.Itoa(a.Version)}
		for suffix, v := range map[string]float64{"avg": a.Avg, "max": a.Max, "sum": a.Sum} {
			to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name+"_"+suffix, "The "+suffix+" over the subtasks and the window.", nil, labels), prometheus.GaugeValue, v)
		}
	}
}

var nameForm = regexp.MustCompile(`^[A-Za-z_:][A-Za-z0-9_:]*$`)

// metricName is the name for Prometheus of a name of Flink, as Flink's own reporter makes it, or "" without one.
func metricName(name string) string {
	name = "flink_" + strings.Map(func(c rune) rune {
		if c < 0x80 && nameForm.MatchString("_"+string(c)) {
			return c
		}
		return '_'
	}, name)
	if len(name) == len("flink_") || len(name) > 300 {
		return ""
	}
	return name
}

// findGroups notes the groups of jobs that ended, or that the topic of jobs does not know, while no forwarder ran.
func (m *Metrics) findGroups(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/metrics", nil)
	if err != nil {
		return err
	}
	if _, user, _ := m.gateway(); user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	res, err := m.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 256<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		return cmp.Or(err, fmt.Errorf("the Pushgateway answered %s", res.Status))
	}
	var groups struct {
		Data []struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(body, &groups); err != nil {
		return fmt.Errorf("the Pushgateway's list of groups is not one: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.over) // ended jobs without a group need nothing
	for _, g := range groups.Data {
		name := g.Labels["job_name"]
		if j, ok := m.jobs[name]; g.Labels["job"] == pushJob && name != "" && (!ok || j.Ended) {
			m.over[name] = true
		}
	}
	return nil
}
