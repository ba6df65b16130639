#!/bin/bash
# make deb: the package is in order, and apt installs it on a bare system of this Debian release,
# where it works, and from where it goes again without a trace.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
need_build
[ -x "$GUESTS/big_sum" ] || bail_out "$GUESTS/big_sum is missing: run make guests"
unset MAKEFLAGS MAKELEVEL MFLAGS

finish() {
    echo "1..$point"
    [ "$failed" = 0 ]
    exit
}

judge() { # NAME COMMAND...: a point, with what the command says if it fails
    local name=$1
    shift
    if "$@" >"$SCRATCH/said" 2>&1; then
        pass "$name"
    else
        fail "$name" <"$SCRATCH/said"
    fi
}

# ---- the package by itself

judge "make deb" timeout "$(scaled 300)" make -C "$TOP" deb
deb=$(find "$TOP/build" -maxdepth 1 -name 'dqemu_*.deb')
[ -f "$deb" ] || finish
reason=
if [ "$(id -u)" != 0 ]; then
    reason="a bare system can be made by root only"
elif ! unshare -mpnf --kill-child true 2>"$SCRATCH/said"; then
    reason="no namespaces here: $(<"$SCRATCH/said")"
else
    # the bare system, while the package is looked at
    depends=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,/ /g')
    # shellcheck disable=SC2086 # a list of words
    timeout "$(scaled 600)" "$TOP/tests/install/root.sh" $depends bash-completion \
        >"$SCRATCH/archive" 2>"$SCRATCH/unmade" &
    making=$!
fi

judge "lintian has no errors and no warnings" \
    timeout "$(scaled 120)" lintian --allow-root --fail-on error,warning "$deb"
version=$(dpkg-deb -f "$deb" Version)
judge "it has the launcher's version, $version" test "dqemu-launch $version" = "$("$DQEMU_LAUNCH" --version)"
cp "$deb" "$SCRATCH/first.deb"
rm -f "$TOP/build/deb/.built"
judge "make deb, again" timeout "$(scaled 300)" make -C "$TOP" deb
judge "the same comes out, byte by byte" cmp "$SCRATCH/first.deb" "$deb"

# ---- on a bare system

if [ -n "$reason" ]; then
    if [ "${CI:-}" = true ]; then
        fail "on a bare system" <<<"$reason"
    else
        skip "on a bare system" "$reason"
    fi
    finish
fi
if ! wait "$making"; then
    fail "a bare system" <"$SCRATCH/unmade"
    finish
fi
root=$SCRATCH/root
mkdir "$root"
tar -x -p --numeric-owner -f "$(<"$SCRATCH/archive")" -C "$root"
cp "$deb" "$root/root/dqemu.deb"
cp "$GUESTS/big_sum" "$GUESTS/mutex" "$root/srv/"

# COMMAND there, with /proc and /dev, without the network, and with nothing left running. The userfaultfd
# is root's alone there, as on a machine where nobody has changed that.
device=
if [ -e /dev/userfaultfd ]; then
    device=$SCRATCH/userfaultfd
    mknod -m 600 "$device" c $((16#$(stat -c %t /dev/userfaultfd))) \
        $((16#$(stat -c %T /dev/userfaultfd)))
fi
inside() { # COMMAND...
    # shellcheck disable=SC2016 # for the shell that is started
    DEVICE=$device timeout -k 5 "$(scaled 60)" unshare -mpnf --kill-child bash -c '
        mount --make-rprivate / && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" &&
        { [ -z "$DEVICE" ] || mount --bind "$DEVICE" "$0/dev/userfaultfd"; } &&
        ip link set lo up &&
        exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
            DEBIAN_FRONTEND=noninteractive "$@"' "$root" "$@" </dev/null
}

# All there is, but for what dpkg and apt note down, and the group that libibverbs1 makes and keeps.
everything() {
    (cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache \
        -o -path ./var/log -o -path ./etc/ld.so.cache -o -path './etc/group*' \
        -o -path './etc/gshadow*' -o -path ./run/adduser \) -prune -o -printf '%p %y %m %s %l\n') | sed -E 's/ d ([0-9]+) [0-9]+/ d \1/' | sort
}

judge "apt has a list of packages" inside apt-get -qq update
everything >"$SCRATCH/before"
judge "apt installs it, with what it depends on" \
    inside apt-get -qq -o Dpkg::Use-Pty=0 -y --no-install-recommends install /root/dqemu.deb bash-completion
everything >"$SCRATCH/installed"
judge "its files can be seen" grep -q '^\./usr/bin/dqemu-launch f ' "$SCRATCH/installed"
judge "what is installed is what the package says" inside dpkg --verify dqemu

runs() { # NAME GUEST NODES COMMAND...: COMMAND runs the launcher there
    local name want got status
    name="$2 on $(plural "$3" node)$1"
    want=$("${ORACLE[@]}" "$GUESTS/$2")
    got=$(inside "${@:4}" -n "$3" /srv/"$2" 2>"$SCRATCH/err")
    status=$?
    if [ $status = 0 ] && [ "$got" = "$want" ] && [ ! -s "$SCRATCH/err" ]; then
        pass "$name"
    else
        { echo "status $status, stdout '$got'"; cat "$SCRATCH/err"; } >"$SCRATCH/diagnosis"
        fail "$name" <"$SCRATCH/diagnosis"
    fi
}

# An ordinary user, to whom nothing was given.
user=(setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs --bounding-set=-all
    env HOME=/nonexistent USER=nobody)

for nodes in 1 2 3; do
    for guest in big_sum mutex; do
        runs "" $guest $nodes dqemu-launch
        runs ", as an ordinary user" $guest $nodes "${user[@]}" dqemu-launch
    done
done
for page in dqemu-launch.1 dqemu.7 hostfile.5; do
    judge "man ${page%.*}" env MANPATH="$root/usr/share/man" man -w "${page##*.}" "${page%.*}"
done
# shellcheck disable=SC2016
judge "bash-completion finds the completion" inside bash --norc -c '
    . /usr/share/bash-completion/bash_completion
    _completion_loader dqemu-launch
    complete -p dqemu-launch'
judge "README.Debian is there" test -s "$root/usr/share/doc/dqemu/README.Debian"
judge "apt removes it" inside apt-get -qq -o Dpkg::Use-Pty=0 -y --purge autoremove dqemu bash-completion
everything >"$SCRATCH/after"
judge "nothing of it is left" diff "$SCRATCH/before" "$SCRATCH/after"

finish
