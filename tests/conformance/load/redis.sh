# shellcheck shell=bash
# A Redis with threads for its input and output, under its own benchmark; then a snapshot.
# SPDX-License-Identifier: GPL-2.0-or-later
start redis-server --port 0 --unixsocket "$PWD/socket" --io-threads 2 --io-threads-do-reads yes \
    --save '' --ignore-warnings ARM64-COW-BUG
await 60 listens socket || exit
guest redis-benchmark -s "$PWD/socket" -q -n 100 -c 4 -t set,get,incr,lpush,lpop &&
    [ "$(guest redis-cli -s "$PWD/socket" get counter:__rand_int__)" = 100 ]
status=$?
stop && exit $status
