package api

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are what one caller may use. A caller is a token; one without a valid token is its address.
type Limits struct {
	Requests float64 // a second, on average; 0: 50. Four seconds of them may come at once
	Streams  int     // event streams and followed logs at the same time; 0: 20
	Artifact int64   // bytes of one artifact; 0: 2 GiB
	Stored   int64   // bytes of all artifacts of a team; 0: 50 GiB
	// Definitions is how many bytes all versions of the jobs of a team may have; 0: 2 GiB.
	Definitions int64
	// Answers is how many answers to requests with an Idempotency-Key are kept for a token at the same time; 0: 10,000.
	Answers int
	// Reported is how many changes of a run are noted before status events of its pods are refused, but for its end; 0: 10,000.
	Reported int64
}

// maxUploads is how many artifacts or archives one caller may send at the same time: each takes room before it is known how large it is.
const maxUploads = 4

// WithDefaults fills in what is 0.
func (l Limits) WithDefaults() Limits {
	if l.Requests == 0 {
		l.Requests = 50
	}
	if l.Streams == 0 {
		l.Streams = 20
	}
	if l.Artifact == 0 {
		l.Artifact = 2 << 30
	}
	if l.Stored == 0 {
		l.Stored = 50 << 30
	}
	if l.Definitions == 0 {
		l.Definitions = 2 << 30
	}
	if l.Answers == 0 {
		l.Answers = 10_000
	}
	if l.Reported == 0 {
		l.Reported = 10_000
	}
	return l
}

// A usage counts what callers use now. It forgets those that have used nothing for a while.
type usage struct {
	mu      sync.Mutex
	callers map[string]*used
}

type used struct {
	bucket  *rate.Limiter
	streams int
}

// maxCallers bounds the table. Addresses are as many as an attacker has; when it is full of busy ones, new callers share one entry.
const maxCallers = 10000

func (u *usage) of(key string, l Limits) *used {
	if c := u.callers[key]; c != nil {
		return c
	}
	if len(u.callers) >= maxCallers {
		for k, c := range u.callers {
			if c.streams == 0 && c.bucket.Tokens() >= float64(c.bucket.Burst()) {
				delete(u.callers, k)
			}
		}
		if len(u.callers) >= maxCallers {
			if key = "others"; u.callers[key] != nil {
				return u.callers[key]
			}
		}
	}
	if u.callers == nil {
		u.callers = map[string]*used{}
	}
	c := &used{bucket: rate.NewLimiter(rate.Limit(l.Requests), max(1, int(4*l.Requests)))}
	u.callers[key] = c
	return c
}

// request counts a request, and says how long to wait if it is one too many.
func (u *usage) request(key string, l Limits, now time.Time) (wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.of(key, l).bucket.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// stream takes a place for a stream, of which there are most. ok false: all are taken.
func (u *usage) stream(key string, l Limits, most int) (end func(), ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.of(key, l)
	if c.streams >= most {
		return nil, false
	}
	c.streams++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		c.streams--
	}, true
}

// tooMany is the answer to a request that must wait.
func tooMany(w http.ResponseWriter, wait time.Duration, detail string) error {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return refuse(http.StatusTooManyRequests, detail, fmt.Sprintf("try again after %d s, with a random time added", seconds))
}

// limited counts a request of a caller. Status events and archives of a run have a count of their own: pods that ask too often must not
// make the server miss the end of their job. The local user of a server on loopback is not counted.
func (a *API) limited(w http.ResponseWriter, r *http.Request, c caller) error {
	if c.local {
		return nil
	}
	key := c.key()
	if c.run != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		key += " writes"
	}
	if wait := a.usage.request(key, a.Limits, time.Now()); wait > 0 {
		return tooMany(w, wait, fmt.Sprintf("the token %s sends more than %g requests a second", c.name, a.Limits.Requests))
	}
	return nil
}

// unknown counts a request without a valid token: guessing is slow.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) error {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if wait := a.usage.request("address "+host, a.Limits, time.Now()); wait > 0 {
		return tooMany(w, wait, fmt.Sprintf("the address %s sends more than %g requests a second without a valid token", host, a.Limits.Requests))
	}
	return nil
}

// streaming takes a place for a stream of the caller; the returned function gives it back.
func (a *API) streaming(w http.ResponseWriter, r *http.Request) (end func(), err error) {
	c := who(r)
	end, ok := a.usage.stream(c.key(), a.Limits, a.Limits.Streams)
	if !ok {
		return nil, tooMany(w, 5*time.Second, fmt.Sprintf("%s has %d open streams, which is the limit", c.name, a.Limits.Streams))
	}
	return end, nil
}

// uploading takes a place for a large body of the caller; the returned function gives it back.
func (a *API) uploading(w http.ResponseWriter, r *http.Request) (end func(), err error) {
	c := who(r)
	end, ok := a.usage.stream(c.key()+" uploads", a.Limits, maxUploads)
	if !ok {
		return nil, tooMany(w, 5*time.Second, fmt.Sprintf("%s sends %d files at the same time, which is the limit", c.name, maxUploads))
	}
	return end, nil
}
