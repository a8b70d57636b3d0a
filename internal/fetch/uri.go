package fetch

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// mask stands for what is not shown.
const mask = "******"

// target is a parsed URI: a path, or an http(s) URL without user info and fragment.
type target struct {
	display string
	path    string
	url     *url.URL
	basic   hidden // "user:password" of the URI, or nothing
}

// parseTarget accepts a plain path, file:, http: and https:. Errors never repeat the text of a URI that
// could not be parsed, since a password with a stray character is the usual reason.
func parseTarget(uri string) (target, *Error) {
	t := target{display: Redact(uri)}
	if uri == "" {
		return t, inputError("", "the URI is empty", "")
	}
	if strings.ContainsAny(uri, "\x00\r\n") {
		return t, inputError(t.display, "the URI holds a line break or a NUL", "")
	}
	scheme, _ := splitScheme(uri)
	switch scheme {
	case "":
		t.path = uri
		return t, nil
	case "file":
		p, err := filePath(uri)
		if err != "" {
			return t, inputError(t.display, err, "write file:///absolute/path, or the plain path")
		}
		t.path = p
		return t, nil
	case "http", "https":
		u, err := url.Parse(uri)
		if err != nil || u.Hostname() == "" {
			return t, inputError(t.display, "it is not a valid URL", "percent-encode special characters in user, password and path")
		}
		if u.User != nil {
			password, _ := u.User.Password()
			t.basic = hide(u.User.Username() + ":" + password)
		}
		u.User, u.Fragment, u.RawFragment = nil, "", ""
		t.url = u
		return t, nil
	}
	return t, schemeError(t.display, scheme)
}

// IsSQL reports whether a URI names a file that ends in ".sql". A plain path is taken as it is, also with a '?' in it.
func IsSQL(uri string) bool {
	if t, e := parseTarget(uri); e == nil && t.url != nil {
		return strings.HasSuffix(t.url.Path, ".sql")
	}
	return strings.HasSuffix(uri, ".sql")
}

// Check reports whether a URI can be fetched at all, without a request. The error is an [*Error].
func Check(uri string) error {
	_, e := parseTarget(uri)
	return e.asError()
}

// schemeError names the ways that exist.
func schemeError(display, scheme string) *Error {
	e := &Error{URI: display, Kind: KindScheme,
		Detail: fmt.Sprintf("the scheme %q cannot be fetched before the JVM runs; a plain path, file:, http: and https: can", scheme)}
	switch scheme {
	case "local":
		e.Hint = "local: means a file of the image: write its plain path"
	case "s3", "s3a", "s3n", "s3p", "gs", "oss", "abfs", "abfss", "wasb", "wasbs", "cos", "obs":
		e.Hint = "use the store's https: endpoint (a presigned URL works), or let an initContainer or a volume bring the file and give its path"
	case "hdfs", "viewfs", "webhdfs", "swebhdfs":
		e.Hint = "use WebHDFS or HttpFS over http(s):, or let an initContainer or a volume bring the file and give its path"
	default:
		e.Hint = "serve it over https:, or let an initContainer or a volume bring the file and give its path"
	}
	return e
}

// splitScheme returns the lower-case scheme of a URI, or "" for a plain path. A colon after a slash belongs
// to a path, and so does one after a single letter.
func splitScheme(uri string) (scheme, rest string) {
	for i := 0; i < len(uri); i++ {
		c := uri[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		case c == ':' && i > 1:
			return strings.ToLower(uri[:i]), uri[i+1:]
		default:
			return "", uri
		}
	}
	return "", uri
}

// filePath is the path of a file: URI (RFC 8089), or what is wrong with the URI.
func filePath(uri string) (path, problem string) {
	_, rest := splitScheme(uri)
	if strings.HasPrefix(rest, "//") {
		authority, p, found := strings.Cut(rest[2:], "/")
		if !found || (authority != "" && !strings.EqualFold(authority, "localhost")) {
			return "", "a file: URI is for a file of this machine, without a host name"
		}
		rest = "/" + p
	}
	p, err := url.PathUnescape(rest)
	if err != nil || p == "" || strings.ContainsRune(p, 0) {
		return "", "it is not a valid file: URI"
	}
	return filepath.Clean(p), ""
}

// originOf is scheme, host and port, the unit that credentials belong to (RFC 6454).
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Redact returns a URI fit to be shown: user info, the values of query parameters that look like
// credentials, and the fragment are replaced by ******. A plain path is returned as it is.
func Redact(uri string) string {
	scheme, rest := splitScheme(uri)
	if scheme == "" || scheme == "file" {
		return strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return '\uFFFD'
			}
			return r
		}, uri)
	}
	u, err := url.Parse(uri)
	if err != nil || !strings.HasPrefix(rest, "//") {
		return oneLine(redactUnparsed(uri))
	}
	prefix, suffix := "", ""
	if u.User != nil {
		prefix = mask + "@"
	}
	if u.Fragment != "" || strings.HasSuffix(uri, "#") {
		suffix = "#" + mask
	}
	query := ""
	if u.RawQuery != "" {
		query = "?" + redactQuery(u.RawQuery)
	}
	return oneLine(scheme + "://" + prefix + u.Host + u.EscapedPath() + query + suffix)
}

// redactUnparsed serves what net/url refuses, often a password that was not percent-encoded: everything
// between the scheme and the last @ goes, and everything after ? or #.
func redactUnparsed(uri string) string {
	scheme, rest := splitScheme(uri)
	slashes := ""
	if strings.HasPrefix(rest, "//") {
		slashes, rest = "//", rest[2:]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = mask + rest[i:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + mask
	}
	return scheme + ":" + slashes + rest
}

// bareSecret is the length from which a query without "=" is taken for a token.
const bareSecret = 16

func redactQuery(raw string) string {
	pairs := strings.FieldsFunc(raw, func(r rune) bool { return r == '&' || r == ';' })
	for i, p := range pairs {
		name, value, found := strings.Cut(p, "=")
		switch {
		case found && value != "" && looksSecret(name):
			pairs[i] = name + "=" + mask
		case !found && len(name) >= bareSecret:
			pairs[i] = mask
		}
	}
	return strings.Join(pairs, "&")
}

// looksSecret judges a parameter's name.
func looksSecret(name string) bool {
	if n, err := url.QueryUnescape(name); err == nil {
		name = n
	}
	name = strings.ToLower(name)
	for _, part := range []string{"token", "secret", "pass", "pwd", "key", "sig", "credential", "auth", "access", "jwt", "session", "sas", "code", "ticket"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// secretValues are the query values and the user part that Redact hides, so that an answer that repeats them can be scrubbed.
// The name of a user who has a password is one of them only withUser: elsewhere it may be an ordinary word.
func (t target) secretValues(withUser bool) []string {
	var out []string
	if t.url == nil {
		return nil
	}
	for name, values := range t.url.Query() {
		if looksSecret(name) {
			out = append(out, values...)
		}
	}
	for _, pair := range strings.FieldsFunc(t.url.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, found := strings.Cut(pair, "=")
		if value != "" && looksSecret(name) {
			out = append(out, value) // as it was written: a service may repeat the request line
		}
		if !found && len(name) >= bareSecret {
			out = append(out, name)
		}
	}
	if b := t.basic.text(); b != "" {
		user, password, _ := strings.Cut(b, ":")
		out = append(out, base64.StdEncoding.EncodeToString([]byte(b)), b, password)
		if withUser || password == "" {
			out = append(out, user)
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}
