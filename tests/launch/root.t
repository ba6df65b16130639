#!/bin/bash
# --root and --volume: what is refused before anything is made, in one line. What they do when they are
# right is in e2e/root.t.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

refused() { # NAME LINE ARGUMENT...: one line, status 125, and nothing was made
    local name=$1 line=$2
    shift 2
    expect "$name" 125 '' "dqemu: $line" "$@"
    [ "$(wc -l <err)" = 1 ] || fail "one line for: $name" <err
    [ -z "$(ls -A root)" ] || fail "nothing is made for: $name" < <(ls -A root)
}

mkdir root data
refused "no such root" "--root $PWD/missing: No such file or directory; name the directory*" --root missing ./prog
refused "a root that is a file" "--root $PWD/prog: it is not a directory; name the one*" --root prog ./prog
refused "the root that there is" "--root /: that is the root already; leave --root out, or name another" \
    --root / ./prog
ln -s / link
refused "by another name" "--root $PWD/link: that is the root already; *" --root link ./prog
DQEMU_ROOT=/missing refused "by the environment" "--root /missing: No such file or directory; *" ./prog
refused "no value" '--root needs a value*' --root
refused "a volume without a root" '--volume is for a run with a root of its own; give one with --root' \
    --volume data ./prog
refused "no such volume" "--volume $PWD/missing: No such file or directory; name a file*" \
    --root root --volume data --volume missing:/data ./prog
refused "a place that is not absolute" \
    '--volume data:data: the place "data" in the root is not absolute; write SRC:/DST or SRC:/DST:ro' \
    --root root --volume data:data ./prog
refused "a way in the wrong place" '--volume data:ro: the place "ro" in the root is not absolute; *' \
    --root root --volume data:ro ./prog
refused "no place" '--volume data::ro: the place "" in the root is not absolute; *' \
    --root root --volume data::ro ./prog
refused "no such way" '--volume data:/data:rx: "rx" is no way to mount; write ro, rw or nothing' \
    --root root --volume data:/data:rx ./prog
refused "nothing to mount" '--volume :/data: it names nothing to mount; write SRC, *' --root root --volume :/data ./prog
refused "an empty volume" '--volume : it names nothing to mount; *' --root root --volume '' ./prog
refused "over the root" '--volume data:/x/..: it would hide the whole root; *' --root root --volume data:/x/.. ./prog
for word in -L --L; do
    refused "$word" '--root and -L (or QEMU_LD_PREFIX): libraries come from the root; use one of them' \
        --root root $word /usr ./prog
done
QEMU_LD_PREFIX=/usr refused "QEMU_LD_PREFIX" '--root and -L (or QEMU_LD_PREFIX): *' --root root ./prog
refused "what emulators hand over" '--dqemu-root=3: no such option*' --dqemu-root=3 ./prog
refused "no program" 'no PROGRAM given; see*' --root root

done_testing
