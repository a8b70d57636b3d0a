// Package health asks a running role whether it answers.
//
// It reads the configuration that the role's start wrote, finds the role's socket there, and connects to it. It asks no
// more than that the socket is served. A standby JobManager answers too (503, leader election), and a TaskManager that has
// lost its JobManager waits for it: to restart either of them would prolong an outage of the leader.
package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/boot"
)

// timeout is the time for the whole probe. Kubernetes' own default is one second, but the start of a process in a busy
// container is part of it.
const timeout = 2 * time.Second

// Probe returns the address that answers and what it answers. args are the arguments of the role, whose dynamic properties
// beat the file, as they do in Flink. An error means that nothing answers, or that nothing is known, for instance before
// the first start.
func Probe(ctx context.Context, role string, args []string, opts boot.Options, env []string) (address, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l, err := find(role, args, opts, env)
	if err != nil {
		return "", "", err
	}
	for _, address := range l.addresses {
		if answer, err = l.ask(ctx, address); err == nil {
			return address, answer, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return "", "", fmt.Errorf("%s: %w", role, err)
}

// listener is where a running role can be asked.
type listener struct {
	addresses []string // host:port; the role listens on one of them
	http      bool     // it speaks HTTP, otherwise an accepted connection is the answer
	tls       bool
}

// probe says which keys name a role's socket. The first key of a list that is set decides, as in Flink's own fallbacks.
type probe struct {
	hosts, ports []string
	defaultPort  string
	http         bool
	tls          string // key; security.ssl.enabled is used where it is unset (deprecated, but read by every version)
}

func probeOf(role string) (probe, bool) {
	switch role {
	case "jobmanager", "standalone-job", "kubernetes-session", "kubernetes-application":
		return probe{hosts: []string{"rest.bind-address"}, ports: []string{"rest.bind-port", "rest.port", "web.port"},
			defaultPort: "8081", http: true, tls: "security.ssl.rest.enabled"}, true
	case "taskmanager", "kubernetes-taskmanager":
		return probe{hosts: []string{"taskmanager.bind-host"}, ports: []string{"taskmanager.rpc.bind-port", "taskmanager.rpc.port"}, defaultPort: "0"}, true
	case "history-server":
		return probe{hosts: []string{"historyserver.web.address"}, ports: []string{"historyserver.web.port"},
			defaultPort: "8082", http: true, tls: "historyserver.web.ssl.enabled"}, true
	case "sql-gateway":
		return probe{hosts: []string{"sql-gateway.endpoint.rest.bind-address"},
			ports:       []string{"sql-gateway.endpoint.rest.bind-port", "sql-gateway.endpoint.rest.port"},
			defaultPort: "8083", http: true, tls: "security.ssl.rest.enabled"}, true
	}
	return probe{}, false
}

// find reads the configuration of the last start and finds where the process listens.
func find(role string, args []string, opts boot.Options, env []string) (listener, error) {
	p, ok := probeOf(role)
	if !ok {
		return listener{}, fmt.Errorf("health needs a role, found %q", role)
	}
	conf, err := boot.RenderedConf(args, opts, env)
	if err != nil {
		return listener{}, err
	}
	first := func(keys []string, otherwise string) string {
		for _, k := range keys {
			if v := strings.TrimSpace(conf.Text(k)); v != "" {
				return v
			}
		}
		return otherwise
	}
	host := first(p.hosts, "")
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // every interface, and this one needs no network
	}
	ports, err := portRange(first(p.ports, p.defaultPort))
	if err != nil {
		return listener{}, fmt.Errorf("%s: %w", strings.Join(p.ports, ", "), err)
	}
	l := listener{http: p.http}
	for _, port := range ports {
		l.addresses = append(l.addresses, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if p.tls != "" {
		l.tls = strings.EqualFold(first([]string{p.tls, "security.ssl.enabled"}, "false"), "true")
	}
	return l, nil
}

// maxPorts bounds what a probe tries of a port range. A role takes the first free port, so it is near the start.
const maxPorts = 16

// portRange reads Flink's port ranges, such as "8081", "50100-50200" or "50100-50110,50200". Of the port 0 nothing
// outside the process knows which one the system has chosen.
func portRange(text string) ([]int, error) {
	var ports []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		last, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		if err1 != nil || err2 != nil || last < first {
			return nil, fmt.Errorf("found %q, expected a port or a range of ports", text)
		}
		if first == 0 {
			return nil, fmt.Errorf("found %q: a port that the system chooses cannot be probed, set a fixed port", text)
		}
		for port := first; port <= last && len(ports) < maxPorts; port++ {
			ports = append(ports, int(port))
		}
	}
	return ports, nil
}

// ask returns what answers at the address.
func (l listener) ask(ctx context.Context, address string) (string, error) {
	if !l.http {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return "", err
		}
		return "accepts connections", conn.Close()
	}
	scheme := "http"
	if l.tls {
		scheme = "https"
	}
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Only that something answers matters, and no byte of the answer is used: a certificate for the service's
			// name cannot match this loopback address.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/config", nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	var alert tls.AlertError
	if err != nil && (errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")) {
		return "requires a client certificate, so it is running", nil // security.ssl.rest.authentication-enabled
	}
	if err != nil {
		return "", err
	}
	return "answers with " + res.Status, res.Body.Close()
}
