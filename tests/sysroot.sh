#!/bin/bash
# Assemble a sysroot of unmodified Debian programs for another instruction set.
#
#   tests/sysroot.sh [-a ARCH] [-s SUITE] [-u] DIR [PACKAGE...]
#
# Unpacks the packages, and all that they depend on, below DIR, for
#   dqemu-launch -L DIR DIR/usr/bin/PROGRAM
# Without PACKAGE: what the tests of real programs need. DIR may exist: packages are added.
# No maintainer script runs; the machine's own packages are neither read nor changed.
#
#   -a ARCH    Debian's name of the instruction set (arm64)
#   -s SUITE   the release to take packages from (this machine's)
#   -u         fetch the package lists again
#
# Lists and packages stay in $DQEMU_CACHE (build/cache). DIR/.packages names what is there.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=qemu/apt.sh
. "$top/qemu/apt.sh"

standard=(base-files dash pigz xz-utils p7zip-full zstd x264 coreutils stress-ng python3-minimal libgomp1
    sysbench)

fail() { echo "tests/sysroot.sh: $*" >&2; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//p}' "$0" | sed '/^SPDX/d'; }

arch=arm64 update=
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
while getopts a:s:uh o; do
    case $o in
    a) arch=$OPTARG ;;
    s) suite=$OPTARG ;;
    u) update=1 ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || { usage >&2; exit 2; }
root=$1
shift
[ $# -gt 0 ] || set -- "${standard[@]}"
mkdir -p "$root"
root=$(cd "$root" && pwd)

# one at a time: tests that run beside each other ask for the same sysroot
exec 9>"$root/.lock"
flock 9

# What was asked for before is there, and needs neither apt nor the network.
touch "$root/.packages" "$root/.asked"
asked="$arch $suite $*"
if [ -z "$update" ] && grep -qxF -- "$asked" "$root/.asked"; then
    exit 0
fi

state=${DQEMU_CACHE:-$top/build/cache}/sysroot/$arch-$suite
mkdir -p "$state"
state=$(cd "$state" && pwd)
apt_open "$state" "$arch" "$suite" || fail "no archive to fetch packages from"
if [ -n "$update" ] || ! compgen -G "$state/lists/*Packages*" >/dev/null; then
    apt_run "$state" update || fail "cannot fetch the package lists of $suite"
    compgen -G "$state/lists/*Packages*" >/dev/null || fail "the archive has no $arch packages"
fi

# the whole closure, by file name: with an empty archive folder, as --print-uris leaves out
# what was downloaded before
mkdir -p "$state/none/partial"
uris=$(apt_run "$state" -y -o Dir::Cache::Archives="$state/none" --print-uris install "$@") ||
    fail "cannot resolve: $*"
mapfile -t debs < <(awk '$2 ~ /\.deb$/ { print $2 }' <<<"$uris" | sort)
[ ${#debs[@]} -gt 0 ] || fail "nothing to unpack for: $*"
apt_run "$state" -y --download-only install "$@" >&2 || fail "cannot download: $*"

# ---- unpack, with /bin, /lib and /sbin as the links into /usr that Debian has

mkdir -p "$root"/{usr/{lib,bin,sbin},etc,tmp,var/tmp,root,run,proc,dev,sys}
for d in lib bin sbin; do
    [ -e "$root/$d" ] || ln -s "usr/$d" "$root/$d"
done
for deb in "${debs[@]}"; do
    grep -qxF -- "$deb" "$root/.packages" && continue
    # not dpkg-deb -x: a directory must not replace a link such as lib -> usr/lib
    dpkg-deb --fsys-tarfile "$state/archives/$deb" |
        tar -x -C "$root" --keep-directory-symlink --no-same-owner -p --warning=no-timestamp
    echo "$deb" >>"$root/.packages"
done
sort -u -o "$root/.packages" "$root/.packages"

# ---- what maintainer scripts would have done, as far as programs need it

# The literal update-alternatives lines of the packages, run on this root alone.
mkdir -p "$root/var/lib/dpkg/alternatives" "$root/etc/alternatives"
multiarch=$(dpkg-architecture -a"$arch" -qDEB_HOST_MULTIARCH 2>/dev/null || true)
for deb in "${debs[@]}"; do
    { dpkg-deb -I "$state/archives/$deb" postinst 2>/dev/null || true; } |
        sed -e ':a' -e '/\\$/{N;s/\\\n/ /;ba' -e '}' |
        sed -E "s/\\\$\\{?(DEB_HOST_MULTIARCH|multiarch)\\}?/$multiarch/g" |
        sed -nE 's/^.*update-alternatives +(.*--install +[^;|&]*).*$/\1/p' |
        { grep -v '[$`<>(){}*?]' || true; } |
        while read -r -a words; do
            # some name files of packages that are not here
            update-alternatives --quiet --root "$root" "${words[@]//[\"\']/}" >/dev/null 2>&1 || true
        done
done

# An absolute link would be followed in this machine's root (-L rewrites only the name that the
# program passes): make those relative whose target is here.
find "$root" -xdev -type l -lname '/*' -printf '%p\t%l\n' |
    while IFS=$'\t' read -r link target; do
        case $target in "$root"/* | /proc/* | /dev/* | /sys/* | /run/*) continue ;; esac
        if [ -e "$root$target" ] || [ -L "$root$target" ]; then
            ln -sfnr "$root$target" "$link"
        fi
    done

echo "$asked" >>"$root/.asked"
