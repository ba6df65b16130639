#!/bin/bash
# A plugin of QEMU's counts on each node, and each node's count is told at the end.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/counted
[ -x "$guest" ] || bail_out "$guest is missing: run make guests"
mark=$$-plugins
cd "$SCRATCH" || exit 1

cat >count.c <<'C'
#include <qemu-plugin.h>
#include <stdio.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;
static unsigned long instructions;

static void executed(unsigned int cpu, void *count)
{
    __atomic_fetch_add(&instructions, (unsigned long)count, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)qemu_plugin_tb_n_insns(tb));
}

static void ended(qemu_plugin_id_t id, void *data)
{
    char line[40];

    snprintf(line, sizeof(line), "instructions %lu\n", instructions);
    qemu_plugin_outs(line);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
C
# shellcheck disable=SC2046 # words
"${CC:-cc}" -shared -fPIC -O2 $(pkg-config --cflags glib-2.0) -I "$TOP/build/qemu/plain/include/qemu" \
    -o libcount.so count.c || bail_out "the plugin cannot be compiled"

for n in 1 3; do
    run_marked $mark 30 "$DQEMU_LAUNCH" -n "$n" -plugin ./libcount.so -d plugin "$guest" \
        </dev/null >out 2>err
    if [ "$(awk '/^instructions/ && $2 > 100000' err | wc -l)" = "$n" ]; then
        pass "a plugin tells what it has counted on $(plural "$n" node)"
    else
        fail "a plugin tells what it has counted on $(plural "$n" node)" <err
    fi
done
echo "1..$point"
[ "$failed" = 0 ]
