package flinkconf

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a Flink version. Ordering ignores the patch release wherever rules are concerned ([Version.AtLeast]).
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "2.2", "2.2.1", or "1.20-SNAPSHOT"; what follows the numbers is ignored.
func ParseVersion(s string) (Version, error) {
	numbers, _, _ := strings.Cut(s, "-")
	parts := strings.Split(numbers, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return Version{}, fmt.Errorf("Flink version %q: expected MAJOR.MINOR or MAJOR.MINOR.PATCH, e.g. 2.2.1", s)
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return Version{}, fmt.Errorf("Flink version %q: expected MAJOR.MINOR or MAJOR.MINOR.PATCH, e.g. 2.2.1", s)
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String returns "2.2.1".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// MinorString returns "2.2".
func (v Version) MinorString() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// AtLeast reports whether v is of the minor release major.minor or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || (v.Major == major && v.Minor >= minor)
}
