package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// generate mixes what users set: a configuration, FLINK_PROPERTIES, a definition, flags, dynamic properties, limits.
func generate(name, version string, r *rand.Rand, confs []string) testCase {
	c := testCase{name: name, version: version, files: map[string]string{}}
	one := func(from []string) string { return from[r.IntN(len(from))] }
	maybe := func(percent int) bool { return r.IntN(100) < percent }

	if conf := one(confs); maybe(30) && isDir(conf) {
		c.confDir = conf
	}
	var flags []string
	if maybe(60) {
		flags = append(flags, "--memory-limit", one([]string{"400m", "1g", "1728m", "2Gi", "3g", "1500M", "16g", "nonsense"}))
	} else if maybe(70) {
		trees, _ := filepath.Glob("internal/cgroup/testdata/*")
		if tree, err := filepath.Abs(one(trees)); err == nil {
			flags = append(flags, "--sysroot", tree)
		}
	}
	if maybe(30) {
		flags = append(flags, "--memory", one([]string{"auto", "limit", "keep", "1g", "2200m"}))
	}
	if maybe(20) {
		flags = append(flags, "--memory-ratio", one([]string{"0.8", "0.95", "1.0", "2"}))
	}
	if maybe(30) {
		flags = append(flags, "--cpu-limit", one([]string{"0.5", "1", "2.5", "7"}), "--slots", one([]string{"auto", "keep", "3"}))
	}
	if maybe(20) {
		flags = append(flags, "--advertise", one([]string{"10.1.2.3", "jm.example", "::1"}))
	}
	if maybe(10) {
		flags = append(flags, "--strict")
	}
	if maybe(50) {
		var lines []string
		for range 1 + r.IntN(4) {
			lines = append(lines, one(properties))
		}
		c.env = append(c.env, "FLINK_PROPERTIES="+strings.Join(lines, "\n"))
	}
	for _, variable := range []string{
		"JOB_MANAGER_RPC_ADDRESS=jobmanager", "TASK_MANAGER_NUMBER_OF_TASK_SLOTS=4", "POD_IP=10.0.0.7", "POD_NAME=pod-1", "DISABLE_JEMALLOC=true",
		"ENABLE_BUILT_IN_PLUGINS=flink-s3-fs-hadoop-" + version + ".jar", "FLINK_ENV_JAVA_OPTS=-Dx='a b' -Dy=\"c\"", "FLINK_ENV_JAVA_OPTS_TM=-Xss1m",
		"JVM_ARGS=-Dargs=1", "FLINK_LOG_DIR=/var/log/flink", "HADOOP_CLASSPATH=/opt/hadoop/*", "FLINK_ENTRYPOINT_UNKNOWN=1",
	} {
		if maybe(12) {
			c.env = append(c.env, variable)
		}
	}
	role := one([]string{"taskmanager", "taskmanager", "standalone-job", "standalone-job", "jobmanager", "history-server", "sql-gateway"})
	if maybe(60) {
		c.files["d.yaml"] = definition(r)
		flags = append(flags, "--definition", "d.yaml")
	}
	var args []string
	for range r.IntN(3) {
		args = append(args, one([]string{"-Dtaskmanager.memory.managed.size=64m", "-Dtaskmanager.numberOfTaskSlots=2", "-D", "a.b=c d", "-Dstate.backend.type=rocksdb",
			"-Djobmanager.memory.heap.size=700m", "--host", "1.2.3.4", "-Drest.port=0", "-Dx=*", "-Denv.java.opts.all=-Dq='x y'", "--fromSavepoint", "s3://a/b"}))
	}
	after := append([]string{role}, args...)
	join := func(words ...string) []string {
		return append(append(append([]string{}, flags...), words...), after...)
	}
	c.commands = [][]string{join("--output", "json", "explain"), join("explain"), join("render"), join()}
	return c
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

var properties = []string{
	"taskmanager.numberOfTaskSlots: 3", "taskmanager.memory.process.size: 2g", "taskmanager.memory.flink.size: 1g", "taskmanager.memory.managed.fraction: 0.3",
	"jobmanager.memory.flink.size: 900m", "jobmanager.memory.jvm-metaspace.size: 300m", "taskmanager.memory.network.max: 128mb", "taskmanager.memory.network.fraction: 0.2",
	"env.java.opts.all: -XX:+UseG1GC -Dfoo=bar", "env.java.opts.taskmanager: -Dq='a b' -Xss2m", "env.java.opts: -verbose:gc", "s3.secret-key: hidden-value", "s3.access-key: ${HOSTNAME}",
	"metrics.scope.jm: <host>.*", "state.checkpoints.dir: s3://bucket/#1", "rest.port: 8082", "# a comment", "", "parallelism.default: 7 # comment",
	"high-availability.type: zookeeper", "high-availability.storageDir: /ha", "high-availability.zookeeper.quorum: zk:2181", "unset: ${NO_SUCH_VARIABLE}", "taskmanager:\n  memory:\n    managed:\n      size: 100m",
	"blob.server.port: 7000", "jobmanager.rpc.port: 6200", "taskmanager.host: tm-1", "pipeline.jars: a;b", "pekko.ask.timeout: 10 s", "akka.ask.timeout: 10 s", "classloader.resolve-order: parent-first",
	"taskmanager.resource-id: x", "jobmanager.memory.enable-jvm-direct-memory-limit: true", "taskmanager.memory.task.heap.size: 400m\ntaskmanager.memory.managed.size: 200m", "a: 'quoted'", "b: \"double\"",
	"list: [a, b]", "map: {k: v, l: 'm, n'}", "double: 1.5E10", "text: it's", "key with blank: x",
}

// definition writes a definition of randomly chosen parts.
func definition(r *rand.Rand) string {
	var b strings.Builder
	one := func(from ...string) { b.WriteString(from[r.IntN(len(from))]) }
	b.WriteString("apiVersion: flink-entrypoint/v1\nname: job\n")
	one("", "", "id: 00000000000000000000000000000001\n")
	one("", "", "", "flinkVersion: \"2.2\"\n")
	one("", "resources:\n  taskManager: {memory: 2g, cpu: 2, slots: 2}\n", "resources:\n  jobManager: {memory: 1600m, cpu: 1}\n  taskManager: {memory: auto, slots: auto}\n", "resources: {taskManager: {memory: 300m}}\n")
	one("", "configuration:\n  state.backend.type: rocksdb\n  execution:\n    checkpointing:\n      interval: 1 min\n", "configuration:\n  s3.secret-key: {fromEnv: HOSTNAME}\n  taskmanager.memory.managed.size: 300m\n", "configuration: {a: 1.50, b: [x, y], c: 'q', d: true}\n")
	one("", "", "highAvailability: {type: zookeeper, clusterId: c, storageDir: \"s3://ha/c\", quorum: \"zk:2181\"}\n", "highAvailability: {type: kubernetes, clusterId: c, storageDir: /ha}\n")
	one("", "logging: {level: DEBUG, loggers: {org.apache.kafka: WARN}}\n")
	one("", "", "artifacts:\n  - {uri: flink/conf/log4j-console.properties, to: run}\n")
	switch r.IntN(4) {
	case 0:
		b.WriteString("sql:\n")
		one("", "  set: {table.exec.state.ttl: 1 h, 'pipeline.name': o'clock}\n")
		one("", "  modules: [{name: hive, options: {hive-version: 3.1.3}}]\n  useModules: [hive, core]\n")
		one("", "  catalogs:\n    - {name: ods, options: {type: generic_in_memory}}\n    - {createStatement: \"CREATE CATALOG dim WITH ('type'='generic_in_memory')\"}\n  use: {catalog: ods, database: default}\n")
		one("", "  functions: [{name: f, class: com.example.F}]\n")
		one("  script: |\n    CREATE TABLE t (a INT) WITH ('connector'='datagen');\n    CREATE TABLE s (a INT) WITH ('connector'='print');\n    INSERT INTO s SELECT a FROM t;\n",
			"  script: SELECT 1\n", "  script: |\n    SET 'execution.runtime-mode'='batch';\n    INSERT INTO a SELECT 1;\n    INSERT INTO b SELECT 2;\n", "  script: \"INSERT INTO a SELECT 'it''s;' -- c\"\n")
	case 1:
		fmt.Fprintf(&b, "jar: {uri: flink/usrlib/job.jar, entryClass: com.example.Main, args: [%s]}\n", []string{"", "--window, '60'", "a b, '*'"}[r.IntN(3)])
	}
	one("", "", "savepoint: {path: \"s3://sp/1\", allowNonRestoredState: true}\n")
	return b.String()
}
