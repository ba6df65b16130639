#!/bin/bash
# A program that a thread on another node ends leaves a core file: with the signal, the registers of that
# thread where it stood and of all others, and what threads elsewhere have written.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/crash
for g in "$guest" "${guest}_beside"; do
    [ -x "$g" ] || bail_out "$g is missing: run make guests"
done
mark=$$-core
cd "$SCRATCH" || exit 1
if ! ulimit -S -c unlimited; then
    echo "1..0 # SKIP no core files here: their limit cannot be raised"
    exit 0
fi

# The signal of the first thread in the file, and the symbol in which each one was, with its x20.
cat >threads.py <<'PYTHON'
import bisect, glob, struct, subprocess, sys

core = open(glob.glob("*.core")[0], "rb").read()
offset, = struct.unpack_from("<Q", core, 32)
size, count = struct.unpack_from("<HH", core, 54)
for i in range(count):
    kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", core, offset + i * size)
    if kind == 4:
        end = at + length
        break
lines = subprocess.run(["nm", "-n", sys.argv[1]], capture_output=True, text=True).stdout.split("\n")
symbols = [(int(w[0], 16), w[2]) for w in map(str.split, lines) if len(w) == 3 and w[1] in "tTwWi"]
signals, places = [], []
while at < end:
    name, length, note = struct.unpack_from("<III", core, at)
    data = at + 12 + (name + 3 & ~3)
    if note == 1:  # NT_PRSTATUS
        signals += struct.unpack_from("<H", core, data + 12)
        x20, pc = (struct.unpack_from("<Q", core, data + 112 + i * 8)[0] for i in (20, 32))
        places.append((symbols[bisect.bisect([a for a, _ in symbols], pc) - 1][1], x20))
    at = data + (length + 3 & ~3)
if sys.argv[2] == "first":
    print(signals[0], places[0][0], b"written-by-a-thread-elsewhere" in core)
else:
    known = sorted(p for p in places if p[0] in ("spin_here", "wait_here", "read_here"))
    print(signals[0], places[0][0], *(f"{where}:{x20 - 0x5151510000}" for where, x20 in known))
PYTHON

leaves() { # NAME WORD STATUS LINE [OPTION...]
    local name=$1 got guest=$guest of=first
    if [ "$2" = beside ]; then
        guest=${guest}_beside of=all
    fi
    rm -f ./*.core
    for n in 1 3; do
        run_marked $mark 60 "$DQEMU_LAUNCH" -n $n "${@:5}" "$guest" "$2" </dev/null >out 2>err
        got=$?
        # shellcheck disable=SC2053 # a pattern
        if [ $got = "$3" ] && python3 threads.py "$guest" $of >found 2>diagnosis && [[ $(cat found) == $4 ]]; then
            pass "$name on $(plural $n node)"
        else
            { echo "status $got"; cat found diagnosis err; } | fail "$name on $(plural $n node)"
        fi
        rm -f ./*.core
    done
}
leaves "a fault" fault 139 "11 fault_here True"
leaves "a fault, with page faults of threads alone," fault 139 "11 fault_here True" -o threads_only=1
leaves "a fault beside threads on all nodes" beside 139 "11 fault_here $(
    printf '%s ' {read,spin,wait}_here:{0,1,2} | sed 's/ $//'
)"
leaves "abort()" abort 134 "6 *kill* True"
echo "1..$point"
[ "$failed" = 0 ]
