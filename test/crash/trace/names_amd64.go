package trace

import "golang.org/x/sys/unix"

// oldNames are the calls that newer architectures do not have.
func oldNames() map[uint64]string {
	return map[uint64]string{
		unix.SYS_RENAME: "rename", unix.SYS_MKDIR: "mkdir", unix.SYS_UNLINK: "unlink", unix.SYS_RMDIR: "rmdir", unix.SYS_SYMLINK: "symlink",
		unix.SYS_LINK: "link", unix.SYS_CHMOD: "chmod",
	}
}
