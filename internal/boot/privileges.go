package boot

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"flink-entrypoint/internal/flinkconf"
)

// flinkUser is the user that the official images create and, up to 2.3, become when they are started as root.
const flinkUser = "flink"

// DropPrivileges makes a process that runs as root become the user flink, as the official images did with gosu
// until 2.3 (FLINK-37881 made the image itself non-root). It must run before the first byte of a definition or of the
// network is read. It returns the environment with HOME and the user's name set, as gosu does, and a warning when root stays.
func DropPrivileges(v flinkconf.Version, env []string) ([]string, string, error) {
	if os.Getuid() != 0 {
		return env, "", nil
	}
	if featuresOf(v).rootStays {
		return env, "running as root: images of Flink 2.4 and later do not change the user; set runAsUser or USER", nil
	}
	u, err := user.Lookup(flinkUser)
	var unknown user.UnknownUserError
	switch {
	case errors.As(err, &unknown):
		return env, "running as root: this image has no user flink to become", nil
	case err != nil:
		return env, "", fmt.Errorf("cannot look up the user flink: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return env, "", fmt.Errorf("the user flink has uid %q, expected a number", u.Uid)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return env, "", fmt.Errorf("the user flink has gid %q, expected a number", u.Gid)
	}
	groups := []int{gid}
	if ids, err := u.GroupIds(); err == nil {
		groups = groups[:0]
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil {
				groups = append(groups, n)
			}
		}
	}
	// The order matters: after setuid there is no right left to change groups.
	if err := syscall.Setgroups(groups); err != nil {
		return env, "", fmt.Errorf("cannot become the user flink: setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return env, "", fmt.Errorf("cannot become the user flink: setgid %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return env, "", fmt.Errorf("cannot become the user flink: setuid %d: %w", uid, err)
	}
	return setEnv(env, "HOME", u.HomeDir), "", nil
}

// setEnv returns env with one variable set, without touching the given slice.
func setEnv(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) <= len(name) || kv[:len(name)] != name || kv[len(name)] != '=' {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}
