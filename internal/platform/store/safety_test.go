package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/jobstate"
)

// TestNetworkFileSystems: SQLite is not opened on a file system of a network, whatever its kind, and nothing is written there.
func TestNetworkFileSystems(t *testing.T) {
	for magic, name := range map[int64]string{0x6969: "NFS", 0x517b: "SMB", 0xfe534d42: "SMB", 0xff534d42: "SMB", 0x01021997: "9P", 0x65735546: "FUSE", 0x00c36400: "CephFS", 0x0bd00bd0: "Lustre", 0x01161970: "GFS2",
		0x7461636f: "OCFS2", 0x47504653: "GPFS", 0x19830326: "BeeGFS", 0x20030528: "OrangeFS", 0x5346414f: "AFS", 0x6b414653: "AFS", 0x73757245: "Coda", 0xaad7aaea: "PanFS", 0x564c: "NCP", 0xbacbacbc: "HGFS", 0x786f4256: "VirtualBox"} {
		dir := filepath.Join(t.TempDir(), "data")
		s, err := open(t.Context(), dir, time.Second, func(path string, st *unix.Statfs_t) error {
			if path != dir {
				t.Errorf("it looks at %s", path)
			}
			st.Type = magic
			return nil
		})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("%x: %v", magic, err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("%x: %v %v", magic, files, err)
		}
	}
	for name, magic := range map[string]int64{"ext4": unix.EXT4_SUPER_MAGIC, "xfs": unix.XFS_SUPER_MAGIC, "btrfs": unix.BTRFS_SUPER_MAGIC, "tmpfs": unix.TMPFS_MAGIC, "overlay": unix.OVERLAYFS_SUPER_MAGIC, "zfs": 0x2fc12fc1} {
		kind, err := networkFileSystem("/", func(_ string, st *unix.Statfs_t) error { st.Type = magic; return nil })
		if kind != "" || err != nil {
			t.Errorf("%s counts as %s, %v", name, kind, err)
		}
	}
	if _, err := open(t.Context(), t.TempDir(), time.Second, func(string, *unix.Statfs_t) error { return unix.EACCES }); !errors.Is(err, unix.EACCES) {
		t.Errorf("an unknown file system: %v", err)
	}
}

