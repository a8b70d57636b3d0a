package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/alert"
	"flink-entrypoint/internal/platform/jobstate"
)

func serveCall(t *testing.T, args ...string) *call {
	t.Helper()
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	serveFlags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &call{flags: f}
}

// TestAlertFlags: who gets alerts, and after how long. No error has what may be secret in an address.
func TestAlertFlags(t *testing.T) {
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte("https://hooks.example.com/hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, after, err := serveCall(t).alerts(); r != nil || err != nil || after[jobstate.JobFailed] != time.Minute {
		t.Error(r, after, err)
	}
	r, after, err := serveCall(t, "--alertmanager", "http://a:9093/prefix/", "--alertmanager=http://b:9093", "--alert-after", "lost=5m,failed=0s").alerts()
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := r.(*alert.Alertmanagers); !ok || strings.Join(a.URLs, " ") != "http://a:9093/prefix http://b:9093" || after[jobstate.JobLost] != 5*time.Minute || after[jobstate.JobFailed] != 0 || after[jobstate.JobWaiting] != 5*time.Minute {
		t.Errorf("%+v %v", r, after)
	}
	if r, _, err := serveCall(t, "--alert-webhook-file", url).alerts(); err != nil {
		t.Error(err)
	} else if w, ok := r.(*alert.Webhook); !ok || w.URLFile != url {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"--alertmanager", "alertmanager:9093"}, {"--alertmanager", "ftp://u:hunter2@h"}, {"--alert-webhook-file", url + ".missing"}, {"--alertmanager", "http://a", "--alert-webhook-file", url},
		{"--alert-after", "lots=5m"}, {"--alert-after", "lost=5"}, {"--alert-after", "lost=-1m"}} {
		if _, _, err := serveCall(t, args...).alerts(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestKafkaFlags: how brokers are reached.
func TestKafkaFlags(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := serveCall(t, "--kafka", "a:9092,b:9092", "--kafka=c:9092", "--kafka-tls", "--kafka-user", "flink", "--kafka-password-file", password).kafka()
	if err != nil || strings.Join(k.Brokers, " ") != "a:9092 b:9092 c:9092" || !k.TLS || k.User != "flink" || k.PasswordFile != password {
		t.Errorf("%+v %v", k, err)
	}
	if k, err := serveCall(t).kafka(); err != nil || len(k.Brokers) != 0 {
		t.Errorf("%+v %v", k, err)
	}
	for _, args := range [][]string{{"--kafka", "a"}, {"--kafka-tls"}, {"--kafka", "a:1", "--kafka-user", "x"}, {"--kafka", "a:1", "--kafka-password-file", password}, {"--kafka", "a:1", "--kafka-user", "x", "--kafka-password-file", password + ".missing"}} {
		if _, err := serveCall(t, args...).kafka(); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// TestPasswordsInArguments: a URL with a password is for a variable, which other users of the machine cannot read.
func TestPasswordsInArguments(t *testing.T) {
	const secret = "http://u:hunter2@127.0.0.1:1"
	var stderr bytes.Buffer
	forward := []string{"flink-platform", "forward", "--kafka", "127.0.0.1:1"}
	if code := Main(append(forward, "--pushgateway", secret), nil, nil, io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "set FLINK_PLATFORM_PUSHGATEWAY") || strings.Contains(stderr.String(), "hunter2") {
		t.Errorf("%d %s", code, &stderr)
	}
	if _, _, err := serveCall(t, "--alertmanager", secret).alerts(); err == nil || !strings.Contains(err.Error(), "set FLINK_PLATFORM_ALERTMANAGER") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	byVariable := serveCall(t)
	if err := twins(byVariable.flags, []string{"FLINK_PLATFORM_ALERTMANAGER=" + secret}); err != nil {
		t.Fatal(err)
	}
	if r, _, err := byVariable.alerts(); err != nil || r == nil {
		t.Error(err)
	}
}
