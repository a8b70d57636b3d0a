package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/redact"
)

// TestLogsWithoutSecrets: a secret of digits made "bytes":****** of a number, which no reader of JSON takes.
func TestLogsWithoutSecrets(t *testing.T) {
	var r redact.Redactor
	r.Add("1234567", "phase-secret", "multi\nline-secret", "abc")
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := newLogger(&out, &r, format, "debug")
		if err != nil {
			t.Fatal(err)
		}
		log.With("given", "before phase-secret after").Info("fetched phase-secret", "bytes", 1234567, "took", 1234567*time.Nanosecond, "uri", "http://h/1234567", "name", "abc", "ok", true,
			"error", errors.New("found line-secret"), "group", slog.GroupValue(slog.String("inner", "phase-secret"), slog.Int("n", 1234567)))
		if format == "json" {
			var fields map[string]any
			if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			if fields["bytes"] != 1234567.0 || fields["uri"] != "http://h/******" || fields["name"] != "******" || fields["given"] != "before ****** after" {
				t.Errorf("%v", fields)
			}
		}
		for _, s := range []string{"phase-secret", "h/1234567", "line-secret", "abc"} {
			if strings.Contains(out.String(), s) {
				t.Errorf("%s is shown in %s", s, out.String())
			}
		}
	}
}
