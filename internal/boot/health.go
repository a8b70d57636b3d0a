package boot

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
)

// Listener is where a running role can be asked whether it lives.
type Listener struct {
	Addresses []string // host:port; the role listens on one of them
	HTTP      bool     // it speaks HTTP, otherwise an accepted connection is the answer
	TLS       bool
}

// probe says which keys name a role's socket. The first key of a list that is set decides, as in Flink's own fallbacks.
type probe struct {
	hosts, ports []string
	defaultPort  string
	http         bool
	tls          string // key; security.ssl.enabled stands for it where it is unset (deprecated, but read by every version)
}

func probeOf(role string) (probe, bool) {
	switch role {
	case "jobmanager", "standalone-job":
		return probe{hosts: []string{keyRestBindAddress}, ports: []string{"rest.bind-port", "rest.port", "web.port"},
			defaultPort: "8081", http: true, tls: "security.ssl.rest.enabled"}, true
	case "taskmanager":
		return probe{hosts: []string{keyTaskManagerBind}, ports: []string{"taskmanager.rpc.bind-port", keyTaskManagerRPCPort}, defaultPort: "0"}, true
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

// FindListener reads the configuration that a start of role wrote, and says where the process listens. The role's dynamic
// properties (args) win, as they do in Flink. An error means that nothing is known, for instance before the first start.
func FindListener(role string, args []string, opts Options, env []string) (Listener, error) {
	p, ok := probeOf(role)
	if !ok {
		return Listener{}, fail(Usage, fmt.Errorf("health needs a role, found %q", role), "roles: "+RoleNames())
	}
	conf, err := renderedConfiguration(args, opts, newEnvironment(env))
	if err != nil {
		return Listener{}, err
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
		return Listener{}, fmt.Errorf("%s: %w", strings.Join(p.ports, ", "), err)
	}
	l := Listener{HTTP: p.http}
	for _, port := range ports {
		l.Addresses = append(l.Addresses, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if p.tls != "" {
		l.TLS = strings.EqualFold(first([]string{p.tls, "security.ssl.enabled"}, "false"), "true")
	}
	return l, nil
}

// renderedConfiguration reads the file that the role's start left. The Flink home gives the version, and that the format.
func renderedConfiguration(args []string, opts Options, env environment) (*flinkconf.Conf, error) {
	dir := opts.ConfOut
	if dir == "" {
		dir = filepath.Join(opts.RunDir, "conf")
	}
	home := env.get("FLINK_HOME")
	if home == "" {
		home = "/opt/flink"
	}
	dist, err := distribution.Open(home, env.lookup, opts.FlinkVersion)
	if err != nil {
		return nil, err
	}
	name, format, ok := confpatch.InForce(dist.Version, func(name string) bool {
		st, err := os.Stat(filepath.Join(dir, name))
		return err == nil && !st.IsDir()
	})
	if !ok {
		return nil, fmt.Errorf("no configuration in %s: the role has not started yet: %w", dir, fs.ErrNotExist)
	}
	src, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	file, err := confpatch.Parse(name, format, dist.Version, src)
	if err != nil {
		return nil, err
	}
	return flinkconf.ApplyDynamicArgs(file.Conf(), args, dist.Version)
}

// maxPorts bounds what a probe tries of a port range. A role takes the first free port, so it is near the start.
const maxPorts = 16

// portRange reads Flink's port ranges, such as "8081", "50100-50200" or "50100-50110,50200". The port 0 is nobody's: the
// system chooses one, and nothing outside the process knows which.
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
			return nil, fmt.Errorf("found %q: a port that the system chooses cannot be probed, give it a number", text)
		}
		for port := first; port <= last && len(ports) < maxPorts; port++ {
			ports = append(ports, int(port))
		}
	}
	return ports, nil
}
