package memory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
)

func flink(v string) flinkversion.Version {
	version, err := flinkversion.Parse(v)
	if err != nil {
		panic(err)
	}
	return version
}

// input builds an Input for 2.2.1 from "key=value" in layers: "file:", "definition:", "-D:".
func input(settings ...string) Input {
	c := &flinkconf.Conf{}
	for _, s := range settings {
		layer, setting, _ := strings.Cut(s, ":")
		key, value, _ := strings.Cut(setting, "=")
		src := map[string]flinkconf.Source{
			"file":       {Layer: flinkconf.BaseFile, Where: "config.yaml:1"},
			"definition": {Layer: flinkconf.Definition, Where: "job definition"},
			"properties": {Layer: flinkconf.FlinkProperties, Where: "FLINK_PROPERTIES"},
			"-D":         {Layer: flinkconf.DynamicProperty, Where: "-D"},
		}[layer]
		c.SetString(key, value, src)
	}
	return Input{Version: flink("2.2.1"), Standard: true, Conf: c}
}

const (
	tmSize  = "taskmanager.memory.process.size"
	jmSize  = "jobmanager.memory.process.size"
	stockTM = "file:" + tmSize + "=1728m"
	stockJM = "file:" + jmSize + "=1600m"
)

func TestSmallest(t *testing.T) {
	const m = "taskmanager.memory."
	for _, test := range []struct {
		name     string
		process  Process
		settings []string
		want     string
		lower    string
	}{
		{"TaskManager by defaults", TaskManager, []string{"file:" + tmSize + "=400m"}, "982m", m + "jvm-metaspace.size"},
		{"JobManager by defaults", JobManager, []string{"file:" + jmSize + "=400m"}, "577m", "jobmanager.memory.jvm-metaspace.size"},
		{"just too small", TaskManager, []string{"file:" + tmSize + "=981m"}, "982m", m + "jvm-metaspace.size"},
		{"what was chosen goes first", TaskManager, []string{"file:" + tmSize + "=1g", "file:" + m + "task.off-heap.size=512m"}, "1992m", m + "task.off-heap.size"},
		{"managed memory", TaskManager, []string{"file:" + tmSize + "=1g", "file:" + m + "managed.fraction=0.8"}, "3129m", m + "managed.fraction"},
		{"flink.size and an overhead window", TaskManager, []string{"file:" + tmSize + "=1g", "file:" + m + "flink.size=1g"}, "1472m", m + "flink.size"},
		{"flink.size below its process", TaskManager, []string{"file:" + tmSize + "=8g", "file:" + m + "flink.size=1g"}, "1472m", tmSize},
		{"task heap leaves network a window", TaskManager, []string{"file:" + tmSize + "=4g", "file:" + m + "task.heap.size=256m", "file:" + m + "network.max=128m"}, "1409m", tmSize},
		{"large", TaskManager, []string{"file:" + tmSize + "=4g", "file:" + m + "managed.size=100g"}, "", m + "managed.size"},
		{"network grows faster than the rest until its maximum", TaskManager, []string{"file:" + tmSize + "=1g", "file:" + m + "managed.fraction=0.7",
			"file:" + m + "network.fraction=0.5", "file:" + m + "network.max=1g"}, "5026m", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input(test.settings...)
			size, lower, err := Smallest(test.process, in)
			if err != nil {
				t.Fatal(err)
			}
			if got := flinkconf.ShortMemorySize(size); test.want != "" && got != test.want {
				t.Errorf("smallest size %s, want %s", got, test.want)
			}
			if test.lower != "" && lower != test.lower {
				t.Errorf("lower %s, want %s", lower, test.lower)
			}
			works := func(size int64) bool {
				c := in.Conf.Clone()
				c.SetString(test.process.ProcessSizeKey(), flinkconf.ShortMemorySize(size), flinkconf.Source{})
				_, err := Derive(test.process, Input{Version: in.Version, Standard: true, Conf: c})
				return err == nil
			}
			if !works(size) || works(size-mib) {
				t.Errorf("%d MiB: works %v, one less %v", size/mib, works(size), works(size-mib))
			}
		})
	}
	for name, in := range map[string]Input{
		"unreadable":      input("file:" + m + "managed.size=1x"),
		"bad fraction":    input("file:" + m + "network.fraction=1.5"),
		"never":           input("file:"+m+"managed.fraction=0.7", "file:"+m+"network.fraction=0.5"),
		"window too thin": input("file:"+m+"flink.size=1073741825b", "file:"+m+"jvm-overhead.min=200m", "file:"+m+"jvm-overhead.max=200m"),
	} {
		var e *javatext.Exception
		if size, _, err := Smallest(TaskManager, in); !errors.As(err, &e) {
			t.Errorf("%s: %d, %v", name, size, err)
		}
	}
}

