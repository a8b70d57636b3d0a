package flinkconf

import "strings"

// sensitiveKeys is GlobalConfiguration.SENSITIVE_KEYS: the parts of a key that make its value secret, and since when.
func sensitiveKeys() [11]struct {
	part         string
	major, minor int
} {
	return [11]struct {
		part         string
		major, minor int
	}{
		{"password", 1, 0},
		{"secret", 1, 0},
		{"fs.azure.account.key", 1, 8},
		{"apikey", 1, 11},
		{"auth-params", 1, 17}, // FLINK-30443
		{"service-key", 1, 17},
		{"token", 1, 17},
		{"basic-auth", 1, 17},
		{"jaas.config", 1, 17},
		{"http-headers", 1, 19}, // FLINK-28915
		{"api-key", 2, 1},       // FLINK-37799
	}
}

// IsSensitive reports whether that version of Flink hides the value of the key in its logs (GlobalConfiguration.isSensitive).
func IsSensitive(key string, v Version) bool {
	key = lower(key)
	for _, s := range sensitiveKeys() {
		if v.AtLeast(s.major, s.minor) && strings.Contains(key, s.part) {
			return true
		}
	}
	return false
}
