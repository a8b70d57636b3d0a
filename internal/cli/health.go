package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"flink-entrypoint/internal/boot"
)

// probeTimeout is the time for the whole probe. Kubernetes' own default is one second, but starting a process in a busy
// container is part of that.
const probeTimeout = 2 * time.Second

// errUnhealthy ends the program with 1, as probes expect, and without a second message: the probed process is not this
// one, so its termination message must stay as it is.
var errUnhealthy = errors.New("unhealthy")

// health tells whether a running role answers: one line, exit 0 or 1. It asks no more than that the socket is served. A
// standby JobManager answers too (503, leader election), and a TaskManager that has lost its JobManager is waiting, not
// broken: restarting either would make an outage of the leader worse.
func (p *program) health(ctx context.Context, words []string) error {
	if err := needsRole("health", words); err != nil {
		return p.unprobed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	l, err := boot.FindListener(words[0], words[1:], p.opts.Options, p.Env)
	if err != nil {
		return p.unprobed(err)
	}
	for _, address := range l.Addresses {
		var answer string
		if answer, err = ask(ctx, address, l); err == nil {
			fmt.Fprintf(p.Stdout, "%s: %s: %s\n", words[0], address, answer)
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return p.unprobed(fmt.Errorf("%s: %w", words[0], err))
}

// unprobed says why in one line.
func (p *program) unprobed(err error) error {
	fmt.Fprintln(p.Stderr, "unhealthy: "+p.redactor.Redact(strings.ReplaceAll(err.Error(), "\n", " ")))
	return errUnhealthy
}

// ask returns what answers at the address.
func ask(ctx context.Context, address string, l boot.Listener) (string, error) {
	if !l.HTTP {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return "", err
		}
		return "accepts connections", conn.Close()
	}
	scheme := "http"
	if l.TLS {
		scheme = "https"
	}
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Whether somebody answers is asked, and no byte of the answer is believed: a certificate for the service's
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
		return "refuses us without a client certificate, so it is there", nil // security.ssl.rest.authentication-enabled
	}
	if err != nil {
		return "", err
	}
	return "answers with " + res.Status, res.Body.Close()
}
