// Command flinkhome brings complete Flink distributions (bin, conf, lib, opt, plugins) onto this machine and
// prints the path of each home on stdout, one a line:
//
//	go run ./test/flinkhome [-cache DIR] [-verify] VERSION…
//
// A VERSION is exact (2.2.1), a minor version (2.2) or "all". The distributions come from the Python packages
// apache-flink (scripts, configuration) and apache-flink-libraries (jars), brought by an ordinary pip with the
// digests in requirements/: whatever index, proxy or --find-links the user's pip is configured with is used.
// Homes are in DIR/flink/VERSION, DIR being $FLINK_ENTRYPOINT_CACHE or flink-entrypoint in the user's cache folder.
// A home appears by rename, complete; two runs wait for each other. -verify compares every file of a home with
// the manifest written when it was unpacked.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flink-entrypoint/test/flinkhome/homes"
)

//go:embed requirements/*.txt
var requirements embed.FS

// pick resolves the version arguments, keeping their order and dropping repetitions.
func pick(args []string) ([]homes.Release, error) {
	var picked []homes.Release
	for _, arg := range args {
		found := false
		for _, r := range homes.Releases() {
			if arg == "all" || arg == r.Version || strings.HasPrefix(r.Version, arg+".") && strings.Contains(arg, ".") {
				found = true
				if !slices.Contains(picked, r) {
					picked = append(picked, r)
				}
			}
		}
		if !found {
			var known []string
			for _, r := range homes.Releases() {
				known = append(known, r.Version)
			}
			return nil, fmt.Errorf("version %q: no digests for it; known: %s (or a minor version, or all)", arg, strings.Join(known, " "))
		}
	}
	return picked, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("flinkhome", flag.ContinueOnError)
	cache := flags.String("cache", "", "`folder` for homes and pip's leftovers (default: "+homes.CacheVariable+", else the user's cache folder)")
	verify := flags.Bool("verify", false, "only check the homes that are there, file by file")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: flinkhome [-cache DIR] [-verify] VERSION…   (exact, minor, or all)")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return flag.ErrHelp
	}
	picked, err := pick(flags.Args())
	if err != nil {
		return err
	}
	if *cache == "" {
		if *cache, err = homes.Cache(); err != nil {
			return err
		}
	}
	s := store{root: *cache}
	if !*verify {
		nameMissingJava()
	}
	for _, r := range picked {
		if *verify {
			err = s.verify(r)
		} else {
			err = s.ensure(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("Flink %s: %w", r.Version, err)
		}
		fmt.Println(s.home(r))
	}
	return nil
}

// nameMissingJava says how to get Java. Fetching does not need it, so this is not an error.
func nameMissingJava() {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if _, err := os.Stat(filepath.Join(home, "bin", "java")); err == nil {
			return
		}
	}
	if _, err := exec.LookPath("java"); err != nil {
		fmt.Fprintln(os.Stderr, "warning: no java in JAVA_HOME or PATH, which running Flink needs")
		fmt.Fprintln(os.Stderr, "hint: Debian: apt-get install openjdk-17-jre-headless")
	}
}
