package memory

import (
	"fmt"
	"math"
	"strconv"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
)

// explicitTaskManager is TaskExecutorFlinkMemoryUtils.deriveFromRequiredFineGrainedOptions: task heap and managed memory are set.
func (d *derivation) explicitTaskManager(s *Spec) {
	s.TaskHeap = d.size(d.opt.taskHeap)
	s.Managed = d.managedSize()
	d.fixedParts(s)
	rest := d.flinkSize(s)
	if !d.ok() {
		return
	}
	if d.has(d.opt.flinkSize.Option) {
		d.networkIsRest(s, d.size(d.opt.flinkSize), rest)
	} else if !d.legacyNetwork(s) {
		if b := d.bounds(d.opt.network); d.ok() {
			s.Network = d.ofRest(d.opt.network.name, rest, b)
		}
	}
	d.checkFlinkSize(s)
}

// taskManagerFromTotal is TaskExecutorFlinkMemoryUtils.deriveFromTotalFlinkMemory.
func (d *derivation) taskManagerFromTotal(s *Spec, total int64) {
	d.fixedParts(s)
	if !d.ok() {
		return
	}
	if d.has(d.opt.taskHeap.Option) {
		s.TaskHeap = d.size(d.opt.taskHeap)
		s.Managed = d.managedMemory(total)
		d.networkIsRest(s, total, d.flinkSize(s))
	} else {
		s.Managed = d.managedMemory(total)
		if d.ok() && !d.legacyNetwork(s) {
			if b := d.bounds(d.opt.network); d.ok() {
				s.Network = d.ofTotal(d.opt.network.name, total, b)
			}
		}
		if others := d.flinkSize(s); others > total {
			d.invalid(tooSmall, "Sum of configured Framework Heap Memory (%s), Framework Off-Heap Memory (%s), Task Off-Heap Memory (%s), "+
				"Managed Memory (%s) and Network Memory (%s) exceed configured Total Flink Memory (%s).",
				s.FrameworkHeap, s.FrameworkOffHeap, s.TaskOffHeap, s.Managed, s.Network, total)
		} else if d.ok() {
			s.TaskHeap = total - others
		}
	}
	d.checkFlinkSize(s)
}

// fixedParts reads the components that always have a size of their own.
func (d *derivation) fixedParts(s *Spec) {
	s.FrameworkHeap = d.size(d.opt.frameworkHeap)
	s.FrameworkOffHeap = d.size(d.opt.frameworkOffHeap)
	s.TaskOffHeap = d.size(d.opt.taskOffHeap)
}

func (d *derivation) managedMemory(total int64) int64 {
	if !d.ok() {
		return 0
	}
	if d.has(d.opt.managed.Option) {
		return d.managedSize()
	}
	b := d.checked(bounds{0, math.MaxInt64, 0}, d.opt.managedFraction)
	if !d.ok() {
		return 0
	}
	return d.ofTotal("managed memory", total, b)
}

// managedSize reads the managed memory size, which Flink looks up once more to be sure that it is set: a warning more for an old key.
func (d *derivation) managedSize() int64 {
	d.has(d.opt.managed.Option)
	return d.size(d.opt.managed)
}

// networkIsRest gives network memory what the others leave of the total, and checks that against its own options.
func (d *derivation) networkIsRest(s *Spec, total, others int64) {
	if !d.ok() {
		return
	}
	if others > total {
		d.invalid(tooSmall, "Sum of configured Framework Heap Memory (%s), Framework Off-Heap Memory (%s), Task Heap Memory (%s), "+
			"Task Off-Heap Memory (%s) and Managed Memory (%s) exceed configured Total Flink Memory (%s).",
			s.FrameworkHeap, s.FrameworkOffHeap, s.TaskHeap, s.TaskOffHeap, s.Managed, total)
		return
	}
	s.Network = total - others
	d.checkNetwork(s.Network, total)
	d.wrap(func(string) string {
		return "If Total Flink, Task Heap and (or) Managed Memory sizes are explicitly configured then the Network Memory size is the rest " +
			"of the Total Flink memory after subtracting all other configured types of memory, but the derived Network Memory is " +
			"inconsistent with its configuration."
	})
}

