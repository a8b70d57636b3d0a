package workbench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/workbench/wall"
)

// network lets one JVM call the hosts of the policy. The JVM has a loopback of its own alone; there each host has an address, which leads
// through a socket file to the server, and the server calls the host: nothing else can be reached, whatever the JVM tries.
type network struct {
	dir       string // with the socket files
	hosts     string // the JVM's file of hosts
	routes    []wall.Route
	self      []string
	listeners []net.Listener

	ending  context.CancelFunc
	context context.Context
	running sync.WaitGroup
}

const (
	socketsSeen   = "/net"           // the directory of socket files as a JVM sees it
	mostCalls     = 100              // connections of one JVM at the same time
	callTime      = 10 * time.Second // for a host to answer
	firstLoopback = "127.1.0."       // and a number: the addresses of hosts
)

// openNetwork listens for what a JVM will call.
func (w *Workbench) openNetwork() (n *network, err error) {
	if len(w.o.Self) == 0 {
		return nil, errors.New("internal error (a bug): no command for JVMs that call hosts")
	}
	n = &network{self: w.o.Self}
	n.context, n.ending = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.dir, err = os.MkdirTemp(w.o.Dir, "net-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(n.dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.Open(n.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var file strings.Builder
	file.WriteString("127.0.0.1 localhost debug\n::1 localhost\n")
	addresses := map[string]string{"localhost": "127.0.0.1"}
	for i, target := range w.o.Policy.hosts() {
		host, port, err := net.SplitHostPort(target)
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(host)
		if addresses[name] == "" {
			addresses[name] = fmt.Sprintf("%s%d", firstLoopback, len(addresses))
			fmt.Fprintf(&file, "%s %s\n", addresses[name], host)
		}
		socket := fmt.Sprintf("%d.sock", i)
		// The path of a socket file may have 108 bytes only; this one is short wherever the directory is.
		l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socket))
		if err != nil {
			return nil, err
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false) // its name is of another open file by then
		n.listeners = append(n.listeners, l)
		if err := os.Chmod(filepath.Join(n.dir, socket), 0o666); err != nil {
			return nil, err
		}
		n.routes = append(n.routes, wall.Route{Address: net.JoinHostPort(addresses[name], port), Socket: filepath.Join(socketsSeen, socket)})
		n.running.Go(func() { n.serve(l, target) })
	}
	n.hosts = filepath.Join(n.dir, "hosts")
	return n, errors.Join(os.WriteFile(n.hosts, []byte(file.String()), 0o644), os.Chmod(n.hosts, 0o644))
}

// serve passes on connections to a host.
func (n *network) serve(l net.Listener, target string) {
	slots := make(chan struct{}, mostCalls)
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		default:
			in.Close()
			continue
		}
		n.running.Go(func() {
			defer func() { <-slots }()
			n.pass(in, target)
		})
	}
}

func (n *network) pass(in net.Conn, target string) {
	defer in.Close()
	ctx, cancel := context.WithTimeout(n.context, callTime)
	defer cancel()
	out, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return // the JVM sees that its connection ends
	}
	defer out.Close()
	defer context.AfterFunc(n.context, func() {
		in.Close()
		out.Close()
	})()
	wall.Pipe(in, out)
}

// change makes of a command that starts Java one that passes its calls on, too.
func (n *network) change(cmd *exec.Cmd) error {
	program, err := filepath.EvalSymlinks(cmd.Path)
	if err != nil {
		return err
	}
	args := append([]string{}, n.self...)
	args = append(args, wall.Arguments(n.routes, program, cmd.Args[1:])...)
	cmd.Path, cmd.Args = n.self[0], args
	return nil
}

// close ends all connections and removes the socket files.
func (n *network) close() {
	n.ending()
	for _, l := range n.listeners {
		l.Close()
	}
	n.running.Wait()
	if n.dir != "" {
		os.RemoveAll(n.dir)
	}
}
