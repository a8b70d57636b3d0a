package memory

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
)

// Derive computes the memory of a process as Flink does. The error is Flink's own exception (a [*javatext.Exception] with its causes).
func Derive(p Process, in Input) (Spec, error) {
	d := newDerivation(p, in)
	spec := d.run()
	if d.err != nil {
		return Spec{Process: p, Log: d.log}, d.err
	}
	spec.Log = d.log
	return spec, nil
}

// verdict says in which direction a process size is wrong.
type verdict int

const (
	other    verdict = iota // the size of the process is not the reason
	tooSmall                // a larger process could work
	tooLarge                // a smaller process could work
)

// derivation is one run of the model. The first failure sticks: from then on every step does nothing and returns zero,
// so that the steps can be written down in Flink's order without a check after each.
type derivation struct {
	rules
	process Process
	in      Input
	conf    *flinkconf.Conf
	opt     options
	log     []LogLine
	quiet   bool // log nothing, and fail without words
	err     *javatext.Exception
	verdict verdict
}

func newDerivation(p Process, in Input) *derivation {
	r := rulesOf(in.Version)
	conf := in.Conf
	if conf == nil {
		conf = &flinkconf.Conf{}
	}
	return &derivation{rules: r, process: p, in: in, conf: conf, opt: optionsOf(p, r)}
}

func (d *derivation) ok() bool { return d.err == nil }

func (d *derivation) fail(class, message string, cause error) {
	if d.ok() {
		d.err = &javatext.Exception{Class: class, Message: message, Cause: cause}
	}
}

// invalid fails with an IllegalConfigurationException; %s takes sizes as human readable strings.
func (d *derivation) invalid(v verdict, format string, sizes ...int64) {
	if d.ok() {
		d.verdict = v
		message := ""
		if !d.quiet {
			message = humanf(format, sizes...)
		}
		d.fail(flinkconf.IllegalConfiguration, message, nil)
	}
}

func humanf(format string, sizes ...int64) string {
	args := make([]any, len(sizes))
	for i, s := range sizes {
		args[i] = flinkconf.HumanReadable(s)
	}
	return fmt.Sprintf(format, args...)
}

// wrap replaces an IllegalConfigurationException by one with another message that has it as cause.
func (d *derivation) wrap(message func(inner string) string) {
	if d.err != nil && d.err.Class == flinkconf.IllegalConfiguration {
		d.err = &javatext.Exception{Class: flinkconf.IllegalConfiguration, Message: message(d.err.Message), Cause: d.err}
	}
}

func prefixed(prefix string) func(string) string {
	return func(inner string) string { return prefix + inner }
}

func (d *derivation) logf(level, format string, args ...any) {
	if d.ok() && !d.quiet {
		d.log = append(d.log, LogLine{level, fmt.Sprintf(format, args...)})
	}
}

// run follows BashJavaUtils.getTmResourceParams and getJmResourceParams.
func (d *derivation) run() Spec {
	spec := Spec{Process: d.process, quotesResources: d.quotesResources}
	if d.process == TaskManager {
		d.mapLegacyHeap()
		d.wrap(prefixed("TaskManager failed to map legacy JVM heap option to the new one: "))
		if !d.ok() {
			return spec
		}
		d.sizes(&spec)
		d.taskManagerResources(&spec)
		d.wrap(prefixed("TaskManager memory configuration failed: "))
	} else {
		d.mapLegacyHeap()
		d.sizes(&spec)
		if d.prefixesJM {
			d.wrap(prefixed("JobManager memory configuration failed: "))
		}
	}
	d.logFinal(spec)
	if d.process == JobManager && d.ok() {
		limits, _, err := d.conf.Bool(directLimit(), d.in.Version)
		d.adopt(err)
		spec.limitsDirect = limits
	}
	return spec
}

// adopt makes an exception of a typed read the failure.
func (d *derivation) adopt(err error) {
	if e, isFlink := err.(*javatext.Exception); isFlink && d.ok() {
		d.err = e
	}
}

// mapLegacyHeap is MemoryBackwardsCompatibilityUtils (until 2.0): an old heap size replaces a total that is not set.
func (d *derivation) mapLegacyHeap() {
	if !d.rules.legacyHeap || d.has(d.opt.legacyTarget.Option) {
		return
	}
	size, ok := d.legacyHeapSize()
	if !ok || !d.ok() {
		return
	}
	d.conf = d.conf.Clone()
	d.conf.SetString(d.opt.legacyTarget.Key, strconv.FormatInt(size, 10), flinkconf.Source{})
	d.logf("INFO", "'%s' is not specified, use the configured deprecated task manager heap value (%s) for it.",
		d.opt.legacyTarget.Key, flinkconf.HumanReadable(size))
}

