// Package store keeps what the platform knows: jobs and their versions, catalogs, artifacts, runs with their events, tokens. It is the
// only room with SQL.
//
// A transition of a run is one transaction: the row, fenced by its revision (and by its owner where a worker does it), and its events.
// The row is also the message of its queue: claimed in batches with a lease, due again at a time of the database's clock. So state and
// message cannot disagree, and a worker that dies is replaced when its lease ends.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/jobstate"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict: another has changed it since it was read.
	ErrConflict = errors.New("changed in between")
	// ErrExists: there is one of this name already, or a run of the job that has not ended.
	ErrExists = errors.New("exists already")
	// ErrInUse: something else needs it.
	ErrInUse = errors.New("in use")
	// ErrBusy: another process has locked the database for longer than LockWait. Nothing was written.
	ErrBusy = errors.New("the database is locked by another process")
	// ErrAway: the database server does not answer. What was asked for may have been done, if it was away when the answer was due.
	ErrAway = errors.New("the database does not answer")
	// ErrFull: the file system, or the quota of it, has no room. Nothing was written.
	ErrFull = errors.New("no room in the data directory")
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the files migrations/NUMBER.sql. While servers are upgraded one after another, older ones work on the tables that the first newer one has
// made. So a migration which they survive says from which version of the tables on, in its first line: "-- oldest: NUMBER". It adds tables, indexes and columns
// with a default, and nothing else. An older program refuses the tables of any other.
var migrations fs.FS = embedded

var oldestForm = regexp.MustCompile(`^-- oldest: ([0-9]+)\n`)

// oldest is the version of the oldest program that works after a migration.
func oldest(number int, text string) int {
	if m := oldestForm.FindStringSubmatch(text); m != nil {
		number, _ = strconv.Atoi(m[1])
	}
	return number
}

// A Store is one database and the directory of artifacts.
type Store struct {
	dir      string
	write    *sql.DB // SQLite has one writer
	group    group
	anyDue   *sql.Stmt // whether a run of a queue can be claimed now
	read     *sql.DB
	d        dialect
	instance string
	lock     *os.File
	storing  chan struct{} // full while a version is stored; nil: writers wait for each other anyway
	blobs    sync.Mutex    // held while contents of artifacts get or lose names
	// maxArchived is how many bytes the archives of one run may have.
	maxArchived int64
	// LockWait is how long a write waits for a lock that another process holds (a backup program, a shell of SQLite). The platform's own
	// writes wait for each other without it.
	LockWait time.Duration
	// TellJobs: the outbox gets a message when a run of a job begins or ends; see OutboxJob.
	TellJobs bool
	// AlertAfter is how long each alert must have gone on before it is sent; without an entry it is sent at once.
	AlertAfter map[jobstate.Alert]time.Duration
	// Point, if not nil, is called at each place where a crash must do no harm. Tests end the process there.
	Point func(place string)
}

// lockWait is the default of LockWait: below the time after which clients and load balancers give up.
const lockWait = 15 * time.Second

// Open opens the store in a data directory, which it makes (0700), and brings its tables to this program's version. One process may have
// it open.
func Open(ctx context.Context, dir string) (*Store, error) {
	return open(ctx, dir, lockWait, unix.Statfs)
}

// OpenURL opens the store that a URL names: a PostgreSQL database (postgres://USER@HOST/DATABASE, see [OpenPostgres]), or, if it is empty, SQLite in
// the data directory.
func OpenURL(ctx context.Context, dir, url string) (*Store, error) {
	switch scheme, _, ok := strings.Cut(url, "://"); {
	case url == "":
		return Open(ctx, dir)
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return OpenPostgres(ctx, dir, url)
	}
	return nil, errors.New("the store's URL is not one of PostgreSQL: expected postgres://USER@HOST/DATABASE")
}

