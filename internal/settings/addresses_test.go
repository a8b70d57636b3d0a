package settings

import (
	"errors"
	"testing"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/phase"
)

// TestAddresses has one case per usual set-up; want holds what must be in the configuration, "" what must not.
func TestAddresses(t *testing.T) {
	stock := map[string]string{
		"jobmanager.rpc.address": "localhost", "jobmanager.rpc.port": "6123", "jobmanager.bind-host": "localhost", "taskmanager.bind-host": "localhost",
		"taskmanager.host": "localhost", "rest.address": "localhost", "rest.bind-address": "localhost",
	}
	service := map[string]string{"jobmanager.rpc.address": "clicks-jobmanager"}
	ha := map[string]string{"high-availability.type": "zookeeper", "jobmanager.rpc.address": "clicks-jobmanager"}
	tests := []struct {
		name      string
		role      string
		file      map[string]string
		above     map[string]string // FLINK_PROPERTIES
		env       map[string]string
		advertise string
		want      map[string]string
		warnings  int
	}{
		{"stock JobManager", "jobmanager", stock, nil, nil, "",
			map[string]string{"jobmanager.rpc.address": "jm.local", "rest.address": "jm.local", "jobmanager.bind-host": "0.0.0.0", "rest.bind-address": "0.0.0.0", "blob.server.port": "6124", "high-availability.jobmanager.port": ""}, 0},
		{"JobManager with the address of a service that a ConfigMap names", "standalone-job", service, nil, nil, "",
			map[string]string{"jobmanager.rpc.address": "clicks-jobmanager", "rest.address": ""}, 0},
		{"JobManager of the official image", "jobmanager", service, nil, map[string]string{"JOB_MANAGER_RPC_ADDRESS": "jm"}, "",
			map[string]string{"jobmanager.rpc.address": "jm"}, 0},
		{"advertise beats the variable", "jobmanager", service, nil, map[string]string{"JOB_MANAGER_RPC_ADDRESS": "jm"}, "10.0.0.9",
			map[string]string{"jobmanager.rpc.address": "10.0.0.9"}, 0},
		{"FLINK_PROPERTIES beat the variable", "jobmanager", stock, map[string]string{"jobmanager.rpc.address": "props"}, map[string]string{"JOB_MANAGER_RPC_ADDRESS": "jm"}, "",
			map[string]string{"jobmanager.rpc.address": "props", "rest.address": "props"}, 0},
		{"HA: each JobManager its own address (FLINK-30518)", "standalone-job", ha, nil, map[string]string{"POD_IP": "10.1.1.1", "JOB_MANAGER_RPC_ADDRESS": "clicks-jobmanager"}, "",
			map[string]string{"jobmanager.rpc.address": "10.1.1.1", "high-availability.jobmanager.port": "6123"}, 1},
		{"HA without POD_IP", "jobmanager", ha, nil, nil, "", map[string]string{"jobmanager.rpc.address": "jm.local"}, 0},
		{"HA with advertise", "jobmanager", ha, nil, map[string]string{"POD_IP": "10.1.1.1"}, "a.b", map[string]string{"jobmanager.rpc.address": "a.b"}, 0},
		{"HA, the old key", "jobmanager", map[string]string{"high-availability": "zookeeper"}, nil, map[string]string{"POD_IP": "10.1.1.1"}, "", map[string]string{"jobmanager.rpc.address": "10.1.1.1"}, 0},
		{"HA NONE is not HA", "jobmanager", map[string]string{"high-availability.type": "NONE"}, nil, map[string]string{"POD_IP": "10.1.1.1"}, "",
			map[string]string{"jobmanager.rpc.address": "jm.local", "high-availability.jobmanager.port": ""}, 0},
		{"HA, a port was chosen", "jobmanager", map[string]string{"high-availability.type": "zookeeper", "high-availability.jobmanager.port": "50000"}, nil, nil, "",
			map[string]string{"high-availability.jobmanager.port": "50000"}, 0},
		{"Kubernetes HA looks for its leaders in the pod's namespace", "taskmanager", map[string]string{"high-availability.type": "kubernetes"}, nil, map[string]string{"POD_NAMESPACE": "clicks"}, "",
			map[string]string{"kubernetes.namespace": "clicks"}, 0},
		{"Kubernetes HA up to 1.16", "jobmanager", map[string]string{"high-availability": "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"}, nil,
			map[string]string{"POD_NAMESPACE": "clicks", "POD_IP": "10.1.1.1"}, "", map[string]string{"kubernetes.namespace": "clicks", "jobmanager.rpc.address": "10.1.1.1"}, 0},
		{"Kubernetes HA in a namespace that was chosen", "jobmanager", map[string]string{"high-availability.type": "kubernetes", "kubernetes.namespace": "mine"}, nil,
			map[string]string{"POD_NAMESPACE": "clicks", "POD_IP": "10.1.1.1"}, "", map[string]string{"kubernetes.namespace": "mine"}, 0},
		{"another HA needs no namespace", "jobmanager", ha, nil, map[string]string{"POD_NAMESPACE": "clicks", "POD_IP": "10.1.1.1"}, "", map[string]string{"kubernetes.namespace": ""}, 0},
		{"stock TaskManager has only the file's JobManager", "taskmanager", stock, nil, nil, "",
			map[string]string{"jobmanager.rpc.address": "localhost", "taskmanager.host": "", "taskmanager.bind-host": "0.0.0.0", "taskmanager.rpc.port": "6122", "rest.address": "localhost"}, 0},
		{"TaskManager of the official image", "taskmanager", stock, nil, map[string]string{"JOB_MANAGER_RPC_ADDRESS": "jm"}, "",
			map[string]string{"jobmanager.rpc.address": "jm", "rest.address": "jm", "taskmanager.host": ""}, 0},
		{"TaskManager with an address of its own", "taskmanager", stock, nil, map[string]string{"POD_NAME": "tm-0"}, "10.2.2.2",
			map[string]string{"taskmanager.host": "10.2.2.2", "taskmanager.resource-id": "tm-0"}, 0},
		{"TaskManager, the file's host stays", "taskmanager", map[string]string{"taskmanager.host": "tm.svc", "taskmanager.resource-id": "mine"}, nil, map[string]string{"POD_NAME": "tm-0"}, "",
			map[string]string{"taskmanager.host": "tm.svc", "taskmanager.resource-id": "mine"}, 0},
		{"pass-through (native Kubernetes) keeps what is written", "pass-through",
			map[string]string{"jobmanager.rpc.address": "clicks.default", "kubernetes.cluster-id": "clicks", "blob.server.port": "7000"}, nil, map[string]string{"POD_IP": "10.1.1.1"}, "",
			map[string]string{"jobmanager.rpc.address": "clicks.default", "blob.server.port": "7000", "taskmanager.rpc.port": "", "high-availability.jobmanager.port": ""}, 0},
		{"history server", "history-server", stock, nil, nil, "", map[string]string{"jobmanager.rpc.address": "localhost"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l Layers
			l.Base = &flinkconf.Conf{}
			for k, v := range tt.file {
				l.Base.SetString(k, v, flinkconf.Source{Layer: flinkconf.BaseFile, Where: "config.yaml:1"})
			}
			l.Want = l.Base.Clone()
			for k, v := range tt.above {
				l.Set(k, v, flinkconf.FlinkProperties, "FLINK_PROPERTIES")
			}
			err := l.Addresses(Hosts{Role: tt.role, Advertise: tt.advertise, Vars: tt.env, FQDN: func() (string, error) { return "jm.local", nil }})
			if err != nil {
				t.Fatal(err)
			}
			for k, want := range tt.want {
				if got := l.Want.Text(k); got != want {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
			if len(l.Warnings) != tt.warnings {
				t.Errorf("warnings %q, want %d", l.Warnings, tt.warnings)
			}
		})
	}
}

func TestNoNameIsAnErrorWithAWayOut(t *testing.T) {
	l := Layers{Base: &flinkconf.Conf{}, Want: &flinkconf.Conf{}}
	err := l.Addresses(Hosts{Role: "jobmanager", FQDN: func() (string, error) { return "", errors.New("no host name") }})
	if at, hint := phase.Of(err); at != phase.Configuration || hint == "" {
		t.Errorf("error %v, at %s, hint %q", err, at, hint)
	}
}
