//go:build load

// Package herd starts a thousand fetches at once against a service that is down, as after an outage, and
// counts what the service sees when it is back. Run with: go test -tags load -v ./test/herd
package herd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/test/freeport"
)

const (
	clients  = 1000
	downFor  = 20 * time.Second
	admitted = 50  // requests a second the service can serve
	allowed  = 150 // requests a second that may arrive
	deadline = 2 * time.Minute
)

const definition = "apiVersion: flink-entrypoint/v1\nname: clicks\n"

// service admits so many requests in each second after its return and refuses the others.
type service struct {
	refuse func(http.ResponseWriter)

	mu       sync.Mutex
	back     time.Time
	arrivals []time.Duration // since back
	served   map[int]int     // per second since back
}

func (s *service) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	at := time.Since(s.back)
	s.arrivals = append(s.arrivals, at)
	full := s.served[int(at/time.Second)] >= admitted
	if !full {
		s.served[int(at/time.Second)]++
	}
	s.mu.Unlock()
	if full {
		s.refuse(w)
		return
	}
	fmt.Fprint(w, definition)
}

func TestHerd(t *testing.T) {
	for _, test := range []struct {
		name   string
		refuse func(http.ResponseWriter)
	}{
		{"503", func(w http.ResponseWriter) { w.WriteHeader(503) }},
		{"429 with Retry-After 5", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(429)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			herd(t, &service{refuse: test.refuse, served: map[int]int{}})
		})
	}
}

func herd(t *testing.T, s *service) {
	// A port without a listener until the service is back.
	address := freeport.Address(t)

	server := &http.Server{Handler: s}
	defer server.Close()
	began := time.Now()
	up := make(chan error, 1)
	time.AfterFunc(downFor, func() {
		s.mu.Lock()
		s.back = time.Now()
		s.mu.Unlock()
		l, err := net.Listen("tcp", address)
		up <- err
		if err == nil {
			server.Serve(l)
		}
	})

	took, errs := make([]time.Duration, clients), make([]error, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			c, err := fetch.New(fetch.Options{Timeout: deadline})
			if err == nil {
				_, err = c.Document(context.Background(), "http://"+address+"/jobs/clicks", fetch.DocumentOptions{})
			}
			took[i], errs[i] = time.Since(began), err
		})
	}
	group.Wait()
	if err := <-up; err != nil {
		t.Fatal(err)
	}

	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
			t.Log(err)
		}
	}
	slices.Sort(took)
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.arrivals)
	perSecond := map[int]int{}
	busiest, sliding := 0, 0
	for i, at := range s.arrivals {
		perSecond[int(at/time.Second)]++
		busiest = max(busiest, perSecond[int(at/time.Second)])
		first, _ := slices.BinarySearch(s.arrivals, at-time.Second)
		sliding = max(sliding, i-first+1)
	}
	t.Logf("%d clients, %d failed; busiest second %d requests (any window of a second: %d); %d requests after the return; done after %.0f s (half), %.0f s (99 %%), %.0f s (all)",
		clients, failed, busiest, sliding, len(s.arrivals), took[clients/2].Seconds(), took[clients*99/100].Seconds(), took[clients-1].Seconds())
	for second := range 12 {
		t.Logf("second %2d after the return: %3d requests", second, perSecond[second])
	}
	if failed > 0 || busiest > allowed || took[clients-1] > deadline {
		t.Errorf("%d failed, the busiest second saw %d requests, the last was done after %s; allowed: 0, %d, %s", failed, busiest, took[clients-1], allowed, deadline)
	}
}
