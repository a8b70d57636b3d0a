package server

import (
	"os"
	"path/filepath"
	"testing"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/cluster/process"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/test/platform/simulate"
)

// TestFindSavepoint: a savepoint counts when its _metadata is there, which Flink writes last, and only where the files are this machine's.
func TestFindSavepoint(t *testing.T) {
	s := &Server{driver: &process.Driver{Dir: filepath.Join(t.TempDir(), "runs")}}
	dir := cluster.StopDir(s.driver, "r1", "0123")
	path, ok := s.local(dir)
	if !ok {
		t.Fatalf("%s is not of this machine", dir)
	}
	want := func(want string) {
		t.Helper()
		if got, err := s.findSavepoint(t.Context(), dir); got != want || err != nil {
			t.Errorf("found %q, %v, want %q", got, err, want)
		}
	}
	want("")
	if err := os.MkdirAll(filepath.Join(path, "savepoint-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := os.WriteFile(filepath.Join(path, "savepoint-1", "_metadata"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(dir + "/savepoint-1")
	if other := cluster.StopDir(s.driver, "r1", "4567"); other == dir {
		t.Errorf("two stops have one directory, %s", dir)
	}
	s.driver = simulate.New(t)
	want("")
}

// TestResultStore reads what a JobManager with high availability has committed, in the form of Flink 1.20 and 2.2.
func TestResultStore(t *testing.T) {
	f := newFixture(t, false)
	dir := t.TempDir()
	f.want(201, "PUT", "/v1/jobs/kept", "apiVersion: flink-entrypoint/v1\nname: kept\nhighAvailability: {type: zookeeper, clusterId: x, storageDir: \"file://"+dir+"\", quorum: \"127.0.0.1:1\"}\n"+
		"sql:\n  script: |\n    CREATE TABLE s (id INT) WITH ('connector' = 'datagen');\n    CREATE TABLE p (id INT) WITH ('connector' = 'print');\n    INSERT INTO p SELECT id FROM s;\n", nil)
	r := store.Run{Job: "kept", Version: 1, State: jobstate.Run{ID: "r1", JobID: jobstate.JobIDOf("r1"), HighAvailability: true}}
	want := func(status jobstate.Status, fails bool) {
		t.Helper()
		o, err := f.s.resultStore(t.Context(), r)
		if (err != nil) != fails {
			t.Errorf("error %v", err)
		}
		if status == "" && o != nil || status != "" && o != (jobstate.Recorded{JobID: r.State.JobID, Status: status}) {
			t.Errorf("%+v, want %s", o, status)
		}
	}
	want("", false)
	entry := filepath.Join(dir, "job-result-store", jobstate.ClusterIDOf("r1"), r.State.JobID)
	if err := os.MkdirAll(filepath.Dir(entry), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(suffix, content string) {
		t.Helper()
		if err := os.WriteFile(entry+suffix, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("_DIRTY.json", `{"result":{"id":"`)
	want("", false) // files of another machine
	f.s.driver = &process.Driver{}
	want("", true) // being written
	write("_DIRTY.json", `{"result":{"id":"`+r.State.JobID+`","application-status":"FAILED","accumulator-results":{},"net-runtime":1},"version":1}`)
	want(jobstate.StFailed, false)
	write(".json", `{"result":{"id":"`+r.State.JobID+`","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":1},"version":1}`)
	want(jobstate.StFinished, false)
	write(".json", `{"result":{"id":"0123456789abcdef0123456789abcdef","application-status":"SUCCEEDED"},"version":1}`)
	want("", true) // another job's
	f.s.driver = f.world
}
