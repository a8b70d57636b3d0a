package memory

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
)

// Mode is how a process gets its size.
type Mode int

// The modes of --memory.
const (
	Auto  Mode = iota // the configured size, else the container's limit
	Limit             // always the container's limit
	Keep              // what is configured
	Fixed             // a given size
)

// Policy is the value of --memory.
type Policy struct {
	Mode Mode
	Size int64 // bytes, for Fixed
}

// ParsePolicy reads "auto", "limit", "keep", or a size as [ParseContainerSize] takes it.
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "auto", "":
		return Policy{Mode: Auto}, nil
	case "limit":
		return Policy{Mode: Limit}, nil
	case "keep":
		return Policy{Mode: Keep}, nil
	}
	size, _, err := ParseContainerSize(s)
	if err != nil {
		return Policy{}, fmt.Errorf("memory policy %q: expected auto, limit, keep, or a size: %w", s, err)
	}
	return Policy{Mode: Fixed, Size: size}, nil
}

// Container is what is known of the memory that the process may use. The zero value is a container without a limit.
type Container struct {
	Bytes    int64  // the smallest limit; 0: none
	Shared   bool   // the limit is a parent cgroup's, so other processes use it too
	Given    bool   // set by a user or a definition, not detected
	Physical int64  // of the machine; 0: unknown
	Source   string // for people: "cgroup v2 limit /sys/fs/cgroup/memory.max", "--memory-limit", "job definition"
	Foreign  bool   // the process will run in another container than this one: its limit has to be given
	Zero     bool   // the limit is there, and it is 0 bytes
	Unknown  string // why no limit was found, for people; may be empty
}

// finite reports whether there is a limit, and not above the machine's memory. One that was given always counts. Some sandboxes,
// e.g. gVisor, show the limit as the machine's memory, less what is not a whole page.
func (c Container) finite() bool {
	const largestPage = 64 << 10
	return c.Bytes > 0 && (c.Given || c.Physical == 0 || c.Bytes-c.Physical < largestPage)
}

// none says that the container has no limit, and why.
func (c Container) none(text string) string {
	if c.Unknown != "" {
		text += " (" + c.Unknown + ")"
	}
	return text
}

// Change is one key that the policy sets or deletes.
type Change struct {
	Key, Value string
	Delete     bool
	Source     flinkconf.Source
}

// Decision is the outcome of the policy: what to change in the configuration, and the memory that Flink then derives.
type Decision struct {
	Changes  []Change
	Source   string // where the size comes from, for people, e.g. "0.8 × cgroup v2 limit /sys/fs/cgroup/memory.max"
	Spec     Spec
	Warnings []string
	Notes    []string // lines for the log
}

// FitError says that the memory cannot work, or that it does not fit into the container.
type FitError struct {
	Process  Process
	Source   string              // where the process size comes from
	Flink    *javatext.Exception // Flink's own exception; nil if the model works but exceeds the container
	Smallest int64               // smallest process size that would work; 0: none, or not asked for
	Lower    string              // key of the component that is best lowered; "": none to name
	Over     string              // the warning about a process larger than its container
}

// Error returns Flink's own message and the smallest size that would work.
func (e *FitError) Error() string {
	if e.Flink == nil {
		return e.Over
	}
	text := strings.TrimSuffix(e.Flink.Error(), ".")
	if e.Smallest > 0 {
		text += "; smallest size that would work: " + flinkconf.ShortMemorySize(e.Smallest)
	}
	if e.Source != "" {
		text += " (process size from " + e.Source + ")"
	}
	return text
}

// Hint returns what to do about it, or "".
func (e *FitError) Hint() string {
	key := e.Process.ProcessSizeKey()
	switch {
	case e.Flink == nil:
		return "raise the container's limit, or lower " + key
	case e.Smallest > 0 && e.Lower == key:
		return fmt.Sprintf("lower %s to %s, or raise the components that are fixed", key, flinkconf.ShortMemorySize(e.Smallest))
	case e.Smallest > 0 && e.Lower != "":
		return fmt.Sprintf("give the %s at least %s, or lower %s", e.Process, flinkconf.ShortMemorySize(e.Smallest), e.Lower)
	case e.Smallest > 0:
		return fmt.Sprintf("give the %s at least %s", e.Process, flinkconf.ShortMemorySize(e.Smallest))
	case e.Lower != "":
		return "no process size would work as it is configured; lower " + e.Lower
	}
	return ""
}

// Unwrap returns Flink's exception.
func (e *FitError) Unwrap() error {
	if e.Flink == nil {
		return nil
	}
	return e.Flink
}

