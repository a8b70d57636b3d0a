package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestQueue: slots are given in the order in which runs came; each waiting run hears its place; a run that goes away gives its place to the next.
func TestQueue(t *testing.T) {
	q := newQueue(2, 3)
	enter := func(ctx context.Context, user string) (places chan int, begun chan func(), ended chan error) {
		places, begun, ended = make(chan int, 10), make(chan func(), 1), make(chan error, 1)
		go func() {
			leave, err := q.enter(ctx, user, func(n int) { places <- n })
			if err != nil {
				ended <- err
				return
			}
			begun <- leave
		}()
		return places, begun, ended
	}
	_, a, _ := enter(t.Context(), "a")
	leaveA := <-a
	_, b, _ := enter(t.Context(), "b")
	leaveB := <-b
	going, cancel := context.WithCancel(t.Context())
	placesC, _, endedC := enter(going, "c")
	if n := <-placesC; n != 1 {
		t.Errorf("c has place %d", n)
	}
	placesD, d, _ := enter(t.Context(), "d")
	if n := <-placesD; n != 2 {
		t.Errorf("d has place %d", n)
	}
	placesE, e, _ := enter(t.Context(), "e")
	if n := <-placesE; n != 3 {
		t.Errorf("e has place %d", n)
	}
	if running, waiting := q.counts(); running != 2 || waiting != 3 {
		t.Errorf("%d on their way, %d wait", running, waiting)
	}
	for user, want := range map[string]string{"f": "3 debug runs wait already, which is as many as the server lets wait", "a": "another debug run of yours has not ended", "d": "another debug run of yours has not ended"} {
		_, err := q.enter(t.Context(), user, nil)
		if refused, ok := errors.AsType[*Refused](err); !ok || !refused.Busy || refused.Message != want {
			t.Errorf("%s: %v", user, err)
		}
	}
	cancel()
	if err := <-endedC; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if d, e := <-placesD, <-placesE; d != 1 || e != 2 {
		t.Errorf("after c has gone: d has place %d, e %d", d, e)
	}
	leaveB()
	leaveB() // once is enough
	leaveD := <-d
	if n := <-placesE; n != 1 {
		t.Errorf("after b: e has place %d", n)
	}
	select {
	case <-e:
		t.Error("e runs beside a and d")
	default:
	}
	leaveA()
	leaveE := <-e
	leaveD()
	leaveE()
	if running, waiting := q.counts(); running != 0 || waiting != 0 || len(q.users) != 0 {
		t.Errorf("%d on their way, %d wait, users %v", running, waiting, q.users)
	}
}

