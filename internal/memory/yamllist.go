package memory

import (
	"math/big"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

// yamlList reads the text of a YAML sequence of scalars, in flow form ("[gpu, 'fpga']") or in block form ("- gpu"), and returns the
// items as Flink prints them. Anything else, collections inside it too, is no list: Flink splits such text at semicolons, and an
// external resource that is called like a collection does not exist.
func yamlList(text string) (items []string, ok bool) {
	text = strings.TrimSpace(text)
	if rest, flow := strings.CutPrefix(text, "["); flow {
		return flowList(rest)
	}
	if !strings.HasPrefix(text, "- ") {
		return nil, false
	}
	for line := range strings.SplitSeq(text, "\n") {
		rest, isItem := strings.CutPrefix(strings.TrimSpace(line), "- ")
		item, after, ok := flowScalar(strings.TrimSpace(rest), "")
		if !isItem || !ok || after != "" {
			return nil, false
		}
		items = append(items, item)
	}
	return items, true
}

// flowList reads the rest of a flow sequence behind its bracket.
func flowList(rest string) (items []string, ok bool) {
	for {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if after, closed := strings.CutPrefix(rest, "]"); closed {
			return items, strings.TrimSpace(after) == ""
		}
		item, after, ok := flowScalar(rest, ",[]{}")
		if !ok {
			return nil, false
		}
		items = append(items, item)
		rest = strings.TrimLeft(after, " \t\r\n")
		if after, more := strings.CutPrefix(rest, ","); more {
			rest = after
		} else if !strings.HasPrefix(rest, "]") {
			return nil, false
		}
	}
}

// flowScalar reads one scalar, which ends before any of the characters in ends.
func flowScalar(s, ends string) (value, rest string, ok bool) {
	if s == "" {
		return "", "", false
	}
	switch s[0] {
	case '\'':
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			if s[i] == '\'' {
				if i+1 == len(s) || s[i+1] != '\'' {
					return b.String(), s[i+1:], true
				}
				i++
			}
			b.WriteByte(s[i])
		}
		return "", "", false
	case '"':
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				value, err := strconv.Unquote(s[:i+1])
				return value, s[i+1:], err == nil
			}
		}
		return "", "", false
	}
	if strings.IndexByte(",[]{}&*!|>%@`#", s[0]) >= 0 || strings.HasPrefix(s, "- ") || strings.HasPrefix(s, "? ") {
		return "", "", false
	}
	end := strings.IndexAny(s, ends+"\n")
	if end < 0 {
		end = len(s)
	}
	plain := strings.TrimSpace(s[:end])
	if strings.Contains(plain, ": ") || strings.HasSuffix(plain, ":") || strings.Contains(plain, " #") {
		return "", "", false
	}
	value, ok = coreScalar(plain)
	return value, s[end:], ok
}

// coreScalar prints a plain scalar as the YAML core schema resolves it; null is not ok (Flink cannot print it).
func coreScalar(s string) (string, bool) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return "", false
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return strings.ToLower(s), true
	}
	digits := strings.TrimLeft(s, "+-")
	base := 10
	if strings.HasPrefix(s, "0o") {
		digits, base = s[2:], 8
	} else if strings.HasPrefix(s, "0x") {
		digits, base = s[2:], 16
	}
	if len(s)-len(digits) <= 2 && digits != "" && !strings.ContainsAny(digits, "_+-") {
		if n, ok := new(big.Int).SetString(digits, base); ok {
			if s[0] == '-' {
				n.Neg(n)
			}
			return n.String(), true
		}
		if strings.IndexByte("0123456789.", digits[0]) >= 0 && strings.Trim(digits, "0123456789.eE") == "" {
			if f, err := strconv.ParseFloat(s, 64); err == nil {
				return flinkconf.FormatDouble(f), true
			}
		}
	}
	return s, true
}
