package launch

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/distribution"
)

// add makes an empty file below the request's root.
func add(t *testing.T, req Request, file string) {
	t.Helper()
	if err := os.WriteFile(req.Root+"/flink/"+file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// showCommand writes a command in one line: what differs by role and version, with ROOT for the root directory.
func showCommand(req Request, cmd *Command) string {
	i := slices.Index(cmd.Argv, "-classpath")
	words := slices.DeleteFunc(slices.Clone(cmd.Argv[1:i]), func(a string) bool { return strings.HasPrefix(a, "-Dlog") && !strings.HasPrefix(a, "-Dlog.file") })
	class := cmd.Argv[i+2]
	words = append(words, cmd.Argv[i+1], class[strings.LastIndex(class, ".")+1:])
	return strings.ReplaceAll(strings.Join(append(words, cmd.Argv[i+3:]...), " "), req.Root+"/flink", "F")
}

func TestNativeKubernetes(t *testing.T) {
	for _, test := range []struct {
		role Role
		env  []string
		want string
	}{
		{KubernetesSession, nil, "-Xmx1 -XX:+IgnoreUnrecognizedVMOptions -Dlog.file=F/log/flink--kubernetes-session-0-h.log F/lib/a.jar:F/lib/flink-dist-2.2.1.jar KubernetesSessionClusterEntrypoint -D g=1 extra user"},
		{KubernetesApplication, []string{"FLINK_ENV_JAVA_OPTS_JM=-Djm", "JVM_ARGS=-Dj"}, "-Dj -Xmx1 -XX:+IgnoreUnrecognizedVMOptions -Djm -Dlog.file=F/log/flink--kubernetes-application-0-h.log F/lib/a.jar:F/lib/flink-dist-2.2.1.jar KubernetesApplicationClusterEntrypoint -D g=1 extra user"},
		{KubernetesTaskManager, []string{"FLINK_TM_JVM_MEM_OPTS=-Xmx2 -Xms2", "JVM_ARGS=-Dj", "FLINK_ENV_JAVA_OPTS_TM=-Dtm"}, "-Dj -Xmx2 -Xms2 -XX:+IgnoreUnrecognizedVMOptions -Dtm -Dlog.file=F/log/flink--kubernetes-taskmanager-0-h.log F/lib/a.jar:F/lib/flink-dist-2.2.1.jar KubernetesTaskExecutorRunner --configDir C extra user"},
	} {
		req := newRequest(t, test.role, "2.2.1")
		req.Args, req.ExtraArgs, req.ConfDir, req.Env = []string{"user"}, []string{"extra"}, "C", append(req.Env, test.env...)
		req.Memory = fixedSizes{jvm: []string{"-Xmx1"}, dynamic: []string{"g=1"}}
		cmd := mustBuild(t, req)
		if got := showCommand(req, cmd); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.role, got, test.want)
		}
		if cmd.Changed["FLINK_CONF_DIR"] != "C" {
			t.Errorf("%s: FLINK_CONF_DIR is %q", test.role, cmd.Changed["FLINK_CONF_DIR"])
		}
	}
}

// TestKubernetesTaskManagerWithoutSizes: as the script, which does not look, but with a warning.
func TestKubernetesTaskManagerWithoutSizes(t *testing.T) {
	req := newRequest(t, KubernetesTaskManager, "1.17.2")
	cmd := mustBuild(t, req)
	if len(cmd.Warnings) != 1 || !strings.Contains(cmd.Warnings[0], "FLINK_TM_JVM_MEM_OPTS is not set") {
		t.Errorf("warnings %q", cmd.Warnings)
	}
	if cmd.Argv[1] != "-XX:+UseG1GC" {
		t.Errorf("%q", cmd.Argv)
	}
}

