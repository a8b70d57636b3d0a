package confpatch

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// javaTrim is String.trim: everything up to U+0020 is blank.
func javaTrim(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// javaHash is what java.util.HashMap makes of String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = decodeRune(s[i:])
		}
		i += n
		if c > 0xFFFF {
			h = 31*h + uint32(0xD800+(c-0x10000)>>10)
			c = 0xDC00 + (c-0x10000)&0x3FF
		}
		h = 31*h + uint32(c)
	}
	return h ^ h>>16
}

// hashMapOrder returns the indices of keys (distinct, in order of insertion) in the order in which a
// java.util.HashMap iterates that was created for capacity entries.
func hashMapOrder(keys []string, capacity int) []int {
	size := 1
	for size < capacity {
		size *= 2
	}
	for threshold := size * 3 / 4; len(keys) > threshold; threshold = size * 3 / 4 {
		size *= 2
	}
	heads := make([]int32, size) // index+1 of the first and last key of each bucket
	tails := make([]int32, size)
	next := make([]int32, len(keys))
	for i, k := range keys {
		b := javaHash(k) & uint32(size-1)
		if heads[b] == 0 {
			heads[b] = int32(i + 1)
		} else {
			next[tails[b]-1] = int32(i + 1)
		}
		tails[b] = int32(i + 1)
	}
	order := make([]int, 0, len(keys))
	for _, i := range heads {
		for ; i != 0; i = next[i-1] {
			order = append(order, int(i-1))
		}
	}
	return order
}

// javaDouble is Double.toString: the shortest decimal, as since JDK 19. Older ones print a digit too many for
// some numbers from 1e16 on and below 1e-300 (JDK-4511638).
func javaDouble(d float64) string {
	switch {
	case math.IsNaN(d):
		return "NaN"
	case math.IsInf(d, 1):
		return "Infinity"
	case math.IsInf(d, -1):
		return "-Infinity"
	}
	if a := math.Abs(d); a == 0 || a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(d, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(d, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}