func (d *derivation) legacyHeapSize() (size int64, ok bool) {
	if d.in.LookupEnv != nil {
		if text, set := d.in.LookupEnv(d.opt.legacyVariable); set {
			size, err := flinkconf.ParseMemorySize(text)
			if err != nil {
				d.fail(flinkconf.IllegalConfiguration, "Cannot read total process memory size from environment variable value "+text+".", err)
			}
			return size, true
		}
	}
	if d.has(d.opt.legacyHeap.Option) {
		return d.size(d.opt.legacyHeap), true
	}
	if !d.has(d.opt.legacyHeapMB) {
		return 0, false
	}
	mb, _, err := d.conf.Int(d.opt.legacyHeapMB, d.in.Version)
	d.adopt(err)
	if mb < 0 {
		d.fail(flinkconf.IllegalConfiguration, fmt.Sprintf("Configured total process memory size (%dMB) must not be less than 0.", mb), nil)
	}
	return int64(mb) << 20, true
}

// has is Configuration.contains, which warns about fallback keys.
func (d *derivation) has(o flinkconf.Option) bool {
	e, ok := d.conf.Lookup(o)
	if ok && e.Key != o.Key {
		d.logf("WARN", "Config uses deprecated configuration key '%s' instead of proper key '%s'", e.Key, o.Key)
	}
	return ok
}

// size is ProcessMemoryUtils.getMemorySizeFromConfig.
func (d *derivation) size(o sizeOption) int64 {
	if !d.ok() {
		return 0
	}
	if !d.has(o.Option) && o.def != unset {
		return o.def
	}
	size, _, err := d.conf.MemorySize(o.Option, d.in.Version)
	if err != nil {
		d.fail(flinkconf.IllegalConfiguration, "Cannot read memory size from config option '"+o.Key+"'.", err)
	}
	return size
}

func (d *derivation) fraction(o fractionOption) float64 {
	if !d.ok() {
		return 0
	}
	if !d.has(o.Option) {
		return float64(o.def)
	}
	f, _, err := d.conf.Float(o.Option, d.in.Version)
	d.adopt(err)
	return f
}

// bounds is a range and a fraction that have been checked.
type bounds struct {
	min, max int64
	fraction float64
}

// bounds is ProcessMemoryUtils.getRangeFraction.
func (d *derivation) bounds(r rangeFraction) bounds {
	return d.checked(bounds{min: d.size(r.min), max: d.size(r.max)}, r.fraction)
}

func (d *derivation) checked(b bounds, o fractionOption) bounds {
	b.fraction = d.fraction(o)
	reason := ""
	switch {
	case b.min > b.max:
		reason = "min value must be less or equal to max value"
	case !(b.fraction >= 0 && b.fraction < 1):
		reason = "fraction must be in range [0, 1)"
	default:
		return b
	}
	d.fail(flinkconf.IllegalConfiguration,
		fmt.Sprintf("Inconsistently configured %s (%s) and its min (%s), max (%s) value", o.describe(),
			javatext.Double(b.fraction, 0), flinkconf.HumanReadable(b.min), flinkconf.HumanReadable(b.max)),
		&javatext.Exception{Class: javatext.IllegalArgument, Message: reason})
	return b
}

// describe is ConfigOption.toString.
func (o fractionOption) describe() string {
	return describe(o.Option, javatext.Float(o.def, 0))
}

func (o sizeOption) describe() string { return describe(o.Option, "null") }

func describe(o flinkconf.Option, def string) string {
	keys := make([]string, len(o.Fallbacks))
	for i, k := range o.Fallbacks {
		keys[i] = "{key=" + k + ", isDeprecated=true}"
	}
	return fmt.Sprintf("Key: '%s' , default: %s (fallback keys: [%s])", o.Key, def, strings.Join(keys, ", "))
}

// add sums sizes, as MemorySize.add does.
func (d *derivation) add(sizes ...int64) int64 {
	var sum int64
	for _, s := range sizes {
		if s > math.MaxInt64-sum {
			d.fail(javatext.Arithmetic, "long overflow", nil)
			return 0
		}
		sum += s
	}
	return sum
}

// multiply is MemorySize.multiply: exact on the decimal digits of the double, then truncated.
func (d *derivation) multiply(size int64, by float64) int64 {
	product, fits := multiply(size, by)
	if !fits {
		d.fail(javatext.Arithmetic, "long overflow", nil)
	}
	return product
}

