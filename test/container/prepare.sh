#!/bin/sh
# Brings what the images and their tests need, once, as root with apt; else says on stderr what is missing and how to get it.
set -eu

packages="podman runc conmon netavark aardvark-dns catatonit iptables mmdebstrap"
missing=
for command in podman runc conmon catatonit iptables mmdebstrap; do
	command -v "$command" >/dev/null || missing="$missing $command"
done
[ -n "$missing" ] || exit 0

fail() {
	echo "error: missing:$missing" >&2
	echo "hint: $1" >&2
	exit 1
}
command -v apt-get >/dev/null || fail "install them with your package manager (Debian's packages: $packages)"
[ "$(id -u)" = 0 ] || fail "as root: apt-get install --no-install-recommends $packages"
export DEBIAN_FRONTEND=noninteractive
install="apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends $packages"
# The lists may be too old for what the mirror holds, or not there at all: then, and only then, renew them.
$install >&2 || { apt-get -o DPkg::Lock::Timeout=300 update -qq >&2 && $install >&2; } || fail "as root: apt-get update && apt-get install --no-install-recommends $packages"
