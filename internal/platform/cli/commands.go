package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

func clientFlags(f *pflag.FlagSet) {
	f.String("server", "http://127.0.0.1:8088", "`URL` of the server")
	f.String("token-file", "", "`FILE` with the token")
	outputFlag(f)
}

func outputFlag(f *pflag.FlagSet) { f.String("output", "text", "text or json (`FORMAT`)") }

func with(more ...func(*pflag.FlagSet)) func(*pflag.FlagSet) {
	return func(f *pflag.FlagSet) {
		for _, m := range more {
			m(f)
		}
		clientFlags(f)
	}
}

const (
	groupServer   = "The server"
	groupJobs     = "Jobs"
	groupWatch    = "Watch"
	groupClusters = "Session clusters (start, stop, job, logs and events take their names, too)"
	groupStored   = "What jobs use"
	groupService  = "Access"
	groupScripts  = "SQL, before it is a job"
)

// commands are all verbs.
var commands = []command{
	{name: "serve", group: groupServer, short: "run the server until Ctrl-C; clusters outlive it", flags: serveFlags, run: serve},
	{name: "workbench", group: groupServer, short: "run a worker: validate, debug and lineage for servers, on one version of Flink", flags: workbenchFlags, run: runWorkbench},
	{name: "store copy", group: groupServer, short: "copy the SQLite store of a server that is not running to an empty PostgreSQL database (--store)", flags: dataFlag, run: storeCopy},
	{name: "backup", words: "DIR", group: groupServer, short: "copy the store of a server that is not running", flags: dataFlag, run: backup, least: 1, most: 1},
	{name: "restore", words: "DIR", group: groupServer, short: "make a data directory from a backup", flags: dataFlag, run: restore, least: 1, most: 1},
	{name: "resume", group: groupServer, short: "let a restored server act again", flags: dataFlag, run: resume},
	{name: "forward", group: groupServer, short: "bring aggregated metrics from Kafka to Pushgateway until Ctrl-C; groups of jobs that ended are removed", flags: forwardFlags, run: forwardMetrics},
	{name: "health", group: groupServer, short: "queues of the server", flags: with(), run: asks(health)},

	{name: "validate", words: "FILE", group: groupScripts, short: "let Flink's planner check a definition or a .sql file (-: a script on standard input)", flags: with(), run: validateScript, least: 1, most: 1},
	{name: "debug", words: "FILE", group: groupScripts, short: "run a script on generated rows; nothing of its tables is reached", flags: with(debugFlags), run: debugScript, least: 1, most: 1},
	{name: "lineage", words: "FILE", group: groupScripts, short: "what feeds what in a script", flags: with(), run: lineageOf, least: 1, most: 1},

	{name: "submit", words: "FILE [NAME]", group: groupJobs, short: "make a version of the job NAME (else the name of the file): a definition, or a .sql file alone (-: standard input)", flags: with(submitFlags), run: asks(submit), least: 1, most: 2},
	{name: "start", words: "NAME", group: groupJobs, short: "start a job", flags: with(startFlags), run: asks(start), least: 1, most: 1},
	{name: "stop", words: "NAME", group: groupJobs, short: "cancel a job, or stop it with a savepoint", flags: with(stopFlags), run: asks(stop), least: 1, most: 1},
	{name: "upgrade", words: "NAME", group: groupJobs, short: "stop a job with a savepoint and start another version from it", flags: with(upgradeFlags), run: asks(upgrade), least: 1, most: 1},
	{name: "resolve", words: "NAME", group: groupJobs, short: "decide about a run that is lost or parked", flags: with(resolveFlags), run: asks(resolve), least: 1, most: 1},
	{name: "delete", words: "NAME", group: groupJobs, short: "delete a job with its versions and runs", flags: with(), run: deleteJob, least: 1, most: 1},

	{name: "jobs", group: groupWatch, short: "list jobs", flags: with(func(f *pflag.FlagSet) { f.String("queue", "", "accept, running, failed, cancel, finish or none") }), run: asks(jobs)},
	{name: "job", words: "NAME", group: groupWatch, short: "a job: its versions, runs and timeline", flags: with(func(f *pflag.FlagSet) { f.Int("limit", 100, "at most `N` versions and runs, the newest; 0: all") }), run: asks(job), least: 1, most: 1},
	{name: "events", words: "[NAME]", group: groupWatch, short: "what happened", flags: with(func(f *pflag.FlagSet) { f.BoolP("follow", "f", false, "go on until Ctrl-C") }), run: asks(events), most: 1},
	{name: "logs", words: "NAME", group: groupWatch, short: "logs of the platform, JobManager and TaskManagers of a run", flags: with(logFlags), run: asks(logs), least: 1, most: 1},
	{name: "diff", words: "NAME OLD NEW", group: groupWatch, short: "what changed between two versions", flags: with(), run: asks(diff), least: 3, most: 3},

	{name: "clusters", group: groupClusters, short: "list session clusters, and the jobs on each", flags: with(), run: asks(clusters)},
	{name: "cluster put", words: "NAME FILE", group: groupClusters, short: "make a version of a session cluster: a definition without a job", flags: with(clusterFlags), run: asks(clusterPut), least: 2, most: 2},
	{name: "cluster delete", words: "NAME", group: groupClusters, short: "delete a session cluster that does not run", flags: with(), run: deleteOf("/v1/clusters/"), least: 1, most: 1},

	{name: "catalogs", group: groupStored, short: "list catalogs", flags: with(), run: asks(catalogs)},
	{name: "catalog", words: "NAME", group: groupStored, short: "a catalog, and the jobs that have it", flags: with(), run: asks(catalog), least: 1, most: 1},
	{name: "catalog put", words: "NAME FILE", group: groupStored, short: "store a CREATE CATALOG statement", flags: with(), run: asks(catalogPut), least: 2, most: 2},
	{name: "catalog check", words: "NAME", group: groupStored, short: "let the server connect to a catalog", flags: with(), run: asks(catalogCheck), least: 1, most: 1},
	{name: "catalog delete", words: "NAME", group: groupStored, short: "delete a catalog", flags: with(), run: deleteOf("/v1/catalogs/"), least: 1, most: 1},
	{name: "artifacts", group: groupStored, short: "list artifacts", flags: with(), run: asks(artifacts)},
	{name: "artifact put", words: "FILE [NAME]", group: groupStored, short: "store a jar or another file", flags: with(), run: asks(artifactPut), least: 1, most: 2},
	{name: "artifact delete", words: "NAME", group: groupStored, short: "delete an artifact that no version names", flags: with(), run: deleteOf("/v1/artifacts/"), least: 1, most: 1},

	{name: "link", group: groupService, short: "print a link that opens the pages in a browser, once", flags: with(), run: asks(link)},
	{name: "tokens", group: groupService, short: "list tokens", flags: with(), run: asks(tokens)},
	{name: "token make", words: "NAME", group: groupService, short: "make a token and show it, this once", flags: with(tokenFlags), run: tokenMake, least: 1, most: 1},
	{name: "token delete", words: "NAME", group: groupService, short: "end a token", flags: with(), run: deleteOf("/v1/tokens/"), least: 1, most: 1},

	{name: "version", group: groupServer, short: "version of this program; health has the one of the server", flags: outputFlag, run: version},
	{name: "shim", words: "DIR", run: shim, least: 1, most: 1},
	{name: "wall-forward", words: "ADDRESS=SOCKET… -- PROGRAM…", run: wallForward, least: 2, most: 10_000},
}

