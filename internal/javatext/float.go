package javatext

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Shortest is the first version of Java whose Double.toString and Float.toString print the shortest decimal that reads
// back as the same number (JDK-4511638, JDK 19). Older versions print a digit too many for some numbers.
const Shortest = 19

// Double is Double.toString of a version of Java, e.g. 17: "0.4000000059604645", "1.0", "1.0E9", "NaN". A version of 0,
// where it is not known, counts as 19 or later.
func Double(d float64, java int) string {
	if java > 0 && java < Shortest {
		return before19(math.Signbit(d), d, func() (uint64, int, int) {
			return significand(math.Float64bits(d)&(1<<52-1), int(math.Float64bits(d)>>52&0x7FF), 52, 1023)
		})
	}
	return shortest(d, 64)
}

// Float is Float.toString of a version of Java, as [Double] is Double.toString.
func Float(f float32, java int) string {
	if java > 0 && java < Shortest {
		return before19(math.Signbit(float64(f)), float64(f), func() (uint64, int, int) {
			return significand(uint64(math.Float32bits(f)&(1<<23-1)), int(math.Float32bits(f)>>23&0xFF), 23, 127)
		})
	}
	return shortest(float64(f), 32)
}

// special returns the texts of the numbers that have no digits of their own.
func special(d float64) (string, bool) {
	switch {
	case math.IsNaN(d):
		return "NaN", true
	case math.IsInf(d, 1):
		return "Infinity", true
	case math.IsInf(d, -1):
		return "-Infinity", true
	case d == 0:
		return strconv.FormatFloat(d, 'f', 1, 64), true
	}
	return "", false
}

// shortest prints as Java does from 19 on.
func shortest(d float64, bitSize int) string {
	if s, ok := special(d); ok {
		return s
	}
	d, negative := math.Abs(d), d < 0
	text := strconv.FormatFloat(d, 'e', -1, bitSize)
	// Of the decimals of this length, but of at least two digits, Java takes the nearest (4.9E-324, not 5.0E-324), and the
	// even one of two that are equally near.
	decimals := max(1, strings.IndexByte(text, 'e')-len("1."))
	nearest := strconv.FormatFloat(d, 'e', decimals, bitSize)
	if back, err := strconv.ParseFloat(nearest, bitSize); err == nil && back == d {
		text = nearest
	}
	mantissa, exponent, _ := strings.Cut(text, "e")
	n, _ := strconv.Atoi(exponent)
	digits := strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0")
	return layOut(negative, digits, n+1)
}

// layOut writes the digits 0.DDD × 10^exponent: plain from 10^-3 up to 10^7, else in computerized scientific notation.
func layOut(negative bool, digits string, exponent int) string {
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	orZero := func(s string) string {
		if s == "" {
			return "0"
		}
		return s
	}
	switch {
	case exponent > 0 && exponent < 8:
		whole := digits[:min(exponent, len(digits))]
		b.WriteString(whole + strings.Repeat("0", exponent-len(whole)) + "." + orZero(digits[len(whole):]))
	case exponent <= 0 && exponent > -3:
		b.WriteString("0." + strings.Repeat("0", -exponent) + digits)
	default:
		b.WriteString(digits[:1] + "." + orZero(digits[1:]) + "E" + strconv.Itoa(exponent-1))
	}
	return b.String()
}

// significand returns a number's significand with its highest bit at 2^52, its exponent (the number is
// significand × 2^(exponent-52)), and how many bits of the significand the format can hold at this size.
func significand(fraction uint64, exponent, fractionBits, bias int) (mantissa uint64, exp, significant int) {
	if exponent > 0 {
		return (fraction | 1<<fractionBits) << (52 - fractionBits), exponent - bias, fractionBits + 1
	}
	significant = bits.Len64(fraction) // a denormal number
	return fraction << (53 - significant), 1 - bias - (fractionBits + 1 - significant), significant
}

// before19 prints as Java did up to 18: digits are generated until the rest is less than the distance to the
// neighbours (Steele and White), with an estimate of that distance that is too small for some numbers, among them
// powers of two, and with whole numbers of up to 63 bits printed exactly.
func before19(negative bool, d float64, parts func() (uint64, int, int)) string {
	if s, ok := special(d); ok {
		return s
	}
	mantissa, exp, significant := parts()
	zeros := bits.TrailingZeros64(mantissa)
	used := 53 - zeros               // bits from the highest to the lowest that is set
	fractional := max(0, used-exp-1) // how many of them are after the binary point
	if exp >= -21 && exp <= 62 && fractional == 0 {
		digits, exponent := wholeNumber(mantissa, exp, significant)
		return layOut(negative, digits, exponent)
	}
	digits, exponent := generate(mantissa>>zeros, exp, used, fractional, significant, estimate(mantissa, exp))
	return layOut(negative, digits, exponent)
}

