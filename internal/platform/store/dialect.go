package store

import (
	"errors"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A dialect is what differs between the databases. Everything else is one text of SQL, with ? for parameters.
type dialect struct {
	name   string
	driver string
	now    string // milliseconds since 1970 by the database's clock
	types  *strings.Replacer
	// skipLocked ends a SELECT that chooses rows to claim.
	skipLocked string
	// unique, busy and full classify an error of the driver.
	unique, busy, full func(error) bool
}

var sqliteDialect = dialect{
	name: "SQLite", driver: "sqlite", now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
	types: strings.NewReplacer("AUTOID", "INTEGER PRIMARY KEY AUTOINCREMENT", "BYTES", "BLOB"),
	unique: func(err error) bool {
		code := sqliteCode(err)
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	busy: func(err error) bool {
		code := sqliteCode(err) & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	},
	// A write-ahead log that cannot grow is an error of input and output on some file systems, and SQLite does not say more.
	full: func(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_FULL },
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
