#!/bin/bash
# The ledger: programs that others wrote, under plain QEMU and on several nodes.
#
#   run.sh [PATTERN]     those of the table whose name matches PATTERN (a regular expression), or all
#
#   CONFORMANCE=short|long   the table's short programs, or all          (short)
#   POSIX_TESTS=DIR          also the Open POSIX test suite in DIR
#   QEMU_SRC=DIR             also the programs of tests/tcg of QEMU's source in DIR
#   LTP_DIR=DIR              also the tests of system calls of the Linux Test Project in DIR
#   SPLASH_DIR=DIR           also SPLASH-3 in DIR
#   CONFORMANCE_JOBS=N       programs at a time; 30 are a busy machine           (1)
#   CONFORMANCE_MEMORY=BYTES all processes of a run together may take no more   (8 GiB)
#
# Prints a line a program, and totals; status 1 if a program differs. README.md says how to read it.
# build/conformance/ keeps the ledger, and below runs/NAME/ what each run said.
#
# SPDX-License-Identifier: GPL-2.0-or-later
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/../e2e/lib.sh"
: "${CONFORMANCE:=short}" "${CONFORMANCE_JOBS:=1}" "${CONFORMANCE_MEMORY:=8589934592}"
case $CONFORMANCE_JOBS in
0* | *[!0-9]*) bail_out "CONFORMANCE_JOBS is how many programs run at a time, not $CONFORMANCE_JOBS" ;;
esac
: "${SYSROOT:=$TOP/build/conformance/sysroot}"
OUT=$TOP/build/conformance
export SYSROOT OUT

# ---- what to run: lines of the table, in build/conformance/selected

fetch() { # PACKAGES: with commas
    # shellcheck disable=SC2086 # one word a package
    "$TOP/tests/sysroot.sh" "$SYSROOT" ${1//,/ } >"$OUT/sysroot.log" 2>&1
}

trees() { # PATTERN: the lines of trees that a user has
    [ -z "${POSIX_TESTS:-}" ] || "$here/trees.sh" posix "$POSIX_TESTS" "$1"
    [ -z "${QEMU_SRC:-}" ] || "$here/trees.sh" tcg "$QEMU_SRC/tests/tcg" "$1"
    [ -z "${LTP_DIR:-}" ] || "$here/trees.sh" ltp "$LTP_DIR" "$1"
    [ -z "${SPLASH_DIR:-}" ] || "$here/trees.sh" splash "$SPLASH_DIR" "$1"
}

# The lines of all that stress-ng has, which must be asked.
stressors() { # PATTERN
    [ "$CONFORMANCE" = long ] || return 0
    if fetch stress-ng; then
        "$here/stressors.sh" "$1"
    else
        echo "stress/all long stress-ng 3 60 status stressor all" # absent
    fi
}

select_programs() { # PATTERN
    { sed '/^#/d; /^ *$/d' "$here/programs"; stressors "$1"; trees "$1"; } |
        awk -v set="$CONFORMANCE" -v name="$1" \
            '$1 ~ name && (set == "long" || $2 == "short" || $2 == "tree")' >"$OUT/selected"
}

# Packages of the selected programs, at once; if that fails, which are not to be had: in
# build/conformance/absent.
fetch_packages() {
    local list lists
    : >"$OUT/absent"
    mapfile -t lists < <(awk '$3 != "-" { print $3 }' "$OUT/selected" | sort -u)
    [ ${#lists[@]} != 0 ] || return
    fetch "$(tr , '\n' < <(printf '%s\n' "${lists[@]}") | sort -u | paste -sd,)" && return
    for list in "${lists[@]}"; do
        fetch "$list" && continue
        echo "$list" >>"$OUT/absent"
        sed 's/^/# /' "$OUT/sysroot.log" >&2
    done
}

# ---- memory: a control group around all runs, where this user may make one

memory_group() {
    local group=/sys/fs/cgroup limit=memory.max
    [ ! -d $group/memory ] || group=$group/memory limit=memory.limit_in_bytes
    group=$group/dqemu-conformance.$$
    if mkdir "$group" 2>/dev/null && echo "$CONFORMANCE_MEMORY" 2>/dev/null >"$group/$limit"; then
        echo "$group"
    else
        rmdir "$group" 2>/dev/null
        echo "# memory is not bounded: no control group can be made here" >&2
    fi
}

# Run COMMAND in the control group GROUP (none if empty), which goes with it.
bounded() { # GROUP COMMAND...
    local group=$1 status
    shift
    if [ -z "$group" ]; then
        "$@"
        return
    fi
    # shellcheck disable=SC2016 # for the inner shell
    bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' bounded "$group" "$@"
    status=$?
    rmdir "$group"
    return $status
}

# ---- one program

# Run COMMAND on one SIDE (plain, ours): its exit status, "timeout" or "left".
run_side() { # SIDE NAME NODES SECONDS COMMAND
    local dir=$OUT/runs/$2/$1 mark=$$-conformance-$2-$1 status
    mkdir -p "$dir/work" "$dir/stats"
    # shellcheck disable=SC2016 # for the inner shell
    (cd "$dir/work" && SIDE=$1 NODES=$3 STATS=$dir/stats HERE=$here TMPDIR=$dir/work \
        run_marked "$mark" "$4" bash -c '. "$HERE/guest.sh"; eval "$1"' command "$5" \
        </dev/null >../stdout 2>../stderr)
    status=$?
    [ $status != 124 ] || status=timeout
    check_none_left "$mark" >"$dir/left" || [ $status = timeout ] || status=left
    echo "$status"
}

# pass, or why not; of a suite how many tests passed of how many.
verdict() { # STATUS COMPARE STDOUT
    case $1 in
    - | timeout | left) echo "$1" ;;
    0) [ "$2" = tests ] && count_tests "$3" || echo pass ;;
    *) [ "$2" = tests ] && count_tests "$3" || echo "status $1" ;;
    esac
}
count_tests() { # STDOUT
    echo "$(grep -c '^pass ' "$1")/$(grep -cE '^(pass|fail) ' "$1")"
}

