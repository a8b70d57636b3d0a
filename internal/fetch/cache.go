package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"flink-entrypoint/internal/atomicfile"
)

// lastGoodCopy is a last good copy: one line of JSON, then the bytes as they were served.
type lastGoodCopy struct {
	Format      int       `json:"format"`
	URI         string    `json:"uri"`  // redacted, for people
	Salt        string    `json:"salt"` // of the keys, so that a short token cannot be guessed from one
	Key         string    `json:"key"`  // digest of all that chooses the answer: a copy serves that request only
	ETag        string    `json:"etag,omitempty"`
	ContentType string    `json:"contentType,omitempty"`
	SHA256      string    `json:"sha256"`
	Fetched     time.Time `json:"fetched"`
	// Script is the script that the definition names, if it does: the two are good together only.
	Script *scriptCopy `json:"script,omitempty"`

	body   []byte
	script []byte
}

type scriptCopy struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
}

const (
	copyFormat   = 2
	maxCopyBytes = 256 << 20
)

// key is the digest of all that chooses the answer to a request for t: the URL, the user, the headers with their values in any
// order, and the absolute names of the files that hold the token and the certificate (what is in them rotates).
func (c *Client) key(salt string, t target) string {
	user, _, _ := strings.Cut(t.basic.text(), ":")
	parts := []string{salt, t.url.String(), user, absolute(c.o.TokenFile), absolute(c.o.CertFile)}
	headers := slices.Clone(c.o.Headers)
	slices.SortStableFunc(headers, func(a, b Header) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	for _, h := range headers {
		parts = append(parts, strings.ToLower(h.Name), h.Value())
	}
	text, _ := json.Marshal(parts) // so that the borders between them count
	return digest(text)
}

// absolute returns the one name of a file, whatever the working directory; "" stays.
func absolute(file string) string {
	if abs, err := filepath.Abs(file); err == nil && file != "" {
		return abs
	}
	return file
}

// loadCopy returns a usable copy, or nil and possibly the reason. With a pinned digest only a copy with that digest is usable.
// A file system that hangs gets half of the remaining time, since the service may well answer, and nothing is to be written to it.
func (c *Client) loadCopy(ctx context.Context, d DocumentOptions, t target, pin string) (saved *lastGoodCopy, warning string, hangs bool) {
	if d.CacheFile == "" {
		return nil, "", false
	}
	ctx, cancel := c.half(ctx)
	defer cancel()
	type loaded struct {
		saved   *lastGoodCopy
		warning string
	}
	l, err := bounded(ctx, func() (l loaded, _ error) {
		if !d.ReadOnly {
			removeStaleCopies(ctx, d.CacheFile)
		}
		l.saved, l.warning = c.readCopy(d.CacheFile, t, pin)
		return l, nil
	}, nil)
	if err != nil {
		return nil, fmt.Sprintf("the last good copy %s is not used: %s", d.CacheFile, notInTime{err}), true
	}
	return l.saved, l.warning, false
}

// readCopy is loadCopy without an end in time.
func (c *Client) readCopy(file string, t target, pin string) (*lastGoodCopy, string) {
	unusable := func(why string) (*lastGoodCopy, string) {
		return nil, fmt.Sprintf("the last good copy %s is not used: %s", file, why)
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ""
	case errors.Is(err, syscall.ELOOP):
		return unusable("it is a symbolic link")
	case err != nil:
		return unusable(plainCause(err).Error())
	}
	defer f.Close()
	st, err := f.Stat() // of the open file, which cannot be exchanged any more
	if err != nil {
		return unusable(plainCause(err).Error())
	}
	if why := untrusted(st); why != "" {
		return unusable(why)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCopyBytes))
	if err != nil {
		return unusable(plainCause(err).Error())
	}
	head, body, found := bytes.Cut(b, []byte("\n"))
	var saved lastGoodCopy
	if !found || json.Unmarshal(head, &saved) != nil || saved.Format != copyFormat {
		return unusable("it is not a copy that this version wrote")
	}
	saved.body = body
	if saved.Script != nil { // it is in front, with its length in a line of its own
		var n int
		length, rest, found := bytes.Cut(body, []byte("\n"))
		if n, err = strconv.Atoi(string(length)); !found || err != nil || n < 0 || n > len(rest) {
			return unusable("it is not a copy that this version wrote")
		}
		saved.script, saved.body = rest[:n], rest[n:]
		if saved.Script.SHA256 != digest(saved.script) {
			return unusable("its script does not match its own digest")
		}
	}
	switch {
	case strings.ContainsFunc(saved.ETag, unicode.IsControl):
		return unusable("its ETag cannot be sent")
	case saved.SHA256 != digest(saved.body):
		return unusable("its content does not match its own digest")
	case saved.Key != c.key(saved.Salt, t):
		return unusable("it is of another URI, or of another header, user, token file or certificate")
	case pin != "" && saved.SHA256 != pin:
		return nil, "" // an older version: replaced after this fetch
	}
	return &saved, ""
}

// untrusted says why another user may have written a file, "" if no other user can have.
func untrusted(st fs.FileInfo) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	groups, _ := os.Getgroups()
	switch {
	case !st.Mode().IsRegular():
		return "it is not a regular file"
	case ok && int(sys.Uid) != os.Geteuid() && sys.Uid != 0:
		return fmt.Sprintf("it belongs to user %d, this process is user %d", sys.Uid, os.Geteuid())
	case st.Mode().Perm()&0o002 != 0:
		return "anyone may write it"
	case st.Mode().Perm()&0o020 != 0 && ok && int(sys.Gid) != os.Getegid() && !slices.Contains(groups, int(sys.Gid)):
		return fmt.Sprintf("the group %d may write it, to which this process does not belong", sys.Gid)
	case st.Size() > maxCopyBytes:
		return "it is too large"
	}
	return ""
}

// store puts a copy in place by rename, mode 0600, and syncs it: it must outlive the container.
func (c *Client) store(ctx context.Context, saved lastGoodCopy, file string, t target, script *target) error {
	saved.Format, saved.URI, saved.Fetched = copyFormat, t.display, c.o.Now().UTC().Truncate(time.Second)
	saved.Salt = newRequestID()
	saved.Key = c.key(saved.Salt, t)
	parts := [][]byte{[]byte("\n")}
	if script != nil {
		saved.Script = &scriptCopy{Key: c.key(saved.Salt, *script), SHA256: digest(saved.script)}
		parts = append(parts, []byte(strconv.Itoa(len(saved.script))+"\n"), saved.script)
	}
	head, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, _ := atomicfile.LockDir(ctx, dir, copyPatience) // without it only a start that cleans up at this moment is in the way
	defer lock.Release()
	f, err := atomicfile.Create(file)
	if err != nil {
		return err
	}
	defer f.Discard()
	for _, b := range append(append([][]byte{head}, parts...), saved.body) {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Place(0o600, atomicfile.Lasting)
}

// copyPatience is how long a copy waits for another start that writes its own to the same directory.
const copyPatience = 2 * time.Second

// removeStaleCopies removes what starts that were killed have left of new copies.
func removeStaleCopies(ctx context.Context, file string) {
	dir := filepath.Dir(file)
	lock, err := atomicfile.LockDir(ctx, dir, 0)
	if err != nil {
		return // another start is at work there; the next one cleans up
	}
	defer lock.Release()
	lock.RemoveStale(nil, dir)
}
