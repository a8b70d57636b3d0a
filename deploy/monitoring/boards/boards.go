package main

import "strings"

// selected puts the selectors of the board's variables in.
func (q query) selected() string {
	return strings.NewReplacer("JOB", `job_name=~"$job", team=~"$team"`, "CLUSTER", `flink_job=~"$job", team=~"$team"`, "TEAM", `team=~"$team"`).Replace(q.expr)
}

// per is a query of one metric of jobs, by labels that are also its legend.
func per(aggregation, metric, by string) query {
	var legend []string
	for label := range strings.SplitSeq(by, ", ") {
		legend = append(legend, "{{"+label+"}}")
	}
	selector := "{JOB}"
	if !strings.Contains(metric, "_job_") { // of a process
		selector = "{CLUSTER}"
	}
	return query{aggregation + " by (" + by + ") (" + metric + selector + ")", strings.Join(legend, " ")}
}

// ofSecond makes a part of the time of a query of milliseconds in a second.
func ofSecond(q query) query {
	q.expr += " / 1000"
	return q
}

// Prefixes of names: metrics of JobManagers, TaskManagers, tasks, operators, and the clients of Kafka in them.
const (
	jm       = "flink_jobmanager_"
	tm       = "flink_taskmanager_"
	task     = tm + "job_task_"
	operator = task + "operator_"
	consumer = operator + "KafkaSourceReader_KafkaConsumer_"
	producer = operator + "KafkaProducer_"
)

// boards are all dashboards.
func boards() []board {
	return []board{
		{file: "resource.json", title: "Flink: resources", about: "Slots, TaskManagers, and memory that Flink divides itself.", panels: resources()},
		{file: "stability.json", title: "Flink: stability", about: "Restarts, checkpoints, backpressure, late data.", panels: stability()},
		{file: "kafka.json", title: "Flink: Kafka", about: "Lag, and what consumers and producers do.", panels: kafka()},
		{file: "cpu-memory.json", title: "Flink: CPU and memory", about: "The JVMs of JobManagers and TaskManagers.", panels: cpuAndMemory()},
		{file: "platform.json", title: "Flink: platform", about: "flink-platform itself: jobs by state, queues, alerts.", panels: platform(), platform: true},
	}
}

func resources() []panel {
	return []panel{
		{title: "Task slots", unit: "short", about: "Slots of the clusters, and those that are free.", queries: []query{
			{"sum by (flink_job) (" + jm + "taskSlotsTotal{CLUSTER})", "{{flink_job}} all"}, {"sum by (flink_job) (" + jm + "taskSlotsAvailable{CLUSTER})", "{{flink_job}} free"}}},
		{title: "TaskManagers", unit: "short", about: "TaskManagers that have registered at their JobManager.", queries: []query{per("sum", jm+"numRegisteredTaskManagers", "flink_job")}},
		{title: "Running jobs", unit: "short", about: "Jobs that JobManagers run.", queries: []query{per("sum", jm+"numRunningJobs", "flink_job")}},
		{title: "Jobs by state", unit: "short", about: "Jobs that flink-platform knows, by the queue of their newest run.", queries: []query{{"sum by (queue) (flink_platform_jobs{TEAM})", "{{queue}}"}}},
		{title: "Managed memory in use", unit: "percentunit", about: "Part of managed memory (state backend, sorting, Python) that is in use. RocksDB reserves all of it.", queries: []query{
			{"sum by (flink_job, tm_id) (" + tm + "Status_Flink_Memory_Managed_Used{CLUSTER}) / (sum by (flink_job, tm_id) (" + tm + "Status_Flink_Memory_Managed_Total{CLUSTER}) > 0)", "{{flink_job}} {{tm_id}}"}}},
		{title: "Network memory in use", unit: "percentunit", warn: 0.8, bad: 0.95, about: "Part of network memory that is in use.", queries: []query{
			{"sum by (flink_job, tm_id) (" + tm + "Status_Shuffle_Netty_UsedMemory{CLUSTER}) / (sum by (flink_job, tm_id) (" + tm + "Status_Shuffle_Netty_TotalMemory{CLUSTER}) > 0)", "{{flink_job}} {{tm_id}}"}}},
		{title: "Network memory requested", unit: "percent", warn: 80, bad: 100, about: "What tasks may want at most, of the network memory that there is. Above 100 % a job may fail to start.", queries: []query{
			per("max", tm+"Status_Shuffle_Netty_RequestedMemoryUsage", "flink_job, tm_id")}},
		{title: "CPU of all TaskManagers", unit: "short", about: "CPU seconds that the JVMs use in a second: compare it with the CPUs that pods request.", queries: []query{
			{"sum by (flink_job) (rate(" + tm + "Status_JVM_CPU_Time{CLUSTER}[5m])) / 1e9", "{{flink_job}}"}}},
	}
}

