// Package alert tells people what is wrong with their jobs: it brings the alerts that the store keeps to Alertmanager, or to one webhook.
//
// An alert is written by the transition that begins or ends it, in the same transaction ([store.Alert]), so a crash loses none. A [Sender]
// claims those that are due and gives each back when a receiver has it. One that no receiver takes is tried again, for as long as it
// takes; a receiver may get the same again after a crash, and can tell by its id. Grouping, silences and mail are Alertmanager's.
package alert

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// A Receiver takes alerts.
type Receiver interface {
	// Send brings alerts that were claimed at the same time, and says of each why it has not arrived; nil: it has. An error names the receiver,
	// without what is secret in its address.
	Send(ctx context.Context, all []Notice) []error
	// Again is how often the receiver must hear of an alert that goes on; 0: once.
	Again() time.Duration
}

// A Notice is an alert as receivers get it.
type Notice struct {
	ID       string     `json:"id"` // the same however often it is sent; another when the alert ends or begins again
	Alert    string     `json:"alert"`
	Status   string     `json:"status"` // firing or resolved
	Severity string     `json:"severity"`
	Job      string     `json:"job"`
	Team     string     `json:"team,omitempty"`
	Run      string     `json:"run"`
	Version  int        `json:"version,omitempty"`
	Summary  string     `json:"summary"`
	Reason   string     `json:"reason,omitempty"`
	Since    time.Time  `json:"since"`
	Resolved *time.Time `json:"resolved,omitempty"`
	URL      string     `json:"url,omitempty"` // of the job's page
}

// kinds say what people read of each alert.
var kinds = map[jobstate.Alert]struct{ severity, summary string }{
	jobstate.JobFailed:     {"critical", "The job %s has failed"},
	jobstate.JobLost:       {"critical", "Nothing says how the job %s is"},
	jobstate.JobParked:     {"warning", "The job %s waits for a decision before it starts"},
	jobstate.JobWaiting:    {"warning", "The job %s waits for slots"},
	jobstate.JobRestarting: {"warning", "The job %s restarts and does not come to run"},
}

// DefaultAfter is how long each alert must have gone on before it is sent. What comes and goes by itself is not worth waking people: a
// restart policy starts a failed job again within the minute.
func DefaultAfter() map[jobstate.Alert]time.Duration {
	return map[jobstate.Alert]time.Duration{jobstate.JobFailed: time.Minute, jobstate.JobLost: 2 * time.Minute, jobstate.JobParked: 0,
		jobstate.JobWaiting: 5 * time.Minute, jobstate.JobRestarting: 5 * time.Minute}
}

// notice says an alert in words. base is the URL of the platform's pages.
func notice(a store.Alert, instance, base string) Notice {
	k := kinds[a.Name]
	n := Notice{ID: fmt.Sprintf("%s-%d-%d", instance, a.ID, a.Change), Alert: string(a.Name), Status: "firing", Severity: k.severity, Job: a.Job, Team: a.Team, Run: a.Run,
		Version: a.Version, Summary: fmt.Sprintf(k.summary, a.Job), Reason: a.Reason, Since: a.Since}
	if base != "" {
		n.URL = base + "/jobs/" + a.Job
	}
	if !a.Resolved.IsZero() {
		n.Status, n.Resolved = "resolved", &a.Resolved
	}
	return n
}

// A Sender brings what is due to a receiver.
type Sender struct {
	Store    *store.Store
	Receiver Receiver
	Log      *slog.Logger
	URL      string // of the platform's pages; "": no links
}

// Sizes and times of one look.
const (
	batch   = 64
	lease   = 30 * time.Second // longer than a receiver may take
	look    = time.Second
	longest = time.Minute // between two tries
)

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		for {
			n, err := s.Once(ctx)
			if err != nil && ctx.Err() == nil {
				s.Log.Error("alerts are not sent; they are tried again", "error", err)
			}
			if err != nil || n < batch {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Once sends what is due now, and returns how many alerts that were.
func (s *Sender) Once(ctx context.Context) (int, error) {
	all, _, err := s.Store.ClaimAlerts(ctx, batch, lease)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	notices := make([]Notice, len(all))
	for i, a := range all {
		notices[i] = notice(a, s.Store.Instance(), s.URL)
	}
	sending, cancel := context.WithTimeout(ctx, lease-patience)
	failures := s.Receiver.Send(sending, notices)
	cancel()
	// What was sent is written down even where the server ends meanwhile: else the next start sends it again.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var why error
	for i, a := range all {
		if failures[i] != nil {
			why = failures[i] // of one receiver they are alike
			err = s.Store.AlertNotSent(ctx, a, min(look<<min(a.Tries-1, 10), longest))
		} else {
			err = s.Store.AlertSent(ctx, a, s.Receiver.Again())
			if !a.Told {
				s.Log.Info("alert", "alert", notices[i].Alert, "status", notices[i].Status, "job", a.Job, "run", a.Run)
			}
		}
		if err != nil {
			return len(all), err
		}
	}
	return len(all), why
}
