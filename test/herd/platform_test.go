//go:build load

package herd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/test/platform/served"
)

// TestPlatformHerd: a thousand pods ask a real flink-platform that comes back after an outage. One token for all is the worst case, a run
// of a thousand TaskManagers: the server refuses what is above its rate with 429.
func TestPlatformHerd(t *testing.T) {
	dir, listen := filepath.Join(t.TempDir(), "data"), served.FreeAddress(t)
	first := served.Start(t, served.Options{Dir: dir, Listen: listen, Auth: true})
	first.Put(t, "/v1/jobs/clicks", []byte(definition))
	first.Stop()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(first.Token), 0o600); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	took, errs := make([]time.Duration, clients), make([]error, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			c, err := fetch.New(fetch.Options{Timeout: deadline, Origin: first.URL, TokenFile: token})
			if err == nil {
				var d fetch.Document
				if d, err = c.Document(context.Background(), first.URL+"/v1/jobs/clicks/versions/1", fetch.DocumentOptions{}); err == nil && string(d.Bytes) != definition {
					err = fmt.Errorf("another definition: %q", d.Bytes)
				}
			}
			took[i], errs[i] = time.Since(began), err
		})
	}
	select { // the outage
	case <-time.After(downFor):
	case <-t.Context().Done():
	}
	back := time.Now()
	second := served.Start(t, served.Options{Dir: dir, Listen: listen, Arguments: []string{"--auth", "--log-level", "debug"}})
	group.Wait()
	second.Stop()

	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
			t.Log(err)
		}
	}
	statuses := map[string]int{}
	perSecond := map[string]int{}
	var durations []time.Duration
	for line := range strings.Lines(second.Log.String()) {
		if !strings.Contains(line, "path=/v1/jobs/clicks/versions/1") {
			continue
		}
		for field := range strings.FieldsSeq(line) {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "status":
				statuses[value]++
			case "duration":
				if d, err := time.ParseDuration(value); err == nil {
					durations = append(durations, d)
				}
			case "time":
				perSecond[value[:min(len(value), len("2006-01-02T15:04:05"))]]++
			}
		}
	}
	busiest := 0
	for _, n := range perSecond {
		busiest = max(busiest, n)
	}
	slices.Sort(took)
	slices.Sort(durations)
	if len(durations) == 0 {
		t.Fatalf("the server's log has no request\n%s", second.Log)
	}
	t.Logf("%d clients, %d failed; answers by status %v; busiest second %d requests; the server took %s (half), %s (99 %%), %s (longest); done %.0f s (half), %.0f s (99 %%), %.0f s (all) after the return",
		clients, failed, statuses, busiest, durations[len(durations)/2], durations[len(durations)*99/100], durations[len(durations)-1],
		(took[clients/2] - back.Sub(began)).Seconds(), (took[clients*99/100] - back.Sub(began)).Seconds(), (took[clients-1] - back.Sub(began)).Seconds())
	if failed > 0 || statuses["200"] != clients || statuses["500"]+statuses["503"] > 0 {
		t.Errorf("%d failed, statuses %v; want %d times 200, and beside it 429 alone", failed, statuses, clients)
	}
}
