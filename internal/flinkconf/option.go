package flinkconf

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
)

// Option is a configuration key together with the older spellings that Flink still accepts for it.
type Option struct {
	Key       string
	Fallbacks []string // deprecated keys, in the order Flink tries them
}

// Lookup returns the entry of the option: of its key, else of the first fallback key that is set.
// An entry whose Key differs from opt.Key came from a fallback; Flink warns about it.
func (c *Conf) Lookup(opt Option) (Entry, bool) {
	if e, ok := c.Get(opt.Key); ok {
		return e, true
	}
	for _, key := range opt.Fallbacks {
		if e, ok := c.Get(key); ok {
			return e, true
		}
	}
	return Entry{}, false
}

// MemorySize returns the bytes of a memory option, and whether it is set.
// An unreadable value is a java.lang.IllegalArgumentException ([*javatext.Exception]) that names key and value, with the parser's reason as cause.
func (c *Conf) MemorySize(opt Option, v flinkversion.Version) (bytes int64, set bool, err error) {
	return read(c, opt, v, func(e Entry) (int64, error) { return ParseMemorySize(e.javaText()) })
}

// Float returns a float option widened to double as Java does it (0.1 becomes 0.10000000149011612); errors as [Conf.MemorySize].
func (c *Conf) Float(opt Option, v flinkversion.Version) (value float64, set bool, err error) {
	return read(c, opt, v, func(e Entry) (float64, error) {
		if e.Kind != Double {
			return parseFloat(e.javaText(), 32)
		}
		d := yamlDouble(e.Value.Reveal())
		if a := math.Abs(d); d != 0 && !(a >= math.SmallestNonzeroFloat32 && a <= math.MaxFloat32) {
			return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "Configuration value " + javatext.Double(d, 0) + " overflows/underflows the float type."}
		}
		return float64(float32(d)), nil
	})
}

// Double returns a double option; errors as [Conf.MemorySize].
func (c *Conf) Double(opt Option, v flinkversion.Version) (value float64, set bool, err error) {
	return read(c, opt, v, func(e Entry) (float64, error) {
		if e.Kind == Double {
			return yamlDouble(e.Value.Reveal()), nil
		}
		return parseFloat(e.javaText(), 64)
	})
}

// Int returns a 32-bit option; errors as [Conf.MemorySize].
func (c *Conf) Int(opt Option, v flinkversion.Version) (value int32, set bool, err error) {
	return read(c, opt, v, func(e Entry) (int32, error) {
		n, err := parseInt(e.javaText(), 32)
		if err != nil && e.Kind == Long {
			return 0, &javatext.Exception{Class: javatext.IllegalArgument, Message: "Configuration value " + e.javaText() + " overflows/underflows the integer type."}
		}
		return int32(n), err
	})
}

// Long returns a 64-bit option; errors as [Conf.MemorySize].
func (c *Conf) Long(opt Option, v flinkversion.Version) (value int64, set bool, err error) {
	return read(c, opt, v, func(e Entry) (int64, error) { return parseInt(e.javaText(), 64) })
}

// Bool returns a boolean option; errors as [Conf.MemorySize].
func (c *Conf) Bool(opt Option, v flinkversion.Version) (value, set bool, err error) {
	return read(c, opt, v, func(e Entry) (bool, error) {
		switch text := e.javaText(); strings.ToUpper(text) {
		case "TRUE":
			return true, nil
		case "FALSE":
			return false, nil
		default:
			return false, &javatext.Exception{Class: javatext.IllegalArgument,
				Message: "Unrecognized option for boolean: " + text + ". Expected either true or false(case insensitive)"}
		}
	})
}

// RawText returns the text of an option as Flink prints the raw value (Object.toString: a YAML 1e9 is "1.0E9").
func (c *Conf) RawText(opt Option) (text string, set bool) {
	e, ok := c.Lookup(opt)
	if !ok {
		return "", false
	}
	return e.javaText(), true
}

// read looks an option up and converts it, and says about a failure what Configuration.getOptional says.
func read[T any](c *Conf, opt Option, v flinkversion.Version, convert func(Entry) (T, error)) (value T, set bool, err error) {
	e, ok := c.Lookup(opt)
	if !ok {
		return value, false, nil
	}
	value, err = convert(e)
	if err == nil {
		return value, true, nil
	}
	return value, true, Unparsable(opt.Key, e, v, err)
}

// Unparsable is the exception with which Flink rejects the value e of the option key; cause is the parser's reason.
// A hidden value (a secret reference) is shown neither there nor in the cause.
func Unparsable(key string, e Entry, v flinkversion.Version, cause error) *javatext.Exception {
	text := fmt.Sprintf("Could not parse value '%s' for key '%s'.", e.javaText(), key)
	switch {
	case e.Value.IsHidden():
		text, cause = fmt.Sprintf("Could not parse value for key '%s'.", key), nil
	case rulesOf(v).hidesSensitiveValues && IsSensitive(key, v):
		text = fmt.Sprintf("Could not parse value for key '%s'.", key)
	}
	return &javatext.Exception{Class: javatext.IllegalArgument, Message: text, Cause: cause, Key: e.Key}
}

// javaText is the raw value's Object.toString.
func (e Entry) javaText() string {
	if e.Kind == Double {
		return javatext.Double(yamlDouble(e.Value.Reveal()), 0)
	}
	return e.Value.Reveal()
}

// yamlDouble reads the text of a Double entry, which a YAML parser has already accepted.
func yamlDouble(text string) float64 {
	switch text {
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	d, _ := strconv.ParseFloat(text, 64) // out of range gives the infinity Java gives
	return d
}