func submitFlags(f *pflag.FlagSet) {
	f.StringP("message", "m", "", "what this version changes")
	f.Bool("start", false, "start it, too")
	f.Bool("wait", false, "with --start: wait for its end; 24 if it is not finished")
}

func clusterFlags(f *pflag.FlagSet) {
	f.StringP("message", "m", "", "what this version changes")
	f.Bool("start", false, "start it, too")
}

func startFlags(f *pflag.FlagSet) {
	f.Int("version", 0, "`N` (the newest)")
	f.String("savepoint", "", "latest, none, or a `PATH` (as the definition says)")
	f.Bool("wait", false, "wait for its end; 24 if it is not finished")
}

func stopFlags(f *pflag.FlagSet) {
	f.Bool("savepoint", false, "with a savepoint")
	f.Bool("drain", false, "with a savepoint, after sending the last watermark")
	f.Bool("wait", false, "wait for its end")
}

func upgradeFlags(f *pflag.FlagSet) {
	f.Int("version", 0, "`N` (the newest)")
	f.Duration("deadline", 5*time.Minute, "if it does not run in this `TIME`, the version before starts again from the same savepoint")
	f.Bool("drain", false, "send the last watermark before the savepoint")
	f.Bool("wait", false, "wait until the new version runs, or the version before is back")
}

