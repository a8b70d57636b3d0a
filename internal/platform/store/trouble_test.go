package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain also is the other process that locks a database: it says when it has the lock, and keeps it until its input ends.
func TestMain(m *testing.M) {
	file := os.Getenv("TEST_LOCKS")
	if file == "" {
		os.Exit(m.Run())
	}
	db, err := sql.Open(sqliteDialect.driver, "file:"+file+"?_txlock=immediate")
	if err == nil {
		_, err = db.Begin()
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("locked\n")
	io.Copy(io.Discard, os.Stdin)
}

// lockedElsewhere lets another process lock the database in a data directory until the returned function is called.
func lockedElsewhere(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "TEST_LOCKS="+filepath.Join(dir, "platform.db"))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("%q %v", line, err)
	}
	return func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestLockedByAnotherProcess: writes fail with the reason and change nothing, reads go on, and all is as before when the lock is gone.
func TestLockedByAnotherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := open(t.Context(), dir, 300*time.Millisecond, unix.Statfs)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "clicks", "a")
	unlock := lockedElsewhere(t, dir)
	_, _, err = s.PutJob(t.Context(), "team", Version{Job: "clicks", Document: []byte("b"), Source: []byte("b"), Digest: "b"}, -1)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "locked by another process for longer than 300ms") {
		t.Errorf("a write: %v", err)
	}
	if v, err := s.Version(t.Context(), "clicks", 0); err != nil || v.Number != 1 {
		t.Errorf("a read: %+v, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), dir, 300*time.Millisecond, unix.Statfs); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "platform.db") {
		t.Errorf("opened while it is locked: %v", err)
	}
	unlock()
	if s, err = open(t.Context(), dir, 300*time.Millisecond, unix.Statfs); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if v := put(t, s, "clicks", "b"); v.Number != 2 {
		t.Errorf("after it: %+v", v)
	}
}

// whole checks that the database has no damage and the versions that were answered, and that it can be written again.
func whole(t *testing.T, s *Store, versions int) {
	t.Helper()
	var result string
	if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("%s %v", result, err)
	}
	if v := put(t, s, "clicks", "the last"); v.Number != versions+1 {
		t.Errorf("%d versions were answered, the next one has the number %d", versions, v.Number)
	}
}

// TestFullDatabase: SQLite has no more pages.
func TestFullDatabase(t *testing.T) {
	s := opened(t)
	put(t, s, "clicks", "a")
	var pages int
	if err := s.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if err := s.write.QueryRow("PRAGMA max_page_count(" + strconv.Itoa(n) + ")").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 2)
	big := bytes.Repeat([]byte("x"), 100<<10)
	if _, _, err := s.PutJob(t.Context(), "team", Version{Job: "clicks", Document: big, Source: big, Digest: "big"}, -1); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("no pages left: %v", err)
	}
	limit(1 << 30)
	whole(t, s, 1)
}

// TestFullDisk: the file system of the data directory has no room, for the database and for artifacts.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m,mode=700"); err != nil {
		t.Skipf("cannot mount a small file system (%v): run the tests as root. TestFullDatabase is without it", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(t.Context(), filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "clicks", "a")
	if _, err := s.PutArtifact(t.Context(), Artifact{Team: "team", Name: "big.jar"}, io.LimitReader(zeros{}, 8<<20), "", 0); !errors.Is(err, ErrFull) {
		t.Errorf("an artifact: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "artifacts", "*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	f.Close()
	answered := 1
	full := false
	for n := range 100 {
		text := strings.Repeat(strconv.Itoa(n), 10<<10)
		v, _, err := s.PutJob(t.Context(), "team", Version{Job: "clicks", Document: []byte(text), Source: []byte(text), Digest: strconv.Itoa(n)}, -1)
		if err == nil {
			answered = v.Number
			continue
		}
		full = errors.Is(err, ErrFull)
		if !full {
			t.Errorf("a full disk: %v", err)
		}
		break
	}
	if !full {
		t.Error("the disk was never full")
	}
	if v, err := s.Version(t.Context(), "clicks", 1); err != nil || string(v.Document) != "a" {
		t.Errorf("a read while it is full: %+v, %v", v, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	whole(t, s, answered)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestNewerTables: a program that is too old changes nothing in the file.
func TestNewerTables(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "clicks", "a")
	if _, err := s.write.Exec("INSERT INTO schema_version VALUES (1000); UPDATE meta SET value = '1000' WHERE key = 'oldest'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sum := func() [32]byte {
		b, err := os.ReadFile(filepath.Join(dir, "platform.db"))
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(b)
	}
	before := sum()
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "its tables have version 1000, this program knows versions up to ") || !strings.HasSuffix(err.Error(), ": use the newer flink-platform") {
		t.Errorf("%v", err)
	}
	if sum() != before {
		t.Error("the file has changed")
	}
}
