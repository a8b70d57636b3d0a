package boot_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/explain"
	"flink-entrypoint/internal/redact"
)

// vector is one run of the official image's entrypoint, as the launch room keeps them.
type vector struct {
	Scenario string
	Input    struct {
		Command  []string
		ConfFile string `json:"conf_file"`
		Conf     string
		Env      map[string]string
		Files    map[string]string
	}
	Result struct {
		Exit      int
		Argv      []string
		ConfAfter map[string]string `json:"conf_after"`
	}
}

func readVectors(t *testing.T, path string) []vector {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var out []vector
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// TestOfficialImage compares what the official image's entrypoint made of a start with what ours makes: the keys that it
// left in the configuration, and the command line.
func TestOfficialImage(t *testing.T) {
	paths, err := filepath.Glob("../launch/testdata/argv/*.json*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	if extra := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); extra != "" {
		more, _ := filepath.Glob(filepath.Join(extra, "argv", "*.json*"))
		paths = append(paths, more...)
	}
	compared := 0
	for _, path := range paths {
		version, _, _ := strings.Cut(filepath.Base(path), ".json")
		for _, v := range readVectors(t, path) {
			if !strings.HasPrefix(v.Scenario, "docker-") || v.Scenario == "docker-help" || v.Input.Conf == "DEFAULT" || v.Input.Conf == "MISSING" || strings.HasPrefix(v.Input.Conf, "+") {
				continue
			}
			compared++
			t.Run(version+"/"+v.Scenario, func(t *testing.T) { compareWithOfficial(t, version, v) })
		}
	}
	if compared < 40 {
		t.Errorf("only %d starts were compared", compared)
	}
}

func compareWithOfficial(t *testing.T, version string, v vector) {
	work := t.TempDir()
	home, java := filepath.Join(work, "flink"), filepath.Join(work, "java")
	replace := strings.NewReplacer("<FLINK_HOME>", home, "<JAVA_HOME>", java)
	write := func(path, content string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	dist := "flink-dist-" + version + ".jar"
	if version < "1.15" {
		dist = "flink-dist_2.12-" + version + ".jar"
	}
	write(home+"/lib/"+dist, "", 0o644)
	write(home+"/conf/"+v.Input.ConfFile, v.Input.Conf, 0o644)
	write(home+"/bin/taskmanager.sh", "", 0o755)
	write(home+"/plugins/README.txt", "", 0o644)
	write(home+"/opt/README.txt", "", 0o644)
	write(java+"/bin/java", "", 0o755)
	write(java+"/release", "JAVA_VERSION=\"17.0.15\"\n", 0o644)
	for name, content := range v.Input.Files {
		write(replace.Replace(name), content, 0o644)
	}
	var env []string
	for k, x := range v.Input.Env {
		env = append(env, k+"="+replace.Replace(x))
	}
	words := v.Input.Command[1:]
	role, args := words[0], words[1:]
	if !boot.IsRole(role) {
		role, args = boot.PassThrough, words
	}
	redactor := new(redact.Redactor)
	plan, err := boot.New(boot.Explain, role,
		boot.Options{MemoryPolicy: "keep", MemoryRatio: "1", Slots: "keep", RunDir: work + "/run", Sysroot: work},
		boot.World{Args: args, Env: env, Log: slog.New(slog.DiscardHandler), Redactor: redactor,
			Hostname: func() (string, error) { return "host1", nil }, FQDN: func(_ context.Context, h string) string { return h }}).Gather(context.Background())
	if v.Result.Exit != 0 {
		if err == nil {
			t.Fatalf("the official entrypoint ended with %d, ours makes a plan", v.Result.Exit)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want := v.Result.ConfAfter
	got := explain.Of(plan, redactor).Config.Effective
	for key, value := range want {
		if _, chosen := v.Input.Env["TASK_MANAGER_NUMBER_OF_TASK_SLOTS"]; key == "taskmanager.numberOfTaskSlots" && version < "1.14" && !chosen && got[key] == "" && value == "1" {
			continue // FLINK-22648: 1.13 wrote Flink's own default, even over the value of the file
		}
		// On 1.19 and later the official entrypoint takes the blanks out of the values of FLINK_PROPERTIES; those are its mistakes (FLINK-38587).
		if got[key] != value && strings.ReplaceAll(got[key], " ", "") != value {
			t.Errorf("%s: %q, the official entrypoint left %q", key, got[key], value)
		}
	}
	dynamic := strings.Join(args, " ")
	ours := []string{"taskmanager.rpc.port", "cluster.registration.error-delay"}
	for key := range got {
		if _, ok := want[key]; !ok && !slices.Contains(ours, key) && !strings.Contains(dynamic, key) {
			t.Errorf("%s: %q, the official entrypoint set nothing", key, got[key])
		}
	}
	if len(v.Result.Argv) == 0 || role == boot.PassThrough {
		return
	}
	tail := func(argv []string) []string { // from the main class on: the class path is the launch room's to compare
		i := slices.Index(argv, "-classpath")
		if i < 0 {
			t.Fatalf("no -classpath in %q", argv)
		}
		return argv[i+2:]
	}
	argv, theirs := tail(plan.Command.Argv), tail(v.Result.Argv)
	for i, a := range argv {
		argv[i] = strings.ReplaceAll(a, work+"/run/conf", "<FLINK_HOME>/conf")
	}
	if !slices.Equal(argv, theirs) {
		t.Errorf("command line\n ours %q\ntheirs %q", argv, theirs)
	}
}
