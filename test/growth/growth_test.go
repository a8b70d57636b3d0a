package growth

import (
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

// TestMeasure: work in a loop inside a loop is seen, in allocations and in time.
func TestMeasure(t *testing.T) {
	var sink [][]byte
	squared := Case{Prepare: func(_ testing.TB, n int) func() error {
		return func() error {
			sink = sink[:0]
			for range n * n {
				sink = append(sink, make([]byte, 64))
			}
			return nil
		}
	}}
	small, large := measure(t, squared, 50, 3), measure(t, squared, 500, 1)
	if got := excess(50, small, large); got == "" {
		t.Errorf("%v and %v pass", small, large)
	}
	if large.time < time.Millisecond || large.time > time.Minute {
		t.Errorf("%d allocations take %v", large.pieces, large.time)
	}
}
