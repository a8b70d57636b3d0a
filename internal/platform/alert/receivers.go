package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/mask"
)

// patience is how long a receiver may take to answer.
const patience = 10 * time.Second

// client follows no redirect: it would bring the credentials elsewhere.
func client() *http.Client {
	return &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Alertmanagers are the members of one Alertmanager, by its API v2. They tell each other what they were sent, so one that takes it is enough.
type Alertmanagers struct {
	URLs []string // as Prometheus is given them, with the path prefix
	// TokenFile has the bearer token, read for each request; "": none.
	TokenFile string
	// Each is how often an alert that goes on is sent; 0: a minute.
	Each time.Duration

	http *http.Client
}

// stay is how long Alertmanager takes an alert for one that goes on without hearing of it again: longer than an upgrade of this server.
const stay = 15 * time.Minute

// NewAlertmanagers checks the addresses.
func NewAlertmanagers(urls []string, tokenFile string) (*Alertmanagers, error) {
	a := &Alertmanagers{TokenFile: tokenFile, http: client()}
	for _, text := range urls {
		u, err := address(text)
		if err != nil {
			return nil, err
		}
		a.URLs = append(a.URLs, strings.TrimSuffix(u.String(), "/"))
	}
	return a, nil
}

// address checks a URL. No error has it: a user, a path or a query may be secret.
func address(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("expected an http or https URL")
	}
	return u, nil
}

// Again is how often Alertmanager must hear of an alert.
func (a *Alertmanagers) Again() time.Duration {
	if a.Each > 0 {
		return a.Each
	}
	return time.Minute
}

// alertmanagerAlert is a postableAlert of its API.
type alertmanagerAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Send sends all at once, to each member.
func (a *Alertmanagers) Send(ctx context.Context, all []Notice) []error {
	ends := time.Now().Add(stay)
	alerts := make([]alertmanagerAlert, len(all))
	for i, n := range all {
		alerts[i] = alertmanagerAlert{StartsAt: n.Since, EndsAt: ends, GeneratorURL: n.URL,
			// The labels are the same in each run of the job: that is how Alertmanager knows that it is the same alert.
			Labels:      map[string]string{"alertname": n.Alert, "severity": n.Severity, "job": n.Job, "team": n.Team},
			Annotations: map[string]string{"summary": n.Summary, "description": n.Reason, "run": n.Run}}
		if n.Team == "" {
			delete(alerts[i].Labels, "team")
		}
		if n.Reason == "" { // the run is gone
			delete(alerts[i].Annotations, "description")
		}
		if n.Resolved != nil {
			alerts[i].EndsAt = *n.Resolved
		}
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		return slices.Repeat([]error{err}, len(all))
	}
	errs := make([]error, len(a.URLs))
	var sending sync.WaitGroup
	for i, u := range a.URLs { // at the same time: those that hang would use up the time of the others
		sending.Go(func() { errs[i] = a.post(ctx, u+"/api/v2/alerts", body) })
	}
	sending.Wait()
	if slices.Contains(errs, nil) {
		return make([]error, len(all))
	}
	return slices.Repeat([]error{errors.Join(errs...)}, len(all))
}

func (a *Alertmanagers) post(ctx context.Context, to string, body []byte) error {
	var headers []string
	if a.TokenFile != "" {
		token, err := os.ReadFile(a.TokenFile)
		if err != nil {
			return fmt.Errorf("--alertmanager-token-file: %w", err)
		}
		headers = []string{"Authorization", "Bearer " + strings.TrimSpace(string(token))}
	}
	return post(ctx, a.http, "Alertmanager", to, body, headers...)
}

// A Webhook gets each alert once when it begins and once when it ends, as JSON.
type Webhook struct {
	// URLFile has the URL, read for each alert: it usually is a secret.
	URLFile string

	http *http.Client
}

// NewWebhook checks that the file has a URL.
func NewWebhook(file string) (*Webhook, error) {
	w := &Webhook{URLFile: file, http: client()}
	_, err := w.url()
	return w, err
}

func (w *Webhook) url() (string, error) {
	text, err := os.ReadFile(w.URLFile)
	if err != nil {
		return "", err
	}
	u, err := address(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.URLFile, err)
	}
	return u.String(), nil
}

// Again is never.
func (w *Webhook) Again() time.Duration { return 0 }

// Send sends one after the other. Where the receiver is away, the others are not tried.
func (w *Webhook) Send(ctx context.Context, all []Notice) []error {
	to, away := w.url()
	failures := make([]error, len(all))
	for i, n := range all {
		if failures[i] = away; away != nil {
			continue
		}
		body, err := json.Marshal(n)
		if err == nil {
			err = post(ctx, w.http, "the webhook", to, body, "Idempotency-Key", n.ID)
		}
		if failures[i] = err; err != nil && !errors.Is(err, errAnswered) {
			away = err
		}
	}
	return failures
}

// errAnswered is of a receiver that is there and does not take an alert.
var errAnswered = errors.New("not taken")

// post sends JSON. Its errors name the host of the address alone.
func post(ctx context.Context, c *http.Client, who, to string, body []byte, headers ...string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: its address is not a URL", who)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the error itself has the URL
		}
		return fmt.Errorf("%s at %s: %w", who, req.URL.Host, err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // read to its end, the connection is used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s at %s: %w: %s: %s", who, req.URL.Host, errAnswered, res.Status, mask.Text(strings.TrimSpace(string(answer[:min(len(answer), 200)]))))
	}
	return nil
}
