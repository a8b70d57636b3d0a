package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// openWithin opens a file. A file system that hangs, or a pipe without a writer, would block the call for ever: then the
// call is given up when ctx ends, and ends with this process.
func openWithin(ctx context.Context, path string, flag int) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, flag, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		go func() {
			if o := <-done; o.err == nil {
				o.f.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// readWithin reads a small file, a pipe too, until ctx ends. More than limit bytes is an error.
func readWithin(ctx context.Context, path string, limit int64) ([]byte, error) {
	type content struct {
		b   []byte
		err error
	}
	done := make(chan content, 1)
	go func() {
		f, err := os.Open(path)
		if fd, ok := descriptor(path); ok && errors.Is(err, fs.ErrPermission) {
			f, err = openAgain(fd, path)
		}
		if err != nil {
			done <- content{nil, err}
			return
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err == nil && int64(len(b)) > limit {
			err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it holds more than %d bytes", limit)}
		}
		done <- content{b, err}
	}()
	select {
	case c := <-done:
		return c.b, c.err
	case <-ctx.Done():
		return nil, &fs.PathError{Op: "read", Path: path, Err: notInTime{ctx.Err()}}
	}
}

// descriptor returns the number of the open file that a path names: /dev/stdin, or what a shell makes of <(command).
func descriptor(path string) (fd int, ok bool) {
	if path == "/dev/stdin" {
		return 0, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/", fmt.Sprintf("/proc/%d/fd/", os.Getpid())} {
		if number, found := strings.CutPrefix(path, dir); found {
			fd, err := strconv.Atoi(number)
			return fd, err == nil && fd >= 0
		}
	}
	return 0, false
}

// openAgain opens a file that is open already. By its path only a user with the right to it can do so: what root opened for
// this program, the user flink could not read.
func openAgain(fd int, path string) (*os.File, error) {
	again, err := syscall.Dup(fd)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	syscall.CloseOnExec(again)
	f := os.NewFile(uintptr(again), path)
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		if _, err := f.Seek(0, io.SeekStart); err != nil { // as if it had been opened by its path
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// notInTime is the reason of a file that did not answer.
type notInTime struct{ error }

func (n notInTime) Error() string {
	return "it did not answer before the time was over (--fetch-timeout)"
}

func (n notInTime) Unwrap() error { return n.error }

// ReadFile reads a small local file, a pipe too, within the total time of the Client. Its error is a [*fs.PathError].
func (c *Client) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return readWithin(ctx, path, limit)
}
