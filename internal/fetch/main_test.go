package fetch_test

import (
	"io"
	"log"
	"os"
	"testing"
)

// TestMain silences net/http's own log lines about servers that speak out of turn, as the program does.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
