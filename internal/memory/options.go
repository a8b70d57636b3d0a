package memory

import (
	"math"

	"flink-entrypoint/internal/flinkconf"
)

const mib = 1 << 20

// rules is what differs between the versions; everything else has been the same since 1.13.
type rules struct {
	legacyHeap      bool  // until 2.0 (FLINK-33750): heap.size, heap.mb, FLINK_TM_HEAP, FLINK_JM_HEAP, numberOfBuffers
	prefixesJM      bool  // until 2.0: "JobManager memory configuration failed: " in front
	networkMax      int64 // 1.17 lifted the default (FLINK-30472)
	roundsCPU       bool  // since 1.14 (FLINK-22674): at most 8 decimals
	quotesResources bool  // since 1.15 (FLINK-24541)
	overheadWord    string
}

func rulesOf(v flinkconf.Version) rules {
	r := rules{
		legacyHeap:      !v.AtLeast(2, 0),
		prefixesJM:      !v.AtLeast(2, 0),
		networkMax:      1 << 30,
		roundsCPU:       v.AtLeast(1, 14),
		quotesResources: v.AtLeast(1, 15),
		overheadWord:    "OVerhead", // sic, in one log line until 1.16
	}
	if v.AtLeast(1, 16) {
		r.overheadWord = "Overhead"
	}
	if v.AtLeast(1, 17) {
		r.networkMax = math.MaxInt64
	}
	return r
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
