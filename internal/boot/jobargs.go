package boot

import (
	"fmt"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
	"flink-entrypoint/internal/sqlrunner"
)

// savepointKeys name the savepoint to start from; the second is the name until 1.19.
var savepointKeys = [...]string{"execution.state-recovery.path", "execution.savepoint.path"}

// withoutSavepoint takes the keys away that name a savepoint: an option wins over a key, one that says "no savepoint" too.
func (in *reading) withoutSavepoint(conf *settings.Layers) {
	for _, key := range savepointKeys {
		if e, ok := conf.Want.Get(key); ok && in.noSavepoint {
			conf.Warn("%s (%s) has no effect: the empty --fromSavepoint after the role says that the job starts without a savepoint", key, e.Source.Where)
			conf.Remove(key, flinkconf.Source{Layer: flinkconf.Flag, Where: "--fromSavepoint"})
		}
	}
}

// jobOptions puts the job's options before the user's arguments: id, savepoint, and the class of a jar job. What the arguments or a
// stronger layer of the configuration say instead wins: Flink takes the first of two options, and an option before a key.
func (r *Run) jobOptions(in *reading, layers *settings.Layers) (plan jobPlan, err error) {
	given, program := flinkoptions.JobWords(in.args, in.home.Version)
	given["fromSavepoint"] = given["fromSavepoint"] || in.noSavepoint
	d := in.job
	if r.isNative() { // its options are keys of the configuration
		plan.arguments, err = d.jarArguments()
		return plan, err
	}
	if d.SQL.Runs() {
		if given["job-classname"] {
			return plan, phase.Fail(phase.Usage, fmt.Errorf("--job-classname after the role, and the definition has a SQL job, which %s runs", sqlrunner.MainClass), "remove one of them")
		}
		if len(program) > 0 {
			return plan, phase.Fail(phase.Usage, fmt.Errorf("%q after the role is not an option of Flink, and a SQL job has no arguments", program[0]), "options go before -D, values after their option")
		}
	}
	conf, err := flinkconf.ApplyDynamicArgs(layers.Want, in.args, in.home.Version)
	if err != nil {
		conf = layers.Want // Flink's complaint is reported where its memory is calculated
	}
	option := func(name string, t jobdef.Text, keys ...string) error {
		value, err := d.argument(t)
		if err != nil || value == "" {
			return err
		}
		if given[name] {
			r.Warn("--%s after the role wins, not the definition's %s", name, t.Path())
			return nil
		}
		for _, key := range keys {
			if e, ok := conf.Get(key); ok && e.Source.Layer > flinkconf.Definition {
				r.Warn("%s (%s) wins, not the definition's %s", key, e.Source.Where, t.Path())
				return nil
			} else if ok && e.Source.Layer == flinkconf.Definition && e.Value.Reveal() != value {
				r.Warn("%s: the definition's %s wins, not its configuration", key, t.Path())
			}
		}
		plan.options = append(plan.options, "--"+name, value)
		return nil
	}
	if err := option("job-id", d.ID, "$internal.pipeline.job-id"); err != nil {
		return plan, err
	}
	if s := d.Savepoint; s != nil {
		if err := option("fromSavepoint", s.Path, savepointKeys[:]...); err != nil {
			return plan, err
		}
		if s.AllowNonRestoredState && !given["allowNonRestoredState"] && !in.noSavepoint {
			plan.options = append(plan.options, "--allowNonRestoredState")
		}
	}
	if d.Jar != nil {
		if err := option("job-classname", d.Jar.EntryClass); err != nil {
			return plan, err
		}
	}
	plan.arguments, err = d.jarArguments()
	return plan, err
}

// jarArguments returns the arguments of a jar job.
func (j *Job) jarArguments() (arguments []string, err error) {
	if j.Jar == nil {
		return nil, nil
	}
	for _, a := range j.Jar.Args {
		text, err := j.argument(a)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, text)
	}
	return arguments, nil
}
