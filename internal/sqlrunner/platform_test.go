package sqlrunner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

func TestPlatformSettings(t *testing.T) {
	p := Platform{Run: "orders-7", EventsURL: "https://platform.example:8443/flink/v1/flink-events", TokenFile: "/var/run/token"}
	always := []Setting{
		{Key: "flink-entrypoint.run", Value: "orders-7"},
		{Key: "flink-entrypoint.events.url", Value: p.EventsURL},
		{Key: "flink-entrypoint.events.bearer-file", Value: "/var/run/token"},
		{Key: "jobmanager.archive.fs.dir", Value: "flink-platforms://platform.example:8443/flink/v1/runs/orders-7/archive"},
	}
	listener := Setting{Key: "execution.job-status-changed-listeners", Value: "flinkentrypoint.platform.StatusListenerFactory", List: true}
	for _, c := range []struct {
		major, minor int
		want         []Setting
	}{{1, 15, always}, {1, 20, always}, {2, 0, append(slices.Clone(always), listener)}, {2, 3, append(slices.Clone(always), listener)}} {
		if got, err := p.Settings(flinkversion.Of(c.major, c.minor, 0)); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d.%d: %+v, %v, want %+v", c.major, c.minor, got, err, c.want)
		}
	}
}

func TestPlatformArchive(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:8080/v1/flink-events": "flink-platform://127.0.0.1:8080/v1/runs/r/archive",
		"http://[::1]:8080/v1/flink-events":     "flink-platform://[::1]:8080/v1/runs/r/archive",
		"http://host/events":                    "flink-platform://host/runs/r/archive",
		"HTTPS://host/a.b/c~d_e/events":         "flink-platforms://host/a.b/c~d_e/runs/r/archive",
	} {
		settings, err := Platform{Run: "r", EventsURL: url, TokenFile: "/t"}.Settings(flinkversion.Of(1, 15, 0))
		if err != nil || settings[3].Value != want {
			t.Errorf("%s: %+v, %v, want %s", url, settings, err, want)
		}
	}
}

func TestPlatformRefuses(t *testing.T) {
	good := Platform{Run: "r", EventsURL: "http://host/v1/flink-events", TokenFile: "/t"}
	if _, err := good.Settings(flinkversion.Of(1, 14, 0)); err == nil || !strings.Contains(err.Error(), "needs Flink 1.15 or later, found 1.14") {
		t.Errorf("1.14: %v", err)
	}
	for name, p := range map[string]Platform{
		"--run ":              {Run: "", EventsURL: good.EventsURL, TokenFile: "/t"},
		"--run: found \"a/b":  {Run: "a/b", EventsURL: good.EventsURL, TokenFile: "/t"},
		"--run: found \"..":   {Run: "..", EventsURL: good.EventsURL, TokenFile: "/t"},
		"--run: found \"a b":  {Run: "a b", EventsURL: good.EventsURL, TokenFile: "/t"},
		"--events-token-file": {Run: "r", EventsURL: good.EventsURL, TokenFile: "token"},
	} {
		name = strings.TrimSuffix(name, " ")
		if _, err := p.Settings(flinkversion.Of(2, 2, 0)); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%+v: %v, want %s…", p, err, name)
		}
	}
	for _, url := range []string{"", "host:8080/v1/flink-events", "ftp://host/v1/flink-events", "http:///v1/flink-events", "http://host", "http://host/", "http://host/v1/",
		"http://user:s3cret@host/v1/flink-events", "http://host/v1/flink-events?token=s3cret", "http://host/v1/flink-events?", "http://host/v1/flink-events#s3cret",
		"http://host/a%20b/events", "http://host/a//events", "http://user:s3cret@ho st/v1/flink-events"} {
		p := good
		p.EventsURL = url
		if _, err := p.Settings(flinkversion.Of(2, 2, 0)); err == nil || !strings.HasPrefix(err.Error(), "--events-url: ") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// ExamplePlatform_Settings shows what a JobManager gets beside its own configuration.
func ExamplePlatform_Settings() {
	settings, err := Platform{Run: "orders-7", EventsURL: "http://platform:8080/v1/flink-events", TokenFile: "/run/secrets/token"}.Settings(flinkversion.Of(2, 2, 0))
	if err != nil {
		fmt.Println(err)
	}
	for _, s := range settings {
		fmt.Printf("%s: %s\n", s.Key, s.Value)
	}
	// Output:
	// flink-entrypoint.run: orders-7
	// flink-entrypoint.events.url: http://platform:8080/v1/flink-events
	// flink-entrypoint.events.bearer-file: /run/secrets/token
	// jobmanager.archive.fs.dir: flink-platform://platform:8080/v1/runs/orders-7/archive
	// execution.job-status-changed-listeners: flinkentrypoint.platform.StatusListenerFactory
}
