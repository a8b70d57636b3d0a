package jobstate

import (
	"slices"
	"testing"
)

func TestAlertsOfStates(t *testing.T) {
	for _, c := range []struct {
		name            string
		run             Run
		active, unknown []Alert
	}{
		{"running", Run{Queue: Running}, nil, nil},
		{"starting", Run{Queue: Accept, Condition: Starting}, nil, []Alert{JobFailed}},
		{"waiting for slots at its start", Run{Queue: Accept, Condition: WaitingForSlots}, []Alert{JobWaiting}, []Alert{JobFailed}},
		{"waiting for slots after a restart", Run{Queue: Running, Condition: WaitingForSlots}, []Alert{JobWaiting}, nil},
		{"restarting", Run{Queue: Running, Condition: Restarting}, []Alert{JobRestarting}, nil},
		{"parked", Run{Queue: Accept, Condition: Parked}, []Alert{JobParked}, []Alert{JobFailed}},
		{"lost", Run{Queue: Running, Condition: Lost}, []Alert{JobLost}, []Alert{JobFailed, JobParked, JobWaiting, JobRestarting}},
		{"ending", Run{Queue: Running, Condition: Ending}, nil, AllAlerts()},
		{"canceling", Run{Queue: Cancel, Condition: None}, nil, nil},
		{"failed", Run{Queue: Failed, Outcome: IsFailed}, []Alert{JobFailed}, nil},
		{"finished", Run{Queue: Finish, Outcome: IsFinished}, nil, nil},
		{"canceled", Run{Queue: Cancel, Outcome: IsCanceled}, nil, nil},
	} {
		if active, unknown := Alerts(c.run); !slices.Equal(active, c.active) || !slices.Equal(unknown, c.unknown) {
			t.Errorf("%s: %v and %v, want %v and %v", c.name, active, unknown, c.active, c.unknown)
		}
	}
}
