#!/bin/bash
# Limits in which the nodes could not even meet are told in one line, before anything is started.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

# Run with a limit set; what `expect` checks, by the name of the limit.
limited() { # OPTION VALUE ARGUMENT...
    local option=$1 value=$2
    shift 2
    # shellcheck disable=SC3045
    (ulimit "$option" "$value" && exec timeout 20 "${as[@]}" "${command[@]}" "$@") >out 2>err </dev/null
    status=$?
    : >left
}
as=() command=("$DQEMU_LAUNCH")

for files in 20 45; do
    limited -n $files -n 3 ./prog
    check "$files files are too few for 3 nodes: 125" test $status = 125
    check "one line with the number that would do" \
        grep -qx "dqemu: the limit of open files, $files, is too low for 3 nodes; raise it to 46 .*" err
    check "only one" has_lines 1 err
done
limited -n 46 -n 3 ./prog 0@run:exit=4
check "46 will do" test $status = 4
limited -n 20 -n 1 ./prog 0@run:exit=5
check "one node needs no more than the program" test $status = 5

# Root has no limit of processes. A user that nothing else runs as, who can reach what is needed.
user=$((3000000000 + $$))
as=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --inh-caps=-all --bounding-set=-all)
cp "$DQEMU_LAUNCH" dqemu-launch
cp "$FAKE_NODE" dqemu-aarch64
chmod 755 .
unset DQEMU_NODE_BINARY
command=(./dqemu-launch)
reason=
[ "$(id -u)" = 0 ] || reason="needs root, to be somebody else"
[ -n "$reason" ] || "${as[@]}" ./dqemu-launch --version >/dev/null 2>&1 ||
    reason="another user cannot reach $PWD"
if [ -n "$reason" ]; then
    skip "too few processes" "$reason"
else
    for processes in 2 12; do
        limited -u $processes -n 3 ./prog
        check "$processes processes are too few for 3 nodes: 125" test $status = 125
        check "one line with the remedy" \
            grep -qx "dqemu: the limit of processes, $processes, .* 12 threads of 3 nodes; raise it .*" err
        check "only one" has_lines 1 err
    done
    limited -u 20 -n 3 ./prog 0@run:exit=6
    check "20 are none too few" test "$(grep -c 'limit of processes' err)" = 0
fi
done_testing
