// Package outbound fetches texts that a definition names, for a server: a URI that a user wrote must not make the server read its own files, or
// ask what only the server can reach.
//
// Only http and https to hosts that an operator has listed. Each address that a name resolves to is looked at when it is dialed, so that a name
// cannot mean one thing when it is checked and another when it is used; and again after each redirect. An address that is not of the public
// internet is refused, whatever list the host is in: metadata services of clouds, this machine, its network.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Fetcher fetches. The zero value refuses everything.
type Fetcher struct {
	allowed []host
	client  *http.Client
	bound   int64
	time    time.Duration
}

// A host that may be asked. Without a port: 80 by http, 443 by https.
type host struct{ name, port string }

// Options are what a Fetcher needs to know.
type Options struct {
	// Allow lists hosts: NAME or NAME:PORT. Names are compared as they are written, without regard to case: a subdomain is another name.
	Allow []string
	// Bytes and Time bound one text; 0: 16 MiB and 10 s, redirects included.
	Bytes int64
	Time  time.Duration
	// Lookup resolves a name, and Dial connects to an address that was looked at; nil: as the system does. Tests have their own.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// Transport, if not nil, changes the transport: tests trust their own certificate.
	Transport func(*http.Transport)
}

// maxRedirects is how many a server may send in a row.
const maxRedirects = 5

// New makes a Fetcher. The error names a host that cannot be one.
func New(o Options) (*Fetcher, error) {
	f := &Fetcher{bound: o.Bytes, time: o.Time}
	if f.bound == 0 {
		f.bound = 16 << 20
	}
	if f.time == 0 {
		f.time = 10 * time.Second
	}
	for _, text := range o.Allow {
		h, err := hostOf(text)
		if err != nil {
			return nil, err
		}
		f.allowed = append(f.allowed, h)
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: f.time}).DialContext
	}
	transport := &http.Transport{
		// A proxy of the environment would dial in place of this process, and nothing would look at its addresses.
		Proxy: nil, DialContext: dialer(o.Lookup, o.Dial),
		DisableCompression: true, // so that the bound is of what was sent, and of what it becomes
		DisableKeepAlives:  true, TLSHandshakeTimeout: f.time, ResponseHeaderTimeout: f.time, MaxResponseHeaderBytes: 64 << 10,
	}
	if o.Transport != nil {
		o.Transport(transport)
	}
	f.client = &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return &Refused{Message: fmt.Sprintf("more than %d redirects", maxRedirects)}
		}
		next.Header.Del("Referer")
		if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
			return &Refused{Message: "a redirect leads from https to " + next.URL.Scheme}
		}
		if err := f.allows(next.URL); err != nil {
			err.Message = "a redirect leads elsewhere: " + err.Message
			return err
		}
		return nil
	}}
	return f, nil
}

func hostOf(text string) (host, error) {
	h := host{name: text}
	if name, port, err := net.SplitHostPort(text); err == nil {
		h = host{name, port}
	} else if strings.HasPrefix(text, "[") || strings.Count(text, ":") == 1 {
		return h, fmt.Errorf("%q is not a host, expected NAME or NAME:PORT", text)
	}
	h.name = plainName(h.name)
	if h.name == "" || strings.ContainsAny(h.name, "/@*?# ") || h.port != "" && strings.Trim(h.port, "0123456789") != "" {
		return h, fmt.Errorf("%q is not a host, expected NAME or NAME:PORT, without a scheme, a path or a wildcard", text)
	}
	return h, nil
}

// plainName is a name as it is compared: small letters, without the dot of the root.
func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Refused says that a URI is not fetched, whatever would answer. Its text tells a user nothing about the server's network.
type Refused struct {
	Message string
	Hint    string
}

func (r *Refused) Error() string { return r.Message }

// Way is what a user can do about it; may be empty.
func (r *Refused) Way() string { return r.Hint }

const hint = "an operator of the server lists hosts with: flink-platform serve --fetch-allow HOST"

