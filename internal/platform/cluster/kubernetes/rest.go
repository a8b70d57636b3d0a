package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// forwardSuffix is of hosts that are pods, reached through the API server. No such host can be on the network (RFC 2606).
const forwardSuffix = ".pod.invalid"

// noPod is the name instead of a pod where no JobManager runs.
const noPod = "none"

func forwardURL(pod string) string { return "http://" + hostPort(pod+forwardSuffix, restPort) }

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Dial connects to an address of [Driver.Observe].
func (d *Driver) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if pod, ok := strings.CutSuffix(host, forwardSuffix); ok {
		if pod == noPod {
			return nil, errors.New("no JobManager runs")
		}
		return d.forward.dial(ctx, pod, port)
	}
	return (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, address)
}

// A forwarder has one connection to the API server for each pod, and streams in it, as kubectl port-forward does.
type forwarder struct {
	config    *rest.Config
	namespace string
	requests  atomic.Int64

	mu     sync.Mutex
	pods   map[string]*tunnel
	closed bool
}

// A tunnel is the connection for a pod. ready is closed when it is there or has failed.
type tunnel struct {
	begun      time.Time
	ready      chan struct{}
	connection httpstream.Connection
	err        error
}

// dial opens a stream to a port of a pod.
func (f *forwarder) dial(ctx context.Context, pod, port string) (net.Conn, error) {
	for again := true; ; again = false {
		t, fresh, err := f.tunnel(pod)
		if err != nil {
			return nil, err
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			return nil, fmt.Errorf("port-forward to pod %s: %w", pod, ctx.Err())
		}
		if t.err != nil {
			f.drop(pod, t)
			return nil, fmt.Errorf("port-forward to pod %s: %w", pod, t.err)
		}
		stream, err := f.streamWithin(ctx, t.connection, pod, port)
		if err == nil {
			return stream, nil
		}
		f.drop(pod, t)
		if fresh || !again { // one that was kept can be dead
			return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
		}
	}
}

// tunnel is the connection for a pod, which may be on its way.
func (f *forwarder) tunnel(pod string) (t *tunnel, fresh bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false, net.ErrClosed
	}
	if t := f.pods[pod]; t != nil {
		select {
		case <-t.ready:
			if t.err == nil {
				select {
				case <-t.connection.CloseChan():
				default:
					return t, false, nil
				}
			}
		default:
			if time.Since(t.begun) < timeout {
				return t, true, nil
			}
			// Its other end does not answer; it is closed if it comes after all.
		}
	}
	t = &tunnel{begun: time.Now(), ready: make(chan struct{})}
	if f.pods == nil {
		f.pods = map[string]*tunnel{}
	}
	f.pods[pod] = t
	go func() {
		defer close(t.ready)
		if t.connection, t.err = f.connect(pod); t.err != nil {
			return
		}
		f.mu.Lock()
		late := f.pods[pod] != t
		f.mu.Unlock()
		if late {
			t.connection.Close()
			return
		}
		go func() {
			<-t.connection.CloseChan()
			f.drop(pod, t)
		}()
	}()
	return t, true, nil
}

// drop forgets a tunnel.
func (f *forwarder) drop(pod string, t *tunnel) {
	f.mu.Lock()
	if f.pods[pod] == t {
		delete(f.pods, pod)
	}
	f.mu.Unlock()
	if t.connection != nil {
		t.connection.Close()
	}
}

// close ends every tunnel.
func (f *forwarder) close() {
	f.mu.Lock()
	f.closed = true
	all := f.pods
	f.pods = nil
	f.mu.Unlock()
	for _, t := range all {
		select {
		case <-t.ready:
			if t.connection != nil {
				t.connection.Close()
			}
		default: // it finds that it is late
		}
	}
}

// connect asks the API server for a connection to a pod: a WebSocket, or SPDY where the server or a proxy cannot do that.
func (f *forwarder) connect(pod string) (httpstream.Connection, error) {
	config := rest.CopyConfig(f.config)
	config.Timeout = 0
	host, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	address := host.JoinPath("api", "v1", "namespaces", f.namespace, "pods", pod, "portforward")
	sockets, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	streams := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, &url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path})
	dialer := portforward.NewFallbackDialerForStreaming(sockets, streams, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	return connection, err
}

// streamWithin gives up a connection on which nothing is answered: what is at its other end is gone, and did not say so.
func (f *forwarder) streamWithin(ctx context.Context, connection httpstream.Connection, pod, port string) (net.Conn, error) {
	type opened struct {
		stream net.Conn
		err    error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := f.stream(connection, pod, port)
		done <- opened{s, err}
	}()
	late := func(err error) (net.Conn, error) {
		connection.Close() // ends what waits for it
		go func() {
			if o := <-done; o.stream != nil {
				o.stream.Close()
			}
		}()
		return nil, err
	}
	select {
	case o := <-done:
		return o.stream, o.err
	case <-ctx.Done():
		return late(ctx.Err())
	case <-time.After(streamTimeout):
		return late(fmt.Errorf("no answer in %s", streamTimeout))
	}
}

// streamTimeout is how long a stream in a connection may take to begin. A request to a JobManager has 5 s.
const streamTimeout = 2 * time.Second

// stream opens a pair of streams: for what is sent, and for what the kubelet says of errors.
func (f *forwarder) stream(connection httpstream.Connection, pod, port string) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(f.requests.Add(1), 10))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	errs, err := connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	errs.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(headers)
	if err != nil {
		connection.RemoveStreams(errs)
		return nil, err
	}
	c := &forwarded{Stream: data, errs: errs, connection: connection, pod: pod, listened: make(chan struct{})}
	go c.listen()
	return c, nil
}

// forwarded is a stream to a pod's port as a connection.
type forwarded struct {
	httpstream.Stream
	errs       httpstream.Stream
	connection httpstream.Connection
	pod        string
	said       atomic.Pointer[string] // by the kubelet
	listened   chan struct{}          // closed when it says no more
	closing    sync.Once
}

// listen reads what the kubelet says: nothing listens on the port, the pod is gone.
func (c *forwarded) listen() {
	defer close(c.listened)
	const most = 4 << 10
	text, err := io.ReadAll(io.LimitReader(c.errs, most))
	if len(text) > 0 && err == nil {
		s := string(text)
		c.said.Store(&s)
		c.Stream.Reset()
	}
}

func (c *forwarded) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	if err == nil {
		return n, nil
	}
	select { // what is said of an end can come a moment after it
	case <-c.listened:
	case <-time.After(time.Second):
	}
	if said := c.said.Load(); said != nil {
		return n, errors.New(*said)
	}
	return n, err
}

// Close ends both streams.
func (c *forwarded) Close() error {
	c.closing.Do(func() {
		c.Stream.Reset()
		c.errs.Reset()
		c.connection.RemoveStreams(c.Stream, c.errs)
	})
	return nil
}

type podAddress string

func (podAddress) Network() string  { return "port-forward" }
func (a podAddress) String() string { return string(a) }

func (c *forwarded) LocalAddr() net.Addr  { return podAddress("") }
func (c *forwarded) RemoteAddr() net.Addr { return podAddress(c.pod) }

// A stream has no deadlines; those who wait for answers have their own, and close it.
func (c *forwarded) SetDeadline(time.Time) error      { return nil }
func (c *forwarded) SetReadDeadline(time.Time) error  { return nil }
func (c *forwarded) SetWriteDeadline(time.Time) error { return nil }