// TestSmallestIsSmallest tries every size below the one that is found, for random settings.
func TestSmallestIsSmallest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var settings []string
		set := func(key, value string) { settings = append(settings, "file:taskmanager.memory."+key+"="+value) }
		for key, limit := range map[string]int{"framework.heap.size": 300, "task.off-heap.size": 300, "jvm-overhead.min": 300, "network.min": 100, "jvm-metaspace.size": 400} {
			if r.IntN(3) == 0 {
				set(key, fmt.Sprint(r.IntN(limit), "m"))
			}
		}
		for _, key := range []string{"managed.fraction", "network.fraction", "jvm-overhead.fraction"} {
			if r.IntN(2) == 0 {
				set(key, fmt.Sprint(float64(r.IntN(60))/100))
			}
		}
		if r.IntN(4) == 0 {
			set("task.heap.size", fmt.Sprint(r.IntN(500), "m"))
		}
		set("network.max", fmt.Sprint(100+r.IntN(900), "m"))
		in := input(settings...)
		size, _, err := Smallest(TaskManager, in)
		if err != nil {
			size = 6 << 30
		}
		tr := newTrial(TaskManager, in)
		for s := int64(mib); s < size; s += mib {
			if tr.at(s).ok() {
				t.Fatalf("%v: found %s (%v), but %s works", settings, flinkconf.ShortMemorySize(size), err, flinkconf.ShortMemorySize(s))
			}
		}
	}
}

