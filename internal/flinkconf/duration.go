package flinkconf

import (
	"math"
	"math/big"
	"strings"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
)

// timeUnit is TimeUtils.TimeUnit: a unit, its nanoseconds and its labels.
type timeUnit struct {
	name   string
	nanos  int64
	labels []string
}

// timeUnits returns the units in the order in which Flink names them.
func (r rules) timeUnits() []timeUnit {
	minutes := []string{"min", "minute", "minutes"}
	if r.shortMinutes {
		minutes = []string{"min", "m", "minute", "minutes"}
	}
	return []timeUnit{
		{"DAYS", 24 * int64(time.Hour), []string{"d", "day", "days"}},
		{"HOURS", int64(time.Hour), []string{"h", "hour", "hours"}},
		{"MINUTES", int64(time.Minute), minutes},
		{"SECONDS", int64(time.Second), []string{"s", "sec", "secs", "second", "seconds"}},
		{"MILLISECONDS", int64(time.Millisecond), []string{"ms", "milli", "millis", "millisecond", "milliseconds"}},
		{"MICROSECONDS", int64(time.Microsecond), []string{"µs", "micro", "micros", "microsecond", "microseconds"}},
		{"NANOSECONDS", 1, []string{"ns", "nano", "nanos", "nanosecond", "nanoseconds"}},
	}
}

// Duration returns a duration option; errors as [Conf.MemorySize]. See [ParseDuration] about what does not fit.
func (c *Conf) Duration(opt Option, v flinkversion.Version) (value time.Duration, set bool, err error) {
	return read(c, opt, v, func(e Entry) (time.Duration, error) { return ParseDuration(e.javaText(), v) })
}

// ParseDuration reads a duration as that version of Flink does (TimeUtils.parseDuration): a number and a unit ("10 s", "500ms", "1 d"),
// milliseconds without one; from 2.1 on also ISO-8601 ("PT10S"). Errors are Flink's ([*javatext.Exception]). What is longer than Go's 292 years,
// which Flink can still hold, is cut to the longest [time.Duration].
func ParseDuration(text string, v flinkversion.Version) (time.Duration, error) {
	trimmed := javatext.Trim(text)
	if trimmed == "" {
		return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "argument is an empty- or whitespace-only string"}
	}
	end := len(trimmed) - len(strings.TrimLeft(trimmed, "0123456789"))
	number, label := trimmed[:end], javatext.ToLower(javatext.Trim(trimmed[end:]))
	r := rulesOf(v)
	if number == "" {
		if r.isoDurations {
			return isoDuration(trimmed)
		}
		return 0, &javatext.Exception{Class: javatext.NumberFormat, Message: "text does not start with a number"}
	}
	value, _ := new(big.Int).SetString(number, 10)
	if !r.anyNumber && !value.IsInt64() {
		return 0, &javatext.Exception{Class: javatext.IllegalArgument,
			Message: "The value '" + number + "' cannot be re represented as 64bit number (numeric overflow)."}
	}
	unit, err := r.unitOf(label)
	if err != nil {
		return 0, err
	}
	nanos := new(big.Int).Mul(value, big.NewInt(unit.nanos))
	if seconds := new(big.Int).Quo(nanos, big.NewInt(int64(time.Second))); !seconds.IsInt64() {
		if r.anyNumber {
			return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "The value '" + number + "' cannot be represented as Duration (numeric overflow).",
				Cause: &javatext.Exception{Class: javatext.Arithmetic, Message: "BigInteger out of long range"}}
		}
		return 0, &javatext.Exception{Class: javatext.Arithmetic, Message: "long overflow"}
	}
	return capped(nanos), nil
}

func capped(nanos *big.Int) time.Duration {
	if !nanos.IsInt64() {
		return math.MaxInt64
	}
	return time.Duration(nanos.Int64())
}

func (r rules) unitOf(label string) (timeUnit, error) {
	if label == "" {
		label = "ms"
	}
	var all []string
	for _, u := range r.timeUnits() {
		for _, l := range u.labels {
			if l == label {
				return u, nil
			}
		}
		all = append(all, u.name+": ("+strings.Join(u.labels, " | ")+")")
	}
	return timeUnit{}, &javatext.Exception{Class: javatext.IllegalArgument,
		Message: "Time interval unit label '" + label + "' does not match any of the recognized units: " + strings.Join(all, ", ")}
}

// isoDuration is java.time.Duration.parse for what a configuration holds: P[nD][T[nH][nM][n[.n]S]], each number with a sign of its own.
func isoDuration(text string) (time.Duration, error) {
	nanos, ok := parseISO(text)
	if !ok {
		return 0, &javatext.Exception{Class: javatext.NumberFormat,
			Message: "text does not start with a number, and is not a valid ISO-8601 duration format: " + text}
	}
	if nanos.Sign() < 0 {
		return 0, &javatext.Exception{Class: javatext.NumberFormat, Message: "negative duration is not supported"}
	}
	return capped(nanos), nil
}

func parseISO(text string) (nanos *big.Int, ok bool) {
	s := strings.ToUpper(text)
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	s, ok = strings.CutPrefix(s, "P")
	if !ok || s == "" || strings.HasSuffix(s, "T") {
		return nil, false
	}
	date, clock, hasTime := strings.Cut(s, "T")
	total := new(big.Int)
	add := func(part string, units string, nanosOf map[byte]int64) (rest string, ok bool) {
		for i := range len(units) {
			n, after, found := strings.Cut(part, units[i:i+1])
			if !found {
				continue
			}
			whole, fraction, decimals := strings.Cut(strings.Replace(n, ",", ".", 1), ".")
			digits := strings.TrimLeft(whole, "+-")
			if len(whole)-len(digits) > 1 || digits == "" || strings.Trim(digits+fraction, "0123456789") != "" ||
				len(fraction) > 9 || (decimals && units[i] != 'S') {
				return "", false
			}
			value, _ := new(big.Int).SetString(whole, 10)
			value.Mul(value, big.NewInt(nanosOf[units[i]]))
			if decimals {
				f, _ := new(big.Int).SetString((fraction + "000000000")[:9], 10)
				if strings.HasPrefix(whole, "-") {
					f.Neg(f)
				}
				value.Add(value, f)
			}
			total.Add(total, value)
			part = after
		}
		return part, true
	}
	rest, ok := add(date, "D", map[byte]int64{'D': 24 * int64(time.Hour)})
	if !ok || rest != "" {
		return nil, false
	}
	if hasTime {
		rest, ok = add(clock, "HMS", map[byte]int64{'H': int64(time.Hour), 'M': int64(time.Minute), 'S': int64(time.Second)})
		if !ok || rest != "" {
			return nil, false
		}
	}
	if negative {
		total.Neg(total)
	}
	return total, new(big.Int).Quo(total, big.NewInt(int64(time.Second))).IsInt64()
}
