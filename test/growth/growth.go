// Package growth measures how the work of a room grows with its input. A room lists its [Case]s in growth_test.go;
// [Test] pins that each grows no faster than its input, [Bench] shows what an item costs, and make bench-growth prints all.
//
// What is compared is what one run allocates at n and at 10 n items: unlike time it is the same on every machine and in
// every run. Time has a guard too, for a loop inside a loop that allocates nothing. Memory must not decide it: on some
// machines the first touch of a page costs as much as the work on it, and a large input is the first that needs fresh pages
// and the garbage collector. So each run gets fresh pages only, and no collector: what memory costs is then as linear as
// what is allocated, and more than that is the work itself.
package growth

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// A Case is some work on an input of n items.
type Case struct {
	Name string
	// Prepare makes the input; the function that it returns is what is measured.
	Prepare func(tb testing.TB, n int) func() error
	N       int   // items that Test begins with; it goes on to ten times as many. 0: 500
	Sizes   []int // items that Bench measures; nil: 10 to 100,000

	clock func() time.Duration // nil: ProcessorTime
}

const (
	// allocationRatio is the most that a run on ten times the input may allocate, in bytes and in pieces. Linear is 10;
	// slices and maps that grow by doubling may be just before or just after a doubling.
	allocationRatio = 15
	// timeRatio: linear is 10, quadratic 100. What memory costs grows as what is allocated; caches that no longer hold
	// everything explain a factor of two or three.
	timeRatio = 50
)

// Test fails where ten times the input costs much more than ten times the work.
func Test(t *testing.T, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if text := c.check(t); text != "" {
				t.Error(text)
			}
		})
	}
}

// check measures, and says what grows faster than the input, "" if nothing does.
func (c Case) check(t *testing.T) string {
	t.Helper()
	n := c.N
	if n == 0 {
		n = 500
	}
	small, large := measure(t, c, n, 3), measure(t, c, 10*n, 1)
	for range 5 { // other work of this process can only add: what seems too much is measured again
		if excess(n, small, large) == "" {
			break
		}
		small.time = max(small.time, measure(t, c, n, 1).time)
		large = least(large, measure(t, c, 10*n, 1))
	}
	t.Logf("%d: %v; %d: %v", n, small, 10*n, large)
	return excess(n, small, large)
}

// excess says what grows faster than the input, "" if nothing does.
func excess(n int, small, large cost) string {
	switch {
	case large.bytes > allocationRatio*small.bytes:
		return fmt.Sprintf("%d items allocate %d bytes, %d items %d: more than %d times as many", n, small.bytes, 10*n, large.bytes, allocationRatio)
	case large.pieces > allocationRatio*small.pieces:
		return fmt.Sprintf("%d items take %d allocations, %d items %d: more than %d times as many", n, small.pieces, 10*n, large.pieces, allocationRatio)
	case large.time > timeRatio*max(small.time, time.Millisecond):
		return fmt.Sprintf("%d items take %v, %d items %v: more than %d times as long", n, small.time, 10*n, large.time, timeRatio)
	}
	return ""
}

// cost is what one run takes.
type cost struct {
	bytes, pieces uint64
	time          time.Duration // of processors, so that a busy machine is not a slow program
}

func (c cost) String() string {
	return fmt.Sprintf("%d bytes in %d pieces, %v", c.bytes, c.pieces, c.time)
}

func least(a, b cost) cost {
	return cost{min(a.bytes, b.bytes), min(a.pieces, b.pieces), min(a.time, b.time)}
}

// measure returns the least of some runs.
func measure(t *testing.T, c Case, n, runs int) cost {
	t.Helper()
	work, clock := c.Prepare(t, n), c.clock
	if clock == nil {
		clock = ProcessorTime
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64)) // near it, nothing but collections would be measured
	var found cost
	for i := range runs {
		var before, after runtime.MemStats
		debug.FreeOSMemory() // collects garbage first
		runtime.ReadMemStats(&before)
		start := clock()
		if err := work(); err != nil {
			t.Fatalf("%d items: %v", n, err)
		}
		took := clock() - start
		runtime.ReadMemStats(&after)
		run := cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, took}
		if i == 0 {
			found = run
		}
		found = least(found, run)
	}
	return found
}

// ProcessorTime is what this process has used of processors so far, in the kernel too.
func ProcessorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it fails for a wrong argument only
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Allocated returns how many bytes a run allocates, the least of three.
func Allocated(t *testing.T, work func() error) uint64 {
	t.Helper()
	return measure(t, Case{Prepare: func(testing.TB, int) func() error { return work }}, 1, 3).bytes
}

// Bench runs every case at its sizes as a benchmark CASE/SIZE, with what one item costs.
func Bench(b *testing.B, cases []Case) {
	for _, c := range cases {
		sizes := c.Sizes
		if sizes == nil {
			sizes = []int{10, 100, 1000, 10_000, 100_000}
		}
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", c.Name, n), func(b *testing.B) {
				work := c.Prepare(b, n)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.ResetTimer()
				for range b.N {
					if err := work(); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				runtime.ReadMemStats(&after)
				items := float64(b.N) * float64(n)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/items, "ns/item")
				b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/items, "B/item")
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/items, "allocs/item")
			})
		}
	}
}
