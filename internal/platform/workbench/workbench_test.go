package workbench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/test/world"
)

const script = `CREATE TABLE p (id INT) WITH ('connector' = 'kafka');
INSERT INTO p VALUES (1);
`

type fixture struct {
	*Workbench
	bench Bench // what the test asks: the workbench itself, or a worker that has it
	t     *testing.T
	dir   string
	now   atomic.Int64 // seconds that the clock is ahead
	mark  string       // a file that breaks each new JVM
}

func open(t *testing.T, o Options) *fixture {
	f := &fixture{t: t, dir: t.TempDir()}
	f.mark = filepath.Join(f.dir, "broken")
	world.Write(t, f.dir, world.Stub("2.2.1", "", world.Runner))
	o.Home, o.Dir = filepath.Join(f.dir, "flink"), filepath.Join(f.dir, "workbench")
	o.Env = []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(f.dir, "java"), "AWS_SECRET_ACCESS_KEY=hunter2"}
	o.Log, o.Wall = slog.New(slog.NewTextHandler(t.Output(), nil)), WallOff
	o.Now = func() time.Time { return time.Now().Add(time.Duration(f.now.Load()) * time.Second) }
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Workbench = w
	t.Cleanup(func() {
		w.Close()
		if left := f.alive(); len(left) > 0 {
			t.Errorf("processes %v are left after the end", left)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left after the end: %v", o.Dir, err)
		}
	})
	f.serve()
	return f
}

// pids are the processes that were started, in their order.
func (f *fixture) pids() []int {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, "pids"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.t.Fatal(err)
	}
	var out []int
	for line := range strings.Lines(string(b)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// alive are those that have not ended. One that was left by its parent, and killed, may still be a zombie.
func (f *fixture) alive() []int {
	return slices.DeleteFunc(f.pids(), func(pid int) bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil
	})
}

func (f *fixture) until(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not after 20 s: %s", what)
		}
	}
}

func (f *fixture) ready(n int) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d JVMs in store", n), func() bool { return f.Warm() == n })
}

// debug runs a script, and returns its rows.
func (f *fixture) debug(ctx context.Context, user, sql string, row func()) ([]string, End, error) {
	var rows []string
	end, err := f.Debug(ctx, user, Script{Name: "job.sql", Source: []byte(sql)}, DebugOptions{}, Events{Start: func(bool) {}, Ready: func(_, _ []string) {}, Line: func(string) {}, Warn: func(string) {},
		Row: func(r Row) {
			rows = append(rows, r.Table+r.Kind+r.Text)
			if row != nil {
				row()
			}
		}})
	return rows, end, err
}

// TestOneRunEach: a JVM serves one run and is replaced; without one in store a run starts its own.
func TestOneRunEach(t *testing.T) {
	f := open(t, Options{Warm: 2})
	seen := map[string]bool{}
	for range 4 {
		f.ready(2)
		rows, end, err := f.debug(t.Context(), "ada", script, nil)
		if err != nil || len(rows) != 1 || seen[rows[0]] || !end.Warm || end.Rows != 1 || end.Limit != "" || !end.Tables {
			t.Fatalf("%v, %v, %+v", err, rows, end)
		}
		seen[rows[0]] = true
	}
	f.ready(2)
	cold := open(t, Options{})
	rows, end, err := cold.debug(t.Context(), "ada", script, nil)
	if err != nil || len(rows) != 1 || end.Warm || cold.Warm() != 0 {
		t.Errorf("%v, %v, %+v", err, rows, end)
	}
}

