package boot

import (
	"strings"

	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/native"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/scripts"
	"flink-entrypoint/internal/sqlrunner"
)

// recognise gives a command that starts one of Flink's scripts the script's role.
func (r *Run) recognise(g ground) ground {
	if r.role != Command {
		return g
	}
	found := scripts.Recognise(scripts.Request{Command: r.world.Args, Env: g.proc.Env, BinDir: g.home.BinDir, Version: g.home.Version, Self: r.world.Self})
	switch {
	case found.Reason != "" && found.Warn:
		r.Warn("%s: the command is executed as it is", found.Reason)
	case found.Reason != "":
		r.world.Log.Debug("the command is executed as it is", "reason", found.Reason)
	}
	if found.Role == "" {
		r.role = PassThrough
		if found.Script != "" { // a link to this program, which would come back here
			r.world.Args = append([]string{found.Script}, r.world.Args[1:]...)
		}
		return g
	}
	r.role, r.world.Args = found.Role, found.Args
	g.script = found.Script
	return g
}

// isClient reports whether the process is a client of a cluster. It finds a configuration as any other command does.
func (r *Run) isClient() bool { return launch.Role(r.role).IsClient() }

// runsJob reports whether the process is the JobManager of an application cluster.
func (r *Run) runsJob() bool { return r.role == "standalone-job" || r.role == "kubernetes-application" }

// isNative reports whether a controller started the process on native Kubernetes: addresses, sizes and slots are the controller's.
func (r *Run) isNative() bool { return strings.HasPrefix(r.role, "kubernetes-") }

// nativeJob is the definition's job as a native JobManager gets it.
func (j *Job) nativeJob(p *placement.Placement, arguments []string) (job native.Job, err error) {
	if job.ID, err = j.argument(j.ID); err != nil {
		return job, err
	}
	if s := j.Savepoint; s != nil {
		job.AllowNonRestoredState = s.AllowNonRestoredState
		if job.Savepoint, err = j.argument(s.Path); err != nil {
			return job, err
		}
	}
	job.Arguments = arguments
	switch {
	case j.SQL.Runs():
		job.Field, job.Class, job.Jar, job.Fixed = "sql.script", sqlrunner.MainClass, p.RunnerPath(), true
	case j.Jar != nil:
		job.Field, job.Jar = "jar", p.Artifacts[len(p.Artifacts)-1].Path // see AddArtifacts
		job.Class, err = j.argument(j.Jar.EntryClass)
	}
	return job, err
}

// warnOfNative names what of a definition cannot take effect on a native pod.
func (r *Run) warnOfNative(d *Job) {
	if d == nil || !r.isNative() {
		return
	}
	var fields []string
	for _, t := range []struct {
		zero bool
		name string
	}{
		{d.HighAvailability == nil, "highAvailability"},
		{d.Resources.JobManager.Memory.IsZero(), "resources.jobManager.memory"},
		{d.Resources.TaskManager.Memory.IsZero(), "resources.taskManager.memory"},
		{d.Resources.TaskManager.Slots.IsZero(), "resources.taskManager.slots"},
	} {
		if !t.zero {
			fields = append(fields, t.name)
		}
	}
	if len(fields) > 0 {
		r.Warn("%s of the definition: no effect on native Kubernetes, where the controller's configuration decides", strings.Join(fields, ", "))
	}
}
