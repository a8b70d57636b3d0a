package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A world has names with addresses, and a real HTTP server at the public ones: what is dialed is noted, and leads to the server.
type world struct {
	server *httptest.Server
	names  map[string][]string
	dialed []string
	asked  atomic.Int32
}

func newWorld(t *testing.T, names map[string][]string, h http.HandlerFunc) *world {
	w := &world{names: names}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		h(rw, r)
	}))
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) fetcher(t *testing.T, allow ...string) *Fetcher {
	t.Helper()
	f, err := New(Options{Allow: allow, Bytes: 1000, Time: 5 * time.Second,
		Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			var all []netip.Addr
			for _, a := range w.names[name] {
				all = append(all, netip.MustParseAddr(a))
			}
			if all == nil {
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return all, nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			w.dialed = append(w.dialed, address)
			u, _ := url.Parse(w.server.URL)
			return new(net.Dialer).DialContext(ctx, network, u.Host)
		}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestText(t *testing.T) {
	w := newWorld(t, map[string][]string{"git.example.com": {"93.184.215.14"}}, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "git.example.com" || r.URL.RequestURI() != "/a.sql?x=1" || r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("Referer") != "" {
			t.Errorf("%s %s %v", r.Host, r.URL, r.Header)
		}
		fmt.Fprint(w, "SELECT 1;")
	})
	text, err := w.fetcher(t, "Git.Example.com.").Text(t.Context(), "http://git.example.com/a.sql?x=1")
	if err != nil || text != "SELECT 1;" || len(w.dialed) != 1 || w.dialed[0] != "93.184.215.14:80" {
		t.Errorf("%q %v, dialed %q", text, err, w.dialed)
	}
}

// TestNotListed: what is not listed is refused before anything is asked.
func TestNotListed(t *testing.T) {
	w := newWorld(t, map[string][]string{"git.example.com": {"93.184.215.14"}, "other.example.com": {"93.184.215.14"}, "x.git.example.com": {"93.184.215.14"}}, says("x"))
	f := w.fetcher(t, "git.example.com", "other.example.com:8443")
	for uri, want := range map[string]string{
		"/etc/shadow":                              "opens no file",
		"file:///etc/shadow":                       `"file" is not a scheme`,
		"FILE:/etc/shadow":                         `"file" is not a scheme`,
		"s3://bucket/a.sql":                        `"s3" is not a scheme`,
		"gopher://git.example.com/":                `"gopher" is not a scheme`,
		"http://user:pw@git.example.com/":          "a user or a password",
		"http://git.example.com@evil.example.com/": "a user or a password",
		"http://evil.example.com/":                 "is not one that the server may fetch from",
		"http://x.git.example.com/":                "is not one that the server may fetch from",
		"http://git.example.com.evil.example/":     "is not one that the server may fetch from",
		"http://git.example.com:22/":               "is not one that the server may fetch from",
		"https://git.example.com:80/":              "is not one that the server may fetch from",
		"http://other.example.com/":                "is not one that the server may fetch from",
		"http://169.254.169.254/latest/meta-data/": "is not one that the server may fetch from",
		"http://127.0.0.1/":                        "is not one that the server may fetch from",
		"http://[::1]/":                            "is not one that the server may fetch from",
		"http:///x":                                "is not one that the server may fetch from",
		"http://git.example.com\t/":                "not a URI",
		"//git.example.com/x":                      "opens no file",
	} {
		_, err := f.Text(t.Context(), uri)
		if _, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", uri, err, want)
		}
	}
	if len(w.dialed) > 0 {
		t.Errorf("dialed %q", w.dialed)
	}
	for _, none := range []*Fetcher{nil, w.fetcher(t)} {
		_, err := none.Text(t.Context(), "http://git.example.com/")
		if r, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(r.Message, "without --fetch-allow") || !strings.Contains(r.Hint, "--fetch-allow") {
			t.Errorf("without the flag: %v", err)
		}
	}
	for _, bad := range []string{"", "*.example.com", "http://git.example.com", "git.example.com/x", "a b", "git.example.com:http", "git.example.com:"} {
		if _, err := New(Options{Allow: []string{bad}}); (err == nil) != (bad == "git.example.com:") {
			t.Errorf("the host %q: %v", bad, err)
		}
	}
}

// TestAddresses: a name that is listed leads to no address but a public one, whatever its form; others of the same name may be used.
func TestAddresses(t *testing.T) {
	private := []string{"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200",
		"192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
		"ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "100::1", "5f00::1"}
	names := map[string][]string{"all.example.com": private, "both.example.com": {"10.0.0.1", "::ffff:127.0.0.1", "8.8.8.8"}}
	for i, a := range private {
		names[fmt.Sprintf("n%d.example.com", i)] = []string{a}
	}
	var allow []string
	for n := range names {
		allow = append(allow, n)
	}
	w := newWorld(t, names, says("x"))
	f := w.fetcher(t, append(allow, "127.0.0.1", "[::ffff:10.0.0.1]:80", "169.254.169.254", "2130706433", "0x7f.1", "0")...)
	w.names["2130706433"], w.names["0x7f.1"], w.names["0"] = []string{"127.0.0.1"}, []string{"127.0.0.1"}, []string{"0.0.0.0"} // as getaddrinfo reads them
	for i, a := range private {
		if Public(netip.MustParseAddr(a)) {
			t.Errorf("%s counts as public", a)
		}
		if _, err := f.Text(t.Context(), fmt.Sprintf("http://n%d.example.com/", i)); err == nil || !strings.Contains(err.Error(), "not of the public internet") {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, uri := range []string{"http://all.example.com/", "http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest/meta-data/", "http://2130706433/", "http://0x7f.1/", "http://0/"} {
		_, err := f.Text(t.Context(), uri)
		if r, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(r.Message, "not of the public internet") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if len(w.dialed) > 0 || w.asked.Load() > 0 {
		t.Errorf("dialed %q", w.dialed)
	}
	if _, err := f.Text(t.Context(), "http://both.example.com/"); err != nil || len(w.dialed) != 1 || w.dialed[0] != "8.8.8.8:80" {
		t.Errorf("%v, dialed %q", err, w.dialed)
	}
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450::1"} {
		if !Public(netip.MustParseAddr(a)) {
			t.Errorf("%s does not count as public", a)
		}
	}
	if Public(netip.MustParseAddr("2606:4700::1111%eth0")) {
		t.Error("an address with a zone counts as public")
	}
}

// TestNameChanges: a name that has a public address when it is checked and a private one when it is used is refused: the one that is dialed was looked at.
func TestNameChanges(t *testing.T) {
	n := 0
	f, err := New(Options{Allow: []string{"a.example.com"}, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		n++
		if n == 1 {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		if address != "8.8.8.8:80" {
			t.Errorf("dialed %s", address)
		}
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Text(t.Context(), "http://a.example.com/"); err == nil || err.Error() != "the host cannot be reached" {
		t.Error(err)
	}
	if _, err := f.Text(t.Context(), "http://a.example.com/"); err == nil || !strings.Contains(err.Error(), "not of the public internet") {
		t.Error(err)
	}
}

// TestRedirects: each is looked at as the first URI was.
func TestRedirects(t *testing.T) {
	names := map[string][]string{"a.example.com": {"8.8.8.8"}, "b.example.com": {"8.8.4.4"}, "inside.example.com": {"10.0.0.1"}, "evil.example.com": {"8.8.8.8"}}
	to := ""
	w := newWorld(t, names, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/go":
			http.Redirect(w, r, to, http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		default:
			if r.Header.Get("Referer") != "" {
				t.Error("it tells where it comes from")
			}
			fmt.Fprint(w, "end")
		}
	})
	f := w.fetcher(t, "a.example.com", "b.example.com", "inside.example.com")
	for target, want := range map[string]string{
		"http://b.example.com/end":     "",
		"/end":                         "",
		"http://evil.example.com/":     "a redirect leads elsewhere",
		"http://inside.example.com/":   "not of the public internet",
		"http://169.254.169.254/":      "a redirect leads elsewhere",
		"file:///etc/shadow":           "a redirect leads elsewhere",
		"http://u:p@b.example.com/end": "a redirect leads elsewhere",
	} {
		to = target
		text, err := f.Text(t.Context(), "http://a.example.com/go")
		if want == "" && (err != nil || text != "end") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q %v", target, text, err)
		}
	}
	if _, err := f.Text(t.Context(), "http://a.example.com/loop"); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("a loop: %v", err)
	}
}

// TestBounds: an answer that is too long, too slow, not a text or not there is an error that says nothing of its content.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, map[string][]string{"a.example.com": {"8.8.8.8"}}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", 1001))
		case "/exact":
			fmt.Fprint(w, strings.Repeat("x", 1000))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/binary":
			w.Write([]byte{0xff, 0xfe, 's', 'e', 'c', 'r', 'e', 't'})
		case "/missing":
			http.Error(w, "a secret page", http.StatusNotFound)
		case "/slow":
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	f := w.fetcher(t, "a.example.com")
	for path, want := range map[string]string{"/long": "longer than 1000 bytes", "/endless": "longer than 1000 bytes", "/exact": "", "/binary": "not a text in UTF-8", "/missing": "answers with 404"} {
		_, err := f.Text(t.Context(), "http://a.example.com"+path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f.time = 50 * time.Millisecond
	if _, err := f.Text(t.Context(), "http://a.example.com/slow"); err == nil || !strings.Contains(err.Error(), "did not answer within 50ms") {
		t.Errorf("slow: %v", err)
	}
	close(release)
	if _, err := f.Text(t.Context(), "http://nowhere.example.com/"); err == nil || !strings.Contains(err.Error(), "may fetch from") {
		t.Errorf("not listed: %v", err)
	}
	if _, err := w.fetcher(t, "nowhere.example.com").Text(t.Context(), "http://nowhere.example.com/"); err == nil || err.Error() != "the host's name cannot be resolved" {
		t.Errorf("no such name: %v", err)
	}
}

// TestTLS: https is checked against the name of the URI, and a redirect never leads back to http.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
			return
		}
		fmt.Fprint(w, "safe")
	}))
	defer server.Close()
	make := func(trust bool) *Fetcher {
		f, err := New(Options{Allow: []string{"example.com", "other.example.org"}, Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}, Transport: func(tr *http.Transport) {
			if trust {
				tr.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if text, err := make(true).Text(t.Context(), "https://example.com/"); err != nil || text != "safe" {
		t.Errorf("%q %v", text, err)
	}
	for _, f := range []struct {
		f         *Fetcher
		uri, want string
	}{{make(true), "https://other.example.org/", "cannot be"}, {make(false), "https://example.com/", "cannot be"}, {make(true), "https://example.com/down", "from https to http"}} {
		if _, err := f.f.Text(t.Context(), f.uri); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v", f.uri, err)
		}
	}
}