func resolveFlags(f *pflag.FlagSet) {
	f.String("as", "", "how a lost run ended: finished, failed or canceled; empty starts a parked run without state (`OUTCOME`)")
	f.String("reason", "", "`TEXT` for those who ask later")
	f.String("run", "", "`ID` (the newest)")
}

func logFlags(f *pflag.FlagSet) {
	f.BoolP("follow", "f", false, "go on until the run has ended")
	f.String("run", "", "`ID` (the newest)")
	f.String("process", "", "of the platform, jobmanager-1, taskmanager-1 … (`NAME`; all)")
	f.Int("tail", 1000, "the last `N` lines of each process")
}

func tokenFlags(f *pflag.FlagSet) {
	f.String("role", "view", "`ROLE`: view, edit or admin")
	f.String("team", "", "of a store that no server uses: `TEAM` (default)")
	f.String("data-dir", "", "make it in the store of a server that is not running (`DIR`)")
	f.String("secret-file", "", "with --data-dir: the secret is what `FILE` has, a token of this name with another secret ends, and nothing is shown")
	storeFlag(f)
}

// asks is a command that needs the server.
func asks(f func(*call, *client.Client) error) func(*call) error {
	return func(c *call) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		return f(c, cl)
	}
}

// list shows what the server listed: as JSON, or a line each below head; none is printed for an empty list.
func list[T any](c *call, all []T, err error, none, head string, line func(w io.Writer, x T, now time.Time)) error {
	switch {
	case err != nil || c.json(all):
		return err
	case len(all) == 0:
		fmt.Fprintln(c.stdout, none)
		return nil
	}
	now := time.Now()
	c.table(head, func(w io.Writer) {
		for _, x := range all {
			line(w, x, now)
		}
	})
	return nil
}

func (c *call) client() (*client.Client, error) {
	cl := &client.Client{Base: c.text("server"), Away: func(u *client.Unreachable) {
		fmt.Fprintf(c.stderr, "warning: %v; it is waited for, Ctrl-C ends that\n", u)
	}}
	if u, err := url.Parse(cl.Base); err != nil || u.Host == "" {
		return nil, usagef("--server is %q, expected a URL such as http://127.0.0.1:8088", cl.Base)
	}
	if file := c.text("token-file"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, usagef("--token-file: %w", err)
		}
		cl.Token = strings.TrimSpace(string(b))
		if cl.Token == "" || strings.ContainsFunc(cl.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, usagef("--token-file %s has no token, expected one line that begins with %s", file, mask.Token)
		}
	}
	return cl, nil
}

func (c *call) table(head string, rows func(w io.Writer)) {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	rows(w)
	w.Flush()
}

// state is a run in a few words.
func state(r *wire.Run) string {
	if r == nil {
		return "never started"
	}
	switch {
	case r.Outcome != "" && r.Outcome != r.Queue:
		return r.Queue + " (" + r.Outcome + ")"
	case r.Condition != "":
		return r.Queue + " (" + r.Condition + ")"
	}
	return r.Queue
}

// readFile reads a file, or standard input for "-".
func (c *call) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.stdin)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

func submit(c *call, cl *client.Client) error {
	b, err := c.readFile(c.words[0])
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(c.words[0]), filepath.Ext(c.words[0]))
	if len(c.words) > 1 {
		name = c.words[1]
	} else if c.words[0] == "-" {
		return usagef("the name of the job is missing: flink-platform submit - NAME")
	}
	v, err := cl.Put(c.ctx, name, b, filepath.Ext(c.words[0]) == ".sql", c.text("message"))
	if err != nil {
		return fmt.Errorf("%s: %w", c.words[0], err)
	}
	return c.made(cl, v)
}

// made shows a new version, or starts it.
func (c *call) made(cl *client.Client, v wire.Version) error {
	for _, w := range v.Warnings {
		fmt.Fprintln(c.stderr, "warning:", w)
	}
	if !c.bool("start") {
		if !c.json(v) {
			fmt.Fprintf(c.stdout, "%s version %d, sha256 %s\n", v.Job, v.Number, v.Digest)
		}
		return nil
	}
	r, err := cl.Start(c.ctx, v.Job, wire.Start{Version: v.Number})
	if err != nil {
		return err
	}
	return c.follow(cl, r)
}