// TestBounds: time, rows, and the user's own end kill the JVM and what it has started.
func TestBounds(t *testing.T) {
	f := open(t, Options{Warm: 1, Time: 2 * time.Second, Rows: 20})
	f.ready(1)
	before := len(f.pids())
	rows, end, err := f.debug(t.Context(), "ada", script+"-- FOREVER", nil)
	if err != nil || len(rows) != 1 || !strings.HasPrefix(end.Limit, "ended after 2s") || end.Took < 2*time.Second {
		t.Errorf("the deadline: %v, %v, %+v", err, rows, end)
	}
	if pids := f.pids(); len(pids) < before+1 || slices.Contains(f.alive(), pids[before]) {
		t.Errorf("what the JVM started is alive: %v of %v", f.alive(), pids)
	}
	f.ready(1)
	rows, end, err = f.debug(t.Context(), "ada", script+"-- MANY", nil)
	if err != nil || len(rows) != 20 || end.Rows != 20 || !strings.HasPrefix(end.Limit, "ended after 20 rows") {
		t.Errorf("too many rows: %v, %v, %+v", err, rows, end)
	}
	f.ready(1)
	ctx, cancel := context.WithCancel(t.Context())
	rows, end, err = f.debug(ctx, "ada", script+"-- FOREVER", cancel)
	if !errors.Is(err, context.Canceled) || len(rows) != 1 || end.Limit != "" {
		t.Errorf("a user that goes: %v, %v, %+v", err, rows, end)
	}
	f.ready(1)
	rows, _, err = f.debug(t.Context(), "ada", script+"-- LEAVE", nil)
	if err != nil || len(rows) != 1 {
		t.Errorf("a process that was left: %v, %v", err, rows)
	}
	f.ready(1)
	f.until("one process: the JVM in store, and the planner", func() bool { return len(f.alive()) == 2 })
}

// TestFaults: of the run, of the planner, of a Java that does not start.
func TestFaults(t *testing.T) {
	f := open(t, Options{})
	_, _, err := f.debug(t.Context(), "ada", script+"-- FAIL", nil)
	if faults := Faults(err); len(faults) != 1 || faults[0].File != "job.sql" || faults[0].Line != 2 || faults[0].Column != 1 || faults[0].Message != "Division by zero" || faults[0].Statement != "statement 2" {
		t.Errorf("%v, %+v", err, faults)
	}
	if err := os.WriteFile(f.mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.debug(t.Context(), "ada", script, nil); err == nil || !strings.Contains(err.Error(), "java ended with exit code 1 without naming a statement: no such option") || strings.Contains(err.Error(), f.dir) {
		t.Error(err)
	}
	if _, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script)}); err == nil || !strings.Contains(err.Error(), "the check stopped early") {
		t.Error(err)
	}
}

// TestADeadJVMIsReplaced, also where the first new one does not start.
func TestADeadJVMIsReplaced(t *testing.T) {
	f := open(t, Options{Warm: 1})
	f.ready(1)
	if err := os.WriteFile(f.mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.pool.mu.Lock()
	f.pool.warm[0].process.Kill()
	f.pool.mu.Unlock()
	started := len(f.pids())
	f.until("an attempt that fails", func() bool { return len(f.pids()) > started })
	if f.Warm() != 0 {
		t.Error("a JVM that did not start is in store")
	}
	if err := os.Remove(f.mark); err != nil {
		t.Fatal(err)
	}
	f.ready(1)
}

// TestPlanner: one process for all scripts, until it has had enough of them, is too old, or was killed.
func TestPlanner(t *testing.T) {
	f := open(t, Options{Warm: 1, PlannerScripts: 3, PlannerAge: time.Hour, Time: 4 * time.Second})
	planner := func() string {
		t.Helper()
		_, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte("CREATE TABLE p (id INT) WITH ('connector' = 'kafka'); -- WRONG")})
		faults := Faults(err)
		if len(faults) != 1 || faults[0].Line != 1 {
			t.Fatalf("%v, %+v", err, faults)
		}
		return faults[0].Message
	}
	f.until("a planner", f.Planner)
	first := planner()
	for range 2 {
		if again := planner(); again != first {
			t.Fatalf("%s, then %s", first, again)
		}
	}
	f.until("a successor", f.Planner)
	second := planner()
	if second == first {
		t.Fatalf("%s served a fourth script", first)
	}
	f.now.Add(3600)
	if again := planner(); again != second {
		t.Errorf("%s, then %s, without a successor", second, again)
	}
	f.until("a successor", f.Planner)
	third := planner()
	if third == second {
		t.Errorf("%s served for more than an hour", second)
	}
	if _, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script + "-- HANG")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a planner that hangs: %v", err)
	}
	if _, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script + "-- DIE")}); err == nil || !strings.Contains(err.Error(), "exit code 3") {
		t.Errorf("a planner that dies: %v", err)
	}
	if last := planner(); last == third {
		t.Errorf("%s served after its death", third)
	}
}

