#!/bin/bash
# TAP for one folder of guests: each on every number of nodes, against plain QEMU.
#
#   run_group.sh GROUP
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build

group=$1
jobs=()
for source in "$TOP/tests/guests/$group"/*.c; do
    [ -f "$source" ] || continue
    name=$(basename "$source" .c)
    case " ${DQEMU_TEST_GUESTS:-$name} " in
    *" $name "*) ;;
    *) continue ;;
    esac
    for n in $DQEMU_TEST_NODES; do
        jobs+=("$source" "$n" "$SCRATCH/$name.$n")
    done
done
if [ ${#jobs[@]} = 0 ]; then
    echo "1..0 # SKIP no guest of this group was asked for"
    exit 0
fi
echo "1..$((${#jobs[@]} / 3))"

# A run that fails says so in its verdict; xargs' own status would only repeat it.
printf '%s\0' "${jobs[@]}" |
    xargs -0 -n 3 -P "$DQEMU_TEST_JOBS" "$TOP/tests/e2e/run_guest.sh" >/dev/null

for ((i = 0; i < ${#jobs[@]}; i += 3)); do
    title="$(basename "${jobs[i]}" .c) on $(plural "${jobs[i + 1]}" node)"
    verdict=${jobs[i + 2]}
    if [ "$(head -n 1 "$verdict" 2>/dev/null)" = ok ]; then
        pass "$title"
    else
        fail "$title" < <(tail -n +2 "$verdict" 2>/dev/null || echo "the run left no verdict")
    fi
done
[ $failed = 0 ]
