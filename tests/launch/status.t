#!/bin/bash
# The launcher's exit status, and whose words come where.
#
# SPDX-License-Identifier: GPL-2.0-or-later
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

expect "guests see the descriptors they would see without us" 0 '0 1 2 5*' '' ./prog 0@run:fds \
    5<prog
grep -q 5 out # the fake node counts what the test itself was given, so look for extra ones
base=$(bash -c 'for f in /proc/self/fd/*; do echo -n; done; ls /proc/$$/fd' | tr '\n' ' ')
launch -n 3 ./prog 0@run:fds
check "no other descriptors ($base)" test "$(wc -w <out)" -le "$(wc -w <<<"$base")"

# A guest that closes its stdout: whoever reads sees the end at once, though the run goes on.
mkfifo pipe
launch_background -n 3 ./prog 0@run:close=1 0@run:pid=closed '0@run:wait-signal=10' >/dev/null
exec 9<&-
kill -KILL $pid
wait $pid 2>/dev/null
DQEMU_TEST_RUN=$mark "$DQEMU_LAUNCH" -n 3 ./prog 0@run:say=x 0@run:close=1 0@run:hang >pipe 2>err &
pid=$!
check "a reader of stdout sees the guest close it" test "$(timeout 10 cat pipe)" = x
kill -0 $pid 2>/dev/null
check "while the run goes on" test $? = 0
kill -TERM $pid
join_background 5

expect "a daemon of the guest survives the guest" 0 '' '' -n 2 ./prog
DQEMU_TEST_RUN=other timeout 20 "$DQEMU_LAUNCH" -n 2 ./prog 0@run:daemon=daemon.pid
status=$?
check "status with a daemon" test $status = 0
kill -0 "$(<daemon.pid)"
check "the daemon lives" test $? = 0
kill -KILL "$(<daemon.pid)"

done_testing