func open(ctx context.Context, dir string, wait time.Duration, statfs func(string, *unix.Statfs_t) error) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if kind, err := networkFileSystem(dir, statfs); err != nil {
		return nil, fmt.Errorf("data directory %s: its file system is not known: %w", dir, err)
	} else if kind != "" {
		return nil, fmt.Errorf("data directory %s is on %s, which is a network file system: locks of SQLite cannot be relied on there; use a disk of this machine with --data-dir", dir, kind)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, d: sqliteDialect, lock: lock, LockWait: wait, maxArchived: maxArchived}
	file := filepath.Join(dir, "platform.db")
	// FULL: a transition that was answered is on the disk.
	// SQLite waits this long for a lock, for a writer tx does the rest.
	patience := strconv.FormatInt(min(wait, time.Second).Milliseconds(), 10)
	base := "file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(" + patience + ")&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_time_format=sqlite"
	s.write, err = sql.Open(s.d.driver, base+"&_txlock=immediate")
	if err == nil {
		s.write.SetMaxOpenConns(1)
		s.read, err = sql.Open(s.d.driver, base+"&_pragma=query_only(1)")
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		err = s.prepare(ctx)
	}
	if err == nil {
		err = s.forgetParts()
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", file, s.Explain(err))
	}
	s.read.SetMaxOpenConns(8)
	return s, os.Chmod(file, 0o600)
}

// prepare makes the statements that are executed all the time.
func (s *Store) prepare(ctx context.Context) (err error) {
	s.anyDue, err = s.read.PrepareContext(ctx, "SELECT EXISTS (SELECT 1 FROM runs WHERE queue = ? AND due <= "+s.d.now+" AND lease <= "+s.d.now+")")
	return err
}

// lockDir holds a data directory, as long as the file is open.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is used by another flink-platform: end that one first, or use another --data-dir", dir)
		}
		return nil, fmt.Errorf("data directory %s: lock: %w", dir, err)
	}
	return lock, nil
}

// Close ends all use of the store.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Instance is the id of this store, which is on every object that the platform makes outside: another platform's are never touched.
func (s *Store) Instance() string { return s.instance }

// networkFileSystem names the file system of dir if it is one of a network or of a cluster, on which locks and the shared memory of SQLite cannot be
// relied on: two machines that have it open at once damage the database. Any FUSE is refused: the kernel does not say what is below it
// (SSHFS, GlusterFS, S3, …).
func networkFileSystem(dir string, statfs func(string, *unix.Statfs_t) error) (string, error) {
	var st unix.Statfs_t
	if err := statfs(dir, &st); err != nil {
		return "", err
	}
	return networkFileSystems()[uint32(st.Type)], nil // its width depends on the architecture
}

// networkFileSystems are by the number that statfs(2) gives. Those without a name in unix are from the sources of the kernel or of the file system.
func networkFileSystems() map[uint32]string {
	return map[uint32]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB",
		unix.V9FS_MAGIC: "9P", unix.CEPH_SUPER_MAGIC: "CephFS", unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS",
		unix.OCFS2_SUPER_MAGIC: "OCFS2", unix.CODA_SUPER_MAGIC: "Coda",
		0x65735546: "FUSE", 0x0bd00bd0: "Lustre", 0x01161970: "GFS2", 0x47504653: "GPFS", 0x19830326: "BeeGFS", 0x20030528: "OrangeFS",
		0xaad7aaea: "PanFS", 0x0000564c: "NCP", 0xbacbacbc: "HGFS", 0x786f4256: "a shared folder of VirtualBox",
	}
}

