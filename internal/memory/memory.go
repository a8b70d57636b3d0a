// Package memory is Flink's process memory model, bit for bit, for Flink 1.13 to 2.3.
//
// [Derive] turns a configuration into the [Spec] that Flink's BashJavaUtils would print: the sizes of all components, the JVM
// parameters, the dynamic properties, the lines it logs, or the exception it throws. [Decide] is the policy on top: which process
// size a container gets, given its limit and what people have configured. All functions are pure; sizes are int64 bytes.
//
// Source: ProcessMemoryUtils, TaskExecutorFlinkMemoryUtils, JobManagerFlinkMemoryUtils, TaskExecutorProcessUtils,
// JobManagerProcessUtils, ExternalResourceUtils and BashJavaUtils of the released versions, which agree but for [rules].
package memory

import (
	"strconv"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
)

// Process is a kind of Flink process that has a memory model.
type Process int

// The processes. An application cluster's JobManager (standalone-job) is a JobManager.
const (
	TaskManager Process = iota
	JobManager
)

// String returns "TaskManager" or "JobManager".
func (p Process) String() string {
	if p == JobManager {
		return "JobManager"
	}
	return "TaskManager"
}

// ProcessSizeKey returns the key of the total process memory.
func (p Process) ProcessSizeKey() string { return p.prefix() + "memory.process.size" }

func (p Process) prefix() string {
	if p == JobManager {
		return "jobmanager."
	}
	return "taskmanager."
}

// Input is everything the model depends on.
type Input struct {
	Version   flinkversion.Version
	Standard  bool            // config.yaml read by the standard YAML parser, not flink-conf.yaml
	Conf      *flinkconf.Conf // with dynamic properties applied
	LookupEnv func(string) (string, bool)
	Chosen    bool // for Decide: someone chose all of the file, stock values too, as in a file that a controller wrote
}

// LogLine is a line that BashJavaUtils logs, e.g. {"INFO", "Final Master Memory configuration:"}.
type LogLine struct{ Level, Text string }

// Resource is an external resource (a GPU, say) and its amount per TaskManager.
type Resource struct {
	Name   string
	Amount int64
}

// Spec is a derived process: its components in bytes and what the launch scripts would get from BashJavaUtils.
type Spec struct {
	Process     Process
	ProcessSize int64 // all of the below
	FlinkSize   int64 // all but metaspace and overhead

	FrameworkHeap, TaskHeap, Managed, FrameworkOffHeap, TaskOffHeap, Network int64 // TaskManager
	Heap, OffHeap                                                            int64 // JobManager
	JVMMetaspace, JVMOverhead                                                int64

	CPU               float64    // TaskManager: CPU cores, as Flink rounds them
	Slots             int32      // TaskManager: task slots
	ExternalResources []Resource // TaskManager: in the order Flink lists them

	Log []LogLine // INFO and WARN lines in Flink's order; filled up to the failure if Derive fails

	limitsDirect    bool // JobManager: -XX:MaxDirectMemorySize is printed
	quotesResources bool
}

// Component is one part of a process' memory.
type Component struct {
	Name  string // camelCase, as in explain's JSON: frameworkHeap
	Title string // for people: Framework Heap
	Key   string // the option that sizes it
	Bytes int64
}

// Components returns the parts that add up to ProcessSize, in the order of a stacked chart.
func (s Spec) Components() []Component {
	parts := []Component{
		{"frameworkHeap", "Framework Heap", "framework.heap.size", s.FrameworkHeap},
		{"taskHeap", "Task Heap", "task.heap.size", s.TaskHeap},
		{"managed", "Managed Memory", "managed.size", s.Managed},
		{"frameworkOffHeap", "Framework Off-Heap", "framework.off-heap.size", s.FrameworkOffHeap},
		{"taskOffHeap", "Task Off-Heap", "task.off-heap.size", s.TaskOffHeap},
		{"network", "Network", "network.fraction", s.Network},
	}
	if s.Process == JobManager {
		parts = []Component{
			{"heap", "JVM Heap", "heap.size", s.Heap},
			{"offHeap", "JVM Off-Heap", "off-heap.size", s.OffHeap},
		}
	}
	parts = append(parts,
		Component{"jvmMetaspace", "JVM Metaspace", "jvm-metaspace.size", s.JVMMetaspace},
		Component{"jvmOverhead", "JVM Overhead", "jvm-overhead.fraction", s.JVMOverhead})
	for i := range parts {
		parts[i].Key = s.Process.prefix() + "memory." + parts[i].Key
	}
	return parts
}

// JVMHeap returns the size of the JVM's heap (-Xmx).
func (s Spec) JVMHeap() int64 { return s.FrameworkHeap + s.TaskHeap + s.Heap }

// JVMDirect returns the size of the JVM's direct memory.
func (s Spec) JVMDirect() int64 { return s.FrameworkOffHeap + s.TaskOffHeap + s.Network + s.OffHeap }

// JVMParameters returns the JVM's memory flags, as ProcessMemoryUtils.generateJvmParametersStr orders them.
func (s Spec) JVMParameters() []string {
	heap := strconv.FormatInt(s.JVMHeap(), 10)
	out := []string{"-Xmx" + heap, "-Xms" + heap}
	if s.Process == TaskManager || s.limitsDirect {
		out = append(out, "-XX:MaxDirectMemorySize="+strconv.FormatInt(s.JVMDirect(), 10))
	}
	return append(out, "-XX:MaxMetaspaceSize="+strconv.FormatInt(s.JVMMetaspace, 10))
}

// DynamicProperties returns the "key=value" pairs that the scripts pass on, each after a -D, so that the process itself derives the
// same sizes. They come in the order of the java.util.HashMap that Flink builds.
func (s Spec) DynamicProperties() []string {
	var m javatext.HashMap[string]
	size := func(key string, bytes int64) {
		m.Put(s.Process.prefix()+key, strconv.FormatInt(bytes, 10)+"b")
	}
	if s.Process == JobManager {
		size("memory.heap.size", s.Heap)
		size("memory.off-heap.size", s.OffHeap)
	} else {
		m.Put("taskmanager.cpu.cores", javatext.Double(s.CPU, 0))
		size("memory.framework.heap.size", s.FrameworkHeap)
		size("memory.framework.off-heap.size", s.FrameworkOffHeap)
		size("memory.task.heap.size", s.TaskHeap)
		size("memory.task.off-heap.size", s.TaskOffHeap)
		size("memory.network.min", s.Network)
		size("memory.network.max", s.Network)
		size("memory.managed.size", s.Managed)
	}
	size("memory.jvm-metaspace.size", s.JVMMetaspace)
	size("memory.jvm-overhead.min", s.JVMOverhead)
	size("memory.jvm-overhead.max", s.JVMOverhead)
	if s.Process == TaskManager {
		m.Put("taskmanager.numberOfTaskSlots", strconv.Itoa(int(s.Slots)))
		s.putResources(&m)
	}
	out := make([]string, 0, m.Len())
	for key, value := range m.All() {
		out = append(out, key+"="+value)
	}
	return out
}

func (s Spec) putResources(m *javatext.HashMap[string]) {
	if len(s.ExternalResources) == 0 {
		m.Put("external-resources", "none")
		return
	}
	names := ""
	for i, r := range s.ExternalResources {
		if i > 0 {
			names += ";"
		}
		names += r.Name
	}
	if s.quotesResources {
		names = `"` + names + `"`
	}
	m.Put("external-resources", names)
	for _, r := range s.ExternalResources {
		m.Put(amountKey(r.Name), strconv.FormatInt(r.Amount, 10))
	}
}
