package growth

import (
	"bytes"
	"fmt"
	"math/bits"
	"syscall"
	"testing"
	"time"
)

func TestExcess(t *testing.T) {
	for _, tt := range []struct {
		name         string
		small, large cost
		want         bool
	}{
		{"ten times as much", cost{1000, 100, time.Second}, cost{10_000, 1000, 10 * time.Second}, false},
		{"bytes", cost{1000, 100, time.Second}, cost{100_000, 1000, 10 * time.Second}, true},
		{"pieces", cost{1000, 100, time.Second}, cost{10_000, 10_000, 10 * time.Second}, true},
		{"time", cost{1000, 100, time.Second}, cost{10_000, 1000, 100 * time.Second}, true},
		{"too short to be measured", cost{1000, 100, time.Microsecond}, cost{10_000, 1000, 40 * time.Millisecond}, false},
	} {
		if got := excess(10, tt.small, tt.large); (got != "") != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// TestLoopInsideLoop: the processor is a counter of steps here, so that each result is the same on every machine.
func TestLoopInsideLoop(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps func(n int) int
		want  string
	}{
		{"a loop", func(n int) int { return 10 * n }, ""},
		{"a loop and much before it", func(n int) int { return 1000 + 10*n }, ""},
		{"a sort", func(n int) int { return 10 * n * bits.Len(uint(n)) }, ""},
		{"a loop inside a loop", func(n int) int { return n * n }, "50 items take 2.5s, 500 items 4m10s: more than 50 times as long"},
		{"half of a loop inside a loop", func(n int) int { return n * (n + 1) / 2 }, "50 items take 1.275s, 500 items 2m5.25s: more than 50 times as long"},
		{"a loop inside a loop, and as much work outside", func(n int) int { return n*n + 50*n }, "50 items take 5s, 500 items 4m35s: more than 50 times as long"},
	} {
		var now time.Duration
		c := Case{N: 50, clock: func() time.Duration { return now }, Prepare: func(_ testing.TB, n int) func() error {
			return func() error {
				now += time.Duration(tt.steps(n)) * time.Millisecond
				return nil
			}
		}}
		if got := c.check(t); got != tt.want {
			t.Errorf("%s: %q, expected %q", tt.name, got, tt.want)
		}
	}
}

// TestFreshMemory: on a machine where the first touch of a page costs a thousand times as much as all work on it, what
// allocates in a loop is still linear, whether the process has had that memory before or not.
func TestFreshMemory(t *testing.T) {
	dear := func() time.Duration {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			t.Fatal(err)
		}
		return time.Duration(used.Minflt) * time.Millisecond
	}
	linear := Case{N: 100, clock: dear, Prepare: func(_ testing.TB, n int) func() error {
		return func() error {
			var all [][]byte
			for range n {
				all = append(all, bytes.Repeat([]byte("x"), 20_000))
			}
			if len(all) != n {
				return fmt.Errorf("%d pieces", len(all))
			}
			return nil
		}
	}}
	for range 2 {
		if got := linear.check(t); got != "" {
			t.Error(got)
		}
	}
}

// TestMeasure: what a run allocates and how long it occupies a processor is counted, in a loop inside a loop.
func TestMeasure(t *testing.T) {
	var sink [][]byte
	squared := Case{Prepare: func(_ testing.TB, n int) func() error {
		return func() error {
			sink = sink[:0]
			for range n * n {
				sink = append(sink, make([]byte, 64))
			}
			for begin := ProcessorTime(); ProcessorTime() < begin+time.Duration(n)*100*time.Microsecond; {
			}
			return nil
		}
	}}
	small, large := measure(t, squared, 50, 3), measure(t, squared, 500, 1)
	if got := excess(50, small, large); got == "" {
		t.Errorf("%v and %v pass", small, large)
	}
	if small.time < 5*time.Millisecond || large.time < 50*time.Millisecond {
		t.Errorf("5 and 50 ms of a processor were used at least, measured: %v and %v", small.time, large.time)
	}
}
