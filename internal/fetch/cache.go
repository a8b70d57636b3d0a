package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// copyOf is a last good copy: one line of JSON, then the bytes as they were served.
type copyOf struct {
	Format      int       `json:"format"`
	URI         string    `json:"uri"` // redacted, for people
	Key         string    `json:"key"` // digest of the URI without user info: a copy serves that URI only
	ETag        string    `json:"etag,omitempty"`
	ContentType string    `json:"contentType,omitempty"`
	SHA256      string    `json:"sha256"`
	Fetched     time.Time `json:"fetched"`

	body []byte
}

const (
	copyFormat   = 1
	maxCopyBytes = 256 << 20
)

func (t target) key() string { return digest([]byte(t.url.String())) }

// loadCopy returns a usable copy, or nil and possibly why there is none. With a pinned digest only a copy
// with that digest is usable.
func loadCopy(file string, t target, pin string) (*copyOf, string) {
	if file == "" {
		return nil, ""
	}
	unusable := func(why string) (*copyOf, string) {
		return nil, fmt.Sprintf("the last good copy %s is not used: %s", file, why)
	}
	st, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ""
	}
	switch {
	case err != nil:
		return unusable(plainCause(err).Error())
	case !st.Mode().IsRegular():
		return unusable("it is not a regular file")
	case st.Mode().Perm()&0o002 != 0:
		return unusable("anyone may write it")
	case st.Size() > maxCopyBytes:
		return unusable("it is too large")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return unusable(plainCause(err).Error())
	}
	head, body, found := bytes.Cut(b, []byte("\n"))
	var c copyOf
	if !found || json.Unmarshal(head, &c) != nil || c.Format != copyFormat {
		return unusable("it is not a copy that this version wrote")
	}
	c.body = body
	switch {
	case c.SHA256 != digest(body):
		return unusable("its content does not match its own digest")
	case c.Key != t.key():
		return unusable("it is of another URI")
	case pin != "" && c.SHA256 != pin:
		return nil, "" // an older version: replaced after this fetch
	}
	return &c, ""
}

// store puts the copy in place by rename, mode 0600, and syncs it: it must outlive the container.
func (c copyOf) store(file string, t target, now time.Time) error {
	c.Format, c.URI, c.Key, c.Fetched = copyFormat, t.display, t.key(), now.UTC().Truncate(time.Second)
	head, err := json.Marshal(c)
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	for _, b := range [][]byte{head, []byte("\n"), c.body} {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
