package flinkconf

import (
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
)

// sensitiveKeys is GlobalConfiguration.SENSITIVE_KEYS: the parts of a key that make its value secret, and since when.
func sensitiveKeys() [11]struct {
	part  string
	since flinkversion.Release
} {
	since := flinkversion.Since
	return [11]struct {
		part  string
		since flinkversion.Release
	}{
		{"password", since(1, 0)},
		{"secret", since(1, 0)},
		{"fs.azure.account.key", since(1, 8)},
		{"apikey", since(1, 11)},
		{"auth-params", since(1, 17)}, // FLINK-30443
		{"service-key", since(1, 17)},
		{"token", since(1, 17)},
		{"basic-auth", since(1, 17)},
		{"jaas.config", since(1, 17)},
		{"http-headers", since(1, 19)}, // FLINK-28915
		{"api-key", since(2, 1)},       // FLINK-37799
	}
}

// Hidden reports whether this program hides the value of the key wherever it shows something, by the newest list, whatever the
// version of Flink: a value that an old version prints in its own log is hidden here all the same.
func Hidden(key string) bool { return HiddenEnd(key) >= 0 }

// HiddenEnd returns where the first part of text ends that makes a key one of those that are hidden, -1 if it has none. It makes
// one pass and no copy, since text may be a whole script.
func HiddenEnd(text string) int {
	parts := sensitiveKeys()
	first := uint32(0) // the letters with which a part begins
	for _, s := range parts {
		first |= 1 << (s.part[0] - 'a')
	}
	for i := range len(text) {
		c := text[i] | 0x20 // the small letter, where it is one
		if c < 'a' || c > 'z' || first&(1<<(c-'a')) == 0 {
			continue
		}
		for _, s := range parts {
			if n := len(s.part); s.part[0] == c && len(text)-i >= n && strings.EqualFold(text[i:i+n], s.part) {
				return i + n
			}
		}
	}
	return -1
}

// IsSensitive reports whether that version of Flink hides the value of the key in its logs (GlobalConfiguration.isSensitive).
func IsSensitive(key string, v flinkversion.Version) bool {
	key = javatext.ToLower(key)
	for _, s := range sensitiveKeys() {
		if v.Reaches(s.since) && strings.Contains(key, s.part) {
			return true
		}
	}
	return false
}
