package freeport

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestPorts(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for range 20 {
		ports, err := Ports(5)
		if err != nil || len(ports) != 5 {
			t.Fatal(ports, err)
		}
		for _, p := range ports {
			if seen[p] || p >= kernels || p < lowest {
				t.Errorf("port %d: given before %t, the kernel's own begin at %d", p, seen[p], kernels)
			}
			seen[p] = true
		}
	}
	l, err := net.Listen("tcp", Address(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
