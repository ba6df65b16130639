#!/bin/bash
# A program built with a sanitizer, which reserves memory all over its address space, finds its own
# mistakes on several nodes and none that it has not made.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
cd "$SCRATCH" || exit 1
mark=$$-sanitizer
export ASAN_OPTIONS=detect_leaks=0 # for that it stops its threads by ptrace(), which QEMU has not
export TSAN_OPTIONS=report_signal_unsafe=0

with_block() { # < touch(), in which another thread makes a mistake with 100 bytes: the program
    printf '%s\n' '#include <pthread.h>' '#include <stdlib.h>'
    cat
    cat <<'END'
int main(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, touch, malloc(100));
    return pthread_join(thread, NULL);
}
END
}
with_block >address.c <<'END'
static void *touch(void *block)
{
    ((volatile char *)block)[100] = 1; /* behind its end */
    return NULL;
}
END
cat >thread.c <<'END'
#include <pthread.h>
static long count;
static void *touch(void *arg)
{
    count++;
    return arg;
}
int main(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], 0, touch, 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], 0);
    }
    return 0;
}
END
with_block >memory.c <<'END'
static void *touch(void *block)
{
    while (*(volatile char *)block == 1) {
    }
    return NULL;
}
END
# Guests that one of the sanitizers says nothing about under plain QEMU.
declare -A sound=([address]=memory/malloc_storm [thread]=sync/producer_consumer [memory]=memory/malloc_storm)
declare -A says=([address]='AddressSanitizer: heap-buffer-overflow' [thread]='ThreadSanitizer: data race'
    [memory]='MemorySanitizer: use-of-uninitialized-value')

compile() { # COMPILER KIND SOURCE OUTPUT
    "$1" -std=gnu11 -D_GNU_SOURCE -O1 -g "-fsanitize=$2" -pthread -I "$TOP/tests/guests" \
        -o "$4" "$3" 2>build.err
}
finds() { # KIND COMMAND...: it ends with an error and names the place
    local kind=$1
    shift
    ! run_marked $mark 60 "$@" >out 2>err && grep -q "${says[$kind]}" err && grep -q "touch.*$kind.c:5" err
}

try_kind() { # ISA COMPILER LIBRARIES KIND
    local n name="$1, $4" plain=$TOP/build/qemu-$1
    if ! [ -x "$plain" ]; then
        skip "$name" "there is no $plain; make ISAS=$1"
        return
    elif ! compile "$2" "$4" "$4.c" mistake || ! finds "$4" "$plain" -L "$3" ./mistake; then
        [ -z "${CI:-}" ] || bail_out "no such sanitizer: $name: $(tail -n 1 build.err err)"
        skip "$name" "there is no such sanitizer"
        return
    fi
    compile "$2" "$4" "$TOP/tests/guests/${sound[$4]}.c" sound ||
        bail_out "${sound[$4]}.c: $(tail -n 1 build.err)"
    run_marked $mark 60 "$plain" -L "$3" ./sound >plain.out 2>plain.err
    for n in 2 3; do
        if run_marked $mark 120 "$DQEMU_LAUNCH" -n $n --stats=stats -L "$3" ./sound >out 2>err &&
            cmp plain.out out && [ ! -s err ] &&
            jq -e '[.nodes[] | select(.node > 0) | .threads] | add > 0' stats >/dev/null; then
            pass "$name: no mistake on $n nodes"
        else
            head -n 20 err | fail "$name: no mistake on $n nodes"
        fi
        if finds "$4" "$DQEMU_LAUNCH" -n $n -L "$3" ./mistake; then
            pass "$name: a mistake of a thread elsewhere on $n nodes"
        else
            head -n 20 err | fail "$name: a mistake of a thread elsewhere on $n nodes"
        fi
    done
}
try_kind aarch64 aarch64-linux-gnu-gcc /usr/aarch64-linux-gnu address
try_kind x86_64 x86_64-linux-gnu-gcc / address
try_kind x86_64 x86_64-linux-gnu-gcc / thread
try_kind x86_64 clang / memory
check_none_left $mark >left || fail "nothing is left" <left
echo "1..$point"
[ $failed = 0 ]