// TestCanceledPlans: a plan goes on for a moment when its user is gone, and the planner lives; a script that still waits is not planned.
func TestCanceledPlans(t *testing.T) {
	f := open(t, Options{Warm: 1, PlannerScripts: 100, PlannerAge: time.Hour})
	f.ready(1)
	f.until("a planner", f.Planner)
	validate := func(sql string) (cancel func(), done chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		done = make(chan error, 1)
		go func() {
			_, err := f.Validate(ctx, Script{Name: "job.sql", Source: []byte("CREATE TABLE p (id INT) WITH ('connector' = 'kafka'); -- " + sql)})
			done <- err
		}()
		return cancel, done
	}
	leave, left := validate("SLOW")
	f.until("a script at the planner", func() bool { _, err := os.Stat(filepath.Join(f.dir, "planning")); return err == nil })
	skip, skipped := validate("DIE")
	skip()
	if err := <-skipped; !errors.Is(err, context.Canceled) {
		t.Errorf("a script that waits: %v", err)
	}
	leave()
	if err := os.WriteFile(filepath.Join(f.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("a script whose user is gone: %v", err)
	}
	before := f.pids()
	_, newest := validate("WRONG")
	faults := Faults(<-newest)
	if len(faults) != 1 || !slices.Equal(f.pids(), before) {
		t.Errorf("%+v; processes %v, then %v: the planner was replaced", faults, before, f.pids())
	}
}

// TestRefused: what would reach something of the server's.
func TestRefused(t *testing.T) {
	f := open(t, Options{})
	jar := filepath.Join(f.dir, "flink", "lib", "connector.jar")
	if err := os.WriteFile(jar, world.FactoryJar("hive"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Home: f.o.Home, Dir: filepath.Join(f.dir, "second"), Env: f.o.Env, Log: f.o.Log, Wall: WallOff})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const keeps = "a table keeps its connector here: planning a table of files would look into a directory of the server"
	const head = "apiVersion: flink-entrypoint/v1\nname: job\nsql:\n  script: SELECT 1;\n"
	for _, tt := range []struct{ name, sql, want string }{
		{"job.sql", "ADD JAR '/etc/passwd.jar';", "job.sql:1:1: statement 1: the server loads no jars"},
		{"job.sql", "SELECT 1;\n  CREATE FUNCTION f AS 'java.lang.Runtime';", "job.sql:2:3: statement 2: the server runs no functions of users"},
		{"job.sql", "ALTER FUNCTION f AS 'java.lang.Runtime';", "job.sql:1:1: statement 1: ALTER is run here of tables, views and databases only"},
		{"job.sql", "CREATE CATALOG c WITH ('type' = 'hive');", `job.sql:1:1: statement 1: a catalog of type "hive" would connect from the server`},
		{"job.sql", "ALTER TABLE a SET ('conn'\n'ector' = 'filesystem', 'path' = '/etc');", "job.sql:1:1: statement 1: " + keeps},
		{"job.sql", "SELECT * FROM a /*+ OPTIONS('path' = '/etc', U&'connecto\\0072' = 'filesystem') */;", "job.sql:1:1: statement 1: " + keeps},
		{"job.sql", "INSERT INTO p SELECT * FROM a /*+ OPTIONS(connector = 'filesystem') */;", "job.sql:1:1: statement 1: " + keeps},
		{"job.sql", "CREATE VIEW v AS SELECT * FROM a /*+ OPTIONS(`connector` = 'filesystem') */;", "job.sql:1:1: statement 1: " + keeps},
		{"job.sql", "LOAD MODULE hive;", "job.sql:1:1: statement 1: the server loads no modules"},
		{"job.sql", "CREATE MODEL m INPUT (a STRING) OUTPUT (b STRING) WITH ('provider' = 'openai');", "job.sql:1:1: statement 1: the server calls no models"},
		{"job.sql", "EXECUTE PLAN '/etc/shadow';", "job.sql:1:1: statement 1: EXECUTE is not run by the server"},
		{"job.sql", "COMPILE PLAN '/tmp/plan' FOR INSERT INTO a SELECT 1;", "job.sql:1:1: statement 1: COMPILE PLAN is not run by the server"},
		{"job.sql", "SET 'pipeline.jars' = 'file:///x.jar';", "job.sql:1:1: statement 1: pipeline.jars is not set here: " + settingHint},
		{"job.sql", "SET 'table.catalog-store.kind' = 'file';", "job.sql:1:1: statement 1: table.catalog-store.kind is not set here: " + settingHint},
		{"job.sql", "SET 'env.java.opts.all' = '-javaagent:x';", "job.sql:1:1: statement 1: env.java.opts.all is not set here: " + settingHint},
		{"job.yaml", strings.Replace(head, "script: SELECT 1;", "scriptUri: /etc/shadow", 1), "sql.scriptUri: the server opens no file and no address of a definition"},
		{"job.yaml", strings.Replace(head, "SELECT 1;", "{fromFile: /etc/shadow}", 1), "sql.script is a reference: the server has no secrets of a job"},
		{"job.yaml", head + "  set: {table.a: {fromEnv: HOME}}\n", "sql.set.table.a is a reference: the server has no secrets of a job"},
		{"job.yaml", head + "  set: {pipeline.classpaths: 'file:///x'}\n", "sql.set: pipeline.classpaths is not set here"},
		{"job.yaml", head + "configuration: {table.catalog-store.kind: file}\n", "configuration: table.catalog-store.kind is not set here"},
		{"job.yaml", head + "artifacts: [{uri: 'http://x/y.jar', sha256: '" + strings.Repeat("0", 64) + "', to: usrlib}]\n", "artifacts: the server runs no jars"},
		{"job.yaml", head + "  functions: [{name: f, class: a.B}]\n", "sql.functions: the server runs no functions of users"},
		{"job.yaml", head + "  modules: [{name: hive}]\n", "sql.modules: the server loads no modules"},
		{"job.yaml", head + "  catalogs: [{name: c, options: {type: hive}}]\n", `sql.catalogs[0]: a catalog of type "hive" would connect from the server`},
		{"job.yaml", head + "  catalogs: [{createStatement: \"CREATE CATALOG c WITH ('type' = 'hive')\"}]\n", `sql.catalogs[0]: a catalog of type "hive" would connect from the server`},
		{"job.yaml", "apiVersion: flink-entrypoint/v1\nname: job\n", "the definition has no SQL script"},
	} {
		for what, err := range map[string]error{
			"debug": func() error {
				_, err := w.Debug(t.Context(), "ada", Script{Name: tt.name, Source: []byte(tt.sql)}, DebugOptions{}, Events{})
				return err
			}(),
			"validate": func() error {
				_, err := w.Validate(t.Context(), Script{Name: tt.name, Source: []byte(tt.sql)})
				return err
			}(),
		} {
			if err == nil || err.Error() != tt.want {
				t.Errorf("%s: %s of %s\nfound    %v\nexpected %s", what, tt.name, tt.sql, err, tt.want)
			}
		}
	}
	if left := f.pids(); len(left) > 0 {
		t.Errorf("Java was started: %v", left)
	}
}

// TestEnvironment: Java gets nothing that may be a credential.
func TestEnvironment(t *testing.T) {
	f := open(t, Options{})
	j, _, err := f.pool.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.pool.used(j)
	var environ []byte
	f.until("the program's environment is there", func() bool { // while the kernel replaces the program, it is empty
		environ, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", j.process.PID()))
		return err != nil || len(environ) > 0
	})
	if err != nil {
		t.Fatal(err)
	}
	for kv := range strings.SplitSeq(strings.TrimSuffix(string(environ), "\x00"), "\x00") {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains([]string{"PATH", "JAVA_HOME", "FLINK_HOME", "FLINK_CONF_DIR", "FLINK_PLUGINS_DIR", "LANG", "LC_ALL", "TZ"}, name) {
			t.Errorf("Java gets %s", name)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", j.process.PID()))
	if err != nil || !strings.Contains(string(limits), fmt.Sprintf("Max data size             %d", 1536<<20)) {
		t.Errorf("%v, its limits are\n%s", err, limits)
	}
}

// TestPriority: a JVM yields while no person waits for it, and no longer when a run has it; one that is started for a run never does.
func TestPriority(t *testing.T) {
	f := open(t, Options{Warm: 1})
	f.ready(1)
	f.until("a planner in store", f.Planner)
	f.pool.mu.Lock()
	stored := f.pool.warm[0]
	f.pool.mu.Unlock()
	lower := min(own()+niceness, 19)
	f.hasPriority("in store", stored, lower)
	f.hasPriority("a planner in store", f.plan.next, lower)
	if _, err := f.Validate(t.Context(), Script{Name: "job.sql", Source: []byte(script)}); err != nil {
		t.Fatal(err)
	}
	f.hasPriority("the planner of a check", f.plan.jvm, own())
	for _, warm := range []bool{true, false} {
		j, was, err := f.pool.take(t.Context())
		if err != nil || was != warm || warm != (j == stored) {
			t.Fatalf("%v, from the store: %v, want %v", err, was, warm)
		}
		f.hasPriority(fmt.Sprintf("of a run, from the store: %v", warm), j, own())
		defer f.pool.used(j)
	}
}

// hasPriority holds the niceness of a JVM, and of its autogroup, against what is wanted.
func (f *fixture) hasPriority(what string, j *jvm, nice int) {
	f.t.Helper()
	want := nice
	if !undoes() {
		want = own() // a user who is not root cannot take it back, so it is not given
	}
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, j.process.PID()); err != nil || 20-raw != want {
		f.t.Errorf("%s: niceness %d, %v, want %d", what, 20-raw, err, want)
	}
	before, err := os.ReadFile("/proc/self/autogroup")
	if errors.Is(err, os.ErrNotExist) {
		return // a kernel without them
	}
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", j.process.PID()))
	if name, got, _ := strings.Cut(strings.TrimSpace(string(group)), " nice "); err != nil || got != fmt.Sprint(nice) || strings.HasPrefix(string(before), name+" ") {
		f.t.Errorf("%s: the autogroup is %q, %v, the test's %q, want one of its own with nice %d", what, group, err, before, nice)
	}
}

// TestPatience: time in which a JVM waits for a processor does not count; time in which it does nothing, or has the processors, does.
func TestPatience(t *testing.T) {
	const limit = 10 * time.Second
	s := time.Second
	for _, tt := range []struct {
		name    string
		threads func(second int) map[string]shares // at that second
		want    int                                // the second at which it is over; 0: not within a minute
	}{
		{"the kernel does not say", func(int) map[string]shares { return nil }, 10},
		{"it does nothing", func(int) map[string]shares { return map[string]shares{"main": {s, s}} }, 11}, // it had waited for a second before the first look
		{"it runs", func(n int) map[string]shares { return map[string]shares{"main": {time.Duration(n) * s, 0}} }, 10},
		{"it has no processor", func(n int) map[string]shares {
			return map[string]shares{"main": {0, time.Duration(n) * s}, "other": {}}
		}, 0},
		{"it has a processor half of the time", func(n int) map[string]shares {
			return map[string]shares{"main": {time.Duration(n) * s / 2, time.Duration(n) * s / 2}}
		}, 20},
		{"its threads take the processors from each other", func(n int) map[string]shares {
			all := map[string]shares{"starved": {0, time.Duration(n) * s}}
			for i := range runtime.NumCPU() {
				all[fmt.Sprint(i)] = shares{time.Duration(n) * s, 0}
			}
			return all
		}, 10},
		{"threads come and go", func(n int) map[string]shares { return map[string]shares{fmt.Sprint(n): {0, s}} }, 0},
	} {
		p, over := newAllowance(limit, time.Unix(0, 0)), 0
		for n := 1; n <= 60 && over == 0; n++ {
			if p.over(time.Unix(int64(n), 0), tt.threads(n)) {
				over = n
			}
		}
		if over != tt.want {
			t.Errorf("%s: it is over after %d s, want %d", tt.name, over, tt.want)
		}
	}
}

// TestSharesAreRead: the kernel says what threads had, and what they waited for.
func TestSharesAreRead(t *testing.T) {
	all := sharesOf([]int{os.Getpid()})
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("this kernel does not say it: all time counts")
	}
	var ran time.Duration
	for _, s := range all {
		ran += s.ran
	}
	if len(all) < 2 || ran <= 0 {
		t.Errorf("%d threads, which ran %s", len(all), ran)
	}
	if none := sharesOf([]int{1 << 30}); len(none) != 0 {
		t.Errorf("a process that does not exist has %v", none)
	}
}
