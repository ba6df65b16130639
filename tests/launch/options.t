#!/bin/bash
# The launcher's options, their environment twins, and what is passed on to the nodes.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

line() { # NODE NODES BIND PORT PLACEMENT VERBOSE HOLD: what the fake node says of its configuration
    echo "node $1 of $2 bind $3 port $4 placement $5 verbose $6 hold_us $7"
}

configured() { # NAME LINE ARGUMENT...
    local name=$1 line=$2
    shift 2
    expect "$name" 0 "$line" '*' "$@" ./prog 0@start:config
}

configured "defaults" "$(line 0 2 127.0.0.1 0 spread 0 100)"
for form in '-n 3' '-n3' '--nodes 3' '--nodes=3'; do
    # shellcheck disable=SC2086
    configured "$form" "$(line 0 3 127.0.0.1 0 spread 0 100)" $form
done
for policy in spread pack master-only; do
    configured "--placement $policy" "$(line 0 2 127.0.0.1 0 $policy 0 100)" --placement $policy
done
configured "-v" "$(line 0 2 127.0.0.1 0 spread 1 100)" -v
configured "-vv" "$(line 0 2 127.0.0.1 0 spread 2 100)" -vv
configured "--verbose --verbose" "$(line 0 2 127.0.0.1 0 spread 2 100)" --verbose --verbose
configured "--bind" "$(line 0 2 127.1.2.3 0 spread 0 100)" --bind 127.1.2.3
configured "-o" "$(line 0 2 127.0.0.1 0 spread 0 7)" -o run_pages=3,hold_us=7
configured "--option twice" "$(line 0 2 127.0.0.1 0 spread 0 9)" --option hold_us=1 --option=hold_us=9
expect "--addresses gives each node its own" 0 '' "$(line 1 2 127.0.0.3 0 spread 0 100)" \
    --addresses 127.0.0.2,127.0.0.3 ./prog 1@run:config

DQEMU_NODES=4 configured "DQEMU_NODES" "$(line 0 4 127.0.0.1 0 spread 0 100)"
DQEMU_NODES=4 configured "an option wins over its twin" "$(line 0 3 127.0.0.1 0 spread 0 100)" -n 3
DQEMU_PLACEMENT=pack configured "DQEMU_PLACEMENT" "$(line 0 2 127.0.0.1 0 pack 0 100)"
DQEMU_VERBOSE=1 configured "DQEMU_VERBOSE" "$(line 0 2 127.0.0.1 0 spread 1 100)"
DQEMU_VERBOSE=0 configured "DQEMU_VERBOSE=0" "$(line 0 2 127.0.0.1 0 spread 0 100)"
DQEMU_OPTIONS=hold_us=5 configured "DQEMU_OPTIONS" "$(line 0 2 127.0.0.1 0 spread 0 5)"

expect "nothing is encrypted unless asked for" 0 none '*' ./prog 0@start:protect
expect "--encrypt" 0 encrypt '*' --encrypt ./prog 0@start:protect
DQEMU_ENCRYPT=1 expect "DQEMU_ENCRYPT" 0 encrypt '*' ./prog 0@start:protect

# A range that is very likely free; the test of a port in use takes whatever it gets.
low=$((20000 + $$ % 10000))
expect "--port-range gives node K the port LOW+K" 0 '' "$(line 1 2 127.0.0.1 $((low + 1)) spread 0 100)" \
    --port-range $low-$((low + 1)) ./prog 1@start:config

passed() { # NAME WORDS ARGUMENT...: the words after the control option
    local name=$1 words=$2
    shift 2
    launch "$@"
    check "$name" test "$(tail -n +3 out | tr '\n' ' ')" = "$words "
}
passed "the emulator's options go through as they are" \
    "-L /x -E A=b c -U D -0 zero -strace -cpu max -d page ./prog 0@run:argv -n 9 --" \
    -n 2 -L /x -E 'A=b c' -U D -0 zero -strace -cpu max -d page ./prog 0@run:argv -n 9 --
