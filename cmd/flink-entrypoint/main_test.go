package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"flink-entrypoint/test/world"
)

// The scripts in testdata drive the real main, exec included, and read like documentation. Each finds in its
// working directory a Flink home of empty jars with the stock configuration, a java that prints what it was given, and
// connector.jar, which has a connector and a catalog of the type jdbc.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flink-entrypoint": main})
}

func TestScripts(t *testing.T) {
	const java = "echo java\nfor a; do echo \"arg: $a\"; done\nenv | grep -E '^(FLINK_|JAVA_HOME|LD_PRELOAD|MALLOC)' | sort\necho \"$FLINK_INHERITED_LOGS\"\n"
	files := world.Join(world.Stub("2.2.1", world.Stock, java), world.Sysroot(0, 0).In("none"), world.Sysroot(2<<30, 2.5).In("limited"),
		world.Files{"flink/lib/flink-cep-2.2.1.jar": "", "flink/opt/flink-s3-fs-hadoop-2.2.1.jar": "", "connector.jar": string(world.FactoryJar("jdbc"))})
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			if err := files.In(env.WorkDir).Write(); err != nil {
				return err
			}
			env.Setenv("FLINK_HOME", filepath.Join(env.WorkDir, "flink"))
			env.Setenv("JAVA_HOME", filepath.Join(env.WorkDir, "java"))
			env.Setenv("HOSTNAME", "jm-host")
			env.Setenv("DISABLE_JEMALLOC", "true")
			env.Setenv("FLINK_ENTRYPOINT_RUN_DIR", filepath.Join(env.WorkDir, "run"))
			env.Setenv("FLINK_ENTRYPOINT_SYSROOT", filepath.Join(env.WorkDir, "none"))
			env.Setenv("FLINK_ENTRYPOINT_TERMINATION_LOG", filepath.Join(env.WorkDir, "termination"))
			if b := os.Getenv(world.BinaryVariable); b != "" && os.Getenv("GOCOVERDIR") != "" { // make coverage: the one that counts
				env.Setenv("PATH", filepath.Dir(b)+":"+env.Getenv("PATH"))
			}
			return nil
		},
	})
}
