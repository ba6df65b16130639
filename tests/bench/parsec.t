#!/bin/bash
# The runner for PARSEC trees, on a small tree of the same form in which kernels stand for
# applications: same output on one node and on three, differences found, and mistakes explained.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/bench/kernels/lib.sh
. "$(dirname "$0")/kernels/lib.sh"
need_build
[ -x "$KERNELS/lu" ] || bail_out "$KERNELS/lu is missing: run make bench-kernel-programs"

tree="$SCRATCH/a tree"

# A kernel as an application; LINE is one more of its configuration, which is shell.
app() { # GROUP NAME PROGRAM ARGUMENTS [LINE]
    local package=$tree/pkgs/$1/$2
    mkdir -p "$package/inst/aarch64-linux.gcc/bin" "$package/parsec" "$package/inputs"
    cp "$3" "$package/inst/aarch64-linux.gcc/bin/$2"
    printf '%s\n' '#!/bin/bash' "run_exec=\"bin/$2\"" "run_args=\"$4\"" "${5:-}" \
        >"$package/parsec/test.runconf"
    echo "some input" >"$SCRATCH/input.txt"
    tar cf "$package/inputs/input_test.tar" -C "$SCRATCH" input.txt
}

run_parsec() { # ARGUMENT...
    PARSEC_DIR=$tree "$TOP/tests/bench/parsec" -i test -o "$SCRATCH/json" "$@" \
        >"$SCRATCH/out" 2>"$SCRATCH/err"
}

report() {
    cat "$SCRATCH/out" "$SCRATCH/err"
}

# The one line on stderr has all WORDS, and the status is 2.
explains() { # NAME WORDS ARGUMENT...
    local name=$1 words=$2 status
    shift 2
    run_parsec "$@"
    status=$?
    if [ $status = 2 ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && grep -q -- "$words" "$SCRATCH/err"
    then
        pass "$name"
    else
        { echo "status $status, not 2 and one line with: $words"; report; } | fail "$name"
    fi
}

# Runs that differ: status 1, and the line of the second run says in what.
finds() { # NAME WORDS APP
    local name=$1 words=$2 status
    run_parsec -a "$3" -n 2
    status=$?
    if [ $status = 1 ] && grep -q "^$3 .* differs from one node: $words\$" "$SCRATCH/out"; then
        pass "$name"
    else
        { echo "status $status"; report; } | fail "$name"
    fi
}

# shellcheck disable=SC2016 # for the configurations to expand
{
    app apps lu "$KERNELS/lu" '-t ${NTHREADS} -s test -v'
    app kernels jacobi "$KERNELS/jacobi" '-s test -t ${NTHREADS}' 'echo the same >output.txt'
    app apps stdout "$KERNELS/lu" '' \
        'case $PWD in */many/*) run_args="-s small" ;; *) run_args="-s test" ;; esac'
    app apps file "$KERNELS/lu" '-s test' 'echo "$PWD" >output.txt'
}

name="two applications, one node and three"
if run_parsec -a lu,jacobi -n 3 -t 4 && [ ! -s "$SCRATCH/err" ] &&
    [ "$(grep -cE '^(lu|jacobi) +free +[13] +4 ' "$SCRATCH/out")" = 4 ] &&
    jq -e '.runs | length == 4 and all(.outcome == "good" and .seconds > 0) and
        ([.[1, 3].stats[1:][].threads] | all(. > 0))' "$SCRATCH/json" >/dev/null; then
    pass "$name"
else
    { report; jq -c '.runs[]' "$SCRATCH/json"; } 2>&1 | fail "$name"
fi
finds "another stdout on two nodes is found" stdout stdout
finds "another file on two nodes is found" output.txt file

explains "an application that is not there" 'nothing: no such application' -a nothing
explains "an input that is not there" 'has no input native' -a lu -i native
rm "$tree/pkgs/apps/lu/inputs/input_test.tar"
explains "an archive that is missing" 'lu: .*input_test.tar is missing: unpack' -a lu
app apps lu "$KERNELS/lu" ''
printf '\x3e' | dd of="$tree/pkgs/apps/lu/inst/aarch64-linux.gcc/bin/lu" bs=1 seek=18 conv=notrunc \
    status=none
explains "another machine's program" 'lu: built for x86_64, not aarch64: set CC' -a lu
rm -r "$tree/pkgs/apps/lu/inst"
explains "one that is not built" 'lu: not built: run parsecmgmt' -a lu
explains "no such size" 'no input is called big' -i big

tree=$SCRATCH
explains "not a PARSEC tree" 'is not a PARSEC tree' -a lu
tree=
explains "PARSEC_DIR is empty" 'PARSEC_DIR is not set' -a lu

echo "1..$point"
[ "$failed" = 0 ]
