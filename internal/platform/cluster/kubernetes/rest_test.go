package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// A gateway forwards ports as an API server and a kubelet do, over SPDY. test/kubelet has the real ones.
type gateway struct {
	t        *testing.T
	backend  string // host:port of every pod
	tunnels  atomic.Int64
	mu       sync.Mutex
	open     []httpstream.Connection
	paths    []string
	refusing atomic.Bool
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.paths = append(g.paths, r.URL.Path)
	g.mu.Unlock()
	if g.refusing.Load() {
		http.Error(w, `{"kind":"Status","message":"pods \"x\" not found","code":404}`, http.StatusNotFound)
		return
	}
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") { // as a server that cannot do it
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		g.t.Error(err)
		return
	}
	streams := make(chan httpstream.Stream, 100)
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if connection == nil {
		g.t.Error("not upgraded")
		return
	}
	g.tunnels.Add(1)
	g.mu.Lock()
	g.open = append(g.open, connection)
	g.mu.Unlock()
	errs := map[string]httpstream.Stream{}
	for {
		select {
		case <-connection.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				errs[id] = s
				continue
			}
			go g.forward(s, errs[id])
		}
	}
}

func (g *gateway) forward(data, errs httpstream.Stream) {
	defer data.Close()
	defer errs.Close()
	if port := data.Headers().Get(corev1.PortHeader); port != "8081" {
		fmt.Fprintf(errs, "error forwarding port %s: connection refused", port)
		return
	}
	to, err := net.Dial("tcp", g.backend)
	if err != nil {
		fmt.Fprint(errs, err)
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, data)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(data, to)
}

func (g *gateway) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.open {
		c.Close()
	}
	g.open = nil
}

func newGateway(t *testing.T) (*gateway, *Driver) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Host, r.URL.Path, body)
	}))
	t.Cleanup(backend.Close)
	u, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, backend: u.Host}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	d := &Driver{o: options, forward: &forwarder{config: &rest.Config{Host: server.URL + "/prefix", BearerToken: "secret"}, namespace: "flink"}}
	t.Cleanup(d.forward.close)
	return g, d
}

// TestForward: requests to a JobManager go through the API server, several at a time in one connection, and again after it was cut.
func TestForward(t *testing.T) {
	g, d := newGateway(t)
	transport := &http.Transport{DialContext: d.Dial}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	ask := func(body string) (string, error) {
		resp, err := client.Post(forwardURL("jm-0")+"/jobs", "text/plain", strings.NewReader(body))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	large := strings.Repeat("x", 1<<20)
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			body := fmt.Sprint(i, large)
			if got, err := ask(body); err != nil || got != "jm-0.pod.invalid:8081 /jobs "+body {
				t.Errorf("%.80s, %v", got, err)
			}
		})
	}
	asking.Wait()
	if n := g.tunnels.Load(); n != 1 {
		t.Errorf("%d connections for one pod", n)
	}
	if want := "/prefix/api/v1/namespaces/flink/pods/jm-0/portforward"; g.paths[len(g.paths)-1] != want {
		t.Errorf("asked for %s, want %s", g.paths[len(g.paths)-1], want)
	}
	g.cut()
	transport.CloseIdleConnections()
	if got, err := ask("again"); err != nil || got != "jm-0.pod.invalid:8081 /jobs again" {
		t.Errorf("after the connection was cut: %s, %v", got, err)
	}
	if n := g.tunnels.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestForwardFails: what is wrong is said in time.
func TestForwardFails(t *testing.T) {
	g, d := newGateway(t)
	c, err := d.Dial(t.Context(), "tcp", "jm-0.pod.invalid:9999")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "error forwarding port 9999: connection refused") {
		t.Errorf("a port on which nothing listens: %v", err)
	}
	c.Close()
	c.Close()
	if _, err := d.Dial(t.Context(), "tcp", "none.pod.invalid:8081"); err == nil || err.Error() != "no JobManager runs" {
		t.Errorf("no pod: %v", err)
	}
	g.refusing.Store(true)
	if _, err := d.Dial(t.Context(), "tcp", "x.pod.invalid:8081"); err == nil || !strings.Contains(err.Error(), `port-forward to pod x: `) {
		t.Errorf("a pod that is not there: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Dial(canceled, "tcp", "y.pod.invalid:8081"); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("canceled: %v", err)
	}
	d.forward.close()
	if _, err := d.Dial(t.Context(), "tcp", "z.pod.invalid:8081"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestLastLines takes lines from the end.
func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{{-1, "a\nb\nc\n"}, {0, ""}, {1, "c\n"}, {2, "b\nc\n"}, {3, "a\nb\nc\n"}, {9, "a\nb\nc\n"}} {
		if got := string(lastLines([]byte("a\nb\nc\n"), c.n)); got != c.want {
			t.Errorf("the last %d lines are %q, want %q", c.n, got, c.want)
		}
	}
	if got := string(lastLines([]byte("a\nb"), 1)); got != "b" {
		t.Errorf("without a line feed at the end: %q", got)
	}
}
