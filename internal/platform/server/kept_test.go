package server

import (
	"errors"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/cluster"
)

// TestKept: what is left of a deleted cluster is in the store, without secrets, until it is forgotten.
func TestKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	run := f.running("clicks").ID
	k := kept{f.s.Store}
	ctx := t.Context()
	if _, err := k.Status(ctx, run); !errors.Is(err, cluster.ErrUnknown) {
		t.Errorf("before: %v", err)
	}
	log := "2026-11-27 a\n\tpassword=hunter2\xff\nWITH ('password' = 'hunter2')\n" + strings.Repeat("x", 100_000) + "\nno end"
	if err := errors.Join(k.KeepLog(ctx, run, "jobmanager", []byte(log)), k.KeepStatus(ctx, run, cluster.Status{Processes: []cluster.Process{{Name: "jobmanager", Code: 1, Message: "password=hunter2"}}})); err != nil {
		t.Fatal(err)
	}
	status, err := k.Status(ctx, run)
	if err != nil || len(status.Processes) != 1 || status.Processes[0].Message != "password=******" || status.Processes[0].Code != 1 {
		t.Errorf("%+v, %v", status, err)
	}
	b, err := k.Log(ctx, run, "jobmanager")
	if want := "2026-11-27 a\n\tpassword=******\nWITH ('password' = '******')\n" + strings.Repeat("x", 100_000) + "\nno end"; err != nil || string(b) != want {
		t.Errorf("%.200q, %v", b, err)
	}
	if err := k.Forget(ctx, run); err != nil {
		t.Error(err)
	}
	if _, err := k.Log(ctx, run, "jobmanager"); !errors.Is(err, cluster.ErrUnknown) {
		t.Errorf("after: %v", err)
	}
}