passed "--strace is -strace" "--strace ./prog 0@run:argv" --strace ./prog 0@run:argv
passed "-- ends the options" "./prog 0@run:argv" -n 2 -- ./prog 0@run:argv
cp prog ./-prog
passed "a program whose name begins with a dash" "-- -prog 0@run:argv" -- -prog 0@run:argv
passed "empty arguments stay" "./prog 0@run:argv  x" ./prog 0@run:argv '' x
expect "a slave does not wait for the debugger" 0 '' '*/fake-node
--dqemu-control=*
-L
/x
./prog
1@start:argv' -g 1234 -L /x ./prog 1@start:argv
launch -g 1234 ./prog 0@run:argv
check "node 0 does" grep -qx -- -g out

expect "--wrap" 0 'node-0' '' --wrap "sh -c 'printf node-%n >&\$((1 + %n)); exec \"\$@\"' %%" -n 1 ./prog
expect "--timeout" 124 '' 'dqemu: the program did not end within 0.2 s (--timeout)' \
    --timeout 0.2 ./prog 0@run:hang
expect "--timeout and a guest that ignores SIGTERM" 124 '' 'dqemu: *' \
    --timeout 0.2 -n 1 ./prog 0@run:ignore=15 0@run:deaf
expect "--timeout that does not come" 3 '' '' --timeout 10 ./prog 0@run:exit=3

expect "-h" 0 'Usage: dqemu-launch*' '' -h
expect "--help" 0 'Usage: dqemu-launch*--nodes N*DQEMU_NODES*hold_us*Exit status*' '' --help
expect "--version" 0 'dqemu-launch [0-9]*' '' --version
expect "no trailing blanks in the help" 0 '*' '' --help
check "indeed" test -z "$(grep ' $' out)"
missing=
mapfile -t words < <(grep -oE '^ +(-., )?--[a-z-]+|DQEMU_[A-Z_]+|^  [a-z_.]+ ' out |
    grep -oE '[A-Za-z][A-Za-z_.-]+')
check "the help names options, variables and tunables" test "${#words[@]}" -gt 25
page=$(sed 's/\\//g' "$TOP/deploy/dqemu-launch.1.scd")
for word in "${words[@]}"; do
    grep -qE -- "(^|[^A-Za-z._])$word($|[^A-Za-z_-])" <<<"$page" || missing+=" $word"
done
check "the manual page names everything that the help names$missing" test -z "$missing"

missing=
mapfile -t shown < <(sed -n '/^# OPTIONS/,/^# FILES/p' <<<"$page" |
    grep -oE '^\*(-|[a-z_.]+\*(,|$)).*|\*DQEMU_[A-Z_]+\*' |
    grep -oE '\*(-[a-zA-Z]|--[a-z-]+|[a-z_]{4,}|split\.[a-z_]+|DQEMU_[A-Z_]+)\*' | tr -d '*')
check "the manual page has items" test "${#shown[@]}" -gt 25
for word in "${shown[@]}"; do
    grep -qE -- "(^|[^A-Za-z._-])$word($|[^A-Za-z_.-])" out || missing+=" $word"
done
check "the help names everything that the manual page names$missing" test -z "$missing"
missing=
for word in $(grep -oE '^ +(-., )?--[a-z-]+|DQEMU_[A-Z_]+' out | grep -oE '(--|DQEMU_).*'); do
    grep -qF -- "\`$word" "$TOP/README.md" || [[ $word == --help ]] || missing+=" $word"
done
check "README.md names every option and variable$missing" test -z "$missing"
expect "--print-tunables" 0 'hold_us=100 *split.pages=512 *' '' --print-tunables
expect "it shows what is set before it" 0 '*split.pages=7 *split.share=3 *' '' \
    -o split.pages=7,split.share=3 --print-tunables
expect "a name that is only like one" 125 '' 'dqemu: -o split_pages: no such tunable; *' -o split_pages=7 ./prog
expect "-v says who the nodes are" 0 '' \
    '*node 1 is process * and listens on 127.0.0.1 port *node 1: words*' -v ./prog 1@run:log=words