// wholeNumber is for numbers without a fraction below 2^63. Digits that are less than the distance to the next number
// are rounded away.
func wholeNumber(mantissa uint64, exp, significant int) (digits string, exponent int) {
	n := mantissa
	if exp >= 52 {
		n <<= exp - 52
	} else {
		n >>= 52 - exp
	}
	dropped := 0
	if p := exp - significant - 1; exp > significant && p > 1 {
		dropped = int(float64(p) * math.Log10(2))
		unit := uint64(math.Pow10(dropped))
		rest := n % unit
		if n /= unit; rest >= unit/2 && unit > 1 {
			n++
		}
	}
	text := strconv.FormatUint(n, 10)
	return strings.TrimRight(text, "0"), len(text) + dropped
}

// estimate is the decimal exponent of the first digit, which may be one too high.
func estimate(mantissa uint64, exp int) int {
	m := math.Float64frombits(1023<<52 | mantissa&(1<<52-1)) // in [1, 2)
	return int(math.Floor((m-1.5)*0.289529654 + 0.176091259 + float64(exp)*0.301029995663981))
}

// bitsOfPowerOf5 is how many bits 5^n has, as Java's table and its bound beyond the table say.
func bitsOfPowerOf5(n int) int {
	switch {
	case n == 0:
		return 0
	case n < 27:
		return power(5, n).BitLen()
	}
	return 3 * n
}

func power(base int64, n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(n)), nil)
}

// generate makes the digits of odd × 2^(exp-used+1), odd being a number of used bits.
func generate(odd uint64, exp, used, fractional, significant, decimal int) (digits string, exponent int) {
	// The number is b/s × 10^decimal, and m/s half the distance to the next number; each is a product of powers of 2 and 5.
	b5, s5 := max(0, -decimal), max(0, decimal)
	b2, s2 := b5+fractional+exp, s5+fractional
	m2 := b2 - significant
	b2 -= used - 1
	common := min(b2, s2)
	b2, s2, m2 = b2-common, s2-common, m2-common
	if used == 1 {
		m2-- // below a power of two the numbers are half as far apart
	}
	if m2 < 0 {
		b2, s2, m2 = b2-m2, s2-m2, 0
	}
	shift := func(n *big.Int, by int) *big.Int { return n.Lsh(n, uint(by)) }
	b := shift(new(big.Int).Mul(new(big.Int).SetUint64(odd), power(5, b5)), b2)
	s := shift(power(5, s5), s2)
	m := shift(power(5, b5), m2)
	ten := big.NewInt(10)
	tenS := new(big.Int).Mul(s, ten)
	width := arithmetic(used+b2+bitsOfPowerOf5(b5), s2+1+bitsOfPowerOf5(s5+1))
	var out []byte
	next := func() (low, high bool) {
		q, rest := new(big.Int).QuoRem(b, s, new(big.Int))
		b.Mul(rest, ten)
		out = append(out, '0'+byte(q.Int64()))
		if width == 0 {
			m.Mul(m, ten)
			return b.Cmp(m) < 0, new(big.Int).Add(b, m).Cmp(tenS) >= 0
		}
		// These sums overflow for some numbers, which then get a digit that is not the nearest.
		m.SetInt64(wrap(m.Int64()*10, width))
		if m.Sign() <= 0 {
			return true, true
		}
		return b.Cmp(m) < 0, wrap(b.Int64()+m.Int64(), width) > tenS.Int64()
	}
	low, high := next()
	if out[0] == '0' && !high { // the estimate was one too high
		decimal--
		out = out[:0]
	}
	if decimal < -3 || decimal >= 8 {
		low, high = false, false // a second digit is wanted
	}
	for !low && !high {
		low, high = next()
	}
	if high {
		up := true
		if low {
			c := new(big.Int).Lsh(b, 1).Cmp(tenS)
			up = c > 0 || c == 0 && (out[len(out)-1]-'0')%2 == 1
		}
		if up {
			out, decimal = roundUp(out, decimal)
		}
	}
	text := strings.TrimRight(string(out), "0")
	if text == "" {
		text = "0"
	}
	return text, decimal + 1
}

// arithmetic is how many bits Java computes with for numbers of so many bits: 32 or 64, or 0 for big numbers.
func arithmetic(bits, moreBits int) int {
	switch most := max(bits, moreBits); {
	case most < 32:
		return 32
	case most < 64:
		return 64
	}
	return 0
}

// wrap is the value of n in an int or a long.
func wrap(n int64, width int) int64 {
	if width == 32 {
		return int64(int32(n)) //nolint:gosec // the overflow is Java's
	}
	return n
}

// roundUp adds one to the last digit.
func roundUp(digits []byte, decimal int) ([]byte, int) {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] < '9' {
			digits[i]++
			return digits, decimal
		}
		digits[i] = '0'
	}
	digits[0] = '1' // 99…9 became 100…0
	return digits, decimal + 1
}
