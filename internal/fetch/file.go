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

// bounded returns what f returns, or the error of ctx when it ends first: a file system that hangs blocks its callers for ever. Then f goes on alone
// until the file system answers or this process ends; late, if it is not nil, gets what it returns without an error.
func bounded[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		if late != nil {
			go func() {
				if r := <-done; r.err == nil {
					late(r.value)
				}
			}()
		}
		var none T
		return none, ctx.Err()
	}
}

// openWithin opens a file until ctx ends: a pipe without a writer would block the call for ever, too.
func openWithin(ctx context.Context, path string, flag int) (*os.File, error) {
	return bounded(ctx, func() (*os.File, error) { return os.OpenFile(path, flag, 0) }, func(f *os.File) { f.Close() })
}

// readWithin reads a small file, a pipe too, until ctx ends. More than limit bytes is an error.
func readWithin(ctx context.Context, path string, limit int64) ([]byte, error) {
	b, err := bounded(ctx, func() ([]byte, error) {
		f, err := os.Open(path)
		if fd, ok := descriptor(path); ok && errors.Is(err, fs.ErrPermission) {
			f, err = openAgain(fd, path)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err == nil && int64(len(b)) > limit {
			err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it holds more than %d bytes", limit)}
		}
		return b, err
	}, nil)
	if err != nil && err == ctx.Err() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: notInTime{err}}
	}
	return b, err
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
