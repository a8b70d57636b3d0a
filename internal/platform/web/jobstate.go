package web

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

// Words of the API that decide what a page shows.
const (
	queueAccept  = "accept"
	queueRunning = "running"

	conditionWaiting    = "waiting for slots"
	conditionRestarting = "restarting"
	conditionEnding     = "ending"
	conditionParked     = "parked"
	conditionLost       = "lost"

	wantRun    = "run"
	wantStop   = "stop"
	wantCancel = "cancel"

	outcomeFinished = "finished"
	outcomeFailed   = "failed"
	outcomeCanceled = "canceled"
	outcomeStopped  = "stopped"

	upgradeStopping   = "stopping"
	upgradeStopped    = "stopped"
	upgradeNotStarted = "not started"
	upgradeStarting   = "starting"
	upgradeDone       = "done"
	upgradeFailed     = "failed"
	upgradeCanceled   = "canceled"
	upgradeBack       = "back"

	kindCluster = "cluster"
)

// A saying is how a job is, in a sentence, with its reason and what to do about it.
type saying struct {
	Kind     string // ok, warn, bad, info or idle
	Text     string
	Reason   string // what Flink, the driver or a person gave as reason; "" if Text has it
	Hint     string
	Progress bool // something goes on that ends by itself
}

// sayingOf puts the state of a job or session cluster into words.
func sayingOf(j wire.Job) saying {
	r := j.Run
	if r == nil {
		return saying{Kind: "idle", Text: what(j) + " was never started.", Hint: "Start it: the platform makes a cluster for it and shows here what happens."}
	}
	s := saying{Reason: r.Reason}
	switch {
	case r.Outcome == outcomeFinished && j.Kind == kindCluster:
		s.Kind, s.Text = "idle", "The session cluster has ended."
	case r.Outcome == outcomeFinished:
		s.Kind, s.Text = "ok", "The job has ended by itself: everything is processed."
	case r.Outcome == outcomeFailed:
		s.Kind, s.Text, s.Hint = "bad", "The run has failed.", "The pages Exceptions and Logs show what happened before. Make a corrected version, or start it again from its latest savepoint or checkpoint."
		if j.Kind == kindCluster {
			s.Hint = "The logs show what happened before. The platform starts a session cluster again, unless its definition says otherwise."
		}
	case r.Outcome == outcomeCanceled:
		s.Kind, s.Text = "idle", "The run was canceled."
	case r.Outcome == outcomeStopped:
		s.Kind, s.Text, s.Hint = "idle", "The run was stopped with a savepoint.", "A start from the latest savepoint goes on exactly where it stopped."
	case r.Condition == conditionLost:
		s.Kind, s.Text = "bad", "Nothing says how the run is: no JobManager answers."
		s.Hint = "It comes back by itself with the first answer. If you know that its cluster is gone, say below how the run ended."
	case r.Condition == conditionParked:
		s.Kind, s.Text = "warn", "The run waits for a decision: it has nothing to start from, neither savepoint nor checkpoint."
		s.Hint = "Start it without state, or cancel it and start it from a path."
	case r.Desired == wantCancel:
		s.Kind, s.Text, s.Progress = "info", "The run is being canceled.", true
	case r.Desired == wantStop:
		s.Kind, s.Text, s.Progress = "info", "A savepoint is being made. When it is complete, the job ends.", true
	case r.Condition == conditionEnding:
		s.Kind, s.Text, s.Progress = "info", "Its end is reported, and not yet proven.", true
	case r.Condition == conditionRestarting:
		s.Kind, s.Text, s.Progress = "warn", "Flink restarts the job after a failure.", true
		s.Hint = "The page Exceptions shows the failure."
	case r.Condition == conditionWaiting:
		s.Kind, s.Text, s.Progress = "warn", "The job waits for task slots.", true
		s.Hint = "It starts when its cluster has enough. If these are all, give it more TaskManagers (x-platform.taskManagers) or slots (taskmanager.numberOfTaskSlots), or lower its parallelism."
	case r.Queue == queueAccept && r.Session != "":
		s.Kind, s.Text, s.Progress = "info", "The job is being submitted to its session cluster.", true
	case r.Queue == queueAccept:
		s.Kind, s.Text, s.Progress = "info", "The cluster is starting.", true
	case r.Queue == queueRunning && j.Kind == kindCluster:
		s.Kind, s.Text = "ok", "The session cluster runs and takes jobs."
	case r.Queue == queueRunning:
		s.Kind, s.Text = "ok", "Every task runs."
	default:
		s.Kind, s.Text = "info", "The run is in the queue "+r.Queue+"."
	}
	if strings.TrimSpace(s.Reason) == strings.TrimSuffix(s.Text, ".") {
		s.Reason = ""
	}
	return s
}

