// Command scale measures flink-platform with thousands of clusters: the real server with its real store, in a process of its own, and
// simulated clusters that answer with what real Flink 1.18, 1.20 and 2.2 said (package recorded). Each cluster has its own address and its own
// state: of a hundred, one restarts, one does not answer, and some end while it is measured.
//
//	go run ./test/platform/scale -clusters '100 1000 10000' -store postgres
//
// Afterwards every run is compared with what its cluster knows of itself.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/server"
	"flink-entrypoint/test/postgres"
)

func main() {
	clusters := flag.String("clusters", "100 1000 10000", "how many, a measurement each")
	window := flag.Duration("window", 2*time.Minute, "how long is measured")
	ending := flag.Int("ending", 2, "how many of a hundred clusters end in the window")
	profile := flag.String("profile", "", "file for a CPU profile of the server in the window, with the number of clusters added")
	data := flag.String("data", "", "directory for the stores; empty: a temporary one")
	kind := flag.String("store", "sqlite", "sqlite, or postgres: this machine's PostgreSQL with data of its own")
	flag.Parse()
	if flag.Arg(0) == "serve" {
		if err := serve(flag.Arg(1)); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*clusters, *window, *ending, *profile, *data, *kind); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// A setup is how a server is started.
type setup struct {
	Data, Control string
	Profiles      string // port; empty: none
	Store         string // as of server.Options, also the following
	Listen, URL   string
	Lease         time.Duration
	ArchiveWait   time.Duration
	Shared        bool   // other servers start clusters too
	Files         string // directory of savepoints, if they are files of this machine
	Log           string // file that its log is added to; empty: the warnings, to stderr
}

// serve is the server. It writes its URL, and ends with its standard input.
func serve(arg string) error {
	var o setup
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	s, err := startServer(o)
	if err != nil {
		return err
	}
	if o.Profiles != "" {
		profiles := http.Server{Addr: "127.0.0.1:" + o.Profiles}
		go profiles.ListenAndServe()
	}
	fmt.Println(s.URL)
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ended:
	case err = <-s.Failed():
	}
	return errors.Join(err, s.Close())
}

func startServer(o setup) (*server.Server, error) {
	d := newDriver(o.Control)
	d.shared, d.dir = o.Shared, o.Files
	var driver cluster.Driver = d
	if o.Files != "" {
		driver = localDriver{d}
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	level := slog.LevelWarn
	if o.Log != "" {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	s, err := server.Start(context.Background(), server.Options{DataDir: o.Data, Store: o.Store, Listen: o.Listen, URL: o.URL, Lease: o.Lease, ArchiveWait: o.ArchiveWait,
		Driver: func(string) cluster.Driver { return driver }, Log: log})
	if err != nil {
		return nil, err
	}
	d.ended = func(run string) {
		if err := s.Store.Wake(context.Background(), run); err != nil {
			log.Warn("a run is not looked at earlier", "run", run, "error", err)
		}
	}
	go d.listen(context.Background())
	return s, nil
}

func run(clusters string, window time.Duration, ending int, profile, data, kind string) error {
	if kind != "sqlite" && kind != "postgres" {
		return fmt.Errorf("-store: %q is neither sqlite nor postgres", kind)
	}
	if data == "" {
		dir, err := os.MkdirTemp("", "scale-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		data = dir
	}
	fmt.Printf("%s, %d processors, load %s\n", kind, runtime.NumCPU(), load())
	var all []*figures
	for _, word := range strings.Fields(clusters) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 60_000 {
			return fmt.Errorf("-clusters: %q is not a number from 1 to 60000", word)
		}
		file := ""
		if profile != "" {
			file = profile + "." + word
		}
		f, err := measure(n, window, ending, file, filepath.Join(data, word), kind)
		if err != nil {
			return fmt.Errorf("%d clusters: %w", n, err)
		}
		all = append(all, f)
	}
	print(all)
	return nil
}

func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

// A child is the server's process.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
	url string
}

func startChild(o setup) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "serve", string(arg))
	cmd.Stderr = os.Stderr
	if o.Log != "" {
		file, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer file.Close() // the process has its own
		cmd.Stderr = file
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server has not started: %w", err), cmd.Wait())
	}
	return &child{cmd, in, strings.TrimSpace(url)}, nil
}

func (c *child) end() error {
	c.in.Close()
	return c.cmd.Wait()
}

// processor is the time of processors that a process has used, in the kernel too (proc(5): fields 14 and 15 of stat, in ticks of 10 ms).
func processor(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err1 := strconv.ParseInt(words[11], 10, 64)
	kernel, err2 := strconv.ParseInt(words[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, b)
	}
	return time.Duration(user+kernel) * 10 * time.Millisecond, nil
}

