//go:build flink

package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/scripts"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestMain makes this binary Java's stand-in when it was copied to a bin/java: it runs the scripts' helper JVMs for
// real and records the start of Flink's own.
func TestMain(m *testing.M) {
	if self, err := os.Executable(); err == nil && filepath.Base(self) == "java" {
		if err := standIn(filepath.Dir(filepath.Dir(self))); err != nil {
			fmt.Fprintln(os.Stderr, "recorder:", err)
			os.Exit(99)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// record is what the stand-in writes: one object per call.
type record struct {
	Helper string `json:",omitempty"` // command of BashJavaUtils, or "settings"
	Argv   []string
	Env    []string
	Output string `json:",omitempty"` // of a helper
}

func standIn(javaHome string) error {
	rec := record{Argv: os.Args, Env: os.Environ()}
	for i, arg := range os.Args {
		switch {
		case strings.HasSuffix(arg, ".BashJavaUtils"):
			rec.Helper = os.Args[i+1]
		case arg == "-XshowSettings:properties":
			rec.Helper = "settings"
		}
	}
	code := 0
	if rec.Helper != "" {
		output, exit, err := helperJVM(javaHome, rec)
		if err != nil {
			return err
		}
		os.Stdout.Write(output)
		rec.Output, rec.Env, code = string(output), nil, exit
	}
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(javaHome+"/records", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// helperJVM runs a helper in the real Java. What depends on the configuration alone is run once.
func helperJVM(javaHome string, rec record) ([]byte, int, error) {
	real, err := os.ReadFile(javaHome + "/real")
	if err != nil {
		return nil, 0, err
	}
	var cache string
	if rec.Helper == "settings" || rec.Helper == "UPDATE_AND_GET_FLINK_CONFIGURATION" {
		sum := fnv.New64a()
		fmt.Fprint(sum, rec.Argv[1:])
		if i := slices.Index(rec.Argv, "--configDir"); i >= 0 {
			for _, name := range []string{"config.yaml", "flink-conf.yaml"} {
				content, _ := os.ReadFile(rec.Argv[i+1] + "/" + name)
				fmt.Fprintf(sum, "%s %q", name, content)
			}
		}
		cache = fmt.Sprintf("%s/cache-%x", javaHome, sum.Sum64())
		if content, err := os.ReadFile(cache); err == nil {
			return content, 0, nil
		}
	}
	args := append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}, rec.Argv[1:]...)
	cmd := exec.Command(string(real), args...)
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return nil, 0, err
	}
	if cache != "" && err == nil {
		if err := os.WriteFile(cache, output, 0o644); err != nil {
			return nil, 0, err
		}
	}
	return output, cmd.ProcessState.ExitCode(), nil
}

// TestScripts runs the real scripts on random scenarios. FLINK_VERSIONS, FLINK_SCENARIOS (per version) and FLINK_SEED
// choose what; FLINK_HOMES says where the distributions are.
func TestScripts(t *testing.T) {
	count := 60
	if s := os.Getenv("FLINK_SCENARIOS"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FLINK_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLINK_SEED=%d", seed)
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time a JVM uses one processor
			b := newBench(t, homes.Home(t, version), version)
			outcomes := map[string]int{}
			for i := range count {
				// Each scenario has its own generator, so that one can be repeated alone.
				if only := os.Getenv("FLINK_SCENARIO"); only != "" && only != strconv.Itoa(i) {
					continue
				}
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				t.Run(strconv.Itoa(i), func(t *testing.T) { outcomes[b.scenario(t, r)]++ })
			}
			t.Logf("Flink %s: %d scenarios: %v", version, count, outcomes)
		})
	}
}

// bench is one Flink version with Java stand-ins.
type bench struct {
	version   flinkversion.Version
	source    string
	root      string
	home      string
	javas     []string
	confNames []string
}

