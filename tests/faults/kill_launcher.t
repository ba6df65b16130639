#!/bin/bash
# The launcher killed at any moment: all nodes are gone within two seconds.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${DQEMU_TEST_SEED:=$((RANDOM % 10000))}
echo "# DQEMU_TEST_SEED=$DQEMU_TEST_SEED"

for _ in {1..5}; do
    ms=$((RANDOM % 900))
    launch -n 3 -- "$GUESTS/busy" 60
    sleep "$(printf '0.%03d' $ms)" # as in kill_node.t
    kill -KILL "$launcher"
    wait "$launcher" 2>/dev/null
    status=$?
    if check_none_left $mark >left; then
        pass "launcher killed after $ms ms"
    else
        { report; cat left; } | fail "launcher killed after $ms ms"
    fi
done

# As from a terminal or a batch system: the guest gets the signal and ends by it.
for signal in TERM INT; do
    DQEMU_TEST_RUN=$mark env --default-signal=INT "$DQEMU_LAUNCH" -n 3 -- "$GUESTS/busy" 60 \
        </dev/null >out 2>err &
    launcher=$!
    await 10 says 'busy: all run'
    kill -$signal "$launcher"
    join 2
    late=$?
    check_none_left $mark >left
    if [ $late$? = 00 ] && [ $status = $((128 + $(kill -l $signal))) ]; then
        pass "SIG$signal ends the guest"
    else
        { report; cat left; } | fail "SIG$signal ends the guest"
    fi
done
done_testing
