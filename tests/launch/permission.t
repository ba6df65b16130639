#!/bin/bash
# Which userfaultfd a user may have: any will do, and who may have none gets one line with the remedies.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

# Somebody without any right, who can still reach what the test needs.
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
refuse=(/usr/bin/python3 "$PWD/refuse.py" userfaultfd)
cp "$TOP/tests/refuse.py" refuse.py
cp "$DQEMU_LAUNCH" dqemu-launch
cp "$FAKE_NODE" dqemu-aarch64
chmod 755 . refuse.py
unset DQEMU_NODE_BINARY

unprivileged() { # [COMMAND... --] OPTION...
    "${as_nobody[@]}" "$@" >out 2>err
    status=$?
}
reason=
[ "$(id -u)" = 0 ] || reason="needs root, to be somebody else"
[ -n "$reason" ] || "${as_nobody[@]}" ./dqemu-launch --version >/dev/null 2>&1 ||
    reason="another user cannot reach $PWD"

if [ -n "$reason" ]; then
    skip "an ordinary user" "$reason"
    skip "no userfaultfd at all" "$reason"
    skip "one node needs none" "$reason"
else
    unprivileged timeout 20 ./dqemu-launch -n 2 ./prog 0@run:exit=7
    check "an ordinary user needs nobody's leave" test $status = 7
    check "... and hears nothing of it" test ! -s err
    if "${as_nobody[@]}" test -w /dev/userfaultfd; then
        skip "no userfaultfd at all" "everybody may use /dev/userfaultfd"
    else
        unprivileged "${refuse[@]}" timeout 20 ./dqemu-launch -n 2 ./prog
        check "no userfaultfd at all: 125" test $status = 125
        check "one line with the remedies" \
            grep -qx 'dqemu: no permission for userfaultfd.*Linux 5.11.*root.*container.*(-n 1 needs none)' err
        check "only one" test "$(wc -l <err)" = 1
    fi
    unprivileged "${refuse[@]}" timeout 20 ./dqemu-launch -n 1 ./prog 0@run:exit=8
    check "one node needs none" test $status = 8
fi
done_testing