func stability() []panel {
	return []panel{
		{title: "Restarts in 10 minutes", unit: "short", warn: 1, bad: 3, about: "Restarts of a job by Flink, after a failure.", queries: []query{{"sum by (job_name) (increase(" + jm + "job_numRestarts{JOB}[10m]))", "{{job_name}}"}}},
		{title: "Time since the last restart", unit: "ms", about: "How long the job has been running without a restart.", queries: []query{per("max", jm+"job_uptime", "job_name")}},
		{title: "Time in restart", unit: "ms", warn: 60000, bad: 300000, about: "How long a job that restarts has been doing so; 0 while it runs.", queries: []query{per("max", jm+"job_restartingTime", "job_name")}},
		{title: "Age of the newest checkpoint", unit: "s", warn: 600, bad: 1800, about: "Since the last completed checkpoint. Flink 2.x; for 1.x see the next panel.", queries: []query{
			{"time() - max by (job_name) (" + jm + "job_lastCheckpointCompletedTimestamp{JOB} > 0) / 1000", "{{job_name}}"}}},
		{title: "Completed checkpoints in 10 minutes", unit: "short", about: "0 means that the newest checkpoint is older than 10 minutes.", queries: []query{{"sum by (job_name) (increase(" + jm + "job_numberOfCompletedCheckpoints{JOB}[10m]))", "{{job_name}}"}}},
		{title: "Failed checkpoints in 10 minutes", unit: "short", warn: 1, bad: 3, about: "Failed or expired.", queries: []query{{"sum by (job_name) (increase(" + jm + "job_numberOfFailedCheckpoints{JOB}[10m]))", "{{job_name}}"}}},
		{title: "Checkpoints in progress", unit: "short", about: "More than one for long: they take longer than their interval.", queries: []query{per("max", jm+"job_numberOfInProgressCheckpoints", "job_name")}},
		{title: "Duration of the last checkpoint", unit: "ms", about: "From trigger to completion.", queries: []query{{"max by (job_name) (" + jm + "job_lastCheckpointDuration{JOB} >= 0)", "{{job_name}}"}}},
		{title: "Size of the last checkpoint", unit: "bytes", about: "What it wrote, and the whole state that it refers to.", queries: []query{
			{"max by (job_name) (" + jm + "job_lastCheckpointSize{JOB} >= 0)", "{{job_name}} written"}, {"max by (job_name) (" + jm + "job_lastCheckpointFullSize{JOB} >= 0)", "{{job_name}} full"}}},
		{title: "Alignment of checkpoints", unit: "ns", about: "How long tasks wait for the barriers of all inputs. It grows with backpressure.", queries: []query{per("max", task+"checkpointAlignmentTime", "job_name, task_name")}},
		{title: "Delay of checkpoints", unit: "ns", about: "From the trigger to the first barrier in a task.", queries: []query{per("max", task+"checkpointStartDelayNanos", "job_name, task_name")}},
		{title: "Busy", unit: "percentunit", warn: 0.8, bad: 0.95, about: "Part of the time in which the busiest subtask works. NaN for sources of the old kind.", queries: []query{ofSecond(per("max", task+"busyTimeMsPerSecond", "job_name, task_name"))}},
		{title: "Backpressured", unit: "percentunit", warn: 0.5, bad: 0.8, about: "Part of the time in which a subtask waits for the next task. The cause is the first task after it that is busy.", queries: []query{ofSecond(per("max", task+"backPressuredTimeMsPerSecond", "job_name, task_name"))}},
		{title: "Idle", unit: "percentunit", about: "Part of the time in which a subtask has nothing to do.", queries: []query{ofSecond(per("min", task+"idleTimeMsPerSecond", "job_name, task_name"))}},
		{title: "Late records dropped", unit: "ops", warn: 0.01, about: "Records that came after their window was closed.", queries: []query{{"sum by (job_name, operator_name) (rate(" + operator + "numLateRecordsDropped{JOB}[5m]))", "{{job_name}} {{operator_name}}"}}},
		{title: "Watermark", unit: "s", about: "Age of the watermark of a task's input, by the clock.", queries: []query{{"time() - min by (job_name, task_name) (" + task + "currentInputWatermark{JOB} > 0) / 1000", "{{job_name}} {{task_name}}"}}},
		{title: "Rescales", unit: "short", about: "Changes of parallelism of the adaptive scheduler. Flink 2.x.", queries: []query{per("max", jm+"job_numRescales", "job_name")}},
	}
}

