package launch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// newRequest makes a request on a small home below a fresh root.
func newRequest(t *testing.T, role Role, version string) Request {
	t.Helper()
	root := t.TempDir()
	for _, file := range []string{"flink/bin/config.sh", "flink/lib/flink-dist-" + version + ".jar", "flink/lib/a.jar", "flink/opt/flink-sql-gateway-" + version + ".jar"} {
		if err := os.MkdirAll(filepath.Dir(root+"/"+file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/"+file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	home, err := distribution.Open(root+"/flink", func(string) (string, bool) { return "", false }, "")
	if err != nil {
		t.Fatal(err)
	}
	return Request{
		Role: role, Home: home, Java: distribution.Java{Run: "/java/bin/java", Path: "/java/bin/java", Home: "/java", Spec: 17},
		Standard: true, Env: []string{"PATH=/bin", "HOSTNAME=h"}, Root: root,
	}
}

func mustBuild(t *testing.T, req Request) *Command {
	t.Helper()
	cmd, err := Build(req)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// after returns what follows the main class.
func after(cmd *Command) []string {
	return cmd.Argv[slices.Index(cmd.Argv, "-classpath")+3:]
}

func TestJobManagerArguments(t *testing.T) {
	gen := []string{"-D", "g=1"}
	for _, test := range []struct {
		version, args, env, want, memory string
	}{
		{"1.13.6", "", "", "--configDir C --executionMode cluster -D g=1", ""},
		{"1.14.6", "h 80", "", "--configDir C --executionMode cluster --host h --webui-port 80 -D g=1", ""},
		{"1.14.6", "h 80 -D a=b", "", "--configDir C --executionMode cluster --host h --webui-port 80 -D g=1", ""},
		{"1.14.6", "", "HOST=env", "--configDir C --executionMode cluster -D g=1", ""},
		{"1.15.4", "h -D a=b", "", "-D g=1 --configDir C --executionMode cluster -D a=b --host h", ""},
		{"1.16.3", "h 80 -D a=b", "", "-D g=1 --configDir C --executionMode cluster -D a=b --host h --webui-port 80", "-D a=b"},
		{"1.20.5", "-Da=b", "", "-D g=1 --configDir C --executionMode cluster --host -Da=b", ""},
		{"1.20.5", "-D a=b", "HOST=env", "-D g=1 --configDir C --executionMode cluster -D a=b --host env", "-D a=b"},
		{"2.0.2", "h 80 -D a=b", "", "-D g=1 --configDir C -D a=b -D jobmanager.rpc.address=h -D rest.port=80", "-D a=b"},
		{"2.2.1", "-Da=b -Dc=d", "", "-D g=1 --configDir C -Da=b -Dc=d", "-Da=b -Dc=d"},
		{"2.2.1", "h -Dc=d", "", "-D g=1 --configDir C -Dc=d -D jobmanager.rpc.address=h", "-Dc=d"},
	} {
		req := newRequest(t, JobManager, test.version)
		req.Args, req.ConfDir, req.Memory = strings.Fields(test.args), "C", fixedSizes{dynamic: gen[1:]}
		if test.env != "" {
			req.Env = append(req.Env, test.env)
		}
		if got := strings.Join(after(mustBuild(t, req)), " "); got != test.want {
			t.Errorf("%s %q %s:\n got %s\nwant %s", test.version, test.args, test.env, got, test.want)
		}
		if got := strings.Join(MemoryArgs(JobManager, req.Home.Version, req.Args), " "); got != test.memory {
			t.Errorf("%s %q: memory arguments %q, want %q", test.version, test.args, got, test.memory)
		}
	}
}

func TestRoleArguments(t *testing.T) {
	for _, test := range []struct {
		role Role
		want string
	}{
		{TaskManager, "--configDir C -D g=1 extra user"},
		{StandaloneJob, "--configDir C -D g=1 extra user"},
		{HistoryServer, "--configDir C extra user"},
		{SQLGateway, "extra user"},
		{JobManager, "-D g=1 --configDir C extra -D user"},
	} {
		req := newRequest(t, test.role, "2.2.1")
		req.Args, req.ExtraArgs, req.ConfDir = []string{"user"}, []string{"extra"}, "C"
		if test.role == JobManager {
			req.Args = []string{"-D", "user"}
		}
		if test.role.HasMemory() {
			req.Memory = fixedSizes{dynamic: []string{"g=1"}}
		}
		if got := strings.Join(after(mustBuild(t, req)), " "); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.role, got, test.want)
		}
	}
}

func TestExtrasAndInheritedLogs(t *testing.T) {
	req := newRequest(t, TaskManager, "2.2.1")
	req.ExtraClasspath, req.InheritedLogs = []string{"/run/runner.jar"}, "decisions"
	req.Env = append(req.Env, "FLINK_INHERITED_LOGS=before", "HADOOP_CLASSPATH=:/h:", "ARGS=gone")
	cmd := mustBuild(t, req)
	lib := req.Home.LibDir
	if got, want := cmd.Argv[slices.Index(cmd.Argv, "-classpath")+1], lib+"/a.jar:"+lib+"/flink-dist-2.2.1.jar:/h:/run/runner.jar"; got != want {
		t.Errorf("class path %s, want %s", got, want)
	}
	if got := cmd.Changed["FLINK_INHERITED_LOGS"]; got != "\nbefore\n\ndecisions\n" {
		t.Errorf("FLINK_INHERITED_LOGS %q", got)
	}
	if !slices.Equal(cmd.Removed, []string{"ARGS"}) || slices.Contains(cmd.Env, "ARGS=gone") {
		t.Errorf("removed %q", cmd.Removed)
	}
	if !slices.Contains(cmd.Env, "HOSTNAME=h") || !slices.Contains(cmd.Env, "JAVA_RUN=/java/bin/java") {
		t.Errorf("environment %q", cmd.Env)
	}
}

func TestSQLGateway(t *testing.T) {
	req := newRequest(t, SQLGateway, "1.20.5")
	cmd := mustBuild(t, req)
	if cp := cmd.Argv[slices.Index(cmd.Argv, "-classpath")+1]; !strings.HasSuffix(cp, "/opt/flink-sql-gateway-1.20.5.jar") {
		t.Errorf("class path %s", cp)
	}
	if len(cmd.Warnings) != 1 || !strings.Contains(cmd.Warnings[0], "python") {
		t.Errorf("warnings %q", cmd.Warnings)
	}
	if _, err := Build(newRequest(t, SQLGateway, "1.15.4")); err == nil {
		t.Error("1.15 has no SQL gateway")
	}
	missing := newRequest(t, SQLGateway, "2.2.1")
	missing.Home.OptDir = t.TempDir()
	var e *distribution.Error
	if _, err := Build(missing); !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("without the jar: %v", err)
	}
}

func TestUnbalancedQuoteNamesTheKey(t *testing.T) {
	req := newRequest(t, TaskManager, "1.20.5")
	req.Standard = false
	req.ShellConf = []string{"env.java.opts.all: -Da=1", `env.java.opts.taskmanager: "-Dpassword=canary"`}
	req.Conf = &flinkconf.Conf{}
	req.Conf.Set(flinkconf.Entry{Key: "env.java.opts.taskmanager", Value: secret.Public("x"), Source: flinkconf.Source{Where: "flink-conf.yaml:7"}})
	_, err := Build(req)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(e.Message, "env.java.opts.taskmanager (flink-conf.yaml:7)") || !strings.Contains(e.Message, `unbalanced "`) || strings.Contains(e.Message, "canary") {
		t.Errorf("message %q", e.Message)
	}
	if !strings.Contains(e.Hint, "needs no quotes") {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestQuotesOfYAML(t *testing.T) {
	for _, test := range []struct {
		line, conf string
		want       []string
	}{
		{`'-Da=b: c -Dh=$HOSTNAME'`, "", []string{"-Da=b:", "c", "-Dh=h"}},
		{`'-Dq=''x y'' -Dm=b: c'`, "", []string{"-Dq=x y", "-Dm=b:", "c"}},
		{`|`, "-Da=1\n-Db=2\n", []string{"-Da=1", "-Db=2"}},
		{`"-Da=x\ty"`, "-Da=x\ty", []string{"-Da=x", "y"}},
		{`-Dq="x y"`, "", []string{"-Dq=x y"}},
	} {
		req := newRequest(t, TaskManager, "2.2.1")
		req.ShellConf = []string{"env.java.opts.all: " + test.line}
		if test.conf != "" {
			req.Conf = &flinkconf.Conf{}
			req.Conf.SetString("env.java.opts.all", test.conf, flinkconf.Source{})
		}
		cmd := mustBuild(t, req)
		end := slices.IndexFunc(cmd.Argv, func(a string) bool { return strings.HasPrefix(a, "-Dlog.file") })
		if got := cmd.Argv[2:end]; !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.line, got, test.want)
		}
		if len(cmd.Differences) < 2 {
			t.Errorf("%s: the difference is not reported: %q", test.line, cmd.Differences)
		}
	}
}

func TestQuoteAtTheEnd(t *testing.T) {
	for _, test := range []struct {
		version, value string
		want           []string // nil: an error
	}{
		{"1.18.1", `"-Da=1 -Db=2"`, []string{"-Da=1", "-Db=2"}},
		{"1.18.1", `-Da=1"`, []string{"-Da=1"}},
		{"1.18.1", `"-Da='b'" "-Dc=\$x"`, []string{"-Da=b", "-Dc=$x"}},
		{"1.18.1", `"-Da=x y" "-Db=2"`, []string{"-Da=x y", "-Db=2"}},
		{"1.18.1", `-Da="x y"`, []string{"-Da=x y"}},
		{"1.20.5", `"-Da=1"`, nil},
		{"1.20.5", `-Da="x y"`, []string{"-Da=x y"}},
		{"1.13.6", `-Da="x"`, []string{`-Da="x`}},
	} {
		req := newRequest(t, TaskManager, test.version)
		req.Standard = false
		line := "env.java.opts.taskmanager: " + test.value
		req.RawConf, req.ShellConf = []byte(line+"\n"), []string{line}
		cmd, err := Build(req)
		if test.want == nil {
			if err == nil {
				t.Errorf("%s %s: %q, want an error", test.version, test.value, cmd.Argv)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", test.version, test.value, err)
			continue
		}
		got := slices.DeleteFunc(cmd.Argv[1:slices.Index(cmd.Argv, "-classpath")], func(a string) bool { return strings.HasPrefix(a, "-Dlog") || strings.HasPrefix(a, "-XX") })
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %s: %q, want %q", test.version, test.value, got, test.want)
		}
	}
}

func TestEmptyOptionsHideTheOldKey(t *testing.T) {
	req := newRequest(t, TaskManager, "2.2.1")
	req.ShellConf = []string{"env.java.opts.all: ''", "env.java.opts: -Dold=1"}
	if cmd := mustBuild(t, req); slices.Contains(cmd.Argv, "-Dold=1") {
		t.Errorf("%q", cmd.Argv)
	}
}

func TestLivePidLines(t *testing.T) {
	req := newRequest(t, TaskManager, "2.2.1")
	req.Alive = func(pid int) bool { return pid == 7 }
	if err := os.Mkdir(req.Root+"/tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"": "-0-", "7\n": "-1-", "5\n7\n8\n": "-3-", "5\n6\n": "-0-", "5\n7": "-0-", "7\nx\n9": "-2-", "0\n-1\n": "-0-"} {
		if err := os.WriteFile(req.Root+"/tmp/flink--taskexecutor.pid", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := mustBuild(t, req)
		if !slices.ContainsFunc(cmd.Argv, func(a string) bool { return strings.HasSuffix(a, "taskexecutor"+want+"h.log") }) {
			t.Errorf("%q: %q, want %s", content, cmd.Argv, want)
		}
	}
}

func TestUnknownRole(t *testing.T) {
	if _, err := Build(newRequest(t, "client", "2.2.1")); err == nil {
		t.Error("no error")
	}
}

// TestQuickJIT: JobManagers only, and not beside a choice of the user's.
func TestQuickJIT(t *testing.T) {
	const option = "-XX:Tier4InvocationThreshold=50000"
	for _, tt := range []struct {
		role    Role
		options string
		want    bool
	}{
		{JobManager, "", true}, {StandaloneJob, "-Da=b", true}, {KubernetesApplication, "", true}, {TaskManager, "", false}, {FlinkClient, "", false}, {HistoryServer, "", false},
		{JobManager, "-XX:TieredStopAtLevel=1", false}, {JobManager, "-XX:-TieredCompilation", false}, {StandaloneJob, "-Xint", false},
	} {
		req := newRequest(t, tt.role, "2.2.1")
		req.QuickJIT = true
		req.Env = append(req.Env, "FLINK_ENV_JAVA_OPTS="+tt.options)
		cmd := mustBuild(t, req)
		if got := slices.Contains(cmd.Argv, option) && slices.Contains(cmd.Options, option); got != tt.want {
			t.Errorf("%s with %q: %q", tt.role, tt.options, cmd.Argv)
		}
		if warned := len(cmd.Warnings) > 0; warned != (tt.options != "" && !tt.want) {
			t.Errorf("%s with %q: warnings %q", tt.role, tt.options, cmd.Warnings)
		}
	}
}
