// Package redact decides what may be shown of a text. A [Redactor] knows the secrets of one run and takes them out of
// everything that this program prints; [Options] and [Arguments] mask the values of sensitive options in a command line,
// which have no key of their own in the configuration.
//
// In: secrets, as soon as a room learns them, and text. Out: text without them.
package redact

import (
	"io"
	"net/url"
	"reflect"
	"strings"
	"sync"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// Shortest is the length in bytes from which a secret is looked for anywhere in text. See [Redactor.Add] for shorter ones.
const Shortest = 6

// Redactor knows the secrets of one run and takes them out of text, however that text quotes them. Masking by key is not
// enough: a secret in the middle of an error message of another program has no key. The zero value knows no secret.
// It is safe for concurrent use, since artifacts are fetched, and logged, in parallel.
type Redactor struct {
	mu    sync.Mutex
	known map[string]bool // true: its spellings are in forms
	fresh []string        // known, and not yet in forms
	short map[string]bool // true: it is looked for as a word
	forms *forms
}

// Add makes the values known.
//
// A value of fewer than [Shortest] bytes is masked only where it is the whole text, in quotes, or follows "=": a password "hive"
// would otherwise be masked in each "/opt/hive", which would reveal it. One that mixes letters with digits or signs is also
// masked as a word. An [Ordinary] value is not looked for at all: it is masked where it was put, by its key.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		r.add(v)
		if strings.ContainsAny(v, "\n\r") || strings.Contains(v, `\n`) { // a key in PEM; messages quote single lines
			for _, line := range strings.FieldsFunc(strings.ReplaceAll(v, `\n`, "\n"), func(c rune) bool { return c == '\n' || c == '\r' }) {
				r.add(line)
			}
		}
	}
}

func (r *Redactor) add(v string) {
	v = strings.TrimSpace(v)
	switch {
	case v == secret.Mask || Ordinary(v):
	case len(v) < Shortest:
		if r.short == nil {
			r.short = map[string]bool{}
		}
		r.short[v] = len(v) > 2 && isMixed(v)
	default:
		if _, ok := r.known[v]; ok {
			return
		}
		if r.known == nil {
			r.known = map[string]bool{}
		}
		r.known[v] = false
		r.fresh = append(r.fresh, v)
	}
}

