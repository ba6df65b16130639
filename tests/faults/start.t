#!/bin/bash
# Runs that cannot begin: what plain QEMU says of the options or the program is said once, with its
# status, whatever the number of nodes; what is one slave's own trouble names that node.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

run() { # ARGUMENT...
    run_marked $mark 10 "$DQEMU_LAUNCH" "$@" </dev/null >out 2>err
    status=$?
    check_none_left $mark >left
    gone=$?
}

# The same words and status as the plain emulator's.
as_plain() { # NAME ARGUMENT...
    local name=$1 want
    shift
    # The outer shell's word on how the inner one ended is nobody's business.
    { (exec -a dqemu-aarch64 "$QEMU_PLAIN" "$@" </dev/null >plain.out 2>plain.err); } 2>/dev/null
    want=$?
    for n in 1 3; do
        run -n $n "$@"
        if [ $status = $want ] && [ $gone = 0 ] && cmp -s out plain.out && cmp -s err plain.err; then
            pass "$name, $(plural $n node)"
        else
            { report; echo "plain: status $want"; cat plain.out plain.err left; } |
                fail "$name, $(plural $n node)"
        fi
    done
}

head -c 64 "$GUESTS/mutex" >no_headers
head -c 3000 "$GUESTS/mutex" >truncated
printf 'int main(void) { return 0; }' | aarch64-linux-gnu-gcc -x c -o dynamic -
printf 'int main(void) { return 0; }' |
    aarch64-linux-gnu-gcc -x c -Wl,--dynamic-linker=/nowhere/ld.so -o no_interpreter -
chmod +x no_headers truncated

as_plain "a processor that there is not" -cpu nonsense "$GUESTS/mutex"
as_plain "a plugin that there is not" -plugin ./nowhere.so "$GUESTS/mutex"
as_plain "a program without program headers" ./no_headers
as_plain "a program that ends in the middle" ./truncated
as_plain "a program without its interpreter" ./no_interpreter
[ -e /lib/ld-linux-aarch64.so.1 ] || as_plain "a dynamic program without -L" ./dynamic

# A slave alone that cannot start: here for want of addresses.
cat >wrap <<'EOF'
#!/bin/sh
[ "$1" != 1 ] || ulimit -v 2000000
shift
exec "$@"
EOF
chmod +x wrap
run --wrap './wrap %n' -n 3 -- "$GUESTS/mutex"
if [ $status = 125 ] && [ $gone = 0 ] && [ "$(wc -l <err)" = 1 ] &&
    grep -q '^dqemu: node 1 cannot start: .*guest_base' err; then
    pass "a slave that cannot start says why"
else
    { report; cat left; } | fail "a slave that cannot start says why"
fi
done_testing
