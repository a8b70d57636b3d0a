// Command make writes the files of deploy/chart that are made from deploy/ and from the schemas of values. It runs in the project's folder:
// go run ./deploy/chart/make
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"flink-entrypoint/deploy/chart"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	files, err := chart.Make(os.DirFS("deploy"))
	if err != nil {
		return fmt.Errorf("%w\nhint: run it in the project's folder", err)
	}
	for name, text := range files {
		file := filepath.Join("deploy", "chart", filepath.FromSlash(name))
		if old, err := os.ReadFile(file); err == nil && string(old) == string(text) {
			continue
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		fmt.Println(file)
	}
	return nil
}