func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return s.fenced(ctx, func(tx *sql.Tx) error {
		if err := s.oneByOne(ctx, tx); err != nil { // servers that start at the same time
			return err
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY)"); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT number FROM schema_version")
		if err != nil {
			return err
		}
		have, err := collect(rows, func(rows *sql.Rows) (int, error) {
			var n int
			err := rows.Scan(&n)
			return n, err
		})
		if err != nil {
			return err
		}
		newest := 0
		for _, name := range names {
			number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".sql"))
			if err != nil || number <= newest {
				return fmt.Errorf("internal error (a bug): the name of migration %s is not a number after %d", name, newest)
			}
			newest = number
		}
		needs := 0 // the oldest program that works after all of them
		for _, name := range names {
			number, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".sql"))
			text, err := fs.ReadFile(migrations, name)
			if err != nil {
				return err
			}
			needs = max(needs, oldest(number, string(text)))
			if slices.Contains(have, number) {
				continue
			}
			if len(have) > 0 && slices.Max(have) > newest { // a newer program has left it out
				continue
			}
			if _, err := tx.ExecContext(ctx, s.d.types.Replace(string(text))); err != nil {
				return fmt.Errorf("migration %d: %w", number, err)
			}
			if number == 3 {
				if err := s.nameAllArtifacts(ctx, tx); err != nil {
					return fmt.Errorf("migration %d: %w", number, err)
				}
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO schema_version VALUES (?)", number); err != nil {
				return err
			}
		}
		if err := s.survives(ctx, tx, have, newest, needs); err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'instance'").Scan(&s.instance)
		if errors.Is(err, sql.ErrNoRows) {
			s.instance = NewID()
			_, err = tx.ExecContext(ctx, "INSERT INTO meta VALUES ('instance', ?)", s.instance)
		}
		if err != nil || s.d.shared {
			return err
		}
		// The lock says that no other server lives: what a killed one has leased is free at once.
		for _, table := range []string{"runs", "reservations"} {
			if _, err := tx.ExecContext(ctx, "UPDATE "+table+" SET owner = '', lease = 0 WHERE lease > 0"); err != nil {
				return err
			}
		}
		return nil
	})
}

// survives writes down which programs the tables are for, or, if a newer program has made them, reports whether this one is among them.
func (s *Store) survives(ctx context.Context, tx *sql.Tx, have []int, newest, needs int) error {
	if len(have) == 0 || slices.Max(have) <= newest {
		_, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES ('oldest', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", strconv.Itoa(needs))
		return err
	}
	var text string
	if err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'oldest'").Scan(&text); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if n, err := strconv.Atoi(text); err == nil && n <= newest {
		return nil
	}
	return fmt.Errorf("its tables have version %d, this program knows versions up to %d: use the newer flink-platform", slices.Max(have), newest)
}

// at is a place where a crash must do no harm.
func (s *Store) at(place string) {
	if s.Point != nil {
		s.Point("store: " + place)
	}
}

// tx runs f in a transaction that is repeated while the database is busy or away, for LockWait. f must change nothing outside of it. What f reads is as if
// no other transaction wrote at the same time. It is not repeated where it may have been written: the database went away in the commit.
func (s *Store) tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	return s.repeat(ctx, s.d.isolation, f)
}

// fenced is tx for an f whose writes are fenced by the rows that they change: what else f reads may be older or newer than that.
func (s *Store) fenced(ctx context.Context, f func(tx *sql.Tx) error) error {
	return s.repeat(ctx, sql.LevelDefault, f)
}

func (s *Store) repeat(ctx context.Context, isolation sql.IsolationLevel, f func(tx *sql.Tx) error) error {
	end := time.Now().Add(s.LockWait)
	for wait := time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := s.once(ctx, isolation, f)
		again := err != nil && (s.d.busy(err) || s.d.away(err) && !errors.Is(err, errCommit))
		if !again || !time.Now().Add(wait).Before(end) {
			return s.Explain(err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// Explain adds to an error of the database what callers tell apart.
func (s *Store) Explain(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrFull) || errors.Is(err, ErrAway):
	case errors.Is(err, context.Canceled): // whoever asked did not wait for as long as the database was tried
	case s.d.away(err):
		return fmt.Errorf("%w: %w", ErrAway, err)
	case s.d.busy(err):
		hint := " (fuser shows which has platform.db open)"
		if s.d.shared {
			hint = ""
		}
		return fmt.Errorf("%w for longer than %s%s: %w", ErrBusy, s.LockWait, hint, err)
	case s.d.full(err) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w %s: %w", ErrFull, s.dir, err)
	}
	return err
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Now is the time of the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.read.QueryRowContext(ctx, "SELECT "+s.d.now).Scan(&ms)
	return at(ms), s.Explain(err)
}

// NewID is 16 random hexadecimal digits.
func NewID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// found turns "no row" into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
