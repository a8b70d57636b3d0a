package flinkoptions

import "testing"

func TestKeyIn(t *testing.T) {
	for value, want := range map[string]string{
		`1 rest.port: 8081`:                              `rest.port`,
		`1, rest.port: 8081`:                             `rest.port`,
		`1,rest.port: 8081`:                              `rest.port`,
		"1\trest.port:\t8081":                            `rest.port`,
		`1 rest.port:`:                                   `rest.port`,
		`rest.port: 8081`:                                `rest.port`,
		`1 # two rest.port: 8081`:                        `rest.port`,
		`jm\njobmanager.rpc.port:6123`:                   `jobmanager.rpc.port escaped`,
		`jm\n  jobmanager.rpc.port: 6123`:                `jobmanager.rpc.port`,
		`jm\r\njobmanager.rpc.port: 6123`:                `jobmanager.rpc.port escaped`,
		`zk high-availability: zookeeper`:                `high-availability`,
		`x metrics.reporter.prom.port: 9249`:             `metrics.reporter.prom.port`,
		`x s3.access-key: minio`:                         `s3.access-key`,
		`x $internal.pipeline.job-id: 1`:                 `$internal.pipeline.job-id`,
		`"1" rest.port: 8081`:                            `rest.port`,
		`-Dlog.file=x rest.port: 8081`:                   `rest.port`,
		`-Xlog:gc*:file=/tmp/gc.log -Drest.port: 8081`:   ``,
		`-XX:+UseG1GC -Dx=y -Xlog:gc:stdout`:             ``,
		`-agentlib:jdwp=transport=dt_socket,address=*:1`: ``,
		`k1:v1,k2:v2`:                                    ``,
		`state.a:1,rest.b:2`:                             ``,
		`class:org.x.Y,serializer:org.x.Z`:               ``,
		`http://jobmanager.rpc.address:8081/x`:           ``,
		`hdfs://state.backend: x`:                        ``,
		`{a: b, c: d}`:                                   ``,
		`[a; b; c]`:                                      ``,
		`a: b c: d`:                                      ``,
		`my.key: x`:                                      ``,
		`app:flink team: x`:                              ``,
		`<host>.jobmanager: x`:                           ``,
		`2024-01-01 10:00:00`:                            ``,
		`see the task: x`:                                ``,
		`C:\new: x`:                                      ``,
		`:`:                                              ``,
		``:                                               ``,
	} {
		got, escaped, found := keyIn(value)
		if escaped {
			got += " escaped"
		}
		if got != want || found != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", value, got, found, want)
		}
	}
}
