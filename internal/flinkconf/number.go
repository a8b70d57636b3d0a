package flinkconf

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"flink-entrypoint/internal/javatext"
)

// notANumber is the exception of Integer.parseInt, Long.parseLong and Float.parseFloat.
func notANumber(text string) error {
	return &javatext.Exception{Class: javatext.NumberFormat, Message: `For input string: "` + text + `"`}
}

// parseInt is Integer.parseInt (bitSize 32) and Long.parseLong (64): no blanks, one sign, and the decimal digits of any script.
func parseInt(text string, bitSize int) (int64, error) {
	digits := make([]byte, 0, len(text))
	for _, r := range text {
		d := digit(r)
		if d < 0 {
			return 0, notANumber(text)
		}
		digits = append(digits, byte(d))
	}
	ascii := string(digits)
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
	s := javatext.Trim(text)
	if s == "" {
		return 0, &javatext.Exception{Class: javatext.NumberFormat, Message: "empty String"}
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
			return 0, &javatext.Exception{Class: javatext.NumberFormat, Message: "multiple points"}
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
