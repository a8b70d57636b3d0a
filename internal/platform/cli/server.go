package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"flink-entrypoint/internal/platform/alert"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/cluster/process"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/outbound"
	"flink-entrypoint/internal/platform/server"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/internal/platform/workbench/wall"
)

func dataFlag(f *pflag.FlagSet) {
	f.String("data-dir", "flink-platform-data", "`DIR` with everything that the server keeps")
	storeFlag(f)
}

func storeFlag(f *pflag.FlagSet) {
	f.String("store", "", "keep everything but files in a PostgreSQL database: postgres://USER@HOST/DATABASE (`URL`; SQLite in --data-dir)")
}

// store is the URL of --store. A word of a command line is shown to every user of the machine, so it has no password.
func (c *call) store() (string, error) {
	text := c.text("store")
	u, err := url.Parse(text)
	if err != nil {
		return "", usagef("--store is not a URL, expected postgres://USER@HOST/DATABASE")
	}
	if c.shows("store", text) || u.Query().Has("password") && c.flags.Changed("store") {
		return "", usagef("--store has a password, which every user of this machine can read: set %sSTORE, PGPASSWORD or PGPASSFILE", prefix)
	}
	return text, nil
}

// shows reports whether a URL of the arguments has a password: every user of the machine can read those, and not the variable of the flag.
func (c *call) shows(flag, address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || !c.flags.Changed(flag) {
		return false
	}
	_, has := u.User.Password()
	return has
}

func serveFlags(f *pflag.FlagSet) {
	dataFlag(f)
	f.String("listen", "127.0.0.1:8088", "`ADDRESS` to serve on; other than loopback needs --auth")
	f.String("url", "", "`URL` under which clusters reach the server (made from --listen)")
	f.String("entrypoint", "", "the binary flink-entrypoint (`FILE`; beside this program, or on PATH)")
	f.StringArray("flink-home", nil, "Flink distribution for clusters and scripts (`DIR`; $FLINK_HOME); more of them are for scripts whose definition names their version")
	f.String("driver", driverProcesses, "where clusters are: processes (of this machine) or kubernetes (`DRIVER`)")
	kubernetesFlags(f)
	f.Bool("auth", false, "requests need a token")
	l := api.Limits{}.WithDefaults()
	f.Float64("max-requests", l.Requests, "requests of one token in a second, on average; four times `N` may come at once")
	f.Int("max-streams", l.Streams, "event streams and followed logs of one token at the same time (`N`)")
	f.Int64("max-artifact", l.Artifact, "size of one artifact in `BYTES`")
	f.Int64("max-stored", l.Stored, "size of all artifacts of a team in `BYTES`")
	f.Int64("max-definitions", l.Definitions, "size of all versions of the jobs of a team in `BYTES`")
	f.StringSlice("fetch-allow", nil, "`HOST` (or HOST:PORT) that scripts of definitions (sql.scriptUri) are fetched from to be checked and tried; several: again, or with commas. Private addresses are never fetched from")
	k := store.Lifetimes{}.WithDefaults()
	for _, l := range lifetimes {
		value := lifetime(*l.of(&k))
		f.Var(&value, l.flag, l.short)
	}
	benchFlags(f)
	f.StringArray("workbench", nil, "worker for scripts of a version of Flink: `VERSION=URL` (1.20=http://worker:8089), again for more; see flink-platform workbench")
	f.String("workbench-token-file", "", "`FILE` with the token that the workers take")
	alertFlags(f)
	logFlagsOfServers(f)
}

// benchFlags are of debug runs and checks of scripts.
func benchFlags(f *pflag.FlagSet) {
	f.Int("warm", 1, "`N` JVMs started ahead for debug, about 300 MB each, and a planner; 0: each debug starts its own")
	f.Int("debug-slots", 2, "debug runs at the same time (`N`); one more waits")
	f.Int("debug-queue", 20, "debug runs that may wait (`N`); 0: none")
	f.String("debug-wall", "auto", "around code of users: auto, needed or off (`MODE`)")
	f.String("debug-policy", "", "secrets and hosts that debug runs may use (`FILE`; none)")
}

func alertFlags(f *pflag.FlagSet) {
	f.StringArray("alertmanager", nil, "`URL` of an Alertmanager that gets alerts of failed and lost jobs; again for each member")
	f.String("alertmanager-token-file", "", "bearer token for it, read from `FILE` at each request")
	f.String("alert-webhook-file", "", "instead of Alertmanager: `FILE` with the URL that gets each alert as JSON")
	f.StringToString("alert-after", nil, "how long an alert must have gone on before it is sent, as `NAME=TIME`: "+alertTimes())
	kafkaFlags(f)
}

