// Package canary searches everything that the program puts out for secrets that a test has planted.
//
// A canary is a value that holds the characters that quoting is about, and between them pieces of letters and digits that
// no quoting changes. Text that shows it, escaped for SQL, YAML, JSON, a URL, Go or HTML, cut, or split at a quote, shows at least
// one of the pieces.
package canary

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// Canary is one planted secret.
type Canary struct {
	Name   string // where it was planted
	Value  string
	pieces []string
}

// New makes the canary of a place. The same name gives the same canary in every run.
func New(name string) Canary {
	c := Canary{Name: name}
	for i := range 7 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		c.pieces = append(c.pieces, "q"+strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:9]))
	}
	p := c.pieces
	c.Value = p[0] + "'" + p[1] + `"` + p[2] + "%" + p[3] + `\` + p[4] + "#" + p[5] + " " + p[6]
	return c
}

// Word is the canary without a blank, for places where one would end it.
func (c Canary) Word() string { return strings.ReplaceAll(c.Value, " ", "_") }

// Found returns how text shows the canary, "" if it does not: a piece of it, plain, in hexadecimal or in base64.
func (c Canary) Found(text string) string {
	lower := strings.ToLower(text)
	for _, p := range c.pieces {
		if i := strings.Index(lower, p); i >= 0 {
			return "…" + text[max(0, i-60):min(len(text), i+60)] + "…"
		}
		if strings.Contains(lower, hex.EncodeToString([]byte(p))) {
			return p + " in hexadecimal"
		}
		for shift := range 3 { // base64 has three ways to write a piece, after where it begins; the border characters differ
			encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + p))
			if strings.Contains(text, encoded[2:len(encoded)-2]) {
				return p + " in base64"
			}
		}
	}
	return ""
}

// shownLength is the length of the shortest piece of a secret that [Shows] takes for a part of it.
const shownLength = 8

// Shows returns the first piece of a secret that text shows, "" if it shows no secret: of any secret, where a [Canary] cannot be planted.
// Pieces are looked for plain in capitals and small letters, escaped, in hexadecimal and in base64.
func Shows(text, secret string) string {
	low := strings.ToLower(text)
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		form = strings.ToLower(form)
		for i := 0; i+shownLength <= len(form); i++ {
			if piece := form[i : i+shownLength]; strings.Contains(low, piece) {
				return piece
			}
		}
	}
	each := func(format, s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
	for i := 0; i+shownLength <= len(secret); i++ {
		p := secret[i : i+shownLength]
		for _, format := range []string{"%02x", "%%%02x", `\u%04x`, `\x%02x`, "&#%d;"} {
			if strings.Contains(low, each(format, p)) {
				return p + " as " + each(format, p)
			}
		}
		for shift := range 3 {
			e := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + p))
			e = e[2 : len(e)-2]
			if strings.Contains(text, e) || strings.Contains(text, strings.NewReplacer("+", "-", "/", "_").Replace(e)) {
				return p + " in base64"
			}
		}
	}
	return ""
}
