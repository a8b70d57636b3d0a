package flinkconf

import (
	"math/bits"
	"strconv"
	"strings"

	"flink-entrypoint/internal/javatext"
)

// memoryUnits are MemorySize.MemoryUnit: power of two and the name that formatting uses.
func memoryUnits() [5]struct {
	shift uint
	name  string
} {
	return [5]struct {
		shift uint
		name  string
	}{{0, "bytes"}, {10, "kb"}, {20, "mb"}, {30, "gb"}, {40, "tb"}}
}

// ParseMemorySize reads a memory size in Flink's spelling and returns bytes: digits, optional blanks, and an optional
// unit (b, k, m, g, t and their long names, all powers of 1024, in any case). Errors are the errors of MemorySize.parse ([*javatext.Exception]).
func ParseMemorySize(text string) (int64, error) {
	trimmed := javatext.Trim(text)
	if trimmed == "" {
		return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "argument is an empty- or whitespace-only string"}
	}
	end := 0
	for end < len(trimmed) && trimmed[end] >= '0' && trimmed[end] <= '9' {
		end++
	}
	number, unit := trimmed[:end], javatext.ToLower(javatext.Trim(trimmed[end:]))
	if number == "" {
		return 0, &javatext.Exception{Class: javatext.NumberFormat, Message: "text does not start with a number"}
	}
	value, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, &javatext.Exception{Class: javatext.IllegalArgument,
			Message: "The value '" + number + "' cannot be re represented as 64bit number (numeric overflow)."}
	}
	var shift uint
	switch unit {
	case "", "b", "bytes":
	case "k", "kb", "kibibytes":
		shift = 10
	case "m", "mb", "mebibytes":
		shift = 20
	case "g", "gb", "gibibytes":
		shift = 30
	case "t", "tb", "tebibytes":
		shift = 40
	default:
		return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "Memory size unit '" + unit + "' does not match any of the recognized units: " +
			"(b | bytes) / (k | kb | kibibytes) / (m | mb | mebibytes) / (g | gb | gibibytes) / (t | tb | tebibytes)"}
	}
	if uint(bits.Len64(uint64(value)))+shift > 63 {
		return 0, &javatext.Exception{Class: javatext.IllegalArgument,
			Message: "The value '" + text + "' cannot be re represented as 64bit number of bytes (numeric overflow)."}
	}
	return value << shift, nil
}

// FormatMemorySize returns MemorySize.toString: the largest unit that divides exactly, e.g. "1728 mb" or "0 bytes".
// Flink prints whole tebibytes as bytes (an oversight).
func FormatMemorySize(size int64) string {
	units := memoryUnits()
	best := units[0]
	for i, u := range units {
		if size&(1<<u.shift-1) != 0 {
			best = units[i-1]
			break
		}
	}
	return strconv.FormatInt(size>>best.shift, 10) + " " + best.name
}

// ShortMemorySize returns the shortest spelling that Flink reads back as exactly this size, e.g. "1728m", "2g", "1811939329b".
func ShortMemorySize(size int64) string {
	suffix, shift := "b", uint(0)
	for i, s := range []string{"k", "m", "g", "t"} {
		if n := uint(i+1) * 10; size != 0 && size&(1<<n-1) == 0 {
			suffix, shift = s, n
		}
	}
	return strconv.FormatInt(size>>shift, 10) + suffix
}

// HumanReadable returns MemorySize.toHumanReadableString, e.g. "1.688gb (1811939328 bytes)".
func HumanReadable(size int64) string {
	plain := strconv.FormatInt(size, 10) + " bytes"
	units := memoryUnits()
	for i := len(units) - 1; i > 0; i-- {
		// Strictly greater: Flink prints 1 GiB as "1024.000mb".
		if u := units[i]; size > 1<<u.shift {
			return fixed3(float64(size)/float64(int64(1)<<u.shift)) + u.name + " (" + plain + ")"
		}
	}
	return plain
}

// fixed3 formats x >= 0 as Java's %.3f does: half up on the shortest decimal digits of the double, not on its exact value.
func fixed3(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) <= 3 {
		return whole + "." + fraction + "000"[len(fraction):]
	}
	n, _ := strconv.ParseInt(whole+fraction[:3], 10, 64)
	if fraction[3] >= '5' {
		n++
	}
	s = strconv.FormatInt(n, 10)
	for len(s) < 4 {
		s = "0" + s
	}
	return s[:len(s)-3] + "." + s[len(s)-3:]
}