func clusterPut(c *call, cl *client.Client) error {
	b, err := c.readFile(c.words[1])
	if err != nil {
		return err
	}
	v, err := cl.PutCluster(c.ctx, c.words[0], b, c.text("message"))
	if err != nil {
		return fmt.Errorf("%s: %w", c.words[1], err)
	}
	return c.made(cl, v)
}

func clusters(c *call, cl *client.Client) error {
	all, err := cl.Clusters(c.ctx)
	return list(c, all, err, "no session clusters; make one with: flink-platform cluster put NAME FILE", "NAME\tSTATE\tSINCE\tVERSION\tNEWEST\tJOBS\tREASON", func(w io.Writer, j wire.Job, now time.Time) {
		version, since, reason := newest(j.Run, now)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", j.Name, state(j.Run), since, version, j.Newest, len(j.Jobs), reason)
	})
}

func start(c *call, cl *client.Client) error {
	n, err := c.flags.GetInt("version")
	if err != nil {
		return err
	}
	r, err := cl.Start(c.ctx, c.words[0], wire.Start{Version: n, Savepoint: c.text("savepoint")})
	if err != nil {
		return err
	}
	return c.follow(cl, r)
}

// follow shows a run that was asked to start or stop, and with --wait its events until its end.
func (c *call) follow(cl *client.Client, r wire.Run) error {
	if c.flags.Lookup("wait") == nil || !c.bool("wait") {
		if !c.json(r) {
			fmt.Fprintf(c.stdout, "%s version %d, run %s: %s\n", r.Job, r.Version, r.ID, state(&r))
		}
		return nil
	}
	forPeople := c.text("output") != "json"
	stopping := c.flags.Lookup("drain") != nil
	parked := ""
	err := cl.Follow(c.ctx, r.Job, 0, func(e wire.Event) bool {
		if e.Run != r.ID {
			return true
		}
		if forPeople {
			c.event(e)
		}
		if e.Condition == "parked" && !stopping { // it goes on when a person has decided, which may be never
			parked = e.Text
		}
		return e.Outcome == "" && parked == ""
	})
	if err != nil {
		return err
	}
	if r, err = cl.Run(c.ctx, r.Job, r.ID); err != nil {
		return err
	}
	c.json(r)
	if r.Outcome == "" && parked != "" {
		return failure{fmt.Errorf("run %s of %s is %s (flink-platform resolve %s --as empty, or stop %s)", r.ID, r.Job, parked, r.Job, r.Job), exitJobFailed}
	}
	if r.Outcome != "finished" && !(stopping && r.Outcome != "failed") {
		return failure{fmt.Errorf("run %s of %s is %s: %s", r.ID, r.Job, r.Outcome, r.Reason), exitJobFailed}
	}
	return nil
}

func (c *call) event(e wire.Event) {
	what := e.Queue
	if e.Condition != "" {
		what += " (" + e.Condition + ")"
	}
	evidence := e.Evidence
	if e.Inferred {
		evidence += ", inferred"
	}
	if e.By != "" {
		evidence += " " + e.By
	}
	fmt.Fprintf(c.stdout, "%s  %-28s %s  [%s]\n", e.At.Local().Format("15:04:05.000"), what, strings.ReplaceAll(e.Text, "\n", "\n"+strings.Repeat(" ", 15)), evidence)
}

func stop(c *call, cl *client.Client) error {
	mode := "cancel"
	switch {
	case c.bool("drain"):
		mode = "drain"
	case c.bool("savepoint"):
		mode = "savepoint"
	}
	r, err := cl.Stop(c.ctx, c.words[0], mode)
	if err != nil {
		return err
	}
	return c.follow(cl, r)
}

func upgrade(c *call, cl *client.Client) error {
	within, err := c.flags.GetDuration("deadline")
	if err != nil {
		return err
	}
	version, err := c.flags.GetInt("version")
	if err != nil {
		return err
	}
	if within < time.Second || within > 24*time.Hour {
		return usagef("--deadline is %s, expected a time from 1s to 24h", within)
	}
	r, err := cl.Upgrade(c.ctx, c.words[0], wire.UpgradeJob{Version: version, Within: int(within.Seconds()), Drain: c.bool("drain")})
	if err != nil {
		return err
	}
	if !c.bool("wait") {
		return c.follow(cl, r)
	}
	return c.followUpgrade(cl, r)
}

