package memory

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

// ParseContainerSize reads the size of a container in either of the two spellings people use, and returns bytes and the conversion in
// words, e.g. "Kubernetes quantity 1500M = 1500000000 bytes".
//
// Lower case is Flink's spelling (1728m, 2g, 512 mb: powers of 1024). A capital or an "i" is Kubernetes' (2Gi, 1.5Gi: powers of 1024;
// 1500M, 2G, 500k would be Flink's: powers of 1000). A plain number is bytes in both, also as 1e9. Milli and smaller units are refused.
func ParseContainerSize(s string) (bytes int64, spelling string, err error) {
	text := strings.TrimSpace(s)
	number, unit := splitNumber(text)
	refuse := func(format string, args ...any) (int64, string, error) {
		return 0, "", fmt.Errorf("container size %q: "+format+"; expected Flink's spelling (1728m, 2g), a Kubernetes quantity (2Gi, 1500M), or bytes",
			append([]any{s}, args...)...)
	}
	value, isNumber := new(big.Rat).SetString(number)
	if !isNumber {
		return refuse("it does not start with a number")
	}
	factor, kind := containerUnit(unit)
	switch {
	case kind == "":
		return refuse("unknown unit %q", strings.TrimSpace(unit))
	case kind == "Flink" && !value.IsInt():
		return refuse("Flink's sizes have no decimals")
	case value.Sign() <= 0:
		return refuse("it must be more than 0")
	}
	value.Mul(value, factor)
	n := new(big.Int).Quo(value.Num(), value.Denom())
	if !value.IsInt() { // Kubernetes rounds fractions of a byte up
		n.Add(n, big.NewInt(1))
	}
	if !n.IsInt64() {
		return refuse("it is more than %d bytes", int64(math.MaxInt64))
	}
	spelling = fmt.Sprintf("%d bytes", n)
	switch kind {
	case "Flink":
		spelling = fmt.Sprintf("Flink size %s = %d bytes", text, n)
	case "Kubernetes":
		spelling = fmt.Sprintf("Kubernetes quantity %s = %d bytes", text, n)
	}
	return n.Int64(), spelling, nil
}

// splitNumber cuts a decimal number with an optional exponent from what follows it. An exponent needs digits: 1E is one exa.
func splitNumber(s string) (number, unit string) {
	i := 0
	digits := func() bool {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > start
	}
	digits()
	if i < len(s) && s[i] == '.' {
		i++
		digits()
	}
	end := i
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if digits() && i-end <= 4 { // an exponent of three digits is out of range long since
			end = i
		}
	}
	return s[:end], s[end:]
}

// containerUnit returns the bytes of a unit and whose spelling it is: "Flink", "Kubernetes", "bytes", or "" for neither.
func containerUnit(unit string) (factor *big.Rat, kind string) {
	power := func(base, exponent int64) *big.Rat {
		return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil))
	}
	switch unit {
	case "":
		return power(1, 1), "bytes"
	case "M", "G", "T", "P", "E":
		return power(1000, int64(strings.Index("MGTPE", unit))+2), "Kubernetes"
	case "Ki", "Mi", "Gi", "Ti", "Pi", "Ei":
		return power(1024, int64(strings.Index("KMGTPE", unit[:1]))+1), "Kubernetes"
	}
	if unit == strings.ToLower(unit) {
		if n, err := flinkconf.ParseMemorySize("1" + unit); err == nil {
			return new(big.Rat).SetInt64(n), "Flink"
		}
	}
	return nil, ""
}

// SlotsForCPU is --slots auto: one slot per whole CPU of the limit, at least one.
func SlotsForCPU(cores float64) int {
	if cores >= math.MaxInt32 {
		return math.MaxInt32
	}
	return max(1, int(cores))
}
