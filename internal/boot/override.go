package boot

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
)

// override puts what is above the file on top of it, in the order of the contract.
func (r *Run) override(ctx context.Context, in *reading, d *decision) (conf *settings.Layers, err error) {
	conf = in.base.layers
	if v := in.proc.Vars.Get("TASK_MANAGER_NUMBER_OF_TASK_SLOTS"); v != "" && !r.isNative() {
		conf.Set("taskmanager.numberOfTaskSlots", v, flinkconf.ImageEnvironment, "TASK_MANAGER_NUMBER_OF_TASK_SLOTS")
	}
	if in.job != nil {
		if err := in.job.configure(conf, in.home.Version); err != nil {
			return nil, err
		}
	}
	if text := in.proc.Vars.Get("FLINK_PROPERTIES"); text != "" {
		entries, warnings, err := confpatch.Properties(text, in.base.format, in.home.Version, in.proc.Vars.Lookup)
		if err != nil {
			return nil, phase.Fail(phase.Configuration, err, hintOf(err))
		}
		conf.Warnings = append(conf.Warnings, warnings...)
		for _, e := range entries {
			r.world.Redactor.AddEntry(e.Key, e.Value.Reveal())
			conf.SetEntry(e)
		}
	}
	conf.Warnings = append(conf.Warnings, flinkoptions.JoinedLines(conf.Want, in.proc.Vars.Get("FLINK_PROPERTIES"))...)
	if !r.isNative() {
		if err := r.slots(in, conf); err != nil {
			return nil, err
		}
	}
	if d.metrics, err = r.metrics(in, conf); err != nil {
		return nil, err
	}
	if err := r.underPlatform(in.home.Version, conf, d.place); err != nil {
		return nil, err
	}
	if r.isNative() {
		return conf, nil // Flink's own native entry points find their addresses
	}
	if err := conf.Addresses(settings.Hosts{Role: r.role, Advertise: r.opts.Advertise, Vars: in.proc.Vars, FQDN: func() (string, error) {
		name := in.proc.Vars.Get("HOSTNAME")
		if name == "" {
			var err error
			if name, err = r.world.Hostname(); err != nil {
				return "", err
			}
		}
		return r.world.FQDN(ctx, name), nil
	}}); err != nil {
		return nil, err
	}
	if r.role == "taskmanager" {
		const key = "cluster.registration.error-delay" // milliseconds; a number without a unit is read by every version
		if !conf.Want.Has(key) {
			// Flink waits ten seconds after a JobManager that does not listen yet, and both usually start at once.
			conf.Set(key, "500", flinkconf.Automatic, "a TaskManager that is up before its JobManager soon asks again")
		}
	}
	if r.role == "standalone-job" && conf.HighAvailability() != "" && featuresOf(in.home.Version).jobResultStore {
		const key = "job-result-store.delete-on-commit"
		if !conf.Want.Has(key) {
			// Otherwise a standby that takes over after the end of a bounded job runs it a second time.
			conf.Set(key, "false", flinkconf.Automatic, "high availability: a standby must know that the job has ended")
		}
	}
	return conf, nil
}

// slots applies --slots and the definition's slots.
func (r *Run) slots(in *reading, conf *settings.Layers) error {
	const key = "taskmanager.numberOfTaskSlots"
	wanted, layer, where := r.opts.Slots, flinkconf.Flag, "--slots"
	if wanted == "" || wanted == "keep" {
		if in.job == nil || in.job.Resources.TaskManager.Slots.IsZero() {
			return nil
		}
		var err error
		if wanted, err = in.job.reveal(in.job.Resources.TaskManager.Slots, phase.DefinitionInvalid); err != nil {
			return err
		}
		layer, where = flinkconf.Definition, "job definition resources.taskManager.slots"
	}
	if wanted == "auto" {
		cpu := in.limits.CPU
		if cpu == nil {
			r.Warn("%s auto: the container has no CPU limit, so the number of slots stays", where)
			return nil
		}
		if e, ok := conf.Want.Get(key); ok && (e.Source.Layer > flinkconf.Automatic || in.base.controller && e.Source.Layer == flinkconf.BaseFile) {
			r.Warn("%s auto: %s was chosen (%s), so it stays", where, key, e.Source.Where)
			return nil
		}
		conf.Set(key, strconv.Itoa(memory.SlotsForCPU(cpu.Cores)), flinkconf.Automatic, fmt.Sprintf("%s auto: one per whole CPU of %s", where, cmp.Or(cpu.Path, cpu.Source)))
		return nil
	}
	if n, err := strconv.Atoi(wanted); err != nil || n < 1 {
		return phase.Fail(phase.Usage, fmt.Errorf("%s: found %q, expected auto, keep, or a number of at least 1", where, wanted), "")
	}
	conf.Set(key, wanted, layer, where)
	return nil
}