// multiply returns size × by, truncated, where by >= 0 is taken for the decimal number that prints as it (0.1 is a tenth).
func multiply(size int64, by float64) (product int64, fits bool) {
	var buf [32]byte
	digits := strconv.AppendFloat(buf[:0], by, 'e', -1, 64)
	var mantissa uint64
	exponent, seen := 0, false
	for i, c := range digits {
		switch {
		case c == '.':
			seen = true
		case c == 'e':
			e, _ := strconv.Atoi(string(digits[i+1:]))
			exponent += e
		case c >= '0' && c <= '9':
			mantissa = mantissa*10 + uint64(c-'0')
			if seen {
				exponent--
			}
			continue
		}
		if c == 'e' {
			break
		}
	}
	hi, lo := bits.Mul64(uint64(size), mantissa)
	rest := false
	for ; exponent < 0; exponent++ {
		var r uint64
		qhi := hi / 10
		lo, r = bits.Div64(hi%10, lo, 10)
		hi, rest = qhi, rest || r != 0
	}
	for ; exponent > 0 && hi == 0 && lo != 0; exponent-- {
		hi, lo = bits.Mul64(lo, 10)
	}
	if hi != 0 || lo > math.MaxInt64 || (lo == math.MaxInt64 && rest) {
		return 0, false
	}
	return int64(lo), true
}

// within caps a size to a range and says so (ProcessMemoryUtils.capToMinMax).
func (d *derivation) within(name string, size int64, b bounds) int64 {
	switch {
	case size > b.max:
		d.logf("INFO", "The derived from fraction %s (%s) is greater than its max value %s, max value will be used instead",
			name, flinkconf.HumanReadable(size), flinkconf.HumanReadable(b.max))
		return b.max
	case size < b.min:
		d.logf("INFO", "The derived from fraction %s (%s) is less than its min value %s, min value will be used instead",
			name, flinkconf.HumanReadable(size), flinkconf.HumanReadable(b.min))
		return b.min
	}
	return size
}

// ofTotal is the component as a fraction of the whole it is part of.
func (d *derivation) ofTotal(name string, total int64, b bounds) int64 {
	return d.within(name, d.multiply(total, b.fraction), b)
}

// ofRest is the component as a fraction of the whole of which rest is what remains without it.
func (d *derivation) ofRest(name string, rest int64, b bounds) int64 {
	return d.within(name, d.multiply(rest, b.fraction/(1-b.fraction)), b)
}

// sizes is ProcessMemoryUtils.memoryProcessSpecFromConfig.
func (d *derivation) sizes(spec *Spec) {
	if !d.ok() {
		return
	}
	explicit := true
	for _, o := range d.opt.required {
		if explicit = d.has(o.Option); !explicit {
			break
		}
	}
	switch {
	case explicit:
		d.explicitFlink(spec)
		d.jvmFromFlink(spec, d.flinkSize(spec))
	case d.has(d.opt.flinkSize.Option):
		total := d.size(d.opt.flinkSize)
		d.flinkFromTotal(spec, total)
		d.jvmFromFlink(spec, total)
	case d.has(d.opt.processSize.Option):
		d.jvmFromProcess(spec, d.size(d.opt.processSize))
	default:
		keys := make([]string, len(d.opt.required))
		for i, o := range d.opt.required {
			keys[i] = o.Key
		}
		d.fail(flinkconf.IllegalConfiguration, fmt.Sprintf("Either required fine-grained memory (%s), or Total Flink Memory size (%s), "+
			"or Total Process Memory size (%s) need to be configured explicitly.",
			strings.Join(keys, " and "), d.opt.flinkSize.describe(), d.opt.processSize.describe()), nil)
	}
	spec.FlinkSize = d.flinkSize(spec)
	spec.ProcessSize = d.add(spec.FlinkSize, spec.JVMMetaspace, spec.JVMOverhead)
}

func (d *derivation) flinkSize(s *Spec) int64 {
	return d.add(s.FrameworkHeap, s.FrameworkOffHeap, s.TaskHeap, s.TaskOffHeap, s.Network, s.Managed, s.Heap, s.OffHeap)
}

func (d *derivation) explicitFlink(spec *Spec) {
	if d.process == JobManager {
		d.explicitJobManager(spec)
	} else {
		d.explicitTaskManager(spec)
	}
}

func (d *derivation) flinkFromTotal(spec *Spec, total int64) {
	if d.process == JobManager {
		d.jobManagerFromTotal(spec, total)
	} else {
		d.taskManagerFromTotal(spec, total)
	}
}

