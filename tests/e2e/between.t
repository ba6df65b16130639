#!/bin/bash
# A guest cannot map, unmap or protect the emulator's own addresses, which lie between its own; and a program
# that can lie anywhere has room for its heap.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
mark=$$-between
build() { # ISA NAME FLAG...: SCRATCH/ISA-NAME; false: there is nothing to try
    local isa=$1 name=$2
    [ -x "$TOP/build/qemu-$isa" ] || return
    shift 2
    "$isa-linux-gnu-gcc" -std=gnu11 -D_GNU_SOURCE -O1 -pthread "$@" -I "$TOP/tests/guests" \
        -o "$SCRATCH/$isa-$name" "$TOP/tests/guests/tools/$name.c" || bail_out "$name.c cannot be compiled"
}
try() { # NAME WHAT-IT-SAYS COMMAND...
    local out name=$1 says=$2
    shift 2
    if out=$(run_marked $mark 60 "$@" 2>&1) && [ "$out" = "$says" ]; then
        pass "$name"
    else
        fail "$name" <<<"$out"
    fi
}

for isa in aarch64 riscv64 x86_64; do
    if build $isa between -static; then
        for n in 2 3; do
            try "$isa on $n nodes" 'nothing happened' "$DQEMU_LAUNCH" -n $n "$SCRATCH/$isa-between"
        done
    else
        skip "$isa" "make ISAS=$isa"
    fi
    libraries=/usr/$isa-linux-gnu
    [ $isa != x86_64 ] || libraries=/
    if build $isa brk_room -pie -fPIE; then
        try "$isa: a heap" 'brk_room: up' "$DQEMU_LAUNCH" -n 2 -L $libraries "$SCRATCH/$isa-brk_room"
    fi
done

# One of the nodes may have fewer addresses: enough for the first 64 TiB, and the table of split pages.
cat >"$SCRATCH/few" <<'END'
#!/bin/bash
[ "$1" != 1 ] || ulimit -v $((100 << 30))
shift
exec "$@"
END
chmod +x "$SCRATCH/few"
try "a node with 100 TiB of addresses" 'nothing happened' "$DQEMU_LAUNCH" -n 3 --wrap="$SCRATCH/few %n" \
    "$SCRATCH/aarch64-between" without
check_none_left $mark >"$SCRATCH/left" || fail "nothing is left" <"$SCRATCH/left"
echo "1..$point"
[ $failed = 0 ]