func what(j wire.Job) string {
	if j.Kind == kindCluster {
		return "This session cluster"
	}
	return "This job"
}

// upgradeOf says how far the upgrade of a run is, or how it ended. Kind "" is nothing to say: it has nothing to do with an upgrade, or one that is done.
func upgradeOf(r *wire.Run) saying {
	if r == nil || r.Upgrade == nil {
		return saying{}
	}
	u := r.Upgrade
	switch u.State {
	case upgradeStopping:
		return saying{Kind: "info", Text: fmt.Sprintf("Upgrade from version %d to version %d: it is stopped with a savepoint first.", u.From, u.To), Hint: "If the savepoint fails, the job goes on in its version."}
	case upgradeStopped:
		return saying{Kind: "info", Text: fmt.Sprintf("It was stopped for an upgrade from version %d to version %d, which starts from its savepoint.", u.From, u.To)}
	case upgradeNotStarted:
		return saying{Kind: "warn", Text: fmt.Sprintf("Version %d was not started: the run ended before it was stopped with a savepoint.", u.To)}
	case upgradeStarting:
		s := saying{Kind: "info", Text: fmt.Sprintf("Upgrade from version %d to version %d: it is done when every task of version %d has run for 10 s.", u.From, u.To, u.To)}
		if u.Until != nil {
			s.Hint = fmt.Sprintf("If they do not run by %s, version %d starts again from the same savepoint.", u.Until.UTC().Format("15:04:05 UTC"), u.From)
		}
		return s
	case upgradeFailed:
		return saying{Kind: "warn", Text: fmt.Sprintf("Version %d did not run. Version %d starts again from the same savepoint when nothing of it is left.", u.To, u.From)}
	case upgradeCanceled:
		return saying{Kind: "idle", Text: fmt.Sprintf("The upgrade from version %d was ended before it was decided. Version %d is not started again.", u.From, u.From)}
	case upgradeBack:
		return saying{Kind: "warn", Text: fmt.Sprintf("Version %d did not run, so version %d was started again from the same savepoint.", u.From, u.To), Reason: u.Reason,
			Hint: fmt.Sprintf("What version %d wrote before it was given up is written again, unless the sink is exactly-once.", u.From)}
	}
	return saying{}
}

// open reports whether a job has a run that has not ended.
func open(r *wire.Run) bool { return r != nil && r.Outcome == "" }

// An action is something that a person can do with a job now.
type action struct {
	Name   string // start, upgrade, savepoint, drain, cancel, resolve, empty or delete
	Title  string
	Danger bool
	Will   []string // what it will do, a sentence each
	Then   []string // what that means later
}

// actionsOf lists what can be done with a job in its state, the most usual first. Of what cannot be done it says why.
func actionsOf(j wire.Job) (can []action, cannot []string) {
	r := j.Run
	if !open(r) {
		return []action{startAction(j), deleteAction(j)}, nil
	}
	cluster := j.Kind == kindCluster
	cannot = append(cannot, "Start: there is a run that has not ended. Stop it first.", "Delete: there is a run that has not ended. Stop it first.")
	switch {
	case r.Condition == conditionParked:
		can = append(can, action{Name: "empty", Title: "Start without state", Will: []string{"Starts the run without a savepoint.", "A streaming job reads its input from the position that its sources are set to, which may be everything again."}})
	case cluster:
	case r.Desired == wantCancel:
		cannot = append(cannot, "Stop with savepoint: the run is being canceled.")
	case r.Desired == wantStop:
		cannot = append(cannot, "Stop with savepoint: it was asked for and is on its way.")
	case r.Queue == queueAccept:
		cannot = append(cannot, "Stop with savepoint: the job does not run yet, so it has no state to save. Cancel ends the start.")
	default:
		if why := notUpgraded(j); why == "" {
			can = append(can, upgradeAction(j))
		} else {
			cannot = append(cannot, "Upgrade: "+why)
		}
		can = append(can, stopAction, drainAction)
	}
	switch {
	case r.Desired == wantCancel:
		cannot = append(cannot, "Cancel: it was asked for and is on its way.")
	case cluster && len(j.Jobs) > 0:
		cannot = append(cannot, "Cancel: jobs use this cluster. Stop them first.")
	default:
		can = append(can, cancelAction(j))
	}
	if c := r.Condition; c == conditionLost || c == conditionParked || c == conditionEnding {
		can = append(can, resolveAction)
	}
	return can, cannot
}

