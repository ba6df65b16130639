#!/bin/bash
# Make a Debian package of an installation.
#
#   deploy/deb.sh DIR QEMU OUTPUT
#
# DIR/stage is what `make install PREFIX=/usr` installed there; the package becomes
# OUTPUT/dqemu_VERSION_ARCH.deb, and its name is printed. QEMU is the tree of QEMU's source, for its
# authors. The stage becomes the package's content: it is changed.
#
# The tools of dpkg-dev do it, one by one: dpkg-buildpackage would want debian/ at the top of the
# tree, and to build all over again.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
umask 022

fail() { echo "deploy/deb.sh: $*" >&2; exit 1; }

dir=$(cd "$1" && pwd) qemu=$(cd "$2" && pwd) output=$(cd "$3" && pwd)
cd "$(dirname "$0")"
version=$(sed -n 's/^#define DQ_VERSION "\(.*\)"$/\1/p' version.h)
[ "$(dpkg-parsechangelog -l debian/changelog -S Version)" = "$version" ] ||
    fail "debian/changelog does not begin with version $version, which version.h has; add an entry"
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l debian/changelog -S Timestamp)
export SOURCE_DATE_EPOCH

# ---- documents, as Debian's policy wants them

doc=$dir/stage/usr/share/doc/dqemu
rm "$doc/COPYING" # every Debian system has it
install -m 644 debian/copyright debian/changelog debian/README.Debian "$doc"
if [ -e "$qemu/debian/copyright" ]; then
    install -m 644 "$qemu/debian/copyright" "$doc/copyright.qemu"
else
    install -m 644 "$qemu/LICENSE" "$doc/copyright.qemu"
fi
gzip -9n "$doc/changelog" "$doc/copyright.qemu"
find "$dir/stage/usr/share/man" -type f -exec gzip -9n {} +

# ---- control information

mkdir -p "$dir/debian" "$dir/stage/DEBIAN"
cp debian/control debian/changelog "$dir/debian"
cd "$dir"
mapfile -t programs < <(find stage/usr/bin stage/usr/libexec -type f)
dpkg-shlibdeps --warnings=0 -Tdebian/substvars "${programs[@]}"
dpkg-gencontrol -Pstage -Tdebian/substvars >/dev/null
(cd stage && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

package=$output/dqemu_${version}_$(dpkg-architecture -qDEB_HOST_ARCH).deb
rm -f "$output"/dqemu_*.deb
dpkg-deb --root-owner-group -Zxz --build stage "$package" >/dev/null
echo "$package"
