package store

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPlans: what retention asks is found by an index, in its order: nothing is looked at whose time has not come.
func TestPlans(t *testing.T) {
	s := opened(t)
	for query, index := range map[string]string{
		queryUncleared: "runs_uncleared", queryExpired: "runs_ended", queryRemovals: "removals_since", deleteAnswers: "answers_created", deleteReservations: "reservations_lease",
		queryAudit: "events_of_people", queryUnused: "artifacts_unused", queryOffers: "runs_points",
	} {
		args := make([]any, strings.Count(query, "?"))
		for i := range args {
			args[i] = 1
		}
		rows, err := s.read.Query("EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(query, err)
		}
		plan, err := collect(rows, func(rows *sql.Rows) (string, error) {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			return detail, err
		})
		text := strings.Join(plan, "\n")
		if err != nil || strings.Contains(text, "SCAN") || strings.Contains(text, "TEMP B-TREE") || !strings.Contains(text, index) {
			t.Errorf("%v, want a search by %s:\n%s\n%s", err, index, query, text)
		}
	}
}

// TestArtifactsOf: names in URLs, as people write them.
func TestArtifactsOf(t *testing.T) {
	for document, want := range map[string][]string{
		"jar: {uri: 'http://p:8088/v1/artifacts/udf-1.0.jar', sha256: x}": {"udf-1.0.jar"},
		`{"uri":"http:\/\/p\/v1\/artifacts\/a.jar"}`:                      {"a.jar"},
		"see https://p/v1/artifacts/a.jar.":                               {"a.jar"},
		"https://p/v1/artifacts/a%2Djar?x https://p/v1/artifacts/b_B":     {"a-jar", "b_B"},
		"https://p/v1/artifacts/a https://p/v1/artifacts/a":               {"a"},
		"https://p/v1/artifacts/ https://repo/artifacts/b.jar":            nil,
	} {
		if got := artifactsOf([]byte(document)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", document, got, want)
		}
	}
}

// TestSinceWhenArtifactsAreUnused: by each change of what versions name.
func TestSinceWhenArtifactsAreUnused(t *testing.T) {
	s, ctx := opened(t), t.Context()
	used := func(step, name string, want bool) {
		t.Helper()
		var unused sql.NullInt64
		if err := s.read.QueryRow("SELECT unused FROM artifacts WHERE name = ?", name).Scan(&unused); err != nil || unused.Valid == want {
			t.Errorf("%s: %s is unused since %v, %v", step, name, unused, err)
		}
	}
	put(t, s, "clicks", "/v1/artifacts/early.jar /v1/artifacts/both.jar")
	for _, name := range []string{"early.jar", "late.jar", "both.jar"} {
		if _, err := s.PutArtifact(ctx, Artifact{Team: "team", Name: name}, strings.NewReader(name), "", 0); err != nil {
			t.Fatal(err)
		}
	}
	used("a version was first", "early.jar", true)
	used("no version yet", "late.jar", false)
	put(t, s, "orders", "/v1/artifacts/late.jar /v1/artifacts/both.jar")
	used("a version came", "late.jar", true)
	if err := s.DeleteJob(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	used("its job was deleted", "late.jar", false)
	used("one of two jobs was deleted", "both.jar", true)
	if n, err := s.RemoveArtifacts(ctx, time.Now().Add(time.Hour), 10); err != nil || n != 1 {
		t.Errorf("%d removed, %v", n, err)
	}
	if left, err := s.Artifacts(ctx, "team", "", 10); err != nil || len(left) != 2 {
		t.Errorf("%+v, %v", left, err)
	}
}

// TestUpgradeOfTheFirstTables: what the first version of the tables did not know is filled in.
func TestUpgradeOfTheFirstTables(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := embedded.ReadFile("migrations/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "platform.db"))
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte("an archive"))
	z.Close()
	for _, q := range []string{sqliteDialect.types.Replace(string(first)), "CREATE TABLE schema_version (number INTEGER PRIMARY KEY)", "INSERT INTO schema_version VALUES (1)",
		"INSERT INTO jobs VALUES ('clicks', 'team', 1, 'ann', 1)",
		"INSERT INTO runs (id, job, version, revision, queue, condition, desired, outcome, state, pending, cluster, asked, created, owner, lease) VALUES ('r', 'clicks', 1, 1, '', '', '', '', '{}', '[]', '{}', '{}', 1, '', 0)", "INSERT INTO versions VALUES ('clicks', 1, '/v1/artifacts/a.jar', '', '', '[]', '', 1, 'ann')",
		"INSERT INTO artifacts VALUES ('a.jar', 'team', 'd1', 1, 1, 'ann'), ('b.jar', 'team', 'd2', 1, 1, 'ann')",
		`INSERT INTO events VALUES (1, 'r', 'clicks', 'team', 1, 0, 1, '{"source":"user","text":"x"}'), (2, 'r', 'clicks', 'team', 2, 0, 1, '{"source":"REST","text":"a \"source\":\"user\""}')`} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(q, err)
		}
	}
	_, err = db.Exec("INSERT INTO archives (run, name, content, stored) VALUES ('r', 'n', ?, 1)", zipped.Bytes())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once is enough
		s, err := Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		var unused, people string
		err = s.read.QueryRow("SELECT (SELECT GROUP_CONCAT(name) FROM artifacts WHERE unused > 0), (SELECT GROUP_CONCAT(id) FROM events WHERE person = 1)").Scan(&unused, &people)
		if err != nil || unused != "b.jar" || people != "1" {
			t.Errorf("unused %q, events of people %q, %v", unused, people, err)
		}
		if content, err := s.Archive(t.Context(), "r", "n"); err != nil {
			t.Error(err)
		} else if b, err := io.ReadAll(content); string(b) != "an archive" || err != nil {
			t.Errorf("%q %v", b, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