// resident is the memory of a process, in bytes.
func resident(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	words := strings.Fields(string(b))
	if len(words) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(words[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// figures are what one measurement gives.
type figures struct {
	clusters int
	started  time.Duration // from the first PUT until all run
	checks   float64       // a second
	cores    float64
	store    float64 // processors of the database, where it is a server; also the following
	commits  float64 // its transactions a second
	written  float64 // bytes of its write-ahead log a second
	memory   int64
	pushing  time.Duration // the longest time between two looks at a cluster that pushes
	polled   time.Duration // at one that does not
	delays   map[way][]time.Duration
	load     string
}

// A usage is what the server and its database have used since they started.
type usage struct {
	server, store    time.Duration // of processors
	commits, written int64
}

// measure starts clusters, measures a window, and compares.
func measure(n int, window time.Duration, ending int, profile, data, kind string) (*figures, error) {
	f, err := newFleet(n, ending)
	if err != nil {
		return nil, err
	}
	defer f.close()
	pprof, err := freePort()
	if err != nil {
		return nil, err
	}
	o := setup{Data: data, Control: f.control, Profiles: pprof}
	var database *postgres.Instance
	if kind == "postgres" { // it writes through to the disk, as SQLite does
		dir := data + "-postgres"
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if database, err = postgres.New(dir); err != nil {
			return nil, err
		}
		defer database.Close()
		if o.Store, err = database.NewDatabase(); err != nil {
			return nil, err
		}
	}
	c, err := startChild(o)
	if err != nil {
		return nil, err
	}
	defer c.end()
	used := func() (u usage, err error) {
		u.server, err = processor(c.cmd.Process.Pid)
		if err == nil && database != nil {
			u.store, err = database.Processor()
		}
		if err == nil && database != nil {
			u.commits, u.written, err = database.Work(o.Store)
		}
		return u, err
	}
	out := &figures{clusters: n}
	began := time.Now()
	w := &watcher{fleet: f, url: c.url}
	if err := w.submit(); err != nil {
		return nil, err
	}
	if err := w.allRun(5 * time.Minute); err != nil {
		return nil, err
	}
	out.started = time.Since(began)
	progress("%d clusters run after %s", n, out.started.Round(time.Second))
	w.disturb()
	if err := w.settled(5 * time.Minute); err != nil {
		return nil, err
	}
	progress("those that restart and do not answer are known")
	f.openWindow()
	before, err := used()
	if err != nil {
		return nil, err
	}
	if profile != "" {
		go saveProfile(profile, pprof, window)
	}
	start, checks := time.Now(), f.checks()
	w.endSome(window)
	time.Sleep(time.Until(start.Add(window))) // the window itself
	took := time.Since(start)
	after, err := used()
	if err != nil {
		return nil, err
	}
	out.checks = float64(f.checks()-checks) / took.Seconds()
	out.cores = (after.server - before.server).Seconds() / took.Seconds()
	out.store = (after.store - before.store).Seconds() / took.Seconds()
	out.commits = float64(after.commits-before.commits) / took.Seconds()
	out.written = float64(after.written-before.written) / took.Seconds()
	out.memory, out.load = resident(c.cmd.Process.Pid), load()
	out.pushing, out.polled = f.longest()
	progress("measured: %.1f checks/s, %.3f cores, %.3f of the database, %.0f transactions/s, %d MB; load %s", out.checks, out.cores, out.store, out.commits, out.memory>>20, out.load)
	if err := w.allEnded(3 * time.Minute); err != nil {
		return nil, err
	}
	out.delays, err = w.judge()
	return out, err
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func saveProfile(file, port string, window time.Duration) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/debug/pprof/profile?seconds=%d", port, int(window.Seconds()*0.8)))
	if err != nil {
		progress("no profile: %v", err)
		return
	}
	defer resp.Body.Close()
	out, err := os.Create(file)
	if err == nil {
		_, err = io.Copy(out, resp.Body)
		out.Close()
	}
	if err != nil {
		progress("no profile: %v", err)
	}
}

func print(all []*figures) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "clusters\tall run after\tchecks/s\tCPU, cores\tof the database\tits transactions/s\tits log KB/s\tCPU ms per cluster and minute\tCPU µs per check\tmemory MB\tlongest between looks, polled\tpushing\tload\t")
	for _, f := range all {
		fmt.Fprintf(out, "%d\t%s\t%.1f\t%.3f\t%.3f\t%.0f\t%.0f\t%.1f\t%.0f\t%d\t%s\t%s\t%s\t\n", f.clusters, f.started.Round(100*time.Millisecond), f.checks, f.cores, f.store, f.commits, f.written/1000, f.cores/float64(f.clusters)*60_000,
			f.cores/f.checks*1e6, f.memory>>20, f.polled.Round(100*time.Millisecond), f.pushing.Round(100*time.Millisecond), f.load)
	}
	out.Flush()
	fmt.Println("\nfrom a job's end to its event:")
	out = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "clusters\tlearned by\tends\t50 %\t99 %\tlongest\t")
	for _, f := range all {
		for _, by := range ways {
			if d := f.delays[by]; len(d) > 0 {
				fmt.Fprintf(out, "%d\t%s\t%d\t%s\t%s\t%s\t\n", f.clusters, by, len(d), round(percentile(d, 50)), round(percentile(d, 99)), round(d[len(d)-1]))
			}
		}
	}
	out.Flush()
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// percentile is by nearest rank; the durations are sorted.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}
