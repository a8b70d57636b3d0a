package fetch_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"testing"

	"flink-entrypoint/test/world"
)

// TestMain lets many tests wait at once, and silences net/http's own log lines about servers that speak out of turn, as the program does.
func TestMain(m *testing.M) {
	if err := world.Parallel(16); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
