#!/bin/bash
# A guest cannot map, unmap or protect the emulator's own addresses, which lie between its own.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/between
[ -x "$guest" ] || bail_out "$guest is missing: run make guests"
mark=$$-between
try() { # NAME COMMAND...
    local out name=$1
    shift
    if out=$(run_marked $mark 60 "$@" 2>&1) && [ "$out" = 'nothing happened' ]; then
        pass "$name"
    else
        fail "$name" <<<"$out"
    fi
}

for n in 2 3; do
    try "on $n nodes" "$DQEMU_LAUNCH" -n $n "$guest"
done

# One of the nodes may have fewer addresses: enough for the first 64 TiB, and the table of split pages.
cat >"$SCRATCH/few" <<'END'
#!/bin/bash
[ "$1" != 1 ] || ulimit -v $((100 << 30))
shift
exec "$@"
END
chmod +x "$SCRATCH/few"
try "a node with 100 TiB of addresses" "$DQEMU_LAUNCH" -n 3 --wrap="$SCRATCH/few %n" "$guest" without
check_none_left $mark >"$SCRATCH/left" || fail "nothing is left" <"$SCRATCH/left"
echo "1..$point"
[ $failed = 0 ]
