#!/bin/bash
# A user who may not have a userfaultfd gets one line with the remedies.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

# Somebody without any right, who can still reach what the test needs.
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
cp "$DQEMU_LAUNCH" dqemu-launch
cp "$FAKE_NODE" dqemu-aarch64
chmod 755 .
unset DQEMU_NODE_BINARY

unprivileged() {
    "${as_nobody[@]}" timeout 20 ./dqemu-launch "$@" >out 2>err
    status=$?
}
reason=
[ "$(id -u)" = 0 ] || reason="needs root, to be somebody else"
[ -n "$reason" ] || "${as_nobody[@]}" ./dqemu-launch --version >/dev/null 2>&1 ||
    reason="another user cannot reach $PWD"
[ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)" != 1 ] ||
    reason="vm.unprivileged_userfaultfd is 1: everybody may"
[ -n "$reason" ] || ! "${as_nobody[@]}" test -w /dev/userfaultfd ||
    reason="everybody may use /dev/userfaultfd"

if [ -n "$reason" ]; then
    skip "no permission" "$reason"
    skip "one node needs none" "$reason"
else
    unprivileged -n 2 ./prog
    check "no permission: 125" test $status = 125
    check "one line with the remedies" \
        grep -qx 'dqemu: no permission for userfaultfd.*root.*/dev/userfaultfd.*vm.unprivileged_userfaultfd=1.*' err
    check "only one" test "$(wc -l <err)" = 1
    unprivileged -n 1 ./prog 0@run:exit=8
    check "one node needs none" test $status = 8
fi
done_testing
