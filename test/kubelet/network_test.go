//go:build kubelet

package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"flink-entrypoint/test/cluster"
)

// nodeAddress is where pods find the API server and DNS: an address of the loopback interface (RFC 5737), since pods cannot reach 127.0.0.1.
const nodeAddress = "192.0.2.1"

// clusterDomain ends the names of services.
const clusterDomain = "cluster.local"

// network gives the node its address and its DNS, for the node's own programs too.
func (n *node) network() error {
	// The second one is only a route, which the node itself needs to services before kube-proxy's rules lead it on.
	for alias, prefix := range map[string]string{"lo:1": nodeAddress + "/32", "lo:2": serviceRoute} {
		if err := addAddress(alias, netip.MustParsePrefix(prefix)); err != nil {
			return fmt.Errorf("address %s: %w", prefix, err)
		}
	}
	const file = "/etc/resolv.conf"
	if link, err := os.Readlink(file); err == nil { // often into /run, which is the node's own and empty
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(file), link)
		}
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if _, err := os.Stat(link); err != nil {
			if err := os.WriteFile(link, nil, 0o644); err != nil {
				return err
			}
		}
	}
	if err := syscall.Mount(filepath.Join(n.dir, "resolv.conf"), file, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", file, err)
	}
	conn, err := net.ListenPacket("udp4", nodeAddress+":53")
	if err != nil {
		return err
	}
	go n.serveDNS(conn)
	return nil
}

// addAddress gives an interface one more address, as its alias.
func addAddress(alias string, prefix netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ip := prefix.Addr().As4()
	for _, step := range []struct {
		request uint
		value   net.IP
	}{{unix.SIOCSIFADDR, ip[:]}, {unix.SIOCSIFNETMASK, net.IP(net.CIDRMask(prefix.Bits(), 32))}} {
		ifr, err := unix.NewIfreq(alias)
		if err != nil {
			return err
		}
		if err := ifr.SetInet4Addr(step.value); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, step.request, ifr); err != nil {
			return err
		}
	}
	return nil
}

// serveDNS answers questions for the addresses of services as Kubernetes' DNS does (its specification, 2.3 and 2.4), from what the
// API server says at that moment. It replaces CoreDNS: names outside of the cluster do not exist.
func (n *node) serveDNS(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var question dnsmessage.Message
		if question.Unpack(buffer[:size]) != nil || len(question.Questions) != 1 {
			continue
		}
		go func() {
			if answer, err := n.answer(question); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}()
	}
}

func (n *node) answer(question dnsmessage.Message) ([]byte, error) {
	q := question.Questions[0]
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, Authoritative: true, RecursionDesired: question.RecursionDesired, RecursionAvailable: true}, Questions: question.Questions}
	addresses, found, err := n.addressesOf(context.Background(), q.Name.String())
	switch {
	case err != nil:
		m.RCode = dnsmessage.RCodeServerFailure
	case !found:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		for _, a := range addresses {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.AResource{A: a.As4()}})
		}
	}
	return m.Pack()
}

// addressesOf returns the address of the Service SERVICE.NAMESPACE.svc.cluster.local., or of each of its ready pods if it has none itself.
func (n *node) addressesOf(ctx context.Context, name string) (addresses []netip.Addr, found bool, err error) {
	path, ok := strings.CutSuffix(strings.ToLower(name), ".svc."+clusterDomain+".")
	service, namespace, two := strings.Cut(path, ".")
	if !ok || !two || strings.Contains(namespace, ".") {
		return nil, false, nil
	}
	var object struct {
		Spec struct {
			ClusterIP                string
			PublishNotReadyAddresses bool
		}
	}
	if status, err := n.api.do(ctx, http.MethodGet, within(namespace, "v1", "Service")+"/"+service, nil, &object); err != nil {
		if status == http.StatusNotFound {
			return nil, false, nil
		}
		return nil, false, err
	}
	if object.Spec.ClusterIP != "None" {
		address, err := netip.ParseAddr(object.Spec.ClusterIP)
		return []netip.Addr{address}, true, err
	}
	var slices struct {
		Items []struct {
			AddressType string
			Endpoints   []struct {
				Addresses  []netip.Addr
				Conditions struct{ Ready *bool }
			}
		}
	}
	selector := "?labelSelector=" + url.QueryEscape("kubernetes.io/service-name="+service)
	if _, err := n.api.do(ctx, http.MethodGet, within(namespace, "discovery.k8s.io/v1", "EndpointSlice")+selector, nil, &slices); err != nil {
		return nil, false, err
	}
	for _, slice := range slices.Items {
		for _, e := range slice.Endpoints {
			if slice.AddressType == "IPv4" && (e.Conditions.Ready == nil || *e.Conditions.Ready || object.Spec.PublishNotReadyAddresses) {
				addresses = append(addresses, e.Addresses...)
			}
		}
	}
	return addresses, true, nil
}

// hasAccount tells whether the controllers have made a namespace's account for pods.
func (n *node) hasAccount(ctx context.Context, namespace string) error {
	if _, err := n.api.do(ctx, http.MethodGet, within(namespace, "v1", "ServiceAccount")+"/default", nil, nil); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	return nil
}
