package launch

import (
	"flink-entrypoint/internal/flinkversion"
)

// rules say what the scripts of one Flink release do. Sources: bin/config.sh, bash-java-utils.sh,
// flink-console.sh and the role scripts of the releases 1.13.6 to 2.3.0.
type rules struct {
	// Configuration, as the shell reads it.
	flattened   bool     // values come from the lines Flink prints (BashJavaUtils), not from the file by sed
	optionKeys  []string // env.java.opts for all processes; the first key with a value wins
	defaultOpts bool     // env.java.default-opts.* go before env.java.opts.*
	bareLogMax  bool     // single quotes around MAX_LOG_FILE_NUMBER are removed

	// Java options.
	ignoreUnrecognized bool // -XX:+IgnoreUnrecognizedVMOptions first
	securityManager    bool // -Djava.security.manager=allow on Java newer than 17
	evaluate           bool // quotes and variables in Java options are evaluated (`eval echo`)
	gatewayOpts        bool // sql-gateway.sh passes its own options on

	// Environment and logging.
	exportJava   bool // JAVA_HOME and JAVA_RUN are exported, even empty
	rootLogLevel bool // ROOT_LOG_LEVEL
	redirect     bool // STD_REDIRECT_TO_FILE

	// Class path.
	gateway bool // flink-sql-gateway*.jar for the SQL gateway
	python  bool // flink-python*.jar beside it

	// sql-client.sh.
	sqlClientGateway     bool // flink-sql-gateway*.jar is on the class path
	sqlClientOptions     bool // Java options are used, before JVM_ARGS
	sqlClientJarFirst    bool // its own jar is before Hadoop's class path, not after it
	sqlClientJarArgument bool // its own jar is an argument as well

	// Arguments of jobmanager.sh.
	jobManagerArgs jobManagerArgs
	memoryArgs     bool // the user's -D reach the memory calculation
}

// jobManagerArgs is how jobmanager.sh arranges its arguments.
type jobManagerArgs uint8

const (
	hostPortOnly     jobManagerArgs = iota // [HOST [PORT]], nothing else; generated properties last
	hostPortOptions                        // [HOST [PORT]] [-D …]; generated properties first
	hostPortProperty                       // the same, host and port become -D properties, no --executionMode
)

// history lists what each release's scripts do differently from those before it, oldest first.
func history() []flinkversion.Change[rules] {
	return []flinkversion.Change[rules]{
		flinkversion.From(1, 13, func(r *rules) { r.optionKeys = []string{"env.java.opts"} }),
		flinkversion.From(1, 13, func(r *rules) { r.sqlClientJarArgument = true }),
		flinkversion.From(1, 14, func(r *rules) { r.evaluate = true }),                                             // FLINK-23057
		flinkversion.From(1, 15, func(r *rules) { r.jobManagerArgs = hostPortOptions }),                            // FLINK-28733
		flinkversion.From(1, 16, func(r *rules) { r.gateway, r.memoryArgs = true, true }),                          // FLINK-32909, 1.16.3
		flinkversion.From(1, 17, func(r *rules) { r.optionKeys = []string{"env.java.opts.all", "env.java.opts"} }), // FLINK-29372
		flinkversion.From(1, 17, func(r *rules) { r.python, r.sqlClientGateway = true, true }),
		flinkversion.From(1, 18, func(r *rules) { r.ignoreUnrecognized, r.redirect = true, true }), // FLINK-32290, FLINK-31234
		flinkversion.From(1, 18, func(r *rules) { r.sqlClientOptions = true }),
		flinkversion.From(1, 19, func(r *rules) { r.sqlClientJarFirst = true }),
		flinkversion.From(1, 19, func(r *rules) { r.flattened, r.exportJava = true, true }),                          // FLINK-33721
		flinkversion.From(1, 19, func(r *rules) { r.defaultOpts, r.rootLogLevel, r.gatewayOpts = true, true, true }), // FLINK-33221, FLINK-33166
		flinkversion.From(1, 19, func(r *rules) { r.securityManager = true }),                                        // FLINK-33309
		flinkversion.From(2, 0, func(r *rules) { r.jobManagerArgs = hostPortProperty }),                              // FLINK-36355
		flinkversion.From(2, 0, func(r *rules) { r.sqlClientJarArgument = false }),
		flinkversion.From(2, 2, func(r *rules) { r.bareLogMax = true }),
	}
}