func TestMemoryArgsOfNativeRoles(t *testing.T) {
	args := []string{"-D", "a=b"}
	for role, want := range map[Role]bool{KubernetesSession: true, KubernetesApplication: true, KubernetesTaskManager: false, FlinkClient: false, SQLClient: false} {
		version := newRequest(t, role, "2.2.1").Home.Version
		if got := MemoryArgs(role, version, args); slices.Equal(got, args) != want || role.HasMemory() != want {
			t.Errorf("%s: %q, %v", role, got, role.HasMemory())
		}
	}
}

func TestClients(t *testing.T) {
	const lib = "F/lib/a.jar:F/lib/flink-dist-"
	for _, test := range []struct {
		role    Role
		version string
		want    string
	}{
		{FlinkClient, "1.13.6", "-Dj -Dq='a b' -Dcli -Dlog.file=F/log/flink--client-h.log " + lib + "1.13.6.jar:/hadoop CliFrontend run -x a b"},
		{FlinkClient, "2.2.1", "-Dj -Dq='a b' -Dcli -Dlog.file=F/log/flink--client-h.log " + lib + "2.2.1.jar:/hadoop CliFrontend run -x a b"},
		{SQLClient, "1.16.3", "-Dj -Dlog.file=F/log/flink--sql-client-h.log " + lib + "1.16.3.jar:F/opt/flink-python-1.jar:/hadoop:F/opt/flink-sql-client-1.jar SqlClient run -x a b --jar F/opt/flink-sql-client-1.jar"},
		{SQLClient, "1.17.2", "-Dj -Dlog.file=F/log/flink--sql-client-h.log " + lib + "1.17.2.jar:F/opt/flink-python-1.jar:F/opt/flink-sql-gateway-1.17.2.jar:/hadoop:F/opt/flink-sql-client-1.jar SqlClient run -x a b --jar F/opt/flink-sql-client-1.jar"},
		{SQLClient, "1.18.1", "-Dq='a b' -Dcli -Dj -Dlog.file=F/log/flink--sql-client-h.log " + lib + "1.18.1.jar:F/opt/flink-python-1.jar:F/opt/flink-sql-gateway-1.18.1.jar:/hadoop:F/opt/flink-sql-client-1.jar SqlClient run -x a b --jar F/opt/flink-sql-client-1.jar"},
		{SQLClient, "1.20.5", "-Dq='a b' -Dcli -Dj -Dlog.file=F/log/flink--sql-client-h.log " + lib + "1.20.5.jar:F/opt/flink-python-1.jar:F/opt/flink-sql-gateway-1.20.5.jar:F/opt/flink-sql-client-1.jar:/hadoop SqlClient run -x a b --jar F/opt/flink-sql-client-1.jar"},
		{SQLClient, "2.0.2", "-Dq='a b' -Dcli -Dj -Dlog.file=F/log/flink--sql-client-h.log " + lib + "2.0.2.jar:F/opt/flink-python-1.jar:F/opt/flink-sql-gateway-2.0.2.jar:F/opt/flink-sql-client-1.jar:/hadoop SqlClient run -x a b"},
	} {
		req := newRequest(t, test.role, test.version)
		add(t, req, "opt/flink-sql-client-1.jar")
		add(t, req, "opt/flink-python-1.jar")
		req.Args = []string{"run", "-x", "a b"}
		req.Env = append(req.Env, "HADOOP_CLASSPATH=/hadoop", "JVM_ARGS=-Dj", "FLINK_ENV_JAVA_OPTS=-Dq='a b'", "FLINK_ENV_JAVA_OPTS_CLI=-Dcli")
		cmd := mustBuild(t, req)
		if got := showCommand(req, cmd); got != test.want {
			t.Errorf("%s %s:\n got %s\nwant %s", test.role, test.version, got, test.want)
		}
		for _, option := range []string{"-Dlog4j.configurationFile=file:" + req.Home.ConfDir + "/log4j-cli.properties", "-Dlogback.configurationFile=file:" + req.Home.ConfDir + "/logback.xml"} {
			if !slices.Contains(cmd.Argv, option) {
				t.Errorf("%s %s: no %s in %q", test.role, test.version, option, cmd.Argv)
			}
		}
	}
}