func logFlagsOfServers(f *pflag.FlagSet) {
	f.String("log-format", "text", "of the server's log on stderr: text or json (`FORMAT`)")
	f.String("log-level", "info", "debug, info, warn or error (`LEVEL`)")
}

// lifetimes are the flags of what is kept.
var lifetimes = []struct {
	flag, short string
	of          func(*store.Lifetimes) *time.Duration
}{
	{"keep-runs", "keep ended runs with their events and archives for this `TIME` (30d, 12h, forever)", func(k *store.Lifetimes) *time.Duration { return &k.Runs }},
	{"keep-logs", "keep logs and directories of ended runs for this `TIME`, at most as long as the run", func(k *store.Lifetimes) *time.Duration { return &k.Logs }},
	{"keep-artifacts", "keep artifacts that no version names for this `TIME`", func(k *store.Lifetimes) *time.Duration { return &k.Artifacts }},
	{"keep-answers", "keep answers to requests with an Idempotency-Key for this `TIME`", func(k *store.Lifetimes) *time.Duration { return &k.Answers }},
	{"keep-audit", "keep events of what users did for this `TIME`, also after their run was removed", func(k *store.Lifetimes) *time.Duration { return &k.Audit }},
}

// A lifetime is a flag of days (30d), of Go's form (12h), or forever.
type lifetime time.Duration

const forever lifetime = -1

func (l *lifetime) Type() string { return "time" }

func (l *lifetime) String() string {
	switch d := time.Duration(*l); {
	case *l == forever:
		return "forever"
	case d%store.Day == 0:
		return strconv.Itoa(int(d/store.Day)) + "d"
	default:
		return d.String()
	}
}

func (l *lifetime) Set(text string) error {
	if text == "forever" {
		*l = forever
		return nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if d = time.Duration(n) * store.Day; n > 100_000 {
			err = strconv.ErrRange
		}
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time to keep things, expected days (30d), hours (12h) or forever", text)
	}
	*l = lifetime(d)
	return nil
}

func (c *call) keep() store.Lifetimes {
	var k store.Lifetimes
	for _, l := range lifetimes {
		*l.of(&k) = time.Duration(*c.flags.Lookup(l.flag).Value.(*lifetime))
	}
	return k
}

type alertName struct {
	name  string
	alert jobstate.Alert
}

// alertNames are the alerts by their names in --alert-after.
var alertNames = []alertName{{"failed", jobstate.JobFailed}, {"lost", jobstate.JobLost}, {"parked", jobstate.JobParked}, {"waiting", jobstate.JobWaiting}, {"restarting", jobstate.JobRestarting}}

// alertTimes lists the defaults of --alert-after.
func alertTimes() string {
	var all []string
	for _, n := range alertNames {
		all = append(all, n.name+"="+alert.DefaultAfter()[n.alert].String())
	}
	return strings.Join(all, ", ")
}

// alerts are the flags of who gets alerts.
func (c *call) alerts() (alert.Receiver, map[jobstate.Alert]time.Duration, error) {
	after := alert.DefaultAfter()
	given, err := c.flags.GetStringToString("alert-after")
	if err != nil {
		return nil, nil, err
	}
	for name, text := range given {
		i := slices.IndexFunc(alertNames, func(n alertName) bool { return n.name == name })
		d, err := time.ParseDuration(text)
		if i < 0 || err != nil || d < 0 {
			return nil, nil, usagef("--alert-after is %s=%s, expected the name of an alert and a time, such as lost=5m: %s", name, text, alertTimes())
		}
		after[alertNames[i].alert] = d
	}
	members, err := c.flags.GetStringArray("alertmanager")
	if err != nil {
		return nil, nil, err
	}
	for _, u := range members {
		if c.shows("alertmanager", u) {
			return nil, nil, usagef("--alertmanager has a password, which every user of this machine can read: set %sALERTMANAGER, or use --alertmanager-token-file", prefix)
		}
	}
	file := c.text("alert-webhook-file")
	switch {
	case len(members) > 0 && file != "":
		return nil, nil, usagef("--alertmanager and --alert-webhook-file exclude each other: Alertmanager has webhooks of its own")
	case len(members) > 0:
		a, err := alert.NewAlertmanagers(members, c.text("alertmanager-token-file"))
		if err != nil {
			return nil, nil, usagef("--alertmanager: %w", err)
		}
		return a, after, nil
	case file != "":
		w, err := alert.NewWebhook(file)
		if err != nil {
			return nil, nil, usagef("--alert-webhook-file: %w", err)
		}
		return w, after, nil
	}
	return nil, after, nil
}

