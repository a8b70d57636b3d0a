package flinkconf

import "strings"

// IsJavaOptions reports whether a key holds options of the JVM: env.java.opts.* and env.java.default-opts.*.
func IsJavaOptions(key string) bool {
	return strings.HasPrefix(key, "env.java.opts") || strings.HasPrefix(key, "env.java.default-opts")
}

// UnquoteOptions removes one pair of quotes, double or single, around the whole value of a key that holds Java options; other
// values it returns as they are. People write such quotes as in YAML, where flink-conf.yaml and FLINK_PROPERTIES know none.
// config.sh of 1.13 to 1.18 removes double ones; later scripts cut one of the two and lose all options.
//
// `"-Da=1" "-Db=2"` is not one pair. In double quotes a backslash protects a quote and stays; in single quotes two of them are one, as in YAML.
func UnquoteOptions(key, value string) string {
	if !IsJavaOptions(key) {
		return value
	}
	v := strings.TrimSpace(value)
	if len(v) < 2 || v[0] != v[len(v)-1] {
		return value
	}
	inner := v[1 : len(v)-1]
	switch v[0] {
	case '"':
		for i := 0; i < len(inner); i++ {
			switch inner[i] {
			case '"':
				return value
			case '\\':
				if i++; i == len(inner) { // the last quote is protected
					return value
				}
			}
		}
	case '\'':
		if rest := strings.ReplaceAll(inner, "''", ""); strings.Contains(rest, "'") || strings.Count(inner, "''")%2 != 0 {
			return value
		}
		inner = strings.ReplaceAll(inner, "''", "'")
	default:
		return value
	}
	return strings.TrimSpace(inner)
}
