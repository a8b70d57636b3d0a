package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNoFormatterReveals(t *testing.T) {
	const canary = "s3cr3t'\"%\\#"
	type holder struct {
		A Text
		B *Text
		C map[string]Text
		D []Text
	}
	x := Hidden(canary)
	h := holder{A: x, B: &x, C: map[string]Text{"k": x}, D: []Text{x}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", x)
		fmt.Fprintf(&out, verb+"\n", h)
	}
	fmt.Fprintln(&out, x, &x, h)
	for _, v := range []any{x, &x, h} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("m", "k", x, "h", h, slog.Group("g", "k", x))
	}
	for _, form := range []string{canary, "s3cr3t", fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("output holds %q:\n%s", form, out.String())
		}
	}
	if got := x.Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want %q", got, canary)
	}
	if got := fmt.Sprintf("%v|%q|%s", Public("a b"), Public("a b"), Public("a b")); got != `a b|"a b"|a b` {
		t.Errorf("public text prints %s", got)
	}
}
