package jobdef

import (
	"strconv"
	"strings"
)

// A form is what a string must look like.
type form uint8

const (
	anyForm form = iota
	someForm
	lineForm
	jobIDForm
	minorForm
	memoryForm
	cpuForm
	slotsForm
	sha256Form
	classForm
	uriForm
	placeForm
	portsForm
	intervalForm
	httpForm
	labelForm
	variableForm
	fileForm
)

// A formRow is a form's meaning: for messages and the reference, for the schema, and for the decoder. A test holds
// pattern and ok against each other. The decoder uses no regular expression since compiling one takes longer than
// decoding a definition.
type formRow struct {
	expected string            // "expected ..."
	pattern  string            // ECMA 262 and RE2; empty: any
	ok       func(string) bool // given a string without NUL
	hint     string
	shown    bool // messages may show what was found: it is not a secret
}

const (
	controls = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"

	decimal = `([0-9]+(\.[0-9]*)?|\.[0-9]+)`
	port    = `([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`
)

func (f form) row() formRow {
	const line = `^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$`
	switch f {
	case someForm:
		return formRow{expected: "a string that is not blank", pattern: `[^ \t\r\n]`, ok: isSome}
	case lineForm:
		return formRow{expected: "a string of one line that is not blank", pattern: line, ok: isLine}
	case jobIDForm:
		return formRow{expected: "32 hexadecimal digits", pattern: `^[0-9a-fA-F]{32}$`, ok: func(s string) bool { return isHex(s, 32) }, shown: true}
	case minorForm:
		return formRow{expected: `a minor version of Flink such as 2.2`, pattern: `^[0-9]+\.[0-9]+$`, ok: isMinor, shown: true}
	case memoryForm:
		return formRow{expected: `"auto" or a size as Flink (1600m, 2g) or Kubernetes (1600Mi, 2Gi) writes it`,
			pattern: `^(auto|` + decimal + `([eE][+-]?[0-9]{1,3})?([MGTPE]|[KMGTPE]i)?|[0-9]+ *` +
				`(b|bytes|k|kb|kibibytes|m|mb|mebibytes|g|gb|gibibytes|t|tb|tebibytes))$`, ok: isMemory, shown: true}
	case cpuForm:
		return formRow{expected: `a number of CPUs such as 1, 0.5 or 500m`, pattern: `^([0-9]+(\.[0-9]+)?|[0-9]+m)$`, ok: isCPU, shown: true}
	case slotsForm:
		return formRow{expected: `"auto" or a number from 1 to 99999`, pattern: `^(auto|[1-9][0-9]{0,4})$`, ok: isSlots, shown: true}
	case sha256Form:
		return formRow{expected: "the 64 hexadecimal digits of a SHA-256 digest", pattern: `^(sha256:)?[0-9a-fA-F]{64}$`, shown: true,
			ok: func(s string) bool { return isHex(strings.TrimPrefix(s, "sha256:"), 64) }}
	case classForm:
		return formRow{expected: "the name of a class", pattern: `^[^\x00-\x20\x7f]+$`, ok: isWord, shown: true}
	case uriForm:
		return formRow{expected: "a URI or a path", pattern: line, ok: isLine}
	case placeForm:
		return formRow{expected: `"usrlib", "run", "lib" or "plugins/NAME"`, pattern: `^(usrlib|run|lib|plugins/[A-Za-z0-9_][A-Za-z0-9._-]*)$`, ok: isPlace,
			hint: "NAME is one directory of letters, digits, '.', '_' and '-'"}
	case portsForm:
		return formRow{expected: "a port or a range of ports such as 9249 or 9249-9259", pattern: `^` + port + `(-` + port + `)?$`, ok: isPorts, shown: true}
	case intervalForm:
		return formRow{expected: "a duration such as 10 s or 1 min", pattern: `^[1-9][0-9]{0,8} ?(ms|s|min|h)$`, ok: isInterval, shown: true}
	case httpForm:
		return formRow{expected: "an http or https URL without a user and password", pattern: `^https?://[^\x00-\x20\x7f/?#@]+(/[^\x00-\x20\x7f#]*)?$`, ok: isHTTP,
			hint: "a collector takes OTLP over gRPC at http://HOST:4317, over HTTP at http://HOST:4318/v1/metrics"}
	case labelForm:
		return formRow{expected: "the name of a label", pattern: `^[a-zA-Z][a-zA-Z0-9_]*$`, ok: isLabel}
	case variableForm:
		return formRow{expected: "the name of an environment variable", pattern: `^[^\x00-\x20=\x7f]+$`, ok: func(s string) bool {
			return isWord(s) && strings.IndexByte(s, '=') < 0
		}}
	case fileForm:
		return formRow{expected: "the path of a file", pattern: `^[^\x00-\x1f\x7f]+$`, ok: func(s string) bool {
			return s != "" && !strings.ContainsAny(s, controls)
		}}
	}
	return formRow{expected: "a string", ok: func(string) bool { return true }}
}

