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
make_program arm 50 1
make_program riscv 363
make_program alien 1
make_program ilp32 267 1
make_program object 267 2 1 1
make_program plainfile 267
chmod -x plainfile
printf '\177ELF\2\2\1\0\0\0\0\0\0\0\0\0\0\2\0\267' >big
head -c 44 /dev/zero >>big
printf '#!/bin/sh -e\necho no\n' >script
printf 'just text\n' >text
printf '\177ELF' >short
: >empty
chmod +x big script text short empty
mkdir folder
mkfifo pipe

refused "missing" 127 './nosuch: no such file; *' ./nosuch
refused "a part of the path is a file" 127 'prog/x: no such file; *' prog/x
refused "only in PATH" 127 'ls: no such file here; PROGRAM is a path*' ls
refused "an empty name" 127 'PROGRAM is an empty name*' ''
refused "x86-64" 126 './x86 is an x86-64 program; this build runs aarch64' ./x86
refused "i386" 126 './i386 is an i386 program; this build runs aarch64' ./i386
refused "ARM" 126 './arm is an ARM program; this build runs aarch64' ./arm
refused "RISC-V" 126 './riscv is a RISC-V program; this build runs aarch64' ./riscv
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
