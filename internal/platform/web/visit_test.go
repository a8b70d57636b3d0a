package web

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestInside: the API is asked with the cookie of the browser and nothing else of its request; answers come as they are written, and a
// handler ends when its reader goes.
func TestInside(t *testing.T) {
	ended := make(chan struct{})
	var got *http.Request
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		got = r
		w.Header().Set("X-Kind", "lines")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("X-Kind", "too late")
		io.WriteString(w, "first\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	from := httptest.NewRequest(http.MethodPost, "http://platform.example/new-job", nil)
	for name, value := range map[string]string{"Cookie": "session=x", "Authorization": "Bearer y", "Origin": "https://evil.example", "X-Request-Id": "r1", "Accept": "text/html"} {
		from.Header.Set(name, value)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://platform/v1/jobs?name=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := inside{api, from}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || line != "first\n" || answer.StatusCode != http.StatusAccepted || answer.Header.Get("X-Kind") != "lines" {
		t.Errorf("%q %v %+v", line, err, answer)
	}
	answer.Body.Close()
	<-ended
	if got.Host != "platform.example" || got.RemoteAddr != from.RemoteAddr || got.RequestURI != "/v1/jobs?name=a" || got.Body == nil {
		t.Errorf("%+v", got)
	}
	var names []string
	for name := range got.Header {
		names = append(names, name)
	}
	if len(names) != 2 || got.Header.Get("Cookie") != "session=x" || got.Header.Get("X-Request-Id") != "r1" {
		t.Errorf("headers that go along: %v", got.Header)
	}
}

// TestPolicy: no script and no style of a page itself, whatever it loads.
func TestPolicy(t *testing.T) {
	for _, p := range []string{policy(""), policy("abc")} {
		if strings.Contains(p, "unsafe") || strings.Contains(p, "*") || strings.Contains(p, "data:") || !strings.Contains(p, "script-src 'self';") || !strings.HasPrefix(p, "default-src 'none';") {
			t.Error(p)
		}
	}
	if !strings.Contains(policy("abc"), "style-src 'self' 'nonce-abc';") || strings.Contains(policy(""), "nonce") {
		t.Error(policy("abc"), policy(""))
	}
}
