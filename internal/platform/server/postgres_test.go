package server

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
	"flink-entrypoint/test/postgres"
)

// TestTwoServers: two servers on one database are one platform. What one is asked for the other one may do, each cluster is started once, and when
// one of them ends the other one goes on alone.
func TestTwoServers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	t.Parallel()
	one := newFixture(t, false, Options{Store: postgres.Start(t).Database(t)})
	two := &fixture{t: t, world: one.world, page: one.page, dir: filepath.Join(t.TempDir(), "data"), log: &bytes.Buffer{}, more: one.more}
	two.start()
	t.Cleanup(func() { two.stop() })
	if one.s.Store.Instance() != two.s.Store.Instance() {
		t.Fatal("each has a store of its own")
	}
	const jobs = 12
	runs := map[string]wire.Run{}
	both := []*fixture{one, two}
	for i := range jobs {
		name := fmt.Sprint("job-", i)
		both[i%2].want(201, "PUT", "/v1/jobs/"+name, definition, nil)
		runs[name] = decode[wire.Run](t, both[(i+1)%2].want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil))
		both[i%2].want(409, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil)
	}
	set := func(status string) {
		for name, run := range runs {
			two.until(name, "started", func(r wire.Run) bool { return r.Attempt != "" })
			one.world.Of(run.ID, func(c *simulate.Cluster) { c.Status = status })
		}
	}
	set("RUNNING")
	for name := range runs {
		one.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" })
	}
	one.stop()
	set("FINISHED")
	if err := two.s.Store.WakeWithin(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for name, run := range runs {
		if end := two.until(name, "finished", func(r wire.Run) bool { return r.Outcome != "" }); end.Outcome != "finished" || end.ID != run.ID {
			t.Errorf("%s: %+v", name, end)
		}
		one.world.Of(run.ID, func(c *simulate.Cluster) {
			if c.Starts != 1 {
				t.Errorf("%s was started %d times", name, c.Starts)
			}
		})
	}
}

// TestTwoServersWithOneKey: a request that two servers get at the same time is done by one of them, and both give its answer. A server that waits
// after it has reserved the key loses it when its lease ends; when it goes on, it does nothing twice.
func TestTwoServersWithOneKey(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	t.Parallel()
	var place atomic.Value // where the first server waits
	place.Store("")
	waits, on := make(chan struct{}), make(chan struct{})
	one := newFixture(t, false, Options{Store: postgres.Start(t).Database(t), Lease: time.Second, Point: func(at string) {
		if place.CompareAndSwap(at, "") {
			waits <- struct{}{}
			<-on
		}
	}})
	two := &fixture{t: t, world: one.world, page: readPage(t), dir: filepath.Join(t.TempDir(), "data"), log: &bytes.Buffer{}, more: one.more}
	two.more.Point = nil
	two.start()
	t.Cleanup(func() {
		two.stop()
		if t.Failed() {
			t.Logf("the servers say\n%s\n%s", one.log, two.log)
		}
	})
	type request struct {
		name, method, path string
		in                 any
		status             int
	}
	done := func(r request) { // by each server once
		t.Helper()
		h := header{"Idempotency-Key": r.name}
		var answers [2]string
		var both sync.WaitGroup
		for i, f := range []*fixture{one, two} {
			both.Go(func() { answers[i] = string(f.want(r.status, r.method, r.path, r.in, h)) })
		}
		both.Wait()
		if answers[0] != answers[1] {
			t.Errorf("%s: the servers answer\n%s\n%s", r.name, answers[0], answers[1])
		}
	}
	frozen := func(at string, r request) {
		t.Helper()
		h := header{"Idempotency-Key": r.name}
		place.Store(at)
		first := make(chan string)
		go func() { first <- string(one.want(r.status, r.method, r.path, r.in, h)) }()
		<-waits
		second := string(two.want(r.status, r.method, r.path, r.in, h)) // after the lease of the first one
		on <- struct{}{}
		if answer := <-first; answer != second {
			t.Errorf("%s, %s: the servers answer\n%s\n%s", r.name, at, answer, second)
		}
	}
	const reserved = "a key is reserved"
	done(request{"put", "PUT", "/v1/jobs/clicks", definition, 201})
	done(request{"start", "POST", "/v1/jobs/clicks/start", wire.Start{}, 202})
	frozen(reserved, request{"put again", "PUT", "/v1/jobs/clicks", definition + "#2\n", 201})
	frozen(reserved, request{"another job", "PUT", "/v1/jobs/orders", definition, 201})
	frozen(reserved, request{"its start", "POST", "/v1/jobs/orders/start", wire.Start{}, 202})
	for job, versions := range map[string]int{"clicks": 2, "orders": 1} {
		if all := decode[struct{ Versions []wire.Version }](t, one.want(200, "GET", "/v1/jobs/"+job+"/versions", nil, nil)); len(all.Versions) != versions {
			t.Errorf("%s has %d versions, want %d", job, len(all.Versions), versions)
		}
		if all := decode[struct{ Runs []wire.Run }](t, one.want(200, "GET", "/v1/jobs/"+job+"/runs", nil, nil)); len(all.Runs) != 1 {
			t.Errorf("%s has %d runs", job, len(all.Runs))
		}
	}
}

// TestDatabaseAway: while the database is away reads are answered with 503, writes wait for it, and runs go on when it is back.
func TestDatabaseAway(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a PostgreSQL")
	}
	t.Parallel()
	database := postgres.Open(t)
	f := newFixture(t, false, Options{Store: database.Database(t)})
	for _, how := range []syscall.Signal{postgres.Fast, postgres.Immediate} {
		name := fmt.Sprint("job-", int(how))
		f.want(201, "PUT", "/v1/jobs/"+name, definition, nil)
		run := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil))
		f.until(name, "started", func(r wire.Run) bool { return r.Attempt != "" })
		if err := database.Stop(how); err != nil {
			t.Fatal(err)
		}
		var writes sync.WaitGroup
		writes.Go(func() { f.want(201, "PUT", "/v1/jobs/"+name+"-written", definition, nil) })
		for _, path := range []string{"/v1/jobs", "/v1/events", "/v1/health"} {
			if resp, body := f.call("GET", path, nil, nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "the server's database does not answer") {
				t.Errorf("%s: %d %s", path, resp.StatusCode, body)
			}
		}
		f.world.Of(run.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
		if err := database.Continue(); err != nil {
			t.Fatal(err)
		}
		writes.Wait()
		f.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" })
	}
}
