// Package growth measures how the work of a room grows with its input. A room lists its [Case]s in growth_test.go;
// [Test] pins that each grows no faster than its input, [Bench] shows what an item costs, and make growth prints all.
//
// What is compared is what one run allocates at n and at 10 n items: unlike time it is the same on every machine and in
// every run. Time has a guard too, wide enough for a busy machine and narrow enough for a loop inside a loop.
package growth

import (
	"fmt"
	"runtime"
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
}

const (
	// allocationRatio is the most that a run on ten times the input may allocate, in bytes and in pieces. Linear is 10;
	// slices and maps that grow by doubling may be just before or just behind a doubling.
	allocationRatio = 15
	// timeRatio: linear is 10, quadratic 100. Caches that no longer hold everything explain a factor of two or three.
	timeRatio = 50
)

// Test fails where ten times the input costs much more than ten times the work.
func Test(t *testing.T, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			n := c.N
			if n == 0 {
				n = 500
			}
			small, large := measure(t, c, n), measure(t, c, 10*n)
			t.Logf("%d: %v; %d: %v", n, small, 10*n, large)
			if large.bytes > allocationRatio*small.bytes {
				t.Errorf("%d items allocate %d bytes, %d items %d: more than %d times as many", n, small.bytes, 10*n, large.bytes, allocationRatio)
			}
			if large.pieces > allocationRatio*small.pieces {
				t.Errorf("%d items take %d allocations, %d items %d: more than %d times as many", n, small.pieces, 10*n, large.pieces, allocationRatio)
			}
			for range 3 { // a busy machine is not a slow program
				if large.time <= timeRatio*max(small.time, time.Millisecond) {
					return
				}
				small.time, large.time = max(small.time, measure(t, c, n).time), min(large.time, measure(t, c, 10*n).time)
			}
			if large.time > timeRatio*max(small.time, time.Millisecond) {
				t.Errorf("%d items take %v, %d items %v: more than %d times as long", n, small.time, 10*n, large.time, timeRatio)
			}
		})
	}
}

// cost is what one run takes.
type cost struct {
	bytes, pieces uint64
	time          time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%d bytes in %d pieces, %v", c.bytes, c.pieces, c.time)
}

// measure returns the least of three runs: what else goes on in the process can only add.
func measure(t *testing.T, c Case, n int) cost {
	t.Helper()
	work := c.Prepare(t, n)
	var least cost
	for i := range 3 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		if err := work(); err != nil {
			t.Fatalf("%d items: %v", n, err)
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		run := cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, took}
		if i == 0 {
			least = run
			continue
		}
		least = cost{min(least.bytes, run.bytes), min(least.pieces, run.pieces), min(least.time, run.time)}
	}
	return least
}

// Allocated returns how many bytes a run allocates, the least of three.
func Allocated(t *testing.T, work func() error) uint64 {
	t.Helper()
	return measure(t, Case{Prepare: func(testing.TB, int) func() error { return work }}, 1).bytes
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
