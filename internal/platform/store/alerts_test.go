package store

import (
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
)

// shift puts a run of clicks into a state.
func shift(t *testing.T, s *Store, r Run, change func(*jobstate.Run)) Run {
	t.Helper()
	change(&r.State)
	next, err := s.Transition(t.Context(), r.State.ID, r.Revision, "", Change{State: r.State})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// claimed lists the alerts that are due, each as NAME, or NAME over, and its change.
func claimed(t *testing.T, s *Store) []Alert {
	t.Helper()
	all, _, err := s.ClaimAlerts(t.Context(), 10, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(all []Alert) string {
	var texts []string
	for _, a := range all {
		text := string(a.Name)
		if !a.Resolved.IsZero() {
			text += " over"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func begun(t *testing.T) (*Store, Run) {
	t.Helper()
	s := opened(t)
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

func now(t *testing.T, s *Store) time.Time {
	t.Helper()
	at, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func lose(t *testing.T, s *Store, r Run, reason string) Run {
	t.Helper()
	return shift(t, s, r, func(r *jobstate.Run) { r.Condition, r.Reason, r.Since = jobstate.Lost, reason, now(t, s) })
}

func find(t *testing.T, s *Store, r Run) Run {
	t.Helper()
	return shift(t, s, r, func(r *jobstate.Run) {
		r.Queue, r.Condition, r.Reason, r.Since = jobstate.Running, jobstate.None, "", now(t, s)
	})
}

// TestAlerts: an alert is sent when it begins, again while it goes on, and once when it ends.
func TestAlerts(t *testing.T) {
	s, r := begun(t)
	r = lose(t, s, r, "no answer")
	all := claimed(t, s)
	if names(all) != "FlinkJobLost" || all[0].Job != "clicks" || all[0].Reason != "no answer" || all[0].Run != r.State.ID || all[0].Version != 1 || all[0].Told || all[0].Tries != 1 {
		t.Fatalf("%+v", all)
	}
	if more := claimed(t, s); len(more) != 0 {
		t.Errorf("claimed twice: %v", names(more))
	}
	if err := s.AlertSent(t.Context(), all[0], time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	// Another look with the same condition changes nothing but the reason.
	r = shift(t, s, r, func(r *jobstate.Run) { r.Misses, r.Reason = 7, "still no answer" })
	again := claimed(t, s)
	if names(again) != "FlinkJobLost" || again[0].ID != all[0].ID || again[0].Change != all[0].Change || !again[0].Told || again[0].Reason != "still no answer" || !again[0].Since.Equal(all[0].Since) {
		t.Fatalf("%+v, before it was %+v", again, all)
	}
	// It ends while it is being sent: it is due at once, when that is done.
	find(t, s, r)
	if early := claimed(t, s); len(early) != 0 {
		t.Errorf("sent by two at the same time: %v", names(early))
	}
	if err := s.AlertSent(t.Context(), again[0], time.Hour); err != nil {
		t.Fatal(err)
	}
	over := claimed(t, s)
	if names(over) != "FlinkJobLost over" || over[0].Change == again[0].Change {
		t.Fatalf("%+v", over)
	}
	if err := s.AlertSent(t.Context(), over[0], time.Hour); err != nil {
		t.Fatal(err)
	}
	if all, overdue, err := s.AlertsNow(t.Context(), ""); err != nil || len(all) != 0 || overdue != 0 {
		t.Error(all, overdue, err)
	}
}

// TestAlertsBeforeTheirTime: what ends before its time has come is forgotten.
func TestAlertsBeforeTheirTime(t *testing.T) {
	s, r := begun(t)
	s.AlertAfter = map[jobstate.Alert]time.Duration{jobstate.JobLost: time.Hour}
	r = lose(t, s, r, "no answer")
	if all := claimed(t, s); len(all) != 0 {
		t.Errorf("sent before its time: %v", names(all))
	}
	if all, overdue, err := s.AlertsNow(t.Context(), "team"); err != nil || names(all) != "FlinkJobLost" || overdue != 0 {
		t.Error(all, overdue, err)
	}
	if all, _, err := s.AlertsNow(t.Context(), "others"); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	find(t, s, r)
	if all, overdue, err := s.AlertsNow(t.Context(), ""); err != nil || len(all) != 0 || overdue != 0 {
		t.Error(all, overdue, err)
	}
}

// TestAlertsOfAReceiverThatIsAway: nothing is lost, and what begins again before the end was heard of goes on.
func TestAlertsOfAReceiverThatIsAway(t *testing.T) {
	s, r := begun(t)
	r = lose(t, s, r, "no answer")
	for tries := 1; tries <= 3; tries++ {
		all := claimed(t, s)
		if names(all) != "FlinkJobLost" || all[0].Tries != tries {
			t.Fatalf("try %d: %+v", tries, all)
		}
		if err := s.AlertNotSent(t.Context(), all[0], time.Nanosecond); err != nil {
			t.Fatal(err)
		}
	}
	r = find(t, s, r) // a try may have arrived, so the end is sent
	over := claimed(t, s)
	if names(over) != "FlinkJobLost over" {
		t.Fatalf("%+v", over)
	}
	if err := s.AlertNotSent(t.Context(), over[0], time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	lose(t, s, r, "again")
	all := claimed(t, s)
	if names(all) != "FlinkJobLost" || all[0].Change != over[0].Change+1 || all[0].ID != over[0].ID {
		t.Fatalf("%+v", all)
	}
}

// TestAlertOfAFailure goes on until the next run runs, or the job is deleted.
func TestAlertOfAFailure(t *testing.T) {
	s, r := begun(t)
	fail := func(r Run) {
		shift(t, s, r, func(r *jobstate.Run) {
			r.Queue, r.Condition, r.Outcome, r.Reason, r.Since, r.Ended = jobstate.Failed, jobstate.None, jobstate.IsFailed, "boom", now(t, s), now(t, s)
		})
	}
	fail(r)
	all := claimed(t, s)
	if names(all) != "FlinkJobFailed" || all[0].Reason != "boom" {
		t.Fatalf("%+v", all)
	}
	if err := s.AlertSent(t.Context(), all[0], 0); err != nil {
		t.Fatal(err)
	}
	second, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	second = shift(t, s, second, func(r *jobstate.Run) { r.Attempt = "a1" })
	if over := claimed(t, s); len(over) != 0 {
		t.Errorf("over before the next run runs: %v", names(over))
	}
	second = find(t, s, second)
	over := claimed(t, s)
	if names(over) != "FlinkJobFailed over" {
		t.Fatalf("%+v", over)
	}
	if err := s.AlertSent(t.Context(), over[0], 0); err != nil {
		t.Fatal(err)
	}
	fail(second)
	all = claimed(t, s)
	if names(all) != "FlinkJobFailed" || all[0].Run != second.State.ID {
		t.Fatalf("%+v", all)
	}
	if err := s.AlertSent(t.Context(), all[0], 0); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteJob(t.Context(), "clicks"); err != nil {
		t.Fatal(err)
	}
	if over := claimed(t, s); names(over) != "FlinkJobFailed over" || over[0].Job != "clicks" {
		t.Fatalf("%+v", over)
	}
}

// TestAlertsOfAnEarlierRun: what is still done for a run that has ended says nothing about the job, which has another run.
func TestAlertsOfAnEarlierRun(t *testing.T) {
	s, first := begun(t)
	first = shift(t, s, first, func(r *jobstate.Run) {
		r.Queue, r.Condition, r.Outcome, r.Reason, r.Since, r.Ended = jobstate.Failed, jobstate.None, jobstate.IsFailed, "boom", now(t, s), now(t, s)
	})
	later(t, s, first)
	second, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	second = find(t, s, second)
	for _, over := range claimed(t, s) {
		if err := s.AlertSent(t.Context(), over, 0); err != nil {
			t.Fatal(err)
		}
	}
	first = shift(t, s, first, func(*jobstate.Run) {}) // its archive is stored
	if all, _, err := s.AlertsNow(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("the job runs, and has the alerts %s; %v", names(all), err)
	}
	lose(t, s, second, "no answer")
	shift(t, s, first, func(*jobstate.Run) {}) // its cluster is gone
	if all, _, err := s.AlertsNow(t.Context(), ""); err != nil || names(all) != "FlinkJobLost" || all[0].Run != second.State.ID {
		t.Errorf("the job is lost, and has the alerts %s; %v", names(all), err)
	}
}