// LimitError says that the policy needs a limit that is not there.
type LimitError struct {
	Process Process
	Reason  string
	hint    string
}

// Error returns the reason.
func (e *LimitError) Error() string { return e.Reason }

// Hint returns what to do about it.
func (e *LimitError) Hint() string { return e.hint }

// ConflictError says that a dynamic property contradicts the policy.
type ConflictError struct {
	Key, Value string
	Reason     string
}

// Error names the property.
func (e *ConflictError) Error() string { return fmt.Sprintf("%s=%s %s", e.Key, e.Value, e.Reason) }

// Hint returns what to do about it.
func (e *ConflictError) Hint() string {
	return "remove it, or use --memory auto, which keeps the sizes that are configured"
}

// Decide sizes a process: it applies the policy to the configuration, derives the memory as Flink will, and checks it against the
// container. ratio is the part of the container that the process gets, counted in decimal and cut to whole bytes (0 means 1).
//
// Errors: [*FitError] if the memory cannot work (or exceeds the limit and strict is set), [*LimitError] if a limit is needed and
// missing, [*ConflictError] if a -D contradicts the policy.
func Decide(p Process, in Input, policy Policy, ratio float64, c Container, strict bool) (Decision, error) {
	if ratio == 0 {
		ratio = 1
	}
	r := rulesOf(in.Version)
	d := decider{process: p, in: in, opt: optionsOf(p, r), rules: r, ratio: ratio, container: c}
	d.in.Conf = in.Conf.Clone()
	if err := d.apply(policy); err != nil {
		return Decision{}, err
	}
	spec, err := Derive(p, d.in)
	if err != nil {
		return Decision{}, d.cannotWork(err)
	}
	d.out.Spec = spec
	if err := d.compare(spec.ProcessSize, strict); err != nil {
		return Decision{}, err
	}
	return d.out, nil
}

// decider is one run of Decide.
type decider struct {
	process   Process
	in        Input // Conf: with the changes so far
	opt       options
	rules     rules
	ratio     float64
	container Container
	out       Decision
}

func (d *decider) apply(policy Policy) error {
	switch policy.Mode {
	case Keep:
		d.keep()
		return nil
	case Fixed:
		return d.force(policy.Size, flinkconf.Source{Layer: flinkconf.Flag, Where: "--memory"}, policy)
	case Limit:
		switch {
		case d.container.Foreign && !d.container.Given:
			return d.noLimit("--memory limit needs a memory limit, but the container has none")
		case d.container.Zero:
			return d.zero()
		case d.container.Bytes == 0:
			return d.noLimit(d.container.none("--memory limit needs a memory limit, but the container has none"))
		}
		return d.force(d.share(), d.automatic(), policy)
	}
	return d.auto()
}

// auto is the table of the policy: what a user chose stays, else the process gets its share of the container.
func (d *decider) auto() error {
	if d.chosen(d.opt.processSize.Option) {
		d.keep()
		if e, ok := d.in.Conf.Get(d.opt.processSize.Key); ok && d.in.Chosen && e.Source.Layer == flinkconf.BaseFile {
			d.note("%s=%s of %s stays: a controller wrote the file", e.Key, e.Value, e.Source)
		}
		return nil
	}
	if total, ok := d.chosenTotal(); ok {
		if e, stock := d.in.Conf.Get(d.opt.processSize.Key); stock {
			d.change(Change{Key: e.Key, Delete: true, Source: flinkconf.Source{Layer: flinkconf.Automatic, Where: total}})
			d.note("%s=%s of %s is left out: the total follows from %s", e.Key, e.Value, e.Source, total)
		}
		d.out.Source = total
		return nil
	}
	switch {
	case d.container.Foreign && !d.container.Given:
		return d.noLimit("the limit of the container that the process will run in is not known, and no size is configured")
	case d.container.Zero:
		return d.zero()
	case d.container.Bytes == 0:
		d.note("%s: the configured size stays", d.container.none("the container has no memory limit"))
	case d.container.Shared:
		d.note("%s of %s is shared with others: the configured size stays (--memory limit would use it)",
			flinkconf.HumanReadable(d.container.Bytes), d.container.Source)
	case !d.container.finite():
		d.note("%s of %s is above the machine's memory of %s: the configured size stays",
			flinkconf.HumanReadable(d.container.Bytes), d.container.Source, flinkconf.HumanReadable(d.container.Physical))
	default:
		d.setProcessSize(d.share(), d.automatic())
		return nil
	}
	d.keep()
	return nil
}

