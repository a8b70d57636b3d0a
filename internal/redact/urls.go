package redact

import (
	"net/url"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// maskURLs masks "user:password" of each URL in text, and the values of query parameters whose names look like names of secrets.
func maskURLs(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	var b strings.Builder
	end := 0 // of what is written
	mask := func(from, to int) {
		b.WriteString(text[end:from])
		b.WriteString(secret.Mask)
		end = to
	}
	for at := 0; ; {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			b.WriteString(text[end:])
			return b.String()
		}
		start := at + i + len("://")
		at = start
		for at < len(text) && strings.IndexByte(" \t\r\n\"<>/?#", text[at]) < 0 {
			at++
		}
		if user := strings.LastIndexByte(text[start:at], '@'); user > 0 {
			mask(start, start+user)
		}
		query := false
		for at < len(text) && strings.IndexByte(" \t\r\n\"'`<>", text[at]) < 0 && !strings.HasPrefix(text[at:], "://") {
			c := text[at]
			at++
			query = query || c == '?' || c == '#'
			if !query || strings.IndexByte("?#&;", c) < 0 {
				continue
			}
			name, value := parameter(text[at:])
			if value > 0 && isSecretParameter(text[at:at+name]) {
				mask(at+name+1, at+name+1+value)
				at = end
			}
		}
	}
}

// parameter returns the lengths of a name and of the value after "=" at the beginning of text.
func parameter(text string) (name, value int) {
	for name < len(text) && strings.IndexByte(" \t\r\n\"'`<>&;#=", text[name]) < 0 {
		name++
	}
	if name == len(text) || text[name] != '=' {
		return name, 0
	}
	rest := text[name+1:]
	for value < len(rest) && strings.IndexByte(" \t\r\n\"'`<>&;#", rest[value]) < 0 {
		value++
	}
	if value == len(rest) || strings.IndexByte("&;#", rest[value]) < 0 {
		value = len(strings.TrimRight(rest[:value], ":,.)]}")) // of the sentence that the URL is in
	}
	return name, value
}

// isSecretParameter judges a query parameter by its name: what Flink hides, and what credentials and signed URLs are called.
func isSecretParameter(name string) bool {
	if n, err := url.QueryUnescape(name); err == nil {
		name = n
	}
	if flinkconf.Hidden(name) {
		return true
	}
	name = strings.ToLower(name)
	for _, part := range []string{"sig", "pass", "pwd", "key", "credential", "auth", "session", "sas", "jwt"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
