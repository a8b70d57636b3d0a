// Package postgres starts a PostgreSQL for tests: the one of this machine (Debian's package postgresql), with data of its own.
package postgres

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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

// Start starts a server that ends with the test, as a user that is not root.
func Start(t *testing.T) Server {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Skip("PostgreSQL is missing: apt-get install postgresql")
	}
	bin := bins[len(bins)-1] // the newest
	dir := t.TempDir()
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skipf("PostgreSQL does not run as root: %v", err)
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			t.Fatal(err)
		}
		for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) { // the way there
			if err := os.Chmod(at, 0o711); err != nil {
				t.Fatal(err)
			}
		}
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	run := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.Env, c.SysProcAttr = dir, []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + dir}, attributes
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "-D", data, "-U", "platform", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var log strings.Builder
	// A path longer than 107 bytes is not the name of a socket: a short one.
	sockets, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	if c := attributes.Credential; c != nil {
		if err := os.Chown(sockets, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	server := run("postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off")
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGINT) // it ends without waiting for clients
		server.Wait()
	})
	started := Server(sockets)
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		db, err := sql.Open("pgx", started.URL("postgres"))
		if err == nil {
			err = db.Ping()
			db.Close()
		}
		if err == nil {
			return started
		}
		if time.Now().After(end) {
			server.Process.Kill()
			t.Fatalf("PostgreSQL does not answer: %v\n%s", err, log.String())
		}
	}
}

// Database makes an empty database, and returns its URL.
func (s Server) Database(t testing.TB) string {
	t.Helper()
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := "t" + strings.ToLower(rand.Text())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}
