package wall

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// A Route leads from an address of the loopback of a cell to a socket file that it sees.
type Route struct{ Address, Socket string }

// Arguments are those of Forward.
func Arguments(routes []Route, program string, args []string) []string {
	var out []string
	for _, r := range routes {
		out = append(out, r.Address+"="+r.Socket)
	}
	return append(append(out, "--", program), args...)
}

// Forward runs inside a cell: it passes connections to its loopback on to socket files, starts a program, and returns its exit code when that
// has ended. args are those of Arguments.
func Forward(args []string) (code int, err error) {
	for len(args) > 0 && args[0] != "--" {
		address, socket, ok := strings.Cut(args[0], "=")
		if !ok {
			return 0, fmt.Errorf("found %q, expected ADDRESS=SOCKET", args[0])
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return 0, err
		}
		go accept(l, socket)
		args = args[1:]
	}
	if len(args) < 2 {
		return 0, errors.New("expected -- and a program")
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if code = exit.ExitCode(); code < 0 {
			code = 137 // as after SIGKILL
		}
		return code, nil
	}
	return 0, err
}

func accept(l net.Listener, socket string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("unix", socket)
			if err != nil {
				return
			}
			defer out.Close()
			Pipe(in, out)
		}()
	}
}

// Pipe copies between two connections until both directions have ended.
func Pipe(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, err := io.Copy(way[1], way[0])
			if half, ok := way[1].(interface{ CloseWrite() error }); ok && err == nil {
				half.CloseWrite()
				return
			}
			way[1].Close()
			way[0].Close()
		})
	}
	both.Wait()
}
