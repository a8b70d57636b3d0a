package boot

import (
	"os"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
)

// hostCase is the arguments of a JobManager, and what reaches Flink 2.x.
type hostCase struct {
	name    string
	args    []string
	env     string
	address string // jobmanager.rpc.address by -D; "" for none
	port    string // rest.port by -D
	class   string // of --job-classname
	program []string
	warned  string // part of the warning
}

// applicationCases: on 1.x all of these options are Flink's, up to the first word that is not an option, or "--".
func applicationCases() []hostCase {
	w := func(words string) []string { return strings.Fields(words) }
	const ip, class = "10.1.2.3", "a.Main"
	return []hostCase{
		{name: "Flink's manifest", args: w("--host 10.1.2.3 --job-classname a.Main --input x"), address: ip, class: class, program: w("--input x")},
		{name: "the operator", args: w("--job-classname a.Main --allowNonRestoredState --fromSavepoint s3://s --host 10.1.2.3 --input x"), env: "_POD_IP_ADDRESS=10.1.2.3", address: ip, class: class, program: w("--input x")},
		{name: "the operator, and the job has the option too", args: w("--job-classname a.Main --host 10.1.2.3 --host db --port 1"), env: "_POD_IP_ADDRESS=10.1.2.3", address: ip, class: class, program: w("--host db --port 1")},
		{name: "a manifest with POD_IP at the end", args: w("--job-classname a.Main --host 10.1.2.3"), env: "POD_IP=10.1.2.3", address: ip, class: class},
		{name: "IPv6", args: w("--job-classname a.Main --host fd00::5 run"), env: "POD_IP=fd00::5", address: "fd00::5", class: class, program: w("run")},
		{name: "joined", args: w("--host=10.1.2.3 --job-classname=a.Main"), address: ip, class: class},
		{name: "short", args: w("-h 10.1.2.3 -j a.Main"), address: ip, class: class},
		{name: "short and joined", args: w("-h=10.1.2.3 -r=8082 -j a.Main"), address: ip, port: "8082", class: class},
		{name: "short in one word", args: w("-h10.1.2.3 -r8082 -j a.Main x"), address: ip, port: "8082", class: class, program: w("x")},
		{name: "long with one hyphen", args: w("-host 10.1.2.3 -webui-port 8082 -D a=b -j a.Main"), address: ip, port: "8082", class: class},
		{name: "a name", args: w("--host jobmanager --job-classname a.Main"), address: "jobmanager", class: class},
		{name: "port alone", args: w("--webui-port 8082 --job-classname a.Main x"), port: "8082", class: class, program: w("x")},
		{name: "port last", args: w("--job-classname a.Main --webui-port 8082 x"), port: "8082", class: class, program: w("x")},
		{name: "stronger than -D", args: w("--host 10.1.2.3 -Djobmanager.rpc.address=other -j a.Main"), address: ip, class: class},
		{name: "after jars", args: w("--jars a.jar,b.jar c.jar --host 10.1.2.3 -j a.Main"), address: ip, class: class},
		{name: "before a double hyphen", args: w("-j a.Main -Da=b --host 10.1.2.3 -- --host db"), env: "POD_IP=10.1.2.3", address: ip, class: class, program: w("--host db")},
		{name: "an address of unknown origin", args: w("-j a.Main --host 10.1.2.3 --input x"), address: ip, class: class, program: w("--input x"), warned: "is taken for jobmanager.rpc.address"},

		{name: "the job's, after a double hyphen", args: w("-j a.Main -- --host 10.1.2.3"), env: "POD_IP=10.1.2.3", class: class, program: w("--host 10.1.2.3")},
		{name: "the job's, after its own argument", args: w("-j a.Main run --host 10.1.2.3 -Da=b"), env: "POD_IP=10.1.2.3", class: class, program: w("run --host 10.1.2.3 -Da=b")},
		{name: "the job's, after its own option", args: w("-j a.Main --input x --host 10.1.2.3"), class: class, program: w("--input x --host 10.1.2.3")},
		{name: "the job's, after an empty argument", args: []string{"-j", class, "", "--host", ip}, class: class, program: []string{"", "--host", ip}},
		{name: "the job's, of no Flink option", args: w("-j a.Main --hostname db -help -rate 5 --host-name x"), class: class, program: w("--hostname db -help -rate 5 --host-name x")},
		{name: "the job's, without a value", args: w("-j a.Main -h"), class: class, program: w("-h")},
	}
}

// guesses are the job's on 2.x, where 1.x would take them: nothing says that the JobManager is meant.
func guesses() []hostCase {
	w := func(words string) []string { return strings.Fields(words) }
	const class, warned = "a.Main", "is passed to the job's main method"
	return []hostCase{
		{name: "a name after the class", args: w("-j a.Main --host db --port 5432"), class: class, program: w("--host db --port 5432"), warned: warned},
		{name: "this machine", args: w("-j a.Main --host 127.0.0.1 --port 9999"), class: class, program: w("--host 127.0.0.1 --port 9999"), warned: warned},
		{name: "not this pod", args: w("-j a.Main --host 10.9.9.9 --port 1"), env: "POD_IP=10.1.2.3", class: class, program: w("--host 10.9.9.9 --port 1"), warned: warned},
		{name: "a number", args: w("-j a.Main -r 5"), class: class, program: w("-r 5"), warned: warned},
		{name: "with short options of the job", args: w("-j a.Main --host db -n 5"), class: class, program: w("--host db -n 5"), warned: warned},
	}
}

