// Package nearest finds the known name that a wrong name may mean, for "did you mean …?".
package nearest

import "strings"

// Name returns the known name that is at most that many edits from name, the first of the nearest ones, and "" if none
// is so near. An edit inserts, deletes or replaces a byte, or swaps two neighbours; case, dashes, underscores and blanks
// do not count. A name of more than 64 bytes is near to nothing.
func Name(name string, known []string, edits int) string {
	best, least := "", edits+1
	if len(name) > 64 {
		return ""
	}
	folded := fold(name)
	for _, k := range known {
		if d := distance(folded, fold(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, s))
}

// distance is the number of edits that make b of a.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