func startAction(j wire.Job) action {
	a := action{Name: "start", Title: "Start"}
	if j.Kind == kindCluster {
		a.Will = []string{"Starts the JobManager and the TaskManagers of this session cluster.", "The platform keeps it running: when its JobManager ends, it is started again."}
		return a
	}
	a.Will = []string{"Makes a new run of the chosen version, with a Flink job id and a savepoint directory of its own.", "Nothing of an earlier run is changed."}
	return a
}

// notUpgraded is why a job with a run that can be stopped with a savepoint cannot be upgraded now; empty: it can.
func notUpgraded(j wire.Job) string {
	switch r := j.Run; {
	case r.Queue != queueRunning:
		return "the job does not run."
	case r.Upgrade != nil && r.Upgrade.State == upgradeStarting:
		return fmt.Sprintf("the one from version %d is not decided yet.", r.Upgrade.From)
	case j.Newest < 2:
		return "there is only one version. Save another one first."
	}
	return ""
}

// usualUpgrade is the version that an upgrade goes to unless the user chooses: the newest one, or, where that one runs, the one before.
func usualUpgrade(j wire.Job) int {
	if j.Run != nil && j.Run.Version == j.Newest {
		return j.Newest - 1
	}
	return j.Newest
}

// usualWithin is the time that a new version has to run, unless the user chooses.
const usualWithin = "5m"

func upgradeAction(j wire.Job) action {
	before := "the version that runs now"
	if j.Run != nil {
		before = fmt.Sprintf("version %d", j.Run.Version)
	}
	return action{Name: "upgrade", Title: "Upgrade",
		Will: []string{"Stops the job with a savepoint, and starts the chosen version from it. If the savepoint fails, the job goes on as it is.",
			"The upgrade is done when every task of the new version has run for 10 s.",
			"If it fails, or does not run within the deadline, it is ended, and " + before + " starts again from the same savepoint. This page then shows why."},
		Then: []string{"What a version wrote before it was given up is written again, unless the sink is exactly-once."}}
}

var stopAction = action{Name: "savepoint", Title: "Stop with savepoint",
	Will: []string{"Asks Flink for a savepoint, and ends the job when it is complete.", "If the savepoint fails, the job goes on, and this page shows Flink's reason."},
	Then: []string{"A later start from the latest savepoint goes on exactly where it stopped."}}

var drainAction = action{Name: "drain", Title: "Drain",
	Will: []string{"Ends all event time first: open windows and timers fire and give their results. Then a savepoint is made and the job ends."},
	Then: []string{"Use it when the job will not go on. A start from this savepoint would not continue the windows that were closed early."}}

func cancelAction(j wire.Job) action {
	a := action{Name: "cancel", Title: "Cancel", Danger: true}
	switch {
	case j.Kind == kindCluster:
		a.Will = []string{"Ends the JobManager and the TaskManagers of this session cluster. It is not started again by itself."}
	case j.Run != nil && j.Run.Session != "":
		a.Will = []string{"Ends the job at once, without a savepoint. The session cluster and its other jobs go on."}
		a.Then = []string{"What was processed since the last checkpoint is processed again if you start from that checkpoint."}
	default:
		a.Will = []string{"Ends the job and its cluster at once, without a savepoint."}
		a.Then = []string{"What was processed since the last checkpoint is processed again if you start from that checkpoint.", "Flink removes checkpoints of a canceled job, unless the definition keeps them (execution.checkpointing.externalized-checkpoint-retention)."}
	}
	return a
}

var resolveAction = action{Name: "resolve", Title: "Say how it ended", Danger: true,
	Will: []string{"Deletes the cluster of the run first, whatever it still does. When nothing of it is left, the run ends as you say.", "The timeline keeps your name and your reason."},
	Then: []string{"An ended run never changes again."}}

func deleteAction(j wire.Job) action {
	a := action{Name: "delete", Title: "Delete", Danger: true}
	versions := "its version"
	if j.Newest > 1 {
		versions = fmt.Sprintf("its %d versions", j.Newest)
	}
	a.Will = []string{fmt.Sprintf("Deletes %s with %s and all its runs: their timelines, logs and archives. It cannot be undone.", strings.ToLower(what(j)), versions)}
	if j.Kind == kindCluster {
		a.Then = []string{"Jobs that name it cannot start until there is a session cluster with this name again."}
	} else {
		a.Then = []string{"Savepoints and checkpoints stay where they are: they are your data."}
	}
	a.Then = append(a.Then, "The list of events keeps who deleted it, and what users did with it before.")
	return a
}