// TestHostOptionOfApplications: on 2.x Flink gives --host IP and everything after it, its own options too, to the job's main.
func TestHostOptionOfApplications(t *testing.T) {
	for _, tt := range slices.Concat(applicationCases(), guesses()) {
		home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
		plan, err := gather(t, home, "standalone-job", append(env, tt.env), func(_ *Options, w *World) { w.Args = tt.args })
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		argv := plan.Command.Argv
		words := argv[slices.Index(argv, "--configDir"):]
		got := hostCase{program: programOf(words[2:])}
		for i, word := range words[:len(words)-len(got.program)] {
			if v, ok := strings.CutPrefix(word, settings.KeyJobManagerAddress+"="); ok {
				got.address = v
			}
			if v, ok := strings.CutPrefix(word, "rest.port="); ok {
				got.port = v
			}
			if word == "-j" || word == "--job-classname" {
				got.class = words[i+1]
			}
			if v, ok := strings.CutPrefix(word, "--job-classname="); ok {
				got.class = v
			}
		}
		if got.address != tt.address || got.port != tt.port || got.class != tt.class || !slices.Equal(got.program, tt.program) {
			t.Errorf("%s: got %+v, want %+v, from %q", tt.name, got, tt, argv)
		}
		if tt.address != "" && plan.Config.Effective.Text(settings.KeyJobManagerAddress) != tt.address {
			t.Errorf("%s: explain shows the address %s", tt.name, plan.Config.Effective.Text(settings.KeyJobManagerAddress))
		}
		if warnings := strings.Join(plan.Warnings, "\n"); !strings.Contains(warnings, tt.warned) || (tt.warned == "") != (warnings == "") {
			t.Errorf("%s: warnings %q, want %q", tt.name, warnings, tt.warned)
		}
	}
}

// programOf is what Flink 2.x gives to the main.
func programOf(words []string) []string {
	for len(words) > 0 {
		if words[0] == "--" {
			return words[1:]
		}
		size := flinkoptions.JobOptionSize(words)
		if size == 0 {
			break
		}
		words = words[size:]
	}
	return words
}

// TestHostOptionIsLeftTo1x: there it is Flink's own.
func TestHostOptionIsLeftTo1x(t *testing.T) {
	for _, version := range []string{"1.15.4", "1.20.5"} {
		name := "flink-conf.yaml"
		home, env := stubHome(t, version, map[string]string{name: moduleLine()})
		args := []string{"--host", "10.1.2.3", "--job-classname", "a.Main", "--host", "db"}
		plan, err := gather(t, home, "standalone-job", env, func(_ *Options, w *World) { w.Args = args })
		if err != nil {
			t.Fatal(err)
		}
		if argv := plan.Command.Argv; !slices.Equal(argv[len(argv)-len(args):], args) {
			t.Errorf("Flink %s: %q", version, argv)
		}
	}
}

// TestHostOptionOfSessions: jobmanager.sh takes the word --host for a host name.
func TestHostOptionOfSessions(t *testing.T) {
	for _, tt := range []struct {
		version string
		args    string
		want    string // at the end of the command line
	}{
		{"2.2.1", "--host 10.1.2.3", "-D jobmanager.rpc.address=10.1.2.3"},
		{"2.2.1", "-h=10.1.2.3 --webui-port 8082 -D a=b", "-D a=b -D jobmanager.rpc.address=10.1.2.3 -D rest.port=8082"},
		{"2.2.1", "-Da=b --host 10.1.2.3", "-Da=b -D jobmanager.rpc.address=10.1.2.3"},
		{"2.2.1", "-D --host=x -r 8082", "-D --host=x -D rest.port=8082"},
		{"2.2.1", "10.1.2.3 8082", "-D jobmanager.rpc.address=10.1.2.3 -D rest.port=8082"},
		{"1.20.5", "--host 10.1.2.3 --webui-port=8082", "-D jobmanager.rpc.address=10.1.2.3 -D rest.port=8082"},
		{"1.15.4", "-D a=b -h 10.1.2.3", "-D a=b -D jobmanager.rpc.address=10.1.2.3"},
		{"1.14.6", "--host 10.1.2.3 --webui-port 8082", "--host 10.1.2.3 --webui-port 8082 -D"},
	} {
		name := "flink-conf.yaml"
		if tt.version == "2.2.1" {
			name = "config.yaml"
		}
		home, env := stubHome(t, tt.version, map[string]string{name: moduleLine()})
		plan, err := gather(t, home, "jobmanager", env, func(_ *Options, w *World) { w.Args = strings.Fields(tt.args) })
		if err != nil {
			t.Fatalf("%s %s: %v", tt.version, tt.args, err)
		}
		argv := strings.Join(plan.Command.Argv, " ")
		if tt.version == "1.14.6" {
			if !strings.Contains(argv, " "+tt.want+" ") {
				t.Errorf("%s %s: %s", tt.version, tt.args, argv)
			}
		} else if !strings.HasSuffix(argv, " "+tt.want) {
			t.Errorf("%s %s: %s", tt.version, tt.args, argv)
		}
	}
}

// TestHostOptionBesideASQLJob: the definition's job takes no arguments.
func TestHostOptionBesideASQLJob(t *testing.T) {
	home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
	file := t.TempDir() + "/job.sql"
	if err := os.WriteFile(file, []byte("CREATE TABLE t (n INT) WITH ('connector'='blackhole'); INSERT INTO t SELECT 1;"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"--host 10.1.2.3": "", "-j a.B": "--job-classname", "--host db": `"--host"`} {
		_, err := gather(t, home, "standalone-job", env, func(o *Options, w *World) { o.Definition, w.Args = file, strings.Fields(args) })
		if at, _ := phase.Of(err); err == nil != (want == "") || err != nil && (at != phase.Usage || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