// allows says why a URL is not fetched; nil: it is.
func (f *Fetcher) allows(u *url.URL) *Refused {
	defaults := map[string]string{"http": "80", "https": "443"}
	port, ok := defaults[u.Scheme]
	switch {
	case !ok && u.Scheme == "":
		return &Refused{"it is a path, and the server opens no file of a definition", "give it as http:// or https://"}
	case !ok:
		return &Refused{fmt.Sprintf("%q is not a scheme that the server fetches, only http and https are", u.Scheme), "the pods fetch it; the server opens no file and no store of a definition"}
	case u.User != nil:
		return &Refused{"it holds a user or a password", "the server sends none"}
	case f == nil || len(f.allowed) == 0:
		return &Refused{"the server fetches nothing: it was started without --fetch-allow", hint}
	}
	if p := u.Port(); p != "" {
		port = p
	}
	name := plainName(u.Hostname())
	if !slices.ContainsFunc(f.allowed, func(h host) bool {
		return h.name == name && (h.port == port || h.port == "" && port == defaults[u.Scheme])
	}) {
		return &Refused{fmt.Sprintf("the host %q is not one that the server may fetch from", u.Host), hint}
	}
	return nil
}

// Allows says why a URI is not fetched, without asking for it; nil: it would be.
func (f *Fetcher) Allows(uri string) error {
	u, err := url.Parse(uri)
	if err != nil {
		return &Refused{"it is not a URI", ""}
	}
	if err := f.allows(u); err != nil {
		return err
	}
	return nil
}

// Text fetches a text. The error is a [*Refused], or says how the host failed; it never has a part of the answer's content.
func (f *Fetcher) Text(ctx context.Context, uri string) (string, error) {
	if err := f.Allows(uri); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, f.time)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return "", &Refused{"it is not a URI", ""}
	}
	req.Header.Set("User-Agent", "flink-platform")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		return "", f.failure(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the host answers with %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, f.bound+1))
	switch {
	case err != nil:
		return "", f.failure(err)
	case int64(len(b)) > f.bound:
		return "", fmt.Errorf("it is longer than %d bytes", f.bound)
	case !utf8.Valid(b):
		return "", errors.New("it is not a text in UTF-8")
	}
	return string(b), nil
}

// failure says what failed without what only the server can see: a user who may choose paths of a host need not learn about its network.
func (f *Fetcher) failure(err error) error {
	var refused *Refused
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the host did not answer within %s", f.time)
	case errors.As(err, &dns):
		return errors.New("the host's name cannot be resolved")
	case errors.As(err, &op):
		return errors.New("the host cannot be reached")
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Errorf("the host did not answer within %s", f.time)
	}
	return errors.New("the host's answer cannot be read")
}

// dialer connects to the addresses of a name, each of which is looked at before.
func dialer(lookup func(context.Context, string) ([]netip.Addr, error), dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		var addresses []netip.Addr
		if a, err := netip.ParseAddr(name); err == nil {
			addresses = []netip.Addr{a}
		} else if addresses, err = lookup(ctx, name); err != nil {
			return nil, err
		}
		failed := error(&net.DNSError{Err: "no address", Name: name})
		for _, a := range addresses {
			if !Public(a) {
				failed = &Refused{fmt.Sprintf("the host %q has an address that is not of the public internet", name), "addresses of this machine, of private networks and of metadata services are never fetched from"}
				continue
			}
			c, err := dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
			if err == nil {
				return c, nil
			}
			failed = err
		}
		return nil, failed
	}
}

// Public reports whether an address is of the public internet: one that RFC 6890 and its registries give to no other purpose. An address of
// version 4 inside one of version 6 (mapped, translated, tunneled) is looked at as what it leads to, or refused.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false // loopback, link-local (169.254.169.254), multicast, unspecified, 10/8, 172.16/12, 192.168/16, fc00::/7 (fd00:ec2::254)
	}
	for _, p := range special() {
		if p.Contains(a) {
			return false
		}
	}
	return a.Is4() || netip.MustParsePrefix("2000::/3").Contains(a)
}

// special are prefixes with a purpose of their own, from IANA's registries of special-purpose addresses.
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}
