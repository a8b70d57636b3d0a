package jobstate

import "slices"

// An Alert is something about a job that people should know. It goes on until the job's state says that it is over.
type Alert string

// Alerts, by the names that receivers get.
const (
	JobFailed     Alert = "FlinkJobFailed"
	JobLost       Alert = "FlinkJobLost"
	JobParked     Alert = "FlinkJobParked"
	JobWaiting    Alert = "FlinkJobWaitingForSlots"
	JobRestarting Alert = "FlinkJobRestarting"
)

// AllAlerts lists them.
func AllAlerts() []Alert { return []Alert{JobFailed, JobLost, JobParked, JobWaiting, JobRestarting} }

// Alerts returns the alerts that the state of a run is, and those that it says nothing about: they go on if they have begun. All others
// are over.
func Alerts(r Run) (active, unknown []Alert) {
	others := func(a Alert) []Alert { return slices.DeleteFunc(AllAlerts(), func(x Alert) bool { return x == a }) }
	switch {
	case r.Outcome == IsFailed:
		return []Alert{JobFailed}, nil
	case r.HasEnded():
		return nil, nil
	case r.Condition == Lost:
		return []Alert{JobLost}, others(JobLost)
	case r.Condition == Ending:
		return nil, AllAlerts()
	}
	if r.Queue == Accept { // the failure of the run before is over when this one runs
		unknown = []Alert{JobFailed}
	}
	switch r.Condition {
	case Parked:
		return []Alert{JobParked}, unknown
	case WaitingForSlots:
		return []Alert{JobWaiting}, unknown
	case Restarting:
		return []Alert{JobRestarting}, unknown
	}
	return nil, unknown
}
