package main

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	r, ok := parse("BenchmarkGrowth/read-legacy/1000-2         \t       3\t   2525070 ns/op\t      1084 B/item\t         4.007 allocs/item\t      2525 ns/item")
	if !ok || r.work != "read-legacy" || r.items != "1000" || r.time != 2530*time.Microsecond || r.unit["B/item"] != "1084" || r.unit["ns/item"] != "2525" {
		t.Errorf("read as %+v, %v", r, ok)
	}
	if _, ok := parse("ok  \tflink-entrypoint/internal/boot\t11.890s"); ok {
		t.Error("takes another line for a benchmark")
	}
}
