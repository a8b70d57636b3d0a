package world

import (
	"flag"
	"strconv"
)

// Parallel lets a package's parallel tests run n at a time, for tests that wait most of the time: by default only as many do as there are processors.
// TestMain calls it. What -parallel says wins.
func Parallel(n int) error {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(n))
}
