package fetch

import (
	"container/heap"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

func TestPausesAreFullJitterUnderADoublingCeiling(t *testing.T) {
	s := Schedule{}.withDefaults(2 * time.Minute)
	if want := (Schedule{500 * time.Millisecond, 20 * time.Second, 30 * time.Second}); s != want {
		t.Fatalf("defaults are %+v, want %+v", s, want)
	}
	top := newPauses(s, func() float64 { return 0.999999999 })
	for _, want := range []float64{0.5, 1, 2, 4, 8, 16, 20, 20, 20} {
		if got, ok := top.next(0, time.Hour); !ok || got.Round(time.Millisecond).Seconds() != want {
			t.Errorf("longest wait %s, want %vs", got, want)
		}
	}
	top.reset()
	if got, _ := top.next(0, time.Hour); got.Round(time.Millisecond) != 500*time.Millisecond {
		t.Errorf("after progress the longest wait is %s", got)
	}
	bottom := newPauses(s, func() float64 { return 0 })
	for range 9 {
		if got, ok := bottom.next(0, time.Hour); !ok || got != 0 {
			t.Errorf("shortest wait %s, want 0", got)
		}
	}
	if small := (Schedule{}).withDefaults(6 * time.Second); small.Cap != time.Second || small.RetryAfterCap != 1500*time.Millisecond {
		t.Errorf("in a short total the schedule is %+v", small)
	}
}

func TestPausesAndTheDeadline(t *testing.T) {
	for _, test := range []struct {
		name                  string
		random                float64
		retryAfter, remaining time.Duration
		want                  time.Duration
		ok                    bool
	}{
		{"Retry-After is the least", 0, 5 * time.Second, time.Hour, 5 * time.Second, true},
		{"all clients got the same wait, so twice is the most", 0.999999999, 5 * time.Second, time.Hour, 10 * time.Second, true},
		{"Retry-After is capped", 0, time.Hour, 2 * time.Hour, 30 * time.Second, true},
		{"no time for an attempt", 0, 0, time.Second, 0, false},
		{"Retry-After beyond the deadline", 0, 10 * time.Second, 8 * time.Second, 0, false},
		{"a wait beyond the deadline is drawn again", 0.5, 0, 1200 * time.Millisecond, 100 * time.Millisecond, true},
	} {
		p := newPauses(Schedule{}.withDefaults(2*time.Minute), func() float64 { return test.random })
		got, ok := p.next(test.retryAfter, test.remaining)
		if got.Round(time.Millisecond) != test.want || ok != test.ok {
			t.Errorf("%s: %s %v, want %s %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{" 7 ", "", 7 * time.Second},
		{"0", "", 0},
		{"-3", "", 0},
		{"1.5", "", 0},
		{"99999999999999999999", "", 0},
		{"soon", "", 0},
		{"Sun, 01 Mar 2026 12:00:09 GMT", "", 9 * time.Second},
		{"Sunday, 01-Mar-26 12:00:09 GMT", "", 9 * time.Second},
		{"Sun Mar  1 12:00:09 2026", "", 9 * time.Second},
		{"Sun, 01 Mar 2026 11:00:00 GMT", "", 0},
		{"Sun, 01 Mar 2026 11:00:09 GMT", "Sun, 01 Mar 2026 11:00:00 GMT", 9 * time.Second}, // both by the server's clock
	} {
		h := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
		if got := retryAfter(h, now); got != test.want {
			t.Errorf("Retry-After %q, Date %q: %s, want %s", test.value, test.date, got, test.want)
		}
	}
}

func TestRetriedStatuses(t *testing.T) {
	want := map[int]bool{408: true, 425: true, 429: true, 501: false, 505: false, 511: false}
	for status := 200; status < 600; status++ {
		w, listed := want[status]
		if !listed {
			w = status >= 500
		}
		if retried(status) != w {
			t.Errorf("retried(%d) = %v", status, !w)
		}
	}
}

// arrival is one attempt of one client in the simulated herd.
type arrival struct {
	at     time.Duration
	client int
}

type arrivals []arrival

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].at < a[j].at }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)        { *a = append(*a, x.(arrival)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// herd simulates clients that all start within 50 ms (plus splay) against a service that is down for a while
// and then admits so many a second. It returns the busiest second after the return, the clients that failed
// and when the last one succeeded.
func herd(seed uint64, clients int, splay, down, retryAfter time.Duration, admits int) (peak, failed int, last time.Duration) {
	const total = 2 * time.Minute
	random := rand.New(rand.NewPCG(seed, 1)).Float64
	var queue arrivals
	schedules := make([]*pauses, clients)
	for i := range schedules {
		schedules[i] = newPauses(Schedule{}.withDefaults(total), random)
		heap.Push(&queue, arrival{time.Duration(random()*50)*time.Millisecond + time.Duration(random()*float64(splay)), i})
	}
	asked, admitted := map[time.Duration]int{}, map[time.Duration]int{}
	for len(queue) > 0 {
		a := heap.Pop(&queue).(arrival)
		told := time.Duration(0)
		if a.at >= down {
			second := (a.at - down) / time.Second
			asked[second]++
			peak = max(peak, asked[second])
			if admitted[second] < admits {
				admitted[second]++
				last = a.at
				continue
			}
			told = retryAfter
		}
		wait, ok := schedules[a.client].next(told, total-a.at)
		if !ok {
			failed++
			continue
		}
		heap.Push(&queue, arrival{a.at + wait, a.client})
	}
	return peak, failed, last
}

// TestHerd: 1,000 clients, the service is back after 20 s and admits 50 requests a second.
func TestHerd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name              string
		clients           int
		splay, down, told time.Duration
		peak              int
	}{
		{"no Retry-After", 1000, 0, 20 * time.Second, 0, 150},
		{"Retry-After: 1", 1000, 0, 20 * time.Second, time.Second, 150},
		{"Retry-After: 5", 1000, 0, 20 * time.Second, 5 * time.Second, 150},
		{"Retry-After: 30", 1000, 0, 20 * time.Second, 30 * time.Second, 150},
		{"Retry-After: 3600", 1000, 0, 20 * time.Second, time.Hour, 150},
		{"down for a minute", 1000, 0, time.Minute, 5 * time.Second, 150},
		{"never down, splay 20s", 1000, 20 * time.Second, 0, 5 * time.Second, 150},
	} {
		peak, failed, last := 0, 0, time.Duration(0)
		for seed := range uint64(20) {
			p, f, l := herd(seed, test.clients, test.splay, test.down, test.told, 50)
			peak, failed, last = max(peak, p), failed+f, max(last, l)
		}
		t.Logf("%-22s busiest second %d, failed %d, last success %.0f s", test.name, peak, failed, last.Seconds())
		if peak > test.peak || failed > 0 {
			t.Errorf("%s: busiest second %d (allowed %d), %d failed", test.name, peak, test.peak, failed)
		}
	}
}