// followUpgrade shows the events of a job until its upgrade is decided. An event says that something has happened; what it means for the upgrade,
// the newest run says.
func (c *call) followUpgrade(cl *client.Client, stopped wire.Run) error {
	forPeople := c.text("output") != "json"
	var newest wire.Run
	var result error
	begun := false
	err := cl.Follow(c.ctx, stopped.Job, 0, func(e wire.Event) bool {
		if begun = begun || e.Run == stopped.ID && e.Revision >= stopped.Revision; !begun {
			return true
		}
		if forPeople {
			c.event(e)
		}
		var j wire.Job
		if j, result = cl.Job(c.ctx, stopped.Job); result != nil || j.Run == nil {
			return false
		}
		newest = *j.Run
		decided := false
		decided, result = upgraded(stopped, newest)
		return !decided
	})
	if err == nil {
		c.json(newest)
		err = result
	}
	return err
}

// upgraded says whether an upgrade is decided by the newest run of its job, and what went wrong.
func upgraded(stopped, newest wire.Run) (decided bool, err error) {
	u := newest.Upgrade
	if u == nil {
		u = &wire.Upgrade{}
	}
	switch {
	case newest.ID == stopped.ID && (u.State == "stopping" || u.State == "stopped"), newest.ID != stopped.ID && (u.State == "starting" || u.State == "failed"):
		return false, nil
	case newest.ID == stopped.ID:
		return true, failure{fmt.Errorf("%s is not upgraded: %s", newest.Job, cmp.Or(newest.Reason, "its run is "+state(&newest))), exitJobFailed}
	case u.State == "done":
		return true, nil
	case u.State == "back" && newest.Outcome == "" && (newest.Queue != "running" || newest.Condition != ""):
		return false, nil // it has to run again
	case u.State == "back":
		return true, failure{fmt.Errorf("version %d of %s did not run (%s); version %d is back: %s", u.From, newest.Job, u.Reason, newest.Version, state(&newest)), exitJobFailed}
	}
	return true, failure{fmt.Errorf("the upgrade of %s was given up: run %s is %s", newest.Job, newest.ID, state(&newest)), exitJobFailed}
}

func resolve(c *call, cl *client.Client) error {
	id := c.text("run")
	if id == "" {
		j, err := cl.Job(c.ctx, c.words[0])
		if err != nil {
			return err
		}
		if j.Run == nil {
			return failure{fmt.Errorf("the job %s was never started", j.Name), exitRefused}
		}
		id = j.Run.ID
	}
	r, err := cl.Resolve(c.ctx, c.words[0], id, wire.Resolve{As: c.text("as"), Reason: c.text("reason")})
	if err != nil {
		return err
	}
	if !c.json(r) {
		fmt.Fprintf(c.stdout, "run %s: %s\n", r.ID, state(&r))
	}
	return nil
}

func deleteJob(c *call) error { return deleteOf("/v1/jobs/")(c) }

func deleteOf(path string) func(*call) error {
	return func(c *call) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		return cl.Do(c.ctx, http.MethodDelete, path+url.PathEscape(c.words[0]), nil, nil)
	}
}

func jobs(c *call, cl *client.Client) error {
	all, err := cl.Jobs(c.ctx, c.text("queue"))
	return list(c, all, err, "no jobs; make one with: flink-platform submit job.yaml", "NAME\tSTATE\tSINCE\tVERSION\tNEWEST\tREASON", func(w io.Writer, j wire.Job, now time.Time) {
		version, since, reason := newest(j.Run, now)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", j.Name, state(j.Run), since, version, j.Newest, reason)
	})
}

// newest are the cells of a job's newest run; nil: it was never started.
func newest(r *wire.Run, now time.Time) (version, since, reason string) {
	if r == nil {
		return "-", "-", ""
	}
	return strconv.Itoa(r.Version), ago(r.Since, now), firstLine(r.Reason)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 90 {
		return string(r[:89]) + "…"
	}
	return s
}

