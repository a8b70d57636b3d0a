package boot

import (
	"encoding/json"
	"html"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// shortestRedacted is the length in bytes from which a secret is looked for in text. What is shorter is masked only where it
// is known to stand: a password "hive" would turn every "/opt/hive" into a riddle whose answer is the password.
const shortestRedacted = 6

// Redactor knows the secrets of one run and takes them out of text, however that text quotes them. It is what stands
// behind the masking by key: a secret in the middle of somebody else's error message has no key. The zero value knows none.
// It is safe for concurrent use, since artifacts are fetched, and logged, in parallel.
type Redactor struct {
	mu    sync.Mutex
	known map[string]bool
	forms *forms // of all that are known; nil: to be made
}

// forms are every spelling of every secret, to be looked up by how they begin: a definition may refer to thousands of
// secrets, and each text that is shown is searched for all of them.
type forms struct {
	first   [256]bool
	lengths map[string][]int // by the first bytes, longest first
	all     map[string]bool
}

func newForms(secrets map[string]bool) *forms {
	f := &forms{lengths: map[string][]int{}, all: map[string]bool{}}
	for v := range secrets {
		for _, s := range spellings(v) {
			if f.all[s] {
				continue
			}
			f.all[s], f.first[s[0]] = true, true
			beginning := s[:shortestRedacted]
			lengths := f.lengths[beginning]
			if at, found := slices.BinarySearchFunc(lengths, len(s), func(a, b int) int { return b - a }); !found {
				f.lengths[beginning] = slices.Insert(lengths, at, len(s))
			}
		}
	}
	return f
}

// longest returns the length of the longest secret that text begins with, 0 if there is none.
func (f *forms) longest(text string) int {
	if len(text) >= shortestRedacted && f.first[text[0]] {
		for _, n := range f.lengths[text[:shortestRedacted]] {
			if n <= len(text) && f.all[text[:n]] {
				return n
			}
		}
	}
	return 0
}

// Add makes the values known.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		r.add(v)
		if strings.Contains(v, "\n") { // a key in PEM; messages quote single lines
			for line := range strings.Lines(v) {
				r.add(line)
			}
		}
	}
}

func (r *Redactor) add(v string) {
	if v = strings.TrimSpace(v); len(v) < shortestRedacted || r.known[v] {
		return
	}
	if r.known == nil {
		r.known = map[string]bool{}
	}
	r.known[v] = true
	r.forms = nil
}

// Redact returns text without secrets, and without the user info of URLs. Where secrets overlap, all that any of them covers
// goes.
func (r *Redactor) Redact(text string) string {
	r.mu.Lock()
	if r.forms == nil && len(r.known) > 0 {
		r.forms = newForms(r.known)
	}
	f := r.forms
	r.mu.Unlock()
	if f == nil {
		return maskUserInfo(text)
	}
	var b strings.Builder
	end := 0 // of what is written or masked
	for i := 0; i < len(text); i++ {
		n := f.longest(text[i:])
		if i >= end {
			if n == 0 {
				continue
			}
			b.WriteString(text[end:i])
			b.WriteString(secret.Mask)
		}
		end = max(end, i+n)
	}
	b.WriteString(text[end:])
	return maskUserInfo(b.String())
}

// spellings returns how SQL, YAML, JSON, Go, URLs and HTML write a value.
func spellings(v string) []string {
	quoted, _ := json.Marshal(v)
	goQuoted, ascii := strconv.Quote(v), strconv.QuoteToASCII(v)
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)
	return []string{v, plain, strings.ReplaceAll(v, "'", "''"), string(quoted[1 : len(quoted)-1]), goQuoted[1 : len(goQuoted)-1], ascii[1 : len(ascii)-1],
		url.QueryEscape(v), url.PathEscape(v), url.UserPassword("", v).String()[1:], html.EscapeString(v)}
}

