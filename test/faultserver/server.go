// Package faultserver is an HTTP service that misbehaves on purpose, on real loopback sockets and with real
// TLS. Each [Behaviour] is one way in which services, proxies and networks fail (or one good way, to compare
// with); tests start the one they need:
//
//	s, err := faultserver.Start("flaky-503", content)
//	defer s.Close()
//	… fetch s.URL …
//	s.Requests() // what arrived
package faultserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Behaviour is one way to answer.
type Behaviour struct {
	Name    string // the argument of Start
	Summary string // one line, for people

	tls  tlsMode
	http func(x *exchange)         // one request
	conn func(c net.Conn, nth int) // instead of http: one connection, before any TLS
	none bool                      // no listener
}

type tlsMode int

const (
	plain tlsMode = iota
	tlsGood
	tlsExpired
	tlsWrongHost
	tlsUnknownCA
	tlsOld        // TLS 1.0 only
	tlsClientCert // wants a certificate of the same authority
	tlsHTTP2
)

// exchange is one request with what a behaviour needs to answer it.
type exchange struct {
	http.ResponseWriter
	*http.Request
	s       *Server
	nth     int  // 1 for the first request of this server
	other   bool // it arrived at the other origin
	content []byte
}

// Request is one that arrived.
type Request struct {
	Path       string
	Header     http.Header
	Host       string
	Other      bool // at the other origin, where a redirect led
	ClientCert bool // with a verified client certificate
	Proto      string
	At         time.Time
}

// Server is a started behaviour.
type Server struct {
	URL   string // where the behaviour is
	Other string // base URL of a second origin that some behaviours redirect to

	behaviour Behaviour
	content   []byte
	authority *authority
	servers   []*http.Server
	listeners []net.Listener
	done      chan struct{}

	mu       sync.Mutex
	requests []Request
	conns    int
}

// Start runs the behaviour with this name on 127.0.0.1; content is what its good answers hold.
func Start(name string, content []byte) (*Server, error) {
	for _, b := range Behaviours() {
		if b.Name == name {
			return start(b, content)
		}
	}
	return nil, fmt.Errorf("no behaviour is called %q", name)
}

func start(b Behaviour, content []byte) (*Server, error) {
	s := &Server{behaviour: b, content: content, done: make(chan struct{})}
	var err error
	if s.authority, err = newAuthority(); err != nil {
		return nil, err
	}
	listener, err := s.listen()
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if b.tls != plain || strings.HasPrefix(b.Name, "tls-") {
		scheme = "https"
	}
	s.URL = scheme + "://" + listener.Addr().String() + "/jobs/clicks"
	switch {
	case b.none:
		return s, listener.Close()
	case b.conn != nil:
		go s.serveConns(listener)
		return s, nil
	}
	if b.tls != plain {
		config, err := s.authority.config(b.tls)
		if err != nil {
			return nil, err
		}
		s.serve(tlsListener(listener, config), false)
	} else {
		s.serve(listener, false)
	}
	other, err := s.listen()
	if err != nil {
		return nil, err
	}
	if b.tls == plain || b.Name == "redirect-downgrade" {
		s.Other = "http://" + other.Addr().String()
		s.serve(other, true)
		return s, nil
	}
	config, err := s.authority.config(b.tls)
	if err != nil {
		return nil, err
	}
	if b.tls == tlsClientCert { // asks for a certificate but takes none too
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	s.Other = "https://" + other.Addr().String()
	s.serve(tlsListener(other, config), true)
	return s, nil
}

func (s *Server) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		s.listeners = append(s.listeners, l)
	}
	return l, err
}

func tlsListener(l net.Listener, config *tls.Config) net.Listener { return tls.NewListener(l, config) }

func (s *Server) serve(l net.Listener, other bool) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, Request{Path: r.URL.RequestURI(), Header: r.Header.Clone(), Host: r.Host, Other: other,
			ClientCert: r.TLS != nil && len(r.TLS.VerifiedChains) > 0, Proto: r.Proto, At: time.Now()})
		nth := len(s.requests)
		s.mu.Unlock()
		w.Header().Set("X-Request-Id", fmt.Sprintf("service-%d", nth))
		s.behaviour.http(&exchange{ResponseWriter: w, Request: r, s: s, nth: nth, other: other, content: s.content})
	})
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	s.servers = append(s.servers, server)
	go server.Serve(l)
}

func (s *Server) serveConns(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns++
		nth := s.conns
		s.mu.Unlock()
		go func() {
			defer c.Close()
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				select {
				case <-s.done:
					c.Close()
				case <-stop:
				}
			}()
			s.behaviour.conn(c, nth)
		}()
	}
}

// Requests returns what arrived so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Connections returns how many connections a behaviour below HTTP has accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// CA returns the authority's certificate, PEM.
func (s *Server) CA() []byte { return s.authority.pem }

// ClientCert returns a client certificate and key that the server accepts, PEM.
func (s *Server) ClientCert() (certificate, key []byte, err error) {
	return s.authority.issue("client", nil, time.Now().Add(time.Hour), x509.ExtKeyUsageClientAuth)
}

// Close ends everything at once, hanging answers too.
func (s *Server) Close() {
	close(s.done)
	for _, server := range s.servers {
		server.Close()
	}
	for _, l := range s.listeners {
		l.Close()
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fault server authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

func (a *authority) issue(name string, ips []net.IP, until time.Time, usage x509.ExtKeyUsage) (certificate, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: ips, NotBefore: until.Add(-48 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}

func (a *authority) config(mode tlsMode) (*tls.Config, error) {
	signer, ips, until := a, []net.IP{net.IPv4(127, 0, 0, 1)}, time.Now().Add(time.Hour)
	config := &tls.Config{NextProtos: []string{"http/1.1"}}
	switch mode {
	case tlsExpired:
		until = time.Now().Add(-time.Hour)
	case tlsWrongHost:
		ips = nil
	case tlsUnknownCA:
		var err error
		if signer, err = newAuthority(); err != nil {
			return nil, err
		}
	case tlsHTTP2:
		config.NextProtos = []string{"h2"}
	case tlsOld:
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	case tlsClientCert:
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AddCert(a.cert)
	}
	c, k, err := signer.issue("service.test", ips, until, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(c, k)
	config.Certificates = []tls.Certificate{pair}
	return config, err
}
