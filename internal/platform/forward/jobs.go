package forward

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/internal/platform/store"
)

// A Job is the value of a job in the topic of jobs; its key is the name. A job that was deleted has no value.
type Job struct {
	Job     string `json:"job"`
	Team    string `json:"team"`
	Version int    `json:"version"` // of its newest run
	Run     string `json:"run"`
	Created int64  `json:"created"` // when the run began, in ms since 1970
	Ended   bool   `json:"ended"`
}

// Jobs writes the topic of jobs: what the store's outbox has, in the state in which the job is when it is written. So what is written twice, or in
// another order, says the same in the end.
type Jobs struct {
	Store *store.Store
	Log   *slog.Logger
	Topic string

	client *kgo.Client
}

// NewJobs connects nothing yet.
func NewJobs(k Kafka, topic string, s *store.Store, log *slog.Logger) (*Jobs, error) {
	client, err := kgo.NewClient(append(k.options(), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(20*time.Second))...)
	return &Jobs{Store: s, Log: log, Topic: topic, client: client}, err
}

// Sizes and times of one look at the outbox.
const (
	messages = 100
	hold     = 30 * time.Second // longer than a record may take
	pause    = time.Second
)

// Run writes until ctx ends. At first it writes all jobs: the topic may be new, or the server was started without it before.
func (j *Jobs) Run(ctx context.Context) {
	defer j.client.Close()
	for begun := false; ; {
		var err error
		if !begun {
			if err = j.begin(ctx); err == nil {
				begun = true
			}
		} else {
			err = j.Once(ctx)
		}
		if err != nil && ctx.Err() == nil {
			j.Log.Warn("the topic of jobs is not up to date; it is tried again", "topic", j.Topic, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (j *Jobs) begin(ctx context.Context) error {
	if err := makeCompacted(ctx, j.client, j.Topic); err != nil {
		return err
	}
	teams, err := j.Store.Teams(ctx)
	if err != nil {
		return err
	}
	for _, team := range teams {
		after := ""
		for {
			const page = 500
			all, err := j.Store.Jobs(ctx, store.JobFilter{Team: team, Kind: store.KindJob, After: after, Limit: page})
			if err != nil {
				return err
			}
			names := make([]string, len(all))
			for i, x := range all {
				names[i] = x.Job.Name
			}
			if err := j.write(ctx, names); err != nil {
				return err
			}
			if len(all) < page {
				break
			}
			after = names[len(names)-1]
		}
	}
	return nil
}

// Once writes what is due in the outbox.
func (j *Jobs) Once(ctx context.Context) error {
	for {
		waiting, err := j.Store.Outbox(ctx, store.OutboxJob, messages, hold)
		if err != nil || len(waiting) == 0 {
			return err
		}
		var names []string
		for _, w := range waiting {
			if !slices.Contains(names, w.Payload) {
				names = append(names, w.Payload)
			}
		}
		if err := j.write(ctx, names); err != nil {
			return err
		}
		for _, w := range waiting {
			if err := j.Store.Delivered(ctx, w.ID); err != nil {
				return err
			}
		}
	}
}

// write writes jobs as they are now. Another server may write the same job at the same time, with what it read before: each looks again after it
// has written, so the last record of a job is not older than the store.
func (j *Jobs) write(ctx context.Context, names []string) error {
	written := map[string]string{}
	for range 10 {
		var records []*kgo.Record
		for _, name := range names {
			value, err := j.value(ctx, name)
			if err != nil {
				return err
			}
			if have, ok := written[name]; !ok || have != string(value) {
				written[name] = string(value)
				records = append(records, &kgo.Record{Topic: j.Topic, Key: []byte(name), Value: value})
			}
		}
		if len(records) == 0 {
			return nil
		}
		if err := j.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
	}
	return errors.New("jobs change faster than they are written")
}

// value is what the topic says of a job; nil: it does not exist, or has no run yet.
func (j *Jobs) value(ctx context.Context, name string) ([]byte, error) {
	job, err := j.Store.Job(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	run, err := j.Store.NewestRun(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(Job{Job: name, Team: job.Team, Version: run.Version, Run: run.State.ID, Created: run.Created.UnixMilli(), Ended: run.State.HasEnded()})
}
