#!/bin/bash
# Run one guest on N nodes, compare it with plain QEMU, and check that its threads were spread.
#
#   run_guest.sh SOURCE N [VERDICT]
#
# The guest's source says what to expect, in a line of its own, all words optional:
#   /* dqemu: remote=4 timeout=20 status=0 splits=1 */
# remote   with N > 1, at least so many threads ran on other nodes than 0 (default 0), on as many
#          different nodes as that allows
# timeout  seconds for one run (default 20)
# status   the exit status (default 0)
# splits   with N > 1 and DQEMU_TEST_SPLIT=force, at least so many pages were split (default 0)
# machines 1: only where all nodes are on one machine (run_group.sh leaves it out elsewhere)
#
# Writes a diagnosis to stdout, empty when all is well; exits with 0 or 1. VERDICT is a file that
# gets "ok" or "not ok" as its first line and the diagnosis below.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

source=$1 nodes=$2 verdict=${3:-}
name=$(basename "$source" .c)
guest=$GUESTS/$name
remote=0 timeout=20 status=0 splits=0
read -ra words < <(sed -n 's,^/\* dqemu: \(.*\) \*/$,\1,p' "$source")
for word in "${words[@]}"; do
    case $word in
    remote=*) remote=${word#*=} ;;
    timeout=*) timeout=${word#*=} ;;
    status=*) status=${word#*=} ;;
    splits=*) splits=${word#*=} ;;
    machines=1) ;;
    *) echo "unknown expectation in $source: $word"; exit 1 ;;
    esac
done

first_lines() { # FILE TITLE
    [ -s "$1" ] || return 0
    echo "$2:"
    head -n 20 "$1" | sed 's/^/  /'
}

# Pages were split where that was forced, and none where it was off.
check_splits() {
    local sum
    # Without statistics there is another diagnosis.
    sum=$(jq -e '[.nodes[].splits // 0] | add' "$SCRATCH/stats" 2>/dev/null) || return 0
    if [ "$DQEMU_TEST_SPLIT" = off ] && [ "$sum" != 0 ]; then
        echo "pages were split although splitting is off: $sum"
        return 1
    fi
    if [ "$DQEMU_TEST_SPLIT" = force ] && [ "$nodes" -gt 1 ] && [ "$sum" -lt "$splits" ]; then
        echo "pages were not split: $sum, not at least $splits"
        return 1
    fi
}

compare() {
    local bad=0 mark="$$-$name-$nodes" plain_status dqemu_status
    [ -x "$guest" ] || { echo "$guest is missing: run make guests"; return 1; }

    [ -w . ] || cd "$SCRATCH" || return 1 # some guests make files; hosts have the same folder
    run_marked "$mark-plain" "$timeout" "${ORACLE[@]}" "$guest" \
        </dev/null >"$SCRATCH/plain.out" 2>"$SCRATCH/plain.err"
    plain_status=$?
    run_marked "$mark" "$timeout" \
        "$DQEMU_LAUNCH" -n "$nodes" "${SPLIT_OPTIONS[@]}" --stats="$SCRATCH/stats" -- "$guest" \
        </dev/null >"$SCRATCH/out" 2>"$SCRATCH/err"
    dqemu_status=$?

    if [ $plain_status != "$status" ]; then
        echo "plain QEMU: exit status $plain_status, not $status"
        first_lines "$SCRATCH/plain.err" "plain QEMU's stderr"
        bad=1
    fi
    if [ $dqemu_status = 124 ] || { [ $dqemu_status = 137 ] && [ "$status" != 137 ]; }; then
        echo "not done after $(scaled "$timeout") s"
        bad=1
    elif [ $dqemu_status != "$status" ]; then
        echo "exit status $dqemu_status, not $status"
        bad=1
    fi
    if ! diff -u --label plain --label dqemu "$SCRATCH/plain.out" "$SCRATCH/out" \
        >"$SCRATCH/diff"; then
        first_lines "$SCRATCH/diff" "stdout differs"
        bad=1
    fi
    check_none_left "$mark" || bad=1
    if ! jq -e --argjson n "$nodes" '.nodes | length == $n' "$SCRATCH/stats" >/dev/null 2>&1; then
        echo "the statistics do not list $(plural "$nodes" node)"
        bad=1
    elif [ "$nodes" -gt 1 ] && ! jq -e --argjson n "$nodes" --argjson want "$remote" '
            [.nodes[] | select(.node > 0) | .threads] as $t
            | ($t | add) >= $want and ($t | map(select(. > 0)) | length) >= ([$want, $n - 1] | min)
        ' "$SCRATCH/stats" >/dev/null 2>&1; then
        echo "threads did not run where they should: at least $remote on other nodes than 0"
        bad=1
    fi
    check_splits || bad=1
    if [ $bad != 0 ]; then
        first_lines "$SCRATCH/err" "stderr"
        jq -c '.nodes[]' "$SCRATCH/stats" 2>/dev/null | sed 's/^/  /'
    fi
    return $bad
}

compare >"$SCRATCH/diagnosis" 2>&1
result=$?
cat "$SCRATCH/diagnosis"
if [ -n "$verdict" ]; then
    { [ $result = 0 ] && echo "ok" || echo "not ok"; cat "$SCRATCH/diagnosis"; } >"$verdict.new"
    mv "$verdict.new" "$verdict"
fi
exit $result
