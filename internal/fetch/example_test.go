package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flink-entrypoint/internal/fetch"
)

func ExampleClient_Document() {
	file := filepath.Join(os.TempDir(), "fetch-example.yaml")
	os.WriteFile(file, []byte("name: clicks\n"), 0o600)
	defer os.Remove(file)

	c, err := fetch.New(fetch.Options{Timeout: time.Minute, UserAgent: "flink-entrypoint/1.0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := c.Document(context.Background(), "file:"+file, fetch.DocumentOptions{})
	fmt.Printf("%s%v\n", doc.Bytes, err)

	_, err = c.Document(context.Background(), "s3://key:secret@bucket/job.yaml", fetch.DocumentOptions{})
	var e *fetch.Error
	if errors.As(err, &e) {
		fmt.Println(e.Kind, e.URI)
	}
	// Output:
	// name: clicks
	// <nil>
	// scheme s3://******@bucket/job.yaml
}
