package launch

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// MemoryArgs returns the user's arguments that the role's script passes to Flink's memory calculation.
// The scripts split them at blanks on the way; here they stay whole, so that -D key=4 gb works.
func MemoryArgs(role Role, version flinkversion.Version, args []string) []string {
	switch role {
	case StandaloneJob, TaskManager, KubernetesSession, KubernetesApplication:
		return args
	case JobManager:
		if r := rulesOf(version); r.memoryArgs {
			return splitJobManagerArgs(r, args, nil).rest
		}
	}
	return nil
}

// roleSh does what the role's script does after config.sh, and returns the arguments of the main class.
func (b *builder) roleSh() []string {
	sh := b.sh
	if b.Role.IsClient() {
		if b.Role == FlinkClient || b.rules.sqlClientOptions {
			sh.set("FLINK_ENV_JAVA_OPTS", sh.get("FLINK_ENV_JAVA_OPTS")+" "+sh.get(b.script.optionsVar))
		}
		return concat(b.ExtraArgs, b.Args)
	}
	if (b.Role == TaskManager || b.Role == KubernetesTaskManager) && sh.get("FLINK_ENV_JAVA_OPTS") == "" && sh.get("FLINK_ENV_JAVA_OPTS_TM") == "" {
		sh.export("JVM_ARGS", sh.get("JVM_ARGS")+" -XX:+UseG1GC")
	}
	if b.Role != SQLGateway || b.rules.gatewayOpts {
		sh.export("FLINK_ENV_JAVA_OPTS", b.variableOptions("FLINK_ENV_JAVA_OPTS")+" "+b.variableOptions(b.script.optionsVar))
	}
	sh.array("ARGS") // flink-console.sh
	var generated []string
	if b.Role.HasMemory() && b.Memory != nil {
		for _, property := range b.Memory.DynamicProperties() {
			generated = append(generated, "-D", property)
		}
		sh.export("JVM_ARGS", sh.get("JVM_ARGS")+" "+strings.Join(b.Memory.JVMParameters(), " "))
		sh.export("DYNAMIC_PARAMETERS", strings.Join(generated, " "))
		if slices.ContainsFunc(MemoryArgs(b.Role, b.Home.Version, b.Args), func(a string) bool { return strings.ContainsAny(a, " \t\n") }) {
			b.differ("arguments with blanks reach the memory calculation whole; Flink's scripts split them")
		}
	}
	confDir := []string{"--configDir", b.ConfDir}
	switch b.Role {
	case KubernetesSession, KubernetesApplication:
		confDir = nil // the JVM reads FLINK_CONF_DIR
	case KubernetesTaskManager:
		sh.export("JVM_ARGS", sh.get("JVM_ARGS")+" "+sh.get("FLINK_TM_JVM_MEM_OPTS"))
		if len(fields(sh.get("FLINK_TM_JVM_MEM_OPTS"))) == 0 {
			b.warn("FLINK_TM_JVM_MEM_OPTS is not set: the JVM takes sizes of its own, not those that the JobManager counts with")
		}
	case JobManager:
		return b.jobManagerArgs(confDir, generated)
	case SQLGateway:
		if strings.Contains(strings.Join(b.Args, " "), "-h") {
			b.differ("-h inside an argument is nothing special; Flink's script starts a gateway without options and logs then")
		}
		return concat(b.ExtraArgs, b.Args)
	case HistoryServer:
		if len(b.Args) > 0 {
			b.differ("the arguments %q reach the history server; Flink's script drops them", b.Args)
		}
		sh.array("args")
	}
	return concat(confDir, generated, b.ExtraArgs, b.Args)
}

// jobManagerArgs does the argument part of jobmanager.sh.
func (b *builder) jobManagerArgs(confDir, generated []string) []string {
	split := splitJobManagerArgs(b.rules, b.Args, b.sh.lookup)
	if split.fromEnv != "" {
		b.warn("%s of the environment is taken for the JobManager's own, as Flink's script does", split.fromEnv)
	}
	if len(split.dropped) > 0 {
		b.warn("jobmanager.sh of Flink %s takes a host and a port only: %q ignored", b.Home.Version.Release(), split.dropped)
	}
	if strings.HasPrefix(split.host, "-") {
		b.warn("jobmanager.sh of Flink %s takes %q for a host name", b.Home.Version.Release(), split.host)
	}
	if split.joined {
		b.differ("-Dkey=value in one word stays a property; Flink's script takes it for a host or port")
	}
	var address []string
	add := func(value, option, property string) {
		switch {
		case len(fields(value)) != 1: // [ ! -z $HOST ] fails on two words
		case b.rules.jobManagerArgs == hostPortProperty:
			address = append(address, "-D", property+"="+value)
		default:
			address = append(address, option, value)
		}
	}
	add(split.host, "--host", "jobmanager.rpc.address")
	add(split.port, "--webui-port", "rest.port")
	b.sh.array("args")
	b.sh.set("HOST", split.host)
	b.sh.set("WEBUIPORT", split.port)

	mode := []string{"--executionMode", "cluster"}
	switch b.rules.jobManagerArgs {
	case hostPortOnly:
		return concat(confDir, mode, address, generated, b.ExtraArgs)
	case hostPortOptions:
		return concat(generated, confDir, mode, b.ExtraArgs, split.rest, address)
	default:
		return concat(generated, confDir, b.ExtraArgs, split.rest, address)
	}
}

// jobManagerSplit is what jobmanager.sh makes of its arguments.
type jobManagerSplit struct {
	host, port string
	rest       []string
	dropped    []string // arguments the script ignores
	joined     bool     // an argument was kept that the script would have taken for host or port
	fromEnv    string   // names of environment variables that stand for missing arguments
}

// splitJobManagerArgs finds host and port. From 1.15 on the script does not reset HOST and WEBUIPORT, so those of
// the environment (lookup, may be nil) count when no argument does.
func splitJobManagerArgs(r rules, args []string, lookup func(string) (string, bool)) jobManagerSplit {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	if r.jobManagerArgs == hostPortOnly {
		return jobManagerSplit{host: arg(0), port: arg(1), dropped: args[min(2, len(args)):]}
	}
	var s jobManagerSplit
	isOption := func(i int) bool {
		a := arg(i)
		if r.jobManagerArgs == hostPortProperty && strings.HasPrefix(a, "-D") && a != "-D" {
			s.joined = true
			return true
		}
		return len(fields(a)) == 0 || a == "-D" // [ -z $2 ] || [[ $2 == "-D" ]]
	}
	taken := 0
	if !isOption(0) {
		s.host, taken = arg(0), 1
		if !isOption(1) {
			s.port, taken = arg(1), 2
		}
	}
	s.rest = args[min(taken, len(args)):]
	if lookup != nil {
		var names []string
		for i, v := range []struct {
			name  string
			value *string
		}{{"HOST", &s.host}, {"WEBUIPORT", &s.port}} {
			if value, ok := lookup(v.name); ok && taken <= i {
				*v.value = value
				if value != "" {
					names = append(names, fmt.Sprintf("%s=%s", v.name, value))
				}
			}
		}
		s.fromEnv = strings.Join(names, ", ")
	}
	return s
}

// fields splits text at blanks as a shell does; strings.Fields knows more kinds of them.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
}

func concat(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
