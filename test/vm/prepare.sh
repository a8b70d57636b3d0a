#!/bin/sh
# Brings what a VM needs, once: qemu from Debian and a Debian cloud kernel, kept in the cache.
# Prints the kernel's path on stdout; says on stderr what is missing and how to get it.
set -eu

fail() {
	echo "vm: $1" >&2
	echo "hint: $2" >&2
	exit 1
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/flink-entrypoint/vm
install="apt-get update && apt-get install -y --no-install-recommends qemu-system-x86"

if ! command -v qemu-system-x86_64 >/dev/null; then
	command -v apt-get >/dev/null || fail "no qemu-system-x86_64 and no apt-get" "install qemu for x86 with your package manager"
	[ "$(id -u)" = 0 ] || fail "no qemu-system-x86_64" "as root: $install"
	export DEBIAN_FRONTEND=noninteractive
	wait="-o DPkg::Lock::Timeout=300"
	# The lists may be too old for what the mirror holds, or not there at all: then, and only then, renew them.
	apt-get $wait install -qq -y --no-install-recommends qemu-system-x86 >&2 ||
		{ apt-get $wait update -qq >&2 && apt-get $wait install -qq -y --no-install-recommends qemu-system-x86 >&2; } ||
		fail "qemu cannot be installed" "as root: $install"
fi

kernel=$(ls "$cache"/vmlinuz-* 2>/dev/null | tail -n 1)
if [ -z "$kernel" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	# linux-image-cloud-amd64 is empty and depends on the image of the day.
	(
		cd "$work"
		image=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
		[ -n "$image" ] && apt-get download -qq "$image" >&2 && dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x ./boot
	) || fail "no kernel: the package linux-image-cloud-amd64 cannot be had" \
		"apt-get update on Debian, or copy a kernel with cgroup v2, devtmpfs and 8250 serial built in to $cache/vmlinuz-NAME"
	mv "$work"/boot/vmlinuz-* "$cache"
	kernel=$(ls "$cache"/vmlinuz-* | tail -n 1)
fi
echo "$kernel"