expect "without -v nothing of it" 0 '' '' ./prog 1@run:log=words

refused() { # NAME LINE ARGUMENT...: one line, status 125
    local name=$1 line=$2
    shift 2
    expect "$name" 125 '' "dqemu: $line" "$@"
    [ "$(wc -l <err)" = 1 ] || fail "one line for: $name" <err
}
refused "no program" 'no PROGRAM given; see*'
refused "no program after options" 'no PROGRAM given; see*' -n 3
refused "too many nodes" '-n 65: too many nodes; give at most 64' -n 65 ./prog
refused "far too many nodes" '--nodes 99999999999999999999: *' --nodes 99999999999999999999 ./prog
refused "no nodes" '-n 0: not a number of nodes*' -n 0 ./prog
refused "negative nodes" '-n -1: not a number of nodes*' -n -1 ./prog
refused "nodes in words" '-n two: not a number of nodes*' -n two ./prog
refused "no value" '-n needs a value*' -n
refused "a value too many" '--verbose takes no value' --verbose=3 ./prog
refused "an unknown option" '--nosuch: no such option*' --nosuch ./prog
refused "an unknown letter" '-vx: no such option*' -vx ./prog
refused "an unknown policy" '--placement best: no such policy; give*' --placement best ./prog
refused "an unknown tunable" '-o nosuch: no such tunable*' -o nosuch=1 ./prog
refused "a tunable without value" '-o hold_us: no value*' -o hold_us ./prog
refused "a tunable out of range" '-o hold_us=2000000: outside*' -o hold_us=2000000 ./prog
refused "a tunable in words" '-o hold_us=long: *' -o hold_us=long ./prog
refused "a host name" 'localhost: not an address*' --bind localhost ./prog
refused "all addresses" '0.0.0.0: no address that other nodes can reach*' --bind 0.0.0.0 ./prog
refused "too few addresses" '--addresses names 1 addresses for 3 nodes*' -n 3 --addresses 127.0.0.1 ./prog
refused "no range" '70: not a range of ports*' --port-range 70 ./prog
refused "a range upside down" '9-8: not a range of ports*' --port-range 9-8 ./prog
refused "a range too short" '7000-7001: 2 ports for 3 nodes*' -n 3 --port-range 7000-7001 ./prog
refused "no time" '--timeout soon: not a time*' --timeout soon ./prog
refused "a negative time" '--timeout -1: not a time*' --timeout -1 ./prog
refused "an open quote" '--wrap a "b: *' --wrap 'a "b' ./prog
refused "no node program" '--node-binary /nosuch: No such file*' --node-binary /nosuch ./prog
refused "a node program that cannot run" '--node-binary ./prog: */prog does not start; give the path of a node program' --node-binary ./prog ./prog
refused "a node program that is none" '--node-binary /bin/true: it is no node program*' --node-binary /bin/true ./prog
refused "nor this" '--node-binary /bin/false: /bin/false does not start; *' --node-binary /bin/false ./prog
sed "s/$("$FAKE_NODE" --dqemu-build)/$("$FAKE_NODE" --dqemu-build | tr 0-9a-f 1-9a-f0)/" "$FAKE_NODE" >other-build
chmod +x other-build
refused "a node program of another build" \
    '--node-binary ./other-build: it is build * and this launcher is *; use both from one build' \
    --node-binary ./other-build ./prog
refused "a wrapper that is missing" 'cannot start nosuch-wrapper: No such file*' --wrap nosuch-wrapper ./prog
refused "a wrapper that runs nothing" 'node 0 (*) ended with status 0 before the run began; see *--wrap *' \
    -n 2 --wrap true ./prog
expect "a wrapper that fails" 7 '' 'dqemu: node 0 (*) ended with status 7 before the run began; see *--wrap *' \
    -n 2 --wrap "sh -c 'exit 7'" ./prog
DQEMU_NODES=many refused "a bad twin is named" 'DQEMU_NODES many: not a number of nodes*' ./prog

done_testing