func isSome(s string) bool { return strings.Trim(s, " \t\r\n") != "" }

func isLine(s string) bool { return strings.Trim(s, " ") != "" && !strings.ContainsAny(s, controls) }

func isWord(s string) bool { return s != "" && !strings.ContainsAny(s, controls+" ") }

func isHex(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// digits returns how many decimal digits s begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

func isMinor(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	return ok && major != "" && minor != "" && digits(major) == len(major) && digits(minor) == len(minor)
}

func isMemory(s string) bool {
	if s == "auto" {
		return true
	}
	whole := digits(s)
	rest := s[whole:]
	fraction := 0
	point := rest != "" && rest[0] == '.'
	if point {
		fraction = digits(rest[1:])
		rest = rest[1+fraction:]
	}
	if whole+fraction == 0 || strings.Trim(s[:len(s)-len(rest)], "0.") == "" {
		return false
	}
	if !point {
		switch strings.TrimLeft(rest, " ") {
		case "b", "bytes", "k", "kb", "kibibytes", "m", "mb", "mebibytes", "g", "gb", "gibibytes", "t", "tb", "tebibytes":
			return true
		}
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		after := rest[1:]
		if after != "" && (after[0] == '+' || after[0] == '-') {
			after = after[1:]
		}
		if n := digits(after); n >= 1 && n <= 3 {
			rest = after[n:]
		}
	}
	switch rest {
	case "", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei":
		return true
	}
	return false
}

func isCPU(s string) bool {
	number := strings.TrimSuffix(s, "m")
	whole, fraction, point := strings.Cut(number, ".")
	if whole == "" || digits(whole) != len(whole) || digits(fraction) != len(fraction) || point && (fraction == "" || number != s) {
		return false
	}
	return strings.Trim(whole+fraction, "0") != ""
}

func isSlots(s string) bool {
	return s == "auto" || s != "" && len(s) <= 5 && s[0] != '0' && digits(s) == len(s)
}

func isPlace(s string) bool {
	if s == "usrlib" || s == "run" || s == "lib" {
		return true
	}
	name, ok := strings.CutPrefix(s, "plugins/")
	return ok && name != "" && name[0] != '.' && name[0] != '-' &&
		strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// Ports returns the first and the last port of a range, which may be one port; ok is false for any other text.
func Ports(s string) (first, last int, ok bool) {
	from, to, isRange := strings.Cut(s, "-")
	if !isPort(from) || isRange && !isPort(to) {
		return 0, 0, false
	}
	first, _ = strconv.Atoi(from)
	last = first
	if isRange {
		last, _ = strconv.Atoi(to)
	}
	return first, last, true
}

func isPorts(s string) bool {
	_, _, ok := Ports(s)
	return ok
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' || digits(s) != len(s) {
		return false
	}
	n, err := strconv.Atoi(s)
	return err == nil && n <= 65535
}

func isInterval(s string) bool {
	n := digits(s)
	if n == 0 || n > 9 || s[0] == '0' {
		return false
	}
	switch strings.TrimPrefix(s[n:], " ") {
	case "ms", "s", "min", "h":
		return true
	}
	return false
}

// IsHTTP reports whether s is a URL to which metrics can be sent.
func IsHTTP(s string) bool { return isHTTP(s) }

func isHTTP(s string) bool {
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "https://")
	}
	host, path, _ := strings.Cut(rest, "/")
	return ok && host != "" && !strings.ContainsAny(host, controls+" ?#@") && !strings.ContainsAny(path, controls+" #")
}

func isLabel(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && strings.Contains(letters, s[:1]) && strings.Trim(s, letters+"0123456789_") == ""
}

// LabelProblem tells why a name cannot be a label of metrics, "" if it can: the variables of Flink's scopes have labels already
// (Flink drops a metric that would have one twice), and Prometheus has its own.
func LabelProblem(name string) string {
	switch name {
	case "host", "tm_id", "job_id", "job_name", "task_id", "task_name", "task_attempt_id", "task_attempt_num", "subtask_index", "operator_id", "operator_name",
		"topic", "partition", "split": // the last are of sources
		return "Flink itself sets the label " + quote(name)
	case "flink_job":
		return "the label " + quote(name) + " is the name of the job"
	case "job", "instance", "le", "quantile":
		return "Prometheus itself sets the label " + quote(name)
	}
	if !isLabel(name) {
		return quote(name) + " is not the name of a label: expected a letter, then letters, digits and '_'"
	}
	return ""
}
