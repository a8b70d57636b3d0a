package fetch

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const copyBuffer = 256 << 10

// Item is one artifact to bring to a path.
type Item struct {
	URI       string
	SHA256    string      // pinned digest; "": none, then it is fetched at every start
	Root      string      // absolute; Path must be below it and no directory between may be a link
	Path      string      // final absolute path
	Mode      fs.FileMode // 0: 0644
	Zip       bool        // it must be a readable zip file, as jars are
	NoReplace bool        // an existing file with other content is a name clash, not an older version
}

// Result is an artifact in place.
type Result struct {
	URI      string // redacted
	Path     string
	SHA256   string
	Size     int64
	Kept     bool // it was there already: nothing was downloaded or nothing changed
	Warnings []string
}

// Artifacts brings all items to their paths, some at a time, and returns the results in the order of items.
// Each is streamed into ".NAME.part" beside its path while it is hashed, checked, synced and renamed, so a
// path holds its old content, its new content or nothing. The first failure that no retry can fix ends the
// others. The error is an [*Error]. p may be nil: then the log tells the progress.
func (c *Client) Artifacts(ctx context.Context, items []Item, p Progress) ([]Result, error) {
	if err := clashes(items); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, nil
	}
	ctx, cancelAll := c.within(ctx)
	defer cancelAll()
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	quiet := p != nil // a bar must not be cut by log lines: they come after it
	if p == nil {
		p = &logProgress{log: c.log, now: c.o.Now}
	}
	p.Begin(len(items))

	results, errs := make([]Result, len(items)), make([]*Error, len(items))
	next := make(chan int)
	var group sync.WaitGroup
	var panicked atomic.Value
	for range min(parallelArtifacts, len(items)) {
		group.Go(func() {
			defer func() { // a panic here would end the process with Go's exit code
				if r := recover(); r != nil {
					panicked.Store(fmt.Sprintf("%v\n%s", r, debug.Stack()))
					stop()
				}
			}()
			buffer := make([]byte, copyBuffer)
			for i := range next {
				d := &download{c: c, item: items[i], buffer: buffer, note: func(n, size int64) { p.Received(i, n, size) }}
				p.Started(i, Redact(items[i].URI), items[i].Path)
				results[i], errs[i] = d.run(ctx)
				p.Finished(i, results[i], errs[i].asError())
				if errs[i] != nil {
					stop()
				}
			}
		})
	}
	for i := range items {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	group.Wait()
	p.End()
	if r := panicked.Load(); r != nil {
		panic(r)
	}

	var first *Error
	for i, e := range errs {
		if e == nil && quiet && results[i].SHA256 != "" {
			results[i].log(c.log)
		}
		switch {
		case e == nil:
		case first == nil || first.Kind == KindCancelled:
			first = e
		case e.Kind != KindCancelled:
			c.log.Error("artifact failed too", "reason", e.Error())
		}
	}
	if first == nil && outer.Err() != nil {
		first = contextError(Redact(items[0].URI), outer)
	}
	if first != nil {
		return nil, first
	}
	return results, nil
}

// asError avoids a non-nil interface around a nil pointer.
func (e *Error) asError() error {
	if e == nil {
		return nil
	}
	return e
}

func clashes(items []Item) error {
	at := make(map[string]string, len(items))
	for _, item := range items {
		display := Redact(item.URI)
		if other, taken := at[item.Path]; taken {
			return &Error{URI: display, Kind: KindClash, Detail: fmt.Sprintf("%s would go to %s, and so would this", other, item.Path),
				Hint: "give one of them another name or place"}
		}
		at[item.Path] = display
	}
	return nil
}

// download is one artifact on its way.
type download struct {
	c      *Client
	item   Item
	buffer []byte
	note   func(n, size int64) // n more bytes (negative: started over) of size (-1: unknown)

	t    target
	pin  string
	p    *place
	f    *os.File
	hash hash.Hash
	at   int64 // bytes in f, all of them hashed

	etag, modified string // validators of the bytes in f
	inherited      bool   // some bytes in f are from an earlier process or unvalidated: a wrong digest starts over once
}

