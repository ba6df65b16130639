#!/bin/bash
# TAP for folders of guests: each guest on every number of nodes, against plain QEMU.
#
#   run_group.sh [--split MODES] GROUP...
#
# MODES are those of DQEMU_TEST_SPLIT, which is the default, with commas between them.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"

modes=$DQEMU_TEST_SPLIT
if [ "${1:-}" = --split ]; then
    modes=$2
    shift 2
fi

# Some guests are about what only some instruction sets have: guests.mk knows.
names=$(make -s --no-print-directory -C "$TOP" -f tests/guests/guests.mk guest-names ISAS="$DQEMU_TEST_ISA") ||
    bail_out "make -f tests/guests/guests.mk guest-names does not work"
guests=" ${names//$'\n'/ } "

jobs=() titles=()
add_guest() { # SOURCE
    local source=$1 name n mode
    name=$(basename "$source" .c)
    [[ " ${DQEMU_TEST_GUESTS:-$name} " = *" $name "* && $guests = *" $name "* ]] || return
    # what a guest asks of one machine, hosts need not do
    [ -z "${DQEMU_HOSTS:-}" ] || ! grep -q '^/\* dqemu: .*machines=1' "$source" || return
    for mode in ${modes//,/ }; do
        for n in $DQEMU_TEST_NODES; do
            jobs+=("DQEMU_TEST_SPLIT=$mode" "$TOP/tests/e2e/run_guest.sh"
                "$source" "$n" "$SCRATCH/$name.$n.$mode")
            titles+=("$name on $(plural "$n" node)$([ "$mode" = on ] || echo ", split $mode")")
        done
    done
}

for group in "$@"; do
    for source in "$TOP/tests/guests/$group"/*.c; do
        [ ! -f "$source" ] || add_guest "$source"
    done
done
if [ ${#titles[@]} = 0 ]; then
    echo "1..0 # SKIP no guest of this group was asked for"
    exit 0
fi
echo "1..${#titles[@]}"

# A run that fails says so in its verdict; xargs' own status would only repeat it.
xargs -0 -n 5 -P "$DQEMU_TEST_JOBS" env >/dev/null < <(printf '%s\0' "${jobs[@]}") &
runner=$!
exec {never}<> <(:)

# The points come in order, each as soon as it is known.
for ((i = 0; i < ${#titles[@]}; i++)); do
    verdict=${jobs[5 * i + 4]}
    until [ -e "$verdict" ] || ! kill -0 $runner 2>/dev/null; do
        read -rt 0.2 -u "$never" || true
    done
    if [ "$(head -n 1 "$verdict" 2>/dev/null)" = ok ]; then
        pass "${titles[i]}"
    else
        fail "${titles[i]}" < <(tail -n +2 "$verdict" 2>/dev/null || echo "the run left no verdict")
    fi
done
[ $failed = 0 ]
