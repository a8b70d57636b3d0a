package launch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/memory"
)

// row is one start by Flink's own scripts: see testdata/README.md.
type row struct {
	Scenario string
	Input    struct {
		Command    []string
		Java       string
		ConfFile   string            `json:"conf_file"`
		Conf       string            // DEFAULT, MISSING, +appended, or the whole file
		ExtraFiles map[string]string `json:"extra_conf_files"`
		Env        map[string]string
		EnvUnset   []string `json:"env_unset"`
		Files      map[string]string
	}
	Result struct {
		Exit       int
		Argv       []string
		EnvChanged map[string]string `json:"env_added_or_changed"`
		EnvRemoved []string          `json:"env_removed"`
		Stdout     string
		Stderr     string
		LogFiles   []string       `json:"log_files_created"`
		ConfAfter  map[string]any `json:"conf_after"`
	}
}

// home is what a distribution holds, by version.
type home struct {
	Lib      []string
	Opt      []string
	ConfFile string
	Conf     string // the default configuration without comments
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if content, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestVectors(t *testing.T) {
	files, _ := filepath.Glob("testdata/argv/*.json.gz")
	if dir := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); dir != "" {
		more, _ := filepath.Glob(dir + "/argv/*.json*")
		files = append(files, more...)
	}
	var homes map[string]home
	readJSON(t, "testdata/homes.json", &homes)
	for _, file := range files {
		version := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".gz"), ".json")
		roots := map[string]string{}
		var rows []json.RawMessage
		readJSON(t, file, &rows)
		for _, raw := range rows {
			lab := newLab(t, version, homes[version], roots, raw)
			t.Run(version+"/"+lab.row.Scenario, lab.run)
		}
	}
}

// lab is a machine for one row: a root directory with the Flink home and Java inside.
type lab struct {
	row     row
	root    string
	fresh   bool // nothing is installed below root yet
	home    string
	version flinkversion.Version
	stock   home
}

// newLab makes the lab of a row. Rows of one version and Java that change no file share a root.
func newLab(t *testing.T, version string, stock home, roots map[string]string, raw []byte) *lab {
	t.Helper()
	l := &lab{stock: stock}
	if err := json.Unmarshal(raw, &l.row); err != nil {
		t.Fatal(err)
	}
	key := l.row.Input.Java
	if len(l.row.Input.Files) > 0 {
		key = l.row.Scenario
	}
	if roots[key] == "" {
		roots[key] = t.TempDir()
		l.fresh = true
	}
	l.root = roots[key]
	l.home = l.root + "/opt/flink"
	for from, to := range map[string]string{
		"<FLINK_HOME>": l.home, "/opt/flink": l.home, "<JAVA_HOME>": l.root + "/opt/java", "/opt/java/other": l.root + "/opt/otherjava",
	} {
		if from == "/opt/flink" { // not inside the paths that were just replaced
			raw = []byte(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(string(raw), l.home, "\x00"), from, "\x00"), "\x00", l.home))
			continue
		}
		raw = bytes.ReplaceAll(raw, []byte(from), []byte(to))
	}
	l.row = row{}
	if err := json.Unmarshal(raw, &l.row); err != nil {
		t.Fatal(err)
	}
	if l.fresh {
		l.install(t)
	}
	var err error
	if l.version, err = flinkversion.Parse(version); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if target, ok := strings.CutPrefix(content, "->"); ok {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// install lays out Java, Flink and the row's files.
func (l *lab) install(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"java", "otherjava"} {
		l.write(t, l.root+"/opt/"+dir+"/bin/java", "")
		l.write(t, l.root+"/opt/"+dir+"/release", fmt.Sprintf("JAVA_VERSION=%q\n", l.row.Input.Java+".0.1"))
	}
	if err := os.MkdirAll(l.home+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, l.home+"/bin/jobmanager.sh", "")
	noDist := l.row.Input.Files[l.home+"/lib/"] == "nodist"
	for _, jar := range l.stock.Lib {
		if !noDist || !strings.HasPrefix(jar, "flink-dist") {
			l.write(t, l.home+"/lib/"+jar, "")
		}
	}
	for _, jar := range l.stock.Opt {
		l.write(t, l.home+"/opt/"+jar, "")
	}
	for path, content := range l.row.Input.Files {
		switch {
		case strings.HasSuffix(path, "/"):
		case strings.HasPrefix(path, l.home):
			l.write(t, path, content)
		default:
			l.write(t, l.root+path, content)
		}
	}
}

