# Builds a layer over an image: build-layer.sh LOWER UPPER WORK MERGED SCRIPT [PACKAGE...]
# Runs in a mount namespace of its own, so that nothing stays mounted when it is killed.
set -eu
lower=$1 upper=$2 work=$3 merged=$4 script=$5
shift 5
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$merged"
mount -t proc proc "$merged/proc"
mount --bind /dev "$merged/dev"
mount -t tmpfs tmpfs "$merged/run"
mount -t tmpfs tmpfs "$merged/tmp"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ $# -gt 0 ]; then
    # A package must not start its service on this machine.
    printf '#!/bin/sh\nexit 101\n' > "$merged/usr/sbin/policy-rc.d"
    chmod 755 "$merged/usr/sbin/policy-rc.d"
    cp -L /etc/resolv.conf "$merged/etc/resolv.conf"
    cp -L /etc/hosts "$merged/etc/hosts"
    chroot "$merged" apt-get -qq -o Acquire::Check-Valid-Until=false update
    chroot "$merged" apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-unsafe-io install "$@"
    rm -rf "$merged/usr/sbin/policy-rc.d" "$merged"/var/cache/apt/archives/*.deb \
        "$merged"/var/cache/apt/*.bin "$merged"/var/lib/apt/lists/*
fi
chroot "$merged" sh < "$script"
