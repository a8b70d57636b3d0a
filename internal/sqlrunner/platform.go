package sqlrunner

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

//go:embed platform.jar
var platformJar string

// PlatformJar returns the jar that a JobManager needs under a platform: the job status listener of Flink 2, and the file
// system that hands Flink's archives to the platform. It belongs at the end of the class path of a JobManager, under
// [PlatformJarName]: Flink finds both there on every version, so that no plugins directory is needed, and the listener
// could not be in one. It is a result of go run ./docker/sql-runner.
func PlatformJar() []byte { return []byte(platformJar) }

// PlatformJarName is the name for the file of PlatformJar.
const PlatformJarName = "flink-entrypoint-platform.jar"

// Platform is what a JobManager must know about the platform that its run belongs to. None of it is secret.
//
// The requests that the jar makes carry the token of TokenFile as "Authorization: Bearer", and the attempt, which names
// the process: the first 8 characters of the boot id, the process id, and the process's start in clock ticks since boot,
// as 6ff0a61c-1-70012. They use no proxy and follow no redirect.
//
// Flink 2 and later: POST EventsURL with {"run", "attempt", "sequence", "jobId", "jobName", "oldStatus", "status", "cause",
// "at"} for each change of a job's status, in order. sequence counts from 1 in an attempt; a gap is an event that was
// dropped because 1,000 were unsent, which never happens to a job's end. cause has the exceptions from the innermost
// outwards, in at most 8 KiB, and is empty without one; at is Unix time in ms. After 2xx the event is done. After 5xx, 408,
// 425, 429, or without an answer, it is sent again: after 100 ms to 5 s, or after Retry-After, up to a minute. After any
// other answer it is given up. The JVM's end waits for unsent events, up to 3 s.
//
// All versions: PUT runs/RUN/archive/JOB with the archive of a job that ended, in the JSON of Flink's history server; since
// 2.3 also runs/RUN/archive/applications/APPLICATION. The header Flink-Attempt has the attempt, If-None-Match is "*", and 409
// and 412 mean that the archive is there already. An upload without progress is given up after 5 s, the next ones after 1 s
// until one succeeds: Flink waits for them, and frees the slots of a job only then.
type Platform struct {
	Run       string // the run's id, a path segment of letters, digits, '-', '_' and '.'
	EventsURL string // http or https; the status of jobs is posted to it
	TokenFile string // absolute; holds the run's token, and may be renewed
	Attempt   string // of the process, as the platform calls it, with the characters of a run's id; empty: as above
}

// Setting is a key of Flink's configuration. List: the key's value is a list, and this is an item to add to it.
type Setting struct {
	Key, Value string
	List       bool
}

// The names of Settings, which the Java side reads.
const (
	keyRun       = "flink-entrypoint.run"
	keyEventsURL = "flink-entrypoint.events.url"
	// Not called after the token: Flink, and we, would treat the name of the file as a secret.
	keyTokenFile = "flink-entrypoint.events.bearer-file"
	keyAttempt   = "flink-entrypoint.attempt"
	keyArchive   = "jobmanager.archive.fs.dir"
	keyListeners = "execution.job-status-changed-listeners"

	statusListenerClass = "flinkentrypoint.platform.StatusListenerFactory"
)

// isRunID reports whether text is 1 to 128 letters, digits and "-._", the first one a letter or digit.
func isRunID(text string) bool {
	return text != "" && len(text) <= 128 && !strings.ContainsRune("-._", rune(text[0])) && isSpelledOneWay(text, "-._")
}

// isURLPath reports whether text is a path that Flink's paths and URLs spell in one way.
func isURLPath(text string) bool {
	segments := strings.Split(text, "/")
	return len(segments) > 1 && segments[0] == "" &&
		!slices.ContainsFunc(segments[1:], func(s string) bool { return s == "" || !isSpelledOneWay(s, "-._~") })
}

// isSpelledOneWay reports whether text holds only ASCII letters, digits and the other characters.
func isSpelledOneWay(text, other string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(other, r))
	})
}

// settingsOf lists the keys by the release that knows them; the first rows' is the oldest that the jar was shown to work on.
func (p Platform) settingsOf(archive string) []struct {
	since flinkversion.Release
	Setting
} {
	return []struct {
		since flinkversion.Release
		Setting
	}{
		{flinkversion.Since(1, 15), Setting{Key: keyRun, Value: p.Run}},
		{flinkversion.Since(1, 15), Setting{Key: keyEventsURL, Value: p.EventsURL}},
		{flinkversion.Since(1, 15), Setting{Key: keyTokenFile, Value: p.TokenFile}},
		{flinkversion.Since(1, 15), Setting{Key: keyAttempt, Value: p.Attempt}},
		{flinkversion.Since(1, 15), Setting{Key: keyArchive, Value: archive}},
		{flinkversion.Since(2, 0), Setting{Key: keyListeners, Value: statusListenerClass, List: true}}, // FLIP-314
	}
}

// Settings returns the keys that a JobManager of a Flink release needs, in the order in which they are best shown. The
// archive goes to runs/RUN/archive beside the events: of https://host/v1/flink-events, to https://host/v1/runs/RUN/archive.
// The errors name the flags of the command line.
func (p Platform) Settings(v flinkversion.Version) ([]Setting, error) {
	if oldest := p.settingsOf("")[0].since; !v.Reaches(oldest) {
		return nil, fmt.Errorf("--run: a run of a platform needs Flink %s or later, found %s", oldest, v.Release())
	}
	if !isRunID(p.Run) {
		return nil, fmt.Errorf("--run: found %q, expected up to 128 letters, digits, '-', '_' and '.'", p.Run)
	}
	if p.Attempt != "" && !isRunID(p.Attempt) {
		return nil, fmt.Errorf("--attempt: found %q, expected up to 128 letters, digits, '-', '_' and '.'", p.Attempt)
	}
	if !filepath.IsAbs(p.TokenFile) {
		return nil, fmt.Errorf("--events-token-file: found %q, expected an absolute path", p.TokenFile)
	}
	archive, err := p.archive()
	if err != nil {
		return nil, fmt.Errorf("--events-url: %w", err)
	}
	var settings []Setting
	for _, k := range p.settingsOf(archive) {
		if v.Reaches(k.since) && (k.Key != keyAttempt || p.Attempt != "") {
			settings = append(settings, k.Setting)
		}
	}
	return settings, nil
}

// archive returns the directory for Flink's archives, in the scheme of the jar's file system.
func (p Platform) archive() (string, error) {
	u, err := url.Parse(p.EventsURL)
	if err != nil {
		return "", errors.New("not a URL") // url.Error repeats what may hold a password
	}
	scheme := map[string]string{"http": "flink-platform", "https": "flink-platforms"}[u.Scheme]
	switch {
	case scheme == "" || u.Hostname() == "":
		return "", errors.New("expected http://HOST/PATH or https://HOST/PATH")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(p.EventsURL, "#"):
		return "", errors.New("expected no user, password, query or fragment: the token is in its file")
	case !isURLPath(u.Path):
		return "", fmt.Errorf("found the path %q, expected segments of letters, digits, '-', '_', '.' and '~'", u.Path)
	}
	return scheme + "://" + u.Host + u.JoinPath("..", "runs", p.Run, "archive").Path, nil
}