// conf returns the file in force and what Flink and its scripts read from it.
func (l *lab) conf() (text string, standard bool, conf *flinkconf.Conf, lines []string, err error) {
	in := l.row.Input
	if after := l.row.Result.ConfAfter; len(after) > 0 {
		// The official entrypoint has rewritten the file: this is what is left, flattened.
		for k, v := range after {
			lines = append(lines, fmt.Sprintf("%s: %v", k, v))
		}
		slices.Sort(lines)
		text = strings.Join(lines, "\n") + "\n"
		conf = &flinkconf.Conf{}
		for k, v := range after {
			conf.SetString(k, strings.Trim(fmt.Sprint(v), "'"), flinkconf.Source{})
		}
		return text, in.ConfFile == "config.yaml", conf, lines, nil
	}
	files := map[string]string{}
	for name, content := range in.ExtraFiles {
		files[name] = content
	}
	switch {
	case in.Conf == "DEFAULT":
		files[in.ConfFile] = l.stock.Conf
	case in.Conf == "MISSING":
	case strings.HasPrefix(in.Conf, "+"):
		files[in.ConfFile] = l.stock.Conf + "\n" + in.Conf[1:]
	default:
		files[in.ConfFile] = in.Conf
	}
	name, format, ok := confpatch.InForce(l.version, func(name string) bool { _, ok := files[name]; return ok })
	if !ok {
		return "", false, nil, nil, fmt.Errorf("no %s", name)
	}
	file, err := confpatch.Parse(name, format, l.version, []byte(files[name]))
	if err != nil {
		return "", false, nil, nil, err
	}
	return files[name], format == confpatch.Standard, file.Conf(), file.ShellLines(), nil
}

// fixedSizes is a result of the memory calculation.
type fixedSizes struct{ jvm, dynamic []string }

func (s fixedSizes) JVMParameters() []string     { return s.jvm }
func (s fixedSizes) DynamicProperties() []string { return s.dynamic }

func (l *lab) environment() []string {
	var env []string
	for name, value := range l.row.Input.Env {
		if !slices.Contains(l.row.Input.EnvUnset, name) {
			env = append(env, name+"="+value)
		}
	}
	slices.Sort(env)
	return env
}

func getter(env []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, kv := range env {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
}

// roleOf maps a command to a role and its arguments.
func roleOf(command []string) (role Role, args []string, ok bool) {
	switch filepath.Base(command[0]) {
	case "docker-entrypoint.sh":
		switch role = Role(command[1]); role {
		case JobManager, StandaloneJob, TaskManager, HistoryServer:
			return role, command[2:], true
		}
		return roleOf(command[1:])
	case "jobmanager.sh":
		role = JobManager
	case "standalone-job.sh":
		role = StandaloneJob
	case "taskmanager.sh":
		role = TaskManager
	case "historyserver.sh":
		role = HistoryServer
	case "sql-gateway.sh":
		role = SQLGateway
	default:
		return "", nil, false
	}
	if len(command) > 1 && command[1] == "start-foreground" {
		return role, command[2:], true
	}
	return "", nil, false
}

func (l *lab) run(t *testing.T) {
	want := l.row.Result
	role, args, ok := roleOf(l.row.Input.Command)
	if !ok {
		l.passthrough(t)
		return
	}
	got, err := l.build(t, role, args)
	if err != nil {
		if want.Exit == 0 && !strings.Contains(want.Stderr, "unexpected EOF while looking for matching") { // difference: unbalanced quote
			t.Fatalf("Build: %v; the scripts start Java", err)
		}
		return
	}
	if want.Argv == nil {
		if strings.Contains(want.Stdout, "does not exist. Exiting") {
			return // a plugin: another room's
		}
		if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "taskmanager.memory") && strings.Contains(a, " ") }) {
			return // difference: sizes with a blank in -D work
		}
		t.Fatalf("Build made %q; the scripts fail with %s%s", got.Argv, want.Stdout, want.Stderr)
	}
	compare(t, l.version, role, args, got, want.Argv, want.EnvChanged, want.EnvRemoved)
	var logs []string
	for _, file := range []string{got.Stderr, got.Stdout} {
		if file != "" {
			logs = append(logs, file)
		}
	}
	if !slices.Equal(logs, want.LogFiles) {
		t.Errorf("redirected to %q, want %q", logs, want.LogFiles)
	}
}

