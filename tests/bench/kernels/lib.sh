# shellcheck shell=bash
# Running a program under plain QEMU and on nodes, measuring it, and the table of the results.
# Sourced by curves and by ../parsec.
#
# One run is one JSON object:
#   name, nodes, threads
#   setup       plain QEMU, a processor per thread; real: each node pinned to a processor; slow motion; free: as it comes
#   outcome     "good", or what was wrong
#   seconds     of the parallel region, or of the whole run if the program does not say
#   elapsed_s   of the whole run, start and end included; cpu_s: processor time, all processes
#   stats       the nodes' counters, as the launcher writes them; null for plain QEMU
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../e2e/lib.sh"
KERNEL_DIR=$TOP/tests/bench/kernels
: "${KERNELS:=$TOP/build/bench/kernels}"
: "${SLOWLY:=$TOP/build/bench/slowly}"

die() { # WORDS: 2 is for what the user can set right
    echo "${0##*/}: $*" >&2
    exit 2
}

need_programs() {
    [ -x "$QEMU_PLAIN" ] || die "$QEMU_PLAIN is missing: run make"
    [ -x "$DQEMU_LAUNCH" ] || die "$DQEMU_LAUNCH is missing: run make"
    type -p jq >/dev/null || die "jq is missing: run make deps"
}

# The processors that we may use, as 0,1,...
processors() {
    taskset -cp $$ | sed 's/.*: //' | tr , '\n' |
        awk -F- '{ for (i = $1; i <= $NF; i++) print i }' | paste -sd ,
}
CPUS=$(processors)

# Where and how a run's nodes are placed: words before the program, in the array `how`.
how_to_run() { # SETUP NODES THREADS DIR PERIOD_US
    local setup=$1 nodes=$2 threads=$3 dir=$4 period=$5
    if [ "$setup" = plain ]; then
        how=(taskset -c "$(cut -d, -f"1-$threads" <<<"$CPUS")" "$QEMU_PLAIN")
        return
    fi
    mkdir -p "$dir/nodes"
    how=("$DQEMU_LAUNCH" -n "$nodes" --stats="$dir/stats")
    [ "$setup" = free ] || how+=(--wrap "$TOP/tests/bench/node.sh $dir/nodes $CPUS - %n")
    how+=(--)
    [ "$setup" != slow ] || how=("$SLOWLY" "$nodes" "$period" "$dir/nodes" "${how[@]}")
}

# What the program says of its parallel region: our kernels on stderr, PARSEC's hooks on stdout.
region_seconds() { # DIR
    sed -nE 's/^(parallel region: |\[HOOKS\] Total time spent in ROI: )([0-9.]+) ?s.*/\2/p' \
        "$1/err" "$1/out" | head -n 1
}

# One line for why it failed: a kernel's own check, or else the first that is not a time.
what_it_said() { # FILE
    grep -m 1 'check failed' "$1" || grep -vm 1 '^parallel region' "$1"
}

# Run PROGRAM once in the current folder; DIR gets out, err, stats and run, which is the JSON.
# REFERENCE is a file with the stdout to expect, or - for none.
measure() { # NAME SETUP NODES THREADS PERIOD_US SECONDS DIR REFERENCE PROGRAM ARGUMENT...
    local name=$1 setup=$2 nodes=$3 threads=$4 limit=$6 dir=$7 reference=$8 status mark=$$-$RANDOM
    local how outcome=good elapsed user system region TIMEFORMAT='%R %U %S'
    rm -rf "$dir"
    mkdir -p "$dir"
    how_to_run "$setup" "$nodes" "$threads" "$dir" "$5"
    shift 8
    {
        time run_marked "$mark" "$limit" "${how[@]}" "$@" </dev/null >"$dir/out" 2>"$dir/err"
    } 2>"$dir/time"
    status=$?
    if [ $status = 124 ] || [ $status = 137 ]; then
        outcome="not done after $(scaled "$limit") s"
    elif [ $status != 0 ]; then
        outcome="status $status: $(what_it_said "$dir/err")"
    elif [ "$reference" != - ] && ! cmp -s "$reference" "$dir/out"; then
        outcome="stdout differs from plain QEMU's"
    fi
    check_none_left "$mark" >"$dir/left" || outcome="$outcome; processes were left"
    read -r elapsed user system < <(tail -n 1 "$dir/time")
    region=$(region_seconds "$dir")
    [ -s "$dir/stats" ] || echo null >"$dir/stats"
    jq -cn --arg name "$name" --arg setup "$setup" --argjson nodes "$nodes" \
        --argjson threads "$threads" --arg outcome "$outcome" --argjson region "${region:-null}" \
        --argjson elapsed "${elapsed:-0}" --argjson user "${user:-0}" \
        --argjson system "${system:-0}" --slurpfile stats "$dir/stats" '
        {name: $name, setup: $setup, nodes: $nodes, threads: $threads, outcome: $outcome,
         seconds: ($region // $elapsed), elapsed_s: $elapsed, cpu_s: ($user + $system),
         stats: $stats[0]?.nodes}' >"$dir/run"
    [ "$outcome" = good ]
}

# Runs (a JSON object each) on stdin, a JSON object with the table's numbers each on stdout.
derive() {
    jq -sc -f "$KERNEL_DIR/derive.jq"
}

# Runs on stdin to FILE, after what OBJECT says of all of them; never half a file.
write_json() { # FILE JQ-OBJECT JQ-OPTION...
    local file=$1 object=$2
    shift 2
    mkdir -p "$(dirname "$file")"
    jq -s "$@" --arg date "$(date -u +%FT%TZ)" \
        --argjson processors "$(tr , '\n' <<<"$CPUS" | wc -l)" \
        "{schema: 1, date: \$date, processors: \$processors} + $object + {runs: .}" \
        >"$file.new" && mv "$file.new" "$file"
}

# Those on stdin as a table to read. A dash: not known, or not asked.
table() {
    jq -nr -f "$KERNEL_DIR/table.jq" | awk -F'\t' '
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > w[i]) w[i] = length($i) }
          if (NF > columns) columns = NF }
        END {
            for (r = 1; r <= NR; r++) {
                line = ""
                for (i = 1; i <= columns; i++)
                    line = line sprintf(i <= 2 || i == columns ? "%-*s  " : "%*s  ", w[i], cell[r, i])
                sub(/ +$/, "", line)
                print line
            }
        }'
}
