// Package privileges makes a process that was started as root become the user flink, as the official images do.
package privileges

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
)

// flinkUser is the user that the official images create and, up to 2.3, become when they are started as root.
const flinkUser = "flink"

// Drop makes a process that runs as root become the user flink, as the official images did with gosu
// until 2.3 (FLINK-37881 made the image itself non-root). It must run before the first byte of a definition or of the
// network is read. It returns the environment with HOME and the user's name set, as gosu does, and a warning when root stays.
func Drop(v flinkversion.Version, env []string) (out []string, warning string, err error) {
	out, warning, err = drop(thisSystem(), v, env)
	return out, warning, phase.Fail(phase.Distribution, err, "grant CAP_SETUID and CAP_SETGID, or start the container as the user flink")
}

// system is what dropping privileges asks of the operating system.
type system struct {
	getuid         func() int
	lookup         func(name string) (*user.User, error)
	groupIDs       func(*user.User) ([]string, error)
	setgroups      func([]int) error
	setgid, setuid func(int) error
}

func thisSystem() system {
	return system{os.Getuid, user.Lookup, (*user.User).GroupIds, syscall.Setgroups, syscall.Setgid, syscall.Setuid}
}

func drop(s system, v flinkversion.Version, env []string) ([]string, string, error) {
	if s.getuid() != 0 {
		return env, "", nil
	}
	if RootStays(v) {
		return env, fmt.Sprintf("running as root: images of Flink %s and later do not change the user; set runAsUser or USER",
			rootStays()), nil
	}
	u, err := s.lookup(flinkUser)
	var unknown user.UnknownUserError
	switch {
	case errors.As(err, &unknown):
		return env, "running as root: this image has no user flink to change to", nil
	case errors.Is(err, fs.ErrNotExist):
		return env, "running as root: this image has no /etc/passwd, so no user flink to change to", nil
	case err != nil:
		return env, "", fmt.Errorf("cannot look up the user flink: %w", err)
	}
	uid, gid, err := ids(u)
	if err != nil {
		return env, "", err
	}
	groups := []int{gid}
	if ids, err := s.groupIDs(u); err == nil {
		groups = groups[:0]
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil {
				groups = append(groups, n)
			}
		}
	}
	// The order matters: after setuid the process may not change its groups any more.
	if err := s.setgroups(groups); err != nil {
		return env, "", fmt.Errorf("cannot change to the user flink: setgroups: %w", err)
	}
	if err := s.setgid(gid); err != nil {
		return env, "", fmt.Errorf("cannot change to the user flink: setgid %d: %w", gid, err)
	}
	if err := s.setuid(uid); err != nil {
		return env, "", fmt.Errorf("cannot change to the user flink: setuid %d: %w", uid, err)
	}
	return environ.Set(env, "HOME", u.HomeDir), "", nil
}

// rootStays is the first release whose official image does not change the user (FLINK-37881).
func rootStays() flinkversion.Release { return flinkversion.Since(2, 4) }

// RootStays reports whether a start as root stays root.
func RootStays(v flinkversion.Version) bool { return v.Reaches(rootStays()) }

// FlinkIDs returns the numbers of the user flink.
func FlinkIDs() (uid, gid int, err error) {
	u, err := user.Lookup(flinkUser)
	if err != nil {
		return 0, 0, err
	}
	return ids(u)
}

func ids(u *user.User) (uid, gid int, err error) {
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("the user flink has uid %q, expected a number", u.Uid)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, fmt.Errorf("the user flink has gid %q, expected a number", u.Gid)
	}
	return uid, gid, nil
}
