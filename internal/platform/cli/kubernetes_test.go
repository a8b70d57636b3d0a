package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/cluster/kubernetes"
	"flink-entrypoint/internal/platform/wire"
)

// TestKubernetesFlags: what a server on Kubernetes must be told, and what one without it must not.
func TestKubernetesFlags(t *testing.T) {
	good := []string{"--driver", "kubernetes", "--url", "http://platform.flink.svc:8088", "--state-dir", "s3://bucket/flink"}
	for _, c := range []struct {
		args  []string
		wrong string // "": it is fine
	}{
		{args: nil},
		{args: good},
		{args: append(good, "--namespace", "flink", "--kubeconfig", "k", "--image", "i:{version}", "--rest-url", "https://{job}.example.com")},
		{args: append(good, "--state-dir", "file:///state", "--state-claim", "flink-state")},
		{args: []string{"--driver", "yarn"}, wrong: `--driver is "yarn", expected processes or kubernetes`},
		{args: []string{"--namespace", "flink"}, wrong: "--namespace is for --driver kubernetes"},
		{args: []string{"--driver", "kubernetes", "--state-dir", "s3://x"}, wrong: `--url is ""`},
		{args: []string{"--driver", "kubernetes", "--url", "platform:8088", "--state-dir", "s3://x"}, wrong: `--url is "platform:8088"`},
		{args: []string{"--driver", "kubernetes", "--url", "http://x"}, wrong: `--state-dir is ""`},
		{args: []string{"--driver", "kubernetes", "--url", "http://x", "--state-dir", "/data"}, wrong: `--state-dir is "/data"`},
		{args: append(good, "--state-dir", "file:///state"), wrong: "which each pod has for itself: name a volume"},
		{args: append(good, "--kustomize", t.TempDir()), wrong: "has no kustomization.yaml"},
	} {
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		serveFlags(f)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		o, err := (&call{flags: f}).kubernetes()
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q: %v, want %q", c.args, err, c.wrong)
		}
		if (o != nil) != (c.wrong == "" && len(c.args) > 0) {
			t.Errorf("%q: %+v", c.args, o)
		}
		if o != nil && o.REST != kubernetes.ThroughServer && !strings.Contains(o.REST, "{job}") {
			t.Errorf("%q: %s", c.args, o.REST)
		}
	}
}

// TestUpgraded: when an upgrade is decided, and what is said then.
func TestUpgraded(t *testing.T) {
	before := wire.Run{ID: "r1", Job: "clicks", Version: 1}
	now := time.Now()
	for _, c := range []struct {
		name    string
		newest  wire.Run
		decided bool
		wrong   string
	}{
		{"stopping", wire.Run{ID: "r1", Upgrade: &wire.Upgrade{State: "stopping"}}, false, ""},
		{"between two runs", wire.Run{ID: "r1", Outcome: "stopped", Upgrade: &wire.Upgrade{State: "stopped"}}, false, ""},
		{"no savepoint", wire.Run{ID: "r1", Job: "clicks", Queue: "running", Reason: ""}, true, "clicks is not upgraded: "},
		{"failed while it was stopped", wire.Run{ID: "r1", Job: "clicks", Queue: "failed", Outcome: "failed", Reason: "a cause", Upgrade: &wire.Upgrade{State: "not started"}}, true, "clicks is not upgraded: a cause"},
		{"starting", wire.Run{ID: "r2", Upgrade: &wire.Upgrade{State: "starting", Until: &now}}, false, ""},
		{"done", wire.Run{ID: "r2", Upgrade: &wire.Upgrade{State: "done"}}, true, ""},
		{"failed", wire.Run{ID: "r2", Outcome: "failed", Upgrade: &wire.Upgrade{State: "failed"}}, false, ""},
		{"the version before starts", wire.Run{ID: "r3", Queue: "accept", Upgrade: &wire.Upgrade{State: "back"}}, false, ""},
		{"the version before is back", wire.Run{ID: "r3", Job: "clicks", Version: 1, Queue: "running", Upgrade: &wire.Upgrade{State: "back", From: 2, Reason: "a cause"}}, true, "version 2 of clicks did not run (a cause); version 1 is back: running"},
		{"neither runs", wire.Run{ID: "r3", Job: "clicks", Version: 1, Queue: "failed", Outcome: "failed", Upgrade: &wire.Upgrade{State: "back", From: 2, Reason: "a cause"}}, true, "version 1 is back: "},
		{"a user canceled it", wire.Run{ID: "r2", Job: "clicks", Queue: "cancel", Outcome: "canceled", Upgrade: &wire.Upgrade{State: "canceled"}}, true, "the upgrade of clicks was given up: run r2 is"},
		{"a user started another", wire.Run{ID: "r4", Job: "clicks", Queue: "running"}, true, "the upgrade of clicks was given up: run r4 is running"},
	} {
		decided, err := upgraded(before, c.newest)
		if decided != c.decided || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, %v; want %v, %q", c.name, decided, err, c.decided, c.wrong)
		}
	}
}
