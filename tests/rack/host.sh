#!/bin/bash
# host.sh K TOP: init of host K of a rack, in namespaces of its own (lib.sh starts it inside the
# fabric). It mounts what belongs to this host alone, starts sshd, says its process number on
# descriptor 8, and then only collects orphans. With it ends the host.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
k=$1 top=$2
# /proc is still the machine's, so this is the number by which the machine knows us
read -r pid _ </proc/self/stat

mount --make-rprivate /
mount -t proc proc /proc
echo "h$k" >/proc/sys/kernel/hostname
# a network namespace sees its devices in a sysfs of its own
mount -t sysfs -o ro sysfs /sys
# some machines let nobody change the flags of /: then it stays writable
mount -o remount,bind,ro / 2>/dev/null || true

for folder in etc root var/tmp var/log var/spool; do
    mount --bind "/mnt/h$k/$folder" "/$folder"
done
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /tmp
# the sources again, where they were, if one of these has covered them
mkdir -p "$top"
mount --rbind /mnt/top "$top"
mount -o remount,bind,ro "$top"
umount -l /mnt

mkdir -p /run/rack /run/sshd
mkfifo /run/rack/idle
exec 3<>/run/rack/idle
ip link set lo up
/usr/sbin/sshd -E /var/log/sshd.log 3>&- 8>&-
# it writes the file when it listens
until [ -s /run/rack/sshd.pid ]; do
    [ $((tries = ${tries:-0} + 1)) -le 500 ] || { cat /var/log/sshd.log; exit 1; }
    read -rt 0.02 <&3 || true
done
echo "$pid" >&8
exec 8>&-
# bash collects any child that ends while it waits here
while :; do
    read -r <&3 || true
done