func (c *call) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.text("log-level"))); err != nil {
		return nil, usagef("--log-level is %q, expected debug, info, warn or error", c.text("log-level"))
	}
	o := &slog.HandlerOptions{Level: level}
	switch c.text("log-format") {
	case "text":
		return slog.New(slog.NewTextHandler(mask.Writer(c.stderr), o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(mask.Writer(c.stderr), o)), nil
	}
	return nil, usagef("--log-format is %q, expected text or json", c.text("log-format"))
}

func (c *call) limits() (api.Limits, error) {
	var l api.Limits
	var errs [5]error
	l.Requests, errs[0] = c.flags.GetFloat64("max-requests")
	l.Streams, errs[1] = c.flags.GetInt("max-streams")
	l.Artifact, errs[2] = c.flags.GetInt64("max-artifact")
	l.Stored, errs[3] = c.flags.GetInt64("max-stored")
	l.Definitions, errs[4] = c.flags.GetInt64("max-definitions")
	if err := errors.Join(errs[:]...); err != nil {
		return l, err
	}
	if l.Requests <= 0 || l.Streams <= 0 || l.Artifact <= 0 || l.Stored <= 0 || l.Definitions <= 0 {
		return l, usagef("--max-requests is %g, --max-streams %d, --max-artifact %d, --max-stored %d, --max-definitions %d: each must be more than 0", l.Requests, l.Streams, l.Artifact, l.Stored, l.Definitions)
	}
	return l, nil
}

func serve(c *call) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	onKubernetes, err := c.kubernetes()
	if err != nil {
		return err
	}
	if onKubernetes != nil {
		klog.SetSlogLogger(log.With("source", "kubernetes client")) // which would write to stderr in a form of its own
	}
	entrypoint := c.text("entrypoint")
	if entrypoint == "" && onKubernetes == nil {
		entrypoint = filepath.Join(filepath.Dir(self), "flink-entrypoint")
		if _, err := os.Stat(entrypoint); err != nil {
			if entrypoint, err = exec.LookPath("flink-entrypoint"); err != nil {
				return fmt.Errorf("the binary flink-entrypoint is neither beside %s nor on PATH: give it with --entrypoint", self)
			}
		}
	}
	if entrypoint != "" {
		if entrypoint, err = filepath.Abs(entrypoint); err != nil {
			return err
		}
	}
	homes, err := c.homes(onKubernetes == nil)
	if err != nil {
		return err
	}
	limits, err := c.limits()
	if err != nil {
		return err
	}
	database, err := c.store()
	if err != nil {
		return err
	}
	allow, err := c.flags.GetStringSlice("fetch-allow")
	if err != nil {
		return err
	}
	fetch, err := outbound.New(outbound.Options{Allow: allow})
	if err != nil {
		return usagef("--fetch-allow: %w", err)
	}
	debug, err := c.debugOptions()
	if err != nil {
		return err
	}
	kafka, err := c.kafka()
	if err != nil {
		return err
	}
	receiver, after, err := c.alerts()
	if err != nil {
		return err
	}
	workers, err := c.workers()
	if err != nil {
		return err
	}
	s, err := server.Start(c.ctx, server.Options{Version: programVersion(), DebugSlots: debug.Runs, DebugQueue: debug.Queue, DebugWall: debug.Wall, DebugPolicy: debug.Policy, Forward: []string{self, "wall-forward"},
		DataDir: c.text("data-dir"), Store: database, Listen: c.text("listen"), URL: c.text("url"), Entrypoint: entrypoint, Home: homes[0], Homes: homes[1:], Kubernetes: onKubernetes,
		Self: []string{self, "shim"}, Env: c.env, Log: log, Auth: c.bool("auth"),
		Limits: limits, Keep: c.keep(), Warm: debug.Warm, Fetch: fetch, Workers: workers, Alerts: receiver, AlertAfter: after, Kafka: kafka, JobsTopic: c.text("kafka-jobs")})
	if err != nil {
		return err
	}
	log.Info("serving", "url", s.URL, "dataDir", c.text("data-dir"))
	select {
	case <-c.ctx.Done():
		log.Info("ending; clusters go on")
	case err = <-s.Failed():
	}
	if e := s.Close(); err == nil {
		err = e
	}
	return err
}

// homes are the distributions of Flink, the default first. Where none is needed and none is given, it is "".
func (c *call) homes(needed bool) ([]string, error) {
	homes, err := c.flags.GetStringArray("flink-home")
	if err != nil {
		return nil, err
	}
	for _, kv := range c.env {
		if v, ok := strings.CutPrefix(kv, "FLINK_HOME="); ok && v != "" && len(homes) == 0 {
			homes = []string{v}
		}
	}
	if len(homes) == 0 && !needed {
		return []string{""}, nil
	}
	if len(homes) == 0 {
		return nil, usagef("no Flink distribution: give it with --flink-home, or set FLINK_HOME")
	}
	for i, home := range homes {
		if homes[i], err = filepath.Abs(home); err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(homes[i], "lib")); err != nil {
			return nil, fmt.Errorf("--flink-home %s is not a Flink distribution: it has no directory lib", homes[i])
		}
	}
	return homes, nil
}

