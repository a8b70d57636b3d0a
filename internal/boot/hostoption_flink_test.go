//go:build flink

package boot

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestHostOptionAsFlinkParsesIt asks Flink's own parsers: 1.x about the arguments as they are, 2.x about what we make of them.
func TestHostOptionAsFlinkParsesIt(t *testing.T) {
	classes := ""
	for _, version := range homes.Versions() {
		home := homes.Home(t, version)
		jars, err := filepath.Glob(home + "/lib/*.jar")
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Join(jars, ":")
		if classes == "" {
			classes = t.TempDir()
			if out, err := exec.Command("javac", "-cp", path, "-d", classes, "testdata/JobArguments.java").CombinedOutput(); err != nil {
				t.Fatalf("javac: %v\n%s", err, out)
			}
		}
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		cases := applicationCases()
		if !flinkoptions.KnowsHost(v) {
			cases = append(cases, guesses()...)
		}
		for _, tt := range cases {
			if flinkoptions.KnowsHost(v) && (tt.address == "" || slices.Contains(tt.program, "--host") || strings.Contains(strings.Join(tt.args, " "), "--jars") && !v.Reaches(flinkversion.Since(1, 19))) {
				continue // what 1.x takes from the job is not ours to repeat
			}
			stub, env := stubHome(t, version, map[string]string{"config.yaml": moduleLine(), "flink-conf.yaml": moduleLine()})
			plan, err := gather(t, stub, "standalone-job", append(env, tt.env), func(_ *Options, w *World) { w.Args = tt.args })
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			words := plan.Command.Argv[slices.Index(plan.Command.Argv, "--configDir"):]
			out, err := exec.Command("java", append([]string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classes + ":" + path, "JobArguments"}, words...)...).Output()
			if err != nil {
				t.Errorf("Flink %s, %s: %v", version, tt.name, err)
				continue
			}
			want := "address " + tt.address + "\nport " + tt.port + "\nclass " + tt.class + "\n"
			for _, arg := range tt.program {
				want += "argument " + arg + "\n"
			}
			if string(out) != want {
				t.Errorf("Flink %s, %s:\n%swant\n%s", version, tt.name, out, want)
			}
		}
	}
}