// TestTokenOfARunEnds: when the run has ended and nothing is left to do for it.
func TestTokenOfARunEnds(t *testing.T) {
	s, ctx := opened(t), t.Context()
	put(t, s, "clicks", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.NewRunToken(ctx, "team", r.State.ID)
	if err != nil {
		t.Fatal(err)
	}
	works := func(want bool, when string) {
		t.Helper()
		if got, err := s.TokenOf(ctx, token); (err == nil) != want || want && got.Run != r.State.ID {
			t.Errorf("%s: %+v, %v", when, got, err)
		}
	}
	works(true, "at the start")
	result := jobstate.Step(r.State, jobstate.Push{Attempt: "a", Sequence: 1, JobID: r.State.JobID, Status: jobstate.StFinished}, time.Now())
	if r, err = s.Transition(ctx, r.State.ID, r.Revision, "", Change{State: result.Run, Pending: result.Effects, Next: time.Second}); err != nil {
		t.Fatal(err)
	}
	works(true, "while its archive may come")
	if r, err = s.Transition(ctx, r.State.ID, r.Revision, "", Change{State: r.State}); err != nil {
		t.Fatal(err)
	}
	works(false, "after everything was done")
	if _, err := s.NewRunToken(ctx, "team", r.State.ID); !errors.Is(err, ErrConflict) {
		t.Errorf("a token of an ended run: %v", err)
	}
	if _, err := s.MakeToken(ctx, Token{Name: "all", Role: RoleView}); err == nil {
		t.Error("a token without a team was made")
	}
}

// TestArchivesOfARunAreBounded: by number and by bytes, each run by itself; one that was stored is not counted again.
func TestArchivesOfARunAreBounded(t *testing.T) {
	s, ctx := opened(t), t.Context()
	put(t, s, "clicks", "a")
	put(t, s, "other", "a")
	r, err := start(t, s, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	other, err := start(t, s, "other")
	if err != nil {
		t.Fatal(err)
	}
	keep := func(run, name string, content []byte) error {
		received, err := s.Receive(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		defer received.Close()
		return s.PutArchive(ctx, run, name, received)
	}
	s.maxArchived = 100
	if err := keep(r.State.ID, "a", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	incompressible := bytes.Repeat([]byte{1}, 0)
	for i := range 200 {
		incompressible = append(incompressible, byte(i*i*31+i))
	}
	if err := keep(r.State.ID, "b", incompressible); !errors.Is(err, ErrArchives) {
		t.Errorf("too many bytes: %v", err)
	}
	if err := keep(other.State.ID, "b", []byte("{}")); err != nil {
		t.Errorf("another run: %v", err)
	}
	if err := keep(r.State.ID, "a", []byte("{}")); err != nil {
		t.Errorf("again: %v", err)
	}
	s.maxArchived = 1 << 30
	if _, err := s.write.Exec("INSERT INTO archives (run, name, size, stored) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT ?, 'n' || i, 1, 0 FROM n", maxArchives-1, r.State.ID); err != nil {
		t.Fatal(err)
	}
	if err := keep(r.State.ID, "c", []byte("{}")); !errors.Is(err, ErrArchives) {
		t.Errorf("too many: %v", err)
	}
	if names, err := s.Archives(ctx, r.State.ID); err != nil || len(names) != maxArchives {
		t.Errorf("%d archives, %v", len(names), err)
	}
}

// TestManyOfATeam: rows of a team are counted where their bytes are not.
func TestManyOfATeam(t *testing.T) {
	s, ctx := opened(t), t.Context()
	fill := func(query string, n int) {
		t.Helper()
		if _, err := s.write.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "+query, n); err != nil {
			t.Fatal(err)
		}
	}
	fill("INSERT INTO catalogs (name, team, revision, statement, changed, changed_by) SELECT 'c' || i, 'team', 1, 'x', 0, '' FROM n", maxCatalogs)
	fill("INSERT INTO tokens (name, role, team, run, digest, created) SELECT 't' || i, 'view', 'team', '', 'd' || i, 0 FROM n", maxTokens)
	fill("INSERT INTO tokens (name, role, team, run, digest, created) SELECT 'run/' || i, 'run', 'others', 'r' || i, 'r' || i, 0 FROM n", maxTokens)
	fill("INSERT INTO artifacts (team, name, digest, size, created, created_by) SELECT 'team', 'a' || i, 'd', 1, 0, '' FROM n", maxArtifacts)
	for _, team := range []string{"team", "others"} {
		_, catalog := s.PutCatalog(ctx, Catalog{Team: team, Name: "more", Statement: "x"}, -1)
		_, token := s.MakeToken(ctx, Token{Team: team, Name: team, Role: RoleView})
		_, artifact := s.PutArtifact(ctx, Artifact{Team: team, Name: "more"}, strings.NewReader("x"), "", 0)
		for what, err := range map[string]error{"catalog": catalog, "token": token, "artifact": artifact} {
			if full := team == "team"; errors.Is(err, ErrMany) != full || !full && err != nil {
				t.Errorf("a %s of %s: %v", what, team, err)
			}
		}
	}
	if _, err := s.PutCatalog(ctx, Catalog{Team: "team", Name: "c1", Statement: "another"}, -1); err != nil {
		t.Errorf("a change of one that is there: %v", err)
	}
}

// TestAudit: what a user does is written in the same transaction; it stays when its job is deleted, and is not written without a user.
func TestAudit(t *testing.T) {
	s := opened(t)
	ctx := ByUser(t.Context(), "ann")
	texts := func() (all []string) {
		events, err := s.Events(t.Context(), EventFilter{Team: "team"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.By != "ann" || e.Source != jobstate.FromUser || e.Run != "" || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
			all = append(all, fmt.Sprint(e.Job, "|", e.Text))
		}
		return all
	}
	v := Version{Job: "clicks", Document: []byte("a"), Source: []byte("a"), Digest: "d", By: "ann", Comment: "password=hunter2"}
	for range 2 { // the second time nothing changes
		if made, _, err := s.PutJob(ctx, "team", v, -1); err != nil || made.Comment != "password=******" {
			t.Fatal(made, err)
		}
	}
	if err := s.DeleteJob(ctx, "clicks"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteJob(ctx, "clicks"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := s.Audit(ctx, "team", "", "something"); err != nil {
		t.Fatal(err)
	}
	if err := s.Audit(context.Background(), "team", "", "the platform itself"); err != nil {
		t.Fatal(err)
	}
	want := []string{"clicks|version 1 was stored: password=******", "clicks|it was deleted, with its versions up to 1", "|something"}
	if got := texts(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
	if others, err := s.Events(ctx, EventFilter{Team: "others"}); err != nil || len(others) > 0 {
		t.Errorf("%+v, %v", others, err)
	}
	if _, removed, _, err := s.RemoveAudit(t.Context(), time.Now().Add(time.Hour), AuditMark{}, 100); err != nil || removed != 3 {
		t.Errorf("%d removed, %v", removed, err)
	}
}

// TestSizesOfVersions: the upgrade counts what was stored before it.
func TestSizesOfVersions(t *testing.T) {
	s, ctx := opened(t), t.Context()
	if _, _, err := s.PutJobWithin(ctx, "team", Version{Job: "clicks", Document: []byte("12345"), Source: []byte("1234567"), Digest: "d"}, -1, 2000); err != nil {
		t.Fatal(err)
	}
	var size int64
	if err := s.read.QueryRow("SELECT size FROM versions").Scan(&size); err != nil || size != 12+1024 {
		t.Errorf("%d, %v", size, err)
	}
	migration, err := embedded.ReadFile("migrations/0006.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DROP INDEX versions_size", "ALTER TABLE versions DROP COLUMN size", string(migration)} {
		if _, err := s.write.Exec(s.d.types.Replace(q)); err != nil {
			t.Fatal(q, err)
		}
	}
	if err := s.read.QueryRow("SELECT size FROM versions").Scan(&size); err != nil || size != 12+1024 {
		t.Errorf("after the upgrade %d, %v", size, err)
	}
	if _, _, err := s.PutJobWithin(ctx, "team", Version{Job: "more", Document: []byte("1"), Digest: "d"}, -1, 2000); !errors.Is(err, ErrDefinitions) {
		t.Errorf("%v", err)
	}
	if _, _, err := s.PutJobWithin(ctx, "others", Version{Job: "other", Document: []byte("1"), Source: []byte("1"), Digest: "d"}, -1, 2000); err != nil {
		t.Errorf("another team: %v", err)
	}
}
