// Package homes tells tests where the Flink homes brought by flinkhome are.
package homes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CacheVariable names the environment variable that moves everything flinkhome keeps.
const CacheVariable = "FLINK_ENTRYPOINT_CACHE"

// HomesVariable names the environment variable that gives tests a folder holding one home per version.
const HomesVariable = "FLINK_HOMES"

// Cache returns the folder flinkhome keeps homes in: $FLINK_ENTRYPOINT_CACHE, else flink-entrypoint in the
// user's cache folder ($XDG_CACHE_HOME, else ~/.cache).
func Cache() (string, error) {
	if dir := os.Getenv(CacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "flink-entrypoint"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for Flink homes: %w; set %s", err, CacheVariable)
	}
	return filepath.Join(home, ".cache", "flink-entrypoint"), nil
}

// Root returns the folder that holds one home per version: $FLINK_HOMES, else flink in the cache.
func Root() (string, error) {
	if dir := os.Getenv(HomesVariable); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := Cache()
	return filepath.Join(cache, "flink"), err
}

// Home returns the home of this version (exact, e.g. "2.2.1") and fails the test when it is not there,
// naming the command that brings it. Homes are shared: copy what a test wants to change.
func Home(tb testing.TB, version string) string {
	tb.Helper()
	root, err := Root()
	if err != nil {
		tb.Fatal(err)
	}
	home := filepath.Join(root, version)
	if _, err := os.Stat(filepath.Join(home, "lib")); err != nil {
		tb.Fatalf("no Flink %s in %s; bring it with: go run ./test/flinkhome %s", version, root, version)
	}
	return home
}

// Release is a release of Flink that flinkhome can bring.
type Release struct {
	Version string
	Python  string // a Python version for which the package apache-flink of this release has a wheel
}

// Releases lists the last patch release of each minor release that is supported, oldest first.
func Releases() []Release {
	return []Release{
		{"1.13.6", "38"}, {"1.14.6", "38"}, {"1.15.4", "38"}, {"1.16.3", "38"},
		{"1.17.2", "310"}, {"1.18.1", "310"}, {"1.19.3", "310"}, {"1.20.5", "310"},
		{"2.0.2", "310"}, {"2.1.3", "310"}, {"2.2.1", "310"}, {"2.3.0", "310"},
	}
}

// VersionsVariable names the environment variable that says which versions tests are run on, separated by blanks.
const VersionsVariable = "FLINK_VERSIONS"

// Versions returns those under test: $FLINK_VERSIONS, else the main ones and more.
func Versions(more ...string) []string {
	if v := strings.Fields(os.Getenv(VersionsVariable)); len(v) > 0 {
		return v
	}
	return append([]string{"1.20.5", "2.2.1"}, more...)
}
