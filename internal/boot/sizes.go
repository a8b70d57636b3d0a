package boot

import (
	"errors"
	"fmt"
	"strconv"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
)

// sizes are the memory of the process.
type sizes struct {
	container memory.Container
	decision  *memory.Decision // nil where the role has no process memory model
}

// size decides the process's memory, and puts what that changes into the configuration.
func (r *Run) size(in *reading, conf *settings.Layers) (sizes, error) {
	process, ok := processOf(r.role)
	if !ok {
		return sizes{}, nil
	}
	version := in.home.Version
	arguments := launch.MemoryArgs(launch.Role(r.role), version, in.args)
	if !launch.Role(r.role).HasMemory() {
		arguments = in.args // sizes that the JobManager has decided, only to compare them with the limit
	}
	above, err := flinkconf.ApplyDynamicArgs(conf.Want, arguments, version)
	if err != nil {
		return sizes{}, phase.Fail(phase.Configuration, err, "")
	}
	policy, err := memory.ParsePolicy(r.opts.MemoryPolicy)
	if err != nil {
		return sizes{}, phase.Fail(phase.Usage, fmt.Errorf("--memory: %w", err), "")
	}
	if r.isNative() {
		if policy.Mode != memory.Auto && policy.Mode != memory.Keep {
			r.Warn("--memory %s has no effect on native Kubernetes, where the controller decides the sizes", r.opts.MemoryPolicy)
		}
		policy = memory.Policy{Mode: memory.Keep}
	}
	ratio, err := strconv.ParseFloat(r.opts.MemoryRatio, 64)
	if err != nil || !(ratio > 0) || ratio > 1 {
		return sizes{}, phase.Fail(phase.Usage, fmt.Errorf("--memory-ratio: found %q, expected a number above 0 and at most 1", r.opts.MemoryRatio), "")
	}
	given, field, err := r.definitionSize(in.job, process)
	if err != nil {
		return sizes{}, err
	}
	container, err := in.limits.Container(given, field, r.Warn)
	if err != nil {
		return sizes{}, err
	}
	input := memory.Input{Version: version, Standard: in.base.format == confpatch.Standard, Conf: above, LookupEnv: in.proc.Vars.Lookup, Chosen: in.base.controller}
	decision, err := memory.Decide(process, input, policy, ratio, container, r.opts.Strict)
	if err != nil {
		if better := flinkoptions.Unreadable(err, above); better != nil {
			return sizes{}, better
		}
		return sizes{}, memoryError(err)
	}
	for _, w := range decision.Warnings {
		r.Warn("%s", w)
	}
	for _, n := range decision.Notes {
		r.world.Log.Info(n, "phase", "memory")
	}
	for _, c := range decision.Changes {
		if c.Delete {
			conf.Remove(c.Key, c.Source)
			continue
		}
		conf.Want.SetString(c.Key, c.Value, c.Source)
	}
	return sizes{container, &decision}, nil
}

// processOf returns the process whose memory model applies to a role.
func processOf(role string) (memory.Process, bool) {
	switch role {
	case "jobmanager", "standalone-job", "kubernetes-session", "kubernetes-application":
		return memory.JobManager, true
	case "taskmanager", "kubernetes-taskmanager":
		return memory.TaskManager, true
	}
	return 0, false
}

// definitionSize returns the size that the definition gives the process's container, or "", and the field that has it.
func (r *Run) definitionSize(j *Job, p memory.Process) (size, field string, err error) {
	if j == nil || r.isNative() || r.opts.MemoryLimit != "" {
		return "", "", nil
	}
	text, field := j.Resources.TaskManager.Memory, "resources.taskManager.memory"
	if p == memory.JobManager {
		text, field = j.Resources.JobManager.Memory, "resources.jobManager.memory"
	}
	size, err = j.reveal(text, phase.DefinitionInvalid)
	return size, field, err
}

// hintOf returns what an error advises, or "".
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func memoryError(err error) error {
	at := phase.Memory
	var limit *memory.LimitError
	var conflict *memory.ConflictError
	switch {
	case errors.As(err, &limit):
		at = phase.Limits
	case errors.As(err, &conflict):
		at = phase.Usage // two things that were asked for on one command line exclude each other
	}
	return phase.Fail(at, err, hintOf(err))
}
