#!/bin/bash
# Strangers at the nodes' ports, silent ones and ones that talk nonsense, change nothing in a run;
# with -v each node says that it turned them away.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

launch -n 3 -- "$GUESTS/busy" 8
await 10 says 'busy: all run'
mkfifo hold
python3 "$TOP/tests/faults/strangers.py" "$(port_of 0)" "$(port_of 1)" "$(port_of 2)" \
    <hold >strangers 2>&1 &
strangers=$!
exec 9>hold
if await 15 grep -qx said strangers; then
    pass "strangers say what they have to say"
else
    fail "strangers say what they have to say" <strangers
fi
join 20
late=$?
exec 9>&-
wait $strangers
check_none_left $mark >left
if [ $late$?$status = 000 ] && says 'busy: nothing lost'; then
    pass "the run does not mind"
else
    { report; cat left; } | fail "the run does not mind"
fi
for node in 0 1 2; do
    if grep -q "^dqemu: node $node: .*127\.0\.0\.1" err; then
        pass "node $node notes them"
    else
        report | fail "node $node notes them"
    fi
done
done_testing
