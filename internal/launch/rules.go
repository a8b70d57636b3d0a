package launch

import "flink-entrypoint/internal/flinkconf"

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

// change is what a release's scripts do differently from those before it.
type change struct {
	since flinkconf.Version
	apply func(*rules)
}

// history lists the changes, oldest first.
func history() []change {
	v := func(major, minor int) flinkconf.Version { return flinkconf.Version{Major: major, Minor: minor} }
	return []change{
		{v(1, 13), func(r *rules) { r.optionKeys = []string{"env.java.opts"} }},
		{v(1, 14), func(r *rules) { r.evaluate = true }},                                             // FLINK-23057
		{v(1, 15), func(r *rules) { r.jobManagerArgs = hostPortOptions }},                            // FLINK-28733
		{v(1, 16), func(r *rules) { r.gateway, r.memoryArgs = true, true }},                          // FLINK-32909, 1.16.3
		{v(1, 17), func(r *rules) { r.optionKeys = []string{"env.java.opts.all", "env.java.opts"} }}, // FLINK-29372
		{v(1, 17), func(r *rules) { r.python = true }},
		{v(1, 18), func(r *rules) { r.ignoreUnrecognized, r.redirect = true, true }},                   // FLINK-32290, FLINK-31234
		{v(1, 19), func(r *rules) { r.flattened, r.exportJava = true, true }},                          // FLINK-33721
		{v(1, 19), func(r *rules) { r.defaultOpts, r.rootLogLevel, r.gatewayOpts = true, true, true }}, // FLINK-33221, FLINK-33166
		{v(1, 19), func(r *rules) { r.securityManager = true }},                                        // FLINK-33309
		{v(2, 0), func(r *rules) { r.jobManagerArgs = hostPortProperty }},                              // FLINK-36355
		{v(2, 2), func(r *rules) { r.bareLogMax = true }},
	}
}

func rulesOf(v flinkconf.Version) rules {
	var r rules
	for _, c := range history() {
		if v.AtLeast(c.since.Major, c.since.Minor) {
			c.apply(&r)
		}
	}
	return r
}

// roleScript is what the role scripts and flink-console.sh know of a role.
type roleScript struct {
	service    string // part of the pid and log file names
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