// TestSQLClientJars: what the lib directory has is not taken from the opt directory, and one jar must be somewhere.
func TestSQLClientJars(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  string // the class path after the lib directory and the arguments, or the error
	}{
		{[]string{"lib/flink-sql-client-2.jar", "lib/flink-python-2.jar", "opt/flink-sql-client-1.jar", "opt/flink-python-1.jar"}, "F/opt/flink-sql-gateway-1.20.5.jar |"},
		{[]string{"opt/flink-sql-client-1.jar"}, "F/opt/flink-sql-gateway-1.20.5.jar:F/opt/flink-sql-client-1.jar | --jar F/opt/flink-sql-client-1.jar"},
		{[]string{"opt/flink-sql-client-1.jar", "opt/flink-sql-client-1.txt", "opt/flink-python-2.jar", "opt/flink-python-1.jar"},
			"F/opt/flink-python-1.jar:F/opt/flink-python-2.jar:F/opt/flink-sql-gateway-1.20.5.jar:F/opt/flink-sql-client-1.jar | --jar F/opt/flink-sql-client-1.jar"},
		{nil, "Flink SQL client jar not found: expected one flink-sql-client*.jar in F/opt or F/lib"},
		{[]string{"opt/flink-sql-client-1.jar", "opt/flink-sql-client-2.jar"}, "Multiple flink-sql-client*.jar found in F/opt: F/opt/flink-sql-client-1.jar, F/opt/flink-sql-client-2.jar"},
	} {
		req := newRequest(t, SQLClient, "1.20.5")
		for _, file := range test.files {
			add(t, req, file)
		}
		home, err := distribution.Open(req.Home.Dir, func(string) (string, bool) { return "", false }, "")
		if err != nil {
			t.Fatal(err)
		}
		req.Home = home
		var got string
		cmd, err := Build(req)
		if e := (*distribution.Error)(nil); errors.As(err, &e) {
			got = e.Message
			if e.Hint == "" {
				t.Errorf("%s: no hint", got)
			}
		} else if err != nil {
			t.Fatal(err)
		} else {
			cp := cmd.Argv[slices.Index(cmd.Argv, "-classpath")+1]
			got = strings.TrimSpace(cp[strings.Index(cp, "flink-dist-1.20.5.jar:")+len("flink-dist-1.20.5.jar:"):] + " | " + strings.Join(after(cmd), " "))
		}
		if got = strings.ReplaceAll(got, req.Root+"/flink", "F"); got != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.files, got, test.want)
		}
	}
}

// TestClientsLeaveNoTrace: variables that the scripts of the other roles set are not theirs.
func TestClientsLeaveNoTrace(t *testing.T) {
	req := newRequest(t, FlinkClient, "2.2.1")
	req.Env = append(req.Env, "FLINK_TM_CLASSPATH=/x", "SERVICE=x", "ARGS=x", "FLINK_LOG_PREFIX=/x", "CC_CLASSPATH=/x", "log=x", "log_setting=x")
	cmd := mustBuild(t, req)
	for name, want := range map[string]string{"FLINK_TM_CLASSPATH": "/x", "SERVICE": "x", "ARGS": "x", "FLINK_LOG_PREFIX": "/x"} {
		if got, _ := getter(cmd.Env)(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := cmd.Changed["log"]; got != req.Home.LogDir+"/flink--client-h.log" {
		t.Errorf("log is %q", got)
	}
	if got := cmd.Changed["CC_CLASSPATH"]; !strings.HasSuffix(got, "/flink-dist-2.2.1.jar") {
		t.Errorf("CC_CLASSPATH is %q", got)
	}
	if !slices.Equal(cmd.Removed, []string{"log_setting"}) {
		t.Errorf("removed %q", cmd.Removed)
	}
}