func (d *download) run(ctx context.Context) (Result, *Error) {
	var e *Error
	if d.t, e = parseTarget(d.item.URI); e != nil {
		return Result{}, e
	}
	d.c.learn(d.t.secretValues(false)...)
	if d.pin, e = parseDigest(d.t.display, d.item.SHA256); e != nil {
		return Result{}, e
	}
	if d.item.Mode == 0 {
		d.item.Mode = 0o644
	}
	r := Result{URI: d.t.display, Path: d.item.Path}
	if d.t.url != nil {
		r.Warnings = d.c.plainTextWarnings(d.t)
	}
	if d.p, e = openPlace(d.t.display, d.item); e != nil {
		return r, e
	}
	defer d.p.close()
	had, size, e := d.p.existing(ctx, d.t.display, d.buffer)
	if e != nil {
		return r, e
	}
	if had != "" && had == d.pin {
		r.SHA256, r.Size, r.Kept = had, size, true
		return r, nil
	}
	if had != "" && d.pin != "" && d.item.NoReplace {
		return r, d.clash(had)
	}

	f, part, err := d.p.part()
	if err != nil {
		return r, d.p.writeError(d.t.display, err)
	}
	d.f, d.hash = f, sha256.New()
	defer f.Close()
	keepPart := false
	defer func() {
		if !keepPart {
			d.p.dir.Remove(part)
		}
	}()
	if d.t.url == nil {
		e = d.copyFile(ctx)
	} else {
		e = d.fetch(ctx)
	}
	if e != nil {
		// Only the digest can show later whether these bytes are a part of the right file.
		keepPart = d.pin != "" && d.at > 0 && d.t.url != nil && (e.Temporary() || e.Kind == KindCancelled)
		return r, e
	}
	r.SHA256, r.Size = hex.EncodeToString(d.hash.Sum(nil)), d.at
	if d.item.Zip {
		if e := checkZip(d.t.display, f, d.at, d.c.secrets(d.t)); e != nil {
			return r, e
		}
	}
	switch {
	case had == r.SHA256:
		r.Kept = true // a second start changes no byte
		return r, nil
	case had != "" && d.item.NoReplace:
		return r, d.clash(had)
	}
	if err := d.p.put(f, part, d.item.Mode); err != nil {
		return r, d.p.writeError(d.t.display, err)
	}
	keepPart = true // it has become the artifact
	return r, nil
}

func (d *download) clash(had string) *Error {
	return &Error{URI: d.t.display, Kind: KindClash, Detail: fmt.Sprintf("%s exists with other content (sha256 %s)", d.item.Path, had),
		Hint: "give the artifact another name: flink-entrypoint does not replace a file that it did not write"}
}

// restart forgets the bytes in the part.
func (d *download) restart() *Error {
	if d.at > 0 {
		d.note(-d.at, -1)
	}
	d.hash.Reset()
	d.at, d.etag, d.modified, d.inherited = 0, "", "", false
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return d.p.writeError(d.t.display, err)
	}
	if err := d.f.Truncate(0); err != nil {
		return d.p.writeError(d.t.display, err)
	}
	return nil
}

func (d *download) copyFile(ctx context.Context) *Error {
	if e := d.restart(); e != nil {
		return e
	}
	src, err := openWithin(ctx, d.t.path, os.O_RDONLY|syscall.O_NONBLOCK) // a FIFO is refused below, not waited for
	if ctx.Err() != nil {
		return contextError(d.t.display, ctx)
	}
	if err != nil {
		return fileError(d.t.display, err)
	}
	defer src.Close()
	st, err := src.Stat()
	if err != nil {
		return fileError(d.t.display, err)
	}
	if !st.Mode().IsRegular() {
		return &Error{URI: d.t.display, Kind: KindFile, Detail: "it is not a regular file"}
	}
	if err := d.copy(ctx, src, st.Size()); err != nil {
		return d.copyError(ctx, err, func(err error) *Error { return fileError(d.t.display, err) })
	}
	return checkDigest(d.t.display, hex.EncodeToString(d.hash.Sum(nil)), d.pin)
}

// untilDone stops reading when the context ends, also in the middle of a large local file.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// writeFailure marks an error of the local disk, to tell it from an error of the source.
type writeFailure struct{ error }

func (w writeFailure) Unwrap() error { return w.error }

