// Package process is the driver whose clusters are processes of this machine: for a first try, for development, and for one machine that
// is enough. It is one trust domain: every cluster runs as the platform's user.
//
// Each process has a directory and a shim (see [Shim]) that outlives the platform. A run's directory is never used for another run.
package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/platform/cluster"
)

// A Driver makes clusters below a directory.
type Driver struct {
	Dir        string   // runs are below it
	Instance   string   // of the platform's store
	Entrypoint string   // the binary flink-entrypoint
	Home       string   // FLINK_HOME
	Self       []string // the command that runs Shim with a directory as its last word
	Env        []string // of the server: PATH, HOME, JAVA_HOME, LANG and TZ reach Flink

	// Point, if not nil, is called at each place where a crash must do no harm. Tests kill the process there.
	Point func(place string)

	// Ended, if not nil, is called when a process ends that was alive when its run was observed, whichever server started it: its run
	// can be looked at at once and not when its time comes.
	Ended func(run string)

	mu    sync.Mutex   // starts and deletes follow each other
	given map[int]bool // ports of clusters that may not have bound them yet; lock mu

	watched sync.Map // directories of processes whose end is waited for
}

var (
	_ cluster.Driver   = (*Driver)(nil)
	_ cluster.Replacer = (*Driver)(nil)
)

// Files of a run's directory.
const (
	specFile    = "spec.json"
	portsFile   = "ports.json"
	tokenFile   = "token"
	deletedFile = "deleted" // it is not started again; the content is the platform that it belongs to
)

// ports of one run on loopback.
type ports struct {
	RPC, Blob int
	REST      []int // of each JobManager
}

func (d *Driver) at(place string) {
	if d.Point != nil {
		d.Point("driver: " + place)
	}
}

func (d *Driver) run(run string) string { return filepath.Join(d.Dir, run) }

// SavepointDir is below the run's directory, which stays until the run is removed; savepoints are not in it but beside it, so that they
// outlive it.
func (d *Driver) SavepointDir(run string) string {
	return "file:" + filepath.Join(filepath.Dir(d.Dir), "savepoints", run)
}

// LocalFiles is as cluster.LocalFiles says.
func (d *Driver) LocalFiles() {}