func job(c *call, cl *client.Client) error {
	j, err := cl.Job(c.ctx, c.words[0])
	if err != nil {
		return err
	}
	most, err := c.flags.GetInt("limit")
	if err != nil {
		return err
	}
	if most < 0 {
		return usagef("--limit is %d, expected 0 or more", most)
	}
	versions, err := cl.Versions(c.ctx, j.Name, most)
	if err != nil {
		return err
	}
	runs, err := cl.Runs(c.ctx, j.Name, most)
	if err != nil {
		return err
	}
	var events []wire.Event
	if j.Run != nil {
		if events, err = cl.Events(c.ctx, j.Name, j.Run.ID); err != nil {
			return err
		}
	}
	if c.json(map[string]any{"job": j, "versions": versions, "runs": runs, "events": events}) {
		return nil
	}
	now := time.Now()
	fmt.Fprintf(c.stdout, "%s: %s", j.Name, state(j.Run))
	if j.Run != nil {
		fmt.Fprintf(c.stdout, " (%s), version %d of %d", ago(j.Run.Since, now), j.Run.Version, j.Newest)
		if j.Run.Session != "" {
			fmt.Fprintf(c.stdout, ", on the session cluster %s", j.Run.Session)
		}
		if j.Run.Reason != "" {
			fmt.Fprintf(c.stdout, "\n  %s", strings.ReplaceAll(j.Run.Reason, "\n", "\n  "))
		}
	}
	fmt.Fprintln(c.stdout, "\n\nVersions")
	c.table("  VERSION\tMADE\tBY\tSHA256\tCOMMENT", func(w io.Writer) {
		for _, v := range versions {
			fmt.Fprintf(w, "  %d\t%s\t%s\t%.12s\t%s\n", v.Number, ago(v.Created, now), v.By, v.Digest, v.Comment)
		}
	})
	if len(runs) > 0 {
		fmt.Fprintln(c.stdout, "\nRuns")
		c.table("  RUN\tVERSION\tSTATE\tSTARTED\tENDED\tREASON", func(w io.Writer) {
			for _, r := range runs {
				ended := "-"
				if r.Ended != nil {
					ended = ago(*r.Ended, now)
				}
				fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.Version, state(&r), ago(r.Created, now), ended, firstLine(r.Reason))
			}
		})
	}
	if len(events) > 0 {
		fmt.Fprintf(c.stdout, "\nTimeline of run %s\n", j.Run.ID)
		for _, e := range events {
			fmt.Fprint(c.stdout, "  ")
			c.event(e)
		}
	}
	return nil
}

