package main

import (
	"path/filepath"
	"testing"
	"time"
)

// TestHundredClusters: whatever becomes of a cluster, the platform says the same: each end once and in the right queue, no cluster without an
// owner, none deleted that runs. How long it takes is measured by the command alone.
func TestHundredClusters(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: clusters are looked at each ten seconds")
	}
	f, err := newFleet(108, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	s, err := startServer(setup{Data: filepath.Join(t.TempDir(), "data"), Control: f.control})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &watcher{fleet: f, url: s.URL}
	soon := func() error { return s.Store.WakeWithin(t.Context(), 0) } // not when a cluster's minute is over
	for _, step := range []func() error{
		w.submit,
		func() error { return w.allRun(2 * time.Minute) },
		func() error { w.disturb(); return soon() },
		func() error { return w.settled(5 * time.Minute) },
		func() error { w.endSome(time.Second); return w.allEnded(3 * time.Minute) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	delays, err := w.judge()
	if err != nil {
		t.Error(err)
	}
	for _, by := range ways {
		if len(delays[by]) == 0 {
			t.Errorf("no job ended whose end is learned by %s", by)
		}
	}
}
