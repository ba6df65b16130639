#!/bin/bash
# Programs of Debian that start programs of Debian: a shell with pipes, make -j4, Python's subprocess and
# multiprocessing, all from the sysroot, without binfmt_misc.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
SYSROOT=${SYSROOT_CHILDREN:-$TOP/build/sysroot-children}
packages=(bash dash coreutils make python3-minimal libpython3.11-stdlib sed grep)
if ! "$TOP/tests/sysroot.sh" "$SYSROOT" "${packages[@]}" >"$SCRATCH/sysroot.log" 2>&1; then
    sed 's/^/# /' "$SCRATCH/sysroot.log"
    [ -z "${CI:-}" ] || bail_out "no sysroot of Debian packages"
    echo "1..0 # SKIP no sysroot of Debian packages: $(tail -n 1 "$SCRATCH/sysroot.log")"
    exit 0
fi
enter_scratch
mark=$$-children

# What it writes to stdout, with this status, also to stdin's reader.
says() { # NAME STATUS EXPECTED PROGRAM ARGUMENT...
    local name=$1 status=$2 expected=$3 program=$4 got
    shift 4
    run_marked $mark 120 "$DQEMU_LAUNCH" -n "$NODES" -L "$SYSROOT" "$SYSROOT/$program" "$@" \
        </dev/null >out 2>err
    got=$?
    if [ $got = "$status" ] && diff <(printf '%s\n' "$expected") out >diagnosis 2>&1 &&
        check_none_left $mark >>diagnosis; then
        pass "$name"
    else
        { echo "status $got, not $status"; cat diagnosis; head -n 20 err; } | fail "$name"
    fi
}

# shellcheck disable=SC2016 # for those who run it
says "pipes and substitutions of a shell" 3 $'aarch64\n3 4950\nB,C' usr/bin/bash -c '
    /usr/bin/uname -m
    set -- $(/usr/bin/seq 0 99 | /usr/bin/tee >(/usr/bin/wc -l >lines) | { sum=0; while read -r n; do
        sum=$((sum + n)); done; echo 3 $sum; })
    echo "$1 $2"
    /usr/bin/printf "b\nc\n" | /usr/bin/tr a-z A-Z | /usr/bin/paste -sd, -
    /usr/bin/sh -c "exit 3"'

# shellcheck disable=SC2016 # likewise
printf '#!/usr/bin/env bash\n/usr/bin/uname -m\necho "$0 $*"\nkill -TERM $$\n' >script
chmod +x script
says "a script, by env, that ends itself" 143 $'aarch64\n'"$PWD/script one two words" \
    usr/bin/bash -c 'exec ./script one "two words"'

cat >Makefile <<'MAKE'
N := 1 2 3 4 5 6 7 8
all: $(N:%=out.%)
	@cat $(sort $^) | sort | uniq -c | sed 's/^ *//'
out.%:
	@uname -m >$@.new && mv $@.new $@
MAKE
says "make -j4" 0 "8 aarch64" usr/bin/make -j4 --no-print-directory
rm -f out.*

cat >spawn.py <<'PYTHON'
import multiprocessing, os, subprocess, sys

def square(n):
    return n * n, os.uname().machine

if __name__ == "__main__":
    print(subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip())
    print(subprocess.run("exit 7", shell=True).returncode)
    print(subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"]).returncode)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(child.communicate("through a pipe")[0])
    try:
        subprocess.run(["./nonexistent"])
    except FileNotFoundError:
        print("not found")
    for method in "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(4))[3])
PYTHON
says "Python: subprocess, multiprocessing by spawn and forkserver" 0 "aarch64
7
-15
through a pipe
not found
spawn (9, 'aarch64')
forkserver (9, 'aarch64')" usr/bin/python3.11 spawn.py
done_testing
