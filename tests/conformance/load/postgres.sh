# shellcheck shell=bash
# PostgreSQL, whose back ends are children of the server, and its own benchmark with four threads of
# clients. Afterwards all sums agree.
# SPDX-License-Identifier: GPL-2.0-or-later
bin=$(echo "$SYSROOT"/usr/lib/postgresql/*/bin)
export PGDATA=$PWD/data PGHOST=$PWD PGUSER=ledger PGDATABASE=postgres
guest "$bin/initdb" -U ledger -A trust --no-locale -E UTF8 --no-sync || exit
start "$bin/postgres" -k "$PWD" -c listen_addresses= -c shared_buffers=16MB
await 60 listens .s.PGSQL.5432 &&
    guest "$bin/pgbench" -i -s 1 -q &&
    guest "$bin/pgbench" -c 4 -j 4 -t 50 &&
    [ "$(guest "$bin/psql" -Atc "select count(*),
        sum(delta) = (select sum(abalance) from pgbench_accounts),
        sum(delta) = (select sum(bbalance) from pgbench_branches),
        sum(delta) = (select sum(tbalance) from pgbench_tellers) from pgbench_history")" = '200|t|t|t' ]
status=$?
[ $status = 0 ] || cat server.log
stop && exit $status