// maskUserInfo masks "user:password" of each URL in text.
func maskUserInfo(text string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], "://")
		if i < 0 {
			return text
		}
		start := from + i + len("://")
		end := start
		for end < len(text) && !strings.ContainsRune(" \t\r\n\"<>/?#", rune(text[end])) {
			end++
		}
		if at := strings.LastIndexByte(text[start:end], '@'); at > 0 {
			text = text[:start] + secret.Mask + text[start+at:]
		}
		from = start
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

// addURI makes a URI known that is a secret as a whole, also in the form in which messages show it.
// A service that repeats the request's path in its error page repeats a part of it.
func (r *Redactor) addURI(uri string) {
	r.Add(uri, fetch.Redact(uri))
	if u, err := url.Parse(uri); err == nil && strings.Count(u.Path, "/") > 1 {
		r.Add(u.Path, u.EscapedPath())
	}
}

// addHeader makes the value of a request header known, and the credential behind its scheme ("Bearer …").
func (r *Redactor) addHeader(header string) {
	_, value, ok := strings.Cut(header, ":")
	if !ok {
		value = header // a mistake, which is about to be reported
	}
	r.Add(value)
	if _, credential, ok := strings.Cut(strings.TrimSpace(value), " "); ok {
		r.Add(credential)
	}
}

// addSensitive makes the values of a configuration's sensitive keys known, and those in its Java options.
func (r *Redactor) addSensitive(c *flinkconf.Conf, v flinkconf.Version) {
	for e := range c.All() {
		r.addEntry(e.Key, e.Value.Reveal(), v)
	}
}

func (r *Redactor) addEntry(key, value string, v flinkconf.Version) {
	if flinkconf.IsSensitive(key, v) {
		r.Add(value)
		return
	}
	if strings.HasPrefix(key, javaOptionsPrefix) {
		maskOptions(value, v, func(_, hidden string) { r.Add(strings.Trim(hidden, `"'`)) })
	}
}

// javaOptionsPrefix starts the keys whose values become words of the JVM's command line.
const javaOptionsPrefix = "env.java.opts"

// maskOption masks what follows the first "=" of a word whose left side has a sensitive name: -Dpassword=x, or
// -javaagent:a.jar=user=u,password=x. found, if not nil, gets the name and what was masked.
func maskOption(word string, v flinkconf.Version, found func(name, hidden string)) string {
	for i := 0; i < len(word); i++ {
		if word[i] != '=' || !flinkconf.IsSensitive(word[:i], v) {
			continue
		}
		if found != nil {
			name := strings.TrimLeft(word[:i], `"'`)
			if j := strings.LastIndexAny(name, "=,;"); j >= 0 {
				name = name[j+1:]
			}
			found(strings.TrimPrefix(name, "-D"), word[i+1:])
		}
		return word[:i+1] + secret.Mask
	}
	return word
}

// maskOptions is maskOption for each word of options as a shell splits them: blanks inside quotes are part of a word.
func maskOptions(text string, v flinkconf.Version, found func(name, hidden string)) string {
	if !flinkconf.IsSensitive(text, v) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		end := wordEnd(text)
		b.WriteString(maskOption(text[:end], v, found))
		text = text[end:]
		blanks := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		b.WriteString(text[:blanks])
		text = text[blanks:]
	}
	return b.String()
}

// wordEnd returns where the first word of text ends.
func wordEnd(text string) int {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			return i
		}
	}
	return len(text)
}

// maskArguments masks the values of sensitive options in a command line, be they in one word (-Dpassword=x, password=x) or
// in the next (--password x).
func maskArguments(words []string, v flinkconf.Version, found func(name, hidden string)) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = maskOption(w, v, found)
		if i == 0 || strings.HasPrefix(w, "-") {
			continue
		}
		if before := words[i-1]; strings.HasPrefix(before, "-") && !strings.Contains(before, "=") && flinkconf.IsSensitive(before, v) {
			out[i] = secret.Mask
			if found != nil {
				found(strings.TrimLeft(before, "-"), w)
			}
		}
	}
	return out
}
