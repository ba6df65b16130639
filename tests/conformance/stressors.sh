#!/bin/bash
# Print a line of the ledger's table for each stressor that the sysroot's stress-ng has, but for some.
#
#   stressors.sh [PATTERN]     those whose line's name, stress/NAME, matches
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "$0")/../.." && pwd)
: "${SYSROOT:=$top/build/conformance/sysroot}" "${QEMU_PLAIN:=$top/build/qemu-aarch64}"

left_out='
# need root, or a module, a device or a processor that is not there
apparmor bind-mount binderfs chroot cpu-online cyclic efivar fanotify gpu idle-page ioport ipsec-mb klog
kvm loop memhotplug module netlink-proc netlink-task pageswap physpage quota ramfs rawdev rawpkt rawsock
rawudp rdrand reboot rtc smi softlockup swap tsc tun umount watchdog x86cpuid x86syscall far-branch
# send to the network
dccp icmp-flood netdev ping-sock sctp udp-flood
# try whatever numbers and addresses there are, at whatever processes and files there are
bad-ioctl dev dev-shm enosys kill opcode priv-instr procfs syscall sysbadaddr sysfs sysinval
# take all memory, all processes or the whole disk
bigheap brk forkheavy oom-pipe resources secretmem stack hdd iomix verity
'

# the first child that ends removes the folder of all
alone=' fcntl '

"$QEMU_PLAIN" -L "$SYSROOT" "$SYSROOT/usr/bin/stress-ng" --stressors |
    tr -s ' ' '\n' | awk -v out="$left_out" -v alone="$alone" -v name="${1:-.}" '
        BEGIN {
            gsub(/#[^\n]*/, "", out)
            for (n = split(out, list, /[ \n]+/); n > 0; n--) left[list[n]]
        }
        NF && !($1 in left) && "stress/" $1 ~ name {
            printf "stress/%s long stress-ng 3 60 status stressor %s%s\n", $1, $1, index(alone, " " $1 " ") ? " 1" : ""
        }'
