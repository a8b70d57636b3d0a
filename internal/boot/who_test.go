package boot

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/test/world"
)

// stubHome makes what Gather looks at of a Flink home and of a Java, both without any program.
func stubHome(t testing.TB, version string, conf map[string]string) (home string, env []string) {
	t.Helper()
	dir := t.TempDir()
	world.Write(t, dir, world.StubHome(version, "").In("flink"), world.StubJava("17.0.15", "").In("java"), world.Sysroot(2<<30, 3.5).In("sys"), world.Files(conf).In("flink/conf"))
	return filepath.Join(dir, "flink"), []string{"FLINK_HOME=" + filepath.Join(dir, "flink"), "JAVA_HOME=" + filepath.Join(dir, "java"), "HOSTNAME=here", "DISABLE_JEMALLOC=true"}
}

// gather plans one start of a stub.
func gather(t testing.TB, home, role string, env []string, change func(*Options, *World)) (*Plan, error) {
	t.Helper()
	_, plan, err := gatherRun(t, home, role, env, change)
	return plan, err
}

func gatherRun(t testing.TB, home, role string, env []string, change func(*Options, *World)) (*Run, *Plan, error) {
	t.Helper()
	o := Options{RunDir: filepath.Join(t.TempDir(), "run"), Sysroot: filepath.Join(filepath.Dir(home), "sys"),
		MemoryPolicy: "auto", MemoryRatio: "1.0", FetchTimeout: time.Second}
	w := World{Env: env, Log: slog.New(slog.DiscardHandler), Hostname: func() (string, error) { return "here", nil },
		FQDN: func(context.Context, string) string { return "here.fqdn" }}
	if change != nil {
		change(&o, &w)
	}
	run := New(Explain, role, o, w)
	plan, err := run.Gather(t.Context())
	if plan != nil { // the tests may run as root
		plan.Warnings = slices.DeleteFunc(plan.Warnings, func(w string) bool { return strings.HasPrefix(w, "running as root") })
	}
	return run, plan, err
}

// moduleLine is the stock env.java.opts.all of 2.1 and later, so that tests about something else see no warning about it.
func moduleLine() string {
	return "env.java.opts.all: " + strings.Join(flinkoptions.NeededModules(flinkversion.Of(1, 18, 0), 17), " ") + "\n"
}

