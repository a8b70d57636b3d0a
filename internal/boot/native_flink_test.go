//go:build flink

package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// TestScriptsOfRealHomes: a command that starts one of a release's own scripts gets the script's role, and everything else is executed as it
// is. The command lines themselves are compared with the scripts' in package launch.
func TestScriptsOfRealHomes(t *testing.T) {
	for _, version := range homes.Versions() {
		home := homes.Home(t, version)
		dir := t.TempDir()
		world.Write(t, dir, world.StubJava("17.0.15", "").In("java"), world.Sysroot(3<<30, 2).In("sys"))
		conf := filepath.Join(dir, "conf")
		if err := os.MkdirAll(conf, 0o755); err != nil {
			t.Fatal(err)
		}
		name := "flink-conf.yaml"
		if strings.HasPrefix(version, "2.") {
			name = "config.yaml"
		}
		const controllers = "kubernetes.cluster-id: demo\njobmanager.memory.process.size: 1600m\ntaskmanager.memory.process.size: 1728m\n"
		if err := os.WriteFile(filepath.Join(conf, name), []byte(controllers), 0o644); err != nil {
			t.Fatal(err)
		}
		env := []string{"FLINK_HOME=" + home, "JAVA_HOME=" + filepath.Join(dir, "java"), "FLINK_CONF_DIR=" + conf, "HOSTNAME=here", "DISABLE_JEMALLOC=true", "PATH=" + home + "/bin:/usr/bin:/bin",
			"FLINK_TM_JVM_MEM_OPTS=-Xmx1 -Xms1"}
		for _, tt := range []struct {
			command []string
			role    string
			words   []string // of the command line
		}{
			{[]string{"bash", "-c", "kubernetes-jobmanager.sh kubernetes-application "}, "kubernetes-application", []string{"org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint"}},
			{[]string{"/bin/bash", "-c", "exec kubernetes-jobmanager.sh kubernetes-session -Da=b"}, "kubernetes-session", []string{"-Da=b"}},
			{[]string{"bash", "-c", `kubernetes-taskmanager.sh -Dpipeline.jars='['\''file:/a b.jar'\'']' -D taskmanager.memory.network.min=1b `}, "kubernetes-taskmanager", []string{"-Xmx1", "-Dpipeline.jars=['file:/a b.jar']", "taskmanager.memory.network.min=1b"}},
			{[]string{"jobmanager.sh", "start-foreground"}, "jobmanager", nil},
			{[]string{home + "/bin/taskmanager.sh", "start-foreground", "-D", "a=b"}, "taskmanager", []string{"a=b"}},
			{[]string{"flink", "list", "-a"}, "flink", []string{"org.apache.flink.client.cli.CliFrontend", "list", "-a"}},
			{[]string{"flink-daemon.sh", "start"}, PassThrough, []string{"flink-daemon.sh", "start"}},
			{[]string{"bash", "-c", "taskmanager.sh start-foreground; echo $?"}, PassThrough, []string{"bash", "-c", "taskmanager.sh start-foreground; echo $?"}},
		} {
			plan, err := gather(t, home, Command, env, func(o *Options, w *World) {
				w.Args = tt.command
				o.Sysroot = filepath.Join(dir, "sys")
			})
			if err != nil {
				t.Errorf("Flink %s, %q: %v", version, tt.command, err)
				continue
			}
			if plan.Role != tt.role {
				t.Errorf("Flink %s, %q: role %s, want %s (warnings %q)", version, tt.command, plan.Role, tt.role, plan.Warnings)
			}
			for _, word := range tt.words {
				if !slices.Contains(plan.Command.Argv, word) {
					t.Errorf("Flink %s, %q: no %s in %q", version, tt.command, word, plan.Command.Argv)
				}
			}
			if strings.HasPrefix(tt.role, "kubernetes-") && (len(plan.Config.Changes) > 0 || plan.Memory == nil || len(plan.Memory.Changes) > 0) {
				t.Errorf("Flink %s, %q: changes %v, memory %+v", version, tt.command, plan.Config.Changes, plan.Memory)
			}
		}
	}
}

// TestPatchedScript: a script that an image has changed may do anything, so it is executed.
func TestPatchedScript(t *testing.T) {
	for _, version := range homes.Versions() {
		stock, dir := homes.Home(t, version), t.TempDir()
		world.Write(t, dir, world.StubJava("17.0.15", "").In("java"), world.Sysroot(3<<30, 2).In("sys"))
		home := filepath.Join(dir, "flink")
		if err := os.CopyFS(filepath.Join(home, "bin"), os.DirFS(filepath.Join(stock, "bin"))); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"lib", "conf"} {
			files, err := os.ReadDir(filepath.Join(stock, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(home, name), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if err := os.Symlink(filepath.Join(stock, name, f.Name()), filepath.Join(home, name, f.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
		env := []string{"FLINK_HOME=" + home, "JAVA_HOME=" + filepath.Join(dir, "java"), "HOSTNAME=here", "DISABLE_JEMALLOC=true", "PATH=" + home + "/bin:/usr/bin:/bin"}
		command := []string{"bash", "-c", "kubernetes-jobmanager.sh kubernetes-session"}
		plan := func() *Plan {
			t.Helper()
			p, err := gather(t, home, Command, env, func(o *Options, w *World) { w.Args, o.Sysroot = command, filepath.Join(dir, "sys") })
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := plan(); p.Role != "kubernetes-session" {
			t.Errorf("Flink %s: role %s, warnings %q", version, p.Role, p.Warnings)
		}
		f, err := os.OpenFile(filepath.Join(home, "bin", "config.sh"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("export PATCHED=1\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		p := plan()
		if p.Role != PassThrough || !slices.Equal(p.Command.Argv, command) || !strings.Contains(strings.Join(p.Warnings, "\n"), "config.sh is not the file of Flink") {
			t.Errorf("Flink %s: role %s, command %q, warnings %q", version, p.Role, p.Command.Argv, p.Warnings)
		}
	}
}