func (d *derivation) checkNetwork(network, total int64) {
	var legacy Spec
	if d.legacyNetwork(&legacy) {
		if d.ok() && legacy.Network != network {
			v := tooSmall
			if network > legacy.Network {
				v = tooLarge
			}
			d.invalid(v, "Derived Network Memory size (%s) does not match configured Network Memory size (%s).", network, legacy.Network)
		}
		return
	}
	b := d.bounds(d.opt.network)
	if !d.ok() {
		return
	}
	if network > b.max || network < b.min {
		v := tooSmall
		if network > b.max {
			v = tooLarge
		}
		d.invalid(v, "Derived Network Memory size (%s) is not in configured Network Memory range [%s, %s].", network, b.min, b.max)
		return
	}
	if d.has(d.opt.network.fraction.Option) && network != d.multiply(total, b.fraction) {
		d.logf("INFO", "The derived Network Memory size (%s) does not match the configured Network Memory fraction (%s) from the configured "+
			"Total Flink Memory size (%s). The derived Network Memory size will be used.", flinkconf.HumanReadable(network),
			javatext.Double(b.fraction, 0), flinkconf.HumanReadable(total))
	}
}

// legacyNetwork sizes network memory by taskmanager.network.numberOfBuffers, which until 2.0 counted if no newer option was set.
func (d *derivation) legacyNetwork(s *Spec) bool {
	if !d.rules.legacyHeap {
		return false
	}
	n := d.opt.network
	newer := d.has(n.min.Option) || d.has(n.max.Option) || d.has(n.fraction.Option)
	if !d.has(numberOfBuffers()) || newer {
		return false
	}
	buffers, _, err := d.conf.Int(numberOfBuffers(), d.in.Version)
	d.adopt(err)
	page := d.pageSize()
	if d.ok() && buffers < 0 {
		d.fail(javatext.IllegalArgument, "bytes must be >= 0", nil)
	}
	s.Network = int64(buffers) * page
	return true
}

// pageSize is ConfigurationParserUtils.getPageSize.
func (d *derivation) pageSize() int64 {
	if !d.ok() {
		return 0
	}
	page, set, err := d.conf.MemorySize(d.opt.segment.Option, d.in.Version)
	if !set {
		page = d.opt.segment.def
	}
	d.adopt(err)
	invalid := func(reason string) {
		d.fail(flinkconf.IllegalConfiguration, fmt.Sprintf("Invalid configuration value for %s : %d - %s", d.opt.segment.Key, page, reason), nil)
	}
	switch {
	case page > math.MaxInt32:
		d.fail(javatext.IllegalArgument, "Cannot downcast long value "+strconv.FormatInt(page, 10)+" to integer.", nil)
	case page < 4096:
		invalid("Minimum memory segment size is 4096")
	case page&(page-1) != 0:
		invalid("Memory segment size must be a power of 2.")
	}
	return page
}

// checkFlinkSize is TaskExecutorFlinkMemoryUtils.sanityCheckTotalFlinkMemory.
func (d *derivation) checkFlinkSize(s *Spec) {
	if !d.ok() || !d.has(d.opt.flinkSize.Option) {
		return
	}
	total, sum := d.size(d.opt.flinkSize), d.flinkSize(s)
	if d.ok() && total != sum {
		d.invalid(other, "Configured and Derived Flink internal memory sizes (total %s) do not add up to the configured Total Flink Memory "+
			"size (%s). Configured and Derived Flink internal memory sizes are: Framework Heap Memory (%s), Framework Off-Heap Memory (%s), "+
			"Task Heap Memory (%s), Task Off-Heap Memory (%s), Network Memory (%s), Managed Memory (%s).",
			sum, total, s.FrameworkHeap, s.FrameworkOffHeap, s.TaskHeap, s.TaskOffHeap, s.Network, s.Managed)
	}
}