// TestPrecedence climbs from Flink's default to -D. Each step adds a stronger layer while all weaker ones stay, and each
// must win with its own provenance.
func TestPrecedence(t *testing.T) {
	type step struct {
		layer flinkconf.Layer
		value string // "" means that the key is not set
		where string
	}
	tests := []struct {
		name, role, key string
		version         string
		base            string // line of the base file
		env             string // of the image
		definition      string
		properties      string
		auto, flag      func(*Options)
		args            []string
		want            []step
	}{
		{
			name: "task slots", role: "taskmanager", key: "taskmanager.numberOfTaskSlots", version: "2.2.1",
			base: "taskmanager:\n  numberOfTaskSlots: 2\n", env: "TASK_MANAGER_NUMBER_OF_TASK_SLOTS=4",
			definition: "configuration: {taskmanager.numberOfTaskSlots: 5}", properties: "taskmanager.numberOfTaskSlots: 6",
			auto: func(o *Options) { o.Slots = "auto" }, flag: func(o *Options) { o.Slots = "7" }, args: []string{"-Dtaskmanager.numberOfTaskSlots=8"},
			want: []step{{}, {flinkconf.BaseFile, "2", "config.yaml:3"}, {flinkconf.Automatic, "3", "--slots auto: one per whole CPU of /sys/fs/cgroup/cpu.max"},
				{flinkconf.ImageEnvironment, "4", "TASK_MANAGER_NUMBER_OF_TASK_SLOTS"}, {flinkconf.Definition, "5", "job definition configuration"},
				{flinkconf.FlinkProperties, "6", "FLINK_PROPERTIES:1"}, {flinkconf.Flag, "7", "--slots"}, {flinkconf.DynamicProperty, "8", "-D"}},
		},
		{
			name: "address of a JobManager", role: "jobmanager", key: "jobmanager.rpc.address", version: "1.20.5",
			base: "jobmanager.rpc.address: from-file\n", env: "JOB_MANAGER_RPC_ADDRESS=from-env",
			definition: "configuration: {jobmanager: {rpc: {address: from-definition}}}", properties: "jobmanager.rpc.address: from-properties",
			auto: nil, flag: func(o *Options) { o.Advertise = "from-flag" }, args: []string{"-D", "jobmanager.rpc.address=from-d"},
			want: []step{{flinkconf.Automatic, "here.fqdn", "this host's name"}, {flinkconf.BaseFile, "from-file", "flink-conf.yaml:2"}, {flinkconf.BaseFile, "from-file", "flink-conf.yaml:2"},
				{flinkconf.ImageEnvironment, "from-env", "JOB_MANAGER_RPC_ADDRESS"}, {flinkconf.Definition, "from-definition", "job definition configuration"},
				{flinkconf.FlinkProperties, "from-properties", "FLINK_PROPERTIES:1"}, {flinkconf.Flag, "from-flag", "--advertise"}, {flinkconf.DynamicProperty, "from-d", "-D"}},
		},
		{
			name: "process size", role: "taskmanager", key: "taskmanager.memory.process.size", version: "2.2.1",
			base:       "taskmanager.memory.process.size: 1728m\n", // the stock value, which the user did not choose
			definition: "configuration: {taskmanager.memory.process.size: 1500m}", properties: "taskmanager.memory.process.size: 1600m",
			auto: nil, flag: func(o *Options) { o.MemoryPolicy = "1700m" }, args: nil,
			want: []step{{flinkconf.Automatic, "2g", "cgroup v2 limit /sys/fs/cgroup/memory.max"}, {flinkconf.Automatic, "2g", "cgroup v2 limit /sys/fs/cgroup/memory.max"},
				{flinkconf.Automatic, "2g", "cgroup v2 limit /sys/fs/cgroup/memory.max"}, {flinkconf.Automatic, "2g", "cgroup v2 limit /sys/fs/cgroup/memory.max"},
				{flinkconf.Definition, "1500m", "job definition configuration"}, {flinkconf.FlinkProperties, "1600m", "FLINK_PROPERTIES:1"}, {flinkconf.Flag, "1700m", "--memory"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := "config.yaml"
			if tt.version == "1.20.5" {
				name = "flink-conf.yaml"
			}
			for top, want := range tt.want {
				layer := flinkconf.Layer(top)
				file := moduleLine()
				if layer >= flinkconf.BaseFile {
					file += tt.base
				}
				home, env := stubHome(t, tt.version, map[string]string{name: file})
				definition := filepath.Join(t.TempDir(), "job.yaml")
				if err := os.WriteFile(definition, []byte("apiVersion: flink-entrypoint/v1\nname: x\n"+tt.definition+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				plan, err := gather(t, home, tt.role, env, func(o *Options, w *World) {
					if layer >= flinkconf.Automatic && tt.auto != nil {
						tt.auto(o)
					}
					if layer >= flinkconf.ImageEnvironment && tt.env != "" {
						w.Env = append(w.Env, tt.env)
					}
					if layer >= flinkconf.Definition {
						o.Definition = definition
					}
					if layer >= flinkconf.FlinkProperties {
						w.Env = append(w.Env, "FLINK_PROPERTIES="+tt.properties)
					}
					if layer >= flinkconf.Flag && tt.flag != nil {
						tt.flag(o)
					}
					if layer >= flinkconf.DynamicProperty {
						w.Args = tt.args
					}
				})
				if err != nil {
					t.Fatalf("layer %d: %v", layer, err)
				}
				e, ok := plan.Config.Effective.Get(tt.key)
				got := step{e.Source.Layer, e.Value.Reveal(), e.Source.Where}
				if !ok {
					got = step{}
				}
				if got != want {
					t.Errorf("with layer %d on top: got %+v, want %+v", layer, got, want)
				}
			}
		})
	}
}

// warningsOf returns the warnings of a start, and fails when there are others than those that hold the wanted words.
func checkWarnings(t *testing.T, plan *Plan, want ...string) {
	t.Helper()
	rest := slices.Clone(plan.Warnings)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(have string) bool { return strings.Contains(have, w) })
		if i < 0 {
			t.Errorf("no warning says %q; there are %q", w, plan.Warnings)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		t.Errorf("unexpected warnings %q", rest)
	}
}

func TestModuleOptions(t *testing.T) {
	stock := moduleLine()
	without := func(option string) string { return strings.Replace(stock, option, "", 1) }
	for _, tt := range []struct {
		name, version, file string
		conf                string
		env                 []string
		java                string
		want                []string
	}{
		{name: "stock", version: "2.2.1", file: "config.yaml", conf: stock},
		{name: "nested", version: "2.2.1", file: "config.yaml", conf: "env: {java: {opts: {all: '" + strings.TrimSpace(strings.TrimPrefix(stock, "env.java.opts.all: ")) + "'}}}\n"},
		{name: "none", version: "2.2.1", file: "config.yaml", conf: "a: 1\n", want: []string{"no env.java.opts.all is set, and 19 of the 19 options that Flink 2.2 needs on Java 17 are missing"}},
		{name: "none in 1.18", version: "1.18.1", file: "flink-conf.yaml", conf: "a: 1\n", want: []string{"20 of the 20 options that Flink 1.18"}},
		{name: "1.17 has none", version: "1.17.2", file: "flink-conf.yaml", conf: "a: 1\n", want: []string{"Java 17 is not supported by Flink 1.17"}},
		{name: "Java 11 needs none", version: "1.18.1", file: "flink-conf.yaml", conf: "a: 1\n", java: "11.0.27"},
		{name: "one is missing", version: "2.2.1", file: "config.yaml", conf: without("--add-opens=java.base/java.util=ALL-UNNAMED"),
			want: []string{"env.java.opts.all (config.yaml:1) replaces the stock value, and 1 of the 19 options that Flink 2.2 needs on Java 17 are missing: code that uses internals of the JDK will fail with InaccessibleObjectException or IllegalAccessError; add --add-opens=java.base/java.util=ALL-UNNAMED"}},
		{name: "gone since 2.1", version: "2.1.3", file: "config.yaml", conf: without("--add-exports=java.base/sun.net.util=ALL-UNNAMED")},
		{name: "there until 2.0", version: "2.0.2", file: "config.yaml", conf: without("--add-exports=java.base/sun.net.util=ALL-UNNAMED"), want: []string{"add --add-exports=java.base/sun.net.util=ALL-UNNAMED"}},
		{name: "FLINK_PROPERTIES replaces them", version: "2.2.1", file: "config.yaml", conf: stock, env: []string{"FLINK_PROPERTIES=env.java.opts.all: -XX:+UseG1GC"},
			want: []string{"env.java.opts.all (FLINK_PROPERTIES:1) replaces the stock value"}},
		{name: "the old key", version: "2.2.1", file: "config.yaml", conf: "env.java.opts: -Dx=y\n",
			want: []string{"env.java.opts (config.yaml:1) replaces the stock value", "env.java.opts (config.yaml:1) is deprecated since Flink 1.17; use env.java.opts.all"}},
		{name: "the variable of the scripts", version: "2.2.1", file: "config.yaml", conf: stock, env: []string{"FLINK_ENV_JAVA_OPTS=-Dx=y"}, want: []string{"FLINK_ENV_JAVA_OPTS replaces env.java.opts.all"}},
		{name: "java's own variable helps", version: "2.2.1", file: "config.yaml", conf: without("--add-opens=java.base/java.util=ALL-UNNAMED"),
			env: []string{"JDK_JAVA_OPTIONS=--add-opens java.base/java.util=ALL-UNNAMED"}},
		{name: "opened is exported", version: "2.2.1", file: "config.yaml", conf: strings.ReplaceAll(stock, "--add-exports=", "--add-opens=")},
		{name: "by role", version: "2.2.1", file: "config.yaml", conf: strings.Replace(stock, ".all:", ".taskmanager:", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home, env := stubHome(t, tt.version, map[string]string{tt.file: tt.conf})
			if tt.java != "" {
				if err := os.WriteFile(filepath.Join(home, "../java/release"), []byte("JAVA_VERSION=\""+tt.java+"\"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := gather(t, home, "taskmanager", append(env, tt.env...), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkWarnings(t, plan, tt.want...)
		})
	}
}

func TestDeprecatedKeyWarnings(t *testing.T) {
	for _, tt := range []struct{ name, version, file, conf, want string }{
		{"still read", "2.2.1", "config.yaml", "state.backend: rocksdb", "state.backend (config.yaml:2) is deprecated since Flink 1.17; use state.backend.type"},
		{"not yet", "1.16.3", "flink-conf.yaml", "state.backend: rocksdb", ""},
		{"since", "1.17.2", "flink-conf.yaml", "high-availability: zookeeper\nhigh-availability.storageDir: /x", "high-availability (flink-conf.yaml:2) is deprecated since Flink 1.17; use high-availability.type"},
		{"always", "1.20.5", "config.yaml", "jobmanager.web.address: x", "jobmanager.web.address (config.yaml:2) is deprecated; use rest.bind-address and web.address"},
		{"part of its names is gone", "2.0.2", "config.yaml", "jobmanager.web.address: x", "jobmanager.web.address (config.yaml:2) is deprecated; use rest.bind-address"},
		{"gone", "2.2.1", "config.yaml", "jobmanager.heap.size: 1g", "jobmanager.heap.size (config.yaml:2) is not read by Flink 2.2 any more"},
		{"gone, with a new name", "2.2.1", "config.yaml", "table.exec.topn-cache-size: 5", "table.exec.topn-cache-size (config.yaml:2) is not read by Flink 2.2 any more; use table.exec.rank.topn-cache-size"},
		{"both", "2.2.1", "config.yaml", "state.backend: rocksdb\nstate.backend.type: hashmap", "state.backend (config.yaml:2) is ignored: state.backend.type, its new name, is set too"},
		{"two new names", "2.2.1", "config.yaml", "state.backend.local-recovery: true", "use execution.checkpointing.local-backup.enabled and execution.state-recovery.from-local"},
		{"replacement changed", "1.20.5", "config.yaml", "recovery.mode: zookeeper", "use high-availability.type"},
		{"replacement changed later", "1.16.3", "flink-conf.yaml", "recovery.mode: zookeeper", "recovery.mode (flink-conf.yaml:2) is deprecated; use high-availability"},
		{"unknown", "2.2.1", "config.yaml", "my.own.key: 1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home, env := stubHome(t, tt.version, map[string]string{tt.file: moduleLine() + tt.conf + "\n"})
			if v, _ := flinkversion.Parse(tt.version); !v.Reaches(flinkversion.Since(1, 18)) {
				if err := os.WriteFile(filepath.Join(home, "../java/release"), []byte("JAVA_VERSION=\"11.0.27\"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := gather(t, home, "taskmanager", env, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				checkWarnings(t, plan)
			} else {
				checkWarnings(t, plan, tt.want)
			}
		})
	}
	t.Run("places", func(t *testing.T) {
		home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
		plan, err := gather(t, home, "taskmanager", append(env, "FLINK_PROPERTIES=state.backend: rocksdb"), func(_ *Options, w *World) { w.Args = []string{"-Drestart-strategy=none"} })
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, "state.backend (FLINK_PROPERTIES:1) is deprecated", "restart-strategy (-D) is deprecated since Flink 1.17; use restart-strategy.type")
	})
}

func TestFilesThatFlinkIgnores(t *testing.T) {
	const old = "taskmanager.memory.process.size: 4g\njobmanager.heap.size: 1g\nhigh-availability: zookeeper\ns3.secret-key: abc\"'x\nmetrics.scope.jm: \"<host>.*\"\npipeline.jars: a;b\nparallelism.default: 3\n"
	t.Run("flink-conf.yaml on 2.x", func(t *testing.T) {
		home, env := stubHome(t, "2.2.1", map[string]string{"flink-conf.yaml": old, "config.yaml": moduleLine() + "parallelism.default: 3\ntaskmanager.memory.process.size: 1728m\n"})
		plan, err := gather(t, home, "taskmanager", env, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, filepath.Join(home, "conf/flink-conf.yaml")+" is ignored: Flink 2.2 reads config.yaml; its values of taskmanager.memory.process.size, jobmanager.heap.size, high-availability, s3.secret-key, metrics.scope.jm and 1 more are lost; explain shows them as lines for config.yaml")
		want := []string{
			"# flink-conf.yaml:1, instead of config.yaml:3", "taskmanager.memory.process.size: 4g",
			"# jobmanager.heap.size (flink-conf.yaml:2) is left out: Flink 2.2 does not read it",
			"# flink-conf.yaml:3, there high-availability", "high-availability.type: zookeeper",
			"# flink-conf.yaml:4", "s3.secret-key: '******'",
			"# flink-conf.yaml:5", `metrics.scope.jm: '"<host>.*"'`,
			"# flink-conf.yaml:6", "pipeline.jars: a;b",
		}
		if c := plan.Config.Conversion; c == nil || !slices.Equal(c.Lines, want) {
			t.Errorf("conversion %q\nwant %q", c, want)
		}
	})
	t.Run("alone on 2.x", func(t *testing.T) {
		home, env := stubHome(t, "2.2.1", map[string]string{"flink-conf.yaml": moduleLine()})
		plan, err := gather(t, home, "taskmanager", env, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, "its values of env.java.opts.all are lost", "no env.java.opts.all is set")
	})
	t.Run("config.yaml on 1.20", func(t *testing.T) {
		home, env := stubHome(t, "1.20.5", map[string]string{"flink-conf.yaml": moduleLine() + "a: 1\n", "config.yaml": "a: 1\nb: {c: 2, d: 3}\n"})
		plan, err := gather(t, home, "taskmanager", env, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, "config.yaml is ignored: Flink 1.20 reads flink-conf.yaml as long as that file exists; its values of b.c, b.d are lost")
		if plan.Config.Conversion != nil {
			t.Error("an unneeded conversion")
		}
	})
	t.Run("nothing lost", func(t *testing.T) {
		home, env := stubHome(t, "1.19.3", map[string]string{"flink-conf.yaml": moduleLine() + "a: 1\n", "config.yaml": "a: 1\n"})
		plan, err := gather(t, home, "taskmanager", env, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, "it has no other settings")
	})
	t.Run("a broken one", func(t *testing.T) {
		home, env := stubHome(t, "1.19.3", map[string]string{"flink-conf.yaml": moduleLine() + "a: 1\n", "config.yaml": "a: [\n"})
		plan, err := gather(t, home, "taskmanager", env, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkWarnings(t, plan, "Flink could not read it anyway")
	})
}

// TestForeignFileThatWouldWin: a file in the output directory that Flink prefers to ours must not go unnoticed.
func TestForeignFileThatWouldWin(t *testing.T) {
	for version, fails := range map[string]bool{"1.20.5": true, "2.2.1": false} {
		home, env := stubHome(t, version, map[string]string{"config.yaml": moduleLine()})
		out := t.TempDir()
		if err := os.WriteFile(filepath.Join(out, "flink-conf.yaml"), []byte("a: 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		run, plan, err := gatherRun(t, home, "taskmanager", env, func(o *Options, _ *World) { o.ConfOut = out })
		if err != nil {
			t.Fatal(err)
		}
		_, err = run.Apply(t.Context(), plan)
		if at, _ := phase.Of(err); (err != nil) != fails || fails && at != phase.Write {
			t.Errorf("%s: %v", version, err)
		}
	}
}
