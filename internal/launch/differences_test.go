package launch

import (
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// normalise undoes the deliberate differences, each in a function of its own name, so that what remains must be equal.
func normalise(version flinkversion.Version, role Role, args []string, got *Command, wantArgv []string, wantEnv map[string]string) (gotArgv, want []string, gotEnv map[string]string) {
	gotArgv, want = slices.Clone(got.Argv), slices.Clone(wantArgv)
	gotEnv = make(map[string]string)
	for k, v := range got.Changed {
		gotEnv[k] = v
	}
	for _, argv := range [][]string{gotArgv, want} {
		if i := slices.Index(argv, "-classpath"); i >= 0 && i+1 < len(argv) {
			argv[i+1] = classpathSortedByBytes(classpathWithoutPythonWarning(classpathWithoutEmptyElements(argv[i+1])))
		}
	}
	want = joinedPropertyStays(version, role, args, want)
	want = historyServerGetsArguments(role, args, want)
	if role.IsClient() {
		for _, name := range []string{"CC_CLASSPATH", "FLINK_PYTHON_JAR", "FLINK_SQL_CLIENT_JAR"} {
			if v, ok := gotEnv[name]; ok && filesInAnyOrder(v) == filesInAnyOrder(wantEnv[name]) {
				gotEnv[name] = wantEnv[name]
			}
		}
	} else if rulesOf(version).evaluate {
		end := slices.IndexFunc(gotArgv, func(a string) bool {
			return strings.HasPrefix(a, "-Dlog.file=") || a == "-Dconsole.log.level=OFF"
		})
		gotArgv = slices.Concat(optionsAsScripts(gotArgv[:end], getter(got.Env)), gotArgv[end:])
		if v, ok := gotEnv["FLINK_ENV_JAVA_OPTS"]; ok {
			// What vanishes may leave a blank: where something does, blanks are not counted.
			undone := strings.Join(optionsAsScripts([]string{v}, getter(got.Env)), " ")
			want, changed := wantEnv["FLINK_ENV_JAVA_OPTS"]
			switch vanished := undone != strings.Join(fields(v), " "); {
			case vanished && !changed: // to the scripts, nothing is left of what they added
				delete(gotEnv, "FLINK_ENV_JAVA_OPTS")
			case vanished && undone == strings.Join(fields(want), " "):
				gotEnv["FLINK_ENV_JAVA_OPTS"] = want
			}
		}
	}
	if rulesOf(version).flattened {
		withoutYAMLQuotes(gotEnv, wantEnv)
	}
	return gotArgv, want, gotEnv
}

// withoutYAMLQuotes: Flink prints a value that needs them with YAML's quotes, which the scripts leave in the variable.
func withoutYAMLQuotes(gotEnv, wantEnv map[string]string) {
	for name, v := range gotEnv {
		if want := wantEnv[name]; strings.HasPrefix(name, "FLINK_ENV_JAVA_OPTS") && strings.ReplaceAll(want, "'", "") == strings.ReplaceAll(v, "'", "") {
			gotEnv[name] = want
		}
	}
}

// filesInAnyOrder: find has no order, and a line feed between two files.
func filesInAnyOrder(list string) string {
	files := strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == '\n' })
	slices.Sort(files)
	return strings.Join(files, ":")
}

// classpathSortedByBytes: the scripts sort by the locale.
func classpathSortedByBytes(classpath string) string {
	elements := strings.Split(classpath, ":")
	lib := 0
	for lib < len(elements) && !strings.HasPrefix(filepath.Base(elements[lib]), "flink-dist") {
		lib++
	}
	slices.Sort(elements[:lib])
	return strings.Join(elements, ":")
}

// classpathWithoutPythonWarning: without flink-python*.jar the scripts put their warning into the class path, and with
// two of them a blank between.
func classpathWithoutPythonWarning(classpath string) string {
	elements := slices.DeleteFunc(strings.Split(classpath, ":"), func(e string) bool { return strings.HasPrefix(e, "[WARN] Flink python jar not found") })
	var out []string
	for _, e := range elements {
		if strings.Contains(e, "flink-python") {
			each := strings.Split(strings.ReplaceAll(e, "jar /", "jar\n/"), "\n")
			slices.Sort(each)
			out = append(out, each...)
			continue
		}
		out = append(out, e)
	}
	return strings.Join(out, ":")
}

// classpathWithoutEmptyElements: they mean the working directory.
func classpathWithoutEmptyElements(classpath string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(classpath, ":"), func(e string) bool { return e == "" }), ":")
}

// joinedPropertyStays: jobmanager.sh of 2.x takes -Dk=v for a host.
func joinedPropertyStays(version flinkversion.Version, role Role, args, want []string) []string {
	at := slices.Index(want, "--configDir") + 2
	switch i := joinedProperty(version, role, args); i {
	case 0:
		return slices.Concat(want[:at], args)
	case 1:
		if len(fields(args[0])) > 1 { // [ ! -z $HOST ] fails on two words: the scripts see no host then
			return slices.Concat(want[:at], args[1:])
		}
		return slices.Concat(want[:at], args[1:], []string{"-D", "jobmanager.rpc.address=" + args[0]})
	}
	return want
}

// joinedProperty returns which argument, 0 or 1, jobmanager.sh takes for host or port although it is a -Dk=v; else -1.
func joinedProperty(version flinkversion.Version, role Role, args []string) int {
	joined := func(i int) bool { return i < len(args) && strings.HasPrefix(args[i], "-D") && args[i] != "-D" }
	switch {
	case role != JobManager || !version.Reaches(flinkversion.Since(2, 0)):
	case joined(0):
		return 0
	case len(args) > 0 && len(fields(args[0])) > 0 && args[0] != "-D" && joined(1):
		return 1
	}
	return -1
}

// historyServerGetsArguments: historyserver.sh drops them.
func historyServerGetsArguments(role Role, args, want []string) []string {
	if role == HistoryServer {
		return slices.Concat(want, args)
	}
	return want
}

// optionsAsScripts makes of our Java options what the scripts make of them: quoted blanks split, variables that do not exist
// vanish, the one known command is executed, and the one known file name pattern is expanded.
func optionsAsScripts(options []string, env func(string) (string, bool)) []string {
	var out []string
	for _, option := range options {
		option = unsetVariablesVanish(option, env)
		option = strings.ReplaceAll(option, "$(echo hi)", "hi")
		for _, word := range fields(option) { // quoted blanks do not hold a word together
			if strings.HasPrefix(word, "/") && strings.HasSuffix(word, "/bin/job*") {
				word = strings.TrimSuffix(word, "job*") + "jobmanager.sh"
			}
			out = append(out, word)
		}
	}
	return out
}

func unsetVariablesVanish(option string, env func(string) (string, bool)) string {
	for _, name := range []string{"UNSET_X", "MYVAR", "ROOT_LOG_LEVEL"} {
		if _, ok := env(name); !ok {
			option = strings.NewReplacer("${"+name+"}", "", "$"+name, "").Replace(option)
		}
	}
	return option
}
