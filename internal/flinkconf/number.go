package flinkconf

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// javaTrim is String.trim: it cuts everything up to and including the blank, control characters too, and no Unicode space.
func javaTrim(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// lower is String.toLowerCase(Locale.US).
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == 'İ':
			b.WriteString("i̇")
		case r == 'Σ' && finalSigma(s[:i], s[i+len("Σ"):]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// finalSigma reports whether a capital sigma between the two texts ends a word.
func finalSigma(before, after string) bool {
	cased := func(r rune) bool { return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) }
	ignorable := func(r rune) bool {
		return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:·’", r)
	}
	last := []rune(strings.TrimRightFunc(before, ignorable))
	next := []rune(strings.TrimLeftFunc(after, ignorable))
	return len(last) > 0 && cased(last[len(last)-1]) && (len(next) == 0 || !cased(next[0]))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// notANumber is the exception of Integer.parseInt, Long.parseLong and Float.parseFloat.
func notANumber(text string) error {
	return &Error{Class: NumberFormat, Message: `For input string: "` + text + `"`}
}

// parseInt is Integer.parseInt (bitSize 32) and Long.parseLong (64): no blanks, one sign, and the decimal digits of any script.
func parseInt(text string, bitSize int) (int64, error) {
	ascii := text
	if !isASCII(text) {
		b := make([]byte, 0, len(text))
		for _, r := range text {
			d := digit(r)
			if d < 0 {
				return 0, notANumber(text)
			}
			b = append(b, byte(d))
		}
		ascii = string(b)
	}
	for _, r := range ascii { // strconv accepts no underscore in base 10, so signs and digits are all that is left
		if (r < '0' || r > '9') && r != '+' && r != '-' {
			return 0, notANumber(text)
		}
	}
	n, err := strconv.ParseInt(ascii, 10, bitSize)
	if err != nil {
		return 0, notANumber(text)
	}
	return n, nil
}

// digit returns the ASCII form of a sign or of a decimal digit of any script in the basic plane, else -1.
func digit(r rune) rune {
	if r < utf8.RuneSelf {
		return r
	}
	for _, run := range unicode.Nd.R16 { // runs of ten, from zero to nine
		if r >= rune(run.Lo) && r <= rune(run.Hi) {
			return '0' + (r-rune(run.Lo))%10
		}
	}
	return -1
}

// parseFloat is Float.parseFloat (bitSize 32) and Double.parseDouble (64); a float comes back widened to double.
func parseFloat(text string, bitSize int) (float64, error) {
	s := javaTrim(text)
	if s == "" {
		return 0, &Error{Class: NumberFormat, Message: "empty String"}
	}
	body := s
	if body[0] == '+' || body[0] == '-' {
		body = body[1:]
	}
	switch {
	case body == "NaN":
		return math.NaN(), nil
	case s == "-Infinity":
		return math.Inf(-1), nil
	case body == "Infinity":
		return math.Inf(1), nil
	case !isJavaFloat(body):
		mantissa := body[:len(body)-len(strings.TrimLeft(body, "0123456789."))]
		if strings.Count(mantissa, ".") > 1 {
			return 0, &Error{Class: NumberFormat, Message: "multiple points"}
		}
		return 0, notANumber(s)
	}
	d, _ := strconv.ParseFloat(strings.TrimRight(s, "fFdD"), bitSize) // out of range gives the infinity or zero Java gives
	return d, nil
}

// isJavaFloat reports whether an unsigned text is in the grammar of Double.valueOf (decimal or hexadecimal, optional fFdD).
func isJavaFloat(s string) bool {
	hex := len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	mantissa, exponent := isDigit, byte('e')
	if hex {
		s = s[2:]
		exponent = 'p'
		mantissa = func(c byte) bool { return isDigit(c) || (c|0x20 >= 'a' && c|0x20 <= 'f') }
	}
	run := func(is func(byte) bool) int {
		n := 0
		for n < len(s) && is(s[n]) {
			n++
		}
		s = s[n:]
		return n
	}
	digits := run(mantissa)
	if s != "" && s[0] == '.' {
		s = s[1:]
		digits += run(mantissa)
	}
	if digits == 0 {
		return false
	}
	if s != "" && s[0]|0x20 == exponent {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if run(isDigit) == 0 {
			return false
		}
	} else if hex {
		return false
	}
	return s == "" || (len(s) == 1 && strings.Contains("fFdD", s))
}

// FormatDouble is Double.toString: "0.4000000059604645", "1.0", "1.0E9", "NaN". Java before 19 prints some numbers far from human ranges
// (1e23, 2^-44) with another last digit.
func FormatDouble(d float64) string {
	switch {
	case math.IsNaN(d):
		return "NaN"
	case math.IsInf(d, 1):
		return "Infinity"
	case math.IsInf(d, -1):
		return "-Infinity"
	case d == 0:
		return strconv.FormatFloat(d, 'f', 1, 64)
	}
	if a := math.Abs(d); a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(d, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(d, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		// Java wants two digits and takes the nearest such decimal (4.9E-324, not 5.0E-324).
		if two := strconv.FormatFloat(d, 'e', 1, 64); parsesTo(two, d) {
			mantissa, exponent, _ = strings.Cut(two, "e")
		} else {
			mantissa += ".0"
		}
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}

func parsesTo(s string, d float64) bool {
	x, err := strconv.ParseFloat(s, 64)
	return err == nil && x == d
}