func rulesOf(v flinkversion.Version) rules { return flinkversion.RulesOf(v, history()) }

// roleScript is what the role scripts and flink-console.sh know of a role.
type roleScript struct {
	service    string // part of the names of the pid file, if there is one, and of the log file
	class      string
	optionsVar string // variable of config.sh with the role's Java options
}

func scriptOf(role Role) (roleScript, bool) {
	s, ok := map[Role]roleScript{
		JobManager:    {"standalonesession", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "FLINK_ENV_JAVA_OPTS_JM"},
		StandaloneJob: {"standalonejob", "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint", "FLINK_ENV_JAVA_OPTS_JM"},
		TaskManager:   {"taskexecutor", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "FLINK_ENV_JAVA_OPTS_TM"},
		HistoryServer: {"historyserver", "org.apache.flink.runtime.webmonitor.history.HistoryServer", "FLINK_ENV_JAVA_OPTS_HS"},
		SQLGateway:    {"sql-gateway", "org.apache.flink.table.gateway.SqlGateway", "FLINK_ENV_JAVA_OPTS_SQL_GATEWAY"},

		KubernetesSession:     {"kubernetes-session", "org.apache.flink.kubernetes.entrypoint.KubernetesSessionClusterEntrypoint", "FLINK_ENV_JAVA_OPTS_JM"},
		KubernetesApplication: {"kubernetes-application", "org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint", "FLINK_ENV_JAVA_OPTS_JM"},
		KubernetesTaskManager: {"kubernetes-taskmanager", "org.apache.flink.kubernetes.taskmanager.KubernetesTaskExecutorRunner", "FLINK_ENV_JAVA_OPTS_TM"},

		FlinkClient: {"client", "org.apache.flink.client.cli.CliFrontend", "FLINK_ENV_JAVA_OPTS_CLI"},
		SQLClient:   {"sql-client", "org.apache.flink.table.client.SqlClient", "FLINK_ENV_JAVA_OPTS_CLI"},
	}[role]
	return s, ok
}

// setting is a variable that config.sh takes from the configuration when it is unset or empty.
type setting struct {
	name, key, def string
	export         bool
}

// settings lists them. The Java options are apart, because they are composed.
func (r rules) settings(logDir string) []setting {
	list := []setting{
		{"MAX_LOG_FILE_NUMBER", "env.log.max", "10", true},
		{"FLINK_LOG_DIR", "env.log.dir", logDir, false},
		{"YARN_CONF_DIR", "env.yarn.conf.dir", "", false},
		{"HADOOP_CONF_DIR", "env.hadoop.conf.dir", "", false},
		{"HBASE_CONF_DIR", "env.hbase.conf.dir", "", false},
		{"FLINK_PID_DIR", "env.pid.dir", "/tmp", false},
		{"FLINK_SSH_OPTS", "env.ssh.opts", "", false},
		{"ZK_HEAP", "zookeeper.heap.mb", "0", false},
	}
	if r.rootLogLevel {
		list = append(list, setting{"ROOT_LOG_LEVEL", "env.log.level", "INFO", true})
	}
	if r.redirect {
		list = append(list, setting{"STD_REDIRECT_TO_FILE", "env.stdout-err.redirect-to-file", "false", false})
	}
	return list
}

// optionSetting is a variable of config.sh that holds Java options of one kind of process.
type optionSetting struct{ name, key, defaultKey string }

func (r rules) optionSettings() []optionSetting {
	list := []optionSetting{
		{"FLINK_ENV_JAVA_OPTS_JM", "env.java.opts.jobmanager", "env.java.default-opts.jobmanager"},
		{"FLINK_ENV_JAVA_OPTS_TM", "env.java.opts.taskmanager", "env.java.default-opts.taskmanager"},
		{"FLINK_ENV_JAVA_OPTS_HS", "env.java.opts.historyserver", ""},
		{"FLINK_ENV_JAVA_OPTS_CLI", "env.java.opts.client", ""},
	}
	if r.gatewayOpts {
		list = append(list, optionSetting{"FLINK_ENV_JAVA_OPTS_SQL_GATEWAY", "env.java.opts.sql-gateway", ""})
	}
	return list
}
