// Package budget pins what the binary may depend on, under which licences, and how large it may become.
package budget

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	program = "flink-entrypoint/cmd/flink-entrypoint"

	// sizeBudget is 10 MiB. An image layer, a copy into a shared volume and the page faults of each start pay for it.
	sizeBudget = 10 << 20
)

// modules are all that the binary is made of beside the standard library, with what each is for. Another one is a
// decision: it comes with a reason, not with an import.
var modules = map[string]string{
	"github.com/cenkalti/backoff/v4":        "the schedule of retries",
	"github.com/hashicorp/go-cleanhttp":     "by go-retryablehttp",
	"github.com/hashicorp/go-retryablehttp": "fetching over HTTP",
	"github.com/magiconair/properties":      "log4j's property files",
	"github.com/shirou/gopsutil/v3":         "the memory of the machine",
	"github.com/spf13/pflag":                "the command line",
	"golang.org/x/sys":                      "system calls",
}

// heavy are packages of the standard library that would cost size or the time of each start, and what to use instead.
var heavy = map[string]string{
	"expvar":                     "registers a handler and reads the command line before main",
	"go/parser":                  "none: nothing here reads Go",
	"html/template":              "fmt and html.EscapeString; templates call methods by name, which keeps all methods of all types in the binary",
	"net/http/httptest":          "tests only",
	"net/http/pprof":             "none: the process lives for milliseconds",
	"net/rpc":                    "none",
	"text/template":              "fmt; templates call methods by name, which keeps all methods of all types in the binary",
	"testing":                    "tests only",
	"plugin":                     "none: the binary is static",
	"golang.org/x/net/idna":      "net/http carries its own copy of these tables",
	"golang.org/x/text/width":    "tables",
	"golang.org/x/net/http2":     "net/http carries it",
	"gopkg.in/yaml.v3":           "confpatch reads YAML as Flink does; no library agrees with it",
	"github.com/sirupsen/logrus": "log/slog",
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Module     *struct {
		Path, Dir string
		Main      bool
	}
}

func dependencies(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Module", program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestModules(t *testing.T) {
	used := map[string]bool{}
	for _, p := range dependencies(t) {
		if instead, ok := heavy[p.ImportPath]; ok {
			t.Errorf("the binary depends on %s; instead: %s", p.ImportPath, instead)
		}
		if p.Module != nil && !p.Module.Main {
			used[p.Module.Path] = true
		}
	}
	for m := range used {
		if modules[m] == "" {
			t.Errorf("the binary depends on the module %s, which is not in the budget", m)
		}
	}
	for m := range modules {
		if !used[m] {
			t.Errorf("the budget holds %s, which the binary does not depend on any more", m)
		}
	}
}

// licences are recognised by a sentence that each of them has and the others have not.
var licences = []struct{ name, sentence string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD", "Redistribution and use in source and binary forms, with or without modification, are permitted"},
	{"MPL-2.0", "Mozilla Public License"},
}

// permitted may go into a binary under Apache-2.0. MPL-2.0 covers the files of its own modules only; they are linked
// unchanged, and their source is where go.mod says.
var permitted = []string{"Apache-2.0", "BSD", "MIT", "MPL-2.0"}

func TestLicences(t *testing.T) {
	blanks := regexp.MustCompile(`\s+`)
	seen := map[string]bool{}
	for _, p := range dependencies(t) {
		if p.Module == nil || p.Module.Main || seen[p.Module.Path] {
			continue
		}
		seen[p.Module.Path] = true
		files, err := filepath.Glob(filepath.Join(p.Module.Dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, f := range files {
			name := strings.ToUpper(filepath.Base(f))
			if !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") {
				continue
			}
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text := blanks.ReplaceAllString(string(content), " ")
			for _, l := range licences {
				if strings.Contains(strings.ToLower(text), strings.ToLower(l.sentence)) {
					found = l.name
					break
				}
			}
		}
		if !slices.Contains(permitted, found) {
			t.Errorf("%s: licence %q, expected one of %s", p.Module.Path, found, strings.Join(permitted, ", "))
		}
		t.Logf("%s: %s", p.Module.Path, found)
	}
}

// gcflags are what each build gives to the compiler (the Makefile and test/release read the same file): code that is not on
// the way from start to exec is compiled without inlining. Measured with Go 1.26 on amd64, a TaskManager from start to exec,
// median of 600 in turns:
//
//	these flags       9.93 MB  6.49 ms
//	no flags         10.48 MB  6.29 ms  8 KB below the budget
//	-l for all        9.53 MB  6.86 ms
func gcflags(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("gcflags.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(content))
}

// build makes the stripped binary from the tree in root as a release does.
func build(t *testing.T, root, to string) []byte {
	t.Helper()
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid="}
	for _, f := range gcflags(t) {
		args = append(args, "-gcflags="+f)
	}
	cmd := exec.Command("go", append(args, "-o", to, program)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSize(t *testing.T) {
	binary := build(t, "../..", filepath.Join(t.TempDir(), "flink-entrypoint"))
	if len(binary) > sizeBudget {
		t.Errorf("the stripped binary has %d bytes, %d more than the budget of 10 MiB; go tool nm -size -sort size shows where they are", len(binary), len(binary)-sizeBudget)
	}
	t.Logf("%d bytes, %d below the budget", len(binary), sizeBudget-len(binary))
}
