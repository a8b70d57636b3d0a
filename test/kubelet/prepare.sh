#!/bin/sh
# prepare.sh DIR [COMMAND…]: brings what a cluster of one node is made of into DIR, once: API server, controller manager, scheduler, kube-proxy and
# kubelet, built from Kubernetes' modules (fifteen minutes of CPU and 3 GB in Go's caches), and etcd, containerd and the CNI plugins out of
# Debian's packages, which are unpacked only: installed, they would start as services. With commands, only those of Kubernetes are built.
# Says on stderr what is missing and how to get it.
set -eu
dir=$1
shift
[ $# -gt 0 ] || set -- kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet
cd "$(dirname "$0")/kubernetes"

fail() {
	echo "error: $1" >&2
	echo "hint: $2" >&2
	exit 1
}

packages="etcd-server containerd containernetworking-plugins"
if [ ! -e "$dir/debian/usr/bin/etcd" ]; then
	command -v apt-get >/dev/null || fail "no apt-get" "unpack Debian's packages $packages into $dir/debian"
	rm -rf "$dir/debian" "$dir/debian.new"
	mkdir -p "$dir/debian.new"
	(
		cd "$dir/debian.new"
		# The lists may be too old for what the mirror holds, or not there at all: then, and only then, renew them.
		# shellcheck disable=SC2086
		apt-get -o APT::Sandbox::User=root download -qq $packages >&2 || { apt-get -o DPkg::Lock::Timeout=300 update -qq >&2 && apt-get -o APT::Sandbox::User=root download -qq $packages >&2; }
		for package in *.deb; do dpkg-deb --extract "$package" .; done
		rm ./*.deb
	) || fail "etcd, containerd and the CNI plugins cannot be had" "apt-get update, or unpack Debian's packages $packages into $dir/debian"
	mv "$dir/debian.new" "$dir/debian"
fi

version=$(sed -n 's/^.*k8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' go.mod)
bin=$dir/kubernetes-$version-named
minor=${version#v1.}
# What a server says of its version: Helm compares it.
named="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
for command; do
	[ -e "$bin/$command" ] && continue
	mkdir -p "$bin"
	echo "building $command $version (once)" >&2
	CGO_ENABLED=0 nice go build -trimpath -buildvcs=false -ldflags "-s -w $named" -o "$bin/$command.new" "k8s.io/kubernetes/cmd/$command" ||
		fail "$command $version cannot be built" "Go's module proxy is needed (go env GOPROXY)"
	mv "$bin/$command.new" "$bin/$command"
done
ln -sfn "kubernetes-$version-named" "$dir/kubernetes"