func (l *lab) build(t *testing.T, role Role, args []string) (*Command, error) {
	t.Helper()
	env := l.environment()
	h, err := distribution.Open(l.home, getter(env), "")
	if err != nil {
		return nil, err
	}
	text, standard, conf, lines, err := l.conf()
	if err != nil {
		return nil, err
	}
	java, err := distribution.FindJava(distribution.ScriptValue([]byte(text), "env.java.home"), getter(env))
	if err != nil {
		return nil, err
	}
	confDir, _ := getter(env)("FLINK_CONF_DIR")
	req := Request{
		Role: role, Home: h, Java: java, Conf: conf, ConfDir: confDir, Standard: standard, RawConf: []byte(text),
		ShellConf: lines, Args: args, Env: env, Hostname: "boxhost", Root: l.root, Alive: func(int) bool { return false },
	}
	if role.HasMemory() {
		memoryArgs := MemoryArgs(role, l.version, args)
		if joinedProperty(l.version, role, args) >= 0 {
			memoryArgs = nil // difference: what stays a property counts for the memory, too
		}
		if conf, err = flinkconf.ApplyDynamicArgs(conf, memoryArgs, l.version); err != nil {
			return nil, err
		}
		process := memory.JobManager
		if role == TaskManager {
			process = memory.TaskManager
		}
		spec, err := memory.Derive(process, memory.Input{Version: l.version, Standard: standard, Conf: conf, LookupEnv: getter(env)})
		if err != nil {
			return nil, err
		}
		req.Memory = spec
	}
	return Build(req)
}

func (l *lab) passthrough(t *testing.T) {
	command := l.row.Input.Command[1:]
	if command[0] == "help" {
		return
	}
	got, err := Passthrough(command, l.environment())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Argv, l.row.Result.Argv) {
		t.Errorf("argv %q, want %q", got.Argv, l.row.Result.Argv)
	}
}

// compare holds a command against what the scripts made, with the deliberate differences undone.
func compare(t *testing.T, version flinkversion.Version, role Role, args []string, got *Command, argv []string, changed map[string]string, removed []string) {
	t.Helper()
	gotArgv, wantArgv, gotChanged := normalise(version, role, args, got, argv, changed)
	if !slices.Equal(gotArgv, wantArgv) {
		for i := range max(len(gotArgv), len(wantArgv)) {
			if i >= len(gotArgv) || i >= len(wantArgv) || gotArgv[i] != wantArgv[i] {
				t.Errorf("argv from word %d\n got %q\nwant %q", i, gotArgv[min(i, len(gotArgv)):], wantArgv[min(i, len(wantArgv)):])
				break
			}
		}
	}
	for _, name := range sortedKeys(gotChanged, changed) {
		if name == "FLINK_INHERITED_LOGS" || name == "LD_PRELOAD" {
			continue // not compared; set by the docker entrypoint, which is another room's
		}
		g, gok := gotChanged[name]
		w, wok := changed[name]
		if g != w || gok != wok {
			t.Errorf("environment: %s is %q (%v), want %q (%v)", name, g, gok, w, wok)
		}
	}
	if !slices.Equal(got.Removed, removed) && len(got.Removed)+len(removed) > 0 {
		t.Errorf("removed from the environment: %q, want %q", got.Removed, removed)
	}
}

func sortedKeys(maps ...map[string]string) []string {
	var keys []string
	for _, m := range maps {
		for k := range m {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	return keys
}
