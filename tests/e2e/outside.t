#!/bin/bash
# What reaches a program from outside, with real nodes: arguments, environment, standard input and
# output byte for byte, and the placement that was asked for.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
cd "$SCRATCH" || exit 1
mark=$$-outside

# Both emulators with the same options and arguments, and the same input.
both() { # NAME N ARGUMENT...
    local name=$1 nodes=$2 plain_status status
    shift 2
    run_marked $mark 20 "${ORACLE[@]}" "$@" <input >plain.out 2>plain.err
    plain_status=$?
    run_marked $mark 20 "$DQEMU_LAUNCH" -n "$nodes" "$@" <input >out 2>err
    status=$?
    if [ $status = $plain_status ] && cmp plain.out out >diagnosis 2>&1 &&
        cmp plain.err err >>diagnosis 2>&1 && check_none_left $mark >>diagnosis; then
        pass "$name on $(plural "$nodes" node)"
    else
        { echo "status $status, plain $plain_status"; cat diagnosis; head -n 20 err; } |
            fail "$name on $(plural "$nodes" node)"
    fi
}

guest=$GUESTS/echo_all
for n in 1 3; do
    : >input
    both "arguments" $n "$guest" one 'two words' '' '*' -n --stats
    WORD=inherited both "the environment" $n "$guest"
    WORD=inherited both "-U" $n -U WORD "$guest"
    both "-E" $n -E WORD=given "$guest"
    both "-0" $n -0 another-name "$guest"
    # All values of a byte, and more than any buffer holds.
    for ((i = 0; i < 256; i++)); do printf '%b' "\\0$(printf %o "$i")"; done >bytes
    for ((i = 0; i < 1500; i++)); do cat bytes; done >input
    both "standard input and output" $n "$guest"
done

# Where guest memory lies on the host is nothing to the guest: at a place of the user's choice, beside an
# emulator whose mappings the kernel would lay out from the middle upwards.
for isa in "" arm/ riscv64/ x86_64/; do
    if ! [ -x "$GUESTS/${isa}mutex" ]; then
        skip "-B for $isa" "it was not built"
        continue
    fi
    : >input
    plain=${isa:-aarch64/}
    ORACLE[2]=$TOP/build/qemu-${plain%/} # its third word is the emulator
    both "-B for ${plain%/}" 3 -B 0x100000000 "$GUESTS/${isa}mutex"
done
ORACLE[2]=$QEMU_PLAIN
if (ulimit -s unlimited) 2>/dev/null; then
    limit=$(ulimit -Ss)
    ulimit -Ss unlimited
    both "an unlimited stack" 3 "$GUESTS/stack_limit" unlimited
    ulimit -Ss "$limit"
else
    skip "an unlimited stack" "the limit is lower"
fi

threads() { # the numbers of threads on nodes 0, 1 and 2
    jq -c '[.nodes[].threads]' stats
}

placed() { # NAME POLICY JQ-CONDITION
    if run_marked $mark 20 "$DQEMU_LAUNCH" -n 3 --placement "$2" --stats=stats -- "$GUESTS/barrier" \
        </dev/null >out 2>err && jq -e "[.nodes[].threads] | $3" stats >/dev/null; then
        pass "$1"
    else
        { threads; cat err; } | fail "$1"
    fi
}

placed "spread: nine threads, three to each node" spread '. == [3, 3, 3]'
placed "pack: all threads run" pack 'add == 9'
placed "master-only: all on node 0" master-only '. == [9, 0, 0]'

# The page of hot_counter went back and forth most, then the one of warm_counter.
names_pages() { # GUEST
    run_marked $mark 20 "$DQEMU_LAUNCH" -n 2 --stats=stats -- "$GUESTS/$1" </dev/null >out 2>err &&
        jq -e --arg file "$1" '
            (.pages | map(select(.what == "hot_counter (\($file))"))) as [$hot]
            | (.pages | map(select(.what == "warm_counter (\($file))"))) as [$warm]
            | $hot.asked > $warm.asked and $warm.asked > 20 and $hot.nodes == [0, 1]
              and .pages[0] == $hot' stats >/dev/null
}
for guest in hot_pages hot_pages_pie; do
    name="statistics name the pages asked for most: $guest"
    if names_pages $guest; then
        pass "$name"
    else
        { jq -c '.pages[]' stats; cat err; } | fail "$name"
    fi
done

# A page that nodes write in different parts is split, and the statistics say so.
splits() { # NAME JQ-CONDITION OPTION...
    local name=$1 condition=$2
    shift 2
    if run_marked $mark 20 "$DQEMU_LAUNCH" -n 2 --stats=stats "$@" -- "$GUESTS/false_shared" \
        </dev/null >out 2>err && jq -e "(.pages[] | select(.what | test(\"falsely_shared\"))) as \$page |
            (.nodes | map(.redirected) | add) as \$redirected | $condition" stats >/dev/null; then
        pass "$name"
    else
        { jq -c '.pages[], .nodes[]' stats; cat err; } | fail "$name"
    fi
}
splits "a falsely shared page is split, and named" \
    "\$page.split and \$page.nodes == [0, 1] and .nodes[0].splits >= 1 and .nodes[0].shadow_pages >= 2"
splits "redirected accesses are counted on demand" "\$page.split and \$redirected > 10000" -o split.count=1
splits "split.pages=0 splits nothing" "(\$page.split | not) and .nodes[0].splits == 0" -o split.pages=0

# Pages that another node reads one by one rest; those that are written to again are missed.
rests() { # JQ-CONDITION OPTION...
    local condition=$1
    shift
    run_marked $mark 20 "$DQEMU_LAUNCH" -n 2 --stats=stats "$@" -- "$GUESTS/fill_and_read" \
        </dev/null >out 2>err &&
        jq -e "(.nodes | map(.rested) | add) as \$rested | (.nodes | map(.rest_regrets) | add) as \
            \$regrets | $condition" stats >/dev/null
}
resting() { # NAME JQ-CONDITION OPTION...
    local name=$1
    shift
    if rests "$@"; then
        pass "$name"
    else
        { jq -c '.nodes[] | [.rested, .rest_regrets]' stats; cat err; } | fail "$name"
    fi
}
# shellcheck disable=SC2016 # jq's variables
resting "pages rest that others read" '$rested > 500 and $regrets > 0'
# shellcheck disable=SC2016
resting "with rest_pages=0 none does" '$rested == 0 and $regrets == 0' -o rest_pages=0

stays_closed() { # the race is short, so three times
    for _ in 1 2 3; do
        run_marked $mark 20 "$DQEMU_LAUNCH" -n 3 --stats=stats -- "$GUESTS/free_descriptor" \
            </dev/null >out 2>err && [ "$(threads)" = '[1,1,0]' ] || return 1
    done
}
if stays_closed; then
    pass "a closed descriptor stays closed while the first thread ends"
else
    { threads; cat err; } | fail "a closed descriptor stays closed while the first thread ends"
fi
echo "1..$point"
[ "$failed" = 0 ]
