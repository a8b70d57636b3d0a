// Package secret holds text that must not be shown.
//
// A [Text] is an ordinary string with one bit: whether it may be printed. Every formatter of the standard
// library (fmt in all verbs, log/slog, encoding/json, encoding.TextMarshaler) gets [Mask] for a hidden Text;
// only [Text.Reveal] gives the content, so a grep for "Reveal(" lists every place where a secret leaves.
package secret

import (
	"fmt"
	"log/slog"
	"strconv"
)

// Mask is what stands for hidden text, the same string as Flink's GlobalConfiguration.HIDDEN_CONTENT.
const Mask = "******"

// Text is a string that may be hidden. The zero value is the empty public string.
type Text struct {
	s      string
	hidden bool
}

// Public returns a Text that prints as s.
func Public(s string) Text { return Text{s: s} }

// Hidden returns a Text that prints as [Mask].
func Hidden(s string) Text { return Text{s: s, hidden: true} }

// Reveal returns the content. Call it only where the content is written to the place that needs it.
func (t Text) Reveal() string { return t.s }

// IsHidden reports whether the content must not be shown.
func (t Text) IsHidden() bool { return t.hidden }

// IsEmpty reports whether the content is empty, without revealing it.
func (t Text) IsEmpty() bool { return t.s == "" }

// Hide returns the same content, hidden.
func (t Text) Hide() Text { return Text{s: t.s, hidden: true} }

// String returns the content, or [Mask] when it is hidden.
func (t Text) String() string {
	if t.hidden {
		return Mask
	}
	return t.s
}

// Format keeps every fmt verb, %x and %#v included, from printing hidden content.
func (t Text) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'q' || (verb == 'v' && f.Flag('#')):
		fmt.Fprint(f, strconv.Quote(t.String()))
	default:
		fmt.Fprint(f, t.String())
	}
}

// MarshalText serves encoding/json (values and map keys), encoding/xml and YAML encoders.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
