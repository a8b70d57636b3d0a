package server

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster/process"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/monitor"
	"flink-entrypoint/internal/platform/store"
)

// epoch is when everything of these tests ended.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const day = store.Day

// An old is a store with things of the past, and the clock that its retention sees.
type old struct {
	t    *testing.T
	dir  string
	s    *Server
	db   *sql.DB // beside the store, to write times
	now  time.Time
	keep store.Lifetimes
	runs int
}

func newOld(t *testing.T) *old {
	o := &old{t: t, dir: filepath.Join(t.TempDir(), "data"), now: epoch}
	o.open()
	t.Cleanup(func() { o.close() })
	return o
}

func (o *old) open() {
	o.t.Helper()
	st, err := store.Open(context.Background(), o.dir)
	if err != nil {
		o.t.Fatal(err)
	}
	if o.db, err = sql.Open("sqlite", "file:"+filepath.Join(o.dir, "platform.db")+"?_pragma=busy_timeout(10000)&_txlock=immediate"); err != nil {
		o.t.Fatal(err)
	}
	o.s = &Server{Store: st, driver: &process.Driver{Dir: filepath.Join(o.dir, "runs"), Instance: st.Instance()}, o: Options{Log: slog.New(slog.DiscardHandler)}}
}

func (o *old) close() {
	if err := errors.Join(o.db.Close(), o.s.Store.Close()); err != nil {
		o.t.Error(err)
	}
}

func (o *old) exec(query string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Exec(query, args...); err != nil {
		o.t.Fatal(query, err)
	}
}

func (o *old) retention() *monitor.Retention {
	r := o.s.retention()
	r.Keep, r.Now = o.keep, func(context.Context) (time.Time, error) { return o.now, nil }
	return r
}

func (o *old) pass(now time.Time) {
	o.t.Helper()
	o.now = now
	if err := o.retention().Pass(o.t.Context()); err != nil {
		o.t.Error(err)
	}
}

func (o *old) job(name, document string) {
	o.t.Helper()
	if _, _, err := o.s.Store.PutJob(o.t.Context(), "default", store.Version{Job: name, Document: []byte(document), Source: []byte(document), Digest: document}, -1); err != nil {
		o.t.Fatal(err)
	}
}