// copy streams src to the part while hashing it.
func (d *download) copy(ctx context.Context, src io.Reader, size int64) error {
	src = untilDone{ctx, src}
	for {
		n, err := src.Read(d.buffer)
		if n > 0 {
			if _, err := d.f.Write(d.buffer[:n]); err != nil {
				return writeFailure{err}
			}
			d.hash.Write(d.buffer[:n])
			d.at += int64(n)
			d.note(int64(n), size)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (d *download) copyError(ctx context.Context, err error, source func(error) *Error) *Error {
	var w writeFailure
	switch {
	case errors.As(err, &w):
		return d.p.writeError(d.t.display, w.error)
	case ctx.Err() != nil:
		return contextError(d.t.display, ctx)
	}
	return source(err)
}

// fetch downloads over HTTP and resumes what an earlier attempt, or an earlier process, has left.
func (d *download) fetch(ctx context.Context) *Error {
	if e := d.inherit(ctx); e != nil {
		return e
	}
	if d.at > 0 && hex.EncodeToString(d.hash.Sum(nil)) == d.pin {
		return nil // an earlier process was stopped just before the rename
	}
	receipt, e := d.c.get(ctx, d.t, func(r *http.Request) {
		r.Header.Set("Accept", "*/*")
		r.Header.Set("Accept-Encoding", "identity") // a range counts encoded bytes
		r.Header.Del("Range")
		r.Header.Del("If-Range")
		if d.at == 0 {
			return
		}
		r.Header.Set("Range", "bytes="+strconv.FormatInt(d.at, 10)+"-")
		switch {
		case d.etag != "":
			r.Header.Set("If-Range", d.etag)
		case d.modified != "":
			r.Header.Set("If-Range", d.modified)
		}
	}, func(a *answer) *Error { return d.receive(ctx, a) })
	if e == nil {
		d.c.log.With(receipt...).Debug("artifact downloaded", "uri", d.t.display)
	}
	return e
}

// inherit takes over the part of an earlier process. Without a digest nothing could tell whether its bytes
// still fit, so then it starts empty.
func (d *download) inherit(ctx context.Context) *Error {
	st, err := d.f.Stat()
	if err != nil {
		return d.p.writeError(d.t.display, err)
	}
	if st.Size() == 0 || d.pin == "" {
		return d.restart()
	}
	n, err := io.CopyBuffer(d.hash, untilDone{ctx, d.f}, d.buffer)
	if err != nil {
		return d.copyError(ctx, err, func(err error) *Error { return d.p.writeError(d.t.display, err) })
	}
	d.at, d.inherited = n, true
	d.note(n, -1)
	return nil
}

func (d *download) receive(ctx context.Context, a *answer) *Error {
	if encoding := a.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") &&
		(a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent) {
		// A decoded body may have any size, and digests and ranges are about the file itself.
		return &Error{URI: d.t.display, Kind: KindGzip, Status: a.StatusCode,
			Detail: fmt.Sprintf("the answer has the content encoding %q, which was not asked for", cut(oneLine(scrub(encoding, d.c.secrets(d.t))), 40)),
			Hint:   "let the service send the file as it is: without Content-Encoding"}
	}
	size := int64(-1)
	switch a.StatusCode {
	case http.StatusOK:
		if e := d.restart(); e != nil {
			return e
		}
		d.etag, d.modified = validators(a.Header)
		size = a.ContentLength
	case http.StatusPartialContent:
		total, e := d.checkRange(a)
		if e != nil {
			return e
		}
		size = total
	case http.StatusRequestedRangeNotSatisfiable:
		if d.at == 0 {
			return a.statusError()
		}
		return d.startOver(&Error{URI: d.t.display, Kind: KindLength, Status: a.StatusCode, Detail: "the service no longer has the rest of the file"})
	default:
		return a.statusError()
	}
	began := d.at
	err := d.copy(ctx, d.sniffed(a), size)
	if err != nil {
		e := d.copyError(ctx, err, a.bodyError)
		e.again = d.at > began
		if e.Kind == KindTruncated {
			e.Detail = fmt.Sprintf("the file was cut after %d bytes", d.at)
		}
		return d.keepOrDrop(e, a)
	}
	if size >= 0 && d.at != size && a.Header.Get("Content-Encoding") == "" {
		return d.startOver(&Error{URI: d.t.display, Kind: KindLength, Status: a.StatusCode, Detail: fmt.Sprintf("it has %d bytes, expected %d", d.at, size)})
	}
	if d.at == 0 {
		return &Error{URI: d.t.display, Kind: KindEmpty, Detail: "the service answered 200 with an empty body"}
	}
	e := checkDigest(d.t.display, hex.EncodeToString(d.hash.Sum(nil)), d.pin)
	if e != nil && d.inherited {
		return d.startOver(e)
	}
	return e
}

// startOver drops the part and retries from the first byte.
func (d *download) startOver(e *Error) *Error {
	if e2 := d.restart(); e2 != nil {
		return e2
	}
	e.retry = true
	return e
}

// keepOrDrop decides after a cut whether the bytes so far can be resumed: with a validator the server tells
// whether the file is still the same, with a pinned digest we do.
func (d *download) keepOrDrop(e *Error, a *answer) *Error {
	encoded := a.Header.Get("Content-Encoding") != ""
	refused := strings.EqualFold(a.Header.Get("Accept-Ranges"), "none")
	if d.etag == "" && d.modified == "" {
		d.inherited = true
	}
	if encoded || refused || (d.inherited && d.pin == "") {
		if e2 := d.restart(); e2 != nil {
			return e2
		}
	}
	return e
}

// validators returns what If-Range may carry: a strong ETag, else the date of the last change.
func validators(h http.Header) (etag, modified string) {
	etag = h.Get("ETag")
	if strings.HasPrefix(etag, "W/") || !strings.HasPrefix(etag, `"`) {
		etag = ""
	}
	return etag, h.Get("Last-Modified")
}

// checkRange verifies that a 206 continues exactly where the part ends, of the same file, and returns the
// whole size (-1: unknown).
func (d *download) checkRange(a *answer) (int64, *Error) {
	var first, last int64
	header := a.Header.Get("Content-Range")
	span, whole, found := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
	from, to, _ := strings.Cut(span, "-")
	var err1, err2 error
	first, err1 = strconv.ParseInt(from, 10, 64)
	last, err2 = strconv.ParseInt(to, 10, 64)
	wrong := func(why string) (int64, *Error) {
		return 0, d.startOver(&Error{URI: d.t.display, Kind: KindLength, Status: a.StatusCode,
			Detail: fmt.Sprintf("the answer to a range request does not fit: %s (Content-Range %q)", why, cut(oneLine(scrub(header, d.c.secrets(d.t))), 60))})
	}
	switch {
	case d.at == 0:
		return 0, a.statusError() // the request was not for a range
	case !found || err1 != nil || err2 != nil || !strings.HasPrefix(header, "bytes "):
		return wrong("the range is not valid")
	case first != d.at || last < first:
		return wrong(fmt.Sprintf("the request was for the bytes from %d on", d.at))
	case a.ContentLength >= 0 && a.ContentLength != last-first+1:
		return wrong(fmt.Sprintf("the body has %d bytes", a.ContentLength))
	}
	if etag, _ := validators(a.Header); d.etag != "" && etag != "" && etag != d.etag {
		return wrong("the file has changed")
	}
	if d.etag == "" && d.modified == "" {
		d.etag, d.modified = validators(a.Header)
		d.inherited = true
	}
	if whole == "*" {
		return -1, nil
	}
	total, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || total <= last {
		return wrong("the size is not valid")
	}
	return total, nil
}

// sniffed is the body, after a look at its first bytes for a web page.
func (d *download) sniffed(a *answer) io.Reader {
	body := a.decoded()
	if d.at > 0 {
		return body
	}
	return &sniffer{body: body, a: a}
}

type sniffer struct {
	body   io.Reader
	a      *answer
	looked bool
}

func (s *sniffer) Read(p []byte) (int, error) {
	if s.looked {
		return s.body.Read(p)
	}
	s.looked = true
	n, err := io.ReadAtLeast(s.body, p, min(len(p), 512))
	if errors.Is(err, io.ErrUnexpectedEOF) && (s.a.raw.err == nil || s.a.raw.err == io.EOF) {
		err = io.EOF // a short file, not a cut one
	}
	if looksHTML(p[:n], "") {
		return 0, s.a.htmlError(p[:n])
	}
	return n, err
}

// checkZip opens the central directory, which is at the end of the file and lists every entry.
func checkZip(display string, f *os.File, size int64, secrets []string) *Error {
	if _, err := zip.NewReader(f, size); err != nil {
		head := make([]byte, 4)
		n, _ := f.ReadAt(head, 0)
		begin := fmt.Sprintf("%q", head[:n])
		if n > 0 && slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(s, string(head[:n])) }) {
			begin = mask
		}
		return &Error{URI: display, Kind: KindZip, Detail: fmt.Sprintf("it is not a zip file, as a jar must be: %v (%d bytes, beginning with %s)", err, size, begin),
			Hint: "check that the URI is the URI of the jar itself, not of a web page about it"}
	}
	return nil
}