passed() { # STDOUT: the tests of a suite that passed
    grep '^pass ' "$1" | sort
}

# What the program does here, beside plain QEMU: equal, DIFFERENT; if plain QEMU does not do it:
# better, neither. What differs goes to DIR/difference.
compare() { # COMPARE PLAIN-STATUS OUR-STATUS DIR
    local plain=$2 ours=$3
    cd "$4" || return
    if [ "$1" = tests ]; then
        comm -23 <(passed plain/stdout) <(passed ours/stdout) >difference
        if [ -s difference ] || [ "$ours" = left ]; then
            echo DIFFERENT
        elif grep -q '^pass ' ours/stdout; then
            echo equal
        else
            echo neither
        fi
    elif [ "$plain" = 0 ] && [ "$1" = output ] &&
        ! { diff -r plain/work ours/work && diff plain/stdout ours/stdout; } >difference; then
        echo DIFFERENT
    else
        case $plain,$ours in
        0,0) echo equal ;;
        0,* | -,[!0]*) echo DIFFERENT ;;
        *,0) echo better ;;
        *) echo neither ;;
        esac
    fi
}

threads_elsewhere() { # STATS-FOLDER
    cat "$1"/* 2>/dev/null | jq -s '[.[].nodes[]? | select(.node > 0) | .threads] | add // 0'
}

row() { printf '%-36s %5s  %-11s %-11s %7s  %s\n' "$@"; }

run_program() { # NAME NODES SECONDS COMPARE COMMAND
    local dir=$OUT/runs/$1 plain=- ours
    mkdir -p "$dir"
    [ "$4" = alone ] || plain=$(run_side plain "$1" 1 "$3" "$5")
    ours=$(run_side ours "$1" "$2" "$3" "$5")
    row "$1" "$2" "$(verdict "$plain" "$4" "$dir/plain/stdout")" \
        "$(verdict "$ours" "$4" "$dir/ours/stdout")" \
        "$(threads_elsewhere "$dir/ours/stats")" "$(compare "$4" "$plain" "$ours" "$dir")"
    rm -rf "$dir"/*/work
}

run_selected() {
    local name set packages nodes seconds compare command running=0
    row '# program' nodes 'plain QEMU' dqemu remote verdict
    # shellcheck disable=SC2034 # the set is a column
    while read -r name set packages nodes seconds compare command; do
        if grep -qxF -- "$packages" "$OUT/absent"; then
            row "$name" "$nodes" - - - absent
        else
            ((running < CONFORMANCE_JOBS)) || { wait -n; ((running--)); }
            run_program "$name" "$nodes" "$seconds" "$compare" "$command" &
            ((++running))
        fi
    done <"$OUT/selected"
    wait
}

totals() { # < ledger
    awk '/^#/ { next }
        { n++; count[$NF]++; remote += $(NF - 1) > 0 }
        END {
            printf "# %d programs: %d equal, %d different; plain QEMU does not do %d, neither does %d;", \
                n, count["equal"], count["DIFFERENT"], count["better"], count["neither"]
            printf " %d absent; %d with threads on other nodes\n", count["absent"], remote
            exit !n || count["DIFFERENT"] > 0
        }'
}

# ---- packages and trees as whoever this is, then the runs as an ordinary user

need_build
if [ "${1:-}" = --selected ]; then
    run_selected
    exit
fi
mkdir -p "$OUT"
exec 8>"$OUT/.lock"
flock -n 8 || bail_out "another run has $OUT"
select_programs "${1:-}"
fetch_packages
rm -rf "$OUT/runs"
mkdir "$OUT/runs"
chmod 1777 "$OUT/runs"
command=("$here/run.sh" --selected)
if [ "$DQEMU_TEST_AS" != self ] && [ "$(id -u)" = 0 ]; then
    command=("$TOP/tests/user.sh" "$DQEMU_TEST_AS" "${command[@]}")
fi
bounded "$(memory_group)" "${command[@]}" 8>&- | tee "$OUT/ledger"
totals <"$OUT/ledger" | tee -a "$OUT/ledger"
exit "${PIPESTATUS[0]}"
