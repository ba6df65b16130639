#!/bin/bash
# Run a test as an ordinary user, who owns nothing here and has no right of root's.
#
#   user.sh full|threads COMMAND [ARGUMENT...]
#
# full      the user may open /dev/userfaultfd, and that is all that an administrator has allowed
# threads   not even that: page faults of threads alone are served
#
# For root. In a mount namespace of its own, which goes with the command: this project's folder at a
# place that everybody may reach (wherever it lies), a folder for temporary files, a /dev/userfaultfd
# for the user or for nobody. COMMAND is found in the project's folder there, if it lies in it here.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
place=/mnt # a folder that every system has, and nobody needs in here
user=65534

if [ "${1:-}" != inside ]; then
    exec unshare --mount --propagation private -- "$0" inside "$@"
fi
faults=$2
command=$(realpath -e -- "$3")
shift 3

device() { # MODE: a node like /dev/userfaultfd, in its place
    [ -e /dev/userfaultfd ] || return 0
    mknod -m "$1" $place/userfaultfd c "$((16#$(stat -c %t /dev/userfaultfd)))" \
        "$((16#$(stat -c %T /dev/userfaultfd)))"
    mount --bind $place/userfaultfd /dev/userfaultfd
}

mount -t tmpfs -o mode=755 dqemu-user $place
mkdir -m 755 $place/main
mkdir $place/tmp
mount --rbind "$top" $place/main
# on a disk: files may be written past the page cache there
mkdir -p "$top/build"
scratch=$(mktemp -d "$top/build/user.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
chmod 1777 "$scratch"
mount --bind "$scratch" $place/tmp
case $faults in
full) device 666 ;;
threads)
    device 600
    if [ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 1 ]; then # everybody has everything
        export DQEMU_OPTIONS=${DQEMU_OPTIONS:+$DQEMU_OPTIONS,}threads_only=1
    fi
    ;;
*)
    echo "user.sh: full or threads, not $faults" >&2
    exit 2
    ;;
esac
cd $place/main
export HOME=$place/tmp TMPDIR=$place/tmp USER=nobody LOGNAME=nobody DQEMU_TEST_AS=self
unset XDG_RUNTIME_DIR
for name in QEMU_PLAIN DQEMU_LAUNCH GUESTS SYSROOT; do
    [ -z "${!name:-}" ] || export "$name=${!name/#$top\//$place/main/}"
done
setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all --bounding-set=-all \
    -- "${command/#$top\//$place/main/}" "$@"
