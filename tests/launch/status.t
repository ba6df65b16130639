#!/bin/bash
# The launcher's exit status, and whose words come where.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

for n in 1 2 3 8; do
    expect "status 0, $n nodes" 0 '' '' -n $n ./prog
    expect "the guest's status, $n nodes" 42 '' '' -n $n ./prog 0@run:exit=42
    expect "a guest killed by TERM, $n nodes" 143 '' '' -n $n ./prog 0@run:kill=15
    expect "a guest killed by SEGV, $n nodes" 139 '' '' -n $n ./prog 0@run:kill=11
    expect "node 0 killed by KILL, $n nodes" 137 '' '' -n $n ./prog 0@run:kill=9
done
expect "64 nodes" 7 '' '' -n 64 ./prog 0@run:exit=7
expect "the statuses of launcher faults are the guest's too" 125 '' '' -n 2 ./prog 0@run:exit=125

expect "stdout is the guest's, without a newline added" 0 'prompt> ' '' ./prog '0@run:say=prompt> '
expect "slaves write to stderr" 0 '' 'hello' ./prog '1@run:say=hello'
head -c 100000 /dev/urandom >in
launch -n 3 ./prog 0@run:cat
check "stdin to stdout, byte by byte" cmp in out
expect "slaves have no input" 0 '' '' ./prog 1@run:cat
rm in

expect "the guest's execve: the launcher waits for the new program" 5 'hi' '' -n 3 ./prog \
    '0@run:exec=sleep 0.3; echo hi; exit 5'
expect "the new program's signal" 143 '' '' -n 3 ./prog '0@run:exec=kill -TERM $$'

# What any program started here finds open, this shell's own files included.
# shellcheck disable=SC2016
plain=$(sh -c 'ls /proc/$$/fd' 5<prog | sort -n | xargs)
launch -n 3 ./prog 0@run:fds 5<prog
check "the guest finds the descriptors it would find without us" test "$(xargs <out)" = "$plain"

# A guest that closes its stdout: whoever reads sees the end at once, though the run goes on.
mkfifo pipe
DQEMU_TEST_RUN=$mark "$DQEMU_LAUNCH" -n 3 ./prog 0@run:say=x 0@run:close=1 0@run:hang >pipe 2>err &
pid=$!
check "a reader of stdout sees the guest close it" test "$(timeout 10 cat pipe)" = x
check "while the run goes on" kill -0 "$pid"
kill -TERM "$pid"
join_background 5

DQEMU_TEST_RUN=other timeout 20 "$DQEMU_LAUNCH" -n 2 ./prog 0@run:daemon=daemon.pid
status=$?
check "a guest that leaves a daemon" test $status = 0
check "the daemon lives on" kill -0 "$(<daemon.pid)"
kill -KILL "$(<daemon.pid)"

done_testing
