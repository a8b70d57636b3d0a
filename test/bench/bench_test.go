package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for want, v := range map[float64][]int64{3: {9, 1, 3}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(v); got != want {
			t.Errorf("median(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestNothingEndsWithSuccess(t *testing.T) {
	program := nothing()
	if program == nil {
		t.Skip("no machine code for this architecture")
	}
	path := filepath.Join(t.TempDir(), "nothing")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func figures(version string) []result {
	return []result{{Version: version, Name: "official", WallMS: 2500, JVMs: 5}, {Version: version, Name: "flink-entrypoint", WallMS: 5, PeakMiB: 9}, {Version: version, Name: "floor", WallMS: 1.7}}
}

func TestChartIsWellFormed(t *testing.T) {
	svg := chart(append(figures("2.2.1"), figures("1.<9>")...), []clusterResult{{Version: "2.2.1", Official: spent{6000, 12000, 250}, Ours: spent{1500, 4000, 240}}}, machine{CPU: "a & b"})
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
	}
}

func TestGoals(t *testing.T) {
	b := &bench{start: figures("2.2.1"), binarySize: 9 << 20, strippedBudget: 9 << 20}
	if missed := b.print(io.Discard); missed != 0 {
		t.Errorf("%d goals missed, want none", missed)
	}
	b.start[1].WallMS = 9 // five times the floor, and less than 300 times faster than official
	if missed := b.print(io.Discard); missed != 2 {
		t.Errorf("%d goals missed, want 2", missed)
	}
}