func (d *derivation) jvmFromProcess(spec *Spec, process int64) {
	spec.JVMMetaspace = d.size(d.opt.metaspace)
	b := d.bounds(d.opt.overhead)
	if d.ok() {
		spec.JVMOverhead = d.ofTotal(d.opt.overhead.name, process, b)
	}
	jvm := d.add(spec.JVMMetaspace, spec.JVMOverhead)
	if jvm > process {
		d.invalid(tooSmall, "Sum of configured JVM Metaspace (%s) and JVM Overhead (%s) exceed configured Total Process Memory (%s).",
			spec.JVMMetaspace, spec.JVMOverhead, process)
	}
	if d.ok() {
		d.flinkFromTotal(spec, process-jvm)
	}
}

func (d *derivation) jvmFromFlink(spec *Spec, flink int64) {
	if !d.ok() {
		return
	}
	spec.JVMMetaspace = d.size(d.opt.metaspace)
	rest := d.add(flink, spec.JVMMetaspace)
	if !d.ok() {
		return
	}
	if !d.has(d.opt.processSize.Option) {
		b := d.bounds(d.opt.overhead)
		if d.ok() {
			spec.JVMOverhead = d.ofRest(d.opt.overhead.name, rest, b)
			d.add(rest, spec.JVMOverhead)
		}
		return
	}
	process := d.size(d.opt.processSize)
	d.size(d.opt.metaspace)
	if !d.ok() {
		return
	}
	if process < rest {
		d.invalid(tooSmall, "The configured Total Process Memory size (%s) is less than the sum of the derived Total Flink Memory size (%s) "+
			"and the configured or default JVM Metaspace size  (%s).", process, flink, spec.JVMMetaspace)
		return
	}
	spec.JVMOverhead = process - rest
	d.checkOverhead(spec.JVMOverhead, process)
}

// checkOverhead is ProcessMemoryUtils.sanityCheckJvmOverhead: what is left must be in the configured range.
func (d *derivation) checkOverhead(overhead, process int64) {
	b := d.bounds(d.opt.overhead)
	if !d.ok() {
		return
	}
	if overhead > b.max || overhead < b.min {
		v := tooSmall
		if overhead > b.max {
			v = tooLarge
		}
		d.invalid(v, "Derived JVM Overhead size (%s) is not in configured JVM Overhead range [%s, %s].", overhead, b.min, b.max)
		return
	}
	if d.has(d.opt.overhead.fraction.Option) && overhead != d.multiply(process, b.fraction) {
		d.logf("INFO", "The derived JVM Overhead size (%s) does not match the configured or default JVM Overhead fraction (%s) from "+
			"the configured Total Process Memory size (%s). The derived JVM %s size will be used.", flinkconf.HumanReadable(overhead),
			javatext.Double(b.fraction, 0), flinkconf.HumanReadable(process), d.overheadWord)
	}
}

// logFinal logs the block with which BashJavaUtils ends.
func (d *derivation) logFinal(s Spec) {
	if d.quiet || !d.ok() {
		return
	}
	line := func(label string, size int64) { d.logf("INFO", "%s%s", label, flinkconf.HumanReadable(size)) }
	if d.process == JobManager {
		d.logf("INFO", "Final Master Memory configuration:")
		line("  Total Process Memory: ", s.ProcessSize)
		line("    Total Flink Memory: ", s.FlinkSize)
		line("      JVM Heap:         ", s.Heap)
		line("      Off-heap:         ", s.OffHeap)
		line("    JVM Metaspace:      ", s.JVMMetaspace)
		line("    JVM Overhead:       ", s.JVMOverhead)
		return
	}
	d.logf("INFO", "Final TaskExecutor Memory configuration:")
	line("  Total Process Memory:          ", s.ProcessSize)
	line("    Total Flink Memory:          ", s.FlinkSize)
	line("      Total JVM Heap Memory:     ", s.JVMHeap())
	line("        Framework:               ", s.FrameworkHeap)
	line("        Task:                    ", s.TaskHeap)
	line("      Total Off-heap Memory:     ", s.Managed+s.JVMDirect())
	line("        Managed:                 ", s.Managed)
	line("        Total JVM Direct Memory: ", s.JVMDirect())
	line("          Framework:             ", s.FrameworkOffHeap)
	line("          Task:                  ", s.TaskOffHeap)
	line("          Network:               ", s.Network)
	line("    JVM Metaspace:               ", s.JVMMetaspace)
	line("    JVM Overhead:                ", s.JVMOverhead)
}

// decimal returns the number that a double prints as.
func decimal(x float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(x, 'e', -1, 64))
	return r
}
