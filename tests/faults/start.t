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

# A node alone that cannot start: for want of memory, which QEMU tells, or of addresses.
cat >wrap <<'EOF'
#!/bin/bash
[ "$3" != "$4" ] || ulimit "$1" "$2"
shift 4
exec "$@"
EOF
chmod +x wrap
one_line() { # NAME NODE LINE
    if [ $status = 125 ] && [ $gone = 0 ] && [ "$(wc -l <err)" = 1 ] && grep -q "^dqemu: node $2$3" err; then
        pass "$1"
    else
        { report; cat left; } | fail "$1"
    fi
}
cannot_start() { # NAME NODE OPTION VALUE LINE
    run --wrap "./wrap $3 $4 $2 %n" -n 3 -- "$GUESTS/mutex"
    one_line "$1" "$2" "$5"
}
cannot_start "a slave without memory" 1 -d 100000 ' cannot start: .*Cannot allocate memory'
for node in 0 1; do
    cannot_start "node $node without addresses" $node -v 64000000 \
        ': the limit of address space, 64000000 KiB, .*; raise it to 68720525312 or more (ulimit -v)$'
done

# A kernel that lets nobody read what its protection forbids: absent memory would look the same.
run --wrap "$TOP/tests/refuse.py protected-memory" -n 3 -- "$GUESTS/mutex"
one_line "protected memory that cannot be read" '[012]' \
    ' may not read its own protected memory by /proc/self/mem; boot with proc_mem.force_override=always$'
done_testing