// TestTwentyPeople: 20 people on 4 slots. No row is another's, at most four runs are on their way, everybody hears a falling place, and no
// process is left.
func TestTwentyPeople(t *testing.T) {
	f := open(t, Options{Warm: 1, Runs: 4, Queue: 20})
	var all sync.WaitGroup
	var mu sync.Mutex
	rows, waited := map[string]string{}, 0
	for i := range 20 {
		user := fmt.Sprintf("user%d", i)
		all.Go(func() {
			var places []int
			var own []string
			end, err := f.Debug(t.Context(), user, Script{Name: "job.sql", Source: []byte(script)}, DebugOptions{}, Events{
				Queued: func(n int) { places = append(places, n) },
				Start: func(bool) {
					if slots, running, _ := f.Slots(); running > slots {
						t.Errorf("%d of %d runs are on their way", running, slots)
					}
				},
				Ready: func(_, _ []string) {}, Line: func(string) {}, Warn: func(string) {},
				Row: func(row Row) { own = append(own, row.Text) },
			})
			if err != nil || end.Limit != "" || len(own) != 1 {
				t.Errorf("%s: %v, %+v, %v", user, err, end, own)
				return
			}
			if !slices.IsSortedFunc(places, func(a, b int) int { return b - a }) || len(places) > 0 && places[0] > 16 {
				t.Errorf("%s had the places %v", user, places)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(places) > 0 {
				waited++
			}
			if other, twice := rows[own[0]]; twice {
				t.Errorf("%s and %s have the row %s of one process", user, other, own[0])
			}
			rows[own[0]] = user
		})
	}
	all.Wait()
	if len(rows) != 20 || waited == 0 {
		t.Errorf("%d rows, %d have waited", len(rows), waited)
	}
	f.ready(1)
	f.until("the JVM in store, and the planner", func() bool { return len(f.alive()) == 2 })
}

// TestWaitingRunGoesAway: a run whose reader goes while it waits never gets a JVM.
func TestWaitingRunGoesAway(t *testing.T) {
	f := open(t, Options{Runs: 1})
	began, first := make(chan struct{}), make(chan error, 1)
	running, stop := context.WithCancel(t.Context())
	go func() {
		_, _, err := f.debug(running, "ada", script+"-- FOREVER", func() { close(began) })
		first <- err
	}()
	<-began
	started := len(f.pids())
	ctx, cancel := context.WithCancel(t.Context())
	_, err := f.Debug(ctx, "grace", Script{Name: "job.sql", Source: []byte(script)}, DebugOptions{}, Events{Queued: func(n int) {
		if n != 1 {
			t.Errorf("place %d", n)
		}
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || len(f.pids()) != started {
		t.Errorf("%v, %d processes after %d", err, len(f.pids()), started)
	}
	stop()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, _, err := f.debug(t.Context(), "grace", script, nil); err != nil {
		t.Error(err)
	}
}

// TestData: rows of users, in CSV and JSON, as lines of JSON; faults at their places.
func TestData(t *testing.T) {
	for _, tt := range []struct {
		content string
		csv     bool
		want    string // or the fault
	}{
		{"\xEF\xBB\xBFid, name\n1,\"a \"\"b\"\"\n c\"\n2,\n", true, `{"id":"1","name":"a \"b\"\n c"}` + "\n" + `{"id":"2","name":null}` + "\n"},
		{"id,tags\n1,\"[1, 2]\"\n2,[x\n", true, `{"id":"1","tags":[1,2]}` + "\n" + `{"id":"2","tags":"[x"}` + "\n"},
		{"id\n", true, ""},
		{"", true, "data:t:1:1: no rows: expected a first line with the names of the columns"},
		{"id,id\n", true, "data:t:1:1: the first line names the column id twice"},
		{"id,\n", true, "data:t:1:1: column 2 has no name in the first line"},
		{"id,b\n1,2\n3\n", true, "data:t:3:1: the row has 1 values, the first line names 2 columns"},
		{"id\n\"x\n", true, `data:t:2:4: not CSV: extraneous or missing " in quoted-field`},
		{"id\n\xff\n", true, "data:t:1: the rows are not UTF-8"},
		{"{\"id\": 12345678901234567890}\n\n{\"id\":\n 2}", false, "{\"id\":12345678901234567890}\n{\"id\":2}\n"},
		{" [{\"id\": 1},\n {\"id\": 2}]\n", false, "{\"id\":1}\n{\"id\":2}\n"},
		{"[]", false, ""},
		{"{\"id\": 1}\n{\"id\": }\n", false, "data:t:2:8: not JSON: invalid character '}' looking for beginning of value"},
		{"{\"id\": 1}\n[2]\n", false, "data:t:2:1: expected an object with a row's columns, found [2]"},
		{"[{\"id\": 1}, 2]", false, "data:t:1:13: expected an object with a row's columns, found 2"},
	} {
		got, err := Data{Table: "t", CSV: tt.csv, Content: []byte(tt.content)}.lines()
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if text != tt.want {
			t.Errorf("%q\nfound    %q\nexpected %q", tt.content, text, tt.want)
		}
	}
	f := open(t, Options{})
	const sql = "CREATE TABLE s (id INT) WITH ('connector' = 'kafka');\nCREATE TABLE p (id INT) WITH ('connector' = 'kafka');\nINSERT INTO p SELECT id FROM s;\n"
	for _, tt := range []struct{ table, want string }{{"s", ""}, {"no_such", "the script has no table no_such"}, {"../../x", "the script has no table ../../x"}} {
		rows := 0
		_, err := f.Debug(t.Context(), "ada", Script{Name: "job.sql", Source: []byte(sql)}, DebugOptions{Data: []Data{{Table: tt.table, Content: []byte(`{"id": 7}`)}}},
			Events{Start: func(bool) {}, Ready: func(_, _ []string) {}, Line: func(string) {}, Warn: func(string) {}, Row: func(Row) { rows++ }})
		if tt.want == "" && (err != nil || rows != 1) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, %d rows", tt.table, err, rows)
		}
	}
}

// TestExit: a script whose code ends Java has not finished.
func TestExit(t *testing.T) {
	f := open(t, Options{})
	_, _, err := f.debug(t.Context(), "ada", script+"-- EXIT", nil)
	if err == nil || !strings.Contains(err.Error(), "Java ended before the script did: code of the script called System.exit") {
		t.Error(err)
	}
}

// TestHeap: a JVM that ends for its heap is a bound of the run.
func TestHeap(t *testing.T) {
	f := open(t, Options{})
	_, end, err := f.debug(t.Context(), "ada", script+"-- HEAP", nil)
	if err != nil || end.Limit != "ended: it needs more than the 512 MiB of heap that a run has here" {
		t.Errorf("%v, %+v", err, end)
	}
}

// TestPolicy: what an operator may write, and what is wrong with the rest.
func TestPolicy(t *testing.T) {
	f := open(t, Options{})
	value := writeFile(t, "value", "hunter2\n")
	p, err := ReadPolicy(writeFile(t, "policy.yaml", "env: {PASSWORD: "+value+"}\nfiles: {/run/secrets/db: "+value+"}\nhosts: [db.example.com:5432, localhost:80]\n"))
	if err != nil {
		t.Fatal(err)
	}
	env, err := p.environment()
	if err != nil || !slices.Equal(env, []string{"PASSWORD=hunter2"}) || !slices.Equal(p.hosts(), []string{"db.example.com:5432", "localhost:80"}) {
		t.Errorf("%v, %v, %v", err, env, p.hosts())
	}
	for text, want := range map[string]bool{"{fromEnv: PASSWORD}": true, "{fromEnv: HOME}": false, "{fromFile: /run/secrets/db}": true, "{fromFile: /etc/shadow}": false, "PASSWORD": false} {
		if p.allows(text) != want || (*Policy)(nil).allows(text) {
			t.Errorf("%s", text)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"hosts: [1.2.3.4:80]", `:1: hosts: found "1.2.3.4:80", expected HOST:PORT with the name of a host`},
		{"hosts: [db:0]", `:1: hosts: found "db:0"`},
		{"hosts: ['a b:80']", `:1: hosts: found "a b:80"`},
		{"hosts: db:80", ":1: hosts: expected a list"},
		{"env: {A: relative}", ":1: env.A: expected the absolute path"},
		{"files: {/x: /no/such/file}", ":1: files./x: /no/such/file is not a file that can be read"},
		{"\nsecrets: {}", `:2: unknown key "secrets", expected env, files or hosts`},
		{"[]", "expected a mapping"},
	} {
		if _, err := ReadPolicy(writeFile(t, "policy.yaml", tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
	// Without a wall nothing of a policy holds.
	f.o.Policy = p
	s := Script{Name: "job.yaml", Source: []byte("apiVersion: flink-entrypoint/v1\nname: job\nsql:\n  script: SELECT 1;\n  set: {table.a: {fromEnv: PASSWORD}}\n")}
	if _, err := f.Validate(t.Context(), s); err == nil || !strings.Contains(err.Error(), "sql.set.table.a is a reference") {
		t.Error(err)
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