// force sets the process size whatever else is configured, and removes what would contradict it.
func (d *decider) force(size int64, source flinkconf.Source, policy Policy) error {
	key := d.opt.processSize.Key
	e, set := d.in.Conf.Get(key)
	if configured, _, err := d.in.Conf.MemorySize(d.opt.processSize.Option, d.in.Version); set && (err != nil || configured != size) {
		if e.Source.Layer == flinkconf.DynamicProperty {
			if policy.Mode == Fixed {
				d.warn("-D %s=%s overrides --memory %s", key, e.Value, flinkconf.ShortMemorySize(size))
				d.keep()
				return nil
			}
			return d.conflict(e, "contradicts --memory limit ("+flinkconf.ShortMemorySize(size)+")")
		}
		if d.chosen(d.opt.processSize.Option) {
			d.warn("%s=%s of %s is replaced: the process size is %s", key, e.Value, e.Source, flinkconf.ShortMemorySize(size))
		}
	}
	for _, group := range d.totals() {
		if err := d.remove(group, policy, source); err != nil {
			return err
		}
	}
	if value, set := d.legacyVariable(); set {
		return &ConflictError{Key: d.opt.legacyVariable, Value: value, Reason: "(environment) fixes the total, which contradicts the process size"}
	}
	d.setProcessSize(size, source)
	return nil
}

// legacyVariable returns the variable that until 2.0 set a total.
func (d *decider) legacyVariable() (value string, set bool) {
	if !d.rules.legacyHeap || d.in.LookupEnv == nil {
		return "", false
	}
	return d.in.LookupEnv(d.opt.legacyVariable)
}

// totals returns the groups of options each of which, when all of the group are set, fixes the total without a process size.
// The first of a group is the first to go.
func (d *decider) totals() [][]flinkconf.Option {
	groups := [][]flinkconf.Option{{d.opt.flinkSize.Option}}
	var explicit []flinkconf.Option
	for _, o := range d.opt.required {
		explicit = append(explicit, o.Option)
	}
	groups = append(groups, explicit)
	if d.rules.legacyHeap {
		groups = append(groups, []flinkconf.Option{d.opt.legacyHeap.Option}, []flinkconf.Option{d.opt.legacyHeapMB})
	}
	return groups
}

// remove deletes one option of a group that is set as a whole.
func (d *decider) remove(group []flinkconf.Option, policy Policy, source flinkconf.Source) error {
	var removable *flinkconf.Entry
	var dynamic flinkconf.Entry
	for _, o := range group {
		e, ok := d.in.Conf.Lookup(o)
		if !ok {
			return nil
		}
		if e.Source.Layer == flinkconf.DynamicProperty {
			dynamic = e
		} else if removable == nil {
			removable = &e
		}
	}
	if removable == nil {
		if policy.Mode == Fixed {
			return nil // -D is stronger than our flag; whether both can be had is for the model to say
		}
		return d.conflict(dynamic, "contradicts --memory limit, which sets "+d.opt.processSize.Key)
	}
	d.change(Change{Key: removable.Key, Delete: true, Source: source})
	d.warn("%s=%s of %s is left out: it contradicts the process size", removable.Key, removable.Value, removable.Source)
	return nil
}

func (d *decider) setProcessSize(size int64, source flinkconf.Source) {
	d.out.Source = source.Where
	if d.ratio != 1 && source.Layer == flinkconf.Automatic {
		d.out.Source = javatext.Double(d.ratio, 0) + " × " + source.Where
	}
	source.Where = d.out.Source
	value := flinkconf.ShortMemorySize(size)
	if d.in.Conf.Text(d.opt.processSize.Key) != value {
		d.change(Change{Key: d.opt.processSize.Key, Value: value, Source: source})
	}
}

// change records a change and applies it.
func (d *decider) change(c Change) {
	d.out.Changes = append(d.out.Changes, c)
	if c.Delete {
		d.in.Conf.Delete(c.Key)
	} else {
		d.in.Conf.SetString(c.Key, c.Value, c.Source)
	}
}

// keep leaves everything as it is and says where the size comes from.
func (d *decider) keep() {
	switch e, ok := d.in.Conf.Get(d.opt.processSize.Key); {
	case ok:
		d.out.Source = e.Source.Where
	default:
		if total, ok := d.configuredTotal(); ok {
			d.out.Source = total
		}
	}
}

