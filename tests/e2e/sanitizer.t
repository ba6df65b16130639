#!/bin/bash
# A program built with AddressSanitizer, which reserves memory all over its address space, finds its own
# mistakes on several nodes and none that it has not made.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
cd "$SCRATCH" || exit 1
mark=$$-sanitizer
export ASAN_OPTIONS=detect_leaks=0 # for that it stops its threads by ptrace(), which QEMU has not

cat >mistake.c <<'END'
#include <pthread.h>
#include <stdlib.h>
static void *touch(void *block)
{
    ((volatile char *)block)[100] = 1; /* behind its end */
    return NULL;
}
int main(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, touch, malloc(100));
    return pthread_join(thread, NULL);
}
END
compile() { # COMPILER SOURCE OUTPUT
    "$1" -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=address -pthread -I "$TOP/tests/guests" \
        -o "$3" "$2" 2>build.err
}
no_sanitizer() { # ISA: a skip, but not in CI
    [ -z "${CI:-}" ] || bail_out "no AddressSanitizer for $1: $(tail -n 1 build.err)"
    skip "$1" "no AddressSanitizer for it"
}

try_isa() { # ISA COMPILER LIBRARIES
    local n plain=$TOP/build/qemu-$1
    if ! [ -x "$plain" ]; then
        skip "$1" "there is no $plain; make ISAS=$1"
        return
    elif ! compile "$2" mistake.c mistake || ! "$plain" -L "$3" ./mistake 2>&1 | grep -q =ERROR; then
        no_sanitizer "$1"
        return
    fi
    compile "$2" "$TOP/tests/guests/memory/malloc_storm.c" sound ||
        bail_out "malloc_storm.c: $(tail -n 1 build.err)"
    run_marked $mark 60 "$plain" -L "$3" ./sound >plain.out 2>plain.err
    for n in 2 3; do
        if run_marked $mark 120 "$DQEMU_LAUNCH" -n $n --stats=stats -L "$3" ./sound >out 2>err &&
            cmp plain.out out && [ ! -s err ] &&
            jq -e '[.nodes[] | select(.node > 0) | .threads] | add > 0' stats >/dev/null; then
            pass "$1: no mistake on $n nodes"
        else
            head -n 20 err | fail "$1: no mistake on $n nodes"
        fi
        if ! run_marked $mark 60 "$DQEMU_LAUNCH" -n $n -L "$3" ./mistake >out 2>err &&
            grep -q 'AddressSanitizer: heap-buffer-overflow' err &&
            grep -q 'in touch .*mistake.c:5' err; then
            pass "$1: a mistake of a thread elsewhere on $n nodes"
        else
            head -n 20 err | fail "$1: a mistake of a thread elsewhere on $n nodes"
        fi
    done
}
try_isa aarch64 aarch64-linux-gnu-gcc /usr/aarch64-linux-gnu
try_isa x86_64 x86_64-linux-gnu-gcc /
check_none_left $mark >left || fail "nothing is left" <left
echo "1..$point"
[ $failed = 0 ]