func kafka() []panel {
	return []panel{
		{title: "Lag", unit: "short", about: "Records that wait in Kafka for a source.", queries: []query{per("sum", operator+"pendingRecords", "job_name, operator_name")}},
		{title: "Lag, as its consumers see it", unit: "short", about: "The largest of the partitions of a consumer.", queries: []query{per("max", consumer+"records_lag_max", "job_name, operator_name")}},
		{title: "Change of lag", unit: "short", warn: 1, about: "Records a second by which the lag grows; below 0 it shrinks.", queries: []query{{"sum by (job_name, operator_name) (deriv(" + operator + "pendingRecords{JOB}[10m]))", "{{job_name}} {{operator_name}}"}}},
		{title: "Event time lag", unit: "ms", about: "From the time in the record to its emission by the source.", queries: []query{per("max", operator+"currentEmitEventTimeLag", "job_name, operator_name")}},
		{title: "Records consumed", unit: "ops", about: "By all consumers of a source.", queries: []query{per("sum", consumer+"records_consumed_rate", "job_name, operator_name")}},
		{title: "Bytes consumed", unit: "Bps", about: "By all consumers of a source.", queries: []query{per("sum", consumer+"bytes_consumed_rate", "job_name, operator_name")}},
		{title: "Latency of fetches", unit: "ms", about: "Average time of a fetch request.", queries: []query{per("max", consumer+"fetch_latency_avg", "job_name, operator_name")}},
		{title: "Latency of commits", unit: "ms", about: "Average time of an offset commit.", queries: []query{per("max", consumer+"commit_latency_avg", "job_name, operator_name")}},
		{title: "Failed commits in 10 minutes", unit: "short", warn: 1, about: "Commits of offsets to Kafka. Flink's own offsets are in checkpoints.", queries: []query{{"sum by (job_name, operator_name) (increase(" + operator + "KafkaSourceReader_commitsFailed{JOB}[10m]))", "{{job_name}} {{operator_name}}"}}},
		{title: "Since the last poll", unit: "s", warn: 60, bad: 300, about: "A consumer that does not poll is blocked by backpressure, or hangs.", queries: []query{per("max", consumer+"last_poll_seconds_ago", "job_name, operator_name")}},
		{title: "Idle time of sources", unit: "ms", about: "Since the last record.", queries: []query{per("max", operator+"sourceIdleTime", "job_name, operator_name")}},
		{title: "Rebalances", unit: "short", about: "Of consumer groups. Flink assigns partitions itself, so this stays 0.", queries: []query{per("sum", consumer+"rebalance_total", "job_name, operator_name")}},
		{title: "Records sent", unit: "ops", about: "By all producers of a sink.", queries: []query{per("sum", producer+"record_send_rate", "job_name, operator_name")}},
		{title: "Records not sent", unit: "ops", warn: 0.01, about: "Errors of producers.", queries: []query{per("sum", producer+"record_error_rate", "job_name, operator_name"),
			{"sum by (job_name, operator_name) (rate(" + operator + "numRecordsSendErrors{JOB}[5m]))", "{{job_name}} {{operator_name}} sink"}}},
		{title: "Latency of produce requests", unit: "ms", about: "Average time of a request, and of a record in the producer's buffer before it.", queries: []query{
			{"max by (job_name, operator_name) (" + producer + "request_latency_avg{JOB})", "{{job_name}} {{operator_name}} request"}, {"max by (job_name, operator_name) (" + producer + "record_queue_time_avg{JOB})", "{{job_name}} {{operator_name}} buffer"}}},
		{title: "Free buffer of producers", unit: "bytes", about: "At 0 the sink waits for Kafka.", queries: []query{per("min", producer+"buffer_available_bytes", "job_name, operator_name")}},
	}
}

// both makes queries of a metric of JobManagers and TaskManagers.
func both(format string) []query {
	queries := make([]query, 0, 2)
	for _, role := range [][2]string{{jm, "JobManager"}, {tm, "TaskManager {{tm_id}}"}} {
		queries = append(queries, query{strings.ReplaceAll(format, "PROCESS_", role[0]), "{{flink_job}} " + role[1]})
	}
	return queries
}