func events(c *call, cl *client.Client) error {
	name := ""
	if len(c.words) > 0 {
		name = c.words[0]
	}
	all, err := cl.Events(c.ctx, name, "")
	if err != nil {
		return err
	}
	if len(all) == 0 && !c.bool("follow") && c.text("output") != "json" {
		fmt.Fprintln(c.stdout, "no events yet")
	}
	show := func(e wire.Event) {
		if c.text("output") == "json" {
			json.NewEncoder(c.stdout).Encode(e)
			return
		}
		if name == "" {
			fmt.Fprintf(c.stdout, "%-20s ", e.Job)
		}
		c.event(e)
	}
	last := int64(0)
	for _, e := range all {
		show(e)
		last = e.ID
	}
	if !c.bool("follow") {
		return nil
	}
	err = cl.Follow(c.ctx, name, last, func(e wire.Event) bool { show(e); return true })
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func logs(c *call, cl *client.Client) error {
	tail, err := c.flags.GetInt("tail")
	if err != nil {
		return err
	}
	err = cl.Logs(c.ctx, c.words[0], c.text("run"), c.text("process"), tail, c.bool("follow"), func(source, line string) {
		if c.text("output") == "json" {
			json.NewEncoder(c.stdout).Encode(map[string]string{"source": source, "line": line})
			return
		}
		fmt.Fprintf(c.stdout, "%-14s %s\n", source, line)
	})
	if errors.Is(err, context.Canceled) {
		return nil // Ctrl-C ends it
	}
	return err
}

func diff(c *call, cl *client.Client) error {
	var texts [2]string
	for i, word := range c.words[1:] {
		n, err := strconv.Atoi(word)
		if err != nil {
			return usagef("%q is not the number of a version", word)
		}
		v, err := cl.Version(c.ctx, c.words[0], n)
		if err != nil {
			return err
		}
		texts[i] = v.Source
	}
	if c.json(map[string]string{"old": texts[0], "new": texts[1]}) {
		return nil
	}
	if texts[0] == texts[1] {
		fmt.Fprintln(c.stdout, "no difference")
		return nil
	}
	fmt.Fprint(c.stdout, udiff.Unified("version "+c.words[1], "version "+c.words[2], texts[0], texts[1]))
	return nil
}

func catalogs(c *call, cl *client.Client) error {
	all, err := cl.Catalogs(c.ctx)
	return list(c, all, err, "no catalogs; store one with: flink-platform catalog put NAME FILE", "NAME\tREVISION\tCHANGED\tBY", func(w io.Writer, x wire.Catalog, now time.Time) {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", x.Name, x.Revision, ago(x.Changed, now), x.By)
	})
}

func catalog(c *call, cl *client.Client) error {
	var out wire.Catalog
	if err := cl.Do(c.ctx, http.MethodGet, "/v1/catalogs/"+url.PathEscape(c.words[0]), nil, &out); err != nil || c.json(out) {
		return err
	}
	fmt.Fprintf(c.stdout, "%s, revision %d\n\n%s\n", out.Name, out.Revision, out.Statement)
	for _, u := range out.Jobs {
		note := ""
		if u.Revision < out.Revision {
			note = ", an older revision"
		}
		if u.Running {
			note += ", running"
		}
		fmt.Fprintf(c.stdout, "\njob %s version %d has revision %d%s", u.Job, u.Version, u.Revision, note)
	}
	if len(out.Jobs) > 0 {
		fmt.Fprintln(c.stdout)
	}
	return nil
}

func catalogPut(c *call, cl *client.Client) error {
	b, err := c.readFile(c.words[1])
	if err != nil {
		return err
	}
	out, err := cl.PutCatalog(c.ctx, c.words[0], strings.TrimSpace(string(b)), -1)
	if err != nil || c.json(out) {
		return err
	}
	fmt.Fprintf(c.stdout, "%s revision %d\n", out.Name, out.Revision)
	return nil
}

// catalogCheck ends with the exit code of what is invalid where the catalog does not answer.
func catalogCheck(c *call, cl *client.Client) error {
	var out wire.CatalogChecked
	if err := cl.Do(c.ctx, http.MethodPost, "/v1/catalogs/"+url.PathEscape(c.words[0])+"/check", nil, &out); err != nil {
		return err
	}
	if !c.json(out) && out.OK {
		fmt.Fprintf(c.stdout, "%s (%.1f s)\n", out.Message, out.Took)
	}
	if !out.OK {
		return failure{fmt.Errorf("catalog %s: %s", c.words[0], out.Message), exitInvalid}
	}
	return nil
}

func artifacts(c *call, cl *client.Client) error {
	all, err := cl.Artifacts(c.ctx)
	return list(c, all, err, "no artifacts; store one with: flink-platform artifact put FILE", "NAME\tSIZE\tMADE\tSHA256", func(w io.Writer, x wire.Artifact, now time.Time) {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", x.Name, x.Size, ago(x.Created, now), x.Digest)
	})
}

// artifactPut sends the digest with the file, so that a half file is never stored.
func artifactPut(c *call, cl *client.Client) error {
	f, err := os.Open(c.words[0])
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	name := filepath.Base(c.words[0])
	if len(c.words) > 1 {
		name = c.words[1]
	}
	resp, err := cl.Send(c.ctx, http.MethodPut, "/v1/artifacts/"+url.PathEscape(name)+"?sha256="+hex.EncodeToString(h.Sum(nil)), nil, f)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out wire.Artifact
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || c.json(out) {
		return err
	}
	fmt.Fprintf(c.stdout, "%s, %d bytes, sha256 %s\nin a definition: {uri: %q, sha256: %q}\n", out.Name, out.Size, out.Digest, strings.TrimSuffix(cl.Base, "/")+"/v1/artifacts/"+out.Name, out.Digest)
	return nil
}

func tokens(c *call, cl *client.Client) error {
	all, err := cl.Tokens(c.ctx)
	return list(c, all, err, "no tokens; make one with: flink-platform token make NAME", "NAME\tROLE\tTEAM", func(w io.Writer, x wire.Token, _ time.Time) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Name, x.Role, x.Team)
	})
}

