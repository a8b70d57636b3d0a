package boot

import (
	"context"
	"slices"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/settings"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
)

// initFile is the file of the statements that prepare a session.
const initFile = "init.sql"

// jobPlan is the definition's job, as the process gets it.
type jobPlan struct {
	SQL       *SQLPlan // nil without SQL
	options   []string // of Flink's entry point, before the user's
	arguments []string // of the job's main, after everything else
}

// planJob plans the job's options, the init SQL, the job's script, and the runner that executes it.
func (r *Run) planJob(ctx context.Context, in *reading, conf *settings.Layers, place *placement.Placement) (jobPlan, error) {
	if in.job == nil {
		return jobPlan{}, nil
	}
	switch r.role {
	case "standalone-job", "kubernetes-application":
		return r.planApplication(ctx, in, conf, place)
	case "sql-gateway":
		return r.planGateway(in, conf, place)
	case "taskmanager": // which needs no catalog password
		if in.job.SQL.Runs() && place.RunnerPlacement() == sqlrunner.UserLibrary {
			return jobPlan{}, place.AddRunner() // the job's class path names the JobManager's usrlib, file by file
		}
	}
	return jobPlan{}, nil
}

func (r *Run) planApplication(ctx context.Context, in *reading, conf *settings.Layers, place *placement.Placement) (jobPlan, error) {
	plan, err := r.jobOptions(in, conf)
	if err != nil {
		return plan, err
	}
	script := ""
	if in.job.SQL != nil {
		if script, err = r.planSQL(ctx, in, conf, place, &plan); err != nil {
			return plan, err
		}
	}
	if r.isNative() {
		job, err := in.job.nativeJob(place, plan.arguments)
		if err != nil {
			return plan, err
		}
		job.Apply(conf, in.home.Version, r.Warn)
		plan.arguments = nil
	}
	return plan, r.carryDefinition(in, conf, place, script)
}

// planSQL plans the session's statements and the script, which it returns; "" without one.
func (r *Run) planSQL(ctx context.Context, in *reading, conf *settings.Layers, place *placement.Placement, plan *jobPlan) (string, error) {
	d := in.job.SQL
	session, err := in.job.Session(d, place)
	if err != nil {
		return "", err
	}
	init := session.Text()
	plan.SQL = &SQLPlan{InitFile: place.AddFile(initFile, init, session.Hidden), Init: session.Shown()}
	if !d.Runs() {
		return "", nil
	}
	script, err := in.job.Script(ctx, in.home.Version)
	if err != nil {
		return "", err
	}
	hidden := session.Hidden || d.Script.IsReference() || flinkconf.Hidden(script.Text)
	prepared, err := sqlrunner.Prepare([]sqlrunner.Part{{Name: initFile, Text: string(init)}, {Text: script.Text}}, sqlrunner.Options{
		Flink:            in.home.Version,
		FixedJobID:       !in.job.ID.IsZero(),
		HighAvailability: conf.HighAvailability() != "",
		RuntimeMode:      conf.Want.Text("execution.runtime-mode"),
		Secrets:          slices.Concat(session.Secrets, script.Secrets),
		Sensitive:        flinkconf.Hidden,
	})
	if err != nil {
		hint, named := validate.Named(err, validate.ScriptName(in.job.Definition, r.opts.Definition))
		return "", phase.Fail(phase.SQL, named, hint)
	}
	conf.Warnings = append(conf.Warnings, prepared.Warnings...)
	plan.SQL.ScriptFile = place.AddFile("job.sql", prepared.Script, hidden)
	index := place.AddFile("job.idx", prepared.Index, hidden || len(session.Secrets)+len(script.Secrets) > 0)
	plan.arguments = sqlrunner.Arguments(sqlrunner.Application, plan.SQL.ScriptFile, index)
	if r.isNative() {
		return script.Text, place.AddRunnerFile()
	}
	plan.options = append(plan.options, "--job-classname", sqlrunner.MainClass)
	return script.Text, place.AddRunner()
}