// Start makes the run's directory and starts a shim for each process that has none.
func (d *Driver) Start(ctx context.Context, s cluster.Spec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(s.Secrets) > 0 {
		return &cluster.Refusal{Err: errors.New("x-platform.secrets names Secrets of Kubernetes, and this server's clusters are processes: leave it out, and let the definition name files of this machine")}
	}
	dir := d.run(s.Run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, deletedFile)); err == nil {
		return &cluster.Refusal{Err: errors.New("the cluster of this run was deleted")}
	}
	var before cluster.Spec
	if err := readJSON(filepath.Join(dir, specFile), &before); err == nil && before.Instance != d.Instance {
		return &cluster.Refusal{Err: fmt.Errorf("%s belongs to another platform (%s)", dir, before.Instance)}
	}
	s.Instance = d.Instance
	if err := writeJSON(filepath.Join(dir, specFile), s); err != nil {
		return err
	}
	d.at("spec written")
	if _, err := os.Stat(filepath.Join(dir, tokenFile)); errors.Is(err, os.ErrNotExist) && s.Token != nil {
		token, err := s.Token(ctx)
		if err != nil {
			return err
		}
		d.at("token made")
		if err := writeFile(filepath.Join(dir, tokenFile), token+"\n"); err != nil {
			return err
		}
	}
	var p ports
	if err := readJSON(filepath.Join(dir, portsFile), &p); err != nil {
		if p, err = d.freePorts(max(s.JobManagers, 1)); err != nil {
			return err
		}
		if err := writeJSON(filepath.Join(dir, portsFile), p); err != nil {
			return err
		}
	}
	d.at("ports written")
	for _, name := range names(s) {
		if err := d.startProcess(s, p, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func names(s cluster.Spec) []string {
	var all []string
	for i := range max(s.JobManagers, 1) {
		all = append(all, "jobmanager-"+strconv.Itoa(i+1))
	}
	for i := range max(s.TaskManagers, 1) {
		all = append(all, "taskmanager-"+strconv.Itoa(i+1))
	}
	return all
}

// kept is how many ended processes of a place keep their directories, which have their logs.
const kept = 2

// A generation is a process of a place. Each has a directory of its own, so that the name of a process is never another's.
type generation struct {
	name   string
	number int // from 1
}

// generationOf reads the name of a process's directory: taskmanager-1 is the first in its place, taskmanager-1.2 the second.
func generationOf(name string) (place string, number int, ok bool) {
	place, text, later := strings.Cut(name, ".")
	if !later {
		return place, 1, place != ""
	}
	number, err := strconv.Atoi(text)
	return place, number, err == nil && number > 1 && strconv.Itoa(number) == text && place != ""
}

func nameOf(place string, number int) string {
	if number == 1 {
		return place
	}
	return place + "." + strconv.Itoa(number)
}

// generations are the processes of each place of a run, oldest first. A place without a directory has none.
func (d *Driver) generations(run string) (map[string][]generation, error) {
	entries, err := os.ReadDir(d.run(run))
	if err != nil {
		return nil, err
	}
	all := map[string][]generation{}
	for _, e := range entries {
		if place, number, ok := generationOf(e.Name()); ok && e.IsDir() {
			all[place] = append(all[place], generation{e.Name(), number})
		}
	}
	for _, g := range all {
		slices.SortFunc(g, func(a, b generation) int { return a.number - b.number })
	}
	return all, nil
}

// Replace is as cluster.Replacer says.
func (d *Driver) Replace(_ context.Context, run, process string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.run(run)
	if _, err := os.Stat(filepath.Join(dir, deletedFile)); err == nil {
		return &cluster.Refusal{Err: errors.New("the cluster of this run was deleted")}
	}
	var s cluster.Spec
	var p ports
	if err := errors.Join(readJSON(filepath.Join(dir, specFile), &s), readJSON(filepath.Join(dir, portsFile), &p)); err != nil {
		return err
	}
	place, number, ok := generationOf(process)
	if !ok || !slices.Contains(names(s), place) {
		return fmt.Errorf("run %s has no process %q", run, process)
	}
	all, err := d.generations(run)
	if err != nil {
		return err
	}
	there := all[place]
	if len(there) == 0 {
		return fmt.Errorf("run %s has no process %s yet", run, process)
	}
	switch newest := there[len(there)-1]; {
	case newest.number > number+1:
		return nil // that one has ended too, and was replaced
	case newest.number == number:
		ended, err := d.observe(run, newest.name)
		if err != nil {
			return err
		}
		if ended.Alive || ended.Waits != "" {
			return fmt.Errorf("%s has not ended", process)
		}
	case newest.number < number:
		return fmt.Errorf("run %s has no process %s", run, process)
	}
	for _, old := range there {
		if old.number > number-kept {
			break
		}
		if err := os.RemoveAll(filepath.Join(dir, old.name)); err != nil {
			return err
		}
	}
	d.at("before a process is replaced")
	return d.startProcess(s, p, nameOf(place, number+1))
}

// freePorts are ports of loopback that are free now. They are below those that the kernel gives to whoever does not ask for one: Flink binds
// them seconds later, and of a connection or another Flink that takes one meanwhile the attempt would fail.
func (d *Driver) freePorts(jobManagers int) (ports, error) {
	const lowest = 10_000
	highest := lowest
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(b), &highest)
	}
	var all []int
	for tries := 0; len(all) < 2+jobManagers; tries++ {
		port := 0
		if room := highest - lowest; room >= 1000 && tries < 1000 {
			port = lowest + rand.IntN(room)
		}
		if d.given[port] && port != 0 {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil && port != 0 {
			continue
		}
		if err != nil {
			return ports{}, err
		}
		defer l.Close() // all are held until the last is found
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	if d.given == nil || len(d.given) > 5000 {
		d.given = map[int]bool{}
	}
	for _, port := range all {
		d.given[port] = true
	}
	return ports{RPC: all[0], Blob: all[1], REST: all[2:]}, nil
}

func (d *Driver) startProcess(s cluster.Spec, p ports, name string) error {
	dir := filepath.Join(d.run(s.Run), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range []string{exitFile, stateFile} {
		if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
			return nil // it was started; a shim that died is Observe's work
		}
	}
	if err := writeJSON(filepath.Join(dir, commandFile), d.command(s, p, name, dir)); err != nil {
		return err
	}
	d.at("command written")
	shim := exec.Command(d.Self[0], append(slices.Clone(d.Self[1:]), dir)...)
	shim.Dir, shim.Env = dir, d.Env
	shim.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C in the platform's terminal is not for it
	errs, err := os.OpenFile(filepath.Join(dir, "shim.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer errs.Close()
	shim.Stderr = errs
	if err := shim.Start(); err != nil {
		return err
	}
	go shim.Wait() // reaped while this platform lives
	d.at("shim started")
	return nil
}

// command is how the entrypoint is called for a process.
func (d *Driver) command(s cluster.Spec, p ports, name, dir string) command {
	place, _, _ := generationOf(name)
	kind, number, _ := strings.Cut(place, "-")
	n, _ := strconv.Atoi(number)
	jobManager := kind == "jobmanager"
	args := []string{"--run-dir", filepath.Join(dir, "run"), "--termination-log", filepath.Join(dir, messageFile)}
	token := filepath.Join(d.run(s.Run), tokenFile)
	if s.Definition != "" {
		args = append(args, "--definition", s.Definition, "--definition-token-file", token)
		if s.Digest != "" {
			args = append(args, "--definition-sha256", s.Digest)
		}
	}
	if s.KeepMemory {
		args = append(args, "--memory", "keep")
	}
	if s.Team != "" { // reporters are the definition's; it has no effect without one
		args = append(args, "--metrics", "labels.team="+s.Team)
	}
	if s.Slots > 0 && !jobManager {
		args = append(args, "--slots", strconv.Itoa(s.Slots))
	}
	if s.Events != "" && jobManager {
		args = append(args, "--run", s.Run, "--events-url", s.Events, "--events-token-file", token)
	}
	rest := p.REST[0]
	if jobManager {
		rest = p.REST[n-1]
	}
	switch {
	case !jobManager:
		args = append(args, "taskmanager", "-Dtaskmanager.host=127.0.0.1", "-Dtaskmanager.bind-host=127.0.0.1", "-Dtaskmanager.rpc.port=0", "-Dtaskmanager.resource-id="+s.Run+"-"+name)
	case s.Session:
		args = append(args, "jobmanager")
	default:
		args = append(args, "standalone-job")
		if s.JobID != "" {
			args = append(args, "--job-id", s.JobID)
		}
		switch {
		case s.NoSavepoint:
			args = append(args, "--fromSavepoint", "") // the entrypoint makes "none" of it
		case s.Savepoint != "":
			args = append(args, "--fromSavepoint", s.Savepoint)
			if s.AllowNonRestored {
				args = append(args, "--allowNonRestoredState")
			}
		}
	}
	rpc := p.RPC
	if s.ClusterID != "" {
		args = append(args, "-Dhigh-availability.cluster-id="+s.ClusterID, "-Dhigh-availability.jobmanager.port=0")
		rpc = 0 // each JobManager has its own; the store of high availability says which leads
	}
	args = append(args, "-Djobmanager.rpc.address=127.0.0.1", "-Djobmanager.rpc.port="+strconv.Itoa(rpc), "-Djobmanager.bind-host=127.0.0.1",
		"-Drest.address=127.0.0.1", "-Drest.bind-address=127.0.0.1", "-Drest.port="+strconv.Itoa(rest), "-Drest.bind-port="+strconv.Itoa(rest),
		"-Dblob.server.port="+strconv.Itoa(map[bool]int{true: 0, false: p.Blob}[s.JobManagers > 1]))
	if !s.Session {
		args = append(args, "-Dweb.submit.enable=false")
	}
	args = append(args, s.Arguments...)
	properties := ""
	if jobManager && s.Session {
		// Up to Flink 1.20 the first two words after this role are the host and the port of the web page, whatever they look like.
		role := slices.Index(args, "jobmanager")
		for _, setting := range args[role+1:] {
			key, value, _ := strings.Cut(strings.TrimPrefix(setting, "-D"), "=")
			properties += key + ": " + value + "\n"
		}
		args = args[:role+1]
	}
	env := []string{"FLINK_HOME=" + d.Home, "FLINK_LOG_DIR=" + filepath.Join(dir, "log.d"), "FLINK_PID_DIR=" + dir, "DISABLE_JEMALLOC=true"}
	if properties != "" {
		env = append(env, "FLINK_PROPERTIES="+properties)
	}
	for _, kv := range d.Env {
		if k, _, _ := strings.Cut(kv, "="); slices.Contains([]string{"PATH", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "TZ"}, k) {
			env = append(env, kv)
		}
	}
	return command{Path: d.Entrypoint, Args: args, Env: env, Dir: dir}
}

// Observe reads what the shims have written. Where a shim was killed it says so itself.
func (d *Driver) Observe(_ context.Context, run string) (cluster.Status, error) {
	var s cluster.Spec
	if err := readJSON(filepath.Join(d.run(run), specFile), &s); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return cluster.Status{}, cluster.ErrUnknown
		}
		return cluster.Status{}, err
	}
	var status cluster.Status
	var p ports
	if err := readJSON(filepath.Join(d.run(run), portsFile), &p); err == nil {
		for _, port := range p.REST {
			status.REST = append(status.REST, "http://127.0.0.1:"+strconv.Itoa(port))
		}
	}
	all, err := d.generations(run)
	if err != nil {
		return status, err
	}
	for _, place := range names(s) {
		there := all[place]
		if len(there) == 0 {
			there = []generation{{place, 1}}
		}
		for i, g := range there {
			process, err := d.observe(run, g.name)
			if err != nil {
				return status, fmt.Errorf("%s: %w", g.name, err)
			}
			if process.Place, process.Replaced = place, i < len(there)-1; process.Replaced && process.Waits != "" {
				continue // its directory is removed at this moment
			}
			status.Processes = append(status.Processes, process)
		}
	}
	return status, nil
}

// watch calls Ended when the shim of a process has ended, once for each.
func (d *Driver) watch(run, dir string, shim identity) {
	if _, waits := d.watched.LoadOrStore(dir, true); waits {
		return
	}
	go func() {
		defer d.watched.Delete(dir)
		if err := shim.wait(); err == nil {
			d.Ended(run)
		}
	}()
}

func (d *Driver) observe(run, name string) (cluster.Process, error) {
	dir := filepath.Join(d.run(run), name)
	p := cluster.Process{Name: name, JobManager: strings.HasPrefix(name, "jobmanager")}
	var s state
	if err := readJSON(filepath.Join(dir, stateFile), &s); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			p.Waits = "it is not started yet"
			if _, err := os.Stat(filepath.Join(d.run(run), deletedFile)); err == nil {
				p.Waits = ""
			}
			return p, nil
		}
		return p, err
	}
	p.Started = s.Started
	if s.Process.PID != 0 {
		p.Attempt = s.Process.attempt()
	}
	var x exit
	err := readJSON(filepath.Join(dir, exitFile), &x)
	if errors.Is(err, os.ErrNotExist) {
		lock, err := tryLock(filepath.Join(dir, lockFile))
		if err != nil {
			return p, err
		}
		if lock == nil { // the shim lives
			p.Alive = true
			if d.Ended != nil {
				d.watch(run, dir, s.Shim)
			}
			return p, nil
		}
		defer lock.Close()
		// It may have written the end before it let go.
		if err := readJSON(filepath.Join(dir, exitFile), &x); err != nil {
			if err := bury(dir, s); err != nil {
				return p, err
			}
			if err := readJSON(filepath.Join(dir, exitFile), &x); err != nil {
				return p, err
			}
		}
	} else if err != nil {
		return p, err
	}
	p.Code, p.Message, p.Ended = x.Code, x.Message, x.At
	if s.Process.PID == 0 { // read again: the shim may have written it meanwhile
		if err := readJSON(filepath.Join(dir, stateFile), &s); err != nil {
			return p, err
		}
		if p.Attempt = s.Process.attempt(); s.Process.PID == 0 {
			p.Attempt = s.Shim.attempt() // its process never was
		}
	}
	return p, nil
}

