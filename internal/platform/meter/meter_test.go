package meter

import (
	"testing"
	"time"
)

func TestPerSecond(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := &Meter{Now: func() time.Time { return now }}
	if got := m.PerSecond(); got != 0 {
		t.Errorf("nothing counted: %v", got)
	}
	for range 10 { // 3 a second, for 10 s
		for range 3 {
			m.Add()
		}
		now = now.Add(time.Second)
	}
	if got := m.PerSecond(); got != 3 {
		t.Errorf("%v a second, want 3", got)
	}
	now = now.Add(20 * time.Second)
	if got := m.PerSecond(); got != 1 { // 30 in 30 s
		t.Errorf("%v a second, want 1", got)
	}
	now = now.Add(70 * time.Second)
	if got := m.PerSecond(); got != 0 {
		t.Errorf("after a quiet minute: %v", got)
	}
}