func TestParseContainerSize(t *testing.T) {
	for _, test := range []struct {
		in   string
		want int64
		how  string
	}{
		{"1728m", 1728 << 20, "Flink size 1728m = 1811939328 bytes"},
		{"2g", 2 << 30, "Flink size 2g = 2147483648 bytes"},
		{"512 mb", 512 << 20, "Flink size 512 mb = 536870912 bytes"},
		{"500k", 500 << 10, "Flink size 500k = 512000 bytes"},
		{"2Gi", 2 << 30, "Kubernetes quantity 2Gi = 2147483648 bytes"},
		{"1.5Gi", 3 << 29, "Kubernetes quantity 1.5Gi = 1610612736 bytes"},
		{"100Mi", 100 << 20, "Kubernetes quantity 100Mi = 104857600 bytes"},
		{"1500M", 1500e6, "Kubernetes quantity 1500M = 1500000000 bytes"},
		{"2G", 2e9, "Kubernetes quantity 2G = 2000000000 bytes"},
		{"1E", 1e18, "Kubernetes quantity 1E = 1000000000000000000 bytes"},
		{"0.1Ki", 103, "Kubernetes quantity 0.1Ki = 103 bytes"},
		{"128974848", 128974848, "128974848 bytes"},
		{"1e9", 1e9, "1000000000 bytes"},
		{"1.5e9", 15e8, "1500000000 bytes"},
		{" 1E9 ", 1e9, "1000000000 bytes"},
	} {
		got, how, err := ParseContainerSize(test.in)
		if got != test.want || how != test.how || err != nil {
			t.Errorf("ParseContainerSize(%q) = %d, %q, %v, want %d, %q", test.in, got, how, err, test.want, test.how)
		}
	}
	for _, in := range []string{"", "m", "1.5g", "2gi", "2GB", "2KI", "1700000m1", "100n", "-1g", "+1", "0", "0Mi", "1Yi", "K", "1K", "9E9999", "1e99999999", "10E", "2 Gi x", "0x10", "1_000", "1/2"} {
		if got, _, err := ParseContainerSize(in); err == nil {
			t.Errorf("ParseContainerSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestSlotsForCPU(t *testing.T) {
	for cores, want := range map[float64]int{0.5: 1, 1: 1, 1.9: 1, 2: 2, 64.5: 64} {
		if got := SlotsForCPU(cores); got != want {
			t.Errorf("SlotsForCPU(%g) = %d, want %d", cores, got, want)
		}
	}
}

func TestDecide(t *testing.T) {
	const m = "taskmanager.memory."
	limit := Container{Bytes: 4 << 30, Source: "cgroup v2 limit /sys/fs/cgroup/memory.max"}
	with := func(change func(*Container)) Container {
		c := limit
		change(&c)
		return c
	}
	for _, test := range []struct {
		name     string
		process  Process
		settings []string
		policy   string
		ratio    float64
		c        Container
		changes  string // "key=value" and "-key"
		source   string
		size     string // of the derived process
		warning  string // in the only warning; "": none
	}{
		{"auto, stock file", TaskManager, []string{stockTM}, "auto", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, stock file, JobManager", JobManager, []string{stockJM}, "auto", 1, limit, jmSize + "=4g", limit.Source, "4g", ""},
		{"auto, stock in another spelling", TaskManager, []string{"file:" + tmSize + "=1769472k"}, "auto", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, empty file", TaskManager, nil, "auto", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, ratio", TaskManager, []string{stockTM}, "auto", 0.9, limit, tmSize + "=3865470566b", "0.9 × " + limit.Source, "3865470566b", ""},
		{"auto, no limit", TaskManager, []string{stockTM}, "auto", 1, Container{}, "", "config.yaml:1", "1728m", ""},
		{"auto, shared limit", TaskManager, []string{stockTM}, "auto", 1, with(func(c *Container) { c.Shared = true }), "", "config.yaml:1", "1728m", ""},
		{"auto, the limit is shown as the machine's memory (gVisor)", TaskManager, []string{stockTM}, "auto", 1, with(func(c *Container) { c.Physical = 4 << 30 }), tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, less what is not a whole page", TaskManager, []string{stockTM}, "auto", 1, with(func(c *Container) { c.Physical = 4<<30 - 4095 }), tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, a limit above the machine's memory", TaskManager, []string{stockTM}, "auto", 1, with(func(c *Container) { c.Physical = 3 << 30 }), "", "config.yaml:1", "1728m", ""},
		{"auto, above the machine's memory but not its limit", TaskManager, []string{"-D:" + tmSize + "=3500m"}, "auto", 1, with(func(c *Container) { c.Physical = 3 << 30 }), "", "-D", "3500m", "of the machine's memory: expect the kernel"},
		{"auto, a size in a container of 0 bytes", TaskManager, []string{"file:" + tmSize + "=2g"}, "auto", 1, Container{Zero: true, Source: "memory.max"}, "", "config.yaml:1", "2g", "more than the 0 bytes of memory.max"},
		{"auto, given limit of the machine", TaskManager, []string{stockTM}, "auto", 1, with(func(c *Container) { c.Physical = 4 << 30; c.Given = true }), tmSize + "=4g", limit.Source, "4g", "90 % or more"},
		{"auto, size in the file", TaskManager, []string{"file:" + tmSize + "=2g"}, "auto", 1, limit, "", "config.yaml:1", "2g", ""},
		{"auto, size in the definition", TaskManager, []string{"definition:" + tmSize + "=1728m"}, "auto", 1, limit, "", "job definition", "1728m", ""},
		{"auto, size by -D above the limit", TaskManager, []string{"-D:" + tmSize + "=5g"}, "auto", 1, limit, "", "-D", "5g", "OOMKilled"},
		{"auto, above a shared limit", TaskManager, []string{"-D:" + tmSize + "=5g"}, "auto", 1, with(func(c *Container) { c.Shared = true }), "", "-D", "5g", "OOMKilled"},
		{"auto, flink.size", TaskManager, []string{stockTM, "properties:" + m + "flink.size=1g"}, "auto", 1, limit, "-" + tmSize, m + "flink.size (FLINK_PROPERTIES)", "1472m", ""},
		{"auto, explicit", TaskManager, []string{stockTM, "file:" + m + "task.heap.size=1g", "file:" + m + "managed.size=1g"}, "auto", 1, limit, "-" + tmSize,
			m + "task.heap.size (config.yaml:1) and " + m + "managed.size (config.yaml:1)", "3280877805b", ""},
		{"auto, explicit by an old key", TaskManager, []string{stockTM, "file:" + m + "task.heap.size=1g", "file:" + m + "size=1g"}, "auto", 1, limit, "-" + tmSize,
			m + "task.heap.size (config.yaml:1) and " + m + "size (config.yaml:1)", "3280877805b", ""},
		{"auto, half explicit", TaskManager, []string{stockTM, "file:" + m + "managed.size=1g"}, "auto", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"auto, JobManager's heap", JobManager, []string{stockJM, "file:jobmanager.memory.heap.size=2g"}, "auto", 1, limit, "-" + jmSize,
			"jobmanager.memory.heap.size (config.yaml:1)", "2833485373b", ""},
		{"auto, fractions", TaskManager, []string{stockTM, "definition:" + m + "managed.fraction=0.1"}, "auto", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"limit", TaskManager, []string{"definition:" + tmSize + "=2g"}, "limit", 1, limit, tmSize + "=4g", limit.Source, "4g", "2g of job definition is replaced"},
		{"limit, shared", TaskManager, []string{stockTM}, "limit", 1, with(func(c *Container) { c.Shared = true }), tmSize + "=4g", limit.Source, "4g", ""},
		{"limit, flink.size in the file", TaskManager, []string{"file:" + m + "flink.size=1g"}, "limit", 1, limit, "-" + m + "flink.size " + tmSize + "=4g", limit.Source, "4g", "flink.size=1g of config.yaml:1 is left out"},
		{"limit, explicit with -D", TaskManager, []string{"-D:" + m + "task.heap.size=1g", "file:" + m + "managed.size=1g"}, "limit", 1, limit,
			"-" + m + "managed.size " + tmSize + "=4g", limit.Source, "4g", "managed.size=1g of config.yaml:1 is left out"},
		{"limit, the same by -D", TaskManager, []string{"-D:" + tmSize + "=4096m"}, "limit", 1, limit, tmSize + "=4g", limit.Source, "4g", ""},
		{"keep", TaskManager, []string{stockTM}, "keep", 1, limit, "", "config.yaml:1", "1728m", ""},
		{"keep, too large", TaskManager, []string{"file:" + tmSize + "=8g"}, "keep", 1, limit, "", "config.yaml:1", "8g", "OOMKilled"},
		{"size", TaskManager, []string{stockTM}, "3Gi", 0.5, limit, tmSize + "=3g", "--memory", "3g", ""},
		{"size, -D wins", TaskManager, []string{"-D:" + tmSize + "=2g"}, "3g", 1, limit, "", "-D", "2g", "overrides --memory 3g"},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy, err := ParsePolicy(test.policy)
			if err != nil {
				t.Fatal(err)
			}
			in := input(test.settings...)
			before := in.Conf.Len()
			d, err := Decide(test.process, in, policy, test.ratio, test.c, false)
			if err != nil {
				t.Fatal(err)
			}
			var changes []string
			for _, c := range d.Changes {
				if c.Delete {
					changes = append(changes, "-"+c.Key)
				} else {
					changes = append(changes, c.Key+"="+c.Value)
				}
			}
			if got := strings.Join(changes, " "); got != test.changes {
				t.Errorf("changes %q, want %q", got, test.changes)
			}
			if d.Source != test.source {
				t.Errorf("source %q, want %q", d.Source, test.source)
			}
			if got := flinkconf.ShortMemorySize(d.Spec.ProcessSize); got != test.size {
				t.Errorf("process size %s, want %s", got, test.size)
			}
			if got := strings.Join(d.Warnings, " | "); (test.warning == "") != (got == "") || !strings.Contains(got, test.warning) || len(d.Warnings) > 1 {
				t.Errorf("warnings %q, want one with %q", got, test.warning)
			}
			if in.Conf.Len() != before {
				t.Error("the input has changed")
			}
		})
	}
}

func TestDecideErrors(t *testing.T) {
	const m = "taskmanager.memory."
	small := Container{Bytes: 400 << 20, Source: "--memory-limit", Given: true}
	auto, limit := Policy{Mode: Auto}, Policy{Mode: Limit}

	_, err := Decide(TaskManager, input(stockTM), auto, 1, small, false)
	var fit *FitError
	if !errors.As(err, &fit) || fit.Smallest != 982<<20 || fit.Lower != m+"jvm-metaspace.size" {
		t.Fatalf("%+v", err)
	}
	if got, want := err.Error(), "TaskManager memory configuration failed: Sum of configured JVM Metaspace (256.000mb (268435456 bytes)) and JVM Overhead "+
		"(192.000mb (201326592 bytes)) exceed configured Total Process Memory (400.000mb (419430400 bytes)); smallest size that would work: 982m (process size from --memory-limit)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := fit.Hint(), "give the TaskManager at least 982m, or lower taskmanager.memory.jvm-metaspace.size"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}

	_, err = Decide(TaskManager, input("-D:"+tmSize+"=1g"), auto, 1, Container{Bytes: 1000 << 20, Source: "a limit"}, true)
	if !errors.As(err, &fit) || fit.Flink != nil || !strings.Contains(err.Error(), "OOMKilled") {
		t.Errorf("strict: %v", err)
	}

	var missing *LimitError
	if _, err = Decide(TaskManager, input(stockTM), auto, 1, Container{Bytes: 4 << 30, Foreign: true}, false); !errors.As(err, &missing) ||
		!strings.Contains(missing.Hint(), "Downward API") {
		t.Errorf("another container's limit: %v", err)
	}
	if _, err = Decide(TaskManager, input(stockTM), limit, 1, Container{}, false); !errors.As(err, &missing) {
		t.Errorf("no limit: %v", err)
	}
	if _, err = Decide(TaskManager, input(stockTM), limit, 1, Container{Unknown: "no such file"}, false); !errors.As(err, &missing) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no limit, with the reason: %v", err)
	}
	for _, policy := range []Policy{auto, limit} {
		if _, err = Decide(JobManager, input(), policy, 1, Container{Zero: true, Source: "memory.max"}, false); !errors.As(err, &missing) || !strings.Contains(err.Error(), "is 0 (memory.max)") {
			t.Errorf("a limit of 0: %v", err)
		}
	}
	if _, err = Decide(TaskManager, input(stockTM), Policy{Mode: Keep}, 1, Container{Bytes: 1 << 20, Foreign: true}, true); err != nil {
		t.Errorf("keep for another container: %v", err)
	}

	var conflict *ConflictError
	for _, settings := range [][]string{
		{"-D:" + tmSize + "=2g"},
		{"-D:" + m + "flink.size=1g"},
		{"-D:" + m + "task.heap.size=1g", "-D:" + m + "managed.size=1g"},
	} {
		if _, err = Decide(TaskManager, input(settings...), limit, 1, Container{Bytes: 4 << 30, Source: "a limit"}, false); !errors.As(err, &conflict) {
			t.Errorf("%q: %v", settings, err)
		}
	}

	for _, text := range []string{"Auto", "2gi", "-1"} {
		if _, err := ParsePolicy(text); err == nil {
			t.Errorf("ParsePolicy(%q) has no error", text)
		}
	}
}

// TestDecideLegacy: until 2.0 the old heap sizes stand for totals.
func TestDecideLegacy(t *testing.T) {
	c := Container{Bytes: 4 << 30, Source: "a limit"}
	in := input(stockTM, "file:taskmanager.heap.size=1g")
	in.Version = flink("1.20.5")
	d, err := Decide(TaskManager, in, Policy{}, 1, c, false)
	if err != nil || len(d.Changes) != 1 || !d.Changes[0].Delete || d.Spec.FlinkSize != 1<<30 {
		t.Errorf("auto: %+v, %v", d, err)
	}
	d, err = Decide(TaskManager, in, Policy{Mode: Limit}, 1, c, false)
	if err != nil || d.Spec.ProcessSize != 4<<30 {
		t.Errorf("limit: %+v, %v", d, err)
	}
	in = input(stockTM)
	in.Version = flink("1.18.1")
	in.LookupEnv = func(name string) (string, bool) { return "1g", name == "FLINK_TM_HEAP" }
	if d, err = Decide(TaskManager, in, Policy{}, 1, c, false); err != nil || d.Source != "FLINK_TM_HEAP" || d.Spec.FlinkSize != 1<<30 {
		t.Errorf("variable: %+v, %v", d, err)
	}
	in.Version = flink("2.0.2") // the same file and environment mean something else there
	if d, err = Decide(TaskManager, in, Policy{}, 1, c, false); err != nil || d.Spec.ProcessSize != 4<<30 {
		t.Errorf("2.0: %+v, %v", d, err)
	}
}

func BenchmarkDerive(b *testing.B) {
	in := input(stockTM)
	for b.Loop() {
		if _, err := Derive(TaskManager, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallest(b *testing.B) {
	in := input("file:" + tmSize + "=400m")
	for b.Loop() {
		if _, _, err := Smallest(TaskManager, in); err != nil {
			b.Fatal(err)
		}
	}
}