// tokenMake makes a token by the API, or, for the first one, in the store of a server that is not running.
func tokenMake(c *call) error {
	if c.text("data-dir") != "" {
		return firstToken(c)
	}
	if c.text("secret-file") != "" {
		return usagef("--secret-file needs --data-dir: a running server makes the secrets of its tokens itself")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	var out wire.Token
	err = cl.Do(c.ctx, http.MethodPost, "/v1/tokens", map[string]string{"name": c.words[0], "role": c.text("role")}, &out)
	if err != nil || c.json(out) {
		return err
	}
	fmt.Fprintln(c.stdout, out.Secret)
	return nil
}

// firstToken makes a token in the store of a server that is not running, or sets it to a secret that the caller has.
func firstToken(c *call) error {
	t := store.Token{Name: c.words[0], Role: store.Role(c.text("role")), Team: c.text("team")}
	if t.Team == "" {
		t.Team = "default"
	}
	if fault, hint := api.TokenFault(t.Name, t.Role, t.Team); fault != "" {
		return usagef("%s, expected %s", fault, hint)
	}
	var given string
	if file := c.text("secret-file"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return usagef("--secret-file: %w", err)
		}
		if given = strings.TrimSpace(string(b)); !mask.IsToken(given) {
			return usagef("--secret-file %s has no secret of a token, expected %s and %d or more letters, digits, hyphens and underscores", file, mask.Token, mask.TokenLength)
		}
	}
	return withNewStore(c, func(s *store.Store) error {
		ctx := store.ByUser(c.ctx, "command line")
		var err error
		if given != "" {
			err = s.SetToken(ctx, t, given)
		} else if given, err = s.MakeToken(ctx, t); err == nil {
			fmt.Fprintln(c.stdout, given)
		}
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("there is a token %s, or another one with this secret: delete it, or choose another name", t.Name)
		}
		return err
	})
}

// link prints the address that signs a browser in as the caller. The token itself is in no address.
func link(c *call, cl *client.Client) error {
	code, err := cl.Code(c.ctx)
	if err != nil || c.json(code) {
		return err
	}
	fmt.Fprintf(c.stdout, "%s/enter?code=%s\n", strings.TrimSuffix(cl.Base, "/"), url.QueryEscape(code.Code))
	fmt.Fprintf(c.stderr, "it works once, until %s\n", code.Expires.Local().Format("15:04:05"))
	return nil
}

func health(c *call, cl *client.Client) error {
	var out wire.Health
	if err := cl.Do(c.ctx, http.MethodGet, "/v1/health", nil, &out); err != nil || c.json(out) {
		return err
	}
	if out.Observes {
		fmt.Fprintln(c.stdout, "restored from a backup: it only observes until flink-platform resume")
	}
	if out.Version != "" {
		fmt.Fprintf(c.stdout, "flink-platform %s\n", out.Version)
	}
	fmt.Fprintf(c.stdout, "%.1f looks at runs and %.1f pushes a second in the last minute, started %s\n", out.Polls, out.Pushes, ago(out.Started, time.Now()))
	if w := out.Workbench; w != nil {
		fmt.Fprintf(c.stdout, "workbench: Flink %s, %d of %d JVMs ready, %d of %d debug runs, %d waiting\n", w.Flink, w.Warm, w.Wanted, w.Running, w.Slots, w.Waiting)
		if w.Wall.On {
			fmt.Fprintln(c.stdout, "code of users: inside a wall,", w.Wall.By)
		} else {
			fmt.Fprintln(c.stdout, "code of users: refused without a wall:", w.Wall.Reason)
		}
		for _, x := range w.Workers {
			if x.Reason != "" {
				fmt.Fprintf(c.stdout, "worker: Flink %s cannot be used: %s\n", x.Flink, x.Reason)
				continue
			}
			wall := "without a wall"
			if x.Wall.On {
				wall = "inside a wall, " + x.Wall.By
			}
			fmt.Fprintf(c.stdout, "worker: Flink %s, %d of %d JVMs ready, %d of %d debug runs, %d waiting, %s\n", x.Flink, x.Warm, x.Wanted, x.Running, x.Slots, x.Waiting, wall)
		}
	}
	if len(out.Queues) == 0 {
		fmt.Fprintln(c.stdout, "nothing to look after: no run is open")
		return nil
	}
	c.table("QUEUE\tRUNS\tLEASED\tOVERDUE", func(w io.Writer) {
		for _, q := range out.Queues {
			fmt.Fprintf(w, "%s\t%d\t%d\t%.1fs\n", q.Name, q.Runs, q.Leased, q.Overdue)
		}
	})
	return nil
}
