#!/bin/sh
# Makes the root file system of the shell-less image: slim.sh ROOT FLINK_USR_LIB. Flink lies in ROOT/opt/flink already;
# FLINK_USR_LIB is /usr/lib of the Flink image, for its jemalloc. Runs in an image with a JDK.
set -eu
root=$1 flink_lib=$2

# All of Java SE, because Flink's dependencies and users' jars are many, and of the JDK what servers need: encryption,
# Kerberos, zip file systems, flight recorder, jcmd. Neither compilers nor tools.
modules=java.se,jdk.attach,jdk.charsets,jdk.crypto.cryptoki,jdk.crypto.ec,jdk.httpserver,jdk.jcmd,jdk.jfr,jdk.localedata
modules=$modules,jdk.management,jdk.management.agent,jdk.management.jfr,jdk.naming.dns,jdk.net,jdk.nio.mapmode,jdk.security.auth
modules=$modules,jdk.security.jgss,jdk.unsupported,jdk.xml.dom,jdk.zipfs,jdk.internal.ed,jdk.dynalink
java_home=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v jlink)")")")}
have=$("$java_home/bin/java" --list-modules | sed 's/@.*//')
wanted=
for m in $(echo "$modules" | tr , ' '); do
	if echo "$have" | grep -qx "$m"; then wanted=$wanted,$m; fi # jdk.nio.mapmode came with 14, others may go
done
mkdir -p "$root/opt"
"$java_home/bin/jlink" --add-modules "${wanted#,}" --strip-java-debug-attributes --no-header-files --no-man-pages --output "$root/opt/java"
if [ -e "$java_home/lib/security/cacerts" ]; then
	rm -f "$root/opt/java/lib/security/cacerts" # a link out of the JDK, where the distribution keeps its certificates
	cp -L "$java_home/lib/security/cacerts" "$root/opt/java/lib/security/cacerts"
fi

# What the runtime, and native code in jars (RocksDB, Snappy), link against, at the same paths. jlink leaves out AWT's X11
# parts or not, depending on the JDK; a library of theirs that is not here is none of ours.
loader() { # the program interpreter of java
	ldd "$root/opt/java/bin/java" | awk '/ld-linux/ {print $1}'
}
copy() { # FILE: with the directories above it
	mkdir -p "$root$(dirname "$1")"
	cp -L "$1" "$root$1"
}
copy "$(loader)"
stdcpp=$(find /lib /usr/lib -name 'libstdc++.so.6' | head -n 1)
for f in "$root/opt/java/bin/java" "$root/opt/java/lib/server/libjvm.so" "$root"/opt/java/lib/libzip.so "$root"/opt/java/lib/libjli.so "$root"/opt/java/lib/libnet.so ${stdcpp:+"$stdcpp"}; do
	ldd "$f" | awk '$3 ~ /^\// {print $3}'
done | grep -v "^$root" | sort -u >/tmp/libraries
for name in libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2; do
	find /lib/*-linux-gnu /usr/lib/*-linux-gnu -maxdepth 1 -name "$name" 2>/dev/null | head -n 1
done >>/tmp/libraries
[ -z "$stdcpp" ] || echo "$stdcpp" >>/tmp/libraries
sort -u /tmp/libraries | while read -r lib; do copy "$lib"; done
for lib in "$flink_lib"/*-linux-gnu/libjemalloc.so; do
	[ ! -e "$lib" ] || { mkdir -p "$root/usr/lib/$(basename "$(dirname "$lib")")"; cp -L "$lib" "$root/usr/lib/$(basename "$(dirname "$lib")")/"; }
done

# One user, names by the hosts file before DNS, and the certificates for the entrypoint's own https.
mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/usr/local/bin" "$root/opt/flink/usrlib"
chmod 1777 "$root/tmp"
echo 'flink:x:9999:9999::/opt/flink:/nonexistent' >"$root/etc/passwd"
echo 'flink:x:9999:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
rm -rf "$root/opt/flink/examples" "$root/opt/flink/log"

# The archive of shared classes, without which every JVM starts half a second later. Made last: it is of these very files.
"$root/opt/java/bin/java" -Xshare:dump >/dev/null
