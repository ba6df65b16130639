#!/bin/bash
# A PROGRAM that cannot run: one line that says what it is and what to do, by the conventions of
# env(1): 126 it cannot be run, 127 it is not there.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

refused() { # NAME STATUS LINE PROGRAM
    expect "$1" "$2" '' "dqemu: $3" -n 2 "$4" argument
}
make_program x86 76
make_program i386 3 1
make_program x32 76 1
make_program arm 50 1
make_program riscv 363
make_program riscv32 363 1
make_program alien 1
make_program ilp32 267 1
make_program object 267 2 1 1
make_program plainfile 267
chmod -x plainfile
big_program() { # FILE CLASS MACHINE
    printf '%b' "\\0177ELF\\0$2\\02\\01\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\02\\0\\0$3" >"$1"
    head -c 44 /dev/zero >>"$1"
    chmod +x "$1"
}
big_program big 2 267
big_program bigarm 1 50
big_program s390x 2 26
big_program s390 1 26
printf '#!/bin/sh -e\necho no\n' >script
printf 'just text\n' >text
printf '\177ELF' >short
: >empty
chmod +x script text short empty
mkdir folder
mkfifo pipe

refused "missing" 127 './nosuch: no such file; *' ./nosuch
refused "a part of the path is a file" 127 'prog/x: no such file; *' prog/x
refused "only in PATH" 127 'ls: no such file here; PROGRAM is a path*' ls
refused "an empty name" 127 'PROGRAM is an empty name*' ''
refused "i386" 126 './i386 is an i386 program; this build runs *' ./i386
refused "x32" 126 './x32 is an x32 program; this build runs *' ./x32
refused "32-bit RISC-V" 126 './riscv32 is a 32-bit RISC-V program; this build runs *' ./riscv32
refused "ARM of the other byte order" 126 './bigarm is a big-endian ARM program; this*' ./bigarm
refused "31-bit S/390" 126 './s390 is a 31-bit S/390 program; this*' ./s390
refused "an unknown machine" 126 "./alien is some other machine's program; this*" ./alien
refused "AArch64 with the other pointers" 126 './ilp32 is an AArch64 ILP32 program; this*' ./ilp32
refused "AArch64 of the other byte order" 126 './big is a big-endian AArch64 program; this*' ./big
refused "an object file" 126 './object is an ELF file but not a program*' ./object
refused "not executable" 126 './plainfile is not executable; chmod +x*' ./plainfile
refused "a script" 126 './script is a script for /bin/sh -e; run*' ./script
refused "a text" 126 './text is not an ELF program; *' ./text
refused "four bytes" 126 './short is not an ELF program; *' ./short
refused "an empty file" 126 './empty is not an ELF program; *' ./empty
refused "a folder" 126 './folder is a directory; *' ./folder
refused "a pipe" 126 './pipe is not a regular file; *' ./pipe
refused "a device" 126 '/dev/null is not a regular file; *' /dev/null
for name in x86 arm riscv s390x; do
    expect "a program for another instruction set: $name" 0 '' '' ./$name
done
expect "a name without a slash is looked for here" 0 '' '' prog

cp "$DQEMU_LAUNCH" ./dqemu-launch
unset DQEMU_NODE_BINARY
alone() {
    timeout 20 ./dqemu-launch "$@" >out 2>err
    status=$?
}
alone ./prog
check "no node program beside the launcher: 125" test $status = 125
check "one line" test "$(wc -l <err)" = 1
check "that says so" grep -q '^dqemu: the node program dqemu-aarch64 is missing beside' err
check "and how to get it" grep -q 'run make ISAS=aarch64, ' err
for pair in x86:x86_64 arm:arm riscv:riscv64 s390x:s390x; do
    cp "$FAKE_NODE" "dqemu-${pair#*:}"
    alone "./${pair%:*}" 0@run:exit=8
    check "the node program is that of the instruction set: ${pair#*:}" test $status = 8
    rm "dqemu-${pair#*:}"
    alone "./${pair%:*}"
    check "without it: 125" test $status = 125
    check "and one line" grep -qx "dqemu: the node program dqemu-${pair#*:} is missing .*" err
done
alone ./i386
check "nothing is here: all that could be" grep -q 'runs aarch64, arm, riscv64, s390x, x86_64$' err
cp "$FAKE_NODE" dqemu-x86_64
cp "$FAKE_NODE" dqemu-arm
alone ./i386
check "what is here" grep -q 'this build runs arm, x86_64$' err
rm dqemu-x86_64 dqemu-arm
cp "$FAKE_NODE" dqemu-aarch64
alone ./prog 0@run:exit=9
check "the node program beside the launcher" test $status = 9
mkdir -p root/bin root/libexec/dqemu
mv dqemu-launch root/bin
mv dqemu-aarch64 root/libexec/dqemu
timeout 20 root/bin/dqemu-launch ./prog 0@run:exit=10 >out 2>err
status=$?
check "the node program of an installation" test $status = 10
PATH=$PWD/root/bin:$PATH timeout 20 dqemu-launch ./prog 0@run:exit=11 >out 2>err
status=$?
check "found through PATH" test $status = 11
ln -s root/bin/dqemu-launch link
timeout 20 ./link ./prog 0@run:exit=12 >out 2>err
status=$?
check "started through a link" test $status = 12

done_testing