// debugOptions are the flags of debug runs.
func (c *call) debugOptions() (o workbench.Options, err error) {
	if o.Warm, err = c.flags.GetInt("warm"); err != nil {
		return o, err
	}
	if o.Warm < 0 || o.Warm > 20 {
		return o, usagef("--warm is %d, expected a number from 0 to 20", o.Warm)
	}
	if o.Runs, err = c.flags.GetInt("debug-slots"); err != nil {
		return o, err
	}
	if o.Queue, err = c.flags.GetInt("debug-queue"); err != nil {
		return o, err
	}
	if o.Runs < 1 || o.Runs > 100 || o.Queue < 0 || o.Queue > 1000 {
		return o, usagef("--debug-slots is %d, expected a number from 1 to 100, and --debug-queue %d, expected one from 0 to 1000", o.Runs, o.Queue)
	}
	if o.Queue == 0 {
		o.Queue = -1
	}
	switch o.Wall = c.text("debug-wall"); o.Wall {
	case "auto":
		o.Wall = ""
	case workbench.WallOff, workbench.WallNeeded:
	default:
		return o, usagef("--debug-wall is %q, expected auto, needed or off", o.Wall)
	}
	if file := c.text("debug-policy"); file != "" {
		if o.Policy, err = workbench.ReadPolicy(file); err != nil {
			return o, usagef("--debug-policy: %w", err)
		}
	}
	return o, nil
}

// wallForward runs inside the wall of a JVM that may call hosts.
func wallForward(c *call) error {
	at := c.flags.ArgsLenAtDash()
	if at < 0 {
		return usagef("expected: flink-platform wall-forward ADDRESS=SOCKET… -- PROGRAM…")
	}
	code, err := wall.Forward(slices.Insert(slices.Clone(c.words), at, "--"))
	if err == nil && code != 0 {
		os.Exit(code) // Java has said why
	}
	return err
}

func shim(c *call) error { return process.Shim(c.words[0]) }

// withStore opens the store of a server that is not running.
func withStore(c *call, f func(*store.Store) error) error {
	dir := c.text("data-dir")
	if _, err := os.Stat(filepath.Join(dir, "platform.db")); err != nil && c.text("store") == "" {
		return usagef("--data-dir %s has no data of a server", dir)
	}
	return withNewStore(c, f)
}

// withNewStore also makes the store: the first token is made before the first start.
func withNewStore(c *call, f func(*store.Store) error) error {
	database, err := c.store()
	if err != nil {
		return err
	}
	s, err := store.OpenURL(c.ctx, c.text("data-dir"), database)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

// storeCopy copies the SQLite store in --data-dir to the database in --store. Contents that the database gets are received in a directory of
// their own: the data directory is locked.
func storeCopy(c *call) error {
	database, err := c.store()
	if err != nil {
		return err
	}
	dir := c.text("data-dir")
	if _, err := os.Stat(filepath.Join(dir, "platform.db")); err != nil || database == "" {
		return usagef("a store is copied from --data-dir, which has platform.db, to --store postgres://USER@HOST/DATABASE")
	}
	from, err := store.Open(c.ctx, dir)
	if err != nil {
		return err
	}
	defer from.Close()
	temporary, err := os.MkdirTemp(dir, "copy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	to, err := store.OpenURL(c.ctx, temporary, database)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := from.CopyTo(c.ctx, to); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, "copied; start the server with this --data-dir and --store from now on: what SQLite has is not used any more")
	return nil
}

func backup(c *call) error {
	return withStore(c, func(s *store.Store) error {
		if err := s.Backup(c.ctx, c.words[0]); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, "wrote", c.words[0])
		return nil
	})
}

func restore(c *call) error {
	if err := store.Restore(c.words[0], c.text("data-dir")); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "made %s; its server only observes until: flink-platform resume --data-dir %s\n", c.text("data-dir"), c.text("data-dir"))
	return nil
}

func resume(c *call) error {
	return withStore(c, func(s *store.Store) error {
		if !s.OnlyObserves() {
			fmt.Fprintln(c.stdout, "nothing to resume: the store was not restored, or was resumed before")
			return nil
		}
		if err := s.Resume(); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, "the next start acts again")
		return nil
	})
}
