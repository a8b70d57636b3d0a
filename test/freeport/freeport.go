// Package freeport gives tests ports for servers that are started, killed and started again. They are below the ports that the kernel gives to whoever
// does not ask for one: else a connection of another test takes a port before its server listens, or while it is down.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

var (
	mu    sync.Mutex
	given = map[int]bool{} // by this process: none is given twice
)

const (
	lowest = 10_000
	most   = 1000 // tries for a port
)

// Ports returns ports of loopback where nothing listens.
func Ports(n int) (ports []int, err error) {
	highest := 0
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &highest)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read which ports the kernel gives: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for tries := 0; len(ports) < n; tries++ {
		if highest <= lowest || tries == n*most {
			return nil, fmt.Errorf("no %d free ports between %d and %d, which is where the kernel's own begin", n, lowest, highest)
		}
		port := lowest + rand.IntN(highest-lowest)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		given[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

// Address is one of them, with the address of loopback.
func Address(t testing.TB) string {
	t.Helper()
	ports, err := Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
}
