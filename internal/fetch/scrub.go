package fetch

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pieceLength is the length of the pieces of a secret that are looked for. The other side may cut a secret, and escape what it
// repeats in ways that no list has, so text is searched for pieces, also after each of its escapes was decoded.
const pieceLength = 6

// decodings is how often escapes are decoded: JSON inside of JSON inside of a URL.
const decodings = 3

// scrub takes secrets, and what looks like one, out of a text that came from outside: of a service, a proxy, or an error of
// net/http that quotes them. It is called for each such text, before it is cut or joined with words of this program.
func scrub(text string, secrets []string) string {
	if text == "" {
		return ""
	}
	if len(secrets) > 0 {
		text = newNeedles(secrets).replace(text)
	}
	// Compiled here: this runs once in a failed start, never in a good one.
	for _, p := range [][2]string{
		{`(?i)\b(bearer|basic)\s+[^\s"',;]+`, "$1 " + mask},
		{`://[^/\s@"']+@`, "://" + mask + "@"},
		{`(?i)([?&;#][^\s=&;#"']*(?:sig|pass|pwd|key|cred|auth|access|session|sas|code|ticket|jwt|secret|token)[^\s=&;#"']*=)[^\s&;#"']+`, "${1}" + mask},
		{`(?i)((?:password|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|signature|credential)[\w-]*["']?\s*[:=]\s*["']?)[^\s"',;&}]+`, "${1}" + mask},
	} {
		text = regexp.MustCompile(p[0]).ReplaceAllString(text, p[1])
	}
	return text
}

// needles are what to look for, in small letters: net/url lowers a scheme.
type needles struct {
	pieces map[[pieceLength]byte]bool // of secrets of at least pieceLength bytes
	words  map[string]bool            // shorter secrets, which are replaced where they are words
}

func newNeedles(secrets []string) needles {
	n := needles{pieces: map[[pieceLength]byte]bool{}, words: map[string]bool{}}
	for _, s := range secrets {
		if len(s) < pieceLength {
			if len(s) > 2 {
				n.words[strings.ToLower(s)] = true
			}
			continue
		}
		n.add(s)
		n.add(strings.ReplaceAll(s, " ", "+")) // in a query
		n.add(hex.EncodeToString([]byte(s)))
		for shift := range 3 { // base64 writes the same bytes in three ways, depending on how many are before them
			e := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
			e = e[(shift*8+5)/6 : len(e)-1]
			n.add(e)
			n.add(strings.NewReplacer("+", "-", "/", "_").Replace(e))
		}
	}
	return n
}

func (n needles) add(s string) {
	b := lowerASCII([]byte(s))
	for i := 0; i+pieceLength <= len(b); i++ {
		n.pieces[[pieceLength]byte(b[i:])] = true
	}
}

func lowerASCII(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return b
}

// view is a text with some of its escapes decoded: each byte knows which bytes of the original it is made of.
type view struct {
	text     []byte
	from, to []int
}

// replace masks every piece of a secret.
func (n needles) replace(text string) string {
	hidden := make([]bool, len(text)+1)
	found := false
	v := view{text: []byte(text), from: make([]int, len(text)), to: make([]int, len(text))}
	for i := range len(text) {
		v.from[i], v.to[i] = i, i+1
	}
	hide := func(from, to int) { // positions of v
		for i := v.from[from]; i < v.to[to-1]; i++ {
			hidden[i] = true
		}
		found = true
	}
	for range decodings + 1 {
		low := lowerASCII(bytes.Clone(v.text))
		for i := 0; i+pieceLength <= len(low); i++ {
			if n.pieces[[pieceLength]byte(low[i:])] {
				hide(i, i+pieceLength)
			}
		}
		for i := 0; len(n.words) > 0 && i < len(low); i++ {
			if i > 0 && isAlphanumeric(low[i-1]) {
				continue
			}
			for size := min(pieceLength-1, len(low)-i); size > 2; size-- {
				if n.words[string(low[i:i+size])] && (i+size == len(low) || !isAlphanumeric(low[i+size])) {
					hide(i, i+size)
				}
			}
		}
		next := v.decoded()
		if len(next.text) == len(v.text) {
			break
		}
		v = next
	}
	if !found {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if !hidden[i] {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString(mask)
		for i < len(text) && hidden[i] {
			i++
		}
	}
	return b.String()
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf
}

// decoded returns the view with one layer of escapes decoded, those of URLs, JSON, Go and HTML alike.
func (v view) decoded() view {
	out := view{text: make([]byte, 0, len(v.text)), from: make([]int, 0, len(v.text)), to: make([]int, 0, len(v.text))}
	for i := 0; i < len(v.text); {
		text, n := unescaped(v.text[i:])
		if n == 0 {
			text, n = v.text[i:i+1], 1
		}
		for _, c := range text {
			out.text, out.from, out.to = append(out.text, c), append(out.from, v.from[i]), append(out.to, v.to[i+n-1])
		}
		i += n
	}
	return out
}

// unescaped returns what the escape at the beginning of b means, and its length, which is 0 if b begins with no escape.
func unescaped(b []byte) (text []byte, n int) {
	number := func(from, digits, base int) ([]byte, int) {
		if len(b) < from+digits {
			return nil, 0
		}
		c, err := strconv.ParseUint(string(b[from:from+digits]), base, 32)
		if err != nil || c > utf8.MaxRune {
			return nil, 0
		}
		if digits <= 3 { // a byte
			return []byte{byte(c)}, from + digits
		}
		return utf8.AppendRune(nil, rune(c)), from + digits
	}
	switch {
	case len(b) < 2:
	case b[0] == '%':
		return number(1, 2, 16)
	case b[0] == '\\':
		switch c := b[1]; c {
		case 'u':
			return number(2, 4, 16)
		case 'U':
			return number(2, 8, 16)
		case 'x':
			return number(2, 2, 16)
		case 'n', 'r', 't':
			return []byte{' '}, 2
		default:
			if '0' <= c && c <= '3' {
				return number(1, 3, 8)
			}
			if !isAlphanumeric(c) {
				return b[1:2], 2
			}
		}
	case b[0] == '&':
		if end := bytes.IndexByte(b[:min(len(b), 10)], ';'); end > 0 {
			if s := html.UnescapeString(string(b[:end+1])); len(s) <= end {
				return []byte(s), end + 1
			}
		}
	}
	return nil, 0
}

// redirected returns a URL that another server chose as it may be shown. Its query is not shown: it may sign the request, with
// parameters of any name.
func redirected(u *url.URL) string {
	shown := *u
	shown.RawQuery, shown.ForceQuery, shown.Fragment, shown.RawFragment = "", false, "", ""
	text := Redact(shown.String())
	if u.RawQuery != "" {
		text += "?" + mask
	}
	return text
}

// foreignSecrets are the values in the query of a URL that another server chose which a later answer may repeat, and those that look
// like credentials.
func foreignSecrets(u *url.URL) (all, credentials []string) {
	t := target{url: u}
	if u.User != nil {
		password, _ := u.User.Password()
		t.basic = hide(u.User.Username() + ":" + password)
	}
	credentials = t.secretValues(false)
	all = t.secretValues(true)
	for name, values := range u.Query() {
		for _, v := range append(values, name) { // ?SIGNATURE has no name
			if v == name && !slices.Contains(values, "") {
				continue
			}
			if len(v) >= pieceLength && !strings.HasPrefix(v, "/") && !strings.Contains(v, "://") { // the address to come back to is not a credential
				all = append(all, v)
			}
		}
	}
	return all, credentials
}
