# shellcheck shell=bash
# A memcached of four threads, and clients that set, add to and read keys at the same time.
# SPDX-License-Identifier: GPL-2.0-or-later
start memcached -s "$PWD/socket" -t 4 -m 16 -U 0
await 60 listens socket || exit
guest perl "$HERE/load/memcached.pl" "$PWD/socket"
status=$?
# it has no handler that would end it with 0
stop
exit $status
