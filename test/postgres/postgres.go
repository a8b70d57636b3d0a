// Package postgres starts a PostgreSQL for tests and measurements: the one of this machine (Debian's package postgresql), with data of its own.
package postgres

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

// A Server is one that runs, by the directory of its socket.
type Server string

// URL is the URL of a database of the server.
func (s Server) URL(database string) string {
	return "postgres://platform@/" + database + "?host=" + string(s)
}

// Database makes an empty database, and returns its URL.
func (s Server) Database(t testing.TB) string {
	t.Helper()
	url, err := s.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// NewDatabase is Database outside of a test.
func (s Server) NewDatabase() (url string, err error) {
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := "t" + strings.ToLower(rand.Text())
	_, err = db.Exec("CREATE DATABASE " + name)
	return s.URL(name), err
}

// Start starts a server that ends with the test.
func Start(t testing.TB) Server { t.Helper(); return Open(t).Server }

// Open is Start for tests that also restart the server. It writes nothing through to the disk: the machine does not end in a test.
func Open(t testing.TB) *Instance {
	t.Helper()
	i, err := New(t.TempDir(), "fsync=off")
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// ErrMissing: the machine has no PostgreSQL that can be started.
var ErrMissing = errors.New("PostgreSQL is missing: apt-get install postgresql")

// An Instance is a server that can be restarted.
type Instance struct {
	Server
	bin, dir string
	settings []string
	who      *syscall.SysProcAttr
	log      logged
	process  *exec.Cmd
}

// A logged is what the server has written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// New starts a server whose data is in a directory that exists, with settings NAME=VALUE, as a user that is not root.
func New(dir string, settings ...string) (*Instance, error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		return nil, ErrMissing
	}
	// It ends with this program, however this program ends.
	i := &Instance{bin: bins[len(bins)-1], dir: dir, settings: settings, who: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}} // the newest
	uid, gid := -1, -1
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("%w: it does not run as root: %w", ErrMissing, err)
		}
		var err1, err2 error
		uid, err1 = strconv.Atoi(u.Uid)
		gid, err2 = strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			return nil, err
		}
		for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) { // the way there
			if err := os.Chmod(at, 0o711); err != nil {
				return nil, err
			}
		}
		i.who.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if out, err := i.command("initdb", "-D", i.data(), "-U", "platform", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// A path longer than 107 bytes is not the name of a socket: a short one.
	sockets, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	i.Server = Server(sockets)
	if uid >= 0 {
		err = os.Chown(sockets, uid, gid)
	}
	if err == nil {
		err = i.start()
	}
	if err != nil {
		os.RemoveAll(sockets)
		return nil, err
	}
	return i, nil
}

func (i *Instance) data() string { return filepath.Join(i.dir, "data") }

func (i *Instance) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(i.bin, name), args...)
	c.Dir, c.Env, c.SysProcAttr = i.dir, []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + i.dir}, i.who
	return c
}

// start starts the server and waits until it answers.
func (i *Instance) start() error {
	args := []string{"-D", i.data(), "-k", string(i.Server), "-c", "listen_addresses=", "-c", "max_connections=200"}
	for _, s := range i.settings {
		args = append(args, "-c", s)
	}
	i.process = i.command("postgres", args...)
	i.process.Stderr = &i.log
	if err := i.process.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		db, err := sql.Open("pgx", i.URL("postgres"))
		if err == nil {
			err = db.Ping()
			db.Close()
		}
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			i.process.Process.Kill()
			i.process.Wait()
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, i.log.String())
		}
	}
}

// Ways to end a server, as pg_ctl names them.
const (
	Fast      = syscall.SIGINT  // transactions are aborted, what was committed is written
	Immediate = syscall.SIGQUIT // as in a crash: the next start recovers
)

// Restart ends the server in a way and starts it on the same data.
func (i *Instance) Restart(how syscall.Signal) error {
	if err := i.Stop(how); err != nil {
		return err
	}
	return i.Continue()
}

// Stop ends the server in a way.
func (i *Instance) Stop(how syscall.Signal) error {
	if err := i.process.Process.Signal(how); err != nil {
		return err
	}
	i.process.Wait() // after Immediate its code is not 0
	return nil
}

// Continue starts a server that was stopped, on the same data.
func (i *Instance) Continue() error { return i.start() }

// Processor is the time of processors that the server's processes have used: those that live, and those that have ended.
func (i *Instance) Processor() (time.Duration, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	server, ticks := strconv.Itoa(i.process.Process.Pid), int64(0)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		words := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // proc(5): from field 3 on
		var used []string
		switch {
		case filepath.Base(filepath.Dir(name)) == server:
			used = words[11:15] // its own, and of the children that it has waited for
		case words[1] == server:
			used = words[11:13]
		}
		for _, word := range used {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Work is what a database, by its URL, has done since it was made: its transactions, which sessions report each second or some seconds after their
// last one, and the bytes of the server's write-ahead log.
func (s Server) Work(url string) (transactions, written int64, err error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	err = db.QueryRow("SELECT xact_commit + xact_rollback, (pg_current_wal_lsn() - '0/0')::bigint FROM pg_stat_database WHERE datname = current_database()").Scan(&transactions, &written)
	return transactions, written, err
}

// Dump writes a database, by its URL, as SQL into a file.
func (i *Instance) Dump(url, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	c := i.command("pg_dump", "--dbname", url)
	c.Stdout, c.Stderr = out, &i.log
	if err := c.Run(); err != nil {
		return fmt.Errorf("pg_dump: %w\n%s", err, i.log.String())
	}
	return out.Close()
}

// Close ends the server, without waiting for clients.
func (i *Instance) Close() error {
	defer os.RemoveAll(string(i.Server))
	if err := i.process.Process.Signal(Fast); err != nil {
		return err
	}
	return i.process.Wait()
}
