package memory

import (
	"math"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
)

const mib = 1 << 20

// rules is what differs between the releases; everything else has been the same since 1.13.
type rules struct {
	legacyHeap      bool  // heap.size, heap.mb, FLINK_TM_HEAP, FLINK_JM_HEAP, numberOfBuffers are read
	prefixesJM      bool  // errors start with "JobManager memory configuration failed: "
	networkMax      int64 // default of taskmanager.memory.network.max
	roundsCPU       bool  // at most 8 decimals
	quotesResources bool
	overheadWord    string
}

func rulesOf(v flinkversion.Version) rules {
	return flinkversion.RulesOf(v, []flinkversion.Change[rules]{
		flinkversion.From(0, 0, func(r *rules) {
			*r = rules{legacyHeap: true, prefixesJM: true, networkMax: 1 << 30, overheadWord: "OVerhead"} // sic, in one log line
		}),
		flinkversion.From(1, 14, func(r *rules) { r.roundsCPU = true }),       // FLINK-22674
		flinkversion.From(1, 15, func(r *rules) { r.quotesResources = true }), // FLINK-24541
		flinkversion.From(1, 16, func(r *rules) { r.overheadWord = "Overhead" }),
		flinkversion.From(1, 17, func(r *rules) { r.networkMax = math.MaxInt64 }),             // FLINK-30472
		flinkversion.From(2, 0, func(r *rules) { r.legacyHeap, r.prefixesJM = false, false }), // FLINK-33750
	})
}

// sizeOption is a memory option with its default in bytes, or unset.
type sizeOption struct {
	flinkconf.Option
	def int64
}

// unset is the default of an option that has none.
const unset = -1

// fractionOption is a float option with its default.
type fractionOption struct {
	flinkconf.Option
	def float32
}

// rangeFraction is a component sized as a fraction between two bounds.
type rangeFraction struct {
	name     string // as the log calls it
	min, max sizeOption
	fraction fractionOption
}

// options are the options of one process.
type options struct {
	processSize, flinkSize, metaspace sizeOption
	overhead                          rangeFraction
	required                          []sizeOption // all of them set: the explicit way

	frameworkHeap, frameworkOffHeap, taskHeap, taskOffHeap, managed sizeOption // TaskManager
	managedFraction                                                 fractionOption
	network                                                         rangeFraction
	segment                                                         sizeOption

	heap, offHeap sizeOption // JobManager

	legacyVariable string
	legacyHeap     sizeOption
	legacyHeapMB   flinkconf.Option
	legacyTarget   sizeOption // what the legacy heap size is taken for
}

func optionsOf(p Process, r rules) options {
	prefix := p.prefix()
	size := func(key string, def int64, fallbacks ...string) sizeOption {
		return sizeOption{flinkconf.Option{Key: prefix + "memory." + key, Fallbacks: fallbacks}, def}
	}
	fraction := func(key string, def float32, fallbacks ...string) fractionOption {
		return fractionOption{flinkconf.Option{Key: prefix + "memory." + key, Fallbacks: fallbacks}, def}
	}
	o := options{
		processSize: size("process.size", unset),
		flinkSize:   size("flink.size", unset),
		metaspace:   size("jvm-metaspace.size", 256*mib),
		overhead: rangeFraction{"jvm overhead memory",
			size("jvm-overhead.min", 192*mib), size("jvm-overhead.max", 1024*mib), fraction("jvm-overhead.fraction", 0.1)},
		legacyHeap:   sizeOption{flinkconf.Option{Key: prefix + "heap.size"}, unset},
		legacyHeapMB: flinkconf.Option{Key: prefix + "heap.mb"},
	}
	if p == JobManager {
		o.heap = size("heap.size", unset)
		o.offHeap = size("off-heap.size", 128*mib)
		o.required = []sizeOption{o.heap}
		o.legacyVariable, o.legacyTarget = "FLINK_JM_HEAP", o.heap
		return o
	}
	o.frameworkHeap = size("framework.heap.size", 128*mib)
	o.frameworkOffHeap = size("framework.off-heap.size", 128*mib)
	o.taskHeap = size("task.heap.size", unset)
	o.taskOffHeap = size("task.off-heap.size", 0)
	o.managed = size("managed.size", unset, "taskmanager.memory.size")
	o.managedFraction = fraction("managed.fraction", 0.4)
	o.network = rangeFraction{"network memory",
		size("network.min", 64*mib, "taskmanager.network.memory.min"),
		size("network.max", r.networkMax, "taskmanager.network.memory.max"),
		fraction("network.fraction", 0.1, "taskmanager.network.memory.fraction")}
	o.segment = size("segment-size", 32<<10)
	o.required = []sizeOption{o.taskHeap, o.managed}
	o.legacyVariable, o.legacyTarget = "FLINK_TM_HEAP", o.flinkSize
	return o
}

// The options that have nothing to do with sizes.
func cpuCores() flinkconf.Option { return flinkconf.Option{Key: "taskmanager.cpu.cores"} }
func taskSlots() flinkconf.Option {
	return flinkconf.Option{Key: "taskmanager.numberOfTaskSlots"}
}
func externalResources() flinkconf.Option { return flinkconf.Option{Key: "external-resources"} }
func numberOfBuffers() flinkconf.Option {
	return flinkconf.Option{Key: "taskmanager.network.numberOfBuffers"}
}
func directLimit() flinkconf.Option {
	return flinkconf.Option{Key: "jobmanager.memory.enable-jvm-direct-memory-limit"}
}
func amountKey(resource string) string { return "external-resource." + resource + ".amount" }
