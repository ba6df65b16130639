#!/bin/bash
# Programs that start programs: a guest that starts itself, scripts and programs of the machine in all
# ways sees, on one node and on three, what the same source sees that was compiled for this machine.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/programs
[ -x "$guest" ] || bail_out "$guest is missing: run make guests"
mark=$$-programs
cd "$SCRATCH" || exit 1
ulimit -s 8192 # so much of it is for arguments

# What this machine runs, and what the guest's: a program each, and one without its dynamic linker.
source=$TOP/tests/guests/tools/programs.c
flags=(-std=gnu11 -D_GNU_SOURCE -O2 -pthread -static -I "$TOP/tests/guests")
mkdir here there
echo 'int main(void) { return 0; }' >empty.c
compile() {
    "${CC:-cc}" "${flags[@]}" -o here/program "$source" &&
        "${CC:-cc}" -Wl,--dynamic-linker=/nonexistent/ld.so -o here/no_loader empty.c &&
        aarch64-linux-gnu-gcc -Wl,--dynamic-linker=/nonexistent/ld.so -o there/no_loader empty.c &&
        cp "$guest" there/program
}
compile || bail_out "the test's programs cannot be compiled"

make_folder() { # FOLDER
    (
        cd "$1" || exit 1
        mkdir sub
        printf '#!%s/program show\n' "$PWD" >script
        printf '#! %s/program\tshow me  \n' "$PWD" >script_argument
        printf '#!./script\n' >script_of_script
        # shellcheck disable=SC2016 # for the script
        printf '#!/bin/sh\necho "host: $0 $*"\n' >script_host
        printf '#!./script_loop\n' >script_loop
        printf '#!/nonexistent/sh\n' >script_missing
        echo 'echo text' >text
        : >empty
        cp program unexecutable
        ln -s loop loop
        chmod +x script* text empty
        chmod -x unexecutable
    )
}
make_folder here
make_folder there

# The same words to both; what they say differs in the folder's name only. A signal is ignored from the
# beginning, one for which QEMU has a handler of its own.
started=(env --default-signal --ignore-signal=QUIT)
both() { # NAME N WAY...
    local name=$1 nodes=$2 expected status
    shift 2
    (cd here && exec "${started[@]}" ./program "$@") </dev/null 2>&1 | sed "s,$PWD/here,HERE,g; s,/here$,/HERE," >expected
    expected=${PIPESTATUS[0]}
    (cd there && run_marked $mark 60 "${started[@]}" "$DQEMU_LAUNCH" -n "$nodes" ./program "$@") </dev/null 2>&1 |
        sed "s,$PWD/there,HERE,g; s,/there$,/HERE," >out
    status=${PIPESTATUS[0]}
    if [ "$status" = "$expected" ] && diff -u expected out >diagnosis 2>&1 &&
        check_none_left $mark >>diagnosis; then
        pass "$name on $(plural "$nodes" node)"
    else
        { echo "status $status, not $expected"; head -n 60 diagnosis; } |
            fail "$name on $(plural "$nodes" node)"
    fi
}

# This machine's shell is run by the emulator of its instruction set: only so can it start our programs.
shell() { # N
    if [ -x "$(dirname "$DQEMU_LAUNCH")/dqemu-$(uname -m)" ]; then
        both "system" "$1" @system
    else
        skip "system on $(plural "$1" node)" "no emulator for this machine's shell"
    fi
}

for n in 1 3; do
    both "environments" "$n" environments
    both "relative names" "$n" folders
    both "by descriptor" "$n" descriptors
    both "signals" "$n" signals
    both "the file itself" "$n" same
    both "scripts" "$n" scripts
    both "errors" "$n" errors
    both "posix_spawn and vfork" "$n" libraries
    shell "$n"
    both "children of a thread elsewhere" "$n" @libraries @environments @errors
    both "the process becomes another program" "$n" replace
    both "a thread elsewhere makes it another program" "$n" @replace
    both "the status of the other program" "$n" @replace_by_status
    both "the signal of the other program" "$n" @replace_by_signal
    both "processor time until then" "$n" replace_after_work
done
# The nodes for children, too: the same seen from outside, and a run for each of them.
clusters() { # NAME RUNS WAY...
    local name=$1 runs=$2
    shift 2
    (cd here && exec "${started[@]}" ./program "$@") </dev/null >expected 2>&1
    (cd there && run_marked $mark 90 "${started[@]}" "$DQEMU_LAUNCH" -n 2 --cluster-children -v ./program "$@") \
        </dev/null >out 2>err
    if diff expected out >diagnosis && check_none_left $mark >>diagnosis &&
        [ "$(grep -c '2 of 2 nodes are ready' err)" = "$runs" ]; then
        pass "--cluster-children: $name"
    else
        cat diagnosis err | fail "--cluster-children: $name"
    fi
}
clusters "children of the main thread" 3 libraries
clusters "children of a thread elsewhere" 3 @libraries
echo "1..$point"
[ $failed = 0 ]
