// Package meter counts how often something happens.
package meter

import (
	"sync"
	"time"
)

// window is how many seconds a rate is the average of.
const window = 60

// A Meter counts events of the last minute. Its zero value is ready.
type Meter struct {
	Now func() time.Time // nil: time.Now

	mu      sync.Mutex
	first   int64         // second of the first use
	seconds [window]int64 // which second a count is of
	counts  [window]int64
}

func (m *Meter) second() int64 {
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	s := now().Unix()
	if m.first == 0 {
		m.first = s
	}
	return s
}

// Add counts one event.
func (m *Meter) Add() {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.second()
	if i := s % window; m.seconds[i] != s {
		m.seconds[i], m.counts[i] = s, 1
	} else {
		m.counts[i]++
	}
}

// PerSecond is the average of the last minute, or since the first use if that is not so long ago. The second that has not passed yet is
// left out.
func (m *Meter) PerSecond() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.second()
	length := min(window-1, now-m.first)
	if length < 1 {
		return 0
	}
	var sum int64
	for i, s := range m.seconds {
		if s < now && s >= now-length {
			sum += m.counts[i]
		}
	}
	return float64(sum) / float64(length)
}