// run makes a run of a job that ended at a time, with a directory, a token, an event of a user and one of the driver. Runs are as old as they are
// made early.
func (o *old) run(job string, ended time.Time, change func(*jobstate.Run)) string {
	o.t.Helper()
	ctx := o.t.Context()
	r, err := o.s.Store.CreateRun(ctx, job, 1, store.Asked{By: "ann"}, func(id string, now time.Time) jobstate.Run {
		return jobstate.New(id, jobstate.JobIDOf(id), false, false, now, time.Minute)
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.s.Store.NewRunToken(ctx, "default", r.State.ID); err != nil {
		o.t.Fatal(err)
	}
	state := r.State
	state.Queue, state.Condition, state.Outcome, state.Ended = jobstate.Failed, jobstate.None, jobstate.IsFailed, ended
	state.Jobs = []jobstate.Job{{ID: state.JobID, Status: jobstate.StFailed}}
	if change != nil {
		change(&state)
	}
	_, err = o.s.Store.Transition(ctx, state.ID, r.Revision, "", store.Change{State: state, Events: []jobstate.Event{{Queue: jobstate.Failed, Source: jobstate.FromDriver, Text: "failed"}}})
	if err != nil {
		o.t.Fatal(err)
	}
	o.runs++
	o.exec("UPDATE runs SET created = ? WHERE id = ?", epoch.Add(-1000*day).UnixMilli()+int64(o.runs), state.ID)
	o.exec("UPDATE events SET at = ? WHERE run = ?", ended.UnixMilli(), state.ID)
	o.directory(state.ID, o.s.Store.Instance())
	return state.ID
}

// directory is what the driver leaves of a run that has ended.
func (o *old) directory(run, instance string) {
	o.t.Helper()
	dir := filepath.Join(o.dir, "runs", run)
	for name, content := range map[string]string{"spec.json": fmt.Sprintf(`{"instance":%q,"run":%q,"jobManagers":1,"taskManagers":1}`, instance, run), "deleted": instance,
		"jobmanager-1/state.json": "{}", "jobmanager-1/exit.json": "{}", "jobmanager-1/log": "a line\n", "taskmanager-1/state.json": "{}", "taskmanager-1/exit.json": "{}"} {
		err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
		if err != nil {
			o.t.Fatal(err)
		}
	}
}

// archive stores an archive of a run with checkpoints at paths, the newest first.
func (o *old) archive(run string, paths ...string) {
	o.t.Helper()
	f := &fixture{t: o.t}
	var history []string
	for i, p := range paths {
		history = append(history, fmt.Sprintf(`{"id":%d,"status":"COMPLETED","external_path":%q,"trigger_timestamp":%d}`, i, p, 1000-i))
	}
	f.store(o.s.Store, run, jobstate.JobIDOf(run), `{"history":[`+strings.Join(history, ",")+`]}`)
}

// checkpoint makes a checkpoint on this machine.
func (o *old) checkpoint() string {
	o.t.Helper()
	dir := o.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "_metadata"), nil, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return "file:" + dir
}

// have is everything that retention can remove, by kind.
func (o *old) have() map[string][]string {
	o.t.Helper()
	all := map[string][]string{}
	for kind, query := range map[string]string{"runs": "SELECT id FROM runs", "events": "SELECT run || ' ' || revision FROM events", "archives": "SELECT run FROM archives", "parts": "SELECT run FROM archive_parts", "answers": "SELECT key FROM answers",
		"artifacts": "SELECT name FROM artifacts", "tokens": "SELECT 'run/' || run FROM tokens", "removals": "SELECT run FROM removals"} {
		rows, err := o.db.Query(query)
		if err != nil {
			o.t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				o.t.Fatal(err)
			}
			all[kind] = append(all[kind], text)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			o.t.Fatal(err)
		}
	}
	for kind, dir := range map[string]string{"directories": "runs", "contents": "artifacts"} {
		entries, err := os.ReadDir(filepath.Join(o.dir, dir))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			o.t.Fatal(err)
		}
		for _, e := range entries {
			all[kind] = append(all[kind], e.Name())
		}
	}
	for kind := range all {
		slices.Sort(all[kind])
	}
	return all
}

func (o *old) want(step string, want map[string][]string) {
	o.t.Helper()
	have := o.have()
	for kind, w := range want {
		slices.Sort(w)
		if !slices.Equal(have[kind], w) {
			o.t.Errorf("%s: %s %q, want %q", step, kind, have[kind], w)
		}
	}
}