func cpuAndMemory() []panel {
	const by = "by (flink_job, host, tm_id) "
	used := func(kind string) []query {
		return both("max " + by + "(PROCESS_Status_JVM_Memory_" + kind + "_Used{CLUSTER}) / (max " + by + "(PROCESS_Status_JVM_Memory_" + kind + "_Max{CLUSTER}) > 0)")
	}
	return []panel{
		{title: "CPU", unit: "short", about: "CPU seconds that a JVM uses in a second.", queries: both("sum " + by + "(rate(PROCESS_Status_JVM_CPU_Time{CLUSTER}[5m])) / 1e9")},
		{title: "CPU, part of the machine", unit: "percentunit", about: "As the JVM sees it: of the container's CPUs where it has a limit.", queries: both("max " + by + "(PROCESS_Status_JVM_CPU_Load{CLUSTER})")},
		{title: "Heap", unit: "percentunit", warn: 0.85, bad: 0.95, about: "Used of what it may become. The low points, after a collection, are what is needed.", queries: used("Heap")},
		{title: "Heap in bytes", unit: "bytes", about: "Used.", queries: both("max " + by + "(PROCESS_Status_JVM_Memory_Heap_Used{CLUSTER})")},
		{title: "Metaspace", unit: "percentunit", warn: 0.8, bad: 0.9, about: "Used of its bound. Growth with each restart of a job is a leak of classes.", queries: used("Metaspace")},
		{title: "Outside the heap", unit: "bytes", about: "Metaspace, compiled code and others.", queries: both("max " + by + "(PROCESS_Status_JVM_Memory_NonHeap_Used{CLUSTER})")},
		{title: "Direct memory", unit: "bytes", about: "Network buffers and others.", queries: both("max " + by + "(PROCESS_Status_JVM_Memory_Direct_MemoryUsed{CLUSTER})")},
		{title: "Garbage collection", unit: "percentunit", warn: 0.1, bad: 0.3, about: "Part of the time, by all collectors. Flink 1.19 and later.", queries: both("max " + by + "(PROCESS_Status_JVM_GarbageCollector_All_TimeMsPerSecond{CLUSTER}) / 1000")},
		{title: "Threads", unit: "short", about: "A number that only grows is a leak.", queries: both("max " + by + "(PROCESS_Status_JVM_Threads_Count{CLUSTER})")},
		{title: "Classes", unit: "short", about: "Loaded classes. A number that grows with each restart is a leak.", queries: both("max " + by + "(PROCESS_Status_JVM_ClassLoader_ClassesLoaded{CLUSTER}) - max " + by + "(PROCESS_Status_JVM_ClassLoader_ClassesUnloaded{CLUSTER})")},
		{title: "Open files", unit: "percentunit", warn: 0.7, bad: 0.9, about: "Of the process's limit. Flink 2.1 and later.", queries: both("max " + by + "(PROCESS_Status_JVM_FileDescriptor_Open{CLUSTER}) / max " + by + "(PROCESS_Status_JVM_FileDescriptor_Max{CLUSTER})")},
	}
}

func platform() []panel {
	return []panel{
		{title: "Jobs by state", unit: "short", about: "By the queue of their newest run.", queries: []query{{"sum by (queue) (flink_platform_jobs{TEAM})", "{{queue}}"}}},
		{title: "Jobs by condition", unit: "short", about: "Of runs that have not ended: lost, restarting, waiting for slots and others.", queries: []query{{`sum by (condition) (flink_platform_jobs{TEAM, ended="false", condition!=""})`, "{{condition}}"}}},
		{title: "Alerts", unit: "short", warn: 1, about: "Alerts that go on.", queries: []query{{"sum by (alert) (flink_platform_alert{TEAM})", "{{alert}}"}}},
		{title: "Alerts that no receiver has", unit: "short", warn: 1, bad: 10, about: "They should have been sent: Alertmanager or the webhook is away.", queries: []query{{"max(flink_platform_alerts_overdue)", "alerts"}}},
		{title: "Runs in queues", unit: "short", about: "Runs that are looked at again.", queries: []query{{"max by (queue) (flink_platform_queue_runs)", "{{queue}}"}}},
		{title: "Delay of queues", unit: "s", warn: 10, bad: 60, about: "How late the look is that is latest. It grows if the servers cannot keep up, or the database is slow.", queries: []query{{"max by (queue) (flink_platform_queue_overdue_seconds)", "{{queue}}"}}},
		{title: "Looks and pushes", unit: "ops", about: "Looks at runs, and events that JobManagers push.", queries: []query{{"sum(flink_platform_polls_per_second)", "looks"}, {"sum(flink_platform_pushes_per_second)", "pushes"}}},
		{title: "Time since the start", unit: "s", about: "Of each server.", queries: []query{{"time() - flink_platform_start_time_seconds", "{{instance}}"}}},
		{title: "CPU of the servers", unit: "short", about: "CPU seconds in a second.", queries: []query{{`rate(process_cpu_seconds_total[5m]) and on (instance) flink_platform_start_time_seconds`, "{{instance}}"}}},
		{title: "Memory of the servers", unit: "bytes", about: "Resident memory.", queries: []query{{`process_resident_memory_bytes and on (instance) flink_platform_start_time_seconds`, "{{instance}}"}}},
	}
}
