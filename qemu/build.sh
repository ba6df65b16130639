#!/bin/bash
# Configure and compile a tree of QEMU: user-mode emulators only.
#
#   build.sh configure TREE BUILD ISA...
#   build.sh compile BUILD ISA...
#
# The plain tree and the patched one are configured alike, so that comparisons are fair.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# Debian's python comes first: Meson's modules and QEMU's environment are made for it.
export PATH=/usr/bin:/bin:$PATH
export PYTHONPATH=$here/../build/qemu/meson/usr/lib/python3/dist-packages
export PYTHONDONTWRITEBYTECODE=1

configure() {
    local tree build
    tree=$(cd "$1" && pwd)
    build=$(mkdir -p "$2" && cd "$2" && pwd)
    shift 2
    cd "$build"
    nice "$tree/configure" --python=/usr/bin/python3 \
        --target-list="$(printf '%s-linux-user,' "$@" | sed 's/,$//')" \
        --without-default-features --enable-plugins --enable-tcg \
        --disable-system --disable-tools --disable-docs --disable-guest-agent \
        --disable-install-blobs --disable-download --disable-werror >configure.log 2>&1 || {
        tail -n 20 configure.log >&2
        echo "qemu/build.sh: QEMU's configure failed; all it said is in $build/configure.log" >&2
        exit 1
    }
}

# make -j asks for several emulators at a time; ninja wants a build directory for itself.
compile() {
    local build=$1
    shift
    nice flock "$build/.lock" ninja -C "$build" "${@/#/qemu-}"
}

"$@"