func newBench(t *testing.T, source, version string) *bench {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{source: source, root: root, home: root + "/flink"}
	if b.version, err = flinkversion.Parse(version); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, real := range map[string]string{"java17": "/usr/lib/jvm/java-17-openjdk-amd64", "java25": "/usr/lib/jvm/temurin-25-jdk-amd64"} {
		if name == "java25" && !b.version.Reaches(flinkversion.Since(1, 19)) {
			continue
		}
		home := b.root + "/" + name
		copyFile(t, self, home+"/bin/java")
		copyFile(t, real+"/release", home+"/release")
		if err := os.WriteFile(home+"/real", []byte(real+"/bin/java"), 0o644); err != nil {
			t.Fatal(err)
		}
		b.javas = append(b.javas, home)
	}
	slices.Sort(b.javas)
	b.confNames = []string{"config.yaml"}
	switch {
	case !b.version.Reaches(flinkversion.Since(1, 19)):
		b.confNames = []string{"flink-conf.yaml"}
	case !b.version.Reaches(flinkversion.Since(2, 0)):
		b.confNames = []string{"config.yaml", "flink-conf.yaml"}
	}
	scripts, err := filepath.Glob(source + "/bin/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range append(scripts, source+"/bin/flink") {
		copyFile(t, script, b.home+"/bin/"+filepath.Base(script))
	}
	link(t, source+"/bin/bash-java-utils.jar", b.home+"/bin/bash-java-utils.jar")
	return b
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// start is one random scenario.
type start struct {
	command  []string
	role     Role
	args     []string
	env      []string
	confDir  string
	confName string
	conf     string
}

// scenario makes one start both ways and compares. The result says how it ended.
func (b *bench) scenario(t *testing.T, r *rand.Rand) string {
	t.Helper()
	s := b.generate(t, r)
	defer func() {
		if t.Failed() {
			t.Logf("%q %q\nenv %q\n%s:\n%s", s.command, s.args, s.env, s.confName, s.conf)
		}
	}()
	role := scripts.Recognise(scripts.Request{Command: s.command, Env: s.env, BinDir: b.home + "/bin", Version: b.version})
	if role.Role != string(s.role) || !slices.Equal(role.Args, s.args) {
		t.Errorf("recognised as %+v", role)
	}
	pidsBefore := b.pidFiles(t)
	recs, output, exit := b.runScript(t, s)

	var final *record
	var lines, memoryArgs []string
	standard := s.confName == "config.yaml"
	for i, rec := range recs {
		switch rec.Helper {
		case "":
			final = &recs[i]
		case "UPDATE_AND_GET_FLINK_CONFIGURATION":
			lines = nil
			for line := range strings.Lines(rec.Output) {
				if v, ok := strings.CutPrefix(line, "BASH_JAVA_UTILS_EXEC_RESULT:"); ok {
					lines = append(lines, strings.TrimRight(v, "\n"))
				}
			}
		case "GET_JM_RESOURCE_PARAMS", "GET_TM_RESOURCE_PARAMS":
			memoryArgs = rec.Argv[slices.Index(rec.Argv, "--configDir")+2:]
		}
	}
	b.restorePidFiles(t, pidsBefore)
	got, err := b.ours(s, lines, final, standard)
	switch {
	case err != nil && final == nil:
		return "refused by both"
	case strings.Contains(output, "unexpected EOF while looking for matching"):
		return "difference: unbalanced quote"
	case !s.role.HasMemory() && strings.Contains(output, "Flink distribution jar not found in") && errors.As(err, new(*distribution.Error)):
		return "difference: refused before a JVM without flink-dist" // the scripts start it, and it dies
	case s.role == SQLGateway && strings.Contains(output, "jar not found in") && errors.As(err, new(*distribution.Error)):
		return "difference: refused before a JVM without the gateway's jar" // the same
	case s.role == SQLClient && errors.As(err, new(*distribution.Error)) && strings.HasPrefix(err.Error(), "Multiple flink-sql-client"):
		return "difference: refused with two jars of the client" // the scripts name one that does not exist
	case err != nil:
		t.Fatalf("Build: %v; the scripts start Java", err)
	case final == nil:
		t.Fatalf("Build made %q; the scripts exit with %d:\n%s", got.Argv, exit, output)
	}
	if s.role == SQLGateway && strings.Contains(strings.Join(s.args, " "), "-h") {
		return "difference: -h inside an argument of the SQL gateway"
	}
	for _, line := range lines {
		// The scripts take YAML's quotes for shell quotes, in which nothing else is special: a listed difference.
		if key, value, _ := strings.Cut(line, ": "); standard && strings.HasPrefix(key, "env.java.") && strings.Contains(key, "opts") &&
			strings.HasPrefix(value, "'") && (s.role.IsClient() || strings.ContainsAny(value[1:len(value)-1], `'"$\`)) {
			return "difference: quotes of YAML"
		}
	}
	wantMemoryArgs := strings.Fields(strings.Join(MemoryArgs(s.role, b.version, s.args), " "))
	if s.role.HasMemory() && joinedProperty(b.version, s.role, s.args) < 0 && !slices.Equal(memoryArgs, wantMemoryArgs) {
		t.Errorf("memory calculation got %q, MemoryArgs %q", memoryArgs, wantMemoryArgs)
	}
	changed, removed := diffEnv(s.env, final.Env)
	compare(t, b.version, s.role, s.args, got, final.Argv, changed, removed)
	if got.Stdout != "" {
		if _, err := os.Stat(got.Stdout); err != nil && !strings.Contains(output, "No such file or directory") {
			t.Errorf("the scripts do not redirect: %v", err)
		}
	}
	if final.Argv[0] != got.Argv[0] {
		t.Errorf("argv[0] %q, want %q", got.Argv[0], final.Argv[0])
	}
	return "equal"
}

// pidFiles and restorePidFiles let our side see the pid files that the script saw.
func (b *bench) pidFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	names, err := filepath.Glob(b.root + "/pid*/*.pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if files[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func (b *bench) restorePidFiles(t *testing.T, files map[string][]byte) {
	t.Helper()
	for name := range b.pidFiles(t) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) runScript(t *testing.T, s start) (recs []record, output string, exit int) {
	t.Helper()
	for _, java := range b.javas {
		if err := os.Remove(java + "/records"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.Env, cmd.Dir = s.env, b.root+"/work"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for _, java := range b.javas {
		content, _ := os.ReadFile(java + "/records")
		for line := range bytes.Lines(content) {
			var rec record
			if err := json.Unmarshal(line, &rec); err != nil {
				t.Fatal(err)
			}
			recs = append(recs, rec)
		}
	}
	return recs, out.String(), cmd.ProcessState.ExitCode()
}

func (b *bench) ours(s start, lines []string, final *record, standard bool) (*Command, error) {
	env := getter(s.env)
	h, err := distribution.Open(b.home, env, "")
	if err != nil {
		return nil, err
	}
	java, err := distribution.FindJava(distribution.ScriptValue([]byte(s.conf), "env.java.home"), env)
	if err != nil {
		return nil, err
	}
	confDir, _ := env("FLINK_CONF_DIR")
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	req := Request{
		Role: s.role, Home: h, Java: java, ConfDir: confDir, Standard: standard, RawConf: []byte(s.conf),
		ShellConf: lines, Args: s.args, Env: s.env, Hostname: hostname,
	}
	if s.role.HasMemory() && final != nil {
		// The sizes are another room's: take what Flink calculated.
		var sizes fixedSizes
		recorded := getter(final.Env)
		jvm, _ := recorded("JVM_ARGS")
		if i := strings.Index(jvm, "-Xmx"); i >= 0 {
			sizes.jvm = strings.Fields(jvm[strings.LastIndex(jvm, "-Xmx"):])
		}
		dynamic, _ := recorded("DYNAMIC_PARAMETERS")
		for _, word := range strings.Fields(dynamic) {
			if word != "-D" {
				sizes.dynamic = append(sizes.dynamic, word)
			}
		}
		req.Memory = sizes
	}
	return Build(req)
}

// diffEnv compares environments, leaving out what any bash sets.
func diffEnv(before, after []string) (changed map[string]string, removed []string) {
	changed = map[string]string{}
	old := getter(before)
	for _, kv := range after {
		name, value, _ := strings.Cut(kv, "=")
		if v, ok := old(name); (!ok || v != value) && !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, name) {
			changed[name] = value
		}
	}
	for _, kv := range before {
		name, _, _ := strings.Cut(kv, "=")
		if _, ok := getter(after)(name); !ok {
			removed = append(removed, name)
		}
	}
	slices.Sort(removed)
	return changed, removed
}

// quoted writes words as people and programs do for a shell.
func quoted(r *rand.Rand, words []string) string {
	var out []string
	for _, word := range words {
		switch plain := word != "" && !strings.ContainsAny(word, " '\"\\$`*?[]{}()<>&|;#~!\n"); {
		case plain && !oneIn(r, 3):
		case oneIn(r, 2):
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		case word == "" || strings.Contains(word, "\n") || oneIn(r, 2): // a backslash before a line feed removes it
			word = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(word) + `"`
		default:
			var b strings.Builder
			for _, c := range word {
				b.WriteString(`\` + string(c))
			}
			word = b.String()
		}
		out = append(out, word)
	}
	return strings.Join(out, pick(r, " ", "  ", "\t")) + pick(r, "", " ", "\n")
}

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func pick(r *rand.Rand, choices ...string) string { return choices[r.IntN(len(choices))] }

// javaOptionsText makes Java options as a person might write them.
func javaOptionsText(r *rand.Rand) string {
	tokens := []string{
		"-Da=1", "-Xss2m", "-XX:+UseParallelGC", `-Dq="x"`, `-Dq='x y'`, `"-Dz=a b"`, "-Dp=$HOSTNAME", "-Dl=${FLINK_LOG_DIR}/gc.log",
		"-Dpre=$FLINK_LOG_PREFIX", "-Dm=$MYVAR", "-Ddef=${MYVAR:-q}", "-Ddef=${NOPE:-q}", "-Ddef=${NOPE-q}", "-Dplus=${MYVAR:+set}",
		`-De=\$HOME`, `-Db=a\\b`, `-Db2=a\b`, "-Xlog:gc*:file=/tmp/x.log", "-Dhash=a#b", "-Dt=~", "-Db={a}", "-Dn=$((1+2*3))", "-Dcolon=a: b",
		"-Did=$FLINK_IDENT_STRING", "-Dj=$JAVA_HOME", "-Dx=$", "-Dpc=%p", "-D'k'=v", "''", `""`, `-XX:OnOutOfMemoryError="kill -9 %p"`,
		"-Dutf=é", `-Dw="$MYVAR x"`, "-Dnest=\"a 'b' c\"", "-Du=$UNSET_X", "-Du=a${UNSET_X}z", "-Ds=$SERVICE", "-Dc=$FLINK_CONF_DIR", "-Dh=$FLINK_HOME/x",
		"-Dbs=a\\ b", "-Dlist=[1]", "-Dpid=$FLINK_PID_DIR", "-Dlib=$FLINK_LIB_DIR", "-Dcls=$CLASS_TO_RUN", "-Dlogf=$log", "-Dlevel=$ROOT_LOG_LEVEL",
		"-Deq==", "-Dnb=a\u00a0b", "-D@=x", "-Dq=a'b'\"c\"d", "-Dsq='a\"b'", "-Ddq=\"a'b\"", "-Desc=\"a\\\"b\"", "-Desc2=\"a\\$b\"", "-ea", "-agentlib:jdwp=transport=dt_socket,server=y",
		"$MYVAR", "$UNSET_X", "-Dq=it\\'s",
	}
	var words []string
	for range r.IntN(5) {
		words = append(words, tokens[r.IntN(len(tokens))])
	}
	return strings.Join(words, pick(r, " ", " ", "  "))
}

// generate makes a scenario and lays out its files.
func (b *bench) generate(t *testing.T, r *rand.Rand) start {
	t.Helper()
	s := start{}
	names := map[Role]string{
		JobManager: "jobmanager.sh", StandaloneJob: "standalone-job.sh", TaskManager: "taskmanager.sh", HistoryServer: "historyserver.sh",
		KubernetesSession: "kubernetes-jobmanager.sh", KubernetesApplication: "kubernetes-jobmanager.sh", KubernetesTaskManager: "kubernetes-taskmanager.sh",
		FlinkClient: "flink", SQLClient: "sql-client.sh", SQLGateway: "sql-gateway.sh",
	}
	s.role = Role(pick(r, "jobmanager", "jobmanager", "standalone-job", "taskmanager", "taskmanager", "history-server",
		"kubernetes-session", "kubernetes-application", "kubernetes-taskmanager", "kubernetes-taskmanager", "flink", "flink", "sql-client", "sql-client"))
	if b.version.Reaches(flinkversion.Since(1, 16)) && oneIn(r, 16) {
		s.role = SQLGateway
	}
	if only := os.Getenv("FLINK_ROLE"); only != "" { // to look for faults of one
		s.role = Role(only)
	}
	script := names[s.role]
	b.layOut(t, r)
	s.args = randomArgs(r, s.role)
	s.confName = b.confNames[r.IntN(len(b.confNames))]
	s.conf = b.randomConf(r, s.confName)
	s.env, s.confDir = b.randomEnv(r)
	words := []string{script, "start-foreground"}
	switch s.role {
	case KubernetesSession, KubernetesApplication:
		words[1] = string(s.role)
	case KubernetesTaskManager, FlinkClient, SQLClient:
		words = words[:1]
	}
	words = append(words, s.args...)
	if s.command = append([]string{b.home + "/bin/" + script}, words[1:]...); oneIn(r, 2) {
		s.command = []string{pick(r, "bash", "sh"), pick(r, "-c", "-ec"), pick(r, "", "exec ") + quoted(r, words)}
	}
	if joinedProperty(b.version, s.role, s.args) >= 0 { // what the scripts take for a host hides these
		s.env = slices.DeleteFunc(s.env, func(kv string) bool { return strings.HasPrefix(kv, "HOST=") || strings.HasPrefix(kv, "WEBUIPORT=") })
	}
	if err := os.WriteFile(s.confDir+"/"+s.confName, []byte(s.conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// layOut fills the home again: lib, opt, conf, pid files.
func (b *bench) layOut(t *testing.T, r *rand.Rand) {
	t.Helper()
	for _, dir := range []string{b.home + "/lib", b.home + "/opt", b.home + "/conf", b.root + "/conf2", b.root + "/pid", b.root + "/pid2", b.root + "/hadoop", b.root + "/hbase"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{b.home + "/lib", b.home + "/opt", b.home + "/log", b.home + "/conf", b.root + "/conf2", b.root + "/pid", b.root + "/pid2", b.root + "/work", b.root + "/logs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	jars, err := filepath.Glob(b.source + "/lib/*.jar")
	if err != nil {
		t.Fatal(err)
	}
	noDist := oneIn(r, 40)
	for _, jar := range jars {
		name := filepath.Base(jar)
		dist := strings.HasPrefix(name, "flink-dist")
		switch {
		case dist && noDist:
		case dist && oneIn(r, 30):
			link(t, jar, b.home+"/lib/sub/"+name)
		default:
			link(t, jar, b.home+"/lib/"+name)
		}
	}
	if !oneIn(r, 20) {
		copyFile(t, b.source+"/bin/config.sh", b.home+"/opt/flink-sql-gateway-1.jar")
	}
	if !oneIn(r, 20) {
		copyFile(t, b.source+"/bin/config.sh", b.home+"/opt/flink-sql-client-1.jar")
	}
	for _, extra := range []string{"opt/flink-python-1.jar", "opt/sub/flink-python-2.jar", "opt/sub/flink-sql-client-2.jar", "opt/flink-sql-gateway-x/readme", "opt/a-flink-python_jar", "lib/flink-sql-client-3.jar", "lib/flink-python-3.jar", "lib/flink-sql-gateway-3.jar", "lib/aaa.jar", "lib/Zed.jar", "lib/zed-1.jar", "lib/sub/x.jar", "lib/b c.jar", "lib/é.jar", "lib/.hid.jar", "lib/UP.JAR", "lib/n.txt", "lib/d.jar/in.jar"} {
		if oneIn(r, 5) {
			copyFile(t, b.source+"/bin/config.sh", b.home+"/"+extra)
		}
	}
	if oneIn(r, 8) {
		link(t, "/nowhere.jar", b.home+"/lib/broken.jar")
	}
	if oneIn(r, 8) {
		link(t, "/tmp", b.home+"/lib/dirlink.jar")
	}
	if oneIn(r, 4) {
		copyFile(t, b.source+"/bin/config.sh", b.root+pick(r, "/hadoop/etc/hadoop/core-site.xml", "/hadoop/conf/core-site.xml", "/hbase/conf/hbase-site.xml"))
	}
	if oneIn(r, 3) {
		content := pick(r, "%d\n", "99999999\n%d\n", "99999999\n", "%d\n%d\n", "x\n", "%d", "\n%d\n")
		content = strings.ReplaceAll(content, "%d", strconv.Itoa(os.Getpid()))
		for _, service := range []string{"standalonesession", "standalonejob", "taskexecutor", "historyserver", "kubernetes-session", "kubernetes-application", "kubernetes-taskmanager"} {
			for _, ident := range []string{"", "ident", "user1"} {
				if err := os.WriteFile(fmt.Sprintf("%s/pid/flink-%s-%s.pid", b.root, ident, service), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func randomArgs(r *rand.Rand, role Role) []string {
	var args []string
	property := func() {
		kv := pick(r, "rest.port=1234", "a.b=c d", "x=", "y=*z", "taskmanager.numberOfTaskSlots=3", "jobmanager.memory.off-heap.size=200m", "taskmanager.memory.task.off-heap.size=1m", "s=é")
		if oneIn(r, 4) {
			args = append(args, "-D"+kv)
		} else {
			args = append(args, "-D", kv)
		}
	}
	if role == JobManager && oneIn(r, 3) {
		args = append(args, pick(r, "h7", "host.svc", "10.0.0.1", "", "two words", "--x"))
		if oneIn(r, 2) {
			args = append(args, pick(r, "8088", "0", "", "8088 1"))
		}
	}
	if role == FlinkClient || role == SQLClient {
		for range r.IntN(5) {
			args = append(args, pick(r, "list", "run", "-D", "k=v", "-Dk=v w", "", "a b", "x*y", "$HOME", "'q'", `"`, "--jar", "-h", "-f", "é", "a\nb", "\\"))
		}
		return args
	}
	for range r.IntN(3) {
		property()
	}
	switch {
	case role == KubernetesTaskManager:
		for range r.IntN(4) {
			args = append(args, pick(r, "-Dpipeline.jars=['file:/x']", "-Dm=my'value", "-D", "taskmanager.memory.network.min=1b", "-Dq=#a,b&c^d*e%f(g!h", "-Dx=\"y\"", ""))
		}
	case role == StandaloneJob:
		if oneIn(r, 2) {
			args = append(args, "--job-classname", "com.acme.Main", "--fromSavepoint", "s3://b/sp 1")
		}
		for range r.IntN(3) {
			args = append(args, pick(r, "arg", "", "a b", "x*y", "--in", "$HOME", "'q'", "-Dfoo=bar"))
		}
	case role == TaskManager && oneIn(r, 4):
		args = append(args, pick(r, "--unknown", "x y", ""))
	}
	return args
}

func (b *bench) randomConf(r *rand.Rand, name string) string {
	standard := name == "config.yaml"
	lines := []string{"jobmanager.rpc.address: jm1", "jobmanager.memory.process.size: " + pick(r, "1600m", "2g", "1728m"), "taskmanager.memory.process.size: " + pick(r, "1728m", "4g", "2000m")}
	seen := map[string]bool{}
	add := func(key, value string) {
		if seen[key] && standard {
			return
		}
		seen[key] = true
		if standard {
			value = yamlScalar(r, value)
		} else if oneIn(r, 6) && (!b.version.Reaches(flinkversion.Since(1, 19)) || oneIn(r, 4)) {
			value = `"` + value + `"`
		} else if oneIn(r, 8) {
			value += pick(r, " # comment", "#c", "   ")
		}
		if !standard && oneIn(r, 12) {
			value += "\r"
		}
		lines = append(lines, pick(r, "", "", "", map[bool]string{false: "  ", true: ""}[standard])+key+": "+value)
	}
	for _, key := range []string{
		"env.java.opts", "env.java.opts.all", "env.java.opts.jobmanager", "env.java.opts.taskmanager", "env.java.opts.historyserver",
		"env.java.opts.client", "env.java.default-opts.all", "env.java.default-opts.jobmanager", "env.java.default-opts.taskmanager",
	} {
		if oneIn(r, 3) {
			if text := javaOptionsText(r); text != "" || !standard {
				add(key, text)
			}
		}
	}
	others := map[string][]string{
		"env.log.dir":                      {b.root + "/logs", b.root + "/a b", "/var/q log"},
		"env.log.max":                      {"7", "3", "x"},
		"env.log.level":                    {"WARN", "DEBUG"},
		"env.hadoop.conf.dir":              {"/c/hadoop", b.root + "/hadoop"},
		"env.yarn.conf.dir":                {"/c/yarn"},
		"env.hbase.conf.dir":               {"/c/hbase"},
		"env.stdout-err.redirect-to-file":  {"true", "false", "TRUE"},
		"env.ssh.opts":                     {"-o x=y"},
		"zookeeper.heap.mb":                {"12"},
		"taskmanager.compute.numa":         {"true"},
		"high-availability.type":           {"zookeeper"},
		"env.java.home":                    b.javas,
		"env_log_max":                      {"55"}, // a dot of a key is any character for the scripts
		"classloader.parent-first-pattern": {"a;b", "java."},
	}
	for _, key := range slices.Sorted(maps.Keys(others)) { // a seed makes the same file again
		if oneIn(r, 6) {
			add(key, others[key][r.IntN(len(others[key]))])
		}
	}
	slices.Sort(lines[3:])
	add("env.pid.dir", b.root+"/pid")
	if !standard && oneIn(r, 5) {
		lines = append(lines, "env.log.max: 4", "env.java.opts.jobmanager: -Dlast=1")
	}
	return strings.Join(lines, "\n") + "\n"
}

// yamlScalar writes a string so that YAML reads it back.
func yamlScalar(r *rand.Rand, value string) string {
	plain := value != "" && !strings.ContainsAny(value[:1], "'\"$&*!%@`|>{}[]?-#,=~ ") && !strings.Contains(value, ": ") && !strings.Contains(value, " #") && strings.TrimSpace(value) == value
	if strings.HasPrefix(value, "-") && len(value) > 1 && value[1] != ' ' && !strings.Contains(value, ": ") && !strings.Contains(value, " #") && strings.TrimSpace(value) == value {
		plain = true
	}
	if plain && !oneIn(r, 5) {
		return value
	}
	if oneIn(r, 2) {
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

func (b *bench) randomEnv(r *rand.Rand) (env []string, confDir string) {
	java := b.javas[r.IntN(len(b.javas))]
	confDir = b.home + "/conf"
	set := map[string]string{"PATH": java + "/bin:/usr/local/bin:/usr/bin:/bin:" + b.home + "/bin", "HOME": "/root", "HOSTNAME": "host1", "JAVA_HOME": java}
	choose := func(n int, name string, values ...string) {
		if oneIn(r, n) {
			set[name] = pick(r, values...)
		}
	}
	choose(6, "JAVA_HOME", "", "/nowhere", b.javas[0])
	if oneIn(r, 8) {
		delete(set, "JAVA_HOME")
	}
	if oneIn(r, 8) {
		delete(set, "HOSTNAME")
	}
	choose(12, "HOSTNAME", "", "pod-0.svc")
	choose(3, "MYVAR", "one two", "v", "", " lead", "q'uote", "a*b", `b\n`)
	choose(8, "JVM_ARGS", "-Xmx64m", "", "-Dj=\"a b\"", "  -Dx=1  -Dy=2 ", "-Dz=$HOME")
	choose(6, "FLINK_ENV_JAVA_OPTS", "-Dfe=1", "", " ", "-Dq='a b' -Dh=$HOSTNAME")
	choose(8, "FLINK_ENV_JAVA_OPTS_JM", "-Dfejm=1", "")
	choose(8, "FLINK_ENV_JAVA_OPTS_TM", "-Dfetm=1", "", `"-Dfetm=1 -Dq=2"`)
	choose(8, "FLINK_ENV_JAVA_OPTS_HS", "-Dfehs=1", "")
	choose(12, "FLINK_ENV_JAVA_OPTS_CLI", "-Dcli=1", "")
	choose(2, "FLINK_TM_JVM_MEM_OPTS", "-Xmx64m -Xms64m -XX:MaxDirectMemorySize=1 -XX:MaxMetaspaceSize=2", "", "  -Xmx1m ", `-Dq="a b"`)
	choose(8, "FLINK_LOG_DIR", b.root+"/logs", "", "/var/a b")
	choose(8, "FLINK_PID_DIR", b.root+"/pid2", "")
	choose(6, "FLINK_IDENT_STRING", "ident", "")
	choose(4, "USER", "user1", "")
	choose(8, "MAX_LOG_FILE_NUMBER", "3", "", "'4'")
	choose(8, "ROOT_LOG_LEVEL", "TRACE", "")
	choose(10, "STD_REDIRECT_TO_FILE", "true", "false", "")
	choose(6, "HADOOP_CLASSPATH", "/h/a.jar:/h/b.jar", "/h/lib/*", "", "/h/a.jar::/h/c")
	choose(6, "HADOOP_HOME", b.root+"/hadoop", "/nowhere", "")
	choose(6, "HBASE_HOME", b.root+"/hbase", "")
	choose(8, "HADOOP_CONF_DIR", "/h/conf", "")
	choose(8, "YARN_CONF_DIR", "/y/conf", "")
	choose(8, "HBASE_CONF_DIR", "/b/conf", "")
	choose(10, "FLINK_LIB_DIR", b.home+"/lib", b.home+"/lib/", "")
	choose(10, "FLINK_OPT_DIR", "/opt/x", "")
	choose(10, "FLINK_PLUGINS_DIR", "/plug", "")
	choose(10, "FLINK_HOME", "/elsewhere", b.home, "")
	choose(12, "HOST", "envhost", "", "two words")
	choose(12, "WEBUIPORT", "4711", "")
	choose(12, "DYNAMIC_PARAMETERS", "-D x=y", "")
	choose(12, "FLINK_INHERITED_LOGS", "logs")
	choose(12, "JAVA_RUN", "/x/java")
	choose(12, "FLINK_TM_COMPUTE_NUMA", "true", "")
	choose(12, "FLINK_SSH_OPTS", "-v", "")
	choose(12, "ZK_HEAP", "5", "")
	choose(12, "FLINK_BIN_DIR", "/x", "")
	choose(12, "FLINK_LOG_PREFIX", "/x", "")
	choose(12, "SERVICE", "svc")
	choose(12, "CC_CLASSPATH", "/x.jar")
	choose(12, "FLINK_PYTHON_JAR", "/x.jar")
	choose(12, "FLINK_SQL_CLIENT_JAR", "/x.jar")
	choose(12, "log_setting", "x")
	choose(3, "LC_ALL", "C.UTF-8", "C", "POSIX")
	if oneIn(r, 6) {
		confDir = b.root + "/conf2"
		set["FLINK_CONF_DIR"] = confDir
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env, confDir
}

// TestQuotesAsTheScripts: what the scripts make of quotes in flink-conf.yaml, up to 1.18, where they make something of them.
func TestQuotesAsTheScripts(t *testing.T) {
	for _, version := range homes.Versions() {
		b := newBench(t, homes.Home(t, version), version)
		if b.version.Reaches(flinkversion.Since(1, 19)) || !b.version.Reaches(flinkversion.Since(1, 14)) {
			continue // later ones lose all options to quotes, 1.13 splits inside them
		}
		jars, err := filepath.Glob(b.source + "/lib/*.jar")
		if err != nil {
			t.Fatal(err)
		}
		for _, jar := range jars {
			link(t, jar, b.home+"/lib/"+filepath.Base(jar))
		}
		for _, dir := range []string{b.root + "/conf", b.root + "/work"} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, value := range []string{`"-Da=1 -Db=2"`, `'-Da=1 -Db=2'`, `"-Da=1" "-Db=2"`, `'-Da=1' '-Db=2'`, `"-Da=\"x\" -Db=2"`, `'-Da=''x'' -Db=2'`, `"-Da='x' -Db=2"`} {
			s := start{command: []string{b.home + "/bin/taskmanager.sh", "start-foreground"}, role: TaskManager, confName: "flink-conf.yaml", confDir: b.root + "/conf"}
			s.conf = "taskmanager.memory.process.size: 1g\nenv.java.opts: " + value + "\n"
			s.env = []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + b.javas[0], "HOSTNAME=h", "FLINK_CONF_DIR=" + s.confDir}
			if err := os.WriteFile(s.confDir+"/"+s.confName, []byte(s.conf), 0o644); err != nil {
				t.Fatal(err)
			}
			recs, output, _ := b.runScript(t, s)
			want := ""
			for _, rec := range recs {
				if rec.Helper == "" {
					want = optionsAB(rec.Argv)
				}
			}
			s.conf = strings.Replace(s.conf, value, flinkconf.UnquoteOptions("env.java.opts", value), 1) // as the rendered file has it
			got, err := b.ours(s, nil, nil, false)
			if err != nil || want == "" {
				t.Fatalf("Flink %s, %s: %v; the scripts: %s", version, value, err, output)
			}
			if got := optionsAB(got.Argv); got != want {
				t.Errorf("Flink %s, %s: %s, the scripts %s", version, value, got, want)
			}
		}
	}
}

func optionsAB(argv []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(argv), func(a string) bool { return !strings.HasPrefix(a, "-Da") && !strings.HasPrefix(a, "-Db") }), " ")
}