// chosen reports whether a user set the option: anywhere but in the base file, or there to another value than the stock one.
func (d *decider) chosen(o flinkconf.Option) bool {
	e, ok := d.in.Conf.Lookup(o)
	if !ok {
		return false
	}
	switch e.Source.Layer {
	case flinkconf.Definition, flinkconf.FlinkProperties, flinkconf.Flag, flinkconf.DynamicProperty:
		return true
	case flinkconf.BaseFile:
		size, err := flinkconf.ParseMemorySize(e.Value.Reveal())
		return d.in.Chosen || o.Key != d.opt.processSize.Key || err != nil || size != stockProcessSize(d.process)
	}
	return false
}

// stockProcessSize is what the configuration files of the distributions say (1.13 to 2.3).
func stockProcessSize(p Process) int64 {
	if p == JobManager {
		return 1600 * mib
	}
	return 1728 * mib
}

// chosenTotal returns the place of a choice that fixes the total without a process size.
func (d *decider) chosenTotal() (where string, ok bool) {
	return d.total(d.chosen)
}

func (d *decider) configuredTotal() (where string, ok bool) {
	return d.total(func(o flinkconf.Option) bool {
		_, ok := d.in.Conf.Lookup(o)
		return ok
	})
}

func (d *decider) total(counts func(flinkconf.Option) bool) (where string, ok bool) {
	for _, group := range d.totals() {
		var names []string
		for _, o := range group {
			if e, _ := d.in.Conf.Lookup(o); counts(o) {
				names = append(names, fmt.Sprintf("%s (%s)", e.Key, e.Source))
			}
		}
		if len(names) == len(group) {
			return strings.Join(names, " and "), true
		}
	}
	if _, set := d.legacyVariable(); set {
		return d.opt.legacyVariable, true
	}
	return "", false
}

// share is the process' part of the container.
func (d *decider) share() int64 {
	n := new(big.Rat).Mul(decimal(d.ratio), new(big.Rat).SetInt64(d.container.Bytes))
	return new(big.Int).Quo(n.Num(), n.Denom()).Int64()
}

func (d *decider) automatic() flinkconf.Source {
	return flinkconf.Source{Layer: flinkconf.Automatic, Where: d.container.Source}
}

// compare checks the derived size against the container.
func (d *decider) compare(size int64, strict bool) error {
	c := d.container
	if c.Given && c.Physical > 0 && c.Bytes >= c.Physical-c.Physical/10 {
		d.warn("%s of %s is 90 %% or more of the machine's memory (%s): a container without a limit gets the node's allocatable memory there",
			flinkconf.HumanReadable(c.Bytes), c.Source, flinkconf.HumanReadable(c.Physical))
	}
	most, of := c.Bytes, c.Source
	if c.Bytes > 0 && !c.finite() {
		most, of = c.Physical, "the machine's memory"
	}
	if most == 0 && !c.Zero || size <= most || (c.Foreign && !c.Given) {
		return nil
	}
	over := fmt.Sprintf("the %s needs %s (%s), more than the %s of %s: expect the kernel to kill it (OOMKilled, exit code 137)",
		d.process, flinkconf.HumanReadable(size), d.out.Source, flinkconf.HumanReadable(most), of)
	if strict {
		return &FitError{Process: d.process, Source: d.out.Source, Over: over}
	}
	d.warn("%s", over)
	return nil
}

// cannotWork explains Flink's exception.
func (d *decider) cannotWork(err error) error {
	fit := &FitError{Process: d.process, Source: d.out.Source}
	if !errors.As(err, &fit.Flink) {
		return err
	}
	if _, set := d.in.Conf.Get(d.opt.processSize.Key); !set {
		return fit
	}
	if size, lower, err := Smallest(d.process, d.in); err == nil {
		fit.Smallest, fit.Lower = size, lower
	}
	return fit
}

func (d *decider) noLimit(reason string) error {
	return &LimitError{Process: d.process, Reason: reason, hint: "set it with --memory-limit (in Kubernetes from the Downward API: " +
		"resourceFieldRef limits.memory), choose a size (" + d.opt.processSize.Key + "), or use --memory keep"}
}

// zero refuses to take a size from a limit of 0.
func (d *decider) zero() error {
	return d.noLimit(fmt.Sprintf("the memory limit is 0 (%s), in which no process can run", d.container.Source))
}

func (d *decider) conflict(e flinkconf.Entry, reason string) error {
	return &ConflictError{Key: e.Key, Value: e.Value.String(), Reason: reason}
}

func (d *decider) warn(format string, args ...any) {
	d.out.Warnings = append(d.out.Warnings, fmt.Sprintf(format, args...))
}

func (d *decider) note(format string, args ...any) {
	d.out.Notes = append(d.out.Notes, fmt.Sprintf(format, args...))
}
