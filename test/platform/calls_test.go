//go:build platform

package platform

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"flink-entrypoint/test/crash/trace"
	"flink-entrypoint/test/world"
)

// tellTracer gives a text to whoever traces this process: as a write that fails.
func tellTracer(text string) {
	b := []byte(text)
	syscall.Syscall(syscall.SYS_WRITE, ^uintptr(0), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
}

// startTraced starts the prepared server under a tracer.
func (s *site) startTraced() {
	s.cmd.Env = append(s.cmd.Env, "TRACED=1")
	s.cmd.SysProcAttr = nil // the tracer's end is the server's
	started := make(chan error, 1)
	calls := trace.Writing()
	maps.Copy(calls, trace.Reaching())
	at, first := s.traced, sync.Once{}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_, err := trace.Run(cmd, calls, func(c trace.Call) bool {
			first.Do(func() { started <- nil })
			return at(c)
		})
		first.Do(func() { started <- err })
		close(ended)
	}(s.cmd, s.ended)
	if err := <-started; err != nil {
		if errors.Is(err, syscall.EPERM) {
			s.t.Skipf("%v: a debugger is not allowed here; with docker, run with --cap-add SYS_PTRACE", err)
		}
		s.t.Fatal(err)
	}
}

// Names that are different in each run, and what they become.
var (
	runID     = regexp.MustCompile(`[0-9a-f]{16,32}`)
	temporary = regexp.MustCompile(`\.([^/]*)\.flink-entrypoint-[0-9a-f]+|\.part-[0-9]+`)
	socket    = regexp.MustCompile(`^socket:.*`)
)

// placeOf names a system call with what it is about, "" for those that change nothing outside.
func placeOf(c trace.Call, dir string) string {
	file := c.File()
	switch {
	case c.Name == "clone":
		if !c.ForksProcess() {
			return ""
		}
	case strings.HasPrefix(file, "pipe:"), strings.HasPrefix(file, "anon_inode:"), file == "" && c.Name == "write", file == "/dev/null": // its log, its own poller
		return ""
	case strings.HasPrefix(file, "socket:"):
	case strings.HasPrefix(file, dir) && (c.Name == "write" || c.Name == "pwrite64" || c.Name == "ftruncate"): // SQLite's, which opens in a way of its own
	case !c.Writes:
		return ""
	}
	file = strings.TrimPrefix(strings.ReplaceAll(file, dir, ""), "/data/")
	file = temporary.ReplaceAllString(file, "$1 on its way")
	return strings.TrimSpace(c.Name + " " + socket.ReplaceAllString(runID.ReplaceAllString(file, "RUN"), "socket"))
}

// pairs are the (place, state) at which servers were killed, by all tests at the same time.
type pairs struct {
	mu   sync.Mutex
	want int
	all  map[string]bool
}

func (p *pairs) enough() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) >= p.want
}

// choose returns a function that is true once: at the first new pair after some calls.
func (p *pairs) choose(dir string, skip int, killed func(pair string)) func(trace.Call) bool {
	state, n := "before the first look", 0
	return func(c trace.Call) bool {
		if c.Name == "write" && c.Args[0] == ^uint64(0) {
			state = c.Text()
			return false
		}
		place := placeOf(c, dir)
		if place == "" {
			return false
		}
		if n++; n <= skip {
			return false
		}
		pair := place + " | " + state
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.all[pair] || len(p.all) >= p.want {
			return false
		}
		p.all[pair] = true
		killed(pair)
		if len(p.all)%50 == 0 {
			fmt.Printf("%d kills\n", len(p.all))
		}
		return true
	}
}

// TestKilledAtCalls kills the server as it enters one of its system calls that change a file, reach another process or start one; up to five
// times in one life of the eight jobs, so that a server that repairs is killed too. No two kills are at the same pair of place (the call and
// its file) and state (the last place of the monitor or the driver that it passed, with the run's queue and condition). CALL_KILLS says how many
// pairs; FLINK_SEED how many calls come before each.
func TestKilledAtCalls(t *testing.T) {
	p := &pairs{want: number(t, "CALL_KILLS", 20), all: map[string]bool{}}
	fake, rnd := world.Build(t, "test/platform/fakeflink"), seeded(t, 2)
	t.Run("lives", func(t *testing.T) {
		for i := range p.want {
			skips := []int{rnd.IntN(1200)}
			for range 4 {
				skips = append(skips, rnd.IntN(500))
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				if p.enough() {
					return
				}
				s := newSite(t, fake)
				var mu sync.Mutex
				var here []string
				next := func() {
					mu.Lock()
					kills := len(here)
					mu.Unlock()
					if s.traced = nil; kills < len(skips) {
						s.traced = p.choose(s.dir, skips[kills], func(pair string) {
							mu.Lock()
							defer mu.Unlock()
							here = append(here, pair)
						})
					}
					s.start(0)
				}
				s.again = next
				next()
				s.live()
				s.judge()
				if t.Failed() {
					t.Logf("killed at %q", here)
				}
			})
		}
	})
	t.Logf("%d kills, each at another pair", len(p.all))
	calls := map[string]int{}
	for pair := range p.all {
		place, _, _ := strings.Cut(pair, " | ")
		calls[place]++
		if os.Getenv("PAIRS") != "" {
			t.Log(pair)
		}
	}
	for place, n := range calls {
		t.Logf("%3d %s", n, filepath.ToSlash(place))
	}
	if len(p.all) < p.want {
		t.Errorf("only %d pairs were reached, want %d", len(p.all), p.want)
	}
}
