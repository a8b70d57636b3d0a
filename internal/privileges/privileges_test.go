package privileges

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

// TestDrop runs without a privilege: the system calls are recorded. What a real start as root does is in test/signals.
func TestDrop(t *testing.T) {
	const calls = "setgroups [9998 9997], setgid 9998, setuid 9999"
	for _, tt := range []struct {
		name    string
		version string
		change  func(*system)
		fails   string // the call that fails
		calls   string
		warning string // a part of it
		err     string
	}{
		{name: "root", calls: calls},
		{name: "the last version that changes the user", version: "2.3.0", calls: calls},
		{name: "a version that does not", version: "2.4.0", warning: "running as root: images of Flink 2.4 and later do not change the user"},
		{name: "not root", change: func(s *system) { s.getuid = func() int { return 1000 } }},
		{name: "no such user", change: func(s *system) {
			s.lookup = func(name string) (*user.User, error) { return nil, user.UnknownUserError(name) }
		}, warning: "running as root: this image has no user flink"},
		{name: "no /etc/passwd", change: func(s *system) {
			s.lookup = func(string) (*user.User, error) {
				return nil, &fs.PathError{Op: "open", Path: "/etc/passwd", Err: syscall.ENOENT}
			}
		}, warning: "running as root: this image has no /etc/passwd"},
		{name: "an /etc/passwd that cannot be read", change: func(s *system) {
			s.lookup = func(string) (*user.User, error) {
				return nil, &fs.PathError{Op: "read", Path: "/etc/passwd", Err: syscall.EIO}
			}
		}, err: "cannot look up the user flink: read /etc/passwd: input/output error"},
		{name: "a uid that is not a number", change: func(s *system) {
			s.lookup = func(string) (*user.User, error) { return &user.User{Uid: "x", Gid: "9998"}, nil }
		}, err: `the user flink has uid "x", expected a number`},
		{name: "a gid that is not a number", change: func(s *system) {
			s.lookup = func(string) (*user.User, error) { return &user.User{Uid: "9999", Gid: ""}, nil }
		}, err: `the user flink has gid "", expected a number`},
		{name: "groups that cannot be read", change: func(s *system) {
			s.groupIDs = func(*user.User) ([]string, error) { return nil, fs.ErrNotExist }
		}, calls: "setgroups [9998], setgid 9998, setuid 9999"},
		{name: "no right to change groups", fails: "setgroups", calls: "setgroups [9998 9997]", err: "cannot change to the user flink: setgroups: operation not permitted"},
		{name: "no right to change the group", fails: "setgid", calls: "setgroups [9998 9997], setgid 9998", err: "cannot change to the user flink: setgid 9998: operation not permitted"},
		{name: "no right to change the user", fails: "setuid", calls: calls, err: "cannot change to the user flink: setuid 9999: operation not permitted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var made []string
			call := func(name string, number any) error {
				made = append(made, fmt.Sprint(name, " ", number))
				if name == tt.fails {
					return syscall.EPERM
				}
				return nil
			}
			s := system{
				getuid: func() int { return 0 },
				lookup: func(string) (*user.User, error) {
					return &user.User{Uid: "9999", Gid: "9998", HomeDir: "/opt/flink"}, nil
				},
				groupIDs:  func(*user.User) ([]string, error) { return []string{"9998", "9997"}, nil },
				setgroups: func(ids []int) error { return call("setgroups", ids) },
				setgid:    func(id int) error { return call("setgid", id) },
				setuid:    func(id int) error { return call("setuid", id) },
			}
			if tt.change != nil {
				tt.change(&s)
			}
			version := tt.version
			if version == "" {
				version = "1.20.5"
			}
			v, err := flinkversion.Parse(version)
			if err != nil {
				t.Fatal(err)
			}
			before := []string{"A=1", "HOME=/root", "B=2"}
			env, warning, err := drop(s, v, before)
			if got := strings.Join(made, ", "); got != tt.calls {
				t.Errorf("calls %q, want %q", got, tt.calls)
			}
			if !strings.Contains(warning, tt.warning) || (warning == "") != (tt.warning == "") {
				t.Errorf("warning %q, want %q", warning, tt.warning)
			}
			if text := fmt.Sprint(err); err != nil && text != tt.err || err == nil && tt.err != "" {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.fails != "" && !errors.Is(err, syscall.EPERM) {
				t.Errorf("%v hides its cause", err)
			}
			want := before
			if err == nil && tt.calls != "" { // it has become the user
				want = []string{"A=1", "B=2", "HOME=/opt/flink"}
			}
			if !slices.Equal(env, want) || !slices.Equal(before, []string{"A=1", "HOME=/root", "B=2"}) {
				t.Errorf("environment %q, want %q", env, want)
			}
		})
	}
}