// Delete asks every shim to end its process.
func (d *Driver) Delete(ctx context.Context, run string) (bool, error) {
	d.mu.Lock()
	if err := os.MkdirAll(d.run(run), 0o700); err != nil {
		d.mu.Unlock()
		return false, err
	}
	// First: a start that comes late finds it.
	err := writeFile(filepath.Join(d.run(run), deletedFile), d.Instance)
	d.mu.Unlock()
	if err != nil {
		return false, err
	}
	d.at("delete noted")
	status, err := d.Observe(ctx, run)
	if errors.Is(err, cluster.ErrUnknown) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var errs []error
	for _, p := range status.Processes {
		if !p.Alive {
			continue
		}
		var s state
		if err := readJSON(filepath.Join(d.run(run), p.Name, stateFile), &s); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, s.Shim.signal(unix.SIGTERM))
		d.at("process ended")
	}
	return status.Gone(), errors.Join(errs...)
}

// Remove removes the directory of a deleted run. The file that shows whose it is and the mark of Delete go last: until then a removal that was
// interrupted can be repeated, and a start that comes late is refused.
func (d *Driver) Remove(ctx context.Context, run string) error {
	dir := d.run(run)
	if run == "" || run != filepath.Base(run) {
		return fmt.Errorf("%q is not the id of a run", run)
	}
	var s cluster.Spec
	err := readJSON(filepath.Join(dir, specFile), &s)
	if errors.Is(err, os.ErrNotExist) {
		return d.removeMarks(run) // nothing of it was ever started, or nothing is left
	}
	if err != nil {
		return err
	}
	if s.Instance != d.Instance {
		return fmt.Errorf("%s belongs to another platform (%s): it is left as it is", dir, s.Instance)
	}
	status, err := d.Observe(ctx, run)
	if err != nil {
		return err
	}
	if !status.Gone() {
		return fmt.Errorf("run %s: %w", run, cluster.ErrAlive)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == specFile || e.Name() == deletedFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		d.at("a part of the directory removed")
	}
	if err := os.Remove(filepath.Join(dir, specFile)); err != nil {
		return err
	}
	d.at("spec removed")
	return d.removeMarks(run)
}

// removeMarks removes a directory that has at most the mark of Delete and files that were never finished.
func (d *Driver) removeMarks(run string) error {
	d.mu.Lock() // a start makes the directory before it writes whose it is
	defer d.mu.Unlock()
	dir := d.run(run)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != deletedFile && !strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			return fmt.Errorf("%s has %s and no %s, so it may be of another program: it is left as it is", dir, e.Name(), specFile)
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

// Runs lists the directories that belong to this platform.
func (d *Driver) Runs(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, e := range entries {
		var s cluster.Spec
		err := readJSON(filepath.Join(d.Dir, e.Name(), specFile), &s)
		if errors.Is(err, os.ErrNotExist) { // never started, or removed in part
			var mark []byte
			mark, err = os.ReadFile(filepath.Join(d.Dir, e.Name(), deletedFile))
			s.Instance = string(mark)
		}
		if err == nil && s.Instance == d.Instance {
			runs = append(runs, e.Name())
		}
	}
	return runs, nil
}

func writeFile(path, content string) error {
	_, err := atomicfile.Write(path, []byte(content), 0o600, atomicfile.Lasting)
	return err
}
