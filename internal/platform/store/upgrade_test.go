package store

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
)

// newerProgram has one migration more, which programs of an older version survive.
func newerProgram(t *testing.T, number, from int) {
	t.Helper()
	before := migrations
	t.Cleanup(func() { migrations = before })
	all := fstest.MapFS{}
	names, err := fs.Glob(before, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(before, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	text := "ALTER TABLE runs ADD COLUMN later BIGINT NOT NULL DEFAULT 0;\nALTER TABLE events ADD COLUMN later TEXT;\nCREATE TABLE laters (id AUTOID, text TEXT NOT NULL);\nCREATE INDEX runs_later ON runs (later);\n"
	if from > 0 {
		text = "-- oldest: " + strconv.Itoa(from) + "\n" + text
	}
	all["migrations/"+strconv.Itoa(number)+".sql"] = &fstest.MapFile{Data: []byte(text)}
	migrations = all
}

// newestHere is the version of this program's tables.
func newestHere(t *testing.T) int {
	t.Helper()
	names, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(names[len(names)-1]), ".sql"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOlderProgram works on the tables of a newer one, if the newer one says that it can.
func TestOlderProgram(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open := func() (*Store, error) { return Open(t.Context(), dir) }
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "clicks", "a")
	s.Close()
	t.Run("newer", func(t *testing.T) {
		newerProgram(t, 9000, newestHere(t))
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	})
	for range 2 {
		if s, err = open(); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if s, err = open(); err != nil {
		t.Fatal(err)
	}
	r, err := start(t, s, "clicks")
	if err == nil {
		_, err = s.Transition(t.Context(), r.State.ID, r.Revision, "", Change{State: r.State, Events: []jobstate.Event{{Text: "x"}}, Next: time.Second})
	}
	if err != nil {
		t.Error(err)
	}
	s.Close()
	t.Run("newer, and not for this one", func(t *testing.T) {
		newerProgram(t, 9000, newestHere(t))
		all := migrations.(fstest.MapFS)
		all["migrations/9001.sql"] = &fstest.MapFile{Data: []byte("DROP TABLE laters;\n")}
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	})
	if s, err := open(); err == nil || !strings.Contains(err.Error(), "its tables have version 9001") {
		t.Errorf("%v, %v", s, err)
	}
}

// additive are the statements that an older program survives.
var additive = regexp.MustCompile(`(?is)^(CREATE TABLE\s|CREATE INDEX\s|ALTER TABLE \w+ ADD COLUMN \w+ \w+(\s+NOT NULL DEFAULT .+|\s+DEFAULT .+)?$)`)

// onlyAdds reports the first statement of a migration that older programs would not survive.
func onlyAdds(text string) string {
	text = regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(text, "")
	for statement := range strings.SplitSeq(text, ";") {
		if statement = strings.TrimSpace(statement); statement != "" && !additive.MatchString(statement) {
			return statement
		}
	}
	return ""
}

// TestMigrations: one that says that older programs survive it only adds.
func TestMigrations(t *testing.T) {
	for text, want := range map[string]string{
		"ALTER TABLE runs ADD COLUMN a BIGINT NOT NULL DEFAULT 0; CREATE INDEX i ON runs (a); -- x; y\nCREATE TABLE t (a TEXT)": "",
		"ALTER TABLE runs ADD COLUMN a TEXT":                      "",
		"ALTER TABLE runs ADD COLUMN a TEXT NOT NULL":             "ALTER TABLE runs ADD COLUMN a TEXT NOT NULL",
		"CREATE UNIQUE INDEX i ON runs (a)":                       "CREATE UNIQUE INDEX i ON runs (a)",
		"CREATE TABLE t (a TEXT); ALTER TABLE runs DROP COLUMN a": "ALTER TABLE runs DROP COLUMN a",
		"UPDATE runs SET due = 0":                                 "UPDATE runs SET due = 0",
	} {
		if got := onlyAdds(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	names, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		text, err := embedded.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if since := oldest(i+1, string(text)); since != i+1 {
			if bad := onlyAdds(string(text)); bad != "" || since > i+1 {
				t.Errorf("%s says that programs of version %d survive it, and has %q", name, since, bad)
			}
		}
	}
}
