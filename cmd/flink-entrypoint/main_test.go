package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata drive the real main, exec included, and read like documentation. Each finds in its
// working directory a Flink home of empty jars with the stock configuration, and a java that prints what it was given.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flink-entrypoint": main})
}

func TestScripts(t *testing.T) {
	stock, err := os.ReadFile("testdata/stock-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "flink")
			files := map[string]string{
				"flink/lib/flink-dist-2.2.1.jar":           "",
				"flink/lib/flink-cep-2.2.1.jar":            "",
				"flink/bin/config.sh":                      "",
				"flink/opt/flink-s3-fs-hadoop-2.2.1.jar":   "",
				"flink/plugins/README.txt":                 "",
				"flink/conf/config.yaml":                   string(stock),
				"flink/conf/log4j-console.properties":      "rootLogger.level = INFO\n",
				"java/release":                             "JAVA_VERSION=\"17.0.15\"\n",
				"java/bin/java":                            "#!/bin/sh\necho java\nfor a; do echo \"arg: $a\"; done\nenv | grep -E '^(FLINK_|JAVA_HOME|LD_PRELOAD|MALLOC)' | sort\necho \"$FLINK_INHERITED_LOGS\"\n",
				"none/proc/self/cgroup":                    "0::/\n",
				"none/proc/self/mountinfo":                 "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				"none/proc/meminfo":                        "MemTotal:       25165824 kB\n",
				"none/sys/fs/cgroup/cgroup.controllers":    "cpu memory\n",
				"limited/proc/self/cgroup":                 "0::/\n",
				"limited/proc/self/mountinfo":              "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				"limited/proc/meminfo":                     "MemTotal:       25165824 kB\n",
				"limited/sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
				"limited/sys/fs/cgroup/memory.max":         "2147483648\n",
				"limited/sys/fs/cgroup/cpu.max":            "250000 100000\n",
			}
			for name, content := range files {
				path := filepath.Join(env.WorkDir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				// The scripts run in parallel: a fork of another one would inherit the open file, and its exec here would be "text file busy".
				syscall.ForkLock.RLock()
				err := os.WriteFile(path, []byte(content), 0o755)
				syscall.ForkLock.RUnlock()
				if err != nil {
					return err
				}
			}
			env.Setenv("FLINK_HOME", home)
			env.Setenv("JAVA_HOME", filepath.Join(env.WorkDir, "java"))
			env.Setenv("HOSTNAME", "jm-host")
			env.Setenv("DISABLE_JEMALLOC", "true")
			env.Setenv("FLINK_ENTRYPOINT_RUN_DIR", filepath.Join(env.WorkDir, "run"))
			env.Setenv("FLINK_ENTRYPOINT_SYSROOT", filepath.Join(env.WorkDir, "none"))
			env.Setenv("FLINK_ENTRYPOINT_TERMINATION_LOG", filepath.Join(env.WorkDir, "termination"))
			return nil
		},
	})
}