// Ordinary reports whether a value is a word that configurations are full of: a letter, a number of up to three digits, true,
// none and the like. Showing it tells a reader nothing about a secret, and masking it would make output unreadable.
func Ordinary(v string) bool {
	letters, digits := 0, 0
	for i := range len(v) {
		switch {
		case isDigit(v[i]):
			digits++
		case isLetter(v[i]):
			letters++
		}
	}
	switch {
	case letters+digits == 0 && len(v) < Shortest, len(v) == 1, digits == len(v) && digits <= 3:
		return true
	}
	switch strings.ToLower(v) {
	case "true", "false", "yes", "no", "on", "off", "none", "null", "nil", "auto", "keep", "any", "all":
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter counts the bytes of letters beyond ASCII too.
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80 }

func isWord(c byte) bool { return isDigit(c) || isLetter(c) }

// isMixed reports whether a value is not made of letters alone or of digits alone, as words and numbers are.
func isMixed(v string) bool {
	kinds := [3]bool{}
	for i := range len(v) {
		switch {
		case isDigit(v[i]):
			kinds[0] = true
		case isLetter(v[i]):
			kinds[1] = true
		default:
			kinds[2] = true
		}
	}
	return kinds[0] && kinds[1] || kinds[2] && (kinds[0] || kinds[1])
}

// Redact returns text without secrets, without the user info of URLs, and without the values after sensitive names in the
// query of a URL or in options of SQL. Where secrets overlap, all that any of them covers goes.
func (r *Redactor) Redact(text string) string {
	if text == "" {
		return ""
	}
	r.mu.Lock()
	if len(r.fresh) > 0 {
		if r.forms == nil {
			r.forms = newForms()
		}
		for _, v := range r.fresh {
			r.forms.add(v)
		}
		r.fresh = nil
	}
	if len(r.short) > 0 {
		text = r.maskShort(text)
	}
	if r.forms != nil {
		text = r.forms.mask(text)
	}
	r.mu.Unlock()
	return maskLiterals(maskURLs(text))
}

// maskShort masks short secrets that are the whole text, in quotes, after "=" up to the end of the word, or a word of their own.
func (r *Redactor) maskShort(text string) string {
	if _, ok := r.short[strings.TrimSpace(text)]; ok {
		return secret.Mask
	}
	var b strings.Builder
	end := 0 // of what is written
	for i := 0; i < len(text); i++ {
		if n := r.shortAt(text, i); n > 0 {
			b.WriteString(text[end:i])
			b.WriteString(secret.Mask)
			end = i + n
			i = end - 1
		}
	}
	return b.String() + text[end:]
}

// shortAt returns the length of the short secret that begins at text[i:], 0 if no secret may be masked there.
func (r *Redactor) shortAt(text string, i int) int {
	before := byte(' ')
	if i > 0 {
		before = text[i-1]
	}
	if isWord(before) {
		return 0
	}
	for n := min(Shortest-1, len(text)-i); n > 1; n-- {
		asWord, ok := r.short[text[i:i+n]]
		if !ok {
			continue
		}
		after := byte(' ')
		if i+n < len(text) {
			after = text[i+n]
		}
		switch {
		case (before == '"' || before == '\'' || before == '`') && after == before:
			return n
		case before == '=' && strings.IndexByte(" \t\r\n,;&)]}\"'", after) >= 0:
			return n
		case asWord && !isWord(after):
			return n
		}
	}
	return 0
}

// Value returns the value of a key as it may be shown: masked if the key is sensitive, else without the values of sensitive
// options in it and without any secret of this run.
func (r *Redactor) Value(key, value string) string {
	if flinkconf.Hidden(key) {
		return secret.Mask
	}
	// First what is known, then by names: a shell has taken the quotes from some texts, so a name does not show where its value ends.
	return Options(r.Redact(value), nil)
}

// Strings redacts every string below v, a pointer: in structs, slices, and the values of maps. Numbers, keys and field names stay, so
// that what is encoded as JSON stays JSON whatever the secrets are.
func (r *Redactor) Strings(v any) { r.walk(reflect.ValueOf(v)) }

func (r *Redactor) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if inner := v.Elem(); v.Kind() == reflect.Interface && v.CanSet() {
			changed := reflect.New(inner.Type()).Elem()
			changed.Set(inner)
			r.walk(changed)
			v.Set(changed)
		} else {
			r.walk(inner)
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(r.Redact(v.String()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				r.walk(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			r.walk(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			changed := reflect.New(v.Type().Elem()).Elem()
			changed.Set(v.MapIndex(key))
			r.walk(changed)
			v.SetMapIndex(key, changed)
		}
	}
}

// Writer returns a writer that redacts what goes to w. Each Write must be complete text, as a log line is.
func (r *Redactor) Writer(w io.Writer) io.Writer { return redactingWriter{w, r} }

type redactingWriter struct {
	w io.Writer
	r *Redactor
}

func (w redactingWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.w, w.r.Redact(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// AddURI makes a URI known that is a secret as a whole, also in the form in which messages show it: a short one as a word, since
// they show it without quotes. A service that repeats the request's path in its error page repeats a part of it.
func (r *Redactor) AddURI(uri, shown string) {
	r.Add(uri, shown)
	r.mu.Lock()
	if _, ok := r.short[uri]; ok {
		r.short[uri] = true
	}
	r.mu.Unlock()
	if u, err := url.Parse(uri); err == nil && strings.Count(u.Path, "/") > 1 {
		r.Add(u.Path, u.EscapedPath())
	}
}

// AddHeader makes the value of a request header known, and the credential after its scheme ("Bearer …").
func (r *Redactor) AddHeader(header string) {
	_, value, ok := strings.Cut(header, ":")
	if !ok {
		value = header // an error, which is about to be reported
	}
	r.Add(value)
	if _, credential, ok := strings.Cut(strings.TrimSpace(value), " "); ok {
		r.Add(credential)
	}
}

// AddConf makes known what [Redactor.AddEntry] finds in each entry.
func (r *Redactor) AddConf(c *flinkconf.Conf) {
	for e := range c.All() {
		r.AddEntry(e.Key, e.Value.Reveal())
	}
}

// AddEntry makes the value of a sensitive key known, else those of sensitive options in the value: Java options, the query of a JDBC
// URL, a second key that became a part of the value.
func (r *Redactor) AddEntry(key, value string) {
	if flinkconf.Hidden(key) {
		r.Add(value)
		return
	}
	if strings.ContainsAny(value, "=:") {
		Options(flinkconf.UnquoteOptions(key, value), func(_, hidden string) { r.AddOption(hidden) })
	}
}

// AddOption makes the value of a sensitive option known, as [Options] and [Arguments] find it: with and without its quotes, and the
// part before a sign that ends a value in lists and queries.
func (r *Redactor) AddOption(hidden string) {
	r.Add(hidden, strings.Trim(hidden, `"'`), unquoted(hidden))
	if i := strings.IndexAny(hidden, "&;,"); i > 0 {
		r.Add(strings.Trim(hidden[:i], `"'`))
	}
}
