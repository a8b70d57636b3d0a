package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Schedule is how long to wait between attempts: a random time between 0 and a ceiling that doubles from
// Base to Cap (full jitter). Zero fields are the defaults.
type Schedule struct {
	Base          time.Duration // first ceiling (500ms)
	Cap           time.Duration // highest ceiling (20s, at most a sixth of the total time)
	RetryAfterCap time.Duration // the longest Retry-After that is believed (30s, at most a quarter of the total time)
}

// The cap decides how hard a crowd hits a service that comes back: n waiting clients send n/(Cap/2) requests
// a second, 100 for 1,000 clients and 20 s. docs/fetching.md has the measured numbers.
func (s Schedule) withDefaults(total time.Duration) Schedule {
	s.Cap = orElse(s.Cap, min(20*time.Second, total/6))
	s.Base = min(orElse(s.Base, 500*time.Millisecond), s.Cap)
	s.RetryAfterCap = orElse(s.RetryAfterCap, min(30*time.Second, total/4))
	return s
}

// pauses is the schedule of one fetch.
type pauses struct {
	Schedule
	ceiling *backoff.ExponentialBackOff
	rand    func() float64
}

func newPauses(s Schedule, random func() float64) *pauses {
	// The library's own jitter is off (it has no source to seed); next adds full jitter. Its MaxElapsedTime
	// too, since the deadline is the Client's, over all fetches.
	return &pauses{Schedule: s, rand: random, ceiling: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(s.Base), backoff.WithMaxInterval(s.Cap), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0), backoff.WithMaxElapsedTime(0))}
}

// next returns the wait before the next attempt, or false when no time is left for one. retryAfter is what
// the service asked for, 0 if it did not; remaining is the time to the deadline.
//
// A wait is never cut to the deadline but drawn again from the time that is left: cut, all of a crowd that
// started together would come back together for its last attempt.
func (p *pauses) next(retryAfter, remaining time.Duration) (time.Duration, bool) {
	ceiling := p.ceiling.NextBackOff()
	wait := time.Duration(p.rand() * float64(ceiling))
	if retryAfter > 0 {
		retryAfter = min(retryAfter, p.RetryAfterCap)
		// All clients got the same Retry-After: spread them over at least as long again.
		wait = retryAfter + time.Duration(p.rand()*float64(max(ceiling, retryAfter)))
	}
	left := remaining - min(time.Second, p.Cap/2) // an attempt needs some time too
	if left <= 0 {
		return 0, false
	}
	if wait > left {
		if retryAfter > left {
			return 0, false
		}
		wait = retryAfter + time.Duration(p.rand()*float64(left-retryAfter))
	}
	return wait, true
}

// reset makes the next wait short again: the last attempt made progress.
func (p *pauses) reset() { p.ceiling.Reset() }

// retried reports whether a status may go away by itself.
func retried(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return status >= 500
}

// retryAfter reads the header Retry-After: seconds or a date (RFC 9110 10.2.3). A date is taken relative to
// the answer's own Date, so that a wrong clock on either side does no harm. What is neither is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	when, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, when.Sub(now))
}
