// Command images builds the container images of docker/ for Flink versions, says how large they are, and leaves for the
// shell-less one and for the images of the platform a list of files and a bill of materials (CycloneDX) in the -out folder:
//
//	go run ./test/container/images [-out bin/images] VERSION=HOME…
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"flink-entrypoint/test/container"
)

func main() {
	out := flag.String("out", "bin/images", "folder for file lists and bills of materials")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, words []string) error {
	p, err := container.Open()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, home := range words {
		version := filepath.Base(home) // homes are called by their version
		if v, h, ok := strings.Cut(home, "="); ok {
			version, home = v, h
		}
		if err := p.Images(ctx, ".", version, home, os.Stderr); err != nil {
			return err
		}
		if _, err := p.Platform(ctx, ".", version, home, os.Stderr); err != nil {
			return err
		}
		for _, image := range []string{container.FullImage(version), container.SlimImage(version), container.ServerImage, container.WorkerImage(version)} {
			size, err := p.Do(ctx, "image", "inspect", "--format", "{{.Size}}", image)
			if err != nil {
				return err
			}
			var bytes int64
			if _, err := fmt.Sscan(size, &bytes); err != nil {
				return err
			}
			fmt.Printf("%s %d MB\n", image, bytes/1e6)
		}
		for _, of := range []struct{ image, name string }{{container.SlimImage(version), "slim-" + version}, {container.ServerImage, "platform"}, {container.WorkerImage(version), "workbench-" + version}} {
			if err := inventory(ctx, p, of.image, filepath.Join(out, of.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func inventory(ctx context.Context, p *container.Podman, image, prefix string) error {
	if err := p.Inventory(ctx, image, prefix); err != nil {
		return err
	}
	list, err := os.ReadFile(prefix + ".files")
	if err != nil {
		return err
	}
	fmt.Printf("%s.files %d files\n", prefix, strings.Count(string(list), "\n"))
	fmt.Printf("%s.cdx.json\n", prefix)
	return nil
}