// TestLifetimes: each kind of thing is there a millisecond before its time, and gone at it.
func TestLifetimes(t *testing.T) {
	o := newOld(t)
	ctx := t.Context()
	o.job("clicks", "/v1/artifacts/used.jar")
	first, newest := o.run("clicks", epoch, nil), o.run("clicks", epoch, nil)
	o.archive(first)
	for _, name := range []string{"used.jar", "free.jar"} {
		if _, err := o.s.Store.PutArtifact(ctx, store.Artifact{Team: "default", Name: name}, strings.NewReader(name), "", 0); err != nil {
			t.Fatal(err)
		}
	}
	o.exec("UPDATE artifacts SET unused = ? WHERE unused IS NOT NULL", epoch.UnixMilli())
	if _, err := o.s.Store.KeepAnswer(ctx, "ann", "k", store.Answer{Status: 201, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	o.exec("UPDATE answers SET created = ?", epoch.UnixMilli())
	o.directory("unknown", o.s.Store.Instance())
	o.directory("others", "another platform")

	all := o.have()
	without := func(kind string, gone ...string) {
		all[kind] = slices.DeleteFunc(slices.Clone(all[kind]), func(s string) bool { return slices.Contains(gone, s) })
	}
	// step passes just before a time, when only what was to be removed earlier may be gone, and at it.
	step := func(what string, at time.Duration, gone func()) {
		t.Helper()
		o.pass(epoch.Add(at - time.Millisecond))
		o.want("before "+what, all)
		gone()
		o.pass(epoch.Add(at))
		o.want("after "+what, all)
	}
	o.pass(epoch)
	all["removals"] = []string{"unknown"} // seen for the first time
	o.want("at the end of the runs", all)
	step("answers", day, func() { without("answers", "k") })
	step("directories", 7*day, func() {
		without("directories", first, newest, "unknown")
		without("removals", "unknown")
		without("tokens", "run/"+first, "run/"+newest)
	})
	step("runs and artifacts", 30*day, func() {
		without("runs", first)
		without("archives", first)
		without("parts", first)
		without("events", first+" 2")
		without("artifacts", "free.jar")
		all["contents"] = slices.Delete(slices.Clone(all["contents"]), 0, 1)
	})
	step("audit", 365*day, func() { without("events", first+" 1") })
	o.pass(epoch.Add(10000 * day))
	o.want("much later", all)
	if used, f, err := o.s.Store.OpenArtifact(ctx, "default", "used.jar"); err != nil {
		t.Errorf("%+v %v", used, err)
	} else {
		f.Close()
	}

	// A deleted job's directories go at once, also the directory of its newest run.
	o.directory(newest, o.s.Store.Instance())
	o.pass(epoch) // the run has its directory again, as after a crash of the machine
	if err := o.s.Store.DeleteJob(ctx, "clicks"); err != nil {
		t.Fatal(err)
	}
	o.want("after its job was deleted", map[string][]string{"removals": {newest}})
	o.pass(epoch)
	o.want("a deleted job", map[string][]string{"runs": nil, "events": {newest + " 1"}, "removals": nil, "directories": {"others"}})
}

// TestConfiguredLifetimes: other lifetimes, for ever, and logs that would outlive their run.
func TestConfiguredLifetimes(t *testing.T) {
	o := newOld(t)
	o.job("clicks", "x")
	first, newest := o.run("clicks", epoch, nil), o.run("clicks", epoch, nil)
	o.keep = store.Lifetimes{Runs: -1, Logs: -1, Artifacts: -1, Answers: -1, Audit: -1}
	all := o.have()
	o.pass(epoch.Add(10000 * day))
	o.want("for ever", all)
	o.keep.Runs = 2 * day
	o.pass(epoch.Add(2*day - 1))
	o.want("before it", all)
	o.pass(epoch.Add(2 * day))
	o.want("after it", map[string][]string{"runs": {newest}, "events": {first + " 1", newest + " 1", newest + " 2"}, "directories": nil})
}

// TestNeededRunsStay: each job's newest run, runs with something to do, and what "latest" chooses from.
func TestNeededRunsStay(t *testing.T) {
	o := newOld(t)
	ctx := t.Context()
	ago := epoch
	path := o.checkpoint()
	o.job("stopped", "x")
	stopped := func(r *jobstate.Run) {
		r.Outcome, r.Stop = jobstate.IsStopped, &jobstate.Stop{State: jobstate.SavepointCompleted, Path: "file:/nowhere/savepoint"}
	}
	o.run("stopped", ago, stopped)
	savepoint := o.run("stopped", ago, stopped)
	o.run("stopped", ago, nil)
	newestStopped := o.run("stopped", ago, nil)

	o.job("checkpointed", "x")
	older := o.run("checkpointed", ago, nil)
	chosen := o.run("checkpointed", ago, nil)
	o.run("checkpointed", ago, nil)
	away := o.run("checkpointed", ago, nil)
	gone := o.run("checkpointed", ago, nil)
	newest := o.run("checkpointed", ago, nil)
	o.archive(older, path)
	o.archive(chosen, "file:/nowhere/chk-2", path)
	o.archive(away, "file:/nowhere/chk-3")
	o.archive(gone)

	o.job("busy", "x")
	busy := o.run("busy", ago, nil)
	o.exec(`UPDATE runs SET pending = '["delete cluster"]' WHERE id = ?`, busy)
	idle := o.run("busy", ago, nil)

	// The run of a session cluster stays with its directory as long as a run of a job on it has something to do.
	o.job("shared", "x")
	shared := o.run("shared", ago, nil)
	newestShared := o.run("shared", ago, nil)
	o.exec("UPDATE runs SET session = 'shared', session_run = ? WHERE id = ?", shared, busy)

	latest := func(step string, wants map[string]string) {
		t.Helper()
		for job, want := range wants {
			if got, err := o.s.startPoint(ctx, store.Run{Job: job}); got != want || err != nil {
				t.Errorf("%s: %s starts from %q, %v, want %q", step, job, got, err, want)
			}
		}
	}
	wants := map[string]string{"stopped": "file:/nowhere/savepoint", "checkpointed": path, "busy": ""}
	latest("before", wants)
	for range 2 {
		o.pass(epoch.Add(10000 * day))
		o.want("needed", map[string][]string{"runs": {savepoint, newestStopped, chosen, away, newest, busy, idle, shared, newestShared}, "directories": {busy, shared}})
		latest("after", wants)
	}
	// What the archives offer was read once, and is read again when another archive comes.
	var read int
	if err := o.db.QueryRow("SELECT COUNT(*) FROM runs WHERE points IS NOT NULL").Scan(&read); err != nil || read < 5 {
		t.Errorf("the points of %d runs are known, %v", read, err)
	}
	later := o.checkpoint()
	o.archive(newest, later)
	latest("after a late archive", map[string]string{"checkpointed": later})
	o.pass(epoch.Add(10000 * day))
	o.want("after a late archive", map[string][]string{"runs": {savepoint, newestStopped, newest, busy, idle, shared, newestShared}})
	o.exec("UPDATE runs SET pending = '[]' WHERE id = ?", busy)
	o.pass(epoch.Add(10000 * day))
	o.want("at rest", map[string][]string{"runs": {savepoint, newestStopped, newest, idle, newestShared}, "directories": nil})
}

// TestRetentionCrashes: the server ends at each place of a pass; the next pass finishes what it began.
func TestRetentionCrashes(t *testing.T) { // not at the same time as tests that start processes: one that begins has the lock of the data directory for a moment
	var places []string
	for crash := 0; ; crash++ {
		o := newOld(t)
		o.job("clicks", "x")
		first := o.run("clicks", epoch, nil)
		second, newest := o.run("clicks", epoch, nil), o.run("clicks", epoch, nil)
		o.archive(first)
		for run := range 3 {
			o.exec(`WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
				INSERT INTO events (run, job, team, revision, position, at, event) SELECT ?, 'clicks', 'default', i, 0, ?, '{}' FROM n`, []string{first, second, newest}[run], epoch.UnixMilli())
		}
		o.directory("unknown", o.s.Store.Instance())
		for _, name := range []string{"a.jar", "b.jar"} {
			if _, err := o.s.Store.PutArtifact(t.Context(), store.Artifact{Team: "default", Name: name}, strings.NewReader(name), "", 0); err != nil {
				t.Fatal(err)
			}
		}
		o.exec("UPDATE artifacts SET unused = ?", epoch.UnixMilli())
		o.job("deleted", "x")
		o.run("deleted", epoch, nil)
		if err := o.s.Store.DeleteJob(t.Context(), "deleted"); err != nil {
			t.Fatal(err)
		}
		n := 0
		point := func(place string) {
			if crash == 0 {
				places = append(places, place)
			} else if n++; n == crash {
				panic(place)
			}
		}
		o.now = epoch.Add(400 * day)
		o.exec("INSERT INTO removals (run, since) VALUES ('unknown', ?)", epoch.UnixMilli())
		r := o.retention()
		r.Point, o.s.Store.Point, o.s.driver.(*process.Driver).Point = point, point, point
		place := func() (place any) {
			defer func() { place = recover() }()
			if err := r.Pass(t.Context()); err != nil {
				t.Error(err)
			}
			return nil
		}()
		o.close()
		o.open()
		o.pass(o.now)
		if place == nil {
			place = "no crash"
		}
		var events []string
		for i := 1; i <= 700; i++ {
			events = append(events, fmt.Sprint(newest, " ", i))
		}
		o.want(fmt.Sprint(place), map[string][]string{"runs": {newest}, "events": events, "archives": nil, "parts": nil, "directories": nil, "removals": nil, "artifacts": nil, "contents": nil, "tokens": nil})
		if crash == len(places) {
			break
		}
	}
	kinds := map[string]bool{}
	for _, p := range places {
		kinds[p] = true
	}
	if len(kinds) < 8 {
		t.Errorf("%d kinds of places: %q", len(kinds), slices.Sorted(maps.Keys(kinds)))
	}
}

// TestRetentionGoesOnAfterAnError: what cannot be removed does not keep the rest from being removed.
func TestRetentionGoesOnAfterAnError(t *testing.T) {
	o := newOld(t)
	o.job("clicks", "x")
	bad := o.run("clicks", epoch, nil)
	o.run("clicks", epoch, nil)
	newest := o.run("clicks", epoch, nil)
	o.directory(bad, "another platform")
	o.now = epoch.Add(400 * day)
	for range 2 {
		if err := o.retention().Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "another platform") {
			t.Errorf("%v", err)
		}
	}
	o.want("after an error", map[string][]string{"runs": {bad, newest}, "directories": {bad}})
}

// TestRetentionGrowth: ten times as many runs cost ten times as much, in small transactions.
func TestRetentionGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it makes 11,000 runs")
	}
	measure := func(n int) (bytes uint64, transactions int) {
		o := newOld(t)
		const jobs = 50
		for i := range jobs {
			o.job(fmt.Sprint("job-", i), "x")
		}
		state, err := json.Marshal(jobstate.Run{ID: "x", Outcome: jobstate.IsFailed})
		if err != nil {
			t.Fatal(err)
		}
		o.exec(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
			INSERT INTO runs (id, job, version, revision, queue, condition, desired, outcome, state, pending, cluster, asked, created, ended, owner, lease)
			SELECT 'run-' || i, 'job-' || (i % ?), 1, 1, 'failed', '', 'run', 'failed', ?, '[]', '{}', '{}', i, ?, '', 0 FROM n`, n, jobs, string(state), epoch.UnixMilli())
		o.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
			INSERT INTO events (run, job, team, revision, position, at, event, person) SELECT r.id, r.job, 'default', n.i, 0, ?, '{}', n.i = 1 FROM runs r, n`, epoch.UnixMilli())
		o.exec("INSERT INTO archives (run, name, size, stored) SELECT id, 'x', 2000, 0 FROM runs")
		o.exec("INSERT INTO archive_parts (run, name, part, content) SELECT id, 'x', 0, randomblob(2000) FROM runs")
		o.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO answers (token, key, request, status, body, created) SELECT 'ann', i, '', 200, x'', ? FROM n`, n, epoch.UnixMilli())
		r := o.retention()
		r.Point = func(place string) {
			if place == "retention: runs removed" {
				transactions++
			}
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		o.now = epoch.Add(31 * day)
		if err := r.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		have := o.have()
		if len(have["runs"]) != jobs || len(have["events"]) != jobs*3+n-jobs || len(have["archives"]) != jobs || len(have["answers"]) != 0 {
			t.Errorf("%d: left are %d runs, %d events, %d archives, %d answers", n, len(have["runs"]), len(have["events"]), len(have["archives"]), len(have["answers"]))
		}
		t.Logf("%d runs: %d MiB allocated, %d transactions, %v", n, (after.TotalAlloc-before.TotalAlloc)>>20, transactions, time.Since(began))
		return after.TotalAlloc - before.TotalAlloc, transactions
	}
	small, _ := measure(1000)
	large, transactions := measure(10_000)
	if large > 15*small {
		t.Errorf("1,000 runs allocate %d bytes, 10,000 runs %d: more than 15 times as many", small, large)
	}
	// Each run has 2 events to remove, an archive and a row.
	if transactions < 10_000*4/500-1 {
		t.Errorf("only %d transactions", transactions)
	}
}
