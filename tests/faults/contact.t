#!/bin/bash
# Two nodes on hosts of their own (network namespaces), encrypted: a cable cut for a while goes
# unnoticed, one that stays cut ends the run, and the launcher says so.
# SPDX-License-Identifier: GPL-2.0-or-later
DQEMU_TEST_AS=self # network namespaces are for root
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

name=dqc$$
tear_down() {
    for k in 0 1; do
        ip netns delete "$name-$k" 2>/dev/null
    done
    rm -rf "$SCRATCH"
}
trap tear_down EXIT
if ! ip netns add "$name-0" 2>err; then
    [ "${CI:-}" != true ] || bail_out "cannot make network namespaces: $(cat err)"
    echo "1..0 # SKIP no permission to make network namespaces"
    exit 0
fi
ip netns add "$name-1"
ip -n "$name-0" link add eth0 address 02:00:00:00:00:01 type veth \
    peer name eth0 address 02:00:00:00:00:02 netns "$name-1"
for k in 0 1; do
    ip -n "$name-$k" address add "10.9.1.$((k + 1))/24" dev eth0
    ip -n "$name-$k" link set lo up
    ip -n "$name-$k" link set eth0 up
done

# Nobody is told: what is sent goes to a card that is not there.
cable() { # whole | cut
    local k card=02:00:00:00:00:99
    for k in 0 1; do
        [ "$1" = cut ] || card=02:00:00:00:00:0$((2 - k))
        ip -n "$name-$k" neigh replace "10.9.1.$((2 - k))" lladdr $card dev eth0 nud permanent
    done
}

busy() { # CONTACT_MS SECONDS
    launch -n 2 --encrypt --wrap "ip netns exec $name-%n" --addresses 10.9.1.1,10.9.1.2 \
        -o contact_ms="$1" -- "$GUESTS/busy" "$2"
    await 20 says 'busy: all run'
}

cable whole
busy 30000 5
cable cut
sleep 2
cable whole
join 40
late=$?
check_none_left $mark >left
if [ $late$?$status = 000 ] && says 'busy: nothing lost'; then
    pass "a cable cut for 2 s, of 30 allowed"
else
    { report; cat left; } | fail "a cable cut for 2 s, of 30 allowed"
fi

busy 2000 600
cable cut
join 40
late=$?
check_none_left $mark >left
if [ $late$? = 00 ] && [ $status = 125 ] &&
    grep -qx 'dqemu: node [01] (10\.9\.1\.[12]) was lost by node [01]: nothing heard from it for 2 s.*' err; then
    pass "a cable that stays cut"
else
    { report; cat left; } | fail "a cable that stays cut"
fi
done_testing
