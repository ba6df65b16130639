#!/bin/bash
# A node on whose machine vm.max_map_count is less than on the master's leaves to the master what it has no room
# for: the program goes on.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/fragments
[ -x "$guest" ] || bail_out "$guest is missing: run make guests"
mark=$$-areas

# The limit is the same for all processes here: so the node has used all but some before it begins.
cat >"$SCRATCH/eat.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
static void __attribute__((constructor)) eat(void)
{
    long most = 0, page = 4096;
    FILE *f = getenv("EAT_BUT") ? fopen("/proc/sys/vm/max_map_count", "r") : NULL;
    char *m;

    if (!f || fscanf(f, "%ld", &most) != 1) {
        return;
    }
    fclose(f);
    most -= atol(getenv("EAT_BUT"));
    m = mmap(NULL, most * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (long i = 0; i < most; i += 2) {
        mprotect(m + i * page, page, PROT_READ);
    }
}
END
cc -shared -fPIC -o "$SCRATCH/eat.so" "$SCRATCH/eat.c" || bail_out "eat.c does not compile"
cat >"$SCRATCH/poor" <<END
#!/bin/bash
[ "\$1" != 1 ] || export LD_PRELOAD=$SCRATCH/eat.so EAT_BUT=2500
shift
exec "\$@"
END
chmod +x "$SCRATCH/poor"

for n in 2 3; do
    if out=$(run_marked $mark 120 "$DQEMU_LAUNCH" -n $n --wrap="$SCRATCH/poor %n" "$guest" 2>&1) &&
        [ "$out" = 'in pieces' ]; then
        pass "on $n nodes"
    else
        fail "on $n nodes" <<<"$out"
    fi
done
check_none_left $mark >"$SCRATCH/left" || fail "nothing is left" <"$SCRATCH/left"
echo "1..$point"
[ $failed = 0 ]
