#!/bin/bash
# A bare system of this machine's Debian release, as an archive to unpack.
#
#   tests/install/root.sh PACKAGE...
#
# Prints the archive's path. In the system are the essential packages and apt. The named packages,
# with all that they depend on, lie in its /srv/packages, from where alone apt takes what it installs
# in there (after apt-get update): it needs no network. The archive stays in $DQEMU_CACHE
# (build/cache), and is made again only for other packages. Needs root.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=qemu/apt.sh
. "$top/qemu/apt.sh"

fail() { echo "tests/install/root.sh: $*" >&2; exit 1; }

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
arch=$(dpkg --print-architecture)
cache=${DQEMU_CACHE:-$top/build/cache}/install
mkdir -p "$cache"
key=$({ echo "$suite $arch $*"; cat "$0"; } | sha256sum | cut -c1-16)
archive=$cache/$suite-$arch-$key.tar

exec 9>"$cache/.lock"
flock 9
if [ ! -e "$archive" ]; then
    uri=$(apt_archive)
    [ -n "$uri" ] || fail "apt has no Debian archive configured (see sources.list(5))"
    rm -f "$cache"/*.tar{,.new}
    # how this machine reaches the archive, as apt knows it
    apt-config dump Acquire::http >"$cache/apt.conf"
    apt-config dump Acquire::https >>"$cache/apt.conf"
    # shellcheck disable=SC2016 # for the shell of the hook
    offer='cd "$1" && mkdir -p srv/packages/partial && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG \
        apt-get -qq -y -o Dir::Cache::Archives="$1/srv/packages" --download-only install '$*' &&
        cd srv/packages && rm -rf partial lock && dpkg-scanpackages . >Packages &&
        echo "deb [trusted=yes] file:/srv/packages ./" >"$1/etc/apt/sources.list"'
    mmdebstrap --quiet --mode=root --variant=apt --aptopt="$cache/apt.conf" \
        --dpkgopt=force-unsafe-io --customize-hook="$offer" --format=tar \
        "$suite" "$archive.new" "deb $uri $suite main" >"$cache/log" 2>&1 ||
        { sed -E 's#[a-z]+://[^/ ]+#(mirror)#g' "$cache/log" >&2; fail "cannot make a system of $suite"; }
    mv "$archive.new" "$archive"
fi
echo "$archive"
