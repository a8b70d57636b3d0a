package crash

import (
	"archive/zip"
	"bytes"
	"time"
)

// emptyZip is a jar that holds nothing.
func emptyZip() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("META-INF/"); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func fixedTime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
