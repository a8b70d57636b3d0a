//go:build platform

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/recorded"
	"flink-entrypoint/test/postgres"
)

// TestMain lets this program be the servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lease of a run in these tests.
const lease = 3 * time.Second

// A replica is one of the servers: a process at an address of its own, which is killed, started again and frozen.
type replica struct {
	setup setup
	child *child
	busy  bool // with a fault; lock faults.mu
}

func (r *replica) start() (err error) {
	r.child, err = startChild(r.setup)
	return err
}

func (r *replica) kill() {
	r.child.cmd.Process.Kill()
	r.child.cmd.Wait()
}

// A front is what clusters and users know as the platform: a proxy that asks another server where one does not answer, and one that has not
// answered not again for a while, if there is another.
type front struct {
	servers []string
	away    []atomic.Int64 // by server: when it is asked again, in nanoseconds
	client  *http.Client
	turn    atomic.Int64
}

// patience of the front with one server, and how long it does not ask it then.
const (
	patience = 1500 * time.Millisecond
	avoided  = time.Second
)

// next is the server whose turn it is.
func (f *front) next() int {
	turn := int(f.turn.Add(1))
	for n := range f.servers {
		if i := (turn + n) % len(f.servers); f.away[i].Load() < time.Now().UnixNano() {
			return i
		}
	}
	return turn % len(f.servers)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for range 2 * len(f.servers) {
		status, header, answer, err := f.ask(r, body)
		if err != nil {
			wait(r.Context(), 50*time.Millisecond)
			continue
		}
		for _, name := range []string{"Content-Type", "Retry-After"} {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		w.Write(answer)
		return
	}
	http.Error(w, "no server answers", http.StatusBadGateway)
}

func (f *front) ask(r *http.Request, body []byte) (int, http.Header, []byte, error) {
	long := patience
	if r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "/versions/") { // lists of thousands
		long = 10 * patience
	}
	ctx, cancel := context.WithTimeout(r.Context(), long)
	defer cancel()
	to, server := *r.URL, f.next()
	to.Scheme, to.Host = "http", f.servers[server]
	req, err := http.NewRequestWithContext(ctx, r.Method, to.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := f.client.Do(req)
	if err != nil {
		f.away[server].Store(time.Now().Add(avoided).UnixNano())
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

// A group is servers on one database, with their clusters.
type group struct {
	t        *testing.T
	rnd      *rand.Rand
	database *postgres.Instance
	store    string // its URL
	replicas []*replica
	w        *watcher
	kept     string // directory of what a failure is explained by: the servers' logs, the faults with their times, the database
	mu       sync.Mutex
	done     map[string]int // faults by their names
	faults   *os.File
	seen     []int64 // ids of events, by who follows them
}

func newGroup(t *testing.T, jobs int, seed uint64) *group {
	t.Helper()
	g := &group{t: t, rnd: rand.New(rand.NewPCG(seed, 3)), database: postgres.Open(t), kept: t.ArtifactDir(), done: map[string]int{}}
	url := g.database.Database(t)
	// A server that is frozen in a transaction is not waited for longer than for its lease.
	g.store = url + "&idle_in_transaction_session_timeout=" + strconv.FormatInt(lease.Milliseconds(), 10)
	var err error
	if g.faults, err = os.Create(filepath.Join(g.kept, "faults.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.faults.Close() })
	f, err := newFleet(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	f.served = true
	for i := range jobs {
		m := g.plan(i)
		f.members = append(f.members, m)
		f.byHost[f.host(m)] = m
	}
	door := &front{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	proxy := httptest.NewServer(door)
	t.Cleanup(proxy.Close)
	g.w = &watcher{fleet: f, url: proxy.URL}
	dir := t.TempDir()
	door.away = make([]atomic.Int64, 3)
	for i := range door.away {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		door.servers = append(door.servers, l.Addr().String())
		g.replicas = append(g.replicas, &replica{setup: setup{Data: filepath.Join(dir, fmt.Sprint("data-", i)), Control: f.control, Store: g.store, Listen: l.Addr().String(), URL: proxy.URL,
			Lease: lease, ArchiveWait: 2 * lease, Shared: true, Files: dir, Log: filepath.Join(g.kept, fmt.Sprintf("server-%d.log", i))}})
	}
	for _, r := range g.replicas {
		if err := r.start(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, r := range g.replicas {
			r.kill()
		}
		if t.Failed() {
			if err := g.database.Dump(url, filepath.Join(g.kept, "tables.sql")); err != nil {
				t.Log(err)
			}
		}
	})
	return g
}

// plan decides what becomes of a job.
func (g *group) plan(number int) *member {
	m := memberOf(number, 0)
	m.fate, m.end = ends, recorded.Finished
	// A life is longer than a server is frozen: a request to start it, which a frozen one does later, finds that it has begun.
	m.cycle = longestPause + 2*time.Second + time.Duration(g.rnd.IntN(8000))*time.Millisecond
	switch n := g.rnd.IntN(20); {
	case n < 8:
	case n < 10:
		m.end = recorded.Failed
	case n < 11 && m.way != byExit: // its exit code does not tell it from one that has finished
		m.end = recorded.Canceled
	case n < 13:
		m.fate, m.end = isCanceled, recorded.Canceled
	case n < 15:
		m.fate, m.end = isStopped, recorded.Stopped
	case n < 17:
		m.fate, m.end = beginsAnew, recorded.Failed
	case n < 18:
		m.fate = restarts
	case n < 19:
		m.fate = pauses
	default:
		m.fate, m.end = runs, ""
	}
	return m
}

// call is watcher.call, again while no server or no database answers. 409: it was done before, and the answer was lost.
func (g *group) call(method, path string, body []byte) error {
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = g.w.call(method, path, body, nil); err == nil || strings.Contains(err.Error(), ": 409 ") {
			return nil
		}
		if !temporary(err) {
			break
		}
	}
	return err
}

// temporary reports whether an error says that the servers or the database are away.
func temporary(err error) bool {
	return strings.Contains(err.Error(), ": 503 ") || strings.Contains(err.Error(), ": 502 ") || errors.Is(err, io.EOF)
}

// users stores and starts every job, and stops those that are to be stopped, some seconds after they run.
func (g *group) users(started *atomic.Int64) {
	var all sync.WaitGroup
	work := make(chan *member)
	for range 16 {
		all.Go(func() {
			for m := range work {
				text := fmt.Sprintf(definition, m.name())
				if m.fate == beginsAnew {
					text = strings.Replace(text, "x-platform: {", "configuration: {execution.runtime-mode: batch}\nx-platform: {restart: {attempts: 1, backoff: 1 s}, ", 1)
				}
				err := g.call(http.MethodPut, "/v1/jobs/"+m.name(), []byte(text))
				if err == nil {
					err = g.call(http.MethodPost, "/v1/jobs/"+m.name()+"/start", []byte("{}"))
				}
				if err != nil {
					g.t.Errorf("%s: %v", m.name(), err)
				}
				started.Add(1)
				mode := map[fate]string{isCanceled: "cancel", isStopped: "savepoint"}[m.fate]
				if mode != "" {
					g.w.fleet.after(m.cycle, func() { g.stop(m, mode) })
				}
			}
		})
	}
	for _, m := range g.w.fleet.members {
		work <- m
	}
	close(work)
	all.Wait()
}

// stop stops a job once the platform says that it runs: before, it has no state to save.
func (g *group) stop(m *member, mode string) {
	for range 600 {
		var j wire.Job
		if err := g.w.call(http.MethodGet, "/v1/jobs/"+m.name(), nil, &j); err == nil && j.Run != nil && j.Run.Queue == "running" {
			break
		}
		wait(g.w.fleet.ctx, 300*time.Millisecond)
	}
	body, err := json.Marshal(wire.Stop{Mode: mode})
	if err == nil {
		err = g.call(http.MethodPost, "/v1/jobs/"+m.name()+"/stop", body)
	}
	if err != nil && g.w.fleet.ctx.Err() == nil {
		g.w.fleet.bug("%s: %s: %v", m.name(), mode, err)
	}
}

// longestPause of a server: it has lost its leases.
const longestPause = 5 * lease / 2

// trouble does faults, one about every so often, and spread over the starts of the jobs; two may be on their way at the same time. It returns when all
// are over and all servers run.
func (g *group) trouble(faults int, every time.Duration, started *atomic.Int64) {
	var all sync.WaitGroup
	var restarting sync.Mutex
	for i := range faults {
		time.Sleep(time.Duration(g.rnd.Float64() * 2 * float64(every)))
		for started.Load() < int64(len(g.w.fleet.members)*i/faults) {
			time.Sleep(20 * time.Millisecond)
		}
		long := time.Duration(g.rnd.Float64() * float64(longestPause))
		which := g.rnd.IntN(10)
		how := []syscall.Signal{postgres.Fast, postgres.Immediate}[g.rnd.IntN(2)]
		r := g.idle()
		name := "a server is killed"
		var do func() error
		switch {
		case which == 0:
			g.free(r)
			r, name = nil, "the database is restarted"
			do = func() error {
				restarting.Lock()
				defer restarting.Unlock()
				return g.database.Restart(how)
			}
		case which < 4:
			do = func() error {
				r.kill()
				time.Sleep(long / 4)
				return r.start()
			}
		case which < 6: // it never goes on
			name = "a server is frozen and killed"
			do = func() error {
				err := r.child.cmd.Process.Signal(syscall.SIGSTOP)
				time.Sleep(long / 2)
				r.kill()
				return errors.Join(err, r.start())
			}
		default:
			name = "a server is frozen"
			do = func() error {
				err := r.child.cmd.Process.Signal(syscall.SIGSTOP)
				time.Sleep(long)
				return errors.Join(err, r.child.cmd.Process.Signal(syscall.SIGCONT))
			}
		}
		g.mu.Lock()
		g.done[name]++
		g.mu.Unlock()
		all.Go(func() {
			defer g.free(r)
			begun := time.Now()
			defer func() {
				server := -1
				if r != nil {
					server = slices.Index(g.replicas, r)
				}
				g.mu.Lock()
				defer g.mu.Unlock()
				fmt.Fprintf(g.faults, "%s to %s: %s (%d)\n", begun.UTC().Format("15:04:05.000"), time.Now().UTC().Format("15:04:05.000"), name, server)
			}()
			for again := 0; ; again++ {
				err := do()
				if err == nil {
					return
				}
				// A server that starts while the database is away ends with an error, and is started again, as by Kubernetes.
				if again > 20 {
					g.t.Errorf("%s: %v", name, err)
					return
				}
				time.Sleep(300 * time.Millisecond)
				if do = nil; r != nil {
					do = r.start
				} else {
					g.t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// idle waits for a server without a fault, and takes it.
func (g *group) idle() *replica {
	for {
		g.mu.Lock()
		i := g.rnd.IntN(len(g.replicas))
		for n := range g.replicas {
			if r := g.replicas[(i+n)%len(g.replicas)]; !r.busy {
				r.busy = true
				g.mu.Unlock()
				return r
			}
		}
		g.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

func (g *group) free(r *replica) {
	if r == nil {
		return
	}
	g.mu.Lock()
	r.busy = false
	g.mu.Unlock()
}

// follow reads events after the last one that it saw, until ctx ends and none is left.
func (g *group) follow(ctx context.Context) {
	for last := int64(0); ; {
		var page struct{ Events []wire.Event }
		err := g.w.call(http.MethodGet, fmt.Sprintf("/v1/events?limit=1000&after=%d", last), nil, &page)
		for _, e := range page.Events {
			g.seen, last = append(g.seen, e.ID), e.ID
		}
		if ctx.Err() != nil && err == nil && len(page.Events) == 0 {
			return
		}
		if len(page.Events) < 1000 {
			wait(ctx, 500*time.Millisecond)
		}
	}
}

// settled waits until every cluster that is to end has ended and is deleted.
func (g *group) settled(within time.Duration) error {
	return eventually(within, func() (error, bool) {
		for _, first := range g.w.fleet.members {
			for _, m := range first.chain() {
				m.mu.Lock()
				ended, deleted, exited, late := !m.endedAt.IsZero(), !m.deletedAt.IsZero(), m.exited, m.late
				m.mu.Unlock()
				if m.fate != runs && (!ended || !deleted || !exited || late) {
					return unless(false, "%s, which %s: ended %t, deleted %t, its process ended %t, started again %t", m.name(), m.fate, ended, deleted, exited, late)
				}
			}
		}
		return nil, true
	})
}

// chain is the clusters of a job, in order; the one after a failure is nil-safe: it has no run until it is started.
func (m *member) chain() []*member {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.next != nil:
		return []*member{m, m.next}
	case m.fate == beginsAnew:
		return []*member{m, {job: m.job, fate: ends}} // it has not begun
	}
	return []*member{m}
}

// judge compares what the clusters did with what the platform says.
func (g *group) judge() {
	t := g.t
	t.Helper()
	faults := 0
	fault := func(format string, args ...any) {
		if faults++; faults <= 20 {
			t.Errorf(format, args...)
		}
	}
	jobs, err := g.w.jobs()
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]wire.Event{}
	var ids []int64
	for after := int64(0); ; {
		var page struct{ Events []wire.Event }
		if err := g.w.call(http.MethodGet, fmt.Sprintf("/v1/events?limit=10000&after=%d", after), nil, &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			of[e.Run], ids, after = append(of[e.Run], e), append(ids, e.ID), e.ID
		}
		if len(page.Events) == 0 {
			break
		}
	}
	if !slices.Equal(ids, g.seen) {
		fault("who followed the events saw %d, there are %d", len(g.seen), len(ids))
	}
	known, unseen := map[string]bool{"": true}, 0
	for _, first := range g.w.fleet.members {
		chain := first.chain()
		for i, m := range chain {
			m.mu.Lock()
			run, lives, stops, cancels, unanswered := m.run, m.lives, len(m.stops), m.cancels, m.unanswered
			m.mu.Unlock()
			// Its cluster is gone, so only the archive can say it. An archive that was on its way for longer than servers wait for it can be missing, but
			// not one that has ended the run.
			if unanswered && endedBy(of[run]) == "archive" {
				if err := g.w.call(http.MethodGet, "/v1/jobs/"+m.name()+"/checkpoints?run="+run, nil, nil); err != nil {
					fault("%s: its archive was refused, and is not stored: %v", m.name(), err)
				}
			}
			known[run] = true
			events := of[run]
			if run == "" || lives != 1 {
				fault("%s, which %s: its cluster %d of run %q lived %d times", m.name(), m.fate, i+1, run, lives)
				continue
			}
			if newest := jobs[m.name()].Run; i == len(chain)-1 && (newest == nil || newest.ID != run) {
				fault("%s: its newest run is %+v, its newest cluster is of %s", m.name(), newest, run)
			}
			if m.fate == isStopped && stops != 1 || m.fate != isStopped && stops > 0 || m.fate != isCanceled && cancels > 0 || m.fate == isCanceled && cancels == 0 {
				fault("%s, which %s: %d stops, %d cancels", m.name(), m.fate, stops, cancels)
			}
			for _, text := range history(m, events, i > 0, &unseen) {
				fault("%s, which %s (%s, ended %s): %s\n%s", m.name(), m.fate, m.way, m.end, text, told(events))
			}
		}
	}
	for run := range of {
		if !known[run] {
			fault("the run %s has no cluster: %s", run, told(of[run]))
		}
	}
	g.w.fleet.mu.Lock()
	for _, text := range g.w.fleet.bugs {
		fault("%s", text)
	}
	g.w.fleet.mu.Unlock()
	if faults > 20 {
		t.Errorf("and %d more", faults-20)
	}
	t.Logf("%d events of %d runs; %d runs ended before a server saw them run; %d clusters were started too late, and deleted", len(ids), len(of)-1, unseen, g.w.fleet.lates.Load())
}

// endedBy is the evidence of a run's end.
func endedBy(events []wire.Event) string {
	for _, e := range events {
		if e.Outcome != "" {
			return e.Evidence
		}
	}
	return ""
}

// history says what is wrong with the events of a run whose cluster did what m says.
func history(m *member, events []wire.Event, second bool, unseen *int) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var queues []string
	ended, asked, began, attempts, revision := 0, 0, 0, 0, int64(0)
	for i, e := range events {
		if len(queues) == 0 || queues[len(queues)-1] != e.Queue {
			queues = append(queues, e.Queue)
		}
		if e.Outcome != "" && (i == 0 || events[i-1].Outcome == "") {
			ended++
		}
		switch {
		case strings.HasSuffix(e.Text, "was asked to start"), strings.Contains(e.Text, "is started again after run"):
			began++
		case strings.HasSuffix(e.Text, "has started"):
			attempts++
		case e.Evidence == "user":
			asked++
		}
		if e.Revision < revision {
			say("its events are not in order")
		}
		revision = e.Revision
	}
	if len(queues) > 1 && queues[1] != "running" {
		queues = slices.Insert(queues, 1, "running")
		*unseen++
	}
	last := map[string]string{recorded.Finished: "finish", recorded.Failed: "failed", recorded.Canceled: "cancel", recorded.Stopped: "cancel", "": "running"}[m.end]
	want := []string{"accept", "running"}
	if last != "running" {
		want = append(want, last)
	}
	if !slices.Equal(queues, want) {
		say("its queues are %v, want %v", queues, want)
	}
	outcome := ""
	if len(events) > 0 {
		outcome = events[len(events)-1].Outcome
	}
	wantEnded, wantAsked := 1, 0
	if m.fate == runs {
		wantEnded = 0
	}
	if m.fate == isCanceled || m.fate == isStopped {
		wantAsked = 1
	}
	if outcome != m.end || ended != wantEnded || asked != wantAsked || began != 1 || attempts != 1 {
		say("it has the outcome %q, ended %d times, was asked to end %d times, began %d times with %d attempts", outcome, ended, asked, began, attempts)
	}
	return wrong
}

func told(events []wire.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "  %d %s %s %s/%s %s %s: %s\n", e.Revision, e.At.Format("15:04:05.000"), e.Run, e.Queue, e.Condition, e.Outcome, e.Evidence, e.Text)
	}
	return b.String()
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestReplicasInTrouble: three servers on one PostgreSQL, which are killed, frozen and go on, and whose database is restarted, while jobs start, run, fail
// and begin again, are canceled, are stopped, and end. What each cluster did is in the platform's events exactly once. REPLICA_JOBS and
// REPLICA_FAULTS say how many; FLINK_SEED chooses.
func TestReplicasInTrouble(t *testing.T) {
	jobs, faults, seed := number(t, "REPLICA_JOBS", 300), number(t, "REPLICA_FAULTS", 20), number(t, "FLINK_SEED", 1)
	t.Logf("seed %d", seed)
	g := newGroup(t, jobs, uint64(seed))
	following, end := context.WithCancel(context.Background())
	var all, follower sync.WaitGroup
	follower.Go(func() { g.follow(following) })
	var started atomic.Int64
	all.Go(func() { g.users(&started) })
	all.Go(func() { g.trouble(faults, 1200*time.Millisecond, &started) })
	all.Wait()
	t.Logf("%d jobs were started; faults: %v", started.Load(), g.done)
	if err := g.settled(10 * time.Minute); err != nil {
		t.Error(err)
	}
	end()
	follower.Wait()
	g.judge()
}

// TestOlderReplicas: while a newer program adds to the tables, servers of this one go on, and one that starts then does too.
func TestOlderReplicas(t *testing.T) {
	g := newGroup(t, 40, 1)
	var started atomic.Int64
	following, end := context.WithCancel(context.Background())
	var follower, users sync.WaitGroup
	follower.Go(func() { g.follow(following) })
	users.Go(func() { g.users(&started) })
	for started.Load() < 20 {
		time.Sleep(20 * time.Millisecond)
	}
	db, err := sql.Open("pgx", g.store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Servers that write take the tables in an order of their own, so PostgreSQL may end either side as a deadlock. The store's migration is repeated then,
	// for as long as here (Store.LockWait), as are the writes of the servers.
	for end := time.Now().Add(15 * time.Second); ; {
		err := newerTables(db)
		if err == nil {
			break
		}
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "40P01" || time.Now().After(end) {
			t.Fatal(err)
		}
		t.Logf("again: %v", err)
	}
	users.Wait()
	g.replicas[0].kill()
	if err := g.replicas[0].start(); err != nil {
		t.Fatal(err)
	}
	if err := g.settled(time.Minute); err != nil {
		t.Error(err)
	}
	end()
	follower.Wait()
	g.judge()
}

// newerTables does what a newer program does at its start: its migration, which programs of this version survive (store.migrations), here to every table.
func newerTables(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, err := tx.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
	if err != nil {
		return err
	}
	var statements []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		if table != "schema_version" && table != "meta" { // not for migrations
			statements = append(statements, "ALTER TABLE "+table+" ADD COLUMN later BIGINT NOT NULL DEFAULT 0", "CREATE INDEX later_"+table+" ON "+table+" (later)")
		}
	}
	if err := rows.Err(); err != nil || len(statements) < 20 {
		return fmt.Errorf("%d statements, %w", len(statements), err)
	}
	for _, s := range append(statements, "CREATE TABLE laters (later TEXT)", "INSERT INTO schema_version VALUES (9000)") {
		if _, err := tx.Exec(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return tx.Commit()
}
