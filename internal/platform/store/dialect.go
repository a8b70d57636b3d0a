package store

import (
	"database/sql"
	"errors"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A dialect is what differs between the databases. Everything else is one text of SQL, with ? for parameters. What differs:
//
//   - The text of a parameter: ? and $1 (numbered writes it in another way, so that no text here knows of it).
//   - The clock, and types of columns: a key that counts, bytes, and texts that are ordered by their bytes.
//   - Writers: SQLite has one, whose writes are grouped (group.go). PostgreSQL has as many as there are connections of all servers, so a
//     transaction that decides by what it reads is serializable there, and repeated when the database says that another was in its way. What is
//     fenced by its own row (Claim, Release, Transition) needs no more than the row's lock.
//   - Ids of events: an id that was taken earlier can be seen later where there are several writers, see oneByOne.
//   - Other servers: the one of SQLite has a lock on the data directory, and takes back what a killed one has leased. Those of PostgreSQL
//     wait for the lease.
//   - Errors: a name that exists, a database that is busy, one that is full.
//   - A backup: VACUUM INTO, or pg_dump.
type dialect struct {
	name   string
	driver string
	now    string // milliseconds since 1970 by the database's clock
	types  *strings.Replacer
	instr  string // the function that finds a text in another
	// shared: several servers use the database at the same time.
	shared    bool
	oneByOne  string // lets one transaction at a time insert events; empty: there is one writer
	isolation sql.IsolationLevel
	// skipLocked ends a SELECT that chooses rows to claim.
	skipLocked string
	// unique, busy, away and full classify an error of the driver.
	unique, busy, away, full func(error) bool
}

var sqliteDialect = dialect{
	name: "SQLite", driver: "sqlite", now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
	types: strings.NewReplacer("AUTOID", "INTEGER PRIMARY KEY AUTOINCREMENT", "BYTES", "BLOB"),
	instr: "INSTR",
	unique: func(err error) bool {
		code := sqliteCode(err)
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	busy: func(err error) bool {
		code := sqliteCode(err) & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	},
	away: func(error) bool { return false }, // it is in this process
	// A write-ahead log that cannot grow is an error of input and output on some file systems, and SQLite does not say more.
	full: func(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_FULL },
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
